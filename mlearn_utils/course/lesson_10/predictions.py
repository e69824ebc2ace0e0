"""What lesson 10 asks before it shows: the answers stand here, so that the notebook keeps them."""

import numpy as np

from mlearn_utils.course.lesson_10 import results
from mlearn_utils.course.widgets.predict import Predict


def predict_batching() -> Predict:
    """Ask what batching over tasks buys."""
    loop, vmap = (results.times(40, 1, 25, way) for way in ("loop", "vmap"))
    few = results.times(40, 1, 1, "loop") / results.times(40, 1, 1, "vmap")
    large = results.times(256, 1, 25, "loop") / results.times(256, 1, 25, "vmap")
    answer = (
        f"<b>{loop / vmap:.2g} times</b> on the machine of the stored measurements: {loop:.3g} ms one after "
        f"the other, {vmap:.2g} ms batched. With one task it is {few:.1f} times as fast, which is slower: "
        f"batching has a cost of its own. At width 256 it is {large:.2g} times with 25 tasks."
    )
    return Predict(
        "25 waves, width 40, one inner step. All waves batched, instead of one after the other, by the same "
        "sums and products on one thread: how many times as fast?",
        ("as fast: the arithmetic is the same", "1.5 to 3 times", "4 to 12 times", "25 times"),
        lambda guess: answer,
        name="what-batching-buys",
    )


def predict_threads() -> Predict:
    """Ask what a second thread does for small networks."""
    one, two = (results.threads(40, "batched", number) for number in (1, 2))
    answer = (
        f"<b>Slower</b>: {one[0]:.2g} ms with one thread and {two[0]:.2g} ms with two, on the clock of a "
        "two-core machine that had other work as well. Two threads used "
        f"{two[1] / one[1]:.2g} times the processor time: most of it was waiting for each other."
    )
    return Predict(
        "25 waves, width 40, batched, on two cores. With two threads instead of one an update is",
        ("nearly twice as fast", "a little faster", "as fast", "slower"),
        lambda guess: answer,
        name="two-threads",
    )


def predict_tasks() -> Predict:
    """Ask what four times as many tasks do for the number of updates."""
    middle = {count: float(np.median(updates)) for count, (_, updates) in results.batches().items()}
    answer = (
        f"<b>{middle[100] / middle[400]:.1f} times fewer</b>: {middle[100]:.0f} updates with 100 tasks, "
        f"{middle[400]:.0f} with 400 (medians of five trainings, each number with its best meta_lr). In all "
        f"that is {100 * middle[100]:,.0f} tasks against {400 * middle[400]:,.0f}. From 1 task to 5 it was "
        f"{middle[1] / middle[5]:.1f} times."
    )
    return Predict(
        "An update of 100 waves, or one of 400: four times as many. How many times fewer updates does MAML "
        "need until its error after one step is 1?",
        ("4 times", "2 times, the root of 4", "less than 1.5 times", "none fewer"),
        lambda guess: answer,
        name="more-tasks",
    )
