"""The simulators of lesson 09 may be missing; then what needs them is left out, and all else runs."""

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

SIMULATORS = ("highway_env", "mujoco", "imageio")
"""What may be missing; whatever else cannot be imported is an error."""


def run_or_skip(make: Callable[[], Value]) -> Value | None:
    """Return what a function returns; None, with the command that helps, where a simulator is missing."""
    try:
        return make()
    except ImportError as error:
        if (error.name or "").split(".")[0] not in SIMULATORS:
            raise
        print(f"Left out here, for {error}. All else in this lesson runs without it.")
        return None
