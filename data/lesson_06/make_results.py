"""MAML for policies and its baselines on four families of cart-poles, on tasks that nothing was tuned on.

Run `python data/lesson_06/make_results.py` (about 150 CPU-minutes; name families to do only these,
in two processes at once). Finished parts are kept: an interrupted run goes on where it stopped. Delete
`settings.json` and the three CSV files to start anew. It writes

    settings.json      what was tuned, on validation tasks and agents of other seeds
    tuning.csv         family, method, what, value, decay, steps, return: all that was tried for it, each a
                       mean return over 100 validation tasks and three agents
    results.csv        family, method, seed, set, step: mean return after 0-3 inner steps over each of four
                       sets of 200 test tasks
    curves.csv         family, method, seed, iteration: mean return before and after adaptation in training
    maml_FAMILY.safetensors    the MAML agent of the first seed

The test tasks are new: no setting of this course, tuned or default, was chosen with a look at them.
"""

import csv
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import (
    RATES,
    ToldTasks,
    evaluate_tuned,
    multitask_config,
    tune_inner_lr,
)
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks

HERE = Path(__file__).resolve().parent
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

RESULTS = ("family", "method", "seed", "set", "step", "return")
CURVES = ("family", "method", "seed", "iteration", "before", "after")
TUNING = ("family", "method", "what", "value", "decay", "steps", "return")


def best_value(
    family: str, method: str, what: str, values: tuple[float, ...], score: Callable[[float], float]
) -> float:
    """Return the value with the best score; while that is the first or the last, try one beyond it."""
    scores = {value: score(value) for value in values}
    while True:
        tried, best = sorted(scores), max(scores, key=scores.__getitem__)
        if tried[0] < best < tried[-1] or len(tried) > 9:
            break
        beyond = best / 2 if best == tried[0] else best * 2
        scores[beyond] = score(beyond)
    print(f"  {method} {what}: " + ", ".join(f"{v:g}: {scores[v]:.1f}" for v in tried), flush=True)
    write("tuning.csv", TUNING, [[family, method, what, v, "", "", f"{scores[v]:.5g}"] for v in tried])
    return best


def best_sizes(
    family: str, method: str, agents: list[MAMLAgent], tasks: CartPoleTask
) -> dict[int, list[float]]:
    """Return the best step sizes for one, two and three steps; the one trained with is among those tried."""
    rows: list[tuple[float, float, int, float]] = []
    rates = tuple({*RATES, agents[0].config.inner_lr})
    sizes = tune_inner_lr(agents, tasks, steps=STEPS, rates=rates, table=rows)
    entries = [[family, method, "sizes", f"{a:g}", f"{b:.3g}", k, f"{value:.5g}"] for a, b, k, value in rows]
    write("tuning.csv", TUNING, entries)
    print(f"  {method} sizes: {sizes}", flush=True)
    return sizes


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


def tune(family: str, method: str, what: str, values: tuple[float, ...], tuned: dict[str, Any]) -> Any:
    """Return the best value of one setting on validation tasks, by the return after the method's steps."""
    tasks = CartPoleTasks(family).sample(100, seed=VALIDATION_SEED)

    def agents(settings: dict[str, Any]) -> list[MAMLAgent]:
        return [trained(family, method, settings, seed) for seed in TUNING_SEEDS]

    if what == "sizes":
        return best_sizes(family, method, agents(tuned), tasks)
    steps = {"told": 0, THREE: STEPS}.get(method, 1)

    def earned(value: float) -> float:
        found = agents({**tuned, f"{method} {what}": value})
        more: dict[str, Any] = {}
        if method == "multitask":
            sizes = tune_inner_lr(found, tasks, steps=1, decays=(1.0,))[1]
            more = {"inner_lr": sizes, "episodes": MAMLConfig().episodes, "seed": 1}
        return float(np.mean([agent.evaluate(tasks, steps=steps, **more)[steps] for agent in found]))

    return best_value(family, method, what, values, earned)


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


def write(name: str, header: tuple[str, ...], rows: list[list[object]]) -> None:
    """Append rows to a CSV file, with its header if it is new."""
    path = HERE / name
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if path.stat().st_size == 0:
            writer.writerow(header)
        writer.writerows(rows)


def sort(name: str) -> None:
    """Sort the rows of a CSV file by family, those of results and curves also by method and seed."""
    path = HERE / name
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)

    def key(row: list[str]) -> tuple[int, ...]:
        method = () if name == "tuning.csv" else (ROWS.index(row[1]), int(row[2]))
        return FAMILIES.index(row[0]), *method

    rows.sort(key=key)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def finished() -> set[tuple[str, str, int]]:
    """Return the triples (family, method, seed) that stand in the results."""
    path = HERE / "results.csv"
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {(row["family"], row["method"], int(row["seed"])) for row in csv.DictReader(file)}


def settings(family: str) -> dict[str, Any]:
    """Return what was tuned for a family; tune and store what was not yet, one after the other."""
    path = HERE / "settings.json"

    def stored() -> dict[str, dict[str, Any]]:
        return json.loads(path.read_text()) if path.exists() else {}

    for method, what, values in searches(family):
        tuned = stored().get(family, {})
        if f"{method} {what}" not in tuned:
            tuned[f"{method} {what}"] = tune(family, method, what, values, tuned)
            text = json.dumps({**stored(), family: tuned}, indent=2) + "\n"
            path.write_text(text)
    return stored()[family]


def missing(families: Iterable[str]) -> list[tuple[str, str, int]]:
    """Return the triples (family, method, seed) of some families that the results lack, in order."""
    done = finished()
    triples = [
        (family, method, seed)
        for family in families
        for method, seeds in (*((method, SEEDS) for method in METHODS), *MORE.get(family, ()))
        for seed in seeds
    ]
    return [triple for triple in triples if triple not in done]


def run(family: str, method: str, seed: int, tuned: dict[str, Any]) -> None:
    """Train and judge one agent, and write its rows; the first MAML agent of a family is kept."""
    agent = trained(family, method, tuned, seed)
    found = evaluated(agent, family, method, tuned)
    if method == "MAML" and seed == SEEDS[0]:
        agent.save(HERE / f"maml_{family}.safetensors")
    curve = [(row["iteration"], f"{row['before']:.4g}", f"{row['after']:.4g}") for row in agent.history]
    write("curves.csv", CURVES, [[family, method, seed, *row] for row in curve])
    means = [
        [family, name, seed, k, step, f"{value:.5g}"]
        for name, returns in found.items()
        for (k, step), value in np.ndenumerate(returns)
    ]
    write("results.csv", RESULTS, means)
    print(f"  {method} seed {seed}: {found[method].mean(axis=0).round(1)}", flush=True)


def main(families: list[str]) -> None:
    """Tune and run every family; rows are sorted once none is missing."""
    torch.set_num_threads(1)
    for family in families:
        print(family, flush=True)
        tuned = settings(family)
        for _, method, seed in missing([family]):
            run(family, method, seed, tuned)
    if not missing(FAMILIES):
        for name in ("tuning.csv", "results.csv", "curves.csv"):
            sort(name)


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAMILIES))
