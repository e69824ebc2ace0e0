"""The batched cart-pole against Gymnasium's environments and against its own single tasks."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from mlearn_utils.tasks.cartpole import (
    FAMILIES,
    THETA_LIMIT,
    BatchedCartPole,
    CartPolePhysics,
    CartPoleTask,
    CartPoleTasks,
    cartpole_step,
)


def play_gymnasium(num_envs: int, actions: np.ndarray, start: np.ndarray) -> list[dict]:
    """The obvious twin of BatchedCartPole: one Gymnasium environment after the other, [S, E] actions."""
    episodes = []
    for e in range(num_envs):
        env = gym.make("CartPole-v1")
        inner = env.unwrapped
        assert isinstance(inner, CartPoleEnv)
        env.reset(seed=0)
        inner.state = start[e]
        total, steps = 0.0, 0
        terminated = truncated = False
        while not (terminated or truncated):
            _, reward, terminated, truncated, _ = env.step(int(actions[steps, e]))
            total, steps = total + float(reward), steps + 1
        episodes.append(
            {"state": inner.state, "return": total, "flags": (terminated, truncated), "steps": steps}
        )
    return episodes


def test_batched_cartpole_equals_gymnasium_environments():
    env = BatchedCartPole(None, 12, horizon=500, dtype="float64")
    start = env.reset(seed=3)
    actions = np.random.default_rng(0).integers(0, 2, (500, 1, 12))
    total = np.zeros((1, 12))
    steps = np.zeros((1, 12), dtype=int)
    obs, terminated, truncated = start, None, None
    for action in actions:
        steps += env.alive
        obs, reward, terminated, truncated, _ = env.step(action)
        total += reward
    twins = play_gymnasium(12, actions[:, 0], start[0])
    for e, twin in enumerate(twins):
        np.testing.assert_allclose(obs[0, e], twin["state"], rtol=0, atol=1e-12)
        assert (total[0, e], steps[0, e]) == (twin["return"], twin["steps"])
        assert terminated is not None
        assert truncated is not None
        assert (terminated[0, e], truncated[0, e]) == twin["flags"]


@pytest.mark.parametrize("family", ["dirv", "dir", "phys"])
def test_each_task_of_a_batch_has_its_own_physics_and_target(family):
    tasks = CartPoleTasks(family).sample(4, seed=5)
    env = BatchedCartPole(tasks, 3, dtype="float64")
    state = env.reset(seed=1)
    for step in range(6):
        action = np.full((4, 3), step % 2)
        expected = cartpole_step(state, action, tasks.physics)  # constants as columns [T, 1]
        state, reward, *_ = env.step(action)
        np.testing.assert_array_equal(state, expected)
        for t in range(4):
            alone = FAMILIES[family].reward(state[t], tasks.target[t])
            np.testing.assert_allclose(reward[t], alone, rtol=0, atol=1e-12)


def test_finished_environments_stay_as_they_ended():
    env = BatchedCartPole(CartPoleTasks("dirv").sample(3, seed=0), 4, horizon=60)
    obs = env.reset(seed=0)
    right = np.ones((3, 4), dtype=int)
    for _ in range(15):
        obs = env.step(right)[0]
    assert not env.alive.any()
    assert (abs(obs[..., 2]) > THETA_LIMIT).all()
    again, reward, terminated, truncated, _ = env.step(1 - right)
    np.testing.assert_array_equal(again, obs)
    assert not reward.any()
    assert terminated.all()
    assert not truncated.any()


def test_horizon_one_truncates_after_one_step():
    env = BatchedCartPole(None, 3, horizon=1)
    env.reset(seed=0)
    action = np.zeros((1, 3), dtype=int)
    _, reward, terminated, truncated, _ = env.step(action)
    assert reward.tolist() == [[1.0, 1.0, 1.0]]
    assert truncated.all()
    assert not terminated.any()
    assert not env.alive.any()
    _, reward, _, truncated, _ = env.step(action)
    assert not reward.any()
    assert truncated.all()


@pytest.mark.parametrize("family", ["dirv", "dir", "phys", "goalv"])
def test_batched_cartpole_in_torch_equals_numpy(family):
    tasks = CartPoleTasks(family).sample(4, seed=5)
    plain = BatchedCartPole(tasks, 3, dtype="float64")
    twin = BatchedCartPole(tasks, 3, dtype="float64", device="cpu")
    np.testing.assert_array_equal(plain.reset(seed=1), twin.reset(seed=1).numpy())
    rng = np.random.default_rng(2)
    for _ in range(40):
        action = rng.integers(0, 2, (4, 3))
        ours, theirs = plain.step(action), twin.step(torch.from_numpy(action))
        for a, b in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(plain.alive, twin.alive.numpy())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batched_cartpole_on_the_gpu_equals_numpy():
    tasks = CartPoleTasks("dir").sample(4, seed=5)
    plain, twin = BatchedCartPole(tasks, 3), BatchedCartPole(tasks, 3, device="cuda")
    plain.reset(seed=1)
    twin.reset(seed=1)
    for step in range(8):
        action = np.full((4, 3), step % 2)
        ours, theirs = plain.step(action), twin.step(torch.from_numpy(action).to("cuda"))
        np.testing.assert_allclose(ours[0], theirs[0].cpu().numpy(), atol=1e-5)
        np.testing.assert_allclose(ours[1], theirs[1].cpu().numpy(), atol=1e-5)


def test_the_same_seed_starts_the_same_episodes():
    env = BatchedCartPole(CartPoleTasks("dir").sample(2, seed=0), 5)
    first = env.reset(seed=7).copy()
    np.testing.assert_array_equal(env.reset(seed=7), first)
    assert not np.array_equal(env.reset(seed=8), first)
    assert abs(first).max() <= 0.05
    assert len(np.unique(first)) == first.size


def test_one_task_may_be_of_ones_own_making():
    task = CartPoleTask("dirv", CartPolePhysics(length=0.7), target=[-0.8])
    env = BatchedCartPole(task, 2, dtype="float64")
    start = env.reset(seed=0)
    obs, reward, *_ = env.step(np.array([[0, 1]]))
    np.testing.assert_array_equal(obs, cartpole_step(start, np.array([[0, 1]]), CartPolePhysics(length=0.7)))
    np.testing.assert_allclose(reward, np.maximum(1 - abs(obs[..., 1] + 0.8), 0))


def test_bad_arguments_of_the_batched_cartpole_are_named():
    with pytest.raises(ValueError, match="horizon must be an integer >= 1, got 0"):
        BatchedCartPole(horizon=0)
    with pytest.raises(ValueError, match="num_envs must be an integer >= 1"):
        BatchedCartPole(num_envs=2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="tasks must be a CartPoleTask"):
        BatchedCartPole("dirv")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="dtype must be"):
        BatchedCartPole(dtype="float16")


@pytest.mark.parametrize(
    "action", [np.ones((1, 2), int), np.full((1, 3), 2), np.full((1, 3), -1), np.ones((1, 3))]
)
def test_bad_actions_are_refused(action):
    env = BatchedCartPole(num_envs=3)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(np.ones((1, 3), dtype=int))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must"):
        env.step(action)
