"""Seven ways to a start, under one roof: each is an update that one and the same training loop descends.

Every method sees the same tasks in the same order, 5 + 5 points of each, and descends with Adam. The methods
without a query set (Reptile, joint training) use all ten points at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mlearn_utils.course.lesson_05.sines import losses_by_step, task_loss
from mlearn_utils.meta.compiled import Update
from mlearn_utils.meta.maml import InnerRate, Params, mean_gradient, meta_gradient
from mlearn_utils.meta.variants import add_rates, anil_losses, meta_sgd_losses, reptile_gradient, split_rates
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import Batch, SineTasks, TaskBatch

HEAD = ("4.weight", "4.bias")
"""The last layer of the network: what ANIL adapts."""

REPTILE_STEPS = 5


class ToldSineTasks(SineTasks):
    """Sinusoids whose inputs are x, amplitude and phase: for a model that is told the task."""

    def sample(
        self,
        n_tasks: int,
        n_support: int,
        n_query: int,
        *,
        generator: torch.Generator,
        device: str | torch.device = "cpu",
    ) -> TaskBatch:
        """Draw the tasks that `SineTasks` draws; every x is [T, K, 3]."""
        state = generator.get_state()
        hidden = torch.stack(self.sample_functions(n_tasks, generator=generator), dim=-1)[:, None]
        generator.set_state(state)  # the functions are drawn first, so the same ones come again
        tasks = super().sample(n_tasks, n_support, n_query, generator=generator, device=device)
        support, query = (
            (torch.cat([x, hidden.to(x.device).expand(-1, x.shape[1], -1)], dim=-1), y) for x, y in tasks
        )
        return TaskBatch(support, query)


class Method(NamedTuple):
    """How a start is found, and which of its parameters adapt to a new task (None: all of them)."""

    make_update: Callable[[float], Update]
    adapts: tuple[str, ...] | None = None
    learns_rates: bool = False


def all_points(tasks: TaskBatch) -> Batch:
    """Return support and query points of every task in one set: (x, y), each [T, 2K, 1]."""
    return tuple(torch.cat(pair, dim=1) for pair in zip(*tasks, strict=True))


def maml(inner_lr: float) -> Update:
    """Descend the query loss after one inner step."""
    return lambda params, tasks: meta_gradient(task_loss, params, tasks, inner_lr=inner_lr)


def fomaml(inner_lr: float) -> Update:
    """Descend the same without second derivatives."""
    return lambda params, tasks: meta_gradient(task_loss, params, tasks, inner_lr=inner_lr, first_order=True)


def anil(inner_lr: float) -> Update:
    """Descend the query loss after one inner step of the last layer."""

    def losses_of(params: Params, tasks: TaskBatch) -> Tensor:
        return anil_losses(task_loss, params, tasks, adapted=HEAD, inner_lr=inner_lr)

    return lambda params, tasks: mean_gradient(losses_of, params, tasks)


def meta_sgd(inner_lr: float) -> Update:
    """Descend the query loss after one inner step with learned rates, which start at `inner_lr`."""
    del inner_lr  # it is among the parameters by then

    def losses_of(params: Params, tasks: TaskBatch) -> Tensor:
        return meta_sgd_losses(task_loss, params, tasks)

    return lambda params, tasks: mean_gradient(losses_of, params, tasks)


def reptile(inner_lr: float) -> Update:
    """Move towards where a few inner steps lead."""

    def update(params: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
        gradient = reptile_gradient(
            task_loss, params, all_points(tasks), inner_lr=inner_lr, steps=REPTILE_STEPS
        )
        return next(iter(gradient.values())).new_zeros(()), gradient

    return update


def joint(inner_lr: float) -> Update:
    """Descend the loss over all tasks at once, without any adaptation: ordinary pretraining."""
    del inner_lr  # there is no inner step

    def update(params: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
        data = all_points(tasks)
        return meta_gradient(task_loss, params, TaskBatch(data, data), inner_lr=0.0, steps=0)

    return update


METHODS = {
    "MAML": Method(maml),
    "FOMAML": Method(fomaml),
    "Reptile": Method(reptile),
    "ANIL": Method(anil, adapts=HEAD),
    "Meta-SGD": Method(meta_sgd, learns_rates=True),
    "joint pretraining": Method(joint),
}


def train_start(
    update: Update,
    params: Params,
    *,
    updates: int,
    meta_lr: float,
    seed: int,
    n_tasks: int = 25,
    shots: int = 5,
    family: SineTasks | None = None,
) -> Params:
    """Return where `updates` steps of Adam along `update` lead from `params`; same seed, same tasks."""
    family = SineTasks() if family is None else family
    generator = make_generator(seed)
    theta = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    optimizer = torch.optim.Adam(theta.values(), lr=meta_lr)
    for _ in range(updates):
        _, gradient = update(theta, family.sample(n_tasks, shots, shots, generator=generator))
        for name, value in theta.items():
            value.grad = gradient[name]
        optimizer.step()
    return {name: value.detach() for name, value in theta.items()}


def begin(method: Method, params: Params, inner_lr: float) -> Params:
    """Return what the method trains: the parameters, with their rates if it learns them."""
    return add_rates(params, inner_lr) if method.learns_rates else params


def start_and_rates(method: Method, trained: Params, rate: float) -> tuple[Params, InnerRate]:
    """Return the start and the rates of its inner steps; for learned rates, `rate` multiplies them."""
    if method.learns_rates:
        start, rates = split_rates(trained)
        return start, {name: rate * value for name, value in rates.items()}
    if method.adapts is None:
        return trained, rate
    rates = {name: torch.tensor(rate if name in method.adapts else 0.0) for name in trained}
    return trained, rates


def tune_rate(
    method: Method, trained: Params, tasks: TaskBatch, rates: tuple[float, ...], steps: int
) -> list[float]:
    """Return for each number of inner steps, 1 to `steps`, the rate of the smallest mean loss on `tasks`."""
    losses = []
    for rate in rates:
        start, own = start_and_rates(method, trained, rate)
        losses.append(
            losses_by_step(start, tasks, inner_lr=own, steps=steps).mean(1).nan_to_num(torch.inf, torch.inf)
        )
    return [rates[int(best)] for best in torch.stack(losses)[:, 1:].argmin(0)]
