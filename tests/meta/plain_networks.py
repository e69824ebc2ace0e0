"""Plain networks and their data, and what makes a network one that is not plain."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from mlearn_utils.tasks.regression import TaskBatch
from tests.meta.reference import largest_difference


def network(*sizes: int, seed: int = 0) -> nn.Sequential:
    """Return a float64 network of linear layers with ReLU between them."""
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return nn.Sequential(*[each for layer in layers for each in (layer, nn.ReLU())][:-1]).double()


def data(n_inputs=1, n_outputs=1, n_tasks=3, n_support=5, n_query=4, seed=1) -> TaskBatch:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(n_tasks, *shape, generator=generator, dtype=torch.float64)

    return TaskBatch(
        (draw(n_support, n_inputs), draw(n_support, n_outputs)),
        (draw(n_query, n_inputs), draw(n_query, n_outputs)),
    )


def differ(found, expected) -> float:
    """Return the largest difference of two results (loss, gradient), relative to the largest number."""
    scale = max(float(value.abs().max()) for value in (expected[0], *expected[1].values()))
    return max(float(abs(found[0] - expected[0])), largest_difference(found[1], expected[1])) / scale


def autograd(model: nn.Module, tasks: TaskBatch, criterion: Any = mse_loss, **settings: Any):
    """Return the result of the general path, which a loss in a function of its own takes."""
    loss = module_loss(model, criterion)
    return meta_gradient(lambda params, batch: loss(params, batch), parameters_of(model), tasks, **settings)


class Doubled(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def changed(model: nn.Sequential, change: str) -> nn.Module:
    """Return the network with something in it that the computation by hand does not know."""
    first: Any = model[0]
    last: Any = model[-1]
    whole: Any = model
    if change == "hook":
        last.register_forward_hook(lambda module, args, y: 2 * y)
    elif change == "pre-hook of the network":
        model.register_forward_pre_hook(lambda _, args: tuple(2 * each for each in args))
    elif change == "backward hook":
        last.register_full_backward_hook(lambda module, before, after: tuple(2 * each for each in before))
    elif change == "forward of one layer":
        last.forward = lambda x: 2 * nn.Linear.forward(last, x)
    elif change == "forward of the network":
        whole.forward = lambda x: 2 * nn.Sequential.forward(model, x)
    elif change == "subclass":
        model[-1] = Doubled(4, 1).double()
    elif change == "no bias":
        model[-1] = nn.Linear(4, 1, bias=False).double()
    elif change == "tied":
        model = network(1, 3, 3, 3)
        model[4].weight = model[2].weight  # pyright: ignore
        model.append(nn.ReLU()).append(nn.Linear(3, 1).double())
    elif change == "parametrized":
        nn.utils.parametrizations.weight_norm(last)
    elif change == "activation":
        model[1] = nn.Tanh()
    elif change == "no activation":
        del model[1]
    elif change == "activation at the end":
        model.append(nn.ReLU())
    elif change == "layer twice":
        model.append(nn.ReLU()).append(nn.Linear(1, 1).double()).append(nn.ReLU()).append(model[4])
    elif change == "buffer":
        model.register_buffer("scale", torch.ones(1))
    elif change == "frozen":
        first.weight.requires_grad_(False)
    return model


CHANGES = (
    *("hook", "pre-hook of the network", "backward hook", "forward of one layer", "forward of the network"),
    *("subclass", "no bias", "tied", "parametrized", "activation", "no activation", "activation at the end"),
    *("layer twice", "buffer", "frozen"),
)
