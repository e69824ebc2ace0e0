"""No wrong answer that a machine can make of a reference passes, and no argument is left untried."""

import ast
import copy
import importlib
import inspect
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from tests.course.lesson_tests import EXERCISES, ROOT, answers_to, graded
from tests.course.mutation import NothingToSpoilError, mutants

ALIKE = 4  # calls with the same arguments but for generators, that are looked at
NUMBERS_OF_NO_MEANING = {0.0, 1.0, -1.0}


_calls: dict[int, list[dict[str, Any]]] = {}


def calls_of(exercise: Exercise) -> list[dict[str, Any]]:
    """Return the arguments of the calls that the checker makes of a right answer, a few of each kind."""
    if id(exercise) not in _calls:
        _calls[id(exercise)] = _calls_of(exercise)
    return _calls[id(exercise)]


def _calls_of(exercise: Exercise) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    times: dict[str, int] = {}
    signature = inspect.signature(exercise.reference)

    def spy(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        seen = fingerprint(
            {n: value for n, value in given.items() if not isinstance(value, np.random.Generator)}
        )
        times[seen] = times.get(seen, 0) + 1
        if times[seen] <= ALIKE:
            calls.append({name: kept(value) for name, value in given.items()})
        return exercise.reference(*args, **kwargs)

    spy.__signature__ = signature  # type: ignore[attr-defined]
    assert grade(exercise, spy).ok
    return calls


def kept(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except (RuntimeError, TypeError):  # a tensor with a graph, or what holds one
        return value


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_no_mutant_of_the_reference_passes(number: str, exercise: Exercise) -> None:
    equivalent = answers_to(number, exercise, "EQUIVALENT")
    survivors, count = [], 0
    times = [time.process_time()]
    calls = calls_of(exercise)
    times.append(time.process_time())
    grade(exercise, exercise.reference)
    times.append(time.process_time())
    # A mutant that takes much longer than the reference, which may find something in a cache, hangs.
    patience = 0.2 + (times[1] - times[0]) + 5 * (times[2] - times[1])
    for label, mutant in mutants(exercise, calls):
        report = graded(exercise, mutant, patience)
        if report is not None and NothingToSpoilError.__name__ in report.message:
            continue
        count += 1
        if report is not None:
            assert not report.fault, f"the check raised over {label}: {report.fault}"
            survivors += [label] if report.ok else []
    excused = [label for label in survivors if any(re.search(pattern, label) for pattern, _ in equivalent)]
    assert count > 0
    passed = [label for label in survivors if label not in excused]
    assert not passed, (
        "these pass; refuse them by better probes, or excuse them in EQUIVALENT:\n" + "\n".join(passed)
    )
    for pattern, reason in equivalent:
        assert any(re.search(pattern, label) for label in survivors), f"nothing survives as {pattern!r}"
        assert len(reason) > 10, f"why is {pattern!r} right?"


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_a_checker_varies_every_argument(number: str, exercise: Exercise) -> None:
    excused = answers_to(number, exercise, "ONE_VALUE") or {}
    calls = calls_of(exercise)
    missing = {}
    for name in inspect.signature(exercise.reference).parameters:
        values = [call[name] for call in calls]
        if len({fingerprint(value) for value in values}) < 2:
            missing[name] = "one value only"
        alone = [place for place, sizes in axis_sizes(values).items() if len(sizes) < 2]
        if name not in missing and alone:
            missing[name] = f"one size only: {alone}"
    told = [f"{name}: {why}" for name, why in missing.items() if name not in excused]
    assert not told, "vary these, or excuse them in ONE_VALUE:\n" + "\n".join(told)
    assert set(excused) <= set(missing), "an excuse that is not needed"


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_a_checker_gives_no_number_that_the_notebook_leaves_in_a_global(
    number: str, exercise: Exercise
) -> None:
    left = notebook_numbers(number)
    for name in inspect.signature(exercise.reference).parameters:
        given = {call[name] for call in calls_of(exercise) if is_fraction(call[name])}
        clash = {value: left[value] for value in given if value in left}
        assert not clash, f"`{name}` of {exercise.name} is given {clash}, as a global of the notebook"


def fingerprint(value: Any) -> str:
    """Return a text that differs where values differ."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"{tuple(value.shape)} {value.tolist()}"
    if isinstance(value, dict):
        return str({key: fingerprint(entry) for key, entry in value.items()})
    if isinstance(value, list | tuple):
        return str([fingerprint(entry) for entry in value])
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    contents = getattr(value, "__dict__", None)
    if callable(value) or not contents:
        return repr(value)
    return str({key: fingerprint(entry) for key, entry in contents.items()})


def axis_sizes(values: list[Any]) -> dict[str, set[int]]:
    """Return the sizes that come up for each axis: of an array, of a list, of arrays in a list or tuple."""
    found: dict[str, set[int]] = {}
    for value in values:
        for place, size in sizes_in(value, ""):
            found.setdefault(place, set()).add(size)
    return found


def sizes_in(value: Any, place: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, torch.Tensor | np.ndarray):
        yield from ((f"{place} axis {axis} of {value.ndim}", size) for axis, size in enumerate(value.shape))
    elif isinstance(value, list):
        yield f"{place} length", len(value)
        for entry in value:
            yield from sizes_in(entry, f"{place}[k]")
    elif isinstance(value, tuple):
        for k, entry in enumerate(value):
            yield from sizes_in(entry, f"{place}[{k}]")


def is_fraction(value: Any) -> bool:
    """Return whether this is a number that means something where it coincides: not a count, not 0 or 1."""
    return isinstance(value, float) and value not in NUMBERS_OF_NO_MEANING


def notebook_numbers(number: str) -> dict[float, str]:
    """Return the numbers that the source of a lesson assigns to names outside of functions, with the name."""
    (source,) = (ROOT / "notebooks" / "source").glob(f"{number}_*.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    modules = imported_modules(tree)
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for name, value in assigned(node, modules):
                if isinstance(value, int | float) and not isinstance(value, bool):
                    found[float(value)] = name
    return found


def assigned(node: ast.Assign, modules: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for target in node.targets:
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=False))
        for name, value in pairs:
            if isinstance(name, ast.Name):
                yield name.id, constant_of(value, modules)


def constant_of(node: ast.expr, modules: dict[str, Any]) -> Any:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(modules.get(node.value.id), node.attr, None)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def imported_modules(tree: ast.Module) -> dict[str, Any]:
    """Return the modules of the lesson that the source imports, by the name they have there."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and re.search(r"lesson_\d\d$", node.module):
            for alias in node.names:
                found[alias.asname or alias.name] = importlib.import_module(f"{node.module}.{alias.name}")
    return found
