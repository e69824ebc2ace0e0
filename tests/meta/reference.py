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


class Attention(nn.Module):
    """One transformer layer over the K examples of a task, each attending to all."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 3)
        sizes = {"d_model": 3, "nhead": 1, "dim_feedforward": 2, "batch_first": True}
        # a large eps: over three numbers a layer norm bends so sharply that differences lose their digits
        self.layer = nn.TransformerEncoderLayer(**sizes, dropout=0.0, layer_norm_eps=0.1)
        self.head = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(x)[None])[0])


def make_transformer(seed: int = 0) -> Attention:
    """Return a small float64 transformer with random affine parameters in its layer norms."""
    torch.manual_seed(seed)
    model = Attention().double()
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.3 * torch.randn_like(param))
    return model


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


def plain_direction(grads, state):
    """Step along the gradient."""
    return grads, state


def heavy_ball(decay: float):
    """Return momentum for one task, in the plainest words."""

    def direction(grads, velocity):
        velocity = {
            name: grad if velocity is None else decay * velocity[name] + grad for name, grad in grads.items()
        }
        return velocity, velocity

    return direction


def adam_under_the_root(decays: tuple[float, float], eps: float):
    """Return Adam for one task from the list of all its gradients, without any running mean."""

    def average(values, keep):
        weights = [(1 - keep) * keep ** (len(values) - 1 - k) for k in range(len(values))]
        return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)

    def direction(grads, past):
        past = {name: [*(past or {}).get(name, []), grad] for name, grad in grads.items()}
        return {
            name: average(seen, decays[0]) / (average([g * g for g in seen], decays[1]) + eps) ** 0.5
            for name, seen in past.items()
        }, past

    return direction


def loop_query_losses(
    model,
    params,
    tasks,
    *,
    inner_lr,
    steps=1,
    first_order=False,
    create_graph=True,
    adapted_names=None,
    weights=None,
    direction=plain_direction,
):
    """Adapt to one task after the other in plain Python; return the list of query losses.

    With `weights`, a query loss is the weighted sum of those after each step; with `adapted_names`, only
    these parameters adapt.
    """
    losses = []
    weights = [0.0] * (steps - 1) + [1.0] if weights is None else weights
    for i in range(tasks.support[0].shape[0]):
        support, query = ([tensor[i] for tensor in batch] for batch in tasks)
        adapted, state = dict(params), None
        names = list(params) if adapted_names is None else list(adapted_names)
        total = 0.0 if steps else task_error(model, adapted, query)
        for weight in weights[:steps]:
            loss = task_error(model, adapted, support)
            grads = torch.autograd.grad(loss, [adapted[name] for name in names], create_graph=create_graph)
            if first_order:
                grads = [grad.detach() for grad in grads]
            moves, state = direction(dict(zip(names, grads, strict=True)), state)
            adapted |= {name: adapted[name] - rate_of(inner_lr, name) * moves[name] for name in names}
            if weight:
                total = total + weight * task_error(model, adapted, query)
        losses.append(total)
    return losses


def task_error(model, params, batch):
    """Return the mean squared error of one task."""
    x, y = batch
    return mse_loss(functional_call(model, params, (x,)), y)


def loop_meta_gradient(model, tasks, **settings):
    """Return the mean query loss and its gradient by backward through the unrolled loop."""
    params = {name: value.detach().requires_grad_() for name, value in model.named_parameters()}
    loss = sum(loop_query_losses(model, params, tasks, **settings)) / tasks.support[0].shape[0]
    return loss.detach(), dict(zip(params, torch.autograd.grad(loss, tuple(params.values())), strict=True))


def finite_difference_gradient(model, tasks, *, h: float = 3e-6, **settings):
    """Return the gradient of the mean query loss by central differences, one coordinate at a time."""

    def objective(params: dict[str, Tensor]) -> float:
        losses = loop_query_losses(model, params, tasks, create_graph=False, **settings)
        return float(torch.stack(losses).detach().mean())

    return numeric_gradient(objective, dict(model.named_parameters()), h=h)


def numeric_gradient(objective: Callable[[dict[str, Tensor]], float], params, *, h: float = 3e-6):
    """Return the gradient of any function of parameters by central differences, one coordinate at a time."""
    params = {name: value.detach().clone() for name, value in params.items()}

    def value_at() -> float:
        return objective({name: value.clone().requires_grad_() for name, value in params.items()})

    gradient = {}
    for name, value in params.items():
        gradient[name] = torch.zeros_like(value)
        flat, flat_gradient = value.view(-1), gradient[name].view(-1)
        for k in range(flat.numel()):
            center = float(flat[k])
            flat[k] = center + h
            above = value_at()
            flat[k] = center - h
            below = value_at()
            flat[k] = center
            flat_gradient[k] = (above - below) / (2 * h)
    return gradient


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Return the largest absolute difference between two dicts of tensors with the same names."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).detach().abs().max()) for name in a)
