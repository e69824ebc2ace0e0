"""Batched products serve a plain network as torch.vmap does, and nothing else."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.overrides import TorchFunctionMode

from mlearn_utils import SineTasks
from mlearn_utils.meta.maml import (
    Params,
    adapt,
    expand_params,
    inner_step,
    meta_gradient,
    module_loss,
    parameters_of,
    query_losses,
)
from mlearn_utils.meta.modules import ModuleLoss
from mlearn_utils.meta.plain import ACTIVATIONS
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import Batch, TaskBatch
from tests.meta.plain_networks import CHANGES, autograd, changed, data, differ, network
from tests.meta.reference import largest_difference


def smooth(activation: nn.Module, *, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(2, 4, bias=bias), activation, nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3, bias=bias)
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    model, tasks = smooth(activation()), data(2, 3)
    loss, params = module_loss(model, mse_loss), parameters_of(model)
    assert loss.losses(expand_params(params, 3), tasks.query) is not None
    found = meta_gradient(loss, params, tasks, inner_lr=0.1, steps=2)
    assert differ(found, autograd(model, tasks, inner_lr=0.1, steps=2)) < 1e-12


@pytest.mark.parametrize("sizes", [(1, 1), (1, 3, 2), (2, 1, 1, 2)])
@pytest.mark.parametrize(
    "settings", [{"first_order": True}, {"adapted": ["0"]}, {"chunk_size": 2}, {"steps": 0}]
)
def test_settings_and_sizes(sizes, settings):
    model, tasks = network(*sizes), data(sizes[0], sizes[-1])
    given: Any = {"inner_lr": torch.tensor(0.1, dtype=torch.float64), "steps": 2} | settings
    found = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, **given)
    assert differ(found, autograd(model, tasks, **given)) < 1e-12


def test_without_biases():
    model, tasks = smooth(nn.Tanh(), bias=False), data(2, 3)
    found = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1)
    assert differ(found, autograd(model, tasks, inner_lr=0.1)) < 1e-12


def halved(prediction: Tensor, y: Tensor) -> Tensor:
    """A criterion that writes its own prediction, which it may."""
    return prediction.sub_(y).square().mean() / 2


CRITERIA: dict[str, Any] = {
    "summed": nn.MSELoss(reduction="sum"),
    "huber": nn.HuberLoss(delta=0.3),
    "in place": halved,
    "classes": lambda prediction, y: cross_entropy(prediction, (y[:, 0] > 0).long()),
}


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion(name):
    model, tasks = smooth(nn.Tanh()), data(2, 3)
    found = meta_gradient(module_loss(model, CRITERIA[name]), parameters_of(model), tasks, inner_lr=0.1)
    assert differ(found, autograd(model, tasks, CRITERIA[name], inner_lr=0.1)) < 1e-12


def writes(prediction: Tensor, y: Tensor) -> Tensor:
    return (prediction - y.mul_(2)).square().mean()


def draws(prediction: Tensor, y: Tensor) -> Tensor:
    return (prediction - y).square().mean() * torch.rand(())


def no_scalar(prediction: Tensor, y: Tensor) -> Tensor:
    return (prediction - y).square()


def branches(prediction: Tensor, y: Tensor) -> Tensor:
    return prediction.mean() if prediction.mean() > 0 else y.mean() * prediction.mean()


def fails(prediction: Tensor, y: Tensor) -> Tensor:
    raise KeyError("a loss of its own")


@pytest.mark.parametrize("criterion", [writes, draws, no_scalar, branches, fails])
def test_a_bad_criterion_has_the_error_of_the_general_path(criterion):
    model, tasks = smooth(nn.Tanh()), data(2, 3)
    kept = tasks.support[1].clone()
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever it is
        autograd(model, tasks, criterion, inner_lr=0.1)
    with pytest.raises(type(expected.value)) as found:
        meta_gradient(module_loss(model, criterion), parameters_of(model), tasks, inner_lr=0.1)
    assert str(found.value) == str(expected.value)
    assert torch.equal(tasks.support[1], kept)


BAD: dict[str, Any] = {
    "names": lambda params, tasks: ({"x": params["0.weight"]} | params, tasks),
    "one missing": lambda params, tasks: ({k: v for k, v in params.items() if k != "0.bias"}, tasks),
    "shape": lambda params, tasks: (params | {"2.weight": params["2.weight"][:, :3]}, tasks),
    "integers": lambda params, tasks: (params, TaskBatch(*[(x.long(), y) for x, y in tasks])),
    "inputs": lambda params, tasks: (params, data(3, 3)),
    "counts": lambda params, tasks: (params, TaskBatch(*[(x, y[:, :2]) for x, y in tasks])),
    "broadcast": lambda params, tasks: (params, TaskBatch(*[(x, y[..., :1]) for x, y in tasks])),
    "half": lambda params, tasks: ({k: v.half() for k, v in params.items()}, tasks),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_has_the_error_of_the_general_path(name):
    model, tasks = smooth(nn.Tanh()), data(2, 3)
    loss = module_loss(model, mse_loss)
    params, tasks = BAD[name](parameters_of(model), tasks)
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever it is
        adapt(lambda params, batch: loss(params, batch), params, tasks.support, inner_lr=0.1)
    with pytest.raises(type(expected.value)) as found:
        adapt(loss, params, tasks.support, inner_lr=0.1)
    assert str(found.value) == str(expected.value)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("change", [each for each in CHANGES if each != "frozen"])
def test_another_network_is_called(change):
    torch.manual_seed(1)
    model, tasks = changed(network(1, 4, 1), change), data()
    loss = module_loss(model, mse_loss)
    start = {name: value.detach() for name, value in parameters_of(model).items()}
    found = adapt(loss, start, tasks.support, inner_lr=0.1, steps=2)
    expected = adapt(lambda params, batch: loss(params, batch), start, tasks.support, inner_lr=0.1, steps=2)
    assert largest_difference(found, expected) < 1e-12


def test_graphs_reach_start_rates_and_data():
    model, tasks = smooth(nn.Tanh()), data(2, 3)
    loss = module_loss(model, mse_loss)
    found = []
    for each in (loss, lambda params, batch: loss(params, batch)):
        params = {name: value.detach().requires_grad_() for name, value in parameters_of(model).items()}
        rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        x, y = (tensor.clone().requires_grad_() for tensor in tasks.support)
        total = query_losses(each, params, TaskBatch((x, y), tasks.query), inner_lr=rate, steps=2).sum()
        found.append(torch.autograd.grad(total, (*params.values(), rate, x, y)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_another_loss_may_serve_all_tasks_at_once():
    tasks, params = data(), {"w": torch.ones(3, 1, 1, dtype=torch.float64)}

    class Line:
        """The loss of a line, and of many lines."""

        answer: Any = staticmethod(lambda losses: losses)

        def __call__(self, params, batch):
            return (batch[0] @ params["w"] - batch[1]).square().mean()

        def losses(self, params, batch):
            return self.answer((batch[0] @ params["w"] - batch[1]).square().mean((1, 2)))

    line = Line()
    expected = inner_step(lambda params, batch: line(params, batch), params, tasks.support, inner_lr=0.1)["w"]
    assert largest_difference({"w": expected}, inner_step(line, params, tasks.support, inner_lr=0.1)) < 1e-12
    line.answer = lambda losses: None  # left to torch.vmap
    assert largest_difference({"w": expected}, inner_step(line, params, tasks.support, inner_lr=0.1)) < 1e-12
    line.answer = lambda losses: losses.sum()
    with pytest.raises(ValueError, match=r"task_loss.losses must return one value for each of the 3 tasks"):
        inner_step(line, params, tasks.support, inner_lr=0.1)


class _Penalized(ModuleLoss):
    def __call__(self, params: Params, batch: Batch) -> Tensor:
        return (
            super().__call__(params, batch) + torch.stack([v.square().sum() for v in params.values()]).sum()
        )


class _Noting:
    """A loss whose attribute `losses` is a list of its own."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def __call__(self, params: Params, batch: Batch) -> Tensor:
        return mse_loss(batch[0] @ params["0.weight"].T + params["0.bias"], batch[1])


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_a_loss_that_is_another_is_not_taken_for_its_base(activation: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(1, 4), activation(), nn.Linear(4, 1))
    tasks = SineTasks().sample(3, 4, 4, generator=make_generator(0))
    loss = _Penalized(model, mse_loss)
    found, _ = meta_gradient(loss, parameters_of(model), tasks, inner_lr=0.01)
    right, _ = meta_gradient(loss, parameters_of(model), tasks, inner_lr=0.01, vectorized=False)
    torch.testing.assert_close(found, right)


def test_an_attribute_of_a_loss_that_is_called_losses_is_its_own() -> None:
    params = parameters_of(nn.Sequential(nn.Linear(1, 1)))
    tasks = SineTasks().sample(3, 4, 4, generator=make_generator(0))
    found, _ = meta_gradient(_Noting(), params, tasks, inner_lr=0.01)
    right, _ = meta_gradient(_Noting(), params, tasks, inner_lr=0.01, vectorized=False)
    torch.testing.assert_close(found, right)


class _Doubling(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = func(*args, **(kwargs or {}))
        return 2 * value if func is nn.functional.linear else value


def test_a_mode_of_the_callers_sees_every_layer() -> None:
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    tasks = SineTasks().sample(3, 4, 4, generator=make_generator(0))
    loss = module_loss(model, mse_loss)
    with _Doubling():
        found, right = (
            meta_gradient(loss, parameters_of(model), tasks, inner_lr=0.01, vectorized=each)[0]
            for each in (True, False)
        )
    torch.testing.assert_close(found, right)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_a_parameter_beside_the_layers_is_asked_for(activation: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(1, 4), activation(), nn.Linear(4, 1))
    params = dict(parameters_of(model))
    model.register_parameter("extra", nn.Parameter(torch.ones(1)))
    tasks = SineTasks().sample(3, 4, 4, generator=make_generator(0))
    with pytest.raises(ValueError, match="missing \\['extra'\\]"):
        meta_gradient(module_loss(model, mse_loss), params, tasks, inner_lr=0.01)
