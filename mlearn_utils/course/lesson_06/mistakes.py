"""How the answers of lesson 06 are judged: probes, known mistakes, and what to tell who made them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong
from mlearn_utils.rl import returns
from mlearn_utils.rl.surrogates import dice_surrogate, plain_surrogate

OWN, COMMON = (1, 2), (0, 1, 2)
"""Axes of [T, S, E]: the steps and episodes of a task, and those of all tasks."""

AFTER_END = "The result after the end of an episode"
GRADIENT, SECOND = "Its gradient by logp", "Its second derivative by logp"


def _taken(lengths: Any) -> np.ndarray:
    """Return the mask [..., S, E] of episodes of these lengths [..., E]."""
    ends = np.array(lengths)[..., None, :]
    return (np.arange(ends.max())[:, None] < ends).astype(float)


def _tensors(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(map(torch.from_numpy, arrays))


# --- advantages of several tasks


def make_tasks(lengths: tuple[tuple[int, ...], ...], n_features: int) -> tuple[Tensor, ...]:
    """Return reward [T, S, E], features [T, S, E, K] and mask of tasks with episodes of these lengths [T, E].

    The tasks go from easy to hard. Rewards depend on the features, otherwise in each task, and hold junk
    after the end.
    """
    random, mask = np.random.default_rng(np.array(lengths).ravel()), _taken(lengths)
    level, slope = (np.array(values[: len(mask)])[:, None, None] for values in ((4, 0.5, 2), (1, -0.5, 2)))
    x = random.normal(size=(*mask.shape, n_features))
    x[..., 0] = 1.0
    reward = level + slope * x[..., 1] + 0.5 * random.normal(size=mask.shape)
    return _tensors(np.where(mask == 1, reward, 7 * random.normal(size=mask.shape)), x, mask)


def advantage_probes() -> list[Probe]:
    """Return reward, x, mask, gamma and lam: an easy task and a hard one, twice, then three."""
    two, other_two = ((6, 3, 6, 2), (2, 6, 4, 6)), ((3, 6, 5, 6), (6, 4, 6, 2))
    three = ((5, 2, 5), (3, 5, 5), (5, 5, 4))
    cases = ((two, 3, 0.9, 0.6), (other_two, 3, 0.8, 0.3), (three, 2, 0.75, 0.45))
    return [(*make_tasks(lengths, n_features), *factors) for lengths, n_features, *factors in cases]


def advantage_parts(
    function: Any, reward: Tensor, x: Tensor, mask: Tensor, gamma: float, lam: float
) -> Parts:
    """Return the advantages on the steps taken, and those after the end."""
    return _split(function(reward, x, mask, gamma, lam), mask)


def _split(adv: Any, mask: Tensor) -> Parts:
    nothing = torch.zeros_like(mask)
    if not isinstance(adv, Tensor) or adv.shape != mask.shape or adv.layout != torch.strided:
        return Parts({RESULT: adv, AFTER_END: nothing})
    return Parts({RESULT: torch.where(mask == 1, adv, 0), AFTER_END: torch.where(mask == 1, 0, adv) + 0})


def wrong_advantages(reward: Tensor, x: Tensor, mask: Tensor, gamma: float, lam: float) -> Wrong:
    """Return what each known mistake gives for the advantages of several tasks, with its message."""
    nothing, ones = torch.zeros_like(mask), torch.ones_like(mask)
    to_go = returns.returns_to_go(reward, mask, gamma=gamma)

    def fitted(targets: Tensor, steps: Tensor = mask) -> Tensor:
        return returns.baseline_values(returns.fit_ridge(x, targets, steps), x)

    def gae(values: Tensor, gamma: float = gamma, lam: float = lam) -> Tensor:
        return returns.gae(reward, values, mask, gamma=gamma, lam=lam)

    one_task = (torch.cat(list(array), dim=1) for array in (x, to_go, mask))  # [T, S, E] -> [S, T E]
    pooled = gae(returns.baseline_values(returns.fit_ridge(*one_task), x))
    values, swapped = fitted(to_go), "gamma and lam are exchanged"
    credits = [
        (pooled, "one baseline is fitted to the episodes of all tasks: it predicts their average, and is "
         "wrong for each. Each task needs its own"),
        (gae(nothing), "the baseline is not used: its values belong into GAE"),
        (gae(fitted(reward)), "the baseline is fitted to the rewards: it predicts the return to go"),
        (gae(fitted(returns.returns_to_go(reward, mask, gamma=1.0))), "the baseline is fitted to the sums of "
         "rewards without discount: the return to go uses gamma, too"),
        (gae(fitted(returns.returns_to_go(reward, ones, gamma=gamma))), "rewards after the end of an episode "
         "are in the return to go: it takes the mask"),
        (gae(fitted(to_go, ones)), "the baseline is fitted to the entries after the end of an episode, too: "
         "it takes the mask"),
        (gae(values, lam=1.0), "lam is not used: this is the return to go less the baseline"),
        (gae(values, lam=0.0), "lam is not used: these are the advantages with lam = 0"),
        (gae(values, gamma=1.0), "GAE is computed without a discount: it uses gamma, too"),
        (gae(values, lam, gamma), swapped),
        (gae(fitted(returns.returns_to_go(reward, mask, gamma=lam)), lam, gamma), swapped),
        (returns.gae(to_go, values, mask, gamma=gamma, lam=lam), "GAE takes the rewards, not the returns to "
         "go"),
        (to_go, "these are the returns to go, normalized: neither the baseline nor GAE is in them"),
        (returns.gae(reward, values, ones, gamma=gamma, lam=lam), "GAE goes on after the end of an episode: "
         "it takes the mask"),
    ]  # fmt: skip
    table = [(returns.normalise(adv, mask), message) for adv, message in credits]
    table += _wrong_scales(gae(values), mask)
    table.append((_wrong_scales(pooled, mask)[0][0], "all tasks are thrown into one pot: the baseline, the "
                  "mean and the deviation must all be each task's own"))  # fmt: skip
    return [(_split(adv, mask), message) for adv, message in table]


def _wrong_scales(adv: Tensor, mask: Tensor) -> Wrong:
    """Return what each known mistake makes of advantages [T, S, E] that are to be normalized."""

    def mean(of: Tensor, over: tuple[int, ...] = OWN) -> Tensor:
        return (of * mask).sum(over, keepdim=True) / mask.sum(over, keepdim=True).clamp(min=1)

    def deviation(of: Tensor, over: tuple[int, ...] = OWN) -> Tensor:
        return mean(of**2, over).sqrt() + 1e-8

    def scaled(over: tuple[int, ...]) -> Tensor:
        return (adv - mean(adv, over)) * mask / deviation(adv - mean(adv, over), over)

    own, common, padded = adv - mean(adv), adv - mean(adv, COMMON), adv - adv.mean(OWN, keepdim=True)
    n, size, ones = mask.sum(OWN, keepdim=True), mask[0].numel(), torch.ones_like(mask)
    whole = [adv.std(OWN, correction=k, keepdim=True) for k in (0, 1)]  # over the entries after the end, too
    by_size, by_steps = ((c**2).sum(OWN, keepdim=True) for c in (own * mask, own))
    return [
        (scaled(COMMON), "normalized across tasks: one mean and one deviation for all of them. The deviation "
         "sets the scale: a task whose advantages vary much then takes a large inner step, the others hardly "
         "move. Each task needs its own"),
        (own * mask / deviation(own, COMMON), "each task has its own mean, but one deviation serves all: "
         "then a task whose advantages vary much takes a large inner step, and the others hardly move"),
        (common * mask / deviation(own), "one mean is subtracted from all tasks: each has its own"),
        (adv, "these advantages are not normalized: the inner step would be as large as the rewards are"),
        (own * mask, "the mean is subtracted, the division by the deviation is missing"),
        *((adv / deviation(c), "the mean is not subtracted") for c in (own, adv)),
        (own * mask / deviation(own) ** 2, "this divides by the variance: the deviation is its root"),
        (scaled((1,)), "each episode has its own mean: then a good episode looks no better than a bad one. "
         "Average over the steps and episodes of a task"),
        (scaled((2,)), "each step number has its own mean: average over the steps and episodes of a task"),
        *((scaled(over), "the mean runs over axis 0, that of the tasks: average over axes 1 and 2, the steps "
           "and episodes of a task") for over in ((0,), (0, 1), (0, 2))),
        (own * mask / deviation(own) * ((n - 1) / n).sqrt(), "almost: this deviation divides by n - 1 "
         "(torch.std does); here it is the root of the mean square, which divides by n"),
        *((padded / spread * kept, "the mean counts entries after the end of an episode, where A is 0: "
           "divide by mask.sum(), not by the size of the array")
          for spread in (*whole, (padded * mask).square().mean(OWN, keepdim=True).sqrt(), deviation(padded))
          for kept in (mask, ones)),
        *((own / spread * kept, "the mean is right, the deviation counts entries after the end of an "
           "episode: sum the squares over the steps taken and divide by mask.sum()")
          for spread in (*whole, (by_size / size).sqrt(), (by_steps / n).sqrt()) for kept in (mask, ones)),
    ]  # fmt: skip


TASK_ADVANTAGES = Trial(
    probes=advantage_probes,
    mistakes=wrong_advantages,
    observe=advantage_parts,
    otherwise={
        RESULT: "not GAE over each task's own baseline, normalized within each task",
        AFTER_END: "right where a step was taken, but not 0 after the end of an episode: use the mask",
    },
    praise="Right for two tasks and for three: what one of them earns changes nothing in the others.",
    tol=1e-4,  # 1e-5 or 1e-8 beside the deviation is a matter of taste
)


# --- surrogates: a value of each episode, and its derivatives


def _derived(value: Any, logp: Tensor) -> Parts:
    """Return a value [E] and two derivatives of its weighed sum: by logp, and of that along some direction.

    They are zero where there is nothing to derive.
    """
    gradient = second = torch.zeros_like(logp)
    if isinstance(value, Tensor) and value.requires_grad:
        weight = torch.linspace(1.0, 2.0, value.numel(), dtype=logp.dtype).reshape(value.shape)
        gradient = _slope((weight * value).sum(), logp)
    if gradient.requires_grad:
        direction = torch.arange(logp.numel()).reshape(logp.shape).cos()
        second = _slope((direction * gradient).sum(), logp)
    return Parts({RESULT: value, GRADIENT: gradient.detach(), SECOND: second.detach()})


def _slope(value: Tensor, by: Tensor) -> Tensor:
    return torch.autograd.grad(value, by, create_graph=True, allow_unused=True, materialize_grads=True)[0]


def lvc_probes() -> list[Probe]:
    """Return logp, adv and mask [S, E], with junk in adv after the end."""
    probes = []
    for lengths in ((4, 2, 3), (2, 4, 4), (1, 5, 3, 5)):
        random, mask = np.random.default_rng(lengths), _taken(lengths)
        logp, adv, mask = _tensors(
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
        (credit.sum(0), "the value is right, but each step has a factor that is 1 whatever theta is, so "
         "nothing is left to differentiate: of the two l in exp(l - stop(l)) the second is stopped, with "
         ".detach(), and the first is not"),
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
    """Return logp, old_logp, adv, mask [S, E] and clip: ratios from 0.5 to 1.8, advantages of both signs."""
    probes = []
    for lengths, clip in (((6, 3, 5, 2, 6), 0.25), ((4, 2, 4), 0.15), ((3, 4, 2), 0.4)):
        random, mask = np.random.default_rng(lengths), _taken(lengths)
        old = np.log(random.uniform(0.2, 0.55, mask.shape))
        logp = old + np.log(random.uniform(0.5, 1.8, mask.shape))
        logp, *others = _tensors(logp, old, random.normal(size=mask.shape), mask)
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
