"""Ranges map to the unit cube and back; logarithmic ones by equal factors."""

import numpy as np
import pytest

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.space import Range

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
