"""What an author gets wrong is told by file and place, before anything is executed."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import build
import cells
import new_lesson
import pytest

import mlearn_utils.course

ROOT = Path(__file__).resolve().parent.parent.parent
ROOM = "mlearn_utils/course/lesson_42"

Edit = Callable[[Path], object]


def replace(file: str, old: str, new: str) -> Edit:
    """Return an edit that puts `new` in the first place of `old`."""

    def edit(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text
        (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


EXERCISES, SOURCE, QUIZ = f"{ROOM}/exercises.py", "notebooks/source/42_lines.py", "data/lesson_42/quiz.json"
IMPORT = "from mlearn_utils.course.grading.exercise import Exercise\n"
BUG = "        #| for k in range(len(y) - 1):\n"

MISTAKES: dict[str, tuple[Edit, str]] = {
    "no import": (replace(EXERCISES, IMPORT, ""), rf"{EXERCISES}:43: NameError: name 'Exercise' is not"),
    "misspelled check": (replace(EXERCISES, ".BEST_SLOPE", ".BEST"), rf"{EXERCISES}:\d+: AttributeError: "),
    "syntax": (
        replace(EXERCISES, "EXERCISES = (", "EXERCISES = (("),
        rf"{EXERCISES}:43: SyntaxError: '\(' was",
    ),
    "no EXERCISES": (replace(EXERCISES, "EXERCISES =", "OTHERS ="), rf"{EXERCISES}: no EXERCISES, the tuple"),
    "bad level": (replace(EXERCISES, '"core"', '"easy"'), rf"{EXERCISES}:44: ValueError: level of exercise"),
    "no end of the solution": (
        replace(EXERCISES, "    ### END SOLUTION\n", ""),
        r"42_lines.py: cell 6 \(line 36, under '1. A line .*'\): exercise 'line_values' in exercises",
    ),
    "no planted lines": (
        replace(EXERCISES, BUG, ""),
        r"42_lines.py: cell 16 .*: the stub of exercise 'mean_error': line 5: unexpected indent",
    ),
    "misspelled exercise": (
        replace(SOURCE, 'exercise="best_slope"', 'exercise="best_slop"'),
        r"cell 13 \(line 63, under '2. The best line .*'\): unknown exercise 'best_slop' \(known: ",
    ),
    "no cell": (
        replace(SOURCE, '# %% exercise="mean_error"\n', ""),
        "put one where it belongs: # %% exercise=",
    ),
    "unknown tag": (
        replace(SOURCE, "nbval-ignore-output", "ignore"),
        r"cell 1 .*: unknown tag 'ignore' \(known:",
    ),
    "no quiz": (
        lambda root: (root / QUIZ).unlink(),
        f"{QUIZ}: missing; notebooks/template/quiz.json shows one",
    ),
    "quiz without a comma": (replace(QUIZ, '"42",', '"42"'), rf"{QUIZ} is no quiz bank: .*: line 3 column 2"),
    "quiz as a list": (
        lambda root: (root / QUIZ).write_text(json.dumps([])),
        rf'{QUIZ} is no quiz bank: it must be an object, \{{"lesson": "NN"',
    ),
    "no right choice": (
        replace(QUIZ, "true", "false"),
        rf"{QUIZ} .*'what-is-squared' must have exactly one corr",
    ),
    "no title": (replace(f"{ROOM}/__init__.py", "TITLE", "NAME"), rf"{ROOM}/__init__.py: TITLE is missing"),
    "no answers": (
        lambda root: (root / "tests/course/lesson_42/answers.py").unlink(),
        "tests/course/lesson_42/answers.py: missing; notebooks/template/answers.py shows one",
    ),
    "no row": (
        replace("README.md", "notebooks/42_lines", "notebooks/41_lines"),
        "README.md: the table of lessons",
    ),
    "a name in capitals": (
        lambda root: (root / SOURCE).rename((root / SOURCE).with_name("42_Lines.py")),
        r"42_Lines.py: a source is called NN_name.py, in lower case",
    ),
    "another encoding": (
        lambda root: (root / SOURCE).write_bytes(
            (root / SOURCE).read_bytes().replace(b"A line", b"A l\xefne")
        ),
        r"42_lines.py:26: not UTF-8",
    ),
    "a byte-order mark": (
        lambda root: (root / SOURCE).write_bytes(b"\xef\xbb\xbf" + (root / SOURCE).read_bytes()),
        r"42_lines.py:1: begins with a byte-order mark",
    ),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with a new lesson 42, whose notebooks are composed and not executed."""
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    new_lesson.lay_out(tmp_path, "42", "Lines")
    places = [*mlearn_utils.course.__path__, str(tmp_path / "mlearn_utils" / "course")]
    monkeypatch.setattr(mlearn_utils.course, "__path__", places)
    monkeypatch.setattr(build, "ROOT", tmp_path / "notebooks")
    monkeypatch.setattr(
        build, "execute", lambda composed, path, source: path.parent.mkdir(exist_ok=True) or 0.0
    )
    for name in [name for name in sys.modules if "lesson_42" in name]:
        del sys.modules[name]
    monkeypatch.delattr(mlearn_utils.course, "lesson_42", raising=False)
    return tmp_path


def build_it(root: Path) -> list[str]:
    """Return the names of the notebooks that were built."""
    (source,) = (root / "notebooks" / "source").iterdir()
    return [path.name for path, _ in build.build(source)]


def test_a_lesson_without_a_mistake_is_built(root: Path) -> None:
    assert build_it(root) == ["42_lines.ipynb", "42_lines.ipynb"]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_by_file_and_place(root: Path, name: str) -> None:
    edit, message = MISTAKES[name]
    edit(root)

    with pytest.raises(cells.BuildError, match=message):
        build_it(root)


def test_without_the_solved_notebooks_the_check_looks_at_the_students(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = (root / "notebooks" / "source").iterdir()
    build.build(source)
    shutil.rmtree(root / "notebooks" / "solutions")
    found = build.check(root / "notebooks")

    assert found
    assert all("solutions" not in line and "execution count None" in line for line in found)
    assert build.main(["--check"]) == 1
    assert "notebooks/solutions is not there" in capsys.readouterr().out
