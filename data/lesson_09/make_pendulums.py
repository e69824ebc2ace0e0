"""Balance pendulums with hidden motors by six methods and the true model: two files of lesson 09.

Tuning: on 51 validation robots, 17 for each of three training seeds of their own. First trainings, judged by
the robots that stay up with K = 1 transition: MAML's (inner step size and number of steps; then Adam's step
size and the number of transitions in training; among equals the fewest inner steps) and the joint network's
(Adam's step size; with no step, and with the best of six ways to fine-tune, which decides). Then for each
method and each K what it does with a new robot: rate and number of gradient steps, or the variance that ridge
regression and the learned prior assume. More validation robots that stay up win; among equals the smaller
error of the linear model.

Results: 10 seeds (training robots, network, batches) x 3 sets of 40 test robots. Every robot drives its own
transitions from its reset. Least squares also gets more transitions, and, as a control, steps of the test
bench, each from a new state ("least squares, bench"). "equations" looks for gear and mass on a grid, with
the simulator, by one step.

pendulums.csv: method, seed, set, measure, value; measures are "balanced K=2" (robots of 40 that stay up 500
steps), "steps K=2" (their mean), "error K=2" (mean squared error of the linear model, in scaled units), and
"seconds of 30 updates" (CPU). What does not depend on the transitions has no K; what does not depend on the
seed has seed 0 only.
pendulums_tuning.csv: method, K (of the transitions), setting, balanced (of 51), error.
"""

import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results, table

import numpy as np

from mlearn_utils.course.lesson_09 import pendulums as lesson
from mlearn_utils.course.lesson_09.pendulum_records import Logbook, Scales, physical, record_logbook
from mlearn_utils.course.lesson_09.pendulums import Method
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.tasks.pendulum_runs import Transitions, balance, bench, drive
from mlearn_utils.tasks.pendulum_runs import linear_model as true_model
from mlearn_utils.tasks.pendulums import PendulumTask, PendulumTasks

SEEDS, SETS, SHOTS = 10, 3, (1, 2, 3, 5)
TUNING_SEEDS, VALIDATION_SEED, TEST_SEED = (900, 901, 902), 5_000, 7_000
INNER_RATES, INNER_STEPS, META_RATES = (0.01, 0.03, 0.1, 0.3), (1, 3, 5), (0.003, 0.01, 0.03)
JOINT_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
FINE = tuple((rate, steps) for rate in (0.03, 0.1, 0.3) for steps in (30, 100))
STEPS = {"MAML": (1, 3, 10, 30, 100, 300), "fine-tuned": (10, 30, 100, 300, 1000)}
RATES = {"MAML": (0.001, 0.003, 0.01, 0.03, 0.1), "fine-tuned": (0.01, 0.03, 0.1, 0.3)}
NOISES = {
    "ridge": (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0),
    "learned prior": (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
}
MANY = (10, 20, 50, 100)

Row = dict[str, Any]


class Robots:
    """Robots that judge, with what they are in truth."""

    def __init__(self, n: int, seed: int):
        self.tasks: PendulumTask = PendulumTasks().sample(n, seed=seed)
        self.truth, self.seed = true_model(self.tasks), seed

    def judge(self, method: Method, support: Transitions, scales: Scales) -> dict[str, float]:
        """Return how many stay up, their mean steps, and the error of the linear models."""
        models = method(support)
        steps = balance(self.tasks, lesson.lqr_gains(models), seed=self.seed + 1)
        miss = (models - self.truth) * scales.inputs / scales.change[:, None]
        error = float(np.nan_to_num((miss**2).mean(), nan=1e9, posinf=1e9))
        return {"balanced": int((steps == 500).sum()), "steps": float(steps.mean()), "error": error}


@cache
def validation() -> list[tuple[Robots, Logbook]]:
    """Return validation robots for each training seed of the tuning, and its logbook."""
    return [(Robots(17, VALIDATION_SEED + 10 * k), record_logbook(seed=k)) for k in TUNING_SEEDS]


def try_out(name: str, shots: int, setting: str, methods: Iterable[Method]) -> Row:
    """Return the row of one setting, for the methods of the three training seeds."""
    balanced, error = 0, 0.0
    for (robots, log), method in zip(validation(), methods, strict=True):
        found = robots.judge(method, drive(robots.tasks, shots, seed=robots.seed + 2), log.scales)
        balanced, error = balanced + int(found["balanced"]), error + found["error"] / len(TUNING_SEEDS)
    return {"method": name, "K": shots, "setting": setting, "balanced": balanced, "error": error}


def adapted(learners: Iterable[MetaLearner], rate: float, steps: float) -> list[Method]:
    """Return the method of each learner."""
    pairs = zip(learners, validation(), strict=True)
    return [lesson.network_method(learner, log.scales, rate, steps) for learner, (_, log) in pairs]


def best(rows: list[Row]) -> Row:
    """Return the row of the most robots that stay up, among equals that of the smallest error."""
    return max(rows, key=lambda row: (row["balanced"], -row["error"]))


def best_training(rows: list[Row]) -> Row:
    """Return MAML's row of the most robots that stay up, among equals that of the fewest inner steps."""
    return max(rows, key=lambda row: (row["balanced"], -numbers(row)[1], -row["error"]))


def numbers(row: Row) -> list[float]:
    """Return the numbers of a setting."""
    return [float(value) for value in row["setting"].split()]


def tune_inner(steps: int) -> list[Row]:
    """Return MAML's rows with `steps` inner steps in training."""
    return [_maml_row(rate, steps, 0.01, 1) for rate in INNER_RATES]


def tune_outer(done: Results) -> list[Row]:
    """Return MAML's rows with other step sizes of Adam and more transitions in training."""
    rate, steps, _, _ = numbers(best_training([row for rows in done.values() for row in rows]))
    others = [(meta_lr, 1) for meta_lr in META_RATES if meta_lr != 0.01] + [(0.01, 2), (0.01, 3)]
    return [_maml_row(rate, int(steps), *other) for other in others]


def _maml_row(rate: float, steps: int, meta_lr: float, shots: int) -> Row:
    """Return the row of a training, judged after as many steps as in training or after 30."""
    settings = {"inner_lr": rate, "steps": steps, "meta_lr": meta_lr, "shots": shots}
    learners = [
        lesson.train_maml(log, seed=seed, **settings)
        for seed, (_, log) in zip(TUNING_SEEDS, validation(), strict=True)
    ]
    name = f"{rate:g} {steps} {meta_lr:g} {shots}"
    return best([try_out("MAML training", 1, name, adapted(learners, rate, n)) for n in (steps, 30)])


def tune_joint() -> list[Row]:
    """Return the joint network's rows, one a step size of Adam: with no step, and the best fine-tuning."""
    rows: list[Row] = []
    for rate in JOINT_RATES:
        learners = [
            lesson.train_joint(log, seed=seed, meta_lr=rate)
            for seed, (_, log) in zip(TUNING_SEEDS, validation(), strict=True)
        ]
        tried = [
            try_out("joint training", 1, f"{rate:g}", adapted(learners, *setting))
            for setting in ((0.0, 0), *FINE)
        ]
        rows += [tried[0] | {"method": "joint training, no step"}, best(tried[1:])]
    return rows


def trained(log: Logbook, seed: int, done: Results) -> tuple[MetaLearner, MetaLearner]:
    """Return MAML and the joint network, trained at the best settings."""
    tried = [row for rows in done.values() for row in rows]
    rate, steps, meta_lr, shots = numbers(
        best_training([row for row in tried if row["method"] == "MAML training"])
    )
    (joint_lr,) = numbers(best([row for row in tried if row["method"] == "joint training"]))
    settings = {"inner_lr": rate, "steps": int(steps), "meta_lr": meta_lr, "shots": int(shots)}
    maml = lesson.train_maml(log, seed=seed, **settings)
    return maml, lesson.train_joint(log, seed=seed, meta_lr=joint_lr)


def tune_network(name: str, done: Results) -> list[Row]:
    """Return a network's rows: every rate and number of steps on a new robot, for every K."""
    learners = [
        trained(log, seed, done)[name == "fine-tuned"]
        for seed, (_, log) in zip(TUNING_SEEDS, validation(), strict=True)
    ]
    return [
        try_out(name, shots, f"{rate:g} {steps}", adapted(learners, rate, steps))
        for shots in SHOTS
        for rate in RATES[name]
        for steps in STEPS[name]
    ]


def tune_gaussian(name: str) -> list[Row]:
    """Return the rows of ridge regression or of the learned prior: every variance, for every K."""
    priors = [(*lesson.linear_prior(log), log.scales) for _, log in validation()]
    if name == "ridge":
        priors = [(mean, np.eye(mean.size), scales) for mean, _, scales in priors]
    return [
        try_out(
            name,
            shots,
            f"{noise:g}",
            [lesson.gaussian_method(mean, covariance, noise, scales) for mean, covariance, scales in priors],
        )
        for shots in SHOTS
        for noise in NOISES[name]
    ]


def run_seed(seed: int, done: Results) -> list[Row]:
    """Return the rows of what was learned with one seed, at the best settings."""
    log = record_logbook(seed=seed)
    maml, joint = trained(log, seed, done)
    learned = lesson.Trained(maml, joint, *lesson.linear_prior(log), log.scales)
    rows: list[Row] = []
    for name, train in (("MAML", lesson.train_maml), ("joint", lesson.train_joint)):
        began = time.process_time()
        train(log, seed=seed, updates=30)
        rows += [_row(name, seed, "", "seconds of 30 updates", time.process_time() - began)]
    tried = [row for rows in done.values() for row in rows]
    settings = {
        name: {
            shots: tuple(numbers(best([r for r in tried if (r["method"], r["K"]) == (name, shots)])))
            for shots in SHOTS
        }
        for name in lesson.SETTINGS
    }
    for k in range(SETS):
        robots = Robots(40, TEST_SEED + 10 * k)
        for shots in SHOTS:
            support = drive(robots.tasks, shots, seed=robots.seed + 2)
            for name, method in lesson.methods(learned, shots, settings=settings).items():
                if name == "least squares" or (name == "joint" and shots > 1):
                    continue
                found = robots.judge(method, support, log.scales)
                at = "" if name == "joint" else f" K={shots}"
                rows += [_row(name, seed, k, measure + at, value) for measure, value in found.items()]
    return rows


def run_untrained() -> list[Row]:
    """Return the rows of least squares and of the true model."""
    log = validation()[0][1]
    rows: list[Row] = []

    def method(steps: Transitions) -> np.ndarray:
        return physical(lesson.least_squares(steps, log.scales), log.scales)

    for k in range(SETS):
        robots = Robots(40, TEST_SEED + 10 * k)
        told = robots.judge(lambda _, robots=robots: robots.truth, drive(robots.tasks, 1, seed=0), log.scales)
        rows += [_row("told", 0, k, measure, value) for measure, value in told.items()]
        found = robots.judge(
            lambda steps: lesson.by_equations(steps, log.scales),
            drive(robots.tasks, 1, seed=robots.seed + 2),
            log.scales,
        )
        rows += [_row("equations", 0, k, f"{measure} K=1", value) for measure, value in found.items()]
        for shots in SHOTS + MANY:
            for name, support in (
                ("least squares", drive(robots.tasks, shots, seed=robots.seed + 2)),
                ("least squares, bench", bench(robots.tasks, shots, seed=robots.seed + 2, length=1)),
            ):
                found = robots.judge(method, support, log.scales)
                rows += [_row(name, 0, k, f"{measure} K={shots}", value) for measure, value in found.items()]
    return rows


def _row(method: str, seed: int, test_set: object, measure: str, value: float) -> Row:
    return {"method": method, "seed": seed, "set": test_set, "measure": measure, "value": f"{value:.4g}"}


def parts() -> list[Part]:
    """Return the tuning, then the seeds."""
    inner = [Part(f"MAML training, {steps} steps", tune_inner, (steps,)) for steps in INNER_STEPS]
    names = tuple(part.name for part in inner)
    training = [*inner, Part("MAML training, outer", tune_outer, (), names), Part("joint", tune_joint)]
    names = tuple(part.name for part in training)
    tuning = [Part(f"tune {name}", tune_network, (name,), names) for name in ("MAML", "fine-tuned")]
    tuning += [Part(f"tune {name}", tune_gaussian, (name,)) for name in ("ridge", "learned prior")]
    after = (*names, *(part.name for part in tuning))
    seeds = [Part(f"seed {seed}", run_seed, (seed,), after) for seed in range(SEEDS)]
    return [*training, *tuning, Part("untrained", run_untrained), *seeds]


def finish(results: Results) -> Files:
    """Return the content of both files."""
    made = {part.name: results[part.name] for part in parts()}
    rows = [row for name, rows in made.items() if name.startswith(("seed", "untrained")) for row in rows]
    tried = [row for name, rows in made.items() if not name.startswith(("seed", "untrained")) for row in rows]
    tried = [row | {"error": f"{row['error']:.4g}"} for row in tried]
    return {"pendulums.csv": table(rows), "pendulums_tuning.csv": table(tried)}


FILES = ("pendulums.csv", "pendulums_tuning.csv")
EXPERIMENT = Experiment(__file__, __doc__, 13, FILES, parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
