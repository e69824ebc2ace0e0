"""Settings that change from episode to episode: a schedule is a function of the episode's number."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mlearn_utils.tasks.tabular import IntArray

Schedule: TypeAlias = Callable[[Any], Any]


def linear_decay(start: float, end: float, episodes: int) -> Schedule:
    """Return the schedule that goes from `start` to `end` in equal steps over `episodes`, then stays there.

    It takes the episode's number, counted from 0, or an array of such numbers.
    """
    _check_length(episodes)
    return lambda episode: start + (end - start) * np.minimum(episode / episodes, 1.0)


def exponential_decay(start: float, end: float, episodes: int) -> Schedule:
    """Return the schedule that goes from `start` to `end` by equal factors over `episodes`, then stays there.

    It takes the episode's number, counted from 0, or an array of such numbers.
    """
    _check_length(episodes)
    if not (start > 0 and end > 0):
        raise ValueError(f"start and end must be positive, got start={start}, end={end}")
    return lambda episode: start * (end / start) ** np.minimum(episode / episodes, 1.0)


def at_episode(setting: Any, episode: int | IntArray) -> Any:
    """Return what a setting is in an episode: the schedule's value, or the number itself."""
    return setting(episode) if callable(setting) else setting


def check_learning_rate(learning_rate: Any) -> None:
    """Check a step size or an array of them.

    Raises:
        ValueError: if one is not positive and finite.
    """
    rates = np.asarray(learning_rate, dtype=np.float64)
    if not ((rates > 0) & np.isfinite(rates)).all():
        raise ValueError(f"learning_rate must be positive and finite, got {learning_rate}")


def check_unit_interval(name: str, value: Any) -> None:
    """Check a number in [0, 1] or an array of them.

    Raises:
        ValueError: naming the argument, if one is outside.
    """
    numbers = np.asarray(value, dtype=np.float64)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def _check_length(episodes: int) -> None:
    if not episodes > 0:
        raise ValueError(f"episodes must be positive, got {episodes}")


DEFAULT_EPSILON = linear_decay(1.0, 0.05, 500)
DEFAULT_LEARNING_RATE = exponential_decay(0.5, 0.05, 1500)
