"""Pictures of lesson 11: returns against the number of training tasks, and against the distance from them."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS, band, number
from mlearn_utils.course.lesson_11 import results
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.explorer import Explorer

RANGE = (0.5, 1.0)
"""The targets of training (m/s)."""


def draw_tasks(ax: Axes) -> None:
    """Draw the return after one step against the number of training tasks."""
    for where, what, label, color, dashes in (
        ("own", "after", "on the tasks of training", "support", "--"),
        ("new", "after", "on new tasks", "adapted", "-"),
        ("new", "before", "on new tasks, before the step", "start", ":"),
    ):
        counts, runs = results.by_tasks(where, what)
        band(ax, counts, runs, label=label, color=COLORS[color], linestyle=dashes)
    ax.set(
        xscale="log", xlabel="tasks in training", ylabel="mean return (95 %, five trainings)", ylim=(0, 80)
    )
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.minorticks_off()
    ax.legend(loc="lower right", fontsize=8)


def distance_explorer() -> Explorer:
    """Return the returns before and after one step at each target, and single trainings at one."""
    return Explorer(
        _draw_distance,
        {"target": slider("target velocity (m/s)", 0.1, 2.0, 0.1, 0.8)},
        alt="Left: mean return before and after one step against the target velocity, the training range "
        "shaded. Right: the five trainings at the target chosen, before and after, each joined by a line.",
        name="distance",
    )


def _draw_distance(figure: Figure) -> Callable[[float], str]:
    figure.set_size_inches(8.2, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1), sharey=True)
    targets, before = results.by_distance("usual", "before")
    after, wide = results.by_distance("usual")[1], results.by_distance("tuned")[1]
    wide_before = results.by_distance("tuned", "before")[1]
    left.axvspan(*RANGE, color="#EEEEEE", zorder=0)
    for label, runs, color, dashes in (
        ("after the step", after, "adapted", "-"),
        ("before it", before, "start", ":"),
        ("after it, trained on 0 to 2, rate 5", wide, "multitask", "--"),
    ):
        band(left, targets, runs, label=label, color=COLORS[color], linestyle=dashes)
    left.set(xlabel="target velocity (m/s), either side", ylabel="mean return", ylim=(0, 100))
    left.legend(fontsize=8, loc="upper right")
    mark = left.axvline(targets[0], color=COLORS["truth"], linewidth=1, linestyle="-")
    lines = [
        right.plot([0, 1], [0, 0], "o-", color=COLORS["adapted"], linewidth=1, markersize=5)[0]
        for _ in range(len(after))
    ]
    right.set(xlim=(-0.3, 1.3), title="each of five trainings")
    right.set_xticks([0, 1], ["before", "after"])

    def update(target: float) -> str:
        place = int(abs(targets - target).argmin())
        at = float(targets[place])
        mark.set_xdata([at, at])
        for line, start, end in zip(lines, before[:, place], after[:, place], strict=True):
            line.set_ydata([start, end])
        gains = after[:, place] - before[:, place]
        where = "inside" if RANGE[0] <= at <= RANGE[1] else "outside"
        mean, low, high = (number(each, ".1f") for each in results.interval(gains))
        wider = number(float((wide - wide_before)[:, place].mean()), ".1f")
        return (
            f"Target {at:g} m/s, {where} the range of training: the step is worth <b>{mean}</b> "
            f"({low} to {high}), better in {int(np.sum(gains > 0))} of {len(gains)} trainings. "
            f"After the wider training, with rate 5, a step is worth {wider}."
        )

    return update
