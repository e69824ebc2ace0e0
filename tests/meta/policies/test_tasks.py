"""What an agent can be given to learn from: families, plain cart-poles, a user's own, and what is refused."""

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from mlearn_utils import CartPoleTasks, MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.tasks import find_family, make_batch
from mlearn_utils.rl.gymnasium_batch import GymnasiumBatch
from mlearn_utils.tasks.cartpole import ENV_ID, BatchedCartPole, CartPolePhysics, CartPoleTask


class Lever(gym.Env):
    """Four pulls at one of three levers, one of which is paid; the observation says what was paid last."""

    def __init__(self, paid: int):
        self.observation_space = gym.spaces.Box(-1, 1, (4,), dtype=np.float32)
        self.action_space = gym.spaces.Discrete(3)
        self.paid = paid

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.pulls = 0
        return np.zeros(4, dtype=np.float32), {}

    def step(self, action: int):
        self.pulls += 1
        reward = float(action == self.paid)
        seen = np.array([*np.eye(3)[action], reward], dtype=np.float32)
        return seen, reward, self.pulls == 4, False, {}


class LeverTasks:
    """A user's own family: which lever is paid."""

    def sample(self, n_tasks: int, *, seed: int) -> list[int]:
        return np.random.default_rng(seed).integers(3, size=n_tasks).tolist()

    def make_env(self, task: int) -> gym.Env:
        return Lever(task)


def test_a_family_of_ones_own_trains():
    """A random pull is paid 4/3 an episode; one inner step has to find the paid lever."""
    config = MAMLConfig(tasks=8, episodes=8, horizon=4, iterations=25, inner_lr=5.0, hidden=8)
    agent = MAMLAgent(LeverTasks(), config, device="cpu")
    agent.train(progress=False)
    before, after = agent.evaluate(LeverTasks().sample(30, seed=99), steps=1).mean(axis=1)
    assert before < 2.0
    assert after > 2.7


def test_the_scale_of_its_observations_is_measured_and_saved(tmp_path):
    config = MAMLConfig(tasks=4, episodes=4, horizon=4, iterations=1, hidden=4)
    agent = MAMLAgent(LeverTasks(), config, device="cpu")
    assert (agent.scale > 0).all()
    assert (agent.scale < 1).all()  # zeros and ones deviate by at most a half
    agent.scale = 2 * agent.scale
    agent.save(tmp_path / "agent.safetensors")
    loaded = MAMLAgent.load(tmp_path / "agent.safetensors", LeverTasks(), device="cpu")
    assert torch.equal(loaded.scale, agent.scale)
    with pytest.raises(ValueError, match="trained on LeverTasks"):
        MAMLAgent.load(tmp_path / "agent.safetensors", CartPoleTasks("dirv"))


def test_a_family_of_ones_own_becomes_environments():
    batch = make_batch(LeverTasks(), [0, 2], 3, horizon=2, device=torch.device("cpu"))
    assert isinstance(batch, GymnasiumBatch)
    assert (batch.num_tasks, batch.num_envs, batch.num_actions, batch.horizon) == (2, 3, 3, 2)


def test_cart_poles_are_batched():
    family = CartPoleTasks("dir")
    batch = make_batch(family, family.sample(2, seed=0), 3, horizon=7, device=torch.device("cpu"))
    assert isinstance(batch, BatchedCartPole)
    assert (batch.num_tasks, batch.num_envs, batch.horizon, batch.device) == (2, 3, 7, None)


@pytest.mark.parametrize("make", [lambda: "CartPole-v1", lambda: gym.make("CartPole-v1")])
def test_a_plain_cart_pole_becomes_the_default_family_with_one_warning(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        agent = MAMLAgent(make(), device="cpu")
    assert len(caught) == 1
    assert "one task" in str(caught[0].message)
    assert "CartPoleTasks('dirv')" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert isinstance(agent.family, CartPoleTasks)
    assert agent.family.family == "dirv"


def test_the_physics_of_a_plain_cart_pole_are_kept():
    env = gym.make("CartPole-v1")
    pole: Any = env.unwrapped
    pole.length, pole.polemass_length = 0.8, 0.8 * pole.masspole
    with pytest.warns(UserWarning, match="one task"):
        family = find_family(env)
    physics = family.sample(3, seed=0).physics
    assert np.array_equal(physics.length, np.full((3, 1), 0.8))
    assert np.array_equal(physics.gravity, np.full((3, 1), 9.8))


def test_one_task_of_a_family_becomes_that_family():
    env = gym.make(ENV_ID, task=CartPoleTask("goalv", CartPolePhysics(gravity=5.0), [0.3]))
    with pytest.warns(UserWarning, match="'goalv'"):
        family = find_family(env)
    assert family.sample(1, seed=0).physics.gravity == 5.0


def test_physics_that_the_family_varies_still_vary():
    tasks = CartPoleTasks("dir", physics=CartPolePhysics(length=2.0, gravity=3.0)).sample(50, seed=0)
    assert tasks.physics.length.max() < 0.8 + 1e-9
    assert np.array_equal(tasks.physics.gravity, np.full((50, 1), 3.0))


class Continuous(LeverTasks):
    """Its environments have continuous actions."""

    def make_env(self, task: int) -> gym.Env:
        return gym.make("Pendulum-v1")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Acrobot-v1", "is a single task"),
        ("Pendulum-v1", "Discrete actions"),
        (Continuous(), "Discrete actions"),
        (3, "sample"),
        (object(), "make_env"),
    ],
)
def test_what_is_no_family_is_refused(env, message):
    with pytest.raises(TypeError, match=message):
        MAMLAgent(env)


def test_a_cart_pole_with_rules_of_its_own_is_refused():
    env = gym.make("CartPole-v1")
    rules: Any = env.unwrapped
    rules.tau = 0.01
    with pytest.raises(TypeError, match="Gymnasium's rules"):
        MAMLAgent(env)


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="family"):
        CartPoleTasks("wind")
