"""A stepper: an explorer whose one control is which step to look at, with buttons for one step on or back."""

from collections.abc import Callable

import ipywidgets as widgets
from matplotlib.figure import Figure

from mlearn_utils.course.widgets.controls import Button, int_slider, row
from mlearn_utils.course.widgets.explorer import Explorer, Update


class Stepper(Explorer):
    """Walk through `count` steps of something that was computed before.

    Where there is no kernel it shows the last step, which has what all of them add up to.

    Args:
        make: as for `Explorer`; its update is called with `step`, from 0 to count - 1.
        count: number of steps, at least 2.
        alt: what the picture shows.
        name: a CSS class `mlearn-{name}` is added, for tests.

    Raises:
        ValueError: if `count` is below 2 or `alt` is empty.
    """

    kind = "stepper"

    def __init__(self, make: Callable[[Figure], Update], count: int, *, alt: str, name: str = ""):
        if count < 2:
            raise ValueError(f"count must be an integer >= 2, got {count!r}")
        self.previous = Button("◀ Previous", self._go_back, "One step back")
        self.next = Button("Next ▶", self._go_on, "One step on")
        self._last = count - 1
        super().__init__(make, {"step": int_slider("Step", 0, self._last, 1, 0)}, alt=alt, name=name)

    def _control_rows(self) -> list[widgets.Widget]:
        return [*super()._control_rows(), row([self.previous, self.next])]

    def _fallback(self) -> tuple[bytes, int]:
        self.picture.update(step=self._last)
        last = self.picture.render()
        self.refresh()
        return last, self.picture.width

    def _go_back(self) -> None:
        self.explore(step=max(0, self.values["step"] - 1))

    def _go_on(self) -> None:
        self.explore(step=min(self._last, self.values["step"] + 1))
