"""The exercises of lesson 09; `mistakes` says how they are judged.

They carry no annotations: their first lines are what a student reads.
"""

import numpy as np

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_09 import mistakes

# --- the search


def search_steps(route, treasures):
    """Return the mean number of steps, over equally likely treasures, of a search along a route.

    route: [S] the cell reached by each step; a cell may come twice. treasures: [N] cells, each on the route.
    A walk ends at its treasure.
    """
    ### BEGIN SOLUTION
    return np.mean([np.flatnonzero(route == cell)[0] + 1 for cell in treasures])
    ### END SOLUTION


# --- the planted bug


def split_visits(patient, n_test):
    """Return [N] True at the visits kept for the test: all of the n_test patients with the largest numbers.

    patient: [N] integers, whose visit it is; patients come several times, in any order. n_test: at least 1.
    """
    ### BEGIN SOLUTION
    return np.isin(patient, np.unique(patient)[-n_test:])
    ### END SOLUTION
    #| share = n_test / len(np.unique(patient))
    #| return np.arange(len(patient)) >= (1 - share) * len(patient)


# --- the next dose


def hours_in_window(left, unit, doses, low, high):
    """Return [D] for each dose the number of hours in which the level would lie in [low, high].

    left: [H] what is still left of earlier doses at each hour. unit: [H] what a dose of 1 mg adds at each
    hour. Levels add up. doses: [D].
    """
    ### BEGIN SOLUTION
    levels = left + doses[:, None] * unit
    return ((levels >= low) & (levels <= high)).sum(axis=1)
    ### END SOLUTION


# --- brake or steer


def brake_or_steer(reach, needed, braking):
    """Return whether to swerve, and what the better of the two is worth on average.

    Swerving is worth 1 if the car gets `needed` metres aside in time, and else 0. reach: [S] equally likely
    guesses at how far it gets. Braking is worth `braking`, for certain; where both are worth the same, brake.
    """
    ### BEGIN SOLUTION
    swerving = np.mean(reach >= needed)
    return swerving > braking, max(swerving, braking)
    ### END SOLUTION


# --- a model from two steps


def ridge_around(inputs, changes, average, strength):
    """Return the matrix W [F, G] that makes |inputs W - changes|^2 + strength |W - average|^2 least.

    inputs: [K, F] what went in at K steps, K may be less than F. changes: [K, G] what came out. average:
    [F, G] what other robots have on average. |.|^2 is the sum of all squares.
    """
    ### BEGIN SOLUTION
    missing = changes - inputs @ average
    square = inputs.T @ inputs + strength * np.eye(inputs.shape[1])
    return average + np.linalg.solve(square, inputs.T @ missing)
    ### END SOLUTION


# --- is it a difference?


def paired_difference(one, other):
    """Return the mean difference one - other over N seeds, and its standard error.

    one, other: [N] the results of two methods, from the same N seeds. The standard error of a mean is the
    standard deviation (N - 1 in its denominator) over the root of N.
    """
    ### BEGIN SOLUTION
    difference = one - other
    return difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=search_steps,
        check=mistakes.SEARCH_STEPS,
        title="A search along a route",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "At which step is one cell met for the first time? Steps are counted from 1.",
            "np.flatnonzero(route == cell)[0] is the first place, counted from 0.",
        ),
    ),
    Exercise(
        reference=split_visits,
        check=mistakes.SPLIT_VISITS,
        title="A patient on both sides",
        level="core",
        minutes=5,
        points=2,
        planted=True,
        hints=(
            "Try patient = np.array([3, 1, 3, 2, 1]) with n_test = 1: whose visits are kept?",
            "Who is tested must be decided by patient, not by visit.",
            "np.unique(patient)[-n_test:] are the patients; np.isin says which visits are theirs.",
        ),
    ),
    Exercise(
        reference=hours_in_window,
        check=mistakes.HOURS_IN_WINDOW,
        title="The next dose",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "The level under a dose d is left + d * unit, an array [H].",
            "doses[:, None] * unit is an array [D, H]: all doses at once.",
            "Count, along the hours, where the level is at least low and at most high.",
        ),
    ),
    Exercise(
        reference=brake_or_steer,
        check=mistakes.BRAKE_OR_STEER,
        title="Brake or steer",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "What is swerving worth on average, if every guess is equally likely?",
            "The share of the guesses that reach far enough: compare it with what braking is worth.",
        ),
    ),
    Exercise(
        reference=ridge_around,
        check=mistakes.RIDGE_AROUND,
        title="A model from two steps",
        level="core",
        minutes=7,
        points=3,
        hints=(
            "Write W = average + D. Then D has ordinary ridge regression, on changes - inputs @ average.",
            "Ridge: (X'X + strength I) D = X'Y. np.linalg.solve solves it for all columns at once.",
        ),
    ),
    Exercise(
        reference=paired_difference,
        check=mistakes.PAIRED_DIFFERENCE,
        title="Is it a difference?",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "Both meet the same test tasks: look at one - other, seed by seed.",
            "difference.std(ddof=1) / np.sqrt(N).",
        ),
    ),
)
