"""Model-agnostic meta-learning as a few pure functions: no class, no state, no optimizer.

Task i of T has a support set and a query set. From shared parameters theta, the inner loop takes gradient
steps on the support loss, and the outer objective is the query loss at the result:

    theta_i^0     = theta
    theta_i^{k+1} = theta_i^k - inner_lr * grad L_i^support(theta_i^k)          (inner_step; walk repeats it)
    J(theta)      = 1/T * sum_i L_i^query(theta_i^K)                           (query_losses, averaged)
    grad J        = 1/T * sum_i prod_k (I - inner_lr * H_i^k) grad L_i^query   (meta_gradient)

where H_i^k is the Hessian of L_i^support at theta_i^k. First-order MAML sets every H_i^k to zero.

How it is built: only the *forward* pass is vectorized over tasks (torch.vmap); derivatives are taken outside
it by torch.autograd.grad. The inner losses are summed over tasks, never averaged: d(sum_j L_j)/d(theta_i) is
the gradient of task i alone, where a mean would divide every inner step by T.

`walk` is the one inner loop: adaptation of every kind goes through it, that of the variants of MAML
(`mlearn_utils.meta.variants`) and that of policies, which collect new episodes before each step
(`mlearn_utils.meta.policies`). An inner rule (`mlearn_utils.meta.inner_rules`) may replace the gradient by
another direction.

Left out on purpose: optimizers, schedules, data. Callers own them. Memory grows linearly with tasks x steps;
`chunk_size` bounds it.

Reference: Finn, Abbeel & Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
https://arxiv.org/abs/1703.03400, section 2.2 and Algorithm 1; section 5.2 for the first-order variant.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.meta import checks
from mlearn_utils.meta.losses import Params, TaskLoss, expand_params, module_loss, parameters_of, task_losses
from mlearn_utils.runtime import check_integer
from mlearn_utils.tasks.regression import Batch, TaskBatch

__all__ = [
    "InnerRate",
    "InnerRule",
    "Params",
    "TaskLoss",
    "adapt",
    "expand_params",
    "inner_step",
    "last",
    "mean_gradient",
    "meta_gradient",
    "module_loss",
    "parameters_of",
    "query_losses",
    "steepest",
    "task_losses",
    "trajectory",
    "walk",
]

InnerRate = float | Tensor | Params
"""An inner learning rate: a float, a 0-d tensor, or a tensor for each parameter (0-d or of its shape)."""

InnerRule = Callable[[Params, Any], tuple[Params, Any]]
"""Gradients [T, *], the rule's state (None at the first step) -> direction of the step [T, *], new state."""


Support = Batch | Callable[[Params], Batch]
"""A support set [T, K, ...], or what collects one with the parameters [T, *] reached so far."""


def steepest(grads: Params, state: None) -> tuple[Params, None]:
    """Step along the gradient: plain gradient descent, the inner rule of MAML."""
    return grads, state


def inner_step(
    task_loss: TaskLoss,
    task_params: Params,
    support: Batch,
    *,
    inner_lr: InnerRate,
    first_order: bool = False,
    rule: InnerRule = steepest,
) -> Params:
    """Take one gradient step on every task's support loss, each from its own parameters.

    Args:
        task_loss: the loss of one task.
        task_params: [T, *] parameters of each task. One that the loss does not use stays where it is.
        support: tensors [T, K, ...].
        inner_lr: step size; a float, a 0-d tensor, or a rate for each parameter (0-d or of shape [*]).
            Values of rates on an accelerator are not checked: that would wait for the device.
        first_order: treat the gradient as a constant, so that no second derivative is taken through it.
        rule: turns the gradient into the direction of the step, as its first; `walk` hands on its state.

    Returns:
        New parameters [T, *]. They carry a graph to `task_params` and `inner_lr` where one of these requires
        a gradient and gradients are enabled; otherwise they carry none.

    Raises:
        ValueError: if `inner_lr` is negative or not finite, the support set is empty, or its tensors disagree
            about the number of tasks; if the loss is not a scalar, random, or independent of the parameters.
        TypeError: if an argument is not of the type stated.
    """
    return _step(task_loss, task_params, support, inner_lr, first_order, rule, None)[0]


def walk(
    task_loss: TaskLoss,
    task_params: Params,
    pairs: Iterable[tuple[Support, InnerRate]],
    *,
    first_order: bool = False,
    rule: InnerRule = steepest,
) -> Iterator[Params]:
    """Yield every task's parameters before the first and after each inner step, one step for each pair.

    Args:
        task_loss: the loss of one task.
        task_params: [T, *] parameters of each task at the start.
        pairs: support set and inner rate of each step. In place of a support set there may be a function of
            the parameters reached so far, such as one that plays episodes with them.
        first_order: as in `inner_step`.
        rule: turns gradients into the direction of a step; its state is handed on from step to step.

    Yields:
        Parameters [T, *], with graph and errors as in `inner_step`.
    """
    state = None
    yield task_params
    for support, inner_lr in pairs:
        batch = support(task_params) if callable(support) else support
        task_params, state = _step(task_loss, task_params, batch, inner_lr, first_order, rule, state)
        yield task_params


def last(path: Iterable[Params]) -> Params:
    """Return where a walk ends, holding none of the points before it."""
    return deque(path, maxlen=1).pop()


def adapt(
    task_loss: TaskLoss,
    params: Params,
    support: Batch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
) -> Params:
    """Take `steps` inner steps on every task, all from the same parameters: [*] -> [T, *].

    Arguments, graph and errors as in `inner_step`; `params` are shared, without a task axis. With steps=0
    every task gets `params` as they are. `rule` turns gradients into the direction of a step.
    """
    start, pairs = _same_pair(params, support, inner_lr, steps)
    return last(walk(task_loss, start, pairs, first_order=first_order, rule=rule))


def trajectory(
    task_loss: TaskLoss,
    params: Params,
    support: Batch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
) -> list[Params]:
    """Return the parameters before and after every inner step: theta^0, ..., theta^steps, each [T, *].

    Arguments, graph and errors as in `adapt`, whose result is the last element.
    """
    start, pairs = _same_pair(params, support, inner_lr, steps)
    return list(walk(task_loss, start, pairs, first_order=first_order, rule=rule))


def query_losses(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
) -> Tensor:
    """Return every task's query loss after adaptation to its support set: [T].

    The mean of the result is the MAML objective; differentiate it with respect to `params` or to learned
    rates.

    Raises:
        ValueError: as `inner_step`, and if support and query hold different numbers of tasks.
    """
    checks.count_task_pairs(tasks)
    end = adapt(
        task_loss, params, tasks.support, inner_lr=inner_lr, steps=steps, first_order=first_order, rule=rule
    )
    return task_losses(task_loss, end, tasks.query)


def meta_gradient(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
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
        rule: turns gradients into the direction of a step; plain gradient descent by default.
        chunk_size: tasks held in memory at once; all of them by default. The result is the same.

    Returns:
        The mean query loss () and its gradient by parameter name, both without a graph.

    Raises:
        ValueError: as `query_losses`, and if `chunk_size` is not an integer >= 1.
    """
    losses_of = partial(
        query_losses, task_loss, inner_lr=inner_lr, steps=steps, first_order=first_order, rule=rule
    )
    return mean_gradient(losses_of, params, tasks, chunk_size=chunk_size)


def mean_gradient(
    losses_of: Callable[[Params, TaskBatch], Tensor],
    params: Params,
    tasks: TaskBatch,
    *,
    chunk_size: int | None = None,
) -> tuple[Tensor, Params]:
    """Return the mean over tasks of any objective and its gradient: what every variant of MAML descends.

    Args:
        losses_of: shared parameters [*] and tasks -> one value for each task [T], differentiable.
        params: shared parameters [*], learned rates among them if there are any; not written.
        tasks: support and query of T tasks.
        chunk_size: tasks held in memory at once; all of them by default. The result is the same.

    Returns:
        The mean () and its gradient by parameter name, both without a graph.

    Raises:
        ValueError: if `chunk_size` is not an integer >= 1, or the tasks disagree about their number.
    """
    n_tasks = checks.count_task_pairs(tasks)
    checks.check_parameters(params)
    if chunk_size is not None:
        check_integer("chunk_size", chunk_size, minimum=1)
    theta = {name: value.detach().requires_grad_() for name, value in params.items()}
    loss = next(iter(theta.values())).new_zeros(())
    gradient = {name: torch.zeros_like(value) for name, value in params.items()}
    for chunk in _chunks(tasks, n_tasks, chunk_size or n_tasks):
        with torch.enable_grad():
            total = checks.differentiable(losses_of(theta, chunk).sum())
        grads = torch.autograd.grad(total, tuple(theta.values()), materialize_grads=True)
        loss = loss + total.detach() / n_tasks
        gradient = {name: gradient[name] + grad / n_tasks for name, grad in zip(theta, grads, strict=True)}
    return loss, gradient


def _same_pair(
    params: Params, support: Batch, inner_lr: InnerRate, steps: int
) -> tuple[Params, Iterable[tuple[Batch, InnerRate]]]:
    """Return the start [T, *] and the pairs of a walk whose steps all have the same data and rate."""
    check_integer("steps", steps, minimum=0)
    task_params = expand_params(params, checks.count_tasks("support", support))
    checks.spread_rates(inner_lr, task_params)
    return task_params, repeat((support, inner_lr), steps)


def _step(
    task_loss: TaskLoss,
    task_params: Params,
    support: Batch,
    inner_lr: InnerRate,
    first_order: bool,
    rule: InnerRule,
    state: Any,
) -> tuple[Params, Any]:
    """Take one inner step by `rule`: the one place where parameters are updated within a task."""
    n_tasks = checks.count_tasks("support", support)
    checks.check_task_parameters(task_params, n_tasks)
    rates = checks.spread_rates(inner_lr, task_params)
    tracked = torch.is_grad_enabled() and any(
        value.requires_grad for value in (*task_params.values(), *rates.values()) if isinstance(value, Tensor)
    )
    start = {
        name: value if tracked and value.requires_grad else value.detach().requires_grad_()
        for name, value in task_params.items()
    }
    with torch.enable_grad():
        total = checks.differentiable(task_losses(task_loss, start, support).sum())
        grads = torch.autograd.grad(
            total, tuple(start.values()), create_graph=tracked and not first_order, materialize_grads=True
        )
    with torch.set_grad_enabled(tracked):
        direction, state = rule(dict(zip(start, grads, strict=True)), state)
        return {name: start[name] - rates[name] * direction[name] for name in start}, state


def _chunks(tasks: TaskBatch, n_tasks: int, chunk_size: int) -> Iterator[TaskBatch]:
    for start in range(0, n_tasks, chunk_size):
        part = slice(start, start + chunk_size)
        yield TaskBatch(*(_slice(batch, part) for batch in tasks))


def _slice(batch: Batch, part: slice) -> Batch:
    tensors = [tensor[part] for tensor in batch]
    make = getattr(batch, "_make", tuple)  # a NamedTuple stays one
    return make(tensors)
