"""What lesson 02 asks before it shows: the answers stand here, so that the notebook keeps them."""

from mlearn_utils.course.figures.style import number
from mlearn_utils.course.lesson_02.settings import curves
from mlearn_utils.course.widgets.predict import Predict

TIES = (
    "<b>Yes</b>, here: every step costs something, so what was tried looks worse than what was not, and it "
    "goes on to the next. Without a step cost nothing gets worse, and it leans against the wall for ever. "
    "Both are counted below."
)


def predict_ties() -> Predict:
    """Ask whether a greedy learner that always takes the first of equal values gets anywhere."""
    return Predict(
        "A learner with ε = 0 starts with a table of zeros on a 5 × 5 grid without slips, pits or trap. "
        "Every step costs 0.01. It uses `argmax`, which returns the first of equal values. Does it ever "
        "reach the goal?",
        (
            "no, it leans against a wall for ever",
            "yes: what it tries gets worse, so it goes on to try something else",
            "only if the first action happens to be the right one",
        ),
        lambda guess: TIES,
        name="argmax-on-ties",
    )


def predict_cliff() -> Predict:
    """Ask which agent earns more on the cliff while it still explores."""
    late = {}
    for label in ("Q-learning", "SARSA"):
        episode, runs = curves("cliff", label)
        late[label] = number(runs[:, episode > 400].mean(), ".0f")
    answer = (
        f"<b>SARSA</b>: {late['SARSA']} an episode, against {late['Q-learning']}, although its path is "
        "longer. Q-learning's path runs along the edge, and one random move there in four goes down. SARSA's "
        "values contain its own random moves, so it keeps away from the edge."
    )
    return Predict(
        "Which of the two collects more return per episode while it learns (episodes 401 to 500)?",
        ("Q-learning, since it learns the shortest path", "SARSA", "there is no difference"),
        lambda guess: answer,
        name="cliff-while-learning",
    )
