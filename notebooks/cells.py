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
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import jupytext
import nbformat
from nbformat import NotebookNode

NAME = re.compile(r"\d\d_[a-z0-9_]+")
TAGS = {"nbval-ignore-output", "raises-exception", "slide-skip", "slide-hide-input"}
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

    Raises:
        BuildError: if that module cannot be imported or has no EXERCISES; the message has its file and line.
    """
    module = f"mlearn_utils.course.lesson_{source.stem[:2]}.exercises"
    file = f"{module.replace('.', '/')}.py"
    try:
        lesson = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            return {}
        raise BuildError(f"{_guilty_line(error, file)}: {error}") from None
    except Exception as error:
        raise BuildError(f"{_guilty_line(error, file)}: {type(error).__name__}: {error}") from None
    if not hasattr(lesson, "EXERCISES"):
        raise BuildError(f"{file}: no EXERCISES, the tuple of the lesson's exercises")
    return {exercise.reference.__name__: exercise for exercise in lesson.EXERCISES}


def _guilty_line(error: Exception, file: str) -> str:
    """Return the file and line of the lesson in which an import failed; `file`, if it is in none of its."""
    folder = f"/{file.rpartition('/')[0]}/"
    found = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        found.append((error.filename or "", error.lineno))
    lines = [(Path(path).name, line) for path, line in found if folder in Path(path).as_posix()]
    return f"{folder[1:]}{lines[-1][0]}:{lines[-1][1]}" if lines else file


def read_source(source: Path) -> str:
    """Return the text of a source.

    Raises:
        BuildError: if it is not UTF-8, or begins with a byte-order mark.
    """
    raw = source.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BuildError(f"{source.name}:{line}: not UTF-8; save the file in that encoding") from None
    if text.startswith("\ufeff"):
        raise BuildError(f"{source.name}:1: begins with a byte-order mark; save it as UTF-8 without one")
    return text.replace("\r\n", "\n")


def place(source: Path, index: int) -> str:
    """Return "cell 6 (line 40, under '1. A line')": where an author finds a cell of a source."""
    lines = read_source(source).splitlines()
    starts = [number for number, line in enumerate(lines, 1) if re.match(r"# %%( |$)", line)]
    if index >= len(starts):
        return f"cell {index}"
    headings = (re.match(r"# #+ (.+)", line) for line in lines[: starts[index] + 1])
    under = [heading[1] for heading in headings if heading]
    return f"cell {index} (line {starts[index]}{f', under {under[-1]!r}' if under else ''})"


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
    authored = jupytext.reads(read_source(source), fmt="py:percent").cells
    _check_exercises(source, [cell.metadata.get("exercise") for cell in authored], exercises)
    cells = [_cell(source, i, cell, exercises, solved) for i, cell in enumerate(authored)]
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA, nbformat_minor=5)


def _check_exercises(source: Path, used: list[str | None], exercises: Mapping[str, ExerciseText]) -> None:
    names = [name for name in used if name is not None]
    for name in names:
        if name not in exercises:
            where = f"mlearn_utils/course/lesson_{source.stem[:2]}/exercises.py"
            known = ", ".join(exercises) or f"none; they would stand in {where}"
            cell = place(source, used.index(name))
            raise BuildError(f"{source.name}: {cell}: unknown exercise {name!r} (known: {known})")
        if names.count(name) > 1:
            raise BuildError(f"{source.name}: exercise {name!r} has {names.count(name)} cells, expected one")
    unused = [name for name in exercises if name not in names]
    if unused:
        raise BuildError(
            f"{source.name}: no cell for exercise {', '.join(map(repr, unused))}; "
            f'put one where it belongs: # %% exercise="{unused[0]}"'
        )


def _cell(
    source: Path, index: int, authored: NotebookNode, exercises: Mapping[str, ExerciseText], solved: bool
) -> NotebookNode:
    where = f"{source.name}: {place(source, index)}"
    text, name = authored.source.strip("\n"), authored.metadata.get("exercise")
    # The identity comes from what the author wrote, so a cell has the same one in both notebooks.
    identity = f"{index:02d}-{hashlib.sha256((name or text).encode()).hexdigest()[:8]}"
    if name is not None:
        if text.strip():
            raise BuildError(f"{where}: exercise {name!r} is filled in by the builder; leave the cell empty")
        try:
            made = exercises[name].solved_source() if solved else exercises[name].stub_source()
        except ValueError as error:
            raise BuildError(f"{where}: exercise {name!r} in exercises.py: {error}") from None
        text = made.strip("\n")
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}.get(
        authored.cell_type
    )
    if make is None:
        raise BuildError(f"{where}: a {authored.cell_type} cell; only code and markdown are used here")
    if authored.cell_type == "code":
        half = "solution" if solved else "stub"
        _check_code(where if name is None else f"{where}: the {half} of exercise {name!r}", text)
    unknown = set(authored.metadata.get("tags", [])) - TAGS
    if unknown:
        raise BuildError(f"{where}: unknown tag {min(unknown)!r} (known: {', '.join(sorted(TAGS))})")
    kept = {key: value for key, value in authored.metadata.items() if key in {"tags", "nbgrader"}}
    return make(source=text, id=identity, metadata=kept)


def _check_code(where: str, text: str) -> None:
    if not text.strip():
        raise BuildError(f"{where}: an empty code cell")
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise BuildError(f"{where}: line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
