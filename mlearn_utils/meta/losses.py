"""The loss of one task, as a function of its parameters and its data, and how it serves many tasks at once.

A loss is written for one task; `task_losses` evaluates it for all of them in one vectorized forward pass
(torch.vmap), each at its own parameters. Only the forward pass is vectorized: derivatives are taken outside.
What torch.vmap cannot batch is evaluated task after task with `vectorized=False`, the slow and obvious twin.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mlearn_utils.meta import checks
from mlearn_utils.meta.exact import ExactFunctions, loops_unwarned
from mlearn_utils.runtime import check_integer
from mlearn_utils.tasks.regression import Batch

Params = dict[str, Tensor]
"""Parameters by name, as `nn.Module.named_parameters()` names them; per task with a leading axis T."""

TaskLoss = Callable[[Params, Batch], Tensor]
"""The loss of ONE task: its parameters and its data -> a scalar."""


@runtime_checkable
class BatchedLoss(Protocol):
    """A loss of one task that also knows a way to evaluate all tasks at once, quicker than torch.vmap."""

    def __call__(self, params: Params, batch: Batch) -> Tensor:
        """Return the loss () of one task: its parameters [*] and its data."""
        ...

    def losses(self, task_params: Params, batch: Batch) -> Tensor | None:
        """Return the losses [T] of all tasks at their parameters [T, *], or None: then torch.vmap serves."""
        ...


def parameters_of(model: nn.Module) -> Params:
    """Return the model's parameters by name; the tensors themselves, not copies.

    Those that are frozen (`requires_grad_(False)`) are among them; every function of the core leaves them as
    they are.

    Raises:
        ValueError: if a parameter has no size yet (a lazy module that has seen no data).
    """
    params = dict(model.named_parameters())
    for name, value in params.items():
        if nn.parameter.is_lazy(value):
            raise ValueError(
                f"model: the parameter {name!r} has no size yet; call the model once on data of one task"
            )
    return params  # pyright: ignore[reportReturnType] - dict is invariant


def is_frozen(value: Tensor) -> bool:
    """Return whether a parameter was frozen by `requires_grad_(False)`; a plain tensor never is."""
    return not value.requires_grad and isinstance(value, nn.Parameter)


def expand_params(params: Params, n_tasks: int) -> Params:
    """Give every task its own view of the shared parameters: [*] -> [T, *], without copying.

    A frozen parameter stays one: no inner step moves it.
    """
    checks.check_parameters(params)
    check_integer("n_tasks", n_tasks, minimum=1)
    expanded = {name: value.expand(n_tasks, *value.shape) for name, value in params.items()}
    frozen = {
        name: nn.Parameter(expanded[name], requires_grad=False)
        for name, value in params.items()
        if is_frozen(value)
    }
    return expanded | frozen


def task_losses(task_loss: TaskLoss, task_params: Params, batch: Batch, *, vectorized: bool = True) -> Tensor:
    """Return the loss of every task at its own parameters [T, *]: [T].

    Args:
        task_loss: the loss of one task.
        task_params: [T, *] parameters of each task.
        batch: tensors [T, K, ...].
        vectorized: one forward pass for all tasks (torch.vmap), or one after the other.

    Raises:
        ValueError: if the loss is not a scalar, is random, writes its arguments, or cannot be vectorized.
    """
    if vectorized and isinstance(task_loss, BatchedLoss):
        losses = task_loss.losses(task_params, batch)
        if losses is not None:
            return checks.one_value_a_task(losses, len(batch[0]), "task_loss.losses")
    return for_every_task(checks.scalar_loss(task_loss), task_params, batch, vectorized=vectorized)


def for_every_task(
    one_task: TaskLoss, task_params: Params, batch: Batch, *, vectorized: bool = True
) -> Tensor:
    """Return [T, *] what `one_task` returns for each task; arguments and errors as in `task_losses`."""

    def exact(params: Params, one_batch: Batch) -> Tensor:
        with ExactFunctions((*params.values(), *one_batch)):
            return one_task(params, one_batch)

    with loops_unwarned(), checks.unwritten((*task_params.values(), *batch)):
        if not vectorized:
            return _one_after_another(exact, task_params, batch)
        try:
            return torch.vmap(exact)(task_params, batch)
        except RuntimeError as error:
            raise checks.explain_vmap_error(error, exact, task_params, batch) from error


def _one_after_another(one_task: TaskLoss, task_params: Params, batch: Batch) -> Tensor:
    values = []
    with checks.no_random_numbers(batch[0].device):
        for i in range(batch[0].shape[0]):
            params = {name: value[i] for name, value in task_params.items()}
            values.append(one_task(params, checks.task_of(batch, i)))
    return torch.stack(values)
