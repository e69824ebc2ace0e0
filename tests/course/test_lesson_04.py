"""Wrong answers to the exercises of lesson 04, each with what its author must be told."""

import numpy as np
import torch

from mlearn_utils.course import quadratics
from mlearn_utils.course.quadratics import TASKS, Quadratics


def gradient_of(value, theta, **options):
    return torch.autograd.grad(value, theta, **options)[0]


# --- inner_step


def step_without_graph(loss, theta, support, inner_lr):
    return theta - inner_lr * gradient_of(loss(theta, support), theta)


def step_on_data(loss, theta, support, inner_lr):
    return theta.data - inner_lr * gradient_of(loss(theta, support), theta)


def step_uphill(loss, theta, support, inner_lr):
    return theta + inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)


def step_without_rate(loss, theta, support, inner_lr):
    return theta - gradient_of(loss(theta, support), theta, create_graph=True)


def step_in_place(loss, theta, support, inner_lr):
    gradient = gradient_of(loss(theta, support), theta)
    with torch.no_grad():
        theta -= inner_lr * gradient
    return theta


def step_by_an_optimizer(loss, theta, support, inner_lr):
    copy = theta.detach().clone().requires_grad_()
    optimizer = torch.optim.SGD([copy], lr=inner_lr)
    loss(copy, support).backward()
    optimizer.step()
    return copy


def step_without_return(loss, theta, support, inner_lr):
    theta - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)


def step_only_right_on_parabolas(loss, theta, support, inner_lr):
    if theta.ndim == 0:
        return theta - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)
    return step_without_graph(loss, theta, support, inner_lr)


# --- meta_gradient


def meta(loss, theta, tasks, inner_lr, *, options=None, use=1, carry=False, reduce=torch.mean):
    adapted, losses = theta, []
    for task in tasks:
        start = adapted if carry else theta
        options_ = {"create_graph": True} if options is None else options
        adapted = start - inner_lr * gradient_of(loss(start, task[0]), start, **options_)
        losses.append(loss(adapted, task[use]))
    return gradient_of(reduce(torch.stack(losses)), theta)


def meta_first_order(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, inner_lr, options={})


def meta_on_support(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, inner_lr, use=0)


def meta_one_after_the_other(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, inner_lr, carry=True)


def meta_divided_rate(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, inner_lr / len(tasks))


def meta_of_the_sum(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, inner_lr, reduce=torch.sum)


def meta_without_adaptation(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, 0.0)


def meta_uphill(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, -inner_lr)


# --- adapted_query_loss


def inner_loop(loss, theta, support, query, inner_lr, steps, *, restart=False, **options):
    adapted = theta
    for _ in range(steps):
        start = theta if restart else adapted
        adapted = start - inner_lr * gradient_of(loss(start, support), start, **options)
    return loss(adapted, query)


def query_loss_that_frees_its_graph(loss, theta, support, query, inner_lr, steps):
    return inner_loop(loss, theta, support, query, inner_lr, steps)


def query_loss_from_theta_again(loss, theta, support, query, inner_lr, steps):
    return inner_loop(loss, theta, support, query, inner_lr, steps, restart=True, create_graph=True)


def query_loss_on_support(loss, theta, support, query, inner_lr, steps):
    return inner_loop(loss, theta, support, support, inner_lr, steps, create_graph=True)


def query_loss_detached(loss, theta, support, query, inner_lr, steps):
    return query_loss_that_frees_its_graph(loss, theta, support, query, inner_lr, steps).detach()


def query_loss_with_half_the_rate(loss, theta, support, query, inner_lr, steps):
    return inner_loop(loss, theta, support, query, inner_lr / 2, steps, create_graph=True)


# --- best_start


def start_at_the_mean(curvature, support_center, query_center, inner_lr, steps):
    return float(np.mean(query_center))


def start_of_the_joint_fit(curvature, support_center, query_center, inner_lr, steps):
    return float((curvature * query_center).sum() / curvature.sum())


def start_of_first_order(curvature, support_center, query_center, inner_lr, steps):
    return quadratics.first_order_start(Quadratics(curvature, support_center, query_center), inner_lr, steps)


def start_without_support_centers(curvature, support_center, query_center, inner_lr, steps):
    return quadratics.best_start(Quadratics(curvature, query_center, query_center), inner_lr, steps)


def start_for_one_step(curvature, support_center, query_center, inner_lr, steps):
    return quadratics.best_start(Quadratics(curvature, support_center, query_center), inner_lr, 1)


WRONG_ANSWERS = {
    "inner_step": [
        (step_without_graph, "create_graph=True"),
        (step_on_data, "no longer depends on theta"),
        (step_uphill, "goes uphill"),
        (step_without_rate, "inner_lr is not used"),
        (step_in_place, "theta itself was changed"),
        (step_by_an_optimizer, "depends on a copy of theta"),
        (step_without_return, "None"),
        (step_only_right_on_parabolas, "whose curvature changes"),
    ],
    "meta_gradient": [
        (meta_first_order, "this is the first-order gradient"),
        (meta_on_support, "judged on the support set"),
        (meta_one_after_the_other, "one after the other"),
        (meta_divided_rate, "divided by the number of tasks"),
        (meta_of_the_sum, "gradient of the sum"),
        (meta_without_adaptation, "gradient without adaptation"),
        (meta_uphill, "not the derivative of the mean query loss"),
    ],
    "adapted_query_loss": [
        (query_loss_that_frees_its_graph, "still that of first order"),
        (query_loss_from_theta_again, "only the last step counts"),
        (query_loss_on_support, "judged on the support set"),
        (query_loss_detached, "cut the graph"),
        (query_loss_with_half_the_rate, "the query loss itself has changed"),
    ],
    "disagreement": [
        (lambda: (0.0, 0.6), "overshoots"),
        (lambda: (2.0, 0.1), "both have the same sign"),
        (lambda: (0.1, 0.0), "without a step there is no adaptation"),
        (lambda: 0.3, "2 values"),
    ],
    "best_start": [
        (start_at_the_mean, "plain mean"),
        (start_of_the_joint_fit, "without adaptation"),
        (start_of_first_order, "where first-order MAML stops"),
        (start_without_support_centers, "the support centers are ignored"),
        (start_for_one_step, "right for one step"),
    ],
}


def test_the_three_tasks_have_a_setting_where_first_order_is_wrong_without_overshooting():
    assert 0.3 * TASKS.curvature.max() < 1
    exact, first = (
        function(0.1, TASKS, 0.3, 1) for function in (quadratics.meta_slope, quadratics.first_order_slope)
    )
    assert exact > 0 > first
