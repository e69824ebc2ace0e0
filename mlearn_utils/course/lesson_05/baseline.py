"""How `fair_baseline` is judged: first by the step size that it chose, then by the error that it reports.

The planted function holds three bugs, of which the first hides the others; so there are two trials, one after
the other, and every way to choose may come with every way to judge.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import expect, expect_numbers
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.grading.trial import Parts, Probe, Trial, Wrong

Losses = Callable[[Any, Any], Tensor]
RATE, ERROR = "The step size", "The error"


@dataclass(frozen=True)
class Waves:
    """What stands for a set of tasks: nothing can be read from it, so that only `loss_after` tells."""

    seed: int


def make_loss_after(
    seed: int,
    shape: tuple[int, int],
    sets: Sequence[Hashable],
    *,
    unit: float = 1.0,
    diverges: float = math.inf,
) -> Losses:
    """Return loss_after(rate, tasks): a parabola in the logarithm of the rate for each task and point.

    Args:
        seed: of the parabolas.
        shape: numbers of tasks T and of query points Q.
        sets: what stands for the validation tasks, and for the test tasks, whose best rates are others.
        unit: of the step sizes.
        diverges: from this rate on the errors of the first validation task are NaN.
    """
    random = np.random.default_rng(seed)
    tables = {}
    for tasks, level in zip(sets, random.permutation([-1.6, -0.8]), strict=True):
        center = level + random.normal(0.0, 0.5, (shape[0], 1)) + random.normal(0.0, 0.5, shape)
        tables[tasks] = center, random.uniform(0.5, 2.0, shape), random.uniform(0.2, 1.0, shape)

    def loss_after(rate: Any, tasks: Any) -> Tensor:
        try:
            center, steep, least = tables[tasks]
            distance = math.log10(float(rate) / unit) - center
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise ValueError(
                "loss_after(rate, tasks) takes one step size above 0, then `validation` or `test`, as given"
            ) from None
        errors = torch.from_numpy(least + steep * distance**2)
        if tasks == sets[0] and float(rate) >= diverges:
            errors[0] = torch.nan
        return errors

    return loss_after


def baseline_probes() -> list[Probe]:
    """Return loss_after, rates, validation and test; the best rate is in the middle, then at an end.

    The seeds are such that any two ways to choose, of those known, take other rates in two cases or more.
    """
    cases = (
        (148, (5, 7), (0.004, 0.02, 0.05, 0.2, 0.7)),
        (13, (7, 5), [0.15, 0.5, 0.06, 0.008]),
        (80, (9, 3), (0.01, 0.03, 0.09, 0.3, 0.8, 2.0)),
        (77, (5, 5), [0.4, 0.1, 0.03]),
        (24, (5, 9), [0.005, 0.6, 0.03, 0.15, 0.06]),
        (140, (11, 3), (0.07, 0.007, 0.02, 0.3)),
        (133, (7, 7), (0.3, 0.01, 0.03, 0.09)),
        (140, (9, 5), [2.0, 90.0, 20.0, 5.0]),  # the rate is larger than the error
    )
    probes = []
    for k, (seed, shape, rates) in enumerate(cases):
        sets = (Waves(2 * k), Waves(2 * k + 1)) if k < len(cases) - 1 else ("validation", "test")
        unit = 100.0 if min(rates) > 1 else 1.0
        probes.append((make_loss_after(seed, shape, sets, unit=unit), rates, *sets))
    return probes


def _tables(loss_after: Losses, rates: Sequence[float], *sets: Any) -> list[Tensor]:
    """Return the squared errors [R, T, Q] with each rate, for each set of tasks."""
    return [torch.stack([loss_after(rate, tasks) for rate in rates]) for tasks in sets]


def tuned_baseline(
    loss_after: Losses, rates: Sequence[float], validation: Any, test: Any
) -> tuple[float, float]:
    """Return the rate that is best on the validation tasks, and its mean error on the test tasks."""
    on_validation, on_test = _tables(loss_after, rates, validation, test)
    best = int(on_validation.mean((1, 2)).nan_to_num(torch.inf).argmin())
    return rates[best], float(on_test[best].mean())


def chosen_rate(baseline: Callable, loss_after: Losses, rates: Sequence[float], *sets: Any) -> Parts:
    """Return the step size that a baseline chose, which must be one of those offered."""
    rate, error = expect_numbers(baseline(loss_after, rates, *sets), 2)
    if not _is_among(rate, rates):
        why = "choose among those that are given"
        if rate in range(len(rates)):
            why = "is it the place of one? Return rates[...] of it"
        if _is_among(error, rates):
            why = "are the two exchanged? Return (rate, error)"
        raise NotYet(f"{rate:g} is none of the step sizes in `rates`: {why}")
    return Parts({RATE: rate})


def _is_among(rate: float, rates: Sequence[float]) -> bool:
    return any(math.isclose(rate, other, rel_tol=1e-6) for other in rates)  # as float32 rounds


def wrong_choices(loss_after: Losses, rates: Sequence[float], validation: Any, test: Any) -> Wrong:
    """Return the step size that each known way to choose it takes, with its message."""
    on_validation, on_test = _tables(loss_after, rates, validation, test)
    by_task = on_validation.mean(2)

    def least(scores: Tensor) -> float:
        return rates[int(scores.argmin())]

    def part(errors: Tensor) -> float:
        return least(errors.flatten(1).mean(1))

    votes = torch.bincount(by_task.argmin(0), minlength=len(rates))
    falls = (by_task.mean(1) < by_task[0].mean()).nonzero()
    better = "compare with the smallest error so far, and remember that when you find a smaller one"
    ask = "whatever the tasks say: choose the one whose mean error on the validation tasks is smallest"
    wrong: Wrong = [
        (rates[0], "the baseline is left with the first step size of the list: an untuned baseline is no "
         "baseline. Choose the rate of the smallest mean error on the validation tasks"),
        (rates[-1], f"this is the last step size of the list, {ask}"),
        (rates[len(rates) // 2], f"this is the step size in the middle of the list, {ask}"),
        (min(rates), f"this is the smallest step size of all, {ask}"),
        (max(rates), f"this is the largest step size of all, {ask}"),
        (part(on_test), "the step size was chosen on the test tasks: they only judge what was chosen "
         "elsewhere"),
        (part(torch.cat((on_validation, on_test), 1)), "the step size was chosen on validation and test "
         "tasks together: the test tasks only judge what was chosen elsewhere"),
        (least(-by_task.mean(1)), "not the rate of the smallest mean error on the validation tasks, but of "
         "the largest"),
        (part(on_validation[:, 0]), "the first validation task alone chose the step size: take the mean over "
         "all tasks and points"),
        (part(on_validation[:, -1]), "the last validation task alone chose the step size: take the mean over "
         "all tasks and points"),
        (part(on_validation[:, :, 0]), "the first query point of each task chose the step size: take the "
         "mean over all tasks and points"),
        (part(on_validation[:, :3]), "the first three validation tasks chose the step size: take the mean "
         "over all tasks and points"),
        (least(on_validation.flatten(1).median(1).values), "the median error chose the step size: it "
         "overlooks the tasks that go badly. Take the mean"),
        (least(by_task.median(1).values), "the median over tasks chose the step size: it overlooks the tasks "
         "that go badly. Take the mean"),
        (least(-votes), "each task had one vote: how much it gains or loses does not count then. Take the "
         "mean error over all tasks"),
        (least(by_task.amax(1)), "this is the rate that is best for the worst of the validation tasks: take "
         "the mean over all tasks and points"),
        (least(on_validation.flatten(1).amax(1)), "this is the rate whose largest single error is "
         "smallest: take the mean over all tasks and points"),
        (least(on_validation.flatten(1).amin(1)), "this is the rate of the smallest single error: take "
         "the mean over all tasks and points"),
        (rates[1:][int(by_task.mean(1)[1:].argmin())], "the first step size of the list was not tried: try "
         "every rate"),
        (rates[:-1][int(by_task.mean(1)[:-1].argmin())], "the last step size of the list was not tried: try "
         "every rate"),
        (rates[int(falls[-1]) if len(falls) else 0], "this is the last rate that is better than the "
         f"first one: {better}"),
    ]  # fmt: skip
    return [(Parts({RATE: rate}), message) for rate, message in wrong]


CHOICE = Trial(
    reference=tuned_baseline,
    probes=baseline_probes,
    mistakes=wrong_choices,
    observe=chosen_rate,
    otherwise="this is not the rate of the smallest mean error on the validation tasks",
    praise="the step size is right",
)


def reported_error(baseline: Callable, *probe: Any) -> Parts:
    """Return the error that a baseline reports."""
    return Parts({ERROR: expect_numbers(baseline(*probe), 2)[1]})


def wrong_errors(loss_after: Losses, rates: Sequence[float], validation: Any, test: Any) -> Wrong:
    """Return the error that each known mistake gives with the right step size, with its message."""
    on_validation, on_test = _tables(loss_after, rates, validation, test)
    best = int(on_validation.mean((1, 2)).argmin())
    tuned, judged = on_validation[best], on_test[best]
    n_tasks, n_points = judged.shape
    twice = "the error is divided by the number of {} twice: mean() has divided once already"
    summed = "the squared errors are summed over {}: take their mean"
    wrong: Wrong = [
        (tuned.mean(), "the error is that of the validation tasks, on which the rate was chosen: judge on "
         "the test tasks"),
        (torch.cat((tuned, judged)).mean(), "the error is that of validation and test tasks together: judge "
         "on the test tasks"),
        (on_test[-1].mean(), "the error is that of the last rate in the list: judge the one that was chosen"),
        (on_test[0].mean(), "the error is that of the first rate in the list: judge the one that was chosen"),
        (on_test.mean(), "the error is a mean over all rates: judge the one that was chosen"),
        (on_test.mean((1, 2)).min(), "the error is the smallest that any rate has on the test tasks: judge "
         "the one that was chosen"),
        (on_test.mean(2).amin(0).mean(), "each test task has a rate of its own, its best: judge the one that "
         "was chosen"),
        (judged[0].mean(), "only the first test task judges: take the mean over all"),
        (judged[:, 0].mean(), "only the first query point of each task judges: take the mean over all"),
        (judged.median(), "this is the median of the squared errors: take their mean"),
        (judged.mean(1).median(), "this is the median over the test tasks: take their mean"),
        (judged.mean().sqrt(), "this is the root of the mean squared error: leave it squared"),
    ]  # fmt: skip
    for errors in (judged, tuned):
        wrong += [
            (errors.mean() / n_points, twice.format("points")),
            (errors.mean() / n_tasks, twice.format("tasks")),
            (errors.mean() / errors.numel(), twice.format("points and tasks")),
            (errors.sum(1).mean(), summed.format("the points of a task")),
            (errors.sum(0).mean(), summed.format("the tasks")),
            (errors.sum(), summed.format("tasks and points")),
        ]
    return [(Parts({ERROR: error}), message) for error, message in wrong]


JUDGMENT = Trial(
    reference=tuned_baseline,
    probes=baseline_probes,
    mistakes=wrong_errors,
    observe=reported_error,
    otherwise="the step size is right, the error is not the mean of loss_after(rate, test) over tasks and "
    "points",
    praise="Tuned on one set of tasks, judged on another, in each of eight cases; none with NaN was chosen.",
)


NOT_DIVERGED = 0.03
"""The rate to choose on `diverging_probe`: the best of those that give numbers only."""


def diverging_probe() -> Probe:
    """Return loss_after, rates, validation and test; with the rate that were the best one task is NaN."""
    sets = Waves(-2), Waves(-1)
    return make_loss_after(3, (7, 5), sets, diverges=0.06), [0.06, 0.03, 0.015, 0.008], *sets


def check_fair_baseline(answer: Callable) -> str:
    """Check the choice of the rate first, then the tasks that judge and the averaging, then NaN."""
    CHOICE(answer)
    praise = JUDGMENT(answer)
    probe = diverging_probe()
    rate = chosen_rate(answer, *probe)[RATE]
    expect(
        _is_among(rate, [NOT_DIVERGED]),
        f"with rate {rate:g} the errors of one validation task are NaN, not a number: it diverged, and the "
        "rate has lost. argmin takes NaN for the smallest; .nan_to_num(torch.inf) puts infinity in its place",
    )
    return praise
