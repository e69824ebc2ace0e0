"""Inner rules beyond the plain gradient: momentum, an Adam that can be differentiated, clipped gradients.

A rule turns the gradients of one inner step into its direction; `inner_step`'s update stays the only one:

    theta^{k+1} = theta^k - inner_lr * direction^k

Give a rule to `adapt`, `walk`, `query_losses` or `meta_gradient`. It is a pure function: its state is handed
on from step to step, starts anew for every adaptation, and carries the graph: the meta-gradient goes through
it.

Left out on purpose: weight decay, Nesterov's variant.
"""

from typing import Any

import torch

from mlearn_utils.meta.maml import InnerRule, Params, steepest
from mlearn_utils.rl.adam import Moments, adam_direction, no_moments
from mlearn_utils.runtime import check_decay, check_positive


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
    """Return Adam's direction, m / sqrt(v + eps), with eps under the root so that it can be differentiated.

    Args:
        decays: shares of the running means of gradient and squared gradient that are kept, each in [0, 1).
        eps: what is added to v under the root, > 0; see `rl.adam`.

    Raises:
        ValueError: if an argument is out of range.
    """
    for k, decay in enumerate(decays):
        check_decay(f"decays[{k}]", decay)
    check_positive("eps", eps, "finite and > 0")

    def rule(grads: Params, state: Moments | None) -> tuple[Params, Moments]:
        return adam_direction(grads, no_moments(grads) if state is None else state, decays=decays, eps=eps)

    return rule


def clipped(max_norm: float, rule: InnerRule = steepest) -> InnerRule:
    """Return `rule` on gradients that are scaled down, in each task, to at most this Euclidean norm.

    The norm is taken over all parameters of a task together; the meta-gradient goes through the scaling.

    Args:
        max_norm: > 0.
        rule: what turns the clipped gradients into a direction.

    Raises:
        ValueError: if `max_norm` is not finite and > 0.
    """
    check_positive("max_norm", max_norm, "finite and > 0")

    def clip(grads: Params, state: Any) -> tuple[Params, Any]:
        squares = [grad.reshape(len(grad), -1).square().sum(1) for grad in grads.values()]
        squared = torch.stack(squares).sum(0)
        over = squared > max_norm**2
        # where the norm is small, the root is taken of 1: its derivative at 0 is infinite
        scale = torch.where(over, max_norm / torch.where(over, squared, 1.0).sqrt(), 1.0)
        shrunk = {
            name: grad * scale.view(-1, *[1] * (grad.ndim - 1)).to(grad.dtype) for name, grad in grads.items()
        }
        return rule(shrunk, state)

    return clip
