"""What lesson 05 asks before it shows: the answers stand here, so that the notebook keeps them."""

import numpy as np

from mlearn_utils.course.lesson_05.positions import position_error
from mlearn_utils.course.lesson_05.results import long_runs
from mlearn_utils.course.widgets.predict import Predict

SPREAD, MIDDLE = (-4.5, -1.5, 0.0, 1.5, 4.5), (-1.0, 0.0, 1.0, 2.0, 3.0)


def predict_positions() -> Predict:
    """Ask which five positions tell more about a wave."""

    def answer(guess: object) -> str:
        errors = {positions: position_error(positions) for positions in (SPREAD, MIDDLE)}
        return (
            f"<b>B</b>: after one step the mean error over the whole range is {errors[MIDDLE]:.2f} with B "
            f"and {errors[SPREAD]:.2f} with A. These waves repeat after 6.28, and half of that away they are "
            "just upside down. Four of A's points are 3 apart, so they say nearly the same thing four times, "
            "and A asks two questions. B has two such pairs and a fifth point: it asks three."
        )

    return Predict(
        "An unknown wave of the family is measured at five positions, the start takes one step, and its "
        "error is taken over the whole range from −5 to 5. Which give the smaller error, on average?",
        (
            "A: −4.5, −1.5, 0, 1.5 and 4.5, spread over the whole range",
            "B: −1, 0, 1, 2 and 3, only the middle",
            "they are equally good: five points are five points",
        ),
        answer,
        name="where-to-look",
    )


def predict_larger_rate() -> Predict:
    """Ask what a ten times larger inner step size in training and testing changes."""

    def answer(guess: object) -> str:
        parts, streams = [], long_runs(0.01, 5, 1)["mean"].shape[1]
        for steps in (1, 5, 10):
            small, large = (long_runs(rate, 5, steps)["mean"] for rate in (0.001, 0.01))
            bad = int((large > 1).sum())
            parts.append(
                f"after {steps} step{'s' if steps > 1 else ''} {np.median(small):.2f} and "
                f"{np.median(large):.2f}, and {bad} of {large.size} above 1"
            )
        return (
            "<b>About the same after one step; after several it is a gamble.</b> Three seeds on "
            f"{streams} streams of 2000 waves give {3 * streams} means each. With 0.001 and 0.01: "
            f"{'; '.join(parts)} with 0.01. "
            "A step that is just right for the first one is too long for a few waves later on, and these few "
            "explode."
        )

    return Predict(
        "The paper says that its step size is α = 0.01; the default of its authors' code is 0.001. "
        "We train with either, for one inner step, and test with the same. What does the tenfold step size "
        "do to the mean error?",
        (
            "it is lower after one step: larger steps get further",
            "it is about the same after one step; after several it is sometimes the same, sometimes enormous",
            "it is a little higher everywhere",
        ),
        answer,
        name="tenfold-step-size",
    )


def predict_part() -> Predict:
    """Ask which part of the network does the adapting."""
    return Predict(
        "On a new wave, which part of the network must be allowed to move?",
        (
            "the last layer is enough: the features are already there",
            "the hidden layers are enough: the last layer can stay as it is",
            "both, each alone is much worse",
        ),
        lambda guess: (
            "<b>The hidden layers are enough</b>, even the first of them alone, as the next cell measures. "
            "The last layer alone achieves little. For image classes the opposite was found (Raghu et al. "
            "2020: the features are reused, hence ANIL); on our waves the features themselves adapt."
        ),
        name="which-part-adapts",
    )
