"""Place your own points and watch a start fit them: the main widget of lesson 05.

`Board` is what has been placed, without any picture; `PointExplorer` shows it and lets it be changed by
pointer, by keyboard, and by sliders.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ipywidgets as widgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mlearn_utils.course.figures.style import COLORS
from mlearn_utils.course.lesson_05.sines import curves, stacked, task_loss
from mlearn_utils.course.widgets.canvas import KINDS, Surface
from mlearn_utils.course.widgets.controls import Button, choice, int_slider, row
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.meta.maml import InnerRate, Params, trajectory
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import SineTasks

X, Y = (-5.0, 5.0), (-6.0, 6.0)
GRID = torch.linspace(*X, 201)
MOST = 20
MOVES = {
    "ArrowLeft": (-0.25, 0.0),
    "ArrowRight": (0.25, 0.0),
    "ArrowUp": (0.0, 0.25),
    "ArrowDown": (0.0, -0.25),
}
PLACE, CLEAR, WAVE = " ", "c", "n"
KEYS = (*MOVES, PLACE, CLEAR, WAVE)
NEAR = 0.35
"""How close to a point, in units of the axes, a click must be to take hold of it."""


class Start(NamedTuple):
    """Initial parameters and the step size of their inner steps."""

    params: Params
    inner_lr: InnerRate


class Board:
    """The points placed so far, the cross that the keyboard moves, and the wave that is shown, if one is.

    Args:
        seed: of the waves that `new_wave` draws, one after the other.
    """

    def __init__(self, seed: int = 0):
        self.generator = make_generator(seed)
        self.cross = (0.0, 0.0)
        self.clear()

    def clear(self) -> None:
        """Take all points away, and the wave."""
        self.points: list[tuple[float, float]] = []
        self.wave: tuple[float, float] | None = None
        self._held, self._is_new = -1, False

    def new_wave(self, n_points: int = 5) -> None:
        """Draw a sinusoid of the family and place points on it."""
        self.clear()
        state = self.generator.get_state()
        amplitude, phase = (
            value.item() for value in SineTasks().sample_functions(1, generator=self.generator)
        )
        self.generator.set_state(state)
        tasks = SineTasks().sample(1, n_points, 1, generator=self.generator)
        self.points = [tuple(pair) for pair in torch.cat(tasks.support, -1)[0].tolist()]
        self.wave = (amplitude, phase)

    def down(self, x: float, y: float) -> None:
        """Take hold of the point that is there, or place one."""
        x, y = _inside(x, y)
        self.cross = (x, y)
        self._held = self._nearest(x, y)
        self._is_new = self._held < 0
        if self._is_new and len(self.points) < MOST:
            self.points.append((x, y))
            self._held = len(self.points) - 1

    def move(self, x: float, y: float) -> None:
        """Carry the point that is held."""
        self.cross = _inside(x, y)
        if self._held >= 0:
            self.points[self._held] = self.cross
            self._is_new = True

    def up(self) -> None:
        """Let go; an old point that was not moved is taken away."""
        if self._held >= 0 and not self._is_new:
            self.points.pop(self._held)
        self._held = -1

    def key(self, key: str) -> None:
        """Do what a key asks for."""
        if key in MOVES:
            self.cross = _inside(*(a + b for a, b in zip(self.cross, MOVES[key], strict=True)))
        elif key == PLACE:
            self.down(*self.cross)
            self.up()
        elif key == CLEAR:
            self.clear()
        elif key == WAVE:
            self.new_wave()

    def _nearest(self, x: float, y: float) -> int:
        distances = [math.hypot(x - px, y - py) for px, py in self.points]
        best = min(range(len(distances)), key=lambda k: distances[k], default=-1)
        return best if best >= 0 and distances[best] < NEAR else -1


class PointExplorer(Explorer):
    """A picture to place points in, sliders for the start and the number of steps, buttons for the rest.

    Args:
        starts: the starts to choose from, by name.
        seed: of the waves that "New wave" draws.

    Attributes:
        board: the points.
    """

    def __init__(self, starts: Mapping[str, Start], *, seed: int = 0):
        self.board = Board(seed)
        self.board.new_wave()
        self._buttons = [
            Button("New wave (N)", lambda: self.send("key", key=WAVE), "Five points of a new sinusoid"),
            Button("Clear (C)", lambda: self.send("key", key=CLEAR), "Take all points away"),
        ]
        names = list(starts)
        super().__init__(
            lambda figure: draw(figure, self.board, starts),
            {
                "start": choice("start from", names, names[0]),
                "steps": int_slider("inner steps", 0, 10, 1, 1),
            },
            alt="Points in a plane and the curve that a network makes of them after some inner steps. "
            "Click to place a point, drag it, click it to take it away. Keys: arrow keys move a cross, space "
            "places a point there or takes it away, N shows a new wave, C clears.",
            name="place-points",
        )

    def send(self, kind: str, x: float = math.nan, y: float = math.nan, key: str = "") -> None:
        """Do what the page does when pointer or key are used, at data coordinates (also for tests).

        Raises:
            ValueError: if the kind or the key is unknown.
        """
        if kind not in KINDS or (kind == "key" and key not in KEYS):
            raise ValueError(f"kind must be one of {KINDS} and key one of {KEYS}, got {kind!r} and {key!r}")
        if kind == "key":
            self.board.key(key)
        elif kind == "up":
            self.board.up()
        else:
            getattr(self.board, kind)(x, y)
        self.refresh()

    def _control_rows(self) -> list[widgets.Widget]:
        return [*super()._control_rows(), row(self._buttons)]

    def _make_screen(self, alt: str) -> Surface:
        surface = Surface(alt=alt, listen=list(KEYS), width=self.picture.width)
        surface.on_msg(self._on_message)
        return surface

    def _on_message(self, widget: object, content: dict[str, Any], buffers: object) -> None:
        try:
            self.send(content["kind"], *self._place(content), key=content.get("key", ""))
        finally:
            self._screen.send({"done": content.get("id")})

    def _place(self, content: dict[str, Any]) -> tuple[float, float]:
        if content["kind"] == "key":
            return math.nan, math.nan
        pixel = self.picture.pixel(content["u"], content["v"])
        x, y = self.picture.figure.axes[0].transData.inverted().transform(pixel)
        return float(x), float(y)

    def _show(self, png: bytes) -> None:
        self._screen.png = png


def draw(figure: Figure, board: Board, starts: Mapping[str, Start]) -> Callable[..., str]:
    """Draw points and curves; return update(start, steps) -> caption."""
    figure.set_size_inches(6.4, 4.0)
    ax = figure.subplots()
    ax.set(xlim=X, ylim=Y, xlabel="x", ylabel="y", title="Click to place points")
    lines = _lines(ax)

    def update(start: str, steps: int) -> str:
        chosen = starts[start]
        path = walk(chosen, board.points, steps)
        found = curves(path, GRID)
        lines["before"].set_data(GRID, found[0])
        lines["after"].set_data(GRID, found[-1])
        for k, line in enumerate(lines["between"]):
            line.set_data(GRID, found[k] if 0 < k < steps and len(found) > steps else GRID * torch.nan)
        lines["points"].set_data(*zip(*board.points, strict=True) if board.points else ([], []))
        lines["cross"].set_data([board.cross[0]], [board.cross[1]])
        lines["truth"].set_data(GRID, _wave(board))
        return _caption(board, start, steps, path, found)

    return update


def walk(start: Start, points: list[tuple[float, float]], steps: int) -> Params:
    """Return the parameters before and after each inner step on the points: [steps + 1, *], or [1, *]."""
    if not points:
        return {name: value[None] for name, value in start.params.items()}
    data = torch.tensor(points, dtype=torch.float32)
    support = (data[None, :, :1], data[None, :, 1:])
    return stacked(trajectory(task_loss, start.params, support, inner_lr=start.inner_lr, steps=steps))


def _lines(ax: Axes) -> dict[str, Any]:
    muted, adapted = COLORS["start"], COLORS["adapted"]
    empty: tuple[list, list] = ([], [])
    lines: dict[str, Any] = {
        "truth": ax.plot(*empty, color=COLORS["truth"], linestyle=":", linewidth=1.4, label="the wave")[0],
        "before": ax.plot(*empty, color=muted, linestyle="--", label="the start")[0],
        "between": [
            ax.plot(*empty, color=adapted, linestyle="-", linewidth=0.8, alpha=0.45)[0] for _ in range(10)
        ],
        "after": ax.plot(*empty, color=adapted, linestyle="-", linewidth=2.4, label="after the steps")[0],
        "cross": ax.plot(*empty, "+", color=muted, markersize=9)[0],
        "points": ax.plot(*empty, "o", color=COLORS["support"], markeredgecolor="black", label="your points")[
            0
        ],
    }
    ax.legend(loc="upper right", fontsize=8, ncols=4, frameon=True, framealpha=0.9, edgecolor="none")
    return lines


def _wave(board: Board) -> Tensor:
    if board.wave is None:
        return GRID * torch.nan
    amplitude, phase = board.wave
    return amplitude * torch.sin(GRID - phase)


def _caption(board: Board, start: str, steps: int, path: Params, found: Tensor) -> str:
    if not board.points:
        return f"No point yet: this is the {start} start itself. Click into the picture."
    data = torch.tensor(board.points, dtype=torch.float32)
    at_points = ((curves(path, data[:, 0]) - data[:, 1]) ** 2).mean(1)
    count = "1 point" if len(data) == 1 else f"{len(data)} points"
    taken = "no step" if steps == 0 else "1 step" if steps == 1 else f"{steps} steps"
    text = f"{count}, {taken} from the {start} start. Mean squared error on the points: {_arrow(at_points)}"
    if board.wave is not None:
        text += f"; on the whole wave: {_arrow(((found - _wave(board)) ** 2).mean(1))}"
    if not bool(torch.isfinite(found[-1]).all()) or float(at_points[-1]) > 2 * float(at_points[0]) + 1:
        text += ". <b>The steps overshoot</b>: each makes the error larger"
    return text + "." + (f" There is room for {MOST} points." if len(data) == MOST else "")


def _arrow(errors: Tensor) -> str:
    return f"{errors[0]:.2f}" if len(errors) == 1 else f"{errors[0]:.2f} → <b>{errors[-1]:.3g}</b>"


def _inside(x: float, y: float) -> tuple[float, float]:
    return min(X[1], max(X[0], x)), min(Y[1], max(Y[0], y))
