"""MAML for policies and its baselines on four families of cart-poles, on tasks that nothing was tuned on.

Run `python data/lesson_06/make_results.py` (about 35 CPU-minutes; families can be named to do only these).
Finished parts are kept: an interrupted run goes on where it stopped. Delete `settings.json` and the two CSV
files to start anew. It writes

    settings.json      what was tuned, on validation tasks and agents of other seeds
    results.csv        family, method, seed, step: mean return over 200 test tasks after 0-3 inner steps
    curves.csv         family, method, seed, iteration: mean return before and after adaptation in training
    maml_FAMILY.safetensors    the MAML agent of the first seed
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
VALIDATION_SEED, TEST_SEED = 77_000, 88_000  # training draws its tasks from hashes of (seed, iteration)
STEPS = 3
INNER_LRS = (2.5, 5.0, 10.0, 20.0, 40.0)
META_LRS = (0.0025, 0.005, 0.01, 0.02, 0.04)


def train(family: str, config: MAMLConfig, seed: int, *, told: bool = False) -> MAMLAgent:
    """Return a trained agent; `told` lets it see what the tasks hide."""
    agent = MAMLAgent(ToldTasks(family) if told else CartPoleTasks(family), config, seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    return agent


def best_value(name: str, values: tuple[float, ...], score: Callable[[float], float]) -> float:
    """Return the value with the best score; while that is the first or the last, try one beyond it."""
    scores = {value: score(value) for value in values}
    while True:
        tried, best = sorted(scores), max(scores, key=scores.__getitem__)
        print(f"  {name}: " + ", ".join(f"{value:g}: {scores[value]:.1f}" for value in tried), flush=True)
        if tried[0] < best < tried[-1] or len(tried) > 9:
            return best
        beyond = best / 2 if best == tried[0] else best * 2
        scores[beyond] = score(beyond)


def tune(family: str) -> dict[str, Any]:
    """Return the best settings of every method on validation tasks, by the return after one step.

    On `phys` every setting earns about 100 before any step, so that only step sizes are tuned there.
    """
    tasks = CartPoleTasks(family).sample(100, seed=VALIDATION_SEED)
    base = MAMLConfig()

    def adapted(config: MAMLConfig) -> float:
        agents = [train(family, config, seed) for seed in TUNING_SEEDS]
        return float(np.mean([agent.evaluate(tasks, steps=1)[1] for agent in agents]))

    def multitask_agents(meta_lr: float) -> list[MAMLAgent]:
        config = dataclasses.replace(multitask_config(base), meta_lr=meta_lr)
        return [train(family, config, seed) for seed in TUNING_SEEDS]

    def multitask(meta_lr: float) -> float:
        agents = multitask_agents(meta_lr)
        sizes = tune_inner_lr(agents, tasks, steps=1, decays=(1.0,))[1]
        settings = {"steps": 1, "inner_lr": sizes, "episodes": base.episodes, "seed": 1}
        return float(np.mean([agent.evaluate(tasks, **settings)[1] for agent in agents]))

    def told(meta_lr: float) -> float:
        config = dataclasses.replace(multitask_config(base), meta_lr=meta_lr)
        agents = [train(family, config, seed, told=True) for seed in TUNING_SEEDS]
        return float(np.mean([agent.evaluate(tasks, steps=0)[0] for agent in agents]))

    def with_inner_lr(first_order: bool) -> Callable[[float], float]:
        return lambda rate: adapted(dataclasses.replace(base, inner_lr=rate, first_order=first_order))

    found: dict[str, Any] = {
        "MAML inner_lr": base.inner_lr,
        "FOMAML inner_lr": base.inner_lr,
        "multitask meta_lr": base.meta_lr,
        "told meta_lr": base.meta_lr,
    }
    if family != "phys":
        found = {
            "MAML inner_lr": best_value("MAML inner_lr", INNER_LRS, with_inner_lr(False)),
            "FOMAML inner_lr": best_value("FOMAML inner_lr", INNER_LRS, with_inner_lr(True)),
            "multitask meta_lr": best_value("multitask meta_lr", META_LRS, multitask),
            "told meta_lr": best_value("told meta_lr", META_LRS, told),
        }
    untrained = [MAMLAgent(CartPoleTasks(family), base, seed=seed, device="cpu") for seed in TUNING_SEEDS]
    found["random sizes"] = tune_inner_lr(untrained, tasks, steps=STEPS)
    multi = multitask_agents(found["multitask meta_lr"])
    found["multitask sizes"] = tune_inner_lr(multi, tasks, steps=STEPS)
    return found


def run_seed(family: str, seed: int, tuned: dict) -> tuple[dict[str, np.ndarray], dict[str, MAMLAgent]]:
    """Return each method's returns [steps + 1, T] on the test tasks, and the agents that were trained."""
    tasks = CartPoleTasks(family).sample(200, seed=TEST_SEED)
    base = MAMLConfig(inner_lr=tuned["MAML inner_lr"])
    first = MAMLConfig(inner_lr=tuned["FOMAML inner_lr"], first_order=True)
    multi = dataclasses.replace(multitask_config(base), meta_lr=tuned["multitask meta_lr"])
    told = dataclasses.replace(multitask_config(base), meta_lr=tuned["told meta_lr"])
    agents = {
        "MAML": train(family, base, seed),
        "FOMAML": train(family, first, seed),
        "multitask": train(family, multi, seed),
        "told": train(family, told, seed, told=True),
    }
    start = MAMLAgent(CartPoleTasks(family), base, seed=seed, device="cpu")
    found = {name: agents[name].evaluate(tasks, steps=STEPS) for name in ("MAML", "FOMAML")}
    found["MAML undamped"] = agents["MAML"].evaluate(tasks, steps=STEPS, inner_lr=[base.inner_lr] * STEPS)
    found["multitask"] = fine_tuned(agents["multitask"], tasks, tuned["multitask sizes"])
    found["random"] = fine_tuned(start, tasks, tuned["random sizes"])
    found["told"] = agents["told"].evaluate(tasks, steps=0, episodes=base.episodes)
    return found, agents


def fine_tuned(agent: MAMLAgent, tasks: CartPoleTask, sizes: dict) -> np.ndarray:
    """Return [steps + 1, T] returns with the step sizes that were tuned for each number of steps."""
    return evaluate_tuned(agent, tasks, {int(k): rates for k, rates in sizes.items()})


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """Append rows to a CSV file, with its header if it is new."""
    path = HERE / name
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if path.stat().st_size == 0:
            writer.writerow(header)
        writer.writerows(rows)


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
                ["family", "method", "seed", "iteration", "before", "after"],
                [
                    [family, method, seed, row["iteration"], f"{row['before']:.4g}", f"{row['after']:.4g}"]
                    for method, agent in agents.items()
                    for row in agent.history
                ],
            )
            write(
                "results.csv",
                ["family", "method", "seed", "step", "return"],
                [
                    [family, method, seed, step, f"{value:.5g}"]
                    for method, returns in found.items()
                    for step, value in enumerate(returns.mean(axis=1))
                ],
            )
            print(f"  seed {seed}: {found['MAML'].mean(axis=1).round(1)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAMILIES))
