"""MAML for policies and its baselines on four families of cart-poles, on tasks that nothing was tuned on.

Parts are called by their family first, such as "dirv".

    settings.json      what was tuned, on validation tasks and agents of other seeds
    tuning.csv         family, method, what, value, decay, steps, return: all that was tried for it, each a
                       mean return over 100 validation tasks and three agents
    results.csv        family, method, seed, set, step: mean return after 0-3 inner steps over each of four
                       sets of 200 test tasks
    curves.csv         family, method, seed, iteration: mean return before and after adaptation in training
    maml_FAMILY.safetensors    the MAML agent of the first seed

The test tasks are new: no setting of this course, tuned or default, was chosen with a look at them.
"""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import (
    RATES,
    ToldTasks,
    evaluate_tuned,
    multitask_config,
    tune_inner_lr,
)
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks

FAMILIES = ("dirv", "dir", "phys", "goalv")
SEEDS = range(6)
TUNING_SEEDS = (900, 901, 902)  # agents that only tune
VALIDATION_SEED = 77_000  # training draws its tasks from hashes of (seed, iteration)
TEST_SEEDS = (880_001, 880_002, 880_003, 880_004)
STEPS = 3
INNER_LRS = (2.5, 5.0, 10.0, 20.0, 40.0)
META_LRS = (0.0025, 0.005, 0.01, 0.02, 0.04)
TOLD_META_LRS = (0.02, 0.04, 0.08)
LONGER = "told, twice as long"
TOLD_TIMES = {"told": 4, LONGER: 8}
"""The told policy is trained four times as long as the others; `LONGER` looks whether that is its end."""

THREE = "MAML, three steps"
"""MAML trained with the three full steps that it is judged with; on this family alone."""

THREE_LRS = (2.5, 5.0, 10.0)
METHODS = ("MAML", "FOMAML", "multitask", "told", "random")
MORE = {"dir": ((THREE, range(6)),), "dirv": ((LONGER, range(3)),)}
"""Methods that are run on one family alone, and their seeds."""
ROWS = (*METHODS, THREE, LONGER, "MAML undamped")

Rows = list[list[object]]

RESULTS = ("family", "method", "seed", "set", "step", "return")
CURVES = ("family", "method", "seed", "iteration", "before", "after")
TUNING = ("family", "method", "what", "value", "decay", "steps", "return")


def best_value(
    values: tuple[float, ...], score: Callable[[float], float]
) -> tuple[float, dict[float, float]]:
    """Return the value with the best score, and all scores; while it is the first or last, try one beyond."""
    scores = {value: score(value) for value in values}
    while True:
        tried, best = sorted(scores), max(scores, key=scores.__getitem__)
        if tried[0] < best < tried[-1] or len(tried) > 9:
            break
        beyond = best / 2 if best == tried[0] else best * 2
        scores[beyond] = score(beyond)
    return best, {value: scores[value] for value in tried}


def best_sizes(
    agents: list[MAMLAgent], tasks: CartPoleTask
) -> tuple[dict[int, list[float]], list[tuple[float, float, int, float]]]:
    """Return the best step sizes for one, two and three steps, and all that was tried.

    The one trained with is among those.
    """
    rows: list[tuple[float, float, int, float]] = []
    rates = tuple({*RATES, agents[0].config.inner_lr})
    return tune_inner_lr(agents, tasks, steps=STEPS, rates=rates, table=rows), rows


def config(method: str, tuned: dict[str, Any]) -> MAMLConfig:
    """Return how a method is trained, with what was tuned so far for it and the default for the rest."""
    base = MAMLConfig()
    if method == "multitask":
        base = multitask_config(base)
    if method in TOLD_TIMES:
        base = dataclasses.replace(multitask_config(base), iterations=TOLD_TIMES[method] * base.iterations)
    if method == THREE:
        base = dataclasses.replace(base, inner_steps=STEPS, step_decay=1.0)
    tuned_as = "told" if method == LONGER else method
    keys = {what: f"{tuned_as} {what}" for what in ("inner_lr", "meta_lr")}
    rates = {what: tuned[key] for what, key in keys.items() if key in tuned}
    return dataclasses.replace(base, first_order=method == "FOMAML", **rates)


def trained(family: str, method: str, tuned: dict[str, Any], seed: int) -> MAMLAgent:
    """Return a method's agent after training; "told" sees what the tasks hide, "random" is not trained."""
    if method == "random":
        return MAMLAgent(CartPoleTasks(family), seed=seed, device="cpu")
    tasks = ToldTasks(family) if method in TOLD_TIMES else CartPoleTasks(family)
    agent = MAMLAgent(tasks, config(method, tuned), seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    return agent


def searches(family: str) -> list[tuple[str, str, tuple[float, ...]]]:
    """Return what is tuned for a family, in this order: method, setting, values; no values for step sizes.

    On `phys` every setting earns about 100 before any step, so that only step sizes are tuned there.
    """
    rates: list[tuple[str, str, tuple[float, ...]]] = [
        ("MAML", "inner_lr", INNER_LRS),
        ("FOMAML", "inner_lr", INNER_LRS),
        ("MAML", "meta_lr", META_LRS),
        ("FOMAML", "meta_lr", META_LRS),
        ("multitask", "meta_lr", META_LRS),
        ("told", "meta_lr", TOLD_META_LRS),
    ]
    if family == "dir":
        rates += [(THREE, "inner_lr", THREE_LRS), (THREE, "meta_lr", META_LRS[1:4])]
    adapted = ("random", "multitask", "MAML", "FOMAML")
    return [*(rates if family != "phys" else []), *((method, "sizes", ()) for method in adapted)]


def tuned_by(done: Results) -> dict[str, Any]:
    """Return what was tuned so far for a family, by "method setting"."""
    return {name.partition(" tuned ")[2]: result["best"] for name, result in done.items()}


def tune(
    family: str, method: str, what: str, values: tuple[float, ...], done: Results | None = None
) -> Results:
    """Return the best value of a setting, by the return after the method's steps; and rows of all tried."""
    tasks, tuned = CartPoleTasks(family).sample(100, seed=VALIDATION_SEED), tuned_by(done or {})

    def agents(settings: dict[str, Any]) -> list[MAMLAgent]:
        return [trained(family, method, settings, seed) for seed in TUNING_SEEDS]

    if what == "sizes":
        best, tried = best_sizes(agents(tuned), tasks)
        rows = [[family, method, what, f"{a:g}", f"{b:.3g}", k, f"{earned:.5g}"] for a, b, k, earned in tried]
        return {"best": best, "rows": rows}
    steps = {"told": 0, THREE: STEPS}.get(method, 1)

    def earned(value: float) -> float:
        found = agents({**tuned, f"{method} {what}": value})
        more: dict[str, Any] = {}
        if method == "multitask":
            sizes = tune_inner_lr(found, tasks, steps=1, decays=(1.0,))[1]
            more = {"inner_lr": sizes, "episodes": MAMLConfig().episodes, "seed": 1}
        return float(np.mean([agent.evaluate(tasks, steps=steps, **more)[steps] for agent in found]))

    best, scores = best_value(values, earned)
    return {"best": best, "rows": [[family, method, what, v, "", "", f"{s:.5g}"] for v, s in scores.items()]}


def evaluated(agent: MAMLAgent, family: str, method: str, tuned: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return an agent's mean returns [sets, steps + 1] on test tasks; MAML's also with undamped steps."""
    found: dict[str, list[np.ndarray]] = {}
    for test_seed in TEST_SEEDS:
        tasks = CartPoleTasks(family).sample(200, seed=test_seed)
        if f"{method} sizes" in tuned:
            found.setdefault(method, []).append(fine_tuned(agent, tasks, tuned[f"{method} sizes"]))
        elif method in TOLD_TIMES:
            returns = agent.evaluate(tasks, steps=0, episodes=MAMLConfig().episodes)
            found.setdefault(method, []).append(returns)
        else:
            found.setdefault(method, []).append(agent.evaluate(tasks, steps=STEPS))
        if method == "MAML":
            undamped = [agent.config.inner_lr] * STEPS
            returns = agent.evaluate(tasks, steps=STEPS, inner_lr=undamped)
            found.setdefault("MAML undamped", []).append(returns)
    return {name: np.array(sets).mean(axis=2) for name, sets in found.items()}


def fine_tuned(agent: MAMLAgent, tasks: CartPoleTask, sizes: dict) -> np.ndarray:
    """Return [steps + 1, T] returns with the step sizes that were tuned for each number of steps."""
    return evaluate_tuned(agent, tasks, {int(k): rates for k, rates in sizes.items()})


def run(family: str, method: str, seed: int, done: Results) -> dict[str, Rows]:
    """Train and judge one agent, and return its rows; the first MAML agent of a family is kept."""
    tuned = tuned_by(done)
    agent = trained(family, method, tuned, seed)
    found = evaluated(agent, family, method, tuned)
    if method == "MAML" and seed == SEEDS[0]:
        agent.save(EXPERIMENT.kept / f"maml_{family}.safetensors")
    return {
        "curves": [
            [family, method, seed, row["iteration"], f"{row['before']:.4g}", f"{row['after']:.4g}"]
            for row in agent.history
        ],
        "results": [
            [family, name, seed, k, step, f"{value:.5g}"]
            for name, returns in found.items()
            for (k, step), value in np.ndenumerate(returns)
        ],
    }


def parts() -> list[Part]:
    """Return for each family what is tuned, each after those before it, then every method and seed."""
    found = []
    for family in FAMILIES:
        tuned: tuple[str, ...] = ()
        for method, what, values in searches(family):
            found.append(Part(f"{family} tuned {method} {what}", tune, (family, method, what, values), tuned))
            tuned = (*tuned, found[-1].name)
        for method, seeds in (*((method, SEEDS) for method in METHODS), *MORE.get(family, ())):
            name = f"{family} {method} seed"
            found += [Part(f"{name} {seed}", run, (family, method, seed), tuned) for seed in seeds]
    return found


def finish(results: Results) -> Files:
    """Return the content of all files."""
    settings: dict[str, dict[str, Any]] = {}
    tuning, curves, judged = [], [], []
    for part in parts():
        made, family = results[part.name], part.arguments[0]
        if part.make is tune:
            settings.setdefault(family, {})[part.name.partition(" tuned ")[2]] = made["best"]
            tuning += made["rows"]
        else:
            curves += made["curves"]
            judged += made["results"]
    for rows in (judged, curves):
        rows.sort(key=lambda row: (FAMILIES.index(row[0]), ROWS.index(row[1]), row[2]))
    agents = {
        f"maml_{family}.safetensors": EXPERIMENT.kept / f"maml_{family}.safetensors" for family in FAMILIES
    }
    return {
        "settings.json": json.dumps(settings, indent=2) + "\n",
        "tuning.csv": [TUNING, *tuning],
        "results.csv": [RESULTS, *judged],
        "curves.csv": [CURVES, *curves],
        **agents,
    }


FILES = ("settings.json", "tuning.csv", "results.csv", "curves.csv")
AGENTS = tuple(f"maml_{family}.safetensors" for family in FAMILIES)
EXPERIMENT = Experiment(__file__, __doc__, 150, FILES + AGENTS, parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
