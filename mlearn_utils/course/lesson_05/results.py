"""The tables of lesson 05 as data/lesson_05 holds them, ready to be printed and drawn."""

import csv
from functools import lru_cache
from typing import Any

import numpy as np

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.runtime import data_path

PAPER = {1: 0.67, 5: 0.38, 10: 0.35}
"""5-shot mean squared error of MAML after 1, 5 and 10 inner steps: Finn et al. 2017, Table 2."""

PAPER_PRETRAINED = {1: 2.41, 5: 2.23, 10: 2.19}
"""The same of a network pretrained on all tasks."""

Rows = tuple[dict[str, Any], ...]


@lru_cache
def read(name: str) -> Rows:
    """Return a table of data/lesson_05 as dicts, numbers as numbers."""
    with data_path("lesson_05", name).open(newline="") as file:
        return tuple({key: _number(text) for key, text in row.items()} for row in csv.DictReader(file))


def long_runs(
    inner_lr: float, trained: int, steps: int, *, shots: int | None = None, init: str = "torch"
) -> dict[str, np.ndarray]:
    """Return what the three long runs of one setting reach: arrays [seeds, streams of test tasks], by column.

    Args:
        inner_lr: inner step size, in training and testing.
        trained: support points in training.
        steps: inner steps in testing.
        shots: support points in testing; as in training by default.
        init: "torch" or "paper", the initialization.

    Raises:
        ValueError: if there is no such run.
    """
    wanted = (init, inner_lr, trained, trained if shots is None else shots, steps)
    keys = ("init", "inner_lr", "trained", "shots", "steps")
    rows = [row for row in read("table.csv") if tuple(row[key] for key in keys) == wanted]
    if not rows:
        raise ValueError(f"there is no long run with {inner_lr=}, {trained=}, {steps=}, {shots=}, {init=}")
    seeds, streams = (len({row[name] for row in rows}) for name in ("seed", "stream"))
    return {
        key: np.array([row[key] for row in rows]).reshape(seeds, streams)
        for key in ("mean", "median", "diverged", "over100", "largest")
    }


def mean_text(values: np.ndarray) -> str:
    """Return the median over seeds and streams of some means, and their range: "0.35 [0.31, 1e+18]"."""
    low, middle, high = (_short(value) for value in (values.min(), np.median(values), values.max()))
    return f"{middle} [{low}, {high}]"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0e}" if np.isfinite(value) else "inf"


def compared(method: str, steps: int) -> np.ndarray:
    """Return the test losses of one method after `steps` inner steps, one for each seed."""
    rows = [row for row in read("comparison.csv") if row["method"] == method and row["steps"] == steps]
    if not rows:
        raise ValueError(f"comparison.csv has no {method!r} with {steps} steps")
    return np.array([row["loss"] for row in rows])


def seconds(method: str) -> float:
    """Return the mean CPU-seconds of a method's training; 0 for one without."""
    rows = [row for row in read("comparison.csv") if row["method"] == method]
    return float(np.mean([row["cpu_seconds"] for row in rows]))


def paired(method: str, other: str, steps: int) -> tuple[float, float, float]:
    """Return mean and 95 % interval of loss(method) - loss(other), seed by seed."""
    return interval(compared(method, steps) - compared(other, steps))


def _number(text: str) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if text.isdigit() else value
