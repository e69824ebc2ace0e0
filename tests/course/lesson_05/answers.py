"""Answers to the exercises of lesson 05: wrong ones with what their authors must be told, and right ones."""

import copy
import math
import warnings

import numpy as np
import torch

from mlearn_utils.meta import maml


def gradient_of(value, params, **options):
    return torch.autograd.grad(value, list(params), **options)


def fill_grads(value):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reference cycle that create_graph=True makes
        value.backward(create_graph=True)


# --- fair_baseline


def tune(loss_after, rates, tasks):
    return rates[int(torch.stack([loss_after(rate, tasks).mean() for rate in rates]).argmin())]


def baseline_of_nan(loss_after, rates, validation, test):
    rate = tune(loss_after, rates, validation)
    return rate, loss_after(rate, test).mean()


def baseline_of_nan_by_min(loss_after, rates, validation, test):
    rate = min(rates, key=lambda rate: float(loss_after(rate, validation).mean()))
    return rate, loss_after(rate, test).mean()


def baseline_without_nan(loss_after, rates, validation, test):
    means = [np.nanmean(loss_after(rate, validation).numpy()) for rate in rates]
    rate = rates[int(np.argmin(means))]
    return rate, loss_after(rate, test).mean()


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


def chosen_by(score):
    """Return a baseline that takes the rate for which `score` of [T, Q] validation errors is smallest."""

    def baseline(loss_after, rates, validation, test):
        scores = [float(score(loss_after(rate, validation))) for rate in rates]
        rate = rates[scores.index(min(scores))]
        return rate, float(loss_after(rate, test).mean())

    baseline.__name__ = f"baseline_{score.__name__}"
    return baseline


@chosen_by
def by_the_first_task(errors):
    return errors[0].mean()


@chosen_by
def by_the_last_task(errors):
    return errors[-1].mean()


@chosen_by
def by_the_first_point(errors):
    return errors[:, 0].mean()


@chosen_by
def by_three_tasks(errors):
    return errors[:3].mean()


@chosen_by
def by_the_median(errors):
    return errors.median()


@chosen_by
def by_the_median_task(errors):
    return np.median(errors.mean(dim=1).numpy())


@chosen_by
def by_the_worst_task(errors):
    return errors.mean(dim=1).max()


@chosen_by
def by_two_tasks(errors):
    return errors[:2].mean()


@chosen_by
def by_the_worst_point(errors):
    return errors.max()


@chosen_by
def by_the_best_point(errors):
    return errors.min()


@chosen_by
def by_the_root(errors):
    return errors.sqrt().mean()


def baseline_tuned_on_both(loss_after, rates, validation, test):
    both = [(loss_after(rate, validation).mean() + loss_after(rate, test).mean()) / 2 for rate in rates]
    rate = rates[int(torch.stack(both).argmin())]
    return rate, float(loss_after(rate, test).mean())


def baseline_by_votes(loss_after, rates, validation, test):
    best = torch.stack([loss_after(rate, validation).mean(dim=1) for rate in rates]).argmin(dim=0)
    rate = rates[int(torch.bincount(best).argmax())]
    return rate, float(loss_after(rate, test).mean())


def baseline_without_the_first_rate(loss_after, rates, validation, test):
    return baseline_right(loss_after, rates[1:], validation, test)


def baseline_without_the_last_rate(loss_after, rates, validation, test):
    return baseline_right(loss_after, rates[:-1], validation, test)


def baseline_with_the_middle_rate(loss_after, rates, validation, test):
    rate = rates[len(rates) // 2]
    return rate, float(loss_after(rate, test).mean())


def baseline_with_the_smallest_rate(loss_after, rates, validation, test):
    return min(rates), float(loss_after(min(rates), test).mean())


def baseline_with_the_last_rate(loss_after, rates, validation, test):
    rate, best = None, 1e9
    for rate in rates:
        best = min(best, loss_after(rate, validation).mean())
    return rate, float(loss_after(rate, test).mean())


def baseline_that_forgets_the_best_so_far(loss_after, rates, validation, test):
    chosen, best = rates[0], loss_after(rates[0], validation).mean()
    for rate in rates:
        if loss_after(rate, validation).mean() < best:
            chosen = rate
    return chosen, float(loss_after(chosen, test).mean())


def baseline_of_one_rate(loss_after, rates, validation, test):
    return 0.05, float(loss_after(0.05, test).mean())


def baseline_of_constants(loss_after, rates, validation, test):
    return 0.01, 1.69942


def baseline_of_rates_of_its_own(loss_after, rates, validation, test):
    return baseline_right(loss_after, (0.001, 0.01, 0.1, 1.0), validation, test)


def baseline_of_the_place(loss_after, rates, validation, test):
    place = int(torch.stack([loss_after(rate, validation).mean() for rate in rates]).argmin())
    return place, float(loss_after(rates[place], test).mean())


def baseline_exchanged(loss_after, rates, validation, test):
    return baseline_right(loss_after, rates, validation, test)[::-1]


def judged_by(error):
    """Return a baseline that takes the right rate; `error` is a function of [T, Q] test errors."""

    def baseline(loss_after, rates, validation, test):
        rate = tune(loss_after, rates, validation)
        return rate, float(error(loss_after(rate, test)))

    baseline.__name__ = f"baseline_{error.__name__}"
    return baseline


@judged_by
def by_one_test_task(errors):
    return errors[0].mean()


@judged_by
def by_one_test_point(errors):
    return errors[:, 0].mean()


@judged_by
def by_the_test_median(errors):
    return errors.median()


@judged_by
def by_the_root_of_the_mean(errors):
    return errors.mean().sqrt()


@judged_by
def by_sums_over_tasks(errors):
    return errors.sum(dim=0).mean()


@judged_by
def by_the_whole_sum(errors):
    return errors.sum()


@judged_by
def by_half_of_it(errors):
    return errors.mean() / 2


def baseline_judged_on_both(loss_after, rates, validation, test):
    rate = tune(loss_after, rates, validation)
    return rate, float((loss_after(rate, validation).mean() + loss_after(rate, test).mean()) / 2)


def baseline_judged_with_the_last_rate(loss_after, rates, validation, test):
    rate, errors = rates[0], []
    for rate in rates:
        errors.append(loss_after(rate, validation).mean())
    return rates[int(torch.stack(errors).argmin())], float(loss_after(rate, test).mean())


def baseline_judged_at_its_best(loss_after, rates, validation, test):
    rate = tune(loss_after, rates, validation)
    return rate, float(min(loss_after(rate, test).mean() for rate in rates))


def baseline_judged_with_a_rate_for_each_task(loss_after, rates, validation, test):
    by_task = torch.stack([loss_after(rate, test).mean(dim=1) for rate in rates])
    return tune(loss_after, rates, validation), float(by_task.min(dim=0).values.mean())


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


def positions_forgotten():
    print([-4.0, -2.0, 0.0, 2.0, 4.0])


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


def reptile_by(formula):
    """Return an update that applies `formula` of theta and the moves [T, *] to every parameter."""

    def update(theta, adapted, outer_lr):
        moves = {name: torch.stack([end[name] - theta[name] for end in adapted]) for name in theta}
        return {name: formula(theta[name], moves[name], outer_lr) for name in theta}

    update.__name__ = f"reptile_{formula.__name__}"
    return update


@reptile_by
def of_the_move_alone(start, moves, outer_lr):
    return outer_lr * moves.mean(0)


@reptile_by
def of_the_mean_move_alone(start, moves, outer_lr):
    return moves.mean(0)


@reptile_by
def of_a_constant_rate(start, moves, outer_lr):
    return start + 0.25 * moves.mean(0)


@reptile_by
def of_three_tasks(start, moves, outer_lr):
    return start + outer_lr * moves.sum(0) / 3


@reptile_by
def divided_twice(start, moves, outer_lr):
    return start + outer_lr * moves.mean(0) / len(moves)


@reptile_by
def of_one_number(start, moves, outer_lr):
    return start + outer_lr * moves.mean()


@reptile_by
def of_the_median(start, moves, outer_lr):
    return start + outer_lr * moves.median(0).values


@reptile_by
def of_the_other_share(start, moves, outer_lr):
    return start + (1 - outer_lr) * moves.mean(0)


@reptile_by
def without_the_first_task(start, moves, outer_lr):
    return start + outer_lr * moves[1:].mean(0)


@reptile_by
def without_the_last_task(start, moves, outer_lr):
    return start + outer_lr * moves[:-1].mean(0)


def reptile_by_the_number_of_parameters(theta, adapted, outer_lr):
    moves = {name: sum(end[name] - theta[name] for end in adapted) for name in theta}
    return {name: theta[name] + outer_lr * moves[name] / len(theta) for name in theta}


def reptile_minus_theta_once(theta, adapted, outer_lr):
    return {
        name: theta[name] + outer_lr * (sum(end[name] for end in adapted) - theta[name]) for name in theta
    }


def reptile_not_added_up(theta, adapted, outer_lr):
    result = {}
    for name in theta:
        move = torch.zeros_like(theta[name])
        for end in adapted:
            move = (end[name] - theta[name]) / len(adapted)
        result[name] = theta[name] + outer_lr * move
    return result


def reptile_of_weight_and_bias(theta, adapted, outer_lr):
    moved = reptile_right(theta, adapted, outer_lr)
    return {name: moved[name] for name in ("weight", "bias") if name in moved}


def reptile_that_spoils_the_first_task(theta, adapted, outer_lr):
    mean = adapted[0]
    for end in adapted[1:]:
        for name in mean:
            mean[name] = mean[name] + end[name]
    return {name: theta[name] + outer_lr * (mean[name] / len(adapted) - theta[name]) for name in theta}


def reptile_that_moves_the_tasks(theta, adapted, outer_lr):
    for end in adapted:
        for name in theta:
            end[name] = end[name] - theta[name]
    return {name: theta[name] + outer_lr * mean_of(adapted, name) for name in theta}


def reptile_that_empties_the_list(theta, adapted, outer_lr):
    count, moved = len(adapted), dict(theta)
    while adapted:
        end = adapted.pop()
        moved = {name: moved[name] + outer_lr * (end[name] - theta[name]) / count for name in theta}
    return moved


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


def anil_by_a_part_of_the_name(loss, params, support, inner_lr, names):
    chosen = [name for name in params if any(part in name for part in names)]
    return moved(loss, params, support, inner_lr, chosen)


def moved(loss, params, support, inner_lr, names):
    gradients = torch.autograd.grad(
        loss(params, support), [params[name] for name in names], create_graph=True
    )
    moves = dict(zip(names, gradients, strict=True))
    return {name: v - inner_lr * moves[name] if name in moves else v for name, v in params.items()}


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


def anil_of_a_constant_rate(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, 0.1, names)


def anil_without_the_rate(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, 1.0, names)


def anil_of_the_last_two(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, list(params)[-2:])


def anil_of_what_is_called_head(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, [name for name in params if name.startswith("head")])


def anil_of_the_first_name(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, names[:1])


def anil_of_the_last_name(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr, names[-1:])


def anil_mixed_up(loss, params, support, inner_lr, names):
    slopes = iter(gradient_of(loss(params, support), [params[name] for name in names], create_graph=True))
    return {n: value - inner_lr * next(slopes) if n in names else value for n, value in params.items()}


def anil_divided(loss, params, support, inner_lr, names):
    return head_step(loss, params, support, inner_lr / len(names), names)


def anil_twice(loss, params, support, inner_lr, names):
    moved = head_step(loss, params, support, inner_lr, names)
    return head_step(loss, moved, support, inner_lr, names)


def anil_one_after_the_other(loss, params, support, inner_lr, names):
    for name in names:
        params = head_step(loss, params, support, inner_lr, [name])
    return params


def anil_head_detached(loss, params, support, inner_lr, names):
    slopes = gradient_of(loss(params, support), [params[name] for name in names], create_graph=True)
    moved = {n: params[n].detach() - inner_lr * slope for n, slope in zip(names, slopes, strict=True)}
    return {**params, **moved}


def anil_by_numbers(loss, params, support, inner_lr, names):
    slopes = gradient_of(loss(params, support), [params[name] for name in names])
    return {**params, **{n: params[n].data - inner_lr * g for n, g in zip(names, slopes, strict=True)}}


def anil_first_order_and_detached(loss, params, support, inner_lr, names):
    return head_step(
        loss, params, support, inner_lr, names, keep=lambda value: value.detach(), retain_graph=True
    )


def anil_by_backward(loss, params, support, inner_lr, names):
    fill_grads(loss(params, support))
    return {n: v - inner_lr * v.grad if n in names else v for n, v in params.items()}


def anil_that_uses_its_graph_up(loss, params, support, inner_lr, names):
    moved = head_step(loss, params, support, inner_lr, names)
    torch.stack([value.sum() for value in moved.values()]).sum().backward()
    for value in params.values():
        value.grad = None
    return moved


def anil_that_takes_the_params_away(loss, params, support, inner_lr, names):
    moved = head_step(loss, params, support, inner_lr, names)
    return {
        **{name: moved[name] for name in names},
        **{n: params.pop(n) for n in list(params) if n not in names},
    }


def anil_that_detaches_the_params(loss, params, support, inner_lr, names):
    moved = head_step(loss, params, support, inner_lr, names)
    for value in params.values():
        value.detach_()
    return moved


WRONG_ANSWERS = {
    "fair_baseline": [
        (lambda *given: tuple(sorted(baseline_right(*given))), "are the two exchanged?"),
        (baseline_untuned, "an untuned baseline is no baseline"),
        (baseline_of_nan, "argmin takes NaN for the smallest"),
        (baseline_of_nan_by_min, "the errors of one validation task are NaN"),
        (baseline_without_nan, "the errors of one validation task are NaN"),
        (baseline_tuned_on_test, "chosen on the test tasks"),
        (baseline_judged_on_validation, "judge on the test tasks"),
        (baseline_averaged_over_points_twice, "divided by the number of points twice"),
        (baseline_averaged_over_tasks_twice, "divided by the number of tasks twice"),
        (baseline_averaged_twice_on_validation, "divided by the number of points twice"),
        (baseline_of_sums, "summed over the points"),
        (baseline_with_the_worst_rate, "not the rate of the smallest mean error"),
        (baseline_without_its_rate, "of 2 values"),
        (by_the_first_task, "the first validation task alone"),
        (by_the_last_task, "the last validation task alone"),
        (by_the_first_point, "the first query point of each task"),
        (by_three_tasks, "the first three validation tasks"),
        (by_the_median, "the median error chose"),
        (by_the_median_task, "the median over tasks chose"),
        (by_the_worst_task, "the worst of the validation tasks"),
        (by_two_tasks, "not the rate of the smallest mean error on the validation tasks (The step size:"),
        (by_the_worst_point, "largest single error"),
        (by_the_best_point, "smallest single error"),
        (by_the_root, "not the rate of the smallest mean error"),
        (baseline_tuned_on_both, "on validation and test tasks together"),
        (baseline_by_votes, "each task had one vote"),
        (baseline_without_the_first_rate, "the first step size of the list was not tried"),
        (baseline_without_the_last_rate, "the last step size of the list was not tried"),
        (baseline_with_the_middle_rate, "in the middle of the list"),
        (baseline_with_the_smallest_rate, "the smallest step size of all"),
        (baseline_with_the_last_rate, "the last step size of the list, whatever"),
        (baseline_that_forgets_the_best_so_far, "the smallest error so far"),
        (baseline_of_one_rate, "0.05 is none of the step sizes"),
        (baseline_of_constants, "0.01 is none of the step sizes"),
        (baseline_of_rates_of_its_own, "choose among those that are given"),
        (baseline_of_the_place, "the place of one"),
        (baseline_exchanged, "are the two exchanged"),
        (by_one_test_task, "only the first test task judges"),
        (by_one_test_point, "only the first query point"),
        (by_the_test_median, "the median of the squared errors"),
        (by_the_root_of_the_mean, "leave it squared"),
        (by_sums_over_tasks, "summed over the tasks"),
        (by_the_whole_sum, "summed over tasks and points"),
        (by_half_of_it, "the step size is right, the error is not"),
        (baseline_judged_on_both, "validation and test tasks together"),
        (baseline_judged_with_the_last_rate, "that of the last rate"),
        (baseline_judged_at_its_best, "the smallest that any rate has"),
        (baseline_judged_with_a_rate_for_each_task, "a rate of its own"),
    ],
    "five_positions": [
        (positions_outside, "outside [-5, 5]"),
        (three_positions, "five positions are asked for, got 3"),
        (one_position_five_times, "say the same thing"),
        (positions_half_a_wave_apart, "half a wave"),
        (positions_in_a_corner, "close together"),
        (positions_forgotten, "`return` missing"),
        (lambda: (-5, -4, -1, 1, 5), "-4 and -1 (3 apart)"),
        (lambda: (-4, -2, 0, 2, 5), "2 and 5 (3 apart)"),
        (lambda: (0, 1, 2, 3, 4), "0 and 3 (3 apart)"),
        (lambda: (0, 1, 2, 3, 4), "No point lies between -5 and 0"),
        (lambda: (-5, -4, -3, -2, -1), "No point lies between -1 and 5"),
        (lambda: (-4.5, -2.25, 0, 2.25, 4.5), "The range is covered; -4.5 and 4.5 (9 apart)"),
        (lambda: [[-4.0], [-2.0], [0.0], [2.0], [4.0]], "should be one number"),
        (lambda: [(-4, 0), (-2, 0), (0, 0), (2, 0), (4, 0)], "should be one number"),
        (lambda: np.zeros(3), "a tuple of 5 values"),
        (lambda: torch.zeros(3), "a tuple of 5 values"),
        (lambda: torch.tensor(1.0), "a tuple of 5 values"),
        (lambda: [-4.0, -2.0, 0.0, 2.0, math.nan], "is NaN"),
    ],
    "reptile_update": [
        (reptile_away, "walks away"),
        (reptile_of_the_sum, "summed over tasks"),
        (reptile_all_the_way, "how much of the way"),
        (reptile_of_the_parameters, "the move, not the adapted parameters"),
        (reptile_of_the_last_task, "only the last task"),
        (reptile_of_the_first_task, "only the first task"),
        (reptile_one_after_the_other, "one after the other"),
        (reptile_in_place, "theta itself was changed"),
        (reptile_unchanged, "returned as it was"),
        (reptile_without_return, "None"),
        (reptile_without_names, "should be a dict"),
        (of_the_move_alone, "this is the move alone"),
        (of_the_mean_move_alone, "the mean move alone"),
        (of_a_constant_rate, "`outer_lr` makes no difference"),
        (of_three_tasks, "right with theta of 2, adapted of 3"),
        (divided_twice, "divided by their number once more"),
        (of_one_number, "over tasks *and* entries"),
        (of_the_median, "the median of the moves"),
        (of_the_other_share, "1 - outer_lr of the way"),
        (without_the_first_task, "the first task is left out"),
        (without_the_last_task, "the last task is left out"),
        (reptile_by_the_number_of_parameters, "the number of parameters in theta"),
        (reptile_minus_theta_once, "theta is subtracted once"),
        (reptile_not_added_up, "add up the moves of all"),
        (reptile_of_weight_and_bias, "lacks"),
        (reptile_that_spoils_the_first_task, "adapted itself was changed"),
        (reptile_that_moves_the_tasks, "adapted itself was changed"),
        (reptile_that_empties_the_list, "adapted itself was changed"),
    ],
    "anil_step": [
        (anil_by_a_part_of_the_name, "but not with"),
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
        (anil_of_a_constant_rate, "`inner_lr` makes no difference"),
        (anil_without_the_rate, "inner_lr is not used"),
        (anil_of_the_last_two, "the last two of params move"),
        (anil_of_what_is_called_head, 'begin with "head"'),
        (anil_of_the_first_name, "only the first of `names` moves"),
        (anil_of_the_last_name, "only the last of `names` moves"),
        (anil_mixed_up, "the gradients are mixed up"),
        (anil_divided, "divided by the number of names"),
        (anil_twice, "two steps are taken"),
        (anil_one_after_the_other, "take all gradients at params"),
        (anil_head_detached, "were detached before they moved"),
        (anil_by_numbers, "what moved was detached"),
        (anil_first_order_and_detached, "what does not adapt was detached"),
        (anil_by_backward, "adds to `.grad` of its arguments"),
        (anil_that_uses_its_graph_up, "its graph is used up"),
        (anil_that_takes_the_params_away, "params itself was changed"),
        (anil_that_detaches_the_params, "requires_grad is switched off"),
    ],
}


# --- right answers in other styles


def baseline_right(loss_after, rates, validation, test):
    rate = min(rates, key=lambda rate: loss_after(rate, validation).mean().nan_to_num(torch.inf))
    return rate, loss_after(rate, test).mean().item()


def baseline_in_torch(loss_after, rates, validation, test):
    errors = torch.tensor([loss_after(rate, validation).mean() for rate in rates])
    errors[errors.isnan()] = torch.inf
    rate = torch.tensor(rates)[errors.argmin()].item()  # of 32 bits
    return [rate, loss_after(rate, test).mean()]


def baseline_in_tensors(loss_after, rates, validation, test):
    rate, _ = baseline_right(loss_after, rates, validation, test)
    return torch.tensor(rate), loss_after(torch.tensor(rate), test).float().mean()


def baseline_in_numpy(loss_after, rates, validation, test):
    errors = [np.mean(loss_after(rate, validation).numpy()) for rate in np.asarray(rates)]
    rate = np.float32(rates[np.nanargmin(errors)])
    return np.array([rate, loss_after(rate, test).numpy().mean()])


def baseline_by_loops(loss_after, rates, validation, test):
    best, chosen = math.inf, None
    for rate in rates:
        errors = loss_after(rate, validation)
        total = sum(float(error) for task in errors for error in task)
        if total < best:
            best, chosen = total, rate
    errors = loss_after(chosen, test)
    errors /= errors.numel()  # in place: the tensor is this answer's own
    return chosen, float(errors.sum())


def reptile_right(theta, adapted, outer_lr):
    return {name: (1 - outer_lr) * start + outer_lr * mean_of(adapted, name) for name, start in theta.items()}


def reptile_by_a_loop(theta, adapted, outer_lr):
    new = copy.deepcopy(theta)
    for end in adapted:
        for name in theta:
            new[name] += outer_lr / len(adapted) * (end[name] - theta[name])
    return new


def reptile_by_lerp(theta, adapted, outer_lr):
    return {n: torch.lerp(start, mean_of(adapted, n), outer_lr) for n, start in theta.items()}


def reptile_through_numpy(theta, adapted, outer_lr):
    moves = {n: np.mean([end[n].numpy() for end in adapted], axis=0) - theta[n].numpy() for n in theta}
    return {n: theta[n] + outer_lr * torch.from_numpy(np.asarray(moves[n])) for n in theta}


def anil_by_func(loss, params, support, inner_lr, names):
    """Differentiate a function of the parameters that move."""
    slopes = torch.func.grad(lambda moving: loss({**params, **moving}, support))(
        {n: params[n] for n in names}
    )
    return {**params, **{name: params[name] - inner_lr * slope for name, slope in slopes.items()}}


def anil_by_all_gradients(loss, params, support, inner_lr, names):
    """Take the gradient by everything, and multiply it by 0 where nothing should move."""
    slopes = gradient_of(loss(params, support), params.values(), create_graph=True)
    result = {}
    for (name, value), slope in zip(params.items(), slopes, strict=True):
        result[name] = value - inner_lr * (name in names) * slope
    return result


def anil_name_by_name(loss, params, support, inner_lr, names):
    value = loss(params, support)
    result = {name: value.clone() for name, value in params.items()}
    for name in names:
        (slope,) = torch.autograd.grad(value, params[name], create_graph=True)
        result[name] = params[name] - inner_lr * slope
    return result


def anil_by_backward_cleared(loss, params, support, inner_lr, names):
    """Use .grad, and clear it before."""
    for value in params.values():
        value.grad = None
    fill_grads(loss(params, support))
    return {n: v - inner_lr * v.grad if n in names else v for n, v in params.items()}


def anil_by_the_core(loss, params, support, inner_lr, names):
    batch = tuple(tensor[None] for tensor in support)
    rates = {name: torch.tensor(inner_lr * (name in names)) for name in params}
    stacked = {name: value[None] for name, value in params.items()}
    moved = maml.inner_step(loss, stacked, batch, inner_lr=rates)
    return {name: value[0] for name, value in moved.items()}


RIGHT_ANSWERS = {
    "fair_baseline": [
        baseline_right,
        baseline_in_torch,
        baseline_in_tensors,
        baseline_in_numpy,
        baseline_by_loops,
    ],
    "five_positions": [
        lambda: (-3, -1, 1, 3, 5),
        lambda: range(-4, 5, 2),
        lambda: np.linspace(-5, 5, 5),
        lambda: torch.arange(-4, 5, 2),
        lambda: [torch.tensor(2.0), np.float32(0), -2, np.array(4), -4.0],
    ],
    "reptile_update": [reptile_right, reptile_by_a_loop, reptile_by_lerp, reptile_through_numpy],
    "anil_step": [
        anil_by_func,
        anil_by_all_gradients,
        anil_name_by_name,
        anil_by_backward_cleared,
        anil_by_the_core,
    ],
}

EQUIVALENT = {
    "fair_baseline": [
        (r"\.mean\(\) for rate.*\.sum\(\) for rate", "every rate is tried on as many tasks and points"),
        (r"the result has lost its sign", "a mean of squared errors has none"),
        (r"int\(tuned", "a tensor of one whole number is an index as well"),
        (r"float\(errors\.mean", "a tensor of one number is as good as a number"),
    ],
    "five_positions": [
        (r"0\.0, 3\.0, 4\.0\]$", "the mean error from these positions is below the goal as well"),
        (r"-4\.0, -3\.0, 0\.0", "the mean error from these positions is below the goal as well"),
    ],
    "anil_step": [(r"strict=True\)\)  ->", "there always are as many gradients as names")],
}
