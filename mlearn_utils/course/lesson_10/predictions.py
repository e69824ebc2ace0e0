"""What the reader of lesson 10 is asked before it is shown."""

from mlearn_utils.course.lesson_10.pictures import X, Y
from mlearn_utils.course.widgets.predict import Predict


def predict_the_slope() -> Predict:
    """Ask which of three slopes fits best, and show the errors of all."""
    errors = {f"{slope:g}": ((Y - slope * X) ** 2).mean() for slope in (1.0, 1.4, 1.8)}
    table = ", ".join(f"{slope}: {error:.2f}" for slope, error in errors.items())
    return Predict(
        "Which slope has the smallest squared error on the four points?",
        tuple(errors),
        lambda guess: f"You said {guess}. The mean squared errors are {table}.",
        name="which-slope",
    )
