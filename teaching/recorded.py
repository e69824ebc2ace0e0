"""Modules of checkers for a class: their trials have records, and no function in them is right or nearly so.

Of each trial's probes one is held back, where the others still tell apart what is right and every mistake:
who looks up what the class's edition checks fails at what the teacher's edition asks.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

from sliced import Edit, edited, parsed, span

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.trial import Trial

FEWEST = 4
"""Fewer probes than these are all handed out."""

NO_BODY = 'raise NotImplementedError("the class\'s edition has no references")'


class Recorded(NamedTuple):
    """A module of checkers for a class.

    Attributes:
        source: with `record=` in the place of `mistakes=`.
        records: file name -> content.
        held_back: names of the trials that lack a probe; of several that share theirs, the first.
    """

    source: str
    records: dict[str, bytes]
    held_back: list[str]


def recorded(source: str, module: ModuleType, exercises: Iterable[Exercise]) -> Recorded:
    """Return a module of checkers for a class.

    Args:
        source: of the module.
        module: the module itself.
        exercises: of the lesson; they know the references of its trials.
    """
    references, held_back = _references(module, exercises), []
    for name, call in trial_calls(source):
        shorter = _held_back(source, name, call, module, references)
        if shorter:
            source = shorter
            held_back.append(name)
    found = _trials(source, module, references)
    folder = (module.__package__ or "").rpartition(".")[2]
    records, edits = {}, []
    for name, call in trial_calls(source):
        file = f"{name.lower()}.record"
        records[file] = found[name].to_record().dump()
        edits += _without_functions(source, call, f"{folder}/{file}")
    return Recorded(edited(source, set(edits)), records, held_back)


def trial_calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield the name and the call of each trial that a module defines."""
    for node in parsed(source).body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign) and isinstance(value, ast.Call) and _text(value.func) == "Trial":
            yield _text(node.targets[0]), value


def _references(module: ModuleType, exercises: Iterable[Exercise]) -> dict[str, Any]:
    """Return the function that solves the exercise of each trial of a module, None if no exercise has it."""
    checks = [(each.check, each.reference) for each in exercises if isinstance(each.check, Trial)]
    return {
        name: next((reference for check, reference in checks if check.mistakes is trial.mistakes), None)
        for name, trial in vars(module).items()
        if isinstance(trial, Trial)
    }


def _trials(source: str, module: ModuleType, references: dict[str, Any]) -> dict[str, Trial]:
    """Return the trials of a changed module."""
    namespace: dict[str, Any] = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source, str(module.__file__), "exec"), namespace)
    trials = {name: value for name, value in namespace.items() if isinstance(value, Trial)}
    return {
        name: trial if trial.reference else replace(trial, reference=references.get(name))
        for name, trial in trials.items()
    }


def _without_functions(source: str, call: ast.Call, record: str) -> Iterator[Edit]:
    """Yield the edits that put a record in the place of a trial's mistakes, and empty its reference."""
    for keyword in call.keywords:
        if keyword.arg == "mistakes":
            yield Edit(*span(source, keyword), f'record="{record}"')
        elif keyword.arg == "reference":
            body = _function(source, _text(keyword.value)).body
            start, _ = span(source, body[1] if _is_docstring(body[0]) else body[0])
            yield Edit(start, span(source, body[-1])[1], NO_BODY)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _function(source: str, name: str) -> ast.FunctionDef:
    for node in parsed(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise ValueError(f"{name} must be a function of the module whose trial it serves")


def _held_back(
    source: str, name: str, call: ast.Call, module: ModuleType, references: dict[str, Any]
) -> str | None:
    """Return a source in which one probe of a trial is missing, None if none can be.

    The first is never held back: messages speak of it. Trials that share their probes must all do without.
    """
    probes = _probes_of(call)
    sharing = [other for other, its in trial_calls(source) if _probes_of(its) == probes]
    whole = _trials(source, module, references)[name]
    if name != sharing[0] or len(whole.probes()) < FEWEST:
        return None
    for edit in _shortenings(source, probes):
        shorter = edited(source, [edit])
        try:
            found = _trials(shorter, module, references)
            if len(found[name].probes()) == len(whole.probes()) - 1:
                for other in sharing:
                    _ = found[other].wrong  # raises where two mistakes look alike
                return shorter
        except Exception:  # no list of probes was shortened, or one that must be whole
            continue
    return None


def _probes_of(call: ast.Call) -> str:
    return next(_text(keyword.value) for keyword in call.keywords if keyword.arg == "probes")


def _shortenings(source: str, name: str) -> Iterator[Edit]:
    """Yield edits that take an element out of a list that the function `name` holds or names."""
    function = _function(source, name)
    named = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    tables = [node for node in parsed(source).body if isinstance(node, ast.Assign)]
    nodes = [table.value for table in tables if _text(table.targets[0]) in named]
    for node in [each for whole in (function, *nodes) for each in ast.walk(whole)]:
        if not isinstance(node, ast.List | ast.Tuple) or len(node.elts) < FEWEST:
            continue
        middle = len(node.elts) // 2  # at the ends stand what messages speak of, and odd cases
        for k in sorted(range(1, len(node.elts)), key=lambda k: abs(k - middle)):
            if not isinstance(node.elts[k], ast.Starred):
                yield _without(source, node.elts, k)


def _without(source: str, entries: list[ast.expr], k: int) -> Edit:
    """Return the edit that takes out entry k, with the comment behind it where it has lines of its own."""
    (_, before), (start, end) = (span(source, entry) for entry in entries[k - 1 : k + 1])
    data = source.encode()
    line, rest = data.rindex(b"\n", 0, start) + 1, data.index(b"\n", end) + 1
    if data[line:start].isspace() and re.fullmatch(rb",( *#.*)?\n", data[end:rest]):
        return Edit(line, rest, "")
    return Edit(before, end, "")


def _text(node: ast.expr) -> str:
    return ast.unparse(node)
