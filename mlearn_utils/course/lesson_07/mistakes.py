"""How the answers of lesson 07 are judged: probes, known mistakes, and what to tell who made them."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from mlearn_utils.course.grading.compare import describe, expect
from mlearn_utils.course.grading.trial import Probe, Trial, Wrong
from mlearn_utils.tasks.tabular import BoolArray, FloatArray, IntArray

# --- features of a linear surrogate


def column_probes() -> list[Probe]:
    """Return x [N, F] and h [N, H]: more features than settings, then fewer, twice, and one row."""
    rng, sizes = np.random.default_rng(0), ((7, 3, 2), (5, 2, 4), (5, 2, 4), (1, 2, 3))
    return [(rng.normal(size=(n, F)), rng.normal(size=(n, H))) for n, F, H in sizes]


def wrong_columns(x: FloatArray, h: FloatArray) -> Wrong:
    """Return what each known mistake gives for the columns of the surrogate, with its message."""

    def flat(table: FloatArray) -> FloatArray:
        return table.reshape(len(x), -1)

    ones, squares, products = np.ones((len(x), 1)), h**2, flat(x[:, :, None] * h[:, None, :])
    blocks = [ones, x, h, squares, products]
    tables = [
        ([ones, x, h, squares], "the products are missing: the best h of such a model is the same for every "
         "task, whatever x is"),
        ([ones, x, h, products], "the squares of h are missing: a model that is straight in h suggests a "
         "corner of the range"),
        ([x, h, squares, products], "the column of ones is missing: the fit would have to go through the "
         "origin"),
        ([ones, h, squares, products], "x itself is missing: how hard a task is would be blamed on its "
         "settings"),
        ([ones, x, squares, products], "h itself is missing: a parabola in h needs its straight part, too"),
        ([0 * ones, x, h, squares, products], "the first column holds zeros: it is ones that let the fit "
         "leave the origin"),
        ([ones, x, h, x**2, products], "the squares are those of x; it is h whose best value is looked for"),
        ([ones, x, h, x**2, squares, products], "the squares of x are too many: only h, whose best value is "
         "looked for, is squared"),
        ([ones, x, h, squares, flat(h[:, :, None] * x[:, None, :])], "the products are there, those of h_0 "
         "first; the order asked for is those of x_0 first"),
        ([ones, x, h, squares, flat(x[:, :, None] + h[:, None, :])], "the sums x_f + h_j stand where the "
         "products belong"),
        ([x, h, squares, products, ones], "all columns are there; the ones come first"),
    ]  # fmt: skip
    for i, j in combinations(range(len(blocks)), 2):
        swapped = blocks.copy()
        swapped[i], swapped[j] = blocks[j], blocks[i]
        tables.append((swapped, "all columns are there, in another order than 1, x, h, h squared, x_f * h_j"))
    return [(np.concatenate(columns, axis=1), message) for columns, message in tables]


SURROGATE_COLUMNS = Trial(
    probes=column_probes,
    mistakes=wrong_columns,
    otherwise="the columns are not 1, x, h, h squared, x_f * h_j",
    praise="The squares let a best setting lie inside the range, the products let it depend on the task. "
    "Without the products every task would get the same suggestion.",
)


# --- leave out tasks, not rows

SEEDS = 60


def make_task_columns() -> list[tuple[IntArray, float]]:
    """Return the task of each row and the share of the tasks to leave out; one task has most of the rows."""
    ten, seven = [0, 8, 11, 20, 21, 34, 35, 40, 77, 90], [5, 6, 13, 14, 30, 31, 59]
    columns = np.repeat(ten, [4, 3, 6, 60, 7, 3, 8, 6, 5, 2]), np.repeat(seven, [3, 9, 2, 6, 5, 7, 4])
    ten_tasks, seven_tasks = (np.random.default_rng(1).permutation(column) for column in columns)
    return [(ten_tasks, 0.3), (ten_tasks, 0.6), (seven_tasks, 0.4), (seven_tasks, 0.35)]


def check_rows_of_new_tasks(answer: Callable) -> str:
    """Check that whole tasks are left out, that their number is right, and that chance decides which."""
    cases = make_task_columns()
    for task, share in cases:
        _check_count(_left_out(answer, task, share, 8), task, share)
    _check_chance(_left_out(answer, *cases[0], SEEDS), *cases[0])
    return "Whole tasks are left out, so what the test says holds for tasks never seen."


def _left_out(answer: Callable, task: IntArray, share: float, seeds: int) -> BoolArray:
    """Return [seeds, number of tasks] which tasks are left out with generators of the first seeds."""
    rows = [_mask(answer(task, share, np.random.default_rng(seed)), task) for seed in range(seeds)]
    shares = np.array([[mask[task == k].mean() for k in np.unique(task)] for mask in rows])
    expect(
        np.isin(shares, (0, 1)).all(),
        "some tasks have rows on both sides: the model has seen them, and is tested on its memory. Draw "
        "tasks, then take all their rows",
    )
    return shares == 1


def _mask(result: Any, task: IntArray) -> BoolArray:
    expect(result is not None, "The result is None: is a `return` missing?")
    is_row = isinstance(result, tuple | list) and all(isinstance(value, bool | np.bool_) for value in result)
    mask: Any = np.array(result, dtype=bool) if is_row else result
    expect(
        isinstance(mask, np.ndarray) and mask.dtype == bool and mask.shape == task.shape,
        "return one True or False for each row, an array of booleans of the shape of `task`, here "
        f"{list(task.shape)}; got {describe(result)}. np.isin(task, chosen) makes it",
    )
    return mask


def _check_count(chosen: BoolArray, task: IntArray, share: float) -> None:
    """Raise NotYet unless the right number of tasks is left out whatever the generator."""
    tasks, n_tasks = np.unique(task), chosen.shape[1]
    right, counts = round(share * n_tasks), np.unique(chosen.sum(axis=1))
    expect(
        not np.array_equal(counts, [n_tasks - right]),
        "the mask is the other way round: True marks the rows to test on, here those of "
        f"{right} of {n_tasks} tasks",
    )
    found, why = f"{counts[0]}", ""
    if len(counts) > 1:
        found = f"{counts[0]} to {counts[-1]}"
        why = (
            ". Is a task drawn twice? replace=False draws each once at most"
            if counts[-1] <= right
            else f". That is not left to chance: draw {right} from np.unique(task), which has each once"
        )
    expect(
        counts[0] == right or counts[-1] > right or tasks[chosen.any(axis=0)].max(initial=-1) >= n_tasks,
        f"at most {counts[-1]} of {n_tasks} tasks are left out, and none whose number is {n_tasks} or more: "
        "were positions drawn, 0, 1, ...? The numbers of the tasks are those in np.unique(task)",
    )
    expect(
        np.array_equal(counts, [right]),
        f"{found} of {n_tasks} tasks are left out, expected round({share:g} * {n_tasks}) = {right}{why}",
    )


def _check_chance(chosen: BoolArray, task: IntArray, share: float) -> None:
    """Raise NotYet unless the choice looks drawn from all tasks alike; one that never varies has its own."""
    tasks, rows = np.unique(task, return_counts=True)
    often, different = chosen.mean(axis=0), len(np.unique(chosen, axis=0))
    least, most = often.argmin(), often.argmax()
    if different == 1:
        return
    expect(often[least] > 0, f"task {tasks[least]} is left out in none of {SEEDS} draws: any task may be")
    expect(
        often[most] < share + 0.35,
        f"task {tasks[most]} is left out in {often[most]:.0%} of {SEEDS} draws, expected about {share:.0%}: "
        "every task must be as likely as any other"
        + (", however many rows it has" if most == rows.argmax() else ""),
    )
    expect(
        different > 2 * len(tasks),
        f"{SEEDS} states of the generator give only {different} different choices of tasks: draw each task "
        "on its own",
    )


# --- a fair budget


def gain_probes() -> list[Probe]:
    """Return train [N, S], test [M, S, R], proposed [M, P] and budget.

    The seeds are such that any other way to choose the default chooses another setting in three of them, at
    least: by the median, by ranks, less the deviation, by luck, on the test tasks or on all.
    """
    probes = []
    for seed, N, S, M, R, P, budget in (
        (38, 8, 7, 9, 8, 5, 3),
        (327, 6, 5, 7, 6, 4, 2),
        (1199, 7, 6, 5, 4, 5, 1),
        (1449, 9, 8, 6, 5, 6, 4),
        (327, 6, 5, 1, 6, 4, 2),
        (515, 7, 7, 8, 6, 5, 3),
        (1456, 8, 6, 4, 5, 4, 2),
        (823, 10, 7, 5, 6, 5, 2),
        (39, 6, 5, 7, 6, 4, 2),
    ):
        rng = np.random.default_rng(seed)
        train, test = rng.normal(size=(N, S)), rng.normal(size=(M, S, R))
        probes.append((train, test, np.array([rng.permutation(S)[:P] for _ in range(M)]), budget))
    return probes


def wrong_gains(train: FloatArray, test: FloatArray, proposed: IntArray, budget: int) -> Wrong:
    """Return what each unfair comparison gives for the gain over the default, with its message."""
    default, task = train.mean(axis=0).argmax(), np.arange(len(test))[:, None]
    tried = test[task, proposed[:, :budget]]
    ours, runs = tried[:, :, 0].max(axis=1), test[:, default]
    theirs = runs[:, :budget].max(axis=1)

    def chosen(default: Any) -> FloatArray:
        return ours - test[:, default, :budget].max(axis=1)

    both = np.concatenate([train, test.mean(axis=2)])
    careful = train.mean(axis=0) - train.std(axis=0)
    wins = np.bincount(train.argmax(axis=1), minlength=train.shape[1])
    return [
        (ours - runs[:, 0], "the default makes one run, the other side the whole budget: the best of more "
         "runs is better even if the settings are not. Give both sides the same number of runs"),
        (test[task, proposed[:, :1], 0][:, 0] - runs[:, 0], "both sides make one run: each may make `budget` "
         "runs and keeps its best"),
        (chosen(test.mean(axis=(0, 2)).argmax()), "the default is chosen on the test tasks: nothing may be "
         "chosen where it is judged"),
        (chosen(test[:, :, 0].mean(axis=0).argmax()), "the default is chosen on the test tasks, by their "
         "first runs: nothing may be chosen where it is judged"),
        (chosen(both.mean(axis=0).argmax()), "the default is chosen on training and test tasks together: "
         "nothing may be chosen where it is judged"),
        (chosen(careful.argmax()), "the default is the setting with the best mean less deviation: it has the "
         "best mean over the training tasks"),
        (chosen(np.median(train, axis=0).argmax()), "the default is the setting with the best median: it has "
         "the best mean over the training tasks"),
        (chosen(train.max(axis=0).argmax()), "the default is the setting with the best single run: it has "
         "the best mean over the training tasks"),
        (chosen(wins.argmax()), "the default is the setting that wins most training tasks: it has the best "
         "mean over them"),
        (chosen(train.mean(axis=0).argmin()), "the default is the setting with the worst mean"),
        (ours - test[:, :, :budget].max(axis=(1, 2)), "theirs is the best of all settings, chosen on the "
         "test tasks: it is the default alone that repeats its runs"),
        (ours - runs.max(axis=1), "now the default makes all R runs, more than its budget"),
        (ours - runs[:, : budget + 1].max(axis=1), "the default makes one run more than its budget"),
        (ours - runs[:, : max(budget - 1, 1)].max(axis=1), "the default makes one run fewer than its budget"),
        (ours - runs[:, 1 : budget + 1].max(axis=1), "these are the default's runs 1 to `budget`: it makes "
         "runs 0, 1, ..., as Python counts"),
        (ours - runs[:, budget - 1], "only the last run of the default's budget counts: it keeps the best of "
         "its first `budget` runs"),
        (ours - runs[:, -budget:].max(axis=1), "these are the default's last runs: it makes runs 0, 1, ..."),
        (test[task, proposed, 0].max(axis=1) - theirs, "the proposals use more runs than the budget: take "
         "the first `budget` of them"),
        (tried.max(axis=(1, 2)) - theirs, "each proposal is run R times: a proposal takes one run of the "
         "budget"),
        (ours - runs[:, :budget].mean(axis=1), "the mean of the default's runs is compared with the best of "
         "ours: both sides keep their best"),
        (tried[:, :, 0].mean(axis=1) - runs[:, :budget].mean(axis=1), "the means of both sides are compared: "
         "both keep their best"),
        (ours - runs[:, :budget].min(axis=1), "the worst of the default's runs is taken: both sides keep "
         "their best"),
        (theirs - ours, "the sign is turned round: the gain is ours less theirs"),
    ]  # fmt: skip


GAIN_OVER_DEFAULT = Trial(
    probes=gain_probes,
    mistakes=wrong_gains,
    otherwise="not the best of ours less the best of the default's",
    praise="Both sides make as many runs, and nothing was chosen on the new tasks.",
)


# --- the slope of the loss by the learning rate


def slope_probes() -> list[Probe]:
    """Return theta, alpha, curvatures, support and query centers of four parabolas, twice, and of three."""
    rng, cases = (
        np.random.default_rng(3),
        ((0.73, 0.25, 4), (-0.46, 0.15, 4), (1.38, 0.35, 3), (0.0, 0.45, 3)),
    )
    return [(theta, alpha, rng.uniform(0.5, 2.0, T), *rng.normal(size=(2, T))) for theta, alpha, T in cases]


def wrong_slopes(
    theta: float, alpha: float, curvature: FloatArray, support_center: FloatArray, query_center: FloatArray
) -> Wrong:
    """Return what each slip gives for the slope of the loss by the learning rate, with its message."""
    support = curvature * (theta - support_center)
    adapted = theta - alpha * support
    query = curvature * (adapted - query_center)

    def slope(a: Any, s: FloatArray, b: Any, q: FloatArray) -> Any:
        """Return the answer with curvature a and centers s in the support slope, b and q in the query's."""
        step = a * (theta - s)
        return -(step * b * (theta - alpha * step - q)).mean()

    def judged_at(point: FloatArray) -> Any:
        return -(support * curvature * (point - query_center)).mean()

    flat = "the curvature is missing from {}: the slope of a/2 (theta - c)^2 is a (theta - c)"
    return [
        ((support * query).mean(), "the sign: a larger alpha moves theta' against the support slope"),
        (judged_at(np.full_like(curvature, theta)), "the query slope is taken at theta; the query loss is "
         "judged at theta', after the step"),
        (judged_at(theta + alpha * support), "the step goes uphill: theta' is theta minus alpha times the "
         "support slope"),
        (judged_at(theta - support), "alpha is missing from theta': the step is alpha times the support "
         "slope"),
        (-(curvature * (adapted - support_center) * query).mean(), "the support slope is taken at theta'; "
         "the step begins at theta"),
        (-(support * query).sum(), "the slope of the sum over tasks; the loss is their mean"),
        (-support * query, "these are the slopes of the single tasks: their mean is asked for"),
        (-support.mean() * query.mean(), "the product of the means is not the mean of the products: each "
         "task has its own pair of slopes"),
        (((1 - alpha * curvature) * query).mean(), "this is the derivative by theta, MAML's meta-gradient of "
         "lesson 04; here alpha is the variable"),
        (query.mean(), "this is the derivative by theta': multiply it by that of theta' by alpha"),
        (-support.mean(), "this is the derivative of theta' by alpha: multiply it by the query slope"),
        ((curvature / 2 * (adapted - query_center) ** 2).mean(), "this is the query loss itself: its "
         "derivative by alpha is asked for"),
        (slope(curvature, support_center, curvature, support_center), "the adapted point is judged on the "
         "support set; use the query centers"),
        (slope(curvature, query_center, curvature, query_center), "the step is taken on the query set; use "
         "the support centers"),
        (slope(curvature, query_center, curvature, support_center), "the two centers are exchanged: the step "
         "uses the support centers, the judgment the query centers"),
        (slope(1, support_center, curvature, query_center), flat.format("the support slope")),
        (slope(curvature, support_center, 1, query_center), flat.format("the query slope")),
        (slope(1, support_center, 1, query_center), flat.format("both slopes")),
        (slope(2 * curvature, support_center, 2 * curvature, query_center), "the factor 1/2 of the parabolas "
         "is forgotten: the slope of a/2 (theta - c)^2 is a (theta - c)"),
        ((-support * query)[0], "only the first task counts: does the loop `return` too early?"),
        ((-support * query)[-1], "only the last task counts: their mean is asked for"),
    ]  # fmt: skip


RATE_SLOPE = Trial(
    probes=slope_probes,
    mistakes=wrong_slopes,
    otherwise="not the derivative of the mean query loss by alpha",
    praise="It is minus the mean product of the two slopes: where both point the same way, step further.",
)
