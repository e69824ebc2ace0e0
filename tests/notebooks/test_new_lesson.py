"""`build.py --new` lays out a lesson that passes every test at once, and refuses what cannot be one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cells
import new_lesson
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NUMBER = "98"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what git would have in a clone, as it stands in the working tree."""
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


def run(checkout: Path, *command: str) -> str:
    """Run Python in the copy, whose own package it imports; return what it printed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_a_new_lesson_passes_all_tests_at_once(checkout: Path) -> None:
    made = run(checkout, "notebooks/build.py", "--new", NUMBER, "Lines, for a start")

    assert "made     notebooks/source/98_lines_for_a_start.py" in made
    assert "solutions/98_lines_for_a_start.ipynb" in made
    assert (
        "[98 Lines, for a start](notebooks/98_lines_for_a_start.ipynb)"
        in (checkout / "README.md").read_text()
    )
    run(checkout, "notebooks/build.py", "--check", NUMBER)
    run(checkout, "-m", "ruff", "check", ".")
    run(checkout, "-m", "ruff", "format", "--check", ".")
    tests = ["tests/course/test_every_lesson.py", "tests/course/test_mutants.py"]
    tests += ["tests/course/widgets/test_course_map.py"]
    told = run(checkout, "-m", "pytest", "-q", *tests, "-k", f"{NUMBER} or module or map or bank")
    assert "passed" in told


@pytest.mark.parametrize(
    ("number", "title", "message"),
    [
        ("8", "Memory", r"two digits, such as 08, got '8'"),
        ("one", "Memory", "two digits"),
        ("04", "MAML again", r"lesson 04 is there already: "),
        (NUMBER, "", "a title has letters or digits"),
        (NUMBER, "…", "a title has letters or digits"),
        (NUMBER, 'A "quoted" one', "no quotes"),
        (NUMBER, "two\nlines", "a title has"),
    ],
)
def test_what_cannot_be_a_lesson_is_refused_before_anything_is_written(
    tmp_path: Path, number: str, title: str, message: str
) -> None:
    (tmp_path / "README.md").write_text("| [00 Start here](notebooks/00.ipynb) | 15 | begin |\n")
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    (tmp_path / "notebooks" / "source" / "04_maml.py").touch()
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(cells.BuildError, match=message):
        new_lesson.lay_out(tmp_path, number, title)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_readme_without_a_table_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing\n")

    with pytest.raises(cells.BuildError, match="no table of lessons"):
        new_lesson.lay_out(tmp_path, NUMBER, "Memory")

    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
