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

The inner loop is in `mlearn_utils.meta.inner_loop`, and all of it can be imported from here.

Frozen parameters (an `nn.Parameter` with `requires_grad_(False)`) neither adapt nor learn. What torch.vmap
cannot batch is served by `vectorized=False`, the same with a plain loop over tasks.

Two shortcuts give the same numbers sooner. A plain network's tasks are served by batched products in place of
torch.vmap (`mlearn_utils.meta.plain`); one with ReLU and the squared error is differentiated without autograd
(`mlearn_utils.meta.by_hand`, on the CPU). They are taken where they apply to the loss of `module_loss`; the
same loss inside a function of one's own, `lambda params, batch: loss(params, batch)`, takes the general path.

Left out on purpose: optimizers, schedules, data. Callers own them. Memory grows linearly with tasks x steps;
`chunk_size` bounds it, and `recompute` trades it for time.

Reference: Finn, Abbeel & Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
https://arxiv.org/abs/1703.03400, section 2.2 and Algorithm 1; section 5.2 for the first-order variant.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.meta import checks
from mlearn_utils.meta.inner_loop import (
    InnerRate,
    InnerRule,
    adapt,
    inner_step,
    last,
    moving_names,
    steepest,
    trajectory,
    walk,
)
from mlearn_utils.meta.losses import (
    Params,
    TaskLoss,
    expand_params,
    is_frozen,
    parameters_of,
    task_losses,
)
from mlearn_utils.meta.modules import module_loss
from mlearn_utils.meta.shortcut import shortcut
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


def query_losses(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
    adapted: Collection[str] | None = None,
    vectorized: bool = True,
    recompute: bool = False,
) -> Tensor:
    """Return every task's query loss after adaptation to its support set: [T].

    The mean of the result is the MAML objective; differentiate it with respect to `params` or to learned
    rates.

    Raises:
        ValueError: as `inner_step`, and if support and query hold different numbers of tasks.
    """
    checks.count_task_pairs(tasks)
    end = adapt(
        task_loss,
        params,
        tasks.support,
        inner_lr=inner_lr,
        steps=steps,
        first_order=first_order,
        rule=rule,
        adapted=adapted,
        vectorized=vectorized,
        recompute=recompute,
    )
    return task_losses(task_loss, end, tasks.query, vectorized=vectorized)


def meta_gradient(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
    adapted: Collection[str] | None = None,
    vectorized: bool = True,
    chunk_size: int | None = None,
    recompute: bool = False,
    learned: Collection[str] | None = None,
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
        adapted: as in `inner_step`.
        vectorized: as in `inner_step`.
        chunk_size: tasks held in memory at once; all of them by default. The result is the same.
        recompute: as in `walk`: less memory for more time.
        learned: names of the parameters to differentiate; all that are not frozen by default.

    Returns:
        The mean query loss () and its gradient by parameter name, as in `mean_gradient`.

    Raises:
        ValueError: as `query_losses`, and if `chunk_size` is not an integer >= 1.
    """
    settings: dict[str, Any] = {
        "inner_lr": inner_lr,
        "steps": steps,
        "first_order": first_order,
        "rule": rule,
        "adapted": adapted,
        "vectorized": vectorized,
        "recompute": recompute,
    }
    found = shortcut(task_loss, params, tasks, **settings, chunk_size=chunk_size, learned=learned)
    if found is not None:
        return found
    losses_of = partial(query_losses, task_loss, **settings)
    return mean_gradient(
        losses_of, params, tasks, chunk_size=chunk_size, learned=learned, first_order=first_order
    )


def mean_gradient(
    losses_of: Callable[[Params, TaskBatch], Tensor],
    params: Params,
    tasks: TaskBatch,
    *,
    chunk_size: int | None = None,
    learned: Collection[str] | None = None,
    first_order: bool = False,
) -> tuple[Tensor, Params]:
    """Return the mean over tasks of any objective and its gradient: what every variant of MAML descends.

    Sums over tasks are taken in float32 at least, whatever the dtype of the parameters.

    Args:
        losses_of: shared parameters [*] and tasks -> one value for each task [T], differentiable.
        params: shared parameters [*], learned rates among them if there are any; not written.
        tasks: support and query of T tasks.
        chunk_size: tasks held in memory at once; all of them by default. The result is the same.
        learned: names of the parameters to differentiate, or of modules that hold them; all that are not
            frozen by default.
        first_order: whether `losses_of` takes no second derivative; only for the words of an error.

    Returns:
        The mean (), in float32 at least, and its gradient by parameter name in the parameter's dtype: 0 for
        those that do not learn. Both are without a graph.

    Raises:
        ValueError: if `chunk_size` is not an integer >= 1, the tasks disagree about their number, `losses_of`
            returns anything but one value a task, or no parameter is left to learn.
    """
    n_tasks = checks.count_task_pairs(tasks)
    checks.check_parameters(params)
    if chunk_size is not None:
        check_integer("chunk_size", chunk_size, minimum=1)
    names = moving_names(params, learned, "learned")
    theta = {
        name: value.detach().requires_grad_()
        if name in names
        else value
        if is_frozen(value)
        else value.detach()
        for name, value in params.items()
    }
    moving = {name: theta[name] for name in names}
    chunks = list(_chunks(tasks, n_tasks, chunk_size or n_tasks))
    sums: list[Tensor] = []
    dtype = torch.float32
    for chunk in chunks:
        with torch.enable_grad():
            losses = checks.one_value_a_task(losses_of(theta, chunk), len(chunk.support[0]))
            # each is divided, not their sum: sums of half-precision numbers overflow
            wide = losses.float() if losses.dtype.itemsize < 4 else losses
            total = checks.differentiable((wide / n_tasks).sum())
        dtype = torch.promote_types(total.dtype, dtype)
        with checks.explained_derivatives(second=not first_order):
            grads = torch.autograd.grad(
                total, tuple(moving.values()), materialize_grads=True, retain_graph=len(chunks) > 1
            )
        found = [_wide(value, len(chunks)) for value in (total.detach(), *grads)]
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
    means = dict(zip(moving, sums[1:], strict=True))
    return sums[0].to(dtype), {
        name: means[name].to(value.dtype) if name in means else torch.zeros_like(value.detach())
        for name, value in params.items()
    }


def _wide(value: Tensor, n_chunks: int) -> Tensor:
    """Return a sum over a chunk's tasks in the dtype that chunks are added in: float64 where there is one."""
    if n_chunks == 1 and value.dtype.itemsize >= 4:
        return value
    widest = torch.float32 if n_chunks == 1 or value.device.type == "mps" else torch.float64
    return value.to(torch.promote_types(value.dtype, widest))


def _chunks(tasks: TaskBatch, n_tasks: int, chunk_size: int) -> Iterator[TaskBatch]:
    for start in range(0, n_tasks, chunk_size):
        part = slice(start, start + chunk_size)
        yield TaskBatch(*(_slice(batch, part) for batch in tasks))


def _slice(batch: Batch, part: slice) -> Batch:
    return getattr(batch, "_make", tuple)([tensor[part] for tensor in batch])  # a NamedTuple stays one
