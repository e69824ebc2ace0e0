"""Vehicles: the next two seconds by eight models, and whether to brake or steer; five trainings each.

    vehicles.csv          method, seed, set, measure, value: "nrmse" of the predicted path as a share of its
                          spread and "metres", the median error after 2 s, on random plans; "worth" and
                          "crashes" of the decisions; on four sets of 400 new vehicles. A method has for path
                          and decision the settings that are best for each; "worth as tuned for nrmse" is
                          what those for the path come to. Methods without a training have seed 0
    vehicles_tuning.csv   method, training, rate, steps, margin, nrmse, worth: all that was tried on
                          validation vehicles, 400 for paths and 1600 for decisions: the step size of the
                          training, the rate and the steps after it (of ridge the rate is the strength, of the
                          learned prior the factor), and the best margin (m) beyond what is needed from which
                          on to swerve. Means over two trainings of their own

All networks see the same number of updates, each of 25 vehicles of one fleet; only "context, equal time"
has ten times as many, which take as long as MAML's. Ridge and the learned prior are made of the same fleet.
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np
import torch

from mlearn_utils.course.lesson_09 import vehicles
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.tasks.vehicles import VehicleTasks

UPDATES, LONG = 1000, 10
TRAININGS, USUAL = (0.003, 0.01, 0.03, 0.1), 0.01
JOINT_TRAININGS = (0.0001, 0.0003, 0.001, *TRAININGS, 0.3)
SEEDS = range(5)
TUNING_SEEDS = (910, 911)
VALIDATION, SIZES = 78_000, {False: 400, True: 1600}
"""The seed of validation vehicles, and how many there are for paths and for decisions."""
TESTS = tuple(990_001 + 10 * k for k in range(4))
MAML_RATES, MAML_STEPS = (0.01, 0.03, 0.1), (1, 3, 5, 8)
RATES, STEPS = (0.001, 0.003, 0.01, 0.03, 0.1), (1, 3, 10, 30, 100, 300)
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
MARGINS = tuple(np.round(np.arange(-1.0, 2.01, 0.1), 1).tolist())
COLUMNS = ("method", "seed", "set", "measure", "value")
TUNING = ("method", "training", "rate", "steps", "margin", "nrmse", "worth")

Make = Callable[[vehicles.Drive], vehicles.Model]
Setting = tuple[float, float, int]
Kept = dict[str, Any]
"""Of a method: "nrmse" and "worth", the setting that is best for each and its margin."""


@cache
def drawn(seed: int, size: int, *, swerve: bool) -> vehicles.Drive:
    """Return what new vehicles did, by a random plan or by that of the swerve."""
    tasks = VehicleTasks().sample(size, seed=seed)
    return vehicles.drives(tasks, seed=seed + 500_000, plan=vehicles.SWERVE if swerve else None)


def tried(makes: list[Make]) -> list[float]:
    """Return the best margin, the error and what the decisions are worth, on validation vehicles."""
    plain, swerve = (drawn(VALIDATION, SIZES[each], swerve=each) for each in (False, True))
    with np.errstate(all="ignore"):
        errors = [vehicles.errors(vehicles.roll_out(m(plain), plain), plain.path)["nrmse"] for m in makes]
        reaches = [vehicles.roll_out(m(swerve), swerve)[:, -1] for m in makes]
    found = [
        [vehicles.worth(reach >= vehicles.NEEDED + m, swerve.path)["worth"] for m in MARGINS]
        for reach in reaches
    ]
    by_margin = np.mean(found, axis=0)
    error = float(np.mean(errors))  # infinite where the steps ran away
    return [MARGINS[int(by_margin.argmax())], error if np.isfinite(error) else float("inf"), by_margin.max()]


def tuned(method: str, made: dict[Setting, list[Make]]) -> list[list[Any]]:
    """Return a row for all that was tried of a method."""
    return [[method, *setting, *map(float, tried(makes))] for setting, makes in made.items()]


def best(done: Results, method: str) -> Kept:
    """Return the settings of a method with the least error, and with the decisions that are worth most."""
    rows = [row for rows in done.values() for row in rows if row[0] == method]
    chosen = {"nrmse": min(rows, key=lambda row: row[5]), "worth": max(rows, key=lambda row: row[6])}
    return {name: ((row[1], row[2], int(row[3])), row[4]) for name, row in chosen.items()}


def train_maml(setting: Setting, seed: int) -> MetaLearner:
    """Return MAML with one setting."""
    meta_lr, rate, steps = setting
    return vehicles.train_maml(inner_lr=rate, steps=steps, meta_lr=meta_lr, updates=UPDATES, seed=seed)


def tune_maml(meta_lr: float, rate: float, steps: int) -> list[list[Any]]:
    """Try one setting of MAML."""
    torch.set_num_threads(1)
    learners = [train_maml((meta_lr, rate, steps), seed) for seed in TUNING_SEEDS]
    return tuned("MAML", {(meta_lr, rate, steps): [lambda d, m=m: vehicles.adapted(m, d) for m in learners]})


def tune_maml_training(meta_lr: float, done: Results) -> list[list[Any]]:
    """Try one step size of the training, with the rates and steps that are best."""
    settings = {(rate, steps) for (_, rate, steps), _ in best(done, "MAML").values()}
    return [row for rate, steps in sorted(settings) for row in tune_maml(meta_lr, rate, steps)]


def fine(model: Any, rate: float, steps: int) -> Make:
    """Return the joint network after steps on what is seen; with 0 as it is."""
    learner = MetaLearner(model, rate or 0.1, device="cpu")
    return lambda d: vehicles.adapted(learner, d, steps=steps)


def tune_joint(rate: float) -> list[list[Any]]:
    """Try one step size of the joint network's training, with and without fine-tuning."""
    torch.set_num_threads(1)
    models = [
        vehicles.train_plain(context=False, meta_lr=rate, updates=UPDATES, seed=s) for s in TUNING_SEEDS
    ]
    rows = tuned("joint", {(rate, 0.0, 0): [fine(m, 0.0, 0) for m in models]})
    return rows + tuned(
        "fine-tuned", {(rate, r, k): [fine(m, r, k) for m in models] for r in RATES for k in STEPS}
    )


def tune_context(method: str, rate: float) -> list[list[Any]]:
    """Try one step size of a context network's training."""
    torch.set_num_threads(1)
    updates = UPDATES * (LONG if "equal" in method else 1)
    models = [vehicles.train_plain(context=True, meta_lr=rate, updates=updates, seed=s) for s in TUNING_SEEDS]
    return tuned(method, {(rate, 0.0, 0): [lambda d, m=m: vehicles.by_context(m, d) for m in models]})


def lines(method: str, rate: float) -> Make:
    """Return a method that trains nothing; the rate is ridge's strength or the learned prior's factor."""
    mean, covariance = vehicles.fleet_lines()
    makes: dict[str, Make] = {
        "least squares": vehicles.linear,
        "ridge": lambda d: vehicles.linear(d, average=mean, strength=rate),
        "learned prior": lambda d: vehicles.by_prior(d, mean, covariance, factor=rate),
    }
    return makes[method]


def tune_lines() -> list[list[Any]]:
    """Try all settings of what trains nothing."""
    grids = {"least squares": (0.0,), "ridge": STRENGTHS, "learned prior": FACTORS}
    return [
        row
        for name, rates in grids.items()
        for row in tuned(name, {(0.0, r, 0): [lines(name, r)] for r in rates})
    ]


def judge(method: str, seed: int, make: Callable[[Setting], Make], kept: Kept) -> list[list[Any]]:
    """Return the rows of a method on all test sets, each measure by the setting that is best for it."""
    rows = []
    by_path, by_worth = (make(kept[name][0]) for name in ("nrmse", "worth"))
    for k, test in enumerate(TESTS):
        plain, swerve = (drawn(test, SIZES[False], swerve=each) for each in (False, True))
        found = vehicles.errors(vehicles.roll_out(by_path(plain), plain), plain.path)
        for name, model in (("nrmse", by_path), ("worth", by_worth)):
            reach = vehicles.roll_out(model(swerve), swerve)[:, -1]
            values = vehicles.worth(reach >= vehicles.NEEDED + kept[name][1], swerve.path)
            found |= values if name == "worth" else {"worth as tuned for nrmse": values["worth"]}
        rows += [[method, seed, k, name, value] for name, value in found.items()]
    return rows


def run(seed: int, done: Results) -> list[list[Any]]:
    """Train and judge every network of one seed."""
    torch.set_num_threads(1)

    @cache
    def plain(context: bool, rate: float, updates: int) -> Any:
        return vehicles.train_plain(context=context, meta_lr=rate, updates=updates, seed=seed)

    @cache
    def maml(setting: Setting) -> MetaLearner:
        return train_maml(setting, seed)

    def reading(updates: int) -> Callable[[Setting], Make]:
        return lambda setting: lambda d: vehicles.by_context(plain(True, setting[0], updates), d)

    def joint(setting: Setting) -> Make:
        return fine(plain(False, setting[0], UPDATES), *setting[1:])

    makes: dict[str, Callable[[Setting], Make]] = {
        "joint": joint,
        "fine-tuned": joint,
        "MAML": lambda setting: lambda d: vehicles.adapted(maml(setting), d),
        "context": reading(UPDATES),
        "context, equal time": reading(LONG * UPDATES),
    }
    return [row for name, make in makes.items() for row in judge(name, seed, make, best(done, name))]


def exact(done: Results) -> list[list[Any]]:
    """Judge what needs no training: lines, the true model with Bayes' rule, and fixed decisions."""
    rows = []
    for name in ("least squares", "ridge", "learned prior"):
        rows += judge(name, 0, lambda setting, name=name: lines(name, setting[1]), best(done, name))
    for k, test in enumerate(TESTS):
        plain, swerve = (drawn(test, SIZES[False], swerve=each) for each in (False, True))
        paths, weights = vehicles.possible_paths(plain)
        found = vehicles.errors((weights[..., None] * paths).sum(axis=1), plain.path)
        rows.append(["Bayes", 0, k, "least effective draws", float((1 / (weights**2).sum(axis=1)).min())])
        paths, weights = vehicles.possible_paths(swerve)
        share = (weights * (paths[..., -1] >= vehicles.NEEDED)).sum(axis=1)
        found |= vehicles.worth(share > vehicles.BRAKING, swerve.path)
        rows += [["Bayes", 0, k, name, value] for name, value in found.items()]
        clear = swerve.path[:, -1] >= vehicles.NEEDED
        fixed = {"always brake": clear & False, "always steer": clear | True, "knowing the vehicle": clear}
        for method, swerves in fixed.items():
            rows += [[method, 0, k, name, v] for name, v in vehicles.worth(swerves, swerve.path).items()]
    return rows


def parts() -> list[Part]:
    """Return what is tuned, then a part a seed."""
    pairs = [(USUAL, rate, steps) for rate in MAML_RATES for steps in MAML_STEPS]
    maml = [Part(f"tune MAML {rate:g} {steps}", tune_maml, (lr, rate, steps)) for lr, rate, steps in pairs]
    before = tuple(part.name for part in maml)
    others = [rate for rate in TRAININGS if rate != USUAL]
    tuning = [*maml, *(Part(f"tune MAML's training {r:g}", tune_maml_training, (r,), before) for r in others)]
    tuning += [Part(f"tune joint {rate:g}", tune_joint, (rate,)) for rate in JOINT_TRAININGS]
    for name in ("context", "context, equal time"):
        tuning += [Part(f"tune {name} {rate:g}", tune_context, (name, rate)) for rate in TRAININGS]
    tuning.append(Part("tune lines", tune_lines))
    after = tuple(part.name for part in tuning)
    return [
        *tuning,
        Part("exact", exact, (), ("tune lines",)),
        *(Part(f"seed {seed}", run, (seed,), after) for seed in SEEDS),
    ]


def finish(results: Results) -> Files:
    """Make the tables."""
    rows = {True: [], False: []}
    for part in parts():
        rows[part.name.startswith("tune")] += results[part.name]
    return {
        "vehicles.csv": [COLUMNS, *([*row[:-1], f"{row[-1]:.4g}"] for row in rows[False])],
        "vehicles_tuning.csv": [
            TUNING,
            *([*row[:-2], *(f"{v:.4g}" for v in row[-2:])] for row in rows[True]),
        ],
    }


EXPERIMENT = Experiment(__file__, __doc__, 35, ("vehicles.csv", "vehicles_tuning.csv"), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
