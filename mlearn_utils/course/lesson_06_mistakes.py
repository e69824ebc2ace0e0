"""Data and known mistakes of lesson 06: what a wrong answer gives, and what to tell its author."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.statistics import interval
from mlearn_utils.rl import returns
from mlearn_utils.rl.enumerate_episodes import Episodes, enumerate_episodes
from mlearn_utils.rl.policies import log_prob
from mlearn_utils.rl.surrogates import dice_surrogate, plain_surrogate

Wrong = list[tuple[Any, str]]
Surrogate = Callable[[Tensor, Tensor, Tensor], Tensor]

# --- advantages


def make_tasks() -> tuple[Tensor, Tensor, Tensor]:
    """Return reward [T, S, E], features [T, S, E, K] and mask of an easy and a hard task, in float64.

    The rewards depend on the features, with another sign in each task, and hold junk after the end.
    """
    random = np.random.default_rng(3)
    x = random.normal(size=(2, 6, 4, 3))
    x[..., 0] = 1.0
    slope = np.array([1.0, -0.5])[:, None, None]
    reward = np.array([4.0, 0.5])[:, None, None] + slope * x[..., 1] + 0.3 * random.normal(size=(2, 6, 4))
    lengths = np.array([[6, 3, 5, 1], [2, 6, 4, 6]])
    mask = (np.arange(6)[:, None] < lengths[:, None, :]).astype(float)
    junk = 7 * random.normal(size=reward.shape)
    arrays = (np.where(mask == 1, reward, junk), x, mask)
    return tuple(torch.from_numpy(array) for array in arrays)  # pyright: ignore[reportReturnType]


def baselines(reward: Tensor, x: Tensor, mask: Tensor, gamma: float) -> Tensor:
    """Return [T, S, E] the values of a baseline fitted to each task's own episodes."""
    targets = returns.returns_to_go(reward, mask, gamma=gamma)
    return returns.baseline_values(returns.fit_ridge(x, targets, mask), x)


def wrong_task_advantages(reward: Tensor, x: Tensor, mask: Tensor, gamma: float, lam: float) -> Wrong:
    """Return what each known mistake gives for the advantages of several tasks, with its message."""
    values = baselines(reward, x, mask, gamma)
    adv = returns.gae(reward, values, mask, gamma=gamma, lam=lam)
    pooled = returns.gae(reward, _pooled_baseline(reward, x, mask, gamma), mask, gamma=gamma, lam=lam)
    to_reward = returns.baseline_values(returns.fit_ridge(x, reward, mask), x)
    no_baseline = returns.gae(reward, torch.zeros_like(values), mask, gamma=gamma, lam=lam)
    all_tasks = (-3, -2, -1)
    return [
        (scaled(adv, mask, all_tasks), "normalized across tasks: one mean and one deviation for all of them. "
         "Then a task with high returns seems to do everything right, and its step goes astray. Each task "
         "needs its own"),
        (scaled(pooled, mask, (-2, -1)), "one baseline is fitted to the episodes of all tasks: it predicts "
         "their average, and is wrong for each. Each task needs its own"),
        (scaled(pooled, mask, all_tasks), "all tasks are thrown into one pot: the baseline, the mean and the "
         "deviation must all be each task's own"),
        (adv, "these advantages are not normalized: the inner step would be as large as the rewards are"),
        (scaled(adv, mask, (-2, -1), scale=False), "the mean is subtracted, the division by the deviation is "
         "missing"),
        (scaled(no_baseline, mask, (-2, -1)), "the baseline is not used: its values belong into GAE"),
        (_with(reward, to_reward, mask, gamma, lam), "the baseline is fitted to the rewards: it predicts the "
         "return to go"),
        (_with(reward, values, mask, gamma, 1.0), "lam is not used: this is the return to go less the "
         "baseline"),
        (scaled(adv, mask, (-2, -1), dead=True), "the mean counts entries after the end of an "
         "episode: divide by mask.sum(), not by the size of the array"),
        (scaled(adv, mask, (-2,)), "each episode has its own mean: then a good episode looks no better than "
         "a bad one. Average over the steps and episodes of a task"),
        (scaled(adv, mask, (-2, -1), less=1), "almost: this deviation divides by n - 1 (torch.std does); "
         "here it is the root of the mean square, which divides by n"),
    ]  # fmt: skip


def scaled(
    adv: Tensor,
    mask: Tensor,
    within: tuple[int, ...],
    *,
    scale: bool = True,
    less: int = 0,
    dead: bool = False,
) -> Tensor:
    """Return advantages less their mean over the axes `within`, divided by their deviation there.

    Args:
        adv: [T, S, E].
        mask: [T, S, E].
        within: axes of mean and deviation.
        scale: divide by the deviation.
        less: what the count of the deviation lacks.
        dead: count the entries after the end of an episode.
    """
    counted = torch.ones_like(mask) if dead else mask
    count = counted.sum(within, keepdim=True).clamp(min=1)
    centered = (adv - (adv * mask).sum(within, keepdim=True) / count) * mask
    deviation = ((centered**2).sum(within, keepdim=True) / (count - less)).sqrt()
    return centered / (deviation + 1e-8) if scale else centered


def _with(reward: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensor:
    return returns.normalise(returns.gae(reward, values, mask, gamma=gamma, lam=lam), mask)


def _pooled_baseline(reward: Tensor, x: Tensor, mask: Tensor, gamma: float) -> Tensor:
    """Return [T, S, E] the values of one baseline fitted to the episodes of all tasks."""
    targets = returns.returns_to_go(reward, mask, gamma=gamma)
    one = (torch.cat(list(array), dim=1) for array in (x, targets, mask))  # [T, S, E] -> [S, T E]
    return returns.baseline_values(returns.fit_ridge(*one), x)


# --- the LVC surrogate


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


# --- the clipped objective


def make_ratios() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logp, old_logp, adv, mask [T, S, E]: ratios from 0.5 to 1.8, advantages of both signs."""
    random = np.random.default_rng(5)
    old = np.log(random.uniform(0.2, 0.55, (2, 5, 3)))
    logp = old + np.log(random.uniform(0.5, 1.8, old.shape))
    adv = random.normal(size=old.shape)
    mask = (np.arange(5)[:, None] < np.array([[5, 3, 4], [2, 5, 5]])[:, None, :]).astype(float)
    arrays = (logp, old, adv, mask)
    return tuple(torch.from_numpy(array) for array in arrays)  # pyright: ignore[reportReturnType]


def wrong_clipped(logp: Tensor, old_logp: Tensor, adv: Tensor, mask: Tensor, clip: float) -> Wrong:
    """Return what each known mistake gives for the clipped objective, with its message."""
    ratio, count = (logp - old_logp).exp(), mask.sum()
    near = ratio.clamp(1 - clip, 1 + clip)
    right = torch.minimum(ratio * adv, near * adv)
    inverse = 1 / ratio

    def mean(terms: Tensor) -> Tensor:
        return (terms * mask).sum() / count

    return [
        (mean(torch.maximum(ratio * adv, near * adv)), "this takes the larger of the two: the minimum is the "
         "cautious one, which promises nothing beyond the clip"),
        (mean(near * adv), "the clipped term alone: without the minimum, an action that became too likely "
         "and is bad could not be taken back"),
        (mean(ratio * adv), "clip is not used"),
        (-mean(right), "wrong sign: this is the objective, to be maximized; the loss turns its sign later"),
        (mean(torch.minimum(inverse * adv, inverse.clamp(1 - clip, 1 + clip) * adv)), "the ratio is upside "
         "down: new probability divided by old"),
        (mean((ratio * adv).clamp(1 - clip, 1 + clip)), "the product is clipped: only the ratio is"),
        (mean(torch.minimum((logp - old_logp) * adv, (logp - old_logp).clamp(1 - clip, 1 + clip) * adv)),
         "a difference of logarithms is not yet a ratio: take exp"),
        (right.mean(), "the mask is not used"),
        ((right * mask).mean(), "divided by all entries, also those after the end: the mean is over the "
         "steps taken, mask.sum() of them"),
        ((right * mask).sum(), "this is the sum over the steps, not their mean"),
    ]  # fmt: skip


# --- the paired interval


def make_returns() -> tuple[np.ndarray, np.ndarray]:
    """Return two methods' returns [S, T] on the same seeds and tasks: both have hard tasks and bad seeds."""
    random = np.random.default_rng(0)
    shared = random.normal(0, 8, (5, 1)) + random.normal(0, 12, (1, 40))
    ours, theirs = (shared + random.normal(mean, 3, (5, 40)) for mean in (55.0, 40.0))
    return ours, theirs


def wrong_intervals(ours: np.ndarray, theirs: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the paired interval, with its message."""
    gain = ours - theirs
    mine, other = (interval(method.mean(1)) for method in (ours, theirs))
    return [
        (interval(gain.ravel()), "every task of every seed is counted as an independent run. The tasks of "
         "one seed share one trained policy: average over them first, the runs are the seeds"),
        (interval(gain.mean(0)), "this is an interval over tasks. It says nothing about another training "
         "run: average over tasks, then take the interval over seeds"),
        ((mine[0] - other[0], mine[1] - other[2], mine[2] - other[1]), "these are the ends of two separate "
         "intervals: it ignores that both methods met the same seeds and tasks. Subtract first"),
        (interval(-gain.mean(1)), "the sign is turned: ours minus theirs"),
        (mine, "this is the interval of ours alone: take that of the difference"),
        (interval(gain.mean(1), level=0.9), "this is the 90 % interval: use 95 %"),
    ]  # fmt: skip


# --- comparison


def same(result: Any, wrong: Any) -> bool:
    """Return whether a student's result equals the value that a mistake gives."""
    if isinstance(wrong, tuple):
        is_alike = isinstance(result, tuple | list) and len(result) == len(wrong)
        return is_alike and all(same(mine, other) for mine, other in zip(result, wrong, strict=True))
    if isinstance(wrong, Tensor):
        if not isinstance(result, Tensor) or result.shape != wrong.shape:
            return False
        return torch.allclose(result.detach().double(), wrong.detach(), rtol=1e-6, atol=1e-9)
    is_number = isinstance(result, int | float | np.number)
    return is_number and bool(np.isclose(float(result), float(wrong), rtol=1e-6, atol=1e-9))
