"""Data and known mistakes of lesson 06: what a wrong answer gives, and what to tell its author."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.rl import returns

Wrong = list[tuple[Any, str]]

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


# --- the clipped objective


def make_ratios() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logp, old_logp, adv, mask [S, E]: ratios from 0.5 to 1.8, advantages of both signs."""
    random = np.random.default_rng(5)
    old = np.log(random.uniform(0.2, 0.55, (6, 5)))
    logp = old + np.log(random.uniform(0.5, 1.8, old.shape))
    adv = random.normal(size=old.shape)
    mask = (np.arange(6)[:, None] < np.array([6, 3, 5, 2, 6])).astype(float)
    arrays = (logp, old, adv, mask)
    return tuple(torch.from_numpy(array) for array in arrays)  # pyright: ignore[reportReturnType]


def wrong_clipped(logp: Tensor, old_logp: Tensor, adv: Tensor, mask: Tensor, clip: float) -> Wrong:
    """Return what each known mistake gives for the clipped objective, with its message."""
    ratio, inverse = (logp - old_logp).exp(), (old_logp - logp).exp()
    near = ratio.clamp(1 - clip, 1 + clip)
    right, logs = torch.minimum(ratio * adv, near * adv), logp - old_logp

    def total(terms: Tensor) -> Tensor:
        return (terms * mask).sum(0)

    return [
        (total(torch.maximum(ratio * adv, near * adv)), "this takes the larger of the two: the minimum is "
         "the cautious one, which promises nothing beyond the clip"),
        (total(near * adv), "the clipped term alone: without the minimum, an action that became too likely "
         "and is bad could not be taken back"),
        (total(ratio * adv), "clip is not used"),
        (-total(right), "wrong sign: this is the objective, to be maximized; the loss turns its sign later"),
        (total(torch.minimum(inverse * adv, inverse.clamp(1 - clip, 1 + clip) * adv)), "the ratio is upside "
         "down: new probability divided by old"),
        (total(torch.minimum(ratio, near) * adv), "the minimum is taken before the advantage is multiplied "
         "in: for a negative advantage the order of the two terms turns round"),
        (total((ratio * adv).clamp(1 - clip, 1 + clip)), "the product is clipped: only the ratio is"),
        (total(torch.minimum(logs * adv, logs.clamp(1 - clip, 1 + clip) * adv)), "a difference of logarithms "
         "is not yet a ratio: take exp"),
        (right.sum(0), "the mask is not used: steps that nobody took are counted"),
        (total(right) / mask.sum(0), "this is each episode's mean over its steps: then a step counts more in "
         "an episode that ended early. Sum them"),
        (total(right).sum(), "this is the sum over all episodes: one number for each"),
        (total(right).mean(), "this is the mean over all episodes: one number for each"),
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
