"""Slow, obvious twins of the MAML core, and the small models they are compared on."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from mlearn_utils.tasks.regression import TaskBatch


class Blocks(nn.Module):
    """Splits [K, 8] into [K, 2, 4] blocks, normalizes each over its last axis, and joins them again."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm1d(2, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.unflatten(-1, (2, 4))).flatten(-2)


NORMS: dict[str, Callable[[], nn.Module]] = {
    "tanh": lambda: nn.Identity(),
    "layer_norm": lambda: nn.LayerNorm(8),
    "group_norm": lambda: nn.GroupNorm(2, 8),
    "instance_norm": Blocks,
    "batch_norm": lambda: nn.BatchNorm1d(8, track_running_stats=False),
}


def make_model(norm: str = "tanh", seed: int = 0) -> nn.Sequential:
    """Return a small float64 network whose norm layer, if any, has random affine parameters."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(1, 8), NORMS[norm](), nn.Tanh(), nn.Linear(8, 1)).double()
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.3 * torch.randn_like(param))
    return model


def make_tasks(n_tasks: int = 3, n_support: int = 5, n_query: int = 4, seed: int = 1) -> TaskBatch:
    """Return float64 tasks of very different targets."""
    generator = torch.Generator().manual_seed(seed)

    def draw(n_examples: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(n_tasks, n_examples, 1, generator=generator, dtype=torch.float64)
        slope = torch.arange(n_tasks, dtype=torch.float64)[:, None, None] - 1
        return x, torch.sin(2 * x) * slope + slope

    return TaskBatch(draw(n_support), draw(n_query))


def rate_of(inner_lr, name: str):
    """Return the rate of one parameter, whichever form the rates have."""
    return inner_lr[name] if isinstance(inner_lr, dict) else inner_lr


def loop_query_losses(model, params, tasks, *, inner_lr, steps=1, first_order=False, create_graph=True):
    """Adapt to one task after the other in plain Python; return the list of query losses."""
    losses = []
    for i in range(tasks.support[0].shape[0]):
        x, y = (tensor[i] for tensor in tasks.support)
        adapted = dict(params)
        for _ in range(steps):
            loss = mse_loss(functional_call(model, adapted, (x,)), y)
            grads = torch.autograd.grad(loss, tuple(adapted.values()), create_graph=create_graph)
            if first_order:
                grads = [grad.detach() for grad in grads]
            adapted = {
                name: value - rate_of(inner_lr, name) * grad
                for (name, value), grad in zip(adapted.items(), grads, strict=True)
            }
        x, y = (tensor[i] for tensor in tasks.query)
        losses.append(mse_loss(functional_call(model, adapted, (x,)), y))
    return losses


def loop_meta_gradient(model, tasks, **settings):
    """Return the mean query loss and its gradient by backward through the unrolled loop."""
    params = {name: value.detach().requires_grad_() for name, value in model.named_parameters()}
    loss = sum(loop_query_losses(model, params, tasks, **settings)) / tasks.support[0].shape[0]
    return loss.detach(), dict(zip(params, torch.autograd.grad(loss, tuple(params.values())), strict=True))


def finite_difference_gradient(model, tasks, *, h: float = 3e-6, **settings):
    """Return the gradient of the mean query loss by central differences, one coordinate at a time."""
    params = {name: value.detach().clone() for name, value in model.named_parameters()}

    def objective() -> float:
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        losses = loop_query_losses(model, leaves, tasks, create_graph=False, **settings)
        return float(torch.stack(losses).detach().mean())

    gradient = {}
    for name, value in params.items():
        gradient[name] = torch.zeros_like(value)
        flat, flat_gradient = value.view(-1), gradient[name].view(-1)
        for k in range(flat.numel()):
            center = float(flat[k])
            flat[k] = center + h
            above = objective()
            flat[k] = center - h
            below = objective()
            flat[k] = center
            flat_gradient[k] = (above - below) / (2 * h)
    return gradient


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Return the largest absolute difference between two dicts of tensors with the same names."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).detach().abs().max()) for name in a)
