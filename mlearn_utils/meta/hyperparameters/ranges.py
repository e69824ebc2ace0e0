"""What one hyperparameter may be: a number or a whole number in a range, or one of a list of choices.

A step size is better thought of in factors than in differences: 0.01 is to 0.1 as 0.1 is to 1. A range with
`log=True` is cut into equal factors. Left out are ranges that depend on each other.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mlearn_utils.runtime import is_number

STATED = "(low, high), (low, high, log), Integer(low, high) or a list of choices"


class Range(NamedTuple):
    """The numbers that one hyperparameter may take.

    Attributes:
        low: smallest value.
        high: largest value, above `low` (or equal to it: then there is nothing to choose).
        log: whether equal factors count as equal distances; then `low` must be > 0.
    """

    low: float
    high: float
    log: bool = False


class Integer(NamedTuple):
    """The whole numbers that one hyperparameter may take, both ends included; attributes as of `Range`."""

    low: int
    high: int
    log: bool = False


class Choices(NamedTuple):
    """The values that one hyperparameter may take, without an order: inside the model each is its place.

    Attributes:
        low: place of the first value, 0.
        high: place of the last.
        log: False, places have no factors.
        values: texts, numbers, True, False or None, each once.
    """

    low: int
    high: int
    log: bool
    values: tuple[Any, ...]


Space = dict[str, Range | Integer | Choices]
"""What each hyperparameter may be, by name, in the order of the columns."""


def as_space(space: Mapping[str, Any]) -> Space:
    """Return a checked copy of a stated space.

    Args:
        space: for each hyperparameter, in the order of the columns, (low, high), (low, high, log),
            `Integer(low, high)`, `Integer(low, high, log)`, or a list of choices.

    Raises:
        TypeError: if it is no mapping to these, or an end is no number, or log not True or False.
        ValueError: if it is empty, a range is not finite, not ascending, or logarithmic from <= 0, or a list
            of choices is empty or holds one twice.
    """
    if not isinstance(space, Mapping):
        raise TypeError(f"space must map names to {STATED}, got {space!r}")
    if not space:
        raise ValueError("space must hold at least one hyperparameter, got none")
    if len({str(name) for name in space}) < len(space):
        raise ValueError(f"space must have a name of its own for each hyperparameter, got {list(space)}")
    return {str(name): _checked(f"space[{str(name)!r}]", stated) for name, stated in space.items()}


def space_facts(space: Space) -> dict[str, Any]:
    """Return a space as JSON can hold it; `space_from_facts` reads it back."""
    facts: dict[str, Any] = {}
    for name, stated in space.items():
        if isinstance(stated, Choices):
            facts[name] = {"choices": list(stated.values)}
        else:
            facts[name] = {"integer": list(stated)} if isinstance(stated, Integer) else list(stated)
    return facts


def space_from_facts(facts: Any) -> Space:
    """Return the space of stored facts.

    Raises:
        ValueError: if they are none.
    """
    try:
        return as_space({name: _stated(stored) for name, stored in facts.items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"space must be stored as ranges by name, got {facts!r} ({error})") from error


def _stated(stored: Any) -> Any:
    if isinstance(stored, Mapping):
        ((kind, values),) = stored.items()
        return {"choices": list, "integer": lambda ends: Integer(*ends)}[kind](values)
    return Range(*stored)


def _checked(name: str, stated: Any) -> Range | Integer | Choices:
    if isinstance(stated, Choices | list):
        return _choices(name, stated.values if isinstance(stated, Choices) else stated)
    if not isinstance(stated, tuple) or len(stated) not in (2, 3):
        raise TypeError(f"{name} must be {STATED}, got {stated!r}")
    low, high, log = stated if len(stated) == 3 else (*stated, False)
    if not (is_number(low) and is_number(high)):
        raise TypeError(f"{name} must be {STATED}, and low and high be numbers, got {stated!r}")
    if log not in (True, False) or is_number(log):
        raise TypeError(f"{name}: log must be True or False, got {log!r}")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{name} must be finite with low <= high, got {tuple(stated)}")
    if log and low <= 0:
        raise ValueError(f"{name} is logarithmic, so low must be > 0, got {low}")
    if not isinstance(stated, Integer):
        return Range(float(low), float(high), bool(log))
    if low != int(low) or high != int(high):
        raise ValueError(f"{name} must have whole numbers as low and high, got {tuple(stated)}")
    return Integer(int(low), int(high), bool(log))


def _choices(name: str, values: Any) -> Choices:
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    for value in plain:
        if not (value is None or isinstance(value, str | bool | int | float)) or value != value:
            raise TypeError(f"{name}: a choice must be a text, a number, True, False or None, got {value!r}")
    if not plain or len(set(plain)) < len(plain):
        raise ValueError(f"{name} must hold at least one choice, and each once, got {plain}")
    return Choices(0, len(plain) - 1, False, tuple(plain))
