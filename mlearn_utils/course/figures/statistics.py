"""Student-t intervals for a mean over seeds, without a statistics package.

For whole degrees of freedom the distribution function is a finite sum, so its quantile is a few Newton steps.

Reference: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from mlearn_utils.runtime import check_integer

NORMAL_FROM = 100_000  # degrees of freedom from which t and normal quantiles agree to 1e-5


def interval(values: Any, *, level: float = 0.95) -> tuple[Any, Any, Any]:
    """Return mean, lower and upper end of the Student-t interval of the mean over axis 0.

    Args:
        values: [S] or [S, ...], one entry a seed, S >= 2.
        level: of confidence, between 0 and 1.

    Returns:
        Three floats for [S], three arrays [...] otherwise.

    Raises:
        ValueError: if there are fewer than two values, or the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level!r}")
    runs = np.asarray(values, dtype=float)
    if runs.ndim == 0 or len(runs) < 2:
        raise ValueError(f"values must hold at least 2 seeds along axis 0, got shape {runs.shape}")
    mean = runs.mean(axis=0)
    half = t_quantile((1 + level) / 2, len(runs) - 1) * runs.std(axis=0, ddof=1) / math.sqrt(len(runs))
    if runs.ndim == 1:
        return float(mean), float(mean - half), float(mean + half)
    return mean, mean - half, mean + half


@lru_cache(maxsize=256)
def t_quantile(probability: float, dof: int) -> float:
    """Return what a Student-t variable with `dof` degrees of freedom stays below with `probability`.

    Args:
        probability: at least 0.5 and below 1 (the other half is its mirror image).
        dof: degrees of freedom, an integer >= 1.

    Raises:
        ValueError: if either is out of range.
    """
    if not 0.5 <= probability < 1:
        raise ValueError(f"probability must be in [0.5, 1), got {probability!r}")
    check_integer("dof", dof, minimum=1)
    t = NormalDist().inv_cdf(probability)
    if dof >= NORMAL_FROM:
        return t
    step = math.inf
    while step > 1e-13 * t:  # concave for t > 0, and we start below: each step goes up, none too far
        step = (probability - _t_cdf(t, dof)) / _t_density(t, dof)
        t += step
    return t


def _t_cdf(t: float, dof: int) -> float:
    """Return P(T <= t) for t >= 0, by the finite series in cos(theta), theta = atan(t / sqrt(dof))."""
    theta = math.atan(t / math.sqrt(dof))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = dof % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, dof, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    between = 2 / math.pi * (theta + sine * total) if odd else sine * total
    return 0.5 + between / 2


def _t_density(t: float, dof: int) -> float:
    log_scale = math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - 0.5 * math.log(dof * math.pi)
    return math.exp(log_scale - (dof + 1) / 2 * math.log1p(t * t / dof))
