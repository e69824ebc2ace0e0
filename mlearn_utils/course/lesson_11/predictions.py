"""What lesson 11 asks before it shows: the answers stand here, so that the notebook keeps them."""

import numpy as np

from mlearn_utils.course.lesson_11 import results
from mlearn_utils.course.widgets.predict import Predict


def predict_tasks() -> Predict:
    """Ask how many training tasks a narrow family needs."""
    counts, after = results.by_tasks("new")
    medians = dict(zip(counts.tolist(), np.median(after, axis=0), strict=True))
    enough = next(count for count, median in medians.items() if median > medians[500] - 3)
    tuned = float(np.median(results.by_tasks("new", "tuned")[1][:, 0]))
    answer = (
        f"<b>{enough} tasks</b>: the median of five trainings is {medians[enough]:.0f}, with 500 tasks it is "
        f"{medians[500]:.0f}, with two {medians[2]:.0f} (with the rate that is best for each at test "
        f"{tuned:.0f}, near enough). The picture has the means with their intervals."
    )
    return Predict(
        "MAML trains on carts with a hidden target velocity, on N targets and no others, and meets new ones. "
        "For which is the return after one step, the median of five trainings, within 3 points of that for "
        "500 tasks? The smallest N of 2, 5, 10, 20, 50 and 100 is",
        ("2", "5", "10", "20", "50", "100"),
        lambda guess: answer,
        name="how-many-tasks",
    )


def predict_distance() -> Predict:
    """Ask what adaptation is worth outside of the training range."""
    targets, after = results.by_distance("usual")
    gains = dict(zip(targets.tolist(), (after - results.by_distance("usual", "before")[1]).T, strict=True))
    answer = (
        f"<b>At targets near 0</b>: at 0.1 m/s the step is worth {results.text(gains[0.1])}, at 0.8 m/s "
        f"{results.text(gains[0.8])}, at 1.5 m/s {results.text(gains[1.5])} (95 % intervals over five "
        "trainings). Near 0 standing still is nearly right, and the step drives the cart off. Far above "
        "few episodes before the step are paid, and little: there is hardly anything to learn from."
    )
    return Predict(
        "It was trained on targets between 0.5 and 1 m/s, to either side. Where does one inner step do harm, "
        "so that less is earned after it than before?",
        ("nowhere: it only helps less", "at targets near 0", "at targets above 1.5 m/s", "at both"),
        lambda guess: answer,
        name="outside-the-range",
    )
