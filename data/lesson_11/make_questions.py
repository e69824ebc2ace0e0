"""How many tasks to train on, and how far beyond them a new one may lie.

    tasks.csv      tasks, seed, set, where, before, after, left, right, tuned: MAML trained on so many tasks
                   of `dirv` and no others; mean return before and after one step, on the training tasks
                   ("own") and on 200 new ones ("new", four sets); "left", "right": after the step, on those
                   with a target on that side (empty if none); "tuned": after one step of the rate that is
                   best at test, chosen for each training on 100 validation tasks
    rates.csv      tasks, seed, rate, after: what was tried for that
    distance.csv   family, target, seed, before, after: MAML trained on targets of 0.5 to 1 m/s to either
                   side ("usual") or of 0 to 2, with the same rate ("wide") or with the one that is best for
                   it ("tuned"), and on the former with the rate of the latter ("slow"), on carts with one
                   target, 40 of each sign
    wide.csv       rate, seed, after: what was tried for that, on 100 validation tasks of 0 to 2 m/s, with
                   trainings that nothing else is reported of

Everything is trained with five seeds.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np
import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks

COUNTS, SEEDS = (2, 5, 10, 20, 50, 100, 500), range(5)
TESTS, VALIDATION = (990_001, 990_002, 990_003, 990_004), 980_001
RATE = 20.0
"""The inner rate that lesson 06 tuned for `dirv` (data/lesson_06/settings.json); in training all have it."""
RATES = (1.25, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
WIDE_RATES, WIDE_SEEDS = (1.25, 2.5, 5.0, 10.0, 20.0, 40.0), (900, 901, 902)
TARGETS = tuple(round(0.1 * k, 1) for k in range(1, 21))
COLUMNS = ("tasks", "seed", "set", "where", "before", "after", "left", "right", "tuned")
TRIED = ("tasks", "seed", "rate", "after")
DISTANCE, WIDE = ("family", "target", "seed", "before", "after"), ("rate", "seed", "after")


class FewTasks(CartPoleTasks):
    """`dirv` with so many tasks and no others, drawn once.

    Args:
        count: of the tasks.
        seed: that they are drawn by.
    """

    def __init__(self, count: int, *, seed: int):
        super().__init__("dirv")
        self.own = CartPoleTasks("dirv").sample(count, seed=seed)

    def sample(self, n_tasks: int, *, seed: int) -> CartPoleTask:
        """Draw tasks of the few, with replacement."""
        return self.own[np.random.default_rng(seed).integers(len(self.own), size=n_tasks)]


class WideTasks(CartPoleTasks):
    """`dirv` with targets of 0 to 2 m/s to either side."""

    def __init__(self):
        super().__init__("dirv")

    def sample(self, n_tasks: int, *, seed: int) -> CartPoleTask:
        """Draw targets uniformly."""
        return CartPoleTask("dirv", target=np.random.default_rng(seed).uniform(-2.0, 2.0, n_tasks))


def rounded(values: Any) -> list[float]:
    """Return numbers with five digits."""
    return [float(f"{value:.5g}") for value in values]


def trained(family: CartPoleTasks, seed: int, rate: float = RATE) -> MAMLAgent:
    """Return MAML after its usual training."""
    torch.set_num_threads(1)
    agent = MAMLAgent(family, MAMLConfig(inner_lr=rate), seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    return agent


def judge(agent: MAMLAgent, tasks: CartPoleTask, rate: float | None = None) -> list[float]:
    """Return the mean return before and after one step."""
    return rounded(agent.evaluate(tasks, steps=1, inner_lr=rate).mean(axis=1))


def judge_sides(agent: MAMLAgent, tasks: CartPoleTask) -> list[Any]:
    """Return the mean return after one step of the tasks with a target on the left, and on the right."""
    after, right = agent.evaluate(tasks, steps=1)[1], np.asarray(tasks.target) > 0
    return [rounded([after[side].mean()])[0] if side.any() else "" for side in (~right, right)]


def few(count: int, seed: int) -> dict[str, list[list[Any]]]:
    """Train on so many tasks, judge on them and on new ones."""
    family = FewTasks(count, seed=700_000 + 1000 * seed + count)
    agent = trained(family, seed)
    validation = CartPoleTasks("dirv").sample(100, seed=VALIDATION + seed)
    tried = {rate: judge(agent, validation, rate)[1] for rate in RATES}
    best = max(tried, key=lambda rate: tried[rate])
    sets: list[tuple[int, str, CartPoleTask]] = [(0, "own", family.sample(200, seed=1))]
    if count >= 200:
        sets = [(0, "own", family.own[:200])]
    sets += [(k, "new", CartPoleTasks("dirv").sample(200, seed=test)) for k, test in enumerate(TESTS)]
    rows = [
        [
            count,
            seed,
            k,
            where,
            *judge(agent, tasks),
            *judge_sides(agent, tasks),
            judge(agent, tasks, best)[1],
        ]
        for k, where, tasks in sets
    ]
    return {"tasks": rows, "rates": [[count, seed, rate, after] for rate, after in tried.items()]}


def wide(rate: float, seed: int) -> dict[str, list[list[Any]]]:
    """Try a rate for the wide family."""
    agent = trained(WideTasks(), seed, rate)
    return {"wide": [[rate, seed, judge(agent, WideTasks().sample(100, seed=VALIDATION))[1]]]}


def far(family: str, seed: int, done: Results | None = None) -> dict[str, list[list[Any]]]:
    """Train on the usual family or on a wide one, judge at each target."""
    rate = RATE
    if done is not None:
        earned: dict[float, float] = {}
        for each, _, after in (result["wide"][0] for result in done.values()):
            earned[each] = earned.get(each, 0.0) + after
        rate = max(earned, key=lambda each: earned[each])
    is_wide = family in ("wide", "tuned")
    agent = trained(WideTasks() if is_wide else CartPoleTasks("dirv"), seed, rate)
    carts = {target: CartPoleTask("dirv", target=[-target] * 40 + [target] * 40) for target in TARGETS}
    return {"distance": [[family, t, seed, *judge(agent, each)] for t, each in carts.items()]}


def parts() -> list[Part]:
    """Return one part for each training."""
    found = [Part(f"tasks {count} seed {seed}", few, (count, seed)) for count in COUNTS for seed in SEEDS]
    tried = [Part(f"rate {rate:g} seed {s}", wide, (rate, s)) for rate in WIDE_RATES for s in WIDE_SEEDS]
    names = tuple(part.name for part in tried)
    return [
        *found,
        *tried,
        *(Part(f"distance {name} seed {s}", far, (name, s)) for name in ("usual", "wide") for s in SEEDS),
        *(
            Part(f"distance {name} seed {s}", far, (name, s), names)
            for name in ("tuned", "slow")
            for s in SEEDS
        ),
    ]


def finish(results: Results) -> Files:
    """Return the content of the files."""
    made: dict[str, list[Any]] = {
        "tasks": [COLUMNS],
        "rates": [TRIED],
        "distance": [DISTANCE],
        "wide": [WIDE],
    }
    for part in parts():
        for name, rows in results[part.name].items():
            made[name] += rows
    return {f"{name}.csv": rows for name, rows in made.items()}


FILES = ("tasks.csv", "rates.csv", "distance.csv", "wide.csv")
EXPERIMENT = Experiment(__file__, __doc__, 8, FILES, parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
