"""Predict, then reveal: the reader commits to a guess before the surprising result is shown."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from mlearn_utils.course.grading.progress import current_recorder
from mlearn_utils.course.grading.report import error_box, rich
from mlearn_utils.course.widgets.choices import Choices
from mlearn_utils.course.widgets.controls import Button, column, set_control
from mlearn_utils.course.widgets.view import LEAST, Picture, View, frame, image, scrolling, spoken

Slider = widgets.FloatSlider | widgets.IntSlider


class Predict(View):
    """A question, a way to guess, a button to commit, and then the answer.

    Args:
        question: what to guess; `$math$` and `code` are allowed.
        options: the texts to choose from, or a slider for a numeric guess.
        reveal: called with the guess (the text chosen, or the number); returns the answer as simple HTML,
            in which `$math$` is allowed.
        name: identifies the guess in the progress log; a CSS class `mlearn-{name}` is added.
        reveal_picture: called with an empty figure when the answer is revealed.
        alt: what that picture shows.

    Raises:
        ValueError: if there are fewer than two options, or the name is empty or no CSS class.
    """

    def __init__(
        self,
        question: str,
        options: Sequence[str] | Slider,
        reveal: Callable[[Any], str],
        *,
        name: str,
        reveal_picture: Callable[[Figure], Any] | None = None,
        alt: str = "",
    ):
        if not name:
            raise ValueError("name must not be empty: it identifies the guess in the progress log")
        self.name, self._reveal, self._reveal_picture = name, reveal, reveal_picture
        self.question, self.alt = question, alt or f"The answer to: {question}"
        self.text = f"Predict, then reveal: {question} (Run this notebook in Jupyter to answer.)"
        is_slider = isinstance(options, Slider)
        self._options = () if is_slider else tuple(options)
        self._input = options if is_slider else Choices(self._options, "Your guess")
        self.button = Button("Commit and reveal", self._press, "Fix this guess and show the answer")
        self.caption = spoken(widgets.HTMLMath())
        self._image = image(0)
        self._image.layout.display = "none"
        self.png = b""
        shown = self._input.widget if isinstance(self._input, Choices) else column([self._input])
        self._is_moved = False
        if is_slider:
            options.observe(self._on_move, names="value")
        asked = widgets.HTMLMath(f"<p><strong>Predict</strong> · {rich(question)}</p>")
        self.widget = frame(
            [asked, shown, self.button, self.caption, scrolling(self._image)],
            "predict",
            name,
            self.alt,
        )

    @property
    def options(self) -> tuple[str, ...] | Slider:
        """The texts to choose from, or the slider."""
        return self._options or self._input  # type: ignore[return-value]

    @property
    def guess(self) -> Any:
        """The guess so far: a text, a number, or None."""
        if not isinstance(self._input, Choices):
            return self._input.value
        return None if self._input.picked is None else self._options[self._input.picked]

    def commit(self, guess: Any) -> None:
        """Make a guess and press the button.

        Raises:
            ValueError: if that guess is not among the options or outside the slider's range.
        """
        self._pick(guess)
        self.button.click()

    def preview(self, guess: Any) -> tuple[str, Picture | None]:
        """Make a guess and return what it would reveal, as HTML and as a picture, without committing to it.

        Raises:
            ValueError: as `commit`.
        """
        self._pick(guess)
        return self._answer()

    def _pick(self, guess: Any) -> None:
        if not isinstance(self._input, Choices):
            set_control(self._input, "guess", guess)
            self._is_moved = True
        elif guess in self._options:
            self._input.radio.value = self._options.index(guess)
        else:
            raise ValueError(f"guess must be one of {self._options}, got {guess!r}")

    def _answer(self) -> tuple[str, Picture | None]:
        answer = self._reveal(self.guess)
        return answer, None if self._reveal_picture is None else Picture(self._reveal_picture)

    def _on_move(self, change: object) -> None:
        self._is_moved = True

    def _press(self) -> None:
        if self.guess is None:
            self.caption.value = "Choose a guess first: there is no wrong one."
            return
        if not (self._is_moved or isinstance(self._input, Choices)):
            self.caption.value = "Move the slider to your guess first: there is no wrong one."
            return
        try:
            self._show()
        except Exception as error:
            self.caption.value = error_box(error)
            raise

    def _show(self) -> None:
        answer, picture = self._answer()
        if picture is not None:
            self.png = picture.render()
            self._image.value, self._image.width = self.png, str(picture.width)
            self._image.layout.min_width = f"{round(LEAST * picture.width)}px"
            self._image.layout.display = ""
        note = current_recorder().note("predict", self.name, "committed", answer=self.guess)
        saved = f"<p>{rich(note)}</p>" if note else ""
        self._lock()
        self.caption.value = answer + saved

    def _lock(self) -> None:
        self.button.disabled = True
        if isinstance(self._input, Choices):
            self._input.lock()
        else:
            self._input.disabled = True
