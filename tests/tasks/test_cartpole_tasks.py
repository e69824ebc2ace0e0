"""Task families and their Gymnasium environment."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mlearn_utils.tasks.cartpole import (
    ENV_ID,
    FAMILIES,
    BatchedCartPole,
    CartPolePhysics,
    CartPoleTask,
    CartPoleTasks,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_draws_inside_its_table(family):
    tasks = CartPoleTasks(family).sample(400, seed=0)
    assert len(tasks) == 400
    for name, (low, high) in FAMILIES[family].physics.items():
        drawn = getattr(tasks.physics, name)
        assert drawn.shape == (400, 1)
        assert low <= drawn.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < drawn.max() <= high
    fixed = set(vars(CartPolePhysics())) - set(FAMILIES[family].physics)
    assert all((getattr(tasks.physics, name) == getattr(CartPolePhysics(), name)).all() for name in fixed)


def test_targets_are_those_of_the_table():
    dirv = CartPoleTasks("dirv").sample(400, seed=0).target
    assert 0.5 <= abs(dirv).min() < 0.55
    assert 0.95 < abs(dirv).max() <= 1
    assert 150 < (dirv > 0).sum() < 250
    assert set(CartPoleTasks("dir").sample(50, seed=0).target) == {-1.0, 1.0}
    goalv = CartPoleTasks("goalv").sample(400, seed=0).target
    assert abs(goalv).min() < 0.05
    assert abs(goalv).max() <= 1
    assert not CartPoleTasks("phys").sample(3, seed=0).target.any()


def test_the_same_seed_draws_the_same_tasks():
    first, again, other = (CartPoleTasks("dir").sample(5, seed=s).hidden() for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (5, 3)
    assert not np.array_equal(first, other)


def test_indexing_gives_tasks_again():
    tasks = CartPoleTasks("dir").sample(5, seed=0)
    np.testing.assert_array_equal(tasks[-1].hidden(), tasks.hidden()[4:])
    np.testing.assert_array_equal(tasks[1:3].hidden(), tasks.hidden()[1:3])
    np.testing.assert_array_equal(tasks[np.array([4, 0])].hidden(), tasks.hidden()[[4, 0]])


@pytest.mark.parametrize(
    ("family", "target", "velocity", "reward"),
    [
        ("dirv", 0.8, 0.8, 1.0),
        ("dirv", 0.8, 0.5, 0.7),
        ("dirv", -0.8, 0.5, 0.0),
        ("goalv", -0.8, -1.0, 0.8),
        ("dir", 1.0, 0.4, 0.7),
        ("dir", -1.0, 0.4, 0.3),
        ("dir", 1.0, 3.0, 1.0),
        ("dir", -1.0, 3.0, 0.0),
        ("phys", 0.0, -2.0, 1.0),
    ],
)
def test_rewards_are_those_of_the_table(family, target, velocity, reward):
    state = np.array([[[0.3, velocity, 0.1, -4.0]]])
    assert FAMILIES[family].reward(state, np.array([[target]])).item() == pytest.approx(reward)


@pytest.mark.parametrize("family", FAMILIES)
def test_environments_pass_the_checker_without_a_warning(family):
    tasks = CartPoleTasks(family)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = tasks.make_env(tasks.sample(1, seed=0))
        check_env(env.unwrapped)
        env.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_environment_plays_as_the_batch_does(family):
    task = CartPoleTasks(family).sample(1, seed=3)
    env, batch = (
        CartPoleTasks(family).make_env(task, horizon=30),
        BatchedCartPole(task, horizon=30, dtype="float64"),
    )
    obs, _ = env.reset(seed=0)
    batch.reset(seed=0)
    batch._parts = env.unwrapped._state.T[:, None]  # pyright: ignore[reportAttributeAccessIssue]
    for step in range(30):
        action = step % 2
        obs, reward, terminated, truncated, info = env.step(action)
        state, rewards, fell, cut, _ = batch.step(np.array([[action]]))
        np.testing.assert_array_equal(obs, state[0, 0].astype(np.float32))
        assert (reward, terminated, truncated) == (rewards.item(), fell.item(), cut.item())
        assert info == {}
        if terminated:
            break
    assert not batch.alive.item()


def test_an_episode_is_truncated_at_the_default_horizon():
    env = gym.make(ENV_ID)
    obs, _ = env.reset(seed=0)
    steps, total, truncated = 0, 0.0, False
    while not truncated:
        obs, reward, terminated, truncated, _ = env.step(int(obs @ [0.5, 1.0, 20.0, 4.0] > 0))
        assert not terminated
        steps, total = steps + 1, total + float(reward)
    assert (steps, total) == (100, 100.0)


def test_the_picture_shows_the_hidden_target(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pictures = {}
    for target in (-1.0, 0.5, 1.0):
        task = CartPoleTask("dirv", target=[target])
        env = CartPoleTasks("dirv").make_env(task, render_mode="rgb_array")
        env.reset(seed=0)
        pictures[target] = np.asarray(env.render())
        env.close()
    arrow = {target: (picture == (0, 114, 178)).all(axis=-1) for target, picture in pictures.items()}
    assert pictures[1.0].shape == (400, 600, 3)
    assert arrow[1.0][:, 301:].sum() > 100
    assert not arrow[1.0][:, :300].any()
    assert arrow[-1.0][:, :300].sum() > 100
    assert not arrow[-1.0][:, 301:].any()
    assert arrow[0.5].any(axis=0).sum() == arrow[1.0].any(axis=0).sum() / 2


def test_a_longer_pole_is_drawn_longer(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    heights = []
    for length in (0.4, 0.8):
        task = CartPoleTask("phys", CartPolePhysics(length=length))
        env = CartPoleTasks("phys").make_env(task, render_mode="rgb_array")
        env.reset(seed=0)
        pole = (np.asarray(env.render()) == (202, 152, 101)).all(axis=-1)
        heights.append(pole.any(axis=1).sum())
        env.close()
    assert heights[1] > 1.8 * heights[0]


def test_bad_arguments_are_named():
    tasks = CartPoleTasks("dirv")
    task = tasks.sample(2, seed=0)
    with pytest.raises(
        ValueError, match=r"family must be one of \('dirv', 'dir', 'phys', 'goalv', 'once'\), got 'wind'"
    ):
        CartPoleTasks("wind")
    with pytest.raises(ValueError, match="task must be of family 'dir', got one of 'dirv'"):
        CartPoleTasks("dir").make_env(task[0])
    with pytest.raises(ValueError, match="task must hold one task, got a batch of 2"):
        tasks.make_env(task)
    with pytest.raises(TypeError, match="task must be a CartPoleTask of one task"):
        tasks.make_env(0.7)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="horizon must be an integer >= 1, got 0"):
        tasks.make_env(task[0], horizon=0)
    with pytest.raises(ValueError, match="n_tasks must be an integer >= 1"):
        tasks.sample(0, seed=0)
    with pytest.raises(ValueError, match="length must be a number or an array"):
        CartPoleTask("dirv", CartPolePhysics(length=np.ones((3, 1))), target=[1.0, 2.0])
    with pytest.raises(ValueError, match="target must be finite"):
        CartPoleTask("dirv", target=[float("nan")])
    env = tasks.make_env(task[0])
    with pytest.raises(RuntimeError, match="reset"):
        env.unwrapped.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must be 0 or 1, got 2"):
        env.step(2)
