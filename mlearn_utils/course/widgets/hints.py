"""Hints, one at a time: nothing is shown before somebody presses the button, so Run All shows none."""

from collections.abc import Callable

import ipywidgets as widgets

from mlearn_utils.course.grading.report import Note
from mlearn_utils.course.widgets.controls import Button
from mlearn_utils.course.widgets.view import View, frame, spoken


class Hints(View):
    """A button that shows the next hint; where there is no page, `print` shows it.

    Args:
        exercise: its name.
        total: how many hints there are.
        shown: returns how many of them were shown so far.
        reveal: returns the next hint, or says that there is none left.
    """

    def __init__(self, exercise: str, total: int, shown: Callable[[], int], reveal: Callable[[], Note]):
        self.text = f"Hints for `{exercise}`: a button shows them in Jupyter, print(...) elsewhere."
        self._total, self._shown, self._reveal = total, shown, reveal
        self.button = Button(self._label(), self._press, f"Show the next hint for {exercise}")
        self.hint = spoken(widgets.HTML())
        self.widget = frame([self.button, self.hint], "hints", "")

    def __str__(self) -> str:
        return str(self._reveal())

    def _press(self) -> None:
        self.hint.value += self._reveal()._repr_mimebundle_()["text/html"]
        self.button.description = self._label()

    def _label(self) -> str:
        shown = self._shown()
        return f"Show hint {shown + 1} of {self._total}" if shown < self._total else "No more hints"
