"""Cells of a box: their numbers, their edges, and the default for an environment."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from mlearn_utils.rl.discretizer import Discretizer, default_bins


def slow_cell(observation, low, high, bins):
    """Number the cell by searching each dimension's edges."""
    cells = []
    for value, l, h, n in zip(observation, low, high, bins, strict=True):
        edges = np.linspace(l, h, n + 1)[1:-1]
        cells.append(int(np.searchsorted(edges, value, side="right")))
    return int(np.ravel_multi_index(cells, bins))


def test_cells_equal_a_search_for_the_edges():
    low, high, bins = [-1.0, 0.0, -3.0], [1.0, 2.0, 5.0], [4, 1, 7]
    discretizer = Discretizer(low, high, bins)
    assert discretizer.n_states == 28
    for observation in np.random.default_rng(0).uniform(-4, 6, size=(500, 3)):
        assert discretizer(observation) == slow_cell(observation, low, high, bins)


def test_values_beyond_a_bound_belong_to_the_last_cell():
    discretizer = Discretizer([0.0], [1.0], 5)
    observations = [-9.0, -np.inf, 0.0, 0.999, 1.0, 7.0, np.inf]
    assert [discretizer([value]) for value in observations] == [0, 0, 0, 4, 4, 4, 4]


def test_one_number_of_bins_serves_every_dimension():
    assert Discretizer(np.zeros(3), np.ones(3), 4).n_states == 64


def test_default_takes_the_bounds_of_the_space_and_fills_the_missing_ones_from_random_episodes():
    env = gym.make("CartPole-v1")
    discretizer = Discretizer.from_env(env, bins=6)
    space = env.observation_space
    assert isinstance(space, spaces.Box)
    np.testing.assert_array_equal(discretizer.low[[0, 2]], space.low[[0, 2]])
    np.testing.assert_array_equal(discretizer.high[[0, 2]], space.high[[0, 2]])
    velocities = np.array([discretizer.low[[1, 3]], discretizer.high[[1, 3]]])
    assert np.isfinite(velocities).all()
    assert (velocities[0] < -1).all()
    assert (velocities[1] > 1).all()
    again = Discretizer.from_env(env, bins=6)
    np.testing.assert_array_equal(again.low, discretizer.low)


@pytest.mark.parametrize(
    ("n_dimensions", "bins"), [(1, 16), (4, 16), (5, 10), (6, 6), (8, 4), (16, 2), (20, 2)]
)
def test_default_bins_keep_the_table_small(n_dimensions, bins):
    assert default_bins(n_dimensions) == bins
    assert bins == 2 or bins**n_dimensions <= 100_000


class Endless(gym.Env[np.ndarray, np.int64]):
    """Counts up for ever."""

    observation_space, action_space = spaces.Box(-np.inf, np.inf, (1,)), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action):
        self.count += 1
        return np.full(1, self.count, dtype=np.float32), 0.0, False, False, {}


def test_an_environment_without_end_is_explored_for_a_while():
    assert Discretizer.from_env(Endless()).high.tolist() == [19_999]


def test_default_of_cart_pole_is_sixteen_bins_a_dimension():
    assert Discretizer.from_env(gym.make("CartPole-v1")).n_states == 16**4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0], [0.0]), "low must lie below high, both finite"),
        (([0.0], [np.inf]), "low must lie below high, both finite"),
        (([np.nan], [1.0]), "low must lie below high, both finite"),
        ((0.0, 1.0), r"low and high must both be \[D\], got \(\) and \(\)"),
        (([0.0, 0.0], [1.0]), r"low and high must both be \[D\], got \(2,\) and \(1,\)"),
        (([0.0], [1.0], 0), "bins must be integers >= 1, got 0"),
        (([0.0], [1.0], 2.5), "bins must be integers >= 1, got 2.5"),
        ((np.zeros(8), np.ones(8), 10), "bins=10 make 100000000 states, expected at most 10000000"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        Discretizer(*arguments)


def test_an_observation_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="observation holds NaN"):
        Discretizer([0.0, 0.0], [1.0, 1.0])(np.array([0.5, np.nan]))


def test_an_environment_without_a_flat_box_is_refused():
    with pytest.raises(
        TypeError, match=r"env must have observations in a Box of one axis, got Discrete\(16\)"
    ):
        Discretizer.from_env(gym.make("FrozenLake-v1"))


class Counter(gym.Env[np.ndarray, np.int64]):
    """Walks between -6 and 6; its second feature is always the same; its space states `bound` for both."""

    action_space = spaces.Discrete(2)

    def __init__(self, bound: float) -> None:
        self.observation_space = spaces.Box(-bound, bound, (2,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0.0
        return np.array([self.x, 1.0]), {}

    def step(self, action):
        self.x += 2.0 * action - 1
        return np.array([self.x, 1.0]), 1.0, abs(self.x) > 5, False, {}


@pytest.mark.parametrize("bound", [np.inf, 1e5, 1e9, float(np.finfo(np.float32).max), 1e300])
def test_bounds_stated_by_a_large_number_are_none(bound):
    found = Discretizer.from_env(Counter(bound))
    assert found.low.tolist() == [-6.0, 0.5]
    assert found.high.tolist() == [6.0, 1.5]
    assert found.bins.tolist() == [16, 1]  # a feature that never varies has one interval
    assert Discretizer.from_env(Counter(bound), bins=4).bins.tolist() == [4, 1]


@pytest.mark.parametrize("bound", [10.0, 9000.0])
def test_bounds_that_are_meant_are_kept(bound):
    found = Discretizer.from_env(Counter(bound))
    assert found.low.tolist() == [-bound, -bound]
    assert found.bins.tolist() == [16, 16]


def test_a_feature_whose_space_is_a_single_value():
    env = Counter(10.0)
    env.observation_space = spaces.Box(np.array([-10.0, 1.0]), np.array([10.0, 1.0]), dtype=np.float64)
    assert Discretizer.from_env(env).bins.tolist() == [16, 1]


def test_the_two_cart_poles_are_cut_alike():
    ids = ("CartPole-v1", "mlearn/CartPole-v0")
    first, second = (Discretizer.from_env(gym.make(name, max_episode_steps=100)) for name in ids)
    assert first.low.tolist() == second.low.tolist()
    assert first.high.tolist() == second.high.tolist()
