"""Wrong answers made by a machine: small changes of a reference, arguments that are fixed or spoiled.

`mutants(exercise, calls)` yields (label, function). A label is the changed statement before and after, or
what was done to which argument; it is the same in every run, so that a list of equivalents can name it.
"""

import ast
import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from mlearn_utils.course.grading.exercise import Exercise

OPERATORS: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.Mod: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
TWINS = (
    ("sum", "mean"),
    ("max", "min"),
    ("argmax", "argmin"),
    ("minimum", "maximum"),
    ("zeros_like", "ones_like"),
    ("zeros", "ones"),
    ("floor", "ceil"),
    ("clip", "abs"),
    ("clamp", "abs"),
    ("exp", "log"),
    ("sqrt", "square"),
    ("std", "var"),
    ("unique", "sort"),
    ("any", "all"),
)
NAMES = {one: other for pair in TWINS for one, other in (pair, pair[::-1])}


def mutants(exercise: Exercise, calls: list[dict[str, Any]]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every mutant of the exercise's reference.

    Args:
        exercise: the exercise.
        calls: the arguments of the calls that its checker makes, each parameter -> value.
    """
    yield from _changed_sources(exercise)
    yield from _fixed_arguments(exercise, calls)
    yield from _spoiled_arguments(exercise)
    yield from _simpler_arguments(exercise, calls)
    yield from _changed_results(exercise, calls)


# --- changes of the source


def _changed_sources(exercise: Exercise) -> Iterator[tuple[str, Callable[..., Any]]]:
    tree = ast.parse(exercise.solved_source())
    seen = {ast.unparse(tree)}
    for changed, before, after in _changes(tree):
        try:
            source = ast.unparse(ast.fix_missing_locations(changed))
            code = compile(source, f"<mutant of {exercise.name}>", "exec")
        except (SyntaxError, ValueError):
            continue
        if source not in seen:
            seen.add(source)
            namespace = dict(inspect.unwrap(exercise.reference).__globals__)
            exec(code, namespace)
            yield f"{before}  ->  {after}", namespace[exercise.name]


def _changes(tree: ast.Module) -> Iterator[tuple[ast.Module, str, str]]:
    """Yield a changed copy of the tree, and the statement's first line before and after."""
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    parameters = [arg.arg for arg in function.args.args]
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and node is not function]
    for index, statement in enumerate(statements):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # the docstring
        before = _line(statement)
        for step in range(_count(statement, parameters)):
            changed = copy.deepcopy(tree)
            body = changed.body[0]
            twin = [node for node in ast.walk(body) if isinstance(node, ast.stmt) and node is not body][index]
            _apply(twin, parameters, step)
            yield changed, before, _line(twin)
        for replacement in _replacements(statement):
            changed = copy.deepcopy(tree)
            _Replace(index, replacement).visit(changed.body[0])
            yield changed, before, _line(replacement)


def _line(statement: ast.stmt) -> str:
    return ast.unparse(statement).split("\n")[0]


def _replacements(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yield what may stand in the place of a whole statement."""
    yield ast.Pass()
    if isinstance(statement, ast.Return):
        yield ast.Return(ast.Constant(0))
    if isinstance(statement, ast.Break):
        yield ast.Continue()
    if isinstance(statement, ast.For | ast.While):
        once = copy.deepcopy(statement)
        once.body.append(ast.Break())
        yield once


class _Replace(ast.NodeTransformer):
    """Put a statement in the place of the one of that number, as `ast.walk` counts them."""

    def __init__(self, index: int, replacement: ast.stmt):
        self.index, self.replacement = index, replacement

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.FunctionDef):
            inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
            self.target = inner[self.index]
        elif node is self.target:
            return self.replacement
        return self.generic_visit(node)


def _own_nodes(statement: ast.stmt) -> list[ast.AST]:
    """Return the expressions of a statement itself, without those of the statements inside it."""
    found: list[ast.AST] = [statement]
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.stmt):
            found += [node for node in ast.walk(child) if not isinstance(node, ast.stmt)]
    return found


def _edits(statement: ast.stmt, parameters: list[str]) -> Iterator[Callable[[], None]]:
    """Yield the small changes of one statement, each a function that makes it."""
    for node in _own_nodes(statement):
        yield from _node_edits(node, parameters)
        for parent_field, child in list(ast.iter_fields(node)):
            children = child if isinstance(child, list) else [child]
            for k, inner in enumerate(children):
                for simpler in _simpler(inner):
                    yield _setter(node, parent_field, k if isinstance(child, list) else None, simpler)


def _node_edits(node: ast.AST, parameters: list[str]) -> Iterator[Callable[[], None]]:
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        for other in OPERATORS.get(type(node.op), ()):
            yield _setter(node, "op", None, other())
    elif isinstance(node, ast.Compare):
        for other in OPERATORS.get(type(node.ops[0]), ()):
            yield _setter(node, "ops", 0, other())
    elif isinstance(node, ast.Constant):
        for value in _other_constants(node.value):
            yield _setter(node, "value", None, value)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield _setter(node, "attr", None, NAMES[node.attr])
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in parameters:
        for other in parameters:
            if other != node.id:
                yield _setter(node, "id", None, other)
    elif isinstance(node, ast.Call):
        for k in range(len(node.args) - 1):
            yield _swap(node.args, k)
        for k in range(len(node.keywords)):
            yield _drop(node.keywords, k)
        if len(node.args) > 1:
            yield _drop(node.args, len(node.args) - 1)
    elif isinstance(node, ast.IfExp | ast.If | ast.While):
        for value in (True, False):
            yield _setter(node, "test", None, ast.Constant(value))
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield _swap(node.elts, 0)
    elif isinstance(node, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node, bound) is not None:
                yield _setter(node, bound, None, None)


def _simpler(node: Any) -> Iterator[ast.expr]:
    """Yield what an expression may be reduced to: a call to its argument, a sum to one of its terms."""
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
    elif isinstance(node, ast.Call):
        method = node.func if isinstance(node.func, ast.Attribute) else None
        if method is not None and (not isinstance(method.value, ast.Name) or not node.args):
            yield method.value
        if node.args and isinstance(node.args[0], ast.expr):
            yield node.args[0]
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse


def _other_constants(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, value - 1)
    if isinstance(value, float):
        return (value + 1.0, value * 2 if value else -1.0)
    return ()


def _setter(node: ast.AST, field: str, index: int | None, value: Any) -> Callable[[], None]:
    def edit() -> None:
        if index is None:
            setattr(node, field, value)
        else:
            getattr(node, field)[index] = value

    return edit


def _swap(entries: list, k: int) -> Callable[[], None]:
    def edit() -> None:
        entries[k], entries[k + 1] = entries[k + 1], entries[k]

    return edit


def _drop(entries: list, k: int) -> Callable[[], None]:
    def edit() -> None:
        del entries[k]

    return edit


def _count(statement: ast.stmt, parameters: list[str]) -> int:
    return sum(1 for _ in _edits(statement, parameters))


def _apply(statement: ast.stmt, parameters: list[str], step: int) -> None:
    for k, edit in enumerate(_edits(statement, parameters)):
        if k == step:
            edit()
            return


# --- what is done to the arguments


def _fixed_arguments(
    exercise: Exercise, calls: list[dict[str, Any]]
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield answers that put in the place of a parameter a value that the checker gives to it."""
    for name in inspect.signature(exercise.reference).parameters:
        values = [call[name] for call in calls if name in call]
        for which, value in (("first", values[:1]), ("last", values[-1:])):
            if value and not isinstance(value[0], np.random.Generator):
                yield (
                    f"`{name}` is fixed to its {which} value",
                    _with_fixed(exercise.reference, name, value[0]),
                )


def _with_fixed(reference: Callable[..., Any], name: str, value: Any) -> Callable[..., Any]:
    signature = inspect.signature(reference)

    def fixed(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments[name] = _twin(value)
        return reference(*bound.args, **bound.kwargs)

    return _like(fixed, reference)


def _twin(value: Any) -> Any:
    """Return a copy, but of a tensor that is differentiated by the tensor itself."""
    return value if isinstance(value, torch.Tensor) and value.requires_grad else copy.deepcopy(value)


def _spoiled_arguments(exercise: Exercise) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in inspect.signature(exercise.reference).parameters:
        if name not in exercise.writes:
            for when in ("before", "after"):
                yield f"`{name}` is spoiled {when} the work", _with_spoiled(exercise.reference, name, when)


class NothingToSpoilError(Exception):
    """The argument is of a kind that no function can change."""


def _with_spoiled(reference: Callable[..., Any], name: str, when: str) -> Callable[..., Any]:
    signature = inspect.signature(reference)

    def spoiled(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        if when == "before":
            _spoil(bound.arguments[name])
        result = reference(*bound.args, **bound.kwargs)
        if when == "after":
            _spoil(bound.arguments[name])
        return result

    return _like(spoiled, reference)


def _spoil(value: Any) -> None:
    if isinstance(value, torch.Tensor):
        with torch.no_grad():
            value.mul_(0.5) if value.is_floating_point() else value.zero_()
    elif isinstance(value, np.ndarray):
        value[...] = value // 2 if value.dtype.kind in "iub" else value * 0.5
    elif isinstance(value, list):
        value.append(value[-1])
    elif isinstance(value, dict):
        value.pop(next(iter(value)))
    else:
        raise NothingToSpoilError


STEP_SIZES = {"alpha", "inner_lr", "outer_lr", "learning_rate", "clip"}
NEVER_NEGATIVE = {"mask", "P", "probability", "curvature", "gamma", "lam", "epsilon", "share", *STEP_SIZES}
NEVER_ZERO = {"budget", "n_tasks", "share", "rates", *STEP_SIZES}
"""Parameters that need not be tried with such a value: it does not exist, or nothing happens then."""


class NotTriedError(Exception):
    """Raised by a mutant that fails on a value which the checker is to try."""


def _simpler_arguments(
    exercise: Exercise, calls: list[dict[str, Any]]
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the reference that sees less of an argument: no sign, few digits, not its first or last entry."""
    for name in inspect.signature(exercise.reference).parameters:
        values = [call[name] for call in calls if name in call]
        if any(_is_real(value) for value in values):
            if name not in NEVER_NEGATIVE:
                yield f"`{name}` has lost its sign", _seeing(exercise.reference, name, _unsigned)
            yield f"`{name}` is rounded", _seeing(exercise.reference, name, _rounded)
        if name not in NEVER_ZERO and any(_is_number(value) for value in _entries(values)):
            yield f"`{name}` must not be 0", _seeing(exercise.reference, name, _refuse_zero)
        if any(_length(value) > 1 for value in values):
            yield f"the first entry of `{name}` is the second", _seeing(exercise.reference, name, _no_first)
            yield (
                f"the last entry of `{name}` is the last but one",
                _seeing(exercise.reference, name, _no_last),
            )


def _seeing(reference: Callable[..., Any], name: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    signature = inspect.signature(reference)

    def seeing(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments[name] = change(bound.arguments[name])
        return reference(*bound.args, **bound.kwargs)

    return _like(seeing, reference)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _entries(values: list[Any]) -> list[Any]:
    """Return the values, of lists what they hold."""
    return [entry for value in values for entry in (value if isinstance(value, list) else [value])]


def _is_real(value: Any) -> bool:
    """Return whether this is a fraction, or holds some."""
    if isinstance(value, list):
        return any(map(_is_real, value))
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and bool((value != value.round()).any())
    array = np.asarray(value) if isinstance(value, np.ndarray) or _is_number(value) else np.zeros(0, int)
    return array.dtype.kind == "f" and bool((array != array.round()).any())


def _length(value: Any) -> int:
    if isinstance(value, list):
        return len(value)
    return len(value) if isinstance(value, torch.Tensor | np.ndarray) and value.ndim else 0


def _unsigned(value: Any) -> Any:
    return [_unsigned(entry) for entry in value] if isinstance(value, list) else abs(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    if isinstance(value, torch.Tensor):  # the derivative stays
        return value + (value.detach().round(decimals=1) - value.detach())
    return np.round(value, 1)


def _refuse_zero(value: Any) -> Any:
    if any(_is_number(entry) and entry == 0 for entry in _entries([value])):
        raise NotTriedError
    return value


def _no_first(value: Any) -> Any:
    return _joined(value, value[1:2], value[1:]) if _length(value) > 1 else value


def _no_last(value: Any) -> Any:
    return _joined(value, value[:-1], value[-2:-1]) if _length(value) > 1 else value


def _joined(value: Any, head: Any, tail: Any) -> Any:
    if isinstance(value, list):
        return head + tail
    return torch.cat([head, tail]) if isinstance(value, torch.Tensor) else np.concatenate([head, tail])


# --- what is done to the result


def _changed_results(
    exercise: Exercise, calls: list[dict[str, Any]]
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the reference with a result that lost something, where there is something to lose."""
    reference = exercise.reference
    results = [reference(**{name: _twin(value) for name, value in call.items()}) for call in calls]
    for label, change, concerns in (
        ("the result is squeezed", lambda array: array.squeeze(), lambda result: _length(result) > 0),
        ("the result has lost its sign", _unsigned, _is_real),
        ("the result is rounded", _rounded, _is_real),
    ):
        if any(any(map(concerns, _leaves(result))) for result in results):
            yield label, _like(_changing(reference, change, concerns), reference)
    if inspect.signature(reference).parameters:
        remembering = _like(_remembering(reference), reference)
        yield "the result is remembered by the sizes of the arguments", remembering


def _leaves(result: Any) -> list[Any]:
    """Return what a tuple or a dict of results holds, or the result alone."""
    if isinstance(result, dict):
        result = tuple(result.values())
    return [leaf for entry in result for leaf in _leaves(entry)] if isinstance(result, tuple) else [result]


def _changing(
    reference: Callable[..., Any], change: Callable[[Any], Any], concerns: Callable[[Any], bool]
) -> Callable[..., Any]:
    def changed(result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(map(changed, result))
        if isinstance(result, dict):
            return {key: changed(value) for key, value in result.items()}
        return change(result) if concerns(result) else result

    return lambda *args, **kwargs: changed(reference(*args, **kwargs))


def _remembering(reference: Callable[..., Any]) -> Callable[..., Any]:
    """Return the reference with a cache that takes arguments of one size for the same."""
    seen: dict[str, Any] = {}

    def remembering(*args: Any, **kwargs: Any) -> Any:
        sizes = str([getattr(value, "shape", None) or _length(value) for value in (*args, *kwargs.values())])
        if sizes not in seen:
            seen[sizes] = reference(*args, **kwargs)
        return copy.deepcopy(seen[sizes]) if not isinstance(seen[sizes], torch.Tensor) else seen[sizes]

    return remembering


def _like(function: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    function.__signature__ = inspect.signature(reference)  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = reference.__name__
    return function
