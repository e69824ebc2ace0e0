"""What an answer may not do, and what a human should look at, read off its text before it is run.

The screen knows what answers are made of: numpy, torch, the usual libraries, functions and numbers. A
reference taken from the course, or a patch of what is imported, is refused. Whatever else it does not know
(files, frames, names with two underscores, text that becomes code) is pointed out. It is no proof: the
judge's own process stops what gets by, and a container what gets by that.
"""

import ast
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


USUAL = _words(
    "numpy torch math random itertools functools collections statistics fractions decimal heapq bisect copy "
    "typing dataclasses scipy sklearn array_api_compat numbers enum abc operator time warnings cmath pprint "
    "contextlib tqdm mlearn_utils __future__"
)
"""Packages whose names in an answer are nothing to look at; of `mlearn_utils` see `_import`."""

PARTS = _words(
    "numpy.linalg numpy.random numpy.fft torch.nn torch.nn.functional torch.nn.init torch.func "
    "torch.autograd torch.autograd.functional torch.linalg torch.special torch.optim torch.distributions "
    "scipy.stats scipy.special scipy.linalg scipy.optimize collections.abc"
)
"""Modules within these that answers use; `sklearn` has only such."""

CHECKERS = _words("exercises mistakes grading lessons answers")
HANDLES = _words("reference solved_source stub_source load_lesson find_exercise EXERCISES")
HANDED_ON = _words("getattr hasattr attrgetter methodcaller")
"""Harmless where they are called with a name that stands there; handed on, they are not."""
OPENERS = _words(
    "eval exec compile open globals locals vars __import__ setattr delattr breakpoint input get_ipython exit "
    "quit memoryview __builtins__ __loader__ __spec__"
)
INSIDES = _words(
    "os sys builtins inspect importlib subprocess ctypes gc modules socket pathlib shutil threading "
    "multiprocessing signal f_back f_locals f_globals f_builtins f_code f_trace tb_frame tb_next gi_frame "
    "gi_code cr_frame ag_frame cell_contents co_consts co_code attrgetter methodcaller ctypeslib fromfile "
    "tofile load loads save savez savez_compressed savetxt loadtxt genfromtxt memmap DataSource hub "
    "cpp_extension overrides library ops register register_hook format_map Formatter exc_info settrace "
    "setprofile runstring rundocs measure get_type_hints ForwardRef evaluate_forward_ref bltns read_pickle "
    "read_array from_file export_chrome_trace load_env_creator make_dataclass course"
)
METHODS = _words(
    "__init__ __call__ __len__ __iter__ __next__ __getitem__ __repr__ __str__ __post_init__ __enter__ "
    "__exit__ __name__ __doc__ __version__ __future__ __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ "
    "__truediv__ __neg__ __pow__ __matmul__ __contains__"
)


@dataclass(frozen=True, order=True)
class Finding:
    """Something in an answer: is it refused, which code cell (from 0), which line of it, and what it is."""

    refused: bool
    cell: int
    line: int
    what: str

    def __str__(self) -> str:
        return f"cell {self.cell + 1}, line {self.line}: {self.what}"


def screen(nodes: Iterable[tuple[ast.stmt, int]], name: str, allowed: Iterable[str] = ()) -> list[Finding]:
    """Return what is to be said of the statements of an answer, in order.

    Args:
        nodes: statements, each with the number of its cell.
        name: of the exercise.
        allowed: names of the course that the exercise itself uses.
    """
    listed = list(nodes)
    imported = {bound for node, _ in listed for bound in _imported(node)}
    everything = [inner for node, _ in listed for inner in ast.walk(node)]
    used = {inner.id for inner in everything if isinstance(inner, ast.Name)}
    used |= {inner.attr for inner in everything if isinstance(inner, ast.Attribute)}
    modules = {bound: whole for node, _ in listed for bound, whole in _modules(node).items()}
    found: set[Finding] = set()
    for node, cell in listed:
        reader = _Reader(cell, name, frozenset(allowed), imported, used | {name, "*"}, modules)
        reader.visit(node)
        found |= reader.found
    return sorted(found, key=lambda finding: (finding.cell, finding.line, finding.what))


def patches(nodes: Iterable[tuple[ast.stmt, int]]) -> list[Finding]:
    """Return where statements that are not run would change what they imported, such as the checker."""
    listed = list(nodes)
    imported = {bound for node, _ in listed for bound in _imported(node)}
    found = []
    for node, cell in listed:
        for inner in ast.walk(node):
            for target in _targets(inner):
                if isinstance(target, ast.Attribute) and _is_foreign(target, imported | {"lesson"}):
                    what = f"changes `{ast.unparse(target)}`; it was not run"
                    found.append(Finding(False, cell, target.lineno, what))
    return found


class _Reader(ast.NodeVisitor):
    def __init__(
        self,
        cell: int,
        name: str,
        allowed: frozenset[str],
        imported: set[str],
        used: set[str],
        modules: dict[str, str],
    ):
        self.found: set[Finding] = set()
        self._cell, self._name, self._allowed = cell, name, allowed
        self._imported, self._used, self._modules = imported, used, modules

    def _tell(self, node: ast.AST, what: str, *, refused: bool = False) -> None:
        self.found.add(Finding(refused, self._cell, getattr(node, "lineno", 1), what))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(node, alias.name, "", alias.asname or alias.name.split(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._import(node, node.module or ".", alias.name, alias.asname or alias.name)

    def _import(self, node: ast.stmt, module: str, name: str, bound: str) -> None:
        parts = [*module.split("."), *([name] if name else [])]
        whole = ".".join(parts)
        is_used = bound in self._used
        if parts[0] == "mlearn_utils" and _of_checker(parts, self._name):
            self._tell(node, f"takes `{whole}` from the course", refused=is_used)
        if not is_used:
            return
        if name == "*":
            self._tell(node, f"imports all names of `{module}`")
        elif parts[0] == "mlearn_utils":
            if len(parts) == 1 or not {whole, parts[-1]} & self._allowed:
                self._tell(node, f"uses `{whole}` of the course: does that do the exercise?")
            return
        elif parts[0] not in USUAL or (whole in sys.modules and not _is_usual_module(whole)):
            self._tell(node, f"imports `{whole}`")
        for part in parts[1:]:
            self._attribute(node, part)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in {"lesson", "course"} and isinstance(node.ctx, ast.Load):
            self._tell(node, f"uses `{node.id}`, which leads to the checker", refused=True)
        elif node.id in OPENERS | HANDED_ON or _is_private(node.id):
            self._tell(node, f"uses `{node.id}`")
        elif node.id in self._modules and isinstance(node.ctx, ast.Load):
            self._tell(node, f"hands on the module `{node.id}`")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._attribute(node, node.attr)
        chain = _chain(node)
        if chain and chain[0] in self._imported and _of_checker(["mlearn_utils", *chain[1:]], ""):
            self._tell(node, f"takes `{'.'.join(chain)}` from the course", refused=True)
        if chain and chain[0] in self._modules:
            module = ".".join([self._modules[chain[0]], *chain[1:]])
            if module in sys.modules and not _is_usual_module(module):
                self._tell(node, f"uses `{module}`")
            elif not isinstance(node.value, ast.Name):
                self.visit(node.value)
        elif not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            self.generic_visit(node)

    def _attribute(self, node: ast.AST, name: str) -> None:
        if name in HANDLES:
            self._tell(node, f"takes `{name}` of the course", refused=True)
        elif re.fullmatch(r"lesson_\d\d", name) or name in CHECKERS - {"answers"}:
            self._tell(node, f"uses `.{name}`, which may lead to the checker")
        elif name in INSIDES | OPENERS or name.startswith("register_") or _is_hidden(node, name):
            self._tell(node, f"uses `.{name}`")
        elif name == "format" and not isinstance(getattr(node, "value", None), ast.Constant):
            self._tell(node, "formats a text that is put together")

    def visit_Call(self, node: ast.Call) -> None:
        if {"assigned", "updated"} & {word.arg for word in node.keywords}:
            self._tell(node, "copies what is inside of a function")
        if isinstance(node.func, ast.Name) and node.func.id in HANDED_ON:
            wanted = node.args[1] if len(node.args) > 1 else None
            if not (isinstance(wanted, ast.Constant) and isinstance(wanted.value, str)):
                self._tell(node, f"uses `{node.func.id}` with a name that is put together")
            else:
                self._attribute(node, wanted.value)
                for part in [*node.args, *node.keywords]:
                    self.visit(part)
                return
        if isinstance(node.func, ast.Name) and node.func.id == "type" and len(node.args) > 1:
            self._tell(node, "makes a class by `type`")
        self.generic_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            self._attribute(node, name)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if (
            isinstance(node.value, str)
            and "{" in node.value
            and any(w in node.value for w in ("__", "_frame", "f_"))
        ):
            self._tell(node, "has a text that looks inside of things when it is formatted")

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring says what it likes
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name.startswith("__") and node.name not in METHODS:
            self._tell(node, f"defines `{node.name}`")
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        for target in _targets(node):
            if isinstance(target, ast.Attribute) and _is_foreign(target, self._imported):
                self._tell(target, f"changes `{ast.unparse(target)}`, which is not its own", refused=True)
            elif isinstance(target, ast.Attribute) and not (_is_own(target) or target.attr in self._allowed):
                self._tell(target, f"changes `{ast.unparse(target)}`")
        super().generic_visit(node)


def _imported(node: ast.stmt) -> set[str]:
    return {
        (alias.asname or alias.name).split(".")[0]
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
        for alias in inner.names
    }


def _modules(node: ast.stmt) -> dict[str, str]:
    """Return the names that a statement binds to modules, each with the module's own name."""
    found = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            for alias in inner.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(inner, ast.ImportFrom) and inner.module:
            for alias in inner.names:
                if f"{inner.module}.{alias.name}" in sys.modules:
                    found[alias.asname or alias.name] = f"{inner.module}.{alias.name}"
    return found


def _is_usual_module(name: str) -> bool:
    return name in USUAL | PARTS or name.split(".")[0] in {"sklearn", "mlearn_utils", "array_api_compat"}


def _is_hidden(node: ast.AST, name: str) -> bool:
    """Return whether a name is not for use from outside; of `self` its own are."""
    of_self = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return name.startswith("_") and name not in METHODS and not (of_self and not name.startswith("__"))


def _is_own(target: ast.Attribute) -> bool:
    """Return whether setting an attribute is usual: one of `self`, or a tensor's."""
    of_self = isinstance(target.value, ast.Name) and target.value.id == "self"
    return of_self or target.attr in {"grad", "data", "requires_grad"}


def _of_checker(parts: list[str], name: str) -> bool:
    """Return whether a dotted name of the course leads to references or checkers, or ends in the exercise."""
    return (
        bool(CHECKERS & set(parts[1:]))
        or bool(HANDLES & set(parts))
        or (parts[1:2] == ["course"] and len(parts) > 2 and parts[-1] == name)
    )


def _targets(node: ast.AST) -> list[ast.expr]:
    """Return what a statement writes to, or deletes; of tuples the parts."""
    if isinstance(node, ast.Assign | ast.Delete):
        wanted = list(node.targets)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor | ast.comprehension):
        wanted = [node.target]
    elif isinstance(node, ast.With | ast.AsyncWith):
        wanted = [item.optional_vars for item in node.items if item.optional_vars]
    else:
        return []
    flat: list[ast.expr] = []
    while wanted:
        target = wanted.pop()
        if isinstance(target, ast.Tuple | ast.List):
            wanted += target.elts
        else:
            flat.append(target.value if isinstance(target, ast.Starred) else target)
    return flat


def _is_foreign(target: ast.Attribute, imported: set[str]) -> bool:
    """Return whether an attribute is one of something imported, or of what a call such as type(x) returns."""
    root: ast.expr = target
    while isinstance(root, ast.Attribute | ast.Subscript):
        root = root.value
    return not isinstance(root, ast.Name) or root.id in imported


def _is_private(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in METHODS


def _chain(node: ast.Attribute) -> list[str]:
    parts, at = [node.attr], node.value
    while isinstance(at, ast.Attribute):
        parts.append(at.attr)
        at = at.value
    return [at.id, *reversed(parts)] if isinstance(at, ast.Name) else []
