"""Adam's direction as a pure function, differentiable: its memory goes in and comes out.

As usually written, Adam divides by sqrt(v) + eps. Where a gradient is zero, so is v, and there the derivative
of sqrt(v) is infinite: one dead unit would make a gradient through the step NaN. Here eps stands under the
root and bounds it. For the same smallest divisor, give the square of the usual eps.

Reference: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", https://arxiv.org/abs/1412.6980,
Algorithm 1, but for the place of eps.
"""

from typing import NamedTuple

import torch

from mlearn_utils.rl.policies import Params


class Moments(NamedTuple):
    """What Adam remembers: averages of gradients and of their squares, and the number of updates."""

    first: Params
    second: Params
    updates: int


def no_moments(params: Params) -> Moments:
    """Return the memory of an Adam that has made no update yet."""
    zeros = {name: torch.zeros_like(value) for name, value in params.items()}
    return Moments(zeros, dict(zeros), 0)


def adam_direction(
    grads: Params, moments: Moments, *, decays: tuple[float, float] = (0.9, 0.999), eps: float = 1e-16
) -> tuple[Params, Moments]:
    """Return the direction m / sqrt(v + eps), m and v corrected for their start, and the new memory.

    Args:
        grads: gradients by parameter name, [*] or [T, *].
        moments: the memory before; `no_moments(grads)` at first.
        decays: shares of the averages of gradient and squared gradient that are kept, each in [0, 1).
        eps: what is added to v under the root, > 0.
    """
    updates = moments.updates + 1
    first = _average(moments.first, grads, decays[0])
    second = _average(moments.second, {name: grad**2 for name, grad in grads.items()}, decays[1])
    of_first, of_second = 1 - decays[0] ** updates, 1 - decays[1] ** updates
    direction = {name: first[name] / of_first / (second[name] / of_second + eps).sqrt() for name in grads}
    return direction, Moments(first, second, updates)


def _average(last: Params, new: Params, keep: float) -> Params:
    return {name: keep * last[name] + (1 - keep) * value for name, value in new.items()}
