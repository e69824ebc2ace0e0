"""What an agent can be given to learn from: families, plain cart-poles, a user's own, and what is refused."""

import dataclasses
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from mlearn_utils import CartPoleTasks, MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import ToldTasks
from mlearn_utils.meta.policies.tasks import family_name, find_family, make_batch
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


class Short(CartPoleTasks):
    """Cart-poles with a batch of their own, cut off after two steps."""

    observation_scale = (1.0, 2.0, 3.0, 4.0)
    asked = 0

    def make_batch(self, tasks, num_envs, *, horizon=100, device=None):
        self.asked += 1
        return super().make_batch(tasks, num_envs, horizon=min(horizon, 2), device=device)


def test_a_subclass_of_cart_poles_is_asked_for_its_own_batch_and_scale():
    family = Short("dirv")
    agent = MAMLAgent(family, MAMLConfig(tasks=2, episodes=3, horizon=50, iterations=1), device="cpu")
    assert agent.scale.tolist() == [1.0, 2.0, 3.0, 4.0]
    before = family.asked
    assert agent.train(progress=False)[0]["steps"] == 2 * 3 * 2 * 2  # tasks, episodes, cut to 2 steps, twice
    assert family.asked == before + 1
    assert repr(family) == "Short('dirv')"


@pytest.mark.parametrize("scale", [(1.0, 1.0), (1.0, 1.0, 0.0, 1.0), (1.0, 1.0, float("nan"), 1.0), 2.0])
def test_a_scale_of_other_features_or_with_zeros_is_refused(scale):
    family = CartPoleTasks("dirv")
    family.observation_scale = scale
    with pytest.raises(ValueError, match="observation_scale must be 4 finite numbers > 0, got"):
        MAMLAgent(family, device="cpu")


LONG = CartPolePhysics(length=0.9)


@pytest.mark.parametrize(
    ("trained", "given", "named"),
    [
        (
            CartPoleTasks("dirv"),
            CartPoleTasks("dirv", physics=LONG),
            r"physics=CartPolePhysics\(length=0.9\)",
        ),
        (
            CartPoleTasks("dirv", physics=LONG),
            CartPoleTasks("dirv"),
            r"physics=CartPolePhysics\(length=0.9\)",
        ),
        (CartPoleTasks("dirv"), Short("dirv"), "Short"),
        (ToldTasks("dirv"), ToldTasks("goalv"), "goalv"),
    ],
    ids=["other physics", "usual physics", "a subclass", "told of another"],
)
def test_a_checkpoint_of_another_family_is_refused(tmp_path, trained, given, named):
    path = tmp_path / "agent.safetensors"
    config = MAMLConfig(tasks=2, episodes=2, horizon=4, hidden=3)
    MAMLAgent(trained, config, device="cpu").save(path)
    with pytest.raises(ValueError, match=rf"^env: .* was trained on .*{named}"):
        MAMLAgent.load(path, given, device="cpu")
    assert MAMLAgent.load(path, trained, device="cpu").config == config


def test_the_physics_of_every_spelling_have_one_name():
    usual = CartPoleTasks(
        "dir", physics=CartPolePhysics(np.array(9.8), masscart=1, length=np.full((3, 1), 0.5))
    )
    assert repr(usual) == repr(CartPoleTasks("dir")) == "CartPoleTasks('dir')"
    whole, exact = (CartPoleTasks("dir", physics=CartPolePhysics(length=length)) for length in (1, 1.0))
    assert repr(whole) == repr(exact) == "CartPoleTasks('dir', physics=CartPolePhysics(length=1.0))"


@dataclasses.dataclass
class PaidLevers(LeverTasks):
    """A family with a repr, which shows how much a pull is paid and an object without a repr of its own."""

    paid: float = 1.0
    other: object = dataclasses.field(default_factory=object)


def test_a_family_of_ones_own_is_known_by_its_repr_but_for_addresses(tmp_path):
    assert family_name(LeverTasks()) == "LeverTasks"
    assert family_name(PaidLevers(2.0)) == "PaidLevers(paid=2.0, other=<object object>)"
    config = MAMLConfig(tasks=2, episodes=2, horizon=4, hidden=3)
    MAMLAgent(PaidLevers(2.0), config, device="cpu").save(tmp_path / "agent.safetensors")
    MAMLAgent.load(tmp_path / "agent.safetensors", PaidLevers(2.0), device="cpu")
    with pytest.raises(ValueError, match=r"trained on PaidLevers\(paid=2.0.*got PaidLevers\(paid=3.0"):
        MAMLAgent.load(tmp_path / "agent.safetensors", PaidLevers(3.0), device="cpu")


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


class Grid(LeverTasks):
    """Its environments have several discrete actions at once."""

    def make_env(self, task: int) -> gym.Env:
        env = gym.make("CartPole-v1")
        env.action_space = gym.spaces.MultiDiscrete([2, 2])
        return env


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Acrobot-v1", "is a single task"),
        ("Pendulum-v1", "is a single task"),
        (Grid(), "Discrete actions or a Box of one axis"),
        (LeverTasks, "methods sample"),
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
