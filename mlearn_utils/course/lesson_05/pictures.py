"""Pictures of lesson 05: what K, the step size and the number of steps do, and the features of a start."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS, DASHES
from mlearn_utils.course.lesson_05.points import GRID, X, Y
from mlearn_utils.course.lesson_05.sines import (
    VALIDATION_SEED,
    curves,
    draw_tasks,
    features,
    losses_by_step,
    stacked,
    task_loss,
)
from mlearn_utils.course.widgets.controls import int_slider, slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.meta.maml import Params, trajectory
from mlearn_utils.tasks.regression import TaskBatch

STEPS, MOST_SHOTS, WAVES, SHOWN = 10, 20, 40, 2
COLOR = {"MAML": COLORS["maml"], "joint pretraining": COLORS["multitask"]}
LOW, HIGH = 0.02, 20.0
"""What the error axis shows."""


def shots_explorer(starts: Mapping[str, Params]) -> Explorer:
    """Return the explorer of K, step size and number of steps, for two starts by name."""
    return Explorer(
        lambda figure: draw_shots(figure, starts),
        {
            "shots": int_slider("K, support points", 1, MOST_SHOTS, 1, 5),
            "log_rate": slider("log₁₀ α, step size", -4.0, -1.0, 0.1, -2.0),
            "steps": int_slider("inner steps", 0, STEPS, 1, 1),
        },
        alt="Left: one wave, its support points, and what two starts make of them. Right: the mean error on "
        "forty waves against the number of inner steps, for both starts.",
        name="shots",
    )


def draw_shots(figure: Figure, starts: Mapping[str, Params]) -> Callable[..., str]:
    """Draw one wave (left) and the error against the steps (right); return update(...) -> caption."""
    figure.set_size_inches(8.4, 3.8)
    left, right = figure.subplots(1, 2)
    left.set(xlim=X, ylim=Y, xlabel="x", ylabel="y", title="One of the waves")
    right.set(
        xlim=(-0.3, STEPS + 0.3),
        ylim=(LOW, HIGH),
        yscale="log",
        xlabel="inner steps",
        ylabel="mean squared error",
        title=f"Mean over {WAVES} waves",
    )
    tasks = draw_tasks(WAVES, MOST_SHOTS, seed=VALIDATION_SEED + 1)
    order = tasks.query[0][SHOWN, :, 0].argsort()
    left.plot(*(tensor[SHOWN, order, 0] for tensor in tasks.query), ":", color=COLORS["truth"], label="truth")
    (points,) = left.plot([], [], "o", color=COLORS["support"], markeredgecolor="black", zorder=5)
    drawn = {name: _method_lines(left, right, name) for name in starts}
    (marker,) = right.plot([], [], color=COLORS["muted"], linestyle="-", linewidth=1, label="steps taken")
    figure.legend(loc="outside lower center", fontsize=8, ncols=4)

    @lru_cache(maxsize=8)  # the slider of the steps changes none of this
    def errors_of(shots: int, log_rate: float) -> dict[str, list[float]]:
        few = _first(tasks, shots)
        losses = {
            name: losses_by_step(start, few, inner_lr=10**log_rate, steps=STEPS).mean(1)
            for name, start in starts.items()
        }
        return {name: values.nan_to_num(torch.inf, torch.inf).tolist() for name, values in losses.items()}

    def update(shots: int, log_rate: float, steps: int) -> str:
        few, errors = _first(tasks, shots), errors_of(shots, log_rate)
        points.set_data(*(tensor[SHOWN, :, 0] for tensor in few.support))
        marker.set_data([steps, steps], [LOW, HIGH])
        for name, start in starts.items():
            curve, mean = drawn[name]
            mean.set_data(range(STEPS + 1), np.clip(errors[name], LOW, 2 * HIGH))
            curve.set_data(GRID, _fit(start, few, 10**log_rate, steps))
        return _shots_caption(shots, log_rate, steps, errors)

    return update


def _first(tasks: TaskBatch, shots: int) -> TaskBatch:
    return TaskBatch(tuple(tensor[:, :shots] for tensor in tasks.support), tasks.query)


def _fit(start: Params, tasks: TaskBatch, inner_lr: float, steps: int) -> torch.Tensor:
    support: Any = tuple(tensor[SHOWN : SHOWN + 1] for tensor in tasks.support)
    path = stacked(trajectory(task_loss, start, support, inner_lr=inner_lr, steps=steps)[-1:])
    return curves(path, GRID)[0]


def _method_lines(left: Axes, right: Axes, name: str) -> tuple[Any, Any]:
    style: dict[str, Any] = {"color": COLOR[name], "linestyle": DASHES[list(COLOR).index(name)]}
    (curve,) = left.plot([], [], label=name, **style)
    (mean,) = right.plot([], [], marker="o", markersize=4, **style)
    return curve, mean


def _shots_caption(shots: int, log_rate: float, steps: int, errors: dict[str, list[float]]) -> str:
    parts = []
    for name, losses in errors.items():
        best = int(np.argmin(losses))
        now = losses[steps]
        told = f"{now:.2f}" if now < 1e3 else "more than 1000"
        parts.append(f"{name} {told} (lowest {losses[best]:.2f}, after {best})")
    diverged = [name for name, losses in errors.items() if losses[-1] > 2 * losses[0]]
    warning = f" <b>Diverging: {', '.join(diverged)}.</b>" if diverged else ""
    taken = "1 step" if steps == 1 else f"{steps} steps"
    return f"K = {shots}, α = {10**log_rate:.2g}, {taken}: {'; '.join(parts)}.{warning}"


def draw_means(ax: Axes, means: Mapping[str, Mapping[int, np.ndarray]], *, top: float = 1000.0) -> None:
    """Draw every stored mean: a mark for each seed and stream of test tasks, by label and number of steps.

    Args:
        ax: where to draw; its y axis becomes logarithmic.
        means: label -> steps -> [seeds, streams].
        top: larger values are drawn there, as triangles, with their number beside them.
    """
    for k, (label, by_steps) in enumerate(means.items()):
        for place, values in enumerate(by_steps.values()):
            flat = np.sort(values.ravel())
            at = place + 0.4 * (k - (len(means) - 1) / 2) + np.linspace(-0.12, 0.12, len(flat))
            fits = flat < top
            style: dict[str, Any] = {"color": f"C{k}", "linestyle": "", "markersize": 4}
            marker, name = "os"[k % 2], label if place == 0 else None
            ax.plot(at[fits], flat[fits], marker=marker, label=name, **style)
            ax.plot(at[~fits], np.full((~fits).sum(), top), marker="^", **{**style, "markersize": 7})
            if not fits.all():
                words = f"{(~fits).sum()} of {len(flat)} "
                ax.text(at[~fits][0], top, words, ha="right", va="center", fontsize=8)
    steps = next(iter(means.values()))
    ax.set_xticks(range(len(steps)), [f"{k} step{'s' if k > 1 else ''}" for k in steps])
    ax.set(yscale="log", ylim=(0.2, 2 * top), ylabel="mean error of 2000 waves")
    ax.legend(loc="upper left")


def plain_ticks(ax: Axes, values: tuple[float, ...]) -> None:
    """Label a logarithmic y axis with plain numbers."""
    ax.set_yticks(values, [f"{value:g}" for value in values])
    ax.minorticks_off()


def draw_features(figure: Figure, start: Params, after: Params) -> None:
    """Draw the last hidden layer of one start before and after adaptation, and the difference.

    Args:
        figure: empty.
        start: parameters before the inner steps.
        after: those of one task after them.
    """
    before, changed = features(start, GRID), features(after, GRID)
    active = torch.maximum(before, changed).amax(0) > 0
    order = before[:, active].argmax(0).argsort()
    first, second = (values[:, active][:, order].T.numpy() for values in (before, changed))
    top = float(np.quantile(np.concatenate([first, second]), 0.995))
    largest = float(np.quantile(abs(second - first), 0.995))
    axes = figure.subplots(1, 3, sharey=True)
    panels = ((first, "before", "cividis", 0.0, top), (second, "after one step", "cividis", 0.0, top))
    for ax, (values, title, colors, low, high) in zip(
        axes, (*panels, (second - first, "difference", "PuOr", -largest, largest)), strict=True
    ):
        extent = (*X, len(values), 0)
        image = ax.imshow(
            values,
            aspect="auto",
            extent=extent,
            vmin=low,
            vmax=high,
            cmap=colors,
            interpolation="nearest",
        )
        ax.set(xlabel="x", title=title)
        ax.grid(False)
        figure.colorbar(image, ax=ax, location="bottom", label="output")
    axes[0].set_ylabel("hidden unit")
