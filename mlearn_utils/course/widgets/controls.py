"""The controls of an explorer: core ipywidgets, labelled and operable by keyboard."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

Control = widgets.FloatSlider | widgets.IntSlider | widgets.Dropdown | widgets.Checkbox

WIDE = {"description_width": "initial"}
WIDTH = "480px"


def slider(label: str, low: float, high: float, step: float, value: float) -> widgets.FloatSlider:
    """Return a slider over the numbers from `low` to `high`.

    Args:
        label: shown at its left; say the unit.
        low: its left end.
        high: its right end.
        step: of one key press.
        value: where it starts.

    Raises:
        ValueError: if the range is empty, the step is not positive or the value is outside.
    """
    _check_range(low, high, step, value)
    decimals = len(f"{step:.6f}".rstrip("0").partition(".")[2])
    return widgets.FloatSlider(
        value=value, min=low, max=high, step=step, readout_format=f".{decimals}f", **_labelled(label)
    )


def int_slider(label: str, low: int, high: int, step: int, value: int) -> widgets.IntSlider:
    """Return a slider over whole numbers; see `slider`."""
    _check_range(low, high, step, value)
    return widgets.IntSlider(value=value, min=low, max=high, step=step, **_labelled(label))


def choice(label: str, options: Sequence[Any], value: Any) -> widgets.Dropdown:
    """Return a drop-down list.

    Args:
        label: shown at its left.
        options: the values, or (text, value) pairs.
        value: the one selected at first.

    Raises:
        ValueError: if `value` is not among the options.
    """
    values = [option[1] if isinstance(option, tuple) else option for option in options]
    if value not in values:
        raise ValueError(f"value must be one of {values}, got {value!r}")
    return widgets.Dropdown(options=list(options), value=value, **_labelled(label))


def toggle(label: str, value: bool) -> widgets.Checkbox:
    """Return a check box."""
    return widgets.Checkbox(value=value, indent=False, **_labelled(label))


def text_field(label: str, value: str, placeholder: str) -> widgets.Text:
    """Return a field for one line of text; `placeholder` is shown in it while it is empty."""
    return widgets.Text(value=value, placeholder=placeholder, **_labelled(label))


class Button(widgets.Button):
    """A button that calls `action`; unlike with `on_click`, its exception reaches who calls `click`.

    Args:
        label: what is on it.
        action: called without arguments.
        tooltip: what it does, in a sentence.
    """

    def __init__(self, label: str, action: Callable[[], object], tooltip: str = ""):
        layout = widgets.Layout(width="auto", min_width="120px", align_self="flex-start")
        super().__init__(description=label, tooltip=tooltip or label, layout=layout)
        self._action = action

    def click(self) -> None:
        """Do what a click in the page does."""
        self._action()


def column(controls: Sequence[widgets.Widget]) -> widgets.VBox:
    """Put controls below each other, their labels, tracks and numbers in columns (`course.css`)."""
    return widgets.VBox(list(controls)).add_class("mlearn-controls")


def row(buttons: Sequence[widgets.Button]) -> widgets.HBox:
    """Put buttons beside each other, as many as there is room for."""
    return widgets.HBox(list(buttons)).add_class("mlearn-buttons")


def set_control(control: Any, name: str, value: Any) -> None:
    """Give a control a value, as its user would.

    Raises:
        ValueError: if the control cannot take `value` (ipywidgets itself would clamp it without a word).
    """
    low, high = getattr(control, "min", None), getattr(control, "max", None)
    if low is not None and high is not None and not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, got {value!r}")
    options = getattr(control, "_options_values", None)
    if options is not None and value not in options:
        raise ValueError(f"{name} must be one of {list(options)}, got {value!r}")
    control.value = value


def _labelled(label: str) -> dict[str, Any]:
    if not label:
        raise ValueError("label must not be empty: a screen reader has nothing else to say")
    return {"description": label, "style": WIDE, "layout": widgets.Layout(width=WIDTH, max_width="100%")}


def _check_range(low: float, high: float, step: float, value: float) -> None:
    if not low < high:
        raise ValueError(f"low must be below high, got low={low!r}, high={high!r}")
    if not step > 0:
        raise ValueError(f"step must be positive, got {step!r}")
    if not low <= value <= high:
        raise ValueError(f"value must be between {low} and {high}, got {value!r}")
