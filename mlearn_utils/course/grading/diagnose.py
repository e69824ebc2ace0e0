"""What can be said of a wrong value that no known mistake explains: facts about the answer, never a guess.

An argument is returned as it was; an argument makes no difference; every value is the right one times a
factor, or close to it; it is right on some probes only. Each is tried on all probes, so what is said holds.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mlearn_utils.course.grading.compare import same

Call = Callable[[Any, tuple[Any, ...]], Any]
CLOSE = 0.02
MOST_TRIED = 16  # probes on which an argument is exchanged, evenly among all

Place = tuple[int, int, int]
"""Where an argument is exchanged: which argument, on which probe, and the number of the other value."""


@dataclass
class Known:
    """What was found out about the reference, which is the same for every answer.

    Attributes:
        right: its values on the probes.
        minds: place -> whether that value makes a difference.
    """

    right: list[Any] = field(default_factory=list)
    minds: dict[Place, bool] = field(default_factory=dict)


def diagnose(
    observe: Call,
    answer: Any,
    reference: Any,
    probes: Callable[[], Sequence[tuple]],
    *,
    tol: float,
    is_whole: bool = True,
    known: Known | None = None,
) -> str:
    """Return a sentence on how `answer` differs from `reference`, "" if nothing simple is found.

    Args:
        observe: (function, arguments) -> the value that differs.
        answer: the student's function.
        reference: the right one.
        probes: makes the tuples of arguments, anew for every use.
        tol: as in `expect_close`.
        is_whole: the value is what the functions return, not a part such as its derivative, which need not
            depend on an argument.
        known: what is known of the reference; what is found out about it is added.
    """
    names, known = tuple(inspect.signature(reference).parameters), known or Known()
    found = [observe(answer, probe) for probe in probes()]
    right = known.right = known.right or [observe(reference, probe) for probe in probes()]
    of_whole, coarse = "", _coarse(found, right)
    if is_whole:
        of_whole = _returned(found, probes(), names, tol)
    if is_whole and not coarse:
        of_whole = of_whole or _unused(observe, (answer, found), (reference, known), probes, names, tol)
    return (
        of_whole
        or _factor(found, right, probes(), names)
        or _close(found, right)
        or _partly(found, right, probes(), names, tol)
        or coarse
    )


def _unused(
    observe: Call,
    answer: tuple[Any, list[Any]],
    reference: tuple[Any, Known],
    probes: Callable[[], Sequence[tuple]],
    names: tuple,
    tol: float,
) -> str:
    """Name the arguments of which the right values depend and the answer's do not, as far as was tried.

    Args:
        observe: as in `diagnose`.
        answer: the student's function, and its values on the probes.
        reference: the right one, and what is known of it.
        probes: as in `diagnose`.
        names: of the arguments.
        tol: as in `diagnose`.
    """
    function, found = answer
    cases, without = probes(), []

    def verdicts(k: int) -> Iterator[bool]:
        """Yield, wherever another value of argument `k` should make a difference, whether it makes none."""
        for place, value in _exchanges(k, cases):
            if _minds(observe, reference, probes, place, value, tol):
                yield _stays(observe, function, _changed(probes, place, value), found[place[1]], tol)

    for k, name in enumerate(names):
        proofs = 0
        for makes_none in verdicts(k):
            if not makes_none:
                proofs = 0
                break
            proofs += 1
        if proofs > 1:
            without.append(f"`{name}`")
    if not without:
        return ""
    if len(without) == len(names) > 1:
        return "No argument makes a difference: the result is the same whatever is given"
    subject = f"neither {' nor '.join(without)}" if len(without) > 1 else without[0]
    makes = "makes a difference" if len(without) > 1 else "makes no difference"
    return f"{subject} {makes}: with another value, all else equal, the result stays the same. Is it used?"


def find_out(
    observe: Call, reference: Any, probes: Callable[[], Sequence[tuple]], *, tol: float, known: Known
) -> None:
    """Add to `known` all that `diagnose` may ever ask of the reference; arguments as there."""
    cases = probes()
    for k in range(len(inspect.signature(reference).parameters)):
        for place, value in _exchanges(k, cases):
            _minds(observe, (reference, known), probes, place, value, tol)


def _exchanges(k: int, cases: Sequence[tuple]) -> Iterator[tuple[Place, Any]]:
    """Yield where another value of argument `k` is tried, and that value."""
    for one in range(0, len(cases), -(-len(cases) // MOST_TRIED)):
        for number, value in enumerate(_others(k, one, cases)):
            yield (k, one, number), value


def _changed(probes: Callable[[], Sequence[tuple]], place: Place, value: Any) -> tuple:
    k, one, _ = place
    fresh = probes()[one]
    return (*fresh[:k], value, *fresh[k + 1 :])


def _minds(
    observe: Call,
    reference: tuple[Any, Known],
    probes: Callable[[], Sequence[tuple]],
    place: Place,
    value: Any,
    tol: float,
) -> bool:
    """Return whether the right function minds another value of an argument; it is asked once."""
    function, known = reference
    if place not in known.minds:
        try:
            after = observe(function, _changed(probes, place, value))
        except Exception:  # it does not fit to the other arguments
            known.minds[place] = False
        else:
            known.minds[place] = not _same(after, known.right[place[1]], 100 * tol)
    return known.minds[place]


def _stays(observe: Call, function: Any, changed: tuple, before: Any, tol: float) -> bool:
    try:
        after = observe(function, changed)
    except Exception:  # the right function takes the other value, the answer does not: it makes a difference
        return False
    return _same(after, before, tol)


def _coarse(found: list[Any], right: list[Any]) -> str:
    """Say of an answer that gives whole numbers only: what makes no difference may be lost in rounding."""
    mine, values = ([_flat(value) for value in side] for side in (found, right))
    numbers = [value for value in mine if value is not None]
    is_whole = len(numbers) == len(mine) and all((value == np.round(value)).all() for value in numbers)
    is_right_whole = all(value is None or (value == np.round(value)).all() for value in values)
    if not is_whole or is_right_whole or all(np.array_equal(value, numbers[0]) for value in numbers):
        return ""
    return "Only whole numbers are returned, where fractions are right: is something rounded?"


def _others(k: int, one: int, cases: Sequence[tuple]) -> Iterator[Any]:
    """Yield other values for argument `k` of a probe: that of the next probe that fits, and changed ones."""
    mine = cases[one][k]
    for other in [*range(one + 1, len(cases)), *range(one)]:
        if _exchangeable(mine, cases[other][k]):
            yield cases[other][k]
            break
    if isinstance(mine, np.ndarray | torch.Tensor) and not getattr(mine, "requires_grad", False):
        turned = np.flip(mine).copy() if isinstance(mine, np.ndarray) else mine.flip(*range(mine.ndim))
        if _exchangeable(mine, turned):
            yield turned
        if "bool" not in str(mine.dtype):  # a sum or a maximum does not mind what is turned
            yield 3 * mine + 1
    elif isinstance(mine, float):
        yield 3 * mine + 1


def _returned(found: list[Any], probes: Sequence[tuple], names: tuple, tol: float) -> str:
    for k, name in enumerate(names):
        values = [probe[k] for probe in probes]
        plain = all(_flat(value) is not None for value in values)
        if plain and all(_same(mine, value, tol) for mine, value in zip(found, values, strict=True)):
            return f"This is the argument `{name}`, as it was given"
    return ""


def _factor(found: list[Any], right: list[Any], probes: Sequence[tuple], names: tuple) -> str:
    """Name the factor between the answer and the right values, if there is one on every probe.

    Where both are 0, any factor would do.
    """
    factors, where, count = [], [], 0
    for mine, value, probe in zip(map(_flat, found), map(_flat, right), probes, strict=True):
        if mine is None or value is None or mine.shape != value.shape:
            return ""
        if not np.any(value):
            if np.any(mine):
                return ""
            continue
        factor = float(mine @ value / (value @ value))
        if not np.allclose(mine, factor * value, rtol=1e-5, atol=1e-7):
            return ""
        factors.append(factor)
        where.append(probe)
        count += value.size
    if count < 2:  # any two numbers have a ratio
        return ""
    if np.allclose(factors, factors[0], rtol=1e-5):
        if abs(factors[0] + 1) < 1e-6:
            return "The sign is turned: it is minus the right value, everywhere"
        digits = 4 if abs(factors[0] - 1) > 1e-3 else 7
        words = f"It is {factors[0]:.{digits}g} times the right value, everywhere"
        return words if abs(factors[0]) > 1e-9 else ""
    for words, values in _candidates(where, names):
        if np.allclose(factors, values, rtol=1e-5):
            return f"It is the right value times {words}"
        if np.allclose(factors, 1 / np.array(values), rtol=1e-5):
            return f"It is the right value divided by {words}"
    if all(numbers is not None and numbers.size == 1 for numbers in map(_flat, right)):
        return ""  # any two numbers have a ratio
    listed = ", ".join(f"{factor:.4g}" for factor in factors)
    return f"It is the right value times a factor that differs from case to case: {listed}"


def _close(found: list[Any], right: list[Any]) -> str:
    worst = 0.0
    for mine, value in zip(map(_flat, found), map(_flat, right), strict=True):
        if mine is None or value is None or mine.shape != value.shape or not value.size:
            return ""
        worst = max(worst, float((np.abs(mine - value) / np.maximum(np.abs(value), 0.1)).max()))
    return f"It is close everywhere, off by {worst:.2g} of the right value at most" if worst < CLOSE else ""


def _candidates(probes: Sequence[tuple], names: tuple) -> Iterator[tuple[str, list[float]]]:
    """Yield what a factor may be: a number among the arguments, one minus it, or the length of an axis."""
    for k, name in enumerate(names):
        values = [probe[k] for probe in probes]
        if all(isinstance(value, int | float) and not isinstance(value, bool) and value for value in values):
            yield f"`{name}`", [float(value) for value in values]
            if all(value != 1 for value in values):
                yield f"1 - `{name}`", [1.0 - value for value in values]
        shapes = [
            np.shape(value) if isinstance(value, np.ndarray | torch.Tensor) else None for value in values
        ]
        for axis in range(min((len(shape) for shape in shapes if shape is not None), default=0)):
            if all(shape is not None and shape[axis] for shape in shapes):
                words = f"the length of `{name}`" + (f" along axis {axis}" if axis else "")
                yield words, [float(shape[axis]) for shape in shapes if shape is not None]
        if all(isinstance(value, list | tuple) and value for value in values):
            yield f"the length of `{name}`", [float(len(value)) for value in values]


def _partly(found: list[Any], right: list[Any], probes: Sequence[tuple], names: tuple, tol: float) -> str:
    """Name a probe where the answer is right and one where it is not, in words that hold for all."""
    told: dict[bool, list[str]] = {True: [], False: []}
    for mine, value, probe in zip(found, right, probes, strict=True):
        told[_same(mine, value, tol)].append(_words(probe, names))
    if not told[True] or set(told[True]) & set(told[False]):
        return ""
    return f"It is right with {told[True][0]}, but not with {told[False][0]}"


def _words(probe: tuple, names: tuple) -> str:
    """Say in a few words what a probe is: its numbers, and the sizes of what else it holds."""
    told = []
    for name, value in zip(names, probe, strict=False):
        if isinstance(value, bool | int | float | str | np.number):
            told.append(f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}")
        elif isinstance(value, torch.Tensor | np.ndarray):
            told.append(f"{name} {list(value.shape)}" if value.ndim else f"{name} = {value.item():.4g}")
        elif isinstance(value, list | tuple | dict):
            told.append(f"{name} of {len(value)}")
    return ", ".join(told) or "other arguments"


def _exchangeable(one: Any, other: Any) -> bool:
    """Return whether one argument may stand for another: the same kind and shape, but another value."""
    if type(one) is not type(other) or callable(one):
        return False
    mine, theirs = _flat(one), _flat(other)
    return (
        mine is not None
        and theirs is not None
        and mine.shape == theirs.shape
        and not np.array_equal(mine, theirs)
    )


def _same(one: Any, other: Any, tol: float) -> bool:
    try:
        return same(one, other, tol=tol)
    except TypeError:  # no numbers
        return False


def _flat(value: Any) -> np.ndarray | None:
    """Return all numbers in a value as one array, None if there is anything else in it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        parts = [_flat(entry) for entry in value]
        known = [part for part in parts if part is not None]
        return np.concatenate([np.zeros(0), *known]) if len(known) == len(parts) else None
    try:
        plain = value.detach().double().numpy() if isinstance(value, torch.Tensor) else value
        return np.asarray(plain, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
