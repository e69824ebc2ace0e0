"""What lesson 07 asks before it shows: the answers stand here, so that the notebook keeps them."""

from mlearn_utils.course.figures.style import number
from mlearn_utils.course.lesson_07.carts import discount_curves
from mlearn_utils.course.lesson_07.results import difference, held_out
from mlearn_utils.course.widgets.predict import Predict

LINEAR = (
    "<b>One.</b> Such a model is a + b·x + c·h. Whatever the task x is, the best h is the same: the end of "
    "each range that the sign of c points to. To let x move the best h, a model must see products of both, "
    "or cut the table into regions, as trees do."
)


def predict_linear() -> Predict:
    """Ask how many different settings a linear model suggests."""
    return Predict(
        "We fit a plain linear model on the columns (features, settings) and ask it for the best setting of "
        "each of 100 grids. How many different settings does it suggest?",
        ("about 100, one for each grid", "a few dozen", "one"),
        lambda guess: LINEAR,
        name="linear-suggestions",
    )


def predict_alike() -> Predict:
    """Ask what a perfect choice of settings would gain where the grids are alike."""
    columns = held_out("alike")
    mean, low, high = difference(columns, "oracle, optimistic", "default @1")
    several = difference(columns, "oracle by 8", "default @1")
    answer = (
        f"<b>{mean:.3f}</b> (95 % interval over the grids {low:.3f} to {high:.3f}), and even that is "
        "flattered: the runs by which it chose are those by which it is judged. Choosing by eight runs and "
        f"judged by a ninth it gains {number(several[0], '+.3f')} ({several[1]:.3f} to {several[2]:.3f}). "
        "Nothing was there to be learned."
    )
    return Predict(
        "An oracle runs 40 settings nine times on every grid of the family “alike” and takes the best of "
        "each. How much more than one run of the best fixed default does it earn? (Returns are at most 1.)",
        ("about 0.2", "about 0.1", "less than 0.05"),
        lambda guess: answer,
        name="oracle-alike",
    )


def predict_discount() -> Predict:
    """Ask what adjusting a bad discount by its gradient achieves."""
    curves = discount_curves()
    mean = {key[:2]: float(runs.mean()) for key, runs in curves.items() if key[2] == "return"}
    best = max(value for (kind, _), value in mean.items() if kind == "fixed")
    answer = (
        f"<b>The second.</b> Mean return over training: {mean['fixed', 0.5]:.0f} with γ = 0.5 throughout, "
        f"{mean['adjusted', 0.5]:.0f} when it is adjusted from 0.5, {best:.0f} with the best fixed γ. A "
        "slope says where to go, not how far; while it walks, updates are lost."
    )
    return Predict(
        "A policy gradient on CartPole starts with a bad discount, γ = 0.5, and adjusts it after each "
        "update. How does it compare, over the whole of training?",
        (
            "it beats the best fixed γ: it can use a different γ at each stage",
            "better than γ = 0.5 throughout, but not as good as the best fixed γ",
            "no better than γ = 0.5: the gradient is too noisy",
        ),
        lambda guess: answer,
        name="adjusted-discount",
    )
