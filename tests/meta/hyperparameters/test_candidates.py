"""Candidates fill the space, reach its corners, lie where their settings lie, and are different."""

import numpy as np
import pytest

from mlearn_utils.meta.hyperparameters.candidates import NEAR, corners, first_candidates, near, spread_points
from mlearn_utils.meta.hyperparameters.space import Integer, as_space, from_unit, snap

CONTINUOUS = {f"x{k}": (0.0, 1.0) for k in range(6)}


def test_spread_points_fill_the_cube_and_reach_its_faces():
    points = spread_points(500, 3, seed=1)
    assert points.shape == (500, 3)
    assert (points.min(axis=0) == 0).all()
    assert (points.max(axis=0) == 1).all()
    for column in points.T:
        counts = np.histogram(column, bins=10, range=(0, 1))[0]
        assert counts.min() > 40
        assert counts.max() < 65


@pytest.mark.parametrize("dimensions", [1, 2, 3, 6])
def test_all_corners_are_candidates(dimensions):
    space = as_space({name: CONTINUOUS[name] for name in list(CONTINUOUS)[:dimensions]})
    candidates = first_candidates(space, 1, seed=0)
    assert ((candidates == 0) | (candidates == 1)).all(axis=1).sum() == 2**dimensions
    assert len(candidates) >= 495
    assert len(np.unique(candidates, axis=0)) == len(candidates)


def test_of_many_corners_some_are_candidates():
    found = corners(20, seed=0)
    assert 50 < len(found) <= 64
    assert set(np.unique(found)) == {0.0, 1.0}
    assert ((found.mean(axis=0) > 0.3) & (found.mean(axis=0) < 0.7)).all()


def test_a_small_space_has_every_setting():
    space = as_space({"o": ["a", "b", "c"], "layers": Integer(1, 4), "fixed": (2.0, 2.0)})
    candidates = first_candidates(space, 1, seed=0)
    assert len({tuple(row) for row in from_unit(space, candidates).tolist()}) == len(candidates) == 12


@pytest.mark.parametrize("needed", [1, 200, 900, 5000])
@pytest.mark.parametrize(
    "space",
    [{"a": (0.0, 1.0)}, {"a": Integer(1, 20_000, True)}, {"a": (0.0, 1.0), "fixed": (3.0, 3.0)}],
    ids=["continuous", "logarithmic integers", "with a fixed one"],
)
def test_there_are_as_many_different_candidates_as_are_needed(space, needed):
    stated = as_space(space)
    candidates = first_candidates(stated, needed, seed=0)
    assert len(np.unique(candidates, axis=0)) == len(candidates) >= needed
    assert np.array_equal(snap(stated, candidates), candidates)


def test_near_ones_are_near_and_the_same_steps_for_every_task():
    space = as_space({"a": (0.0, 1.0), "b": (0.0, 1.0), "layers": Integer(0, 10), "o": list("vwxyz")})
    best = np.array([[[0.5, 0.9, 0.3, 0.25]], [[0.5, 0.2, 0.8, 0.5]]])
    points = near(space, best, 0.05, np.random.default_rng(0))
    assert points.shape == (2, NEAR, 4)
    steps = points - best
    assert np.allclose(steps[0, :, 0], steps[1, :, 0])
    assert 0.01 < np.abs(steps[..., :2]).mean() < 0.05
    assert np.abs(steps[..., :2]).max() < 0.25
    assert 0.5 < (steps[..., :2] != 0).mean() < 0.85
    assert np.array_equal(snap(space, points), points)
    assert len(np.unique(points[..., 3])) == 5  # choices have no neighbors
