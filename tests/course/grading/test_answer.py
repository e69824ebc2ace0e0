"""What a guarded answer notices: changed arguments, what is left behind, random numbers from elsewhere."""

import copy
import random
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch

from mlearn_utils.course.grading.answer import (
    SWITCHES,
    Answer,
    AnswerRaised,
    attempt,
    kept_random_state,
    text_of,
    usual_switches,
)
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.grading.values import is_alike
from tests.course.odd_values import Knot


class Pair(NamedTuple):
    one: float
    two: np.ndarray


def reference(x, rng=None):
    return x


ARGUMENTS = {
    "an array": (lambda: np.arange(3.0), lambda x: x.sort() or x.__imul__(2)),
    "one entry": (lambda: np.arange(3.0), lambda x: x.__setitem__(1, 7.0)),
    "a NaN": (lambda: np.array([np.nan, 1.0]), lambda x: x.__setitem__(0, 1.0)),
    "a tensor": (lambda: torch.arange(3.0), lambda x: x.mul_(2)),
    "a live tensor": (lambda: torch.ones(2, requires_grad=True), lambda x: x.data.add_(1)),
    "what it requires": (lambda: torch.ones(2, requires_grad=True), lambda x: x.requires_grad_(False)),
    "a list": (lambda: [1.0, 2.0], lambda x: x.pop()),
    "an array in a list": (lambda: [np.ones(2), np.ones(2)], lambda x: x[1].__setitem__(0, 3.0)),
    "a dict": (lambda: {"w": torch.ones(2)}, lambda x: x.update(b=1)),
    "a tensor in a dict": (lambda: {"w": torch.ones(2)}, lambda x: x["w"].zero_()),
    "an array in a tuple": (lambda: Pair(1.0, np.ones(2)), lambda x: x.two.fill(0.0)),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_a_changed_argument_is_named(kind):
    make, change = ARGUMENTS[kind]
    with pytest.raises(NotYet, match=r"^x itself was changed in place"):
        Answer(lambda x: change(x), reference)(make())
    kept = make()
    Answer(lambda x: None, reference)(kept)


def test_the_checkers_own_arguments_stay_as_they_are():
    x, values = np.arange(3.0), [torch.ones(2)]
    for given in (x, values):
        with pytest.raises(NotYet, match="changed in place"):
            Answer(lambda x: x.__setitem__(0, 9.0), reference)(given)
    assert x.tolist() == [0.0, 1.0, 2.0]
    assert values[0].tolist() == [1.0, 1.0]


def test_an_argument_that_the_exercise_asks_to_change_is_handed_out_and_may_change():
    x = np.zeros(2)
    Answer(lambda x: x.__setitem__(0, x[0] + 1.0), reference, writes=("x",))(x)
    assert x.tolist() == [1.0, 0.0], "the second call works on a copy"


def test_what_an_answer_keeps_of_its_arguments_does_not_reach_the_next_call():
    seen = []

    def keep(x):
        for old in seen:
            old += 100.0
        seen.append(x)
        return float(x.sum())

    answer = Answer(keep, reference)
    x = np.ones(2)
    with pytest.raises(NotYet):
        answer(x)
    assert x.tolist() == [1.0, 1.0]


def backward(x):
    (x * x).sum().backward()
    return x.grad


def backward_and_clear(x):
    (x * x).sum().backward()
    gradient, x.grad = x.grad, None
    return gradient


def test_a_gradient_that_adds_up_is_told_and_one_that_is_cleared_is_not():
    with pytest.raises(NotYet, match=r"adds to `\.grad`"):
        Answer(backward, reference)(torch.ones(2, requires_grad=True))
    result = Answer(backward_and_clear, reference)(torch.ones(2, requires_grad=True))
    assert result.tolist() == [2.0, 2.0]


def test_a_graph_that_is_used_up_is_told():
    x = torch.ones(2, requires_grad=True)

    def consume(y):
        y.sum().backward()
        return y.detach().clone()

    with pytest.raises(NotYet, match=r"a second one with the same arguments does not.*RuntimeError"):
        Answer(consume, lambda y: y)(x.exp())


def test_a_counter_outside_is_told():
    count = []

    def counting(x):
        count.append(1)
        return x + len(count)

    with pytest.raises(NotYet, match="change something outside of itself"):
        Answer(counting, reference)(1.0)


def test_a_result_that_the_next_call_overwrites_is_told():
    buffer = np.zeros(2)

    def reuse(x):
        first = buffer.copy() if buffer.any() else x
        buffer[:] = 2 * buffer if buffer.any() else x
        return buffer if first is x else first

    with pytest.raises(NotYet, match="changes what an earlier one returned"):
        Answer(reuse, reference)(np.ones(2))


def test_a_result_that_a_later_call_with_other_arguments_overwrites_is_told():
    buffer = np.zeros(2)

    def reuse(x):
        buffer[:] = x
        return buffer

    answer = Answer(reuse, reference)
    answer(np.ones(2))
    with pytest.raises(NotYet, match="changes what an earlier one returned"):
        answer(np.full(2, 3.0))
    answer = Answer(lambda x: x.sort() or x, reference, writes=("x",))
    answer(np.ones(2))
    answer(np.zeros(2))


@pytest.mark.parametrize(
    "draw",
    [
        lambda x, rng: np.random.rand(),  # noqa: NPY002
        lambda x, rng: np.random.default_rng().random(),
        lambda x, rng: random.random(),
        lambda x, rng: torch.rand(()),
    ],
)
def test_random_numbers_from_elsewhere_are_told(draw):
    with pytest.raises(NotYet, match="draw from `rng` only"):
        Answer(draw, reference)(0.0, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("draw", "heeds"),
    [
        (lambda x, rng: rng.random(), True),
        (lambda x, rng: np.random.default_rng(0).random(), False),
        (lambda x, rng: 0.5, False),
        (lambda x, rng: rng.random() if x else 0.5, True),
    ],
)
def test_a_generator_that_is_not_heeded_is_told(draw, heeds):
    answer = Answer(draw, reference)
    for x in (0.0, 1.0):
        for seed in range(3):
            answer(x, np.random.default_rng(seed))
    if heeds:
        answer.check_randomness()
    else:
        with pytest.raises(NotYet, match="whatever state the generator `rng` is in"):
            answer.check_randomness()


def test_a_generator_moves_on_once_a_call():
    rng, twin = np.random.default_rng(0), np.random.default_rng(0)
    answer = Answer(lambda x, rng: rng.random(), reference)
    assert [answer(0.0, rng) for _ in range(4)] == [twin.random() for _ in range(4)]


def test_a_generator_that_stays_where_it_was_is_told():
    answer = Answer(lambda x, rng: copy.deepcopy(rng).random(), reference)
    for seed in range(3):
        answer(0.0, np.random.default_rng(seed))
    with pytest.raises(NotYet, match="left in the state it came in"):
        answer.check_randomness()


@pytest.mark.parametrize("error", [ValueError("x" * 5000), ValueError("\ud800")])
def test_the_text_of_an_exception_can_be_shown(error):
    text = text_of(error)
    assert len(text) < 1000
    text.encode()


def test_an_object_that_leaves_the_program_when_asked_is_nobodys_end():
    def leave():
        raise SystemExit

    assert attempt(leave, 3) == 3

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupt, 3)


def test_arguments_by_name_reach_the_function_by_name():
    def by_name(*, x, rng):
        return x

    assert Answer(by_name, by_name)(x=3.0, rng=None) == 3.0


def switches():
    return [ask() for ask, _ in SWITCHES]


@pytest.mark.parametrize(
    "switch",
    [
        lambda: torch.set_grad_enabled(False),
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_device("meta"),
        lambda: torch.set_num_threads(torch.get_num_threads() + 1),
        lambda: torch.autograd.set_detect_anomaly(True),
        lambda: torch.use_deterministic_algorithms(True),
        lambda: np.seterr(all="raise"),
        lambda: warnings.simplefilter("ignore"),
    ],
)
def test_switches_of_the_whole_process_are_set_back(switch):
    before, during = switches(), []

    def answer(x):
        switch()
        during.append(switches())
        return 1.0

    Answer(answer, reference)(1.0)
    assert during[0] != before
    assert switches() == before


def test_answers_are_judged_under_the_usual_switches_whatever_the_notebook_set():
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), torch.device("meta"):
            with usual_switches():
                x = torch.ones(1, requires_grad=True)
                assert (x.dtype, x.device.type, (2 * x).requires_grad) == (torch.float32, "cpu", True)
            assert not torch.is_grad_enabled()
        with torch.inference_mode(), usual_switches():
            assert not torch.ones(1).is_inference()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def outside_states():
    return (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tolist(),  # noqa: NPY002
        torch.get_rng_state().tolist(),
    )


def test_random_numbers_outside_of_generators_are_left_as_they_were():
    random.seed(77)
    np.random.seed(77)  # noqa: NPY002
    torch.manual_seed(77)
    states = outside_states()
    with kept_random_state():
        Answer(lambda x: 1.0, reference)(1.0)
        now = outside_states()
        assert all(before != after for before, after in zip(states, now, strict=True))
    assert states == outside_states()


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: float(torch.rand(()))])
def test_each_way_to_draw_begins_anew_in_the_second_call_but_elsewhere(draw):
    drawn = []

    def answer(x):
        drawn.append(draw())
        return 1.0

    for _ in range(2):
        Answer(answer, reference)(1.0)
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]


def test_results_that_hold_themselves_or_a_knot_are_compared():
    knot = Knot()
    assert is_alike(knot, Knot())
    assert not is_alike({"a": [knot, 1.0]}, {"a": [knot, 2.0]})


def test_what_the_function_raises_comes_wrapped_but_for_an_interrupt():
    def fail(x):
        raise SystemExit(2)

    with pytest.raises(AnswerRaised) as caught:
        Answer(fail, reference)(1.0)
    assert isinstance(caught.value.error, SystemExit)

    def interrupt(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Answer(interrupt, reference)(1.0)


def test_the_expected_value_of_the_last_call_is_that_of_the_reference():
    answer = Answer(lambda x: None, lambda x: 2 * x)
    answer(np.ones(2))
    assert answer.returned is None
    assert answer.expected().tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    "result",
    [
        {1, 2},
        "text",
        None,
        object(),
        [np.nan, 1.0],
        Pair(1.0, np.ones(2)),
        len,
        torch.nn.Parameter(torch.ones(2)),
    ],
)
def test_equal_results_of_any_kind_are_accepted(result):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Answer(lambda x: result, reference)(1.0) is result
