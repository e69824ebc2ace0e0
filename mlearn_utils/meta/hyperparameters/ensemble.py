"""The regression behind a model of returns: five copies, what they get wrong, and how that hangs together."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.meta.hyperparameters.regressors import Regressor, fit_copy, predicted
from mlearn_utils.meta.hyperparameters.residual_process import Kernel, most_likely_kernel
from mlearn_utils.meta.hyperparameters.space import FloatArray

FOLDS = 5
"""Parts the tasks are split into, and so the fewest tasks a model can be fitted on."""

KERNEL_TASKS, KERNEL_RUNS = 100, 30
"""Past tasks, and runs of each, that the kernel of the residuals is chosen on."""

LEAST_SHARE = 0.2
"""Smallest predicted standard deviation, as a share of that of all residuals: none is certain."""


class Ensemble(NamedTuple):
    """Five regressions, one more of their squared errors, and what is known of these errors.

    Attributes:
        members: each was fitted without one fifth of the tasks.
        squares: predicts the square of a residual.
        center: [F] subtracted from features.
        scale: [F] divides them then.
        least_std: smallest standard deviation that is predicted.
        kernel: how the residuals of one task hang together.
        score: share of the returns' variance that is explained on tasks left out; NaN if they are all equal.
    """

    members: list[Any]
    squares: Any
    center: FloatArray
    scale: FloatArray
    least_std: float
    kernel: Kernel
    score: float

    def mean(self, features: FloatArray, columns: FloatArray) -> FloatArray:
        """Return [N] expected returns for features [N, F] and settings [N, D], as columns."""
        rows = self._rows(features, columns)
        return np.mean([predicted(member, rows) for member in self.members], axis=0)

    def std(self, features: FloatArray, columns: FloatArray) -> FloatArray:
        """Return [N] standard deviations, of model and luck together."""
        squares = predicted(self.squares, self._rows(features, columns))
        return np.sqrt(np.maximum(squares, self.least_std**2))

    def _rows(self, features: FloatArray, columns: FloatArray) -> FloatArray:
        return np.concatenate([(features - self.center) / self.scale, columns], axis=1)


def fit_ensemble(
    estimator: Regressor | None,
    features: FloatArray,
    columns: FloatArray,
    returns: FloatArray,
    task: NDArray[Any],
    seed: int,
) -> Ensemble:
    """Fit one copy a fold, the squares of what each gets wrong on its own fold, and the kernel.

    Args:
        estimator: what is copied; None for boosted trees.
        features: [N, F] of the task of each row.
        columns: [N, D] the settings, as columns.
        returns: [N].
        task: [N] the number of the task of each row.
        seed: of the split, and of boosted trees.
    """
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    rows = np.concatenate([(features - center) / scale, columns], axis=1)
    fold = np.random.default_rng(seed).permutation(task.max() + 1)[task] % FOLDS
    members, left_out = [], np.empty_like(returns)
    for k in range(FOLDS):
        members.append(fit_copy(estimator, rows[fold != k], returns[fold != k], len(rows), seed + k))
        left_out[fold == k] = predicted(members[k], rows[fold == k])
    residuals = returns - left_out
    squares = fit_copy(estimator, rows, residuals**2, len(rows), seed + FOLDS)
    score, least_std = _judge(returns, residuals)
    unsure = Ensemble(members, squares, center, scale, least_std, Kernel(), score)
    standardized = residuals / unsure.std(features, columns)
    order = np.random.default_rng(seed).permutation(task.max() + 1)[:KERNEL_TASKS]
    some = [np.flatnonzero(task == k)[:KERNEL_RUNS] for k in order]
    kernel = most_likely_kernel([(columns[runs], standardized[runs]) for runs in some])
    return unsure._replace(kernel=kernel)


def _judge(returns: FloatArray, residuals: FloatArray) -> tuple[float, float]:
    """Return the share that is explained, and the smallest standard deviation.

    Returns that are all equal have no variance to explain, and say nothing about luck: then the smallest
    deviation is as if one more run had been wrong by the size of the returns.
    """
    size = float(np.abs(returns).max()) or 1.0
    if np.ptp(returns) <= 1e-12 * size:
        return float("nan"), size / float(np.sqrt(len(returns) + 1))
    mean_square = float((residuals**2).mean())
    least = max(LEAST_SHARE * float(np.sqrt(mean_square)), 1e-6 * float(returns.std()))
    return 1.0 - mean_square / float(returns.var()), least
