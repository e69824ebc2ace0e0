"""From one authored source to the cells of a notebook, without running anything.

A source is `notebooks/source/NN_name.py` in jupytext's percent format. Its exercise cells are empty:

    # %% exercise="inner_step"

Their text stands once, in `mlearn_utils/course/lesson_NN/exercises.py`; the student's notebook gets the stub,
the solved notebook the solution. Everything here is a pure function of those two files, so two builds agree.
"""

import ast
import hashlib
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import jupytext
import nbformat
from nbformat import NotebookNode

NAME = re.compile(r"\d\d_[a-z0-9_]+")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class BuildError(Exception):
    """A source or its notebook is not as it must be; the message names the file and the cell."""


class ExerciseText(Protocol):
    """What the builder needs of an exercise: the two texts of its cell."""

    def stub_source(self) -> str:
        """Return what the student starts from."""
        ...

    def solved_source(self) -> str:
        """Return the solution."""
        ...


def find_exercises(source: Path) -> dict[str, ExerciseText]:
    """Return the exercises of the lesson that `source` (`NN_name.py`) belongs to, by the function's name.

    A lesson without `mlearn_utils/course/lesson_NN/exercises.py` has none.
    """
    module = f"mlearn_utils.course.lesson_{source.stem[:2]}.exercises"
    try:
        lesson = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        return {}
    return {exercise.reference.__name__: exercise for exercise in lesson.EXERCISES}


def compose(source: Path, exercises: Mapping[str, ExerciseText], *, solved: bool) -> NotebookNode:
    """Return the notebook that `source` describes, not yet executed.

    Args:
        source: an authored file in percent format.
        exercises: the lesson's exercises by name; each must have exactly one cell.
        solved: fill the exercise cells with solutions instead of stubs.

    Raises:
        BuildError: for a badly named file, a cell that does not parse, an exercise that is unknown,
            missing or used twice, or an exercise cell with a body of its own.
    """
    if not NAME.fullmatch(source.stem):
        raise BuildError(f"{source.name}: a source is called NN_name.py, in lower case")
    authored = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
    _check_exercises(source, [cell.metadata.get("exercise") for cell in authored], exercises)
    cells = [_cell(source, i, cell, exercises, solved) for i, cell in enumerate(authored)]
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA, nbformat_minor=5)


def _check_exercises(source: Path, used: list[str | None], exercises: Mapping[str, ExerciseText]) -> None:
    names = [name for name in used if name is not None]
    for name in names:
        if name not in exercises:
            known = ", ".join(exercises) or "none"
            raise BuildError(
                f"{source.name}: cell {used.index(name)}: unknown exercise {name!r} (known: {known})"
            )
        if names.count(name) > 1:
            raise BuildError(f"{source.name}: exercise {name!r} has {names.count(name)} cells, expected one")
    unused = [name for name in exercises if name not in names]
    if unused:
        raise BuildError(f"{source.name}: no cell for exercise {', '.join(map(repr, unused))}")


def _cell(
    source: Path, index: int, authored: NotebookNode, exercises: Mapping[str, ExerciseText], solved: bool
) -> NotebookNode:
    where = f"{source.name}: cell {index}"
    text, name = authored.source.strip("\n"), authored.metadata.get("exercise")
    # The identity comes from what the author wrote, so a cell has the same one in both notebooks.
    identity = f"{index:02d}-{hashlib.sha256((name or text).encode()).hexdigest()[:8]}"
    if name is not None:
        if text.strip():
            raise BuildError(f"{where}: exercise {name!r} is filled in by the builder; leave the cell empty")
        text = (exercises[name].solved_source() if solved else exercises[name].stub_source()).strip("\n")
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}.get(
        authored.cell_type
    )
    if make is None:
        raise BuildError(f"{where}: a {authored.cell_type} cell; only code and markdown are used here")
    if authored.cell_type == "code":
        _check_code(where, text)
    kept = {key: value for key, value in authored.metadata.items() if key in {"tags", "nbgrader"}}
    return make(source=text, id=identity, metadata=kept)


def _check_code(where: str, text: str) -> None:
    if not text.strip():
        raise BuildError(f"{where}: an empty code cell")
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise BuildError(f"{where}: line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
