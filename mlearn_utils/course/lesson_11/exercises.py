"""The exercises of lesson 11; `mistakes` says how they are judged.

They carry no annotations: their first lines are what a student reads.
"""

import numpy as np
import torch

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_11 import mistakes

# --- a diagnosis


def diagnose(told, one_for_all, after, gradient_error):
    """Return the number of the first line that holds. The first three arguments are returns, one a training.

    0: knowing the task is worth less than 5: the mean of `told` less that of `one_for_all`.
    1: `gradient_error`, the relative error of the meta-gradient, is more than 0.01.
    2: there are fewer than three trainings in `after`, the returns after adaptation.
    3: some trainings, not all, gain at least half of what knowing the task is worth. (The gain of a
       training is its return after adaptation less the mean of `one_for_all`.)
    4: no training does.
    5: all do.
    """
    ### BEGIN SOLUTION
    worth = np.mean(told) - np.mean(one_for_all)
    good = after - np.mean(one_for_all) >= worth / 2
    if worth < 5:
        return 0
    if gradient_error > 0.01:
        return 1
    if len(after) < 3:
        return 2
    if good.all():
        return 5
    return 3 if good.any() else 4
    ### END SOLUTION


# --- the planted bug


def meta_loss(loss, theta, tasks, inner_lr, steps):
    """Return the mean query loss after `steps` inner steps on each task's support set, to be differentiated.

    loss(parameters, data) is a scalar; tasks is a list of pairs (support, query).
    """
    query_losses = []
    for support, query in tasks:
        adapted = theta
        for _ in range(steps):
            (slope,) = torch.autograd.grad(loss(adapted, support), adapted, create_graph=True)
            ### BEGIN SOLUTION
            adapted = adapted - inner_lr * slope
            ### END SOLUTION
            #| adapted = adapted - inner_lr * slope.detach()  # saves memory
        query_losses.append(loss(adapted, query))
    return torch.stack(query_losses).mean()


# --- the test of a tool


def gradient_error(objective, gradient, theta, h):
    """Return how far `gradient` is from the central differences of `objective` at theta, as a share of these.

    objective(theta) is a number; gradient and theta are arrays [F]; h is how far one entry of theta is moved
    to either side. Distance and size are Euclidean norms, np.linalg.norm.
    """
    ### BEGIN SOLUTION
    differences = np.zeros(len(theta))
    for k in range(len(theta)):
        move = h * np.eye(len(theta))[k]
        differences[k] = (objective(theta + move) - objective(theta - move)) / (2 * h)
    return np.linalg.norm(gradient - differences) / np.linalg.norm(differences)
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=diagnose,
        check=mistakes.DIAGNOSE,
        title="Why did mine not learn?",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "First compute what knowing the task is worth; then go through the lines from above.",
            "The gain is an array, one entry a training: compare it with half of that worth.",
            "good.all() and good.any() tell the last three lines apart.",
        ),
    ),
    Exercise(
        reference=meta_loss,
        check=mistakes.META_LOSS,
        title="Silently first order",
        level="core",
        minutes=3,
        points=2,
        planted=True,
        hints=(
            "The value that it returns is right. Differentiate it, and compare with finite differences.",
            "create_graph=True makes the slope a function of theta. What happens to that afterwards?",
        ),
    ),
    Exercise(
        reference=gradient_error,
        check=mistakes.GRADIENT_ERROR,
        title="The test of a tool",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "np.eye(F)[k] is 1 at entry k and 0 elsewhere: move theta by h times it, to both sides.",
            "The central difference is the change of the objective, divided by 2 h.",
            "np.linalg.norm(a - b) / np.linalg.norm(b) is how far a is from b, as a share of b.",
        ),
    ),
)
