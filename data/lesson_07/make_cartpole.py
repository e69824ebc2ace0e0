"""Hyperparameters of policy gradients on cart-poles (about seventeen CPU-minutes).

    python data/lesson_07/make_cartpole.py      everything; or name parts: discount, phys, dirv

writes, next to itself,

    cartpole_FAMILY.csv   a row a held-out task, for the families "phys" and "dirv": mean return over five
                          seeds of the default, the portfolio, random search and the model, after 1 and 2
                          runs; and what oracles earn that try the 24 settings on the task itself
    cartpole_seeds_FAMILY.csv   a row a seed, strategy and budget: the mean over the held-out tasks
    discount.csv          a row a run on the plain cart-pole: the return (or gamma, or lambda) at each
                          update, with both fixed and with both adjusted by meta-gradient, forty seeds each
"""

import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlearn_utils.course.lesson_07 import carts
from mlearn_utils.course.lesson_07.grids import best_default, portfolio
from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks

FOLDER = Path(__file__).parent
N_TASKS, N_SETTINGS, HELD_OUT = 60, 24, 100
SEEDS, DISCOUNT_SEEDS, BUDGET, ORACLE_RUNS = range(5), 40, 2, 5


def spread_settings() -> FloatArray:
    """Return settings [S, H] spread over the space."""
    from scipy.stats import qmc

    unit = qmc.Halton(len(carts.SPACE), rng=np.random.default_rng(0)).random(N_SETTINGS)
    return spaces.from_unit(carts.SPACE, unit)


def train_table(tasks: CartPoleTask, settings: FloatArray, seed: int) -> FloatArray:
    """Return [T, S] the return of each setting on each task."""
    start = time.process_time()
    table = carts.run(tasks, np.broadcast_to(settings, (len(tasks), *settings.shape)), seed=seed)
    print(f"table of {table.size} runs, {time.process_time() - start:.0f} CPU-s", flush=True)
    return table


def held_out(family: str) -> tuple[dict[str, FloatArray], list[tuple[Any, ...]]]:
    """Return [M] the best return after 1 and 2 runs of each strategy, by column; and rows, a mean a seed."""
    rows: list[tuple[Any, ...]] = []
    new = CartPoleTasks(family).sample(HELD_OUT, seed=9000)
    settings, found = spread_settings(), {}
    for seed in SEEDS:
        tasks = CartPoleTasks(family).sample(N_TASKS, seed=seed)
        table = train_table(tasks, settings, 100 + seed)
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
        for k, (name, chosen) in enumerate(tried.items()):
            best = np.maximum.accumulate(carts.run(new, chosen, seed=500 + 10 * seed + k), axis=1)
            for budget in range(BUDGET):
                found.setdefault(f"{name} @{budget + 1}", []).append(best[:, budget])
                rows.append((seed, name, budget + 1, f"{best[:, budget].mean():.5g}"))
        means = {name: round(float(values[-1].mean()), 1) for name, values in found.items()}
        print(family, seed, f"explains {model.score:.2f} left out", means, flush=True)
    columns = {name: np.mean(values, axis=0) for name, values in found.items()}
    return columns | oracles(new, settings), rows


def oracles(tasks: CartPoleTask, settings: FloatArray) -> dict[str, FloatArray]:
    """Return [M] what the best of these settings earns on each task, judged by a run that did not choose it.

    "oracle by 4" chooses by the mean of four runs and is judged by the fifth, averaged over which is the
    fifth; "oracle, optimistic" is judged by the runs it chose by.
    """
    tried = np.broadcast_to(settings, (len(tasks), *settings.shape))
    runs = np.stack([carts.run(tasks, tried, seed=900 + k) for k in range(ORACLE_RUNS)])  # [R, M, S]
    chosen = [np.delete(runs, k, axis=0).mean(axis=0).argmax(axis=1) for k in range(ORACLE_RUNS)]
    row = np.arange(len(tasks))
    honest = [runs[k][row, choice] for k, choice in enumerate(chosen)]
    return {"oracle by 4": np.mean(honest, axis=0), "oracle, optimistic": runs.mean(axis=0).max(axis=1)}


def discounts() -> list[tuple[Any, ...]]:
    """Return the rows of discount.csv."""
    rows = []
    for kind, gammas, meta_lr in (
        ("fixed", carts.STARTS, 0.0),
        ("fixed", carts.OTHERS, 0.0),
        ("adjusted", carts.STARTS, carts.META_LR),
    ):
        runs = carts.discount_runs(gammas, meta_lr=meta_lr, seeds=DISCOUNT_SEEDS)
        for quantity, curves in zip(("return", "gamma", "lambda"), runs, strict=True):
            for (g, seed), curve in iterate(curves):
                rows.append((kind, gammas[g], quantity, seed, *(f"{value:.4g}" for value in curve)))
        print(kind, dict(zip(gammas, runs[0].mean(axis=(1, 2)).round(1).tolist(), strict=True)), flush=True)
    return [row for row in rows if row[0] == "adjusted" or row[2] == "return"]


def iterate(curves: FloatArray) -> Iterator[tuple[tuple[int, int], FloatArray]]:
    """Return the indices and the curve [updates] of each run in curves [G, seeds, updates]."""
    for index in np.ndindex(*curves.shape[:2]):
        yield (index[0], index[1]), curves[index]


def write(file: str, header: tuple[str, ...], rows: Any) -> None:
    """Write one CSV file next to this script."""
    with (FOLDER / file).open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Run everything."""
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or ["discount", "phys", "dirv"]
    if "discount" in wanted:
        updates = (f"update {k}" for k in range(carts.UPDATES))
        write("discount.csv", ("kind", "first gamma", "quantity", "seed", *updates), discounts())
    for family in wanted:
        if family == "discount":
            continue
        columns, rows = held_out(family)
        write(f"cartpole_seeds_{family}.csv", ("seed", "strategy", "budget", "mean return"), rows)
        values = np.array(list(columns.values())).T
        write(f"cartpole_{family}.csv", tuple(columns), [[f"{x:.4g}" for x in row] for row in values])


if __name__ == "__main__":
    main()
