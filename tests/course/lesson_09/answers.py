"""Wrong and right answers to the exercises of lesson 09, and what the authors of the wrong ones are told."""

import numpy as np

# --- search_steps


def steps_from_zero(route, treasures):
    return np.mean([list(route).index(cell) for cell in treasures])


def steps_to_the_last(route, treasures):
    return np.mean([np.flatnonzero(route == cell)[-1] + 1 for cell in treasures])


def steps_of_the_longest(route, treasures):
    return max(list(route).index(cell) + 1 for cell in treasures)


def steps_of_the_route(route, treasures):
    return len(route)


def steps_by_index(route, treasures):
    found = [route.tolist().index(cell) for cell in treasures.tolist()]
    return sum(found) / len(found) + 1


def steps_by_a_table(route, treasures):
    first = {}
    for step, cell in enumerate(route, 1):
        first.setdefault(int(cell), step)
    return np.mean([first[int(cell)] for cell in treasures])


def steps_by_argmax(route, treasures):
    return (route[None] == treasures[:, None]).argmax(axis=1).mean() + 1


# --- split_visits


def visits_of_the_end(patient, n_test):
    return np.arange(len(patient)) >= len(patient) - n_test


def visits_of_the_smallest(patient, n_test):
    return np.isin(patient, np.unique(patient)[:n_test])


def visits_exchanged(patient, n_test):
    return ~np.isin(patient, np.unique(patient)[-n_test:])


def visits_of_the_last_patients(patient, n_test):
    return np.isin(patient, patient[-n_test:])


def visits_by_threshold(patient, n_test):
    return patient >= np.unique(patient)[-n_test]


def visits_by_a_set(patient, n_test):
    test = set(sorted(set(patient.tolist()))[-n_test:])
    return [number in test for number in patient.tolist()]


def visits_by_a_loop(patient, n_test):
    kept = np.zeros(len(patient), dtype=bool)
    for number in np.unique(patient)[-n_test:]:
        kept |= patient == number
    return kept


# --- hours_in_window


def inside(levels, low, high):
    return (levels >= low) & (levels <= high)


def hours_without_what_is_left(left, unit, doses, low, high):
    return inside(doses[:, None] * unit, low, high).sum(axis=1)


def hours_above_the_lower_bound(left, unit, doses, low, high):
    return inside(left + doses[:, None] * unit, low, np.inf).sum(axis=1)


def hours_as_a_share(left, unit, doses, low, high):
    return inside(left + doses[:, None] * unit, low, high).mean(axis=1)


def hours_within(left, unit, doses, low, high):
    levels = left + doses[:, None] * unit
    return ((levels > low) & (levels < high)).sum(axis=1)


def hours_by_a_loop(left, unit, doses, low, high):
    return [sum(low <= level <= high for level in left + dose * unit) for dose in doses]


def hours_by_outer(left, unit, doses, low, high):
    levels = np.outer(doses, unit) + left
    return np.count_nonzero((low <= levels) & (levels <= high), axis=1)


def hours_by_clipping(left, unit, doses, low, high):
    levels = left[None] + doses.reshape(-1, 1) * unit[None]
    return (np.clip(levels, low, high) == levels).sum(axis=-1).astype(float)


# --- brake_or_steer


def swerve_by_the_mean(reach, needed, braking):
    return reach.mean() >= needed, max((reach >= needed).mean(), braking)


def swerve_by_the_median(reach, needed, braking):
    return np.median(reach) >= needed, max((reach >= needed).mean(), braking)


def swerve_at_a_tie(reach, needed, braking):
    share = (reach >= needed).mean()
    return share >= braking, max(share, braking)


def swerve_worth_alone(reach, needed, braking):
    share = (reach >= needed).mean()
    return share > braking, share


def swerve_by_counting(reach, needed, braking):
    share = sum(guess >= needed for guess in reach) / len(reach)
    return (True, share) if share > braking else (False, braking)


def swerve_by_failing(reach, needed, braking):
    share = 1 - np.mean(reach < needed)
    return [bool(share > braking), float(np.maximum(share, braking))]


def swerve_by_sorting(reach, needed, braking):
    share = np.count_nonzero(np.sort(reach) >= needed) / reach.size
    return share > braking, share if share > braking else braking


# --- ridge_around


def ridge_towards_zero(inputs, changes, average, strength):
    return np.linalg.solve(inputs.T @ inputs + strength * np.eye(inputs.shape[1]), inputs.T @ changes)


def ridge_difference_alone(inputs, changes, average, strength):
    return ridge_towards_zero(inputs, changes - inputs @ average, average, strength)


def ridge_of_all_changes(inputs, changes, average, strength):
    return average + ridge_towards_zero(inputs, changes, average, strength)


def ridge_of_a_mean(inputs, changes, average, strength):
    return ridge_by_one_equation(inputs, changes, average, strength * len(inputs))


def ridge_by_one_equation(inputs, changes, average, strength):
    eye = np.eye(inputs.shape[1])
    return np.linalg.solve(inputs.T @ inputs + strength * eye, inputs.T @ changes + strength * average)


def ridge_by_more_rows(inputs, changes, average, strength):
    rows = np.concatenate([inputs, np.sqrt(strength) * np.eye(inputs.shape[1])])
    targets = np.concatenate([changes, np.sqrt(strength) * average])
    return np.linalg.lstsq(rows, targets, rcond=None)[0]


def ridge_by_the_small_system(inputs, changes, average, strength):
    square = inputs @ inputs.T + strength * np.eye(len(inputs))
    return average + inputs.T @ np.linalg.solve(square, changes - inputs @ average)


# --- paired_difference


def difference_unpaired(one, other):
    return one.mean() - other.mean(), np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / len(one))


def difference_turned(one, other):
    return difference_by_hand(other, one)


def difference_with_deviation(one, other):
    return (one - other).mean(), (one - other).std(ddof=1)


def difference_with_n(one, other):
    return (one - other).mean(), (one - other).std() / np.sqrt(len(one))


def difference_by_hand(one, other):
    d = one - other
    mean = sum(d) / len(d)
    return mean, (sum((d - mean) ** 2) / (len(d) - 1) / len(d)) ** 0.5


def difference_by_var(one, other):
    return np.mean(one) - np.mean(other), np.sqrt(np.var(one - other, ddof=1) / len(one))


def difference_as_a_list(one, other):
    d = np.subtract(one, other)
    return [d.mean(), np.std(d, ddof=1) / len(d) ** 0.5]


WRONG_ANSWERS = {
    "search_steps": [
        (steps_from_zero, "counted from 0"),
        (steps_to_the_last, "at its last place"),
        (steps_of_the_longest, "the longest search"),
        (steps_of_the_route, "the length of the route"),
    ],
    "split_visits": [
        (visits_of_the_end, "the last n_test visits"),
        (visits_of_the_smallest, "smallest numbers"),
        (visits_exchanged, "exchanged"),
        (visits_of_the_last_patients, "patients of the last visits"),
    ],
    "hours_in_window": [
        (hours_without_what_is_left, "levels add up"),
        (hours_above_the_lower_bound, "only the lower bound"),
        (hours_as_a_share, "share of the hours"),
        (hours_within, "bounds belong"),
    ],
    "brake_or_steer": [
        (swerve_by_the_mean, "the MEAN reach"),
        (swerve_by_the_median, "more likely than not"),
        (swerve_at_a_tie, "worth the same, brake"),
        (swerve_worth_alone, "the better of the two"),
    ],
    "ridge_around": [
        (ridge_towards_zero, "towards 0"),
        (ridge_difference_alone, "add the average again"),
        (ridge_of_all_changes, "is not taken off"),
        (ridge_of_a_mean, "number of steps"),
    ],
    "paired_difference": [
        (difference_unpaired, "nothing in common"),
        (difference_turned, "other sign"),
        (difference_with_deviation, "by the root of N"),
        (difference_with_n, "ddof=1"),
    ],
}

RIGHT_ANSWERS = {
    "search_steps": [steps_by_index, steps_by_a_table, steps_by_argmax],
    "split_visits": [visits_by_threshold, visits_by_a_set, visits_by_a_loop],
    "hours_in_window": [hours_by_a_loop, hours_by_outer, hours_by_clipping],
    "brake_or_steer": [swerve_by_counting, swerve_by_failing, swerve_by_sorting],
    "ridge_around": [ridge_by_one_equation, ridge_by_more_rows, ridge_by_the_small_system],
    "paired_difference": [difference_by_hand, difference_by_var, difference_as_a_list],
}

POSITIVE = "numbers of steps, hours, visits and worths are never negative"
EQUIVALENT: dict[str, list[tuple[str, str]]] = {
    "search_steps": [(r"the result has lost its sign", POSITIVE)],
    "split_visits": [(r"`n_test` must not be 0", "somebody must be tested")],
    "hours_in_window": [
        (r"`(left|unit|low|high)` has lost its sign", "levels of a drug are never negative"),
        (r"`(low|high)` must not be 0", "a window has two bounds above 0"),
    ],
    "brake_or_steer": [
        (r"max\(braking, swerving\)", "the larger of two, in either order"),
        (r"`(needed|braking)` (has lost its sign|must not be 0)", POSITIVE),
        (r"the result has lost its sign", POSITIVE),
    ],
    "ridge_around": [(r"`strength` (has lost its sign|must not be 0)", "a strength is above 0")],
}
