"""Variants of MAML, each a caller of the core: ANIL, Meta-SGD, multi-step losses, Reptile.

The first three are objectives, functions (params, tasks) -> one value for each task [T]. `mean_gradient`
differentiates any of them, in chunks of tasks if memory is short:

    losses_of = lambda params, tasks: anil_losses(task_loss, params, tasks, adapted=head, inner_lr=0.01)
    loss, gradient = mean_gradient(losses_of, params, tasks)

Reptile has no objective; `reptile_gradient` returns what takes the gradient's place. First-order MAML needs
nothing of its own: it is `meta_gradient(..., first_order=True)`.

Left out on purpose: MAML++'s statistics for each step and its schedule of the outer step size.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from mlearn_utils.meta import checks
from mlearn_utils.meta.maml import (
    InnerRate,
    InnerRule,
    Params,
    TaskLoss,
    adapt,
    query_losses,
    steepest,
    task_losses,
    trajectory,
)
from mlearn_utils.runtime import check_positive
from mlearn_utils.tasks.regression import Batch, TaskBatch

RATE = "log_rate."
"""Prefix of the learned rates among the parameters of Meta-SGD."""


def adapt_only(
    adapted: Collection[str],
    task_loss: TaskLoss,
    params: Params,
    support: Batch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
    vectorized: bool = True,
) -> Params:
    """Adapt the parameters named in `adapted`; every task keeps the others as they are: [*] -> [T, *].

    A name may be that of a module: "head" stands for all parameters in it. What is named adapts, frozen or
    not. Other arguments, graph and errors as in `adapt`; rates for each parameter are those of `adapted`.

    Raises:
        ValueError: if `adapted` is empty or names no parameter.
    """
    return adapt(
        task_loss,
        params,
        support,
        inner_lr=inner_lr,
        steps=steps,
        first_order=first_order,
        rule=rule,
        adapted=adapted,
        vectorized=vectorized,
    )


def anil_losses(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    adapted: Collection[str],
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    vectorized: bool = True,
) -> Tensor:
    """Return every task's query loss where only the parameters named in `adapted` adapt: [T].

    These are usually the last layer's. The others are learned by the outer loop alone.

    Reference: Raghu, Raghu, Bengio & Vinyals 2020, "Rapid Learning or Feature Reuse? Towards Understanding
    the Effectiveness of MAML", https://arxiv.org/abs/1909.09157 ("almost no inner loop").
    """
    return query_losses(
        task_loss,
        params,
        tasks,
        inner_lr=inner_lr,
        steps=steps,
        first_order=first_order,
        adapted=adapted,
        vectorized=vectorized,
    )


def add_rates(params: Params, inner_lr: float) -> Params:
    """Return `params` and the logarithm of an inner rate for each number in them, `inner_lr` at first.

    Raises:
        ValueError: if `inner_lr` is not finite and > 0: the logarithm of a rate of 0 does not exist.
    """
    checks.check_parameters(params)
    check_positive("inner_lr", inner_lr, "finite and > 0")
    rates = {RATE + name: torch.full_like(value, inner_lr).log() for name, value in params.items()}
    return params | rates


def split_rates(params: Params) -> tuple[Params, Params]:
    """Return the parameters and the rates that `add_rates` put together; rates are positive, with a graph.

    Raises:
        ValueError: if a parameter has no rate, or a rate no parameter.
    """
    weights = {name: value for name, value in params.items() if not name.startswith(RATE)}
    rates = {name[len(RATE) :]: value.exp() for name, value in params.items() if name.startswith(RATE)}
    if set(rates) != set(weights):
        raise ValueError(
            f"params must hold a rate {RATE}NAME for each parameter NAME, as add_rates returns them; "
            f"got rates for {sorted(rates)} and parameters {sorted(weights)}"
        )
    return weights, rates


def meta_sgd_losses(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    steps: int = 1,
    first_order: bool = False,
    vectorized: bool = True,
) -> Tensor:
    """Return every task's query loss; `params` hold the start and a learned rate for each number in it: [T].

    Its gradient has an entry for each rate as well, so an optimizer learns start and rates together. Rates
    are learned as logarithms and stay positive; the paper lets them change sign.

    Args:
        task_loss: the loss of one task.
        params: what `add_rates` returns.
        tasks: support and query of T tasks.
        steps: inner steps; the paper takes one.
        first_order: drop the second derivatives; the rates still learn.
        vectorized: as in `inner_step`.

    Reference: Li, Zhou, Chen & Li 2017, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning",
    https://arxiv.org/abs/1707.09835, equation 2.
    """
    start, rates = split_rates(params)
    return query_losses(
        task_loss,
        start,
        tasks,
        inner_lr=rates,
        steps=steps,
        first_order=first_order,
        vectorized=vectorized,
    )


def multi_step_losses(
    task_loss: TaskLoss,
    params: Params,
    tasks: TaskBatch,
    *,
    weights: Sequence[float],
    inner_lr: InnerRate,
    first_order: bool = False,
    rule: InnerRule = steepest,
    vectorized: bool = True,
) -> Tensor:
    """Return the weighted sum of every task's query losses after 1, 2, ..., len(weights) inner steps: [T].

    Raises:
        ValueError: if there is no weight, or one is negative or not finite.

    Reference: Antoniou, Edwards & Storkey 2019, "How to train your MAML", https://arxiv.org/abs/1810.09502,
    equation 4.
    """
    checks.count_task_pairs(tasks)
    if not len(weights) or not all(0 <= weight < float("inf") for weight in weights):
        raise ValueError(f"weights must hold a finite number >= 0 for each inner step, got {weights!r}")
    steps = len(weights)
    _, *path = trajectory(
        task_loss,
        params,
        tasks.support,
        inner_lr=inner_lr,
        steps=steps,
        first_order=first_order,
        rule=rule,
        vectorized=vectorized,
    )
    losses = [task_losses(task_loss, point, tasks.query, vectorized=vectorized) for point in path]
    return sum(
        (weight * loss for weight, loss in zip(weights, losses, strict=True)), torch.zeros_like(losses[0])
    )


def reptile_gradient(
    task_loss: TaskLoss,
    params: Params,
    data: Batch,
    *,
    inner_lr: InnerRate,
    steps: int,
    vectorized: bool = True,
) -> Params:
    """Return the mean over tasks of start - end of the inner steps: descend it as if it were a gradient.

    With an outer step of size e this is Reptile's theta + e * mean_i(theta_i^K - theta). No second
    derivative, and no query set: all data of a task serve its inner steps. With a single inner step it is a
    multiple of the gradient of the mean loss *before* adaptation, so Reptile needs two or more.

    Args:
        task_loss: the loss of one task.
        params: shared parameters [*]; read only.
        data: tensors [T, K, ...] of each task.
        inner_lr: inner step size, as in `inner_step`.
        steps: inner steps.
        vectorized: as in `inner_step`.

    Returns:
        One tensor for each parameter, without a graph; 0 for a frozen one.

    Reference: Nichol, Achiam & Schulman 2018, "On First-Order Meta-Learning Algorithms",
    https://arxiv.org/abs/1803.02999, Algorithm 2 (in batches).
    """
    checks.check_parameters(params)
    with torch.no_grad():
        end = adapt(task_loss, params, data, inner_lr=inner_lr, steps=steps, vectorized=vectorized)
        return {name: _mean(value - end[name]) for name, value in params.items()}


def _mean(values: Tensor) -> Tensor:
    """Return the mean over tasks, summed in float32 at least."""
    return values.mean(0, dtype=torch.promote_types(values.dtype, torch.float32)).to(values.dtype)
