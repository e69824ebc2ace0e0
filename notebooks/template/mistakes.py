"""How the answers of lesson NN are judged: probes, known mistakes, and what to tell who made them."""

import numpy as np

from mlearn_utils.course.grading.trial import Probe, Trial, Wrong

# --- points on a line


def line_probes() -> list[Probe]:
    """Return x, slope and offset: several values of each, with decimals and with 0; three sizes of x."""
    return [
        (np.array([-1.0, 0.52, 2.0]), 1.73, 0.41),
        (np.array([3.0, -0.3]), -0.6, 2.5),
        (np.array([0.8, 1.9, -0.4]), 0.0, -0.7),
        (np.array([0.3]), 0.9, 0.0),
    ]


def wrong_lines(x: np.ndarray, slope: float, offset: float) -> Wrong:
    """Return what each known mistake gives for the points on a line, with its message."""
    return [
        (slope * x, "the offset is missing: at x = 0 the line is at `offset`"),
        (offset * x + slope, "slope and offset are exchanged: it is the slope that x is multiplied by"),
        (slope * (x + offset), "the offset is multiplied by the slope: add it afterwards"),
    ]  # fmt: skip


LINE_VALUES = Trial(
    probes=line_probes,
    mistakes=wrong_lines,
    otherwise="not slope * x + offset",
    praise="Right for a rising line and for a falling one.",
)


# --- the best slope


def slope_probes() -> list[Probe]:
    """Return points x and y: three, four, and three others."""
    return [
        (np.array([1.0, 2.04, -0.5]), np.array([0.7, 2.9, 0.43])),
        (np.array([0.6, -1.5, 2.2, 3.0]), np.array([-1.0, 2.5, -2.0, -4.1])),
        (np.array([0.3, -0.8, 1.9]), np.array([1.2, -0.5, 2.6])),
    ]


def wrong_slopes(x: np.ndarray, y: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the best slope, with its message."""
    return [
        ((y / x).mean(), "this is the mean of the slopes y / x: a point near x = 0 then counts too much"),
        ((x * y).sum() / (y * y).sum(), "this is the slope of x by y: divide by the sum of x squared"),
        ((x * y).sum(), "divide by the sum of x squared"),
        (np.polyfit(x, y, 1)[0], "this line has an offset of its own: it must go through the origin"),
    ]  # fmt: skip


BEST_SLOPE = Trial(
    probes=slope_probes,
    mistakes=wrong_slopes,
    otherwise="not where the derivative of the squared error by the slope is zero",
    praise="The derivative of the squared error is zero there, for three points and for four.",
)


# --- the planted bug


def error_probes() -> list[Probe]:
    """Return predictions and y: three points, two, and three others."""
    return [
        (np.array([1.0, 2.04, 4.0]), np.array([0.5, 2.2, 1.03])),
        (np.array([-1.0, 0.3]), np.array([0.4, -1.5])),
        (np.array([0.7, -2.0, 1.1]), np.array([-0.6, 0.9, 1.6])),
    ]


def wrong_errors(predicted: np.ndarray, y: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the mean error, with its message."""
    errors = abs(predicted - y)
    return [
        (errors[:-1].sum() / len(y), "the last point is still missing: which k does range(...) end with?"),
        (errors[:-1].mean(), "the division hides it, but the last point is still lost: mend the loop"),
        (errors.sum(), "this is the sum: divide by the number of points"),
        ((predicted - y).mean(), "errors of both signs cancel: take their absolute value"),
    ]  # fmt: skip


MEAN_ERROR = Trial(
    probes=error_probes,
    mistakes=wrong_errors,
    otherwise="not the mean of the absolute errors",
    praise="Every point counts, the last one too.",
)
