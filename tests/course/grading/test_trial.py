"""A trial names a mistake only if it explains the answer everywhere; mistakes that look alike are refused."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlearn_utils.course.grading import trial as trials
from mlearn_utils.course.grading.exercise import Exercise, NotYet
from mlearn_utils.course.grading.trial import RESULT, Parts, Record, Trial, derivatives


def scaled_sum(x, scale):
    """Return scale times the sum of x."""
    ### BEGIN SOLUTION
    return scale * x.sum()
    ### END SOLUTION


def probes():
    return [(np.array([1.0, 4.0]), 0.5), (np.array([2.0, -1.0, 3.0]), 3.0)]


def mistakes(x, scale):
    return [
        (x.sum(), "scale is not used"),
        (scale * x.mean(), "a mean, not a sum"),
        (lambda x, scale: scale * x[:-1].sum(), "the last entry is lost"),
    ]


TRIAL = Trial(
    probes=probes, mistakes=mistakes, otherwise="not scale * sum", praise="Right.", reference=scaled_sum
)


def told(answer, trial=TRIAL):
    with pytest.raises(NotYet) as caught:
        trial(answer)
    return str(caught.value)


def test_a_right_answer_is_praised():
    assert TRIAL(lambda x, scale: sum(scale * x)) == "Right."
    by_value = replace(TRIAL, praise=lambda value: f"It is {value:g}.")
    assert by_value(scaled_sum) == "It is 2.5."


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x, scale: x.sum(), "scale is not used"),
        (lambda x, scale: scale * x.mean(), "a mean, not a sum"),
        (lambda x, scale: scale * x[:-1].sum(), "the last entry is lost"),
    ],
)
def test_a_mistake_that_explains_every_probe_is_named(answer, message):
    assert told(answer) == message


def test_a_mistake_on_one_probe_only_is_not_named():
    message = told(lambda x, scale: x.sum() if len(x) == 2 else scale * x.sum())
    assert "scale is not used" not in message
    assert message.startswith("not scale * sum (The result: yours 5, expected 2.5)")
    assert "It is right with x [3], scale = 3, but not with x [2], scale = 0.5" in message


def test_a_wrong_kind_is_told_on_the_first_probe():
    calls = []

    def kindless(x, scale):
        calls.append(len(x))

    assert "is None, expected one number" in told(kindless)
    assert calls == [2]


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ([(lambda x, scale: scale * x.sum(), "right in disguise")], "'right' and 'right in disguise'"),
        ([(3.0, "one"), (3.0, "two")], "'one' and 'two'"),
    ],
)
def test_mistakes_that_look_alike_are_refused(wrong, names):
    trial = replace(TRIAL, mistakes=lambda x, scale: wrong)
    with pytest.raises(ValueError, match=f"do not tell apart {names}"):
        trial(lambda x, scale: 0.0)


def test_messages_that_change_from_probe_to_probe_are_refused():
    trial = replace(TRIAL, mistakes=lambda x, scale: [(1.0, f"message {len(x)}")])
    with pytest.raises(ValueError, match="the same messages, in the same order"):
        trial(lambda x, scale: 0.0)


def test_the_values_to_compare_with_are_there_before_the_answer_runs():
    trial = replace(TRIAL)

    def spoil(x, scale):
        assert {"right", "wrong"} <= set(vars(trial))
        return scale * x.sum()

    assert trial(spoil) == "Right."


def test_an_exercise_gives_its_reference_to_a_trial_without_one():
    exercise = Exercise(
        reference=scaled_sum,
        check=replace(TRIAL, reference=None),
        title="t",
        level="core",
        minutes=1,
        points=1,
        hints=("a", "b"),
    )
    assert exercise.check(lambda x, scale: scale * x.sum()) == "Right."
    with pytest.raises(ValueError, match="reference must be given"):
        replace(TRIAL, reference=None)(scaled_sum)


# --- parts


def square(theta):
    """Return theta squared."""
    ### BEGIN SOLUTION
    return theta**2
    ### END SOLUTION


def slope_of(function, theta):
    value = function(theta)
    live = isinstance(value, torch.Tensor) and value.requires_grad
    (slope,) = derivatives(value, (theta,)) if live else (None,)
    return Parts({RESULT: value, "Its slope": slope})


SLOPE = Trial(
    probes=lambda: [(torch.tensor(value, requires_grad=True),) for value in (0.5, 3.0)],
    mistakes=lambda theta: [(lambda theta: (theta**2).detach(), "detached")],
    observe=slope_of,
    otherwise={RESULT: "not the square", "Its slope": "a wrong slope"},
    praise="Right.",
    reference=square,
)


def used_up(theta):
    value = theta**2
    torch.autograd.grad(value, theta)
    return value


def overwritten(theta):
    root = theta.exp()
    value = root.log() * theta
    root += 1
    return value


class OneWay(torch.autograd.Function):
    """The square, which refuses to be differentiated."""

    @staticmethod
    def forward(ctx, theta):
        return theta**2

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise RuntimeError("one way only")


def test_what_cannot_be_differentiated_is_told_why():
    assert "its graph is used up" in told(used_up, SLOPE)
    assert "is changed in place" in told(overwritten, SLOPE)
    assert "differentiated: one way only" in told(lambda theta: OneWay.apply(theta), SLOPE)
    (zero,) = derivatives(torch.ones(1, requires_grad=True).sum(), (torch.ones(2, requires_grad=True),))
    assert zero.tolist() == [0.0, 0.0]


def test_parts_are_compared_in_their_order():
    assert SLOPE(lambda theta: theta * theta) == "Right."
    assert told(lambda theta: (theta**2).detach(), SLOPE) == "detached"
    assert told(lambda theta: theta**3, SLOPE).startswith("not the square (The result: yours 0.125")
    assert told(lambda theta: theta * theta.detach(), SLOPE).startswith("a wrong slope (Its slope: yours 0.5")


def test_a_detached_and_wrong_value_is_told_as_wrong():
    message = told(lambda theta: (theta**3).detach(), SLOPE)
    assert message.startswith("not the square")
    assert "None" not in message


def test_what_differs_and_what_is_said_of_it_are_of_one_part():
    def sometimes(theta):
        return theta * theta.detach() if theta > 1 else theta**3

    message = told(sometimes, SLOPE)
    assert message.startswith("not the square (The result")


def test_a_value_that_is_explained_on_the_first_probe_may_be_of_another_kind():
    trial = replace(TRIAL, mistakes=lambda x, scale: [(None, "nothing comes back"), (x, "the entries")])
    assert told(lambda x, scale: x, trial) == "the entries"
    assert told(lambda x, scale: None, trial) == "nothing comes back"
    assert "of shape [3]" in told(lambda x, scale: x if len(x) == 3 else scale * x.sum(), trial)


def test_mistakes_must_differ_by_ten_times_the_tolerance():
    alike = replace(TRIAL, mistakes=lambda x, scale: [(3.0, "one"), (3.0 + 9e-5, "two")])
    with pytest.raises(ValueError, match="do not tell apart"):
        alike(lambda x, scale: 0.0)
    apart = replace(TRIAL, mistakes=lambda x, scale: [(3.0, "one"), (3.0 + 5e-4, "two")])
    assert told(lambda x, scale: 3.0, apart) == "one"


def test_parts_that_are_missing_or_too_many_are_no_mistake():
    trial = replace(
        TRIAL,
        mistakes=lambda x, scale: [(Parts({"other": 3.0}), "another part")],
        observe=lambda function, *probe: Parts({RESULT: function(*probe)}),
    )
    assert told(lambda x, scale: 3.0, trial).startswith("not scale * sum")


def test_nothing_is_added_where_nothing_can_be_said():
    message = told(lambda x, scale: scale * x.sum() + x[0] ** 2 * scale / 7)
    assert message.endswith(")")


# --- a trial that has a record, as in a class's edition


def nothing(x, scale):
    """Stand for a reference that was taken out."""
    raise NotImplementedError


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> Trial:
    monkeypatch.setattr(trials, "COURSE", tmp_path)
    (tmp_path / "sum.record").write_bytes(TRIAL.to_record().dump())
    return replace(TRIAL, mistakes=None, reference=nothing, record="sum.record")


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, scale: x.sum(),
        lambda x, scale: scale * x.mean(),
        lambda x, scale: scale * x[:-1].sum(),
        lambda x, scale: 3 * x.sum(),  # named by what is known of the reference alone
        lambda x, scale: scale,
        lambda x, scale: -scale * x.sum(),
        lambda x, scale: scale * x.max(),
        lambda x, scale: scale * x,
        lambda x, scale: None,
        lambda x, scale: 1.5 if len(x) == 2 else 9.0,
    ],
)
def test_a_recorded_trial_says_what_the_trial_says(recorded, answer):
    assert told(answer, recorded) == told(answer)


def test_a_recorded_trial_praises_by_the_recorded_values(recorded):
    by_value = replace(recorded, praise=lambda value: f"It is {value:g}.")
    assert by_value(scaled_sum) == "It is 2.5."


def test_a_recorded_trial_knows_what_the_reference_minds_without_asking_it(recorded):
    known = dict(recorded._known[RESULT].minds)
    assert "`scale` makes no difference" in told(lambda x, scale: 7.1 * x.sum(), recorded)
    assert recorded._known[RESULT].minds == known


def test_a_record_holds_tensors_without_their_graphs_in_the_same_bytes_each_time():
    theta = torch.tensor([1.0, 2.0], requires_grad=True)
    records = [Record([Parts({RESULT: 2 * theta})], [([Parts({RESULT: None})], "none")], {}) for _ in "ab"]
    one, other = (record.dump() for record in records)
    assert one == other
    right, wrong, _ = pickle.loads(one)
    assert torch.equal(right[0][RESULT], torch.tensor([2.0, 4.0]))
    assert wrong == [([{RESULT: None}], "none")]


def test_a_trial_needs_mistakes_or_a_record():
    with pytest.raises(ValueError, match="mistakes must be given"):
        _ = replace(TRIAL, mistakes=None).wrong
