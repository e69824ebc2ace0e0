"""What lesson 09 asks before it shows: the answers stand here, so that the notebook keeps them."""

from mlearn_utils.course.lesson_09 import results
from mlearn_utils.course.widgets.predict import Predict


def predict_search() -> Predict:
    """Ask what an agent with a memory does on a lake with cells that never held a treasure."""
    found = results.treasures("small, held out", "held out", "memory, found 1")
    answer = (
        f"<b>It finds {found.mean():.0%} of them</b> (five trainings, each with three cells of its own "
        "without a treasure, and always its likeliest action). Where nothing ever lay it does not look, "
        "unless it is on the way. It has learned the distribution of its tasks, as it should; a treasure "
        "outside of that is not its business."
    )
    return Predict(
        "An agent learned to search on lakes in which three of the 15 cells never held a treasure. Now the "
        "treasure lies on one of these three. How many of these does it find in 30 steps?",
        ("it finds nearly all, a little later", "it finds about two of three", "it finds about one of three"),
        lambda guess: answer,
        name="held-out-cells",
    )


def predict_dose() -> Predict:
    """Ask whether a small error means a good dose."""
    fine, context = (results.by_seed("patients", name, "rmse").mean() for name in ("fine-tuned", "context"))
    one, most, other = (
        results.by_seed("patients", name, "window").mean()
        for name in ("one dose for all", "knowing the patient", "context")
    )
    by_error, by_dose = (
        results.by_seed("patients", "fine-tuned", name).mean()
        for name in ("window as tuned for rmse", "window")
    )
    answer = (
        f"<b>{by_error:.0%}</b> of the second day. The error is measured over the first day; the dose "
        "depends on what is left on the second, and on when levels cross two bounds. Networks trained and "
        f"fine-tuned with the settings that are best for <i>doses</i> come to {by_dose:.0%}; the context "
        f"network to {other:.0%}. Tune for what is asked, and measure it."
    )
    return Predict(
        "With the settings that are best for its error, the fine-tuned network predicts levels to "
        f"{fine:.2f} mg/L; the context network to {context:.2f}. One dose that is the same for all keeps the "
        f"level in the window for {one:.0%} of the second day, the best doses for {most:.0%}. And the doses "
        "that the fine-tuned network chooses, with these settings?",
        ("about 58 %, no better than one for all", "about 64 %", "about 70 %", "about 76 %"),
        lambda guess: answer,
        name="error-and-dose",
    )


def predict_robots() -> Predict:
    """Ask how many robots plain least squares balances from two steps."""
    count = results.by_seed("pendulums", "least squares", "balanced K=2").mean()
    ridge = results.by_seed("pendulums", "ridge", "balanced K=2").mean()
    answer = (
        f"<b>{count:.0f} of 40.</b> Two steps are eight numbers for twenty unknowns. Ridge regression knows "
        f"the average robot beside, and balances {ridge:.0f}."
    )
    return Predict(
        "A robot has made two steps, and plain least squares fits a linear model to them. How many of 40 "
        "robots does LQR balance by that model?",
        ("none, or nearly so", "about ten", "about twenty", "nearly all"),
        lambda guess: answer,
        name="two-steps",
    )
