"""The map of a table q [S, A] over a grid: four triangles a cell, one for each move.

Built once and then moved, so that it follows a slider. Data coordinates are (column, row), as in `ValueMap`.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import TwoSlopeNorm
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from mlearn_utils.course.figures.style import BLACK, ORANGE, number
from mlearn_utils.tasks.grid_picture import draw_grid
from mlearn_utils.tasks.gridworld import MOVES, GridTask, terminal_states
from mlearn_utils.tasks.tabular import FloatArray

CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))  # clockwise from the top left; up lies between the first two


class ActionMap:
    """A grid with the values of the moves.

    Args:
        ax: empty axes.
        task: the grid; its goal, pits and trap are drawn as the environment draws them.
        title: of the axes.
        numbers: whether to write each value that is not 0.
        low, high: values of the darkest and the brightest color; 0 is in the middle.
    """

    def __init__(
        self,
        ax: Axes,
        task: GridTask,
        *,
        title: str = "",
        numbers: bool = False,
        low: float = -1.0,
        high: float = 1.0,
    ):
        n, self._size = task.size, task.size
        ax.imshow(draw_grid(task), extent=(0, n, n, 0), interpolation="nearest")
        ax.set(xlim=(0, n), ylim=(n, 0), xlabel="column", ylabel="row", title=title)
        ax.set_xticks(np.arange(n) + 0.5, [str(k) for k in range(n)])
        ax.set_yticks(np.arange(n) + 0.5, [str(k) for k in range(n)])
        ax.tick_params(length=0)
        ax.grid(False)
        self._alive = np.flatnonzero(~terminal_states(task))
        self._triangles = PolyCollection(
            [_triangle(int(s), a, n) for s in self._alive for a in range(4)],
            cmap="cividis",
            norm=TwoSlopeNorm(0.0, low, high),
            edgecolors="white",
            linewidths=0.6,
        )
        ax.add_collection(self._triangles)
        scale = ax.figure.colorbar(self._triangles, ax=ax, label="q(s, a)", shrink=0.8)
        scale.set_ticks([low, low / 2, 0.0, high / 2, high])
        self._texts = [_label(ax, int(s), a, n) for s in self._alive for a in range(4)] if numbers else []
        (self._best,) = ax.plot([], [], "o", color="white", markeredgecolor=BLACK, markersize=4, zorder=5)
        self._frame = Rectangle((0, 0), 1, 1, fill=False, edgecolor=ORANGE, linewidth=3, zorder=6)
        ax.add_patch(self._frame).set_visible(False)
        (self._way,) = ax.plot([], [], color=ORANGE, linestyle="-", linewidth=6, alpha=0.4, zorder=3)

    def show(self, q: FloatArray) -> None:
        """Show the table q [S, A]; a dot marks the best move of a cell where there is exactly one."""
        values = q[self._alive]
        self._triangles.set_array(values.reshape(-1))
        unique = (values == values.max(axis=1, keepdims=True)).sum(axis=1) == 1
        rows, columns = np.divmod(self._alive[unique], self._size)
        moves = np.array(MOVES)[values[unique].argmax(axis=1)]
        self._best.set_data(columns + 0.5 + 0.1 * moves[:, 1], rows + 0.5 + 0.1 * moves[:, 0])
        for text, value in zip(self._texts, values.reshape(-1), strict=False):
            text.set_text(number(value) if value else "")
            text.set_color(BLACK if value > 0 else "white")

    def point(self, state: int, action: int, next_state: int) -> None:
        """Frame one cell and draw the step from there to the next."""
        row, column = divmod(state, self._size)
        after_row, after_column = divmod(next_state, self._size)
        self._frame.set_xy((column, row))
        self._frame.set_visible(True)
        if state == next_state:
            after_row, after_column = (row + 0.35 * MOVES[action][0], column + 0.35 * MOVES[action][1])
        self._way.set_data([column + 0.5, after_column + 0.5], [row + 0.5, after_row + 0.5])


def _triangle(state: int, action: int, size: int) -> FloatArray:
    """Return the corners [3, 2] of the part of a cell that stands for one move."""
    row, column = divmod(state, size)
    ends = CORNERS[action], CORNERS[(action + 1) % 4]
    return np.array([(column + 0.5, row + 0.5), *((column + x, row + y) for x, y in ends)])


def _label(ax: Axes, state: int, action: int, size: int) -> Text:
    row, column = divmod(state, size)
    y, x = row + 0.5 + 0.35 * MOVES[action][0], column + 0.5 + 0.31 * MOVES[action][1]
    return ax.text(x, y, "", ha="center", va="center", fontsize=7, zorder=7)
