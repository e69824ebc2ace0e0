"""What more tasks in an update buy: how many updates MAML needs until it is good at waves.

    rates.csv      tasks, meta_lr, seed, updates: what was tried to choose meta_lr, two trainings each
    batches.csv    tasks, meta_lr, seed, updates: five other trainings with the meta_lr whose slower one of
                   the two was the quicker

MAML on `SineTasks` (network 1-40-40-1, one inner step of 0.01, 10 support and 10 query points) is judged
after each ten updates on 500 validation waves: `updates` is the first of these counts with a mean error after
one step of at most 1, empty if that did not come within 10,000 updates and 400,000 tasks.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

from mlearn_utils.course.lesson_10.two_ranks import network, use_threads
from mlearn_utils.course.lesson_10.ways import INNER_LR
from mlearn_utils.meta import maml
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import SineTasks

TASKS, RATES = (400, 100, 25, 5, 1), (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08)
SEEDS, TUNING_SEEDS = range(5), (900, 901)
GOOD, MOST, MOST_TASKS, EVERY, VALIDATION_SEED = 1.0, 10_000, 400_000, 10, 55_000


def train(tasks: int, meta_lr: float, seed: int) -> list[Any]:
    """Train until it is good."""
    use_threads(1)
    waves = SineTasks()
    judged = waves.sample(500, 10, 10, generator=make_generator(VALIDATION_SEED))
    model = network(40, seed)
    learner = MetaLearner(model, inner_lr=INNER_LR, meta_lr=meta_lr, device="cpu")
    loss, error, updates = maml.module_loss(model, learner.loss), float("inf"), 0
    while error > GOOD and updates < min(MOST, MOST_TASKS // tasks):
        try:
            learner.train(
                waves, epochs=EVERY, inner_batch_size=10, outer_batch_size=tasks, seed=seed, progress=False
            )
        except FloatingPointError:
            break
        updates += EVERY
        params = maml.parameters_of(model)
        error = maml.meta_gradient(loss, params, judged, inner_lr=INNER_LR)[0].item()
    return [tasks, meta_lr, seed, updates if error <= GOOD else ""]


def train_with_best(tasks: int, seed: int, done: Results) -> list[Any]:
    """Train with the rate that was best among those tried for so many tasks."""
    found: dict[float, list[float]] = {}
    for _, rate, _, updates in (row for row in done.values() if row[0] == tasks):
        found.setdefault(rate, []).append(updates or float("inf"))
    return train(tasks, min(found, key=lambda rate: max(found[rate])), seed)


def tried(tasks: int) -> list[Part]:
    """Return the trainings that choose the rate for so many tasks."""
    return [Part(f"tune T{tasks} {r:g} {s}", train, (tasks, r, s)) for r in RATES for s in TUNING_SEEDS]


def parts() -> list[Part]:
    """Return all trainings."""
    found = []
    for tasks in TASKS:
        tuning = tried(tasks)
        names = tuple(part.name for part in tuning)
        found += [*tuning, *(Part(f"T{tasks} {s}", train_with_best, (tasks, s), names) for s in SEEDS)]
    return found


def finish(results: Results) -> Files:
    """Return both tables."""
    columns = ("tasks", "meta_lr", "seed", "updates")
    found: dict[bool, list[Any]] = {True: [columns], False: [columns]}
    for name, row in results.items():
        found[name.startswith("tune")].append(row)
    return {"rates.csv": found[True], "batches.csv": found[False]}


EXPERIMENT = Experiment(
    script=__file__, text=__doc__, minutes=15, files=("rates.csv", "batches.csv"), parts=parts, finish=finish
)

if __name__ == "__main__":
    EXPERIMENT.main()
