"""What data/lesson_07 holds, read back; see data/lesson_07/make_table.py and make_cartpole.py."""

import csv
from functools import lru_cache

import numpy as np

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.lesson_07.grids import FEATURES, SPACE
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.runtime import data_path

STRATEGIES = (
    "default",
    "default, then near it",
    "portfolio",
    "random search",
    "TPE",
    "model",
    "model + adjust",
)


def settings(family: str) -> FloatArray:
    """Return [S, H] the settings of the training table of a family."""
    columns = _columns(f"settings_{family}.csv")
    return np.stack([columns[name] for name in SPACE], axis=1)


def table(family: str) -> tuple[FloatArray, FloatArray]:
    """Return features [T, F] of the training grids and the return [T, S] of each setting on each."""
    columns = _columns(f"table_{family}.csv")
    features = np.stack([columns[name] for name in FEATURES], axis=1)
    returns = [values for name, values in columns.items() if name.startswith("setting ")]
    return features, np.stack(returns, axis=1)


def held_out(family: str) -> dict[str, FloatArray]:
    """Return [M] the best return on each held-out grid, by "strategy @budget"; and the oracles."""
    return _columns(f"held_out_{family}.csv")


def cartpole(family: str) -> dict[str, FloatArray]:
    """Return [M] the best return of each strategy on each held-out cart-pole, by "strategy @budget"."""
    return _columns(f"cartpole_{family}.csv")


def estimators() -> dict[str, FloatArray]:
    """Return [M] the gain over the default of one suggestion, by the estimator of the model."""
    return _columns("estimators.csv")


def seed_gains(family: str, budget: int, strategy: str = "model", baseline: str = "default") -> FloatArray:
    """Return [seed] the mean gain of a strategy over a baseline; "phys" and "dirv" are families of carts.

    Each seed has its own training table.
    """
    found: dict[str, list[float]] = {strategy: [], baseline: []}
    file = f"cartpole_seeds_{family}.csv" if family in ("phys", "dirv") else f"seeds_{family}.csv"
    with data_path("lesson_07", file).open(newline="") as stream:
        for row in csv.DictReader(stream):
            if int(row["budget"]) == budget and row["strategy"] in found:
                found[row["strategy"]].append(float(row["mean return"]))
    return np.array(found[strategy]) - np.array(found[baseline])


def budgets(columns: dict[str, FloatArray]) -> list[int]:
    """Return the budgets of which results are stored, ascending."""
    return sorted({int(name.split("@")[1]) for name in columns if "@" in name})


def difference(columns: dict[str, FloatArray], ours: str, theirs: str) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the paired difference of two columns over tasks."""
    return interval(columns[ours] - columns[theirs])


@lru_cache
def stored_model() -> HyperparameterModel:
    """Return the model fitted on the stored table of the family "varied"."""
    features, returns = table("varied")
    rows = np.repeat(features, returns.shape[1], axis=0)
    return HyperparameterModel(space=SPACE).fit(
        rows, np.tile(settings("varied"), (len(features), 1)), returns.ravel()
    )


def _columns(file: str) -> dict[str, FloatArray]:
    with data_path("lesson_07", file).open(newline="") as stream:
        header, *rows = csv.reader(stream)
    return dict(zip(header, np.array(rows, dtype=np.float64).T, strict=True))
