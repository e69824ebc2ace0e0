"""The agents: what they learn, what they refuse, and the rules that are easy to get wrong."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.rl.q_learning import QLearningAgent, SarsaAgent, Transition
from mlearn_utils.rl.schedules import exponential_decay, linear_decay
from mlearn_utils.tasks.gridworld import GridTask, grid_mdp, make_env
from tests.tasks.toy_text import read_table


class Scripted(gym.Env[Any, Any]):
    """Replays `script`, rows of (observation, reward, terminated, truncated), whatever the action."""

    def __init__(self, script, *, observations=None, actions=None, first=0):
        self.observation_space = observations or spaces.Discrete(5)
        self.action_space = actions or spaces.Discrete(2)
        self.script, self.first, self.actions, self.seeds = script, first, [], []

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        self.steps = 0
        return self.first, {}

    def step(self, action):
        self.actions.append(action)
        self.steps += 1
        return *self.script[self.steps - 1], {}


def greedy_return(agent, mdp, horizon=100):
    """Return the exact expected return of the agent's greedy policy, ties broken at random."""
    best = agent.q_table == agent.q_table.max(axis=1, keepdims=True)
    policy = best / best.sum(axis=1, keepdims=True)
    return dp.expected_return(mdp.P, mdp.R, policy, mdp.start, horizon=horizon, terminal=mdp.terminal)


# What it learns: each against a named baseline, on few seeds (the benchmark runs ten).


def test_frozen_lake_beats_the_random_policy_by_far():
    env = gym.make("FrozenLake-v1")
    lake = read_table(env)
    uniform = np.full((16, 4), 0.25)
    baseline = dp.expected_return(lake.P, lake.R, uniform, lake.start, horizon=100, terminal=lake.terminal)
    agent = QLearningAgent(env, learning_rate=exponential_decay(0.5, 0.01, 1200))
    agent.train(1200, seed=0)
    assert greedy_return(agent, lake) > 0.55 > 30 * baseline
    assert agent.evaluate(50, seed=1).mean() > 0.35


@pytest.mark.parametrize("seed", [0, 1])
def test_q_learning_walks_along_the_cliff_and_sarsa_keeps_away_from_it(seed):
    bold, careful = (
        kind(gym.make("CliffWalking-v1"), learning_rate=0.2, epsilon=0.1, gamma=1.0)
        for kind in (QLearningAgent, SarsaAgent)
    )
    falls = [
        np.mean([row["return"] <= -100 for row in agent.train(500, seed=seed)[300:]])
        for agent in (bold, careful)
    ]
    assert bold.evaluate(1).tolist() == [-13]
    assert -25 < careful.evaluate(1)[0] < -13
    assert falls[0] > falls[1] + 0.1


def test_cart_pole_just_works_and_beats_random_actions():
    agent = QLearningAgent(
        gym.make("CartPole-v1"),
        learning_rate=exponential_decay(0.5, 0.05, 250),
        epsilon=linear_decay(1.0, 0.05, 150),
    )
    history = agent.train(250, seed=0)
    assert isinstance(agent.discretizer, Discretizer)
    random_return = np.mean([row["return"] for row in history[:20]])
    assert agent.evaluate(20, seed=1).mean() > 2 * random_return


def test_taxi_delivers_most_passengers():
    agent = QLearningAgent(gym.make("Taxi-v4"), learning_rate=0.5, epsilon=0.1)
    agent.train(500, seed=0)
    delivered = agent.evaluate(30, seed=1, max_steps=200) > 0
    assert delivered.mean() > 0.5  # random actions deliver hardly ever within 200 steps


def test_a_noisy_grid_is_learned_past_its_trap():
    task = GridTask(size=4, slip=0.1, pits=((1, 1),), trap=(0, 2), trap_reward=0.2, reward_noise=0.1)
    agent = QLearningAgent(
        make_env(task), learning_rate=exponential_decay(0.5, 0.05, 800), epsilon=linear_decay(1.0, 0.1, 400)
    )
    agent.train(800, seed=0)
    assert greedy_return(agent, grid_mdp(task)) > 0.6  # the best policy earns 0.82, the trap at most 0.2


def test_replay_learns_more_from_the_same_steps():
    task = GridTask(size=5, slip=0.0)
    steps = {}
    for replay in (0, 10):
        histories = [
            QLearningAgent(make_env(task), learning_rate=0.1, epsilon=0.1, replay=replay).train(20, seed=seed)
            for seed in range(3)
        ]
        steps[replay] = np.mean([row["steps"] for history in histories for row in history[5:]])
    assert steps[10] < 0.5 * steps[0]


# The rules.


def test_a_terminated_step_bootstraps_nothing_and_a_truncated_one_does():
    for terminated, target in ((True, 1.0), (False, 1.0 + 0.9 * 10.0)):
        agent = QLearningAgent(Scripted([(3, 1.0, terminated, not terminated)]), learning_rate=1.0, gamma=0.9)
        agent.q_table[3] = 10.0
        agent.train(1)
        assert agent.q_table[0].max() == pytest.approx(target)


def test_the_action_is_chosen_after_the_update():
    """State 0 leads to itself: after a loss the greedy action of the updated row is the other one."""
    env = Scripted([(0, -1.0, False, False), (0, -1.0, False, False), (0, -1.0, True, False)])
    agent = QLearningAgent(env, learning_rate=1.0, gamma=0.0, epsilon=0.0)
    agent.q_table[0] = [0.5, 0.0]
    agent.train(1)
    assert env.actions[:2] == [0, 1]


def test_sarsa_learns_from_the_action_that_it_then_takes():
    env = Scripted([(1, 0.0, False, False), (2, 0.0, True, False)])
    agent = SarsaAgent(env, learning_rate=1.0, gamma=1.0, epsilon=1.0)
    agent.q_table[1] = [3.0, 7.0]
    agent.train(1)
    assert agent.q_table[0, env.actions[0]] == [3.0, 7.0][env.actions[1]]


def test_learn_updates_one_entry_and_returns_the_error():
    agent = QLearningAgent(Scripted([]), learning_rate=0.5, gamma=0.9)
    agent.q_table[:] = np.arange(10.0).reshape(5, 2)
    before = agent.q_table.copy()
    assert agent.learn(Transition(1, 0, 2.0, 4, False)) == pytest.approx(2 + 0.9 * 9 - 2)
    assert agent.q_table[1, 0] == pytest.approx(2 + 0.5 * 8.1)
    agent.q_table[1, 0] = before[1, 0]
    np.testing.assert_array_equal(agent.q_table, before)


def test_spaces_that_do_not_start_at_zero():
    env = Scripted(
        [(6, 1.0, True, False)],
        observations=spaces.Discrete(3, start=5),
        actions=spaces.Discrete(2, start=7),
        first=5,
    )
    agent = QLearningAgent(env, epsilon=1.0)
    agent.train(20)
    assert set(env.actions) == {7, 8}
    assert agent.act(5) in {7, 8}
    assert agent.q_table.shape == (3, 2)
    assert (agent.q_table[0] > 0).all()


def test_same_seed_same_numbers_and_another_seed_others():
    tables = [QLearningAgent(make_env(GridTask())) for _ in range(3)]
    histories = [agent.train(20, seed=seed) for agent, seed in zip(tables, (1, 1, 2), strict=True)]
    assert histories[0] == histories[1]
    np.testing.assert_array_equal(tables[0].q_table, tables[1].q_table)
    assert histories[0] != histories[2]


def test_training_goes_on_where_it_stopped():
    agent = QLearningAgent(make_env(GridTask(size=3)), epsilon=linear_decay(1.0, 0.0, 10))
    history = agent.train(4, seed=0) + agent.train(4, seed=1)
    assert [row["episode"] for row in history] == list(range(8))
    np.testing.assert_allclose([row["epsilon"] for row in history], 1 - np.arange(8) / 10)
    assert agent.episodes == 8


@pytest.mark.parametrize("kind", [QLearningAgent, SarsaAgent])
@pytest.mark.parametrize("seed", [None, 0, 3])
def test_training_in_parts_is_the_same_training(kind, seed):
    """The random numbers go on, too: those of the slippery lake, of exploration and of replay."""
    whole, parts = (kind(gym.make("FrozenLake-v1"), replay=2) for _ in range(2))
    history = whole.train(40, seed=seed)
    rows = parts.train(7, seed=seed) + parts.train(1)
    parts.evaluate(20, seed=9)
    rows += parts.train(12, seed=seed)
    parts.evaluate(20, seed=9)
    assert rows + parts.train(20) == history
    np.testing.assert_array_equal(parts.q_table, whole.q_table)
    assert len({(row["return"], row["steps"]) for row in history}) > 5


def test_another_seed_is_another_stream_and_the_first_one_begins_anew():
    agent = QLearningAgent(gym.make("FrozenLake-v1"), learning_rate=1e-12)
    steps = {}
    for name, seed in (("three", 3), ("four", 4), ("three again", 3), ("gone on", None)):
        steps[name] = [row["steps"] for row in agent.train(10, seed=seed)]
        agent.episodes, agent.q_table[:] = 0, 0.0
    assert steps["three"] == steps["three again"]
    assert steps["three"] != steps["four"]
    assert steps["gone on"] not in (steps["three"], steps["four"])


def test_evaluation_learns_nothing_and_is_cut():
    agent = QLearningAgent(gym.make("CliffWalking-v1"))
    agent.q_table[:, 0] = 1.0  # always up: never arrives
    before = agent.q_table.copy()
    assert agent.evaluate(2, max_steps=30).tolist() == [-30, -30]
    np.testing.assert_array_equal(agent.q_table, before)


def test_greedy_actions_break_ties_at_random():
    agent = QLearningAgent(make_env(GridTask()))
    assert {agent.act(0, greedy=True) for _ in range(100)} == {0, 1, 2, 3}
    agent.q_table[0, 2] = 1.0
    assert {agent.act(0, greedy=True) for _ in range(100)} == {2}


def test_numbers_of_numpy_are_numbers():
    numbers: Any = {"gamma": np.float32(0.5), "epsilon": np.float32(0.25), "replay": np.int64(2)}
    own = QLearningAgent(make_env(GridTask()), gamma=0.5, epsilon=0.25, replay=2)
    theirs = QLearningAgent(make_env(GridTask()), **numbers)
    assert own.train(5, seed=3) == theirs.train(5, seed=3)


# Bad input.


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_stops_training_and_keeps_what_was_learned(reward):
    env = Scripted([(1, 1.0, False, False), (2, reward, True, False)])
    agent = QLearningAgent(env, learning_rate=1.0)
    with pytest.raises(
        ValueError, match=rf"env returned the reward {reward} at step 2 of episode 0, expected a finite"
    ):
        agent.train(3)
    assert agent.q_table[0].max() == 1.0
    assert np.isfinite(agent.q_table).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be positive and finite, got 0"),
        ({"learning_rate": -0.1}, "learning_rate must be positive and finite, got -0.1"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive and finite, got nan"),
        ({"learning_rate": True}, "learning_rate must be positive and finite, got True"),
        ({"learning_rate": lambda episode: -1.0}, "learning_rate must be positive and finite, got -1.0"),
        ({"gamma": 1.01}, r"gamma must be in \[0, 1\], got 1.01"),
        ({"gamma": -0.1}, r"gamma must be in \[0, 1\], got -0.1"),
        ({"gamma": True}, r"gamma must be in \[0, 1\], got True"),
        ({"gamma": np.array([0.5])}, r"gamma must be in \[0, 1\], got array"),
        ({"epsilon": False}, r"epsilon must be in \[0, 1\], got False"),
        ({"epsilon": 1.5}, r"epsilon must be in \[0, 1\], got 1.5"),
        ({"epsilon": float("nan")}, r"epsilon must be in \[0, 1\], got nan"),
        ({"replay": -1}, "replay must be a number of transitions >= 0, got -1"),
        ({"replay": 1.5}, "replay must be a number of transitions >= 0, got 1.5"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        QLearningAgent(Scripted([]), **settings)


def test_a_schedule_that_leaves_its_range_is_refused_when_it_does():
    agent = QLearningAgent(Scripted([(1, 0.0, True, False)]), epsilon=lambda episode: 0.5 + episode)
    with pytest.raises(ValueError, match=r"epsilon must be in \[0, 1\], got 1.5"):
        agent.train(2)
    assert agent.episodes == 1


BOX = spaces.Box(-1.0, 1.0, (2,))


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("CartPole-v1", "env must be a Gymnasium environment, such as .*, got 'CartPole-v1'"),
        (Scripted([], actions=BOX), "env must have Discrete actions, got the action space Box"),
        (
            Scripted([], observations=spaces.Tuple((BOX,))),
            "env must have Discrete or Box observations, got Tuple",
        ),
        (
            Scripted([], observations=spaces.Dict(x=BOX)),
            "env must have Discrete or Box observations, got Dict",
        ),
    ],
)
def test_environments_that_no_table_can_serve_are_refused_by_name(env, message):
    with pytest.raises(TypeError, match=message):
        QLearningAgent(env)


class _Broken(gym.Env):
    """Returns what `step` makes of a good result."""

    observation_space, action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(2)

    def __init__(self, change):
        self.change = change

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return self.change((1, 1.0, True, False, {}))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r: r[:4], TypeError, r"env.step must return .* got 4 values"),
        (lambda r: (r[0], np.array([1.0]), *r[2:]), TypeError, "env.step must return a number as reward"),
        (lambda r: (r[0], float("nan"), *r[2:]), ValueError, "env returned the reward nan"),
        (lambda r: (r[0], np.float32(1.0), *r[2:]), None, ""),
        (lambda r: (r[0], np.array(1.0), *r[2:]), None, ""),
    ],
)
def test_what_an_environment_returns_is_checked_in_words(change, error, message):
    agent = QLearningAgent(_Broken(change))
    if error is None:
        assert agent.train(1)[0]["return"] == 1.0
        return
    with pytest.raises(error, match=message):
        agent.train(1)


def test_a_reset_without_seed_is_named():
    class Old(_Broken):
        def reset(self):  # pyright: ignore[reportIncompatibleMethodOverride]
            return 0, {}

    with pytest.raises(TypeError, match=r"env\.reset must take seed="):
        QLearningAgent(Old(lambda r: r)).train(1)


def test_any_observations_will_do_with_a_discretizer_of_ones_own():
    class Sums:
        n_states = 32

        def __call__(self, observation):
            return int(observation[0])

    agent = QLearningAgent(gym.make("Blackjack-v1"), discretizer=Sums())  # pyright: ignore[reportArgumentType]
    agent.train(50)
    assert agent.q_table.any()
    with pytest.raises(TypeError, match="env must have Discrete or Box observations, got Tuple"):
        QLearningAgent(gym.make("Blackjack-v1"))
