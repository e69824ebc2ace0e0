"""Wrong and right answers to the exercises of lesson 10, as students would write them."""

import numpy as np
import torch

# --- hessian_vector


def without_decay(x, v, decay):
    return 2 / len(x) * x.T @ (x @ v)


def half_the_decay(x, v, decay):
    return 2 / len(x) * x.T @ (x @ v) + decay * v


def as_a_sum(x, v, decay):
    return 2 * x.T @ (x @ v) + 2 * decay * v


def by_the_diagonal(x, v, decay):
    return np.diag(2 / len(x) * x.T @ x) * v + 2 * decay * v


def without_the_square(x, v, decay):
    return x.T @ (x @ v) / len(x) + decay * v


def vector_by_the_matrix(x, v, decay):
    return (2 / len(x) * x.T @ x + 2 * decay * np.eye(len(v))) @ v


def vector_by_rows(x, v, decay):
    total = 2 * decay * v
    for row in x:
        total = total + 2 / len(x) * row * (row * v).sum()
    return total


def vector_by_autograd(x, v, decay):
    rows = torch.from_numpy(x)

    def loss(theta):
        return ((rows @ theta) ** 2).mean() + decay * (theta**2).sum()

    theta = torch.zeros(len(v), dtype=torch.float64)
    _, product = torch.autograd.functional.hvp(loss, theta, torch.from_numpy(v))
    return torch.as_tensor(product).numpy()


# --- walk_back


def first_step_first(slope, products, inner_lr):
    for product in products:
        slope = slope - inner_lr * product(slope)
    return slope


def added(slope, products, inner_lr):
    for product in reversed(products):
        slope = slope + inner_lr * product(slope)
    return slope


def all_of_the_slope(slope, products, inner_lr):
    v = slope
    for product in reversed(products):
        v = v - inner_lr * product(slope)
    return v


def first_order(slope, products, inner_lr):
    return slope


def only_the_last(slope, products, inner_lr):
    return slope - inner_lr * products[-1](slope) if products else slope


def way_by_index(slope, products, inner_lr):
    v = slope.copy()
    for k in range(len(products) - 1, -1, -1):
        v = v - inner_lr * products[k](v)
    return v


def way_by_recursion(slope, products, inner_lr):
    if not products:
        return slope
    *before, last = products
    return way_by_recursion(slope - inner_lr * last(slope), before, inner_lr)


def way_by_matrices(slope, products, inner_lr):
    identity, whole = np.eye(len(slope)), np.eye(len(slope))
    for product in products:
        whole = whole @ (identity - inner_lr * np.array([product(row) for row in identity]))
    return whole @ slope


# --- held


def first_counted_twice(steps, spacing):
    kept = -(-steps // spacing)
    return kept + min(spacing, steps), 2 * steps - kept


def kept_alone(steps, spacing):
    kept = -(-steps // spacing)
    return kept, 2 * steps - kept


def rounded_down(steps, spacing):
    kept = steps // spacing
    return kept + min(spacing, steps) - 1, 2 * steps - kept


def nothing_twice(steps, spacing):
    return -(-steps // spacing) + min(spacing, steps) - 1, steps


def held_by_walking(steps, spacing):
    kept = set(range(0, steps, spacing))
    most, computed, stretch = len(kept), steps, set()
    for k in reversed(range(steps)):
        if k not in kept | stretch:
            stretch = {j for j in range(k // spacing * spacing, k + 1) if j not in kept}
            computed += len(stretch)
        most = max(most, len(kept | stretch))
        stretch = stretch - {k}
    return most, computed


def held_by_ceil(steps, spacing):
    kept = int(np.ceil(steps / spacing))
    longest = spacing if spacing < steps else steps
    return [kept + longest - 1, steps + (steps - kept)]


def held_by_lists(steps, spacing):
    stretches = [range(steps)[k : k + spacing] for k in range(0, steps, spacing)]
    return (
        len(stretches) + max(len(each) - 1 for each in stretches),
        steps + sum(len(each) - 1 for each in stretches),
    )


# --- shares


def rest_lost(n_tasks, n_ranks):
    size = n_tasks // n_ranks
    return [(r * size, (r + 1) * size) for r in range(n_ranks)]


def rest_to_the_last(n_tasks, n_ranks):
    size = n_tasks // n_ranks
    return [(r * size, (r + 1) * size if r < n_ranks - 1 else n_tasks) for r in range(n_ranks)]


def rounded_up(n_tasks, n_ranks):
    size = -(-n_tasks // n_ranks)
    return [(min(r * size, n_tasks), min((r + 1) * size, n_tasks)) for r in range(n_ranks)]


def sizes_in_any_order(n_tasks, n_ranks):
    return [(r * n_tasks // n_ranks, (r + 1) * n_tasks // n_ranks) for r in range(n_ranks)]


def overlapping(n_tasks, n_ranks):
    size, rest = divmod(n_tasks, n_ranks)
    return [(r * size, (r + 1) * size + (r < rest)) for r in range(n_ranks)]


def shares_by_a_loop(n_tasks, n_ranks):
    found, start = [], 0
    for rank in range(n_ranks):
        size = n_tasks // n_ranks + (1 if rank < n_tasks % n_ranks else 0)
        found.append((start, start + size))
        start += size
    return found


def shares_by_numpy(n_tasks, n_ranks):
    stops = np.cumsum([len(part) for part in np.array_split(np.arange(n_tasks), n_ranks)])
    return [(int(a), int(b)) for a, b in zip([0, *stops[:-1]], stops, strict=True)]


def shares_by_rounding_up(n_tasks, n_ranks):
    found = []
    for left in range(n_ranks, 0, -1):
        start = found[-1][1] if found else 0
        found.append((start, start + -(-(n_tasks - start) // left)))
    return found


# --- mean_over_ranks


def busy_ranks(gradients, counts):
    return np.mean([g for g, count in zip(gradients, counts, strict=True) if count], axis=0)


def by_the_ranks(gradients, counts):
    return sum(count * g for g, count in zip(gradients, counts, strict=True)) / len(counts)


def not_made_sums(gradients, counts):
    return sum(gradients) / sum(counts)


def the_sum(gradients, counts):
    return np.array(counts) @ np.array(gradients)


def mean_by_numpy(gradients, counts):
    return np.average(gradients, axis=0, weights=counts)


def mean_by_a_product(gradients, counts):
    return np.array(counts) @ np.stack(gradients) / np.sum(counts)


def mean_by_repeating(gradients, counts):
    return np.repeat(np.array(gradients), counts, axis=0).mean(axis=0)


# --- predict_time


def all_parallel(workers, seconds, more):
    return seconds[0] * workers[0] / more


def a_line_in_n(workers, seconds, more):
    return np.polyval(np.polyfit(workers, seconds, 1), more)


def first_two(workers, seconds, more):
    return time_by_hand(workers[:2], seconds[:2], more)


def how_fast(workers, seconds, more):
    return time_by_hand(workers, seconds, 1) / time_by_hand(workers, seconds, more)


def exchanged(workers, seconds, more):
    serial, parallel = np.polyfit(1 / workers, seconds, 1)
    return serial + parallel / more


def time_by_hand(workers, seconds, more):
    share = 1 / workers
    away = share - share.mean()
    parallel = (away * seconds).sum() / (away**2).sum()
    return seconds.mean() + parallel * (1 / more - share.mean())


def time_by_lstsq(workers, seconds, more):
    table = np.stack([np.ones(len(workers)), 1 / workers], axis=1)
    return np.array([1, 1 / more]) @ np.linalg.lstsq(table, seconds, rcond=None)[0]


def time_by_polynomial(workers, seconds, more):
    return np.poly1d(np.polyfit([1 / n for n in workers], seconds, 1))(1 / more)


WRONG_ANSWERS = {
    "hessian_vector": [
        (without_decay, "the decay is missing"),
        (half_the_decay, "the decay has lost a factor of 2"),
        (as_a_sum, "L is the mean"),
        (by_the_diagonal, "the diagonal of H alone"),
        (without_the_square, "both parts have lost the factor of 2"),
    ],
    "walk_back": [
        (first_step_first, "the last step comes first"),
        (added, "the products are added"),
        (all_of_the_slope, "each must take what the one before left"),
        (first_order, "this is first order"),
        (only_the_last, "only the last step"),
    ],
    "held": [
        (first_counted_twice, "counted twice"),
        (kept_alone, "are held, too"),
        (rounded_down, "round up"),
        (nothing_twice, "computed anew"),
    ],
    "shares": [
        (rest_lost, "are lost"),
        (rest_to_the_last, "the last rank takes all"),
        (rounded_up, "differ by more than one"),
        (sizes_in_any_order, "their order is not"),
        (overlapping, "shares overlap"),
    ],
    "mean_over_ranks": [
        (busy_ranks, "still the average of averages"),
        (by_the_ranks, "divide by all tasks"),
        (not_made_sums, "multiply by its count"),
        (the_sum, "return the mean"),
    ],
    "predict_time": [
        (all_parallel, "what is serial stays"),
        (a_line_in_n, "straight in 1 / n"),
        (first_two, "only the first two"),
        (how_fast, "return the seconds"),
        (exchanged, "slope and intercept are exchanged"),
    ],
}

RIGHT_ANSWERS = {
    "hessian_vector": [vector_by_the_matrix, vector_by_rows, vector_by_autograd],
    "walk_back": [way_by_index, way_by_recursion, way_by_matrices],
    "held": [held_by_walking, held_by_ceil, held_by_lists],
    "shares": [shares_by_a_loop, shares_by_numpy, shares_by_rounding_up],
    "mean_over_ranks": [mean_by_numpy, mean_by_a_product, mean_by_repeating],
    "predict_time": [time_by_hand, time_by_lstsq, time_by_polynomial],
}

EQUIVALENT = {
    "hessian_vector": [(r"`decay` has lost its sign", "a decay has none")],
    "held": [
        (r"min\(steps, spacing\)", "the smaller of two is the smaller of two"),
        (r"`(steps|spacing)` must not be 0", "without steps nothing is held, and no spacing is 0"),
    ],
    "shares": [
        (r"min\(rest, rank\)", "the smaller of two is the smaller of two"),
        (r"range\(n_ranks \+ 2\)\]$", "one start too many, which nobody takes"),
        (r"`n_ranks` must not be 0", "somebody must do it"),
    ],
    "mean_over_ranks": [
        (r"np\.zeros\(len\(gradients\[-1\]\)\)", "all gradients have the same length"),
        (r"zip\(gradients, counts(, strict=False)?\)", "there is a count for each gradient"),
        (r"zip\(counts, gradients, strict=True\)", "a product is the same in either order"),
    ],
    "predict_time": [
        (r"(`seconds`|the result) has lost its sign", "a time has none"),
        (r"`more` must not be 0", "nobody is no number of workers"),
    ],
}
