"""Every exercise of the lessons here waits to be answered."""

import pytest

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.lessons import lesson_numbers, load_lesson

EXERCISES = [
    pytest.param(exercise, id=f"{number}-{exercise.name}")
    for number in lesson_numbers()
    for exercise in load_lesson(number).EXERCISES
]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_untouched_exercise_is_not_attempted(exercise: Exercise) -> None:
    """Neither a stub nor planted bugs pass, or are taken for an attempt."""
    assert grade(exercise, exercise.stub()).outcome == "not attempted"
