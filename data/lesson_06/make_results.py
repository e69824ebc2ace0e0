"""MAML for policies and its baselines on four families of cart-poles, on tasks that nothing was tuned on.

Run `python data/lesson_06/make_results.py` (about 120 CPU-minutes; name families to do only these,
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import ToldTasks, evaluate_tuned, multitask_config, tune_inner_lr
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
TOLD_META_LRS, TOLD_TIMES = (0.02, 0.04, 0.08), 4
"""The told policy is trained four times as long as the others: until it no longer rises (curves.csv)."""

THREE = "MAML, three steps"
"""MAML trained with the three full steps that it is judged with; on this family alone."""

THREE_FAMILY, THREE_LRS = "dir", (2.5, 5.0, 10.0)

TUNING = ("family", "method", "what", "value", "decay", "steps", "return")


def train(family: str, config: MAMLConfig, seed: int, *, told: bool = False) -> MAMLAgent:
    """Return a trained agent; `told` lets it see what the tasks hide."""
    agent = MAMLAgent(ToldTasks(family) if told else CartPoleTasks(family), config, seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    return agent


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
    """Return the best step sizes for one, two and three steps."""
    rows: list[tuple[float, float, int, float]] = []
    sizes = tune_inner_lr(agents, tasks, steps=STEPS, table=rows)
    entries = [[family, method, "sizes", f"{a:g}", f"{b:.3g}", k, f"{value:.5g}"] for a, b, k, value in rows]
    write("tuning.csv", TUNING, entries)
    print(f"  {method} sizes: {sizes}", flush=True)
    return sizes


def told_config(meta_lr: float) -> MAMLConfig:
    """Return how the policy that is told the task is trained."""
    base = multitask_config(MAMLConfig())
    return dataclasses.replace(base, meta_lr=meta_lr, iterations=TOLD_TIMES * base.iterations)


def three_config(inner_lr: float) -> MAMLConfig:
    """Return MAML that is trained with three steps of equal size."""
    return MAMLConfig(inner_lr=inner_lr, inner_steps=STEPS, step_decay=1.0)


def tune(family: str) -> dict[str, Any]:
    """Return the best settings of every method on validation tasks, by the return after one step.

    On `phys` every setting earns about 100 before any step, so that only step sizes are tuned there.
    """
    tasks = CartPoleTasks(family).sample(100, seed=VALIDATION_SEED)
    base = MAMLConfig()

    def earned(config: MAMLConfig, *, steps: int = 1, told: bool = False) -> float:
        agents = [train(family, config, seed, told=told) for seed in TUNING_SEEDS]
        return float(np.mean([agent.evaluate(tasks, steps=steps)[steps] for agent in agents]))

    def multitask_agents(meta_lr: float) -> list[MAMLAgent]:
        config = dataclasses.replace(multitask_config(base), meta_lr=meta_lr)
        return [train(family, config, seed) for seed in TUNING_SEEDS]

    def multitask(meta_lr: float) -> float:
        agents = multitask_agents(meta_lr)
        sizes = tune_inner_lr(agents, tasks, steps=1, decays=(1.0,))[1]
        settings = {"steps": 1, "inner_lr": sizes, "episodes": base.episodes, "seed": 1}
        return float(np.mean([agent.evaluate(tasks, **settings)[1] for agent in agents]))

    def with_inner_lr(first_order: bool) -> Callable[[float], float]:
        return lambda rate: earned(dataclasses.replace(base, inner_lr=rate, first_order=first_order))

    found: dict[str, Any] = {
        "MAML inner_lr": base.inner_lr,
        "FOMAML inner_lr": base.inner_lr,
        "multitask meta_lr": base.meta_lr,
        "told meta_lr": base.meta_lr,
    }
    if family != "phys":
        searches = (
            ("MAML", "inner_lr", INNER_LRS, with_inner_lr(False)),
            ("FOMAML", "inner_lr", INNER_LRS, with_inner_lr(True)),
            ("multitask", "meta_lr", META_LRS, multitask),
            ("told", "meta_lr", TOLD_META_LRS, lambda rate: earned(told_config(rate), steps=0, told=True)),
        )
        for method, what, values, score in searches:
            found[f"{method} {what}"] = best_value(family, method, what, values, score)
    if family == THREE_FAMILY:

        def three(rate: float) -> float:
            return earned(three_config(rate), steps=STEPS)

        found[f"{THREE} inner_lr"] = best_value(family, THREE, "inner_lr", THREE_LRS, three)
    untrained = [MAMLAgent(CartPoleTasks(family), base, seed=seed, device="cpu") for seed in TUNING_SEEDS]
    found["random sizes"] = best_sizes(family, "random", untrained, tasks)
    multi = multitask_agents(found["multitask meta_lr"])
    found["multitask sizes"] = best_sizes(family, "multitask", multi, tasks)
    return found


def run_seed(family: str, seed: int, tuned: dict) -> tuple[dict[str, np.ndarray], dict[str, MAMLAgent]]:
    """Return each method's mean returns [sets, steps + 1] on test tasks, and the agents that were trained."""
    base = MAMLConfig(inner_lr=tuned["MAML inner_lr"])
    first = MAMLConfig(inner_lr=tuned["FOMAML inner_lr"], first_order=True)
    multi = dataclasses.replace(multitask_config(base), meta_lr=tuned["multitask meta_lr"])
    agents = {
        "MAML": train(family, base, seed),
        "FOMAML": train(family, first, seed),
        "multitask": train(family, multi, seed),
        "told": train(family, told_config(tuned["told meta_lr"]), seed, told=True),
    }
    if family == THREE_FAMILY:
        agents[THREE] = train(family, three_config(tuned[f"{THREE} inner_lr"]), seed)
    start = MAMLAgent(CartPoleTasks(family), base, seed=seed, device="cpu")
    found: dict[str, list[np.ndarray]] = {}
    for test_seed in TEST_SEEDS:
        tasks = CartPoleTasks(family).sample(200, seed=test_seed)
        undamped = [base.inner_lr] * STEPS
        returns = {name: agent.evaluate(tasks, steps=STEPS) for name, agent in agents.items() if "M" in name}
        returns["MAML undamped"] = agents["MAML"].evaluate(tasks, steps=STEPS, inner_lr=undamped)
        returns["multitask"] = fine_tuned(agents["multitask"], tasks, tuned["multitask sizes"])
        returns["random"] = fine_tuned(start, tasks, tuned["random sizes"])
        returns["told"] = agents["told"].evaluate(tasks, steps=0, episodes=base.episodes)
        for name, values in returns.items():
            found.setdefault(name, []).append(values.mean(axis=1))
    return {name: np.array(values) for name, values in found.items()}, agents


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
    """Sort the rows of a CSV file by family; rows of one family stay in their order."""
    path = HERE / name
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    rows.sort(key=lambda row: FAMILIES.index(row[0]))
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def finished() -> set[tuple[str, int]]:
    """Return the pairs (family, seed) that stand in the results."""
    path = HERE / "results.csv"
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {(row["family"], int(row["seed"])) for row in csv.DictReader(file)}


def settings(family: str) -> dict:
    """Return what was tuned for a family; tune and store it if that was not done yet."""
    path = HERE / "settings.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    if family not in stored:
        tuned = tune(family)
        stored = json.loads(path.read_text()) if path.exists() else {}
        stored[family] = tuned
        path.write_text(json.dumps(stored, indent=2) + "\n")
    return json.loads(path.read_text())[family]


def main(families: list[str]) -> None:
    """Tune and run every family."""
    torch.set_num_threads(1)
    for family in families:
        print(family, flush=True)
        tuned = settings(family)
        for seed in SEEDS:
            if (family, seed) in finished():
                continue
            found, agents = run_seed(family, seed, tuned)
            if seed == SEEDS[0]:
                agents["MAML"].save(HERE / f"maml_{family}.safetensors")
            write(
                "curves.csv",
                ("family", "method", "seed", "iteration", "before", "after"),
                [
                    [family, method, seed, row["iteration"], f"{row['before']:.4g}", f"{row['after']:.4g}"]
                    for method, agent in agents.items()
                    for row in agent.history
                ],
            )
            write(
                "results.csv",
                ("family", "method", "seed", "set", "step", "return"),
                [
                    [family, method, seed, k, step, f"{value:.5g}"]
                    for method, returns in found.items()
                    for (k, step), value in np.ndenumerate(returns)
                ],
            )
            print(f"  seed {seed}: {found['MAML'].mean(axis=0).round(1)}", flush=True)
    for name in ("tuning.csv", "results.csv", "curves.csv"):
        sort(name)


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAMILIES))
