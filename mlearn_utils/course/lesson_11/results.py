"""What lesson 11 shows of stored runs: its own, and what earlier lessons left in `data`."""

import csv
import textwrap
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.runtime import data_path
from mlearn_utils.tasks.cartpole import CartPoleTasks

FOLDER = "lesson_11"
Row = dict[str, str]


@lru_cache(maxsize=16)
def rows(folder: str, name: str) -> list[Row]:
    """Return the rows of a table in a folder of `data`."""
    with data_path(folder, name).open(newline="") as file:
        return list(csv.DictReader(file))


def text(values: np.ndarray, digits: int = 0) -> str:
    """Return a mean and its 95 % interval over trainings."""
    mean, low, high = (round(each, digits) + 0.0 for each in interval(values))  # no "-0"
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


# --- how many tasks, and how far away


def by_tasks(where: str, what: str = "after") -> tuple[np.ndarray, np.ndarray]:
    """Return [N] numbers of training tasks and [seed, N] mean returns, over all sets of test tasks.

    Args:
        where: "own", the tasks of the training, or "new".
        what: "before", "after" (a step of the rate that all have) or "tuned" (of the rate that is best).
    """
    found: dict[tuple[int, int], list[float]] = {}
    for row in rows(FOLDER, "tasks.csv"):
        if row["where"] == where:
            found.setdefault((int(row["seed"]), int(row["tasks"])), []).append(float(row[what]))
    return _grid({key: float(np.mean(values)) for key, values in found.items()})


def two_targets(seed: int) -> np.ndarray:
    """Return [2] the targets of a training with two tasks, as `data/lesson_11/make_questions.py` draws."""
    return CartPoleTasks("dirv").sample(2, seed=700_002 + 1000 * seed).target


def best_rates() -> tuple[np.ndarray, np.ndarray]:
    """Return [N] numbers of training tasks and [seed, N] the rate that each training had at test."""
    best: dict[tuple[int, int], tuple[float, float]] = {}
    for row in rows(FOLDER, "rates.csv"):
        key, pair = (int(row["seed"]), int(row["tasks"])), (float(row["after"]), float(row["rate"]))
        best[key] = max(best.get(key, (-np.inf, 0.0)), pair)
    return _grid({key: rate for key, (_, rate) in best.items()})


def by_side(seed: int) -> tuple[float, float]:
    """Return the mean returns after a step, of a training with two tasks, on new ones on each side."""
    chosen = [r for r in rows(FOLDER, "tasks.csv") if (r["tasks"], r["where"]) == ("2", "new")]
    left, right = ([float(r[side]) for r in chosen if r["seed"] == str(seed)] for side in ("left", "right"))
    return float(np.mean(left)), float(np.mean(right))


def wide_rates() -> dict[float, float]:
    """Return the mean return after a step, on validation tasks of 0 to 2 m/s, of each rate that was tried."""
    found: dict[float, list[float]] = {}
    for row in rows(FOLDER, "wide.csv"):
        found.setdefault(float(row["rate"]), []).append(float(row["after"]))
    return {rate: float(np.mean(values)) for rate, values in found.items()}


def by_distance(family: str, what: str = "after") -> tuple[np.ndarray, np.ndarray]:
    """Return [N] targets (m/s) and [seed, N] mean returns of trainings, as `distance.csv` names them."""
    found = {
        (int(row["seed"]), float(row["target"])): float(row[what])
        for row in rows(FOLDER, "distance.csv")
        if row["family"] == family
    }
    return _grid(found)


def _grid(found: Mapping[tuple[Any, Any], float]) -> tuple[np.ndarray, np.ndarray]:
    seeds, places = (sorted({key[axis] for key in found}) for axis in (0, 1))
    return np.array(places), np.array([[found[seed, place] for place in places] for seed in seeds])


# --- what a sparse reward leaves to see


def point(reward: str) -> dict[str, np.ndarray]:
    """Return [seed] "seen", "found", "missed", "still" and "all" for "dense", "sparse" or "untrained".

    "seen" is the share of the goals that an episode before the step came near; the others are the share of
    the episodes after it that end near the goal: of these goals, of the others, of these without noise in the
    actions, and of all. Means over two sets of test goals.
    """
    found: dict[str, list[list[float]]] = {}
    for row in rows(FOLDER, "point.csv"):
        if row["reward"] == reward:
            seen, met, missed, still = (float(row[n] or 0.0) for n in ("seen", "found", "missed", "still"))
            everyone = seen * met + (1 - seen) * missed
            found.setdefault(row["seed"], []).append([seen, met, missed, still, everyone])
    columns = np.array([found[seed] for seed in sorted(found)]).mean(axis=1).T
    return dict(zip(("seen", "found", "missed", "still", "all"), columns, strict=True))


def noises() -> dict[tuple[float, float], float]:
    """Return the share of episodes that end near validation goals, by inner rate and last noise."""
    found: dict[tuple[float, float], list[float]] = {}
    for row in rows(FOLDER, "noises.csv"):
        found.setdefault((float(row["rate"]), float(row["noise"])), []).append(float(row["near"]))
    return {pair: float(np.mean(values)) for pair, values in found.items()}


# --- earlier lessons


def returns(family: str, method: str) -> np.ndarray:
    """Return [seed, steps + 1] the mean returns of lesson 06 on held-out tasks."""
    found: dict[tuple[int, int], list[float]] = {}
    for row in rows("lesson_06", "results.csv"):
        if (row["family"], row["method"]) == (family, method):
            found.setdefault((int(row["seed"]), int(row["step"])), []).append(float(row["return"]))
    return _grid({key: float(np.mean(values)) for key, values in found.items()})[1]


def cost(family: str, method: str) -> tuple[float, float]:
    """Return the mean CPU seconds and environment steps of a training of lesson 08."""
    chosen = [r for r in rows("lesson_08", "costs.csv") if (r["family"], r["method"]) == (family, method)]
    seconds, steps = ([float(r[name]) for r in chosen] for name in ("cpu_seconds", "environment_steps"))
    return float(np.mean(seconds)), float(np.mean(steps))


def distilled(who: str, first: int, last: int) -> np.ndarray:
    """Return [seed] mean rewards of lesson 08's "teacher", "distilled" or "last pull alone", by pulls."""
    found: dict[str, list[float]] = {}
    for row in rows("lesson_08", "distilled.csv"):
        if row["who"] == who and first <= int(row["pull"]) <= last:
            found.setdefault(row["seed"], []).append(float(row["reward"]))
    return np.array([np.mean(values) for values in found.values()])


def grid_gains() -> np.ndarray:
    """Return [240] what the model of lesson 07 earns more than the default on a new grid, with one run."""
    found = rows("lesson_07", "held_out_varied.csv")
    return np.array([float(row["model @1"]) - float(row["default @1"]) for row in found])


# --- tools


def tools() -> list[Row]:
    """Return what was tried, one row a tool: tool, version, installs, gradient, own_tests, happened, ..."""
    return rows(FOLDER, "tools.csv")


def tool_table(width: int = 100) -> str:
    """Return the tools as lines: version, whether it installs, its gradient, its own tests, what happened."""
    lines = [f"{'tool':22} {'version':12} {'installs':9} {'gradient':15} its own tests"]
    indent = " " * 4
    for row in tools():
        cells = f"{row['tool']:22} {row['version']:12} {row['installs']:9} {row['gradient']:15}"
        lines.append(f"{cells} {row['own_tests']}")
        lines += textwrap.wrap(row["happened"], width, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)
