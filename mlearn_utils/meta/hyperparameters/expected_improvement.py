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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.meta.hyperparameters.residual_process import Kernel, condition
from mlearn_utils.meta.hyperparameters.space import FloatArray

LEAST_SHARE = 1e-6
"""Smallest standard deviation without luck, as a share of that of one run."""


class Results(NamedTuple):
    """What was tried on one task.

    Attributes:
        columns: [k, D] settings, as columns (`space.as_columns`); k may be 0.
        residuals: [k] earned minus predicted, in standard deviations.
        best: the best return; -inf if k is 0.
    """

    columns: FloatArray
    residuals: FloatArray
    best: float

    @classmethod
    def of(cls, mean: FloatArray, std: FloatArray, columns: FloatArray, seen: FloatArray) -> "Results":
        """Return the results of settings [k, D] that earned `seen` [k] where mean, std [k] were predicted."""
        return cls(columns, (seen - mean) / std, seen.max(initial=-np.inf))


def choose_next(
    candidates: FloatArray,
    mean: FloatArray,
    std: FloatArray,
    kernel: Kernel,
    tried: FloatArray,
    seen: FloatArray,
    n: int,
) -> list[int]:
    """Return the numbers of n candidates to try next on one task: different ones, none of them tried before.

    Only when all candidates were tried, those tried before are chosen again.

    Args:
        candidates: [C, D] settings, as columns (`space.as_columns`).
        mean: [k + C] predicted returns of the settings tried, then of the candidates.
        std: [k + C] their standard deviations.
        kernel: how the residuals of one task hang together.
        tried: [k, D] settings tried on the task, as columns; k may be 0.
        seen: [k] what they earned.
        n: how many, at most C.
    """
    k = len(seen)
    results = Results.of(mean[:k], std[:k], tried, seen)
    before, chosen = same_settings(candidates, tried), list[int]()
    taken = np.zeros(len(candidates), dtype=bool)
    for _ in range(n):
        gain, expected, shift = gains(candidates, mean[k:], std[k:], kernel, results)
        gain[taken if (before | taken).all() else before | taken] = -np.inf
        pick = int(best_first(gain, expected)[0])
        chosen.append(pick)
        taken |= same_settings(candidates, candidates[pick : pick + 1])
        results = Results(
            np.concatenate([results.columns, candidates[pick : pick + 1]]),
            np.append(results.residuals, shift[pick]),
            max(results.best, expected[pick]),
        )
    return chosen


def gains(
    candidates: FloatArray, mean: FloatArray, std: FloatArray, kernel: Kernel, results: Results
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return of each candidate, [C] each, the expected improvement, the corrected mean, the correction.

    The correction is in standard deviations. Mean and std are [C].
    """
    shift, variance = condition(kernel, results.columns, results.residuals, candidates)
    expected = mean + std * shift
    spread = std * np.maximum(np.sqrt(variance), LEAST_SHARE)
    return expected_improvement(expected, spread, results.best), expected, shift


def best_first(gain: FloatArray, expected: FloatArray) -> NDArray[np.intp]:
    """Return [..., C] candidates by falling gain; where that is equal, also where none gains, by mean."""
    return np.lexsort((-expected, -gain))


def expected_improvement(mean: FloatArray, std: FloatArray, best: float) -> FloatArray:
    """Return E[max(r - best, 0)] for r normal with mean [C] and std [C] > 0; the mean itself if best is -inf.

    Reference:
        Jones et al. (1998), equation 15.
    """
    if best == -math.inf:
        return mean.copy()
    from scipy.special import ndtr

    z = (mean - best) / std
    return std * (z * ndtr(z) + np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi))


def same_settings(candidates: FloatArray, tried: FloatArray) -> NDArray[np.bool_]:
    """Return [C] which candidates [C, D] are among settings [k, D], up to rounding."""
    same = (np.abs(candidates[:, None] - tried) < 1e-6).all(axis=-1)
    return np.asarray(same.sum(axis=1) > 0)
