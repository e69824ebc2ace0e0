"""The goal of the exercise `sample_tasks` of lesson 06, and the check of the tasks that are made of it."""

from collections.abc import Callable

import numpy as np

from mlearn_utils.course.grading.compare import expect
from mlearn_utils.tasks.cartpole import CartPoleTask


class Goal:
    """Where to drive: a direction (+-1) and a speed (m/s)."""

    def __init__(self, direction: float = 1.0, speed: float = 0.75):
        self.direction, self.speed = direction, speed
        self.target = direction * speed  # the hidden velocity that is paid


def check_sample_tasks(answer: Callable) -> str:
    """Look at the targets of many tasks: kind, spread, range, and what they depend on."""
    tasks = answer(200, np.random.default_rng(0))
    expect(
        isinstance(tasks, CartPoleTask) and tasks.family == "dirv",
        "the result should be a CartPoleTask of family dirv, as before: only the targets are wrong",
    )
    expect(len(tasks) == 200, f"200 tasks were asked for, there are {len(tasks)}")
    _check_spread(tasks.target)
    left = (tasks.target < 0).mean()
    expect(0.35 < left < 0.65, f"{left:.0%} of the tasks drive left, half of them should")
    size = abs(tasks.target)
    expect(
        size.min() >= 0.5 and size.max() <= 1.0,
        f"speeds lie between 0.5 and 1 m/s; yours reach from {size.min():.2f} to {size.max():.2f}",
    )
    other = answer(200, np.random.default_rng(1)).target
    expect(not np.array_equal(other, tasks.target), "another generator gives the same tasks: draw from rng")
    return "200 tasks have 200 different targets. A value that follows from others is computed when needed."


def _check_spread(target: np.ndarray) -> None:
    """Raise NotYet unless both sign and size of the targets differ from task to task, from the first on."""
    expect(
        np.ptp(target) > 0,
        f"every task still has the target {target[0]:.2f} m/s. `target` was computed once, when the goal was "
        "made; what it was computed from has changed since",
    )
    sizes = np.unique(np.round(abs(target), 9))
    expect(len(sizes) > 1, f"both directions are there, but only the speed {sizes[0]:.2f} m/s: it is stale")
    expect((target > 0).any() and (target < 0).any(), "the speeds differ, but all drive the same way")
    first = target[0]
    expect(
        first != 0.75,
        "the first task has the target of a goal that nobody drew: compute it after the draw, not before",
    )
