"""Where hyperparameters may lie: stated ranges, and the unit cube that a model sees instead of them.

A step size is better thought of in factors than in differences: 0.01 is to 0.1 as 0.1 is to 1. A range with
`log=True` is cut into equal factors. All ranges are continuous; left out are choices without an order and
ranges that depend on each other.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

EDGE = 1e-9
"""Relative distance outside a range that rounding may cause, and that is therefore let pass."""


class Range(NamedTuple):
    """The values that one hyperparameter may take.

    Attributes:
        low: smallest value.
        high: largest value, above `low` (or equal to it: then there is nothing to choose).
        log: whether equal factors count as equal distances; then `low` must be > 0.
    """

    low: float
    high: float
    log: bool = False


Space = dict[str, Range]
"""The range of each hyperparameter, by name, in the order of the columns."""


def as_space(space: Mapping[str, Range | Sequence[Any]]) -> Space:
    """Return a checked copy of stated ranges.

    Args:
        space: for each hyperparameter, in the order of the columns, (low, high) or (low, high, log).

    Raises:
        TypeError: if it is no mapping to such tuples.
        ValueError: if it is empty, or a range is not finite, not ascending, or logarithmic from <= 0.
    """
    if not isinstance(space, Mapping):
        raise TypeError(f"space must map names to (low, high) or (low, high, log), got {space!r}")
    if not space:
        raise ValueError("space must hold at least one hyperparameter, got none")
    return {str(name): _as_range(str(name), values) for name, values in space.items()}


def _as_range(name: str, values: Any) -> Range:
    try:
        low, high, *rest = values
        stated = Range(float(low), float(high), bool(*rest))
    except (TypeError, ValueError):
        raise TypeError(f"space[{name!r}] must be (low, high) or (low, high, log), got {values!r}") from None
    if not (math.isfinite(stated.low) and math.isfinite(stated.high) and stated.low <= stated.high):
        raise ValueError(f"space[{name!r}] must be finite with low <= high, got {tuple(values)}")
    if stated.log and stated.low <= 0:
        raise ValueError(f"space[{name!r}] is logarithmic, so low must be > 0, got {stated.low}")
    return stated


def box_of(hyperparameters: FloatArray) -> Space:
    """Return the smallest box that holds the rows of hyperparameters [N, H]; no column is logarithmic."""
    low, high = hyperparameters.min(axis=0), hyperparameters.max(axis=0)
    return {str(k): Range(float(low[k]), float(high[k])) for k in range(len(low))}


def check_inside(space: Space, hyperparameters: FloatArray) -> None:
    """Raise ValueError, naming the first bad value, unless hyperparameters [..., H] lie in their ranges."""
    for k, (name, stated) in enumerate(space.items()):
        column = hyperparameters[..., k]
        slack = EDGE * max(abs(stated.low), abs(stated.high))
        outside = ~((column >= stated.low - slack) & (column <= stated.high + slack))
        if outside.any():
            raise ValueError(
                f"hyperparameters: {name} = {column[outside].flat[0]:g} is outside its range "
                f"[{stated.low:g}, {stated.high:g}]"
            )


def to_unit(space: Space, hyperparameters: FloatArray) -> FloatArray:
    """Map hyperparameters [..., H] to the unit cube; a range of one value maps to 0."""
    low, high, log = _columns(space)
    values = np.where(log, np.log(np.where(log, hyperparameters, 1.0)), hyperparameters)
    width = np.where(high > low, high - low, 1.0)
    return np.clip((values - low) / width, 0.0, 1.0)


def from_unit(space: Space, unit: FloatArray) -> FloatArray:
    """Map points [..., H] of the unit cube to hyperparameters; the inverse of `to_unit`."""
    low, high, log = _columns(space)
    values = low + unit * (high - low)
    values = np.where(log, np.exp(np.where(log, values, 0.0)), values)
    stated = np.array([(r.low, r.high) for r in space.values()])
    return np.clip(values, stated[:, 0], stated[:, 1])


def sample(space: Space, n: int, *, rng: np.random.Generator) -> FloatArray:
    """Draw n settings [n, H], uniform in the unit cube: what random search tries."""
    return from_unit(space, rng.random((n, len(space))))


def _columns(space: Space) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return low, high [H], logarithms where the range is logarithmic, and which these are [H]."""
    log = np.array([stated.log for stated in space.values()])
    low, high = (np.array([stated[k] for stated in space.values()]) for k in range(2))
    return (
        np.where(log, np.log(np.where(log, low, 1)), low),
        np.where(log, np.log(np.where(log, high, 1)), high),
        log,
    )


def finite_array(name: str, value: ArrayLike, ndim: int | tuple[int, ...]) -> FloatArray:
    """Return `value` as a finite float64 array with that many axes."""
    expected = ndim if isinstance(ndim, tuple) else (ndim,)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from error
    if array.ndim not in expected:
        axes = " or ".join(map(str, expected))
        raise ValueError(f"{name} must have {axes} axes, got shape {list(array.shape)}")
    if not np.isfinite(array).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise ValueError(f"{name} must be finite, got {array[tuple(where)]} at {where}")
    return array


def check_width(name: str, array: FloatArray, width: int) -> None:
    """Raise ValueError, naming the argument, unless `array` [..., width] has that many columns."""
    if array.shape[-1] != width:
        raise ValueError(f"{name} must have {width} columns, got {array.shape[-1]}")
