"""How the answers of lesson 03 are judged: probes, known mistakes, and what to tell who made them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong, derivatives
from mlearn_utils.rl import returns


def make_episodes(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return reward, values and mask [S, E] of episodes of these lengths, in float64.

    After the end of an episode rewards and values hold junk, so that a forgotten mask shows.
    """
    random = np.random.default_rng(lengths)
    shape = (max(lengths), len(lengths))
    mask = (torch.arange(shape[0]).unsqueeze(-1) < torch.tensor(lengths)).double()
    reward, values, junk = (torch.from_numpy(random.normal(1.2, 2.0, shape)) for _ in range(3))
    return torch.where(mask == 1, reward, 3 * junk), torch.where(mask == 1, values, -2 * junk), mask


def _shortened(mask: Tensor) -> Tensor:
    """Return the mask [S, E] without the last step of each episode."""
    return torch.cat((mask[1:], torch.zeros_like(mask[:1])))


# --- the return to go


def return_probes() -> list[Probe]:
    """Return reward, mask and gamma: several batches, episodes alone, and both ends of gamma."""
    cases = (((5, 3, 1), 0.8), ((4, 6), 0.55), ((1,), 0.7), ((3, 5, 2), 0.65), ((7,), 1.0), ((3, 2), 0.0))
    return [(*make_episodes(lengths)[::2], gamma) for lengths, gamma in cases]


def wrong_returns(reward: Tensor, mask: Tensor, gamma: float) -> Wrong:
    """Return what each known mistake gives for the returns to go, with its message."""
    right = returns.returns_to_go(reward, mask, gamma=gamma)
    steps = torch.arange(len(reward)).unsqueeze(-1)
    unmasked = returns.discounted_sums(reward, gamma)
    return [
        (gamma**steps * right, "it discounts twice: G_t starts counting at step t, so its own reward has "
         "weight 1, not gamma ** t"),
        (gamma * right, "every reward is discounted once too often: that of step t itself counts in full"),
        (unmasked, "rewards after the end of an episode are counted: the mask is not used"),
        (unmasked * mask, "rewards after the end leak into the steps before it: mask the rewards *before* "
         "you sum them, not only the result"),
        (returns.returns_to_go(reward, _shortened(mask), gamma=gamma), "the step that ends an episode is "
         "dropped. The mask is 1 there: that step was taken, and its reward counts"),
        ((right[:1] * mask).expand_as(mask), "every step gets the return of the whole episode: count from "
         "step t on"),
        ((reward * mask * gamma**steps).cumsum(dim=0) * mask, "these are the rewards up to step t: sum over "
         "what comes *after* the action"),
        (returns.returns_to_go(reward, mask, gamma=1.0), "gamma is not used"),
        ((right - reward) * mask, "the reward of step t itself is missing from G_t"),
        (reward * mask, "these are the rewards alone: what follows step t is missing"),
    ]  # fmt: skip


RETURNS_TO_GO = Trial(
    probes=return_probes,
    mistakes=wrong_returns,
    otherwise="not G_t = r_t + gamma G_{t+1} within each episode",
    praise="Right for episodes of 1 to 7 steps; the step that ends an episode is paid, none after it is.",
)


# --- the loss


def loss_probes() -> list[Probe]:
    """Return logp, adv and mask [S, E], of which the first two depend on a theta; once with large adv.

    In the last, logp is no function of anything, actions are most unlikely, and nothing came of them twice.
    """
    probes = []
    for lengths, scale in (((5, 3, 1), 1.0), ((2, 4), 1.0), ((3, 3), 10_000.0), ((3, 5, 2), 1.0)):
        theta = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        reward, values, mask = make_episodes(lengths)
        probes.append((-(0.4 + 0.1 * values.abs()) * theta.exp(), scale * (reward - values * theta), mask))
    reward, values, mask = make_episodes((4, 1, 3))
    reward[0, :2] = 0.0
    return [*probes, ((-4.0 * values.abs()).requires_grad_(), reward.requires_grad_(), mask)]


def loss_parts(loss: Callable[..., Tensor], logp: Tensor, adv: Tensor, mask: Tensor) -> Parts:
    """Return a loss and its gradients by logp and by adv, zero where it does not depend on them."""
    value = loss(logp, adv, mask)
    gradients = [torch.zeros_like(logp), torch.zeros_like(adv)]
    if isinstance(value, Tensor) and value.requires_grad and not value.ndim:
        gradients = derivatives(value, (logp, adv))
    return Parts(
        zip((RESULT, "Its gradient by logp", "Its gradient by adv"), (value, *gradients), strict=True)
    )


def wrong_losses(logp: Tensor, adv: Tensor, mask: Tensor) -> Wrong:
    """Return what makes each known mistake in the loss, with its message."""
    early, ones = _shortened(mask), torch.ones_like(mask)

    def loss(terms: Callable[[Tensor, Tensor], Tensor], mask: Tensor, count: Any) -> Callable[..., Tensor]:
        return lambda logp, adv, _: -(terms(logp, adv) * mask).sum() / count

    def product(logp: Tensor, adv: Tensor) -> Tensor:
        return logp * adv.detach()

    return [
        (loss(lambda logp, adv: -logp * adv.detach(), mask, mask.sum()), "wrong sign: optimizers *minimize*, "
         "and we want more return. The loss is minus the objective"),
        (loss(product, mask, mask.numel()), "divided by all entries, also those after the end: the mean is "
         "over the steps taken, mask.sum() of them"),
        (loss(product, ones, mask.numel()), "the mask is not used: steps that nobody took are counted"),
        (loss(product, ones, mask.sum()), "the mask is not used in the numerator: steps that nobody took are "
         "counted"),
        (loss(lambda logp, adv: logp.exp() * adv.detach(), mask, mask.sum()), "this has the probability "
         "where its logarithm belongs"),
        (loss(product, early, early.sum()), "the step that ends an episode is dropped: its action was taken"),
        (loss(product, mask, 1), "this is the sum over the steps, not their mean: it grows with the batch"),
        (loss(product, mask, mask.shape[-1]), "this is the mean over episodes: divide by the number of steps "
         "taken"),
        (loss(lambda logp, adv: adv.detach(), mask, mask.sum()), "the policy does not appear: weigh the "
         "log-probabilities"),
        (loss(lambda logp, adv: (logp * adv).detach(), mask, mask.sum()), "the value is right, but nothing "
         "is left to differentiate: the log-probabilities were detached, or turned into numbers"),
        (loss(lambda logp, adv: logp.detach() * adv, mask, mask.sum()), "the log-probabilities were detached "
         "and the gradient flows through the advantages: it must be the other way round"),
        (loss(lambda logp, adv: logp * adv, mask, mask.sum()), "the value is right, its gradient is not: it "
         "also flows through the advantages. A return is data, not a function of theta to be tuned: detach "
         "it"),
        (loss(lambda logp, adv: (logp - logp.detach()).exp() * adv.detach(), mask, mask.sum()), "the "
         "gradient is right, the value is not: weigh the log-probabilities themselves"),
        (loss(lambda logp, adv: logp * adv.detach().clamp(-10, 10), mask, mask.sum()), "large advantages are "
         "cut: the loss is linear in them"),
    ]  # fmt: skip


POLICY_GRADIENT_LOSS = Trial(
    probes=loss_probes,
    mistakes=wrong_losses,
    observe=loss_parts,
    otherwise={
        RESULT: "not minus the mean of logp * adv over the steps taken",
        "Its gradient by logp": "the value is right, its gradient by the log-probabilities is not",
        "Its gradient by adv": "the value is right, but part of its gradient flows through the advantages",
    },
    praise="Value and gradient are right; the advantages are treated as constants.",
)


# --- generalized advantages


def gae_probes() -> list[Probe]:
    """Return reward, values, mask, gamma and lam: batches, one episode, both ends of gamma and of lambda."""
    cases = (
        ((5, 3, 1), 0.8, 0.6),
        ((4, 6), 0.55, 0.85),
        ((2, 3, 3, 1), 0.7, 1.0),
        ((3, 5, 2), 0.65, 0.0),
        ((6,), 1.0, 0.9),
        ((3, 2), 0.0, 0.75),
    )
    return [(*make_episodes(lengths), gamma, lam) for lengths, gamma, lam in cases]


def wrong_advantages(reward: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Wrong:
    """Return what each known mistake gives for the generalized advantages, with its message."""
    right = returns.gae(reward, values, mask, gamma=gamma, lam=lam)
    after = torch.cat((values[1:], torch.zeros_like(values[:1])))
    goes_on = _shortened(mask)
    delta = (reward + gamma * after * goes_on - values) * mask
    past_end = returns.discounted_sums((reward + gamma * after - values) * mask, gamma * lam) * mask
    early = returns.discounted_sums((reward + gamma * after * goes_on - values) * goes_on, gamma * lam)
    undiscounted = (reward + after * goes_on - values) * mask
    junk = reward + gamma * after - values
    return [
        (past_end, "it bootstraps past the end: after the last step of an episode V counts as 0, whatever "
         "`values` holds there"),
        (early, "the step that ends an episode is dropped: its reward counts, only what follows does not"),
        (returns.discounted_sums(junk, gamma * lam), "the mask is not used: steps after the end are counted"),
        (returns.discounted_sums(junk, gamma * lam) * mask, "the mask comes too late: what follows the end "
         "was added up before"),
        (delta, "these are the delta_t alone, which is lam = 0: add (gamma lam) A_{t+1}"),
        (returns.gae(reward, values, mask, gamma=gamma, lam=1.0), "lam is not used, the factor is gamma * "
         "lam: this is the return to go less the baseline"),
        (returns.discounted_sums(delta, lam), "the sum decays by lam alone: the factor is gamma * lam"),
        (returns.discounted_sums(undiscounted, gamma * lam), "the next value must be discounted: gamma V"),
        ((right + values) * mask, "V(s_t) is added back: this is a target for the baseline, not an "
         "advantage"),
        (returns.gae(reward, values, mask, gamma=lam, lam=gamma), "gamma and lam are exchanged"),
        (-right, "the sign is turned: delta is what came, less what was expected"),
    ]  # fmt: skip


GAE = Trial(
    probes=gae_probes,
    mistakes=wrong_advantages,
    otherwise="not A_t = delta_t + gamma lam A_{t+1} within each episode",
    praise="Equal to the package's version; with lam = 1 it is the return to go less the baseline.",
)


# --- the planted bug


def normalized_probes() -> list[Probe]:
    """Return adv and mask [T, S, E]: an easy task and a hard one, then three, one, and two again.

    Tasks have different numbers of steps. One holds an outlier; in one of the last two all is worth the same.
    """
    probes = []
    for batches, levels in (
        (((5, 3, 1), (2, 5, 5)), ((10, 3), (0, 1))),
        (((4, 6, 3, 2), (6, 6, 1, 4), (1, 2, 6, 3)), ((-4, 1), (2, 2), (7, 4))),
        (((2, 4, 3),), ((3, 2),)),
        (((3, 5, 2), (5, 1, 4)), ((0, 1), (2.5, 0))),
    ):
        tasks = [make_episodes(lengths) for lengths in batches]
        adv = torch.stack([level + scale * one[0] for one, (level, scale) in zip(tasks, levels, strict=True)])
        probes.append((adv, torch.stack([mask for *_, mask in tasks])))
    probes[1][0][1, 2, 0] = -60.0
    return probes


def wrong_normalized(adv: Tensor, mask: Tensor) -> Wrong:
    """Return what each known mistake gives for normalized advantages, with its message."""
    ones = torch.ones_like(mask)
    centered = adv - (adv * mask).sum((-2, -1), keepdim=True) / mask.sum((-2, -1), keepdim=True)
    return [
        (_scaled(adv, mask, (-3, -2, -1)), "one mean and one deviation for all tasks: whatever is done in "
         "the easy task then looks good, and the hard one hardly counts. Each task needs its own"),
        (_scaled(adv, mask, (-2,)), "each *episode* has its own mean: then a good episode looks no better "
         "than a bad one. Average over steps and episodes"),
        (_scaled(adv, mask, (-1,)), "each *step number* has its own mean: average over steps and episodes"),
        (_scaled(adv, mask, (-3, -2)), "the axes -3 and -2 are tasks and steps: average over steps and "
         "episodes, the last two"),
        (_scaled(adv, mask, (-3,)), "axis -3 is that of the tasks: average over steps and episodes, the last "
         "two"),
        (_scaled(adv, mask, (-3, -1)), "the axes -3 and -1 are tasks and episodes: average over steps and "
         "episodes, the last two"),
        (_scaled(adv, ones, (-2, -1)) * mask, "the mean counts entries after the end"),
        (centered * mask, "the mean is right, the division by the deviation is missing"),
        (_scaled(adv, mask, (-2, -1), less=1), "almost: this deviation divides by n - 1 (torch.std does); "
         "here it is the root of the mean square, which divides by n"),
        (_scaled(adv, mask, (-2, -1)) + (1 - mask), "right where a step was taken, but not 0 after the end"),
    ]  # fmt: skip


def _scaled(adv: Tensor, mask: Tensor, within: tuple[int, ...], *, less: int = 0) -> Tensor:
    count = mask.sum(within, keepdim=True).clamp(min=1)
    centered = (adv - (adv * mask).sum(within, keepdim=True) / count) * mask
    deviation = ((centered**2).sum(within, keepdim=True) / (count - less).clamp(min=1)).sqrt()
    return centered / (deviation + 1e-8)


NORMALIZED = Trial(
    probes=normalized_probes,
    mistakes=wrong_normalized,
    otherwise="not mean 0 and deviation 1 (the root of the mean square) over each task's steps, 0 elsewhere",
    praise="Each task has mean 0 and deviation 1 over its own steps, whatever the other task earns.",
    tol=1e-4,  # 1e-5 or 1e-8 beside the deviation is a matter of taste
)


# --- the best baseline


def baseline_probes() -> list[Probe]:
    """Return score, reward and probability [K] of random bandits whose mean score is 0, as for any policy.

    Two of them cost more than they pay.
    """
    random, probes = np.random.default_rng(0), []
    for n_arms, level in ((4, 5.0), (4, 5.0), (3, 5.0), (6, 5.0), (4, -3.0), (5, 0.0)):
        chance = random.dirichlet(np.ones(n_arms))
        score = random.normal(size=n_arms)
        probes.append((score - chance @ score, random.normal(level, 2.0, n_arms), chance))
    return probes


def wrong_baselines(score: np.ndarray, reward: np.ndarray, chance: np.ndarray) -> Wrong:
    """Return what each known shortcut gives for the best baseline, with its message."""
    square = score**2
    best = chance @ (square * reward) / (chance @ square)
    return [
        (chance @ reward, "this is the mean reward: a good baseline, not the best one. Outcomes with a large "
         "score count more"),
        ((square * reward).sum() / square.sum(), "the outcomes are not equally likely: weigh each by its "
         "probability"),
        (chance @ (score * reward) / (chance @ square), "this weighs by the score; in the variance it is "
         "squared"),
        (chance @ (abs(score) * reward) / (chance @ abs(score)), "this weighs by the size of the score; in "
         "the variance it is squared"),
        (chance @ (square * reward), "divide by the mean squared score"),
        (reward.mean(), "this is the plain mean of the rewards"),
        (-best, "the sign is turned"),
    ]  # fmt: skip


BEST_BASELINE = Trial(
    probes=baseline_probes,
    mistakes=wrong_baselines,
    otherwise="not where the variance is smallest: set the derivative by b to zero, and solve for b",
    praise="On six random bandits, the derivative of the variance by b is zero there.",
)
