"""What a figure of a notebook shows, in words: its alt text, taken from the code that draws it.

A comment `# alt: ...` in the cell is the alt text. Without one it is put together from what the cell says
anyway: the first sentence of the function that draws, titles, labels of the axes and of the legend.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence

from links import SiteError

ALT = re.compile(r"^\s*# alt: (.+)$", re.MULTILINE)
TITLES = ("title", "suptitle", "set_title")
CANVAS = ("figure", "fig", "ax", "axes")
"""What the first parameter of a function that draws is called."""

AXES = {"xlabel": "horizontal axis", "ylabel": "vertical axis"}


def alt_text(cell: str, modules: Mapping[str, str]) -> str:
    """Return the alt text of the figure that `cell` draws.

    Args:
        cell: its source.
        modules: the notebook's names of imported modules -> their full names.

    Raises:
        SiteError: if the cell says nothing about its figure.
    """
    written = ALT.findall(cell)
    if written:
        return " ".join(written)
    calls = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
    found = [text for call in calls if (text := _says(call, modules))]
    found += _said(calls, TITLES)
    found += [f"{AXES[name]}: {text}" for name in AXES for text in _said(calls, (name, f"set_{name}"))]
    shown = _said(calls, ("label",))
    found += [f"shown: {'; '.join(shown)}"] if shown else []
    if not found:
        raise SiteError("a figure without alt text: add a line `# alt: what it shows` to the cell")
    sentences = (text[0].upper() + text[1:].rstrip(".") for text in dict.fromkeys(found))
    return f"Figure. {'. '.join(sentences)}."


def imported_modules(cells: Iterable[str]) -> dict[str, str]:
    """Return the names under which the cells import modules or their members -> their full names."""
    found = {}
    for cell in cells:
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _says(call: ast.Call, modules: Mapping[str, str]) -> str:
    """Return the first sentence of a drawing function of the course, "" for any other call."""
    path = ast.unparse(call.func).split(".")
    full = modules.get(path[0], "")
    if not full.startswith("mlearn_utils.course.lesson_"):
        return ""
    *parents, name = [*full.split("."), *path[1:]]
    try:
        function = getattr(importlib.import_module(".".join(parents)), name)
    except (ImportError, AttributeError):
        return ""
    if (
        not inspect.isfunction(function)
        or next(iter(inspect.signature(function).parameters), "") not in CANVAS
    ):
        return ""
    first = (inspect.getdoc(function) or "").split("\n")[0]
    match = re.match(r"(?:Draw|Show|Plot|(?=Point at)) ?(.+)", first)
    return match[1].replace("`", "") if match else ""


def _said(calls: Sequence[ast.Call], names: Sequence[str]) -> list[str]:
    """Return the texts that are given under one of `names`, or as first argument of a method called so."""
    found = []
    for call in calls:
        given = [keyword.value for keyword in call.keywords if keyword.arg in names]
        if isinstance(call.func, ast.Attribute) and call.func.attr in names:
            given += call.args[:1]
        found += [text for value in given if (text := _text(value))]
    return list(dict.fromkeys(found))


def _text(node: ast.expr) -> str:
    """Return a text of the source without what is filled in when it runs; "" if there is nothing else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("\n", " ").strip("_ ")
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
        text = "".join(map(str, parts))
        return text if re.search(r"\w{2}|\w =", re.sub(r"\bto\b", "", text)) else ""
    return ""
