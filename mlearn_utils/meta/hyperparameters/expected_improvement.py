"""Which setting to try next, among candidates whose returns are predicted.

The first is the one with the largest expected return. After some runs on the same task, predictions are
corrected by these runs' residuals (`meta.hyperparameters.residual_process`), and the next is the one with the
largest expected improvement over the best so far: a good mean helps, and so does a large uncertainty. More
than one are found greedily, each as if those before had earned what was expected of them, so that they hedge
instead of repeating each other.

Reference: Jones et al. (1998), "Efficient global optimization of expensive black-box functions" (expected
improvement); Ginsbourger et al. (2010), "Kriging is well-suited to parallelize optimization" (its greedy
form).
"""

import math

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.meta.hyperparameters.residual_process import Kernel, condition
from mlearn_utils.meta.hyperparameters.space import FloatArray

LEAST_STD = 1e-6


def choose_next(
    candidates: FloatArray,
    mean: FloatArray,
    std: FloatArray,
    kernel: Kernel,
    tried: FloatArray,
    seen: FloatArray,
    n: int,
) -> list[int]:
    """Return the numbers of n candidates to try next on one task, none of them tried before.

    Args:
        candidates: [C, H] settings in the unit cube.
        mean: [k + C] predicted returns of the settings tried, then of the candidates.
        std: [k + C] their standard deviations.
        kernel: how the residuals of one task hang together.
        tried: [k, H] settings tried on the task, in the unit cube; k may be 0.
        seen: [k] what they earned.
        n: how many.
    """
    k = len(seen)
    residuals, best = (seen - mean[:k]) / std[:k], seen.max(initial=-np.inf)
    mean, std = mean[k:], std[k:]
    chosen: list[int] = []
    for _ in range(n):
        shift, variance = condition(kernel, tried, residuals, candidates)
        expected = mean + std * shift
        gain = expected_improvement(expected, std * np.sqrt(variance), best)
        gain[_tried_before(tried, candidates)] = -np.inf  # never the same twice
        pick = int(gain.argmax())
        chosen.append(pick)
        best = max(best, expected[pick])
        tried = np.concatenate([tried, candidates[pick : pick + 1]])
        residuals = np.append(residuals, shift[pick])
    return chosen


def expected_improvement(mean: FloatArray, std: FloatArray, best: float) -> FloatArray:
    """Return E[max(r - best, 0)] for r normal with mean [C] and std [C]; the mean itself if best is -inf.

    Reference:
        Jones et al. (1998), equation 15.
    """
    if best == -math.inf:
        return mean.copy()
    from scipy.special import ndtr

    spread = np.maximum(std, LEAST_STD)
    z = (mean - best) / spread
    return spread * (z * ndtr(z) + np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi))


def _tried_before(tried: FloatArray, candidates: FloatArray) -> NDArray[np.bool_]:
    """Return [C] which candidates were tried, up to rounding."""
    same = (np.abs(candidates[:, None] - tried) < 1e-6).all(axis=-1)
    return np.asarray(same.sum(axis=1) > 0)


def spread_points(n: int, dimensions: int, seed: int) -> FloatArray:
    """Return n points that fill the unit cube evenly, corners of the range included."""
    from scipy.stats import qmc

    points = qmc.Halton(dimensions, rng=np.random.default_rng(seed)).random(n)
    return np.clip(1.04 * points - 0.02, 0.0, 1.0)
