"""The small network and the distributions over actions, against torch's own."""

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical

from mlearn_utils.rl.policies import (
    choose,
    choose_best,
    entropy,
    fixed_mlp,
    init_mlp,
    log_prob,
    mlp,
    start_policy,
)
from mlearn_utils.runtime import make_generator


def test_mlp_is_the_sequential_network_of_its_parameter_names():
    params = init_mlp((4, 8, 5, 3), generator=make_generator(0))
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3))
    network.load_state_dict(params)
    x = torch.randn(7, 4, generator=make_generator(1))
    torch.testing.assert_close(mlp(params, x), network(x))


def test_parameters_of_their_own_serve_each_task():
    sets = [init_mlp((4, 8, 1), generator=make_generator(seed)) for seed in range(3)]
    stacked = {name: torch.stack([params[name] for params in sets]) for name in sets[0]}
    x = torch.randn(3, 6, 4, generator=make_generator(9))
    loop = torch.stack([mlp(params, rows) for params, rows in zip(sets, x, strict=True)])
    torch.testing.assert_close(mlp(stacked, x), loop)


@pytest.mark.parametrize("tasks", [(), (3,)])
def test_fixed_parameters_give_the_same_outputs_without_a_graph(tasks):
    params = {
        name: torch.randn(*tasks, *value.shape, generator=make_generator(1)).requires_grad_()
        for name, value in init_mlp((4, 8, 5, 2), generator=make_generator(0)).items()
    }
    x = torch.randn(3, 6, 4, generator=make_generator(9))
    before = x.clone()
    outputs = fixed_mlp(params)(x)
    assert torch.equal(outputs, mlp(params, x))
    assert not outputs.requires_grad
    assert torch.equal(x, before)


def test_the_first_policy_is_almost_uniform():
    params = init_mlp((4, 32, 3), generator=make_generator(0))
    logits = mlp(params, torch.randn(100, 4, generator=make_generator(1)))
    assert logits.abs().max() < 0.05
    assert logits.abs().min() > 0


@pytest.mark.parametrize("width", [1, 2, 4])
def test_log_prob_and_entropy_are_those_of_torch(width):
    logits = torch.randn(50, width, generator=make_generator(0))
    twin = Bernoulli(logits=logits[:, 0]) if width == 1 else Categorical(logits=logits)
    act = torch.randint(max(width, 2), (50,), generator=make_generator(1))
    expected = twin.log_prob(act.float() if width == 1 else act)
    torch.testing.assert_close(log_prob(logits, act), expected)
    torch.testing.assert_close(entropy(logits), twin.entropy())


def test_one_logit_equals_two_of_which_the_first_is_zero():
    one = torch.randn(50, 1, generator=make_generator(0))
    two = torch.cat((torch.zeros(50, 1), one), dim=1)
    act, uniform = torch.arange(50) % 2, torch.rand(50, generator=make_generator(1))
    torch.testing.assert_close(log_prob(one, act), log_prob(two, act))
    assert torch.equal(choose_best(one), choose_best(two))
    assert choose(one, uniform).double().mean() == pytest.approx(torch.sigmoid(one).mean().item(), abs=0.15)


@pytest.mark.parametrize("logits", [[0.7], [0.3, -0.4], [1.0, 0.0, -1.0, 0.5]])
def test_actions_come_as_often_as_the_policy_says(logits):
    n = 40_000
    rows = torch.tensor(logits).expand(n, len(logits))
    act = choose(rows, torch.rand(n, generator=make_generator(0)))
    width = max(len(logits), 2)
    probability = log_prob(torch.tensor(logits).expand(width, -1), torch.arange(width)).exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-6)
    frequency = torch.bincount(act, minlength=width) / n
    deviation = (probability * (1 - probability) / n).sqrt()
    assert ((frequency - probability).abs() < 4 * deviation).all()


def test_a_certain_policy_draws_its_action_even_at_the_ends_of_the_unit_interval():
    uniform = torch.tensor([0.0, 1 - 2**-24])
    for best in range(3):
        logits = torch.full((2, 3), -200.0)
        logits[:, best] = 200.0
        assert choose(logits, uniform).tolist() == [best, best]
    assert choose(torch.tensor([[-200.0], [200.0]]), uniform).tolist() == [0, 1]
    many = torch.randn(
        1000, 7, generator=make_generator(0)
    )  # probabilities whose float32 sum falls short of 1
    assert choose(many, uniform[1].expand(1000)).max() == 6


@pytest.mark.parametrize(("num_actions", "outputs"), [(2, 1), (3, 3), (1, 1)])
def test_a_policys_start_has_one_logit_for_two_actions(num_actions, outputs):
    params = start_policy(5, num_actions, hidden=7, generator=make_generator(0))
    twin = init_mlp((5, 7, outputs), generator=make_generator(0))
    assert all(torch.equal(params[name], value) for name, value in twin.items())
    assert len(params) == len(twin)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="sizes must be two or more positive integers"):
        init_mlp((4,), generator=make_generator(0))
