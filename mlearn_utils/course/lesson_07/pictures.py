"""Pictures of lesson 07: the predicted response surface, runs on one task, strategies compared."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.figures.style import COLORS, DASHES, PALETTE, number
from mlearn_utils.course.lesson_07.grids import SPACE, all_features, best_default, run
from mlearn_utils.course.lesson_07.results import budgets, settings, stored_model, table
from mlearn_utils.course.widgets.controls import choice, int_slider, slider, toggle
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.tasks.gridworld import GridTask

MARKERS = "osP^Dv*"
RATES = np.geomspace(*SPACE["learning rate"][:2], 25)
EPSILONS = np.linspace(*SPACE["epsilon"][:2], 21)
LEAST_SPAN = 0.2
"""The colors span at least this much return: smaller differences are to look small."""

BEST = {"marker": "*", "markersize": 15, "markerfacecolor": "white", "markeredgecolor": "black"}
DEFAULT = {"marker": "s", "markersize": 8, "markerfacecolor": "white", "markeredgecolor": "black"}


def plane(ahead: float) -> FloatArray:
    """Return [E * A, 3] all settings of a grid of epsilons and learning rates with this look-ahead."""
    rate, epsilon = np.meshgrid(RATES, EPSILONS)
    return np.stack([rate.ravel(), np.full(rate.size, ahead), epsilon.ravel()], axis=1)


def default_setting() -> FloatArray:
    """Return [H] the best fixed setting of the stored table of the family "varied"."""
    return settings("varied")[best_default(table("varied")[1])]


class Surface:
    """The predicted return over learning rate and epsilon at one look-ahead, drawn once and then changed."""

    def __init__(self, figure: Figure, model: HyperparameterModel):
        figure.set_size_inches(5.8, 3.6)
        self.model, self.ax = model, figure.subplots()
        self._mesh = self.ax.pcolormesh(
            RATES, EPSILONS, np.zeros((21, 25)), vmin=-1, vmax=1, shading="nearest"
        )
        self.ax.set(xscale="log", xlabel="learning rate", ylabel="ε")
        self.ax.grid(False)
        figure.colorbar(self._mesh, ax=self.ax, label="predicted return")

    def show(self, features: FloatArray, ahead: float) -> None:
        """Draw the surface of a task with these features."""
        found = self.model.predict(features, plane(ahead)).mean
        middle, half = (found.max() + found.min()) / 2, max(found.max() - found.min(), LEAST_SPAN) / 2
        self._mesh.set_array(found.reshape(len(EPSILONS), len(RATES)))
        self._mesh.set_clim(middle - half, middle + half)
        self.ax.set_title(f"look ahead {ahead:.0f} steps (γ = {1 - 1 / ahead:.3g})")


def surface(figure: Figure) -> Callable[..., str]:
    """Draw the predicted returns on a grid that the reader describes, with the suggestion and the default."""
    model, default = stored_model(), default_setting()
    drawn = Surface(figure, model)
    (star,) = drawn.ax.plot([], [], linestyle="", label="suggested", **BEST)
    drawn.ax.plot(default[0], default[2], linestyle="", label="best fixed default", **DEFAULT)
    drawn.ax.legend(loc="lower left", bbox_to_anchor=(0, -0.38), ncols=2)

    def update(size: int, slip: float, noise: float, pits: bool, trap: bool) -> str:
        features = np.array([size, slip, noise, 0.01, 0.1 * pits, trap, round(4 * size / 3)])
        suggested = model.suggest(features)[0]
        drawn.show(features, suggested[1])
        star.set_data(suggested[:1], suggested[2:])
        mean, std = model.predict(features, np.stack([suggested, default]))
        return (
            f"Suggested: α = {suggested[0]:.2g}, ε = {suggested[2]:.2f}, {suggested[1]:.0f} steps ahead; "
            f"predicted return {number(mean[0])} ± {std[0]:.2f} (one run). The default "
            f"(α = {default[0]:.2g}, ε = {default[2]:.2f}, {default[1]:.0f} steps ahead): {number(mean[1])} "
            f"± {std[1]:.2f}."
        )

    return update


def surface_explorer() -> Explorer:
    """Return the explorer over the response surface that the stored table's model predicts."""
    return Explorer(
        surface,
        {
            "size": int_slider("size of the grid", 3, 8, 1, 5),
            "slip": slider("probability to slip", 0.0, 0.4, 0.2, 0.2),
            "noise": choice("noise of the rewards", (0.0, 0.3, 2.0), 0.0),
            "pits": toggle("pits on a tenth of the cells", True),
            "trap": toggle("a trap near the start that pays 0.2", False),
        },
        alt="Predicted return in color over learning rate and epsilon; a star marks the suggestion, a square "
        "the default.",
        name="surface",
    )


class Run(NamedTuple):
    """One run on a new task."""

    setting: FloatArray
    expected: float
    earned: float


def record_adjustment(model: HyperparameterModel, task: GridTask, count: int, *, seed: int) -> list[Run]:
    """Return `count` runs on a task, each where the model wants it after those before."""
    features = all_features([task])[0]
    tried, seen, runs = np.zeros((0, len(SPACE))), np.zeros(0), []
    for k in range(count):
        setting = model.adjust(features, tried, seen)
        earned = run([task], setting[None], seed=seed + k)[0]
        runs.append(Run(setting[0], float(model.predict(features, setting).mean[0]), float(earned[0])))
        tried, seen = np.concatenate([tried, setting]), np.append(seen, earned)
    return runs


def adjust_steps(
    model: HyperparameterModel, task: GridTask, runs: Sequence[Run]
) -> Callable[[Figure], Callable[[int], str]]:
    """Return the picture of runs on one task, one a moment, for a `Stepper`."""
    features = all_features([task])[0]

    def make(figure: Figure) -> Callable[[int], str]:
        drawn = Surface(figure, model)
        marks = [
            drawn.ax.annotate(
                "",
                (run.setting[0], run.setting[2]),
                xytext=(0.03, 0.93 - 0.11 * k),  # in a column, so that runs near each other can be read
                textcoords="axes fraction",
                ha="left",
                va="center",
                fontsize=9,
                bbox=_bubble(run),
                arrowprops={"arrowstyle": "-|>", "color": "black"},
            )
            for k, run in enumerate(runs)
        ]

        def update(step: int) -> str:
            now = runs[step]
            drawn.show(features, now.setting[1])
            for k, mark in enumerate(marks):
                mark.set_text(f"{k + 1}: {number(runs[k].earned)}" if k <= step else "")
                mark.set_visible(k <= step)
            best = max(run.earned for run in runs[: step + 1])
            return (
                f"<b>Run {step + 1}.</b> α = {now.setting[0]:.2g}, ε = {now.setting[2]:.2f}, look ahead "
                f"{now.setting[1]:.0f} steps. Predicted from the features {number(now.expected)}, earned "
                f"<b>{number(now.earned)}</b>. Best so far {number(best)}."
            )

        return update

    return make


def _bubble(run: Run) -> dict[str, Any]:
    edge = COLORS["good"] if run.earned > 0.5 else COLORS["bad"]
    return {"boxstyle": "round", "facecolor": "white", "edgecolor": edge}


def draw_contest(ax: Axes, columns: Mapping[str, FloatArray], strategies: Sequence[str]) -> None:
    """Draw the mean best return of each strategy against its budget, with the interval over tasks."""
    at = budgets(dict(columns))
    for k, name in enumerate(strategies):
        mean, low, high = interval(np.stack([columns[f"{name} @{b}"] for b in at], axis=1))
        shifted = np.array(at) * 1.02 ** (k - len(strategies) / 2)
        ax.errorbar(
            shifted,
            mean,
            (mean - low, high - mean),
            label=name,
            marker=MARKERS[k],
            color=PALETTE[k],
            linestyle=DASHES[k],
            elinewidth=1,
            markersize=5,
        )
    ax.set(xscale="log", xlabel="runs on the new task", ylabel="return of the best run")
    ax.set_xticks(at, [str(b) for b in at])
    ax.minorticks_off()
    ax.legend(fontsize=8)


def draw_gains(ax: Axes, gains: Mapping[str, tuple[float, float, float]], label: str) -> None:
    """Draw mean and interval of each gain as a mark with a bar, one line each."""
    for k, (mean, low, high) in enumerate(gains.values()):
        ax.plot([low, high], [-k, -k], color=PALETTE[k % 7], linestyle="-", linewidth=3)
        ax.plot(mean, -k, marker=MARKERS[k % 7], color=PALETTE[k % 7], markersize=8)
        ax.text(high, -k, f"  {number(mean)}", va="center", fontsize=9)
    ax.axvline(0, color=COLORS["muted"], linestyle=":", linewidth=1)
    ax.set_yticks([-k for k in range(len(gains))], list(gains))
    ax.set(xlabel=label)
    ax.margins(x=0.12, y=0.2)
