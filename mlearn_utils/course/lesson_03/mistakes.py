"""Data and known mistakes of lesson 03: what a wrong answer gives, and what to tell its author."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.rl import returns

Wrong = list[tuple[Tensor, str]]


def make_episodes() -> tuple[Tensor, Tensor, Tensor]:
    """Return reward, values and mask [S, E] of three episodes of 5, 3 and 1 steps, in float64.

    After the end of an episode rewards and values hold junk, so that a forgotten mask shows.
    """
    reward = [[1.0, 2.0, 4.0], [0.5, -1.0, 9.0], [2.0, 3.0, -7.0], [-1.5, 8.0, 5.0], [3.0, -6.0, 2.5]]
    values = [[2.5, 1.2, 0.7], [1.1, 2.6, -3.0], [0.4, 1.9, 6.0], [1.7, -4.0, 2.2], [0.9, 5.0, -8.0]]
    lengths = torch.tensor([5, 3, 1])
    mask = (torch.arange(5).unsqueeze(-1) < lengths).double()
    return torch.tensor(reward).double(), torch.tensor(values).double(), mask


def wrong_returns(reward: Tensor, mask: Tensor, gamma: float) -> Wrong:
    """Return what each known mistake gives for the returns to go, with its message."""
    right = returns.returns_to_go(reward, mask, gamma=gamma)
    steps = torch.arange(len(reward)).unsqueeze(-1)
    early = _shortened(mask)
    from_start = (reward * mask * gamma**steps).cumsum(dim=0) * mask
    unmasked = returns.discounted_sums(reward, gamma)
    whole = (right[:1] * mask).expand_as(mask)
    return [
        (gamma**steps * right, "it discounts twice: G_t starts counting at step t, so its own reward has "
         "weight 1, not gamma ** t"),
        (unmasked, "rewards after the end of an episode are counted: the mask is not used"),
        (unmasked * mask, "rewards after the end leak into the steps before it: mask the rewards *before* "
         "you sum them, not only the result"),
        (returns.returns_to_go(reward, early, gamma=gamma), "the step that ends an episode is dropped. The "
         "mask is 1 there: that step was taken, and its reward counts"),
        (whole, "every step gets the return of the whole episode: count from step t on"),
        (from_start, "these are the rewards up to step t: sum over what comes *after* the action"),
        (returns.returns_to_go(reward, mask, gamma=1.0), "gamma is not used"),
        ((right - reward) * mask, "the reward of step t itself is missing from G_t"),
    ]  # fmt: skip


def wrong_advantages(reward: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Wrong:
    """Return what each known mistake gives for the generalized advantages, with its message."""
    right = returns.gae(reward, values, mask, gamma=gamma, lam=lam)
    after = torch.cat((values[1:], torch.zeros_like(values[:1])))
    goes_on = _shortened(mask)
    past_end = returns.discounted_sums((reward + gamma * after - values) * mask, gamma * lam) * mask
    early = returns.discounted_sums((reward + gamma * after * goes_on - values) * goes_on, gamma * lam)
    undiscounted = (reward + after * goes_on - values) * mask
    delta = (reward + gamma * after * goes_on - values) * mask
    junk = reward + gamma * after - values
    return [
        (past_end, "it bootstraps past the end: after the last step of an episode V counts as 0, whatever "
         "`values` holds there"),
        (early, "the step that ends an episode is dropped: its reward counts, only what follows does not"),
        (returns.discounted_sums(junk, gamma * lam), "the mask is not used: steps after the end are counted"),
        (delta, "these are the delta_t alone, which is lam = 0: add (gamma lam) A_{t+1}"),
        (returns.gae(reward, values, mask, gamma=gamma, lam=1.0), "lam is not used: this is the return to go "
         "less the baseline"),
        (returns.discounted_sums(delta, lam), "the sum decays by lam alone: the factor is gamma * lam"),
        (returns.discounted_sums(undiscounted, gamma * lam), "the next value must be discounted: gamma V"),
        ((right + values) * mask, "V(s_t) is added back: this is a target for the baseline, not an "
         "advantage"),
        (-right, "the sign is turned: delta is what came, less what was expected"),
    ]  # fmt: skip


def make_steps() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return theta [], and logp, adv, mask [S, E] of which the first two depend on theta."""
    theta = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    reward, values, mask = make_episodes()
    logp = -(0.4 + 0.1 * values.abs()) * theta.exp()
    return theta, logp, reward - values * theta, mask


def wrong_losses(logp: Tensor, adv: Tensor, mask: Tensor) -> Wrong:
    """Return what each known mistake gives for the loss, with its message."""
    total, count = (logp * adv * mask).sum(), mask.sum()
    early = torch.cat((mask[1:], torch.zeros_like(mask[:1])))
    return [
        (total / count, "wrong sign: optimizers *minimize*, and we want more return. The loss is minus the "
         "objective"),
        (-(logp * adv * mask).mean(), "divided by all entries, also those after the end: the mean is over "
         "the steps taken, mask.sum() of them"),
        (-(logp * adv).mean(), "the mask is not used: steps that nobody took are counted"),
        (-(logp * adv).sum() / count, "the mask is not used in the numerator: steps that nobody took are "
         "counted"),
        (-(logp.exp() * adv * mask).sum() / count, "this has the probability where its logarithm belongs"),
        (-(logp * adv * early).sum() / early.sum(), "the step that ends an episode is dropped: its action "
         "was taken"),
        (-total, "this is the sum over the steps, not their mean: it grows with the batch"),
        (-total / mask.shape[-1], "this is the mean over episodes: divide by the number of steps taken"),
        (-(adv * mask).sum() / count, "the policy does not appear: weigh the log-probabilities"),
    ]  # fmt: skip


def make_advantages() -> tuple[Tensor, Tensor]:
    """Return adv and mask [T, S, E] of an easy task and a hard one, in float64, with junk after the end."""
    adv, other, mask = make_episodes()
    return torch.stack((10 + 3 * adv, 0.1 * other)), torch.stack((mask, mask.roll(1, dims=-1)))


def wrong_normalized(adv: Tensor, mask: Tensor) -> Wrong:
    """Return what each known mistake gives for normalized advantages, with its message."""
    return [
        (_scaled(adv, mask, (-3, -2, -1)), "one mean and one deviation for all tasks: whatever is done in "
         "the easy task then looks good, and the hard one hardly counts. Each task needs its own"),
        (_scaled(adv, mask, (-2,)), "each *episode* has its own mean: then a good episode looks no better "
         "than a bad one. Average over steps and episodes"),
        (_scaled(adv, mask, (-1,)), "each *step number* has its own mean: average over steps and episodes"),
        (_scaled(adv, torch.ones_like(mask), (-2, -1)) * mask, "the mean counts entries after the end"),
        (_scaled(adv, mask, (-2, -1), scale=False), "the mean is right, the division by the deviation is "
         "missing"),
    ]  # fmt: skip


def _scaled(adv: Tensor, mask: Tensor, within: tuple[int, ...], *, scale: bool = True) -> Tensor:
    count = mask.sum(within, keepdim=True).clamp(min=1)
    centered = (adv - (adv * mask).sum(within, keepdim=True) / count) * mask
    deviation = (centered**2).sum(within, keepdim=True).div(count).sqrt()
    return centered / (deviation + 1e-8) if scale else centered


def wrong_baselines(score: np.ndarray, reward: np.ndarray, chance: np.ndarray) -> list[tuple[float, str]]:
    """Return what each known shortcut gives for the best baseline, with its message."""
    square = score**2
    return [
        (float(chance @ reward), "this is the mean reward: a good baseline, not the best one. Outcomes with "
         "a large score count more"),
        (float((square * reward).sum() / square.sum()), "the outcomes are not equally likely: weigh each by "
         "its probability"),
        (float(chance @ (score * reward) / (chance @ square)), "this weighs by the score; in the variance it "
         "is squared"),
        (float(chance @ (square * reward)), "divide by the mean squared score"),
        (float(reward.mean()), "this is the plain mean of the rewards"),
    ]  # fmt: skip


def same(result: Any, wrong: Tensor) -> bool:
    """Return whether a student's result equals the value that a mistake gives."""
    if not isinstance(result, Tensor) or result.shape != wrong.shape:
        return False
    return torch.allclose(result.detach().double(), wrong.detach(), rtol=1e-6, atol=1e-9)


def _shortened(mask: Tensor) -> Tensor:
    """Return the mask [S, E] without the last step of each episode."""
    return torch.cat((mask[1:], torch.zeros_like(mask[:1])))
