"""An explorer: controls, a picture that follows them, and a caption that says what to see in it."""

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from mlearn_utils.course.widgets.controls import Control, column, set_control
from mlearn_utils.course.widgets.view import Drawing, frame, image, scrolling

Update = Callable[..., str | None]


class Explorer(Drawing):
    """Controls over a picture.

    Args:
        make: called once with an empty figure; builds the artists and returns `update(**values)`, which
            moves them (`set_data`) and returns the caption (simple HTML).
        controls: name of a value -> its control (`slider`, `int_slider`, `choice`, `toggle`).
        alt: what the picture shows, for those who cannot see it.
        name: a CSS class `mlearn-{name}` is added, for tests.

    Raises:
        ValueError: if `alt` or `controls` is empty, or `name` cannot be a CSS class.

    Example:
        >>> def make(figure):
        ...     ax = figure.subplots()
        ...     (line,) = ax.plot(x, x)
        ...     def update(slope):
        ...         line.set_ydata(slope * x)
        ...         return f"The slope is {slope:.1f}."
        ...     return update
        >>> Explorer(make, {"slope": slider("slope", -1, 1, 0.1, 0.5)}, alt="A line through the origin.")
    """

    kind = "explorer"

    def __init__(
        self,
        make: Callable[[Figure], Update],
        controls: Mapping[str, Control],
        *,
        alt: str,
        name: str = "",
    ):
        if not controls:
            raise ValueError("controls must not be empty")
        super().__init__(make, alt)
        self.controls: dict[str, Any] = dict(controls)
        self.text = f"{self.kind.capitalize()}: {alt}"
        self._screen = self._make_screen(alt)
        rows = [*self._control_rows(), scrolling(self._screen), self.caption]
        self.widget = frame(rows, self.kind, name, alt)
        self._is_held = False
        self.refresh()
        for control in self.controls.values():
            control.observe(self._on_change, names="value")

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def leading(self) -> str:
        """The name of the control to move first, where only one can be moved: the first slider."""
        sliders = (name for name, control in self.controls.items() if hasattr(control, "step"))
        return next(sliders, next(iter(self.controls)))

    def explore(self, **values: Any) -> None:
        """Set controls by name, as their user would, and draw once.

        Raises:
            ValueError: if there is no such control, or it cannot take the value.
        """
        unknown = [name for name in values if name not in self.controls]
        if unknown:
            raise ValueError(f"no control is called {unknown[0]!r}; there are {list(self.controls)}")
        self._is_held = True
        try:
            for name, value in values.items():
                set_control(self.controls[name], name, value)
        finally:
            self._is_held = False
        self.refresh()

    def _control_rows(self) -> list[widgets.Widget]:
        return [column(list(self.controls.values()))]

    def _on_change(self, change: object) -> None:
        if not self._is_held:
            self.refresh()

    def _draw(self) -> str | None:
        return self.picture.update(**self.values)

    def _make_screen(self, alt: str) -> Any:
        """Return the widget that shows the picture; an image gets its alternative text from `frame`."""
        return image(self.picture.width)

    def _show(self, png: bytes) -> None:
        self._screen.value = png
