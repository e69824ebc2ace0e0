"""The Gaussian process of residuals against a slow twin, and its kernel found again in data it made."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from mlearn_utils.meta.hyperparameters.residual_process import (
    Kernel,
    condition,
    log_likelihood,
    most_likely_kernel,
)


def draw(kernel, n_tasks, runs, rng):
    tasks = []
    for _ in range(n_tasks):
        unit = rng.random((runs, 2))
        covariance = kernel.covariance(unit, unit) + kernel.noise * np.eye(runs)
        tasks.append((unit, np.linalg.cholesky(covariance) @ rng.normal(size=runs)))
    return tasks


def test_conditioning_agrees_with_scikit_learns_process():
    rng = np.random.default_rng(0)
    kernel = Kernel(offset=0.2, smooth=0.5, length=0.4)
    tried, residuals, unit = rng.random((6, 3)), rng.normal(size=6), rng.random((20, 3))
    twin = GaussianProcessRegressor(
        ConstantKernel(0.2) + ConstantKernel(0.5) * RBF(0.4),
        alpha=kernel.noise,
        optimizer=None,  # pyright: ignore[reportArgumentType]
    )
    mean, covariance = twin.fit(tried, residuals).predict(unit, return_cov=True)  # pyright: ignore
    mine = condition(kernel, tried, residuals, unit)
    assert np.allclose(mine[0], mean)
    assert np.allclose(mine[1], np.diagonal(covariance))


def test_the_likelihood_is_the_normal_density():
    rng = np.random.default_rng(1)
    kernel = Kernel(offset=0.3, smooth=0.4, length=0.3)
    unit, residuals = rng.random((5, 2)), rng.normal(size=5)
    covariance = kernel.covariance(unit, unit) + kernel.noise * np.eye(5)
    slow = -0.5 * residuals @ np.linalg.inv(covariance) @ residuals - 0.5 * np.linalg.slogdet(covariance)[1]
    assert log_likelihood(kernel, unit, residuals) == pytest.approx(slow)


@pytest.mark.parametrize(
    "kernel", [Kernel(0.5, 0.1, 0.3), Kernel(0.05, 0.7, 0.3), Kernel(0.0, 0.0, 0.15)], ids=str
)
def test_the_kernel_is_found_again(kernel):
    found = most_likely_kernel(draw(kernel, 80, 15, np.random.default_rng(2)))
    assert found.offset == pytest.approx(kernel.offset, abs=0.21)
    assert found.smooth == pytest.approx(kernel.smooth, abs=0.21)
    assert found.noise == pytest.approx(kernel.noise, abs=0.15)


def test_nothing_tried_says_nothing():
    kernel = Kernel(0.2, 0.3, 0.3)
    mean, variance = condition(kernel, np.zeros((0, 2)), np.zeros(0), np.random.default_rng(0).random((4, 2)))
    assert np.array_equal(mean, np.zeros(4))
    assert np.allclose(variance, 0.5)


def test_a_good_result_raises_its_neighbors_most():
    kernel = Kernel(0.1, 0.6, 0.2)
    unit = np.array([[0.5], [0.6], [1.0]])
    mean, variance = condition(kernel, np.array([[0.5]]), np.array([2.0]), unit)
    assert mean[0] > mean[1] > mean[2] > 0
    assert variance[0] < variance[1] < variance[2] < 0.7
