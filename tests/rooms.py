"""Which room of the package imports what: the facts behind the architecture test.

tasks <- rl <- meta <- course                                       the rooms of the package
grading, figures <- widgets <- lesson_NN <- lessons, __init__       the layers inside `course`
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "mlearn_utils"
ROOMS = ("tasks", "rl", "meta", "course")
PAGE_ONLY = {"ipywidgets", "IPython", "matplotlib", "anywidget", "PIL", "traitlets"}
LAYERS = {"grading": {"grading"}, "figures": {"figures"}, "widgets": {"grading", "figures", "widgets"}}
LESSON = re.compile(r"lesson_\d\d")


def wrong_imports(package: Path) -> list[str]:
    """Return every import below the folder `package` that goes against the direction of rooms or layers.

    A room imports from itself and from rooms on its left; `runtime` and the package itself belong to no room,
    `runtime` imports from none, and the package's own `__init__` from all but the course. Only the course may
    import what draws or needs Jupyter. Inside the course a lesson imports layers and itself, never another
    lesson; `lessons` finds the lessons by name and imports none.
    """
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        allowed = _allowed(parts)
        for line, name in imports(path, package):
            top, *rest = name.split(".")
            if top in PAGE_ONLY and "course" not in allowed:
                found.append(f"{'/'.join(parts)}:{line} imports {top}")
            if top == PACKAGE and not _follows(parts, [*rest, "", ""], allowed):
                found.append(f"{'/'.join(parts)}:{line} imports {name}")
    return found


def imports(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything that the file at `path` imports, wherever in it."""
    here = [package.name, *path.relative_to(package).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def _allowed(parts: tuple[str, ...]) -> tuple[str, ...]:
    if parts[0] in ROOMS:
        return ROOMS[: ROOMS.index(parts[0]) + 1]
    return ROOMS[:-1] if parts == ("__init__.py",) else ()


def _follows(parts: tuple[str, ...], imported: list[str], allowed: tuple[str, ...]) -> bool:
    """Return whether the file at `parts` may import `mlearn_utils.{imported}`."""
    if parts[0] != "course":
        return imported[0] in (*allowed, "runtime")
    if imported[0] != "course":
        return True
    layer = parts[1]
    if LESSON.fullmatch(layer):
        return imported[1] in {*LAYERS["widgets"], layer}
    return imported[1] in LAYERS[layer] if layer in LAYERS else not LESSON.fullmatch(imported[1])
