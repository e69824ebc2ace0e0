"""The first cell of every lesson: `lesson = course.start("04")`, and what a lesson can do."""

import importlib
import importlib.metadata
import os
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from mlearn_utils import runtime
from mlearn_utils.course.figures.style import use_style
from mlearn_utils.course.grading.answer import attempt
from mlearn_utils.course.grading.exercise import Exercise, find_exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.grading.mark import is_autograding, mark
from mlearn_utils.course.grading.progress import Recorder, start_recording
from mlearn_utils.course.grading.report import Note, Report
from mlearn_utils.course.widgets.course_map import CourseMap, Stop
from mlearn_utils.course.widgets.hints import Hints
from mlearn_utils.course.widgets.progress_panel import ProgressPanel
from mlearn_utils.course.widgets.quizzes import Quiz, load_bank

PACKAGE = "mlearn_utils.course"
NO_SOLUTIONS = "This is the class's edition of the course, which has no solutions: ask your teacher."
HEADLESS = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}


def start(number: str) -> "Lesson":
    """Prepare the notebook of lesson `number` and return the lesson.

    Sets the figure style, one thread for torch and numpy (faster for the course's small networks) and a
    headless SDL, and prints one line with versions and the device, which is the CPU unless $MLEARN_DEVICE
    says otherwise.

    Raises:
        ValueError: if there is no such lesson, or the machine lacks the device.
    """
    lesson = Lesson(number, start_recording(number))
    use_style()
    torch.set_num_threads(1)
    _use_one_thread_in_numpy()
    for name, value in HEADLESS.items():
        os.environ.setdefault(name, value)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = [f"{name} {_version(name)}" for name in ("torch", "gymnasium")]
    print(" · ".join([f"Lesson {lesson.number}", f"Python {python}", *packages, f"device {lesson.device}"]))
    return lesson


def _use_one_thread_in_numpy() -> None:
    from threadpoolctl import threadpool_limits  # which sets an environment variable when it is imported

    threadpool_limits(1, user_api="blas")


class Lesson:
    """One lesson: its exercises, its quiz, and the record of what the student did.

    Args:
        number: two digits, such as "04".
        recorder: where it notes what the student does; one of its own by default.

    Raises:
        ValueError: if there is no such lesson.
    """

    def __init__(self, number: str, recorder: Recorder | None = None):
        module = load_lesson(number)
        self.number = number
        self.exercises: tuple[Exercise, ...] = module.EXERCISES
        self.device = runtime.pick_device(os.environ.get("MLEARN_DEVICE") or "cpu")
        self._recorder = recorder or Recorder(number)
        self._hints_shown: dict[str, int] = {}

    def check(self, answer: Any, name: str = "") -> Report:
        """Check an answer; the exercise is found by the function's name, unless `name` says which.

        Where nbgrader grades the notebook, a check that does not pass raises, and nothing is recorded.

        Raises:
            ValueError: if there is no such exercise; the message lists those there are.
        """
        exercise = self._find(name or answer)
        if is_autograding():
            return mark(exercise, answer)
        report = grade(exercise, answer)
        fault = report.fault or None  # so that who collects the logs sees where a checker failed
        note = self._recorder.note(
            "exercise",
            exercise.name,
            report.outcome,
            points=report.earned,
            answer=fault,
            message=report.message,
        )
        return report.with_note(note)

    def hint(self, exercise: str | Callable) -> Hints:
        """Return a button that shows the next hint; the first press shows the first. `print` shows it, too.

        Raises:
            ValueError: if there is no such exercise.
        """
        found = self._find(exercise)
        return Hints(
            found.name,
            len(found.hints),
            lambda: self._hints_shown.get(found.name, 0),
            lambda k: self._hint(found, k),
        )

    def _hint(self, exercise: Exercise, k: int) -> Note:
        """Return hint k, counted from 0; one that was not shown before is noted."""
        total, note = len(exercise.hints), ""
        if k == total:
            text = f'`lesson.solution("{exercise.name}")` shows one way.'
            return Note(
                f"No more hints for `{exercise.name}`", text if exercise.has_solution else NO_SOLUTIONS
            )
        if k == self._hints_shown.get(exercise.name, 0):
            self._hints_shown[exercise.name] = k + 1
            note = self._recorder.note("hint", exercise.name, "shown", answer=k + 1)
        return Note(f"Hint {k + 1} of {total} · `{exercise.name}`", exercise.hints[k], note=note)

    def solution(self, exercise: str | Callable) -> Note:
        """Return the reference's source, or a sentence where the edition of the course has none.

        Raises:
            ValueError: if there is no such exercise.
        """
        found = self._find(exercise)
        if not found.has_solution:
            return Note(f"No solution of `{found.name}` here", NO_SOLUTIONS)
        note = self._recorder.note("solution", found.name, "shown")
        return Note(f"One way to write {found.name}", found.solved_source(), is_code=True, note=note)

    def quiz(self) -> Quiz:
        """Return the quiz of this lesson.

        Raises:
            FileNotFoundError: if the lesson has none.
        """
        bank = load_bank(runtime.data_path(f"lesson_{self.number}", "quiz.json"))
        return Quiz(bank, self.number, self._recorder)

    def progress(self) -> ProgressPanel:
        """Return the panel over all lessons."""
        modules = {number: load_lesson(number) for number in lesson_numbers()}
        return ProgressPanel(modules, self._recorder.progress)

    def course_map(self) -> CourseMap:
        """Return the map of all lessons."""
        stops = []
        for number in lesson_numbers():
            facts = importlib.import_module(f"{PACKAGE}.lesson_{number}")
            stops.append(Stop(number, facts.TITLE, facts.MINUTES, facts.SESSIONS))
        return CourseMap(stops)

    def __repr__(self) -> str:
        return f"Lesson {self.number}"

    def _find(self, exercise: Any) -> Exercise:
        name = exercise if isinstance(exercise, str) else _name_of(exercise)
        if name is None:
            known = ", ".join(exercise.name for exercise in self.exercises) or "none"
            raise ValueError(
                "pass the function itself, without calling it, or name the exercise: "
                f'lesson.check(answer, "name"); the exercises are: {known}'
            )
        return find_exercise(self.exercises, name)


def lesson_numbers() -> list[str]:
    """Return the numbers of the lessons there are, in order."""
    folder = str(Path(__file__).parent)
    names = (module.name for module in pkgutil.iter_modules([folder]) if module.ispkg)
    return sorted(match[1] for name in names if (match := re.fullmatch(r"lesson_(\d\d)", name)))


def load_lesson(number: str) -> ModuleType:
    """Import and return the exercises of lesson `number`.

    Raises:
        ValueError: if there is no such lesson; the message lists those there are.
    """
    numbers = lesson_numbers()
    if number not in numbers:
        raise ValueError(f"number must be one of {numbers}, got {number!r}")
    return importlib.import_module(f"{PACKAGE}.lesson_{number}.exercises")


def _name_of(answer: Any) -> str | None:
    name = attempt(lambda: answer.__name__, None)
    return name if isinstance(name, str) else None


def _version(package: str) -> str:
    """Return a package's version without what follows the "+" (such as the build's "cpu")."""
    return importlib.metadata.version(package).split("+")[0]
