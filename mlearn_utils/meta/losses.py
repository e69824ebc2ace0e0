"""The loss of one task, as a function of its parameters and its data, and how it serves many tasks at once.

A loss is written for one task; `task_losses` evaluates it for all of them in one vectorized forward pass
(torch.vmap), each at its own parameters. Only the forward pass is vectorized: derivatives are taken outside.
What torch.vmap cannot batch is evaluated task after task with `vectorized=False`, the slow and obvious twin.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._functorch.predispatch import lazy_load_decompositions
from torch.utils._pytree import tree_map

from mlearn_utils.meta import checks
from mlearn_utils.meta.exact import ExactFunctions, loops_unwarned
from mlearn_utils.runtime import check_integer
from mlearn_utils.tasks.regression import Batch

VMAP = torch.vmap

functorch: Any = torch._C._functorch  # pyright: ignore

Params = dict[str, Tensor]
"""Parameters by name, as `nn.Module.named_parameters()` names them; per task with a leading axis T."""

TaskLoss = Callable[[Params, Batch], Tensor]
"""The loss of ONE task: its parameters and its data -> a scalar.

One that knows a quicker way than torch.vmap to serve all tasks has a method `losses(task_params, batch)` of
parameters [T, *] and data [T, K, ...]: it returns the losses [T], or None to leave a case to torch.vmap.
"""


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
    at_once: Callable[[Params, Batch], Tensor | None] | None = getattr(task_loss, "losses", None)
    if vectorized and at_once is not None and _serves_all(type(task_loss)):
        losses = at_once(task_params, batch)
        if losses is not None:
            return checks.one_value_a_task(losses, len(batch[0]), "task_loss.losses")
    return for_every_task(checks.scalar_loss(task_loss), task_params, batch, vectorized=vectorized)


def _serves_all(kind: type) -> bool:
    """Return whether losses of a class have a method `losses` that is of the same loss as their `__call__`.

    A subclass that computes another loss of one task has to bring its own.
    """
    home = next((each for each in kind.__mro__ if "losses" in vars(each)), None)
    if home is None or not callable(vars(home)["losses"]):
        return False
    calls = [
        next((vars(each)["__call__"] for each in k.__mro__ if "__call__" in vars(each)), None)
        for k in (kind, home)
    ]
    return calls[0] is calls[1]


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
            return _vectorized(exact, task_params, batch)
        except RuntimeError as error:
            raise checks.explain_vmap_error(error, exact, task_params, batch) from error


def _vectorized(one_task: TaskLoss, task_params: Params, batch: Batch) -> Tensor:
    """Return torch.vmap(one_task)(task_params, batch), without what that spends on arguments of any form."""
    tensors = (*task_params.values(), *batch)
    plain = type(task_params) is dict and all(isinstance(each, Tensor) and each.ndim for each in tensors)
    if not plain or len({each.shape[0] for each in tensors}) > 1 or torch.vmap is not VMAP:
        return torch.vmap(one_task)(task_params, batch)  # says what is wrong, or is another's
    lazy_load_decompositions()
    n_tasks = tensors[0].shape[0]
    level = functorch._vmap_increment_nesting(n_tasks, "error")
    try:
        params = {name: functorch._add_batch_dim(each, 0, level) for name, each in task_params.items()}
        data = [functorch._add_batch_dim(each, 0, level) for each in batch]
        value = one_task(params, getattr(batch, "_make", tuple)(data))
        return tree_map(lambda each: functorch._remove_batch_dim(each, level, n_tasks, 0), value)
    finally:
        functorch._vmap_decrement_nesting()


def _one_after_another(one_task: TaskLoss, task_params: Params, batch: Batch) -> Tensor:
    values = []
    with checks.no_random_numbers(batch[0].device):
        for i in range(batch[0].shape[0]):
            params = {name: value[i] for name, value in task_params.items()}
            values.append(one_task(params, checks.task_of(batch, i)))
    return torch.stack(values)
