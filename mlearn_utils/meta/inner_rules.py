"""Inner rules beyond the plain gradient: momentum, and an Adam that can be differentiated.

A rule turns the gradients of one inner step into its direction; `inner_step`'s update stays the only one:

    theta^{k+1} = theta^k - inner_lr * direction^k

Give a rule to `adapt`, `query_losses` or `meta_gradient`. It is a pure function: its state is handed on from
step to step, starts anew for every adaptation, and carries the graph: the meta-gradient goes through it.

Left out on purpose: weight decay, Nesterov's variant.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mlearn_utils.meta.maml import InnerRule, Params
from mlearn_utils.runtime import check_decay, check_positive


class AdamState(NamedTuple):
    """Steps taken so far, and the running means of the gradients and of their squares, each [T, *]."""

    steps: int
    mean: Params
    square: Params


def momentum(decay: float = 0.9) -> InnerRule:
    """Return the rule direction^k = decay * direction^{k-1} + gradient^k ("heavy ball", as in torch's SGD).

    Args:
        decay: share of the last direction that is kept, in [0, 1); 0 is the plain gradient.

    Raises:
        ValueError: if `decay` is out of range.

    Reference: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".
    """
    check_decay("decay", decay)

    def rule(grads: Params, state: Params | None) -> tuple[Params, Params]:
        last = {name: torch.zeros_like(grad) for name, grad in grads.items()} if state is None else state
        direction = {name: decay * last[name] + grad for name, grad in grads.items()}
        return direction, direction

    return rule


def adam(decays: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> InnerRule:
    """Return Adam's direction, with eps under the root: m / sqrt(v + eps), m and v corrected for their start.

    Adam as usually written divides by sqrt(v) + eps. Where a gradient is zero, so is v, and there the
    derivative of sqrt(v) is infinite: one dead unit would make the whole meta-gradient NaN. Under the root,
    eps bounds it. For the same smallest divisor, give this rule the square of the usual eps.

    Args:
        decays: shares of the running means of gradient and squared gradient that are kept, each in [0, 1).
        eps: what is added to v under the root, > 0.

    Raises:
        ValueError: if an argument is out of range.

    Reference: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", https://arxiv.org/abs/1412.6980,
    Algorithm 1, but for the place of eps.
    """
    for k, decay in enumerate(decays):
        check_decay(f"decays[{k}]", decay)
    check_positive("eps", eps, "finite and > 0")
    keep_mean, keep_square = decays

    def rule(grads: Params, state: AdamState | None) -> tuple[Params, AdamState]:
        zeros = {name: torch.zeros_like(grad) for name, grad in grads.items()}
        last = AdamState(0, zeros, zeros) if state is None else state
        now = AdamState(
            last.steps + 1,
            _running_mean(last.mean, grads, keep_mean),
            _running_mean(last.square, {name: grad**2 for name, grad in grads.items()}, keep_square),
        )
        of_mean, of_square = 1 - keep_mean**now.steps, 1 - keep_square**now.steps
        direction = {
            name: now.mean[name] / of_mean / (now.square[name] / of_square + eps).sqrt() for name in grads
        }
        return direction, now

    return rule


def _running_mean(last: Params, new: dict[str, Tensor], keep: float) -> Params:
    return {name: keep * last[name] + (1 - keep) * value for name, value in new.items()}
