"""A student's copies of the lessons: made once, never written over, offered what is new."""

import ast
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import working_copies

from mlearn_utils.course.widgets.course_map import CourseMap, Stop

ROOT = Path(__file__).resolve().parent.parent.parent

Cells = list[tuple[str, str]]
FIRST: Cells = [
    ("markdown", "# 04 · MAML: the objective\nof which"),
    ("markdown", "## 1 · The step\nA step."),
    ("code", "# your turn"),
    ("markdown", "## 2 · The gradient\nA gradient."),
    ("code", "second = 2"),
]
NEXT: Cells = [*FIRST[:4], ("code", "second = 3"), ("code", "third = 4")]


def write_lesson(root: Path, cells: Cells, stem: str = "04_maml") -> None:
    """Write a lesson of the course, as a newer version would."""
    path = root / "notebooks" / f"{stem}.ipynb"
    path.parent.mkdir(exist_ok=True)
    book = [{"cell_type": kind, "metadata": {}, "source": source.splitlines(True)} for kind, source in cells]
    path.write_text(json.dumps({"cells": book, "nbformat": 4}), encoding="utf-8")


def names(root: Path) -> list[str]:
    """Return what the file browser would show."""
    return sorted(path.name for path in (root / "my_course").iterdir() if not path.name.startswith("."))


def sources(path: Path) -> list[str]:
    """Return the text of each cell of a notebook."""
    return ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout with one lesson, copied."""
    write_lesson(tmp_path, FIRST)
    assert working_copies.update(tmp_path) == []
    return tmp_path


def write_into(path: Path) -> bytes:
    """Write an answer into a copy; return what it holds then."""
    path.write_text(path.read_text(encoding="utf-8").replace("your turn", "answer = 42"), encoding="utf-8")
    return path.read_bytes()


def test_a_lesson_is_copied_once_under_its_title(root: Path) -> None:
    copy = root / "my_course" / "04 MAML.ipynb"

    assert names(root) == ["04 MAML.ipynb"]
    assert copy.read_bytes() == (root / "notebooks" / "04_maml.ipynb").read_bytes()
    mine = write_into(copy)
    assert working_copies.update(root) == []
    assert copy.read_bytes() == mine


def test_a_changed_lesson_is_laid_beside_an_answer_with_what_changed(root: Path) -> None:
    copy = root / "my_course" / "04 MAML.ipynb"
    mine = write_into(copy)
    write_lesson(root, NEXT)
    told = working_copies.update(root)

    assert copy.read_bytes() == mine
    (offered,) = set(names(root)) - {copy.name}
    assert offered.startswith("04 MAML (new on ")
    assert told == [
        f"04 MAML has changed; yours stays, the new one is beside it: {offered}",
        "    2 · The gradient: 2 cells",
    ]
    first, *rest = sources(copy.with_name(offered))
    assert "2 · The gradient: 2 cells" in first
    assert rest == [source for _, source in NEXT]
    assert working_copies.update(root) == [], "it is offered once"

    copy.with_name(offered).unlink()
    assert working_copies.update(root) == [], "also when the student has thrown it away"


def test_a_new_title_gives_no_second_copy(root: Path) -> None:
    mine = write_into(root / "my_course" / "04 MAML.ipynb")
    write_lesson(root, [("markdown", "# 04 · Learning to learn"), *FIRST[1:]])
    told = working_copies.update(root)

    assert (root / "my_course" / "04 MAML.ipynb").read_bytes() == mine
    assert told[1:] == ["    04 · Learning to learn: 1 cell"]
    assert len(names(root)) == 2
    assert working_copies.set_back(root, "04").startswith("04 MAML is fresh; yours is kept as: ")


def test_two_updates_on_one_day_get_two_names(root: Path) -> None:
    write_into(root / "my_course" / "04 MAML.ipynb")
    for cells in (NEXT, NEXT[:-1]):
        write_lesson(root, cells)
        working_copies.update(root)

    assert len(names(root)) == 3


def test_a_lesson_that_was_not_begun_follows_the_course(root: Path) -> None:
    write_lesson(root, NEXT)
    told = working_copies.update(root)

    assert told == ["04 MAML: the new version of the course, in place of one that you had not begun"]
    assert names(root) == ["04 MAML.ipynb"]
    assert sources(root / "my_course" / "04 MAML.ipynb") == [source for _, source in NEXT]


def test_what_only_prints_otherwise_is_not_offered(root: Path) -> None:
    mine = write_into(root / "my_course" / "04 MAML.ipynb")
    path = root / "notebooks" / "04_maml.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace('"nbformat": 4', '"nbformat": 4, "x": 1'))

    assert working_copies.update(root) == []
    assert (root / "my_course" / "04 MAML.ipynb").read_bytes() == mine


def test_a_new_lesson_and_one_that_was_thrown_away_are_copied(root: Path) -> None:
    (root / "my_course" / "04 MAML.ipynb").unlink()
    write_lesson(root, [("markdown", '# 09 · "What" is/it for?')], "09_what_for")
    working_copies.update(root)

    assert names(root) == ["04 MAML.ipynb", "09 What isit for.ipynb"]


@pytest.mark.parametrize("lost", ["*.json", "*.ipynb"])
def test_answers_are_safe_also_when_it_is_not_known_where_they_came_from(root: Path, lost: str) -> None:
    mine = write_into(root / "my_course" / "04 MAML.ipynb")
    for path in (root / "my_course" / working_copies.ORIGINS).glob(lost):
        path.write_text("not what it was")
    write_lesson(root, NEXT)
    told = working_copies.update(root)

    assert (root / "my_course" / "04 MAML.ipynb").read_bytes() == mine
    assert "04 MAML has changed" in told[0]
    assert len(told) == 4, "everything may have changed: three sections"


def test_a_lesson_set_back_keeps_the_old_one(root: Path) -> None:
    copy = root / "my_course" / "04 MAML.ipynb"
    mine = write_into(copy)
    told = working_copies.set_back(root, "04")

    (kept,) = set(names(root)) - {copy.name}
    assert told == f"04 MAML is fresh; yours is kept as: {kept}"
    assert copy.with_name(kept).read_bytes() == mine
    assert sources(copy) == [source for _, source in FIRST]
    assert working_copies.set_back(root, "04") == "04 MAML is fresh; it was already"
    write_into(copy)
    working_copies.set_back(root, "04")
    assert len(names(root)) == 3, "the second answer is kept beside the first"


@pytest.mark.parametrize("number", ["4", "99", "", "maml"])
def test_a_number_that_no_lesson_has_is_named(root: Path, number: str) -> None:
    with pytest.raises(ValueError, match=rf"--fresh needs the number of a lesson \(04\), got '{number}'"):
        working_copies.set_back(root, number)


def test_a_link_to_another_lesson_leads_to_its_copy(root: Path) -> None:
    write_lesson(root, [("markdown", "# 00 · Start here\n[next](04_maml.ipynb)")], "00_start_here")
    working_copies.update(root)

    assert "[next](04 MAML.ipynb)" in sources(root / "my_course" / "00 Start here.ipynb")[0]


def test_a_lesson_with_marks_of_a_conflict_is_named(root: Path) -> None:
    (root / "notebooks" / "04_maml.ipynb").write_text("<<<<<<< HEAD\n{}")

    with pytest.raises(SystemExit, match=r"04_maml\.ipynb is no notebook any more.*git checkout notebooks"):
        working_copies.update(root)


def test_the_lessons_of_the_course_have_short_names_and_git_ignores_their_copies() -> None:
    found = {stem: name for stem, (name, _) in working_copies.lessons(ROOT).items()}

    assert found["00_start_here"] == "00 Start here.ipynb"
    assert found["04_maml"] == "04 MAML.ipynb"
    assert all(len(name) <= 48 for name in found.values())
    if (ROOT / ".git").exists() and shutil.which("git"):
        asked = ["git", "check-ignore", "-q", "my_course/04 MAML.ipynb"]
        assert subprocess.run(asked, cwd=ROOT, check=False).returncode == 0


def test_the_map_of_the_course_links_to_the_copies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "04 MAML (mine until 01 Jan 2026).ipynb").touch()
    (tmp_path / "04 MAML.ipynb").touch()
    monkeypatch.chdir(tmp_path)

    shown = CourseMap([Stop("04", "MAML", 50, 1), Stop("05", "Sines", 50, 1)])._repr_mimebundle_()[
        "text/html"
    ]
    assert '<a href="04 MAML.ipynb">04 MAML.ipynb</a>' in shown
    assert '<a href="05_few_shot_regression.ipynb">' in shown


def test_python_that_is_old_can_read_the_commands() -> None:
    files = [f"notebooks/{name}.py" for name in ("opening", "environment", "installer", "working_copies")]
    doors = ["notebooks", "tests", "docs", "teaching"]
    files += [f"{door}/__main__.py" for door in doors]
    for file in [*files, "tests/command.py", "docs/door.py", "teaching/classroom.py"]:
        ast.parse((ROOT / file).read_text(encoding="utf-8"), feature_version=(3, 7))
