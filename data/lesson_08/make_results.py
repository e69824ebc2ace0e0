"""Memory, belief and gradient on four families of cart-poles, judged on tasks that nothing was tuned on.

Parts are called by their family first, such as "dirv".

    results.csv        family, method, seed, set, episode: mean return of that episode of a trial over each
                       of four sets of 200 test tasks. "memory, wiped" is the memory agent that forgets at the
                       end of each episode. Of MAML episode 1 is any of the first ten, before its step, and 11
                       any after it; of "MAML, one" episode 2 follows a step on the first
    curves.csv         family, method, seed, update: mean return of the first and the last episode in training
    costs.csv          family, method, seed: CPU seconds and environment steps of the training
    tuning.csv         MAML with one episode before its step: all that was tried, on 200 validation tasks
    memory_FAMILY.safetensors    the memory agent of the first seed
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np
import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import ToldTasks
from mlearn_utils.meta.policies.beliefs import BeliefTasks
from mlearn_utils.meta.policies.memory_agent import MemoryAgent, MemoryConfig
from mlearn_utils.tasks.cartpole import CartPoleTasks

UPDATES = {"once": 400, "dirv": 200, "dir": 200, "phys": 60}
"""Of every method but MAML, so that they have equal budgets on a family."""

SEEDS = range(5)
TEST_SEEDS = (990_001, 990_002, 990_003, 990_004)
VALIDATION_SEED = 78_000
TUNING_SEEDS = (910, 911, 912)
INNER_LRS = (2.5, 5.0, 10.0, 20.0)
ONE = "MAML, one"
METHODS = {
    "once": ("memory", "feed-forward", "belief", "told", ONE),
    "dirv": ("memory", "feed-forward", "belief", "told", "MAML"),
    "dir": ("memory", "feed-forward", "belief", "told", "MAML"),
    "phys": ("memory", "feed-forward", "told", "MAML"),
}
MAML_RATES = {"dirv": 20.0, "dir": 10.0, "phys": 10.0}
"""Inner rates: those that lesson 06 tuned (data/lesson_06/settings.json); on `phys` nothing was tuned."""

EVERY = 4
"""Updates between two rows of curves.csv."""

RESULTS = ("family", "method", "seed", "set", "episode", "return")
CURVES = ("family", "method", "seed", "update", "first", "last")
COSTS = ("family", "method", "seed", "cpu_seconds", "environment_steps")
TUNING = ("inner_lr", "rate_at_test", "return")


def one_config(inner_lr: float) -> MAMLConfig:
    """Return MAML with one episode before its step, on as many episodes an iteration as the default."""
    return MAMLConfig(inner_lr=inner_lr, tasks=200, episodes=1)


def tune_one() -> dict[str, Any]:
    """Return the inner rates, in training and at test, of MAML that sees one episode; and all tried."""
    tasks = CartPoleTasks("once").sample(200, seed=VALIDATION_SEED)
    earned: dict[tuple[float, float], float] = {}
    tried = list(INNER_LRS)
    while True:
        for rate in tried:
            if any(rate == key[0] for key in earned):
                continue
            agents = [
                MAMLAgent(CartPoleTasks("once"), one_config(rate), seed=s, device="cpu") for s in TUNING_SEEDS
            ]
            for agent, seed in zip(agents, TUNING_SEEDS, strict=True):
                agent.train(seed=seed, progress=False)
            for at_test in (0.0, rate / 10, rate / 3, rate, 3 * rate):
                found = [agent.evaluate(tasks, steps=1, episodes=1, inner_lr=at_test)[1] for agent in agents]
                earned[rate, at_test] = float(np.mean(found))
        best = max(earned, key=earned.__getitem__)
        if min(tried) < best[0] < max(tried) or len(tried) > 8:
            break
        tried.append(best[0] / 2 if best[0] == min(tried) else best[0] * 2)
    rows = [[rate, f"{at_test:.4g}", f"{value:.5g}"] for (rate, at_test), value in sorted(earned.items())]
    return {"best": best, "rows": rows}


def maml(family: str, method: str, seed: int, done: Results | None = None) -> dict[str, Any]:
    """Train and judge one MAML agent."""
    rate, at_test, episodes = MAML_RATES.get(family, 0.0), None, None
    config = MAMLConfig(inner_lr=rate)
    if method == ONE:
        assert done is not None
        rate, at_test = done["once tuned"]["best"]
        config, episodes = one_config(rate), 1
    agent = MAMLAgent(CartPoleTasks(family), config, seed=seed, device="cpu")
    seconds = trained(agent, seed)
    rows = []
    for k, test_seed in enumerate(TEST_SEEDS):
        tasks = CartPoleTasks(family).sample(200, seed=test_seed)
        returns = agent.evaluate(tasks, steps=1, episodes=episodes, inner_lr=at_test).mean(axis=1)
        for episode, value in zip((1, 2) if method == ONE else (1, 11), returns, strict=True):
            rows.append([family, method, seed, k, episode, f"{value:.5g}"])
    curves = [
        [family, method, seed, row["iteration"], f"{row['before']:.4g}", f"{row['after']:.4g}"]
        for row in agent.history
    ]
    costs = [family, method, seed, f"{seconds:.3g}", agent.history[-1]["steps"]]
    return {"results": rows, "curves": curves, "costs": costs}


def trained(agent: Any, seed: int) -> float:
    """Train an agent with one thread and return the CPU seconds of it."""
    torch.set_num_threads(1)
    start = time.process_time()
    agent.train(seed=seed, progress=False)
    return time.process_time() - start


def run(family: str, method: str, seed: int) -> dict[str, Any]:
    """Train and judge one agent of a method; the first memory agent of a family is kept."""
    tasks = {"belief": BeliefTasks, "told": ToldTasks}.get(method, CartPoleTasks)(family)
    config = MemoryConfig(updates=UPDATES[family], memory=method == "memory")
    agent = MemoryAgent(tasks, config, seed=seed, device="cpu")
    seconds = trained(agent, seed)
    if method == "memory" and seed == SEEDS[0]:
        agent.save(EXPERIMENT.kept / f"memory_{family}.safetensors")
    rows = []
    for k, test_seed in enumerate(TEST_SEEDS):
        test = tasks.sample(200, seed=test_seed)
        found = {method: agent.evaluate(test, trials=2)}
        if method == "memory":
            found["memory, wiped"] = agent.evaluate(test, trials=2, wipe=True)
        for name, returns in found.items():
            for episode, value in enumerate(returns.mean(axis=1), start=1):
                rows.append([family, name, seed, k, episode, f"{value:.5g}"])
    curves = [
        [family, method, seed, row["update"], f"{row['first']:.4g}", f"{row['last']:.4g}"]
        for row in agent.history
        if row["update"] % EVERY == 0
    ]
    costs = [family, method, seed, f"{seconds:.3g}", agent.history[-1]["steps"]]
    return {"results": rows, "curves": curves, "costs": costs}


def parts() -> list[Part]:
    """Return what is tuned, then for each family every seed and method."""
    found = [Part("once tuned", tune_one)]
    for family, methods in METHODS.items():
        for seed in SEEDS:
            for method in methods:
                make, after = (maml, ("once tuned",) * (method == ONE)) if "MAML" in method else (run, ())
                found.append(Part(f"{family} {method} seed {seed}", make, (family, method, seed), after))
    return found


def finish(results: Results) -> Files:
    """Return the content of all files."""
    found: dict[str, list] = {"results": [], "curves": [], "costs": []}
    for part in parts():
        if part.make is tune_one:
            continue
        made = results[part.name]
        found["results"] += made["results"]
        found["curves"] += made["curves"]
        found["costs"].append(made["costs"])
    agents = {name: EXPERIMENT.kept / name for name in AGENTS}
    return {
        "results.csv": [RESULTS, *found["results"]],
        "curves.csv": [CURVES, *found["curves"]],
        "costs.csv": [COSTS, *found["costs"]],
        "tuning.csv": [TUNING, *results["once tuned"]["rows"]],
        **agents,
    }


AGENTS = ("memory_once.safetensors", "memory_dirv.safetensors")
FILES = ("results.csv", "curves.csv", "costs.csv", "tuning.csv")
EXPERIMENT = Experiment(__file__, __doc__, 95, FILES + AGENTS, parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
