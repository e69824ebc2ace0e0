"""The runs of `data/lesson_03/curves.csv`: ten agents on CartPole-v1, then on new tasks."""

import csv
from typing import Any, NamedTuple

import numpy as np

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.runtime import data_path

EPISODES = 16
"""Episodes a batch, one batch an iteration."""
PLAYED = EPISODES * np.arange(1, 61)
"""[60] episodes played at the end of each iteration."""
GOAL = 60.0
"""Mean return on a new task at which it counts as learned: about where the batches of trained agents end."""
LEVELS = {"cartpole": 475.0, "transfer": GOAL, "scratch": GOAL}
"""What a batch must earn on average for the task to count as learned."""


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


def steps_to(run: Run, level: float) -> float:
    """Return the steps of these episodes: as many as CartPole-v1 paid, at most 100 each on a new task."""
    batches = int(min(episodes_to(run, level), PLAYED[-1])) // EPISODES
    return EPISODES * float(run.curve[:batches].sum() if run.experiment == "cartpole" else 100 * batches)


def cost(runs: list[Run], level: float, unit: str = "episodes") -> np.ndarray:
    """Return [S] the episodes or steps to a level, mean over each seed's runs; never there counts as all."""
    if unit == "steps":
        return by_seed(runs, [steps_to(run, level) for run in runs])
    return by_seed(runs, [min(episodes_to(run, level), PLAYED[-1]) for run in runs])


def costs(
    runs: list[Run], experiment: str, level: float | None = None, *, unit: str = "episodes"
) -> dict[float, np.ndarray]:
    """Return by learning rate [S] the cost of each seed until it reached a level, by default its goal."""
    level = LEVELS[experiment] if level is None else level
    rates = sorted({run.learning_rate for run in runs if run.experiment == experiment})
    return {rate: cost(select(runs, experiment, rate), level, unit) for rate in rates}


def best_cost(
    runs: list[Run], experiment: str, level: float | None = None, *, unit: str = "episodes"
) -> tuple[float, np.ndarray]:
    """Return the learning rate of the smallest mean cost, and [S] each seed's cost at its best.

    The rate of a seed's entry is the best of the *other* seeds, so that none is judged by a choice it made.
    """
    table = costs(runs, experiment, level, unit=unit)
    rates, values = list(table), np.array(list(table.values()))  # [rates, S]
    chosen = [np.delete(values, seed, axis=1).mean(axis=1).argmin() for seed in range(values.shape[1])]
    return rates[values.mean(axis=1).argmin()], values[chosen, np.arange(values.shape[1])]


def ratio(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Return the ratio of two means over the same seeds [S], and its 95 % interval over seeds.

    The logarithm of the ratio is linearized at the means (the delta method), then it is Student's t.
    """
    spread = ours / ours.mean() - theirs / theirs.mean()
    _, low, high = interval(spread)
    middle = ours.mean() / theirs.mean()
    return middle, middle * float(np.exp(low)), middle * float(np.exp(high))


def predict_how_long(runs: list[Run]) -> Predict:
    """Ask how many episodes the trained agent needs on a new task."""
    (_, learned), (_, again) = (best_cost(runs, experiment) for experiment in ("cartpole", "transfer"))
    return Predict(
        f"At its best learning rate the agent needed {learned.mean():.0f} episodes to learn CartPole. How "
        f"many more until it earns {GOAL:.0f} of 100 on a new task, on average over ten such agents, again "
        "at the best of six rates?",
        slider("my guess (episodes)", 0, 500, 10, 50),
        lambda guess: (
            f"About <b>{again.mean():.0f}</b>; you said {guess:.0f}. Nothing tells the agent that only the "
            "reward is new, and one update moves the policy only a little, whatever the episodes have shown."
        ),
        name="how-long-again",
    )
