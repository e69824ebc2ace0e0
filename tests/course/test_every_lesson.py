"""What holds for every lesson there is: a lesson or an exercise that lacks its tests fails here.

`tests/course/lesson_tests.py` says what a lesson's own tests must define.
"""

import importlib
import re

import pytest

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.grading.trial import Trial
from mlearn_utils.course.lessons import load_lesson
from mlearn_utils.course.widgets.progress_panel import lesson_title
from mlearn_utils.course.widgets.quizzes import load_bank
from tests.course.lesson_tests import EXERCISES, LESSONS, ROOT, answers, answers_to, constant, graded
from tests.course.odd_values import odd_values

BANKS = sorted((ROOT / "data").glob("lesson_[0-9][0-9]/quiz.json"))
SOURCES = ROOT / "notebooks" / "source"


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
    for table in ("WRONG_ANSWERS", "RIGHT_ANSWERS"):
        assert set(getattr(answers(number), table)) == set(names), f"{table} must have each exercise"
    for table in ("EQUIVALENT", "ONE_VALUE"):
        assert set(getattr(answers(number), table, {})) <= set(names), f"{table} names an unknown exercise"
    planted = sum(exercise.planted for exercise in lesson.EXERCISES)
    if number != "00":
        assert len(names) - planted >= 2, "two code exercises a lesson"
        assert planted >= 1, "one planted bug a lesson"


@pytest.mark.parametrize("number", LESSONS)
def test_the_stated_minutes_are_those_of_the_exercises_and_add_up(number):
    (source,) = SOURCES.glob(f"{number}_*.py")
    text = source.read_text(encoding="utf-8")
    facts = importlib.import_module(f"mlearn_utils.course.lesson_{number}")
    exercises = load_lesson(number).EXERCISES
    headings = re.findall(r"^# ## .+ \((\d+) minutes?\)$", text, re.MULTILINE)
    sections = sum(map(int, headings))
    if number == "00":  # its sections state their minutes with the exercises in them; see its own test
        assert sections == facts.MINUTES
        return
    stated = re.findall(r"\*\*Exercise `(\w+)`\*\* \((\w+), (\d+) minutes?", text)
    assert sorted(stated) == sorted((e.name, e.level, str(e.minutes)) for e in exercises)
    in_class = sum(exercise.minutes for exercise in exercises if exercise.level != "research")
    assert sections + in_class == facts.MINUTES * facts.SESSIONS, "sections and exercises in class"


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
    if exercise.planted:
        assert not raises, "planted=True needs lines that begin with #| behind the END marker"
    else:
        assert raises, "lines that begin with #| are a planted bug: say planted=True"


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_a_planted_bug_does_not_pass_the_checker(number, exercise: Exercise):
    if exercise.planted:
        touched = exercise.stub()
        report = grade(exercise, lambda *args: touched(*args))
        assert report.outcome == "not yet", report.message


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_wrong_answers_are_told_their_mistake(number, exercise: Exercise):
    entries = answers_to(number, exercise, "WRONG_ANSWERS")
    assert len(entries) >= 3, f"three wrong answers to {exercise.name}, with the message each must get"
    for answer, fragment in entries:
        report = grade(exercise, answer)
        assert report.outcome == "not yet", (answer.__name__, report.outcome, report.message)
        assert fragment, f"{answer.__name__}: which mistake must be named?"
        assert fragment in report.message, (answer.__name__, fragment)
        assert str(report) == str(grade(exercise, answer)), "two runs must read the same"


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_right_answers_in_other_styles_pass(number, exercise: Exercise):
    entries = answers_to(number, exercise, "RIGHT_ANSWERS")
    assert len(entries) >= 3, f"three right answers to {exercise.name} in other styles"
    for answer in entries:
        report = grade(exercise, answer)
        assert report.outcome == "passed", (answer.__name__, report.message)


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_every_odd_value_gets_a_report(number, exercise: Exercise):
    right = answers_to(number, exercise, "ODD_BUT_RIGHT")
    for label, value in odd_values().items():
        report = graded(exercise, constant(value))
        assert report is not None, f"the check hangs over {label}"
        assert not report.fault, f"the check raised over {label}: {report.fault}"
        assert report.ok == (label in right), (label, report.message)
        assert report.outcome in {"not yet", "your code raised", "passed"}


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_no_mistake_looks_like_another_or_like_the_right_answer(number, exercise: Exercise):
    if isinstance(exercise.check, Trial):
        assert len(exercise.check.wrong) >= 3, "three mistakes that the checker can name"


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.parent.name)
def test_quiz_banks_are_sound(path):
    questions = load_bank(path)  # one correct choice, a reason for each, unique names
    assert len(questions) >= 3
    answers = [[choice.correct for choice in question.choices].index(True) for question in questions]
    assert len(set(answers)) > 1, "the correct choice must not always stand at the same place"


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.parent.name)
def test_the_longest_choice_of_a_quiz_is_not_mostly_the_correct_one(path):
    questions = load_bank(path)
    longest = [max(q.choices, key=lambda c: (len(c.text), not c.correct)) for q in questions]
    given_away = [q.name for q, choice in zip(questions, longest, strict=True) if choice.correct]
    assert len(given_away) <= len(questions) / 2, f"the correct choice is the longest in {given_away}"
