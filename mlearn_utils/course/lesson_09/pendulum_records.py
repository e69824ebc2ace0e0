"""What pendulums have recorded for the lesson: drives of their own and steps on the factory's test bench."""

from typing import NamedTuple

import numpy as np
import torch

from mlearn_utils.runtime import check_integer, make_rng
from mlearn_utils.tasks.pendulum_runs import Transitions, bench, drive
from mlearn_utils.tasks.pendulums import PendulumTasks
from mlearn_utils.tasks.regression import TaskBatch

LONGEST = 5
"""Steps of a drive that training robots recorded."""


class Scales(NamedTuple):
    """What inputs (state and action) [5] and changes [4] are divided by; upright and no action stay 0."""

    inputs: np.ndarray
    change: np.ndarray


class Logbook(NamedTuple):
    """What the factory has recorded of N training robots.

    Attributes:
        drives: [N, D, 5] steps that the robots drove from D resets of each.
        bench: [N, M] steps on the test bench.
        scales: root mean squares on the bench.
    """

    drives: Transitions
    bench: Transitions
    scales: Scales


def record_logbook(n_robots: int = 100, *, seed: int, n_drives: int = 10, n_bench: int = 60) -> Logbook:
    """Return what new training robots record; errors as in `bench`."""
    check_integer("n_drives", n_drives, minimum=1)
    robots = PendulumTasks().sample(n_robots, seed=seed)
    seeds = make_rng(seed).integers(2**31, size=n_drives + 1).tolist()
    on_bench = bench(robots, n_bench, seed=seeds.pop())
    parts = zip(*(drive(robots, LONGEST, seed=each) for each in seeds), strict=True)
    drives = Transitions(*(np.stack(part, axis=1) for part in parts))
    spreads = (np.sqrt((part**2).mean((0, 1))) for part in (_inputs(on_bench), on_bench.change))
    return Logbook(drives, on_bench, Scales(*spreads))


class RecordedRobots:
    """The logbook as a family of tasks: adapt to the first K steps of a drive, be judged on the bench.

    Args:
        log: what was recorded.
        pooled: whether the support is judged as well, for a joint model, which adapts to nothing.
    """

    def __init__(self, log: Logbook, *, pooled: bool = False):
        self.drives, self.bench = (scaled(steps, log.scales) for steps in (log.drives, log.bench))
        self.pooled = pooled

    def sample(
        self,
        n_tasks: int,
        n_support: int,
        n_query: int,
        *,
        generator: torch.Generator,
        device: str | torch.device = "cpu",
    ) -> TaskBatch:
        """Draw T robots, a drive of each, and steps on its bench: (inputs [T, K, 5], changes [T, K, 4]).

        Raises:
            ValueError: if a count is not an integer >= 1, or a support is longer than the drives.
        """
        for name, count in (("n_tasks", n_tasks), ("n_support", n_support), ("n_query", n_query)):
            check_integer(name, count, minimum=1)
        n_robots, n_drives, longest = self.drives[0].shape[:3]
        if n_support > longest:
            raise ValueError(f"n_support must be at most {longest}, the length of a drive, got {n_support}")
        robot, which, judged = (
            torch.randint(high, (n_tasks, count), generator=generator)
            for high, count in ((n_robots, 1), (n_drives, 1), (self.bench[0].shape[1], n_query))
        )
        support = tuple(part[robot, which, torch.arange(n_support)].to(device) for part in self.drives)
        query = tuple(part[robot, judged].to(device) for part in self.bench)
        if self.pooled:
            query = tuple(torch.cat(pair, dim=1) for pair in zip(support, query, strict=True))
        return TaskBatch(support, query)


def scaled(steps: Transitions, scales: Scales) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs [..., 5] and changes [..., 4] in units of the training robots' spread."""
    return torch.from_numpy(_inputs(steps) / scales.inputs), torch.from_numpy(steps.change / scales.change)


def physical(slopes: np.ndarray, scales: Scales) -> np.ndarray:
    """Return linear models [..., 4, 5] of scaled units in those of the simulator."""
    return slopes * scales.change[:, None] / scales.inputs


def _inputs(steps: Transitions) -> np.ndarray:
    return np.concatenate((steps.state, steps.action), axis=-1)
