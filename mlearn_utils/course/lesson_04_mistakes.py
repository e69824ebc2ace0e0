"""Losses and known mistakes of lesson 04: what a wrong answer gives, and what to tell its author."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.course import quadratics
from mlearn_utils.course.quadratics import Quadratics

Data = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Data], Tensor]


def parabola(theta: Tensor, data: Data) -> Tensor:
    """Return the loss a/2 (theta - c)^2 of one task, data = (a, c)."""
    curvature, center = data
    return 0.5 * curvature * (theta - center) ** 2


def wave(theta: Tensor, data: Data) -> Tensor:
    """Return the mean squared error of sin(theta[0] x) + theta[1] on data = (x, y): no parabola in theta."""
    x, y = data
    return ((torch.sin(theta[0] * x) + theta[1] - y) ** 2).mean()


def make_tasks() -> list[tuple[Data, Data]]:
    """Return three (support, query) pairs for `wave`, in float64 and very different from each other."""
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)
    pairs = []
    for k in (1.0, -0.5, 2.0):
        support, query = (x, torch.cos(k * x) + k), (x + 0.3, torch.cos(k * x + 0.3) - k)
        pairs.append((support, query))
    return pairs


def wrong_gradients(
    exact: Callable[..., Tensor], theta: Callable[[], Tensor], tasks: list[tuple[Data, Data]], inner_lr: float
) -> list[tuple[Tensor, str]]:
    """Return what each known mistake gives for the meta-gradient, with its message."""
    support_only = [(support, support) for support, _ in tasks]
    return [
        (
            _first_order(theta(), tasks, inner_lr),
            "this is the first-order gradient: the inner gradient was a constant. Add create_graph=True",
        ),
        (
            exact(wave, theta(), support_only, inner_lr),
            "the adapted parameters are judged on the support set, which rewards memorizing. Use the query",
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


def _carried(theta: Tensor, tasks: list[tuple[Data, Data]], inner_lr: float) -> Tensor:
    adapted, losses = theta, []
    for support, query in tasks:
        slope = torch.autograd.grad(wave(adapted, support), adapted, create_graph=True)[0]
        adapted = adapted - inner_lr * slope
        losses.append(wave(adapted, query))
    return torch.autograd.grad(torch.stack(losses).mean(), theta)[0]


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
