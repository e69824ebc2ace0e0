"""Hints, one at a time: nothing is shown before somebody presses the button, so Run All shows none."""

from collections.abc import Callable

import ipywidgets as widgets

from mlearn_utils.course.grading.report import Note
from mlearn_utils.course.widgets.controls import Button
from mlearn_utils.course.widgets.view import View, frame, spoken


class Hints(View):
    """A button that shows the next hint, and first those shown elsewhere; `print` shows it without a page.

    Args:
        exercise: its name.
        total: how many hints there are.
        shown: returns how many of them were shown so far.
        reveal: returns hint k, counted from 0; with k = total what to say when there is none left.
    """

    def __init__(self, exercise: str, total: int, shown: Callable[[], int], reveal: Callable[[int], Note]):
        self.text = f"Hints for `{exercise}`: a button shows them in Jupyter, print(...) elsewhere."
        self._total, self._shown, self._reveal = total, shown, reveal
        self._here = 0  # how many stand below this button
        self.button = Button(self._label(), self._press, f"Show the next hint for {exercise}")
        self.hint = spoken(widgets.HTML())
        self.widget = frame([self.button, self.hint], "hints", "")

    def __str__(self) -> str:
        shown = self._shown()
        first = 0 if shown == self._total else shown  # all of them again, once there is no new one
        return "\n\n".join(str(self._reveal(k)) for k in range(first, shown + 1))

    def _press(self) -> None:
        last = max(self._shown(), self._here)
        for k in range(self._here, last + 1):
            self.hint.value += self._reveal(k)._repr_mimebundle_()["text/html"]
        self._here = last + 1
        self.button.disabled = self._here > self._total
        self.button.description = self._label()

    def _label(self) -> str:
        shown = self._shown()
        if self._here > self._total:
            return "No more hints"
        if shown == self._total:
            return "No more hints: what now?" if self._here else "Show all hints again"
        return f"Show hint {shown + 1} of {self._total}"
