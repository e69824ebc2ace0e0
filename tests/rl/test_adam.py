"""Adam as a pure function: torch's own direction, a memory that is not written to, and a slope at zero."""

import torch

from mlearn_utils.rl.adam import adam_direction, no_moments


def test_the_directions_are_those_of_torchs_adam():
    theta = torch.nn.Parameter(torch.zeros(3).double())
    optimizer = torch.optim.Adam([theta], lr=1.0, betas=(0.8, 0.95), eps=1e-8)
    moments = no_moments({"a": theta.detach()})
    for k in range(5):
        theta.grad = torch.tensor([1.0, -2.0, 0.1]).double() * (k - 1.5)
        before = theta.detach().clone()
        optimizer.step()
        direction, moments = adam_direction({"a": theta.grad}, moments, decays=(0.8, 0.95), eps=1e-16)
        torch.testing.assert_close(direction["a"], before - theta.detach(), rtol=0, atol=1e-6)
    assert moments.updates == 5


def test_the_memory_that_is_given_is_not_written_to():
    moments = no_moments({"a": torch.ones(2)})
    adam_direction({"a": torch.ones(2)}, moments)
    assert moments.updates == 0
    assert not moments.first["a"].any()
    assert not moments.second["a"].any()


def test_the_slope_is_finite_where_a_gradient_is_zero():
    grad = torch.zeros(1).double().requires_grad_()
    direction, _ = adam_direction({"a": grad}, no_moments({"a": grad}), eps=1e-4)
    (slope,) = torch.autograd.grad(direction["a"].sum(), grad)
    assert slope.item() == 100.0  # 1 / sqrt(eps)
