"""MAML: objective and update rule.

The exercises of lesson 04. Every checker compares the answer with the right value and with the values that
the known mistakes give, so that its message can name the one that was made. The exercises themselves carry no
annotations: their first lines are what a student reads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_04 import quadratics
from mlearn_utils.course.lesson_04.mistakes import (
    make_tasks,
    parabola,
    same,
    steps_by_theta,
    wave,
    wrong_gradients,
    wrong_starts,
)
from mlearn_utils.course.lesson_04.quadratics import TASKS, Quadratics

# --- one inner step


def inner_step(loss, theta, support, inner_lr):
    """Return theta after one gradient step on loss(theta, support), as a differentiable function of theta."""
    ### BEGIN SOLUTION
    (gradient,) = torch.autograd.grad(loss(theta, support), theta, create_graph=True)
    return theta - inner_lr * gradient
    ### END SOLUTION


def check_inner_step(answer: Callable) -> str:
    """Check value, dependence on theta, and the derivative of the step."""
    theta = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    support = (torch.tensor(2.0, dtype=torch.float64), torch.tensor(-0.5, dtype=torch.float64))
    slope, before = 3.0, float(theta.detach())
    result = answer(parabola, theta, support, 0.1)
    expect(
        float(theta.detach()) == before, "theta itself was changed: return a new tensor (no `theta -= ...`)"
    )
    if isinstance(result, Tensor) and result.shape == theta.shape:
        value = float(result.detach())
        expect(value != before + 0.1 * slope, "the step goes uphill: the gradient is subtracted, not added")
        expect(value != before - slope, "inner_lr is not used: the step is inner_lr times the gradient")
    expect_close(result, torch.tensor(before - 0.1 * slope), "this is not theta - inner_lr * gradient")
    expect(
        isinstance(result, Tensor) and result.requires_grad,
        "the number is right, but it no longer depends on theta: `.data`, `.detach()`, `torch.no_grad()`, "
        "`float(...)` and optimizer steps cut the graph",
    )
    derivative = _derivative(result, theta)
    expect(
        derivative is not None,
        "the result depends on a copy of theta, not on theta itself: take the gradient of loss(theta, ...)",
    )
    expect_close(
        derivative,
        torch.tensor(0.8, dtype=torch.float64),
        "the step is right, but its derivative by theta is 1, which is first order: the gradient was treated "
        "as a constant. Ask torch.autograd.grad to keep its graph: create_graph=True",
    )
    _compare_on_waves(answer)
    return "Its derivative by theta is 1 - inner_lr * curvature = 0.8, as the closed form says."


def _compare_on_waves(answer: Callable) -> None:
    support = make_tasks()[0][0]
    jacobians = []
    for step in (answer, inner_step):
        theta = torch.tensor([0.7, -0.4], dtype=torch.float64, requires_grad=True)
        result = step(wave, theta, support, 0.2)
        jacobians.append((result.detach(), torch.autograd.grad(result.sum(), theta)[0]))
    expect_close(jacobians[0], jacobians[1], "right on a parabola, not on a loss whose curvature changes")


def _derivative(result: Tensor, theta: Tensor) -> Tensor | None:
    (derivative,) = torch.autograd.grad(result, theta, allow_unused=True)
    return derivative


# --- the meta-gradient


def meta_gradient(loss, theta, tasks, inner_lr):
    """Return d/dtheta of the mean query loss after one inner step on each task's own support set."""
    ### BEGIN SOLUTION
    query_losses = []
    for support, query in tasks:
        (gradient,) = torch.autograd.grad(loss(theta, support), theta, create_graph=True)
        adapted = theta - inner_lr * gradient
        query_losses.append(loss(adapted, query))
    return torch.autograd.grad(torch.stack(query_losses).mean(), theta)[0]
    ### END SOLUTION


def check_meta_gradient(answer: Callable) -> str:
    """Compare with the exact meta-gradient and with what each known mistake gives."""
    tasks, inner_lr = make_tasks(), 0.1

    def theta() -> Tensor:
        return torch.tensor([0.7, -0.4], dtype=torch.float64, requires_grad=True)

    start = theta()
    result = answer(wave, start, tasks, inner_lr)
    expect(torch.equal(start, theta()), "theta itself was changed: adapt in new tensors")
    exact = meta_gradient(wave, theta(), tasks, inner_lr)
    for wrong, message in wrong_gradients(meta_gradient, theta, tasks, inner_lr):
        expect(not same(result, wrong), message)
    expect_close(result, exact, "not the derivative of the mean query loss after one inner step")
    return "Equal to the exact meta-gradient on three tasks whose losses are no parabolas."


# --- the first-order bug


def adapted_query_loss(loss, theta, support, query, inner_lr, steps):
    """Return the query loss after `steps` inner steps, ready to be differentiated with respect to theta."""
    adapted = theta
    for _ in range(steps):
        ### BEGIN SOLUTION
        gradient = torch.autograd.grad(loss(adapted, support), adapted, create_graph=True)[0]
        ### END SOLUTION
        #| gradient = torch.autograd.grad(loss(adapted, support), adapted, retain_graph=True)[0]
        adapted = adapted - inner_lr * gradient
    return loss(adapted, query)


def check_adapted_query_loss(answer: Callable) -> str:
    """Check the value and the derivative over three steps."""
    support, query = make_tasks()[0]

    def outcome(function: Callable, **changed: Any) -> tuple[Tensor, Tensor | None]:
        theta = torch.tensor([0.7, -0.4], dtype=torch.float64, requires_grad=True)
        settings = {"support": support, "query": query, "inner_lr": 0.1, "steps": 3} | changed
        value = function(wave, theta, **settings)
        expect(
            isinstance(value, Tensor) and value.ndim == 0,
            "the result should be the query loss, a scalar tensor",
        )
        expect(value.requires_grad, "the result no longer depends on theta: something cut the graph")
        return value.detach(), _derivative(value, theta)

    value, derivative = outcome(answer)
    right, exact = outcome(adapted_query_loss)
    for wrong, message in (
        (
            outcome(adapted_query_loss, steps=1),
            "only the last step counts: each starts from `adapted`, not `theta`",
        ),
        (outcome(adapted_query_loss, query=support), "the adapted parameters are judged on the support set"),
        (
            outcome(steps_by_theta),
            "each step needs the gradient by `adapted`, where it stands, not by `theta`",
        ),
    ):
        expect(not same(value, wrong[0]), message)
    expect_close(value, right, "the query loss itself has changed: the bug is only in its derivative")
    expect(derivative is not None, "the result depends on a copy of theta, not on theta itself")
    expect_close(
        derivative,
        exact,
        "the value is right, its derivative is still that of first order. Look at the call that computes the "
        "inner gradient: can its result be differentiated again?",
    )
    return "retain_graph keeps the old graph alive; only create_graph records the gradient's own computation."


# --- where first order goes the other way


def disagreement():
    """Return (theta, inner_lr) where exact and first-order gradient of the three tasks differ in sign.

    One inner step, and a small one: 0 < inner_lr <= 0.2, so that no task covers more than half its distance.
    """
    ### BEGIN SOLUTION
    return 0.6, 0.2
    ### END SOLUTION


def check_disagreement(answer: Callable) -> str:
    """Check the rate, then the two signs."""
    result = answer()
    expect_close(result, (0.0, 0.0), "return two numbers, theta and inner_lr", tol=float("inf"))
    theta, inner_lr = (float(value) for value in result)
    expect(inner_lr > 0, f"inner_lr is {inner_lr:g}: without a step there is no adaptation to differentiate")
    expect(
        inner_lr <= 0.2,
        f"inner_lr = {inner_lr:g} is above 0.2: large steps, which overshoot, are the easy way; stay small",
    )
    exact = float(quadratics.meta_slope(theta, TASKS, inner_lr, 1))
    first = float(quadratics.first_order_slope(theta, TASKS, inner_lr, 1))
    expect(
        exact * first < 0,
        f"at theta = {theta:g}, inner_lr = {inner_lr:g} both have the same sign: exact {exact:.3g}, first "
        f"order {first:.3g}. Look between the two points where each of them is zero",
    )
    return (
        f"Exact {exact:.3g}, first order {first:.3g}: first-order MAML walks away from the best start here."
    )


# --- the best start in closed form


def best_start(curvature, support_center, query_center, inner_lr, steps):
    """Return the theta of the smallest meta-objective of T parabolas, given as three arrays [T]."""
    ### BEGIN SOLUTION
    rho = (1 - inner_lr * curvature) ** steps
    weight = curvature * rho
    return float((weight * (query_center - (1 - rho) * support_center)).sum() / (weight * rho).sum())
    ### END SOLUTION


def check_best_start(answer: Callable) -> str:
    """Compare on random tasks with the right value and with those of four shortcuts."""
    random = np.random.default_rng(0)
    for steps in (1, 3):
        tasks = Quadratics(random.uniform(0.5, 2.0, 4), random.normal(size=4), random.normal(size=4))
        result = answer(*tasks, 0.3, steps)
        expect_close(result, 0.0, "", tol=float("inf"))
        for wrong, message in wrong_starts(tasks, 0.3, steps):
            expect(abs(float(result) - wrong) > 1e-6, message)
        right = quadratics.best_start(tasks, 0.3, steps)
        off = abs(float(result) - right)
        expect(not 1e-6 < off < 0.02, f"close, but {off:.1e} off: solve dJ/dtheta = 0 instead of searching")
        expect_close(float(result), right, "not where dJ/dtheta is zero")
    return "The slope of the meta-objective is zero at your start, for 1 and for 3 inner steps."


EXERCISES = (
    Exercise(
        reference=inner_step,
        check=check_inner_step,
        title="One inner step",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "You need the gradient of loss(theta, support) with respect to theta, then one line of descent.",
            "torch.autograd.grad(value, theta) returns a tuple of one gradient and leaves theta.grad alone.",
            "The result must be differentiable through the gradient: "
            "torch.autograd.grad(..., create_graph=True).",
        ),
    ),
    Exercise(
        reference=meta_gradient,
        check=check_meta_gradient,
        title="The meta-gradient",
        level="core",
        minutes=8,
        points=3,
        hints=(
            "For each (support, query): adapt from theta on the support set, keep the loss on the query set.",
            "Collect the query losses in a list; torch.stack(list).mean() is the objective J(theta).",
            "One last torch.autograd.grad(objective, theta)[0] differentiates through all inner steps, if "
            "each was built with create_graph=True.",
        ),
    ),
    Exercise(
        reference=adapted_query_loss,
        check=check_adapted_query_loss,
        title="Find the first-order bug",
        level="core",
        minutes=3,
        points=2,
        planted=True,
        hints=(
            "The value it returns is right. What is wrong shows only when you differentiate it.",
            "Read the keyword arguments of torch.autograd.grad: which keeps an existing graph, which makes a "
            "new one?",
        ),
    ),
    Exercise(
        reference=disagreement,
        check=check_disagreement,
        title="Where first order walks the wrong way",
        level="explore",
        minutes=5,
        points=2,
        hints=(
            "In the explorer, look at the marks ▼ and ◆ on the right: where each gradient is zero.",
            "Between these two points one of the gradients is positive and the other negative.",
            "Set α to 0.2 and drag θ between the marks, at 0.43 and 0.72.",
        ),
    ),
    Exercise(
        reference=best_start,
        check=check_best_start,
        title="The best start in closed form",
        level="research",
        minutes=10,
        points=3,
        hints=(
            "Write the adapted point as s + rho (theta - s) with rho = (1 - inner_lr a)^K.",
            "Set sum_i rho_i a_i (s_i + rho_i (theta - s_i) - q_i) to zero: it is linear in theta.",
            "theta = sum_i a_i rho_i (q_i - (1 - rho_i) s_i) / sum_i a_i rho_i^2.",
        ),
    ),
)
