"""What lesson 10 shows of stored measurements: `data/lesson_10`, and the benchmarks."""

import csv
import json
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
    return f"{np.median(found):.3g} ({min(found):.3g} to {max(found):.3g})" if found else "not measured"


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


def benchmark(row: str) -> dict[str, float]:
    """Return the ms of each side of a row of `python tests/benchmarks`, side by side on one core."""
    text = data_path("benchmarks", "cpu.json").read_text(encoding="utf-8")
    return {name: side["median"] for name, side in json.loads(text)["rows"][row]["sides"].items()}


# --- memory


def memory(steps: int, tasks: int, way: str, chunk: int = 0) -> float:
    """Return the growth of the peak in MB, NaN where it was not measured."""
    found = _of("memory", "mb", steps=steps, tasks=tasks, way=way, chunk=chunk)
    return found[0] if found else float("nan")


# --- what more tasks buy


def batches() -> dict[int, tuple[float, list[int]]]:
    """Return, by tasks in an update, its meta_lr and the updates that each training needed, sorted."""
    found: dict[int, tuple[float, list[int]]] = {}
    for row in rows("batches"):
        _, updates = found.setdefault(int(row["tasks"]), (float(row["meta_lr"]), []))
        updates.append(int(row["updates"] or 10_000))  # where it did not come within these
    return {tasks: (rate, sorted(updates)) for tasks, (rate, updates) in sorted(found.items())}


def tried(tasks: int) -> list[tuple[float, int]]:
    """Return meta_lr and updates of the trainings that came to the end, of those that chose the rate."""
    found = [row for row in rows("rates") if row["tasks"] == str(tasks) and row["updates"]]
    return sorted((float(row["meta_lr"]), int(row["updates"])) for row in found)
