"""The batched cart-pole against Gymnasium's, number by number."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from mlearn_utils.tasks.cartpole import (
    THETA_LIMIT,
    BatchedCartPole,
    CartPolePhysics,
    CartPoleTask,
    CartPoleTasks,
    cartpole_step,
    fallen,
)

CHANGED = {"gravity": 3.7, "masscart": 2.3, "masspole": 0.41, "length": 0.9, "force_mag": 6.5}
KEEP_UP = np.array([0.5, 1.0, 20.0, 4.0])  # push right when this weighted sum of the state is positive


def gymnasium_cartpole(physics: CartPolePhysics):
    env = gym.make("CartPole-v1")
    inner = env.unwrapped
    assert isinstance(inner, CartPoleEnv)
    for name in (*CHANGED, "total_mass", "polemass_length"):
        setattr(inner, name, getattr(physics, name))
    return env, inner


def assert_same_episodes(physics: CartPolePhysics, policy, episodes: int) -> list[int]:
    """Play whole episodes in both; return their lengths."""
    env, inner = gymnasium_cartpole(physics)
    lengths = []
    for episode in range(episodes):
        env.reset(seed=episode)
        state, ended, steps = np.array(inner.state), False, 0
        while not ended:
            action = policy(state)
            _, _, terminated, truncated, _ = env.step(action)
            state = cartpole_step(state, np.array(action), physics)
            steps += 1
            np.testing.assert_allclose(state, np.array(inner.state), rtol=0, atol=1e-12)
            assert bool(fallen(state)) == terminated
            assert truncated == (steps >= 500)
            ended = terminated or truncated
        lengths.append(steps)
    return lengths


@pytest.mark.parametrize("name", [None, *CHANGED])
def test_cartpole_step_equals_gymnasium_over_whole_episodes(name):
    physics = CartPolePhysics() if name is None else CartPolePhysics(**{name: CHANGED[name]})
    rng = np.random.default_rng(0)
    assert min(assert_same_episodes(physics, lambda state: int(rng.integers(2)), episodes=20)) < 30


@pytest.mark.parametrize("name", [None, *CHANGED])
def test_cartpole_step_equals_gymnasium_until_truncation(name):
    physics = CartPolePhysics() if name is None else CartPolePhysics(**{name: CHANGED[name]})
    assert assert_same_episodes(physics, lambda state: int(KEEP_UP @ state > 0), episodes=2) == [500, 500]


def test_derived_constants_follow_a_change():
    longer = dataclasses.replace(CartPolePhysics(), length=1.0, masspole=0.2)
    assert longer.polemass_length == pytest.approx(0.2)
    assert longer.total_mass == pytest.approx(1.2)
    state = np.array([0.0, 0.0, 0.1, 0.5])
    assert not np.allclose(
        cartpole_step(state, np.array(1), longer), cartpole_step(state, np.array(1), CartPolePhysics())
    )


def test_cartpole_step_in_torch_equals_numpy():
    tasks = CartPoleTasks("phys").sample(6, seed=0)
    rng = np.random.default_rng(1)
    state, physics = rng.uniform(-0.2, 0.2, (6, 5, 4)), tasks.physics
    tensors = CartPolePhysics(**{name: torch.from_numpy(value) for name, value in vars(physics).items()})
    twin = torch.from_numpy(state)
    for _ in range(20):
        action = rng.integers(0, 2, (6, 5))
        state = cartpole_step(state, action, physics)
        twin = cartpole_step(twin, torch.from_numpy(action), tensors)
    np.testing.assert_allclose(twin.numpy(), state, rtol=0, atol=1e-12)


def test_cartpole_step_serves_a_batch_as_it_serves_one_state():
    tasks = CartPoleTasks("phys").sample(3, seed=2)
    rng = np.random.default_rng(0)
    state, action = rng.uniform(-0.2, 0.2, (3, 4, 4)), rng.integers(0, 2, (3, 4))
    before = state.copy()
    together = cartpole_step(state, action, tasks.physics)
    for t, e in np.ndindex(3, 4):
        alone = CartPolePhysics(**{name: value[t, 0] for name, value in vars(tasks.physics).items()})
        np.testing.assert_array_equal(together[t, e], cartpole_step(state[t, e], action[t, e], alone))
    np.testing.assert_array_equal(state, before)


@pytest.mark.parametrize("name", ["masscart", "masspole", "length"])
@pytest.mark.parametrize("value", [-1.0, 0.0, np.array([[1.0], [-0.1]])])
def test_a_mass_or_length_that_is_not_positive_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be > 0"):
        CartPolePhysics(**{name: value})


def test_a_constant_that_is_not_a_finite_number_is_refused():
    with pytest.raises(ValueError, match="gravity must be finite"):
        CartPolePhysics(gravity=float("nan"))
    with pytest.raises(TypeError, match="force_mag must be a number"):
        CartPolePhysics(force_mag="strong")


def play_gymnasium(num_envs: int, actions: np.ndarray, start: np.ndarray) -> list[dict]:
    """The obvious twin of BatchedCartPole: one Gymnasium environment after the other, [S, E] actions."""
    episodes = []
    for e in range(num_envs):
        env, inner = gymnasium_cartpole(CartPolePhysics())
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
