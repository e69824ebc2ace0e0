"""A check inside of nbgrader's autograding, where a cell's output is its score.

A cell that raises or writes to stderr gets nothing there; a result that reads as a number is the points, and
any other one gives all of them with a warning. So a wrong answer raises, with the checker's message, and the
result of a right one reads as its points. There is nothing to hide in a test, then.
"""

import contextlib
import io
import os
from typing import Any

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.grading.report import Report


class Mark(Report):
    """A passed report whose plain text, in a notebook, is its points."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return super()._repr_mimebundle_() | {"text/plain": str(self.earned)}


def is_autograding() -> bool:
    """Return whether nbgrader runs this notebook to grade it."""
    return os.environ.get("NBGRADER_EXECUTION") == "autograde"


def mark(exercise: Exercise, answer: Any) -> Mark:
    """Return the report on a right answer; what the answer writes to stderr, such as a warning, is dropped.

    Raises:
        AssertionError: if it is not right; the report is its message.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        report = grade(exercise, answer)
    if not report.ok:
        raise AssertionError(str(report))
    return Mark(**vars(report))
