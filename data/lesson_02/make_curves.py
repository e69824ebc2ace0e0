"""Learning curves of lesson 02: 100 learners on FrozenLake, ten seeds of the agents on three other tasks.

    python data/lesson_02/make_curves.py

takes about nine CPU-minutes (measured: 8.5) and writes, next to itself,

    curves.csv           task, variant, seed, x, value: mean return of the episodes before episode x (for the
                         task "replay": expected greedy return after x steps in the environment)
    results.csv          task, variant, seed, value: mean return of greedy episodes after training (for the
                         task "lake" computed exactly)
    cartpole_table.csv   the action values [72, 2] that seed 0 learned on CartPole-v1
"""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

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
FOLDER = Path(__file__).parent

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


def cart(seed: int, variant: str) -> tuple[Curve, float]:
    """Train on CartPole-v1 with a table; seed 0 of CART_SHOWN leaves its table."""
    agent = QLearningAgent(gym.make("CartPole-v1"), **CARTPOLE, discretizer=cart_discretizer(variant))
    history = agent.train(CARTPOLE_EPISODES, seed=seed)
    if variant == CART_SHOWN and seed == 0:
        np.savetxt(FOLDER / "cartpole_table.csv", agent.q_table, delimiter=",", fmt="%.5g")
    curve = windows([row["return"] for row in history], 20)
    return curve, float(agent.evaluate(100, seed=1000 + seed).mean())


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


def run_all() -> Iterator[tuple[str, str, int, Curve, float]]:
    """Return (task, variant, seed, curve, result) of every run."""
    for variant in LAKE_RATES:
        for run in lake(variant):
            yield "lake", variant, *run
    for name, (run, variants) in TASKS.items():
        for variant in variants:
            for seed in SEEDS:
                yield name, variant, seed, *run(seed, variant)


def main() -> None:
    """Run everything and write the three files."""
    curves, results = [], []
    for name, variant, seed, curve, result in run_all():
        curves += [(name, variant, seed, x, f"{value:.5g}") for x, value in curve]
        results.append((name, variant, seed, f"{result:.5g}"))
        print(*results[-1], f"{time.process_time() / 60:.2f} CPU-minutes", flush=True)
    for file, header, rows in (
        ("curves.csv", ("task", "variant", "seed", "x", "value"), curves),
        ("results.csv", ("task", "variant", "seed", "value"), results),
    ):
        with (FOLDER / file).open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
