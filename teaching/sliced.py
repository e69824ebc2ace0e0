"""Modules of a lesson cut down to what is needed: the top-level statements that some names use, unchanged.

A statement is needed if it binds a name that is asked for, or that another needed statement uses. What is
asked for across modules (`from .quadratics import TASKS`, `quadratics.best_start`) is followed, until nothing
new is found.
"""

import ast
import copy
import functools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

ALL = "*"
Wanted = dict[str, set[str]]
"""Module of a lesson -> the names that are asked for there; ALL asks for every statement."""


class Statement(NamedTuple):
    """A top-level statement of a module.

    Attributes:
        node: its syntax tree.
        text: its lines, with the comments above it and the docstring below it.
        binds: the names that it binds.
        uses: the names that occur in it.
    """

    node: ast.stmt
    text: str
    binds: frozenset[str]
    uses: frozenset[str]


class Edit(NamedTuple):
    """A replacement of some bytes of a source."""

    start: int
    end: int
    text: str


def edited(source: str, edits: Iterable[Edit]) -> str:
    """Return `source` with replacements that do not overlap."""
    data = source.encode()
    for edit in sorted(edits, reverse=True):
        data = data[: edit.start] + edit.text.encode() + data[edit.end :]
    return data.decode()


def span(source: str, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
    """Return where a node begins and ends, in bytes."""
    lines = source.encode().splitlines(keepends=True)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    return start, sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset


parsed = functools.lru_cache(ast.parse)  # one text is looked at many times


def statements(source: str) -> list[Statement]:
    """Return the statements of a module, its docstring first; their texts together are the source."""
    lines, found, last = source.encode().splitlines(keepends=True), [], 0
    for node in parsed(source).body:
        text, last = b"".join(lines[last : node.end_lineno]).decode(), node.end_lineno or 0
        if found and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found[-1] = found[-1]._replace(text=found[-1].text + text)
            continue
        uses = frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
        found.append(Statement(node, text, frozenset(_bound(node)), uses))
    return found


def _bound(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in node.names]
    return [
        each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    ]


def is_import(statement: Statement) -> bool:
    """Return whether a statement imports."""
    return isinstance(statement.node, ast.Import | ast.ImportFrom)


def needed(found: list[Statement], names: set[str]) -> set[int]:
    """Return the places of the statements that `names` need; statements that bind nothing are needed, too."""
    kept = {k for k, one in enumerate(found) if not one.binds or (ALL in names and not is_import(one))}
    names = set(names)
    while True:
        names |= {name for k in kept for name in found[k].uses}
        more = {k for k, one in enumerate(found) if one.binds & names} - kept
        if not more:
            return kept
        kept |= more


def sliced(source: str, names: set[str]) -> str:
    """Return a module's source with the statements that `names` need, and the names that they import."""
    found = statements(source)
    kept = needed(found, names)
    used = names.union(*(found[k].uses for k in kept))
    return "".join(_with_imports(one, used) for k, one in enumerate(found) if k in kept).strip() + "\n"


def _with_imports(statement: Statement, used: set[str]) -> str:
    """Return the text of a statement; of an import, without the names that are not used."""
    node = statement.node
    if not isinstance(node, ast.Import | ast.ImportFrom) or statement.binds <= used:
        return statement.text
    node = copy.copy(node)
    node.names = [alias for alias in node.names if (alias.asname or alias.name.split(".")[0]) in used]
    blank = statement.text[: len(statement.text) - len(statement.text.lstrip("\n"))]
    return f"{blank}{ast.unparse(node)}\n"


def asked(nodes: Iterable[ast.AST], package: str) -> Wanted:
    """Return what some code asks for of the modules of `package`."""
    every = [each for node in nodes for each in ast.walk(node)]
    wanted: Wanted = {}
    modules: dict[str, str] = {}
    for node in every:
        if isinstance(node, ast.ImportFrom) and node.module == package:
            modules |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            module = (node.module or "").removeprefix(f"{package}.")
            wanted.setdefault(module, set()).update(alias.name for alias in node.names)
    of_modules = [each for each in every if isinstance(each, ast.Attribute) and _is_name(each.value, modules)]
    inside = {id(each.value) for each in of_modules}
    for each in of_modules:
        assert isinstance(each.value, ast.Name)
        wanted.setdefault(modules[each.value.id], set()).add(each.attr)
    for each in every:
        if isinstance(each, ast.Name) and each.id in modules and id(each) not in inside:
            wanted.setdefault(modules[each.id], set()).add(ALL)
    return wanted


def _is_name(node: ast.expr, names: Mapping[str, str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def lesson_slices(sources: Mapping[str, str], package: str, wanted: Wanted) -> dict[str, str]:
    """Return the sources of a lesson's modules cut down to what is wanted of them; others are left out.

    Args:
        sources: module -> its source.
        package: dotted name of the lesson.
        wanted: what is wanted from outside.
    """
    wanted = {module: set(names) for module, names in wanted.items() if module in sources}
    found = {module: statements(source) for module, source in sources.items()}
    while True:
        before = {module: set(names) for module, names in wanted.items()}
        for module, names in before.items():
            kept = [found[module][k] for k in sorted(needed(found[module], names))]
            used = names.union(*(one.uses for one in kept))
            nodes = [ast.parse(_with_imports(one, used)) if is_import(one) else one.node for one in kept]
            for other, more in asked(nodes, package).items():
                if other in sources:
                    wanted.setdefault(other, set()).update(more)
        if wanted == before:
            return {module: sliced(sources[module], names) for module, names in wanted.items()}
