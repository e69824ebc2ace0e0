"""What the students of a class did: each one's events, counted against the course's own exercises.

Points, and what there is to do, come from the course: a file can claim what it likes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from mlearn_utils.course.grading.events import Event, moment
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.progress import LONGEST_MESSAGE
from mlearn_utils.course.grading.report import plural
from mlearn_utils.course.lessons import lesson_numbers, load_lesson
from mlearn_utils.course.widgets.progress_panel import question_names

Task = tuple[str, str]
"""A lesson's number, and the name of an exercise or a question of it."""

HEADINGS = "number", "student", "points", "passed", "tries", "quiz right", "quiz answered"
MORE = "predictions", "hints", "solutions seen", "last active (UTC)"
REMARKS = "remarks (for teaching, not for marks)"
FAILED = ("not yet", "your code raised")


@dataclass
class Student:
    """What one student did.

    Attributes:
        name: as it was given.
        passed: the exercises that passed.
        tries: how often each exercise was checked until it passed; untouched stubs do not count.
        told: what the checker said of wrong answers: a set of messages an exercise.
        right, answered: questions of quizzes.
        predictions: those committed to.
        hints: (exercise, which hint), those that were looked at.
        solutions: exercises whose solution was looked at.
        last: when something was last done.
        problems: what was passed over, in words.
    """

    name: str
    passed: set[Task] = field(default_factory=set)
    tries: dict[Task, int] = field(default_factory=dict)
    told: dict[Task, set[str]] = field(default_factory=dict)
    right: set[Task] = field(default_factory=set)
    answered: set[Task] = field(default_factory=set)
    predictions: set[Task] = field(default_factory=set)
    hints: set[tuple[Task, str]] = field(default_factory=set)
    solutions: set[Task] = field(default_factory=set)
    last: datetime | None = None
    problems: list[str] = field(default_factory=list)


@cache
def exercises_of(lesson: str) -> Mapping[str, Exercise]:
    """Return the exercises of a lesson by name; none if there is no such lesson."""
    if lesson not in lesson_numbers():
        return {}
    return {exercise.name: exercise for exercise in load_lesson(lesson).EXERCISES}


@cache
def questions_of(lesson: str) -> set[str]:
    """Return the names of a lesson's quiz questions; none if there is no such lesson."""
    return question_names(lesson) if lesson in lesson_numbers() else set()


def count(name: str, events: Iterable[Event]) -> Student:
    """Return what the events of a student come to; what the course does not know is passed over and named."""
    student, unknown, other_points = Student(name), {}, set()
    for event in events:
        lesson, kind, task = event["lesson"], event["kind"], (event["lesson"], event["name"])
        known = questions_of(lesson) if kind == "quiz" else exercises_of(lesson)
        if kind == "predict" and (known or not lesson):
            student.predictions.add(task)
        elif task[1] not in known:
            what = "question" if kind == "quiz" else "prediction" if kind == "predict" else "exercise"
            label = f"{what} {event['name'][:40]!r} of lesson {lesson[:10]!r}"
            unknown[label] = max(unknown.get(label, 0), event["points"])
        else:
            _add(student, event, task)
            is_passed = kind == "exercise" and event["outcome"] == "passed"
            if is_passed and event["points"] != exercises_of(lesson)[task[1]].points:
                other_points.add(task)
        time = moment(event["time"])
        student.last = max(filter(None, (student.last, time)), default=None)
    claimed = [f"{label} (claims {plural(p, 'point')})" if p else label for label, p in unknown.items()]
    student.problems += [f"unknown {text}: passed over" for text in _few(claimed)]
    claimed = [f"{name} of lesson {lesson}" for lesson, name in sorted(other_points)]
    student.problems += [f"other points in the file than in the course for {text}" for text in _few(claimed)]
    return student


def _add(student: Student, event: Event, task: Task) -> None:
    kind, outcome = event["kind"], event["outcome"]
    if kind == "quiz":
        student.answered.add(task)
        if outcome == "correct":
            student.right.add(task)
    elif kind == "hint":
        student.hints.add((task, str(event["answer"])))
    elif kind == "solution":
        student.solutions.add(task)
    elif outcome in ("passed", *FAILED):
        if task not in student.passed:
            student.tries[task] = student.tries.get(task, 0) + 1
        if outcome == "passed":
            student.passed.add(task)
        else:
            student.told.setdefault(task, set()).add(named(event["message"], outcome))


def named(message: str, outcome: str) -> str:
    """Return the mistake that a message names: without the student's own numbers and lines."""
    told = message[:LONGEST_MESSAGE]  # a forged one may be longer, and take long to search
    if outcome == "your code raised":
        return told.split("\n")[0][:200]
    said = re.sub(r" \([^()]*yours [^()]*\)", "", told.split("\nStuck?")[0])
    return " ".join(said.split())[:400]


def _few(texts: Sequence[str]) -> list[str]:
    """Return the first three of many, and how many more there are."""
    return [*texts[:3], *([f"... and {len(texts) - 3} more"] if len(texts) > 3 else [])]


def tasks_of(students: Iterable[Student]) -> list[tuple[str, Exercise]]:
    """Return the exercises of all lessons that anybody did something in, in the course's order."""
    touched: set[str] = set()
    for student in students:
        done = student.tries.keys() | student.answered | student.solutions | student.predictions
        touched |= {lesson for lesson, _ in [*done, *(task for task, _ in student.hints)]}
    return [(lesson, exercise) for lesson in sorted(touched) for exercise in exercises_of(lesson).values()]


def table(students: Sequence[Student], tasks: Sequence[tuple[str, Exercise]]) -> list[list[object]]:
    """Return the class as rows, the first one of headings; a lesson's column counts its passed exercises."""
    lessons = sorted({lesson for lesson, _ in tasks})
    total = sum(exercise.points for _, exercise in tasks)
    headings = [f"points of {total}" if h == "points" else h for h in (*HEADINGS, *MORE)]
    headings += [f"lesson {lesson}: passed of {len(exercises_of(lesson))}" for lesson in lessons]
    rows: list[list[object]] = [[*headings, REMARKS]]
    for number, student in enumerate(students, 1):
        counts = [sum(lesson == task[0] for task in student.passed) for lesson in lessons]
        rows.append([number, *_facts(student), *counts, "; ".join(student.problems)])
    return rows


def _facts(student: Student) -> list[object]:
    points = sum(exercises_of(lesson)[name].points for lesson, name in student.passed)
    last = f"{student.last:%Y-%m-%d %H:%M}" if student.last else ""
    quiz = len(student.right), len(student.answered)
    others = len(student.predictions), len(student.hints), len(student.solutions)
    tries = sum(student.tries.values())
    return [student.name, points, len(student.passed), tries, *quiz, *others, last]
