"""Ranges, whole numbers and choices map to the unit cube and back; logarithmic ones by equal factors."""

import json

import numpy as np
import pytest

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.ranges import space_facts, space_from_facts
from mlearn_utils.meta.hyperparameters.space import Choices, Integer, Range

SPACE = spaces.as_space({"rate": (0.001, 10.0, True), "shift": (-2.0, 3.0), "fixed": (5.0, 5.0)})


def test_there_and_back():
    settings = spaces.sample(SPACE, 200, rng=np.random.default_rng(0))
    unit = spaces.to_unit(SPACE, settings)
    assert unit.min() >= 0
    assert unit.max() <= 1
    assert np.allclose(spaces.from_unit(SPACE, unit), settings)


def test_equal_factors_are_equal_distances():
    unit = spaces.to_unit(SPACE, np.array([[0.01, 0, 5], [0.1, 0, 5], [1.0, 0, 5]]))
    assert np.allclose(np.diff(unit[:, 0]), 0.25)
    assert np.allclose(unit[:, 1], 0.4)


def test_the_middle_of_a_logarithmic_range_is_its_geometric_mean():
    assert spaces.from_unit(SPACE, np.array([0.5, 0.5, 0.5])) == pytest.approx([0.1, 0.5, 5.0])


def test_the_ends_stay_inside_despite_rounding():
    ends = spaces.from_unit(SPACE, np.array([[0.0] * 3, [1.0] * 3]))
    assert ends[:, 0] == pytest.approx([0.001, 10.0], rel=1e-12)
    spaces.check_inside(SPACE, ends)


def test_a_range_of_one_value_is_that_value():
    assert (spaces.sample(SPACE, 10, rng=np.random.default_rng(0))[:, 2] == 5.0).all()


def test_the_box_of_what_was_seen():
    assert spaces.box_of(np.array([[1.0, 5.0], [3.0, 2.0]])) == {"0": Range(1.0, 3.0), "1": Range(2.0, 5.0)}


def test_random_settings_fill_a_logarithmic_range_evenly_in_factors():
    drawn = spaces.sample(SPACE, 4000, rng=np.random.default_rng(0))[:, 0]
    assert (drawn < 0.1).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("bad", [0.0005, 11.0, np.nan])
def test_values_outside_are_named(bad):
    with pytest.raises(ValueError, match=r"hyperparameters: rate = .* outside its range \[0.001, 10\]"):
        spaces.check_inside(SPACE, np.array([[0.1, 0.0, 5.0], [bad, 0.0, 5.0]]))


MIXED = spaces.as_space(
    {"optimizer": ["sgd", "adam", "lion"], "layers": Integer(1, 4), "width": Integer(16, 1024, True)}
    | {"batch": [32, 64, 128], "rate": (0.1, 1.0), "fixed": Integer(3, 3), "only": ["relu"]}
)


def test_integers_and_choices_go_there_and_back():
    settings = spaces.sample(MIXED, 300, rng=np.random.default_rng(0))
    unit = spaces.to_unit(MIXED, settings)
    assert (unit.min(), unit.max()) == (0, 1)
    again = spaces.from_unit(MIXED, unit)
    exact = [0, 1, 2, 3, 5, 6]
    assert (again[:, exact] == settings[:, exact]).all()
    assert np.allclose(again[:, 4].astype(float), settings[:, 4].astype(float))
    assert [type(value) for value in settings[0]] == [str, int, int, int, float, int, str]


def test_each_whole_number_and_choice_has_the_same_share():
    drawn = spaces.sample(MIXED, 6000, rng=np.random.default_rng(1))
    for k, n in ((0, 3), (1, 4), (3, 3)):
        values, counts = np.unique(drawn[:, k].astype(str), return_counts=True)
        assert len(values) == n
        assert counts / 6000 == pytest.approx(1 / n, abs=0.03)


def test_numbers_alone_are_an_array_of_numbers_and_truth_is_none():
    numbers = spaces.as_space({"batch": [32, 64.5], "layers": Integer(1, 3)})
    assert spaces.from_unit(numbers, np.array([[0.0, 0.5], [1.0, 1.0]])).tolist() == [[32, 2], [64.5, 3]]
    truth = spaces.as_space({"nesterov": [False, True], "layers": Integer(1, 3)})
    assert spaces.from_unit(truth, np.array([1.0, 0.0])).tolist() == [True, 1]


def test_whole_numbers_by_factors_are_rounded_to_the_nearest():
    space = spaces.as_space({"width": Integer(1, 100, True)})
    unit = np.array([[0.0], [0.07], [0.1], [0.5], [1.0]])
    assert spaces.from_unit(space, unit)[:, 0].tolist() == [1, 1, 2, 10, 100]


def test_a_point_is_moved_to_where_its_setting_lies():
    assert spaces.snap(MIXED, np.array([0.4, 0.3, 0.5, 0.9, 0.123, 0.7, 0.7])) == pytest.approx(
        [0.5, 1 / 3, np.log(128 / 16) / np.log(1024 / 16), 1, 0.123, 0, 0]
    )
    inside = np.random.default_rng(0).random((50, 3))
    continuous = spaces.as_space({"a": (0.1, 3.0, True), "b": (-1.0, 2.0), "c": (0.0, 1.0)})
    assert np.array_equal(spaces.snap(continuous, inside), inside)  # to the last digit


def test_any_two_choices_are_as_far_apart_as_the_ends_of_a_range():
    space = spaces.as_space({"optimizer": ["a", "b", "c", "d"], "rate": (0.0, 1.0), "only": ["x"]})
    columns = spaces.as_columns(space, np.array([[k / 3, 0.4, 0.0] for k in range(4)]))
    assert columns.shape == (4, 6)
    assert (columns[:, 4:] == [0.4, 0.0]).all()
    apart = np.linalg.norm(columns[:, None] - columns, axis=-1)
    assert apart == pytest.approx(1 - np.eye(4))
    two = spaces.as_columns(spaces.as_space({"o": ["a", "b"]}), np.array([[0.0], [1.0]]))
    assert two == pytest.approx(np.eye(2) * np.sqrt(0.5))


def test_settings_are_counted_and_listed():
    space = spaces.as_space({"o": ["a", "b"], "layers": Integer(2, 4), "fixed": (5.0, 5.0)})
    assert spaces.count_settings(space) == 6
    every = spaces.from_unit(space, spaces.every_setting(space)).tolist()
    assert every == [[o, layers, 5.0] for o in "ab" for layers in (2, 3, 4)]
    assert spaces.count_settings(MIXED) == np.inf


def test_a_space_is_stored_and_read_back():
    facts = json.loads(json.dumps(space_facts(MIXED)))
    assert space_from_facts(facts) == MIXED
    assert [type(stated) for stated in space_from_facts(facts).values()] == [type(s) for s in MIXED.values()]
    assert space_from_facts({"rate": [0.001, 10.0, True]}) == {"rate": Range(0.001, 10.0, True)}


NO_SPACES = (
    5, {}, {"a": 3}, {"a": [1]}, {"a": ["x", 1.0]}, {"a": {}}, {"a": {"sets": [1]}}, {"a": {"choices": 3}},
    {"a": {"choices": []}}, {"a": {"integer": [1, 2.5]}}, {"a": {"integer": [1, 2, 3, 4]}},
)  # fmt: skip


@pytest.mark.parametrize("facts", NO_SPACES, ids=str)
def test_facts_that_are_no_space_are_refused(facts):
    with pytest.raises(ValueError, match="space"):
        space_from_facts(facts)


@pytest.mark.parametrize(
    ("stated", "error", "message"),
    [
        ((0.1, 1.0, "linear"), TypeError, "log must be True or False, got 'linear'"),
        ((0.1, 1.0, "False"), TypeError, "log must be True or False, got 'False'"),
        ((0.1, 1.0, 1), TypeError, "log must be True or False, got 1"),
        ((0.1, 1.0, None), TypeError, "log must be True or False, got None"),
        (Integer(1, 4, "log"), TypeError, "log must be True or False, got 'log'"),  # pyright: ignore
        (("sgd", "adam"), TypeError, "or a list of choices, and low and high be numbers"),
        ((1.0,), TypeError, r"must be \(low, high\)"),
        ("01", TypeError, r"must be \(low, high\)"),
        ({1, 2}, TypeError, r"must be \(low, high\)"),
        ((False, True), TypeError, "low and high be numbers"),
        (Integer(1.5, 4), ValueError, "whole numbers as low and high"),  # pyright: ignore
        (Integer(4, 1), ValueError, "low <= high"),
        (Integer(0, 4, True), ValueError, "low must be > 0, got 0"),
        ((0.0, np.inf), ValueError, "must be finite"),
        ([], ValueError, "at least one choice"),
        (["a", "a"], ValueError, "each once"),
        ([1, True], ValueError, "each once"),
        ([(1, 2)], TypeError, r"a choice must be a text, a number, True, False or None, got \(1, 2\)"),
        ([np.nan], TypeError, "a choice must be a text"),
    ],
    ids=str,
)
def test_bad_ranges_are_refused_with_their_name(stated, error, message):
    with pytest.raises(error, match=rf"space\['x'\].*{message}"):
        spaces.as_space({"x": stated})


def test_numbers_of_numpy_are_numbers():
    space = spaces.as_space(
        {"a": (np.float32(0.5), np.int64(2), np.True_), "b": Integer(np.int32(1), np.int64(3))}  # pyright: ignore
        | {"c": [np.int64(3), np.str_("x")]}
    )
    expected = {"a": Range(0.5, 2.0, True), "b": Integer(1, 3), "c": Choices(0, 1, False, (3, "x"))}
    assert space == expected
    for name, stated in expected.items():
        assert [type(value) for value in space[name]] == [type(value) for value in stated]
    assert [type(value) for value in space["c"][-1]] == [int, str]  # pyright: ignore
