"""Wrong and right answers to the exercises of lesson 11, and what the authors of the wrong ones are told."""

import numpy as np
import torch

# --- diagnose


def gradient_first(told, one_for_all, after, gradient_error):
    if gradient_error > 0.01:
        return 1
    return by_counting(told, one_for_all, after, 0.0)


def by_the_mean(told, one_for_all, after, gradient_error):
    return by_counting(told, one_for_all, np.full(len(after), after.mean()), gradient_error)


def by_returns(told, one_for_all, after, gradient_error):
    worth = told.mean() - one_for_all.mean()
    return by_counting(told, one_for_all, after + one_for_all.mean(), gradient_error) if worth >= 5 else 0


def for_any_gain(told, one_for_all, after, gradient_error):
    first = by_counting(told, one_for_all, after, gradient_error)
    gains = after - one_for_all.mean()
    return first if first < 3 else 5 if (gains >= 0).all() else 3 if (gains >= 0).any() else 4


def by_the_median(told, one_for_all, after, gradient_error):
    return by_counting(told, one_for_all, np.full(len(after), np.median(after)), gradient_error)


def for_a_majority(told, one_for_all, after, gradient_error):
    first = by_counting(told, one_for_all, after, gradient_error)
    half = (told.mean() + one_for_all.mean()) / 2
    return 4 if first == 3 and (after >= half).sum() <= len(after) / 2 else first


def worth_without_sign(told, one_for_all, after, gradient_error):
    if told.mean() < one_for_all.mean() - 5:
        return by_counting(one_for_all, told, after + (told.mean() - one_for_all.mean()), gradient_error)
    return by_counting(told, one_for_all, after, gradient_error)


def some_before_all(told, one_for_all, after, gradient_error):
    found = by_counting(told, one_for_all, after, gradient_error)
    return 3 if found == 5 else found


def more_than_half(told, one_for_all, after, gradient_error):
    return by_counting(told, one_for_all, after - 1e-12, gradient_error)


def trainings_told(told, one_for_all, after, gradient_error):
    found = by_counting(told, one_for_all, after, gradient_error)
    if found < 2:
        return found
    return 2 if len(told) < 3 else by_counting(told, one_for_all, np.tile(after, 3), gradient_error)


def as_words(told, one_for_all, after, gradient_error):
    return "no headroom"


# --- meta_loss


def losses_of(loss, theta, tasks, inner_lr, steps, change=lambda slope, k: slope, judge=1):
    found = []
    for pair in tasks:
        adapted = theta
        for k in range(steps):
            (slope,) = torch.autograd.grad(loss(adapted, pair[0]), adapted, create_graph=True)
            adapted = adapted - inner_lr * change(slope, k)
        found.append(loss(adapted, pair[judge]))
    return torch.stack(found)


def with_data(loss, theta, tasks, inner_lr, steps):
    return losses_of(loss, theta, tasks, inner_lr, steps, lambda slope, k: slope.data).mean()


def last_step_alone(loss, theta, tasks, inner_lr, steps):
    def change(slope, k):
        return slope if k == steps - 1 else slope.detach()

    return losses_of(loss, theta, tasks, inner_lr, steps, change).mean()


def judged_on_the_support(loss, theta, tasks, inner_lr, steps):
    return losses_of(loss, theta, tasks, inner_lr, steps, judge=0).mean()


def summed(loss, theta, tasks, inner_lr, steps):
    return losses_of(loss, theta, tasks, inner_lr, steps).sum()


def cut_after_each_step(loss, theta, tasks, inner_lr, steps):
    return losses_of(loss, theta, tasks, inner_lr, steps).mean().detach()


# --- gradient_error


def central(objective, theta, h):
    moves = h * np.eye(len(theta))
    return np.array([(objective(theta + move) - objective(theta - move)) / (2 * h) for move in moves])


def one_sided(objective, gradient, theta, h):
    here = objective(theta)
    differences = np.array([(objective(theta + h * row) - here) / h for row in np.eye(len(theta))])
    return np.linalg.norm(gradient - differences) / np.linalg.norm(differences)


def divided_by_h(objective, gradient, theta, h):
    differences = 2 * central(objective, theta, h)
    return np.linalg.norm(gradient - differences) / np.linalg.norm(differences)


def absolute(objective, gradient, theta, h):
    return np.linalg.norm(gradient - central(objective, theta, h))


def by_length(objective, gradient, theta, h):
    size = np.linalg.norm(central(objective, theta, h))
    return abs(np.linalg.norm(gradient) - size) / size


WRONG_ANSWERS = {
    "diagnose": [
        (gradient_first, "before the headroom"),
        (by_the_mean, "hides those that are stuck"),
        (by_returns, "not gains"),
        (for_any_gain, "any gain counts"),
        (by_the_median, "the training in the middle"),
        (for_a_majority, "a single training"),
        (worth_without_sign, "no absolute value"),
        (some_before_all, "line 5 holds"),
        (more_than_half, "exactly half is enough"),
        (trainings_told, "trainings that are told"),
        (as_words, "should be one number"),
    ],
    "meta_loss": [
        (with_data, "still that of first order"),
        (last_step_alone, "only the slope of the last step"),
        (judged_on_the_support, "rewards memorizing"),
        (summed, "return the mean"),
        (cut_after_each_step, "no longer depends on theta"),
    ],
    "gradient_error": [
        (one_sided, "to one side"),
        (divided_by_h, "the way is 2 h long"),
        (absolute, "divide it by the norm of the differences"),
        (by_length, "points elsewhere"),
    ],
}


# --- right answers in other styles


def by_counting(told, one_for_all, after, gradient_error):
    low = sum(one_for_all) / len(one_for_all)
    half = (sum(told) / len(told) - low) / 2
    good = sum(value - low >= half for value in after)
    if half < 2.5:
        return 0
    if gradient_error > 0.01:
        return 1
    if len(after) < 3:
        return 2
    return 5 if good == len(after) else 3 if good else 4


def by_a_list(told, one_for_all, after, gradient_error):
    low, worth = one_for_all.mean(), told.mean() - one_for_all.mean()
    gains = after - low
    lines = [worth < 5, gradient_error > 0.01, len(after) < 3, min(gains) < worth / 2 <= max(gains)]
    return [*lines, max(gains) < worth / 2, True].index(True)


def by_select(told, one_for_all, after, gradient_error):
    low, worth = np.mean(one_for_all), np.mean(told) - np.mean(one_for_all)
    good = (after - low >= worth / 2).mean()
    holds = [worth < 5, gradient_error > 0.01, after.size < 3, 0 < good < 1, good == 0]
    return np.select(holds, range(5), 5)


def loss_by_parts(loss, theta, tasks, inner_lr, steps):
    return losses_of(loss, theta, tasks, inner_lr, steps).mean()


def loss_by_backward(loss, theta, tasks, inner_lr, steps):
    total = 0.0
    for support, query in tasks:
        adapted = theta * 1.0
        for _ in range(steps):
            adapted = adapted - inner_lr * torch.func.grad(loss)(adapted, support)
        total = total + loss(adapted, query) / len(tasks)
    return total


def loss_by_recursion(loss, theta, tasks, inner_lr, steps):
    def adapt(start, support, left):
        if left == 0:
            return start
        slope = torch.autograd.grad(loss(start, support), start, create_graph=True)[0]
        return adapt(start - inner_lr * slope, support, left - 1)

    return sum(loss(adapt(theta, support, steps), query) for support, query in tasks) / len(tasks)


def error_by_rows(objective, gradient, theta, h):
    differences = central(objective, theta, h)
    return np.linalg.norm(gradient - differences) / np.linalg.norm(differences)


def error_by_a_loop(objective, gradient, theta, h):
    above = below = 0.0
    for k in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[k], down[k] = up[k] + h, down[k] - h
        difference = (objective(up) - objective(down)) / (2 * h)
        above, below = above + (gradient[k] - difference) ** 2, below + difference**2
    return (above / below) ** 0.5


def error_by_torch(objective, gradient, theta, h):
    right = torch.from_numpy(central(objective, theta, h))
    return (torch.from_numpy(gradient) - right).norm() / right.norm()


RIGHT_ANSWERS = {
    "diagnose": [by_counting, by_a_list, by_select],
    "meta_loss": [loss_by_parts, loss_by_backward, loss_by_recursion],
    "gradient_error": [error_by_rows, error_by_a_loop, error_by_torch],
}

POSITIVE = r"the result has lost its sign"
EQUIVALENT = {
    "diagnose": [(r"`gradient_error` has lost its sign", "an error has none")],
    "gradient_error": [
        (r"np\.ones\(len\(theta\)\)$", "every entry is written"),
        (r"len\(gradient\)", "the gradient has an entry for each of theta"),
        (r"`h` has lost its sign", "central differences are the same for -h"),
        (r"`h` must not be 0", "nothing can be told without a move"),
        (POSITIVE, "a distance has none"),
    ],
}
