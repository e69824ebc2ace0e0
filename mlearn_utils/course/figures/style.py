"""The look of every figure: size, palette, line styles, and bands over seeds.

The palette is that of Okabe and Ito, which readers with the common color deficiencies tell apart; lines also
differ in their dashes, so that color is never alone.

Reference: M. Okabe and K. Ito, "Color Universal Design" (2008).
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib_inline.backend_inline import set_matplotlib_formats

from mlearn_utils.course.figures.statistics import interval

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
BLACK, GRAY = "#000000", "#6E6E6E"

PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, BLACK)
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (1, 2)))

COLORS = {
    "support": BLUE,
    "query": ORANGE,
    "truth": BLACK,
    "prediction": BLUE,
    "start": GRAY,
    "adapted": GREEN,
    "meta": PINK,
    "gradient": ORANGE,
    "first order": YELLOW,
    "second order": BLUE,
    "maml": BLUE,
    "fomaml": YELLOW,
    "reptile": GREEN,
    "anil": SKY,
    "meta-sgd": PINK,
    "multitask": ORANGE,
    "random": GRAY,
    "oracle": BLACK,
    "good": GREEN,
    "bad": ORANGE,
    "muted": GRAY,
}

STYLE: dict[Any, Any] = {
    "figure.figsize": (5, 3),
    "figure.dpi": 80,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": "figure",
    "savefig.facecolor": "white",
    "axes.prop_cycle": cycler(color=PALETTE) + cycler(linestyle=DASHES),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": "medium",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "image.cmap": "cividis",
}


DENSITY = 2
"""Pixels of a stored picture for each pixel of its width on the page, so that text in it is as sharp."""


def use_style() -> None:
    """Make this the style of all figures from now on, in a notebook with DENSITY (for `course.start`)."""
    mpl.rcParams.update(STYLE)
    if get_ipython() is not None:
        set_matplotlib_formats("retina")


def number(value: float, spec: str = ".2f") -> str:
    """Return a number in the format `spec` with a real minus sign, and none before a zero: "−0.52", "0.0"."""
    text = f"{value:{spec}}"
    return text.replace("-", "−" if any(digit in text for digit in "123456789") else "")


def band(
    ax: Axes,
    x: Any,
    runs: Any,
    *,
    label: str = "",
    color: str | None = None,
    linestyle: Any = None,
    level: float = 0.95,
    alpha: float = 0.2,
) -> None:
    """Plot the mean over seeds and, shaded, its Student-t interval at each x.

    Args:
        ax: where to plot.
        x: [N].
        runs: [S, N], one row a seed, S >= 2.
        label: of the line, for the legend.
        color: of the line and its shade; the next of the cycle when not given.
        linestyle: of the line; the next of the cycle when not given.
        level: of confidence.
        alpha: of the shade.

    Raises:
        ValueError: if `runs` is not [S, N] with S >= 2 and N the length of x.
    """
    at, values = np.asarray(x), np.asarray(runs, dtype=float)
    if values.ndim != 2 or at.shape != values.shape[1:]:
        raise ValueError(f"runs must be [S, N] with N = {at.size} values of x, got shape {values.shape}")
    mean, low, high = interval(values, level=level)
    wanted = {"color": color, "linestyle": linestyle}
    given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    (line,) = ax.plot(at, mean, label=label or None, **given)
    ax.fill_between(at, low, high, color=line.get_color(), alpha=alpha, linewidth=0)
