"""Wrong and right answers to the exercises of lesson 07, and what the authors of the wrong ones are told."""

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit

from mlearn_utils.course.lesson_07.exercises import rate_slope, surrogate_columns

# --- surrogate_columns


def side_by_side(*columns):
    return np.concatenate(columns, axis=1)


def products(x, h):
    return (x[:, :, None] * h[:, None, :]).reshape(len(x), -1)


def columns_without_products(x, h):
    return side_by_side(np.ones((len(x), 1)), x, h, h**2)


def columns_without_squares(x, h):
    return side_by_side(np.ones((len(x), 1)), x, h, products(x, h))


def columns_without_ones(x, h):
    return side_by_side(x, h, h**2, products(x, h))


def columns_without_x(x, h):
    return side_by_side(np.ones((len(x), 1)), h, h**2, products(x, h))


def columns_with_squares_of_x(x, h):
    return side_by_side(np.ones((len(x), 1)), x, h, x**2, products(x, h))


def columns_in_another_order(x, h):
    return side_by_side(np.ones((len(x), 1)), x, h, h**2, products(h, x))


def columns_as_rows(x, h):
    return surrogate_columns(x, h).T


def columns_that_change_h(x, h):
    h **= 2
    return columns_without_squares(x, h)


def columns_without_h(x, h):
    return side_by_side(np.ones((len(x), 1)), x, h**2, products(x, h))


def columns_with_squares_last(x, h):
    return side_by_side(np.ones((len(x), 1)), x, h, products(x, h), h**2)


def columns_with_h_before_x(x, h):
    return side_by_side(np.ones((len(x), 1)), h, x, h**2, products(x, h))


def columns_with_ones_last(x, h):
    return side_by_side(x, h, h**2, products(x, h), np.ones((len(x), 1)))


def columns_with_zeros(x, h):
    return side_by_side(np.zeros((len(x), 1)), x, h, h**2, products(x, h))


def columns_with_all_squares(x, h):
    return side_by_side(np.ones((len(x), 1)), x, h, x**2, h**2, products(x, h))


def columns_with_sums(x, h):
    sums = (x[:, :, None] + h[:, None, :]).reshape(len(x), -1)
    return side_by_side(np.ones((len(x), 1)), x, h, h**2, sums)


def columns_of_two_settings(x, h):
    pairs = [x[:, f] * h[:, j] for f in range(x.shape[1]) for j in range(2)]
    return side_by_side(np.ones((len(x), 1)), x, h, h**2, np.stack(pairs, axis=1))


def columns_as_whole_numbers(x, h):
    return surrogate_columns(x, h).astype(int)


# --- rows_of_new_tasks


def some_rows(task, share, rng):
    return rng.random(len(task)) < share


def first_tasks(task, share, rng):
    tasks = np.unique(task)
    return np.isin(task, tasks[: round(share * len(tasks))])


def rows_of_old_tasks(task, share, rng):
    tasks = np.unique(task)
    return ~np.isin(task, rng.choice(tasks, size=round(share * len(tasks)), replace=False))


def drawn_by_row(task, share, rng):
    return np.isin(task, rng.choice(task, size=round(share * len(task)), replace=False))


def numbers_of_rows(task, share, rng):
    tasks = np.unique(task)
    return np.flatnonzero(np.isin(task, rng.choice(tasks, size=round(share * len(tasks)), replace=False)))


def no_mask(task, share, rng):
    np.isin(task, rng.choice(np.unique(task), size=3, replace=False))


def drawn_with_replacement(task, share, rng):
    tasks = np.unique(task)
    return np.isin(task, rng.choice(tasks, size=round(share * len(tasks))))


def always_three_tasks(task, share, rng):
    return np.isin(task, rng.choice(np.unique(task), size=3, replace=False))


def cut_off_number(task, share, rng):
    tasks = np.unique(task)
    return np.isin(task, rng.choice(tasks, size=int(share * len(tasks)), replace=False))


def rounded_up_number(task, share, rng):
    tasks = np.unique(task)
    return np.isin(task, rng.choice(tasks, size=int(np.ceil(share * len(tasks))), replace=False))


def drawn_by_numpy(task, share, rng):
    tasks = np.unique(task)
    drawn = np.random.choice(tasks, size=round(share * len(tasks)), replace=False)  # noqa: NPY002
    return np.isin(task, drawn)


def drawn_by_a_fresh_generator(task, share, rng):
    return left_out(task, share, np.random.default_rng())


def drawn_by_a_fixed_generator(task, share, rng):
    return left_out(task, share, np.random.default_rng(0))


def left_out(task, share, rng, p=None):
    tasks = np.unique(task)
    return np.isin(task, rng.choice(tasks, size=round(share * len(tasks)), replace=False, p=p))


def drawn_by_weight(task, share, rng):
    return left_out(task, share, rng, p=np.unique(task, return_counts=True)[1] / len(task))


def each_task_by_chance(task, share, rng):
    chosen = [k for k in np.unique(task) if rng.random() < share]
    return np.isin(task, chosen)


def a_block_of_tasks(task, share, rng):
    tasks = np.unique(task)
    start, size = rng.integers(len(tasks)), round(share * len(tasks))
    return np.isin(task, np.take(tasks, np.arange(start, start + size), mode="wrap"))


def never_the_first_task(task, share, rng):
    tasks = np.unique(task)
    return np.isin(task, rng.choice(tasks[1:], size=round(share * len(tasks)), replace=False))


def always_the_first_task(task, share, rng):
    first, *others = np.unique(task)
    size = round(share * (len(others) + 1)) - 1
    return np.isin(task, [first, *rng.choice(others, size=size, replace=False)])


def rows_as_whole_numbers(task, share, rng):
    return left_out(task, share, rng).astype(int)


def rows_of_a_sorted_table(task, share, rng):
    task.sort()
    return left_out(task, share, rng)


def rows_shuffled(task, share, rng):
    return rng.permutation(left_out(task, share, rng))


def drawn_by_position(task, share, rng):
    n_tasks = len(np.unique(task))
    return np.isin(task, rng.choice(n_tasks, size=round(share * n_tasks), replace=False))


def numbers_of_tasks(task, share, rng):
    return rng.choice(np.unique(task), size=round(share * len(np.unique(task))), replace=False)


# --- gain_over_default


def contest(train, test, proposed, budget, *, choose_on=None, runs=None, tries=None, keep=np.max):
    default = (train if choose_on is None else choose_on(test)).mean(axis=0).argmax()
    task = np.arange(len(test))[:, None]
    ours = test[task, proposed[:, : tries or budget], 0].max(axis=1)
    return ours - keep(test[:, default, : runs or budget], axis=1)


def gain_over_one_run(train, test, proposed, budget):
    return contest(train, test, proposed, budget, runs=1)


def gain_over_a_late_default(train, test, proposed, budget):
    return contest(train, test, proposed, budget, choose_on=lambda test: test.mean(axis=2))


def gain_over_all_runs(train, test, proposed, budget):
    return contest(train, test, proposed, budget, runs=test.shape[2])


def gain_of_all_proposals(train, test, proposed, budget):
    return contest(train, test, proposed, budget, tries=proposed.shape[1])


def gain_over_the_mean(train, test, proposed, budget):
    return contest(train, test, proposed, budget, keep=np.mean)


def gain_of_the_default(train, test, proposed, budget):
    return -contest(train, test, proposed, budget)


def gain_of_repeated_proposals(train, test, proposed, budget):
    task = np.arange(len(test))[:, None]
    theirs = test[:, train.mean(axis=0).argmax(), :budget].max(axis=1)
    return test[task, proposed[:, :budget]].max(axis=(1, 2)) - theirs


def gain_over(default, test, proposed, budget):
    ours = test[np.arange(len(test))[:, None], proposed[:, :budget], 0].max(axis=1)
    return ours - test[:, default, :budget].max(axis=1)


def gain_over_the_best_median(train, test, proposed, budget):
    return gain_over(np.median(train, axis=0).argmax(), test, proposed, budget)


def gain_over_the_luckiest(train, test, proposed, budget):
    return gain_over(train.max(axis=0).argmax(), test, proposed, budget)


def gain_over_the_most_wins(train, test, proposed, budget):
    return gain_over(np.bincount(train.argmax(axis=1)).argmax(), test, proposed, budget)


def gain_over_the_best_of_all_tasks(train, test, proposed, budget):
    everything = np.concatenate([train, test.mean(axis=2)])
    return gain_over(everything.mean(axis=0).argmax(), test, proposed, budget)


def gain_over_the_steadiest(train, test, proposed, budget):
    return gain_over((train.mean(axis=0) - train.std(axis=0)).argmax(), test, proposed, budget)


def gain_over_the_best_sum_of_ranks(train, test, proposed, budget):
    return gain_over(train.argsort(axis=1).argsort(axis=1).mean(axis=0).argmax(), test, proposed, budget)


def gain_over_one_run_fewer(train, test, proposed, budget):
    return contest(train, test, proposed, budget, runs=max(budget - 1, 1))


def gain_over_runs_from_one(train, test, proposed, budget):
    ours = test[np.arange(len(test))[:, None], proposed[:, :budget], 0].max(axis=1)
    return ours - test[:, train.mean(axis=0).argmax(), 1 : budget + 1].max(axis=1)


def gain_over_the_worst(train, test, proposed, budget):
    return gain_over(train.mean(axis=0).argmin(), test, proposed, budget)


def gain_over_the_oracle(train, test, proposed, budget):
    task = np.arange(len(test))[:, None]
    return test[task, proposed[:, :budget], 0].max(axis=1) - test[:, :, :budget].max(axis=(1, 2))


def gain_of_one_run_each(train, test, proposed, budget):
    return contest(train, test, proposed, budget, runs=1, tries=1)


def gain_over_one_run_more(train, test, proposed, budget):
    return contest(train, test, proposed, budget, runs=budget + 1)


def gain_over_the_last_runs(train, test, proposed, budget):
    return contest(train, test[:, :, ::-1], proposed, budget) + (
        test[np.arange(len(test))[:, None], proposed[:, :budget], 0].max(axis=1)
        - test[np.arange(len(test))[:, None], proposed[:, :budget], -1].max(axis=1)
    )


def gain_over_one_late_run(train, test, proposed, budget):
    return contest(train, test[:, :, budget - 1 :], proposed, budget, runs=1) + (
        test[np.arange(len(test))[:, None], proposed[:, :budget], 0].max(axis=1)
        - test[np.arange(len(test))[:, None], proposed[:, :budget], budget - 1].max(axis=1)
    )


def gain_over_three_runs(train, test, proposed, budget):
    return contest(train, test, proposed, 3)


def gain_over_the_worst_run(train, test, proposed, budget):
    return contest(train, test, proposed, budget, keep=np.min)


def gain_that_spoils_its_tables(train, test, proposed, budget):
    result = contest(train, test, proposed, budget)
    train[:], proposed[:] = 0, 0
    return result


def gain_as_a_mean(train, test, proposed, budget):
    return contest(train, test, proposed, budget).mean()


def gain_of_nine_tasks(train, test, proposed, budget):
    task = np.arange(9)[:, None] % len(test)
    theirs = test[:, train.mean(axis=0).argmax(), :budget].max(axis=1)
    return test[task, proposed[task[:, 0], :budget], 0].max(axis=1) - theirs[task[:, 0]]


# --- rate_slope


def slopes(theta, alpha, a, s, q):
    support = a * (theta - s)
    return support, a * (theta - alpha * support - q)


def slope_of_the_other_sign(theta, alpha, a, s, q):
    return -rate_slope(theta, alpha, a, s, q)


def slope_at_theta(theta, alpha, a, s, q):
    return -(a * (theta - s) * a * (theta - q)).mean()


def slope_of_the_sum(theta, alpha, a, s, q):
    return rate_slope(theta, alpha, a, s, q) * len(a)


def slopes_of_the_tasks(theta, alpha, a, s, q):
    support, query = slopes(theta, alpha, a, s, q)
    return -support * query


def slope_of_the_means(theta, alpha, a, s, q):
    support, query = slopes(theta, alpha, a, s, q)
    return -support.mean() * query.mean()


def slope_by_theta(theta, alpha, a, s, q):
    return ((1 - alpha * a) * slopes(theta, alpha, a, s, q)[1]).mean()


def slope_on_the_support_set(theta, alpha, a, s, q):
    return rate_slope(theta, alpha, a, s, s)


def slope_of_exchanged_centers(theta, alpha, a, s, q):
    return rate_slope(theta, alpha, a, q, s)


def slope_without_the_query_curvature(theta, alpha, a, s, q):
    support, query = slopes(theta, alpha, a, s, q)
    return -(support * query / a).mean()


def slope_without_the_support_curvature(theta, alpha, a, s, q):
    support = theta - s
    return -(support * a * (theta - alpha * support - q)).mean()


def slope_uphill(theta, alpha, a, s, q):
    support, _ = slopes(theta, alpha, a, s, q)
    return -(support * a * (theta + alpha * support - q)).mean()


def slope_without_alpha(theta, alpha, a, s, q):
    support, _ = slopes(theta, alpha, a, s, q)
    return -(support * a * (theta - support - q)).mean()


def slope_at_the_first_theta(theta, alpha, a, s, q):
    return rate_slope(0.7, alpha, a, s, q)


def slope_at_the_first_alpha(theta, alpha, a, s, q):
    return rate_slope(theta, 0.25, a, s, q)


def slope_over_four(theta, alpha, a, s, q):
    support, query = slopes(theta, alpha, a, s, q)
    return -(support * query).sum() / 4


def slope_of_four(theta, alpha, a, s, q):
    support, query = slopes(theta, alpha, a, s, q)
    return -sum(support[i % len(a)] * query[i % len(a)] for i in range(4)) / 4


def slope_of_the_first_task(theta, alpha, a, s, q):
    support, query = slopes(theta, alpha, a, s, q)
    for g, g_query in zip(support, query, strict=True):
        return -g * g_query


def slope_by_the_logarithm(theta, alpha, a, s, q):
    return alpha * rate_slope(theta, alpha, a, s, q)


def slope_by_theta_prime(theta, alpha, a, s, q):
    return slopes(theta, alpha, a, s, q)[1].mean()


def slope_as_the_loss(theta, alpha, a, s, q):
    return (a / 2 * (theta - alpha * a * (theta - s) - q) ** 2).mean()


def slope_that_moves_the_centers(theta, alpha, a, s, q):
    q -= theta - alpha * a * (theta - s)
    return (a * (theta - s) * a * q).mean()


def slope_in_whole_numbers(theta, alpha, a, s, q):
    return int(rate_slope(theta, alpha, a, s, q))


WRONG_ANSWERS = {
    "surrogate_columns": [
        (columns_without_products, "products are missing"),
        (columns_without_squares, "squares of h are missing"),
        (columns_without_ones, "column of ones is missing"),
        (columns_without_x, "x itself is missing"),
        (columns_with_squares_of_x, "squares are those of x"),
        (columns_in_another_order, "those of x_0 first"),
        (columns_as_rows, "transposed"),
        (columns_without_h, "h itself is missing"),
        (columns_with_squares_last, "in another order"),
        (columns_with_h_before_x, "in another order"),
        (columns_with_ones_last, "the ones come first"),
        (columns_with_zeros, "holds zeros"),
        (columns_with_all_squares, "the squares of x are too many"),
        (columns_with_sums, "the sums x_f + h_j"),
        (columns_of_two_settings, "[5, 19]"),
        (columns_as_whole_numbers, "whole numbers cut off the fraction"),
        (columns_that_change_h, "h itself was changed"),
    ],
    "rows_of_new_tasks": [
        (some_rows, "on both sides"),
        (first_tasks, "whatever state the generator"),
        (rows_of_old_tasks, "the other way round"),
        (drawn_by_row, "expected round(0.3 * 10) = 3"),
        (numbers_of_rows, "one True or False for each row"),
        (no_mask, "`return` missing"),
        (drawn_with_replacement, "Is a task drawn twice?"),
        (always_three_tasks, "expected round(0.6 * 10) = 6"),
        (cut_off_number, "2 of 7 tasks are left out, expected round(0.4 * 7) = 3"),
        (rounded_up_number, "3 of 7 tasks are left out, expected round(0.35 * 7) = 2"),
        (drawn_by_numpy, "draw from `rng` only"),
        (drawn_by_a_fresh_generator, "draw from `rng` only"),
        (drawn_by_a_fixed_generator, "draw from it"),
        (drawn_by_weight, "however many rows it has"),
        (each_task_by_chance, "That is not left to chance"),
        (a_block_of_tasks, "only 10 different choices of tasks"),
        (never_the_first_task, "task 0 is left out in none of 60 draws"),
        (always_the_first_task, "task 0 is left out in 100% of 60 draws"),
        (rows_as_whole_numbers, "an array of booleans"),
        (rows_of_a_sorted_table, "task itself was changed in place"),
        (rows_shuffled, "on both sides"),
        (numbers_of_tasks, "an array of booleans"),
        (drawn_by_position, "were positions drawn, 0, 1, ...?"),
    ],
    "gain_over_default": [
        (gain_over_one_run, "the default makes one run"),
        (gain_over_a_late_default, "chosen on the test tasks"),
        (gain_over_all_runs, "all R runs"),
        (gain_of_all_proposals, "more runs than the budget"),
        (gain_over_the_mean, "both sides keep their best"),
        (gain_of_the_default, "the sign is turned round"),
        (gain_of_repeated_proposals, "each proposal is run R times"),
        (gain_over_the_best_median, "the best median"),
        (gain_over_the_luckiest, "the best single run"),
        (gain_over_the_most_wins, "wins most training tasks"),
        (gain_over_the_best_of_all_tasks, "on training and test tasks together"),
        (gain_over_the_steadiest, "mean less deviation"),
        (gain_over_the_best_sum_of_ranks, "not the best of ours less the best of the default's"),
        (gain_over_one_run_fewer, "one run fewer than its budget"),
        (gain_over_runs_from_one, "runs 1 to `budget`"),
        (gain_over_the_worst, "the worst mean"),
        (gain_over_the_oracle, "the best of all settings"),
        (gain_of_one_run_each, "both sides make one run"),
        (gain_over_one_run_more, "one run more than its budget"),
        (gain_over_the_last_runs, "the default's last runs"),
        (gain_over_one_late_run, "only the last run of the default's budget"),
        (gain_over_three_runs, "`budget` makes no difference"),
        (gain_over_the_worst_run, "the worst of the default's runs"),
        (gain_that_spoils_its_tables, "train itself was changed in place"),
        (gain_as_a_mean, "of shape [9]"),
        (gain_of_nine_tasks, "of shape [7]"),
    ],
    "rate_slope": [
        (slope_of_the_other_sign, "the sign"),
        (slope_at_theta, "taken at theta"),
        (slope_of_the_sum, "sum over tasks"),
        (slopes_of_the_tasks, "slopes of the single tasks"),
        (slope_of_the_means, "product of the means"),
        (slope_by_theta, "MAML's meta-gradient"),
        (slope_on_the_support_set, "judged on the support set"),
        (slope_of_exchanged_centers, "the two centers are exchanged"),
        (slope_without_the_query_curvature, "the curvature is missing from the query slope"),
        (slope_without_the_support_curvature, "the curvature is missing from the support slope"),
        (slope_uphill, "the step goes uphill"),
        (slope_without_alpha, "alpha is missing from theta'"),
        (slope_at_the_first_theta, "`theta` makes no difference"),
        (slope_at_the_first_alpha, "`alpha` makes no difference"),
        (slope_over_four, "It is right with theta = 0.73"),
        (slope_of_four, "It is right with theta = 0.73"),
        (slope_of_the_first_task, "only the first task counts"),
        (slope_by_the_logarithm, "the right value times `alpha`"),
        (slope_by_theta_prime, "the derivative by theta'"),
        (slope_as_the_loss, "the query loss itself"),
        (slope_that_moves_the_centers, "query_center itself was changed in place"),
        (slope_in_whole_numbers, "not the derivative of the mean query loss"),
    ],
}


# --- right answers in other styles


def columns_by_a_loop(x, h):
    """Row by row, as a list."""
    return [
        [1.0, *features, *settings, *(s**2 for s in settings), *(f * s for f in features for s in settings)]
        for features, settings in zip(x.tolist(), h.tolist(), strict=True)
    ]


def columns_by_einsum(x, h):
    return np.hstack(
        [np.ones_like(x[:, :1]), x, h, np.square(h), np.einsum("nf,nh->nfh", x, h).reshape(len(x), -1)]
    )


def columns_in_torch(x, h):
    x, h = torch.from_numpy(x), torch.from_numpy(h)
    pairs = torch.stack([x[:, f] * h[:, j] for f in range(x.shape[1]) for j in range(h.shape[1])], dim=1)
    return torch.cat([torch.ones(len(x), 1), x, h, h * h, pairs], dim=1).numpy()


def columns_in_single_precision(x, h):
    return surrogate_columns(x.astype(np.float32), h.astype(np.float32))


def rows_by_a_shuffle(task, share, rng):
    tasks = np.unique(task)
    rng.shuffle(tasks)
    return np.isin(task, tasks[: round(share * len(tasks))])


def rows_as_a_list(task, share, rng):
    tasks = sorted(set(task.tolist()))
    chosen = {tasks[k] for k in rng.permutation(len(tasks))[: round(share * len(tasks))]}
    return [k in chosen for k in task.tolist()]


def rows_as_a_tuple(task, share, rng):
    return tuple(left_out(task, share, rng))


def rows_by_smallest_numbers(task, share, rng):
    tasks, row = np.unique(task, return_inverse=True)
    return (rng.random(len(tasks)).argsort().argsort() < round(share * len(tasks)))[row]


def rows_by_scikit_learn(task, share, rng):
    size = round(share * len(np.unique(task)))
    splitter = GroupShuffleSplit(n_splits=1, test_size=size, random_state=int(rng.integers(2**31)))
    _, test = next(splitter.split(task, groups=task))
    mask = np.zeros(len(task), dtype=bool)
    mask[test] = True
    return mask


def gain_by_a_loop(train, test, proposed, budget):
    default = int(np.argmax([column.mean() for column in train.T]))
    gains = []
    for runs, settings in zip(test, proposed, strict=True):
        best = max(runs[k][0] for k in settings[:budget])
        gains.append(best - max(runs[default][:budget]))
    return gains


def gain_by_take(train, test, proposed, budget):
    first = np.take_along_axis(test[:, :, 0], proposed, axis=1)
    theirs = np.amax(test[:, np.argmax(train.sum(axis=0))][:, :budget], axis=1)
    return np.amax(first[:, :budget], axis=1) - theirs


def gain_in_torch(train, test, proposed, budget):
    train, test, proposed = map(torch.from_numpy, (train, test, proposed))
    ours = test[:, :, 0].gather(1, proposed)[:, :budget].amax(1)
    return (ours - test[:, train.mean(0).argmax(), :budget].amax(1)).numpy()


def slope_by_a_loop(theta, alpha, a, s, q):
    total = 0.0
    for curvature, support, query in zip(a, s, q, strict=True):
        step = curvature * (theta - support)
        total -= step * curvature * (theta - alpha * step - query)
    return total / len(a)


def slope_by_autograd(theta, alpha, a, s, q):
    a, s, q = map(torch.from_numpy, (a, s, q))
    rate = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    loss = (a / 2 * (theta - rate * a * (theta - s) - q) ** 2).mean()
    return torch.autograd.grad(loss, rate)[0]


def slope_by_differences(theta, alpha, a, s, q):
    def loss(rate):
        return np.mean(a / 2 * (theta - rate * a * (theta - s) - q) ** 2)

    return (loss(alpha + 1e-4) - loss(alpha - 1e-4)) / 2e-4


def slope_by_a_product(theta, alpha, a, s, q):
    support, query = slopes(theta, alpha, a, s, q)
    return np.array(-support @ query / a.size)


RIGHT_ANSWERS = {
    "surrogate_columns": [
        columns_by_a_loop,
        columns_by_einsum,
        columns_in_torch,
        columns_in_single_precision,
    ],
    "rows_of_new_tasks": [
        rows_by_a_shuffle,
        rows_as_a_list,
        rows_as_a_tuple,
        rows_by_smallest_numbers,
        rows_by_scikit_learn,
    ],
    "gain_over_default": [gain_by_a_loop, gain_by_take, gain_in_torch],
    "rate_slope": [slope_by_a_loop, slope_by_autograd, slope_by_differences, slope_by_a_product],
}

EQUIVALENT = {
    "surrogate_columns": [
        (r"len\(h\)", "x and h have as many rows"),
        (r"reshape\(len\(x\), -2\)", "numpy takes any negative size for the one that is left"),
    ],
    "rows_of_new_tasks": [(r"squeezed", "one row alone is no table to leave tasks out of")],
    "gain_over_default": [
        (r"train\.sum\(axis=0\)\.argmax", "the largest sum is the largest mean"),
        (r"np\.arange\(len\(proposed\)\)", "proposed has a row for each task of test"),
    ],
}
