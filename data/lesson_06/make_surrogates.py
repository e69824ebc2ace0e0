"""MAML with each surrogate in its inner step, and first order: does the Hessian decide the return?

surrogates.csv has the columns family, method ("plain", "lvc", "dice" or "first order"), seed, step
and return: the mean return over 200 held-out tasks after 0 and 1 inner steps, of an agent with the default
settings of MAMLConfig but for the surrogate and `before_weight`, which is 0: MAML's objective throughout.
Seed k is the same start and the same tasks for every method.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.tasks.cartpole import CartPoleTasks

FAMILIES, SEEDS, TEST_SEED = ("dir", "dirv"), range(6), 89_000
CONFIGS = {
    "plain": MAMLConfig(surrogate="plain", before_weight=0.0),
    "lvc": MAMLConfig(surrogate="lvc", before_weight=0.0),
    "dice": MAMLConfig(surrogate="dice", before_weight=0.0),
    "first order": MAMLConfig(first_order=True, before_weight=0.0),
}


def run(family: str, seed: int, method: str) -> list[list[object]]:
    """Return the rows of one agent."""
    tasks = CartPoleTasks(family)
    agent = MAMLAgent(tasks, CONFIGS[method], seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    means = agent.evaluate(tasks.sample(200, seed=TEST_SEED), steps=1).mean(axis=1)
    return [[family, method, seed, step, f"{value:.5g}"] for step, value in enumerate(means)]


def parts() -> list[Part]:
    """Return every family, seed and method."""
    runs = [(family, seed, method) for family in FAMILIES for seed in SEEDS for method in CONFIGS]
    return [Part(f"{family} {seed} {method}", run, (family, seed, method)) for family, seed, method in runs]


def finish(results: Results) -> Files:
    """Return all rows, in the order of the parts."""
    rows = [row for part in parts() for row in results[part.name]]
    return {"surrogates.csv": [("family", "method", "seed", "step", "return"), *rows]}


EXPERIMENT = Experiment(__file__, __doc__, 7, ("surrogates.csv",), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
