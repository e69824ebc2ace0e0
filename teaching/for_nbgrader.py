"""`python3 teaching nbgrader`: lay out a course for nbgrader 0.9.6, where a school has it.

Its source is the student's notebook, stubs and planted bugs and all, with nbgrader's metadata. The cell of an
answer is called by the exercise's name, the cell that checks it "check-" and the name, so that both stay the
same when the lesson is edited. There are no solutions to clear and no hidden tests: `answers_in_nbgrader`
judges as `python3 teaching grade` does. nbgrader itself is not needed here.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from build import ROOT as NOTEBOOKS
from build import BuildError, sources
from cells import compose, find_exercises
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from mlearn_utils.course.grading.exercise import Exercise

CONFIG = '''"""How nbgrader grades this course; written by `python3 teaching nbgrader`."""

import sys

for folder in {folders!r}:
    sys.path.insert(0, folder)

from answers_in_nbgrader import configure

configure(get_config())
'''


def check_source(name: str) -> str:
    """Return the text of the cell that checks an exercise, the same in every lesson."""
    return f"lesson.check({name})"


def facts(exercise: Exercise, *, is_check: bool) -> dict[str, Any]:
    """Return nbgrader's metadata of the cell that answers an exercise, or of the one that checks it."""
    shared = {"schema_version": 3, "solution": not is_check, "grade": is_check, "locked": is_check}
    if is_check:
        return shared | {"grade_id": f"check-{exercise.name}", "points": exercise.points}
    return shared | {"grade_id": exercise.name}


def with_facts(book: NotebookNode, exercises: Sequence[Exercise], source: str) -> NotebookNode:
    """Return the student's notebook of a source, its exercises and checks marked for nbgrader, in place.

    Raises:
        BuildError: if an exercise has not exactly one cell and one check after it.
    """
    for exercise in exercises:
        stub = exercise.stub_source().strip("\n")
        answers = [k for k, cell in enumerate(book.cells) if cell.source == stub]
        checks = [k for k, cell in enumerate(book.cells) if cell.source == check_source(exercise.name)]
        if len(answers) != 1 or len(checks) != 1 or checks < answers:
            raise BuildError(
                f"{source}: exercise {exercise.name!r} needs one cell, and after it one "
                f"{check_source(exercise.name)} in a cell of its own"
            )
        book.cells[answers[0]].metadata["nbgrader"] = facts(exercise, is_check=False)
        book.cells[checks[0]].metadata["nbgrader"] = facts(exercise, is_check=True)
    return book


def mend(book: NotebookNode, exercises: tuple[Exercise, ...], others: set[str]) -> None:
    """Put the metadata of a submission right, in place; no line that a student wrote is lost.

    The last cell that defines an exercise is its answer. The check is a cell as the course has it; a copy or
    a changed one becomes a plain cell, and where none is left, one is added. Tags are dropped.

    Args:
        book: the submission.
        exercises: of the lesson.
        others: names of the cells that a teacher added.
    """
    for cell in reversed(book.cells):
        cell.metadata.pop("tags", None)
        kept = cell.metadata.pop("nbgrader", None)
        name = kept.get("grade_id") if isinstance(kept, dict) else None
        if isinstance(name, str) and name in others:
            others = others - {name}  # of copies the last one counts
            cell.metadata["nbgrader"] = kept
    for exercise in exercises:
        code = [k for k, cell in enumerate(book.cells) if cell.cell_type == "code"]
        checks = [k for k in code if book.cells[k].source.strip() == check_source(exercise.name)]
        answers = [k for k in code if f"def {exercise.name}(" in book.cells[k].source]
        if answers and "nbgrader" not in book.cells[answers[-1]].metadata:
            book.cells[answers[-1]].metadata["nbgrader"] = facts(exercise, is_check=False)
        if not checks:
            checks = [answers[-1] + 1 if answers else len(book.cells)]
            added = new_code_cell(check_source(exercise.name))
            if book.nbformat_minor < 5:  # a format whose cells have no id
                del added["id"]
            book.cells.insert(checks[0], added)
        book.cells[checks[-1]].metadata["nbgrader"] = facts(exercise, is_check=True)


def source_notebook(source: Path) -> NotebookNode:
    """Return the notebook that nbgrader hands out for a lesson's source."""
    exercises = find_exercises(source)
    book = compose(source, exercises, solved=False)
    return with_facts(book, list(exercises.values()), source.name)  # type: ignore[arg-type]


def lay_out(out: Path, lessons: list[str]) -> list[str]:
    """Write a course's folder; return a sentence for every file. A notebook that a teacher changed is kept.

    Raises:
        BuildError: if there is no such lesson.
    """
    books = {path.stem: source_notebook(path) for path in sources(NOTEBOOKS, lessons) if find_exercises(path)}
    if not books:
        raise BuildError(f"there is nothing to grade in {' '.join(lessons)}: no exercises")
    said = []
    for name, book in books.items():
        text = nbformat.writes(book, version=nbformat.NO_CONVERT) + "\n"
        said.append(_write(out / "source" / name / f"{name}.ipynb", text))
    folders = [str(NOTEBOOKS.parent), str(NOTEBOOKS), str(Path(__file__).resolve().parent)]
    config = out / "nbgrader_config.py"
    is_ours = not config.exists() or config.read_bytes().startswith(CONFIG[:40].encode())
    if not is_ours:
        said.append(f"kept     {config}, which is not ours; without ours nbgrader's own holes are open")
    else:
        config.write_text(CONFIG.format(folders=folders), encoding="utf-8")
        said.append(f"wrote    {config}")
    return said


def _write(path: Path, text: str) -> str:
    if path.exists() and path.read_bytes() != text.encode():
        return f"kept     {path}, which is not as the course has it; remove it to have it written anew"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return f"wrote    {path}"


def main(options: argparse.Namespace) -> int:
    """Lay out the course and say how to go on."""
    out = options.out.resolve()
    try:
        print("\n".join(lay_out(out, options.lessons)))
    except BuildError as error:
        sys.exit(f"nbgrader: {error}")
    print(f"Go on in {out}, with nbgrader installed: docs/teaching/nbgrader.md says how.")
    return 0
