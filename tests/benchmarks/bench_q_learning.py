"""What the vectorised Q-learner buys, and how surely the plain agent reaches its targets.

    python -m tests.benchmarks.bench_q_learning            speed: steps per CPU second, both sides in one run
    python -m tests.benchmarks.bench_q_learning targets    ten seeds of each target, two to five minutes

The rounds of the two sides alternate and the median of the ratios is printed, because other processes on the
machine slow both sides down.
"""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.rl.q_learning import QLearningAgent
from mlearn_utils.rl.schedules import exponential_decay, linear_decay
from mlearn_utils.tasks.gridworld import GridTask, GridTasks, grid_mdp, make_env
from mlearn_utils.tasks.tabular import TabularMDP
from tests.tasks.toy_text import read_table

ROUNDS = 7
PLAIN_EPISODES, BATCH_STEPS = 300, 300
GRID = GridTask(size=5, pits=((1, 3), (3, 1)))


def steps_per_second(run: Callable[[], float]) -> float:
    """Return the steps that `run` reports per second of this process's CPU time."""
    start = time.process_time()
    steps = run()
    return steps / (time.process_time() - start)


def plain_steps(env: gym.Env[Any, Any], seed: int) -> float:
    """Train one agent through Gymnasium; return the steps it took."""
    history = QLearningAgent(env, epsilon=0.1).train(PLAIN_EPISODES, seed=seed)
    return sum(row["steps"] for row in history)


def batched_steps(mdp: TabularMDP, n_learners: int, seed: int) -> float:
    """Train a batch of learners; return the steps that all of them took."""
    learner = BatchedQLearner(mdp, task=np.zeros(n_learners, dtype=int), epsilon=0.1)
    learner.train_steps(BATCH_STEPS, seed=seed)
    return float(n_learners * BATCH_STEPS)


def print_speed(name: str, env: gym.Env[Any, Any], mdp: TabularMDP) -> None:
    """Print one row per number of learners."""
    for n_learners in (1, 256, 2048, 8192):
        rounds = [
            (
                steps_per_second(lambda seed=seed: plain_steps(env, seed)),
                steps_per_second(lambda seed=seed, n=n_learners: batched_steps(mdp, n, seed)),
            )
            for seed in range(ROUNDS)
        ]
        plain, batched = (median(side) for side in zip(*rounds, strict=True))
        ratio = median(fast / slow for slow, fast in rounds)
        print(f"| {name} | {n_learners} | {plain:,.0f} | {batched:,.0f} | {ratio:.1f} |", flush=True)


def print_table_of_tasks() -> None:
    """Print the CPU seconds of a table of 300 tasks x 30 configurations: training, then exact evaluation."""
    start = time.process_time()
    mdps = [grid_mdp(task) for task in GridTasks("varied").sample(300, seed=0)]
    rng = np.random.default_rng(0)
    task, shape = np.repeat(np.arange(300), 30), 300 * 30
    learner = BatchedQLearner(
        mdps,
        task=task,
        learning_rate=rng.uniform(0.05, 1.0, shape),
        gamma=rng.uniform(0.9, 1.0, shape),
        epsilon=rng.uniform(0.02, 0.5, shape),
    )
    learner.train_steps(2000, seed=0)
    trained = time.process_time()
    returns = learner.greedy_returns()
    done = time.process_time()
    print(
        f"\n300 tasks x 30 configurations x 2000 steps: {trained - start:.1f} CPU-s to train, "
        f"{done - trained:.1f} CPU-s to evaluate exactly (mean return {returns.mean():.2f})"
    )


def lake_success(agent: QLearningAgent) -> float:
    """Return the exact probability that the greedy policy reaches the goal within 100 steps."""
    lake = read_table(agent.env)
    best = agent.q_table == agent.q_table.max(axis=1, keepdims=True)
    policy = best / best.sum(axis=1, keepdims=True)
    return dp.expected_return(lake.P, lake.R, policy, lake.start, horizon=100, terminal=lake.terminal)


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


def print_targets(seeds: int = 10) -> None:
    """Print how many seeds reach each target, and the CPU seconds a seed takes."""
    print("| target | at least | reached | each seed | CPU-s a seed |\n|---|---|---|---|---|")
    for name, make_agent, episodes, score, least in TARGETS:
        start, scores = time.process_time(), []
        for seed in range(seeds):
            agent = make_agent()
            agent.train(episodes, seed=seed)
            scores.append(float(score(agent)))
        seconds = (time.process_time() - start) / seeds
        reached = sum(value >= least for value in scores)
        values = " ".join(f"{value:.4g}" for value in scores)
        print(f"| {name} | {least} | {reached} of {seeds} | {values} | {seconds:.1f} |", flush=True)


def main() -> None:
    """Print the table that was asked for."""
    if sys.argv[1:] == ["targets"]:
        print_targets()
        return
    print("| task | learners | plain, steps/s | batch, steps/s | ratio |\n|---|---|---|---|---|")
    lake = gym.make("FrozenLake-v1")
    print_speed("FrozenLake-v1", lake, read_table(lake))
    print_speed("mlearn/Grid-v0", make_env(GRID), grid_mdp(GRID))
    print_table_of_tasks()


if __name__ == "__main__":
    main()
