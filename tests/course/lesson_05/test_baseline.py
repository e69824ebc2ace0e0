"""The family of tasks on which `fair_baseline` is tried, and what it says to who asks it something else."""

from itertools import combinations

import numpy as np
import pytest
import torch

from mlearn_utils.course.grading.exercise import find_exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.lesson_05.baseline import (
    CHOICE,
    NOT_DIVERGED,
    baseline_probes,
    diverging_probe,
    tuned_baseline,
)
from mlearn_utils.course.lesson_05.exercises import EXERCISES, fair_baseline


def test_the_best_rate_is_at_an_end_and_in_the_middle():
    places = [
        (rates.index(tuned_baseline(loss_after, rates, *sets)[0]), len(rates))
        for loss_after, rates, *sets in baseline_probes()
    ]
    assert any(place == 0 for place, _ in places)
    assert any(place == count - 1 for place, count in places)
    assert any(0 < place < count - 1 for place, count in places)


def test_any_two_ways_to_choose_differ_in_two_cases_or_more():
    ways = [CHOICE.right, *(values for values, _ in CHOICE.wrong)]
    for one, other in combinations(ways, 2):
        assert sum(mine != theirs for mine, theirs in zip(one, other, strict=True)) >= 2


def test_the_reference_and_the_trials_agree():
    for probe in baseline_probes():
        assert fair_baseline(*probe) == pytest.approx(tuned_baseline(*probe))


def test_with_the_rate_that_were_the_best_one_task_is_nan():
    loss_after, rates, *sets = diverging_probe()
    errors = torch.stack([loss_after(rate, sets[0]) for rate in rates])
    assert errors[0, 0].isnan().all()
    assert not errors[0, 1:].isnan().any()
    assert not errors[1:].isnan().any()
    assert errors.nanmean((1, 2)).argmin() == 0
    assert fair_baseline(loss_after, rates, *sets) == pytest.approx(tuned_baseline(loss_after, rates, *sets))
    assert tuned_baseline(loss_after, rates, *sets)[0] == NOT_DIVERGED


def test_loss_after_returns_fresh_tensors_and_takes_rates_of_any_kind():
    for loss_after, rates, *sets in baseline_probes():
        for tasks in sets:
            first = loss_after(rates[0], tasks)
            kept = first.clone()
            first += 1
            for rate in (rates[0], np.float32(rates[0]), torch.tensor(rates[0])):
                torch.testing.assert_close(loss_after(rate, tasks), kept, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda loss_after, rates, validation, test: loss_after(validation, rates[0]),
        lambda loss_after, rates, validation, test: loss_after(rates, validation),
        lambda loss_after, rates, validation, test: loss_after(torch.tensor(rates), validation),
        lambda loss_after, rates, validation, test: loss_after(0.0, validation),
        lambda loss_after, rates, validation, test: loss_after(None, validation),
        lambda loss_after, rates, validation, test: loss_after(rates[0], [validation, test]),
        lambda loss_after, rates, validation, test: loss_after(rates[0], "all"),
    ],
)
def test_loss_after_says_what_it_takes(wrong):
    report = grade(find_exercise(EXERCISES, "fair_baseline"), wrong)
    assert report.outcome == "your code raised"
    assert "loss_after(rate, tasks) takes one step size above 0, then" in report.message
    assert report.line
