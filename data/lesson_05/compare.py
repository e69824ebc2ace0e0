"""Compare MAML with its variants and with baselines under one budget: two files of lesson 05.

From the root of the checkout (about fifteen CPU-minutes on one core; needs a C++ compiler):

    python data/lesson_05/compare.py

The budget: 4,000 updates by Adam, 25 sinusoids an update, 5 + 5 points of each, the network of train.py.
Every method first chooses its inner step size and Adam's step size from a grid, by the loss on 200
validation tasks after 5 inner steps, with a seed of its own. Then it is trained with each of the SEEDS; all
methods of a seed begin with the same weights and see the same tasks. On a new task all of them take steps on
5 support points, with the step size that is best on the validation tasks, for each number of steps apart.

    random start       the network as it was initialized
    told the task      amplitude and phase are inputs of the network, and it takes no step: the ceiling

comparison.csv: method, seed, inner_lr and meta_lr (chosen in training), cpu_seconds (of the training), steps
(on a test task), rate (their size; for Meta-SGD a factor on its learned rates), loss (mean over 1,000 test
tasks).
tuning.csv: method, inner_lr, meta_lr, loss (mean over the validation tasks): all settings that were tried.
"""

import csv
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mlearn_utils.course.lesson_05.methods import (
    METHODS,
    Method,
    ToldSineTasks,
    begin,
    start_and_rates,
    train_start,
    tune_rate,
)
from mlearn_utils.course.lesson_05.sines import (
    TEST_SEED,
    VALIDATION_SEED,
    draw_tasks,
    losses_by_step,
    sine_network,
)
from mlearn_utils.meta.compiled import Update, compiled_update
from mlearn_utils.meta.maml import Params, parameters_of

UPDATES, SEEDS, TUNING_SEED, SHOTS = 4_000, 10, 1_000, 5
INNER_RATES, META_RATES = (0.003, 0.01, 0.03, 0.1), (0.002, 0.005, 0.01, 0.02)
TEST_STEPS = (0, 1, 5, 10)
RATES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
FACTORS = (0.2, 0.5, 0.7, 1.0, 1.4, 2.0)
VALIDATION = draw_tasks(200, SHOTS, seed=VALIDATION_SEED + SHOTS)
TEST = draw_tasks(1_000, SHOTS, seed=TEST_SEED + SHOTS)
TOLD_VALIDATION = draw_tasks(200, SHOTS, seed=VALIDATION_SEED + SHOTS, family=ToldSineTasks())
TOLD_TEST = draw_tasks(1_000, SHOTS, seed=TEST_SEED + SHOTS, family=ToldSineTasks())

Row = dict[str, object]


def rows_of(method: Method, trained: Params, facts: Row) -> Iterator[Row]:
    """Yield the rows of one trained start."""
    best = tune_rate(method, trained, VALIDATION, FACTORS if method.learns_rates else RATES, max(TEST_STEPS))
    for steps in TEST_STEPS:
        rate = best[max(steps, 1) - 1]
        start, own = start_and_rates(method, trained, rate)
        loss = losses_by_step(start, TEST, inner_lr=own, steps=steps)[steps].mean()
        yield facts | {"steps": steps, "rate": f"{rate:g}", "loss": f"{float(loss):.4g}"}


def validation_loss(method: Method, trained: Params, steps: int = 5) -> float:
    """Return the loss on the validation tasks after `steps` steps of the best size."""
    rate = tune_rate(method, trained, VALIDATION, FACTORS if method.learns_rates else RATES, steps)[-1]
    start, own = start_and_rates(method, trained, rate)
    return float(losses_by_step(start, VALIDATION, inner_lr=own, steps=steps)[steps].mean())


def train(method: Method, update: Update, inner_lr: float, meta_lr: float, seed: int) -> Params:
    """Return what the method has after its budget."""
    params = begin(method, parameters_of(sine_network(seed)), inner_lr)
    return train_start(update, params, updates=UPDATES, meta_lr=meta_lr, seed=100 + seed, shots=SHOTS)


def note(tried: list[Row], name: str, losses: dict[tuple[Any, float], float]) -> None:
    """Add what was tried for a method, (inner_lr, meta_lr) -> validation loss, to the rows of tuning.csv."""
    print(name, {key: round(loss, 3) for key, loss in losses.items()}, flush=True)
    for (inner_lr, meta_lr), loss in losses.items():
        tried.append({"method": name, "inner_lr": inner_lr, "meta_lr": meta_lr, "loss": f"{loss:.4g}"})


def compare(name: str, method: Method, tried: list[Row]) -> Iterator[Row]:
    """Tune one method, train it with every seed, and yield its rows."""
    updates = {inner_lr: compiled_update(method.make_update(inner_lr)) for inner_lr in INNER_RATES}
    inner_rates = INNER_RATES[:1] if name == "joint pretraining" else INNER_RATES
    found = {
        (inner_lr, meta_lr): validation_loss(
            method, train(method, updates[inner_lr], inner_lr, meta_lr, TUNING_SEED)
        )
        for inner_lr, meta_lr in itertools.product(inner_rates, META_RATES)
    }
    inner_lr, meta_lr = min(found, key=lambda setting: found[setting])
    note(tried, name, found)
    for seed in range(SEEDS):
        began = time.process_time()
        trained = train(method, updates[inner_lr], inner_lr, meta_lr, seed)
        seconds = f"{time.process_time() - began:.1f}"
        facts: Row = {"method": name, "seed": seed, "inner_lr": inner_lr, "meta_lr": meta_lr}
        yield from rows_of(method, trained, facts | {"cpu_seconds": seconds})


def random_start() -> Iterator[Row]:
    """Yield the rows of untrained networks."""
    for seed in range(SEEDS):
        facts: Row = {
            "method": "random start",
            "seed": seed,
            "inner_lr": "",
            "meta_lr": "",
            "cpu_seconds": "0",
        }
        start = {name: value.detach() for name, value in sine_network(seed).named_parameters()}
        yield from rows_of(METHODS["joint pretraining"], start, facts)


def told_the_task(tried: list[Row]) -> Iterator[Row]:
    """Yield the rows of networks that are told amplitude and phase."""
    update = compiled_update(METHODS["joint pretraining"].make_update(0.0))

    def trained(meta_lr: float, seed: int) -> Params:
        params = parameters_of(sine_network(seed, n_inputs=3))
        settings = {"updates": UPDATES, "seed": 100 + seed, "shots": SHOTS, "family": ToldSineTasks()}
        return train_start(update, params, meta_lr=meta_lr, **settings)

    def loss(params: Params, tasks: object) -> float:
        return float(losses_by_step(params, tasks, inner_lr=0.0, steps=0).mean())  # pyright: ignore

    found = {("", rate): loss(trained(rate, TUNING_SEED), TOLD_VALIDATION) for rate in META_RATES}
    _, meta_lr = min(found, key=lambda setting: found[setting])
    note(tried, "told the task", found)
    for seed in range(SEEDS):
        began = time.process_time()
        params = trained(meta_lr, seed)
        seconds = f"{time.process_time() - began:.1f}"
        yield {
            "method": "told the task",
            "seed": seed,
            "inner_lr": "",
            "meta_lr": meta_lr,
            "cpu_seconds": seconds,
            "steps": 0,
            "rate": "",
            "loss": f"{loss(params, TOLD_TEST):.4g}",
        }


def main() -> None:
    """Write both files."""
    torch.set_num_threads(1)
    tried: list[Row] = []
    table = [*random_start(), *told_the_task(tried)]
    for name, method in METHODS.items():
        table += compare(name, method, tried)
    for name, rows in (("comparison.csv", table), ("tuning.csv", tried)):
        with Path(__file__).with_name(name).open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
