"""What a model reads: arrays of numbers, and DataFrames by the names of their columns."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.ranges import Choices, Space
from mlearn_utils.meta.hyperparameters.space import FloatArray


def column_names(value: Any) -> list[str] | None:
    """Return the names of a DataFrame's columns, or of one row of it; None of anything else."""
    labels = _labels(value)
    return None if labels is None else [str(label) for label in labels]


def in_order(name: str, value: Any, columns: Sequence[str] | None) -> Any:
    """Return a DataFrame as an array with these columns, in this order; anything else as it is.

    Args:
        name: of the argument, for messages.
        value: a DataFrame (pandas, polars, or alike) or one row of it, or an array.
        columns: the names; None if none are known, then the order of the DataFrame counts.

    Raises:
        ValueError: if a column is missing, unknown, or there twice.
    """
    labels = _labels(value)
    if labels is None:
        return value
    by_name = {str(label): label for label in labels}
    columns = list(by_name) if columns is None else columns
    missing, unknown = ([n for n in a if n not in b] for a, b in ((columns, by_name), (by_name, columns)))
    twice = [n for n, count in Counter(map(str, labels)).items() if count > 1]
    if missing or unknown or twice:
        raise ValueError(
            f"{name} must have the columns {list(columns)}, each once: missing {missing}, unknown {unknown}, "
            f"more than once {twice}"
        )
    parts = [np.asarray(value[by_name[n]], dtype=object) for n in columns]
    return np.stack(parts, axis=-1)


def _labels(value: Any) -> list[Any] | None:
    labels = getattr(value, "columns", None)
    if labels is None and getattr(value, "ndim", None) == 1:  # a row of a pandas table
        labels = getattr(value, "index", None)
        if labels is None or not all(isinstance(label, str) for label in labels):
            return None
    return None if labels is None else list(labels)


def read_numbers(name: str, value: Any, ndim: int | tuple[int, ...]) -> FloatArray:
    """Return a copy of `value` as a finite float64 array with that many axes.

    Raises:
        TypeError: if it holds anything but numbers.
        ValueError: if it has other axes or holds NaN or infinity.
    """
    try:
        array = np.asarray(value)
        texts = array.dtype == object and any(isinstance(entry, str) for entry in array.flat)
        if texts or array.dtype.kind not in "biufO":
            raise TypeError(array.dtype)
        array = np.array(array, dtype=np.float64, order="C")
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array of numbers, got {_kind(value)}") from error
    check_axes(name, array.shape, ndim)
    if not np.isfinite(array).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise ValueError(f"{name} must be finite, got {array[tuple(where)]} at {where}")
    return array


def read_features(value: Any, columns: Sequence[str] | None, ndim: int | tuple[int, ...]) -> FloatArray:
    """Return task features as numbers: at least one row, and one column.

    Raises:
        TypeError, ValueError: as `read_numbers` and `in_order`, and if there is no row or column.
    """
    array = read_numbers("task_features", in_order("task_features", value, columns), ndim)
    if not array.size:
        raise ValueError(f"task_features must have at least one row and column, got {list(array.shape)}")
    return array


def read_settings(space: Space, value: Any, ndim: int | tuple[int, ...]) -> FloatArray:
    """Return the codes [..., H] of hyperparameters; whole numbers and choices are exact.

    Raises:
        TypeError, ValueError: as `read_numbers` and `in_order`, if the width differs, or a value is not in
            its range or list.
    """
    name = "hyperparameters"
    value = in_order(name, value, list(space))
    if any(isinstance(stated, Choices) for stated in space.values()):
        try:
            value = np.asarray(value, dtype=object)
        except ValueError as error:
            raise TypeError(f"{name} must be an array, got {_kind(value)}") from error
        check_axes(name, value.shape, ndim)
        check_width(name, value.shape, len(space))
        value = spaces.to_codes(space, value)
    codes = read_numbers(name, value, ndim)
    check_width(name, codes.shape, len(space))
    spaces.check_inside(space, codes)
    whole = [not isinstance(stated, spaces.Range) for stated in space.values()]
    return np.where(whole, np.rint(codes), codes)


def read_settings_or_box(space: Space | None, value: Any) -> tuple[Space, FloatArray]:
    """Return a stated space, or the box of the values seen, and the codes [N, H] of hyperparameters."""
    if space is not None:
        return space, read_settings(space, value, 2)
    names = column_names(value)
    codes = read_numbers("hyperparameters", in_order("hyperparameters", value, names), 2)
    if not codes.size:
        raise ValueError(f"hyperparameters must have at least one row and column, got {list(codes.shape)}")
    return spaces.box_of(codes, names), codes


def check_axes(name: str, shape: tuple[int, ...], ndim: int | tuple[int, ...]) -> None:
    """Raise ValueError, naming the argument, unless there are that many axes."""
    expected = ndim if isinstance(ndim, tuple) else (ndim,)
    if len(shape) not in expected:
        raise ValueError(f"{name} must have {' or '.join(map(str, expected))} axes, got shape {list(shape)}")


def check_width(name: str, shape: tuple[int, ...], width: int) -> None:
    """Raise ValueError, naming the argument, unless a shape [..., width] has that many columns."""
    if shape[-1] != width:
        raise ValueError(f"{name} must have {width} columns, got {shape[-1]}")


def _kind(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ + ("" if dtype is None else f" of {dtype}")
