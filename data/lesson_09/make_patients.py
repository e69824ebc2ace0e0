"""Patients: predicted levels and chosen doses of seven methods, five trainings of each network.

    patients.csv          method, seed, set, measure, value: "rmse" of the levels of the first day (mg/L), and
                          "window", the share of the second day in the window under the dose that the method
                          chooses, on four sets of 200 new patients. A method has for each of the two the
                          settings that are best for it, and for doses also a doubt (`patients.choose`).
                          "window, no doubt": of those that take their curve for true, the best settings.
                          "window as tuned for rmse": the settings that are best for rmse, with their own
                          doubt. Methods without a training have seed 0
    patients_tuning.csv   method, lr, rate, steps, steps_at_test, doubt, rmse, no_doubt, window: all that was
                          tried on 400 validation patients, means over four trainings of their own. lr is the
                          step size of training (MAML's meta_lr), rate that within a patient, doubt the
                          best one, no_doubt the share without any, window that with it

All networks see the same number of updates, each of 25 new patients.
"""

import sys
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np
import torch

from mlearn_utils.course.lesson_09 import patients
from mlearn_utils.tasks.patients import PatientTasks

UPDATES = 2000
SEEDS = range(5)
TUNING_SEEDS = (910, 911, 912, 913)
VALIDATION = (78_000, 400)
TESTS = tuple((990_001 + k, 200) for k in range(4))
LRS = (0.001, 0.003, 0.01, 0.03, 0.1)
RATES, STEPS = (0.003, 0.01, 0.03, 0.1), (1, 3, 10, 30, 100, 300, 1000)
DOUBTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
MAML_SETTINGS = (
    *((lr, 0.03, 8) for lr in (0.001, 0.003, 0.01, 0.03, 0.1)),
    *((0.01, rate, 8) for rate in (0.01, 0.1)),
    *((0.01, 0.03, steps) for steps in (3, 12)),
)
"""meta_lr, rate, steps: a star, from whose middle each is changed alone."""
AT_TEST = (1, 2, 3, 5, 8, 12, 20)
MEASURES = ("rmse", "window, no doubt", "window")
COLUMNS = ("method", "seed", "set", "measure", "value")
TUNING = ("method", "lr", "rate", "steps", "steps_at_test", "doubt", "rmse", "no_doubt", "window")

Kept = tuple[float, float, int, int, float]
"""lr, rate, steps and steps at test of a setting, and its doubt."""


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return measured samples and true levels of new patients; their errors have a seed of their own."""
    found = PatientTasks().sample(count, seed=seed)
    return found.sample_blood(seed=seed + 500_000), found.level(patients.CURVE_HOURS)


def measured(predict: patients.Predict, samples: np.ndarray, true: np.ndarray) -> list[float]:
    """Return the error, and the share in the window for each doubt; the worst there is for what ran away."""
    with np.errstate(all="ignore"):
        curves = predict(samples)
        error = patients.rmse(curves, true)
    if not np.isfinite(error):
        return [float("inf"), *(0.0 for _ in DOUBTS)]
    return [error, *(patients.score(patients.choose(curves, doubt=each), true) for each in DOUBTS)]


def predictor(
    method: str, lr: float, rate: float, steps: int, seed: int
) -> Callable[[int], patients.Predict]:
    """Train, and return how to predict by the number of steps at test."""
    if method == "MAML":
        learner = patients.train_maml(inner_lr=rate, steps=steps, updates=UPDATES, seed=seed, meta_lr=lr)
        return lambda at_test: patients.adapted(learner, steps=at_test)
    model = patients.train_plain(context=method == "context", updates=UPDATES, seed=seed, lr=lr)
    if method == "context":
        return lambda at_test: patients.by_context(model)
    return lambda at_test: patients.fine_tuned(model, rate=rate, steps=at_test)


def tune(method: str, lr: float, rate: float, steps: int) -> dict[str, Any]:
    """Return what one training comes to on validation patients, by all that can be chosen after it."""
    torch.set_num_threads(1)
    data = drawn(*VALIDATION)
    if method == "joint":
        models = [patients.train_plain(context=False, updates=UPDATES, seed=s, lr=lr) for s in TUNING_SEEDS]
        rows = []
        for own, k in ((0.0, 0), *product(RATES, STEPS)):
            tried = [patients.fine_tuned(model, rate=own, steps=k) for model in models]
            rows.append(["fine-tuned" if k else "joint", lr, own, k, k, *_mean(tried, *data)])
        return {"rows": rows}
    made = [predictor(method, lr, rate, steps, seed) for seed in TUNING_SEEDS]
    tests = AT_TEST if method == "MAML" else (0,)
    return {"rows": [[method, lr, rate, steps, k, *_mean([each(k) for each in made], *data)] for k in tests]}


def _mean(tried: list[patients.Predict], samples: np.ndarray, true: np.ndarray) -> list[float]:
    """Return the best doubt, the error, the share in the window without a doubt and with the best one."""
    error, *shares = np.mean([measured(predict, samples, true) for predict in tried], axis=0).tolist()
    return [DOUBTS[int(np.argmax(shares))], error, shares[0], max(shares)]


def best(rows: list[list[Any]], method: str) -> dict[str, Kept]:
    """Return for each measure the setting with the least error, or the largest share in the window."""
    own = [row for row in rows if row[0] == method]
    chosen = {
        "rmse": min(own, key=lambda row: row[-3]),
        "window, no doubt": max(own, key=lambda row: row[-2]),
        "window": max(own, key=lambda row: row[-1]),
    }
    kept = {name: (row[1], row[2], row[3], row[4], row[5]) for name, row in chosen.items()}
    kept["window as tuned for rmse"] = kept["rmse"]
    kept["window, no doubt"] = (*kept["window, no doubt"][:4], 0.0)
    return kept


def judge(method: str, seed: int, predict: Callable[[Kept], patients.Predict], kept: dict[str, Kept]) -> Any:
    """Return the rows of a method on each test set, every measure by the setting that is best for it."""
    rows = []
    for name, setting in kept.items():
        tried = predict(setting)
        for k, test in enumerate(TESTS):
            error, *shares = measured(tried, *drawn(*test))
            value = error if name == "rmse" else shares[DOUBTS.index(setting[-1])]
            rows.append([method, seed, k, name, value])
    return rows


def run(seed: int, done: Results) -> dict[str, Any]:
    """Train and judge every network of one seed."""
    torch.set_num_threads(1)
    tried = [row for name in TUNED for row in done[name]["rows"]]
    rows: list[list[Any]] = []

    @cache
    def trained(method: str, lr: float, rate: float, steps: int) -> Callable[[int], patients.Predict]:
        return predictor(method, lr, rate, steps, seed)

    @cache
    def joint(lr: float) -> torch.nn.Module:
        return patients.train_plain(context=False, updates=UPDATES, seed=seed, lr=lr)

    for method in ("joint", "fine-tuned", "MAML", "context"):

        def predict(kept: Kept, method: str = method) -> patients.Predict:
            lr, rate, steps, at_test, _ = kept
            if method in ("joint", "fine-tuned"):
                return patients.fine_tuned(joint(lr), rate=rate, steps=at_test)
            return trained(method, lr, rate, steps)(at_test)

        rows += judge(method, seed, predict, best(tried, method))
    return {"rows": rows}


def exact() -> dict[str, Any]:
    """Judge what needs no training: the mean curve, Bayes' rule, one dose for all, and the best dose."""
    simple: dict[str, patients.Predict] = {
        "population": patients.population,
        "Bayes": lambda samples: patients.posterior(samples).mean(),
    }
    rows: list[list[Any]] = []
    for name, predict in simple.items():
        doubt = float(_mean([predict], *drawn(*VALIDATION))[0])
        kept: dict[str, Kept] = {
            measure: (0.0, 0.0, 0, 0, doubt if measure == "window" else 0.0) for measure in MEASURES
        }
        rows += judge(name, 0, lambda _, predict=predict: predict, kept)
    for k, test in enumerate(TESTS):
        samples, true = drawn(*test)
        known = patients.posterior(samples)
        chosen = {
            "Bayes, expected share": patients.choose_by_posterior(known),
            "one dose for all": np.full(len(true), patients.one_for_all()),
            "knowing the patient": patients.choose(true),
        }
        rows += [[name, 0, k, "window", patients.score(each, true)] for name, each in chosen.items()]
        rows.append(["Bayes", 0, k, "least effective draws", float(known.effective().min())])
    return {"rows": rows}


TUNED = {f"tune {method} {lr:g}": (method, lr, 0.0, 0) for method in ("joint", "context") for lr in LRS}
TUNED |= {
    f"tune MAML {lr:g} {rate:g} {steps}": ("MAML", lr, rate, steps) for lr, rate, steps in MAML_SETTINGS
}


def parts() -> list[Part]:
    """Return what is tuned, then a part a seed."""
    found = [Part(name, tune, setting) for name, setting in TUNED.items()]
    return [
        *found,
        Part("exact", exact),
        *(Part(f"seed {seed}", run, (seed,), tuple(TUNED)) for seed in SEEDS),
    ]


def finish(results: Results) -> Files:
    """Make the tables."""
    tried = [row for name in TUNED for row in results[name]["rows"]]
    made = [row for name in ("exact", *(f"seed {seed}" for seed in SEEDS)) for row in results[name]["rows"]]
    return {
        "patients.csv": [COLUMNS, *([*row[:-1], f"{row[-1]:.4g}"] for row in made)],
        "patients_tuning.csv": [TUNING, *([*row[:-3], *(f"{v:.4g}" for v in row[-3:])] for row in tried)],
    }


EXPERIMENT = Experiment(__file__, __doc__, 45, ("patients.csv", "patients_tuning.csv"), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
