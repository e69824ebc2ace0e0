"""Settings among which suggestions are chosen: spread over the space, its corners, and near the best.

All are points of the unit cube, one coordinate a hyperparameter, where the settings they stand for really lie
(`space.snap`). A space with few settings has all of them as candidates.
"""

import numpy as np

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.ranges import Choices, Space
from mlearn_utils.meta.hyperparameters.space import FloatArray

CANDIDATES = 512
"""Settings spread over the space; more only where many were tried already."""

CORNERS = 64
"""At most so many corners: all of up to six hyperparameters."""

ROUNDS = ((4, 0.15), (2, 0.1), (1, 0.06), (1, 0.03))
"""Of each round of refinement: how many of the best it refines, and how far it looks around them."""

NEAR = 24
"""New candidates that a round tries on each task."""


def first_candidates(space: Space, needed: int, seed: int) -> FloatArray:
    """Return [C, H] different candidates: every setting if these are few, else spread points and corners.

    Args:
        space: what each hyperparameter may be.
        needed: how many different ones are needed at least, those tried before included.
        seed: of the spread.
    """
    if spaces.count_settings(space) <= max(CANDIDATES, 40 * needed):
        return spaces.every_setting(space)
    H = len(space)
    spread = spread_points(max(CANDIDATES, 2 * needed), H, seed)
    points = spaces.snap(space, np.concatenate([spread, corners(H, seed)]))
    first = np.unique(points, axis=0, return_index=True)[1]
    return points[np.sort(first)]


def corners(dimensions: int, seed: int) -> FloatArray:
    """Return [<= 64, H] different corners of the unit cube: all if there are no more, else spread ones."""
    if 2**dimensions <= CORNERS:
        return np.array(np.meshgrid(*[[0.0, 1.0]] * dimensions)).reshape(dimensions, -1).T
    return np.unique(np.rint(spread_points(CORNERS, dimensions, seed)), axis=0)


def near(space: Space, best: FloatArray, width: float, rng: np.random.Generator) -> FloatArray:
    """Return [M, L, H] candidates near the best [M, B, H] of each task, the same steps for every task.

    A step changes about two thirds of the coordinates by a normal number; choices have no neighbors, so
    theirs are drawn anew.
    """
    start = np.repeat(best, NEAR // best.shape[1], axis=1)
    size = start.shape[1:]
    step, drawn, moves = width * rng.normal(size=size), rng.random(size), rng.random(size) < 2 / 3
    chosen = np.array([isinstance(stated, Choices) for stated in space.values()])
    moved = np.where(chosen, drawn, np.clip(start + step, 0.0, 1.0))
    return spaces.snap(space, np.where(moves, moved, start))


def spread_points(n: int, dimensions: int, seed: int) -> FloatArray:
    """Return n points that fill the unit cube evenly, its faces included."""
    from scipy.stats import qmc

    points = qmc.Halton(dimensions, rng=np.random.default_rng(seed)).random(n)
    return np.clip(1.04 * points - 0.02, 0.0, 1.0)
