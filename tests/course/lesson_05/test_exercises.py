"""Wrong answers to the exercises of lesson 05, each with what its author must be told."""

import torch


def gradient_of(value, params, **options):
    return torch.autograd.grad(value, list(params), **options)


# --- fair_baseline


def tune(loss_after, rates, tasks):
    return rates[int(torch.stack([loss_after(rate, tasks).mean() for rate in rates]).argmin())]


def baseline_untuned(loss_after, rates, validation, test):
    return rates[0], float(loss_after(rates[0], test).mean())


def baseline_tuned_on_test(loss_after, rates, validation, test):
    rate = tune(loss_after, rates, test)
    return rate, float(loss_after(rate, test).mean())


def baseline_judged_on_validation(loss_after, rates, validation, test):
    rate = tune(loss_after, rates, validation)
    return rate, float(loss_after(rate, validation).mean())


def baseline_averaged_over_points_twice(loss_after, rates, validation, test):
    errors = loss_after(tune(loss_after, rates, validation), test)
    return tune(loss_after, rates, validation), float(errors.mean(dim=1).mean() / errors.shape[1])


def baseline_averaged_over_tasks_twice(loss_after, rates, validation, test):
    errors = loss_after(tune(loss_after, rates, validation), test)
    return tune(loss_after, rates, validation), float(errors.mean() / len(errors))


def baseline_averaged_twice_on_validation(loss_after, rates, validation, test):
    errors = loss_after(tune(loss_after, rates, validation), validation)
    return tune(loss_after, rates, validation), float(errors.mean() / errors.shape[1])


def baseline_of_sums(loss_after, rates, validation, test):
    rate = tune(loss_after, rates, validation)
    return rate, float(loss_after(rate, test).sum(dim=1).mean())


def baseline_with_the_worst_rate(loss_after, rates, validation, test):
    rate = rates[int(torch.stack([loss_after(rate, validation).mean() for rate in rates]).argmax())]
    return rate, float(loss_after(rate, test).mean())


def baseline_without_its_rate(loss_after, rates, validation, test):
    return float(loss_after(tune(loss_after, rates, validation), test).mean())


# --- five_positions


def positions_outside():
    return [-6.0, -3.0, 0.0, 3.0, 6.0]


def three_positions():
    return [-4.0, 0.0, 4.0]


def one_position_five_times():
    return [0.0] * 5


def positions_half_a_wave_apart():
    return [-4.5, -1.5, 0.0, 1.5, 4.5]


def positions_in_a_corner():
    return [-5.0, -4.5, -4.0, -3.5, -3.0]


# --- reptile_update


def mean_of(adapted, name):
    return torch.stack([end[name] for end in adapted]).mean(0)


def reptile_away(theta, adapted, outer_lr):
    return {name: theta[name] - outer_lr * (mean_of(adapted, name) - theta[name]) for name in theta}


def reptile_of_the_sum(theta, adapted, outer_lr):
    return {name: theta[name] + outer_lr * sum(end[name] - theta[name] for end in adapted) for name in theta}


def reptile_all_the_way(theta, adapted, outer_lr):
    return {name: mean_of(adapted, name) for name in theta}


def reptile_of_the_parameters(theta, adapted, outer_lr):
    return {name: theta[name] + outer_lr * mean_of(adapted, name) for name in theta}


def reptile_of_the_last_task(theta, adapted, outer_lr):
    return {name: theta[name] + outer_lr * (adapted[-1][name] - theta[name]) for name in theta}


def reptile_of_the_first_task(theta, adapted, outer_lr):
    return {name: theta[name] + outer_lr * (adapted[0][name] - theta[name]) for name in theta}


def reptile_one_after_the_other(theta, adapted, outer_lr):
    for end in adapted:
        theta = {name: theta[name] + outer_lr * (end[name] - theta[name]) for name in theta}
    return theta


def reptile_in_place(theta, adapted, outer_lr):
    for name in theta:
        theta[name] += outer_lr * (mean_of(adapted, name) - theta[name])
    return theta


def reptile_unchanged(theta, adapted, outer_lr):
    return {name: value.clone() for name, value in theta.items()}


def reptile_without_return(theta, adapted, outer_lr):
    _ = reptile_all_the_way(theta, adapted, outer_lr)


def reptile_without_names(theta, adapted, outer_lr):
    return [theta[name] + outer_lr * (mean_of(adapted, name) - theta[name]) for name in theta]


# --- anil_step


def head_step(loss, params, support, inner_lr, names, *, keep=lambda value: value, sign=1.0, **options):
    options = options or {"create_graph": True}
    slopes = dict(
        zip(names, gradient_of(loss(params, support), [params[n] for n in names], **options), strict=True)
    )
    return {
        name: value - sign * inner_lr * slopes[name] if name in slopes else keep(value)
        for name, value in params.items()
    }


def anil_everything_moves(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, list(params))


def anil_the_wrong_way_round(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, [name for name in params if name not in names])


def anil_only_the_head_returned(loss, params, support, inner_lr, names):
    moved = head_step(loss, params, support, inner_lr, names)
    return {name: moved[name] for name in names}


def anil_body_detached(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, names, keep=lambda value: value.detach())


def anil_first_order(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, names, create_graph=False, retain_graph=True)


def anil_by_switching_gradients_off(loss, params, support, inner_lr, names):
    for name, value in params.items():
        value.requires_grad_(name in names)
    return head_step(loss, params, support, inner_lr, names)


def anil_with_a_detached_loss(loss, params, support, inner_lr, names):
    apart = {name: value if name in names else value.detach() for name, value in params.items()}
    slopes = gradient_of(loss(apart, support), [params[n] for n in names], create_graph=True)
    moved = dict(zip(names, slopes, strict=True))
    return {n: value - inner_lr * moved[n] if n in moved else value for n, value in params.items()}


def anil_everything_detached(loss, params, support, inner_lr, names):
    return {name: value.detach() for name, value in head_step(loss, params, support, inner_lr, names).items()}


def anil_uphill(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, names, sign=-1.0)


def anil_nothing_moves(loss, params, support, inner_lr, names):
    return dict(params)


def anil_in_place(loss, params, support, inner_lr, names):
    slopes = gradient_of(loss(params, support), [params[name] for name in names])
    with torch.no_grad():
        for name, slope in zip(names, slopes, strict=True):
            params[name] -= inner_lr * slope
    return params


def anil_half_a_step(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr / 2, names)


def anil_without_return(loss, params, support, inner_lr, names):
    _ = head_step(loss, params, support, inner_lr, names)


WRONG_ANSWERS = {
    "fair_baseline": [
        (baseline_untuned, "an untuned baseline is no baseline"),
        (baseline_tuned_on_test, "chosen on the test tasks"),
        (baseline_judged_on_validation, "judge on the test tasks"),
        (baseline_averaged_over_points_twice, "divided by the number of points twice"),
        (baseline_averaged_over_tasks_twice, "divided by the number of tasks twice"),
        (baseline_averaged_twice_on_validation, "divided by the number of points twice"),
        (baseline_of_sums, "summed over the points"),
        (baseline_with_the_worst_rate, "not the rate of the smallest mean error"),
        (baseline_without_its_rate, "of 2 values"),
    ],
    "five_positions": [
        (positions_outside, "outside [-5, 5]"),
        (three_positions, "five positions are asked for, got 3"),
        (one_position_five_times, "say the same thing"),
        (positions_half_a_wave_apart, "half a wave"),
        (positions_in_a_corner, "close together"),
    ],
    "reptile_update": [
        (reptile_away, "walks away"),
        (reptile_of_the_sum, "summed over tasks"),
        (reptile_all_the_way, "how much of the way"),
        (reptile_of_the_parameters, "the move, not the adapted parameters"),
        (reptile_of_the_last_task, "only the last task"),
        (reptile_of_the_first_task, "only the first task"),
        (reptile_one_after_the_other, "not theta + outer_lr"),
        (reptile_in_place, "theta itself was changed"),
        (reptile_unchanged, "returned as it was"),
        (reptile_without_return, "None"),
        (reptile_without_names, "should be a dict"),
    ],
    "anil_step": [
        (anil_everything_moves, "every parameter moved"),
        (anil_the_wrong_way_round, "wrong way round"),
        (anil_only_the_head_returned, "return all parameters"),
        (anil_body_detached, "must stay in the graph"),
        (anil_first_order, "create_graph=True"),
        (anil_by_switching_gradients_off, "requires_grad is switched off"),
        (anil_with_a_detached_loss, "detach nothing inside the inner loss"),
        (anil_everything_detached, "the outer loop gets no gradient"),
        (anil_uphill, "goes uphill"),
        (anil_nothing_moves, "no parameter moved"),
        (anil_in_place, "params itself was changed"),
        (anil_half_a_step, "not value - inner_lr * gradient"),
        (anil_without_return, "None"),
    ],
}
