"""The closed forms of lesson 04 against autograd through an unrolled loop."""

import numpy as np
import pytest
import torch

from mlearn_utils.course.lesson_04 import quadratics
from mlearn_utils.course.lesson_04.quadratics import TASKS
from mlearn_utils.meta.maml import meta_gradient
from mlearn_utils.tasks.regression import TaskBatch


def autograd_slope(theta: float, inner_lr: float, steps: int, first_order: bool) -> tuple[float, float]:
    """Return J and its slope by the MAML core."""

    def loss(params, batch):
        curvature, center = batch
        return 0.5 * curvature * (params["theta"] - center) ** 2

    curvature, support, query = (torch.as_tensor(values) for values in TASKS)
    value, gradient = meta_gradient(
        loss,
        {"theta": torch.tensor(theta, dtype=torch.float64)},
        TaskBatch((curvature, support), (curvature, query)),
        inner_lr=inner_lr,
        steps=steps,
        first_order=first_order,
    )
    return float(value), float(gradient["theta"])


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
@pytest.mark.parametrize("inner_lr", [0.0, 0.1, 0.3, 0.7])
def test_objective_and_slopes(inner_lr, steps):
    for theta in (-1.3, 0.1, 2.0):
        value, exact = autograd_slope(theta, inner_lr, steps, first_order=False)
        _, first = autograd_slope(theta, inner_lr, steps, first_order=True)
        assert quadratics.meta_objective(theta, TASKS, inner_lr, steps) == pytest.approx(value, abs=1e-12)
        assert quadratics.meta_slope(theta, TASKS, inner_lr, steps) == pytest.approx(exact, abs=1e-12)
        assert quadratics.first_order_slope(theta, TASKS, inner_lr, steps) == pytest.approx(first, abs=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_starts_are_where_the_slopes_are_zero(steps):
    best = quadratics.best_start(TASKS, 0.3, steps)
    assert quadratics.meta_slope(best, TASKS, 0.3, steps) == pytest.approx(0, abs=1e-12)
    first = quadratics.first_order_start(TASKS, 0.3, steps)
    assert quadratics.first_order_slope(first, TASKS, 0.3, steps) == pytest.approx(0, abs=1e-12)
    around = quadratics.meta_objective(np.linspace(best - 1, best + 1, 11), TASKS, 0.3, steps)
    assert np.argmin(around) == 5
    assert quadratics.joint_start(TASKS) == pytest.approx(1.1)


def test_functions_of_theta_broadcast():
    theta = np.linspace(-1, 1, 6).reshape(2, 3)
    assert quadratics.adapted_points(theta, TASKS, 0.3, 2).shape == (2, 3, 3)
    for function in (quadratics.meta_objective, quadratics.meta_slope, quadratics.first_order_slope):
        assert function(theta, TASKS, 0.3, 2).shape == (2, 3)


def test_the_three_tasks_have_a_setting_where_first_order_is_wrong_without_overshooting():
    assert 0.2 * TASKS.curvature.max() <= 0.5
    exact, first = (
        function(0.6, TASKS, 0.2, 1) for function in (quadratics.meta_slope, quadratics.first_order_slope)
    )
    assert exact > 0 > first
