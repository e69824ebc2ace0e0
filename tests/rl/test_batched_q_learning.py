"""Hundreds of learners at once, held to the plain agent: bit by bit, in distribution, and by exact values."""

import numpy as np
import pytest

from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.q_learning import QLearningAgent, Transition
from mlearn_utils.rl.schedules import exponential_decay, linear_decay
from mlearn_utils.tasks.gridworld import HORIZON, GridTask, GridTasks, grid_mdp, make_env

TASK = GridTask(size=3, slip=0.2, pits=((1, 1),), reward_noise=0.2)
MDP = grid_mdp(TASK)


def test_fed_the_same_transitions_the_tables_are_the_plain_agents_bit_by_bit():
    rng, n = np.random.default_rng(0), 6
    rates, gammas = rng.uniform(0.05, 1, n), rng.uniform(0, 1, n)
    batch = BatchedQLearner(MDP, task=np.zeros(n, dtype=int), learning_rate=rates, gamma=gammas)
    agents = [
        QLearningAgent(make_env(TASK), learning_rate=float(rate), gamma=float(gamma))
        for rate, gamma in zip(rates, gammas, strict=True)
    ]
    for _ in range(200):
        state, action = rng.integers(9, size=n), rng.integers(4, size=n)
        reached, reward, ended = batch.walks.step(state, action, rng)
        errors = batch.learn(state, action, reward, reached, ended)
        columns = (column.tolist() for column in (state, action, reward, reached, ended))
        for i, row in enumerate(zip(*columns, strict=True)):
            assert agents[i].learn(Transition(*row)) == errors[i]
    np.testing.assert_array_equal(batch.q_tables, [agent.q_table for agent in agents])


def test_curves_and_tables_equal_the_plain_agents_in_distribution():
    """Means over independent learners differ by less than 4.5 standard errors, at every stage of training."""
    episodes = 40
    rate, epsilon = exponential_decay(0.5, 0.1, 40), linear_decay(1.0, 0.1, 30)
    env = make_env(TASK)
    plain_returns, plain_steps, plain_tables = [], [], []
    for seed in range(60):
        agent = QLearningAgent(env, learning_rate=rate, epsilon=epsilon)
        history = agent.train(episodes, seed=seed)
        plain_returns.append([row["return"] for row in history])
        plain_steps.append([row["steps"] for row in history])
        plain_tables.append(agent.q_table)
    batch = BatchedQLearner(MDP, task=np.zeros(1000, dtype=int), learning_rate=rate, epsilon=epsilon)
    rows = batch.train(episodes, seed=0)

    def stages(curves):
        return np.asarray(curves, dtype=float).reshape(-1, 4, episodes // 4).mean(axis=2)

    pairs = [
        (stages(plain_returns), stages(np.transpose([row["return"] for row in rows]))),
        (stages(plain_steps), stages(np.transpose([row["steps"] for row in rows]))),
        (
            np.array(plain_tables)[:, ~MDP.terminal].reshape(60, -1),
            batch.q_tables[:, ~MDP.terminal].reshape(1000, -1),
        ),
    ]
    for plain, batched in pairs:
        error = np.sqrt(plain.var(axis=0, ddof=1) / len(plain) + batched.var(axis=0, ddof=1) / len(batched))
        assert (np.abs(plain.mean(axis=0) - batched.mean(axis=0)) < 4.5 * error).all()
    assert batch.episodes.tolist() == [episodes] * 1000


def test_a_learner_that_has_its_episodes_learns_no_further():
    """Grids of very different length: the short one's table stays what it is while the other goes on."""
    tasks = [grid_mdp(GridTask(size=2, slip=0.0)), grid_mdp(GridTask(size=8, slip=0.0))]
    together = BatchedQLearner(tasks, epsilon=1.0)
    together.train(3, seed=0)
    assert together.episodes.tolist() == [3, 3]
    updates = BatchedQLearner(tasks, epsilon=1.0, learning_rate=1.0, gamma=0.0)
    rows = updates.train(1, seed=0)
    visited = int((updates.q_tables[0] != 0).sum())
    assert visited <= rows[0]["steps"][0] < rows[0]["steps"][1]


def test_returns_and_steps_are_the_episodes_own():
    free = GridTask(size=4, slip=0.0, step_cost=0.5, goal=(0, 1))
    learner = BatchedQLearner(grid_mdp(free), task=np.zeros(50, dtype=int), epsilon=1.0)
    for row in learner.train(5, seed=1):
        arrived = row["steps"] < HORIZON
        np.testing.assert_allclose(row["return"][arrived], 1 - 0.5 * row["steps"][arrived])
        assert (row["steps"] >= 1).all()


def test_horizon_one_truncates_and_bootstraps():
    learner = BatchedQLearner(MDP, task=np.zeros(8, dtype=int), learning_rate=1.0, gamma=0.5, horizon=1)
    learner.q_tables[:] = 2.0
    rows = learner.train(1, seed=0)
    assert (rows[0]["steps"] == 1).all()
    changed = learner.q_tables[:, 0] != 2.0
    assert (changed.sum(axis=1) == 1).all()
    assert learner.q_tables[:, 0][changed].mean() == pytest.approx(1.0, abs=0.5)


def test_training_by_steps_counts_every_episode():
    learner = BatchedQLearner(MDP, task=np.zeros(20, dtype=int), epsilon=0.5)
    rows = learner.train_steps(400, windows=4, seed=0)
    assert [row["steps"] for row in rows] == [100, 200, 300, 400]
    np.testing.assert_array_equal(sum(row["episodes"] for row in rows), learner.episodes)
    assert all(np.isfinite(row["return"]).all() for row in rows)
    lazy = BatchedQLearner(grid_mdp(GridTask(size=8)), epsilon=1.0).train_steps(4, windows=2)
    assert np.isnan(lazy[0]["return"]).all()


def test_greedy_returns_are_exact():
    tasks = GridTasks().sample(12, seed=0)
    mdps = [grid_mdp(task) for task in tasks]
    learner = BatchedQLearner(mdps, task=np.repeat(np.arange(12), 2), epsilon=0.3)
    learner.train_steps(300, seed=0)
    for i, value in enumerate(learner.greedy_returns()):
        mdp = mdps[i // 2]
        q = learner.q_tables[i, : len(mdp.P)]
        best = q == q.max(axis=1, keepdims=True)
        policy = best / best.sum(axis=1, keepdims=True)
        exact = dp.expected_return(mdp.P, mdp.R, policy, mdp.start, horizon=100, terminal=mdp.terminal)
        assert value == pytest.approx(exact, abs=1e-12)


def test_more_learners_than_are_evaluated_at_once():
    learner = BatchedQLearner(MDP, task=np.zeros(1025, dtype=int))
    returns = learner.greedy_returns()
    assert returns.shape == (1025,)
    np.testing.assert_allclose(returns, returns[0])


def test_learners_beat_untrained_ones():
    mdps = [grid_mdp(task) for task in GridTasks("alike").sample(40, seed=1)]
    learner = BatchedQLearner(mdps, learning_rate=0.3, epsilon=linear_decay(1.0, 0.1, 50))
    before = learner.greedy_returns()
    learner.train_steps(3000, seed=0)
    gain = learner.greedy_returns() - before
    assert gain.mean() > 1.2
    assert (gain > 0.5).mean() > 0.8


def test_same_seed_same_numbers():
    runs = [BatchedQLearner(MDP, task=np.zeros(5, dtype=int)) for _ in range(3)]
    for learner, seed in zip(runs, (1, 1, 2), strict=True):
        learner.train_steps(100, seed=seed)
    np.testing.assert_array_equal(runs[0].q_tables, runs[1].q_tables)
    assert (runs[0].q_tables != runs[2].q_tables).any()


def test_a_further_call_with_the_same_seed_or_none_draws_other_numbers():
    def rows(*seeds):
        learner = BatchedQLearner(grid_mdp(GridTask(slip=0.4)), learning_rate=1e-12, epsilon=1.0)
        return [learner.train(1, seed=seed)[0]["steps"].tolist() for seed in seeds]

    assert len({tuple(row) for row in rows(*[3] * 8)}) > 4
    assert rows(3, 3, 3, 3) == rows(3, None, None, 3)
    assert rows(None) == rows(0)
    assert rows(4, 3)[1] == rows(3)[0]
    learner = BatchedQLearner(grid_mdp(GridTask(slip=0.4)), epsilon=1.0)
    first, second = (learner.train_steps(300, windows=1)[0]["return"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"learning_rate": np.array([0.1, 0.0])},
            r"learning_rate must be positive and finite, got \[0.1 0. \]",
        ),
        ({"gamma": np.array([0.1, 1.2])}, r"gamma must be in \[0, 1\], got \[0.1 1.2\]"),
        ({"gamma": np.array([True, False])}, r"gamma must be in \[0, 1\], got \[ True False\]"),
        ({"horizon": 2.5}, "horizon must be at least 1, got 2.5"),
        ({"epsilon": -0.1}, r"epsilon must be in \[0, 1\], got -0.1"),
        ({"epsilon": np.zeros(3)}, r"epsilon has shape \(3,\), expected \(\) or \(2,\)"),
        ({"horizon": 0}, "horizon must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        BatchedQLearner(MDP, task=np.zeros(2, dtype=int), **settings)
