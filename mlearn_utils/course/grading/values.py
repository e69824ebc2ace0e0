"""Copies and comparisons of whatever a checker hands out and a student's function returns.

Nothing here may stumble: what cannot be copied is passed on, and of objects without values nothing is told.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch

DEEPEST = 20  # lists within lists that are looked into
PLAIN = int | float | str | bool | np.number | np.ndarray | torch.Tensor | dict | list | tuple


def _copied(value: Any, copy_tensor: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return a copy of what a checker passes around; functions and classes are themselves."""
    if value is None or isinstance(value, int | float | str | bool | np.number):
        return value
    if isinstance(value, torch.Tensor):
        return copy_tensor(value)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, torch.Generator):
        return value.clone_state()
    if type(value) is dict:
        return {key: _copied(entry, copy_tensor) for key, entry in value.items()}
    if type(value) is list:
        return [_copied(entry, copy_tensor) for entry in value]
    if isinstance(value, tuple):
        entries = [_copied(entry, copy_tensor) for entry in value]
        return getattr(value, "_make", tuple)(entries)
    if inspect.isroutine(value) or isinstance(value, type | functools.partial):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # whatever it is, it cannot be copied, so it is passed on
        return value


def handed_copy(value: Any) -> Any:
    """Return a copy for a student's function, in which tensors that require a gradient are themselves."""
    return _copied(value, lambda tensor: tensor if tensor.requires_grad else tensor.clone())


def kept_copy(value: Any) -> Any:
    """Return a copy to compare with, or to begin anew from; its tensors have no graph."""
    return _copied(value, lambda tensor: tensor.detach().clone().requires_grad_(tensor.requires_grad))


def goes_on(value: Any) -> bool:
    """Return whether a call may move `value` on without that being a change: a generator, an environment."""
    return not (value is None or isinstance(value, PLAIN) or callable(value))


def is_unchanged(now: Any, then: Any) -> bool:
    """Return whether a value equals its kept copy, to the bit; what goes on by itself always does."""
    if not _is_of_one_kind(now, then):
        return False
    if isinstance(now, torch.Tensor):
        if (now.shape, now.dtype, now.requires_grad) != (then.shape, then.dtype, then.requires_grad):
            return False
        try:
            return torch.equal(now, then) or bool(((now == then) | (now.isnan() & then.isnan())).all())
        except RuntimeError:  # sparse, or without values of its own
            return True
    if isinstance(now, np.ndarray):
        return now.dtype == then.dtype and np.array_equal(now, then, equal_nan=now.dtype.kind in "fc")
    if isinstance(now, dict):
        return now.keys() == then.keys() and all(is_unchanged(now[key], then[key]) for key in now)
    if isinstance(now, list | tuple):
        return len(now) == len(then) and all(map(is_unchanged, now, then))
    is_plain = isinstance(now, int | float | str | np.number)
    return not is_plain or now == then or now != now


def _is_of_one_kind(one: Any, other: Any) -> bool:
    """Return whether both are of one type; a copy of a subclass of tuple or Tensor may be the plain kind."""
    if isinstance(one, torch.Tensor | tuple):
        return isinstance(other, torch.Tensor if isinstance(one, torch.Tensor) else tuple)
    return type(one) is type(other)


def is_alike(one: Any, other: Any, depth: int = 0) -> bool:
    """Return whether two results say the same; of what is nested too deeply nothing can be told."""
    if depth > DEEPEST:
        return True
    if isinstance(one, torch.Tensor | np.ndarray) and isinstance(other, torch.Tensor | np.ndarray):
        try:
            mine, right = (np.asarray(v.detach() if isinstance(v, torch.Tensor) else v) for v in (one, other))
            return mine.shape == right.shape and np.allclose(mine, right, 1e-9, 1e-12, equal_nan=True)
        except (TypeError, ValueError, RuntimeError):  # no numbers, or a tensor without values of its own
            return one.shape == other.shape
    if not _is_of_one_kind(one, other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_alike(one[key], other[key], depth + 1) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(
            is_alike(*pair, depth + 1) for pair in zip(one, other, strict=True)
        )
    if isinstance(one, int | float | str | np.generic | set | frozenset):
        return bool(one == other or (one != one and other != other))
    mine, right = getattr(one, "__dict__", None), getattr(other, "__dict__", None)
    if isinstance(mine, dict) and isinstance(right, dict) and not callable(one):
        return is_alike(mine, right, depth + 1)
    return True


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in lists, tuples and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from tensors_in(entry)


def why_unusable(value: Any, depth: int = 0) -> str:
    """Say what kind of value no check can compare with numbers, "" if there is nothing against it."""
    if isinstance(value, ModuleType):
        return "a module"
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return "an array of objects: make it of numbers, np.array(..., dtype=float)"
    if isinstance(value, torch.Tensor):
        kinds = {"nested": value.is_nested, "complex": value.is_complex(), "quantized": value.is_quantized}
        return "".join(f"a {kind} tensor" for kind, is_one in kinds.items() if is_one)
    if isinstance(value, list | tuple | dict):
        if depth > DEEPEST:
            return "something that holds itself, or is nested too deeply"
        entries = list(value.values() if isinstance(value, dict) else value)
        if len(value) != len(entries):
            return "something that lies about its length"
        return next(filter(None, (why_unusable(entry, depth + 1) for entry in entries)), "")
    return ""
