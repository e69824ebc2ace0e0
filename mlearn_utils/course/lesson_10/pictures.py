"""Pictures of lesson 10: times and memory as they were stored, the way back, and what N ranks would bring."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS, DASHES, PALETTE
from mlearn_utils.course.lesson_10 import paper, results
from mlearn_utils.course.widgets.controls import choice, int_slider, slider
from mlearn_utils.course.widgets.explorer import Explorer

MARKERS = "os^DvP"
WAYS, CHUNKS = (*results.WAYS[:4], "chunks"), "batched, 25 at a time"


def _style(place: int) -> dict[str, Any]:
    return {
        "color": PALETTE[place],
        "linestyle": DASHES[place],
        "marker": MARKERS[place],
        "markersize": 5,
    }


def _nearest(values: list[int], wanted: float) -> int:
    return min(values, key=lambda value: abs(np.log(value / wanted)))


# --- times


def times_explorer() -> Explorer:
    """Return the time of an update by each way against the number of tasks."""
    return Explorer(
        _draw_times,
        {
            "tasks": int_slider("tasks (nearest measured)", 1, 400, 1, 25),
            "width": choice("width of the layers", [40, 256], 40),
            "steps": choice("inner steps", results.counts("times", "steps"), 1),
        },
        alt="Time of one meta-gradient against the number of tasks, both axes logarithmic, for a loop, vmap, "
        "batched layers and by hand.",
        name="times",
    )


def _draw_times(figure: Figure) -> Callable[..., str]:
    figure.set_size_inches(6.4, 3.6)
    ax = figure.subplots()
    measured = results.counts("times", "tasks")
    lines = [
        ax.plot(measured, np.ones(len(measured)), label=CHUNKS if way == "chunks" else way, **_style(k))[0]
        for k, way in enumerate(WAYS)
    ]
    mark = ax.axvline(25, color=COLORS["truth"], linewidth=1, linestyle="-")
    ax.set(
        xscale="log", yscale="log", xlabel="tasks in an update", ylabel="ms of the processor", ylim=(0.1, 3e4)
    )
    ax.set_xticks(measured, [str(count) for count in measured])
    ax.minorticks_off()
    ax.legend(fontsize=8)

    def update(tasks: int, width: int, steps: int) -> str:
        at = _nearest(measured, tasks)
        mark.set_xdata([tasks, tasks])
        for line, way in zip(lines, WAYS, strict=True):
            line.set_ydata([results.times(width, steps, count, way) for count in measured])
        loop, *others = (results.times(width, steps, at, way) for way in WAYS)
        told = [
            f"{way} {ms:.3g} ms" + (f" ({loop / ms:.2g} times as fast)" if np.isfinite(loop) else "")
            for way, ms in zip(WAYS[1:], others, strict=True)
            if np.isfinite(ms)
        ]
        first = f"loop {loop:.3g} ms" if np.isfinite(loop) else "loop over 2 seconds, not measured"
        return f"{at} tasks, width {width}, {steps} inner steps: {first}; {'; '.join(told)}."

    return update


# --- the way back


RATE, STEPS = 0.22, 4
START, QUERY_CENTER = np.array([-1.15, 0.55]), np.array([0.9, 0.5])


def _loss(theta: np.ndarray) -> Any:
    """Return the support loss of the picture, a bent valley, at theta [2, ...]."""
    return 0.9 * (theta[1] - 0.45 * theta[0] ** 2) ** 2 + 0.3 * (theta[0] - 1.2) ** 2


def _slope(theta: np.ndarray) -> np.ndarray:
    off = theta[1] - 0.45 * theta[0] ** 2
    return np.array([-1.62 * off * theta[0] + 0.6 * (theta[0] - 1.2), 1.8 * off])


def _hessian(theta: np.ndarray) -> np.ndarray:
    off = theta[1] - 0.45 * theta[0] ** 2
    cross = -1.62 * theta[0]
    return np.array([[-1.62 * off + 1.458 * theta[0] ** 2 + 0.6, cross], [cross, 1.8]])


def walk() -> Callable[[Figure], Callable[[int], str]]:
    """Return the picture of four inner steps out and the way back, in ten moments, for a `Stepper`."""
    path = [START]
    for _ in range(STEPS):
        path.append(path[-1] - RATE * _slope(path[-1]))
    arrows = [1.2 * (path[-1] - QUERY_CENTER)]  # the query loss is 0.6 times the squared distance
    for theta in path[STEPS - 1 :: -1]:
        arrows.append(arrows[-1] - RATE * _hessian(theta) @ arrows[-1])
    texts = [f"θ⁰ = ({START[0]:.2f}, {START[1]:.2f}): where all tasks start."]
    for k, theta in enumerate(path[1:]):
        texts.append(f"Out, inner step {k + 1}: θ{'¹²³⁴'[k]} = ({theta[0]:.2f}, {theta[1]:.2f}).")
    texts.append(
        f"At the end: v⁴ = ({arrows[0][0]:.2f}, {arrows[0][1]:.2f}), the slope of the query loss, whose "
        "lowest point is the cross."
    )
    for j in range(STEPS):
        k = STEPS - 1 - j
        product = _hessian(path[k]) @ arrows[j]
        texts.append(
            f"Back over step {k + 1}: H v = ({product[0]:.2f}, {product[1]:.2f}) with the Hessian at "
            f"θ{'⁰¹²³'[k]}, so v{'⁰¹²³'[k]} = v{'¹²³⁴'[k]} − {RATE:g} H v = "
            f"({arrows[j + 1][0]:.2f}, {arrows[j + 1][1]:.2f})."
        )
    texts[-1] += " This is the task's part of the meta-gradient; first order would take v⁴."

    def make(figure: Figure) -> Callable[[int], str]:
        figure.set_size_inches(5.6, 3.8)
        ax = figure.subplots()
        across, up = np.meshgrid(np.linspace(-1.8, 1.8, 60), np.linspace(-0.7, 1.6, 50))
        levels = np.geomspace(0.05, 6, 10)
        ax.contour(across, up, _loss(np.array([across, up])), levels, colors=COLORS["muted"], linewidths=0.6)
        ax.plot(
            *QUERY_CENTER, "x", color=COLORS["query"], markersize=9, markeredgewidth=2, label="query: lowest"
        )
        (line,) = ax.plot([], [], "o-", color=COLORS["support"], label="inner steps")
        (old,) = ax.plot([], [], color=COLORS["muted"], linestyle=":", linewidth=1.5)
        (shaft,) = ax.plot(
            [], [], color=COLORS["gradient"], linestyle="-", linewidth=2.5, label="v, half as long"
        )
        (tip,) = ax.plot([], [], "D", color=COLORS["gradient"], markersize=6)
        ax.set(xlim=(-1.8, 1.8), ylim=(-0.7, 1.6), xlabel="θ₁", ylabel="θ₂", title="Out, and back")
        ax.legend(fontsize=8, loc="lower left", frameon=True, framealpha=0.9)

        def update(step: int) -> str:
            line.set_data(*np.array(path[: min(step, STEPS) + 1]).T)
            shown = step - STEPS - 1
            ends = np.empty((0, 2))
            if shown >= 0:
                base = path[STEPS - shown]
                ends = np.array([base, base + 0.5 * arrows[shown]])
            shaft.set_data(*ends.T)
            tip.set_data(*ends[1:].T)
            before = np.empty((0, 2))
            if shown >= 1:
                base = path[STEPS - shown]
                before = np.array([base, base + 0.5 * arrows[shown - 1]])
            old.set_data(*before.T)
            return f"<b>{step} of 9.</b> {texts[step]}"

        return update

    return make


# --- memory


HELD = (
    ("loop", 0),
    ("batched", 0),
    ("batched", 10),
    ("recompute", 0),
    ("by hand", 0),
    ("by hand", 10),
)


def memory_explorer() -> Explorer:
    """Return the memory of a meta-gradient by each way against the number of inner steps."""
    measured = results.counts("memory", "tasks")
    return Explorer(
        _draw_memory,
        {"tasks": int_slider("tasks", measured[0], measured[-1], measured[-1] - measured[0], measured[-1])},
        alt="Memory of one meta-gradient against the number of inner steps, for a loop, batched layers and "
        "by hand, all tasks at once or ten at a time, or recomputing.",
        name="memory",
    )


def _draw_memory(figure: Figure) -> Callable[[int], str]:
    figure.set_size_inches(6.4, 3.6)
    ax = figure.subplots()
    tasks_there, steps = results.counts("memory", "tasks"), results.counts("memory", "steps")
    names = {"recompute": "batched, recomputing"}
    labels = [names.get(way, way) + (", ten at a time" if chunk else "") for way, chunk in HELD]
    lines = [ax.plot(steps, np.ones(len(steps)), label=text, **_style(k))[0] for k, text in enumerate(labels)]
    most = max(float(row["mb"]) for row in results.rows("memory"))
    ax.set(yscale="log", ylim=(1, 2 * most), xlabel="inner steps", ylabel="MB, at the peak")
    ax.set_xticks(steps)
    ax.legend(fontsize=8, loc="lower right", ncols=2)

    def update(tasks: int) -> str:
        at = _nearest(tasks_there, tasks)
        told = []
        for line, label, (way, chunk) in zip(lines, labels, HELD, strict=True):
            values = [results.memory(k, at, way, chunk) for k in steps]
            line.set_ydata(np.maximum(values, 1))
            told.append(f"{label} {values[steps.index(10)]:.0f} MB")
        return f"{at} tasks, width 256, ten inner steps: {'; '.join(told)}."

    return update


# --- many ranks


WORKERS = np.unique(np.geomspace(1, 1000, 60).round())


def amdahl_explorer() -> Explorer:
    """Return the speed-up by Amdahl's law, and what Gustafson counts, for a serial share."""
    return Explorer(
        _draw_amdahl,
        {"serial": slider("serial part (%)", 0.0, 50.0, 0.5, 5.0)},
        alt="Speed-up against the number of workers, both axes logarithmic: the ideal, Amdahl's law, which "
        "flattens, and Gustafson's count, which does not.",
        name="amdahl",
    )


def _draw_amdahl(figure: Figure) -> Callable[[float], str]:
    figure.set_size_inches(5.6, 3.4)
    ax = figure.subplots()
    ax.plot(WORKERS, WORKERS, color=COLORS["muted"], linestyle=":", linewidth=1, label="ideal")
    (law,) = ax.plot(
        WORKERS, WORKERS, color=COLORS["adapted"], linestyle="-", label="Amdahl: the same problem"
    )
    (more,) = ax.plot(WORKERS, WORKERS, color=COLORS["meta"], linestyle="--", label="Gustafson: a larger one")
    one = results.ranks(1, "cpu_seconds")
    stored = [one / results.ranks(n, "cpu_seconds") for n in (1, 2, 4)]
    ax.plot((1, 2, 4), stored, "D", color=COLORS["truth"], markersize=6, label="1, 2, 4 ranks, stored")
    ax.set(xscale="log", yscale="log", xlabel="workers", ylabel="times as fast", ylim=(0.8, 1300))
    ax.legend(fontsize=8)

    def update(serial: float) -> str:
        share = serial / 100
        law.set_ydata([paper.amdahl(share, n) for n in WORKERS])
        more.set_ydata([paper.gustafson(share, n) for n in WORKERS])
        limit = f"never more than {1 / share:.4g}" if share else "without a limit"
        return (
            f"{serial:g} % serial: 2 workers are {paper.amdahl(share, 2):.3g} times as fast, 25 "
            f"{paper.amdahl(share, 25):.3g}, 1000 <b>{paper.amdahl(share, 1000):.4g}</b>, {limit}. With a "
            f"problem that grows 1000 workers do {paper.gustafson(share, 1000):.4g} times as much."
        )

    return update


def sum_explorer() -> Explorer:
    """Return the time of adding up a gradient over N ranks, in a ring and in a tree."""
    return Explorer(
        _draw_sum,
        {
            "log_parameters": slider("log₁₀ of the parameters", 3.0, 10.0, 0.25, 3.25),
            "delay": slider("delay of a message (microseconds)", 1.0, 200.0, 1.0, 5.0),
        },
        alt="Time of an all-reduce against the number of ranks, both axes logarithmic, in a ring and in a "
        "tree.",
        name="sum-over-ranks",
    )


def _draw_sum(figure: Figure) -> Callable[..., str]:
    figure.set_size_inches(5.6, 3.4)
    ax = figure.subplots()
    ranks = np.array([2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    (ring,) = ax.plot(ranks, ranks, "o-", color=PALETTE[0], label="ring")
    (tree,) = ax.plot(ranks, ranks, "s--", color=PALETTE[1], label="tree")
    ax.axhline(8.07, color=COLORS["muted"], linestyle=":", label="an update of 1000 waves on an H200")
    ax.set(xscale="log", yscale="log", xlabel="ranks", ylabel="ms for one sum", ylim=(1e-3, 1e5))
    ax.set_xticks(ranks, [str(n) for n in ranks])
    ax.minorticks_off()
    ax.legend(fontsize=8, loc="upper left")

    def update(log_parameters: float, delay: float) -> str:
        parameters = round(10**log_parameters)
        found = {}
        for line, seconds in ((ring, paper.ring_seconds), (tree, paper.tree_seconds)):
            ms = [1e3 * seconds(int(n), parameters, 50e9, delay * 1e-6) for n in ranks]
            line.set_ydata(ms)
            found[seconds] = ms[-1]
        quick, slow = sorted(((found[f], name) for f, name in zip(found, ("ring", "tree"), strict=True)))
        return (
            f"{parameters:,} parameters, 1024 ranks, 50 GB/s: the {quick[1]} takes <b>{quick[0]:.3g} ms</b>, "
            f"the {slow[1]} {slow[0]:.3g} ms. The delays alone are {2e-3 * 1023 * delay:.3g} ms of the ring "
            f"and {2e-3 * 10 * delay:.3g} ms of the tree."
        )

    return update


# --- what more tasks buy


def draw_batches(ax: Axes) -> None:
    """Draw the updates that training needs against the tasks in an update, each seed and the median."""
    found = results.batches()
    counts = list(found)
    for count, (_, updates) in found.items():
        ax.plot([count] * len(updates), updates, "o", color=COLORS["muted"], markersize=4, linestyle="")
    middle = [float(np.median(updates)) for _, updates in found.values()]
    ax.plot(counts, middle, "s-", color=COLORS["adapted"], label="median of five seeds")
    ideal = [middle[0] * counts[0] / count for count in counts]
    ax.plot(
        counts, ideal, color=COLORS["truth"], linestyle=":", label="if twice the tasks halved the updates"
    )
    ax.set(xscale="log", yscale="log", xlabel="tasks in an update", ylabel="updates until an error of 1")
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.minorticks_off()
    ax.legend(fontsize=8)
