"""The stored runs of `data/lesson_09`, five trainings of everything that is trained."""

import csv
from functools import lru_cache

import numpy as np

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.runtime import data_path
from mlearn_utils.tasks.treasures import TreasureTasks

FOLDER = "lesson_09"
WALKS = (1, 2)
TREASURE_HEADER = f"{'':36}" + "".join(f"{f'walk {k}: found, steps':>24}" for k in WALKS)
SHOTS = (1, 2, 3, 5)
"""How many transitions a robot is adapted to."""

PATIENTS = {
    "one dose for all": "one dose for all",
    "population": "mean curve of all patients",
    "joint": "joint network",
    "fine-tuned": "joint, fine-tuned",
    "MAML": "MAML",
    "context": "context network",
    "Bayes": "Bayes, by its mean curve",
    "Bayes, expected share": "Bayes, by the expected share",
    "knowing the patient": "knowing the patient",
}
VEHICLES = {
    "always brake": "always brake",
    "always steer": "always swerve",
    "joint": "joint network",
    "fine-tuned": "joint, fine-tuned",
    "least squares": "least squares",
    "ridge": "ridge around the average",
    "learned prior": "learned prior",
    "MAML": "MAML",
    "context": "context network",
    "context, equal time": "context, as long as MAML",
    "Bayes": "Bayes, true model",
    "knowing the vehicle": "knowing the vehicle",
}
ROBOTS = {
    "joint": "joint network",
    "fine-tuned": "joint, fine-tuned",
    "least squares": "least squares",
    "ridge": "ridge around the average",
    "MAML": "MAML",
    "learned prior": "learned prior",
    "equations": "simulator, one step",
    "told": "the true linear model",
}
"""Method in a table -> what it is called in the lesson."""
DRIVING = ("nrmse", "worth", "crashes", "metres")
"""What was measured of vehicles."""


@lru_cache(maxsize=8)
def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with data_path(FOLDER, name).open(newline="") as file:
        return list(csv.DictReader(file))


def by_seed(world: str, method: str, measure: str) -> np.ndarray:
    """Return [seed] means over the test sets; [1] where nothing is trained.

    Args:
        world: "patients", "vehicles" or "pendulums".
        method: as in the table.
        measure: as in the table.

    Raises:
        ValueError: if nothing was measured by that name.
    """
    return _means_by("seed", world, method, measure)


def by_set(world: str, method: str, measure: str) -> np.ndarray:
    """Return [set] means over the trainings, one for each set of test tasks; else as `by_seed`."""
    return _means_by("set", world, method, measure)


def _means_by(column: str, world: str, method: str, measure: str) -> np.ndarray:
    found: dict[str, list[float]] = {}
    for row in rows(f"{world}.csv"):
        if (row["method"], row["measure"]) == (method, measure):
            found.setdefault(row[column], []).append(float(row["value"]))
    if not found:
        raise ValueError(f"{world}.csv has no {measure} of {method}")
    return np.array([np.mean(values) for values in found.values()])


def means(world: str, measure: str) -> dict[str, float]:
    """Return the mean of each method that this was measured of."""
    found: dict[str, list[float]] = {}
    for row in rows(f"{world}.csv"):
        if row["measure"] == measure:
            found.setdefault(row["method"], []).append(float(row["value"]))
    return {method: float(np.mean(values)) for method, values in found.items()}


def cell(values: np.ndarray, digits: int, *, is_range: bool = False) -> str:
    """Return a mean, with its 95 % interval over trainings (or their range) where there are several."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    mean, low, high = (values.mean(), values.min(), values.max()) if is_range else interval(values)
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(world: str, methods: dict[str, str], measures: dict[str, int], *, is_range: bool = False) -> str:
    """Return lines: methods by measures, each with so many digits.

    Args:
        world: "patients", "vehicles" or "pendulums".
        methods: how a method is called in the table, and what it is called here.
        measures: what was measured, and digits.
        is_range: in parentheses the smallest and the largest training, for counts near their bounds.
    """
    lines = [f"{'':29}" + "".join(f"{name:>24}" for name in measures)]
    for method, label in methods.items():
        cells = []
        for measure, digits in measures.items():
            known = {row["measure"] for row in rows(f"{world}.csv") if row["method"] == method}
            name = next((each for each in (measure, measure.split(" K=")[0]) if each in known), None)
            cells.append(
                "–" if name is None else cell(by_seed(world, method, name), digits, is_range=is_range)
            )
        lines.append(f"{label:29}" + "".join(f"{each:>24}" for each in cells))
    return "\n".join(lines)


def treasures(setting: str, cells: str, measure: str) -> np.ndarray:
    """Return what five trainings came to; a training in which nothing was found has no steps."""
    wanted = (setting, cells, measure)
    found = [row for row in rows("treasures.csv") if (row["setting"], row["cells"], row["measure"]) == wanted]
    return np.array([float(row["value"]) for row in found])


def treasure_row(setting: str, cells: str, who: str) -> str:
    """Return a line: the share found and the steps to it, in the first and in the second walk."""
    parts = []
    for k in WALKS:
        share, steps = (treasures(setting, cells, f"{who}, {what} {k}") for what in ("found", "steps"))
        parts.append(f"{share.mean():14.0%}, {steps.mean():8.1f}")
    return f"{f'{setting}: {cells}, {who}':36}" + "".join(parts)


def load_seeker() -> MemoryAgent:
    """Return the stored agent that seeks treasures on the small lake."""
    return MemoryAgent.load(data_path(FOLDER, "treasures.safetensors"), TreasureTasks(), device="cpu")
