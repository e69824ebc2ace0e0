"""Pictures of a grid, drawn with numpy alone: every kind of cell has a shape as well as a color of its own.

A tile is a shape on the unit square, painted at four times its size and averaged down, so that its edges are
smooth. The colors are Okabe and Ito's, which color-blind readers can tell apart
(https://jfly.uni-koeln.de/color/).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.tasks.gridworld import GridTask

Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]

TILE = 48
OVERSAMPLING = 4
FLOOR, LINE, SHADE, INK = (247, 247, 244), (206, 206, 200), (150, 150, 145), (40, 40, 40)
GREEN, ORANGE, BLUE, WHITE = (0, 158, 115), (230, 159, 0), (0, 114, 178), (255, 255, 255)


def draw_grid(task: GridTask, state: int | None = None, *, tile: int = TILE) -> Picture:
    """Return the picture [size * tile, size * tile, 3] of a grid.

    The goal is a flag, a pit a dark disk in a ring, the trap a diamond with a hole, the start an open square
    and the agent a round face.

    Args:
        task: the grid.
        state: the agent's state (row * size + column); None draws no agent.
        tile: pixels along one side of a cell.
    """
    kinds = dict.fromkeys(task.pit_states, "pit")
    kinds |= {task.state(task.start): "start", task.state(task.goal): "goal"}
    if task.trap is not None:
        kinds[task.state(task.trap)] = "trap"
    states = np.arange(task.size**2).reshape(task.size, task.size)
    rows = [[_tile(kinds.get(int(s), "floor"), bool(s == state), tile) for s in row] for row in states]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


@lru_cache(maxsize=64)
def _tile(kind: str, agent: bool, tile: int) -> Picture:
    """Paint one cell [tile, tile, 3]."""
    fine = tile * OVERSAMPLING
    y, x = (np.mgrid[:fine, :fine] + 0.5) / fine
    canvas = np.empty((fine, fine, 3))
    canvas[:] = FLOOR
    canvas[np.maximum(abs(x - 0.5), abs(y - 0.5)) > 0.49] = LINE
    layers = _PAINTERS[kind](x, y) + (_agent(x, y) if agent else [])
    for mask, color in layers:
        canvas[mask] = color
    blocks = canvas.reshape(tile, OVERSAMPLING, tile, OVERSAMPLING, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


Layers = list[tuple[Mask, tuple[int, int, int]]]
Grid = NDArray[np.float64]


def _disk(x: Grid, y: Grid, center: tuple[float, float], radius: float) -> Mask:
    return np.hypot(x - center[0], y - center[1]) <= radius


def _box(x: Grid, y: Grid, half_side: float) -> Mask:
    return np.maximum(abs(x - 0.5), abs(y - 0.5)) <= half_side


def _diamond(x: Grid, y: Grid, half_diagonal: float) -> Mask:
    return abs(x - 0.5) + abs(y - 0.5) <= half_diagonal


def _floor(x: Grid, y: Grid) -> Layers:
    return []


def _start(x: Grid, y: Grid) -> Layers:
    return [(_box(x, y, 0.32) & ~_box(x, y, 0.27), SHADE)]


def _pit(x: Grid, y: Grid) -> Layers:
    center = (0.5, 0.5)
    ring = _disk(x, y, center, 0.40) & ~_disk(x, y, center, 0.36)
    return [(ring, INK), (_disk(x, y, center, 0.31), INK)]


def _trap(x: Grid, y: Grid) -> Layers:
    return [(_diamond(x, y, 0.40), INK), (_diamond(x, y, 0.35), ORANGE), (_diamond(x, y, 0.14), FLOOR)]


def _goal(x: Grid, y: Grid) -> Layers:
    pole = (abs(x - 0.30) <= 0.03) & (y >= 0.14) & (y <= 0.86)
    cloth = (x >= 0.33) & (x - 0.33 <= 0.45 * (1 - abs(y - 0.34) / 0.18))
    return [(cloth, GREEN), (pole, INK)]


def _agent(x: Grid, y: Grid) -> Layers:
    eyes = _disk(x, y, (0.42, 0.46), 0.05) | _disk(x, y, (0.58, 0.46), 0.05)
    return [(_disk(x, y, (0.5, 0.5), 0.29), WHITE), (_disk(x, y, (0.5, 0.5), 0.26), BLUE), (eyes, WHITE)]


_PAINTERS = {"floor": _floor, "start": _start, "pit": _pit, "trap": _trap, "goal": _goal}
