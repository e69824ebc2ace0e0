"""A picture to touch: drag a point on a curve, click a cell, steer by keyboard.

Only pointer and keys live in the page (`canvas.js`); the picture and all mathematics are Python's. The page
sends one event at a time and waits for its answer, so a slow picture lags by one event, never by a queue.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import anywidget
import traitlets
from matplotlib.figure import Figure

from mlearn_utils.course.grading.report import error_box
from mlearn_utils.course.widgets.view import Drawing, frame, scrolling

Kind = Literal["down", "move", "up", "key"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class CanvasEvent:
    """What happened.

    Attributes:
        kind: "down", "move" (with the button held), "up" or "key".
        x: in data coordinates of the figure's first axes; for a key where the pointer was last, or NaN.
        y: as x.
        key: such as "ArrowLeft", "a", " "; "" for the pointer.
    """

    kind: Kind
    x: float = math.nan
    y: float = math.nan
    key: str = ""


class Surface(anywidget.AnyWidget):
    """The part in the page: shows `png`; reports the keys in `listen`, and the pointer in fractions of it."""

    _esm = Path(__file__).with_name("canvas.js")
    png = traitlets.Bytes(b"").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    listen = traitlets.List(traitlets.Unicode()).tag(sync=True)
    width = traitlets.Int(0).tag(sync=True)


class Canvas(Drawing):
    """A picture that answers to pointer and keys.

    Args:
        make: called once with an empty figure; builds the artists and returns `redraw()`, which moves them
            to the present state and returns the caption (simple HTML).
        on_event: called with each `CanvasEvent`, before the redraw; changes the state.
        alt: what the picture shows and what can be done with it.
        keys: the keys that are sent, as the browser names them ("ArrowLeft", "a", " "); all others keep
            their meaning in Jupyter.
        tour: keys that show what can be done; where nobody can press any they are pressed in this order.
        name: a CSS class `mlearn-{name}` is added, for tests.

    Raises:
        ValueError: if `alt` is empty, the figure has no axes, `tour` has other keys than `keys`, or `name`
            cannot be a CSS class.
    """

    def __init__(
        self,
        make: Callable[[Figure], Callable[[], str | None]],
        on_event: Callable[[CanvasEvent], object],
        *,
        alt: str,
        keys: Sequence[str] = (),
        tour: Sequence[str] = (),
        name: str = "",
    ):
        super().__init__(make, alt)
        if not self.picture.figure.axes:
            raise ValueError("make must add axes to the figure: events are given in their coordinates")
        self._on_event = on_event
        self._last = (math.nan, math.nan)
        if not set(tour) <= set(keys):
            raise ValueError(f"tour must consist of keys, {list(keys)}, got {sorted(set(tour) - set(keys))}")
        self.tour = tuple(tour)
        self.text = f"Canvas: {alt}"
        self._surface = Surface(alt=alt, listen=list(keys), width=self.picture.width)
        self._surface.on_msg(self._on_message)
        self.widget = frame([scrolling(self._surface), self.caption], "canvas", name)
        self.refresh()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it answers to."""
        return tuple(self._surface.listen)

    def send(self, kind: Kind, x: float = math.nan, y: float = math.nan, key: str = "") -> None:
        """Do what the page does when the pointer or a key is used, at data coordinates (for tests).

        Raises:
            ValueError: if `kind` is unknown, or the key is not among `keys`.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        if kind == "key" and key not in self._surface.listen:
            raise ValueError(f"key must be one of {self._surface.listen}, got {key!r}")
        self._handle(CanvasEvent(kind, x, y, key))

    def _on_message(self, widget: object, content: dict[str, Any], buffers: object) -> None:
        try:
            self.send(content["kind"], *self._place(content), content.get("key", ""))
        finally:
            self._surface.send({"done": content.get("id")})

    def _place(self, content: dict[str, Any]) -> tuple[float, float]:
        """Return data coordinates of fractions `u` from the left and `v` from the top of the picture."""
        if content["kind"] != "key":
            pixel = self.picture.pixel(content["u"], content["v"])
            x, y = self.picture.figure.axes[0].transData.inverted().transform(pixel)
            self._last = (float(x), float(y))
        return self._last

    def _handle(self, event: CanvasEvent) -> None:
        try:
            self._on_event(event)
        except Exception as error:
            self.caption.value = error_box(error)
            raise
        self.refresh()

    def _draw(self) -> str | None:
        return self.picture.update()

    def _show(self, png: bytes) -> None:
        self._surface.png = png
