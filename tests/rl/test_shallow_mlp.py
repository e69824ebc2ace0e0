"""The derivatives by hand of networks with one hidden layer, against autograd's of the plain network."""

import pytest
import torch

from mlearn_utils.rl.policies import Params, init_mlp, mlp
from mlearn_utils.rl.shallow_mlp import is_shallow, shallow_mlp
from mlearn_utils.runtime import make_generator

TASKS, ROWS = 3, 5


def start(*sizes: int) -> tuple[Params, torch.Tensor]:
    """Return float64 parameters [T, *], none of them small, and observations [T, N, F]."""
    generator = make_generator(0)
    shapes = {name: value.shape for name, value in init_mlp(sizes, generator=generator).items()}
    params = {
        name: torch.randn(TASKS, *shape, generator=generator, dtype=torch.float64).requires_grad_()
        for name, shape in shapes.items()
    }
    return params, torch.randn(TASKS, ROWS, sizes[0], generator=generator, dtype=torch.float64)


def derivatives(network, params: Params, x: torch.Tensor, create_graph: bool) -> list[torch.Tensor]:
    """Return outputs, an inner step's gradient, and the gradient of a loss after that step."""
    values = list(params.values())
    outputs = network(params, x)
    grads = torch.autograd.grad(outputs.sin().sum(), values, create_graph=True)
    stepped = {name: params[name] - 0.3 * grad for name, grad in zip(params, grads, strict=True)}
    loss = network(stepped, x).square().mean() + outputs.cos().mean()
    return [outputs, *grads, *torch.autograd.grad(loss, values, create_graph=create_graph)]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
def test_outputs_and_their_derivatives_are_those_of_the_plain_network(outputs, create_graph):
    params, x = start(2, 12, outputs)
    assert is_shallow(params, x)
    ours = derivatives(shallow_mlp, params, x, create_graph)
    for mine, expected in zip(ours, derivatives(mlp, params, x, create_graph), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_third_derivatives_are_those_of_the_plain_network():
    params, x = start(2, 12, 2)
    thirds = []
    for network in (shallow_mlp, mlp):
        second = derivatives(network, params, x, create_graph=True)[-4:]
        size = torch.stack([part.square().sum() for part in second]).sum()
        thirds.append(torch.autograd.grad(size, list(params.values())))
    for mine, expected in zip(*thirds, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-11, atol=1e-11)


def test_shared_parameters_spread_over_tasks_get_the_sum_of_their_gradients():
    params, x = start(2, 12, 1)
    shared = {name: value[0].detach().requires_grad_() for name, value in params.items()}
    spread = {name: value.expand(TASKS, *value.shape) for name, value in shared.items()}
    ours, plain = (
        torch.autograd.grad(network(spread, x).sin().sum(), list(shared.values()))
        for network in (shallow_mlp, mlp)
    )
    for mine, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_other_networks_and_transforms_are_left_to_the_plain_network():
    params, x = start(2, 12, 1)
    one = {name: value[0] for name, value in params.items()}
    assert not is_shallow(one, x[0])
    assert not is_shallow(params, x.clone().requires_grad_())
    assert not is_shallow(*start(2, 12, 12, 1))
    assert not is_shallow(*start(2, 1))
    assert not is_shallow(*start(8, 12, 4))  # so wide at both ends that autograd is quicker
    seen = []

    def look(values: torch.Tensor) -> torch.Tensor:
        seen.append(is_shallow(params | {"2.bias": values}, x))
        return values.sum()

    torch.vmap(look)(params["2.bias"].detach().expand(2, TASKS, 1))
    assert seen == [False]
