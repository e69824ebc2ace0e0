"""MAML with each surrogate in its inner step, and first order: does the Hessian decide the return?

From the root of the checkout (about seven CPU-minutes):

    python data/lesson_06/make_surrogates.py

It writes surrogates.csv with the columns family, method ("plain", "lvc", "dice" or "first order"), seed, step
and return: the mean return over 200 held-out tasks after 0 and 1 inner steps, of an agent with the default
settings of MAMLConfig but for the surrogate and `before_weight`, which is 0: MAML's objective throughout.
Seed k is the same start and the same tasks for every method.
"""

import csv
from pathlib import Path

import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.tasks.cartpole import CartPoleTasks

FAMILIES, SEEDS, TEST_SEED = ("dir", "dirv"), range(6), 89_000
CONFIGS = {
    "plain": MAMLConfig(surrogate="plain", before_weight=0.0),
    "lvc": MAMLConfig(surrogate="lvc", before_weight=0.0),
    "dice": MAMLConfig(surrogate="dice", before_weight=0.0),
    "first order": MAMLConfig(first_order=True, before_weight=0.0),
}


def run(family: str) -> list[list[object]]:
    """Return the rows of a family: every method with every seed."""
    tasks = CartPoleTasks(family)
    held_out = tasks.sample(200, seed=TEST_SEED)
    rows: list[list[object]] = []
    for seed in SEEDS:
        for method, config in CONFIGS.items():
            agent = MAMLAgent(tasks, config, seed=seed, device="cpu")
            agent.train(seed=seed, progress=False)
            means = agent.evaluate(held_out, steps=1).mean(axis=1)
            rows += [[family, method, seed, step, f"{value:.5g}"] for step, value in enumerate(means)]
            print(family, seed, method, means.round(1), flush=True)
    return rows


def main() -> None:
    """Run both families and write the file."""
    torch.set_num_threads(1)
    rows = [row for family in FAMILIES for row in run(family)]
    with Path(__file__).with_name("surrogates.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["family", "method", "seed", "step", "return"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
