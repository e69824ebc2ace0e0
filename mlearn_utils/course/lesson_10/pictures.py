"""Pictures of lesson 10."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.explorer import Explorer

X, Y = np.array([0.5, 1.0, 2.0, 3.0]), np.array([0.9, 1.2, 3.1, 3.9])


def line_explorer() -> Explorer:
    """Return an explorer of lines through the origin, with a slider for the slope."""
    return Explorer(_draw, {"slope": slider("slope", 0.0, 2.0, 0.1, 0.5)}, alt="Four points and a line.")


def _draw(figure: Figure) -> Callable[[float], str]:
    ax = figure.subplots()
    ax.plot(X, Y, "o", color=COLORS["truth"], label="points")
    (line,) = ax.plot([0, 3.5], [0, 0], color=COLORS["prediction"], label="line")
    ax.set(xlabel="x", ylabel="y", ylim=(0, 5))
    ax.legend()

    def update(slope: float) -> str:
        line.set_ydata([0, 3.5 * slope])
        return f"Mean squared error: {((Y - slope * X) ** 2).mean():.2f}."

    return update
