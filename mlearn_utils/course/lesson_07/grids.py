"""The grids of lesson 07: what is known of a task, what may be set, and how a setting is judged.

A *run* is one Q-learner on one grid with one setting. It learns for a fixed number of steps; then its greedy
policy is evaluated exactly. A strategy has a budget of runs on each new task and keeps the best policy it
found.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.tasks.gridworld import GridTask, grid_mdp

SPACE = spaces.as_space(
    {
        "learning rate": (0.003, 1.0, True),
        "look-ahead": (3.0, 500.0, True),  # steps: 1 / (1 - gamma)
        "epsilon": (0.02, 1.0),
    }
)
"""What may be set. The discount is set by its horizon 1 / (1 - gamma), whose factors count as equal."""

FEATURES = ("size", "slip", "noise", "step cost", "share of pits", "trap", "distance")
"""What is known of a grid before anything was tried on it."""

N_TASKS, N_SETTINGS, STEPS = 300, 40, 15_000
"""The large training table: grids, settings tried on each, and steps of a run."""

Strategy = Callable[[FloatArray, FloatArray], FloatArray]
"""(settings tried so far [M, k, H], what they earned [M, k]) -> each task's next setting [M, H]."""


def task_features(task: GridTask) -> list[float]:
    """Return what is known of one grid, in the order of FEATURES."""
    row, column = divmod(task.state(task.goal), task.size)
    share = len(task.pits) / task.size**2
    return [
        task.size, task.slip, task.reward_noise, task.step_cost, share, task.trap is not None, row + column
    ]  # fmt: skip


def all_features(tasks: Sequence[GridTask]) -> FloatArray:
    """Return [T, F] the features of several grids."""
    return np.array([task_features(task) for task in tasks], dtype=np.float64)


def run(tasks: Sequence[GridTask], settings: FloatArray, *, steps: int = STEPS, seed: int = 0) -> FloatArray:
    """Return [T, R] the exact greedy return of runs with settings [T, R, H] on T grids."""
    T, R = settings.shape[:2]
    rate, ahead, epsilon = settings.reshape(T * R, -1).T
    learners = BatchedQLearner(
        [grid_mdp(task) for task in tasks],
        task=np.repeat(np.arange(T), R),
        learning_rate=rate,
        gamma=1 - 1 / ahead,
        epsilon=epsilon,
    )
    learners.train_steps(steps, windows=1, seed=seed)
    return learners.greedy_returns().reshape(T, R)


def spread_settings(n: int = N_SETTINGS, *, seed: int = 0) -> FloatArray:
    """Return n settings [n, H] that fill the space evenly."""
    from scipy.stats import qmc

    return spaces.from_unit(SPACE, qmc.Halton(len(SPACE), rng=np.random.default_rng(seed)).random(n))


def play(
    strategy: Strategy | FloatArray,
    tasks: Sequence[GridTask],
    budget: int,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> FloatArray:
    """Give a strategy `budget` runs on every task; return [M, budget] what each of them earned.

    A strategy sees the settings and returns of its own earlier runs on the task, nothing else of it. One that
    does not even look at these is an array of settings, [budget, H] for all tasks or [M, budget, H]. Run k of
    every strategy starts from the same random numbers, but its learners draw them in turn: equal settings on
    a task earn the same only where those on all other tasks are equal, too.
    """
    tried, seen = np.zeros((len(tasks), 0, len(SPACE))), np.zeros((len(tasks), 0))
    for k in range(budget):
        if isinstance(strategy, np.ndarray):
            proposed = np.broadcast_to(strategy[..., k : k + 1, :], (len(tasks), 1, len(SPACE)))
        else:
            proposed = strategy(tried, seen)[:, None]
        earned = run(tasks, proposed, steps=steps, seed=1000 * seed + k)
        tried, seen = np.concatenate([tried, proposed], axis=1), np.concatenate([seen, earned], axis=1)
    return seen


def best_so_far(returns: FloatArray) -> FloatArray:
    """Return [M, B] the best of the first 1, 2, ..., B runs of returns [M, B]."""
    return np.maximum.accumulate(returns, axis=1)


def best_default(table: FloatArray) -> int:
    """Return the setting with the best mean return in a table [task, setting]."""
    return int(table.mean(axis=0).argmax())


def portfolio(table: FloatArray, size: int) -> list[int]:
    """Return settings that, tried in this order, have the best mean of the best: chosen greedily.

    Args:
        table: [task, setting] returns.
        size: how many settings.
    """
    chosen: list[int] = []
    best = np.full(len(table), -np.inf)
    for _ in range(size):
        pick = int(np.maximum(table, best[:, None]).mean(axis=0).argmax())
        chosen.append(pick)
        best = np.maximum(best, table[:, pick])
    return chosen
