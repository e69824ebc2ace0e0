"""How the answers of lesson 06 are judged: probes, known mistakes, and what to tell who made them.

Here the surrogates and the paired interval; what is about several tasks stands in `task_checks`.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.figures.statistics import interval, t_quantile
from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong, derivatives
from mlearn_utils.rl.surrogates import dice_surrogate, plain_surrogate

GRADIENT, SECOND = "Its gradient by logp", "Its second derivative by logp"


def episode_mask(lengths: Any) -> np.ndarray:
    """Return the mask [..., S, E] of episodes of these lengths [..., E]."""
    ends = np.array(lengths)[..., None, :]
    return (np.arange(ends.max())[:, None] < ends).astype(float)


def tensors(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    """Return arrays as tensors of the same type."""
    return tuple(map(torch.from_numpy, arrays))


# --- surrogates: a value of each episode, and its derivatives


def _derived(value: Any, logp: Tensor) -> Parts:
    """Return a value [E] and two derivatives of its weighed sum: by logp, and of that along some direction.

    They are zero where there is nothing to derive.
    """
    gradient = second = torch.zeros_like(logp)
    if isinstance(value, Tensor) and value.requires_grad:
        weight = torch.linspace(1.0, 2.0, value.numel(), dtype=logp.dtype).reshape(value.shape)
        (gradient,) = derivatives((weight * value).sum(), (logp,), create_graph=True)
    if gradient.requires_grad:
        direction = torch.arange(logp.numel()).reshape(logp.shape).cos()
        (second,) = derivatives((direction * gradient).sum(), (logp,))
    return Parts({RESULT: value, GRADIENT: gradient.detach(), SECOND: second.detach()})


def lvc_probes() -> list[Probe]:
    """Return logp, adv and mask [S, E], with junk in adv after the end."""
    probes = []
    for lengths in ((4, 2, 3), (2, 4, 4), (1, 5, 3, 5), (4,)):
        random, mask = np.random.default_rng(lengths), episode_mask(lengths)
        logp, adv, mask = tensors(
            np.log(random.uniform(0.2, 0.8, mask.shape)), random.normal(0, 2, mask.shape), mask
        )
        probes.append((logp.requires_grad_(), adv, mask))
    return probes


def lvc_parts(function: Any, logp: Tensor, adv: Tensor, mask: Tensor) -> Parts:
    """Return a surrogate and its derivatives."""
    return _derived(function(logp, adv, mask), logp)


def wrong_surrogates(logp: Tensor, adv: Tensor, mask: Tensor) -> Wrong:
    """Return what each known mistake gives for the LVC surrogate, with its message."""
    still, credit, so_far = logp.detach(), adv * mask, (logp * mask).cumsum(0)

    def box(x: Tensor) -> Tensor:
        return (x - x.detach()).exp()

    right = (box(logp) * credit).sum(0)
    table = [
        (plain_surrogate(logp, adv, mask), "this is the plain surrogate: put exp(l - stop(l)) where it has "
         "l"),
        ((logp.exp() * credit).sum(0), "this weighs by the probability itself: its gradient is pi times the "
         "score. Divide by the probability held constant: exp(l - l.detach())"),
        ((logp.exp() / still * credit).sum(0), "this divides by l, a logarithm: divide by the probability "
         "held constant, or take exp(l - l.detach())"),
        (((logp - still) * credit).sum(0), "exp is missing: l - stop(l) is 0 in value and straight in l; "
         "exp(l - stop(l)) is 1, and bends"),
        (((box(logp) - 1) * credit).sum(0), "the derivatives are right, the value is not: exp(l - stop(l)) "
         "is 1, and nothing is subtracted from it"),
        ((0 * logp * credit).sum(0), "it is 0 whatever the log-probabilities are, and so is its gradient"),
        ((box(logp) * adv).sum(0), "the mask is not used: steps that nobody took are counted"),
        ((box(logp * mask) * adv).sum(0), "the mask is in the exponent, where it leaves a factor of 1 for "
         "steps that nobody took: multiply the credits by it"),
        (-right, "wrong sign: a surrogate is to be maximized, the loss turns its sign later"),
        (right / mask.sum(0), "this is the mean over steps: sum them, one objective for each episode"),
        (right / len(mask), "this divides by the number of rows: sum over the steps, one objective for each "
         "episode"),
        (dice_surrogate(logp, adv, mask), "this is the DiCE surrogate: for LVC each step stands alone"),
        ((box(so_far) * credit).sum(0), "the log-probabilities are summed up to step t, as in DiCE: in LVC "
         "each step stands alone"),
        (box(so_far[-1]) * credit.sum(0), "one factor, exp of the sum of all l, multiplies the sum of the "
         "credits: each step has a factor of its own"),
        ((box(logp) * credit)[0], "only the first step counts: does the loop `return` too early?"),
        (((still - logp).exp() * credit).sum(0), "the value is right, the gradient points down: it is "
         "exp(l - stop(l)), and you stopped the other one"),
        (credit.sum(0), "the value is right, but nothing is left to differentiate. Of the two l in "
         "exp(l - stop(l)) stop the second alone, with .detach(), and nothing else: numpy and "
         "torch.no_grad() stop both"),
        (((1 + logp - still) * credit).sum(0), "value and gradient are right, the Hessian is that of the "
         "plain surrogate: 1 + l - stop(l) is straight, exp bends"),
    ]  # fmt: skip
    return [(_derived(value, logp), message) for value, message in table]


LVC_SURROGATE = Trial(
    probes=lvc_probes,
    mistakes=wrong_surrogates,
    observe=lvc_parts,
    otherwise={
        RESULT: "its value must be the sum of the credits of the steps taken",
        GRADIENT: "the value is right, the gradient is not sum_t score_t A_t",
        SECOND: "value and gradient are right, the Hessian is not that of LVC",
    },
    praise="Value, gradient and second derivative are right, and each step stands alone.",
)


# --- the clipped objective


def clipped_probes() -> list[Probe]:
    """Return logp, old_logp, adv, mask [S, E] and clip: ratios from 0.3 to 2.8, advantages of both signs."""
    probes = []
    for lengths, clip in (((6, 3, 5, 2, 6), 0.25), ((4, 1, 4), 0.15), ((3, 4, 2), 0.4), ((5,), 0.3)):
        random, mask = np.random.default_rng(lengths), episode_mask(lengths)
        old = np.log(random.uniform(0.2, 0.35, mask.shape))
        logp = old + np.log(random.uniform(0.3, 2.8, mask.shape))
        logp, *others = tensors(logp, old, random.normal(size=mask.shape), mask)
        probes.append((logp.requires_grad_(), *others, clip))
    return probes


def clipped_parts(function: Any, logp: Tensor, *given: Any) -> Parts:
    """Return an objective and its gradient."""
    return _first_order(function(logp, *given), logp)


def _first_order(value: Any, logp: Tensor) -> Parts:
    return Parts({name: part for name, part in _derived(value, logp).items() if name != SECOND})


def wrong_clipped(logp: Tensor, old_logp: Tensor, adv: Tensor, mask: Tensor, clip: float) -> Wrong:
    """Return what each known mistake gives for the clipped objective, with its message."""
    low, high = 1 - clip, 1 + clip
    logs, ratio = logp - old_logp, (logp - old_logp).exp()

    def total(terms: Tensor) -> Tensor:
        return (terms * mask).sum(0)

    def cautious(x: Tensor, low: float = low, high: float = high) -> Tensor:
        return torch.minimum(x * adv, x.clamp(low, high) * adv)

    right, near = total(cautious(ratio)), ratio.clamp(low, high)
    table = [
        (total(torch.maximum(ratio * adv, near * adv)), "this takes the larger of the two: the minimum is "
         "the cautious one, which promises nothing beyond the clip"),
        (total(near * adv), "the clipped term alone: without the minimum, an action that became too likely "
         "and is bad could not be taken back"),
        (total(ratio * adv), "clip is not used"),
        (-right, "wrong sign: this is the objective, to be maximized; the loss turns its sign later"),
        (total(cautious(1 / ratio)), "the ratio is upside down: new probability divided by old"),
        (total(torch.minimum(ratio, near) * adv), "the minimum is taken before the advantage is multiplied "
         "in: for a negative advantage the order of the two terms turns round"),
        *((total(product), "the product is clipped: only the ratio is") for product in (
            (ratio * adv).clamp(low, high), torch.minimum(ratio * adv, (ratio * adv).clamp(low, high)))),
        (total(cautious(logs)), "a difference of logarithms is not yet a ratio: take exp"),
        (total(cautious(logp / old_logp)), "this divides the logarithms: the ratio of the probabilities is "
         "exp of their difference"),
        (total(cautious(logp.exp() - old_logp.exp())), "this is the difference of the probabilities: their "
         "ratio is asked for"),
        (total(cautious(ratio, -clip, clip)), "the ratio is clipped to -clip ... clip: it is 1 where "
         "nothing has changed, so the limits are 1 - clip and 1 + clip"),
        (total(torch.minimum(ratio * adv, logs.clamp(-clip, clip).exp() * adv)), "the logarithm is clipped "
         "to -clip ... clip: it is the ratio that stays between 1 - clip and 1 + clip"),
        (total(torch.minimum(ratio * adv, ratio.clamp(max=high) * adv)), "the ratio is clipped from above "
         "only: below 1 - clip as well"),
        (total(torch.minimum(ratio * adv, ratio.clamp(min=low) * adv)), "the ratio is clipped from below "
         "only: above 1 + clip as well"),
        (torch.minimum(total(ratio * adv), total(near * adv)), "the minimum is taken of two sums: it belongs "
         "to each step, before the sum"),
        (cautious(ratio).sum(0), "the mask is not used: steps that nobody took are counted"),
        (cautious((logs * mask).exp()).sum(0), "the mask is in the exponent, where it leaves a ratio of 1 "
         "for steps that nobody took: multiply the terms by it"),
        ((cautious(ratio) * mask)[0], "only the first step counts: does the loop `return` too early?"),
        (right / mask.sum(0), "this is each episode's mean over its steps: then a step counts more in an "
         "episode that ended early. Sum them"),
        (right / len(mask), "this divides by the number of rows, as .mean(0) does: sum over the steps"),
        (right.sum(), "this is the sum over all episodes: one number for each"),
        (right.mean(), "this is the mean over all episodes: one number for each"),
        (right.detach(), "the value is right, but nothing is left to differentiate: something was detached"),
    ]  # fmt: skip
    return [(_first_order(value, logp), message) for value, message in table]


def praise_clipped(value: Tensor, gradient: Tensor) -> str:
    """Say how many steps of the first probe the clip holds back."""
    mask = clipped_probes()[0][3]
    idle = ((gradient == 0) & (mask == 1)).sum().item()
    return f"Right. Of {mask.sum():.0f} steps {idle} have left the clip the good way and push no further."


CLIPPED_OBJECTIVE = Trial(
    probes=clipped_probes,
    mistakes=wrong_clipped,
    observe=clipped_parts,
    otherwise={
        RESULT: "not the sum of min(ratio * adv, clipped ratio * adv) over the steps",
        GRADIENT: "the value is right, its gradient by logp is not",
    },
    praise=praise_clipped,
)


# --- the paired interval


def return_probes() -> list[Probe]:
    """Return two methods' returns [S, T] on the same seeds and tasks: a clear gain, and two losses.

    Both methods have hard tasks and bad seeds, and the order of the seeds is not quite the same.
    """
    random, probes = np.random.default_rng(3), []
    for n_seeds, n_tasks, gain in ((5, 12, 15.0), (4, 7, -3.0), (4, 7, -9.0)):
        shared = 40 + random.normal(0, 9, (n_seeds, 1)) + random.normal(0, 12, (1, n_tasks))
        theirs, ours = (
            shared + random.normal(0, 2.5, (n_seeds, 1)) + random.normal(more, 3, (n_seeds, n_tasks))
            for more in (0.0, gain)
        )
        probes.append((ours, theirs))
    return probes


def wrong_intervals(ours: np.ndarray, theirs: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the paired interval, with its message."""
    from scipy.special import stdtrit

    gain, count = ours - theirs, len(ours)
    runs, (mine, other) = gain.mean(1), (interval(method.mean(1)) for method in (ours, theirs))
    mean, low, high = interval(runs)
    t, deviation = t_quantile(0.975, count - 1), runs.std(ddof=1)
    error = deviation / count**0.5
    squares = [method.mean(1).var(ddof=1) / count for method in (ours, theirs)]
    welch = sum(squares) ** 2 / sum(square**2 / (count - 1) for square in squares)

    def around(half: float) -> tuple[float, float, float]:
        return mean, mean - half, mean + half

    apart = "it ignores that both methods met the same seeds and tasks. Subtract first"
    sorted_ = "the returns are sorted before they are subtracted: then a seed of ours meets another of theirs"
    spread = (
        "this takes the deviation of the runs where the standard error of their mean belongs: that is the "
        "deviation divided by the root of their number"
    )
    return [
        (interval(gain.ravel()), "every task of every seed is counted as an independent run. The tasks of "
         "one seed share one trained policy: average over them first, the runs are the seeds"),
        (interval(gain.mean(0)), "this is an interval over tasks. It says nothing about another training "
         "run: average over tasks, then take the interval over seeds"),
        (interval(gain[0]), "only the first training run counts: average each over its tasks, then take the "
         "interval over the runs"),
        (tuple(ends.mean() for ends in interval(gain)), "this is the mean of the intervals of single tasks: "
         "average the differences over tasks first, then take one interval"),
        ((mine[0] - other[0], mine[1] - other[2], mine[2] - other[1]), f"these are the ends of two separate "
         f"intervals: {apart}"),
        ((mine[0] - other[0], mine[1] - other[1], mine[2] - other[2]), "two intervals are subtracted end by "
         "end: the difference of their ends is no interval of the difference. Subtract the returns first"),
        *((around(stdtrit(dof, 0.975) * sum(squares) ** 0.5), f"this is the interval of two independent "
           f"samples: {apart}") for dof in (welch, 2 * count - 2, count - 1)),
        (interval(-runs), "the sign is turned: ours minus theirs"),
        (mine, "this is the interval of ours alone: take that of the difference"),
        (other, "this is the interval of theirs alone: take that of the difference"),
        (interval(runs, level=0.9), "this is the 90 % interval: use 95 %"),
        (interval(runs, level=0.99), "this is the 99 % interval: use 95 %"),
        (interval(runs, level=0.975), "this is the 97.5 % interval: 2.5 % lie beyond each end of a 95 % one"),
        *((lost, "the sign of the differences is lost: where theirs earns more, the gain is negative")
          for lost in (interval(abs(gain).mean(1)), interval(abs(runs)), (abs(mean), abs(low), abs(high)))),
        (interval(np.median(gain, axis=1)), "this takes each run's median over tasks: take the mean"),
        *((interval(a - b), sorted_) for a, b in (
            (np.sort(ours.mean(1)), np.sort(theirs.mean(1))),
            (np.sort(ours, 0).mean(1), np.sort(theirs, 0).mean(1)))),
        (interval((gain / theirs).mean(1)), "this is a relative gain: the difference itself is asked for"),
        (around(1.96 * error), "1.96 is the normal distribution's factor: so few runs need Student's t, as "
         "`interval` does"),
        *((around(half), spread) for half in (
            t * deviation, 1.96 * deviation, 1.96 * runs.std(), t * runs.std(), deviation, runs.std())),
        (around(t * runs.std() / count**0.5), "almost: this deviation divides by n (np.std does); that of a "
         "sample divides by n - 1, as `interval` does"),
        (around(1.96 * runs.std() / count**0.5), "1.96 is the normal distribution's factor and np.std "
         "divides by n: so few runs need Student's t and n - 1, as `interval` does"),
        (around(2 * error), "2 is about the normal distribution's factor: so few runs need Student's t, as "
         "`interval` does"),
        (around(error), "this is one standard error to both sides: multiply it by Student's t"),
        ((mean, *np.percentile(runs, [2.5, 97.5])), "these are percentiles of the runs: they say where "
         "single runs lie, not how sure their mean is"),
        ((low, mean, high), "the order is mean, low, high"),
        ((mean, high, low), "the order is mean, low, high"),
        ((low, high, mean), "the order is mean, low, high"),
    ]  # fmt: skip


def praise_interval(right: tuple[float, float, float]) -> str:
    """Say what two separate intervals of the first probe would have shown."""
    separate = ("{1:.0f} to {2:.0f}".format(*interval(method.mean(1))) for method in return_probes()[0])
    paired = "{:.1f} ({:.1f} to {:.1f})".format(*right)
    return f"Paired: {paired}. Two separate intervals, {' and '.join(separate)}, overlap and show nothing."


PAIRED_INTERVAL = Trial(
    probes=return_probes,
    mistakes=wrong_intervals,
    otherwise="not the Student-t interval over seeds of the mean difference",
    praise=praise_interval,
)
