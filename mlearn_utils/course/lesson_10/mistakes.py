"""How the answers of lesson 10 are judged: probes, known mistakes, and what to tell who made them."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from mlearn_utils.course.grading.trial import Probe, Trial, Wrong

Product = Callable[[np.ndarray], np.ndarray]
Pairs = list[tuple[int, int]]


# --- a Hessian times a vector


def vector_probes() -> list[Probe]:
    """Return x, v and decay: more rows than columns and fewer, and no decay."""
    return [
        (np.array([[1.2, -0.43], [0.31, 0.9], [-1.1, 0.62], [0.74, 1.6]]), np.array([0.83, -1.3]), 0.354),
        (np.array([[0.4, 1.73, -0.6], [1.1, -0.2, 0.97]]), np.array([-0.5, 0.332, 1.9]), 0.0),
        (np.array([[-1.417], [0.8], [0.52], [2.1], [0.2]]), np.array([1.637]), 0.123),
        (np.array([[0.9, -1.3, 0.414, 2.2]]), np.array([0.7, 0.1, -1.846, 0.6]), 1.447),
        (np.array([[0.6, 1.21, 0.344], [-0.7, 0.8, 1.3]]), np.array([1.4, -0.92, 0.25]), 0.772),
        (np.zeros((2, 2)), np.array([0.9, -0.617]), 0.813),
    ]


def wrong_vectors(x: np.ndarray, v: np.ndarray, decay: float) -> Wrong:
    """Return what each known mistake gives for H v, with its message."""
    count, size = x.shape
    data, ridge = 2 / count * x.T @ (x @ v), 2 * decay * v
    return [
        (data, "the decay is missing: the second derivative of decay * theta**2 is 2 * decay"),
        (data + decay * v, "the decay has lost a factor of 2: the second derivative of theta**2 is 2"),
        (data + 2 * decay, "the decay does not multiply v: it is a part of H as well"),
        (data / 2 + ridge, "the data's part has lost a factor of 2: that of the square"),
        (data / 2 + ridge / 2, "both parts have lost the factor of 2 that a square brings"),
        (count * data + ridge, "this is the sum over the rows of x: L is the mean over them"),
        (count / size * data + ridge, "this divides by the number of columns of x: the mean is over its "
         "rows"),
        (data + ridge / size, "the decay is divided by the number of parameters: it belongs to the sum of "
         "their squares"),
        (data + ridge / count, "the decay is divided by the number of rows: only the first part of L is a "
         "mean"),
        (data - ridge, "the decay is subtracted: it bends the loss upward, too"),
        ((2 / count * (x * x).sum(axis=0) + 2 * decay) * v, "this takes the diagonal of H alone: the "
         "parameters of a model act together, through x @ v"),
        (2 / count * x.T @ np.ones(count) * v + ridge, "x @ v is missing: first how the predictions change, "
         "then back to theta"),
    ]  # fmt: skip


HESSIAN_VECTOR = Trial(
    probes=vector_probes,
    mistakes=wrong_vectors,
    otherwise="not the change of the gradient when theta moves along v",
    praise="Right, and about as cheap as a gradient if no array [F, F] was made on the way (look at your "
    "brackets). y is nowhere in it: moving the targets does not bend the loss.",
)


# --- the way back through the inner steps


def _quadratic(*rows: Sequence[float]) -> Product:
    """Return v -> H v for a symmetric H, given its rows; it refuses what is no vector of its size."""
    matrix = np.array(rows)

    def product(v: np.ndarray) -> np.ndarray:
        return matrix @ np.asarray(v, dtype=float)

    return product


def way_probes() -> list[Probe]:
    """Return slope, products and inner_lr: no step, one, two and three, Hessians that do not commute."""
    bent, steep = _quadratic([1.3, 0.4], [0.4, 0.6]), _quadratic([0.5, -0.9], [-0.9, 2.7])
    flat = _quadratic([-0.2, 0.3], [0.3, 0.8])
    wide = [
        _quadratic([1.1, 0.2, -0.5], [0.2, 0.7, 0.4], [-0.5, 0.4, 1.9]),
        _quadratic([0.3, -0.6, 0.1], [-0.6, 1.4, 0.8], [0.1, 0.8, 0.9]),
    ]
    return [
        (np.array([0.947, -1.4]), [bent, steep], 0.213),
        (np.array([-0.7, 0.533]), [steep, bent, flat], 0.13),
        (np.array([1.2, 0.468, -0.8]), wide, 0.342),
        (np.array([0.614, 1.1]), [flat], 0.4),
        (np.array([0.2, -1.5, 0.7]), [], 0.25),
        (
            np.array([1.723]),
            [_quadratic([2.3]), _quadratic([-0.6]), _quadratic([1.1]), _quadratic([0.4])],
            0.17,
        ),
        (np.array([0.8, 1.6]), [steep, flat], 0.0),
    ]


def _walked(slope: np.ndarray, products: Sequence[Product], rate: float) -> np.ndarray:
    for product in products:
        slope = slope - rate * product(slope)
    return slope


def wrong_ways(slope: np.ndarray, products: list[Product], inner_lr: float) -> Wrong:
    """Return what each known mistake gives for the derivative by theta^0, with its message."""
    back = products[::-1]
    at_once = slope - inner_lr * sum((product(slope) for product in products), np.zeros(len(slope)))
    product_only = slope
    for product in back:
        product_only = inner_lr * product(product_only)
    return [
        (_walked(slope, products, inner_lr), "this goes from the first step to the last: the slope is known "
         "at the end, so the last step comes first"),
        (_walked(slope, back, -inner_lr), "the products are added: the step was theta - inner_lr * gradient"),
        (slope, "this is first order: the slope at the end, as if every Hessian were 0"),
        (at_once, "every product is taken of the slope at the end: each must take what the one before left"),
        (_walked(slope, back[:1], inner_lr), "only the last step is walked back"),
        (_walked(slope, back[-1:], inner_lr), "only the first step is walked back"),
        (_walked(slope, products[:1] * len(products), inner_lr), "the Hessian of the first step serves all: "
         "each step has its own"),
        (_walked(slope, back[:1] * len(products), inner_lr), "the Hessian of the last step serves all: each "
         "step has its own"),
        (_walked(slope, back, 1.0), "inner_lr is missing: the derivative of a step is I - inner_lr * H"),
        (product_only, "the identity is missing: the derivative of a step is I - inner_lr * H, so v - "
         "inner_lr * product(v)"),
        (_walked(slope, back[:-1], inner_lr), "the first step is left out: walk until theta^0"),
        (_walked(slope, back[1:], inner_lr), "the last step is left out: products[-1] comes first"),
    ]  # fmt: skip


WALK_BACK = Trial(
    probes=way_probes,
    mistakes=wrong_ways,
    otherwise="not the product of (I - inner_lr * H^k) over all steps, times the slope",
    praise="Right, with Hessians that do not commute. That loop is backpropagation through learning.",
)


# --- memory against work


def held_probes() -> list[Probe]:
    """Return steps and spacing: whole stretches and a rest, all kept, one kept."""
    return [(12, 3), (10, 4), (7, 1), (9, 9), (5, 8), (100, 10), (13, 2), (1, 1), (17, 5), (6, 5)]


def wrong_held(steps: int, spacing: int) -> Wrong:
    """Return what each known mistake gives for the two numbers, with its message."""
    kept, stretch = -(-steps // spacing), min(spacing, steps)
    most, work = kept + stretch - 1, 2 * steps - kept
    last = steps - (kept - 1) * spacing
    return [
        ((kept + stretch, work), "the first set of a stretch is counted twice: it was kept already"),
        ((kept, work), "the sets that are computed anew are held, too, while their stretch is used"),
        ((steps, work), "this holds all sets, as without any spacing"),
        ((most, steps), "no step is counted twice: those that were not kept are computed anew"),
        ((most, 2 * steps), "kept sets are not computed anew"),
        ((most, steps - kept), "the way out is not counted: theta^K takes all steps"),
        ((steps // spacing + stretch - 1, 2 * steps - steps // spacing), "theta^0 is kept, and so is the "
         "first set of a last stretch that is shorter: round up"),
        ((steps // spacing + stretch, 2 * steps - steps // spacing - 1), "this counts a kept set beyond the "
         "last that is needed: theta^(steps - 1)"),
        ((kept + spacing - 1, work), "a stretch is never longer than all the steps"),
        ((kept + last - 1, work), "this is what is held for the last stretch: a full one holds more"),
        ((work, most), "the two numbers are exchanged"),
    ]  # fmt: skip


HELD = Trial(
    probes=held_probes,
    mistakes=wrong_held,
    otherwise="not what a drawing of the steps shows: count the kept sets and one full stretch",
    praise="Right. With 100 steps and spacing 10 it holds 19 sets in the place of 100, for 1.9 times the "
    "inner steps.",
)


# --- tasks over ranks


def share_probes() -> list[Probe]:
    """Return n_tasks and n_ranks: with and without a rest, fewer tasks than ranks, one rank."""
    return [(25, 4), (24, 3), (11, 4), (3, 5), (7, 1), (26, 8), (10, 6), (400, 7), (5, 2)]


def _pairs(starts: Sequence[int]) -> Pairs:
    return [(int(a), int(b)) for a, b in pairwise(starts)]


def wrong_shares(n_tasks: int, n_ranks: int) -> Wrong:
    """Return what each known mistake gives for the shares, with its message."""
    size, rest = divmod(n_tasks, n_ranks)
    up = -(-n_tasks // n_ranks)
    ranks = range(n_ranks + 1)
    right = _pairs([r * size + min(r, rest) for r in ranks])
    return [
        (_pairs([r * size for r in ranks]), "the tasks that are left over are lost"),
        (_pairs([*(r * size for r in range(n_ranks)), n_tasks]), "the last rank takes all that is left over: "
         "one more for each of the first ranks"),
        (_pairs([min(r * up, n_tasks) for r in ranks]), "every rank takes the size rounded up, and the last "
         "ones get too little: sizes differ by more than one"),
        (_pairs([r * size + max(0, r - (n_ranks - rest)) for r in ranks]), "the larger shares come last: "
         "they come first"),
        (_pairs([r * n_tasks // n_ranks for r in ranks]), "the sizes are right, their order is not: the "
         "larger ones come first"),
        ([(a, b - a) for a, b in right], "these are starts and sizes: return starts and stops"),
        ([(a, b - 1) for a, b in right], "stop is one less than it should be: the task at stop is not taken"),
        ([(r * size + (r < rest), (r + 1) * size + (r < rest)) for r in range(n_ranks)], "a rank does not "
         "start where the one before it stops: before it stand min(rank, rest) larger ones"),
        ([(r * size, (r + 1) * size + (r < rest)) for r in range(n_ranks)], "shares overlap: a larger one "
         "moves the start of all that follow"),
    ]  # fmt: skip


SHARES = Trial(
    probes=share_probes,
    mistakes=wrong_shares,
    otherwise="not shares in order whose sizes differ by at most one, the larger ones first",
    praise="Right, also for three tasks on five ranks: two of these have nothing to do.",
)


# --- the planted bug


def rank_probes() -> list[Probe]:
    """Return gradients and counts: equal and unequal counts, one rank, one without tasks."""
    given = [
        ([[0.843, -1.3], [2.4, 0.617]], [24, 1]),
        ([[0.5, 1.944, -0.7], [-1.2, 0.4, 0.328], [2.2, -0.9, 1.6]], [9, 8, 8]),
        ([[1.437], [-0.6], [0.952], [0.0]], [1, 1, 1, 0]),
        ([[0.3, -0.816, 1.1, 2.6]], [7]),
        ([[1.7, 0.249], [-0.4, 3.1], [0.6, -2.3]], [4, 4, 4]),
        ([[-1.6, 0.931, 0.4], [0.0, 0.0, 0.0], [2.8, -0.1, -0.5]], [2, 0, 5]),
    ]
    return [([np.array(row) for row in rows], counts) for rows, counts in given]


def wrong_means(gradients: list[np.ndarray], counts: list[int]) -> Wrong:
    """Return what each known mistake gives for the mean over ranks, with its message."""
    rows, weights, number = np.array(gradients), np.array(counts), len(gradients)
    weighted = weights @ rows
    busy = weights > 0
    return [
        (rows.mean(axis=0), "this is the average of the ranks' averages: a rank with one task weighs as much "
         "as a rank with many"),
        (rows[busy].mean(axis=0), "leaving out ranks without tasks is not enough: it is still the average of "
         "averages"),
        (weighted / number, "each mean is weighted by its count, but the sum is divided by the number of "
         "ranks: divide by all tasks"),
        (rows.sum(axis=0) / weights.sum(), "this is divided by all tasks, but no mean was made a sum: "
         "multiply by its count"),
        (weighted, "this is the sum over all tasks: return the mean"),
        (rows.sum(axis=0), "this is the sum of the means"),
        (weights**2 @ rows / (weights**2).sum(), "each count weighs twice"),
        (rows[weights.argmax()], "only the rank with the most tasks counts"),
        (np.median(rows, axis=0), "this is the median of the ranks"),
    ]  # fmt: skip


MEAN_OVER_RANKS = Trial(
    probes=rank_probes,
    mistakes=wrong_means,
    otherwise="not the sum over all tasks divided by their number",
    praise="Right: sums are added, and divided once. With equal counts the bug cannot be seen.",
)


# --- Amdahl's law


def time_probes() -> list[Probe]:
    """Return workers, seconds and more: two measurements and more, also some that begin beyond 1."""
    return [
        (np.array([1.0, 2.0]), np.array([10.4, 6.1]), 8),
        (np.array([1.0, 2.0, 4.0]), np.array([7.9, 4.6, 3.3]), 16),
        (np.array([2.0, 8.0]), np.array([31.0, 12.7]), 3),
        (np.array([4.0, 1.0, 2.0, 3.0]), np.array([1.7, 5.2, 2.6, 2.2]), 1000),
        (np.array([3.0, 5.0, 9.0]), np.array([0.92, 0.66, 0.51]), 1),
    ]


def wrong_times(workers: np.ndarray, seconds: np.ndarray, more: int) -> Wrong:
    """Return what each known mistake gives for the time of more workers, with its message."""
    parallel, serial = np.polyfit(1 / workers, seconds, 1)
    growth, offset = np.polyfit(workers, seconds, 1)
    order = workers.argsort()
    ends = [order[0], order[-1]]
    two = np.polyfit(1 / workers[:2], seconds[:2], 1)
    outer = np.polyfit(1 / workers[ends], seconds[ends], 1)
    bent = np.polyfit(np.log(workers), np.log(seconds), 1)
    through = (seconds / workers).sum() / (1 / workers**2).sum()
    return [
        (seconds[0] * workers[0] / more, "all of it is taken to be parallel: what is serial stays"),
        (through / more, "the line goes through 0: fit the serial part as well"),
        (growth * more + offset, "this is a straight line in n: it is straight in 1 / n"),
        (parallel + serial / more, "slope and intercept are exchanged: np.polyfit returns the slope first"),
        (serial + parallel * more, "more workers share the parallel part: divide it by their number"),
        ((serial + parallel) / (serial + parallel / more), "this is how many times as fast they are: return "
         "the seconds"),
        (serial, "this is the limit for ever more workers"),
        (parallel / more, "the serial part is fitted and then left out"),
        (two[1] + two[0] / more, "only the first two measurements are used: fit all of them"),
        (outer[1] + outer[0] / more, "only the fewest and the most workers are used: fit all of them"),
        (np.exp(bent[1]) * more ** bent[0], "this is a power of n: Amdahl's law is serial + parallel / n"),
    ]  # fmt: skip


PREDICT_TIME = Trial(
    probes=time_probes,
    mistakes=wrong_times,
    otherwise="not serial + parallel / more, with both parts fitted by least squares",
    praise="Right. What you have fitted is what stays when workers are free.",
)
