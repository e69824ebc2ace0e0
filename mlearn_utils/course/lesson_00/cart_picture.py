"""The picture of lesson 00's game: cart and pole, the last reward, and the rewards of all pushes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlearn_utils.course.figures.style import BLACK, BLUE, GRAY, ORANGE, number
from mlearn_utils.course.lesson_00.cart_rounds import PUSHES, ROUNDS, ROUNDS_PER_TASK, TASKS, Match, signed
from mlearn_utils.tasks.cartpole import X_LIMIT

WIDTH, HEIGHT = 7.2, 4.0  # inches
CART_WIDTH, CART_HEIGHT, POLE = 0.5, 0.24, 1.05  # in the picture (m); the real pole is far longer
POLE_COLOR = "#B5651D"
TASK_COLORS = (BLUE, ORANGE)
MIDDLES = [PUSHES * (k + 0.5) for k in range(ROUNDS)]
ARROW = 1.28  # where the arrow of the revealed target is (m)


class GamePicture:
    """Artists that are built once; `show(match)` moves them.

    Axes are bare and placed by hand, since their ticks and layout would take half of the drawing time.

    Args:
        figure: an empty figure.
    """

    def __init__(self, figure: Figure):
        figure.set_size_inches(WIDTH, HEIGHT)
        figure.set_layout_engine("none")
        self._scene = Scene(_bare(figure, (0.01, 0.33, 0.85, 0.67)))
        self._gauge = Gauge(_bare(figure, (0.90, 0.43, 0.06, 0.43)))
        self._history = History(_bare(figure, (0.06, 0.08, 0.93, 0.24)))

    def show(self, match: Match) -> None:
        """Draw `match` as it is now."""
        self._scene.show(match)
        self._gauge.show(match.now.rewards, TASK_COLORS[match.task])
        self._history.show(match)


class Scene:
    """The track with cart and pole, in meters, the state in numbers, and the target once it is revealed."""

    def __init__(self, ax: Axes):
        ax.set(xlim=(-2.7, 2.7), ylim=(-0.5, 1.9), aspect="equal", anchor="S")
        ax.hlines(-CART_HEIGHT / 2, -X_LIMIT, X_LIMIT, color=GRAY, linewidth=2)
        ax.vlines([-X_LIMIT, X_LIMIT], -CART_HEIGHT / 2, 0.2, color=GRAY, linewidth=4)
        for x in (-2, -1, 0, 1, 2):
            ax.text(x, -0.3, f"{number(x, '+d')} m" if x else "0", ha="center", va="center", color=GRAY)
        self._cart = Rectangle((0, 0), CART_WIDTH, CART_HEIGHT, color=BLACK, zorder=3)
        ax.add_patch(self._cart)
        (self._wheels,) = ax.plot([], [], color=GRAY, marker="o", markersize=9, linestyle="none", zorder=4)
        (self._pole,) = ax.plot([], [], color=POLE_COLOR, linewidth=6, solid_capstyle="round", zorder=4)
        (self._arrow,) = ax.plot([], [], color=BLACK, linewidth=3, linestyle="-")
        (self._tip,) = ax.plot([], [], color=BLACK, markersize=10, linestyle="none")
        self._target = ax.text(0, ARROW, "", va="center")
        self._title = ax.text(0, 1.78, "", ha="center", va="center", fontsize=12)
        self._state = ax.text(0, 1.52, "", ha="center", va="center")

    def show(self, match: Match) -> None:
        """Move cart, pole and texts."""
        x, velocity, angle, _ = match.now.state
        base = CART_HEIGHT / 2
        self._cart.set_xy((x - CART_WIDTH / 2, -base))
        self._wheels.set_data([x - CART_WIDTH / 4, x + CART_WIDTH / 4], [-base, -base])
        self._pole.set_data([x, x + POLE * np.sin(angle)], [base, base + POLE * np.cos(angle)])
        left = PUSHES - len(match.now.rewards)
        ahead = "over" if match.now.is_over else f"{left} {'push' if left == 1 else 'pushes'} left"
        self._title.set_text(f"Round {len(match.rounds)} of {ROUNDS} · task {TASKS[match.task]} · {ahead}")
        self._state.set_text(f"position {signed(x)} m    velocity {signed(velocity)} m/s    {lean(angle)}")
        self._show_target(match.now.target if match.is_task_over else None)

    def _show_target(self, target: float | None) -> None:
        shown = [] if target is None else [0.0, target]
        self._arrow.set_data(shown, [ARROW] * len(shown))
        self._tip.set_data(shown[1:], [ARROW] * len(shown[1:]))
        self._target.set_text("" if target is None else f"wanted: {signed(target)} m/s")
        if target is not None:
            self._tip.set_marker(">" if target > 0 else "<")
            self._target.set(x=-np.sign(target) * 0.12, ha="right" if target > 0 else "left")


class Gauge:
    """The reward of the last push as one bar and a number."""

    def __init__(self, ax: Axes):
        ax.set(xlim=(0, 1), ylim=(0, 1))
        ax.add_patch(Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=GRAY, clip_on=False))
        self._bar = ax.add_patch(Rectangle((0, 0), 1, 0))
        self._number = ax.text(0.5, 1.09, "", ha="center", va="center", fontsize=12)
        ax.text(0.5, -0.1, "reward", ha="center", va="center")

    def show(self, rewards: Sequence[float], color: str) -> None:
        """Set bar and number."""
        self._bar.set(height=rewards[-1] if rewards else 0, color=color)
        self._number.set_text(f"{rewards[-1]:.2f}" if rewards else "–")


class History:
    """One bar a push, round after round, and each round's return above them."""

    def __init__(self, ax: Axes):
        ax.set(xlim=(0, ROUNDS * PUSHES), ylim=(0, 1.35))
        edges = np.arange(ROUNDS + 1) * PUSHES
        ax.hlines([0, 1], 0, ROUNDS * PUSHES, color=[GRAY, "#DDDDDD"], linewidth=1, clip_on=False)
        ax.vlines(edges, 0, 1.3, color=GRAY, linewidth=0.8, clip_on=False)
        for y in (0, 1):
            ax.text(-0.7, y, f"{y}", ha="right", va="center")
        for k, x in enumerate(MIDDLES):
            name = f"round {k + 1} · task {TASKS[k // ROUNDS_PER_TASK]}"
            ax.text(x, -0.2, name, ha="center", va="center")
        colors = np.repeat(TASK_COLORS, PUSHES * ROUNDS_PER_TASK)
        self._bars = LineCollection([], colors=list(colors), linewidths=5, capstyle="butt")
        ax.add_collection(self._bars, autolim=False)
        self._texts = [ax.text(x, 1.18, "", ha="center", va="center") for x in MIDDLES]

    def show(self, match: Match) -> None:
        """Set all bars and the returns of the rounds begun."""
        heights = np.zeros(ROUNDS * PUSHES)
        for k, played in enumerate(match.rounds):
            heights[k * PUSHES : k * PUSHES + len(played.rewards)] = played.rewards
        self._bars.set_segments(
            [np.array([(k + 0.5, 0.0), (k + 0.5, height)]) for k, height in enumerate(heights)]
        )
        for k, text in enumerate(self._texts):
            begun = k < len(match.rounds)
            text.set_text(f"return {match.rounds[k].score:.1f}" if begun else "")


def lean(angle: float) -> str:
    """Say in words how the pole leans: "pole leans 1.2° left"."""
    degrees = f"{abs(np.degrees(angle)):.1f}"
    side = "" if degrees == "0.0" else " left" if angle < 0 else " right"
    return f"pole leans {degrees}°{side}"


def _bare(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    ax = figure.add_axes(box)
    ax.set_axis_off()
    return ax
