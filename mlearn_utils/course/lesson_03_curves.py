"""The runs of `data/lesson_03/curves.csv`: ten agents on CartPole-v1, then on new tasks."""

import csv
from typing import Any, NamedTuple

import numpy as np

from mlearn_utils.runtime import data_path

EPISODES = 16
"""Episodes a batch, one batch an iteration."""


class Run(NamedTuple):
    """One run; the columns are explained in `data/lesson_03/make_curves.py`.

    Attributes:
        experiment: "cartpole", "transfer" or "scratch".
        seed: of the run.
        target: hidden target velocity (m/s); 0 for CartPole-v1, which has none.
        learning_rate: of Adam.
        cpu_seconds: of the training.
        before: mean return of 100 greedy episodes before the training.
        after: the same after it.
        curve: [60] mean return of each iteration's batch.
    """

    experiment: str
    seed: int
    target: float
    learning_rate: float
    cpu_seconds: float
    before: float
    after: float
    curve: np.ndarray


def load_runs() -> list[Run]:
    """Return all runs, sorted by experiment, learning rate and seed."""
    with data_path("lesson_03", "curves.csv").open(newline="") as file:
        return [_run(row) for row in csv.DictReader(file)]


def _run(row: dict[str, Any]) -> Run:
    return Run(
        experiment=row["experiment"],
        seed=int(row["seed"]),
        target=float(row["target"]),
        learning_rate=float(row["learning_rate"]),
        cpu_seconds=float(row["cpu_seconds"]),
        before=float(row["before"]),
        after=float(row["after"]),
        curve=np.array([float(value) for name, value in row.items() if name[1:].isdigit()]),
    )


def select(runs: list[Run], experiment: str, learning_rate: float) -> list[Run]:
    """Return the runs of one experiment at one learning rate."""
    return [run for run in runs if (run.experiment, run.learning_rate) == (experiment, learning_rate)]


def by_seed(runs: list[Run], values: Any) -> np.ndarray:
    """Return [S, ...] the mean over the runs of each seed of one value [...] a run."""
    seeds = np.array([run.seed for run in runs])
    table = np.asarray(values, dtype=float)
    return np.stack([table[seeds == seed].mean(axis=0) for seed in np.unique(seeds)])


def episodes_to(run: Run, level: float) -> float:
    """Return the episodes played until a batch first had this mean return; infinite if none ever had."""
    there = np.flatnonzero(run.curve >= level)
    return EPISODES * (there[0] + 1.0) if there.size else np.inf
