"""The map of a grid: what every cell is worth, as color and as number, and a policy as arrows.

Built once and then moved, so that it follows a slider. Data coordinates are (column, row) with the first cell
from 0 to 1, which is what `Canvas` reports when a cell is clicked.
"""

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from mlearn_utils.course.figures.style import BLACK, GRAY, ORANGE, number
from mlearn_utils.tasks.grid_picture import TILE, draw_grid
from mlearn_utils.tasks.gridworld import MOVES, GridTask, terminal_states
from mlearn_utils.tasks.tabular import FloatArray, IntArray

WORTH = Normalize(-1.0, 1.0)
LIGHT_FROM = -0.1  # from this value on black is easier to read on the color than white
ARROW = 0.42  # its length, in cells
WIDTHS = dict.fromkeys("0123456789", 0.636) | {".": 0.318, "−": 0.838}  # of DejaVu Sans, in font sizes


class ValueMap:
    """A grid with its values.

    Args:
        ax: empty axes.
        task: the grid; its goal, pits and trap are drawn as the environment draws them.
        title: of the axes.
        rows: height of the axes in cells; more than the grid has leaves room below it.
    """

    def __init__(self, ax: Axes, task: GridTask, *, title: str = "", rows: float | None = None):
        n, terminal = task.size, terminal_states(task)
        self._alive = np.flatnonzero(~terminal)
        self._size, self._tiles = n, draw_grid(task)
        self._ended = np.kron(terminal.reshape(n, n), np.ones((TILE, TILE), dtype=bool))[..., None]
        self._image = ax.imshow(self._tiles, extent=(0, n, n, 0), interpolation="bilinear")
        ax.set(xlim=(-0.62, n), ylim=(rows or n, -0.55))
        ax.axis("off")
        colors = ScalarMappable(WORTH, "cividis")
        scale = ax.figure.colorbar(colors, ax=ax, label="value", shrink=0.7)
        scale.set_ticks([-1.0, -0.5, 0.0, 0.5, 1.0])
        self.title = ax.set_title(title, y=1.0)
        _draw_frame(ax, task)
        self._dark, self._light = (Numbers(ax, 0.225, color) for color in (BLACK, "white"))
        row, column = np.divmod(self._alive, n)
        still = np.zeros(len(self._alive))
        self._arrows = ax.quiver(
            column + 0.5,
            row + 0.36,
            still,
            still,
            pivot="mid",
            angles="xy",
            scale_units="xy",
            scale=1,
            units="x",
            width=0.06,
            headwidth=3.4,
            headlength=3.2,
            headaxislength=3,
            zorder=3,
        )
        self._frame = Rectangle((0, 0), 1, 1, fill=False, edgecolor=ORANGE, linewidth=3.5, zorder=4)
        ax.add_patch(self._frame)
        self._frame.set_visible(False)

    def show(self, V: FloatArray, policy: IntArray | None = None) -> None:
        """Show the values V [S], and the arrows of `policy` [S] if there is one."""
        n = self._size
        colors = mpl.colormaps["cividis"](WORTH(V.reshape(n, n)), bytes=True)[..., :3]
        colors = colors.repeat(TILE, axis=0).repeat(TILE, axis=1)
        self._image.set_data(np.where(self._ended, self._tiles, colors))
        light = V > LIGHT_FROM
        for numbers, chosen in ((self._dark, light), (self._light, ~light)):
            states = self._alive[chosen[self._alive]]
            numbers.write((s % n + 0.5, s // n + 0.84, number(float(V[s]))) for s in states)
        actions = np.zeros(n * n, dtype=int) if policy is None else policy
        moves = (0.0 if policy is None else ARROW) * np.array(MOVES)[actions[self._alive]]
        self._arrows.set_UVC(moves[:, 1], moves[:, 0])
        self._arrows.set_color([BLACK if light[state] else "white" for state in self._alive])

    def frame(self, state: int | None) -> None:
        """Put a frame around one cell, or take it away."""
        self._frame.set_visible(state is not None)
        if state is not None:
            row, column = divmod(state, self._size)
            self._frame.set_xy((column, row))


class Numbers:
    """Short numbers as one shape: drawn twenty times as fast as that many texts, which a slider needs.

    Args:
        ax: where; its y axis must point down.
        size: font size in data units.
        color: of the digits.
    """

    def __init__(self, ax: Axes, size: float, color: str):
        self._glyphs = {
            letter: (path.vertices * np.array([size, -size]), path.codes)
            for letter in WIDTHS
            for path in [TextPath((0, 0), letter, size=1)]
        }
        self._size = size
        self._shape = PathPatch(_NOTHING, facecolor=color, linewidth=0, zorder=3)
        ax.add_patch(self._shape)
        self.texts: list[str] = []

    def write(self, entries: Iterable[tuple[float, float, str]]) -> None:
        """Replace everything written: (center x, base line y, text) each."""
        self.texts, vertices, codes = [], [], []
        for x, y, text in entries:
            self.texts.append(text)
            at = x - self._size * sum(WIDTHS[letter] for letter in text) / 2
            for letter in text:
                outline, outline_codes = self._glyphs[letter]
                vertices.append(outline + np.array([at, y]))
                codes.append(outline_codes)
                at += self._size * WIDTHS[letter]
        self._shape.set_path(Path(np.concatenate(vertices), np.concatenate(codes)) if vertices else _NOTHING)


_NOTHING = Path(np.zeros((1, 2)))


def _draw_frame(ax: Axes, task: GridTask) -> None:
    """Draw what never moves: lines between cells, the start, and the numbers of rows and columns."""
    n = task.size
    ax.vlines(range(1, n), 0, n, color="white", linewidth=1)
    ax.hlines(range(1, n), 0, n, color="white", linewidth=1)
    row, column = (index % n for index in task.start)
    ax.add_patch(Rectangle((column + 0.05, row + 0.05), 0.9, 0.9, fill=False, linestyle="--"))
    numbers = Numbers(ax, 0.225, BLACK)
    columns = [(k + 0.5, -0.12, str(k)) for k in range(n)]
    numbers.write(columns + [(-0.18, k + 0.58, str(k)) for k in range(n)])
    ax.text(n / 2, -0.36, "column", ha="center", va="bottom", color=GRAY, fontsize=9)
    ax.text(-0.36, n / 2, "row", ha="right", va="center", rotation=90, color=GRAY, fontsize=9)
