"""The ways of lesson 10 to one and the same meta-gradient, and a clock that is fair to all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss
from torch.utils._python_dispatch import TorchDispatchMode

from mlearn_utils.course.lesson_10.two_ranks import network_loss
from mlearn_utils.meta import maml
from mlearn_utils.tasks.regression import TaskBatch

INNER_LR = 0.01
Way = Callable[[], Any]


def by_loop(model: nn.Module, tasks: TaskBatch, steps: int = 1) -> tuple[Tensor, ...]:
    """Return the meta-gradient by lesson 04's plain code: one task after the other."""
    shared, losses = dict[str, Tensor](model.named_parameters()), []
    for x, y, x_query, y_query in zip(*tasks.support, *tasks.query, strict=True):
        params = shared
        for _ in range(steps):
            loss = mse_loss(functional_call(model, params, (x,)), y)
            slopes = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            params = {name: params[name] - INNER_LR * s for name, s in zip(params, slopes, strict=True)}
        losses.append(mse_loss(functional_call(model, params, (x_query,)), y_query))
    return torch.autograd.grad(torch.stack(losses).mean(), list(shared.values()))


def package_ways(
    model: nn.Module,
    tasks: TaskBatch,
    steps: int = 1,
    *,
    chunk_size: int | None = None,
    recompute: bool = False,
) -> dict[str, Way]:
    """Return the loop and the package's three ways, each a call without arguments.

    vmap: the loss is wrapped in a plain function, so the package knows nothing of it and uses torch.vmap.
    batched: the loss of a plain network; its layers are products of stacks of matrices.
    by hand: as `meta_gradient` does it for such a network, where nothing has to be differentiated.
    """
    loss, params = network_loss(model), maml.parameters_of(model)
    settings = {"inner_lr": INNER_LR, "steps": steps}

    def by_autograd(loss: maml.TaskLoss) -> tuple[Tensor, maml.Params]:
        losses_of = partial(maml.query_losses, loss, **settings, recompute=recompute)
        return maml.mean_gradient(losses_of, params, tasks, chunk_size=chunk_size)

    return {
        "loop": lambda: by_loop(model, tasks, steps),
        "vmap": lambda: by_autograd(lambda params, batch: loss(params, batch)),
        "batched": lambda: by_autograd(loss),
        "by hand": lambda: maml.meta_gradient(loss, params, tasks, **settings, chunk_size=chunk_size),
    }


def milliseconds(
    ways: Mapping[str, Way], rounds: int = 9, least: float = 0.02, clock: Callable[[], float] | None = None
) -> dict[str, list[float]]:
    """Return the time of a call of each way in each round, in ms.

    In a round each way is called, one after the other, until `least` seconds have passed; so whatever slows
    the machine for a while slows all of them.

    Args:
        ways: what to call, by name.
        rounds: how often.
        least: seconds a way and round.
        clock: seconds; by default the processor's time of this process, which other programs hardly touch.
    """
    tick = clock or time.process_time
    found: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()  # the first call warms up
    for _ in range(rounds):
        for name, way in ways.items():
            begin, calls = tick(), 0
            while tick() - begin < least:
                way()
                calls += 1
            found[name].append(1000 * (tick() - begin) / calls)
    return found


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median over rounds of each way."""
    return {name: statistics.median(values) for name, values in times.items()}


class _Torch(TorchDispatchMode):
    """Counts what torch computes, also on the way back; another view of the same memory is free."""

    calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += not func.is_view
        return func(*args, **(kwargs or {}))


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, np.ndarray) else value


def torch_operations(call: Way) -> int:
    """Return how many operations on tensors a call makes."""
    with _Torch() as counted:
        call()
    return counted.calls
