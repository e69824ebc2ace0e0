"""Policy gradients.

The exercises of lesson 03. Every checker compares the answer with the right value and with the values that
the known mistakes give, so that its message can name the one that was made. The exercises themselves carry no
annotations: their first lines are what a student reads.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_03.mistakes import (
    make_advantages,
    make_episodes,
    make_steps,
    same,
    wrong_advantages,
    wrong_baselines,
    wrong_losses,
    wrong_normalized,
    wrong_returns,
)
from mlearn_utils.rl import returns

TITLE = "Policy gradients"

# --- the return to go


def returns_to_go(reward, mask, gamma):
    """Return [S, E] the discounted return from each step on, 0 where the mask is 0; reward, mask: [S, E]."""
    ### BEGIN SOLUTION
    result = torch.zeros_like(reward)
    ahead = torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        ahead = mask[t] * (reward[t] + gamma * ahead)
        result[t] = ahead
    return result
    ### END SOLUTION


def check_returns_to_go(answer: Callable) -> str:
    """Compare on three episodes of different lengths with the right values and those of the mistakes."""
    reward, _, mask = make_episodes()
    for gamma in (0.9, 0.5):
        result = answer(reward.clone(), mask.clone(), gamma)
        for wrong, message in wrong_returns(reward, mask, gamma):
            expect(not same(result, wrong), message)
        right = returns.returns_to_go(reward, mask, gamma=gamma)
        expect_close(result, right, "not G_t = r_t + gamma G_{t+1} within each episode")
    _unchanged(answer, (reward, mask), 0.9)
    one_step = answer(reward[:1], mask[:1], 0.9)
    expect_close(one_step, reward[:1], "an episode of one step returns its only reward")
    return "Right for episodes of 5, 3 and 1 steps; the step that ends an episode is paid, none after it is."


# --- the loss


def policy_gradient_loss(logp, adv, mask):
    """Return the scalar whose gradient is minus the policy gradient, a mean over the steps taken.

    logp: [S, E] log-probabilities of the actions taken. adv: [S, E] what they were worth. mask: [S, E].
    """
    ### BEGIN SOLUTION
    return -(logp * adv.detach() * mask).sum() / mask.sum()
    ### END SOLUTION


def check_policy_gradient_loss(answer: Callable) -> str:
    """Check the value, then the derivative: nothing may flow through the advantages."""
    theta, logp, adv, mask = make_steps()
    result = answer(logp, adv, mask)
    for wrong, message in wrong_losses(logp, adv, mask):
        expect(not same(result, wrong), message)
    right = policy_gradient_loss(logp, adv, mask)
    expect_close(result, right.detach(), "not minus the mean of logp * adv over the steps taken")
    expect(
        result.requires_grad,
        "the value is right, but nothing is left to differentiate: the log-probabilities were detached, or "
        "turned into numbers",
    )
    derivative = torch.autograd.grad(result, theta, allow_unused=True, retain_graph=True)[0]
    swapped = -(logp.detach() * adv * mask).sum() / mask.sum()
    expect(
        not same(derivative, torch.autograd.grad(swapped, theta, retain_graph=True)[0]),
        "the log-probabilities were detached and the gradient flows through the advantages: it must be the "
        "other way round",
    )
    expect_close(
        derivative,
        torch.autograd.grad(right, theta, retain_graph=True)[0],
        "the value is right, its gradient is not: it also flows through the advantages. A return is data, "
        "not a function of theta to be tuned: detach it",
    )
    large = answer(logp, 100 * adv, mask)
    expect_close(large, 100 * right.detach(), "large advantages are cut: the loss is linear in them")
    return "Value and gradient are right; the advantages are treated as constants."


# --- generalized advantages


def gae(reward, values, mask, gamma, lam):
    """Return [S, E] generalized advantages, 0 where the mask is 0; values: [S, E], V(s_t) of each step."""
    ### BEGIN SOLUTION
    adv = torch.zeros_like(reward)
    ahead = next_value = torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        delta = reward[t] + gamma * next_value - values[t]
        ahead = mask[t] * (delta + gamma * lam * ahead)
        adv[t], next_value = ahead, mask[t] * values[t]
    return adv
    ### END SOLUTION


def check_gae(answer: Callable) -> str:
    """Compare with the package's vectorized version, with the mistakes, and at both ends of lambda."""
    reward, values, mask = make_episodes()
    gamma, lam = 0.9, 0.6
    result = answer(reward.clone(), values.clone(), mask.clone(), gamma, lam)
    for wrong, message in wrong_advantages(reward, values, mask, gamma, lam):
        expect(not same(result, wrong), message)
    right = returns.gae(reward, values, mask, gamma=gamma, lam=lam)
    expect_close(result, right, "not A_t = delta_t + gamma lam A_{t+1} within each episode")
    _unchanged(answer, (reward, values, mask), gamma, lam)
    to_go = (returns.returns_to_go(reward, mask, gamma=gamma) - values) * mask
    expect_close(answer(reward, values, mask, gamma, 1.0), to_go, "with lam = 1 it should be G_t - V(s_t)")
    return "Equal to the package's version; with lam = 1 it is the return to go less the baseline."


def _unchanged(answer: Callable, arrays: tuple[Tensor, ...], *numbers: float) -> None:
    copies = [array.clone() for array in arrays]
    answer(*copies, *numbers)
    unchanged = all(torch.equal(copy, array) for copy, array in zip(copies, arrays, strict=True))
    expect(unchanged, "an argument was changed in place: return a new tensor")


# --- the planted bug


def normalized(adv, mask):
    """Return advantages [T, S, E] with mean 0 and deviation 1 over the steps of each task, 0 elsewhere."""
    ### BEGIN SOLUTION
    within = (-2, -1)
    ### END SOLUTION
    #| within = (-3, -2, -1)
    count = mask.sum(within, keepdim=True)
    mean = (adv * mask).sum(within, keepdim=True) / count
    centered = (adv - mean) * mask
    deviation = ((centered**2).sum(within, keepdim=True) / count).sqrt()
    return centered / (deviation + 1e-8)


def check_normalized(answer: Callable) -> str:
    """Compare on an easy and a hard task with the right values and those of the mistakes."""
    adv, mask = make_advantages()
    result = answer(adv.clone(), mask.clone())
    for wrong, message in wrong_normalized(adv, mask):
        expect(not same(result, wrong), message)
    expect_close(result, returns.normalise(adv, mask), "not mean 0 and deviation 1 over each task's steps")
    return "Each task has mean 0 and deviation 1 over its own steps, whatever the other task earns."


# --- the best baseline


def best_baseline(score, reward, probability):
    """Return the b for which the variance of score * (reward - b) is smallest; arrays [K] of outcomes."""
    ### BEGIN SOLUTION
    weight = probability * score**2
    return float((weight * reward).sum() / weight.sum())
    ### END SOLUTION


def check_best_baseline(answer: Callable) -> str:
    """Compare on random bandits with the right value and with those of the shortcuts."""
    random = np.random.default_rng(0)
    for _ in range(3):
        chance = random.dirichlet(np.ones(4))
        score, reward = random.normal(size=4), random.normal(5.0, 2.0, 4)
        score = score - chance @ score  # as for every policy, the mean score is 0
        result = answer(score, reward, chance)
        expect_close(result, 0.0, "", tol=float("inf"))
        for wrong, message in wrong_baselines(score, reward, chance):
            expect(abs(float(result) - wrong) > 1e-6, message)
        right = best_baseline(score, reward, chance)
        off = abs(float(result) - right)
        expect(not 1e-6 < off < 0.02, f"close, but {off:.1e} off: set the derivative to zero instead")
        expect_close(float(result), right, "not where the variance is smallest")
    return "On three random bandits, the derivative of the variance by b is zero there."


EXERCISES = (
    Exercise(
        reference=returns_to_go,
        check=check_returns_to_go,
        title="The return to go",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "Go through the steps from the last to the first and carry G_{t+1} along.",
            "G_t = r_t + gamma G_{t+1}: one line in the loop, for all E episodes at once.",
            "Multiply by mask[t] in that line: after the end it resets to 0 what is carried, and at the step "
            "that ends the episode mask[t] is 1.",
        ),
    ),
    Exercise(
        reference=policy_gradient_loss,
        check=check_policy_gradient_loss,
        title="The loss",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "The gradient estimate is the mean over the steps of (gradient of logp) times adv.",
            "Which number has this gradient? And optimizers go downhill.",
            "Sum logp * adv * mask, divide by mask.sum(), turn the sign; adv.detach() keeps the advantages "
            "constant.",
        ),
    ),
    Exercise(
        reference=gae,
        check=check_gae,
        title="Generalized advantages",
        level="core",
        minutes=7,
        points=3,
        hints=(
            "The loop of the return to go, with delta_t in the place of r_t and gamma * lam as factor.",
            "delta_t = r_t + gamma V(s_{t+1}) - V(s_t); after the last step of an episode V counts as 0.",
            "Carry two things backwards: the advantage of the next step and its value, both times its mask.",
        ),
    ),
    Exercise(
        reference=normalized,
        check=check_normalized,
        title="Find the bug: one scale for all tasks",
        level="core",
        minutes=4,
        points=2,
        planted=True,
        hints=(
            "The arrays are [task, step, episode]. Over which of these axes should a mean be taken?",
            "within=(-3, -2, -1) is all three: an easy task's high returns raise the mean for the hard one.",
        ),
    ),
    Exercise(
        reference=best_baseline,
        check=check_best_baseline,
        title="The best baseline",
        level="research",
        minutes=10,
        points=3,
        hints=(
            "The mean of score * (reward - b) does not depend on b, so only its mean square does.",
            "E[score^2 (reward - b)^2] is a parabola in b.",
            "b = E[score^2 reward] / E[score^2].",
        ),
    ),
)
