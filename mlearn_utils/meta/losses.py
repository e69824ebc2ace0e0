"""The loss of one task, as a function of its parameters and its data, and how it serves many tasks at once.

A loss is written for one task; `task_losses` evaluates it for all of them in one vectorized forward pass
(torch.vmap), each at its own parameters. Only the forward pass is vectorized: derivatives are taken outside.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from mlearn_utils.meta import checks
from mlearn_utils.runtime import check_integer
from mlearn_utils.tasks.regression import Batch

Params = dict[str, Tensor]
"""Parameters by name, as `nn.Module.named_parameters()` names them; per task with a leading axis T."""

TaskLoss = Callable[[Params, Batch], Tensor]
"""The loss of ONE task: its parameters and its data -> a scalar."""


def module_loss(model: nn.Module, criterion: Callable[[Tensor, Tensor], Tensor]) -> TaskLoss:
    """Turn a module and a criterion into the loss of one task, whose batch is (x, y).

    Args:
        model: called with the parameters it is given, never with its own; its buffers are read only.
        criterion: (prediction, y) -> scalar, averaged or summed over the K examples of the task.

    Returns:
        task_loss(params, (x, y)) -> scalar.

    Raises:
        ValueError: from the loss, if in training mode `model` keeps running statistics, drops out, or
            writes a buffer: a forward pass that changes the model or draws random numbers is no function
            of (params, batch).
        TypeError: from the loss, if x is integer and `model` has no embedding to look it up in.
    """

    def task_loss(params: Params, batch: Batch) -> Tensor:
        checks.check_stateless(model)
        x, y = batch
        checks.check_input_dtype(model, x)
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        versions = {name: buffer._version for name, buffer in buffers.items()}
        prediction = functional_call(model, {**buffers, **params}, (x,))
        checks.check_buffers_unwritten(buffers, versions)
        return criterion(prediction, y)

    return task_loss


def parameters_of(model: nn.Module) -> Params:
    """Return the model's parameters by name; the tensors themselves, not copies."""
    return dict(model.named_parameters())  # pyright: ignore[reportReturnType] - dict is invariant


def expand_params(params: Params, n_tasks: int) -> Params:
    """Give every task its own view of the shared parameters: [*] -> [T, *], without copying."""
    checks.check_parameters(params)
    check_integer("n_tasks", n_tasks, minimum=1)
    return {name: value.expand(n_tasks, *value.shape) for name, value in params.items()}


def task_losses(task_loss: TaskLoss, task_params: Params, batch: Batch) -> Tensor:
    """Return the loss of every task at its own parameters [T, *], in one vectorized forward pass: [T]."""
    with checks.explained_vmap_errors(), _differentiable_attention():
        return torch.vmap(checks.scalar_loss(task_loss))(task_params, batch)


@contextmanager
def _differentiable_attention() -> Iterator[None]:
    """Keep attention on its plain kernel: the fused ones have no second derivative."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
