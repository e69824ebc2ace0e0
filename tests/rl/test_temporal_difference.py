"""One TD update and one choice of action: by hand, against loops, and by their frequencies."""

import numpy as np
import pytest

from mlearn_utils.rl.temporal_difference import epsilon_greedy, epsilon_greedy_actions, td_update

Q = np.array([[1.0, 2.0, 0.0], [4.0, 3.0, 5.0]])


@pytest.mark.parametrize(
    ("terminated", "next_action", "target"),
    [(False, None, 0.5 + 0.9 * 5), (True, None, 0.5), (False, 1, 0.5 + 0.9 * 3), (True, 1, 0.5)],
)
def test_update_by_hand(terminated, next_action, target):
    value, error = td_update(
        Q, 0, 1, 0.5, 1, terminated, learning_rate=0.1, gamma=0.9, next_action=next_action
    )
    assert error == pytest.approx(target - 2.0)
    assert value == pytest.approx(2.0 + 0.1 * (target - 2.0))


def random_transitions(n, n_states, n_actions, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(n_states, size=n),
        rng.integers(n_actions, size=n),
        rng.normal(size=n),
        rng.integers(n_states, size=n),
        rng.random(n) < 0.3,
    )


@pytest.mark.parametrize("sarsa", [False, True])
def test_many_learners_equal_a_loop_over_them(sarsa):
    rng = np.random.default_rng(1)
    q, rates, gammas = rng.normal(size=(7, 5, 3)), rng.random(7), rng.random(7)
    transitions = random_transitions(7, 5, 3)
    following = rng.integers(3, size=7) if sarsa else None
    fast = td_update(q, *transitions, learning_rate=rates, gamma=gammas, next_action=following)
    for i in range(7):
        state, action, reward, next_state, terminated = (column[i] for column in transitions)
        slow = td_update(
            q[i],
            int(state),
            int(action),
            float(reward),
            int(next_state),
            bool(terminated),
            learning_rate=rates[i],
            gamma=gammas[i],
            next_action=None if following is None else int(following[i]),
        )
        assert fast.value[i] == slow.value
        assert fast.error[i] == slow.error


def test_many_transitions_can_be_judged_by_one_table():
    transitions = random_transitions(20, 2, 3)
    errors = td_update(Q, *transitions, learning_rate=0.5, gamma=0.9).error
    one_by_one = [
        td_update(Q, *row, learning_rate=0.5, gamma=0.9).error for row in zip(*transitions, strict=True)
    ]
    np.testing.assert_array_equal(errors, one_by_one)


def test_one_learner_in_a_batch():
    value, error = td_update(
        Q[None], np.array([0]), np.array([1]), np.array([0.5]), np.array([1]), np.array([False]),
        learning_rate=1.0, gamma=1.0,
    )  # fmt: skip
    assert value.tolist() == [5.5]
    assert error.tolist() == [3.5]


def test_the_table_is_not_written_to():
    q = Q.copy()
    td_update(q, 0, 1, 0.5, 1, False, learning_rate=0.1, gamma=0.9)
    np.testing.assert_array_equal(q, Q)


VALUES = np.array([2.0, 1.0, 2.0, 0.0])
SHARES = {0.0: [0.5, 0.0, 0.5, 0.0], 0.4: [0.4, 0.1, 0.4, 0.1], 1.0: [0.25, 0.25, 0.25, 0.25]}


@pytest.mark.parametrize("epsilon", SHARES)
def test_actions_have_their_probabilities_and_ties_are_even(epsilon):
    n, rng = 20_000, np.random.default_rng(0)
    one_by_one = [epsilon_greedy(VALUES, epsilon, rng) for _ in range(n)]
    at_once = epsilon_greedy_actions(np.tile(VALUES, (n, 1)), epsilon, rng)
    for actions in (one_by_one, at_once):
        share = np.bincount(actions, minlength=4) / n
        assert np.abs(share - SHARES[epsilon]).max() < 5 * np.sqrt(0.25 / n)
        assert (share[np.array(SHARES[epsilon]) == 0] == 0).all()


def test_each_learner_explores_with_its_own_probability():
    values = np.tile([1.0, 0.0], (3000, 1))
    epsilon = np.repeat([0.0, 0.5, 1.0], 1000)
    shares = epsilon_greedy_actions(values, epsilon, np.random.default_rng(1)).reshape(3, 1000).mean(axis=1)
    assert shares[0] == 0
    assert np.abs(shares - [0, 0.25, 0.5]).max() < 0.08
