"""What defaults of MAMLConfig are worth on `dirv`, with tasks and agents that no table reports.

From the root of the checkout (about twelve CPU-minutes):

    python data/lesson_06/make_choices.py

It writes choices.csv with the columns setting, value, seed, step and return: the mean return over 200
validation tasks after 0 to 3 inner steps (the first alone for all but `step_decay`), of agents with the
default settings of MAMLConfig but for the one named. Its seeds and tasks are those of no other file.
`step_decay` acts on the later steps only, and is changed when the default agents are judged.
"""

import csv
import dataclasses
from pathlib import Path

import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.tasks.cartpole import CartPoleTasks

FAMILY, SEEDS, VALIDATION_SEED = "dirv", range(950, 955), 78_000
CHOICES = {
    "before_weight": (0.0, 0.3, 1.0, 3.0),
    "meta_lr": (0.01, 0.02, 0.04),
    "epochs": (1, 2, 4),
    "clip": (0.1, 0.2, 0.4),
}
DECAYS = (0.03, 0.1, 0.3, 1.0)


def main() -> None:
    """Train and judge every variant, and write the file."""
    torch.set_num_threads(1)
    family, base, rows = CartPoleTasks(FAMILY), MAMLConfig(), []
    tasks = family.sample(200, seed=VALIDATION_SEED)

    def train(config: MAMLConfig, seed: int) -> MAMLAgent:
        agent = MAMLAgent(family, config, seed=seed, device="cpu")
        agent.train(seed=seed, progress=False)
        return agent

    def add(setting: str, value: float, seed: int, agent: MAMLAgent, sizes: list[float]) -> None:
        means = agent.evaluate(tasks, steps=len(sizes), inner_lr=sizes).mean(axis=1)
        rows.extend([setting, value, seed, step, f"{mean:.5g}"] for step, mean in enumerate(means))
        print(setting, value, seed, means.round(1), flush=True)

    for seed in SEEDS:
        default = train(base, seed)
        for decay in DECAYS:
            add("step_decay", decay, seed, default, [base.inner_lr * decay**k for k in range(3)])
        for setting, values in CHOICES.items():
            for value in values:
                is_default = value == getattr(base, setting)
                config = dataclasses.replace(base, **{setting: value})
                add(setting, value, seed, default if is_default else train(config, seed), [base.inner_lr])
    with Path(__file__).with_name("choices.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["setting", "value", "seed", "step", "return"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
