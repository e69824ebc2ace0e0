"""The exercises of lesson 10; `mistakes` says how they are judged.

They carry no annotations: their first lines are what a student reads.
"""

import numpy as np

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_10 import mistakes

# --- a Hessian times a vector, without the Hessian


def hessian_vector(x, v, decay):
    """Return H v [F], where H [F, F] is the Hessian of the loss L.

        L(theta) = mean over n of (x[n] @ theta - y[n]) ** 2 + decay * sum of theta ** 2.

    x is an array [N, F], N points with F features, v is [F]. Do not make an array [F, F]: F may be a million.
    """
    ### BEGIN SOLUTION
    return 2 / len(x) * x.T @ (x @ v) + 2 * decay * v
    ### END SOLUTION


# --- the way back through the inner steps


def walk_back(slope, products, inner_lr):
    """Return the derivative [F] of the query loss by theta^0, where the inner steps began.

    slope [F] is its derivative by theta^K, where they ended. products is a list of K functions:
    products[k](v) returns H^k v, with the Hessian of the support loss at theta^k.
    """
    ### BEGIN SOLUTION
    v = slope
    for product in reversed(products):
        v = v - inner_lr * product(v)
    return v
    ### END SOLUTION


# --- memory against work


def held(steps, spacing):
    """Return two whole numbers: how many parameter sets are held at most, and how many inner steps computed.

    theta^0, ..., theta^(steps - 1) are needed one by one, the last first. On the way out only each
    `spacing`-th is kept, from theta^0 on. On the way back the sets between two of them (or after the last)
    are computed anew, all of one stretch at a time, and dropped after use. Those that were kept stay. The way
    out takes all `steps` inner steps, up to theta^steps, which is not counted as held.
    """
    ### BEGIN SOLUTION
    kept = -(-steps // spacing)
    return kept + min(spacing, steps) - 1, 2 * steps - kept
    ### END SOLUTION


# --- tasks over ranks


def shares(n_tasks, n_ranks):
    """Return a list with (start, stop) for each rank: it takes the tasks from start to stop - 1.

    Together they are all tasks in order. Sizes differ by at most one, and the larger ones come first.
    """
    ### BEGIN SOLUTION
    size, rest = divmod(n_tasks, n_ranks)
    starts = [rank * size + min(rank, rest) for rank in range(n_ranks + 1)]
    return [(starts[rank], starts[rank + 1]) for rank in range(n_ranks)]
    ### END SOLUTION


# --- the planted bug


def mean_over_ranks(gradients, counts):
    """Return the gradient [F] of the mean loss over all tasks of all ranks.

    gradients[r] [F] is the gradient of the mean over the counts[r] tasks of rank r (zeros if it has none).
    """
    total = np.zeros(len(gradients[0]))
    ### BEGIN SOLUTION
    for gradient, count in zip(gradients, counts, strict=True):
        total = total + count * gradient
    return total / sum(counts)
    ### END SOLUTION
    #| for gradient in gradients:
    #|     total = total + gradient
    #| return total / len(gradients)


# --- Amdahl's law


def predict_time(workers, seconds, more):
    """Return the seconds that `more` workers would take, by t(n) = serial + parallel / n.

    seconds [M] were measured with workers [M], numbers of workers. Fit both parts by least squares.
    """
    ### BEGIN SOLUTION
    parallel, serial = np.polyfit(1 / workers, seconds, 1)
    return serial + parallel / more
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=hessian_vector,
        check=mistakes.HESSIAN_VECTOR,
        title="A Hessian times a vector",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "Write down the gradient. How does it change when theta moves along v? Nothing but that is H v.",
            "x @ v is how the predictions change: N numbers. What carries them back to theta?",
            "The brackets decide: x.T @ (x @ v) makes N numbers on the way, (x.T @ x) @ v makes F * F.",
        ),
    ),
    Exercise(
        reference=walk_back,
        check=mistakes.WALK_BACK,
        title="The way back through the inner steps",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "For one step it is slope - inner_lr * products[0](slope).",
            "With two steps: which of them stands next to the query loss, the first or the last?",
            "Each product takes what the one before it left: v = v - inner_lr * product(v).",
        ),
    ),
    Exercise(
        reference=held,
        check=mistakes.HELD,
        title="Memory against work",
        level="explore",
        minutes=5,
        points=2,
        hints=(
            "Draw it for 5 steps with spacing 2: kept are theta^0, theta^2, theta^4.",
            "When a stretch of `spacing` sets is there, one of them is a kept one already.",
            "On the way back every set that was not kept is computed once more.",
        ),
    ),
    Exercise(
        reference=shares,
        check=mistakes.SHARES,
        title="Tasks over ranks",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "divmod(25, 4) is (6, 1): six for each, and one is left over.",
            "The first `rest` ranks take one more each. Where does rank r start?",
            "Before rank r stand r * size tasks, and min(r, rest) more.",
        ),
    ),
    Exercise(
        reference=mean_over_ranks,
        check=mistakes.MEAN_OVER_RANKS,
        title="The mean over ranks",
        level="core",
        minutes=4,
        points=2,
        planted=True,
        hints=(
            "Try it with counts = [24, 1]. How much does the lone task weigh, and how much should it?",
            "A mean times its count is a sum. Sums can be added.",
        ),
    ),
    Exercise(
        reference=predict_time,
        check=mistakes.PREDICT_TIME,
        title="Amdahl's law, from measurements",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "Against 1 / n, serial + parallel / n is a straight line.",
            "np.polyfit(x, y, 1) returns the slope and then the intercept of the best line.",
        ),
    ),
)
