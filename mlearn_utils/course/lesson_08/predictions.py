"""What lesson 08 asks before it shows: the answers stand here, so that the notebook keeps them."""

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.lesson_08 import results
from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.rl.bayes_bandit import CountTree, greedy_rule, thompson_rule


def predict_thompson() -> Predict:
    """Ask which of two well-known rules earns more in ten pulls."""
    tree = CountTree(5, 10)
    thompson, greedy, best = (tree.value(rule) for rule in (thompson_rule, greedy_rule, None))
    answer = (
        f"<b>Greedy</b>: {greedy:.4f} against {thompson:.4f}; the best possible is {best:.4f}. Thompson "
        "sampling goes on exploring at a pull after which nothing is left to be gained by it. Its fame is "
        "for long games, where greedy may settle on a bad arm and Thompson cannot."
    )
    return Predict(
        "Five arms, ten pulls. Who earns more: the greedy player, who always takes the largest posterior "
        "mean, or Thompson sampling, which pulls each arm with the probability that it is the best?",
        ("Thompson sampling: greedy never explores on purpose", "greedy", "the same, but for luck"),
        lambda guess: answer,
        name="greedy-or-thompson",
    )


def predict_ascent() -> Predict:
    """Ask whether the exact gradient finds out that exploring pays."""
    answer = (
        "<b>Neither of the first two, in any of six starts:</b> all six end at 1.65, with the safe arm from "
        "the first pull to the last. Run the cell below."
    )
    return Predict(
        "Nothing is sampled: a small recurrent network follows the exact gradient of its expected return "
        "(best 1.725, always safe 1.65). Where do six random starts end?",
        (
            "all at 1.725: with an exact gradient nothing can go wrong",
            "some at 1.725, some at 1.65: it depends on the start",
            "all at 1.65",
        ),
        lambda guess: answer,
        name="exact-gradient",
    )


def predict_probe() -> Predict:
    """Ask how much of the posterior can be read out of a network that was never trained."""
    trained, untrained = (results.bandits(f"read out{name}") for name in ("", ", untrained"))
    answer = (
        f"<b>R² = {untrained.mean():.2f}</b> (five random networks); of the trained ones "
        f"{trained.mean():.2f}. A random recurrent network already keeps most of the past somewhere. That "
        "something can be read out does not say that it was learned, or that the policy uses it."
    )
    return Predict(
        "A linear fit reads the posterior means of all five arms out of the trained network's hidden state "
        f"with R² = {trained.mean():.2f}. How well does the same fit do on a network of the same size with "
        "random weights, never trained?",
        ("R² about 0", "R² about 0.3", "R² about 0.6", "R² about 0.9"),
        lambda guess: answer,
        name="untrained-probe",
    )


def predict_frozen() -> Predict:
    """Ask what a last layer earns that is fitted on a memory which was never trained."""
    answer = (
        "<b>More than 6.5.</b> A random recurrent network keeps enough of ten pulls for a linear layer that "
        "knows what to look for. Run the cell below."
    )
    return Predict(
        "The recurrent network stays random and frozen, linear layers on it are fitted. Win-stay earns "
        "6.4 of ten pulls, the network that was trained as a whole 6.6. What does the frozen one earn?",
        ("about 5, as pulling at random", "between that and win-stay", "more than 6.5"),
        lambda guess: answer,
        name="frozen-memory",
    )


def predict_wiped() -> Predict:
    """Ask what the memory of the first episode is worth in the second, on dirv."""
    kept, wiped = (results.returns("dirv", name)[:, 1] for name in ("memory", "memory, wiped"))
    mean, low, high = interval(kept - wiped)
    answer = (
        f"<b>{mean:.1f}</b> points (95 % interval over five trainings {low:.1f} to {high:.1f}). On `dirv` "
        "one reward and one velocity nearly give the target away, so that whoever has forgotten everything "
        "knows it again after a few steps."
    )
    return Predict(
        "On dirv (a hidden target velocity) the agent plays two episodes in the same task. At the border we "
        "wipe its hidden state. How many of the 75 points or so that it earns does it lose in the second "
        "episode?",
        ("nearly all: it must find the target anew", "about half", "less than 10"),
        lambda guess: answer.replace("`dirv`", "<code>dirv</code>"),
        name="wiped-on-dirv",
    )
