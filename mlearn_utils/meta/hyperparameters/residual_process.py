"""What the results on one task say about settings not tried there: a Gaussian process of residuals.

A model that knows a task by its features alone is wrong in two ways: the whole task is easier or harder than
it looks (an offset), and its best settings lie elsewhere than on similar tasks (a smooth function of the
setting). Runs also differ by luck (noise). With z the residual in units of its standard deviation, for two
settings h, h' in the unit cube, on the same task:

    cov(z(h), z(h')) = offset + smooth * exp(-|h - h'|^2 / (2 length^2)) + noise * [same run]

and offset + smooth + noise = 1. The shares and the length are those under which the residuals of past tasks
are most likely; given the first results on a new task, z elsewhere has a normal distribution in closed form.

Reference: Rasmussen & Williams (2006), "Gaussian Processes for Machine Learning", chapter 2 and section 5.4.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from mlearn_utils.meta.hyperparameters.space import FloatArray

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
LENGTHS = (0.15, 0.3, 0.6)
LEAST_NOISE = 0.05


class Kernel(NamedTuple):
    """Shares of the variance of a residual, and the distance over which its smooth part changes.

    Attributes:
        offset: share that all settings of a task have in common.
        smooth: share that neighboring settings have in common.
        length: distance in the unit cube.
    """

    offset: float = 0.2
    smooth: float = 0.3
    length: float = 0.3

    @property
    def noise(self) -> float:
        """The share that is luck."""
        return 1.0 - self.offset - self.smooth

    def covariance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Return [A, B] the covariance, without luck, of settings a [A, H] and b [B, H] in the unit cube."""
        squared = np.maximum((a**2).sum(-1)[:, None] + (b**2).sum(-1) - 2 * a @ b.T, 0.0)
        return self.offset + self.smooth * np.exp(-0.5 * squared / self.length**2)


def most_likely_kernel(tasks: Sequence[tuple[FloatArray, FloatArray]]) -> Kernel:
    """Return the kernel of a small grid under which the standardized residuals are most likely.

    Args:
        tasks: (settings [k, H] in the unit cube, residuals [k]) of each task.
    """
    kernels = [
        Kernel(offset, smooth, length)
        for offset, smooth, length in product(SHARES, SHARES, LENGTHS)
        if offset + smooth <= 1 - LEAST_NOISE and (smooth > 0 or length == LENGTHS[0])
    ]
    return max(kernels, key=lambda kernel: sum(log_likelihood(kernel, *task) for task in tasks))


def log_likelihood(kernel: Kernel, unit: FloatArray, residuals: FloatArray) -> float:
    """Return the log density, up to a constant, of one task's residuals [k] at settings [k, H]."""
    lower = np.linalg.cholesky(kernel.covariance(unit, unit) + kernel.noise * np.eye(len(unit)))
    whitened = np.linalg.solve(lower, residuals)
    return float(-0.5 * whitened @ whitened - np.log(np.diagonal(lower)).sum())


def condition(
    kernel: Kernel, tried: FloatArray, residuals: FloatArray, unit: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance [C] of the residual, without luck, at settings [C, H], given those tried.

    Args:
        kernel: shares and length.
        tried: [k, H] settings tried on this task, in the unit cube; k may be 0.
        residuals: [k] their standardized residuals.
        unit: [C, H] where to predict.
    """
    if not len(tried):
        return np.zeros(len(unit)), np.full(len(unit), kernel.offset + kernel.smooth)
    gram = kernel.covariance(tried, tried) + kernel.noise * np.eye(len(tried))
    cross = kernel.covariance(unit, tried)
    weights = np.linalg.solve(gram, cross.T)  # [k, C]
    return residuals @ weights, np.maximum(
        kernel.offset + kernel.smooth - (cross.T * weights).sum(axis=0), 0.0
    )
