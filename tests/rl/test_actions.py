"""What a policy's outputs mean, against torch's own distributions."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal

from mlearn_utils.rl.actions import DiscreteActions, GaussianActions, actions_of
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole
from mlearn_utils.tasks.point import BatchedPoint, PointTasks


def test_gaussian_densities_and_entropies_are_those_of_torch():
    actions, random = GaussianActions(3), make_generator(0)
    outputs, act = torch.randn(4, 5, 6, generator=random), torch.randn(4, 5, 3, generator=random)
    normal = Normal(outputs[..., :3], outputs[..., 3:].exp())
    torch.testing.assert_close(actions.log_prob(outputs, act), normal.log_prob(act).sum(-1))
    torch.testing.assert_close(actions.entropy(outputs), normal.entropy().sum(-1))
    assert torch.equal(actions.best(outputs), outputs[..., :3])


def test_gaussian_actions_have_the_stated_mean_and_deviation():
    actions = GaussianActions(2)
    outputs = torch.tensor([1.0, -2.0, 0.0, -1.0])
    drawn = actions.choose(outputs, actions.noise((20_000,), make_generator(1)))
    assert drawn.mean(0).tolist() == pytest.approx([1.0, -2.0], abs=0.03)
    assert drawn.std(0).tolist() == pytest.approx([1.0, np.exp(-1)], rel=0.03)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_discrete_actions_are_those_of_torch(n):
    actions, random = DiscreteActions(n), make_generator(0)
    outputs = torch.randn(4, actions.width, generator=random)
    logits = torch.cat((torch.zeros_like(outputs), outputs), -1) if n == 2 else outputs
    act = torch.randint(0, n, (4,), generator=random)
    torch.testing.assert_close(actions.log_prob(outputs, act), Categorical(logits=logits).log_prob(act))
    torch.testing.assert_close(actions.entropy(outputs), Categorical(logits=logits).entropy())
    drawn = actions.choose(outputs.expand(5000, -1, -1), actions.noise((5000, 4), random))
    share = torch.stack([(drawn == k).float().mean(0) for k in range(n)], -1)
    torch.testing.assert_close(share, logits.softmax(-1), atol=0.03, rtol=0)


def test_second_derivatives_of_the_density():
    actions = GaussianActions(2)
    outputs = torch.randn(4, dtype=torch.float64, requires_grad=True)
    act = torch.randn(2, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda out: actions.log_prob(out, act), outputs)


def test_a_batch_says_which_kind_it_takes():
    assert actions_of(BatchedCartPole()) == DiscreteActions(2)
    assert actions_of(BatchedPoint(PointTasks().sample(1, seed=0))) == GaussianActions(2)
