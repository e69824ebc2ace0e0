"""Compare MAML with its variants and with baselines under one budget: two files of lesson 05.

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

import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results, table

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
from mlearn_utils.tasks.regression import TaskBatch

UPDATES, SEEDS, TUNING_SEED, SHOTS = 4_000, 10, 1_000, 5
INNER_RATES, META_RATES = (0.003, 0.01, 0.03, 0.1), (0.002, 0.005, 0.01, 0.02)
TEST_STEPS = (0, 1, 5, 10)
RATES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
FACTORS = (0.2, 0.5, 0.7, 1.0, 1.4, 2.0)
VALIDATION = draw_tasks(200, SHOTS, seed=VALIDATION_SEED + SHOTS)
TEST = draw_tasks(1_000, SHOTS, seed=TEST_SEED + SHOTS)
TOLD_VALIDATION = draw_tasks(200, SHOTS, seed=VALIDATION_SEED + SHOTS, family=ToldSineTasks())
TOLD_TEST = draw_tasks(1_000, SHOTS, seed=TEST_SEED + SHOTS, family=ToldSineTasks())

TOLD = "told the task"

Row = dict[str, Any]


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


@cache
def compiled(name: str, inner_lr: float) -> Update:
    """Return a method's update, compiled once in this process."""
    return compiled_update(METHODS[name].make_update(inner_lr))


def train(name: str, inner_lr: float, meta_lr: float, seed: int, updates: int = UPDATES) -> Params:
    """Return what the method has after its budget."""
    params = begin(METHODS[name], parameters_of(sine_network(seed)), inner_lr)
    update = compiled(name, inner_lr)
    return train_start(update, params, updates=updates, meta_lr=meta_lr, seed=100 + seed, shots=SHOTS)


def tune(name: str, inner_lr: float) -> list[Row]:
    """Return the rows of one inner step size, with every step size of Adam."""
    rows: list[Row] = []
    for meta_lr in META_RATES:
        loss = validation_loss(METHODS[name], train(name, inner_lr, meta_lr, TUNING_SEED))
        rows.append({"method": name, "inner_lr": inner_lr, "meta_lr": meta_lr, "loss": loss})
    return rows


def run_seed(name: str, seed: int, done: Results) -> list[Row]:
    """Return the rows of a method with one seed, at the best step sizes."""
    best = min((row for rows in done.values() for row in rows), key=lambda row: row["loss"])
    inner_lr, meta_lr = best["inner_lr"], best["meta_lr"]
    train(name, inner_lr, meta_lr, seed, updates=1)  # so that the time is without the compiler's
    began = time.process_time()
    trained = train(name, inner_lr, meta_lr, seed)
    seconds = f"{time.process_time() - began:.1f}"
    facts: Row = {"method": name, "seed": seed, "inner_lr": inner_lr, "meta_lr": meta_lr}
    return list(rows_of(METHODS[name], trained, facts | {"cpu_seconds": seconds}))


def random_start() -> list[Row]:
    """Return the rows of untrained networks."""
    rows: list[Row] = []
    for seed in range(SEEDS):
        facts: Row = {
            "method": "random start",
            "seed": seed,
            "inner_lr": "",
            "meta_lr": "",
            "cpu_seconds": "0",
        }
        start = {name: value.detach() for name, value in sine_network(seed).named_parameters()}
        rows += rows_of(METHODS["joint pretraining"], start, facts)
    return rows


def train_told(meta_lr: float, seed: int, updates: int = UPDATES) -> Params:
    """Return a network that is told amplitude and phase, after the same budget."""
    params = parameters_of(sine_network(seed, n_inputs=3))
    settings = {"updates": updates, "seed": 100 + seed, "shots": SHOTS, "family": ToldSineTasks()}
    return train_start(compiled("joint pretraining", 0.0), params, meta_lr=meta_lr, **settings)


def told_loss(params: Params, tasks: TaskBatch) -> float:
    """Return the mean loss without a step."""
    return float(losses_by_step(params, tasks, inner_lr=0.0, steps=0).mean())


def tune_told(meta_lr: float) -> list[Row]:
    """Return the row of one step size of Adam."""
    loss = told_loss(train_told(meta_lr, TUNING_SEED), TOLD_VALIDATION)
    return [{"method": TOLD, "inner_lr": "", "meta_lr": meta_lr, "loss": loss}]


def run_told(seed: int, done: Results) -> list[Row]:
    """Return the row of one seed, at the best step size."""
    meta_lr = min((row for rows in done.values() for row in rows), key=lambda row: row["loss"])["meta_lr"]
    train_told(meta_lr, seed, updates=1)
    began = time.process_time()
    params = train_told(meta_lr, seed)
    seconds = f"{time.process_time() - began:.1f}"
    row: Row = {"method": TOLD, "seed": seed, "inner_lr": "", "meta_lr": meta_lr, "cpu_seconds": seconds}
    return [row | {"steps": 0, "rate": "", "loss": f"{told_loss(params, TOLD_TEST):.4g}"}]


def parts() -> list[Part]:
    """Return the random start, then for each method its tuning and its seeds."""
    found = [Part("random start", random_start)]
    tuning = [Part(f"{TOLD}, tuning {rate:g}", tune_told, (rate,)) for rate in META_RATES]
    after = tuple(part.name for part in tuning)
    found += tuning + [Part(f"{TOLD}, seed {seed}", run_told, (seed,), after) for seed in range(SEEDS)]
    for name in METHODS:
        rates = INNER_RATES[:1] if name == "joint pretraining" else INNER_RATES
        tuning = [Part(f"{name}, tuning {rate:g}", tune, (name, rate)) for rate in rates]
        after = tuple(part.name for part in tuning)
        found += tuning + [
            Part(f"{name}, seed {seed}", run_seed, (name, seed), after) for seed in range(SEEDS)
        ]
    return found


def finish(results: Results) -> Files:
    """Return the content of both files, in the order of the parts."""
    tuning = [part.name for part in parts() if part.make in (tune, tune_told)]
    tried = [{**row, "loss": f"{row['loss']:.4g}"} for name in tuning for row in results[name]]
    rows = [row for part in parts() if part.name not in tuning for row in results[part.name]]
    return {"comparison.csv": table(rows), "tuning.csv": table(tried)}


FILES = ("comparison.csv", "tuning.csv")
EXPERIMENT = Experiment(__file__, __doc__, 15, FILES, parts, finish, needs=("a C++ compiler",))

if __name__ == "__main__":
    EXPERIMENT.main()
