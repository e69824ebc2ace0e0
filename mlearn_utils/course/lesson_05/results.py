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


def long_runs(inner_lr: float, shots: int, steps: int) -> dict[str, Any]:
    """Return what the three long runs of one setting reach: arrays over seeds, by column."""
    rows = [
        row
        for row in read("table.csv")
        if (row["inner_lr"], row["shots"], row["steps"]) == (inner_lr, shots, steps)
    ]
    if not rows:
        raise ValueError(f"there is no long run with {inner_lr=}, {shots=}, {steps=}")
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def compared(method: str, steps: int) -> np.ndarray:
    """Return the test losses of one method after `steps` inner steps, one for each seed."""
    rows = [row for row in read("comparison.csv") if row["method"] == method and row["steps"] == steps]
    if not rows:
        raise ValueError(f"comparison.csv has no {method!r} with {steps} steps")
    return np.array([row["loss"] for row in rows])


def paired(method: str, other: str, steps: int) -> tuple[float, float, float]:
    """Return mean and 95 % interval of loss(method) - loss(other), seed by seed."""
    return interval(compared(method, steps) - compared(other, steps))


def _number(text: str) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if text.isdigit() else value
