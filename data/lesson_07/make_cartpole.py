"""Hyperparameters of policy gradients on cart-poles.

cartpole_FAMILY.csv   a row a held-out task, for the families "phys" and "dirv": mean return over five
                      seeds of the default, the portfolio, random search and the model, after 1 and 2
                      runs; and what oracles earn that try the 24 settings on the task itself
cartpole_seeds_FAMILY.csv   a row a seed, strategy and budget: the mean over the held-out tasks
discount.csv          a row a run on the plain cart-pole: the return (or gamma, or lambda) at each
                      update, with both fixed and with both adjusted by meta-gradient, forty seeds each
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np

from mlearn_utils.course.lesson_07 import carts
from mlearn_utils.course.lesson_07.grids import best_default, portfolio
from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.tasks.cartpole import CartPoleTasks

N_TASKS, N_SETTINGS, HELD_OUT = 60, 24, 100
SEEDS, DISCOUNT_SEEDS, BUDGET, ORACLE_RUNS = range(5), 40, 2, 5


def spread_settings() -> FloatArray:
    """Return settings [S, H] spread over the space."""
    from scipy.stats import qmc

    unit = qmc.Halton(len(carts.SPACE), rng=np.random.default_rng(0)).random(N_SETTINGS)
    return spaces.from_unit(carts.SPACE, unit)


def train_table(family: str, seed: int) -> list[list[float]]:
    """Return [T, S] the return of each setting on each training task."""
    tasks, settings = CartPoleTasks(family).sample(N_TASKS, seed=seed), spread_settings()
    tried = np.broadcast_to(settings, (len(tasks), *settings.shape))
    return carts.run(tasks, tried, seed=100 + seed).tolist()


def play(family: str, seed: int, done: Results) -> dict[str, list[list[float]]]:
    """Return for every strategy the best return [M, budget] so far on each held-out task."""
    new, settings = CartPoleTasks(family).sample(HELD_OUT, seed=9000), spread_settings()
    tasks, table = CartPoleTasks(family).sample(N_TASKS, seed=seed), np.array(done[f"{family} table {seed}"])
    model = HyperparameterModel(space=carts.SPACE, seed=seed).fit(
        np.repeat(tasks.hidden(), N_SETTINGS, axis=0), np.tile(settings, (N_TASKS, 1)), table.ravel()
    )
    rng = np.random.default_rng([seed, 1])
    drawn = spaces.sample(carts.SPACE, HELD_OUT * BUDGET, rng=rng).reshape(HELD_OUT, BUDGET, -1)
    tried = {
        "default": np.tile(settings[best_default(table)], (HELD_OUT, BUDGET, 1)),
        "portfolio": np.tile(settings[portfolio(table, BUDGET)], (HELD_OUT, 1, 1)),
        "random search": drawn,
        "model": model.suggest(new.hidden(), BUDGET),
    }
    return {
        name: np.maximum.accumulate(carts.run(new, chosen, seed=500 + 10 * seed + k), axis=1).tolist()
        for k, (name, chosen) in enumerate(tried.items())
    }


def run_oracle(family: str, k: int) -> list[list[float]]:
    """Return [M, S] the return of each setting on each held-out task, in the run k of ORACLE_RUNS."""
    tasks, settings = CartPoleTasks(family).sample(HELD_OUT, seed=9000), spread_settings()
    tried = np.broadcast_to(settings, (len(tasks), *settings.shape))
    return carts.run(tasks, tried, seed=900 + k).tolist()


def oracles(runs: FloatArray) -> dict[str, FloatArray]:
    """Return [M] what the best of the settings earns on each task, of runs [R, M, S].

    "oracle by 4" chooses by the mean of four runs and is judged by the fifth, averaged over which is the
    fifth; "oracle, optimistic" is judged by the runs it chose by.
    """
    chosen = [np.delete(runs, k, axis=0).mean(axis=0).argmax(axis=1) for k in range(ORACLE_RUNS)]
    row = np.arange(runs.shape[1])
    honest = [runs[k][row, choice] for k, choice in enumerate(chosen)]
    return {"oracle by 4": np.mean(honest, axis=0), "oracle, optimistic": runs.mean(axis=0).max(axis=1)}


def run_discounts(kind: str, gammas: tuple[float, ...]) -> list[tuple[Any, ...]]:
    """Return the rows of discount.csv of some first discounts, fixed or adjusted."""
    meta_lr = carts.META_LR if kind == "adjusted" else 0.0
    runs, rows = carts.discount_runs(gammas, meta_lr=meta_lr, seeds=DISCOUNT_SEEDS), []
    for quantity, curves in zip(("return", "gamma", "lambda"), runs, strict=True):
        if kind == "adjusted" or quantity == "return":
            for (g, seed), curve in iterate(curves):
                rows.append((kind, gammas[g], quantity, seed, *(f"{value:.4g}" for value in curve)))
    return rows


def iterate(curves: FloatArray) -> Iterator[tuple[tuple[int, int], FloatArray]]:
    """Return the indices and the curve [updates] of each run in curves [G, seeds, updates]."""
    for index in np.ndindex(*curves.shape[:2]):
        yield (index[0], index[1]), curves[index]


DISCOUNTS = {
    "discount fixed": ("fixed", carts.STARTS),
    "discount fixed, others": ("fixed", carts.OTHERS),
    "discount adjusted": ("adjusted", carts.STARTS),
}
FAMILIES = ("phys", "dirv")


def parts() -> list[Part]:
    """Return the discounts; then for each family its tables, what is played after each, the oracles' runs."""
    found = [Part(name, run_discounts, arguments) for name, arguments in DISCOUNTS.items()]
    for family in FAMILIES:
        found += [Part(f"{family} table {seed}", train_table, (family, seed)) for seed in SEEDS]
        found += [Part(f"{family} play {k}", play, (family, k), (f"{family} table {k}",)) for k in SEEDS]
        found += [Part(f"{family} oracle {k}", run_oracle, (family, k)) for k in range(ORACLE_RUNS)]
    return found


def finish(results: Results) -> Files:
    """Return the content of all files."""
    updates = (f"update {k}" for k in range(carts.UPDATES))
    files: dict[str, Any] = {
        "discount.csv": [
            ("kind", "first gamma", "quantity", "seed", *updates),
            *(row for name in DISCOUNTS for row in results[name]),
        ]
    }
    for family in FAMILIES:
        rows: list[tuple[Any, ...]] = []
        found: dict[str, list[FloatArray]] = {}
        for seed in SEEDS:
            for name, stored in results[f"{family} play {seed}"].items():
                for k, best in enumerate(np.array(stored).T):
                    found.setdefault(f"{name} @{k + 1}", []).append(best)
                    rows.append((seed, name, k + 1, f"{best.mean():.5g}"))
        runs = np.array([results[f"{family} oracle {k}"] for k in range(ORACLE_RUNS)])
        named = {name: np.mean(values, axis=0) for name, values in found.items()} | oracles(runs)
        values = np.array(list(named.values())).T
        files[f"cartpole_{family}.csv"] = [list(named), *([f"{x:.4g}" for x in row] for row in values)]
        files[f"cartpole_seeds_{family}.csv"] = [("seed", "strategy", "budget", "mean return"), *rows]
    return files


FILES = tuple(f"cartpole_{kind}{family}.csv" for family in FAMILIES for kind in ("", "seeds_"))
EXPERIMENT = Experiment(__file__, __doc__, 17, ("discount.csv", *FILES), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
