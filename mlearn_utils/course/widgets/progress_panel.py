"""The panel over all lessons: what is done, what it counted, and a file to hand in."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import ipywidgets as widgets

from mlearn_utils import runtime
from mlearn_utils.course.grading.events import EXPORT, clean_name, file_stem
from mlearn_utils.course.grading.progress import LessonSummary, Progress, reason
from mlearn_utils.course.grading.report import rich
from mlearn_utils.course.widgets.controls import Button, column, row, text_field
from mlearn_utils.course.widgets.quizzes import load_bank
from mlearn_utils.course.widgets.view import View, frame, spoken

HEADINGS = ("Lesson", "Exercises", "Points", "Minutes", "Quiz")
NAMELESS = "Write your name into the field first (a nickname will do): the file is named after it."


@dataclass(frozen=True)
class Row:
    """One lesson's line: pairs of (done, total)."""

    title: str
    exercises: tuple[int, int]
    points: tuple[int, int]
    minutes: tuple[int, int]
    quiz: tuple[int, int]


class ProgressPanel(View):
    """A table of all lessons with buttons to read the log again and to export it under the student's name.

    Args:
        modules: number -> module of each lesson, as `load_lesson` returns it.
        progress: the log.
        folder: where exports go; the notebook's own folder by default.
    """

    def __init__(self, modules: dict[str, ModuleType], progress: Progress, folder: Path | None = None):
        self.text = "Progress panel: exercises, points, minutes and quiz of every lesson"
        self._modules, self._progress, self._folder = modules, progress, folder or Path()
        self.table, self.message = widgets.HTML(), spoken(widgets.HTML())
        self.student = text_field("Your name, for the export", progress.student, "a nickname will do")
        self.refresh_button = Button("Refresh", self.refresh, "Read the progress file again")
        self.csv_button = Button("Export CSV", lambda: self._export(".csv"), f"Write {EXPORT}-NAME.csv")
        self.json_button = Button("Export JSON", lambda: self._export(".json"), f"Write {EXPORT}-NAME.json")
        buttons = row([self.refresh_button, self.csv_button, self.json_button])
        self.widget = frame([self.table, column([self.student]), buttons, self.message], "progress", "")
        self.refresh()

    def refresh(self) -> None:
        """Read the log again, and say what of it could not be read."""
        self.table.value = _table(self.rows())
        self.message.value = rich(self._progress.read()[1])

    def rows(self) -> list[Row]:
        """Return one row a lesson, in order."""
        done = self._progress.summary()
        return [_row(number, m, done.get(number, LessonSummary())) for number, m in self._modules.items()]

    def _export(self, suffix: str) -> None:
        name = self.student.value = clean_name(self.student.value)
        if not name:
            self.message.value = NAMELESS
            return
        target = self._folder / f"{file_stem(name)}{suffix}"
        try:
            self._progress.export(target, name)
        except OSError as error:
            self.message.value = rich(f"`{target}` could not be written: {reason(error)}.")
            return
        said = (
            f"Saved `{target.name}` beside this notebook.",
            self._remember(name),
            self._progress.read()[1],
        )
        self.message.value = rich(" ".join(part for part in said if part))

    def _remember(self, name: str) -> str:
        """Keep the name for the next time; return "" or why that cannot be."""
        try:
            self._progress.remember(name)
        except OSError as error:
            return f"Your name could not be kept for the next time ({reason(error)})."
        return ""


def _row(number: str, module: ModuleType, done: LessonSummary) -> Row:
    exercises = module.EXERCISES
    passed = [exercise for exercise in exercises if exercise.name in done.passed]
    questions = question_names(number)
    return Row(
        title=f"{number} {lesson_title(module)}",
        exercises=(len(passed), len(exercises)),
        points=(sum(e.points for e in passed), sum(e.points for e in exercises)),
        minutes=(sum(e.minutes for e in passed), sum(e.minutes for e in exercises)),
        quiz=(len(done.correct & questions), len(questions)),
    )


def lesson_title(module: ModuleType) -> str:
    """Return the lesson's title: `TITLE` of its package or of the module, else the docstring's first line."""
    package = sys.modules.get(module.__package__ or "")
    title = getattr(package, "TITLE", None) or getattr(module, "TITLE", None)
    return title or (module.__doc__ or "").strip().split("\n")[0].rstrip(".")


def question_names(number: str) -> set[str]:
    """Return the names of the questions in the quiz of lesson `number`; none if it has no quiz."""
    try:
        return {question.name for question in load_bank(runtime.data_path(f"lesson_{number}", "quiz.json"))}
    except FileNotFoundError:
        return set()


def _table(rows: list[Row]) -> str:
    head = "".join(f'<th scope="col"{_class(k)}>{name}</th>' for k, name in enumerate(HEADINGS))
    body = "".join(_line(row) for row in [*rows, _total(rows)])
    return f"<table><caption>Your progress</caption><tr>{head}</tr>{body}</table>"


def _line(row: Row) -> str:
    pairs = (row.exercises, row.points, row.minutes, row.quiz)
    cells = "".join(f'<td class="number">{_fraction(*pair)}</td>' for pair in pairs)
    return f'<tr><th scope="row">{rich(row.title)}</th>{cells}</tr>'


def _fraction(done: int, total: int) -> str:
    if not total:
        return "–"
    return f"{done} / {total}{' ✔' if done == total else ''}"


def _total(rows: list[Row]) -> Row:
    return Row(
        title="All lessons",
        exercises=_sum(row.exercises for row in rows),
        points=_sum(row.points for row in rows),
        minutes=_sum(row.minutes for row in rows),
        quiz=_sum(row.quiz for row in rows),
    )


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    listed = list(pairs)
    return sum(done for done, _ in listed), sum(total for _, total in listed)


def _class(column: int) -> str:
    return ' class="number"' if column else ""
