"""The agent: it learns, it goes on, it says what is wrong."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import TimeLimit

from mlearn_utils.rl import policy_gradient
from mlearn_utils.rl.policy_gradient import PolicyGradientAgent
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTask, CartPoleTasks


class Signal(gym.Env):
    """Three actions; the observation names the one that is paid, five times an episode.

    `break_at` makes the reward NaN at that step of the environment's life.
    """

    def __init__(self, break_at: int = -1):
        self.observation_space = gym.spaces.Box(0, 1, (3,), dtype=np.float32)
        self.action_space = gym.spaces.Discrete(3, start=1)
        self.break_at, self.age = break_at, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._show(), {}

    def step(self, action):
        reward = float("nan") if self.age == self.break_at else float(action == self.paid + 1)
        self.age += 1
        return self._show(), reward, False, False, {}

    def _show(self):
        self.paid = int(self.np_random.integers(3))
        return np.eye(3, dtype=np.float32)[self.paid]


def signal(break_at: int = -1) -> gym.Env:
    return TimeLimit(Signal(break_at), 5)


def test_it_learns_cart_pole():
    """A fair coin holds the pole for about 22 steps; 25 iterations are less than half of the default."""
    agent = PolicyGradientAgent("CartPole-v1", seed=3)
    before = agent.history
    history = agent.train(25, seed=3)
    assert history[0]["return"] < 35
    assert agent.evaluate(100, seed=1).mean() > 200
    assert before == history
    assert [row["iteration"] for row in history] == list(range(25))
    assert history[-1]["steps"] == pytest.approx(16 * sum(row["length"] for row in history))
    assert history[-1]["entropy"] < history[0]["entropy"] == pytest.approx(np.log(2), abs=1e-3)


def test_it_learns_a_hidden_reward_and_starts_anew_from_there():
    tasks = CartPoleTasks("dir")
    right, left = (CartPoleTask("dir", target=[d]) for d in (1.0, -1.0))
    agent = PolicyGradientAgent(tasks.make_env(right, horizon=50), seed=0)
    untrained = agent.evaluate(50).mean()
    agent.train(20, seed=0)
    assert agent.evaluate(50).mean() > untrained + 10
    moved = agent.transfer(tasks.make_env(left, horizon=50))
    np.testing.assert_array_equal(
        moved.act(np.array([0.0, 0.5, 0.1, 0.2]), greedy=True),
        agent.act(np.array([0.0, 0.5, 0.1, 0.2]), greedy=True),
    )
    kept = {name: value.clone() for name, value in agent.params.items()}
    moved.train(2, seed=1)
    assert all(torch.equal(kept[name], agent.params[name]) for name in kept)
    assert not torch.equal(moved.params["0.weight"], kept["0.weight"])


def test_it_learns_any_environment_with_boxes_and_discrete_actions():
    agent = PolicyGradientAgent(signal(), seed=0, episodes=20)
    assert agent.train(1)[0]["return"] < 3  # chance: 5/3
    agent.train(30, seed=1)
    assert agent.evaluate(20).mean() > 4.9
    assert [agent.act(row, greedy=True) for row in np.eye(3)] == [1, 2, 3]


def test_the_same_seed_gives_the_same_run():
    runs = [
        PolicyGradientAgent("CartPole-v1", seed=s).train(2, seed=t)
        for s, t in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0] != runs[3]


def test_numbers_of_numpy_are_numbers():
    numbers: Any = {"learning_rate": np.float32(0.05), "gamma": np.float32(0.75), "lam": np.float64(0.5)}
    counts: Any = {"hidden": np.int64(5), "episodes": np.int32(3)}
    own, theirs = (
        PolicyGradientAgent(signal(), **{name: get(value) for name, value in (numbers | counts).items()})
        for get in (lambda value: value.item(), lambda value: value)
    )
    call: Any = {"iterations": np.int64(2), "seed": np.uint8(1)}
    assert own.train(2, seed=1) == theirs.train(**call)


def test_a_further_call_of_train_goes_on():
    whole, halves = (PolicyGradientAgent(signal(), seed=0) for _ in range(2))
    whole.train(4, seed=0)
    first, second = halves.train(2, seed=0), halves.train(2, seed=1)
    assert first == whole.history[:2]
    assert [row["iteration"] for row in second] == [2, 3]
    assert second[0]["steps"] > first[-1]["steps"]


def test_a_further_call_with_the_same_seed_or_none_goes_on_in_its_stream():
    whole, parts, again = (PolicyGradientAgent(signal(), seed=0, episodes=3) for _ in range(3))
    whole.train(4, seed=3)
    parts.train(1, seed=3)
    parts.train(1, seed=3)
    parts.evaluate(5, seed=0)
    parts.train(2)
    assert parts.history == whole.history
    for name, value in parts.params.items():
        assert torch.equal(value, whole.params[name])
    assert again.train(2) == PolicyGradientAgent(signal(), seed=0, episodes=3).train(2, seed=0)
    with pytest.raises(ValueError, match="seed must be an integer >= 0, got -1"):
        again.train(1, seed=-1)


def test_actions_are_sampled_unless_greedy():
    agent = PolicyGradientAgent("CartPole-v1", seed=0)
    obs = np.zeros(4, dtype=np.float32)
    actions = [agent.act(obs) for _ in range(200)]
    assert 60 < sum(actions) < 140  # the untrained policy is a fair coin
    assert len({agent.act(obs, greedy=True) for _ in range(20)}) == 1


def test_evaluation_is_greedy():
    agent = PolicyGradientAgent("CartPole-v1", seed=0)
    agent.params["2.weight"].data.zero_()
    agent.params["2.bias"].data.fill_(0.01)  # almost a coin, but greedily always to the right
    returns = agent.evaluate(50)
    assert returns.shape == (50,)
    assert returns.max() <= 11


def test_the_environment_itself_is_not_touched():
    env = signal()
    agent = PolicyGradientAgent(env)
    agent.train(1)
    assert isinstance(env.unwrapped, Signal)
    assert env.unwrapped.age == 0


def test_a_reward_that_is_not_finite_stops_training_and_keeps_what_was_learnt():
    agent = PolicyGradientAgent(
        signal(break_at=13), seed=0
    )  # one batch for the scale, then the second update
    with pytest.raises(ValueError, match="reward must be finite, got nan at step 3 of an episode"):
        agent.train(10, seed=0)
    assert len(agent.history) == 1
    twin = PolicyGradientAgent(signal(), seed=0)
    twin.train(1, seed=0)
    for name, value in agent.params.items():
        assert torch.equal(value, twin.params[name])


def test_the_names_of_the_module_are_there():
    assert all(hasattr(policy_gradient, name) for name in policy_gradient.__all__)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"gamma": 1.01}, r"gamma must be in \[0, 1\]"),
        ({"gamma": float("nan")}, r"gamma must be in \[0, 1\]"),
        ({"lam": -0.1}, r"lam must be in \[0, 1\]"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be > 0"),
        ({"learning_rate": True}, "learning_rate must be > 0"),
        ({"gamma": True}, r"gamma must be in \[0, 1\]"),
        ({"hidden": 0}, "hidden must be an integer >= 1"),
        ({"episodes": 2.5}, "episodes must be an integer >= 1"),
    ],
)
def test_bad_numbers_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        PolicyGradientAgent("CartPole-v1", **arguments)


def test_bad_environments_and_calls_are_named():
    with pytest.raises(TypeError, match=r"env must have Box observations, got Tuple"):
        PolicyGradientAgent("Blackjack-v1")
    with pytest.raises(TypeError, match="env must be a Gymnasium environment"):
        PolicyGradientAgent(BatchedCartPole())  # pyright: ignore[reportArgumentType]
    agent = PolicyGradientAgent("CartPole-v1")
    with pytest.raises(ValueError, match="iterations must be an integer >= 1, got 0"):
        agent.train(0)
    with pytest.raises(ValueError, match="episodes must be an integer >= 1"):
        agent.evaluate(-1)
    with pytest.raises(ValueError, match="env must have 4 features and 2 actions, got 3 and 3"):
        agent.transfer(signal())
