"""Run in a class's edition, before the checkout on Python's path: how it answers, as JSON on stdout.

Its arguments are the numbers of the lessons whose answers are tried; all without any.

For every exercise: the outcome of its stub, what `lesson.solution` says, and each answer of the course's
tests (`tests/course/lesson_NN/answers.py`) that is not told what it should be.
"""

import ast
import importlib
import io
import json
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from sliced import asked

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.grading.trial import Trial
from mlearn_utils.course.lessons import Lesson, lesson_numbers

CHECKOUT = Path(__file__).resolve().parents[2]


def answers_to(number: str) -> ModuleType:
    """Return the answers to a lesson; what they need of the lesson's solutions and mistakes is lent to it."""
    lesson = f"mlearn_utils.course.lesson_{number}"
    tree = ast.parse((CHECKOUT / f"tests/course/lesson_{number}/answers.py").read_text(encoding="utf-8"))
    for name, wanted in asked([tree], lesson).items():
        module = importlib.import_module(f"{lesson}.{name}")
        whole = {"__name__": module.__name__, "__package__": lesson}
        source = (CHECKOUT / (module.__name__.replace(".", "/") + ".py")).read_text(encoding="utf-8")
        missing = [each for each in wanted if name == "exercises" or not hasattr(module, each)]
        if missing:
            exec(source, whole)
            vars(module).update({each: whole[each] for each in missing})
    return importlib.import_module(f"tests.course.lesson_{number}.answers")


def unlike(number: str, exercise: Exercise) -> list[str]:
    """Return what of the answers to an exercise is judged otherwise than in the course itself."""
    answers, found = answers_to(number), []
    for answer in answers.RIGHT_ANSWERS[exercise.name]:
        report = grade(exercise, answer)
        if not report.ok or report.fault:
            found.append(f"{answer.__name__} should pass: {report}")
    for answer, fragment in answers.WRONG_ANSWERS[exercise.name]:
        report = grade(exercise, answer)
        if report.outcome != "not yet" or fragment not in report.message or report.fault:
            found.append(f"{answer.__name__} should be told {fragment!r}: {report}")
    return found


def main(tried: list[str]) -> dict[str, dict[str, object]]:
    """Return "NN name" of an exercise -> what was found; answers are those to the lessons `tried`."""
    found = {}
    for number in lesson_numbers():
        lesson = Lesson(number)
        for exercise in lesson.exercises:
            found[f"{number} {exercise.name}"] = {
                "stub": grade(exercise, exercise.stub()).outcome,
                "reference": grade(exercise, exercise.reference).outcome,
                "solution": str(lesson.solution(exercise.name)),
                "probes": len(exercise.check.probes()) if isinstance(exercise.check, Trial) else 0,
                "unlike": unlike(number, exercise) if number in tried else [],
            }
    return found


if __name__ == "__main__":
    warnings.simplefilter("error")
    with redirect_stdout(io.StringIO()):  # some answers print
        found = main(sys.argv[1:] or lesson_numbers())
    json.dump(found, sys.stdout)
