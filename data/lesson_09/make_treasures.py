"""An agent with a memory seeks treasures on two lakes: all cells, and with cells held out from training.

treasures.csv   setting, seed, cells, measure, value: on the cells of training and on those held out
                (each seed draws its own), of the memory and of the same memory wiped after each episode:
                the share of lakes whose treasure was found in an episode, the mean steps where it was,
                and the treasures found in 30 steps. All with the most probable actions; "sampled" with
                actions drawn from the policy, a hundred walks to each treasure. "excess": steps of the
                second episode beyond the shortest walk, where both found it; "again": found in the second,
                of those found in the first
treasures.safetensors   the agent of the first seed on the small lake, nothing held out
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np

from mlearn_utils.course.lesson_09 import treasures
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.tasks.treasures import LARGE_LAKE, SMALL_LAKE, TreasureTask, frozen_cells

SEEDS = range(5)
SETTINGS: dict[str, dict[str, Any]] = {
    "small": {"lake": SMALL_LAKE, "held": 0, "updates": 100, "hidden": 32, "horizon": 30},
    "small, held out": {"lake": SMALL_LAKE, "held": 3, "updates": 100, "hidden": 32, "horizon": 30},
    "large, held out": {"lake": LARGE_LAKE, "held": 8, "updates": 160, "hidden": 48, "horizon": 60},
}
COLUMNS = ("setting", "seed", "cells", "measure", "value")


def measure(agent: MemoryAgent, tasks: TreasureTask) -> list[tuple[str, float]]:
    """Return what is measured on some treasures, by name."""
    rows = []
    for name, wipe in (("memory", False), ("wiped", True)):
        walks = treasures.walk(agent, tasks, wipe=wipe)
        for k, (steps, found) in enumerate(zip(walks.steps, walks.found, strict=True), 1):
            rows.append((f"{name}, found {k}", float(found.mean())))
            if found.any():
                rows.append((f"{name}, steps {k}", float(steps[found].mean())))
        many = treasures.walk(agent, tasks, wipe=wipe, episodes=30)
        rows.append((f"{name}, in 30 steps", float(treasures.found_within(many).mean())))
        if not wipe:
            often = TreasureTask(np.repeat(tasks.goal, 100), tasks.lake)
            sampled = treasures.walk(agent, often, greedy=False)
            rows += [(f"sampled, found {k}", float(each.mean())) for k, each in enumerate(sampled.found, 1)]
        first, both = walks.found[0], walks.found[:2].all(axis=0)
        if first.any():
            rows.append((f"{name}, again", float(walks.found[1, first].mean())))
        if both.any():
            excess = walks.steps[1, both] - treasures.shortest(tasks)[both]
            rows.append((f"{name}, excess", float(excess.mean())))
    return rows


def run(setting: str, seed: int) -> dict[str, Any]:
    """Train one agent; return its rows."""
    given = dict(SETTINGS[setting])
    lake, count = given.pop("lake"), given.pop("held")
    cells, held = treasures.hold_out(frozen_cells(lake), count, seed=seed)
    agent = treasures.train(cells, lake, seed=seed, **given)
    rows = [("trained", *row) for row in measure(agent, TreasureTask(cells, lake))]
    if count:
        rows += [("held out", *row) for row in measure(agent, TreasureTask(held, lake))]
    if (setting, seed) == ("small", SEEDS[0]):
        agent.save(EXPERIMENT.kept / AGENT)
    return {"rows": rows}


def parts() -> list[Part]:
    """Return the parts: one training each."""
    return [Part(f"{setting} seed {seed}", run, (setting, seed)) for setting in SETTINGS for seed in SEEDS]


def finish(results: Results) -> Files:
    """Make the table."""
    rows = [
        (setting, seed, cells, name, f"{value:.4g}")
        for setting in SETTINGS
        for seed in SEEDS
        for cells, name, value in results[f"{setting} seed {seed}"]["rows"]
    ]
    return {"treasures.csv": [COLUMNS, *rows], AGENT: EXPERIMENT.kept / AGENT}


AGENT = "treasures.safetensors"
EXPERIMENT = Experiment(__file__, __doc__, 8, ("treasures.csv", AGENT), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
