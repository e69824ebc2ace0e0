"""How the answers of lesson 04 are judged: probes, known mistakes, and what to tell who made them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import expect, expect_numbers
from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong, derivatives
from mlearn_utils.course.lesson_04 import quadratics
from mlearn_utils.course.lesson_04.quadratics import TASKS, Quadratics

Data = tuple[Tensor, ...]
Loss = Callable[[Tensor, Any], Tensor]
DERIVATIVE = "Its derivative by theta"


def _numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _theta(*values: float) -> Tensor:
    numbers = _numbers(*values) if len(values) > 1 else _numbers(*values)[0]
    return numbers.requires_grad_()


def parabola(theta: Tensor, data: Data) -> Tensor:
    """Return the loss a/2 (theta - c)^2 of one task, data = (a, c), for a single number theta."""
    curvature, center = data
    return 0.5 * curvature * (theta - center) ** 2


def wave(theta: Tensor, data: Data) -> Tensor:
    """Return the mean squared error of sin(theta[0] x + theta[1]) on data = (x, y): no parabola in theta."""
    x, y = data
    return ((torch.sin(theta[0] * x + theta[1]) - y) ** 2).mean()


def bent_wave(theta: Tensor, data: Data) -> Tensor:
    """Return the mean squared error of sin(theta[0] x + theta[1]) + (theta[2] x)^2 on data = (x, y).

    Its gradient needs theta itself, so it shows if theta is changed in place.
    """
    x, y = data
    return ((torch.sin(theta[0] * x + theta[1]) + theta[2] ** 2 * x**2 - y) ** 2).mean()


def lone_wave(theta: Tensor, data: Data) -> Tensor:
    """Return the mean squared error of sin(theta[0] x) on data = (x, y), less 2; theta [1] has an axis."""
    x, y = data
    return ((torch.sin(theta[0] * x) - y) ** 2).mean() - 2.0


def make_tasks(count: int) -> list[tuple[Data, Data]]:
    """Return (support, query) pairs for the waves in float64, with no symmetry to hide a mistake.

    The second task has one query point less than the others.
    """
    x = _numbers(-1.7, -0.6, 0.2, 0.9, 2.1)
    pairs = []
    for k in (1.0, -0.5, 2.0)[:count]:
        support, query = x[: 2 + count] * k + 0.3, x[: 1 + count - (k < 0)] - 0.4 * k
        pairs.append(((support, torch.cos(support) + k), (query, torch.cos(query) - k)))
    return pairs


def _slope(value: Tensor, by: Tensor, **options: Any) -> Tensor:
    return torch.autograd.grad(value, by, **options)[0]


def _parts(value: Any, theta: Tensor) -> Parts:
    """Return a value and the derivative by theta of its weighed sum, None if it has none."""
    derivative = None
    if isinstance(value, Tensor) and value.requires_grad:
        weight = torch.linspace(1.0, 2.0, value.numel(), dtype=value.dtype).reshape(value.shape)
        (derivative,) = derivatives((weight * value).sum(), (theta,))
    return Parts({RESULT: value, DERIVATIVE: derivative})


# --- one inner step


def step_probes() -> list[Probe]:
    """Return loss, theta, support and inner_lr: a parabola, and losses whose curvature changes."""
    return [
        (parabola, _theta(1.04), (*_numbers(2.0, -0.5),), 0.15),
        (wave, _theta(0.73, -0.46), make_tasks(3)[0][0], 0.22),
        (bent_wave, _theta(0.43, 0.78, -0.35), make_tasks(2)[1][1], 0.07),
        (lone_wave, _numbers(0.63).requires_grad_(), make_tasks(2)[0][1], 0.28),
        (wave, _theta(-0.38, 0.91), make_tasks(3)[1][0], 0.16),
        (parabola, _theta(3.27), (*_numbers(5.0, -21.6),), 0.13),  # steep, and far away
    ]


def step_parts(step: Callable[..., Any], loss: Loss, theta: Tensor, support: Data, inner_lr: float) -> Parts:
    """Return the result of a step and its derivative."""
    return _parts(step(loss, theta, support, inner_lr), theta)


def wrong_steps(loss: Loss, theta: Tensor, support: Data, inner_lr: float) -> Wrong:
    """Return what makes each known mistake in the inner step, with its message."""

    def slope(theta: Tensor, *, graph: bool = True) -> Tensor:
        return _slope(loss(theta, support), theta, create_graph=graph)

    def on_a_copy(loss: Loss, theta: Tensor, support: Data, inner_lr: float) -> Tensor:
        twin = theta.detach().clone().requires_grad_()
        return twin - inner_lr * slope(twin)

    return [
        (lambda loss, theta, *_: theta + inner_lr * slope(theta), "the step goes uphill: the gradient is "
         "subtracted, not added"),
        (lambda loss, theta, *_: theta - slope(theta), "inner_lr is not used: the step is inner_lr times the "
         "gradient"),
        (lambda loss, theta, *_: inner_lr * slope(theta), "this is inner_lr times the gradient, the step "
         "alone: return where it leads, theta minus that"),
        (lambda loss, theta, *_: slope(theta), "this is the gradient: return theta minus inner_lr times it"),
        (lambda loss, theta, *_: theta - inner_lr * slope(theta, graph=False), "the step is right, but its "
         "derivative by theta is 1, which is first order: the gradient was treated as a constant. Ask "
         "torch.autograd.grad to keep its graph: create_graph=True"),
        (lambda loss, theta, *_: theta.detach() - inner_lr * slope(theta), "the step is right, but theta "
         "itself was detached: the derivative lacks the 1 that comes from theta in theta - inner_lr * "
         "gradient"),
        (lambda loss, theta, *_: (theta - inner_lr * slope(theta)).detach(), "the number is right, but it no "
         "longer depends on theta: `.data`, `.detach()`, `torch.no_grad()`, `float(...)` and optimizer steps "
         "cut the graph"),
        (on_a_copy, "the result depends on a copy of theta, not on theta itself: take the gradient of "
         "loss(theta, ...)"),
    ]  # fmt: skip


INNER_STEP = Trial(
    probes=step_probes,
    mistakes=wrong_steps,
    observe=step_parts,
    otherwise={
        RESULT: "this is not theta - inner_lr * gradient",
        DERIVATIVE: "the step is right, its derivative by theta is not that of theta - inner_lr * gradient",
    },
    praise="Its derivative by theta is 1 - inner_lr * curvature, as the closed form says.",
)


# --- the meta-gradient


def gradient_probes() -> list[Probe]:
    """Return loss, theta, tasks and inner_lr: three tasks, two, one and three; no loss is a parabola.

    The gradients are small, and once large.
    """
    far = [((x, 9.0 * y), (u, -7.0 * v)) for (x, y), (u, v) in make_tasks(3)]
    return [
        (wave, _theta(0.73, -0.46), make_tasks(3), 0.12),
        (bent_wave, _theta(0.43, 0.78, -0.35), make_tasks(2), 0.07),
        (lone_wave, _numbers(0.63).requires_grad_(), make_tasks(1), 0.28),
        (wave, _theta(-0.38, 0.91), [make_tasks(3)[k] for k in (1, 0, 2)], 0.16),
        (wave, _theta(2.34, -1.71), [far[k] for k in (1, 0, 2)], 0.03),
    ]


def _adapted_losses(
    loss: Loss, theta: Tensor, tasks: Sequence[tuple[Data, Data]], inner_lr: float, *, graph: bool = True
) -> Tensor:
    """Return [T] the query losses after one step on each support set."""
    return torch.stack(
        [
            loss(theta - inner_lr * _slope(loss(theta, support), theta, create_graph=graph), query)
            for support, query in tasks
        ]
    )


def _carried(loss: Loss, theta: Tensor, tasks: Sequence[tuple[Data, Data]], inner_lr: float) -> Tensor:
    adapted, losses = theta, []
    for support, query in tasks:
        adapted = adapted - inner_lr * _slope(loss(adapted, support), adapted, create_graph=True)
        losses.append(loss(adapted, query))
    return torch.stack(losses)


def _curved_at_the_end(
    loss: Loss, theta: Tensor, tasks: Sequence[tuple[Data, Data]], inner_lr: float
) -> Tensor:
    """Return [*] the meta-gradient with the Hessian of the support loss taken at the adapted parameters."""
    gradients = []
    for support, query in tasks:
        adapted = theta - inner_lr * _slope(loss(theta, support), theta)
        hessian = torch.autograd.functional.hessian(lambda at, data=support: loss(at, data), adapted)
        gradients.append(_slope(loss(adapted, query), adapted) @ (torch.eye(len(theta)) - inner_lr * hessian))  # type: ignore[operator]
    return torch.stack(gradients).mean(0)


def wrong_gradients(loss: Loss, theta: Tensor, tasks: list[tuple[Data, Data]], inner_lr: float) -> Wrong:
    """Return what each known mistake gives for the meta-gradient, with its message."""

    def of(some: list[tuple[Data, Data]], rate: float = inner_lr, **options: bool) -> Tensor:
        return _slope(_adapted_losses(loss, theta, some, rate, **options).mean(), theta)

    mean = torch.stack([loss(theta, support) for support, _ in tasks]).mean()
    common = theta - inner_lr * _slope(mean, theta, create_graph=True)
    supports, queries = ([task[k] for task in tasks] for k in (0, 1))
    return [
        (of(tasks, graph=False), "this is the first-order gradient: the inner gradient was a constant "
         "(create_graph=True is missing), or the last derivative was taken by the adapted parameters instead "
         "of theta"),
        (of(list(zip(supports, supports, strict=True))), "the adapted parameters are judged on the support "
         "set, which rewards memorizing. Use the query"),
        (of(list(zip(queries, queries, strict=True))), "the tasks are adapted on their query sets: the inner "
         "step takes the support set"),
        (of(list(zip(queries, supports, strict=True))), "support and query are exchanged: adapt on the first "
         "of the pair, judge on the second"),
        (_slope(torch.stack([loss(common, query) for query in queries]).mean(), theta), "one common step on "
         "the mean support loss serves all tasks: each task takes a step of its own"),
        (_slope(_carried(loss, theta, tasks, inner_lr).mean(), theta), "the tasks were adapted one after the "
         "other: each must start from the same theta"),
        (of(tasks, inner_lr / len(tasks)), "the inner rate is divided by the number of tasks: each task's "
         "own loss gives its own step"),
        (of(tasks) * len(tasks), "this is the gradient of the sum over tasks; the objective is their mean"),
        (of(tasks, 0.0), "this is the gradient without adaptation: the query loss must be taken at the "
         "adapted parameters"),
        (of(tasks, -inner_lr), "the inner step goes uphill: the gradient is subtracted from theta"),
        (of(tasks, 1.0), "inner_lr is not used: the inner step is inner_lr times the gradient"),
        (of(tasks[-1:]), "only the last task counts: collect the query losses of all, then take their mean"),
        (of(tasks[:1]), "only the first task counts: does the loop `return` too early?"),
        (_curved_at_the_end(loss, theta, tasks, inner_lr), "the Hessian is taken at the adapted parameters: "
         "in I - inner_lr * H it is that of the support loss at theta, where the step begins"),
    ]  # fmt: skip


META_GRADIENT = Trial(
    probes=gradient_probes,
    mistakes=wrong_gradients,
    otherwise="not the derivative of the mean query loss after one inner step",
    praise="Equal to the exact meta-gradient on three tasks, two and one, whose losses are no parabolas.",
)


# --- the first-order bug


def loop_probes() -> list[Probe]:
    """Return loss, theta, support, query, inner_lr and steps: three steps, two, one, none, three and two."""
    return [
        (wave, _theta(0.73, -0.46), *make_tasks(3)[0], 0.12, 3),
        (bent_wave, _theta(0.43, 0.78, -0.35), *make_tasks(2)[1], 0.07, 2),
        (parabola, _theta(1.04), (*_numbers(1.2, -0.5),), (*_numbers(0.8, 0.6),), 0.35, 1),
        (lone_wave, _numbers(0.63).requires_grad_(), *make_tasks(2)[0], 0.28, 0),
        (wave, _theta(-0.38, 0.91), *make_tasks(3)[1], 0.16, 3),
        (parabola, _theta(3.27), (*_numbers(5.0, -21.6),), (*_numbers(4.0, 18.9),), 0.13, 2),
    ]


def loop_parts(function: Callable[..., Any], loss: Loss, theta: Tensor, *rest: Any) -> Parts:
    """Return the query loss after an inner loop and its derivative by the start."""
    return _parts(function(loss, theta, *rest), theta)


def _loop(
    start: Callable[[Tensor, Tensor], Tensor],
    at: Callable[[Tensor, Tensor], Tensor],
    graph: Callable[[int, int], bool] = lambda k, steps: True,
) -> Callable[..., Tensor]:
    """Return an inner loop; from theta and adapted, `start` picks where a step begins, `at` its gradient."""

    def query_loss(
        loss: Loss, theta: Tensor, support: Data, query: Data, inner_lr: float, steps: int
    ) -> Tensor:
        adapted = theta
        for k in range(steps):
            here = at(theta, adapted)
            slope = _slope(loss(here, support), here, create_graph=True)
            adapted = start(theta, adapted) - inner_lr * (slope if graph(k, steps) else slope.detach())
        return loss(adapted, query)

    return query_loss


def _second(theta: Tensor, adapted: Tensor) -> Tensor:
    return adapted


def _first(theta: Tensor, adapted: Tensor) -> Tensor:
    return theta


def _by_theta(loss: Loss, theta: Tensor, support: Data, query: Data, inner_lr: float, steps: int) -> Tensor:
    """Return the query loss of an inner loop that differentiates by theta where it should by `adapted`."""
    adapted = theta
    for _ in range(steps):
        adapted = adapted - inner_lr * _slope(loss(adapted, support), theta, create_graph=True)
    return loss(adapted, query)


def wrong_loops(*_: Any) -> Wrong:
    """Return what makes each known mistake in the inner loop, with its message."""
    right = _loop(_second, _second)
    return [
        (_loop(_second, _second, lambda k, steps: False), "the value is right, its derivative is still that "
         "of first order. Look at the call that computes the inner gradient: can its result be "
         "differentiated again?"),
        (_loop(_second, _second, lambda k, steps: k == steps - 1), "only the gradient of the last step can "
         "be differentiated again: each step needs it, whichever it is"),
        (_loop(_second, _second, lambda k, steps: k == 0), "only the gradient of the first step can be "
         "differentiated again: each step needs it, whichever it is"),
        (_loop(_first, _first), "one step alone counts: all must be taken, each from `adapted`, where the "
         "one before it ended, not from `theta`"),
        (_loop(_first, _second), "each step starts at `theta` again, with the gradient at `adapted`: it must "
         "start from `adapted`"),
        (_loop(_second, _first), "the gradient is always that at `theta`: take it at `adapted`, where the "
         "step begins"),
        (_by_theta, "each step needs the gradient by `adapted`, where it stands, not by `theta`"),
        (lambda loss, theta, support, query, *rest: right(loss, theta, support, support, *rest), "the "
         "adapted parameters are judged on the support set"),
        (lambda loss, theta, support, query, *rest: right(loss, theta, query, query, *rest), "the steps are "
         "taken on the query set: they use the support set"),
        (lambda *given: right(*given).detach(), "the result no longer depends on theta: something cut the "
         "graph"),
        (lambda loss, theta, *rest: right(loss, theta.detach().clone().requires_grad_(), *rest), "the result "
         "depends on a copy of theta, not on theta itself"),
        (lambda *given: right(*given[:-1], max(given[-1] - 1, 0)), "one step too few is taken: there are "
         "`steps` of them"),
        (lambda *given: right(*given[:-1], given[-1] + 1), "one step too many is taken: there are `steps` of "
         "them"),
    ]  # fmt: skip


ADAPTED_QUERY_LOSS = Trial(
    probes=loop_probes,
    mistakes=wrong_loops,
    observe=loop_parts,
    otherwise={
        RESULT: "the query loss itself has changed: the bug is only in its derivative",
        DERIVATIVE: "the value is right, its derivative is not: can every inner gradient be differentiated "
        "again, and by `theta`?",
    },
    praise="retain_graph keeps the old graph alive; only create_graph records the gradient's own "
    "computation.",
)


# --- where first order goes the other way


def check_disagreement(answer: Callable) -> str:
    """Check the rate, then the two signs."""
    theta, inner_lr = expect_numbers(answer(), 2)
    expect(inner_lr >= 0, f"inner_lr is {inner_lr:g}: a step of negative size goes uphill")
    expect(inner_lr > 0, "inner_lr is 0: without a step there is no adaptation to differentiate")
    expect(
        inner_lr <= 0.2 + 1e-6,  # a little more: 0.2 in single precision is more than 0.2
        f"inner_lr = {inner_lr:g} is above 0.2, where such points are easier to find; stay small",
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


STARTS = (4, 0.25, 1), (3, 0.15, 3), (4, 0.25, 2), (1, 0.35, 2), (5, 0.2, 0), (3, 0.85, 3)
"""Numbers of tasks, step sizes and numbers of steps, the last of which overshoot where curvature is large."""


def start_probes() -> list[Probe]:
    """Return the three arrays of random parabolas, inner_lr and steps: also one task, and no step."""
    random, probes = np.random.default_rng(0), []
    for n_tasks, inner_lr, steps in STARTS:
        tasks = Quadratics(random.uniform(0.5, 2.0, n_tasks), *random.normal(size=(2, n_tasks)))
        probes.append((*tasks, inner_lr, steps))
    return probes


def wrong_starts(
    curvature: np.ndarray, support_center: np.ndarray, query_center: np.ndarray, inner_lr: float, steps: int
) -> Wrong:
    """Return what each shortcut gives for the best start, with its message."""
    tasks = Quadratics(curvature, support_center, query_center)
    rho = quadratics.remaining(tasks, inner_lr, steps)

    def zero(
        rho: np.ndarray, weight: np.ndarray, s: np.ndarray = support_center, sign: float = -1.0
    ) -> float:
        return float((weight * (query_center + sign * (1 - rho) * s)).sum() / (weight * rho).sum())

    straight = 1 - steps * inner_lr * curvature
    return [
        (query_center.mean(), "this is the plain mean of the query centers"),
        (support_center.mean(), "this is the plain mean of the support centers"),
        (quadratics.joint_start(tasks), "this is the best start without adaptation: rho is missing"),
        (quadratics.first_order_start(tasks, inner_lr, steps), "this is where first-order MAML stops: the "
         "weight lacks the factor rho = d(adapted)/d(theta)"),
        (zero(rho, curvature * rho, query_center), "the support centers are ignored: adaptation moves "
         "towards s_i, the judgment is at q_i"),
        (np.average(support_center, weights=curvature * rho**2), "the query centers are ignored: adaptation "
         "moves towards s_i, the judgment is at q_i"),
        (quadratics.best_start(tasks, inner_lr, 1), "right for one step, but not for "
         "several: each step multiplies the distance by 1 - inner_lr a once more"),
        (zero(straight, curvature * straight), "K steps leave (1 - inner_lr a) to the "
         "power of K, not 1 - K inner_lr a"),
        (zero(rho, rho), "the curvature is missing from the weights: the slope of a task's loss is a times "
         "the distance"),
        (zero(rho, curvature * rho**2), "the weight has the factor rho once too often: solve dJ/dtheta = 0 "
         "again, it is linear in theta"),
        (np.average((query_center - rho * support_center) / rho, weights=curvature * rho**2), "s_i counts "
         "with 1 - rho, the part of the way that was gone, not with rho, the part that is left"),
        (((query_center - (1 - rho) * support_center) / rho).mean(), "this is the mean of the starts that "
         "are best for one task each: the tasks weigh differently"),
        (zero(rho, curvature * rho, -support_center), "the sign of s_i is turned: the adapted point is s + "
         "rho (theta - s)"),
    ]  # fmt: skip


BEST_START = Trial(
    probes=start_probes,
    mistakes=wrong_starts,
    otherwise="not where dJ/dtheta is zero. With rho_i = (1 - inner_lr a_i)^K that is a linear equation in "
    "theta: it can be solved exactly, without a search",
    praise="The slope of the meta-objective is zero at your start, for 0 to 3 inner steps.",
)
