"""What the checks of lesson 01 compare with is right, and their mistakes can be told apart."""

import numpy as np
import pytest

from mlearn_utils.course.lesson_01 import mistakes, policies
from mlearn_utils.course.lesson_01.exercises import bellman_backup, discounted_return, policy_iteration
from mlearn_utils.rl import dynamic_programming as dp


def test_the_mistakes_of_the_return_are_told_apart():
    assert len(mistakes.DISCOUNTED_RETURN.wrong) > 10  # raises if two of them look alike


def test_the_return_of_the_exercise_is_the_one_compared_with():
    for rewards, gamma in mistakes.return_probes():
        assert discounted_return(rewards, gamma) == pytest.approx(mistakes.right_return(rewards, gamma))


def test_the_backup_of_the_exercise_is_the_packages():
    for P, rewards, V, gamma, terminal, _ in mistakes.backup_probes():
        R = (P * rewards).sum(axis=2)
        mine = [bellman_backup(P, rewards, V, gamma, terminal, state) for state in range(len(V))]
        assert mine == pytest.approx(dp.bellman_backup(P, R, V, gamma, terminal=terminal))


def test_policies_are_compared_by_what_they_are_worth():
    for P, R, gamma in policies.policy_probes():
        best = policy_iteration(P, R, gamma)
        V = dp.value_iteration(P, R, gamma)
        assert np.allclose(policies.best_worth(P, R, gamma), V, atol=1e-7)
        assert np.array_equal(policies.settled(P, R, best, gamma), dp.greedy_policy(P, R, V, gamma))
        other = (best + 1) % R.shape[1]
        q = dp.action_values(P, R, V, gamma)[np.arange(len(R)), other]
        assert np.array_equal(policies.settled(P, R, other, gamma) == best, np.isclose(q, V))
