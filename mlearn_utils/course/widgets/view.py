"""What every widget of the course shares: a picture drawn without global state, and how it is displayed.

A view shows live in Jupyter, as its picture where there is no kernel (GitHub, the web edition, a fresh
clone), and as one line of text elsewhere. That line is the same in every run.
"""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import anywidget
import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mlearn_utils.course.figures.style import DENSITY, STYLE
from mlearn_utils.course.grading.report import error_box

Text = TypeVar("Text", widgets.HTML, widgets.HTMLMath)

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
FOLDER = Path(__file__).parent
LEAST = 0.8
"""A picture shrinks to this share of its width on a narrow page; then it scrolls, so that it can be read."""


class Page(anywidget.AnyWidget):
    """Invisible: brings the style sheet, and the names that core ipywidgets do not give (`page.js`)."""

    _esm = FOLDER / "page.js"
    _css = FOLDER / "course.css"
    alt = traitlets.Unicode("").tag(sync=True)


class Picture:
    """A matplotlib figure of its own, outside pyplot, that is built once and redrawn as PNG.

    Args:
        make: called once with the empty figure; what it returns is kept as `update`.

    The layout is computed at the first drawing and then kept: axes that shift under a moving slider are hard
    to read, and the layout takes half of the drawing time.
    """

    def __init__(self, make: Callable[[Figure], Any]):
        sharp: dict[Any, Any] = STYLE | {"figure.dpi": DENSITY * STYLE["figure.dpi"]}
        with mpl.rc_context(sharp):
            self.figure = Figure()
            self._canvas = FigureCanvasAgg(self.figure)
            self.update = make(self.figure)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, DENSITY times those on the page."""
        return self._canvas.get_width_height(physical=True)

    @property
    def width(self) -> int:
        """Width on the page, in its pixels."""
        return round(self.size[0] / DENSITY)

    def pixel(self, u: float, v: float) -> tuple[float, float]:
        """Return the pixel, from the bottom left, at fractions `u` from the left and `v` from the top."""
        width, height = self.size
        return u * width, (1 - v) * height

    def render(self) -> bytes:
        """Draw the figure as it is now and return it as PNG."""
        self._canvas.draw()
        self.figure.set_layout_engine("none")
        pixels = np.asarray(self._canvas.buffer_rgba())[..., :3]
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=1)
        return file.getvalue()


class View:
    """Base of the widgets: `widget` is the ipywidgets tree, `text` the line that stands for it elsewhere."""

    widget: widgets.VBox
    text: str

    def _fallback(self) -> tuple[bytes, int] | None:
        """Return the PNG that stands for the widget where there is no kernel, and its width; or None."""
        return None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        live = self.widget._repr_mimebundle_() or {}
        bundle, metadata = {"text/plain": self.text, WIDGET_VIEW: live[WIDGET_VIEW]}, {}
        picture = self._fallback()
        if picture is not None:
            bundle["image/png"] = base64.b64encode(picture[0]).decode("ascii")
            metadata["image/png"] = {"width": picture[1]}
        return bundle, metadata

    def __repr__(self) -> str:
        return self.text


class Drawing(View):
    """A view with a picture and a caption below it; `_draw` says what the picture shows now.

    Attributes:
        alt: what the picture shows, for those who cannot see it.
        picture: the figure behind it.
        caption: the text below it, simple HTML.
    """

    def __init__(self, make: Callable[[Figure], Any], alt: str):
        if not alt:
            raise ValueError("alt must describe the picture for those who cannot see it")
        self.alt = alt
        self.picture = Picture(make)
        if not callable(self.picture.update):
            raise TypeError(f"make must return the function that redraws, got {self.picture.update!r}")
        self.caption = spoken(widgets.HTML())
        self._png = b""

    @property
    def png(self) -> bytes:
        """The picture as it is shown now."""
        return self._png

    def refresh(self) -> None:
        """Draw again. An exception is shown in the caption and raised."""
        try:
            caption = self._draw()
            self._png = self.picture.render()
        except Exception as error:
            self.caption.value = error_box(error)
            raise
        self._show(self._png)
        self.caption.value = caption or ""

    def _draw(self) -> str | None:
        raise NotImplementedError

    def _show(self, png: bytes) -> None:
        raise NotImplementedError

    def _fallback(self) -> tuple[bytes, int] | None:
        return self._png, self.picture.width


def image(width: int) -> widgets.Image:
    """Return an image widget of this width on the page; its alternative text is given to `frame`."""
    narrowest = f"{round(LEAST * width)}px"
    layout = widgets.Layout(align_self="flex-start", max_width="100%", min_width=narrowest, height="auto")
    return widgets.Image(format="png", width=width, layout=layout)


def scrolling(picture: widgets.Widget) -> widgets.Box:
    """Put a picture into a box, which scrolls where the page is narrower than the picture."""
    return widgets.Box([picture])


def frame(children: list[widgets.Widget], kind: str, name: str, alt: str = "") -> widgets.VBox:
    """Put widgets below each other in a box of the CSS classes `mlearn-{kind}` and `mlearn-{name}`.

    `alt` becomes the alternative text of the image among them.

    Raises:
        ValueError: if `name` cannot be a CSS class.
    """
    if name and not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"name must be of letters, digits, '-' and '_', got {name!r}")
    page = Page(alt=alt, layout=widgets.Layout(display="none"))
    box = widgets.VBox([page, *children])
    box.add_class("mlearn-view").add_class(f"mlearn-{kind}")
    return box.add_class(f"mlearn-{name}") if name else box


def spoken(text: Text) -> Text:
    """Have a screen reader say the text of this widget whenever it changes."""
    text.add_class("mlearn-spoken")
    return text
