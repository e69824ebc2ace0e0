"""Cases and known mistakes of lesson 07: what a wrong answer gives, and what to tell its author."""

from typing import Any, NamedTuple

import numpy as np

from mlearn_utils.tasks.tabular import FloatArray, IntArray

Wrong = list[tuple[FloatArray, str]]


class Case(NamedTuple):
    """Arguments of `gain_over_default`."""

    train: FloatArray
    test: FloatArray
    proposed: IntArray
    budget: int


def same(result: Any, wrong: Any) -> bool:
    """Return whether a student's result equals the value that a mistake gives."""
    if not isinstance(result, np.ndarray | np.number | float) or np.shape(result) != np.shape(wrong):
        return False
    values = np.asarray(result)
    return values.dtype.kind in "fiu" and bool(np.allclose(values, wrong, rtol=1e-9, atol=1e-12))


def wrong_columns(x: FloatArray, h: FloatArray) -> Wrong:
    """Return what each known mistake gives for the columns of the surrogate, with its message."""
    ones = np.ones((len(x), 1))
    products = (x[:, :, None] * h[:, None, :]).reshape(len(x), -1)
    settings_first = (h[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    tables = [
        (
            [ones, x, h, h**2],
            "the products are missing: the best h of such a model is the same for every task, whatever x is",
        ),
        (
            [ones, x, h, products],
            "the squares of h are missing: a model that is straight in h suggests a corner of the range",
        ),
        (
            [x, h, h**2, products],
            "the column of ones is missing: the fit would have to go through the origin",
        ),
        (
            [ones, h, h**2, products],
            "x itself is missing: how hard a task is would be blamed on its settings",
        ),
        ([ones, x, h, x**2, products], "the squares are those of x; it is h whose best value is looked for"),
        (
            [ones, x, h, h**2, settings_first],
            "the products are there, those of h_0 first; the order asked for is those of x_0 first",
        ),
    ]
    return [(np.concatenate(columns, axis=1), message) for columns, message in tables]


def make_case(seed: int) -> Case:
    """Return tables of returns with no symmetry to hide a mistake."""
    rng = np.random.default_rng([seed, 7])
    train, test = rng.normal(size=(30, 6)), rng.normal(size=(9, 6, 8))
    train[:, seed], test[:, (seed + 2) % 6] = train[:, seed] + 1.0, test[:, (seed + 2) % 6] + 1.0
    proposed = np.array([rng.permutation(6)[:5] for _ in range(9)])
    return Case(train, test, proposed, 3)


def wrong_gains(case: Case) -> Wrong:
    """Return what each unfair comparison gives for the gain over the default, with its message."""
    train, test, proposed, budget = case
    default, chosen_late = train.mean(axis=0).argmax(), test.mean(axis=(0, 2)).argmax()
    task = np.arange(len(test))[:, None]
    ours = test[task, proposed[:, :budget], 0].max(axis=1)
    theirs = test[:, default, :budget].max(axis=1)
    return [
        (
            ours - test[:, default, 0],
            "the default makes one run, the other side the whole budget: the best of more runs is better "
            "even if the settings are not. Give both sides the same number of runs",
        ),
        (
            ours - test[:, chosen_late, :budget].max(axis=1),
            "the default is chosen on the test tasks: nothing may be chosen where it is judged",
        ),
        (
            ours - test[:, default, :].max(axis=1),
            "now the default makes all R runs, more than its budget",
        ),
        (
            test[task, proposed, 0].max(axis=1) - theirs,
            "the proposals use more runs than the budget: take the first `budget` of them",
        ),
        (
            test[task, proposed[:, :budget], :].max(axis=(1, 2)) - theirs,
            "each proposal is run R times: a proposal takes one run of the budget",
        ),
        (
            ours - test[:, default, :budget].mean(axis=1),
            "the mean of the default's runs is compared with the best of ours: both sides keep their best",
        ),
        (
            theirs - ours,
            "the sign is turned round: the gain is ours less theirs",
        ),
    ]


def make_parabolas(seed: int) -> tuple[float, float, FloatArray, FloatArray, FloatArray]:
    """Return theta, alpha and curvatures, support and query centers of four parabolas."""
    rng = np.random.default_rng([seed, 3])
    curvature = rng.uniform(0.5, 2.0, 4)
    return 0.7, 0.25, curvature, rng.normal(size=4), rng.normal(size=4)


def wrong_slopes(
    theta: float, alpha: float, curvature: FloatArray, support_center: FloatArray, query_center: FloatArray
) -> list[tuple[Any, str]]:
    """Return what each slip gives for the slope of the loss by the learning rate, with its message."""
    support_slope = curvature * (theta - support_center)
    adapted = theta - alpha * support_slope
    query_slope = curvature * (adapted - query_center)
    at_start = curvature * (theta - query_center)
    return [
        (
            (support_slope * query_slope).mean(),
            "the sign: a larger alpha moves theta' against the support slope",
        ),
        (
            (-support_slope * at_start).mean(),
            "the query slope is taken at theta; the query loss is judged at theta', after the step",
        ),
        (
            (-support_slope * query_slope).sum(),
            "the slope of the sum over tasks; the loss is their mean",
        ),
        (-support_slope * query_slope, "these are the slopes of the single tasks: their mean is asked for"),
        (
            -support_slope.mean() * query_slope.mean(),
            "the product of the means is not the mean of the products: each task has its own pair of slopes",
        ),
        (
            ((1 - alpha * curvature) * query_slope).mean(),
            "this is the derivative by theta, MAML's meta-gradient of lesson 04; here alpha is the variable",
        ),
        (
            (-support_slope * curvature * (adapted - support_center)).mean(),
            "the adapted point is judged on the support set; use the query centers",
        ),
    ]
