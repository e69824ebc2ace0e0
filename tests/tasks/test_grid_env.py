"""The Gymnasium environment of a grid: Gymnasium's own checker, the arrays' probabilities, the pictures."""

import importlib
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mlearn_utils.tasks import gridworld
from mlearn_utils.tasks.grid_env import GridEnv
from mlearn_utils.tasks.grid_picture import draw_grid
from mlearn_utils.tasks.gridworld import ENV_ID, HORIZON, GridTask, make_env

TASK = GridTask(size=4, slip=0.4, pits=((1, 1),), trap=(0, 2), goal=(3, 2))


@pytest.mark.parametrize("task", [None, TASK, GridTask(size=2, reward_noise=1.0)])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasiums_checker_has_no_complaint(task, render_mode):
    check_env(gym.make(ENV_ID, task=task, render_mode=render_mode).unwrapped)


def test_importing_twice_registers_once():
    before = gym.registry[ENV_ID]
    importlib.reload(gridworld)
    assert gym.registry[ENV_ID] is before


def test_steps_follow_the_arrays():
    env = GridEnv(TASK)
    env.reset(seed=0)
    reached = []
    for _ in range(4000):
        env.reset()
        state, reward, terminated, truncated, info = env.step(np.int64(1))
        reached.append(state)
        assert reward == env.mdp.rewards[0, 1, state]
        assert (terminated, truncated, info) == (bool(env.mdp.terminal[state]), False, {})
    share = np.bincount(reached, minlength=16) / 4000
    assert np.abs(share - env.mdp.P[0, 1]).max() < 5 * np.sqrt(0.25 / 4000)


@pytest.mark.parametrize("uniform", [0.0, float(np.nextafter(1.0, 0.0))])
def test_an_impossible_state_is_never_reached(uniform, monkeypatch):
    env = GridEnv(TASK)
    env.reset(seed=0)
    env.step(np.int64(2))
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        env, "_np_random", SimpleNamespace(random=lambda: uniform, bit_generator=rng.bit_generator)
    )
    state = env._state
    for action in range(4):
        env._state = state
        reached = env.step(np.int64(action))[0]
        assert env.mdp.P[state, action, reached] > 0


def test_reward_noise_has_its_standard_deviation():
    env = GridEnv(GridTask(slip=0.0, reward_noise=0.5))
    env.reset(seed=0)
    rewards = [float(env.step(np.int64(3))[1]) for _ in range(2000)]
    assert np.std(rewards) == pytest.approx(0.5, rel=0.1)
    assert np.mean(rewards) == pytest.approx(-0.01, abs=5 * 0.5 / np.sqrt(2000))


def test_same_seed_same_walk():
    env = make_env(TASK)
    walks = []
    for _ in range(2):
        env.reset(seed=5)
        walks.append([env.step(action)[:3] for action in (1, 2, 2, 0, 1)])
    assert walks[0] == walks[1]


def test_an_episode_is_truncated_at_the_horizon_and_not_terminated():
    env = make_env(GridTask(slip=0.0))
    env.reset(seed=0)
    flags = [env.step(0)[2:4] for _ in range(HORIZON)]
    assert flags[-2:] == [(False, False), (False, True)]


def test_nothing_happens_after_the_end():
    env = GridEnv(GridTask(size=2, slip=0.0, reward_noise=1.0))
    env.reset(seed=0)
    env.step(np.int64(1))
    assert env.step(np.int64(2))[2]
    assert env.step(np.int64(0))[:3] == (3, 0.0, True)


@pytest.mark.parametrize("action", [-1, 4, 1.0, "up"])
def test_an_action_that_does_not_exist_is_refused(action):
    env = GridEnv(GridTask())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must be an integer from 0 to 3, got"):
        env.step(action)


def test_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode must be None or \"rgb_array\", got 'human'"):
        GridEnv(TASK, render_mode="human")


def tiles(picture, size):
    """Return the picture's cells [S, tile, tile, 3]."""
    tile = len(picture) // size
    return picture.reshape(size, tile, size, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)


def test_every_kind_of_cell_differs_in_shape_not_only_in_color():
    picture = draw_grid(TASK, state=15, tile=24)
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    cells = tiles(picture, 4)
    inked = np.abs(cells.astype(int) - cells[4].astype(int)).sum(axis=-1) > 60  # cell 4 is empty floor
    kinds = {
        name: inked[state]
        for name, state in {"start": 0, "trap": 2, "pit": 5, "goal": 14, "agent": 15}.items()
    }
    for name, mask in kinds.items():
        assert mask.sum() > 40, name
        for other, second in kinds.items():
            assert name == other or (mask != second).mean() > 0.05, (name, other)


def test_the_agent_is_drawn_where_it_is_and_over_what_is_there():
    env = make_env(TASK, render_mode="rgb_array")
    env.reset(seed=0)
    with_agent = tiles(env.render(), 4)
    without = tiles(draw_grid(TASK), 4)
    assert np.flatnonzero((with_agent != without).any(axis=(1, 2, 3))).tolist() == [0]
    on_pit = tiles(draw_grid(TASK, state=5), 4)[5]
    assert (on_pit != without[5]).any()
    assert (on_pit[4, 24] == without[5][4, 24]).all()
