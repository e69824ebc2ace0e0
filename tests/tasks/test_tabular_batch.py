"""Many walks at once: every draw is compared with a slow one, or with the probabilities it should have."""

import gymnasium as gym
import numpy as np
import pytest

from mlearn_utils.tasks.gridworld import GridTask, grid_mdp
from mlearn_utils.tasks.tabular_batch import Categorical, TabularBatch
from tests.tasks.toy_text import read_table

SLIPPERY = GridTask(size=3, slip=0.4, pits=((1, 1),), trap=(0, 2))


def test_draws_equal_a_search_in_each_row():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=50)
    row, uniform = rng.integers(50, size=1000), rng.random(1000)
    slow = [
        np.searchsorted(np.cumsum(probabilities[r]), u, side="right")
        for r, u in zip(row, uniform, strict=True)
    ]
    np.testing.assert_array_equal(Categorical.from_probabilities(probabilities).draw(row, uniform), slow)


def test_an_impossible_outcome_is_never_drawn():
    tenths = np.full(10, 0.1)  # their running sum ends just below 1
    draws = Categorical.from_probabilities(np.array([[*tenths, 0.0], [1.0, *np.zeros(10)]]))
    almost_one = np.array([np.nextafter(1.0, 0.0)] * 2)
    np.testing.assert_array_equal(draws.draw(np.array([0, 1]), almost_one), [9, 0])
    first_impossible = Categorical.from_probabilities(np.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(first_impossible.draw(np.array([0]), np.zeros(1)), [1])


def test_steps_follow_the_arrays():
    mdp, n = grid_mdp(SLIPPERY), 20_000
    walks, rng = TabularBatch([mdp], np.zeros(n, dtype=int)), np.random.default_rng(1)
    for state, action in ((0, 0), (3, 1), (8 - 3, 2)):
        reached, reward, ended = walks.step(np.full(n, state), np.full(n, action), rng)
        share = np.bincount(reached, minlength=9) / n
        assert np.abs(share - mdp.P[state, action]).max() < 5 * np.sqrt(0.25 / n)
        np.testing.assert_allclose(reward, mdp.rewards[state, action, reached])
        np.testing.assert_array_equal(ended, mdp.terminal[reached])


def test_reward_noise_has_its_standard_deviation_in_its_own_task_only():
    tasks = [grid_mdp(GridTask(slip=0.0, reward_noise=noise)) for noise in (0.0, 2.0)]
    walks, n = TabularBatch(tasks, np.repeat([0, 1], 5000)), 10_000
    _, reward, _ = walks.step(np.zeros(n, dtype=int), np.ones(n, dtype=int), np.random.default_rng(2))
    np.testing.assert_array_equal(reward[:5000], -0.01)
    assert reward[5000:].std() == pytest.approx(2.0, rel=0.05)
    assert reward[5000:].mean() == pytest.approx(-0.01, abs=5 * 2 / np.sqrt(5000))


def test_tasks_of_unequal_size_keep_to_their_own_states():
    tasks = [grid_mdp(GridTask(size=2, slip=0.2)), grid_mdp(GridTask(size=4, slip=0.0))]
    task = np.array([0, 1, 0, 1])
    walks, rng = TabularBatch(tasks, task), np.random.default_rng(3)
    state = walks.reset(np.arange(4), rng)
    for _ in range(200):
        state, _, ended = walks.step(state, rng.integers(4, size=4), rng)
        assert (state < np.array([4, 16])[task]).all()
        state[ended] = walks.reset(np.flatnonzero(ended), rng)


def test_first_states_follow_the_start_distribution():
    mdp = read_table(gym.make("Taxi-v4"))
    walks, n = TabularBatch([mdp], np.zeros(60_000, dtype=int)), 60_000
    share = np.bincount(walks.reset(np.arange(n), np.random.default_rng(4)), minlength=500) / n
    assert (share[mdp.start == 0] == 0).all()
    assert np.abs(share - mdp.start).max() < 6 * np.sqrt(mdp.start.max() / n)


@pytest.mark.parametrize(
    ("mdps", "task", "message"),
    [
        ([], [0], r"mdps must be tasks with the same number of actions, got \[\]"),
        ([SLIPPERY], [0, 1], "task must name tasks 0 to 0"),
        ([SLIPPERY], [-1], "task must name tasks 0 to 0"),
        ([SLIPPERY], [0.5], r"task must be integers \[L\], got float64"),
        ([SLIPPERY], [[0]], r"task must be integers \[L\], got int64 of shape \(1, 1\)"),
    ],
)
def test_bad_arguments_are_refused_by_name(mdps, task, message):
    with pytest.raises(ValueError, match=message):
        TabularBatch([grid_mdp(grid) for grid in mdps], np.array(task))
