"""Learning the learner's hyperparameters.

The exercises of lesson 07; `mistakes` says how they are judged. They carry no annotations: their first lines
are what a student reads.
"""

import numpy as np

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_07 import mistakes

# --- features of a linear surrogate


def surrogate_columns(x, h):
    """Return [N, 1 + F + H + H + F*H]: a column of ones, x, h, h squared, and each product x_f * h_j.

    x [N, F] describes the task of each run, h [N, H] its settings. The products of x_0 come first.
    """
    ### BEGIN SOLUTION
    products = (x[:, :, None] * h[:, None, :]).reshape(len(x), -1)
    return np.concatenate([np.ones((len(x), 1)), x, h, h**2, products], axis=1)
    ### END SOLUTION


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


EXERCISES = (
    Exercise(
        reference=surrogate_columns,
        check=mistakes.SURROGATE_COLUMNS,
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
        check=mistakes.check_rows_of_new_tasks,
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
        check=mistakes.GAIN_OVER_DEFAULT,
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
        check=mistakes.RATE_SLOPE,
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
