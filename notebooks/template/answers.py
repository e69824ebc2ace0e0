"""Wrong and right answers to the exercises of lesson NN, and what the authors of the wrong ones are told."""

import numpy as np


def line_without_offset(x, slope, offset):
    return slope * x


def line_exchanged(x, slope, offset):
    return offset * x + slope


def line_in_place(x, slope, offset):
    x *= slope
    return x + offset


def slope_of_the_quotients(x, y):
    return (y / x).mean()


def slope_undivided(x, y):
    return x @ y


def slope_with_an_offset(x, y):
    return np.polyfit(x, y, 1)[0]


def error_without_the_last(predicted, y):
    return abs(predicted - y)[:-1].sum() / len(y)


def error_as_a_sum(predicted, y):
    return abs(predicted - y).sum()


def error_with_its_sign(predicted, y):
    return (predicted - y).mean()


WRONG_ANSWERS = {
    "line_values": [
        (line_without_offset, "the offset is missing"),
        (line_exchanged, "are exchanged"),
        (line_in_place, "x itself was changed in place"),
    ],
    "best_slope": [
        (slope_of_the_quotients, "the mean of the slopes"),
        (slope_undivided, "divide by the sum of x squared"),
        (slope_with_an_offset, "through the origin"),
    ],
    "mean_error": [
        (error_without_the_last, "still missing"),
        (error_as_a_sum, "this is the sum"),
        (error_with_its_sign, "take their absolute value"),
    ],
}


# --- right answers in other styles


def line_by_a_loop(x, slope, offset):
    return [slope * value + offset for value in x]


def line_by_polyval(x, slope, offset):
    return np.polyval([slope, offset], x)


def line_by_a_product(x, slope, offset):
    return np.stack([x, np.ones_like(x)], axis=1) @ [slope, offset]


def slope_by_a_loop(x, y):
    above = below = 0.0
    for one, other in zip(x, y, strict=True):
        above, below = above + one * other, below + one**2
    return above / below


def slope_by_least_squares(x, y):
    return np.linalg.lstsq(x[:, None], y, rcond=None)[0][0]


def slope_by_dot(x, y):
    return np.float32(np.dot(x, y) / np.dot(x, x))


def error_by_numpy(predicted, y):
    return np.abs(predicted - y).mean()


def error_by_zip(predicted, y):
    return sum(abs(p - t) for p, t in zip(predicted, y, strict=True)) / len(y)


def error_by_norm(predicted, y):
    return np.linalg.norm(predicted - y, ord=1) / y.size


RIGHT_ANSWERS = {
    "line_values": [line_by_a_loop, line_by_polyval, line_by_a_product],
    "best_slope": [slope_by_a_loop, slope_by_least_squares, slope_by_dot],
    "mean_error": [error_by_numpy, error_by_zip, error_by_norm],
}

SAME_LENGTH = "both arrays have the same length"
EQUIVALENT = {
    "mean_error": [
        (r"len\(y\)  ->.*len\(predicted\)|range\(len\(y\)\).*len\(predicted\)", SAME_LENGTH),
        (r"the result has lost its sign", "a mean of absolute errors has none"),
    ],
}
