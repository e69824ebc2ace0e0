"""Wrong answers to the exercises of lesson 04, each with what its author must be told."""

import numpy as np
import torch

from mlearn_utils.course.lesson_04 import quadratics
from mlearn_utils.course.lesson_04.quadratics import TASKS, Quadratics


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
    _ = theta - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)


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


def meta_with_one_common_step(loss, theta, tasks, inner_lr):
    mean = torch.stack([loss(theta, support) for support, _ in tasks]).mean()
    adapted = theta - inner_lr * gradient_of(mean, theta, create_graph=True)
    return gradient_of(torch.stack([loss(adapted, query) for _, query in tasks]).mean(), theta)


def meta_adapted_on_query(loss, theta, tasks, inner_lr):
    return meta(loss, theta, [(query, query) for _, query in tasks], inner_lr)


def meta_by_the_adapted_parameters(loss, theta, tasks, inner_lr):
    gradients = []
    for support, query in tasks:
        adapted = theta - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)
        gradients.append(gradient_of(loss(adapted, query), adapted))
    return torch.stack(gradients).mean(0)


def meta_with_a_diagonal_hessian(loss, theta, tasks, inner_lr):
    gradients = []
    for support, query in tasks:
        slope = gradient_of(loss(theta, support), theta, create_graph=True)
        hessian = gradient_of(slope.sum(), theta)
        adapted = (theta - inner_lr * slope).detach().requires_grad_()
        gradients.append((1 - inner_lr * hessian) * gradient_of(loss(adapted, query), adapted))
    return torch.stack(gradients).mean(0)


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


def query_loss_by_theta(loss, theta, support, query, inner_lr, steps):
    adapted = theta
    for _ in range(steps):
        adapted = adapted - inner_lr * gradient_of(loss(adapted, support), theta, create_graph=True)
    return loss(adapted, query)


def query_loss_of_a_copy(loss, theta, support, query, inner_lr, steps):
    copy = theta.detach().clone().requires_grad_()
    return inner_loop(loss, copy, support, query, inner_lr, steps, create_graph=True)


def query_loss_forgotten(loss, theta, support, query, inner_lr, steps):
    adapted = theta
    for _ in range(steps):
        adapted = adapted - inner_lr * gradient_of(loss(adapted, support), adapted, create_graph=True)
    return adapted


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


def start_by_search(curvature, support_center, query_center, inner_lr, steps):
    tasks, grid = Quadratics(curvature, support_center, query_center), np.linspace(-5, 5, 1001)
    return float(grid[np.argmin(quadratics.meta_objective(grid, tasks, inner_lr, steps))])


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
        (meta_with_one_common_step, "a step of its own"),
        (meta_adapted_on_query, "adapted on their query sets"),
        (meta_by_the_adapted_parameters, "by the adapted parameters instead of theta"),
        (meta_with_a_diagonal_hessian, "not the derivative of the mean query loss"),
        (meta_uphill, "not the derivative of the mean query loss"),
    ],
    "adapted_query_loss": [
        (query_loss_that_frees_its_graph, "still that of first order"),
        (query_loss_from_theta_again, "only the last step counts"),
        (query_loss_on_support, "judged on the support set"),
        (query_loss_detached, "cut the graph"),
        (query_loss_with_half_the_rate, "the query loss itself has changed"),
        (query_loss_by_theta, "the gradient by `adapted`"),
        (query_loss_of_a_copy, "a copy of theta"),
        (query_loss_forgotten, "a scalar tensor"),
    ],
    "disagreement": [
        (lambda: (0.1, 0.3), "above 0.2"),
        (lambda: (0.0, 0.6), "which overshoot"),
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
        (start_by_search, "instead of searching"),
    ],
}


def test_the_three_tasks_have_a_setting_where_first_order_is_wrong_without_overshooting():
    assert 0.2 * TASKS.curvature.max() <= 0.5
    exact, first = (
        function(0.6, TASKS, 0.2, 1) for function in (quadratics.meta_slope, quadratics.first_order_slope)
    )
    assert exact > 0 > first
