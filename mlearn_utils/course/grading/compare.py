"""What checkers compare answers with: `expect_close` and its kin, which explain the usual slips themselves.

A student's answer may be None, a list instead of a tensor, of the wrong shape, of integers or full of NaN.
Each has its own sentence here, so that a checker only has to name the mistake in the idea. Right in another
guise is right: a number may be Python's, numpy's or torch's, and a list serves as a tuple or an array.
"""

import inspect
import operator
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch

from mlearn_utils.course.grading.exercise import NotYet

NUMBERS = Real | Decimal | np.number | np.bool_
ARRAYS = torch.Tensor | np.ndarray
TOLERANCE = 1e-5
WHOLE = "The result"  # what messages call the value that a function returns


def expect(condition: object, message: str) -> None:
    """Raise `NotYet(message)` unless `condition` is true."""
    if not condition:
        raise NotYet(message)


def expect_close(actual: Any, expected: Any, message: str, *, tol: float = TOLERANCE) -> None:
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
    compare(actual, expected, message, tol, WHOLE)


def same(actual: Any, expected: Any, *, tol: float = TOLERANCE) -> bool:
    """Return whether `expect_close` accepts `actual` as `expected`; None equals None alone."""
    if actual is None or expected is None:
        return actual is expected
    try:
        compare(actual, expected, "", tol, "")
    except NotYet:
        return False
    return True


def expect_none(actual: Any, wrong: Iterable[tuple[Any, str]], *, tol: float = TOLERANCE) -> None:
    """Raise `NotYet` with the message of the first of the `wrong` values that `actual` equals."""
    for value, message in wrong:
        expect(not same(actual, value, tol=tol), message)


def expect_index(value: Any, size: int, what: str) -> int:
    """Return `value` as an int, if it is an integer of any kind from 0 to size - 1.

    Raises:
        NotYet: if it is not; the message begins with `what` and says why a float will not do.
    """
    if value is None:
        raise NotYet(f"{what} is None, expected a whole number: is a `return` missing?")
    try:
        plain: Any = value.item() if isinstance(value, ARRAYS | np.generic) and not _shape(value) else value
        if isinstance(plain, bool):
            raise TypeError("a truth value")
        index = operator.index(plain)
    except TypeError:
        raise NotYet(f"{what} should be a whole number, got {_why_no_index(value)}") from None
    if not 0 <= index < size:
        raise NotYet(f"{what} should be one of 0 to {size - 1}, got {index}")
    return index


def _why_no_index(value: Any) -> str:
    if not isinstance(value, NUMBERS | ARRAYS) or _shape(value):
        return describe(value)
    number = _numpy(value)
    if number.dtype.kind in "biuf" and number == np.round(number.astype(np.float64)):
        return f"{describe(value)}: an index must be of an integer kind, so wrap it in int(...)"
    return f"{number}"


def expect_numbers(actual: Any, count: int) -> list[float]:
    """Return `actual` as floats, if it is a tuple, a list or an array of `count` finite numbers of any kind.

    Raises:
        NotYet: if it is not.
    """
    compare(actual, (0.0,) * count, "", np.inf, "The result")
    values = [float(_numpy(value)) for value in actual]
    expect(np.isfinite(values).all(), f"finite numbers are asked for, got {values}")
    return values


def compare(actual: Any, expected: Any, message: str, tol: float, what: str) -> None:
    """Do what `expect_close` does, for a value that its messages call `what`."""
    if actual is None:
        why = ": is a `return` missing?" if what == WHOLE else ""
        raise NotYet(f"{what} is None, expected {describe(expected)}{why}")
    if actual is NotImplemented or actual is ...:
        raise NotYet(f"{what} is still a placeholder, expected {describe(expected)}")
    if isinstance(expected, Mapping):
        _compare_dicts(actual, expected, message, tol, what)
    elif isinstance(expected, tuple | list):
        _compare_sequences(actual, expected, message, tol, what)
    elif isinstance(expected, ARRAYS | NUMBERS):
        if isinstance(actual, tuple | list) and isinstance(expected, np.ndarray) and expected.shape:
            actual = _array_of(actual, expected, what)
        _compare_kind(actual, expected, what)
        _compare_numbers(actual, expected, message, tol, what)
    else:
        raise TypeError(f"expected must hold numbers, tensors or arrays, got {type(expected).__name__}")


def _compare_dicts(actual: Any, expected: Mapping, message: str, tol: float, what: str) -> None:
    if not isinstance(actual, Mapping):
        raise NotYet(f"{what} should be a dict with the keys {sorted(expected)}, got {describe(actual)}")
    missing = [key for key in expected if key not in actual]
    extra = [key for key in actual if key not in expected]
    if missing or extra:
        parts = [f"{word} {keys}" for word, keys in (("lacks", missing), ("should not have", extra)) if keys]
        raise NotYet(f"{what} {' and '.join(parts)}")
    for key in expected:
        compare(actual[key], expected[key], message, tol, f"{what}[{key!r}]")


def _compare_sequences(actual: Any, expected: tuple | list, message: str, tol: float, what: str) -> None:
    kind = "tuple" if isinstance(expected, tuple) else "list"
    is_row = isinstance(actual, ARRAYS) and _shape(actual)[:1] == (len(expected),)
    if not isinstance(actual, tuple | list) and not is_row:
        raise NotYet(f"{what} should be a {kind} of {len(expected)} values, got {describe(actual)}")
    if len(actual) != len(expected):
        raise NotYet(f"{what} should hold {len(expected)} values, got {len(actual)}")
    for index, (mine, right) in enumerate(zip(actual, expected, strict=True)):
        compare(mine, right, message, tol, f"{what}[{index}]")


def _array_of(values: tuple | list, expected: np.ndarray, what: str) -> np.ndarray:
    """Return the array that a list of numbers, rows, arrays or tensors stands for."""
    try:
        return np.array(
            [_array_of(v, expected, what) if isinstance(v, tuple | list) else _numpy(v) for v in values]
        )
    except (TypeError, ValueError):
        raise NotYet(
            f"{what} should be {describe(expected)}, got {describe(values)} that does not form an array: do "
            "all entries have one shape, and are they numbers?"
        ) from None


def _compare_kind(actual: Any, expected: Any, what: str) -> None:
    """Check that `actual` is the same kind of thing; a single number may be any kind of number."""
    right = f"{what} should be {describe(expected)}, got {describe(actual)}"
    if not isinstance(actual, ARRAYS | NUMBERS):
        raise NotYet(
            f"{right}: did you call the function, and return its value?" if callable(actual) else right
        )
    if _numpy(actual).dtype.kind not in "biufc":
        raise NotYet(f"{right}: it should hold numbers")
    if _shape(actual) != _shape(expected):
        raise NotYet(right + _shape_hint(_shape(actual), _shape(expected)))
    if _shape(expected) and isinstance(actual, torch.Tensor) != isinstance(expected, torch.Tensor):
        raise NotYet(f"{right}: convert it with `{_converter(expected)}`")
    if _is_cut_off(actual, expected):
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
    digits = next((n for n in (4, 7, 12) if f"{mine[worst]:.{n}g}" != f"{right[worst]:.{n}g}"), 17)
    numbers = f"yours {mine[worst]:.{digits}g}, expected {right[worst]:.{digits}g}"
    if not mine.shape:
        return f"{what}: {numbers}"
    index = ", ".join(str(int(i)) for i in worst)
    return f"{what}: largest difference at [{index}], {numbers}"


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
    if isinstance(value, Mapping):
        return f"a dict with the keys {sorted(map(str, value))}"
    if isinstance(value, tuple | list | set | frozenset):
        return f"a {type(value).__name__} of {len(value)} values"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    return "a function" if callable(value) else f"an object of type {type(value).__name__}"


def _shape_hint(mine: tuple[int, ...], right: tuple[int, ...]) -> str:
    if not mine:
        return ": summed or averaged over an axis that should stay?"
    if not right and all(n == 1 for n in mine):
        return ": one number, not an array that holds one"
    if not right:
        return ": a sum or a mean is missing? Or an index, to pick one of them?"
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


def _is_cut_off(actual: Any, expected: Any) -> bool:
    """Return whether whole numbers stand where fractions are expected, and differ from them."""
    if not _shape(expected) or not _is_float(expected) or _is_float(actual):
        return False
    return not np.array_equal(_numpy(actual).astype(np.float64), _numpy(expected))


def _converter(expected: Any) -> str:
    return "torch.as_tensor(...)" if isinstance(expected, torch.Tensor) else "numpy.asarray(...)"


def _numpy(value: Any) -> np.ndarray:
    """Return numbers as an array (numpy has no bfloat16, so floating tensors become float64)."""
    if isinstance(value, torch.Tensor):
        if value.is_meta:
            raise NotYet("a tensor on the device `meta` has a shape and no values")
        tensor = value.detach().to_dense().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor.resolve_conj()).numpy()
    if isinstance(value, NUMBERS) and not isinstance(value, np.generic | bool):
        try:
            value = float(value)
        except OverflowError:  # a whole number beyond the largest float
            value = np.inf
        except ValueError:  # Decimal("sNaN")
            value = np.nan
    return np.asarray(value)


def _place(mask: np.ndarray) -> str:
    if not mask.shape:
        return ""
    return f" at [{', '.join(str(int(i)) for i in np.argwhere(mask)[0])}]"
