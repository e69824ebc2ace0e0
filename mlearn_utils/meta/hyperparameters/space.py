"""The unit cube that a model sees instead of hyperparameters, and the way there and back.

    hyperparameters [..., H]  ->  codes [..., H]  ->  unit [..., H]  ->  columns [..., D]

A code is the number itself, or the place of a choice in its list. In the unit cube ranges are [0, 1], whole
numbers and choices evenly spread over it, and what cannot vary is 0. Columns are what a regression sees, and
where distances count: those of the cube, but one of two or more choices has a column for each, 0 or
sqrt(1/2), so that any two choices are as far apart as the two ends of a range.
"""

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.meta.hyperparameters.ranges import Choices, Integer, Range, Space, as_space

__all__ = [
    "Choices", "FloatArray", "Integer", "Range", "Space", "as_columns", "as_space", "box_of", "check_inside",
    "count_settings", "every_setting", "from_codes", "from_unit", "sample", "snap", "to_codes", "to_unit",
    "unit_of",
]  # fmt: skip

FloatArray = NDArray[np.float64]

EDGE = 1e-9
"""Relative distance outside a range that rounding may cause, and that is therefore let pass."""


def box_of(hyperparameters: FloatArray, names: list[str] | None = None) -> Space:
    """Return the smallest box that holds the rows of hyperparameters [N, H]; no column is logarithmic."""
    low, high = hyperparameters.min(axis=0), hyperparameters.max(axis=0)
    ends = zip(names or map(str, range(len(low))), low, high, strict=True)
    return {name: Range(float(least), float(most)) for name, least, most in ends}


def check_inside(space: Space, codes: FloatArray) -> None:
    """Raise ValueError, naming the first bad value, unless codes [..., H] lie in their ranges."""
    for k, (name, stated) in enumerate(space.items()):
        column = codes[..., k]
        slack = EDGE * max(abs(stated.low), abs(stated.high))
        outside = ~((column >= stated.low - slack) & (column <= stated.high + slack))
        if outside.any():
            raise ValueError(
                f"hyperparameters: {name} = {column[outside].flat[0]:g} is outside its range "
                f"[{stated.low:g}, {stated.high:g}]"
            )
        split = np.abs(column - np.rint(column)) > slack
        if split.any() and not isinstance(stated, Range):
            raise ValueError(f"hyperparameters: {name} must be whole numbers, got {column[split].flat[0]:g}")


def to_codes(space: Space, hyperparameters: Any) -> FloatArray:
    """Return [..., H] numbers, and the places of choices in their lists, of hyperparameters [..., H].

    Raises:
        TypeError: if a number is none.
        ValueError: if a choice is none.
    """
    if not any(isinstance(stated, Choices) for stated in space.values()):
        return np.asarray(hyperparameters, dtype=np.float64)
    values = np.asarray(hyperparameters, dtype=object)
    codes = np.empty(values.shape)
    for k, (name, stated) in enumerate(space.items()):
        column = values[..., k].ravel()
        if isinstance(stated, Choices):
            column = [_place(name, stated.values, value) for value in column]
        try:
            codes[..., k] = np.array(column, dtype=np.float64).reshape(values.shape[:-1])
        except (TypeError, ValueError):
            raise TypeError(f"hyperparameters: {name} must be numbers, got {list(column[:3])}") from None
    return codes


def _place(name: str, choices: tuple[Any, ...], value: Any) -> int:
    if value not in choices:
        raise ValueError(f"hyperparameters: {name} must be one of {list(choices)}, got {value!r}")
    return choices.index(value)


def from_codes(space: Space, codes: FloatArray) -> NDArray[Any]:
    """Return hyperparameters [..., H] of codes: float64 if all are numbers, otherwise an array of objects."""
    choices = {k: s.values for k, s in enumerate(space.values()) if isinstance(s, Choices)}
    numbers = all(type(value) in (int, float) for values in choices.values() for value in values)
    values = codes.copy() if numbers else codes.astype(object)
    for k, stated in enumerate(space.values()):
        if k in choices:
            table = np.empty(len(choices[k]), dtype=values.dtype)
            table[:] = choices[k]
            values[..., k] = table[codes[..., k].astype(int)]
        elif isinstance(stated, Integer) and not numbers:
            values[..., k] = codes[..., k].astype(int).astype(object)
    return values


def unit_of(space: Space, codes: FloatArray) -> FloatArray:
    """Map codes [..., H] to the unit cube; what has one value maps to 0."""
    scales = _scales(space)
    values = np.where(scales.log, np.log(np.where(scales.log, codes, 1.0)), codes)
    width = np.where(scales.high > scales.low, scales.high - scales.low, 1.0)
    return np.where(scales.high > scales.low, np.clip((values - scales.low) / width, 0.0, 1.0), 0.0)


def to_unit(space: Space, hyperparameters: Any) -> FloatArray:
    """Map hyperparameters [..., H] to the unit cube; what has one value maps to 0."""
    return unit_of(space, to_codes(space, hyperparameters))


def from_unit(space: Space, unit: FloatArray) -> NDArray[Any]:
    """Map points [..., H] of the unit cube to hyperparameters; the inverse of `to_unit`.

    Whole numbers and choices have equal shares of [0, 1]; whole numbers by equal factors are rounded.
    """
    return from_codes(space, _codes_of(space, unit))


def snap(space: Space, unit: FloatArray) -> FloatArray:
    """Return points [..., H] of the unit cube that stand for the same settings, where these really lie."""
    scales = _scales(space)
    moved = unit_of(space, _codes_of(space, unit))
    return np.where(scales.whole | (scales.high == scales.low), moved, unit)


def as_columns(space: Space, unit: FloatArray) -> FloatArray:
    """Return the columns [..., D] of points [..., H] of the unit cube."""
    parts = []
    for k, stated in enumerate(space.values()):
        part = unit[..., k : k + 1]
        if isinstance(stated, Choices) and stated.high > 0:
            part = (np.rint(part * stated.high) == np.arange(stated.high + 1)) * math.sqrt(0.5)
        parts.append(part)
    return np.concatenate(parts, axis=-1)


def sample(space: Space, n: int, *, rng: np.random.Generator) -> NDArray[Any]:
    """Draw n settings [n, H], uniform in the unit cube: what random search tries."""
    return from_unit(space, rng.random((n, len(space))))


def count_settings(space: Space) -> float:
    """Return how many different settings there are; infinity if a range is continuous."""
    return math.prod(_count(stated) for stated in space.values())


def every_setting(space: Space) -> FloatArray:
    """Return [N, H] all settings of a finite space, in the unit cube."""
    codes = [[stated.low + i for i in range(int(_count(stated)))] for stated in space.values()]
    return unit_of(space, np.array(list(product(*codes)), dtype=np.float64))


def _count(stated: Range | Integer | Choices) -> float:
    if isinstance(stated, Range):
        return 1 if stated.low == stated.high else math.inf
    return stated.high - stated.low + 1


class _Scales(NamedTuple):
    """[H] the ends, logarithms where the range is logarithmic; which these are; which are whole numbers."""

    low: FloatArray
    high: FloatArray
    log: NDArray[np.bool_]
    whole: NDArray[np.bool_]


def _scales(space: Space) -> _Scales:
    log = np.array([stated.log for stated in space.values()])
    whole = np.array([not isinstance(stated, Range) for stated in space.values()])
    low, high = _ends(space)
    return _Scales(
        np.where(log, np.log(np.where(log, low, 1)), low),
        np.where(log, np.log(np.where(log, high, 1)), high),
        log,
        whole,
    )


def _ends(space: Space) -> tuple[FloatArray, FloatArray]:
    ends = np.array([(stated.low, stated.high) for stated in space.values()], dtype=np.float64)
    return ends[:, 0], ends[:, 1]


def _codes_of(space: Space, unit: FloatArray) -> FloatArray:
    low, high, log, whole = _scales(space)
    values = low + unit * (high - low)
    values = np.where(log, np.exp(np.where(log, values, 0.0)), values)
    evenly = np.floor(low + unit * (high - low + 1))
    values = np.where(whole, np.where(log, np.rint(values), evenly), values)
    return np.clip(values, *_ends(space))
