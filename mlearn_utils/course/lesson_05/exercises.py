"""MAML in practice: few-shot regression.

The exercises of lesson 05; `mistakes`, `baseline` and `positions` say how they are judged. They carry no
annotations: their first lines are what a student reads.
"""

import torch

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_05 import baseline, mistakes, positions

# --- a fair baseline


def fair_baseline(loss_after, rates, validation, test):
    """Return (rate, error) of a baseline: its best step size, and its mean error on test tasks with it.

    loss_after(rate, tasks) returns the squared errors of Q query points of T tasks after adaptation, [T, Q].
    With a rate that is too large some may be NaN (not a number): such a rate is never the best.
    """
    ### BEGIN SOLUTION
    tuned = torch.stack([loss_after(rate, validation).mean() for rate in rates])
    rate = rates[int(tuned.nan_to_num(torch.inf).argmin())]
    errors = loss_after(rate, test)
    return rate, float(errors.mean())
    ### END SOLUTION
    #| rate = rates[0]
    #| errors = loss_after(rate, validation)
    #| per_task = errors.mean(dim=1)
    #| return rate, float(per_task.mean() / errors.shape[1])


# --- Reptile


def reptile_update(theta, adapted, outer_lr):
    """Return theta moved by outer_lr times the mean over tasks of (adapted parameters - theta).

    theta is a dict of tensors; adapted is a list of such dicts, one for each task.
    """
    ### BEGIN SOLUTION
    moves = {name: torch.stack([end[name] - theta[name] for end in adapted]).mean(0) for name in theta}
    return {name: theta[name] + outer_lr * moves[name] for name in theta}
    ### END SOLUTION


# --- ANIL


def anil_step(loss, params, support, inner_lr, names):
    """Return all parameters after one inner step in which only those in `names` move.

    params is a dict of tensors, loss(params, support) a scalar tensor. The result has the
    same keys and can be differentiated by all of params.
    """
    ### BEGIN SOLUTION
    gradients = torch.autograd.grad(
        loss(params, support), [params[name] for name in names], create_graph=True
    )
    steps = dict(zip(names, gradients, strict=True))
    return {
        name: value - inner_lr * steps[name] if name in steps else value for name, value in params.items()
    }
    ### END SOLUTION


# --- where to look


def five_positions():
    """Return five positions in [-5, 5] at which to measure an unknown wave, as a list of numbers."""
    ### BEGIN SOLUTION
    return [-4.0, -2.0, 0.0, 2.0, 4.0]
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=fair_baseline,
        check=baseline.check_fair_baseline,
        title="A fair baseline",
        level="core",
        minutes=6,
        points=3,
        planted=True,
        hints=(
            "There are three bugs: one in the choice of the step size, one in who judges, one in the mean.",
            "For each rate, loss_after(rate, validation).mean() says how good it is; take the smallest. For "
            "argmin NaN is the smallest of all: .nan_to_num(torch.inf) puts infinity in its place.",
            "The error is the mean of loss_after(rate, test): once over all points of all tasks.",
        ),
    ),
    Exercise(
        reference=five_positions,
        check=positions.check_five_positions,
        title="Where to look",
        level="explore",
        minutes=4,
        points=1,
        hints=(
            "A wave of this family repeats after 6.28, and half of that away it is just upside down.",
            "Cover the range, and keep away from distances of 3.14.",
        ),
    ),
    Exercise(
        reference=reptile_update,
        check=mistakes.REPTILE_UPDATE,
        title="Reptile's update",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "Where does a task want theta to go? To its adapted parameters: the move is adapted - theta.",
            "For each name: torch.stack([end[name] - theta[name] for end in adapted]).mean(0).",
        ),
    ),
    Exercise(
        reference=anil_step,
        check=mistakes.ANIL_STEP,
        title="ANIL's filter",
        level="core",
        minutes=6,
        points=3,
        hints=(
            "Take the gradient only by the parameters in names, and build the result from all parameters.",
            "torch.autograd.grad(loss(params, support), [params[name] for name in names], create_graph=True)",
            "A parameter that does not move is returned as it is: the very same tensor, so that the outer "
            "gradient reaches it.",
        ),
    ),
)
