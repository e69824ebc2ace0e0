"""Settings that change from episode to episode: a schedule is a function of the episode's number."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mlearn_utils.runtime import check_finite, check_positive, is_number
from mlearn_utils.tasks.tabular import IntArray

Schedule: TypeAlias = Callable[[Any], Any]


def linear_decay(start: float, end: float, episodes: int) -> Schedule:
    """Return the schedule that goes from `start` to `end` in equal steps over `episodes`, then stays there.

    It takes the episode's number, counted from 0, or an array of such numbers.
    """
    check_finite("start", start)
    check_finite("end", end)
    check_positive("episodes", episodes, "positive")
    return lambda episode: start + (end - start) * np.minimum(episode / episodes, 1.0)


def exponential_decay(start: float, end: float, episodes: int) -> Schedule:
    """Return the schedule that goes from `start` to `end` by equal factors over `episodes`, then stays there.

    It takes the episode's number, counted from 0, or an array of such numbers.
    """
    for name, value in (("start", start), ("end", end), ("episodes", episodes)):
        check_positive(name, value, "positive")
    return lambda episode: start * (end / start) ** np.minimum(episode / episodes, 1.0)


def at_episode(setting: Any, episode: int | IntArray) -> Any:
    """Return what a setting is in an episode: the schedule's value, or the number itself."""
    return setting(episode) if callable(setting) else setting


def check_learning_rate(learning_rate: Any) -> None:
    """Raise ValueError unless a step size, or every one of an array of them, is positive and finite."""
    if not all(is_number(rate) and 0 < rate < np.inf for rate in np.ravel(learning_rate)):
        raise ValueError(f"learning_rate must be positive and finite, got {learning_rate}")


def check_unit_interval(name: str, value: Any) -> None:
    """Raise ValueError, naming the argument, unless a number, or every one of an array, is in [0, 1]."""
    if not all(is_number(number) and 0 <= number <= 1 for number in np.ravel(value)):
        raise ValueError(f"{name} must be in [0, 1], got {value}")


DEFAULT_EPSILON = linear_decay(1.0, 0.05, 500)
DEFAULT_LEARNING_RATE = exponential_decay(0.5, 0.05, 1500)
