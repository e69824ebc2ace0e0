"""Losses and known mistakes of lesson 04: what a wrong answer gives, and what to tell its author."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.course.lesson_04 import quadratics
from mlearn_utils.course.lesson_04.quadratics import Quadratics

Data = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Data], Tensor]


def parabola(theta: Tensor, data: Data) -> Tensor:
    """Return the loss a/2 (theta - c)^2 of one task, data = (a, c)."""
    curvature, center = data
    return 0.5 * curvature * (theta - center) ** 2


def wave(theta: Tensor, data: Data) -> Tensor:
    """Return the mean squared error of sin(theta[0] x + theta[1]) on data = (x, y): no parabola in theta."""
    x, y = data
    return ((torch.sin(theta[0] * x + theta[1]) - y) ** 2).mean()


def make_tasks() -> list[tuple[Data, Data]]:
    """Return three (support, query) pairs for `wave` in float64, with no symmetry to hide a mistake."""
    x = torch.tensor([-1.7, -0.6, 0.2, 0.9, 2.1], dtype=torch.float64)
    pairs = []
    for k in (1.0, -0.5, 2.0):
        support, query = x * k + 0.3, x - 0.4 * k
        pairs.append(((support, torch.cos(support) + k), (query, torch.cos(query) - k)))
    return pairs


def wrong_gradients(
    exact: Callable[..., Tensor], theta: Callable[[], Tensor], tasks: list[tuple[Data, Data]], inner_lr: float
) -> list[tuple[Tensor, str]]:
    """Return what each known mistake gives for the meta-gradient, with its message."""
    support_only = [(support, support) for support, _ in tasks]
    return [
        (
            _first_order(theta(), tasks, inner_lr),
            "this is the first-order gradient: the inner gradient was a constant (create_graph=True is "
            "missing), or the last derivative was taken by the adapted parameters instead of theta",
        ),
        (
            exact(wave, theta(), support_only, inner_lr),
            "the adapted parameters are judged on the support set, which rewards memorizing. Use the query",
        ),
        (
            exact(wave, theta(), [(query, query) for _, query in tasks], inner_lr),
            "the tasks are adapted on their query sets: the inner step takes the support set",
        ),
        (
            _common_step(theta(), tasks, inner_lr),
            "one common step on the mean support loss serves all tasks: each task takes a step of its own",
        ),
        (
            _carried(theta(), tasks, inner_lr),
            "the tasks were adapted one after the other: each must start from the same theta",
        ),
        (
            exact(wave, theta(), tasks, inner_lr / len(tasks)),
            "the inner rate is divided by the number of tasks: each task's own loss gives its own step",
        ),
        (
            exact(wave, theta(), tasks, inner_lr) * len(tasks),
            "this is the gradient of the sum over tasks; the objective is their mean",
        ),
        (
            exact(wave, theta(), tasks, 0.0),
            "this is the gradient without adaptation: the query loss must be taken at the adapted parameters",
        ),
    ]


def _first_order(theta: Tensor, tasks: list[tuple[Data, Data]], inner_lr: float) -> Tensor:
    losses = [
        wave(theta - inner_lr * torch.autograd.grad(wave(theta, support), theta)[0], query)
        for support, query in tasks
    ]
    return torch.autograd.grad(torch.stack(losses).mean(), theta)[0]


def _common_step(theta: Tensor, tasks: list[tuple[Data, Data]], inner_lr: float) -> Tensor:
    mean = torch.stack([wave(theta, support) for support, _ in tasks]).mean()
    adapted = theta - inner_lr * torch.autograd.grad(mean, theta, create_graph=True)[0]
    return torch.autograd.grad(torch.stack([wave(adapted, query) for _, query in tasks]).mean(), theta)[0]


def _carried(theta: Tensor, tasks: list[tuple[Data, Data]], inner_lr: float) -> Tensor:
    adapted, losses = theta, []
    for support, query in tasks:
        slope = torch.autograd.grad(wave(adapted, support), adapted, create_graph=True)[0]
        adapted = adapted - inner_lr * slope
        losses.append(wave(adapted, query))
    return torch.autograd.grad(torch.stack(losses).mean(), theta)[0]


def steps_by_theta(
    loss: Loss, theta: Tensor, support: Data, query: Data, inner_lr: float, steps: int
) -> Tensor:
    """Return the query loss of an inner loop that differentiates by theta where it should by `adapted`."""
    adapted = theta
    for _ in range(steps):
        adapted = (
            adapted - inner_lr * torch.autograd.grad(loss(adapted, support), theta, create_graph=True)[0]
        )
    return loss(adapted, query)


def same(result: Any, wrong: Tensor) -> bool:
    """Return whether a student's result equals the value that a mistake gives."""
    if not isinstance(result, Tensor) or result.shape != wrong.shape:
        return False
    return torch.allclose(result.detach().double(), wrong, rtol=1e-6, atol=1e-9)


def wrong_starts(tasks: Quadratics, inner_lr: float, steps: int) -> list[tuple[float, str]]:
    """Return what each shortcut gives for the best start, with its message."""
    one_point = tasks._replace(support_center=tasks.query_center)
    wrong = [
        (float(tasks.query_center.mean()), "this is the plain mean of the query centers"),
        (quadratics.joint_start(tasks), "this is the best start without adaptation: rho is missing"),
        (
            quadratics.first_order_start(tasks, inner_lr, steps),
            "this is where first-order MAML stops: the weight lacks the factor rho = d(adapted)/d(theta)",
        ),
        (
            quadratics.best_start(one_point, inner_lr, steps),
            "the support centers are ignored: adaptation moves towards s_i, the judgment is at q_i",
        ),
    ]
    if steps > 1:
        one_step = (quadratics.best_start(tasks, inner_lr, 1), "right for one step, but not for several")
        wrong.append(one_step)
    return wrong
