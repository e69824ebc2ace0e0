"""MAML: objective and update rule.

The exercises of lesson 04; `mistakes` says how they are judged. They carry no annotations: their first lines
are what a student reads.
"""

import torch

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_04 import mistakes

# --- one inner step


def inner_step(loss, theta, support, inner_lr):
    """Return theta after one gradient step on loss(theta, support), as a differentiable function of theta."""
    ### BEGIN SOLUTION
    (gradient,) = torch.autograd.grad(loss(theta, support), theta, create_graph=True)
    return theta - inner_lr * gradient
    ### END SOLUTION


# --- the meta-gradient


def meta_gradient(loss, theta, tasks, inner_lr):
    """Return d/dtheta of the mean query loss after one inner step on each task's own support set."""
    ### BEGIN SOLUTION
    query_losses = []
    for support, query in tasks:
        (gradient,) = torch.autograd.grad(loss(theta, support), theta, create_graph=True)
        adapted = theta - inner_lr * gradient
        query_losses.append(loss(adapted, query))
    return torch.autograd.grad(torch.stack(query_losses).mean(), theta)[0]
    ### END SOLUTION


# --- the first-order bug


def adapted_query_loss(loss, theta, support, query, inner_lr, steps):
    """Return the query loss after `steps` inner steps, ready to be differentiated with respect to theta."""
    adapted = theta
    for _ in range(steps):
        ### BEGIN SOLUTION
        gradient = torch.autograd.grad(loss(adapted, support), adapted, create_graph=True)[0]
        ### END SOLUTION
        #| gradient = torch.autograd.grad(loss(adapted, support), adapted, retain_graph=True)[0]
        adapted = adapted - inner_lr * gradient
    return loss(adapted, query)


# --- where first order goes the other way


def disagreement():
    """Return (theta, inner_lr) where exact and first-order gradient of the three tasks differ in sign.

    One inner step, and a small one: 0 < inner_lr <= 0.2, so that no task covers more than half its distance.
    """
    ### BEGIN SOLUTION
    return 0.6, 0.2
    ### END SOLUTION


# --- the best start in closed form


def best_start(curvature, support_center, query_center, inner_lr, steps):
    """Return the theta of the smallest meta-objective of T parabolas, given as three arrays [T]."""
    ### BEGIN SOLUTION
    rho = (1 - inner_lr * curvature) ** steps
    weight = curvature * rho
    return float((weight * (query_center - (1 - rho) * support_center)).sum() / (weight * rho).sum())
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=inner_step,
        check=mistakes.INNER_STEP,
        title="One inner step",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "You need the gradient of loss(theta, support) with respect to theta, then one line of descent.",
            "torch.autograd.grad(value, theta) returns a tuple of one gradient and leaves theta.grad alone.",
            "The result must be differentiable through the gradient: "
            "torch.autograd.grad(..., create_graph=True).",
        ),
    ),
    Exercise(
        reference=meta_gradient,
        check=mistakes.META_GRADIENT,
        title="The meta-gradient",
        level="core",
        minutes=8,
        points=3,
        hints=(
            "For each (support, query): adapt from theta on the support set, keep the loss on the query set.",
            "Collect the query losses in a list; torch.stack(list).mean() is the objective J(theta).",
            "One last torch.autograd.grad(objective, theta)[0] differentiates through all inner steps, if "
            "each was built with create_graph=True.",
        ),
    ),
    Exercise(
        reference=adapted_query_loss,
        check=mistakes.ADAPTED_QUERY_LOSS,
        title="Find the first-order bug",
        level="core",
        minutes=3,
        points=2,
        planted=True,
        hints=(
            "The value it returns is right. What is wrong shows only when you differentiate it.",
            "Read the keyword arguments of torch.autograd.grad: which keeps an existing graph, which makes a "
            "new one?",
        ),
    ),
    Exercise(
        reference=disagreement,
        check=mistakes.check_disagreement,
        title="Where first order walks the wrong way",
        level="explore",
        minutes=3,
        points=2,
        hints=(
            "In the explorer, look at the marks ▼ and ◇ on the right: where each gradient is zero.",
            "Between these two points one of the gradients is positive and the other negative.",
            "Set α to 0.2 and drag θ between the marks, at 0.43 and 0.72.",
        ),
    ),
    Exercise(
        reference=best_start,
        check=mistakes.BEST_START,
        title="The best start in closed form",
        level="research",
        minutes=12,
        points=3,
        hints=(
            "Write the adapted point as s + rho (theta - s) with rho = (1 - inner_lr a)^K.",
            "Set sum_i rho_i a_i (s_i + rho_i (theta - s_i) - q_i) to zero: it is linear in theta.",
            "theta = sum_i a_i rho_i (q_i - (1 - rho_i) s_i) / sum_i a_i rho_i^2.",
        ),
    ),
)
