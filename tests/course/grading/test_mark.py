"""Checks under nbgrader: what raises, what it reads as points, and that nothing else comes of them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlearn_utils.course.grading.exercise import Exercise, NotYet
from mlearn_utils.course.grading.mark import mark
from mlearn_utils.course.lesson_04.exercises import inner_step
from mlearn_utils.course.lessons import Lesson


def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


def check(answer: Callable[[int], Any]) -> None:
    if answer(3) != 6:
        raise NotYet("3 doubled is 6")


EXERCISE = Exercise(
    reference=double, check=check, title="Twice", level="core", minutes=1, points=3, hints=("+", "2 *")
)


@pytest.fixture
def autograding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")


def test_a_right_answer_reads_as_its_points_and_still_shows_the_report() -> None:
    shown = mark(EXERCISE, lambda x: x + x)._repr_mimebundle_()
    assert float(shown["text/plain"]) == 3
    assert "Passed" in shown["text/html"]


def test_a_wrong_answer_raises_with_the_checkers_message() -> None:
    with pytest.raises(AssertionError, match="3 doubled is 6"):
        mark(EXERCISE, lambda x: x + 1)


def test_what_a_right_answer_writes_to_stderr_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    def loud(x: int) -> int:
        print("!", file=sys.stderr)  # as a warning does
        return 2 * x

    assert mark(EXERCISE, loud).ok
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("autograding")
def test_a_lesson_records_nothing_where_nbgrader_grades(own_progress_log: Path) -> None:
    lesson = Lesson("04")
    assert lesson.check(inner_step).ok
    with pytest.raises(AssertionError, match="One inner step"):
        lesson.check(lambda loss, theta, support, inner_lr: theta, "inner_step")
    assert not own_progress_log.exists()


def test_a_lesson_reports_and_records_where_nbgrader_only_validates(
    own_progress_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    assert not Lesson("04").check(lambda loss, theta, support, inner_lr: theta, "inner_step").ok
    assert own_progress_log.exists()
