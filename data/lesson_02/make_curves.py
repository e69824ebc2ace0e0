"""Learning curves of lesson 02: 100 learners on FrozenLake, ten seeds of the agents on three other tasks.

curves.csv           task, variant, seed, x, value: mean return of the episodes before episode x (for the
                     task "replay": expected greedy return after x steps in the environment)
results.csv          task, variant, seed, value: mean return of greedy episodes after training (for the
                     task "lake" computed exactly)
cartpole_table.csv   the action values [72, 2] that seed 0 learned on CartPole-v1
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mlearn_utils.course.lesson_02.settings import (
    CART_BINS,
    CART_SHOWN,
    CARTPOLE,
    CARTPOLE_EPISODES,
    CLIFF,
    CLIFF_EPISODES,
    LAKE,
    LAKE_EPISODES,
    LAKE_RATES,
    LAKE_SEEDS,
    REPLAY,
    REPLAY_TASK,
    cart_discretizer,
    lake_mdp,
)
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.dynamic_programming import expected_return
from mlearn_utils.rl.q_learning import QLearningAgent, SarsaAgent
from mlearn_utils.tasks.gridworld import HORIZON, grid_mdp, make_env
from mlearn_utils.tasks.tabular import TabularMDP

SEEDS = range(10)
STEPS_SEEN = np.arange(50, 1501, 50)

Curve = Iterator[tuple[int, float]]


def windows(returns: list[float], width: int) -> Curve:
    """Return (last episode, mean return) of every `width` episodes."""
    for end in range(width, len(returns) + 1, width):
        yield end, float(np.mean(returns[end - width : end]))


def lake(variant: str) -> Iterator[tuple[int, Curve, float]]:
    """Train all seeds on FrozenLake-v1 at once; return (seed, curve, exact greedy success rate) of each."""
    task = np.zeros(LAKE_SEEDS, dtype=np.int64)
    learners = BatchedQLearner(lake_mdp(), task=task, learning_rate=LAKE_RATES[variant], **LAKE)
    history = learners.train(LAKE_EPISODES, seed=0)
    returns = np.array([row["return"] for row in history])
    for seed, greedy in enumerate(learners.greedy_returns()):
        yield seed, windows(returns[:, seed].tolist(), 500), float(greedy)


def cliff(seed: int, variant: str) -> tuple[Curve, float]:
    """Train on CliffWalking-v1."""
    kind = QLearningAgent if variant == "Q-learning" else SarsaAgent
    agent = kind(gym.make("CliffWalking-v1"), **CLIFF)
    history = agent.train(CLIFF_EPISODES, seed=seed)
    return windows([row["return"] for row in history], 10), float(agent.evaluate(1, seed=seed)[0])


def cart(seed: int, variant: str) -> tuple[Curve, float, list[list[str]]]:
    """Train on CartPole-v1 with a table; return that, too."""
    agent = QLearningAgent(gym.make("CartPole-v1"), **CARTPOLE, discretizer=cart_discretizer(variant))
    history = agent.train(CARTPOLE_EPISODES, seed=seed)
    curve = windows([row["return"] for row in history], 20)
    shown = [[f"{value:.5g}" for value in row] for row in agent.q_table]
    return curve, float(agent.evaluate(100, seed=1000 + seed).mean()), shown


def replay(seed: int, variant: str) -> tuple[Curve, float]:
    """Train on a grid, learning from 0, 5 or 25 stored transitions after every step."""
    mdp = grid_mdp(REPLAY_TASK)
    agent = QLearningAgent(make_env(REPLAY_TASK), **REPLAY, replay=int(variant))
    taken, worth = [0], [greedy_worth(agent.q_table, mdp)]
    while taken[-1] < STEPS_SEEN[-1]:
        (row,) = agent.train(1, seed=1000 * seed + len(taken))
        taken.append(taken[-1] + row["steps"])
        worth.append(greedy_worth(agent.q_table, mdp))
    seen = np.searchsorted(taken, STEPS_SEEN, side="right") - 1
    curve = ((int(x), worth[i]) for x, i in zip(STEPS_SEEN, seen, strict=True))
    return curve, worth[seen[-1]]


def greedy_worth(q: NDArray[np.float64], mdp: TabularMDP) -> float:
    """Return the expected return of the greedy policy, ties broken at random."""
    best = q == q.max(axis=1, keepdims=True)
    policy = best / best.sum(axis=1, keepdims=True)
    return expected_return(mdp.P, mdp.R, policy, mdp.start, horizon=HORIZON, terminal=mdp.terminal)


TASKS = {
    "cliff": (cliff, ("Q-learning", "SARSA")),
    "cartpole": (cart, tuple(CART_BINS)),
    "replay": (replay, ("0", "5", "25")),
}


def run(task: str, variant: str, seed: int = 0) -> Results:
    """Return the rows of one run (on the lake: of all seeds), of its curve and its result; and its table."""
    runs = lake(variant) if task == "lake" else [(seed, *TASKS[task][0](seed, variant))]
    curves, results, shown = [], [], []
    for k, curve, result, *more in runs:
        curves += [(task, variant, k, x, f"{value:.5g}") for x, value in curve]
        results.append((task, variant, k, f"{result:.5g}"))
        shown = more[0] if more else []
    return {"curves": curves, "results": results, "table": shown}


def parts() -> list[Part]:
    """Return the lake by learning rate, then the other tasks by variant and seed."""
    lakes = [Part(f"lake {variant}", run, ("lake", variant)) for variant in LAKE_RATES]
    others = [
        Part(f"{task} {variant} {seed}", run, (task, variant, seed))
        for task, (_, variants) in TASKS.items()
        for variant in variants
        for seed in SEEDS
    ]
    return lakes + others


def finish(results: Results) -> Files:
    """Return the content of the three files."""
    made = [results[part.name] for part in parts()]
    return {
        "curves.csv": [
            ("task", "variant", "seed", "x", "value"),
            *(row for one in made for row in one["curves"]),
        ],
        "results.csv": [
            ("task", "variant", "seed", "value"),
            *(row for one in made for row in one["results"]),
        ],
        "cartpole_table.csv": results[f"cartpole {CART_SHOWN} 0"]["table"],
    }


FILES = ("curves.csv", "results.csv", "cartpole_table.csv")
EXPERIMENT = Experiment(__file__, __doc__, 9, FILES, parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
