"""MAML in practice: few-shot regression.

The exercises of lesson 05. Every checker compares the answer with the right value and with the values that
the known mistakes give, so that its message can name the one that was made.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_05.mistakes import (
    anil_case,
    anil_loss,
    error_table,
    position_error,
    reptile_case,
    same,
    wrong_reptile_updates,
)

# --- a fair baseline


def fair_baseline(loss_after, rates, validation, test):
    """Return (rate, error) of a baseline: its best step size, and its mean error on test tasks with it.

    loss_after(rate, tasks) returns the squared errors of Q query points of T tasks after adaptation, [T, Q].
    """
    ### BEGIN SOLUTION
    tuned = [loss_after(rate, validation).mean() for rate in rates]
    rate = rates[int(torch.stack(tuned).argmin())]
    errors = loss_after(rate, test)
    return rate, float(errors.mean())
    ### END SOLUTION
    #| rate = rates[0]
    #| errors = loss_after(rate, validation)
    #| per_task = errors.mean(dim=1)
    #| return rate, float(per_task.mean() / errors.shape[1])


def check_fair_baseline(answer: Callable) -> str:
    """Check the choice of the rate, the tasks that judge, and the averaging, each apart."""
    loss_after, rates, validation, test = error_table()
    result = answer(loss_after, rates, validation, test)
    expect_close(result, (0.0, 0.0), "return a step size and an error", tol=math.inf)
    rate, error = (float(value) for value in result)
    best, right = fair_baseline(loss_after, rates, validation, test)
    expect(
        rate != rates[0],
        "the baseline is left with the first step size of the list: an untuned baseline is no baseline. Try "
        "every rate on the validation tasks",
    )
    expect(
        rate != fair_baseline(loss_after, rates, test, test)[0],
        "the step size was chosen on the test tasks: they only judge what was chosen elsewhere",
    )
    expect(rate == best, f"{rate:g} is not the rate of the smallest mean error on the validation tasks")
    _check_error(error, loss_after(best, validation), loss_after(best, test))
    expect_close(error, right, "not the mean of loss_after(rate, test) over tasks and points")
    return f"Tuned on one set of tasks, judged on another: {error:.2f} with step size {rate:g}."


def _check_error(error: float, on_validation: Tensor, on_test: Tensor) -> None:
    """Name the mistake that gives this error, from the squared errors [T, Q] on both sets of tasks."""

    def is_value(wrong: Tensor) -> bool:
        return math.isclose(error, float(wrong), rel_tol=1e-6)

    n_tasks, n_points = on_test.shape
    for scale, cause in ((n_points, "points"), (n_tasks, "tasks"), (n_points * n_tasks, "points and tasks")):
        expect(
            not any(is_value(errors.mean() / scale) for errors in (on_validation, on_test)),
            f"the error is divided by the number of {cause} twice: mean() has divided once already",
        )
    expect(
        not is_value(on_validation.mean()),
        "the error is that of the validation tasks, on which the rate was chosen: judge on the test tasks",
    )
    expect(
        not is_value(on_test.sum(dim=1).mean()),
        "the squared errors are summed over the points of a task: take their mean",
    )


# --- Reptile


def reptile_update(theta, adapted, outer_lr):
    """Return theta moved by outer_lr times the mean over tasks of (adapted parameters - theta).

    theta is a dict of tensors; adapted is a list of such dicts, one for each task.
    """
    ### BEGIN SOLUTION
    moves = {name: torch.stack([end[name] - theta[name] for end in adapted]).mean(0) for name in theta}
    return {name: theta[name] + outer_lr * moves[name] for name in theta}
    ### END SOLUTION


def check_reptile_update(answer: Callable) -> str:
    """Compare with Reptile's update and with what each known mistake gives."""
    theta, ends, rate = reptile_case()
    result = answer(theta, ends, rate)
    before = reptile_case()[0]
    expect(
        all(torch.equal(theta[name], before[name]) for name in before),
        "theta itself was changed: build a new dict of new tensors (no `+=`)",
    )
    right = reptile_update(theta, ends, rate)
    for wrong, message in wrong_reptile_updates(theta, ends, rate):
        expect(not same(result, wrong), message)
    expect_close(result, right, "not theta + outer_lr * mean(adapted - theta)")
    return "No gradient of a gradient anywhere: Reptile only needs to know where each task ended."


# --- ANIL


def anil_step(loss, params, support, inner_lr, names):
    """Return all parameters after one inner step in which only those in `names` move.

    params is a dict of tensors, loss(params, support) a scalar tensor. The result has the
    same keys and can be differentiated by all of params.
    """
    ### BEGIN SOLUTION
    gradients = torch.autograd.grad(
        loss(params, support), [params[name] for name in names], create_graph=True
    )
    steps = dict(zip(names, gradients, strict=True))
    return {
        name: value - inner_lr * steps[name] if name in steps else value for name, value in params.items()
    }
    ### END SOLUTION


def check_anil_step(answer: Callable) -> str:
    """Check which parameters move, then the gradient that reaches the outer loop."""
    names = ("head.weight", "head.bias")
    params, support, query = anil_case()
    result = answer(anil_loss, params, support, 0.1, names)
    kept = anil_case()[0]
    expect(
        all(torch.equal(params[name], kept[name]) for name in kept),
        "params itself was changed: return new tensors",
    )
    right = anil_step(anil_loss, params, support, 0.1, names)
    _check_moves(result, params, names, right)
    found, expected, cut = (
        _outer_gradient(step, support, query, names) for step in (answer, anil_step, _detached_body)
    )
    for name, gradient in expected.items():
        expect(
            found[name] is not None, f"the outer loop gets no gradient for {name}: something cut the graph"
        )
        expect(
            name in names or not same({name: found[name]}, {name: cut[name]}),
            f"{name} does not adapt, but the outer loop learns it: it must stay in the graph, as the same "
            "tensor (no detach, no clone of its data)",
        )
        expect_close(
            found[name],
            gradient,
            f"the outer gradient of {name} is that of first order, or comes from another step: keep the "
            "inner gradient's own graph (create_graph=True), and detach nothing inside the inner loss",
        )
    return "The head adapts, the body does not, and the outer gradient reaches both."


def _check_moves(result: Any, params: dict[str, Tensor], names: tuple[str, ...], right: Any) -> None:
    if isinstance(result, dict):
        lost = sorted(set(params) - set(result))
        expect(not lost, f"the result lacks {lost}: return all parameters, those that do not move as well")
        body = [name for name in params if name not in names]
        moved = [name for name in params if not same({name: result[name]}, {name: params[name]})]
        expect(
            sorted(moved) != sorted(params),
            "every parameter moved: only those in `names` take the inner step",
        )
        expect(
            sorted(moved) != sorted(body), "the filter is the wrong way round: `names` are those that move"
        )
        expect(bool(moved), "no parameter moved")
        uphill = {name: 2 * params[name] - right[name] for name in names} | {
            name: params[name] for name in body
        }
        expect(not same(result, uphill), "the step goes uphill: the gradient is subtracted")
    expect_close(result, right, "not value - inner_lr * gradient for the parameters in `names`")


def _detached_body(loss: Callable, params: dict, support: Any, inner_lr: float, names: Any) -> dict:
    moved = anil_step(loss, params, support, inner_lr, names)
    return {name: value if name in names else value.detach() for name, value in moved.items()}


def _outer_gradient(step: Callable, support: Any, query: Any, names: tuple[str, ...]) -> dict[str, Any]:
    params = anil_case()[0]
    loss = anil_loss(step(anil_loss, params, support, 0.1, names), query)
    if not loss.requires_grad:
        return dict.fromkeys(params)
    expect(
        all(value.requires_grad for value in params.values()),
        "requires_grad is switched off for some of params: the outer loop learns these, too. Choose by whom "
        "the gradient is taken instead",
    )
    gradients = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    return dict(zip(params, gradients, strict=True))


# --- where to look


def five_positions():
    """Return five positions in [-5, 5] at which to measure an unknown wave, as a list of numbers."""
    ### BEGIN SOLUTION
    return [-4.0, -2.0, 0.0, 2.0, 4.0]
    ### END SOLUTION


GOAL = 0.30


def check_five_positions(answer: Callable) -> str:
    """Measure the error after one step on 200 waves seen at these positions."""
    result = answer()
    if isinstance(result, tuple | list):
        expect(len(result) == 5, f"five positions are asked for, got {len(result)}")
    positions = [float(value) for value in result]
    expect(
        all(math.isfinite(value) and abs(value) <= 5 for value in positions),
        "a position is outside [-5, 5], where the start has never seen a point",
    )
    error = position_error(positions)
    gaps = sorted(abs(a - b) for k, a in enumerate(positions) for b in positions[:k])
    hint = "try positions whose distances differ"
    if gaps[3] < 0.1:
        hint = "points at the same place say the same thing"
    elif max(positions) - min(positions) < 4:
        hint = "all of them are close together, and one step cannot tell what the rest of the wave does"
    elif sum(abs(gap - math.pi) < 0.3 for gap in gaps) >= 3:
        hint = "points half a wave (3.14) apart say the same thing: there the wave is just the other way up"
    expect(
        error < GOAL,
        f"after one step the mean error is {error:.3f}, not below {GOAL:.2f}; random positions give about "
        f"0.6: {hint}",
    )
    return f"After one step the mean error is {error:.3f}; five random positions give about 0.6."


EXERCISES = (
    Exercise(
        reference=fair_baseline,
        check=check_fair_baseline,
        title="A fair baseline",
        level="core",
        minutes=6,
        points=3,
        planted=True,
        hints=(
            "There are three bugs: one in the choice of the step size, one in who judges, one in the mean.",
            "For each rate, loss_after(rate, validation).mean() says how good it is; take the smallest.",
            "The error is the mean of loss_after(rate, test): once over all points of all tasks.",
        ),
    ),
    Exercise(
        reference=five_positions,
        check=check_five_positions,
        title="Where to look",
        level="explore",
        minutes=4,
        points=1,
        hints=(
            "A wave of this family repeats after 6.28, and half of that away it is just upside down.",
            "Cover the range, and keep away from distances of 3.14.",
        ),
    ),
    Exercise(
        reference=reptile_update,
        check=check_reptile_update,
        title="Reptile's update",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "Where does a task want theta to go? To its adapted parameters: the move is adapted - theta.",
            "For each name: torch.stack([end[name] - theta[name] for end in adapted]).mean(0).",
        ),
    ),
    Exercise(
        reference=anil_step,
        check=check_anil_step,
        title="ANIL's filter",
        level="core",
        minutes=6,
        points=3,
        hints=(
            "Take the gradient only by the parameters in names, and build the result from all parameters.",
            "torch.autograd.grad(loss(params, support), [params[name] for name in names], create_graph=True)",
            "A parameter that does not move is returned as it is: the very same tensor, so that the outer "
            "gradient reaches it.",
        ),
    ),
)
