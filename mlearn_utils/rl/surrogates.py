r"""Objectives whose gradient is the policy gradient, and how far their second derivative can be trusted.

Sampled episodes do not say how the sampling itself depends on the policy's parameters theta; a surrogate puts
that dependence back, so that differentiating it at the theta that sampled the episodes estimates the
derivatives of the expected return J(theta). All three give the gradient; they differ in the Hessian, which
MAML's outer gradient needs.

With tau an episode, l_t = log pi(a_t | s_t), and A_t what the action is credited with:

    plain    sum_t l_t A_t                            Hessian lacks every product of two scores
    LVC      sum_t exp(l_t - stop(l_t)) A_t           lacks products of the scores of two different steps
    DiCE     sum_t (box(c_t) - box(c_{t-1})) A_t      all derivatives right; c_t = l_0 + ... + l_t

where stop() is detach and box(x) = exp(x - stop(x)), which is 1 in value. The price of DiCE's products
between steps is variance.

Credits A_t: with gamma^t G_t, G_t the return to go, the derivatives are those of J = E[sum gamma^t r_t];
a baseline that does not depend on the action changes no expected gradient and lowers its variance. The usual
A_t without the factor gamma^t weighs late steps more than J does.

Each function maps [..., S, E] to one objective for each episode, [..., E], to be maximised.

Reference: Finn et al. (2017), "Model-agnostic meta-learning for fast adaptation of deep networks" (plain);
Rothfuss et al. (2019), "ProMP: Proximal meta-policy search" (low variance curvature, LVC); Foerster et al.
(2018), "DiCE: The infinitely differentiable Monte Carlo estimator", in the form with advantages of Farquhar
et al. (2019), "Loaded DiCE: Trading off bias and variance in any-order score function estimators".
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from mlearn_utils.rl.policies import log_prob


class Surrogate(Protocol):
    """(log-probabilities, credits, mask) [..., S, E] -> the objective of each episode [..., E]."""

    def __call__(self, logp: Tensor, adv: Tensor, mask: Tensor, played: Tensor | None = None, /) -> Tensor:
        """Return the objectives; see `plain_surrogate` for the arguments."""
        ...


def plain_surrogate(logp: Tensor, adv: Tensor, mask: Tensor, played: Tensor | None = None) -> Tensor:
    """Return sum_t l_t A_t [..., E]: right in the gradient, wrong in the Hessian.

    Args:
        logp: [..., S, E] log-probabilities of the actions taken, differentiable.
        adv: [..., S, E] credits, constants.
        mask: [..., S, E] 1 for every step taken.
        played: [..., S, E] log-probabilities, constants, under the policy that took the actions, where that
            is another than the one differentiated: each action then counts by the ratio of the two.

    Reference:
        Finn et al. (2017), Algorithm 3; Williams (1992) for the gradient itself.
    """
    weighted = logp if played is None else logp * torch.exp(logp.detach() - played)
    return (weighted * adv * mask).sum(dim=-2)


def lvc_surrogate(logp: Tensor, adv: Tensor, mask: Tensor, played: Tensor | None = None) -> Tensor:
    """Return sum_t exp(l_t - stop(l_t)) A_t [..., E]: low variance curvature.

    The Hessian keeps the product of each step's score with itself and drops those across steps, and with
    them the way in which later returns depend on theta: a small bias for a much smaller variance.

    Arguments as in `plain_surrogate`.

    Reference:
        Rothfuss et al. (2019), section 5.
    """
    return (_box(logp, played) * adv * mask).sum(dim=-2)


def dice_surrogate(logp: Tensor, adv: Tensor, mask: Tensor, played: Tensor | None = None) -> Tensor:
    """Return sum_t (box(c_t) - box(c_{t-1})) A_t [..., E]: right in every derivative; 0 in value.

    With A_t = gamma^t G_t the sum telescopes to Foerster's sum_t box(c_t) gamma^t r_t, less the constant G_0.

    Arguments as in `plain_surrogate`.

    Reference:
        Foerster et al. (2018), section 3; Farquhar et al. (2019) for the advantages.
    """
    logp = logp * mask
    so_far = logp.cumsum(dim=-2)
    if played is None:
        now = before = None
    else:
        now = (played * mask).cumsum(dim=-2)
        before = now - played * mask
    return ((_box(so_far, now) - _box(so_far - logp, before)) * adv * mask).sum(dim=-2)


def policy_loss(
    logits: Tensor,
    act: Tensor,
    adv: Tensor,
    mask: Tensor,
    *,
    surrogate: Surrogate = plain_surrogate,
    log_prob: Callable[[Tensor, Tensor], Tensor] = log_prob,
) -> Tensor:
    """Return the loss [...] whose gradient is minus the policy gradient, averaged over the steps taken.

    With the plain surrogate: -sum_t mask_t log pi(a_t | s_t) A_t / sum_t mask_t.

    Args:
        logits: [..., S, E, A].
        act: [..., S, E] the actions taken.
        adv: [..., S, E] advantages, constants.
        mask: [..., S, E] 1 for every step taken.
        surrogate: (log-probabilities, adv, mask) -> objective of each episode [..., E].
        log_prob: (action parameters, actions) -> log-probabilities; that of discrete actions by default.
    """
    objective = surrogate(log_prob(logits, act), adv, mask)
    return -objective.sum(dim=-1) / mask.sum(dim=(-2, -1))


def clipped_objective(ratio: Tensor, adv: Tensor, *, clip: float) -> Tensor:
    """Return min(ratio A, clip(ratio, 1 - c, 1 + c) A) [...], the PPO objective of each step.

    Args:
        ratio: [...] probability of the action under the policy that is differentiated, over that under the
            one that took it.
        adv: [...] advantages A, constants.
        clip: c > 0; a ratio beyond 1 +- c earns nothing more.

    Reference:
        Schulman et al. (2017), "Proximal policy optimization algorithms", equation 7.
    """
    clipped = ratio.detach().clamp(1 - clip, 1 + clip)
    earns_nothing = (ratio.detach() - clipped) * adv > 0
    return torch.where(earns_nothing, clipped, ratio) * adv


SURROGATES: dict[str, Surrogate] = {"plain": plain_surrogate, "lvc": lvc_surrogate, "dice": dice_surrogate}
"""The three by name."""


def _box(x: Tensor, at: Tensor | None = None) -> Tensor:
    """Return exp(x - at), the ratio of two probabilities; `at` is x itself, held constant, if not given."""
    return torch.exp(x - (x.detach() if at is None else at))
