"""What holds for every lesson there is: a lesson or an exercise that lacks its tests fails here.

`tests/course/lesson_NN/test_exercises.py` defines `WRONG_ANSWERS`: name of an exercise -> a list of at least
three (wrong answer, fragment of the message that must name the mistake).
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

import pytest

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.lessons import lesson_numbers, load_lesson
from mlearn_utils.course.widgets.progress_panel import lesson_title
from mlearn_utils.course.widgets.quizzes import load_bank

ROOT = Path(__file__).parents[2]
BANKS = sorted((ROOT / "data").glob("lesson_[0-9][0-9]/quiz.json"))
SOURCES = ROOT / "notebooks" / "source"

LESSONS = lesson_numbers()
EXERCISES = [
    pytest.param(number, exercise, id=f"{number}-{exercise.name}")
    for number in LESSONS
    for exercise in load_lesson(number).EXERCISES
]


@lru_cache
def wrong_answers(number: str) -> dict[str, list]:
    path = Path(__file__).parent / f"lesson_{number}" / "test_exercises.py"
    assert path.exists(), f"lesson {number} needs {path} with WRONG_ANSWERS"
    spec = importlib.util.spec_from_file_location(f"wrong_answers_{number}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert hasattr(module, "WRONG_ANSWERS"), f"{path.name} must define WRONG_ANSWERS"
    return module.WRONG_ANSWERS


def test_there_is_one_lesson_module_for_each_source_notebook():
    sources = sorted(path.name[:2] for path in SOURCES.glob("[0-9][0-9]_*.py"))
    assert sources == LESSONS


def test_there_is_a_quiz_bank_for_each_lesson_and_no_other():
    banks = {path.parent.name.removeprefix("lesson_") for path in BANKS}
    assert banks <= set(LESSONS)
    assert set(LESSONS) - {"00"} <= banks  # the first, of 15 minutes, may go without


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_has_its_parts(number):
    lesson = load_lesson(number)
    names = [exercise.name for exercise in lesson.EXERCISES]
    assert len(names) == len(set(names))
    assert lesson_title(lesson)
    assert set(wrong_answers(number)) == set(names), "WRONG_ANSWERS must have each exercise of the lesson"
    planted = sum(exercise.planted for exercise in lesson.EXERCISES)
    if number != "00":
        assert len(names) - planted >= 2, "two code exercises a lesson"
        assert planted >= 1, "one planted bug a lesson"


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_the_reference_passes(number, exercise: Exercise):
    report = grade(exercise, exercise.reference)
    assert report.outcome == "passed", report.message
    assert str(report) == str(grade(exercise, exercise.reference)), "two runs must read the same"


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_the_solution_as_the_notebook_shows_it_passes(number, exercise: Exercise):
    namespace = dict(vars(load_lesson(number)))
    exec(exercise.solved_source(), namespace)
    assert grade(exercise, namespace[exercise.name]).outcome == "passed"
    assert "SOLUTION" not in exercise.solved_source()


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_the_untouched_stub_is_not_attempted(number, exercise: Exercise):
    assert grade(exercise, exercise.stub()).outcome == "not attempted"
    raises = "raise NotImplementedError" in exercise.stub_source()
    assert raises != exercise.planted, "planted means: the stub is running code with a bug"


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_a_planted_bug_does_not_pass_the_checker(number, exercise: Exercise):
    if exercise.planted:
        with pytest.raises(Exception):  # noqa: B017, PT011 (NotYet, or the bug's own error)
            exercise.check(exercise.stub())


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_wrong_answers_are_told_their_mistake(number, exercise: Exercise):
    entries = wrong_answers(number).get(exercise.name, [])
    assert len(entries) >= 3, f"three wrong answers to {exercise.name}, with the message each must get"
    for answer, fragment in entries:
        report = grade(exercise, answer)
        assert report.outcome == "not yet", (answer.__name__, report.outcome, report.message)
        assert fragment, f"{answer.__name__}: which mistake must be named?"
        assert fragment in report.message, (answer.__name__, fragment)
        assert str(report) == str(grade(exercise, answer)), "two runs must read the same"


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.parent.name)
def test_quiz_banks_are_sound(path):
    questions = load_bank(path)  # one correct choice, a reason for each, unique names
    assert len(questions) >= 3
    answers = [[choice.correct for choice in question.choices].index(True) for question in questions]
    assert len(set(answers)) > 1, "the correct choice must not always stand at the same place"
