"""What the tests of every lesson share: where its answers stand, and how to run one of them.

`tests/course/lesson_NN/answers.py` says of each exercise, by name:

    WRONG_ANSWERS   at least three (wrong answer, piece of the message that must name the mistake)
    RIGHT_ANSWERS   at least three answers in other styles: a loop, vectorized, another library's idiom
    EQUIVALENT      (regular expression, reason) of mutants of the reference that are right, too
    ONE_VALUE       parameter -> why its checker gives it one value, or one size, only
    ODD_BUT_RIGHT   labels of `odd_values` that happen to be right
"""

import importlib
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.grading.report import Report
from mlearn_utils.course.lessons import lesson_numbers, load_lesson

ROOT = Path(__file__).parents[2]
LESSONS = lesson_numbers()
EXERCISES = [
    pytest.param(number, exercise, id=f"{number}-{exercise.name}")
    for number in LESSONS
    for exercise in load_lesson(number).EXERCISES
]
SECONDS = 1.5  # of the processor: what takes longer hangs


def answers(number: str) -> ModuleType:
    """Return the module that holds the answers to the exercises of a lesson."""
    module = importlib.import_module(f"tests.course.lesson_{number}.answers")
    for name in ("WRONG_ANSWERS", "RIGHT_ANSWERS"):
        assert hasattr(module, name), f"{module.__file__} must define {name}"
    return module


def answers_to(number: str, exercise: Exercise, table: str) -> Any:
    """Return the entry of an exercise in one of the tables of its lesson, empty if there is none."""
    return getattr(answers(number), table, {}).get(exercise.name, ())


def graded(exercise: Exercise, answer: Any, seconds: float = SECONDS) -> Report | None:
    """Return the report on an answer, None if it takes more than `seconds` of the processor."""

    def stop(_: int, frame: FrameType | None) -> None:
        if frame and frame.f_code.co_name == "_remove":  # of a weak set: what is raised there is lost
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
        else:
            raise KeyboardInterrupt

    if not hasattr(signal, "setitimer"):  # Windows
        return grade(exercise, answer)
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return grade(exercise, answer)
    except KeyboardInterrupt:
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def constant(value: Any) -> Callable[..., Any]:
    """Return an answer that returns `value` whatever it is given."""
    return lambda *args, **kwargs: value
