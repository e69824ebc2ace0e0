"""The two predictions of lesson 01; their answers are computed here, out of the reader's sight."""

import numpy as np

from mlearn_utils.course.lesson_01.pictures import first_moves, two_ways
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.rl.dynamic_programming import action_values, value_iteration
from mlearn_utils.tasks.gridworld import ACTIONS, GridTask, grid_mdp


def predict_the_discount(task: GridTask) -> Predict:
    """Ask from which discount on the best policy leaves the start towards the goal, not the trap."""
    gammas = np.linspace(0.5, 0.99, 50)
    start_q = first_moves(task, gammas)
    turns = gammas[start_q[:, ACTIONS.index("right")] > start_q[:, ACTIONS.index("down")]][0]
    prediction = Predict(
        "From which discount on does the best policy leave the start to the right, towards the goal, instead "
        "of down, towards the trap?",
        slider("my guess for γ", 0.5, 0.99, 0.01, 0.75),
        lambda guess: (
            f"From γ = <b>{turns:.2f}</b> on, a horizon of {1 / (1 - turns):.1f} steps. You said "
            f"{guess:.2f}, a horizon of {1 / (1 - guess):.1f}. Distance and size both count: the goal's 1 "
            "must be worth more than the trap's 0.2 after discounting and slips. (Both lines are about the "
            "first move only: after it everything is done in the best way, whatever that then is.)"
        ),
        name="which-discount-passes-the-trap",
        reveal_picture=lambda figure: two_ways(
            figure, gammas, start_q, turns=float(turns), guess=prediction.guess
        ),
        alt="Value of going right and of going down from the start, over the discount; the lines cross where "
        "a dot is, and a dotted line marks the guess.",
    )
    return prediction


def predict_the_patient(task: GridTask, cell: tuple[int, int] = (0, 1), gamma: float = 0.99) -> Predict:
    """Ask what the best policy does beside a pit when it is very patient."""
    mdp = grid_mdp(task)
    best = value_iteration(mdp.P, mdp.R, gamma, terminal=mdp.terminal)
    worth = action_values(mdp.P, mdp.R, best, gamma, terminal=mdp.terminal)[task.state(cell)]
    up, right = worth[ACTIONS.index("up")], worth[ACTIONS.index("right")]
    return Predict(
        f"What does the best policy do in row {cell[0]}, column {cell[1]}, when it is very patient "
        f"(γ = {gamma})?",
        ("right, towards the goal", "left, away from the pit", "up, into the wall"),
        lambda guess: (
            f"It pushes <b>into the wall</b>: worth {up:.3f}, going right: {right:.3f}. Going right slips "
            "into the pit one time in ten. Against the wall the agent stays, or slips left or right, never "
            "down. It costs time, which a patient agent has; at γ = 0.95 time is dear enough to go right. "
            "(At γ = 0.8 the wall is best again, for another reason: the goal is too far away to be worth "
            "the risk.) Nobody would draw this arrow: value iteration takes the task literally."
        ),
        name="what-to-do-beside-the-pit",
    )
