"""Finite MDPs as arrays: what they refuse, what they derive, and what is read from Gymnasium's own tables."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from mlearn_utils.tasks.tabular import TabularMDP, absorb
from tests.tasks.toy_text import read_table


def two_states(**changes):
    """State 0 goes to the terminal state 1 with probability 0.25 (action 0) or 1 (action 1)."""
    arrays: dict[str, Any] = {
        "P": np.array([[[0.75, 0.25], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]),
        "rewards": np.array([[[-1.0, 3.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        "terminal": np.array([False, True]),
        "start": np.array([1.0, 0.0]),
    }
    return TabularMDP(**(arrays | changes))


def test_expected_reward_weighs_outcomes_by_their_probability():
    np.testing.assert_allclose(two_states().R, [[0.0, 2.0], [0.0, 0.0]], atol=1e-15)


@pytest.mark.parametrize("row", [[0.75, 0.24], [1.25, -0.25], [np.nan, 1.0]])
def test_bad_transition_rows_are_refused_by_name(row):
    P = two_states().P.copy()
    P[0, 0] = row
    with pytest.raises(ValueError, match=r"P\[0, 0\] sums to .* expected probabilities that sum to 1"):
        two_states(P=P)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": np.array([0.5, 0.4])}, "start sums to 0.9"),
        ({"rewards": np.zeros((2, 2))}, r"rewards has shape \(2, 2\), expected \(2, 2, 2\)"),
        ({"terminal": np.zeros(3, dtype=bool)}, r"terminal has shape \(3,\), expected \(2,\)"),
        ({"rewards": np.full((2, 2, 2), np.nan)}, "rewards must be finite, got nan"),
        ({"reward_noise": -1.0}, "reward_noise must be a standard deviation >= 0, got -1.0"),
        ({"reward_noise": float("nan")}, "reward_noise must be a standard deviation >= 0, got nan"),
    ],
)
def test_bad_arguments_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        two_states(**changes)


def test_absorb_stays_at_terminal_states_without_reward():
    P, rewards = absorb(np.full((2, 1, 2), 0.5), np.ones((2, 1, 2)), np.array([False, True]))
    np.testing.assert_array_equal(P, [[[0.5, 0.5]], [[0.0, 1.0]]])
    np.testing.assert_array_equal(rewards, [[[1.0, 1.0]], [[0.0, 0.0]]])


@pytest.mark.parametrize(
    ("env_id", "terminal"),
    [("FrozenLake-v1", [5, 7, 11, 12, 15]), ("CliffWalking-v1", [47]), ("CliffWalkingSlippery-v1", [47])],
)
def test_gymnasium_tables_are_read_whole(env_id, terminal):
    env: Any = gym.make(env_id)
    mdp = read_table(env)
    assert np.flatnonzero(mdp.terminal).tolist() == terminal
    table = env.unwrapped.P
    for state in set(range(len(table))) - set(terminal):
        for action, outcomes in table[state].items():
            expected = sum(probability * reward for probability, _, reward, _ in outcomes)
            assert mdp.R[state, action] == pytest.approx(expected)
            for next_state in {outcome[1] for outcome in outcomes}:
                total = sum(p for p, reached, _, _ in outcomes if reached == next_state)
                assert mdp.P[state, action, next_state] == pytest.approx(total)
