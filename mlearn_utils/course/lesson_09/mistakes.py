"""How the answers of lesson 09 are judged: probes, known mistakes, and what to tell who made them."""

import numpy as np

from mlearn_utils.course.grading.trial import Probe, Trial, Wrong

# --- the search


def search_probes() -> list[Probe]:
    """Return a route and treasures: straight, with cells met twice, and treasures in another order."""
    return [
        (np.array([1, 2, 3, 7, 6, 5]), np.array([2, 7, 3])),
        (np.array([4, 5, 4, 8, 9, 8, 4, 0]), np.array([8, 4, 9, 0])),
        (np.array([1, 5, 1, 2, 3, 2]), np.array([3, 1, 2])),
        (np.array([3]), np.array([3])),
    ]


def wrong_searches(route: np.ndarray, treasures: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the mean steps of a search, with its message."""
    first = np.array([np.flatnonzero(route == cell)[0] for cell in treasures])
    last = np.array([np.flatnonzero(route == cell)[-1] for cell in treasures])
    return [
        (first.mean(), "steps are counted from 0: who reaches the treasure with the first step took one"),
        (last.mean() + 1, "a cell that comes twice counts at its last place: the walk ends at the first"),
        (last.mean(), "the last place instead of the first, and steps counted from 0"),
        (first.max() + 1, "this is the longest search, not the mean"),
        (first.sum() + len(first), "this is the sum, not the mean"),
        (len(route), "this is the length of the route: a walk ends at its treasure"),
        ((len(route) + 1) / 2, "this is the mean over all steps of the route; only some hold a treasure"),
    ]  # fmt: skip


SEARCH_STEPS = Trial(
    probes=search_probes,
    mistakes=wrong_searches,
    otherwise="not the mean, over the treasures, of the first step that reaches each",
    praise="Right for routes that come back, and for treasures in any order.",
)


# --- the planted bug


def visit_probes() -> list[Probe]:
    """Return whose visits they are and how many patients to keep: in any order, in blocks, with gaps."""
    return [
        (np.array([3, 1, 3, 2, 1, 2, 4]), 1),
        (np.array([10, 10, 4, 7, 7, 4, 10, 2, 2]), 2),
        (np.array([1, 2, 3, 1, 2, 3, 5, 5, 5, 5]), 2),
        (np.array([6, 0, 0, 6, 9, 8, 8, 9]), 3),
        (np.array([2, 5, 1, 1, 9, 5, 2]), 1),
        (np.array([4]), 1),
    ]


def wrong_splits(patient: np.ndarray, n_test: int) -> Wrong:
    """Return what each known mistake gives for the visits to keep, with its message."""
    found, share = np.unique(patient), n_test / len(np.unique(patient))
    place = np.arange(len(patient))
    right = np.isin(patient, found[-n_test:])
    by_number = np.zeros(len(patient), dtype=bool)
    by_number[np.argsort(patient, kind="stable")[int((1 - share) * len(patient)) :]] = True
    return [
        (place >= (1 - share) * len(patient), "visits are split, not patients: somebody who is tested was "
         "in training as well. Which patients are kept?"),
        (by_number, "sorted by patient, a share of the VISITS still cuts through a patient: count patients"),
        (place >= len(patient) - n_test, "the last n_test visits are kept: visits are split, not patients"),
        (np.isin(patient, found[:n_test]), "the patients with the smallest numbers are kept"),
        (~right, "true and false are exchanged: True is a visit for the test"),
        (np.isin(patient, patient[-n_test:]), "the patients of the last visits are kept: those with the "
         "largest numbers are to be"),
        (patient > found[-n_test], "one patient too few is kept"),
        (np.flatnonzero(right), "these are places; a truth value for every visit is asked for"),
    ]  # fmt: skip


SPLIT_VISITS = Trial(
    probes=visit_probes,
    mistakes=wrong_splits,
    otherwise="not True at every visit of the n_test patients with the largest numbers, and only there",
    praise="Nobody is on both sides, in whatever order visits come.",
)


# --- the next dose


def dose_probes() -> list[Probe]:
    """Return levels left, levels a mg, doses and a window: bounds that are met, an end that differs."""
    hours = np.arange(9.0)
    unit = 0.021 * (np.exp(-0.21 * hours) - 0.8 * np.exp(-1.4 * hours))
    doses = np.array([310.0, 45.0, 120.0, 200.0, 0.0, 85.0, 155.0, 250.0])
    return [
        (0.62 * np.exp(-0.3 * hours), unit, doses, 1.03, 2.41),
        (2.7 * np.exp(-0.45 * hours), unit, doses, 0.46, 1.52),
        (1.1 * np.exp(-0.2 * hours[:6]), unit[:6], doses[:5], 1.22, 3.3),
        (np.array([0.5, 1.5, 0.25]), np.array([0.5, 0.25, 0.75]), np.array([2.0, 4.0, 1.0]), 1.5, 2.0),
        (np.array([0.5, 0.0, 2.74]), np.array([0.25, 0.5, 0.0]), np.array([2.0, 1.0, 6.0]), 1.0, 2.74),
        (np.array([0.2, 1.3]), np.array([0.01, 0.02]), np.array([95.0]), 1.1, 3.0),
    ]


def wrong_hours(left: np.ndarray, unit: np.ndarray, doses: np.ndarray, low: float, high: float) -> Wrong:
    """Return what each known mistake gives for the hours in the window, with its message."""
    levels = left + doses[:, None] * unit
    inside = (levels >= low) & (levels <= high)
    alone = doses[:, None] * unit
    return [
        (((alone >= low) & (alone <= high)).sum(axis=1), "what is left of earlier doses is forgotten: levels "
         "add up"),
        ((levels >= low).sum(axis=1), "only the lower bound counts: too high is too high"),
        ((levels <= high).sum(axis=1), "only the upper bound counts: too low is too low"),
        (inside.mean(axis=1), "this is the share of the hours: their number is asked for"),
        (inside.sum(axis=0), "this counts the doses at each hour: count the hours of each dose"),
        (((levels > low) & (levels < high)).sum(axis=1), "the bounds belong to the window"),
        ((~inside).sum(axis=1), "these are the hours OUTSIDE the window"),
    ]  # fmt: skip


HOURS_IN_WINDOW = Trial(
    probes=dose_probes,
    mistakes=wrong_hours,
    otherwise="not the number of hours in the window, dose by dose",
    praise="Right for much left and for little. The dose with the most hours is `doses[hours.argmax()]`.",
)


# --- brake or steer


def swerve_probes() -> list[Probe]:
    """Return guesses, the need and the worth of braking: sure, unsure either way, ties, and a bound met."""
    return [
        (np.array([2.1, 2.4, 1.9, 2.2]), 2.0, 0.3),
        (np.array([0.4, 0.9, 6.0, 0.7]), 1.5, 0.3),
        (np.array([1.2, 0.3, 2.2, 0.1]), 1.0, 0.5),
        (np.array([1.0, 1.0, 0.2, 0.4]), 1.0, 0.4),
        (np.array([0.9, 1.07, 1.3, 0.5, 0.8]), 1.06, 0.35),
        (np.array([0.55, 0.3, 0.62, 0.2, -0.7]), 0.6, 0.1),
        (np.array([-0.9, 1.4, -1.2, -0.3]), 0.8, 0.6),
    ]


def wrong_swerves(reach: np.ndarray, needed: float, braking: float) -> Wrong:
    """Return what each known mistake gives for the decision, with its message."""
    share = np.mean(reach >= needed)
    beyond = np.mean(reach > needed)
    better, count = max(share, braking), np.sum(reach >= needed)
    by_mean, by_median = np.mean(reach) >= needed, np.median(reach) >= needed
    one_guess = "one guess decides alone, for certain: ask which share of the guesses gets far enough"
    return [
        ((by_mean, 1.0 if by_mean else braking), one_guess),
        ((by_median, 1.0 if by_median else braking), one_guess),
        ((count > braking, max(count, braking)), "this counts the guesses: their share is asked for"),
        ((np.mean(reach) >= needed, better), "the MEAN reach is compared with the need: one guess far out "
         "counts for many then. Which share of the guesses gets far enough?"),
        ((np.median(reach) >= needed, better), "swerving is chosen where it is more likely than not to do: "
         "compare that chance with what braking is worth"),
        ((np.all(reach >= needed), better), "every guess must reach: then braking is chosen too often"),
        ((np.any(reach >= needed), better), "a single guess that reaches is enough here: it is worth its "
         "share only"),
        ((share >= braking, better), "where both are worth the same, brake"),
        ((beyond > braking, max(beyond, braking)), "who gets exactly as far as needed clears it"),
        ((share < braking, better), "brake and swerve are exchanged"),
        ((share > braking, share), "this is what swerving is worth: the better of the two is asked for"),
    ]  # fmt: skip


BRAKE_OR_STEER = Trial(
    probes=swerve_probes,
    mistakes=wrong_swerves,
    otherwise="not whether swerving is worth more than braking, and what the better is worth",
    praise="Right where the guesses agree, where they do not, and at both bounds.",
)


# --- a model from two steps


def ridge_probes() -> list[Probe]:
    """Return inputs, changes, an average and a strength: fewer steps than inputs, more, weak and strong."""
    rng = np.random.default_rng(9)
    return [
        (rng.normal(size=(k, f)), rng.normal(size=(k, g)), rng.normal(size=(f, g)), strength)
        for k, f, g, strength in ((2, 5, 4, 0.3), (6, 3, 2, 1.7), (1, 2, 1, 0.04), (2, 5, 4, 12.0))
    ]


def wrong_ridges(inputs: np.ndarray, changes: np.ndarray, average: np.ndarray, strength: float) -> Wrong:
    """Return what each known mistake gives for the matrix, with its message."""
    n_steps, n_inputs = inputs.shape

    def solve(weight: float, target: np.ndarray) -> np.ndarray:
        return np.linalg.solve(inputs.T @ inputs + weight * np.eye(n_inputs), inputs.T @ target)

    missing = changes - inputs @ average
    return [
        (solve(strength, changes), "the average is forgotten: this is ridge regression towards 0"),
        (solve(strength, missing), "this is the difference from the average: add the average again"),
        (average + solve(strength, changes), "what the average explains is not taken off the changes"),
        (average + solve(n_steps * strength, missing), "the strength is multiplied by the number of steps: "
         "the error is a sum here, not a mean"),
        (average + solve(strength**2, missing), "the strength is squared: only the difference is to be"),
        (np.linalg.lstsq(inputs, changes, rcond=None)[0], "this is least squares: the average has no weight"),
        (average - solve(strength, missing), "the difference has the wrong sign"),
    ]  # fmt: skip


RIDGE_AROUND = Trial(
    probes=ridge_probes,
    mistakes=wrong_ridges,
    otherwise="not where the derivative of both sums by W is zero",
    praise="Right for fewer steps than inputs, where least squares has no single answer, and for more.",
)


# --- is it a difference?


def difference_probes() -> list[Probe]:
    """Return results of two methods: near and far, five seeds and three."""
    return [
        (np.array([0.71, 0.66, 0.69, 0.74, 0.65]), np.array([0.68, 0.65, 0.69, 0.70, 0.63])),
        (np.array([38.0, 40.0, 39.5]), np.array([22.0, 31.0, 19.0])),
        (np.array([1.0, -3.0, 2.5]), np.array([1.4, -2.6, 3.3])),
    ]


def wrong_differences(one: np.ndarray, other: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the difference and its error, with its message."""
    n, difference = len(one), one - other
    mean, error = difference.mean(), difference.std(ddof=1) / np.sqrt(n)
    unpaired = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / n)
    return [
        ((mean, unpaired), "the two methods are treated as if their seeds had nothing in common: take the "
         "difference seed by seed first"),
        ((-mean, error), "the difference has the other sign: one - other"),
        ((mean, difference.std(ddof=1)), "this is the standard deviation: the error of the mean is smaller, "
         "by the root of N"),
        ((mean, difference.std() / np.sqrt(n)), "the standard deviation is divided by N: use N - 1, ddof=1"),
        ((mean, difference.std(ddof=1) / n), "divide by the root of N, not by N"),
        ((mean, difference.var(ddof=1) / np.sqrt(n)), "this uses the variance: take its root"),
        (mean, "the standard error is missing: return two numbers"),
    ]  # fmt: skip


PAIRED_DIFFERENCE = Trial(
    probes=difference_probes,
    mistakes=wrong_differences,
    otherwise="not the mean of one - other and its standard error",
    praise="Right for five seeds and for three. Twice that error to each side is about 95 %, for many seeds.",
)
