"""The exercises of lesson NN; `mistakes` says how they are judged.

They carry no annotations: their first lines are what a student reads.
"""

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_NN import mistakes

# --- a code exercise


def line_values(x, slope, offset):
    """Return slope * x + offset for each entry of x [N]."""
    ### BEGIN SOLUTION
    return slope * x + offset
    ### END SOLUTION


# --- another one


def best_slope(x, y):
    """Return the slope of the line through the origin whose squared error on the points x, y [N] is least."""
    ### BEGIN SOLUTION
    return (x * y).sum() / (x * x).sum()
    ### END SOLUTION


# --- a planted bug: the lines that begin with #| take the place of the solution in the student's notebook


def mean_error(predicted, y):
    """Return the mean absolute error of the predictions for y; arrays [N]."""
    total = 0.0
    ### BEGIN SOLUTION
    for k in range(len(y)):
        ### END SOLUTION
        #| for k in range(len(y) - 1):
        total += abs(predicted[k] - y[k])
    return total / len(y)


EXERCISES = (
    Exercise(
        reference=line_values,
        check=mistakes.LINE_VALUES,
        title="Points on a line",
        level="core",
        minutes=4,
        points=1,
        hints=(
            "What does the line give at x = 0, and how much more at x = 1?",
            "An array times a number is an array: slope * x.",
        ),
    ),
    Exercise(
        reference=best_slope,
        check=mistakes.BEST_SLOPE,
        title="The best slope",
        level="core",
        minutes=8,
        points=2,
        hints=(
            "Write down the squared error as a function of the slope, and its derivative.",
            "The derivative is zero where the sum of x * (y - slope * x) is zero.",
        ),
    ),
    Exercise(
        reference=mean_error,
        check=mistakes.MEAN_ERROR,
        title="Find the point that got lost",
        level="core",
        minutes=3,
        points=1,
        planted=True,
        hints=(
            "Call it with a single point.",
            "range(n) already stops before n: which is the last k of range(n - 1)?",
        ),
    ),
)
