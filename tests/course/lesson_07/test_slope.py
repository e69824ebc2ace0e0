"""The slope by the learning rate, against autograd."""

import pytest
import torch

from mlearn_utils.course.lesson_07.exercises import rate_slope
from mlearn_utils.course.lesson_07.mistakes import slope_probes
from mlearn_utils.meta import maml
from mlearn_utils.tasks.regression import TaskBatch


def test_the_slope_by_the_rate_is_autograds():
    theta, alpha, a, s, q = slope_probes()[0]
    curvature, support, query = (torch.as_tensor(values) for values in (a, s, q))
    rate = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)

    def parabola(params, batch):
        return 0.5 * batch[0] * (params["theta"] - batch[1]) ** 2

    tasks = TaskBatch((curvature, support), (curvature, query))
    losses = maml.query_losses(parabola, {"theta": torch.tensor(theta).double()}, tasks, inner_lr=rate)
    (slope,) = torch.autograd.grad(losses.mean(), rate)
    assert slope.item() == pytest.approx(rate_slope(theta, alpha, a, s, q))
