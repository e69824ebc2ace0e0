"""The predictions of lesson 01 reveal what dynamic programming computes, and nothing before the guess."""

import re

import pytest

from mlearn_utils.course.lesson_01.predictions import predict_the_discount, predict_the_patient
from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.tasks.gridworld import ACTIONS, GridTask, grid_mdp

TASK = GridTask(size=5, pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2)


def best_action(gamma: float, cell: tuple[int, int]) -> str:
    mdp = grid_mdp(TASK)
    V = dp.value_iteration(mdp.P, mdp.R, gamma, terminal=mdp.terminal)
    return ACTIONS[dp.action_values(mdp.P, mdp.R, V, gamma, terminal=mdp.terminal)[TASK.state(cell)].argmax()]


def test_the_discount_at_which_the_start_turns():
    prediction = predict_the_discount(TASK)
    assert prediction.caption.value == ""
    prediction.commit(0.6)
    turns = float(re.findall(r"<b>([\d.]+)</b>", prediction.caption.value)[0])
    assert best_action(turns, (0, 0)) == "right"
    assert best_action(turns - 0.01, (0, 0)) == "down"
    assert prediction.png


def test_the_patient_policy_pushes_into_the_wall():
    found = [best_action(gamma, (0, 1)) for gamma in (0.8, 0.95, 0.99)]
    assert found == ["up", "right", "up"]  # as the revealed text says
    prediction = predict_the_patient(TASK)
    prediction.commit("up, into the wall")
    up, right = map(
        float, re.findall(r"worth (\d\.\d+), going right: (\d\.\d+)", prediction.caption.value)[0]
    )
    assert up > right
    with pytest.raises(ValueError, match="guess must be one of"):
        prediction.commit("down, into the pit")
