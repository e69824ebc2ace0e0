"""The runs of `data/lesson_08`: carts by memory, belief and gradient, and bandits by several networks."""

import csv
from functools import lru_cache

import numpy as np

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.runtime import data_path
from mlearn_utils.tasks.cartpole import CartPoleTasks

FOLDER = "lesson_08"
METHODS = {
    "MAML": "MAML, a step on ten episodes",
    "MAML, long": "the same, as many steps as others",
    "MAML, one": "MAML, a step on one episode",
    "memory": "memory (GRU)",
    "memory, wiped": "the same, wiped at the border",
    "memory, cut": "memory, credit ends with an episode",
    "feed-forward": "no memory, sees the last reward",
    "belief": "exact belief + policy",
    "told": "told the target",
}


BY_FAMILY = {
    "dirv": ("MAML", "MAML, long", "memory", "memory, wiped", "feed-forward", "belief", "told"),
    "dir": ("MAML", "MAML, long", "memory", "memory, wiped", "feed-forward", "belief", "told"),
    "once": ("MAML, one", "memory", "memory, wiped", "memory, cut", "feed-forward", "belief", "told"),
    "phys": ("MAML", "memory", "memory, wiped", "feed-forward", "told"),
}
LEARNERS = {
    "teacher": "UCB, the teacher",
    "distilled": "GRU, from its histories",
    "last pull alone": "sees the last pull alone",
}


@lru_cache(maxsize=1)
def _returns() -> dict[tuple[str, str], dict[tuple[int, int, int], float]]:
    found: dict[tuple[str, str], dict[tuple[int, int, int], float]] = {}
    with data_path(FOLDER, "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            runs = found.setdefault((row["family"], row["method"]), {})
            runs[int(row["seed"]), int(row["set"]), int(row["episode"])] = float(row["return"])
    return found


def returns(family: str, method: str) -> np.ndarray:
    """Return [seed, 2] the mean return over all test tasks of the first and the last episode.

    For MAML these are the episodes before its step and those after it.
    """
    runs = _returns()[family, method]
    seeds, sets, episodes = (sorted({key[axis] for key in runs}) for axis in range(3))
    table = np.array([[[runs[s, k, e] for e in episodes] for k in sets] for s in seeds])
    return table.mean(axis=1)


def row(family: str, method: str) -> str:
    """Return a line: a method, mean returns of its first and last episode with intervals, and its seeds."""
    found = returns(family, method)
    cells = ["{:3.0f} ({:3.0f} to {:3.0f})".format(*interval(found[:, k])) for k in (0, 1)]
    seeds = " ".join(f"{value:.0f}" for value in np.sort(found[:, 1]))
    return f"{METHODS[method]:36} {cells[0]}   {cells[1]}   {seeds}"


HEADER = (
    f"{'mean return (95 % interval)':36} {'first episode':>15}   {'last episode':>15}   seeds, last episode"
)


def curves(family: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return updates [N] and the mean return of the last episode in training [seed, N]."""
    found: dict[int, dict[int, float]] = {}
    with data_path(FOLDER, "curves.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            if (entry["family"], entry["method"]) == (family, method):
                found.setdefault(int(entry["seed"]), {})[int(entry["update"])] = float(entry["last"])
    updates = sorted(found[min(found)])
    return np.array(updates), np.array([[found[seed][k] for k in updates] for seed in sorted(found)])


def costs(family: str, method: str) -> tuple[float, float]:
    """Return the mean CPU seconds and environment steps of a training."""
    with data_path(FOLDER, "costs.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if (r["family"], r["method"]) == (family, method)]
    seconds, steps = ([float(r[name]) for r in rows] for name in ("cpu_seconds", "environment_steps"))
    return float(np.mean(seconds)), float(np.mean(steps))


def entropies(family: str, method: str) -> dict[float, np.ndarray]:
    """Return the validation returns [2] of two trainings for each weight of the entropy that was tried."""
    found: dict[float, list[float]] = {}
    with data_path(FOLDER, "entropies.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            if (entry["family"], entry["method"]) == (family, method):
                found.setdefault(float(entry["weight"]), []).append(float(entry["return"]))
    return {weight: np.array(values) for weight, values in found.items()}


def bandits(what: str) -> np.ndarray:
    """Return [seed] what five trainings on bandits came to; names as in `data/lesson_08/make_bandits.py`."""
    with data_path(FOLDER, "bandits.csv").open(newline="") as file:
        return np.array([float(row["value"]) for row in csv.DictReader(file) if row["what"] == what])


def distilled(who: str) -> np.ndarray:
    """Return [seed, pull] mean rewards at each of fifty pulls."""
    found: dict[int, list[float]] = {}
    with data_path(FOLDER, "distilled.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            if entry["who"] == who:
                found.setdefault(int(entry["seed"]), []).append(float(entry["reward"]))
    return np.array([found[seed] for seed in sorted(found)])


def load_memory(family: str) -> MemoryAgent:
    """Return the stored memory agent of the first seed, "once" or "dirv"."""
    return MemoryAgent.load(
        data_path(FOLDER, f"memory_{family}.safetensors"), CartPoleTasks(family), device="cpu"
    )
