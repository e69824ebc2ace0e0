"""Which room of the package imports what: the facts behind the architecture test."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "mlearn_utils"
ROOMS = ("tasks", "rl", "meta", "course")
PAGE_ONLY = {"ipywidgets", "IPython", "matplotlib", "anywidget", "PIL", "traitlets"}


def wrong_imports(package: Path) -> list[str]:
    """Return every import below the folder `package` that goes against the direction of the rooms.

    A room imports from itself and from rooms on its left; `runtime` and the package itself belong to no room,
    `runtime` imports from none, and the package's own `__init__` from all but the course. Only the course may
    import what draws or needs Jupyter.
    """
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        allowed = _allowed(parts)
        for line, name in imports(path, package):
            top, *rest = name.split(".")
            if top in PAGE_ONLY and "course" not in allowed:
                found.append(f"{'/'.join(parts)}:{line} imports {top}")
            if top == PACKAGE and "course" not in allowed and [*rest, ""][0] not in (*allowed, "runtime"):
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
