"""Known mistakes of lesson 05: what a wrong answer gives, and what to tell its author."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.course.lesson_05.sines import long_run, losses_by_step
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import SineTasks, TaskBatch

Weights = dict[str, Tensor]


def numbers(*values: float) -> Tensor:
    """Return a float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def same(result: Any, wrong: Mapping[str, Tensor]) -> bool:
    """Return whether a student's dict of tensors equals the one that a mistake gives."""
    if not isinstance(result, Mapping) or set(result) != set(wrong):
        return False
    return all(
        isinstance(result[name], Tensor)
        and result[name].shape == value.shape
        and torch.allclose(result[name].detach().double(), value.detach(), rtol=1e-6, atol=1e-9)
        for name, value in wrong.items()
    )


# --- Reptile's update


def reptile_case() -> tuple[Weights, list[Weights], float]:
    """Return a start, what three tasks made of it, and an outer step size."""
    theta = {"weight": numbers(1.0, -2.0), "bias": numbers(0.5)}
    ends = [
        {"weight": numbers(1.4, -1.0), "bias": numbers(0.9)},
        {"weight": numbers(0.3, -2.6), "bias": numbers(0.2)},
        {"weight": numbers(2.2, -1.7), "bias": numbers(1.3)},
    ]
    return theta, ends, 0.25


def wrong_reptile_updates(theta: Weights, ends: list[Weights], rate: float) -> list[tuple[Weights, str]]:
    """Return what each known mistake gives, with its message."""

    def each(formula: Callable[[str], Tensor]) -> Weights:
        return {name: formula(name) for name in theta}

    def mean(name: str) -> Tensor:
        return torch.stack([end[name] for end in ends]).mean(0)

    def total(name: str) -> Tensor:
        return torch.stack([end[name] - theta[name] for end in ends]).sum(0)

    def last(name: str) -> Tensor:
        return ends[-1][name] - theta[name]

    def first(name: str) -> Tensor:
        return ends[0][name] - theta[name]

    return [
        (
            each(lambda name: theta[name] - rate * (mean(name) - theta[name])),
            "this walks away from where the tasks end: the direction is adapted minus theta, and it is added",
        ),
        (
            each(lambda name: theta[name] + rate * total(name)),
            "the moves are summed over tasks: with more tasks the step would grow. Take their mean",
        ),
        (
            each(mean),
            "this is the mean of the adapted parameters: outer_lr says how much of the way theta goes",
        ),
        (
            each(lambda name: theta[name] + rate * mean(name)),
            "outer_lr must multiply adapted - theta, the move, not the adapted parameters",
        ),
        (
            each(lambda name: theta[name] + rate * last(name)),
            "only the last task counts: average over all of them",
        ),
        (each(lambda name: theta[name] + rate * first(name)), "only the first task counts: average over all"),
        (dict(theta), "theta is returned as it was"),
    ]


# --- ANIL's filter


def anil_loss(params: Weights, data: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean squared error of a network with one hidden layer of two tanh units."""
    x, y = data
    hidden = torch.tanh(x[:, None] * params["body.weight"] + params["body.bias"])
    return ((hidden @ params["head.weight"] + params["head.bias"] - y) ** 2).mean()


def anil_case() -> tuple[Weights, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return fresh parameters that require a gradient, a support set and a query set."""
    params = {
        "body.weight": numbers(0.8, -0.5),
        "body.bias": numbers(0.1, 0.4),
        "head.weight": numbers(1.2, -0.7),
        "head.bias": numbers(0.3),
    }
    support = (numbers(-1.5, -0.2, 0.7, 1.9), numbers(1.0, -0.4, 0.3, 2.2))
    query = (numbers(-0.9, 0.4, 1.3), numbers(0.2, 0.6, 1.1))
    return {name: value.requires_grad_() for name, value in params.items()}, support, query


# --- a fair baseline


def error_table(seed: int = 0) -> tuple[Callable[..., Tensor], tuple[float, ...], str, str]:
    """Return loss_after(rate, tasks), rates, and two sets of tasks whose best rates differ."""
    rates = (0.001, 0.01, 0.1, 1.0)
    noise = torch.rand(2, len(rates), 6, 10, generator=make_generator(seed), dtype=torch.float64)
    levels = {"validation": numbers(2.0, 1.0, 1.4, 3.0), "test": numbers(2.2, 1.5, 1.2, 2.9)}
    tables = {name: 0.4 * noise[k] + levels[name][:, None, None] for k, name in enumerate(levels)}

    def loss_after(rate: float, tasks: str) -> Tensor:
        return tables[tasks][rates.index(rate)]

    return loss_after, rates, "validation", "test"


# --- where to look


def position_error(positions: Any, n_waves: int = 200) -> float:
    """Return the mean error after one step from the long run's start, given support points at `positions`."""
    generator = make_generator(0)
    amplitude, phase = (
        value[:, None, None] for value in SineTasks().sample_functions(n_waves, generator=generator)
    )
    support, query = (
        x.expand(n_waves, -1)[..., None].float()
        for x in (torch.as_tensor(positions)[None], torch.linspace(-5, 5, 101)[None])
    )
    waves = [(x, amplitude * torch.sin(x - phase)) for x in (support, query)]
    start = long_run(0.001, 5, 0)
    return float(losses_by_step(start, TaskBatch(*waves), inner_lr=0.001, steps=1)[1].mean())
