"""Gymnasium environments as a batch, against the environments themselves and the batched cart-pole."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.wrappers import TimeLimit, TransformReward

from mlearn_utils.rl.gymnasium_batch import GymnasiumBatch, batch_of, check_spaces
from mlearn_utils.rl.rollout import collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTasks


class Corridor(gym.Env):
    """Actions 5, 6, 7: back, stay, forward along seven cells; the last one ends the episode, reward 1."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(0, 6, (1, 1), dtype=np.float32)
        self.action_space = gym.spaces.Discrete(3, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = int(self.np_random.integers(3))
        return self._obs(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.cell = max(self.cell + int(action) - 6, 0)
        return self._obs(), float(self.cell == 6), self.cell == 6, False, {}

    def _obs(self):
        return np.full((1, 1), self.cell, dtype=np.float32)


def test_episodes_end_one_by_one_and_stay_as_they_ended():
    batch = GymnasiumBatch([[Corridor(), Corridor()], [Corridor(), Corridor()]], horizon=8)
    obs = batch.reset(seed=0)
    assert obs.shape == (2, 2, 1)
    assert (batch.num_actions, batch.num_features) == (3, 1)
    start, total = obs.copy(), np.zeros((2, 2))
    forward = np.full((2, 2), 2)
    forward[1, 1] = 1
    lengths, terminated, truncated = np.zeros((2, 2)), None, None
    for _ in range(12):
        lengths += batch.alive
        obs, reward, terminated, truncated, _ = batch.step(forward)
        total += reward
    np.testing.assert_array_equal(total, [[1, 1], [1, 0]])
    np.testing.assert_array_equal(lengths, np.where(forward == 2, 6 - start[..., 0], 8))
    np.testing.assert_array_equal(obs[..., 0], np.where(forward == 2, 6, start[..., 0]))
    np.testing.assert_array_equal(terminated, forward == 2)
    np.testing.assert_array_equal(truncated, forward != 2)


def test_the_same_seed_starts_the_same_episodes_and_each_its_own():
    batch = GymnasiumBatch([[gym.make("Acrobot-v1") for _ in range(4)]])
    first = batch.reset(seed=3)
    np.testing.assert_array_equal(batch.reset(seed=3), first)
    assert len(np.unique(first[0], axis=0)) == 4
    assert batch.horizon == 500


def test_rollouts_equal_those_of_the_batched_cart_pole():
    tasks = CartPoleTasks("dirv")
    sample = tasks.sample(2, seed=0)
    slow = GymnasiumBatch([[tasks.make_env(sample[t], horizon=30) for _ in range(3)] for t in range(2)])
    rollout = collect(slow, lambda obs: 20 * obs[..., 2:3] + 5 * obs[..., 3:], generator=make_generator(0))
    fast = BatchedCartPole(sample, 3, horizon=30)
    fast.reset(seed=0)
    fast._parts = np.ascontiguousarray(rollout.obs[:, 0].permute(2, 0, 1).numpy())
    for s in range(rollout.act.shape[1]):
        np.testing.assert_array_equal(fast.alive, rollout.mask[:, s].numpy() > 0)
        _, reward, terminated, *_ = fast.step(rollout.act[:, s].numpy())
        np.testing.assert_allclose(reward, rollout.reward[:, s].numpy(), atol=1e-4)
        np.testing.assert_array_equal(
            terminated & (rollout.mask[:, s].numpy() > 0), rollout.terminated[:, s] > 0
        )
    assert rollout.act.shape[1] == 30


def test_a_plain_cart_pole_becomes_the_batched_one_with_its_own_physics_and_horizon():
    env = gym.make("CartPole-v1", max_episode_steps=70)
    inner = env.unwrapped
    assert isinstance(inner, CartPoleEnv)
    inner.length, inner.polemass_length = 0.8, inner.masspole * 0.8
    batch = batch_of(env, 5)
    assert isinstance(batch, BatchedCartPole)
    assert (batch.num_tasks, batch.num_envs, batch.horizon) == (1, 5, 70)
    assert batch.tasks.physics.length.item() == 0.8
    ours = batch_of(CartPoleTasks("dir").make_env(CartPoleTasks("dir").sample(1, seed=0), horizon=33), 2)
    assert isinstance(ours, BatchedCartPole)
    assert (ours.tasks.family, ours.horizon) == ("dir", 33)


def with_stale_constants() -> gym.Env:
    env = gym.make("CartPole-v1")
    env.unwrapped.length = 0.8  # pyright: ignore[reportAttributeAccessIssue]
    return env


@pytest.mark.parametrize(
    "env",
    [
        TransformReward(gym.make("CartPole-v1"), lambda reward: 2 * float(reward)),
        gym.make("CartPole-v1", sutton_barto_reward=True),
        TimeLimit(Corridor(), 9),
        CartPoleEnv(),
        with_stale_constants(),
    ],
    ids=["wrapped", "other reward", "other environment", "no time limit", "stale constants"],
)
def test_everything_else_is_copied_and_left_alone(env):
    batch = batch_of(env, 2)
    assert isinstance(batch, GymnasiumBatch)
    batch.reset(seed=0)
    batch.step(np.zeros((1, 2), dtype=int))
    assert env.unwrapped not in [copy.unwrapped for copy in batch._envs]


def test_an_environment_without_a_time_limit_gets_one():
    assert GymnasiumBatch([[Corridor()]]).horizon == 1000


@pytest.mark.parametrize("id", ["Pendulum-v1", "FrozenLake-v1"])
def test_spaces_of_another_kind_are_named(id):
    with pytest.raises(TypeError, match=r"env must have (Discrete actions|Box observations), got"):
        check_spaces(gym.make(id))


@pytest.mark.parametrize("space", [gym.spaces.Tuple([]), gym.spaces.Dict({}), gym.spaces.MultiBinary(3)])
def test_composed_observations_are_named(space):
    env = Corridor()
    env.observation_space = space
    with pytest.raises(TypeError, match="env must have Box observations"):
        batch_of(env, 1)


class Holder(Corridor):
    """An environment with something in it that cannot be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle 'pygame.surface.Surface' object")


def test_bad_tables_of_environments_are_named():
    one = Corridor()
    with pytest.raises(ValueError, match="the same environment twice"):
        GymnasiumBatch([[one, one]])
    with pytest.raises(ValueError, match=r"envs must be T >= 1 rows of E >= 1 each, got rows of \[1, 2\]"):
        GymnasiumBatch([[one], [Corridor(), Corridor()]])
    with pytest.raises(ValueError, match="envs must have the same spaces"):
        GymnasiumBatch([[one, gym.make("Acrobot-v1")]])
    with pytest.raises(ValueError, match="horizon must be an integer >= 1, got 0"):
        GymnasiumBatch([[one]], horizon=0)
    with pytest.raises(TypeError, match="env must be a Gymnasium environment"):
        batch_of("CartPole-v1", 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="env must be an environment that can be copied"):
        batch_of(Holder(), 2)
