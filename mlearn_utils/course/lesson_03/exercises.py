"""Policy gradients.

The exercises of lesson 03; `mistakes` says how they are judged. They carry no annotations: their first lines
are what a student reads.
"""

import torch

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_03 import mistakes

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


# --- the loss


def policy_gradient_loss(logp, adv, mask):
    """Return the loss: minus the mean, over the steps taken, of logp times adv; adv is held constant.

    logp: [S, E] log-probabilities of the actions taken. adv: [S, E] what they were worth. mask: [S, E].
    """
    ### BEGIN SOLUTION
    return -(logp * adv.detach() * mask).sum() / mask.sum()
    ### END SOLUTION


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


# --- the best baseline


def best_baseline(score, reward, probability):
    """Return the b for which the variance of score * (reward - b) is smallest; arrays [K] of outcomes."""
    ### BEGIN SOLUTION
    weight = probability * score**2
    return float((weight * reward).sum() / weight.sum())
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=returns_to_go,
        check=mistakes.RETURNS_TO_GO,
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
        check=mistakes.POLICY_GRADIENT_LOSS,
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
        check=mistakes.GAE,
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
        check=mistakes.NORMALIZED,
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
        check=mistakes.BEST_BASELINE,
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
