"""The course map says what is there, and its minutes are those that the notebooks state."""

import re
from pathlib import Path

import nbformat

from mlearn_utils.course.lessons import Lesson, lesson_numbers
from mlearn_utils.course.widgets.course_map import NOTEBOOKS, CourseMap, Stop

STOPS = (Stop("00", "Start here", 15, 1), Stop("04", "MAML", 50, 1), Stop("06", "Meta-RL", 50, 2))
HEADING = re.compile(r"^# # (\d\d) · ", flags=re.MULTILINE)


def make_sources(folder: Path, *names: str) -> None:
    (folder / "source").mkdir()
    for name in names:
        (folder / "source" / f"{name}.py").write_text("")


def test_a_lesson_is_linked_when_its_source_is_there(tmp_path):
    make_sources(tmp_path, "04_maml", "06_meta_rl_two", "06_meta_rl_one")
    bundle = CourseMap(STOPS, tmp_path)._repr_mimebundle_()
    lines = bundle["text/plain"].splitlines()
    assert len(lines) == len(STOPS)
    assert lines[0].split() == ["00", "Start", "here", "15", "min", "to", "come"]
    assert lines[1].endswith("50 min  04_maml.ipynb")
    assert lines[2].endswith("2 × 50 min  06_meta_rl_one.ipynb, 06_meta_rl_two.ipynb")
    assert '<a href="04_maml.ipynb">04_maml.ipynb</a>' in bundle["text/html"]
    assert bundle["text/html"].count("to come") == len(STOPS) - 2


def test_without_sources_a_lesson_is_linked_when_its_notebook_is_there(tmp_path):
    (tmp_path / "04_maml.ipynb").write_text("")
    assert CourseMap(STOPS, tmp_path).notebooks("04") == ["04_maml.ipynb"]
    make_sources(tmp_path, "04_maml")
    assert CourseMap(STOPS, tmp_path).notebooks("04") == ["04_maml.ipynb"]


def test_without_notebooks_every_lesson_is_still_to_come(tmp_path):
    assert repr(CourseMap(STOPS, tmp_path / "nowhere")).count("to come") == len(STOPS)


def test_every_lesson_there_is_is_on_the_map():
    course_map = Lesson("00").course_map()
    assert [stop.number for stop in course_map.stops] == lesson_numbers()
    for path in NOTEBOOKS.glob("source/[0-9][0-9]_*.py"):
        assert HEADING.search(path.read_text(encoding="utf-8")), f"{path.name} must begin with its number"
        assert f"{path.stem}.ipynb" in course_map.notebooks(path.name[:2])


def test_the_stored_map_shows_the_lessons_there_are():
    """A new lesson changes this output and no cell of lesson 00, so nbval is told to ignore it."""
    for path in sorted(NOTEBOOKS.glob("**/00_start_here.ipynb")):  # the solved one, too, where it is
        cells = nbformat.read(path, as_version=4).cells
        (cell,) = [cell for cell in cells if cell.source == "lesson.course_map()"]
        stored = cell.outputs[0]["data"]["text/plain"]
        assert stored == repr(Lesson("00").course_map()), (
            "lessons have changed: run python notebooks/build.py 00 --force"
        )
