"""Known mistakes in the LVC surrogate: what each gives in a small world, and what to tell its author."""

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.lesson_06.mistakes import Wrong
from mlearn_utils.rl.enumerate_episodes import Episodes, enumerate_episodes
from mlearn_utils.rl.policies import log_prob
from mlearn_utils.rl.surrogates import Surrogate, dice_surrogate, plain_surrogate


class World:
    """Three steps in two rooms, every episode enumerated; one of the steps is masked in some of them."""

    def __init__(self) -> None:
        P = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.4, 0.6]]])
        R = np.array([[1.0, -0.5], [0.3, 2.0]])
        self.episodes: Episodes = enumerate_episodes(P, R, np.array([0.6, 0.4]), steps=3)
        self.adv = self.episodes.reward.flip(0).cumsum(0).flip(0) - 1.0
        self.mask = torch.ones_like(self.adv)
        self.mask[2, ::3] = 0
        self.weight = torch.linspace(0.5, 1.5, self.adv.shape[-1], dtype=torch.float64)

    def logp(self, theta: Tensor) -> Tensor:
        """Return [S, E] log-probabilities under logits theta [room]."""
        return log_prob(theta[self.episodes.state].unsqueeze(-1), self.episodes.act)

    def objective(self, surrogate: Surrogate, theta: Tensor) -> Tensor:
        """Return the weighed sum of a surrogate over all episodes."""
        return (self.weight * surrogate(self.logp(theta), self.adv, self.mask)).sum()

    def derivatives(self, surrogate: Surrogate) -> tuple[Tensor | None, Tensor | None]:
        """Return gradient [2] and Hessian [2, 2] of the objective; None where nothing is left to derive."""
        theta = torch.tensor([0.4, -0.7], dtype=torch.float64, requires_grad=True)
        value = self.objective(surrogate, theta)
        if not value.requires_grad:
            return None, None
        (gradient,) = torch.autograd.grad(value, theta, create_graph=True, materialize_grads=True)
        if not gradient.requires_grad:
            return gradient, None
        rows = [
            torch.autograd.grad(entry, theta, retain_graph=True, materialize_grads=True)[0]
            for entry in gradient
        ]
        return gradient.detach(), torch.stack(rows)


def wrong_surrogate_values(logp: Tensor, adv: Tensor, mask: Tensor) -> Wrong:
    """Return what each known mistake gives for the surrogate's value [E], with its message."""
    right = (adv * mask).sum(0)
    return [
        (plain_surrogate(logp, adv, mask), "this is the plain surrogate: put exp(l - stop(l)) where it has "
         "l"),
        ((logp.exp() * adv * mask).sum(0), "this weighs by the probability itself: its gradient is pi times "
         "the score. Divide by the probability held constant: exp(l - l.detach())"),
        (adv.sum(0), "the mask is not used: steps that nobody took are counted"),
        (-right, "wrong sign: a surrogate is to be maximized, the loss turns its sign later"),
        (right / mask.sum(0), "this is the mean over steps: sum them, one objective for each episode"),
        (dice_surrogate(logp, adv, mask), "this is the DiCE surrogate: for LVC each step stands alone"),
    ]  # fmt: skip


def wrong_surrogate_derivatives(world: World) -> list[tuple[Surrogate, str]]:
    """Return surrogates of the right value whose first or second derivative is wrong, with their message."""

    def turned(logp: Tensor, adv: Tensor, mask: Tensor) -> Tensor:
        return ((logp.detach() - logp).exp() * adv * mask).sum(-2)

    def undetached(logp: Tensor, adv: Tensor, mask: Tensor) -> Tensor:
        return ((logp - logp).exp() * adv * mask).sum(-2)

    def cumulated(logp: Tensor, adv: Tensor, mask: Tensor) -> Tensor:
        so_far = (logp * mask).cumsum(-2)
        return ((so_far - so_far.detach()).exp() * adv * mask).sum(-2)

    def linear(logp: Tensor, adv: Tensor, mask: Tensor) -> Tensor:
        return ((1 + logp - logp.detach()) * adv * mask).sum(-2)

    return [
        (turned, "the value is right, the gradient points down: it is exp(l - stop(l)), and you stopped the "
         "other one"),
        (undetached, "exp(l - l) is 1 whatever theta is, so nothing is left to differentiate: stop the "
         "second l with .detach()"),
        (cumulated, "the log-probabilities are summed up to step t, as in DiCE: in LVC each step stands "
         "alone"),
        (linear, "value and gradient are right, the Hessian is that of the plain surrogate: 1 + l - stop(l) "
         "is straight, exp bends"),
    ]  # fmt: skip
