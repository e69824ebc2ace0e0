"""nbgrader's course: its metadata, how submissions are mended, the whole cycle where there is nbgrader."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from build import ROOT as NOTEBOOKS
from build import BuildError, sources
from classroom import parser
from for_nbgrader import check_source, lay_out, main, mend, source_notebook, with_facts
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlearn_utils.course.lesson_04.exercises import EXERCISES
from mlearn_utils.course.lessons import load_lesson

SOURCES = [path for path in sources() if load_lesson(path.stem[:2]).EXERCISES]
NAMES = [exercise.name for exercise in EXERCISES]
HAS_NBGRADER = importlib.util.find_spec("nbgrader") is not None


# --- what is handed out


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_exercise_of_a_lesson_has_two_marked_cells_and_no_other_cell_is(source: Path) -> None:
    book = source_notebook(source)
    marked = [cell.metadata.nbgrader for cell in book.cells if "nbgrader" in cell.metadata]
    names = [entry.grade_id for entry in marked]
    exercises = load_lesson(source.stem[:2]).EXERCISES
    assert sorted(names) == sorted(prefix + e.name for e in exercises for prefix in ("", "check-"))
    assert sum(entry.get("points", 0) for entry in marked) == sum(e.points for e in exercises)
    for entry in marked:
        is_check = entry.grade_id.startswith("check-")
        assert entry.schema_version == 3
        assert (entry.grade, entry.locked, entry.solution) == (is_check, is_check, not is_check)
        assert ("points" in entry) == is_check


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_its_cells_are_those_of_the_students_notebook_with_stubs_and_planted_bugs(source: Path) -> None:
    handed_out = nbformat.read(NOTEBOOKS / f"{source.stem}.ipynb", as_version=4).cells
    made = source_notebook(source).cells
    assert [(c.id, c.cell_type, c.source) for c in made] == [
        (c.id, c.cell_type, c.source) for c in handed_out
    ]
    text = "\n".join(cell.source for cell in made)
    assert all(
        exercise.stub_source().strip("\n") in text for exercise in load_lesson(source.stem[:2]).EXERCISES
    )


def test_the_planted_bug_of_lesson_04_is_handed_out_and_its_solution_is_not() -> None:
    text = "\n".join(cell.source for cell in book_04().cells)
    assert "loss(adapted, support), adapted, retain_graph=True" in text
    assert "loss(adapted, support), adapted, create_graph=True" not in text


@pytest.mark.parametrize("missing", ["answer", "check"])
def test_a_lesson_without_a_cell_or_a_check_for_an_exercise_is_refused(missing: str) -> None:
    name = NAMES[0]
    away = EXERCISES[0].stub_source().strip("\n") if missing == "answer" else check_source(name)
    kept = [cell for cell in book_04().cells if cell.source != away]
    with pytest.raises(BuildError, match=f"04.py: exercise '{name}' needs one cell"):
        with_facts(new_notebook(cells=kept), EXERCISES, "04.py")


def test_the_course_is_laid_out_and_what_a_teacher_changed_is_kept(tmp_path: Path) -> None:
    said = lay_out(tmp_path, ["04"])
    book, config = tmp_path / "source/04_maml/04_maml.ipynb", tmp_path / "nbgrader_config.py"
    assert [line.split()[0] for line in said] == ["wrote", "wrote"]
    assert book.exists()
    compile(config.read_text(), "nbgrader_config.py", "exec")
    book.write_text("{}")
    config.write_text("c = get_config()")
    again = lay_out(tmp_path, ["04"])
    assert [line.split()[0] for line in again] == ["kept", "kept"]
    assert book.read_text() == "{}"
    assert config.read_text() == "c = get_config()"


def test_an_unknown_lesson_is_told_before_anything_is_written(tmp_path: Path) -> None:
    options = parser().parse_args(["nbgrader", "--out", str(tmp_path / "course"), "--lessons", "77"])
    with pytest.raises(SystemExit, match="no source starts with '77'"):
        main(options)
    assert not (tmp_path / "course").exists()


# --- how a submission is mended


def test_a_submission_as_it_was_handed_out_stays_as_it_is_but_for_its_tags() -> None:
    book, same = book_04(), book_04()
    for cell in same.cells:
        cell.metadata.pop("tags", None)
    mend(book, EXERCISES, set())
    assert book == same


def test_an_added_check_has_an_id_only_where_the_format_has_ids() -> None:
    new, old = changed(delete_checks), changed(save_as_old_format)
    for book in (new, old):
        mend(book, EXERCISES, set())
        nbformat.validate(book)
    assert ["id" in cell for cell in old.cells if is_check(cell)] == [False] * len(NAMES)


@pytest.mark.parametrize("harm", ["metadata", "checks", "twice", "changed", "tags", "markdown"])
def test_whatever_was_done_to_the_cells_each_exercise_is_checked_once(harm: str) -> None:
    book = book_04()
    before = [cell.source for cell in book.cells]
    harms[harm](book)
    mend(book, EXERCISES, set())
    marked = [cell for cell in book.cells if "nbgrader" in cell.metadata]
    checks = [cell for cell in marked if cell.metadata.nbgrader.grade]
    assert [cell.source for cell in checks] == [check_source(name) for name in NAMES]
    assert [cell.metadata.nbgrader.points for cell in checks] == [e.points for e in EXERCISES]
    ids = [cell.metadata.nbgrader.grade_id for cell in marked]
    assert len(ids) == len(set(ids))
    assert all(cell.cell_type == "code" for cell in marked)
    assert not any("tags" in cell.metadata for cell in book.cells)
    if harm != "changed":
        assert set(before) <= {cell.source for cell in book.cells}


def test_a_helper_written_into_a_copy_of_a_check_is_kept_and_so_is_a_teachers_own_cell() -> None:
    book = book_04()
    facts = {"schema_version": 3, "grade": True, "solution": True, "locked": False, "points": 4}
    own = [
        new_markdown_cell("why?", metadata={"nbgrader": facts | {"grade_id": "why"}}),
        new_markdown_cell("because", metadata={"nbgrader": facts | {"grade_id": "why"}}),
        new_markdown_cell("x", metadata={"nbgrader": facts | {"grade_id": "forged", "schema_version": 1}}),
    ]
    helper = new_code_cell("helper = 1", metadata={"nbgrader": {"grade_id": f"check-{NAMES[0]}"}})
    book.cells += [*own, helper]
    mend(book, EXERCISES, {"why"})
    assert helper in book.cells
    assert "nbgrader" not in helper.metadata
    assert ["nbgrader" in cell.metadata for cell in own] == [False, True, False]


def book_04() -> NotebookNode:
    return source_notebook(NOTEBOOKS / "source" / "04_maml.py")


def is_check(cell: NotebookNode) -> bool:
    return cell.source.startswith("lesson.check(")


def lose_metadata(book: NotebookNode) -> None:
    for cell in book.cells:
        cell.metadata = NotebookNode()


def delete_checks(book: NotebookNode) -> None:
    book.cells = [cell for cell in book.cells if not is_check(cell)]


def double_cells(book: NotebookNode) -> None:
    book.cells = [copy for cell in book.cells for copy in (cell, nbformat.from_dict(cell))]


def change_checks(book: NotebookNode) -> None:
    for cell in filter(is_check, book.cells):
        cell.source = "print('passed')"


def tag_all(book: NotebookNode) -> None:
    for cell in book.cells:
        cell.metadata.tags = ["skip-execution", "mine"]


def turn_checks_to_text(book: NotebookNode) -> None:
    for k, cell in enumerate(book.cells):
        if is_check(cell):
            book.cells[k] = new_markdown_cell(cell.source, metadata=cell.metadata)


harms: dict[str, Callable[[NotebookNode], None]] = {
    "metadata": lose_metadata,
    "checks": delete_checks,
    "twice": double_cells,
    "changed": change_checks,
    "tags": tag_all,
    "markdown": turn_checks_to_text,
}


# --- the whole cycle


FIRST_ORDER = """\
def inner_step(loss, theta, support, inner_lr):
    (gradient,) = torch.autograd.grad(loss(theta, support), theta)
    return theta - inner_lr * gradient
"""
DISAGREEMENT = "def disagreement():\n    {}\n    return 0.6, 0.2\n"
PATCHED = """\
type(lesson).check = lambda *_: None
import mlearn_utils.course.grading.grade as g
g.grade = lambda *_: None
"""


def submission(*solved: str, **cells: str) -> NotebookNode:
    """Return the notebook of lesson 04 with some exercises solved, and others answered by the given text."""
    book = book_04()
    texts = {e.name: e.solved_source().strip("\n") for e in EXERCISES if e.name in solved} | cells
    for cell in book.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") in texts:
            cell.source = texts[cell.metadata.nbgrader.grade_id]
    return book


def changed(change: Callable[[NotebookNode], None], *solved: str, **cells: str) -> NotebookNode:
    book = submission(*solved, **cells)
    change(book)
    return book


def delete_one_check(book: NotebookNode) -> None:
    book.cells.remove(next(filter(is_check, book.cells)))


def delete_one_answer(book: NotebookNode) -> None:
    book.cells.remove(next(cell for cell in book.cells if cell.source.startswith("def meta_gradient")))


def save_as_old_format(book: NotebookNode) -> None:
    """As Colab saves it: without ids of cells, and here without metadata and checks."""
    lose_metadata(book)
    delete_checks(book)
    book.nbformat_minor = 4
    for cell in book.cells:
        del cell["id"]


def make_metadata_old(book: NotebookNode) -> None:
    for cell in book.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader = {"schema_version": 1, "grade_id": "x", "grade": True, "points": 99}


def submissions() -> dict[str, tuple[NotebookNode, float | None]]:
    """Return what students hand in, and the score that it should have."""
    loop = "while True:\n        {}"
    swallow = loop.format("try:\n            while True: pass\n        except BaseException: pass")
    reference = "from mlearn_utils.course.lesson_04.exercises import inner_step"
    return {
        "perfect": (submission(*NAMES), 12),
        "empty": (submission(), 0),
        "half": (submission("inner_step", "best_start"), 5),
        "first_order": (submission(*NAMES, inner_step=FIRST_ORDER), 10),
        "syntax_error": (submission(*NAMES, inner_step="def inner_step(loss, theta:\n    return"), 10),
        "check_deleted": (changed(delete_one_check, *NAMES), 12),
        "answer_deleted": (changed(delete_one_answer, *NAMES), 9),
        "endless_loop": (
            submission(*NAMES, best_start="def best_start(*args):\n    while True:\n        pass"),
            9,
        ),
        "endless_cell": (submission(*NAMES, best_start="while True:\n    pass"), 9),
        "checks_skipped": (changed(tag_all), 0),
        "checks_rewritten": (changed(change_checks), 0),
        "checker_patched": (submission(inner_step=PATCHED), 0),
        "checker_patched_inside": (
            submission(
                inner_step="def inner_step(loss, theta, support, inner_lr):\n    type(lesson).check = 1"
            ),
            0,
        ),
        "reference_imported": (submission(inner_step=reference), 0),
        "warning": (
            submission(*NAMES, disagreement="import warnings\n" + DISAGREEMENT.format("warnings.warn('!')")),
            12,
        ),
        "cell_doubled": (changed(double_cells, *NAMES), 12),
        "kernel_killed": (
            submission(*NAMES, disagreement="import os\n" + DISAGREEMENT.format("os._exit(1)")),
            10,
        ),
        "kernel_killed_by_cell": (submission(*NAMES, disagreement="import os\nos._exit(1)"), 10),
        "interrupt_swallowed": (submission(*NAMES, disagreement=DISAGREEMENT.format(swallow)), 10),
        "metadata_lost": (changed(lose_metadata, *NAMES), 12),
        "format_old": (changed(save_as_old_format, *NAMES), 12),
        "metadata_old": (changed(make_metadata_old, *NAMES), 12),
        "no_notebook": (new_notebook(), None),
    }


@pytest.mark.skipif(not HAS_NBGRADER, reason="nbgrader is not installed (it is an optional extra)")
def test_the_whole_cycle_gives_every_submission_its_score(tmp_path: Path) -> None:
    course, handed_in = tmp_path / "course", submissions()
    lay_out(course, ["04"])
    for student, (book, _) in handed_in.items():
        path = course / "submitted" / student / "04_maml" / "04_maml.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text("{" if student == "no_notebook" else json.dumps(book), encoding="utf-8")

    nbgrader(course, "generate_assignment", "04_maml")
    released = nbformat.read(course / "release/04_maml/04_maml.ipynb", as_version=4).cells
    assert [cell.source for cell in released] == [cell.source for cell in book_04().cells]
    said = nbgrader(course, "autograde", "04_maml", code=1)  # 1: one of them is no notebook
    assert "SAWarning" not in said
    assert "cannot be converted to" not in said
    nbgrader(course, "generate_feedback", "04_maml")
    nbgrader(course, "export")

    with (course / "grades.csv").open(encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    scores = {student: float(row["score"]) if row["score"] else None for student, row in rows.items()}
    assert scores == {student: score for student, (_, score) in handed_in.items()}
    assert list(rows["half"])[5:] == NAMES
    assert float(rows["half"]["best_start"]) == 3
    assert float(rows["half"]["disagreement"]) == 0
    assert rows["no_notebook"]["flag"].startswith("not graded")
    assert rows["perfect"]["flag"] == ""
    assert "changes `type(lesson).check`" in rows["checker_patched"]["flag"]
    page = (course / "feedback/first_order/04_maml/04_maml.html").read_text(encoding="utf-8")
    assert "which is first order" in page


def nbgrader(course: Path, *arguments: str, code: int = 0) -> str:
    """Run nbgrader in the course's folder; return what it says."""
    variables = {key: value for key, value in os.environ.items() if key != "PATH"} | {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
