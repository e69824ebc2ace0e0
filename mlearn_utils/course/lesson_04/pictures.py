"""Pictures of lesson 04: the landscape of the three parabolas, and one meta-update step by step."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlearn_utils.course.figures.style import COLORS, DASHES, PALETTE
from mlearn_utils.course.lesson_04 import quadratics
from mlearn_utils.course.lesson_04.quadratics import TASKS
from mlearn_utils.course.widgets.controls import int_slider, slider
from mlearn_utils.course.widgets.drag import DragExplorer
from mlearn_utils.course.widgets.predict import Predict

NAMES = ("gentle", "medium", "steep")
SYMBOLS = ("o", "s", "^")
RANGE = (-4.0, 4.0)
HEIGHT = 10.0
GRID = np.linspace(*RANGE, 321)
BOLD = {"zorder": 5, "markeredgecolor": "black"}


def landscape(figure: Figure) -> Callable[..., str]:
    """Draw the tasks' query losses (left) and the meta-objective with its two gradients (right).

    Returns:
        update(theta, inner_lr, steps) -> caption.
    """
    figure.set_size_inches(8.4, 3.8)
    left, right = figure.subplots(1, 2)
    for ax, title in ((left, "Each task's query loss"), (right, "Meta-objective J")):
        ax.set(xlim=RANGE, ylim=(-1.1, HEIGHT) if ax is left else (-0.7, 4.5), xlabel="θ", title=title)
    left.set_ylabel("loss")
    points = _draw_tasks(left)
    before = quadratics.meta_objective(GRID, TASKS, 0.0, 0)
    right.plot(GRID, before, color=COLORS["muted"], linestyle=":", label="without adaptation")
    (curve,) = right.plot([], [], color=COLORS["meta"], linestyle="-", label="after K steps")
    (exact,) = right.plot([], [], color=COLORS["truth"], linestyle="-", label="exact gradient")
    (first,) = right.plot([], [], color=COLORS["first order"], linestyle="--", label="first order")
    (start,) = right.plot([], [], "o", color=COLORS["start"], **BOLD)
    (best,) = right.plot([], [], "v", color=COLORS["truth"], label="best start", **BOLD)
    ring = {"markersize": 11, "markerfacecolor": "none", "markeredgewidth": 2.2, "zorder": 4}
    (stop,) = right.plot([], [], "D", color=COLORS["first order"], label="first order stops", **ring)
    handles = [entry for ax in (left, right) for entry in ax.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", fontsize=8, ncols=5)

    def update(theta: float, inner_lr: float, steps: int) -> str:
        points(theta, inner_lr, [steps] * 3)
        value = quadratics.meta_objective(theta, TASKS, inner_lr, steps)
        slopes = [
            f(theta, TASKS, inner_lr, steps) for f in (quadratics.meta_slope, quadratics.first_order_slope)
        ]
        curve.set_data(GRID, quadratics.meta_objective(GRID, TASKS, inner_lr, steps))
        start.set_data([theta], [value])
        for line, slope in zip((exact, first), slopes, strict=True):
            reach = np.array([-1.5, 1.5]) / np.hypot(1.0, slope)
            line.set_data(theta + reach, value + slope * reach)
        best.set_data([quadratics.best_start(TASKS, inner_lr, steps)], [-0.35])
        stop.set_data([quadratics.first_order_start(TASKS, inner_lr, steps)], [-0.35])
        return _landscape_caption(theta, inner_lr, steps, float(value), *map(float, slopes))

    return update


def predict_best_start() -> Predict:
    """Ask where the best start lies with one inner step, before the explorer shows it."""
    best, rate = quadratics.best_start(TASKS, 0.3, 1), 0.3
    covered = {name: 1 - rho for name, rho in zip(NAMES, quadratics.remaining(TASKS, rate, 1), strict=True)}
    answer = (
        f"The best start is at θ = {best:.2f}, <b>further left</b>. The steep task covers "
        f"{covered['steep']:.0%} of its distance in one step of this size, wherever it starts, so it hardly "
        f"needs θ near it. The gentle task covers {covered['gentle']:.0%}. MAML does not look for a good "
        "model; it looks for a good place to learn from."
    )
    return Predict(
        f"Now every task may take one inner step with α = {rate} before it is judged. Where is the best "
        "common start, compared with 1.1?",
        (
            "further right, closer to the steep task",
            "at 1.1 as before",
            "further left, closer to the gentle task",
        ),
        lambda guess: answer,
        name="where-is-the-best-start",
    )


def landscape_explorer() -> DragExplorer:
    """Return the explorer of the landscape; theta can be dragged in both pictures."""
    return DragExplorer(
        landscape,
        {
            "theta": slider("θ, the common start", -3.5, 3.5, 0.05, 1.1),
            "inner_lr": slider("α, the inner learning rate", 0.0, 0.8, 0.01, 0.3),
            "steps": int_slider("K, inner steps", 0, 5, 1, 1),
        },
        drag="theta",
        alt="Left: three parabolas, the query losses of a gentle, a medium and a steep task, and the walk of "
        "each from theta. Right: the meta-objective with the exact and the first-order gradient at theta.",
        name="landscape",
    )


def _draw_tasks(ax: Axes) -> Callable[[float, float, list[int]], None]:
    arrows = []
    for k, name in enumerate(NAMES):
        loss = 0.5 * TASKS.curvature[k] * (GRID - TASKS.query_center[k]) ** 2
        ax.plot(GRID, loss, color=PALETTE[k], linestyle=DASHES[k], label=name)
        (path,) = ax.plot([], [], color=PALETTE[k], linestyle="-", linewidth=4, alpha=0.5)
        (end,) = ax.plot([], [], SYMBOLS[k], color=PALETTE[k], **BOLD)
        ax.plot([TASKS.support_center[k]], [-0.6], "|", color=PALETTE[k], markersize=9, markeredgewidth=2.5)
        arrows.append((path, end))
    (origin,) = ax.plot([], [], color=COLORS["start"], linestyle="-", linewidth=1.0, label="start θ")

    def move(theta: float, inner_lr: float, steps: list[int]) -> None:
        origin.set_data([theta, theta], [0, HEIGHT])
        for k, (path, end) in enumerate(arrows):
            visited = np.array(
                [quadratics.adapted_points(theta, TASKS, inner_lr, n)[k] for n in range(steps[k] + 1)]
            )
            heights = 0.5 * TASKS.curvature[k] * (visited - TASKS.query_center[k]) ** 2
            path.set_data(visited, heights)
            end.set_data(visited[-1:], heights[-1:])

    return move


def _landscape_caption(
    theta: float, inner_lr: float, steps: int, value: float, exact: float, first: float
) -> str:
    ends = quadratics.adapted_points(theta, TASKS, inner_lr, steps)
    losses = 0.5 * TASKS.curvature * (ends - TASKS.query_center) ** 2
    adapted = ", ".join(
        f"{name} {end:.2f}" + (" (outside the picture)" if abs(end) > RANGE[1] or loss > HEIGHT else "")
        for name, end, loss in zip(NAMES, ends, losses, strict=True)
    )
    if exact * first < 0:
        verdict = "<b>They point in opposite directions</b>: first-order MAML walks away from the best start."
    elif steps == 0 or inner_lr == 0:
        verdict = "Without a step there is nothing to differentiate through: they agree."
    else:
        verdict = "They point in the same direction."
    return (
        f"θ = {theta:.2f} becomes: {adapted}. J = {value:.3f}. "
        f"dJ/dθ: exact {exact:.3f}, first order {first:.3f}. {verdict} "
        "▼ marks where the exact gradient is zero (the best start), ◇ where the first-order one is."
    )


def walk(theta: float = 1.1, inner_lr: float = 0.3, meta_lr: float = 1.0) -> Callable[[Figure], Callable]:
    """Return the picture of one meta-update with one inner step, in eight moments, for a `Stepper`."""
    rho = quadratics.remaining(TASKS, inner_lr, 1)
    ends = quadratics.adapted_points(theta, TASKS, inner_lr, 1)
    query_slopes = TASKS.curvature * (ends - TASKS.query_center)
    slope = float((rho * query_slopes).mean())
    after = theta - meta_lr * slope
    texts = [f"Start: all three tasks share θ = {theta:g}."]
    for k, name in enumerate(NAMES):
        support_slope = TASKS.curvature[k] * (theta - TASKS.support_center[k])
        texts.append(
            f"Inner step of the {name} task: its support loss has slope {support_slope:.2f} at θ, "
            f"so θ' = {theta:g} − {inner_lr:g} · ({support_slope:.2f}) = {ends[k]:.2f}."
        )
        texts.append(
            f"Its query loss has slope {query_slopes[k]:.2f} at θ'. Moving θ by 1 moves θ' by only "
            f"ρ = 1 − {inner_lr:g} · {TASKS.curvature[k]:g} = {rho[k]:.2f}, so the task contributes "
            f"{rho[k]:.2f} · ({query_slopes[k]:.2f}) = {rho[k] * query_slopes[k]:.2f}."
        )
    texts.append(
        f"Outer step: the mean contribution is {slope:.2f}, so θ ← {theta:g} − {meta_lr:g} · ({slope:.2f}) = "
        f"{after:.2f}. J falls from {quadratics.meta_objective(theta, TASKS, inner_lr, 1):.3f} to "
        f"{quadratics.meta_objective(after, TASKS, inner_lr, 1):.3f}."
    )

    def make(figure: Figure) -> Callable[[int], str]:
        ax = figure.subplots()
        figure.set_size_inches(5, 3.6)
        ax.set(xlim=RANGE, ylim=(-2.1, HEIGHT), xlabel="θ", ylabel="query loss", title="One meta-update")
        ax.axhline(-1.1, color=COLORS["muted"], linestyle="-", linewidth=0.8)
        ax.text(RANGE[0] + 0.1, -1.9, "the common start θ", fontsize=8)
        move = _draw_tasks(ax)
        figure.legend(loc="outside lower center", fontsize=8, ncols=4)
        tangents = [_tangent(ax, ends[k], k, query_slopes[k]) for k in range(3)]
        ax.plot([theta], [-1.1], "o", color=COLORS["start"], **BOLD)
        (outer,) = ax.plot([], [], color=COLORS["meta"], linestyle="-", marker="o", markevery=[1], **BOLD)

        def update(step: int) -> str:
            move(theta, inner_lr, [1 if step > 2 * k else 0 for k in range(3)])
            for k, tangent in enumerate(tangents):
                tangent.set_visible(step > 2 * k + 1)
            outer.set_data(*(([theta, after], [-1.1, -1.1]) if step == 7 else ([], [])))
            return f"<b>{step} of 7.</b> {texts[step]}"

        return update

    return make


def _tangent(ax: Axes, end: float, k: int, slope: float) -> Line2D:
    height = 0.5 * TASKS.curvature[k] * (end - TASKS.query_center[k]) ** 2
    reach = np.array([-1.2, 1.2]) / np.hypot(1.0, slope)
    (line,) = ax.plot(end + reach, height + slope * reach, color="black", linestyle="-", linewidth=1.2)
    return line
