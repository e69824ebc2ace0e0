"""An explorer whose picture can be touched: dragging in it moves one of the sliders.

The sliders remain, so whatever the pointer does the keyboard can do too.
"""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlearn_utils.course.widgets.canvas import KINDS, Surface
from mlearn_utils.course.widgets.controls import Control
from mlearn_utils.course.widgets.explorer import Explorer, Update


class DragExplorer(Explorer):
    """An `Explorer` with a slider that follows the pointer's x coordinate in any of the picture's axes.

    Args:
        make: as for `Explorer`.
        controls: as for `Explorer`.
        drag: name of the slider that dragging moves; every axes must have its values on the x axis.
        alt: what the picture shows.
        name: a CSS class `mlearn-{name}` is added, for tests.

    Raises:
        ValueError: if `drag` names no slider, and as `Explorer`.
    """

    def __init__(
        self,
        make: Callable[[Figure], Update],
        controls: Mapping[str, Control],
        *,
        drag: str,
        alt: str,
        name: str = "",
    ):
        if not hasattr(controls.get(drag), "step"):
            raise ValueError(f"drag must name a slider among {list(controls)}, got {drag!r}")
        self._drag = drag
        super().__init__(make, controls, alt=alt, name=name)

    @property
    def leading(self) -> str:
        """The name of the slider that dragging moves."""
        return self._drag

    def send(self, kind: str, x: float) -> None:
        """Do what the page does when the pointer is at data coordinate `x` (for tests).

        Raises:
            ValueError: if `kind` is not "down", "move" or "up".
        """
        if kind not in KINDS or kind == "key":
            raise ValueError(f"kind must be 'down', 'move' or 'up', got {kind!r}")
        control: Any = self.controls[self._drag]
        steps = round((x - control.min) / control.step)
        value = control.min + steps * control.step
        self.explore(**{self._drag: min(control.max, max(control.min, value))})

    def _make_screen(self, alt: str) -> Surface:
        surface = Surface(alt=alt, width=self.picture.width)
        surface.on_msg(self._on_message)
        return surface

    def _on_message(self, widget: object, content: dict[str, Any], buffers: object) -> None:
        try:
            self.send(content["kind"], self._place(content["u"], content["v"]))
        finally:
            self._screen.send({"done": content.get("id")})

    def _place(self, u: float, v: float) -> float:
        """Return the x coordinate in the axes that the pointer is above or below of."""
        pixel = self.picture.pixel(u, v)
        boxes: list[tuple[float, Axes]] = []
        for ax in self.picture.figure.axes:
            box = ax.get_window_extent()
            boxes.append((max(box.x0 - pixel[0], pixel[0] - box.x1, 0.0), ax))
        nearest = min(boxes, key=lambda entry: entry[0])[1]
        return float(nearest.transData.inverted().transform(pixel)[0])

    def _show(self, png: bytes) -> None:
        self._screen.png = png
