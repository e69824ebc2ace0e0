"""Families of regression tasks: a task is a function, its data are a few points on it.

A family draws tasks at random and gives each a support set (to adapt on) and a query set (to be judged on),
drawn independently of each other. Every tensor has the task axis first: [T, K, 1].

Reference: Finn, Abbeel & Levine 2017, "Model-Agnostic Meta-Learning", section 5.1 (sinusoids).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mlearn_utils.runtime import check_integer, check_not_negative, is_number, pick_device

Batch = tuple[Tensor, ...]
"""The data of one task or, with a leading axis, of T tasks: any tuple of tensors, usually (x, y)."""

Range = tuple[float, float]
"""The (low, high) bounds of a uniform distribution."""


class TaskBatch(NamedTuple):
    """T tasks: what each adapts on and what each is judged on; every tensor has the leading axis T."""

    support: Batch
    query: Batch


@dataclass(frozen=True)
class LinearTasks:
    """Lines y = slope * x + intercept, each task its own slope and intercept; x is uniform.

    Attributes:
        slope: bounds of the slope.
        intercept: bounds of the intercept.
        x: bounds of the inputs.
        noise: standard deviation of the Gaussian noise on y, the same for support and query.
    """

    slope: Range = (-2.0, 2.0)
    intercept: Range = (-1.0, 1.0)
    x: Range = (-2.0, 2.0)
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("slope", "intercept", "x"):
            _check_range(name, getattr(self, name))
        check_not_negative("noise", self.noise, "a finite standard deviation >= 0")

    def sample_functions(self, n_tasks: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the slopes and intercepts of `n_tasks` lines: two tensors [T] on the CPU."""
        _check_counts(n_tasks=n_tasks)
        return _uniform(self.slope, (n_tasks,), generator), _uniform(self.intercept, (n_tasks,), generator)

    def sample(
        self,
        n_tasks: int,
        n_support: int,
        n_query: int,
        *,
        generator: torch.Generator,
        device: str | torch.device = "cpu",
    ) -> TaskBatch:
        """Draw tasks and their data.

        Args:
            n_tasks: number of tasks T.
            n_support: support examples a task.
            n_query: query examples a task.
            generator: CPU generator, advanced by the draw; same state, same tasks, on every device.
            device: where the tensors are put.

        Returns:
            TaskBatch of (x, y) pairs, x and y float32 [T, n_support, 1] and [T, n_query, 1].

        Raises:
            ValueError: if a count is not an integer >= 1, or `device` is not there.
        """
        _check_counts(n_tasks=n_tasks, n_support=n_support, n_query=n_query)
        slope, intercept = (
            value[:, None, None] for value in self.sample_functions(n_tasks, generator=generator)
        )

        def draw(n_examples: int) -> Batch:
            x = _uniform(self.x, (n_tasks, n_examples, 1), generator)
            noise = self.noise * torch.randn(x.shape, generator=generator) if self.noise else 0.0
            return x, slope * x + intercept + noise

        return _draw_sets(draw, n_support, n_query, device)


@dataclass(frozen=True)
class SineTasks:
    """Sinusoids y = amplitude * sin(x - phase), the regression family of Finn et al. 2017, section 5.1.

    Attributes:
        amplitude: bounds of the amplitude.
        phase: bounds of the phase, in radians.
        x: bounds of the inputs, in radians.
    """

    amplitude: Range = (0.1, 5.0)
    phase: Range = (0.0, math.pi)
    x: Range = (-5.0, 5.0)

    def __post_init__(self) -> None:
        for name in ("amplitude", "phase", "x"):
            _check_range(name, getattr(self, name))

    def sample_functions(self, n_tasks: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the amplitudes and phases of `n_tasks` sinusoids: two tensors [T] on the CPU."""
        _check_counts(n_tasks=n_tasks)
        return _uniform(self.amplitude, (n_tasks,), generator), _uniform(self.phase, (n_tasks,), generator)

    def sample(
        self,
        n_tasks: int,
        n_support: int,
        n_query: int,
        *,
        generator: torch.Generator,
        device: str | torch.device = "cpu",
    ) -> TaskBatch:
        """Draw tasks and their data; arguments, result and errors as in `LinearTasks.sample`."""
        _check_counts(n_tasks=n_tasks, n_support=n_support, n_query=n_query)
        amplitude, phase = (
            value[:, None, None] for value in self.sample_functions(n_tasks, generator=generator)
        )

        def draw(n_examples: int) -> Batch:
            x = _uniform(self.x, (n_tasks, n_examples, 1), generator)
            return x, amplitude * torch.sin(x - phase)

        return _draw_sets(draw, n_support, n_query, device)


def _draw_sets(
    draw: Callable[[int], Batch], n_support: int, n_query: int, device: str | torch.device
) -> TaskBatch:
    target = pick_device(device)
    support, query = (tuple(tensor.to(target) for tensor in draw(n)) for n in (n_support, n_query))
    return TaskBatch(support, query)


def _uniform(bounds: Range, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator)


def _check_range(name: str, bounds: Range) -> None:
    pair = list(bounds) if isinstance(bounds, Iterable) else []
    if len(pair) != 2 or not all(map(is_number, pair)) or not -math.inf < pair[0] <= pair[1] < math.inf:
        raise ValueError(f"{name} must be finite bounds (low, high) with low <= high, got {bounds!r}")


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        check_integer(name, value, minimum=1)
