"""What a model of hyperparameters is worth on grids it never saw.

Parts are called by their family first, "varied" or "alike".

For each family and each of five seeds: draw 300 training grids, run 40 settings on each, choose the default
and the portfolio on that table, fit the model on it, and let every strategy play its budget of runs on the
same 240 held-out grids. Nothing is chosen on these, and no table holds one of them. On "varied" ten of the 40
settings are the best of a screening of 128 settings on 60 of the training grids. It writes, next to itself,

    table_FAMILY.csv      the training table of the first seed: features of each grid, return of each setting
    settings_FAMILY.csv   its 40 settings
    held_out_FAMILY.csv   a row a grid: the best return after 1, 2 and 4 runs of each strategy, mean over
                          seeds; and what oracles earn that try these 40 settings on the grid itself
    seeds_FAMILY.csv      a row a seed, strategy and budget: the mean over the held-out grids
    estimators.csv        a row a grid of "varied": gain over the default of one suggestion, by estimator, all
                          fitted on the first table; a mean of five runs
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np
import optuna

from mlearn_utils.course.lesson_07 import grids
from mlearn_utils.course.lesson_07.exercises import surrogate_columns
from mlearn_utils.course.lesson_07.network import NetworkRegressor
from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.tasks.gridworld import GridTask, GridTasks

SEEDS = range(5)
HELD_OUT, HELD_OUT_SEED = 240, 9000
BUDGETS = {"varied": (1, 2, 4), "alike": (1, 2, 4)}
SCREENED, SCREEN_SETTINGS, SCREEN_TASKS = {"varied": 10, "alike": 0}, 128, 60
ORACLE_RUNS, CHOOSING_RUNS = 9, (1, 2, 4, 8)
NEAR = 0.15
"""Standard deviation, in the unit cube, of settings tried around the default."""
TPE_RANDOM = 3
"""Random trials before TPE's model starts; its own default, 10, would leave nothing of these budgets."""


class Table(NamedTuple):
    """Training grids, settings [S, H] and the return [T, S] of each setting on each grid."""

    tasks: list[GridTask]
    settings: FloatArray
    returns: FloatArray


def train_table(family: str, seed: int) -> Table:
    """Run 40 settings on 300 training grids: evenly spread ones, and the best of a screening."""
    tasks = GridTasks(family).sample(grids.N_TASKS, seed=seed)
    settings = grids.spread_settings(grids.N_SETTINGS - SCREENED[family])
    if SCREENED[family]:
        settings = np.concatenate([settings, screen(tasks[:SCREEN_TASKS], SCREENED[family], seed)])
    tried = np.broadcast_to(settings, (len(tasks), *settings.shape))
    return Table(tasks, settings, grids.run(tasks, tried, seed=100 + seed))


def screen(tasks: list[GridTask], keep: int, seed: int) -> FloatArray:
    """Return [keep, H] the settings with the best mean over some training grids, of many spread ones.

    A default must be looked for as hard as anything else: with few candidates the baseline would be weak.
    """
    settings = grids.spread_settings(SCREEN_SETTINGS, seed=1000 + seed)
    returns = grids.run(tasks, np.broadcast_to(settings, (len(tasks), *settings.shape)), seed=200 + seed)
    return settings[np.argsort(returns.mean(axis=0))[-keep:]]


def fit(table: Table, *, estimator: Any = None, seed: int = 0) -> HyperparameterModel:
    """Return the model of a training table."""
    features = np.repeat(grids.all_features(table.tasks), len(table.settings), axis=0)
    settings = np.tile(table.settings, (len(table.tasks), 1))
    return HyperparameterModel(estimator, grids.SPACE, seed=seed).fit(
        features, settings, table.returns.ravel()
    )


def tree_parzen(seed: int, n_tasks: int) -> grids.Strategy:
    """Return Optuna's TPE, one study a task."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    studies = [
        optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=1000 * seed + k, n_startup_trials=TPE_RANDOM),
        )
        for k in range(n_tasks)
    ]
    trials: list[Any] = []

    def strategy(tried: FloatArray, seen: FloatArray) -> FloatArray:
        for study, trial, earned in zip(studies, trials, seen[:, -1:], strict=False):
            study.tell(trial, float(earned[0]))
        trials[:] = [study.ask() for study in studies]
        return np.array(
            [
                [trial.suggest_float(name, r.low, r.high, log=r.log) for name, r in grids.SPACE.items()]
                for trial in trials
            ]
        )

    return strategy


def strategies(
    table: Table, model: HyperparameterModel, features: FloatArray, budget: int, seed: int
) -> Mapping[str, grids.Strategy | FloatArray]:
    """Return everything that is compared, by name."""
    rng = np.random.default_rng([seed, 1])
    default = table.settings[grids.best_default(table.returns)]
    shape = (len(features), budget)
    drawn = spaces.sample(grids.SPACE, shape[0] * budget, rng=rng).reshape(*shape, -1)
    center = spaces.to_unit(grids.SPACE, default[None])
    around = np.clip(center + NEAR * rng.standard_normal((shape[0] * budget, len(grids.SPACE))), 0, 1)
    near = spaces.from_unit(grids.SPACE, around).reshape(*shape, -1)
    near[:, 0] = default
    return {
        "default": np.tile(default, (budget, 1)),
        "default, then near it": near,
        "portfolio": table.settings[grids.portfolio(table.returns, budget)],
        "random search": drawn,
        "TPE": tree_parzen(seed, len(features)),
        "model": model.suggest(features, budget),
        "model + adjust": lambda tried, seen: model.adjust(features, tried, seen)[:, 0],
    }


def oracles(held_out: list[GridTask], settings: FloatArray) -> dict[str, FloatArray]:
    """Return [M] what an oracle earns on each grid, by how it chose among these settings on the grid itself.

    "oracle by k" chooses by the mean of k runs of every setting and is judged by the others of its
    ORACLE_RUNS, averaged over which k these are; "oracle, optimistic" is judged by the runs it chose by.
    """
    repeated = np.repeat(settings, ORACLE_RUNS, axis=0)
    returns = grids.run(held_out, np.broadcast_to(repeated, (len(held_out), *repeated.shape)), seed=77)
    returns = returns.reshape(len(held_out), len(settings), ORACLE_RUNS)
    found = {}
    for k in CHOOSING_RUNS:
        earned = []
        for first in range(ORACLE_RUNS):
            order = np.roll(np.arange(ORACLE_RUNS), -first)
            chosen = returns[..., order[:k]].mean(axis=-1).argmax(axis=1)
            earned.append(returns[..., order[k:]].mean(axis=-1)[np.arange(len(held_out)), chosen])
        found[f"oracle by {k}"] = np.mean(earned, axis=0)
    return found | {"oracle, optimistic": returns.mean(axis=-1).max(axis=1)}


def estimators() -> dict[str, Callable[[], Any]]:
    """Return what is compared as the model's estimator."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures

    def columns(rows: FloatArray) -> FloatArray:
        return surrogate_columns(rows[:, : len(grids.FEATURES)], rows[:, len(grids.FEATURES) :])

    return {
        "boosted trees": lambda: None,
        "linear": LinearRegression,
        "linear, your 35 columns": lambda: make_pipeline(FunctionTransformer(columns), Ridge()),
        "linear, with products": lambda: make_pipeline(PolynomialFeatures(2), Ridge()),
        "random trees": lambda: ExtraTreesRegressor(60, min_samples_leaf=5, random_state=0),
        "network": NetworkRegressor,
    }


def make_table(family: str, seed: int) -> dict[str, list[list[float]]]:
    """Return the settings and the returns of a training table."""
    table = train_table(family, seed)
    return {"settings": table.settings.tolist(), "returns": table.returns.tolist()}


def stored_table(family: str, seed: int, done: Results) -> Table:
    """Return a training table that an earlier part has made."""
    stored = done[f"{family} table {seed}"]
    tasks = GridTasks(family).sample(grids.N_TASKS, seed=seed)
    return Table(tasks, np.array(stored["settings"]), np.array(stored["returns"]))


def play(family: str, seed: int, done: Results) -> dict[str, list[list[float]]]:
    """Return for every strategy the best return [M, budget] so far on each held-out grid."""
    table, held_out, budget = stored_table(family, seed, done), new_grids(family), BUDGETS[family][-1]
    features = grids.all_features(held_out)
    model = fit(table, seed=seed)
    return {
        name: grids.best_so_far(grids.play(strategy, held_out, budget, seed=10 + seed)).tolist()
        for name, strategy in strategies(table, model, features, budget, seed).items()
    }


def judge_oracles(family: str, done: Results) -> dict[str, list[float]]:
    """Return what the oracles earn on each held-out grid."""
    found = oracles(new_grids(family), stored_table(family, SEEDS[0], done).settings)
    return {name: values.tolist() for name, values in found.items()}


def judge_estimator(name: str, done: Results) -> list[float]:
    """Return [M] the gain of one suggestion over the default on each grid of "varied", mean of five runs."""
    table, held_out = stored_table("varied", SEEDS[0], done), new_grids("varied")
    chosen = table.settings[grids.best_default(table.returns)]
    default = grids.run(held_out, np.tile(chosen, (HELD_OUT, len(SEEDS), 1)), seed=79).mean(axis=1)
    model = fit(table, estimator=estimators()[name]())
    suggested = np.repeat(model.suggest(grids.all_features(held_out)), len(SEEDS), axis=1)
    return (grids.run(held_out, suggested, seed=78).mean(axis=1) - default).tolist()


@cache
def new_grids(family: str) -> list[GridTask]:
    """Return held-out grids, none of which stands in a table."""
    seen = {task for seed in SEEDS for task in GridTasks(family).sample(grids.N_TASKS, seed=seed)}
    drawn = GridTasks(family).sample(4 * HELD_OUT, seed=HELD_OUT_SEED)
    return [task for task in drawn if task not in seen][:HELD_OUT]


def parts() -> list[Part]:
    """Return for each family its tables, what is played after each, and the oracles; then the estimators."""
    found = []
    for family in BUDGETS:
        tables = [f"{family} table {seed}" for seed in SEEDS]
        found += [Part(name, make_table, (family, seed)) for seed, name in zip(SEEDS, tables, strict=True)]
        found += [Part(f"{family} play {k}", play, (family, k), (tables[k],)) for k in SEEDS]
        found.append(Part(f"{family} oracles", judge_oracles, (family,), (tables[0],)))
    first = ("varied table 0",)
    return found + [Part(f"varied {name}", judge_estimator, (name,), first) for name in estimators()]


def finish(results: Results) -> Files:
    """Return the content of all files."""
    files = {}
    for family, budgets in BUDGETS.items():
        table = stored_table(family, SEEDS[0], results)
        names = [*grids.FEATURES, *(f"setting {k}" for k in range(len(table.settings)))]
        values = np.concatenate([grids.all_features(table.tasks), table.returns], axis=1)
        files[f"table_{family}.csv"] = columns(dict(zip(names, values.T, strict=True)))
        files[f"settings_{family}.csv"] = columns(dict(zip(grids.SPACE, table.settings.T, strict=True)))
        held_out: dict[str, list[FloatArray]] = {}
        rows: list[tuple[Any, ...]] = []
        for seed in SEEDS:
            for name, stored in results[f"{family} play {seed}"].items():
                for budget in budgets:
                    best = np.array(stored)[:, budget - 1]
                    held_out.setdefault(f"{name} @{budget}", []).append(best)
                    rows.append((seed, name, budget, f"{best.mean():.4f}"))
        means = {name: np.mean(values, axis=0) for name, values in held_out.items()}
        files[f"held_out_{family}.csv"] = columns({**means, **results[f"{family} oracles"]})
        files[f"seeds_{family}.csv"] = [("seed", "strategy", "budget", "mean return"), *rows]
    files["estimators.csv"] = columns({name: results[f"varied {name}"] for name in estimators()})
    return files


def columns(named: Mapping[str, Any]) -> list[list[str]]:
    """Return equally long columns by name as a header and rows."""
    return [list(named), *([f"{value:.4g}" for value in row] for row in np.array(list(named.values())).T)]


KINDS = ("table", "settings", "held_out", "seeds")
FILES = tuple(f"{kind}_{family}.csv" for family in BUDGETS for kind in KINDS)
EXPERIMENT = Experiment(__file__, __doc__, 50, (*FILES, "estimators.csv"), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
