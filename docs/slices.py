"""The part of a notebook that some of its cells depend on: how the site gets at the live widgets.

A stored notebook keeps a widget's text and picture, not what it would show at another place of its slider. So
the widget is made again: by its cell, and by the statements before it that define, or change, a name that is
needed. What only prints, asserts or draws is left out, so that most of a notebook need not run. The rules are
plain, not complete; whoever uses a slice compares what it gives with what the notebook stores.
"""

import ast
import builtins
from collections.abc import Iterable, Sequence

QUIET = {"print", "display", "plt", "fig", "ax", "axes", "lesson"}
"""Calls on these, as a statement of their own, change nothing that another cell needs."""

CHANGING = {"train", "fit", "step", "reset", "pop"}
"""Methods that change what they are called on, also where their value is used."""

SCOPES = (
    ast.FunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def slice_cells(cells: Sequence[str], wanted: Iterable[int]) -> list[list[ast.stmt]]:
    """Return for every cell the statements of it that the `wanted` cells depend on, in order.

    Args:
        cells: the source of every code cell, in order.
        wanted: indices of cells; the last statement of each is kept, too.

    Raises:
        SyntaxError: if a cell does not parse.
    """
    trees = [ast.parse(cell).body for cell in cells]
    imported = {name for body in trees for stmt in body if _is_import(stmt) for name in _stored(stmt)}
    kept: set[ast.stmt] = set()
    for index in wanted:
        *before, last = [stmt for body in trees[: index + 1] for stmt in body]
        kept.add(last)
        needed = names_read(last)
        for stmt in reversed(before):
            if needed & _changed(stmt, imported):
                kept.add(stmt)
                needed = (needed - _bound(stmt)) | names_read(stmt)
    return [[stmt for stmt in body if stmt in kept] for body in trees]


def names_read(node: ast.AST) -> set[str]:
    """Return the names that a statement or expression takes from outside of it."""
    read = _names(node, ast.Load)
    if isinstance(node, SCOPES):
        read -= _stored(node)
    return read - set(dir(builtins))


def _changed(stmt: ast.stmt, imported: set[str]) -> set[str]:
    """Return the names that a statement defines, or whose values it may change."""
    if isinstance(stmt, ast.Assert):
        return set()
    if isinstance(stmt, ast.FunctionDef | ast.ClassDef):
        return {stmt.name}
    found = _stored(stmt)
    for node in ast.walk(stmt):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(_root(node))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found |= _changed_by_call(node.value, imported)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            found.add(_root(node.func))
    return found - {""}


def _changed_by_call(call: ast.Call, imported: set[str]) -> set[str]:
    root = _root(call.func)
    if root in QUIET:
        return set()
    if root in imported:  # a module has no state to speak of, but for random numbers
        return {root} if isinstance(call.func, ast.Attribute) and "seed" in call.func.attr else set()
    return {root, *(_root(argument) for argument in call.args)}


def _bound(stmt: ast.stmt) -> set[str]:
    """Return the names that a statement gives a value whatever happens: what was there before is gone."""
    if isinstance(stmt, ast.Assign):
        targets = [target for target in stmt.targets if isinstance(target, ast.Name | ast.Tuple)]
        return {name for target in targets for name in _names(target, ast.Store)}
    if _is_import(stmt) or isinstance(stmt, ast.FunctionDef | ast.ClassDef):
        return _stored(stmt) if _is_import(stmt) else {stmt.name}  # type: ignore[union-attr]
    return set()


def _stored(node: ast.AST) -> set[str]:
    """Return the names that are given a value in `node`: targets, arguments, imports."""
    found = _names(node, ast.Store)
    found |= {child.arg for child in ast.walk(node) if isinstance(child, ast.arg)}
    aliases = (child for child in ast.walk(node) if isinstance(child, ast.alias))
    return found | {(alias.asname or alias.name).split(".")[0] for alias in aliases}


def _names(tree: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """Return the names in `tree` that are read (Load) or given a value (Store)."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in found if isinstance(node.ctx, context)}


def _is_import(stmt: ast.stmt) -> bool:
    return isinstance(stmt, ast.Import | ast.ImportFrom)


def _root(node: ast.expr) -> str:
    """Return `a` of `a.b[c].d(...)`, or "" where it begins with something else than a name."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
