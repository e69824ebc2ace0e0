"""What lesson 10 shows of stored measurements: `data/lesson_10`."""

import csv
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from mlearn_utils.runtime import data_path

WAYS = ("loop", "vmap", "batched", "by hand", "compiled")
Row = dict[str, str]


@lru_cache(maxsize=8)
def rows(name: str) -> list[Row]:
    """Return the rows of a table."""
    with data_path("lesson_10", f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _of(name: str, column: str, **wanted: object) -> list[float]:
    """Return the numbers in a column of the rows that have all that is wanted."""
    return [
        float(row[column])
        for row in rows(name)
        if all(row[key] == str(value) for key, value in wanted.items())
    ]


def counts(name: str, column: str, **wanted: object) -> list[int]:
    """Return the different numbers in a column, in order."""
    return sorted({int(value) for value in _of(name, column, **wanted)})


# --- time


def times(width: int, steps: int, tasks: int, way: str) -> float:
    """Return the ms of one meta-gradient: the median of the repeats, NaN where none was measured."""
    found = _of("times", "ms", width=width, steps=steps, tasks=tasks, way=way)
    return float(np.median(found)) if found else float("nan")


def time_text(width: int, steps: int, tasks: int, way: str) -> str:
    """Return the median in ms and its range over repeats."""
    found = _of("times", "ms", width=width, steps=steps, tasks=tasks, way=way)
    return f"{np.median(found):.2g} ({min(found):.2g} to {max(found):.2g})" if found else "not measured"


def first_calls() -> list[tuple[int, int, float]]:
    """Return width, steps and the seconds of the first call of what is compiled."""
    return [(int(row["width"]), int(row["steps"]), float(row["seconds"])) for row in rows("first")]


def threads(width: int, way: str, number: int) -> tuple[float, float]:
    """Return the ms on a clock and of the processor, each a median of the repeats."""
    wanted = {"width": width, "way": way, "threads": number}
    return (
        float(np.median(_of("threads", "ms", **wanted))),
        float(np.median(_of("threads", "cpu_ms", **wanted))),
    )


def ranks(number: int, column: str) -> float:
    """Return the median over repeats of a column of `ranks.csv`."""
    return float(np.median(_of("ranks", column, ranks=number)))


# --- memory


def memory(steps: int, tasks: int, way: str, chunk: int = 0) -> float:
    """Return the growth of the peak in MB."""
    (found,) = _of("memory", "mb", steps=steps, tasks=tasks, way=way, chunk=chunk)
    return found


# --- what more tasks buy


def batches() -> dict[int, tuple[float, list[int]]]:
    """Return, by tasks in an update, the best meta_lr and the updates that each seed needed with it, sorted.

    The best is that with the smallest median, among those with which every seed came to the end.
    """
    found: dict[int, dict[float, list[str]]] = {}
    for row in rows("batches"):
        found.setdefault(int(row["tasks"]), {}).setdefault(float(row["meta_lr"]), []).append(row["updates"])
    best: dict[int, tuple[float, list[int]]] = {}
    middle: Callable[[tuple[float, list[int]]], float] = lambda pair: float(np.median(pair[1]))  # noqa: E731
    for tasks, by_rate in found.items():
        whole = [(rate, sorted(map(int, each))) for rate, each in by_rate.items() if all(each)]
        if whole:
            best[tasks] = min(whole, key=middle)
    return best
