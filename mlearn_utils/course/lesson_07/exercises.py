"""Learning the learner's hyperparameters.

The exercises of lesson 07. Every checker compares the answer with the right value and with the values that
the known mistakes give, so that its message can name the one that was made. The exercises themselves carry no
annotations: their first lines are what a student reads.
"""

from collections.abc import Callable

import numpy as np

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_07.mistakes import (
    Case,
    make_case,
    make_parabolas,
    same,
    wrong_columns,
    wrong_gains,
    wrong_slopes,
)

# --- features of a linear surrogate


def surrogate_columns(x, h):
    """Return [N, 1 + F + H + H + F*H]: a column of ones, x, h, h squared, and each product x_f * h_j.

    x [N, F] describes the task of each run, h [N, H] its settings. The products of x_0 come first.
    """
    ### BEGIN SOLUTION
    products = (x[:, :, None] * h[:, None, :]).reshape(len(x), -1)
    return np.concatenate([np.ones((len(x), 1)), x, h, h**2, products], axis=1)
    ### END SOLUTION


def check_surrogate_columns(answer: Callable) -> str:
    """Check the columns, and that a linear fit on them can suggest different settings for different tasks."""
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    kept = x.copy(), h.copy()
    result = answer(x, h)
    expect(np.array_equal(x, kept[0]) and np.array_equal(h, kept[1]), "x or h itself was changed")
    for wrong, message in wrong_columns(x, h):
        expect(not same(result, wrong), message)
    expect_close(result, surrogate_columns(x, h), "the columns are not 1, x, h, h squared, x_f * h_j")
    return (
        "The squares let a best setting lie inside the range, the products let it depend on the task. "
        "Without the products every task would get the same suggestion."
    )


# --- leave out tasks, not rows


def rows_of_new_tasks(task, share, rng):
    """Return [N] True for the rows to test on: all rows of a random `share` of the tasks, no row of others.

    task [N] says which task each row belongs to. round(share * number of tasks) tasks are left out. rng is a
    numpy generator: rng.choice(values, size=k, replace=False) draws k of them.
    """
    ### BEGIN SOLUTION
    tasks = np.unique(task)
    left_out = rng.choice(tasks, size=round(share * len(tasks)), replace=False)
    return np.isin(task, left_out)
    ### END SOLUTION


def check_rows_of_new_tasks(answer: Callable) -> str:
    """Check that whole tasks are left out, that their number is right, and that chance decides which."""
    task = np.repeat([3, 8, 11, 20, 21, 34, 35, 40, 77, 90], [4, 9, 6, 5, 7, 3, 8, 6, 5, 7])
    order = np.random.default_rng(1).permutation(len(task))
    task, seen = task[order], []
    for seed in range(6):
        result = answer(task.copy(), 0.3, np.random.default_rng(seed))
        _check_mask(result, task)
        share = np.array([result[task == k].mean() for k in np.unique(task)])
        expect(
            not ((share > 0) & (share < 1)).any(),
            "some tasks have rows on both sides: the model has seen them, and is tested on its memory. Draw "
            "tasks, then take all their rows",
        )
        expect(
            share.sum() != 7,
            "the mask is the other way round: True marks the rows to test on, here those of 3 of 10 tasks",
        )
        expect(share.sum() == 3, f"{share.sum():.0f} of 10 tasks are left out, expected round(0.3 * 10) = 3")
        seen.append(tuple(share))
    expect(
        len(set(seen)) > 1,
        "the same tasks are left out whatever the generator: use rng, or an order in the table decides",
    )
    return "Whole tasks are left out, so what the test says holds for tasks never seen."


def _check_mask(result: object, task: np.ndarray) -> None:
    expect(result is not None, "The result is None: is a `return` missing?")
    expect(
        isinstance(result, np.ndarray) and result.dtype == bool and result.shape == task.shape,
        "return one True or False for each row, an array of booleans of the shape of `task`; "
        "np.isin(task, chosen) makes it",
    )


# --- a fair budget


def gain_over_default(train, test, proposed, budget):
    """Return [M] what the best of `budget` proposed settings earns more than the default, on each new task.

    train [N, S]: returns of S settings on N training tasks. test [M, S, R]: R runs of each on M new tasks.
    proposed [M, P]: numbers of the settings proposed for each new task, best first, no setting twice.
    Each side may make `budget` runs and keeps its best. The default can only repeat itself: runs 0, 1, ...
    """
    default = train.mean(axis=0).argmax()
    task = np.arange(len(test))[:, None]
    ours = test[task, proposed[:, :budget], 0].max(axis=1)
    ### BEGIN SOLUTION
    theirs = test[:, default, :budget].max(axis=1)
    ### END SOLUTION
    #| theirs = test[:, default, 0]
    return ours - theirs


def check_gain_over_default(answer: Callable) -> str:
    """Compare with the fair gain and with what each unfair comparison gives."""
    for seed in range(3):
        case: Case = make_case(seed)
        result = answer(case.train.copy(), case.test.copy(), case.proposed.copy(), case.budget)
        for wrong, message in wrong_gains(case):
            expect(not same(result, wrong), message)
        expect_close(result, gain_over_default(*case), "not the best of ours less the best of the default's")
        single = answer(case.train, case.test, case.proposed, 1)
        expect_close(single, gain_over_default(*case[:3], 1), "right for this budget, wrong for one run")
    return "Both sides make as many runs, and nothing was chosen on the new tasks."


# --- the slope of the loss by the learning rate


def rate_slope(theta, alpha, curvature, support_center, query_center):
    """Return d/d alpha of the mean query loss after one inner step of size alpha on T parabolas [T].

    Support loss a/2 (theta - s)^2, query loss a/2 (theta' - q)^2, theta' = theta - alpha * (support slope).
    """
    ### BEGIN SOLUTION
    support_slope = curvature * (theta - support_center)
    adapted = theta - alpha * support_slope
    query_slope = curvature * (adapted - query_center)
    return (-support_slope * query_slope).mean()
    ### END SOLUTION


def check_rate_slope(answer: Callable) -> str:
    """Compare with the closed form and with what each slip gives."""
    for seed in range(3):
        arguments = make_parabolas(seed)
        result = answer(*arguments)
        for wrong, message in wrong_slopes(*arguments):
            expect(not same(result, wrong), message)
        expect_close(result, rate_slope(*arguments), "not the derivative of the mean query loss by alpha")
    return "It is minus the mean product of the two slopes: where both point the same way, step further."


EXERCISES = (
    Exercise(
        reference=surrogate_columns,
        check=check_surrogate_columns,
        title="What a linear model must see",
        level="core",
        minutes=6,
        points=3,
        hints=(
            "np.concatenate([...], axis=1) puts columns side by side; np.ones((len(x), 1)) is the first.",
            "x[:, :, None] * h[:, None, :] is [N, F, H]: all products of each row.",
            "reshape(len(x), -1) flattens the products of a row, those of x_0 first.",
        ),
    ),
    Exercise(
        reference=rows_of_new_tasks,
        check=check_rows_of_new_tasks,
        title="Leave out tasks, not rows",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "First the different tasks: np.unique(task). Then draw some of them.",
            "rng.choice(tasks, size=round(share * len(tasks)), replace=False) draws the tasks to leave out.",
            "np.isin(task, left_out) says of each row whether its task is among them.",
        ),
    ),
    Exercise(
        reference=gain_over_default,
        check=check_gain_over_default,
        title="Find the unfair comparison",
        level="core",
        minutes=4,
        points=2,
        planted=True,
        hints=(
            "Count the runs that each side makes on a new task.",
            "`ours` is the best of `budget` runs. What is `theirs` the best of?",
        ),
    ),
    Exercise(
        reference=rate_slope,
        check=check_rate_slope,
        title="The slope by the learning rate",
        level="core",
        minutes=6,
        points=3,
        hints=(
            "Chain rule: alpha moves theta', and theta' moves the query loss.",
            "d theta' / d alpha is minus the slope of the support loss at theta.",
            "d query loss / d theta' is a (theta' - q), taken at theta', not at theta.",
        ),
    ),
)
