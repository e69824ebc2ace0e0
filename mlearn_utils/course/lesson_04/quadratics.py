"""The toy world of lesson 04: tasks whose losses are parabolas, so that all of MAML has a closed form.

Task i has curvature a_i; its support loss has its lowest point at s_i and its query loss at q_i:

    L_i^support(theta) = a_i / 2 * (theta - s_i)^2          L_i^query(theta) = a_i / 2 * (theta - q_i)^2

A gradient step multiplies the distance to s_i by (1 - alpha a_i), so after K steps

    theta_i^K = s_i + rho_i (theta - s_i),     rho_i = (1 - alpha a_i)^K,
    dJ/dtheta = 1/T * sum_i rho_i a_i (theta_i^K - q_i).

First-order MAML leaves out the factor rho_i = d(theta_i^K)/d(theta).
"""

from typing import Any, NamedTuple

import numpy as np

Numbers = Any
"""A float or an array; functions of theta broadcast over its axes, tasks being the last axis."""


class Quadratics(NamedTuple):
    """T parabolas: three arrays [T]."""

    curvature: np.ndarray
    support_center: np.ndarray
    query_center: np.ndarray


TASKS = Quadratics(
    curvature=np.array([0.5, 1.0, 2.5]),
    support_center=np.array([-2.2, 0.4, 2.1]),
    query_center=np.array([-1.9, 0.6, 1.9]),
)
"""The three tasks of the lesson: a gentle, a medium and a steep one."""


def remaining(tasks: Quadratics, inner_lr: float, steps: int) -> np.ndarray:
    """Return rho [T]: which part of the distance to its support center a task keeps after `steps` steps."""
    return (1 - inner_lr * tasks.curvature) ** steps


def adapted_points(theta: Numbers, tasks: Quadratics, inner_lr: float, steps: int) -> np.ndarray:
    """Return theta_i^K of every task: [..., T] for theta of shape [...]."""
    away = np.asarray(theta)[..., None] - tasks.support_center
    return tasks.support_center + remaining(tasks, inner_lr, steps) * away


def meta_objective(theta: Numbers, tasks: Quadratics, inner_lr: float, steps: int) -> np.ndarray:
    """Return J(theta), the mean query loss after adaptation, for theta of any shape."""
    error = adapted_points(theta, tasks, inner_lr, steps) - tasks.query_center
    return (0.5 * tasks.curvature * error**2).mean(-1)


def first_order_slope(theta: Numbers, tasks: Quadratics, inner_lr: float, steps: int) -> np.ndarray:
    """Return what first-order MAML takes for dJ/dtheta: the mean query slope at the adapted points."""
    error = adapted_points(theta, tasks, inner_lr, steps) - tasks.query_center
    return (tasks.curvature * error).mean(-1)


def meta_slope(theta: Numbers, tasks: Quadratics, inner_lr: float, steps: int) -> np.ndarray:
    """Return dJ/dtheta: every task's query slope times the derivative rho of its adapted point."""
    error = adapted_points(theta, tasks, inner_lr, steps) - tasks.query_center
    return (remaining(tasks, inner_lr, steps) * tasks.curvature * error).mean(-1)


def best_start(tasks: Quadratics, inner_lr: float, steps: int) -> float:
    """Return the theta of the smallest meta-objective, where `meta_slope` is zero."""
    rho = remaining(tasks, inner_lr, steps)
    return _zero(tasks, rho, weight=tasks.curvature * rho)


def first_order_start(tasks: Quadratics, inner_lr: float, steps: int) -> float:
    """Return the theta at which first-order MAML stops, where `first_order_slope` is zero."""
    return _zero(tasks, remaining(tasks, inner_lr, steps), weight=tasks.curvature)


def joint_start(tasks: Quadratics) -> float:
    """Return the theta of the smallest mean query loss without adaptation."""
    return best_start(tasks, inner_lr=0.0, steps=0)


def _zero(tasks: Quadratics, rho: np.ndarray, weight: np.ndarray) -> float:
    """Solve sum_i weight_i (s_i + rho_i (theta - s_i) - q_i) = 0 for theta."""
    offset = rho * tasks.support_center - tasks.support_center + tasks.query_center
    return float((weight * offset).sum() / (weight * rho).sum())
