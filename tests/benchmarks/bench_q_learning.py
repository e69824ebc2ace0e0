"""What the vectorized Q-learner buys, and how surely the plain agent reaches its targets."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.rl.q_learning import QLearningAgent, Transition
from mlearn_utils.rl.schedules import exponential_decay, linear_decay
from mlearn_utils.tasks.gridworld import GridTask, GridTasks, grid_mdp, make_env
from mlearn_utils.tasks.tabular import TabularMDP
from tests.benchmarks.side_by_side import STEP, Options, Result, Row, Side, compare, far
from tests.tasks.toy_text import read_table

GRID = GridTask(size=5, pits=((1, 3), (3, 1)))
PLAIN = "QLearningAgent"
SEEDS = 10


def plain_side(env: gym.Env[Any, Any], episodes: int) -> Side:
    """One agent through Gymnasium: nanoseconds of a step."""

    def nanoseconds() -> float:
        begin = time.process_time()
        history = QLearningAgent(env, epsilon=0.1).train(episodes, seed=0)
        return 1e9 * (time.process_time() - begin) / sum(row["steps"] for row in history)

    return nanoseconds


def batched_side(mdp: TabularMDP, n_learners: int, steps: int) -> Side:
    """A batch of learners: nanoseconds of one learner's step."""

    def nanoseconds() -> float:
        learner = BatchedQLearner(mdp, task=np.zeros(n_learners, dtype=int), epsilon=0.1)
        begin = time.process_time()
        learner.train_steps(steps, seed=0)
        return 1e9 * (time.process_time() - begin) / (steps * n_learners)

    return nanoseconds


def difference(env: gym.Env[Any, Any], mdp: TabularMDP) -> float:
    """Return how far the tables of three learners are from those of three agents after the same 200 steps."""
    rng, n = np.random.default_rng(0), 3
    n_states, n_actions = mdp.R.shape[:2]
    settings: dict[str, Any] = {"learning_rate": 0.3, "gamma": 0.9}
    batch = BatchedQLearner(mdp, task=np.zeros(n, dtype=int), **settings)
    agents = [QLearningAgent(env, **settings) for _ in range(n)]
    for _ in range(200):
        state, action = rng.integers(n_states, size=n), rng.integers(n_actions, size=n)
        reached, reward, ended = batch.walks.step(state, action, rng)
        batch.learn(state, action, reward, reached, ended)
        for agent, *row in zip(agents, state, action, reward, reached, ended, strict=True):
            agent.learn(Transition(*(value.item() for value in row)))
    return far({"q": batch.q_tables}, {"q": [agent.q_table for agent in agents]})


def speed(make: Callable[[], tuple[gym.Env[Any, Any], TabularMDP]], options: Options) -> Result:
    env, mdp = make()
    sizes = (1, 256) if options.quick else (1, 256, 2048, 8192)
    sides: dict[str, Side | None] = {PLAIN: plain_side(env, 20 if options.quick else 50)}
    for n in sizes:
        sides[f"{n} learners"] = batched_side(mdp, n, 50 if options.quick else 200)
    differences = {f"{sizes[-1]} learners": difference(env, mdp)}
    return compare(sides, options, PLAIN, unit="ns", differences=differences, limit=STEP)


def lake() -> tuple[gym.Env[Any, Any], TabularMDP]:
    env = gym.make("FrozenLake-v1")
    return env, read_table(env)


def grid() -> tuple[gym.Env[Any, Any], TabularMDP]:
    return make_env(GRID), grid_mdp(GRID)


def many_tasks(options: Options) -> Result:
    """Time the table of results that lesson 07 learns from: training, then exact evaluation; once."""
    mdps = [grid_mdp(task) for task in GridTasks("varied").sample(300, seed=0)]
    rng, shape = np.random.default_rng(0), 300 * 30
    learner = BatchedQLearner(
        mdps,
        task=np.repeat(np.arange(300), 30),
        learning_rate=rng.uniform(0.05, 1.0, shape),
        gamma=rng.uniform(0.9, 1.0, shape),
        epsilon=rng.uniform(0.02, 0.5, shape),
    )
    begin = time.process_time()
    learner.train_steps(2000, seed=0)
    trained = time.process_time()
    learner.greedy_returns()
    return Result(
        unit="s", values={"train": [trained - begin], "evaluate exactly": [time.process_time() - trained]}
    )


# --- what is reached


def lake_success(agent: QLearningAgent) -> float:
    """Return the exact probability that the greedy policy reaches the goal within 100 steps."""
    table = read_table(agent.env)
    best = agent.q_table == agent.q_table.max(axis=1, keepdims=True)
    policy = best / best.sum(axis=1, keepdims=True)
    return dp.expected_return(table.P, table.R, policy, table.start, horizon=100, terminal=table.terminal)


def cart_pole_agent() -> QLearningAgent:
    """Return the agent of the CartPole target."""
    env = gym.make("CartPole-v1")
    return QLearningAgent(
        env,
        learning_rate=exponential_decay(0.5, 0.05, 600),
        epsilon=linear_decay(1.0, 0.02, 300),
        discretizer=Discretizer.from_env(env, bins=(6, 6, 16, 16)),
    )


Target = tuple[str, Callable[[], QLearningAgent], int, Callable[[QLearningAgent], float], float]

TARGETS: tuple[Target, ...] = (
    (
        "FrozenLake-v1, success",
        lambda: QLearningAgent(gym.make("FrozenLake-v1"), learning_rate=exponential_decay(0.5, 0.01, 5000)),
        5000,
        lake_success,
        0.70,
    ),
    (
        "CliffWalking-v1, greedy return",
        lambda: QLearningAgent(gym.make("CliffWalking-v1"), learning_rate=0.5, epsilon=0.1),
        500,
        lambda agent: agent.evaluate(1)[0],
        -13,
    ),
    (
        "Taxi-v4, mean greedy return",
        lambda: QLearningAgent(gym.make("Taxi-v4"), learning_rate=0.5, epsilon=0.1),
        3000,
        lambda agent: agent.evaluate(200, seed=1000, max_steps=200).mean(),
        7,
    ),
    (
        "CartPole-v1, mean greedy return",
        cart_pole_agent,
        600,
        lambda agent: agent.evaluate(100, seed=1000).mean(),
        195,
    ),
)


def reached(options: Options) -> Result:
    """Train each target's agent from ten seeds: the score of each, and how many reach the target."""
    result = Result(unit="score")
    for name, make_agent, episodes, score, least in TARGETS:
        begin, scores = time.process_time(), []
        for seed in range(SEEDS):
            agent = make_agent()
            agent.train(episodes, seed=seed)
            scores.append(float(score(agent)))
        seconds = (time.process_time() - begin) / SEEDS
        there = sum(value >= least for value in scores)
        result.values[name] = scores
        result.notes[name] = f"{there} of {SEEDS} reach {least}; {seconds:.1f} CPU-s a seed"
    return result


def rows() -> list[Row]:
    """Return the rows of Q-learning."""
    return [
        Row("q_learning_lake", "a learner's step in FrozenLake-v1", partial(speed, lake)),
        Row("q_learning_grid", "a learner's step in mlearn/Grid-v0", partial(speed, grid)),
        Row("q_learning_table", "300 tasks x 30 configurations x 2000 steps, once", many_tasks, by_name=True),
        Row("q_learning_targets", "what the plain agent reaches, ten seeds", reached, by_name=True),
    ]
