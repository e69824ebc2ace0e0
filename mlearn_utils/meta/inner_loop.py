"""The inner loop: gradient steps on every task's support loss, each task from its own parameters.

`walk` is the one inner loop: adaptation of every kind goes through it, that of the variants of MAML
(`mlearn_utils.meta.variants`) and that of policies, which collect new episodes before each step
(`mlearn_utils.meta.policies`). An inner rule (`mlearn_utils.meta.inner_rules`) may replace the gradient by
another direction. What is built on it, and why it is built so, is said in `mlearn_utils.meta.maml`.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.meta import checks
from mlearn_utils.meta.losses import Params, TaskLoss, expand_params, is_frozen, task_losses
from mlearn_utils.meta.recompute import recomputed
from mlearn_utils.runtime import check_integer
from mlearn_utils.tasks.regression import Batch

InnerRate = float | Tensor | Mapping[str, float | Tensor]
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
    adapted: Collection[str] | None = None,
    vectorized: bool = True,
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
        adapted: names of the parameters that take the step, or of modules that hold them; by default all that
            are not frozen.
        vectorized: one forward pass for all tasks (torch.vmap); False is a plain loop over tasks, with the
            same result, for what torch.vmap cannot batch, such as LSTM and GRU.

    Returns:
        New parameters [T, *]; frozen ones are those given. They carry a graph to `task_params`, `inner_lr`
        and what the loss closes over where one of these requires a gradient and gradients are enabled;
        otherwise they carry none.

    Raises:
        ValueError: if `inner_lr` is negative or not finite, the support set is empty, or its tensors disagree
            about the number of tasks; if every parameter is frozen; if the loss is not a scalar, random,
            independent of the parameters, writes its arguments, or cannot be vectorized or differentiated.
        TypeError: if an argument is not of the type stated.
    """
    moving = moving_names(task_params, adapted)
    step = partial(_step, task_loss, moving, first_order, rule, vectorized)
    return task_params | step(task_params, support, inner_lr, None)[0]


def walk(
    task_loss: TaskLoss,
    task_params: Params,
    pairs: Iterable[tuple[Support, InnerRate]],
    *,
    first_order: bool = False,
    rule: InnerRule = steepest,
    adapted: Collection[str] | None = None,
    vectorized: bool = True,
    recompute: bool = False,
) -> Iterator[Params]:
    """Yield every task's parameters before the first and after each inner step, one step for each pair.

    Args:
        task_loss: the loss of one task.
        task_params: [T, *] parameters of each task at the start.
        pairs: support set and inner rate of each step. In place of a support set there may be a function of
            the parameters reached so far, such as one that plays episodes with them.
        first_order: as in `inner_step`.
        rule: turns gradients into the direction of a step; its state is handed on from step to step.
        adapted: as in `inner_step`.
        vectorized: as in `inner_step`.
        recompute: keep of every step only where it started, and take it once more when it is differentiated:
            less memory for more time, the same gradient. The result has one derivative, not two.

    Yields:
        Parameters [T, *], with graph and errors as in `inner_step`.

    Raises:
        ValueError: with `recompute`, if the loss closes over what requires a gradient: that would get none.
    """
    state, moving = None, moving_names(task_params, adapted)
    yield task_params
    for support, inner_lr in pairs:
        batch = support(task_params) if callable(support) else support
        step = partial(_step, task_loss, moving, first_order, rule, vectorized)
        if recompute and torch.is_grad_enabled():
            inner_lr = (
                dict(inner_lr) if isinstance(inner_lr, Mapping) else inner_lr
            )  # so that torch looks inside
            moved, state = recomputed(partial(step, alone=True), task_params, batch, inner_lr, state)
        else:
            moved, state = step(task_params, batch, inner_lr, state)
        task_params = task_params | moved
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
    adapted: Collection[str] | None = None,
    vectorized: bool = True,
    recompute: bool = False,
) -> Params:
    """Take `steps` inner steps on every task, all from the same parameters: [*] -> [T, *].

    Arguments, graph and errors as in `inner_step`; `params` are shared, without a task axis. With steps=0
    every task gets `params` as they are.
    """
    start, pairs = _same_pair(params, support, inner_lr, steps, adapted)
    return last(
        walk(
            task_loss,
            start,
            pairs,
            first_order=first_order,
            rule=rule,
            adapted=adapted,
            vectorized=vectorized,
            recompute=recompute,
        )
    )


def trajectory(
    task_loss: TaskLoss,
    params: Params,
    support: Batch,
    *,
    inner_lr: InnerRate,
    steps: int = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
    adapted: Collection[str] | None = None,
    vectorized: bool = True,
) -> list[Params]:
    """Return the parameters before and after every inner step: theta^0, ..., theta^steps, each [T, *].

    Arguments, graph and errors as in `adapt`, whose result is the last element.
    """
    start, pairs = _same_pair(params, support, inner_lr, steps, adapted)
    return list(
        walk(
            task_loss,
            start,
            pairs,
            first_order=first_order,
            rule=rule,
            adapted=adapted,
            vectorized=vectorized,
        )
    )


def moving_names(params: Params, chosen: Collection[str] | None, name: str = "adapted") -> list[str]:
    """Return the names of the parameters chosen, or of those that are not frozen; raise if there are none."""
    checks.check_parameters(params)
    if chosen is not None:
        return checks.chosen_names(name, chosen, params)
    names = [each for each, value in params.items() if not is_frozen(value)]
    if not names:
        raise ValueError(
            f"params: all of {sorted(params)} are frozen (requires_grad=False); nothing is left to learn"
        )
    return names


def check_rates(inner_lr: InnerRate, params: Params, adapted: Collection[str] | None) -> None:
    """Raise unless `inner_lr` is a rate, or one for each of the parameters [*] that adapt."""
    shapes = {name: value[None] for name, value in params.items()}
    checks.spread_rates(inner_lr, shapes, moving_names(params, adapted))


def _same_pair(
    params: Params, support: Batch, inner_lr: InnerRate, steps: int, adapted: Collection[str] | None
) -> tuple[Params, Iterable[tuple[Batch, InnerRate]]]:
    """Return the start [T, *] and the pairs of a walk whose steps all have the same data and rate."""
    check_integer("steps", steps, minimum=0)
    task_params = expand_params(params, checks.count_tasks("support", support))
    if steps == 0:  # else the first step does
        check_rates(inner_lr, params, adapted)
    return task_params, repeat((support, inner_lr), steps)


def _step(
    task_loss: TaskLoss,
    moving: list[str],
    first_order: bool,
    rule: InnerRule,
    vectorized: bool,
    task_params: Params,
    support: Batch,
    inner_lr: InnerRate,
    state: Any,
    *,
    alone: bool = False,
) -> tuple[Params, Any]:
    """Return the parameters that move, moved by `rule`: the one place where a task's are updated."""
    n_tasks = checks.count_tasks("support", support)
    checks.check_task_parameters(task_params, n_tasks)
    checks.check_derivatives_possible(task_params)
    rates = checks.spread_rates(inner_lr, task_params, moving)
    enabled = torch.is_grad_enabled()
    tracked = enabled and any(
        value.requires_grad for value in (*task_params.values(), *rates.values()) if isinstance(value, Tensor)
    )
    start = {
        name: task_params[name]
        if tracked and task_params[name].requires_grad
        else task_params[name].detach().requires_grad_()
        for name in moving
    }
    with torch.enable_grad():
        losses = task_losses(task_loss, task_params | start, support, vectorized=vectorized)
        total = checks.differentiable(losses.sum())
    if alone and not enabled and _reaches_others(total, start):
        raise ValueError(
            "recompute: task_loss closes over a tensor that requires a gradient, which it would not get; "
            "detach it, or leave recompute out"
        )
    tracked = tracked or (enabled and _reaches_others(total, start))
    with torch.enable_grad(), checks.explained_derivatives(second=False):
        grads = torch.autograd.grad(
            total,
            tuple(start.values()),
            create_graph=tracked and not first_order,
            retain_graph=tracked,
            materialize_grads=True,
        )
    unrecorded = alone and not enabled
    with torch.set_grad_enabled(tracked or unrecorded):
        direction, state = rule(dict(zip(start, grads, strict=True)), state)
    if unrecorded and any(value.requires_grad for value in direction.values()):
        raise ValueError(
            "recompute: rule closes over a tensor that requires a gradient, which it would not get; "
            "detach it, or leave recompute out"
        )
    with torch.set_grad_enabled(tracked):
        new = {name: _moved(start[name], rates[name], direction[name]) for name in moving}
    return new, state


def _moved(start: Tensor, rate: float | Tensor, direction: Tensor) -> Tensor:
    """Return start - rate * direction; in one operation where the rate is a number."""
    if isinstance(rate, Tensor):
        return start - rate * direction
    return torch.sub(start, direction, alpha=float(rate))


def _reaches_others(total: Tensor, start: Params) -> bool:
    """Return whether a loss has a graph to anything but the start: to what it closes over."""
    own = {id(value) for value in start.values()}
    seen, open_nodes = set(), [total.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) not in own:
            return True
        open_nodes += [following for following, _ in node.next_functions]
    return False
