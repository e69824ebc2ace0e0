"""What checkers compare answers with: `expect` and `expect_close`, which explain the usual slips themselves.

A student's answer may be None, a list instead of a tensor, of the wrong shape, of integers or full of NaN.
Each has its own sentence here, so that a checker only has to name the mistake in the idea.
"""

from typing import Any

import numpy as np
import torch

from mlearn_utils.course.grading.exercise import NotYet

NUMBERS = bool | int | float | np.number | np.bool_
ARRAYS = torch.Tensor | np.ndarray


def expect(condition: object, message: str) -> None:
    """Raise `NotYet(message)` unless `condition` is true."""
    if not condition:
        raise NotYet(message)


def expect_close(actual: Any, expected: Any, message: str, *, tol: float = 1e-5) -> None:
    """Raise `NotYet` unless `actual` equals `expected` to `tol`.

    Every element must satisfy |actual - expected| <= tol * max(1, |expected|).

    Args:
        actual: the student's value.
        expected: a number, a tensor or array of any shape, or a dict, tuple or list of these.
        message: what the likely mistake is; used when kind and shape are right and the values are not.
        tol: absolute tolerance for expected values up to 1, relative above.

    Raises:
        NotYet: with a message that says whether kind, shape or values differ, and where.
        TypeError: if `expected` is none of the above (a mistake of the checker).
    """
    _compare(actual, expected, message, tol, "The result")


def _compare(actual: Any, expected: Any, message: str, tol: float, what: str) -> None:
    if actual is None:
        raise NotYet(f"{what} is None, expected {describe(expected)}: is a `return` missing?")
    if actual is NotImplemented or actual is ...:
        raise NotYet(f"{what} is still a placeholder, expected {describe(expected)}")
    if isinstance(expected, dict):
        _compare_dicts(actual, expected, message, tol, what)
    elif isinstance(expected, tuple | list):
        _compare_sequences(actual, expected, message, tol, what)
    elif isinstance(expected, ARRAYS | NUMBERS):
        _compare_kind(actual, expected, what)
        _compare_numbers(actual, expected, message, tol, what)
    else:
        raise TypeError(f"expected must hold numbers, tensors or arrays, got {type(expected).__name__}")


def _compare_dicts(actual: Any, expected: dict, message: str, tol: float, what: str) -> None:
    if not isinstance(actual, dict):
        raise NotYet(f"{what} should be a dict with the keys {sorted(expected)}, got {describe(actual)}")
    missing = [key for key in expected if key not in actual]
    extra = [key for key in actual if key not in expected]
    if missing or extra:
        parts = [f"{word} {keys}" for word, keys in (("lacks", missing), ("should not have", extra)) if keys]
        raise NotYet(f"{what} {' and '.join(parts)}")
    for key in expected:
        _compare(actual[key], expected[key], message, tol, f"{what}[{key!r}]")


def _compare_sequences(actual: Any, expected: tuple | list, message: str, tol: float, what: str) -> None:
    kind = "tuple" if isinstance(expected, tuple) else "list"
    if not isinstance(actual, tuple | list):
        raise NotYet(f"{what} should be a {kind} of {len(expected)} values, got {describe(actual)}")
    if len(actual) != len(expected):
        raise NotYet(f"{what} should hold {len(expected)} values, got {len(actual)}")
    for index, (mine, right) in enumerate(zip(actual, expected, strict=True)):
        _compare(mine, right, message, tol, f"{what}[{index}]")


def _compare_kind(actual: Any, expected: Any, what: str) -> None:
    """Check that `actual` is the same kind of thing; a single number may be any kind of number."""
    right = f"{what} should be {describe(expected)}, got {describe(actual)}"
    if not isinstance(actual, ARRAYS | NUMBERS):
        raise NotYet(
            f"{right}: did you call the function, and return its value?" if callable(actual) else right
        )
    if _shape(actual) != _shape(expected):
        raise NotYet(right + _shape_hint(_shape(actual), _shape(expected)))
    if _shape(expected) and isinstance(actual, torch.Tensor) != isinstance(expected, torch.Tensor):
        raise NotYet(f"{right}: convert it with `{_converter(expected)}`")
    if _is_float(expected) and _shape(expected) and not _is_float(actual):
        raise NotYet(f"{right}: whole numbers cut off the fraction, compute in floating point")
    if _numpy(actual).dtype.kind == "c":
        raise NotYet(f"{right}: complex numbers appear")


def _compare_numbers(actual: Any, expected: Any, message: str, tol: float, what: str) -> None:
    mine, right = _numpy(actual).astype(np.float64), _numpy(expected).astype(np.float64)
    if not np.array_equal(np.isnan(mine), np.isnan(right)):
        where = _place(np.isnan(mine) != np.isnan(right))
        raise NotYet(
            f"{what} is NaN{where}: a division by zero, a logarithm of zero or a step that is far too large?"
            if np.isnan(mine).any()
            else f"{what} should be NaN{where}. {message}"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(mine - right) / np.maximum(1.0, np.abs(right))
    wrong = ~((error <= tol) | (mine == right) | np.isnan(right))
    if wrong.any():
        worst = np.unravel_index(
            np.argmax(np.where(wrong, np.nan_to_num(error, nan=np.inf), -1)), error.shape
        )
        raise NotYet(f"{message} ({_difference(mine, right, worst, what)})")


def _difference(mine: np.ndarray, right: np.ndarray, worst: tuple, what: str) -> str:
    if not mine.shape:
        return f"{what}: yours {mine:.4g}, expected {right:.4g}"
    index = ", ".join(str(int(i)) for i in worst)
    return f"{what}: largest difference at [{index}], yours {mine[worst]:.4g}, expected {right[worst]:.4g}"


def describe(value: Any) -> str:
    """Say in a few words what kind of thing `value` is, without its address: "a tensor of shape [3, 1]"."""
    if value is None:
        return "None"
    if isinstance(value, ARRAYS):
        kind = "a tensor" if isinstance(value, torch.Tensor) else "an array"
        dtype = str(value.dtype).removeprefix("torch.")
        shape = list(value.shape)
        return f"{kind} of shape {shape} ({dtype})" if shape else f"one number in {kind} ({dtype})"
    if isinstance(value, NUMBERS):
        return "one number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, dict):
        return f"a dict with the keys {sorted(map(str, value))}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} values"
    return "a function" if callable(value) else f"an object of type {type(value).__name__}"


def _shape_hint(mine: tuple[int, ...], right: tuple[int, ...]) -> str:
    if not mine:
        return ": summed or averaged over an axis that should stay?"
    if not right:
        return ": a sum or a mean is missing?"
    if [n for n in mine if n != 1] == [n for n in right if n != 1]:
        return ": an axis of length 1 too many or missing?"
    if mine == right[::-1]:
        return ": transposed?"
    if len(mine) < len(right):
        return ": summed, averaged or indexed over an axis that should stay?"
    return ""


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, ARRAYS) else ()


def _is_float(value: Any) -> bool:
    return _numpy(value).dtype.kind in "fc"


def _converter(expected: Any) -> str:
    return "torch.as_tensor(...)" if isinstance(expected, torch.Tensor) else "numpy.asarray(...)"


def _numpy(value: Any) -> np.ndarray:
    """Return numbers as an array (numpy has no bfloat16, so floating tensors become float64)."""
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor.resolve_conj()).numpy()
    return np.asarray(value)


def _place(mask: np.ndarray) -> str:
    if not mask.shape:
        return ""
    return f" at [{', '.join(str(int(i)) for i in np.argwhere(mask)[0])}]"
