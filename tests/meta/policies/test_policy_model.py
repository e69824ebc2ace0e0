"""A policy at fixed parameters, and the short way through it, against the plain one."""

import pytest
import torch

from mlearn_utils.meta.policies import policy_model
from mlearn_utils.meta.policies.policy_model import LOG_STD, PolicyModel
from mlearn_utils.rl.actions import DiscreteActions, GaussianActions
from mlearn_utils.runtime import make_generator

TASKS, FEATURES = 3, 4
CENTER, SCALE = torch.tensor([0.0, 2.0, 0.0, -1.0]), torch.tensor([1.0, 0.5, 0.1, 2.0])


def make_model(actions, center=CENTER, **how) -> tuple[PolicyModel, dict[str, torch.Tensor]]:
    """Return a model and parameters of its own [T, *] for each task."""
    model = PolicyModel((FEATURES,), actions, hidden=16, center=center, scale=SCALE, **how)
    generator = make_generator(0)
    params = {
        name: torch.randn(TASKS, *value.shape, generator=generator)
        for name, value in model.start(generator, log_std=0.0).items()
    }
    return model, params


@pytest.mark.parametrize("center", [CENTER, torch.zeros(FEATURES)])
@pytest.mark.parametrize("actions", [DiscreteActions(2), DiscreteActions(3), GaussianActions(2)])
def test_fixed_parameters_play_as_the_outputs_say(actions, center):
    model, params = make_model(actions, center)
    obs = torch.randn(TASKS, 5, FEATURES, generator=make_generator(1))
    assert torch.equal(model.fixed(params)(obs), model.outputs(params, model.scaled(obs)))


def test_fixed_parameters_serve_a_network_of_ones_own():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(FEATURES, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    model, params = make_model(DiscreteActions(2), network=network)
    obs = torch.randn(TASKS, 5, FEATURES, generator=make_generator(1))
    assert torch.equal(model.fixed(params)(obs), model.outputs(params, model.scaled(obs)))


@pytest.mark.parametrize("actions", [DiscreteActions(2), DiscreteActions(3), GaussianActions(1)])
def test_log_probabilities_and_their_derivatives_come_by_hand_as_by_autograd(actions, monkeypatch):
    model, params = make_model(actions)
    params = {name: value.double().requires_grad_() for name, value in params.items()}
    x = torch.randn(TASKS, 4, 5, FEATURES, generator=make_generator(1), dtype=torch.float64)
    act = torch.ones(TASKS, 4, 5, dtype=torch.int64)
    if isinstance(actions, GaussianActions):
        act = torch.randn(TASKS, 4, 5, 1, generator=make_generator(2), dtype=torch.float64)
    hands = []
    by_hand = policy_model.shallow_mlp
    monkeypatch.setattr(
        policy_model, "shallow_mlp", lambda params, x: hands.append(x.shape) or by_hand(params, x)
    )

    def derivatives() -> list[torch.Tensor]:
        logp = model.log_probs(params, x, act)
        grads = torch.autograd.grad(logp.exp().sum(), list(params.values()), create_graph=True)
        size = torch.stack([grad.square().sum() for grad in grads]).sum()
        second = torch.autograd.grad(size, list(params.values()))
        return [logp, *grads, *second]

    ours = derivatives()
    assert hands == [(TASKS, 20, FEATURES)]
    monkeypatch.setattr(policy_model, "is_shallow", lambda params, x: False)
    for mine, expected in zip(ours, derivatives(), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-12)
    assert (LOG_STD in params) == isinstance(actions, GaussianActions)
