"""The choice of the next setting against a slow twin, the expected improvement against its integral."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mlearn_utils.meta.hyperparameters.expected_improvement import (
    choose_next,
    expected_improvement,
)
from mlearn_utils.meta.hyperparameters.residual_process import Kernel

KERNEL = Kernel(offset=0.3, smooth=0.4, length=0.3)


@pytest.mark.parametrize("best", [-1.0, 0.0, 0.4, 3.0])
def test_expected_improvement_is_its_integral(best):
    mean, std = np.array([0.3, -0.2]), np.array([0.5, 0.1])
    found = expected_improvement(mean, std, best)
    for m, s, value in zip(mean, std, found, strict=True):
        slow = quad(lambda r, m=m, s=s: max(r - best, 0) * norm.pdf(r, m, s), best, m + 10 * s + 5)[0]
        assert value == pytest.approx(slow, abs=1e-6)


def test_without_a_best_the_expected_return_counts():
    mean = np.array([0.3, -0.2])
    assert np.array_equal(expected_improvement(mean, np.ones(2), -np.inf), mean)


def slow_choice(candidates, mean, std, tried, seen, n):
    """Return what choose_next is to return: conditional normals by solving, improvements by integrating."""
    k, believed, points = len(seen), list(seen), list(tried)
    beliefs_mean, beliefs_std = list(mean[:k]), list(std[:k])
    chosen = []
    for _ in range(n):
        best, pick, most, outcome = max(believed, default=-np.inf), -1, -np.inf, 0.0
        for c in range(len(candidates)):
            if any(np.allclose(candidates[c], point, atol=1e-6) for point in points):
                continue
            m, s = conditional(points, believed, beliefs_mean, beliefs_std, candidates[c])
            expected, spread = mean[k + c] + std[k + c] * m, std[k + c] * s
            gain = expected
            if np.isfinite(best):
                z = (expected - best) / spread
                gain = spread * (z * norm.cdf(z) + norm.pdf(z))
            if gain > most:
                pick, most, outcome = c, gain, expected
        chosen.append(pick)
        points.append(candidates[pick])
        believed.append(outcome)
        beliefs_mean.append(mean[k + pick])
        beliefs_std.append(std[k + pick])
    return chosen


def conditional(points, seen, mean, std, candidate):
    """Return mean and deviation of the standardized residual, without luck, given those at `points`."""

    def covariance(a, b):
        return KERNEL.offset + KERNEL.smooth * np.exp(-((a - b) ** 2).sum() / (2 * KERNEL.length**2))

    if not points:
        return 0.0, np.sqrt(KERNEL.offset + KERNEL.smooth)
    z = (np.array(seen) - np.array(mean)) / np.array(std)
    K = np.array([[covariance(a, b) for b in points] for a in points]) + KERNEL.noise * np.eye(len(points))
    cross = np.array([covariance(point, candidate) for point in points])
    return cross @ np.linalg.solve(K, z), np.sqrt(
        KERNEL.offset + KERNEL.smooth - cross @ np.linalg.solve(K, cross)
    )


@pytest.mark.parametrize("k", [0, 1, 4])
def test_the_choice_is_that_of_the_slow_twin(k):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        candidates, tried = rng.random((25, 2)), rng.random((k, 2))
        if k > 1:
            tried[0] = candidates[3]
        mean, std, seen = rng.normal(size=k + 25), rng.uniform(0.2, 2.0, k + 25), 2 * rng.normal(size=k)
        found = choose_next(candidates, mean, std, KERNEL, tried, seen, 3)
        assert found == slow_choice(candidates, mean, std, tried, seen, 3)


def test_what_was_tried_is_not_tried_again_however_good_it_is():
    candidates = np.array([[0.1, 0.1], [0.9, 0.9]])
    mean, std = np.array([5.0, 5.0, 0.0]), np.full(3, 0.1)
    assert choose_next(candidates, mean, std, KERNEL, candidates[:1], np.array([5.0]), 1) == [1]


def test_when_all_were_tried_the_best_is_tried_again():
    candidates = np.array([[0.1], [0.9]])
    mean, std = np.array([5.0, 0.0, 5.0, 0.0]), np.full(4, 0.1)
    assert choose_next(candidates, mean, std, KERNEL, candidates, np.array([5.0, 0.0]), 2) == [0, 1]


def test_where_nothing_can_be_gained_the_best_mean_is_next():
    candidates, tried = np.array([[0.1], [0.5], [0.9]]), np.array([[0.3]])
    mean, std = np.array([0.0, -3.0, -1.0, -2.0]), np.full(4, 1e-3)
    sure = Kernel(offset=0.0, smooth=0.0)
    assert choose_next(candidates, mean, std, sure, tried, np.array([0.0]), 2) == [1, 2]
