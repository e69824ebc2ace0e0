"""What defaults of MAMLConfig are worth on `dirv`, with tasks and agents that no table reports.

choices.csv has the columns setting, value, seed, step and return: the mean return over 200
validation tasks after 0 to 3 inner steps (the first alone for all but `step_decay`), of agents with the
default settings of MAMLConfig but for the one named. Its seeds and tasks are those of no other file.
`step_decay` acts on the later steps only, and is changed when the default agents are judged.
"""

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

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


def run_seed(seed: int) -> list[list[object]]:
    """Train and judge every variant with one seed; return the rows."""
    family, base, rows = CartPoleTasks(FAMILY), MAMLConfig(), []
    tasks = family.sample(200, seed=VALIDATION_SEED)

    def train(config: MAMLConfig) -> MAMLAgent:
        agent = MAMLAgent(family, config, seed=seed, device="cpu")
        agent.train(seed=seed, progress=False)
        return agent

    def add(setting: str, value: float, agent: MAMLAgent, sizes: list[float]) -> None:
        means = agent.evaluate(tasks, steps=len(sizes), inner_lr=sizes).mean(axis=1)
        rows.extend([setting, value, seed, step, f"{mean:.5g}"] for step, mean in enumerate(means))

    default = train(base)
    for decay in DECAYS:
        add("step_decay", decay, default, [base.inner_lr * decay**k for k in range(3)])
    for setting, values in CHOICES.items():
        for value in values:
            is_default = value == getattr(base, setting)
            agent = default if is_default else train(dataclasses.replace(base, **{setting: value}))
            add(setting, value, agent, [base.inner_lr])
    return rows


def parts() -> list[Part]:
    """Return the seeds."""
    return [Part(f"seed {seed}", run_seed, (seed,)) for seed in SEEDS]


def finish(results: Results) -> Files:
    """Return all rows, by seed."""
    rows = [row for part in parts() for row in results[part.name]]
    return {"choices.csv": [("setting", "value", "seed", "step", "return"), *rows]}


EXPERIMENT = Experiment(__file__, __doc__, 12, ("choices.csv",), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
