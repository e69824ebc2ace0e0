"""Of a student's notebook, the statements that make an answer, and nothing else.

An answer is the last definition of the exercise's function that is not the untouched stub, with what it
needs: the imports, functions, classes and values that it names, and what these name. Prints, trainings,
checks and whatever else stands in the notebook is not run.
"""

import ast
import re
import symtable
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mlearn_utils.course.grading.exercise import Exercise, skeleton

LONGEST = 200_000  # characters of a cell
MAGIC = re.compile(r"^(\s*)(?:[%!?].*|\w[\w.]*\?\??\s*|\w+\s*=\s*[%!].*)$")


@dataclass(frozen=True)
class Statement:
    """One top-level statement of a cell.

    Attributes:
        node: its syntax tree, with the line numbers of its cell.
        cell: which code cell, from 0.
        binds: the names that it gives a value.
        needs_now: the names that it looks up when it runs.
        needs_later: the names that functions in it look up when they are called.
    """

    node: ast.stmt
    cell: int
    binds: frozenset[str]
    needs_now: frozenset[str]
    needs_later: frozenset[str]


@dataclass(frozen=True)
class Broken:
    """A cell that Python cannot read.

    Attributes:
        cell: which code cell, from 0.
        names: the functions and names that it seems to define.
        message: what is wrong, with the line.
    """

    cell: int
    names: frozenset[str]
    message: str


@dataclass(frozen=True)
class Excerpt:
    """What is run for one exercise.

    Attributes:
        statements: in the order of the notebook; empty if nothing defines the exercise.
        broken: why its last definition cannot be read, "" if it can.
    """

    statements: tuple[Statement, ...]
    broken: str = ""


def read_cells(cells: Iterable[str]) -> tuple[list[Statement], list[Broken]]:
    """Return the statements of a notebook's code cells, and the cells that cannot be read."""
    statements: list[Statement] = []
    broken: list[Broken] = []
    for number, text in enumerate(cells):
        if len(text) > LONGEST:
            names = _seem_defined(text[:LONGEST])
            broken.append(Broken(number, names, f"The cell has {len(text)} characters, too many to read."))
            continue
        plain = without_magics(text)
        try:
            tree = ast.parse(plain)
            found = [_statement(node, number) for node in tree.body]
        except SyntaxError as error:
            lines, at = plain.splitlines(), error.lineno or 0
            line = lines[at - 1].strip() if 0 < at <= len(lines) else ""
            message = f"SyntaxError: {error.msg}\nLine {at} of the cell: `{line[:200]}`"
            broken.append(Broken(number, _seem_defined(plain), message))
        except (ValueError, RecursionError, MemoryError) as error:
            broken.append(Broken(number, _seem_defined(plain), f"{type(error).__name__}: {error}"))
        else:
            statements += found
    imported = {name for each in statements if _imports(each.node) for name in each.binds}
    return [_not_changing(each, imported) for each in statements], broken


def excerpt(statements: list[Statement], broken: list[Broken], exercise: Exercise) -> Excerpt:
    """Return what defines an exercise's answer, with what it needs."""
    name, stub = exercise.name, skeleton(exercise.stub_source())
    places = [k for k, statement in enumerate(statements) if name in statement.binds]
    touched = [k for k in places if not _is_stub(statements[k].node, stub)]
    last = (touched or places or [-1])[-1]
    cell = statements[last].cell if last >= 0 and touched else -1
    for fault in broken:
        if name in fault.names and fault.cell > cell:
            return Excerpt((), fault.message)
    if last < 0:
        return Excerpt(())
    return Excerpt(tuple(statements[k] for k in sorted(_closure(statements, last))))


def _imports(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _not_changing(statement: Statement, imported: set[str]) -> Statement:
    """Return a statement that does not count as changing what is imported, such as `torch.manual_seed(0)`."""
    changed = _changed(statement.node) & imported
    return replace(statement, binds=statement.binds - changed) if changed else statement


def _closure(statements: list[Statement], last: int) -> set[int]:
    """Return the numbers of the statements that number `last`, an answer, needs, and its own.

    What functions look up when they are called is what stands when the check is run, right below the answer's
    cell; only what is not there then is taken from further below.
    """
    stars = {k for k, each in enumerate(statements) if "*" in each.binds}
    (wanted, seen), own = ([last], {last} | stars), statements[last].binds
    checked = sum(each.cell <= statements[last].cell for each in statements)
    while wanted:
        at = wanted.pop()
        statement = statements[at]
        found = [_place(statements, name, at) for name in statement.needs_now]
        for name in statement.needs_later - own:
            place = _place(statements, name, checked)
            below = (k for k in range(checked, len(statements)) if name in statements[k].binds)
            found.append(next(below, None) if place is None else place)
        new = {place for place in found if place is not None} - seen
        seen |= new
        wanted += new
    return seen


def _place(statements: list[Statement], name: str, before: int) -> int | None:
    """Return the number of the last statement before number `before` that binds a name, None if none does."""
    return next((k for k in range(before - 1, -1, -1) if name in statements[k].binds), None)


def without_magics(text: str) -> str:
    """Return a cell's text with `pass` in place of IPython's own lines, so that lines keep their number."""
    lines = text.replace("\r\n", "\n").split("\n")
    first = next((k for k, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%"):
        is_python = re.match(r"%%(time|timeit|capture|prun)\b", lines[first])
        lines = [*lines[:first], "", *lines[first + 1 :]] if is_python else []
    plain = "\n".join(lines)
    try:
        ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "\n".join(MAGIC.sub(r"\1pass", line) for line in lines)
    return plain


def _statement(node: ast.stmt, cell: int) -> Statement:
    module = ast.Module([node], [])
    table = symtable.symtable(ast.unparse(module), "<cell>", "exec")
    now = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    binds = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    binds |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_imported()}
    if isinstance(node, ast.ImportFrom):
        binds |= {alias.name for alias in node.names if alias.name == "*"}
    later, called = _looked_up(table)
    binds |= _changed(node)
    return Statement(node, cell, frozenset(binds), frozenset(now | called), frozenset(later))


def _changed(node: ast.AST) -> set[str]:
    """Return the names whose values a statement changes, as `rates[0] = 1` and `rates.append(1)` do."""
    found: set[str] = set()
    targets: list[ast.expr] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return found
    if isinstance(node, ast.Assign | ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        targets = [node.value.func]
    for target in targets:
        root = target
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if root is not target and isinstance(root, ast.Name):
            found.add(root.id)
    return found.union(*(_changed(child) for child in ast.iter_child_nodes(node)))


def _looked_up(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Return the global names that functions below a scope look up, and those that classes do at once."""
    later: set[str] = set()
    at_once: set[str] = set()
    for child in table.get_children():
        names = {symbol.get_name() for symbol in child.get_symbols() if symbol.is_global()}
        (at_once if child.get_type() == "class" else later).update(names)
        deeper_later, deeper_now = _looked_up(child)
        later |= deeper_later
        (at_once if child.get_type() == "class" else later).update(deeper_now)
    return later, at_once


def _is_stub(node: ast.stmt, stub: str) -> bool:
    return isinstance(node, ast.FunctionDef) and skeleton(ast.unparse(node)) == stub


def _seem_defined(text: str) -> frozenset[str]:
    found = re.findall(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)", text, re.MULTILINE)
    return frozenset([*found, *re.findall(r"^(\w+)\s*=(?!=)", text, re.MULTILINE)])
