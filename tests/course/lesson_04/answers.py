"""Wrong and right answers to the exercises of lesson 04, and what the authors of the wrong ones are told."""

import warnings

import numpy as np
import torch

from mlearn_utils.course.lesson_04 import quadratics
from mlearn_utils.course.lesson_04.quadratics import Quadratics
from mlearn_utils.meta import maml


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


def step_from_detached_theta(loss, theta, support, inner_lr):
    return theta.detach() - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)


def step_alone(loss, theta, support, inner_lr):
    return inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)


def step_that_leaves_its_gradient(loss, theta, support, inner_lr):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the cycle that this makes
        loss(theta, support).backward(create_graph=True)
    return theta - inner_lr * theta.grad


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


def meta_of_exchanged_sets(loss, theta, tasks, inner_lr):
    return meta(loss, theta, [task[::-1] for task in tasks], inner_lr)


def meta_of_the_last_task(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks[-1:], inner_lr)


def meta_with_a_rate_of_its_own(loss, theta, tasks, inner_lr):
    return meta(loss, theta, tasks, 0.1)


def meta_left_behind(loss, theta, tasks, inner_lr):
    losses = [loss(step_by_grad(loss, theta, support, inner_lr), query) for support, query in tasks]
    torch.stack(losses).mean().backward()
    return theta.grad


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


def query_loss_a_step_short(loss, theta, support, query, inner_lr, steps):
    return inner_loop(loss, theta, support, query, inner_lr, max(steps - 1, 0), create_graph=True)


def query_loss_with_half_the_rate(loss, theta, support, query, inner_lr, steps):
    return inner_loop(loss, theta, support, query, inner_lr / 2, steps, create_graph=True)


def query_loss_differentiable_at_the_end(loss, theta, support, query, inner_lr, steps):
    adapted = theta
    for k in range(steps):
        gradient = gradient_of(loss(adapted, support), adapted, create_graph=True)
        adapted = adapted - inner_lr * (gradient if k == steps - 1 else gradient.detach())
    return loss(adapted, query)


def query_loss_that_steps_from_theta(loss, theta, support, query, inner_lr, steps):
    adapted = theta
    for _ in range(steps):
        adapted = theta - inner_lr * gradient_of(loss(adapted, support), adapted, create_graph=True)
    return loss(adapted, query)


# --- best_start


def start_at_the_mean(curvature, support_center, query_center, inner_lr, steps):
    return float(np.mean(query_center))


def start_of_the_joint_fit(curvature, support_center, query_center, inner_lr, steps):
    return float((curvature * query_center).sum() / curvature.sum())


def start_with_the_parts_exchanged(curvature, support_center, query_center, inner_lr, steps):
    rho = (1 - inner_lr * curvature) ** steps
    return (curvature * rho * (query_center - rho * support_center)).sum() / (curvature * rho**2).sum()


def start_between_the_tasks_own(curvature, support_center, query_center, inner_lr, steps):
    """The mean of what would be best for each task alone."""
    rho = (1 - inner_lr * curvature) ** steps
    return ((query_center - (1 - rho) * support_center) / rho).mean()


def start_of_first_order(curvature, support_center, query_center, inner_lr, steps):
    return quadratics.first_order_start(Quadratics(curvature, support_center, query_center), inner_lr, steps)


def start_without_support_centers(curvature, support_center, query_center, inner_lr, steps):
    return quadratics.best_start(Quadratics(curvature, query_center, query_center), inner_lr, steps)


def start_for_one_step(curvature, support_center, query_center, inner_lr, steps):
    return quadratics.best_start(Quadratics(curvature, support_center, query_center), inner_lr, 1)


def start_by_search(curvature, support_center, query_center, inner_lr, steps):
    tasks, grid = Quadratics(curvature, support_center, query_center), np.linspace(-5, 5, 1001)
    return float(grid[np.argmin(quadratics.meta_objective(grid, tasks, inner_lr, steps))])


def start_with_a_straight_power(curvature, support_center, query_center, inner_lr, steps):
    rho = 1 - steps * inner_lr * curvature
    weight = curvature * rho
    return float((weight * (query_center - (1 - rho) * support_center)).sum() / (weight * rho).sum())


def start_without_curvature(curvature, support_center, query_center, inner_lr, steps):
    rho = (1 - inner_lr * curvature) ** steps
    return float((rho * (query_center - (1 - rho) * support_center)).sum() / (rho * rho).sum())


def start_with_the_rate_of_the_notebook(curvature, support_center, query_center, inner_lr, steps):
    return quadratics.best_start(Quadratics(curvature, support_center, query_center), 0.3, steps)


def step_with_a_clipped_gradient(loss, theta, support, inner_lr):
    return theta - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True).clamp(-1, 1)


def step_uphill_and_detached(loss, theta, support, inner_lr):
    return step_uphill(loss, theta, support, inner_lr).detach()


def step_rounded(loss, theta, support, inner_lr):
    new = theta - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True)
    return new + (new.detach().round(decimals=3) - new.detach())


def meta_of_the_median(loss, theta, tasks, inner_lr):
    losses = [adapted_loss(loss, theta, support, query, inner_lr) for support, query in tasks]
    return gradient_of(torch.stack(losses).median(), theta)


def meta_of_all_points(loss, theta, tasks, inner_lr):
    losses = [len(query[0]) * adapted_loss(loss, theta, support, query, inner_lr) for support, query in tasks]
    return gradient_of(sum(losses) / sum(len(query[0]) for _, query in tasks), theta)


def meta_within_1(loss, theta, tasks, inner_lr):
    losses = [adapted_loss(loss, theta, support, query, inner_lr) for support, query in tasks]
    return gradient_of(torch.stack(losses).mean(), theta).clamp(-1, 1)


def adapted_loss(loss, theta, support, query, inner_lr):
    return loss(theta - inner_lr * gradient_of(loss(theta, support), theta, create_graph=True), query)


def query_loss_in_place(loss, theta, support, query, inner_lr, steps):
    adapted = theta.clone()
    for _ in range(steps):
        adapted -= inner_lr * gradient_of(loss(adapted, support), adapted, create_graph=True)
    return loss(adapted, query)


def query_loss_uphill_and_detached(loss, theta, support, query, inner_lr, steps):
    return query_loss_with_half_the_rate(loss, theta, support, query, inner_lr, steps).detach()


def query_loss_after_one_step(loss, theta, support, query, inner_lr, steps):
    return adapted_loss(loss, theta, support, query, inner_lr) if steps else loss(theta, query)


def start_with(rho):
    """Return the best start with rho(1 - inner_lr * curvature, steps) in the place of rho."""

    def answer(curvature, support_center, query_center, inner_lr, steps):
        left = rho(1 - inner_lr * curvature, steps)
        weight = curvature * left
        return (weight * (query_center - (1 - left) * support_center)).sum() / (weight * left).sum()

    return answer


WRONG_ANSWERS = {
    "inner_step": [
        (step_with_a_clipped_gradient, "this is not theta - inner_lr * gradient"),
        (step_uphill_and_detached, "this is not theta - inner_lr * gradient"),
        (step_rounded, "close everywhere"),
        (step_without_graph, "create_graph=True"),
        (step_on_data, "no longer depends on theta"),
        (step_uphill, "goes uphill"),
        (step_without_rate, "inner_lr is not used"),
        (step_in_place, "theta itself was changed"),
        (step_by_an_optimizer, "depends on a copy of theta"),
        (step_without_return, "None"),
        (step_only_right_on_parabolas, "but not with theta [2]"),
        (step_from_detached_theta, "theta itself was detached"),
        (step_alone, "the step alone"),
        (step_that_leaves_its_gradient, "adds to `.grad`"),
    ],
    "meta_gradient": [
        (meta_of_the_median, "not the derivative of the mean query loss"),
        (meta_of_all_points, "not the derivative of the mean query loss"),
        (meta_within_1, "not the derivative of the mean query loss"),
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
        (meta_uphill, "goes uphill"),
        (meta_of_exchanged_sets, "support and query are exchanged"),
        (meta_of_the_last_task, "only the last task counts"),
        (meta_left_behind, "adds to `.grad`"),
        (meta_with_a_rate_of_its_own, "`inner_lr` makes no difference"),
    ],
    "adapted_query_loss": [
        (query_loss_in_place, "in place"),
        (query_loss_uphill_and_detached, "the query loss itself has changed"),
        (query_loss_after_one_step, "one step alone counts"),
        (query_loss_that_frees_its_graph, "still that of first order"),
        (query_loss_from_theta_again, "one step alone counts"),
        (query_loss_on_support, "judged on the support set"),
        (query_loss_a_step_short, "one step too few"),
        (query_loss_detached, "cut the graph"),
        (query_loss_with_half_the_rate, "the query loss itself has changed"),
        (query_loss_by_theta, "the gradient by `adapted`"),
        (query_loss_of_a_copy, "a copy of theta"),
        (query_loss_forgotten, "should be one number in a tensor"),
        (query_loss_differentiable_at_the_end, "only the gradient of the last step"),
        (query_loss_that_steps_from_theta, "starts at `theta` again"),
    ],
    "disagreement": [
        (lambda: (0.1, 0.3), "above 0.2"),
        (lambda: (0.0, 0.6), "above 0.2"),
        (lambda: (2.0, 0.1), "both have the same sign"),
        (lambda: (0.6, -0.1), "goes uphill"),
        (lambda: (0.1, 0.0), "without a step there is no adaptation"),
        (lambda: 0.3, "2 values"),
    ],
    "best_start": [
        (start_with(lambda left, steps: abs(left) ** steps), "but not with"),
        (start_with(lambda left, steps: left.clip(0) ** steps), "but not with"),
        (start_at_the_mean, "plain mean"),
        (start_of_the_joint_fit, "without adaptation"),
        (start_of_first_order, "where first-order MAML stops"),
        (start_without_support_centers, "the support centers are ignored"),
        (start_for_one_step, "right for one step"),
        (start_by_search, "without a search"),
        (start_with_a_straight_power, "to the power of K"),
        (start_without_curvature, "the curvature is missing"),
        (start_with_the_parts_exchanged, "s_i counts with 1 - rho"),
        (start_between_the_tasks_own, "best for one task each"),
        (start_with_the_rate_of_the_notebook, "`inner_lr` makes no difference"),
    ],
}


# --- right answers in other styles


def step_by_grad(loss, theta, support, inner_lr):
    gradient = torch.autograd.grad([loss(theta, support)], [theta], create_graph=True)
    return torch.sub(theta, gradient[0], alpha=inner_lr)


def step_by_func(loss, theta, support, inner_lr):
    return theta - inner_lr * torch.func.grad(lambda at: loss(at, support))(theta)


def step_by_the_core(loss, theta, support, inner_lr):
    batch = tuple(tensor[None] for tensor in support)
    moved = maml.inner_step(
        lambda params, data: loss(params["theta"], data), {"theta": theta[None]}, batch, inner_lr=inner_lr
    )
    return moved["theta"][0]


def step_that_clears_its_gradient(loss, theta, support, inner_lr):
    (gradient,) = torch.autograd.grad(loss(theta, support), theta, create_graph=True)
    new = theta.clone()
    new = new - inner_lr * gradient
    return new


def meta_by_closed_form(loss, theta, tasks, inner_lr):
    """Multiply each query gradient by (I - inner_lr H)."""
    total = torch.zeros_like(theta)
    for support, query in tasks:
        hessian = torch.autograd.functional.hessian(lambda at, data=support: loss(at, data), theta)
        slope = torch.autograd.functional.jacobian(lambda at, data=support: loss(at, data), theta)
        at = (theta - inner_lr * slope).detach().requires_grad_()
        ahead = gradient_of(loss(at, query), at)
        total = total + ahead - inner_lr * hessian @ ahead
    return (total / len(tasks)).detach()


def meta_by_func(loss, theta, tasks, inner_lr):
    def objective(at):
        losses = []
        for support, query in tasks:
            slope = torch.func.grad(lambda point, data=support: loss(point, data))(at)
            losses.append(loss(at - inner_lr * slope, query))
        return sum(losses) / len(losses)

    return torch.func.grad(objective)(theta.detach())


def meta_task_by_task(loss, theta, tasks, inner_lr):
    """Add up the gradients of the tasks."""
    gradients = [
        gradient_of(loss(step_by_grad(loss, theta, support, inner_lr), query), theta)
        for support, query in tasks
    ]
    return sum(gradients) / len(tasks)


def meta_by_backward_cleared(loss, theta, tasks, inner_lr):
    """Use .grad, and leave it as it was found."""
    losses = [loss(step_by_grad(loss, theta, support, inner_lr), query) for support, query in tasks]
    torch.stack(losses).mean().backward()
    gradient, theta.grad = theta.grad, None
    return gradient


def query_loss_by_func(loss, theta, support, query, inner_lr, steps):
    adapted = theta
    for _ in range(steps):
        adapted = adapted - inner_lr * torch.func.grad(lambda at: loss(at, support))(adapted)
    return loss(adapted, query)


def query_loss_by_recursion(loss, theta, support, query, inner_lr, steps):
    if steps == 0:
        return loss(theta, query)
    return query_loss_by_recursion(
        loss, step_by_grad(loss, theta, support, inner_lr), support, query, inner_lr, steps - 1
    )


def query_loss_of_a_clone(loss, theta, support, query, inner_lr, steps):
    adapted = theta.clone()
    while steps > 0:
        (gradient,) = torch.autograd.grad(loss(adapted, support), adapted, create_graph=True)
        adapted, steps = adapted - gradient * inner_lr, steps - 1
    return loss(adapted, query)


def start_by_least_squares(curvature, support_center, query_center, inner_lr, steps):
    """Fit rho theta to what is left of the way, each task weighed by the root of its curvature."""
    rho = (1 - inner_lr * curvature) ** steps
    root = np.sqrt(curvature)
    fit = np.linalg.lstsq(
        (root * rho)[:, None], root * (query_center - (1 - rho) * support_center), rcond=None
    )
    return fit[0][0]


def start_by_a_loop(curvature, support_center, query_center, inner_lr, steps):
    above = below = 0.0
    for a, s, q in zip(curvature, support_center, query_center, strict=True):
        rho = 1.0
        for _ in range(steps):
            rho *= 1 - inner_lr * a
        above += a * rho * (q - s + rho * s)
        below += a * rho**2
    return above / below


def start_by_secant(curvature, support_center, query_center, inner_lr, steps):
    """The slope is straight in theta: two points give its zero."""
    tasks = Quadratics(curvature, support_center, query_center)
    at_0, at_1 = (quadratics.meta_slope(theta, tasks, inner_lr, steps) for theta in (0.0, 1.0))
    return torch.tensor(-at_0 / (at_1 - at_0))


RIGHT_ANSWERS = {
    "inner_step": [step_by_grad, step_by_func, step_by_the_core, step_that_clears_its_gradient],
    "meta_gradient": [meta_by_closed_form, meta_by_func, meta_task_by_task, meta_by_backward_cleared],
    "adapted_query_loss": [query_loss_by_func, query_loss_by_recursion, query_loss_of_a_clone],
    "disagreement": [
        lambda: [0.6, 0.2],
        lambda: np.array([0.55, 0.2]),
        lambda: (torch.tensor(0.6), np.float32(0.2)),
        lambda: torch.tensor([0.5, 0.2]),
    ],
    "best_start": [start_by_least_squares, start_by_a_loop, start_by_secant],
}

FIRST_IS_LAST = "the tuple holds one gradient, so its first is its last"
EQUIVALENT = {
    "meta_gradient": [(r"theta\)\[-1\]", FIRST_IS_LAST)],
    "adapted_query_loss": [(r"create_graph=True\)\[-1\]", FIRST_IS_LAST)],
    "disagreement": [(r"the result", "0.6 and 0.2 have no sign and one decimal to lose")],
    "best_start": [(r"float\(", "a number of numpy is as good as one of Python")],
}
