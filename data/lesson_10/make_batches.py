"""What more tasks in an update buy: how many updates MAML needs until it is good at waves.

batches.csv    tasks, meta_lr, seed, updates, error: MAML on `SineTasks` (network 1-40-40-1, one inner step
               of 0.01, 10 support and 10 query points), judged after each 25 updates on 500 validation
               waves: the first of these counts with a mean error after one step of at most 1, empty if
               that did not come within 3000; and the error at the end
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

from mlearn_utils.course.lesson_10.ways import INNER_LR, network, use_threads
from mlearn_utils.meta import maml
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import SineTasks

TASKS, RATES, SEEDS = (1, 5, 25, 100, 400), (0.0003, 0.001, 0.003, 0.01, 0.03), range(5)
GOOD, MOST, EVERY, VALIDATION_SEED = 1.0, 3000, 25, 55_000


def train(tasks: int, meta_lr: float, seed: int) -> list[list[Any]]:
    """Train until it is good."""
    use_threads(1)
    waves = SineTasks()
    judged = waves.sample(500, 10, 10, generator=make_generator(VALIDATION_SEED))
    model = network(40, seed)
    learner = MetaLearner(model, inner_lr=INNER_LR, meta_lr=meta_lr, device="cpu")
    loss, error, updates = maml.module_loss(model, learner.loss), float("inf"), 0
    while error > GOOD and updates < MOST:
        try:
            learner.train(
                waves, epochs=EVERY, inner_batch_size=10, outer_batch_size=tasks, seed=seed, progress=False
            )
        except FloatingPointError:
            break
        updates += EVERY
        params = maml.parameters_of(model)
        error = maml.meta_gradient(loss, params, judged, inner_lr=INNER_LR)[0].item()
    return [[tasks, meta_lr, seed, updates if error <= GOOD else "", float(f"{error:.4g}")]]


def parts() -> list[Part]:
    """Return all trainings."""
    return [Part(f"T{t} {r:g} {s}", train, (t, r, s)) for t in TASKS for r in RATES for s in SEEDS]


def finish(results: Results) -> Files:
    """Return the table."""
    columns = ("tasks", "meta_lr", "seed", "updates", "error")
    return {"batches.csv": [columns, *(row for rows in results.values() for row in rows)]}


EXPERIMENT = Experiment(
    script=__file__, text=__doc__, minutes=30, files=("batches.csv",), parts=parts, finish=finish
)

if __name__ == "__main__":
    EXPERIMENT.main()
