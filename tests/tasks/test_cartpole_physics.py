"""The equations of motion against Gymnasium's, number by number."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from mlearn_utils.tasks.cartpole import CartPolePhysics, CartPoleTasks, cartpole_step, fallen

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
