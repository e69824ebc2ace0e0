"""Model-agnostic meta-learning as a few pure functions: no class, no state, no optimizer.

Task i of T has a support set and a query set. From shared parameters theta, the inner loop takes gradient
steps on the support loss, and the outer objective is the query loss at the result:

    theta_i^0     = theta
    theta_i^{k+1} = theta_i^k - inner_lr * grad L_i^support(theta_i^k)          (inner_step; adapt repeats it)
    J(theta)      = 1/T * sum_i L_i^query(theta_i^K)                           (query_losses, averaged)
    grad J        = 1/T * sum_i prod_k (I - inner_lr * H_i^k) grad L_i^query   (meta_gradient)

where H_i^k is the Hessian of L_i^support at theta_i^k. First-order MAML sets every H_i^k to zero.

How it is built: only the *forward* pass is vectorized over tasks (torch.vmap); derivatives are taken outside
it by torch.autograd.grad. The inner losses are summed over tasks, never averaged: d(sum_j L_j)/d(theta_i) is
the gradient of task i alone, where a mean would divide every inner step by T.

Left out on purpose: optimizers, schedules, data. Callers own them. Memory grows linearly with tasks x steps;
`chunk_size` bounds it.

Reference: Finn, Abbeel & Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
https://arxiv.org/abs/1703.03400, section 2.2 and Algorithm 1; section 5.2 for the first-order variant.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mlearn_utils.meta import checks
from mlearn_utils.tasks.regression import Batch, TaskBatch

Params = dict[str, Tensor]
"""Parameters by name, as `nn.Module.named_parameters()` names them; per task with a leading axis T."""

TaskLoss = Callable[[Params, Batch], Tensor]
"""The loss of ONE task: its parameters and its data -> a scalar."""

InnerRate = float | Tensor | Params
"""An inner learning rate: a float, a 0-d tensor, or a tensor for each parameter (0-d or of its shape)."""


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
        checks.stateless(model)
        x, y = batch
        checks.input_dtype(model, x)
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        versions = {name: buffer._version for name, buffer in buffers.items()}
        prediction = functional_call(model, {**buffers, **params}, (x,))
        checks.buffers_unwritten(buffers, versions)
        return criterion(prediction, y)

    return task_loss


def parameters_of(model: nn.Module) -> Params:
    """Return the model's parameters by name; the tensors themselves, not copies."""
    return dict(model.named_parameters())  # pyright: ignore[reportReturnType] - dict is invariant


def expand_params(params: Params, n_tasks: int) -> Params:
    """Give every task its own view of the shared parameters: [*] -> [T, *], without copying."""
    checks.parameters(params)
    checks.count("n_tasks", n_tasks, minimum=1)
    return {name: value.expand(n_tasks, *value.shape) for name, value in params.items()}


def inner_step(
    task_loss: TaskLoss,
    task_params: Params,
    support: Batch,
    *,
    inner_lr: InnerRate,
    first_order: bool = False,
) -> Params:
    """Take one gradient step on every task's support loss, each from its own parameters.

    Args:
        task_loss: the loss of one task.
        task_params: [T, *] parameters of each task. One that the loss does not use stays where it is.
        support: tensors [T, K, ...].
        inner_lr: step size; a float, a 0-d tensor, or a rate for each parameter (0-d or of shape [*]).
            Values of rates on an accelerator are not checked: that would wait for the device.
        first_order: treat the gradient as a constant, so that no second derivative is taken through it.

    Returns:
        New parameters [T, *]. They carry a graph to `task_params` and `inner_lr` where one of these requires
        a gradient and gradients are enabled; otherwise they carry none.

    Raises:
        ValueError: if `inner_lr` is negative or not finite, the support set is empty, or its tensors disagree
            about the number of tasks; if the loss is not a scalar, random, or independent of the parameters.
        TypeError: if an argument is not of the type stated.
    """
    n_tasks = checks.batch("support", support)
    checks.task_parameters(task_params, n_tasks)
    rates = checks.rates(inner_lr, task_params)
    tracked = torch.is_grad_enabled() and any(
        value.requires_grad for value in (*task_params.values(), *rates.values()) if isinstance(value, Tensor)
    )
    start = {
        name: value if tracked and value.requires_grad else value.detach().requires_grad_()
        for name, value in task_params.items()
    }
    with torch.enable_grad():
        total = checks.depends_on_params(_task_losses(task_loss, start, support).sum())
        grads = torch.autograd.grad(
            total, tuple(start.values()), create_graph=tracked and not first_order, materialize_grads=True
        )
    with torch.set_grad_enabled(tracked):
        return {name: start[name] - rates[name] * grad for name, grad in zip(start, grads, strict=True)}


def adapt(
    task_loss: TaskLoss,
    params: Params,
    support: Batch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
) -> Params:
    """Take `steps` inner steps on every task, all from the same parameters: [*] -> [T, *].

    Arguments, graph and errors as in `inner_step`; `params` are shared, without a task axis. With steps=0
    every task gets `params` as they are.
    """
    checks.count("steps", steps, minimum=0)
    task_params = expand_params(params, checks.batch("support", support))
    checks.rates(inner_lr, task_params)
    for _ in range(steps):
        task_params = inner_step(task_loss, task_params, support, inner_lr=inner_lr, first_order=first_order)
    return task_params


def query_losses(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
) -> Tensor:
    """Return every task's query loss after adaptation to its support set: [T].

    The mean of the result is the MAML objective; differentiate it with respect to `params` or to learned
    rates.

    Raises:
        ValueError: as `inner_step`, and if support and query hold different numbers of tasks.
    """
    checks.tasks(tasks)
    adapted = adapt(task_loss, params, tasks.support, inner_lr=inner_lr, steps=steps, first_order=first_order)
    return _task_losses(task_loss, adapted, tasks.query)


def meta_gradient(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    chunk_size: int | None = None,
) -> tuple[Tensor, Params]:
    """Return the mean query loss after adaptation and its gradient with respect to the shared parameters.

    Args:
        task_loss: the loss of one task.
        params: shared parameters [*]; read, never written, and their `.grad` is not touched.
        tasks: support and query of T tasks.
        inner_lr: inner step size, as in `inner_step`.
        steps: inner steps.
        first_order: drop the second derivatives (FOMAML).
        chunk_size: tasks held in memory at once; all of them by default. The result is the same.

    Returns:
        The mean query loss () and its gradient by parameter name, both without a graph.

    Raises:
        ValueError: as `query_losses`, and if `chunk_size` is not an integer >= 1.
    """
    n_tasks = checks.tasks(tasks)
    checks.parameters(params)
    if chunk_size is not None:
        checks.count("chunk_size", chunk_size, minimum=1)
    theta = {name: value.detach().requires_grad_() for name, value in params.items()}
    loss = next(iter(theta.values())).new_zeros(())
    gradient = {name: torch.zeros_like(value) for name, value in params.items()}
    for chunk in _chunks(tasks, n_tasks, chunk_size or n_tasks):
        with torch.enable_grad():
            losses = query_losses(
                task_loss, theta, chunk, inner_lr=inner_lr, steps=steps, first_order=first_order
            )
            total = checks.depends_on_params(losses.sum())
        grads = torch.autograd.grad(total, tuple(theta.values()), materialize_grads=True)
        loss = loss + total.detach() / n_tasks
        gradient = {name: gradient[name] + grad / n_tasks for name, grad in zip(theta, grads, strict=True)}
    return loss, gradient


def _task_losses(task_loss: TaskLoss, task_params: Params, batch: Batch) -> Tensor:
    """Evaluate the loss of every task at its own parameters in one vectorized forward pass: [T]."""
    with checks.explained_vmap_errors():
        return torch.vmap(checks.scalar_loss(task_loss))(task_params, batch)


def _chunks(tasks: TaskBatch, n_tasks: int, chunk_size: int) -> Iterator[TaskBatch]:
    for start in range(0, n_tasks, chunk_size):
        part = slice(start, start + chunk_size)
        yield TaskBatch(*(_slice(batch, part) for batch in tasks))


def _slice(batch: Batch, part: slice) -> Batch:
    tensors = [tensor[part] for tensor in batch]
    make = getattr(batch, "_make", tuple)  # a NamedTuple stays one
    return make(tensors)
