"""Schedules over episodes, for one learner and for many."""

import numpy as np
import pytest

from mlearn_utils.rl.schedules import DEFAULT_EPSILON, at_episode, exponential_decay, linear_decay


def test_linear_decay_takes_equal_steps_then_stays():
    decay = linear_decay(1.0, 0.2, 4)
    np.testing.assert_allclose([decay(e) for e in (0, 1, 2, 4, 100)], [1.0, 0.8, 0.6, 0.2, 0.2])


def test_exponential_decay_takes_equal_factors_then_stays():
    decay = exponential_decay(0.8, 0.1, 3)
    np.testing.assert_allclose([decay(e) for e in (0, 1, 2, 3, 100)], [0.8, 0.4, 0.2, 0.1, 0.1])


def test_a_schedule_serves_many_learners_at_once():
    episodes = np.array([0, 250, 500, 900])
    np.testing.assert_allclose(DEFAULT_EPSILON(episodes), [DEFAULT_EPSILON(int(e)) for e in episodes])


def test_a_number_is_its_own_schedule():
    assert at_episode(0.3, 17) == 0.3
    assert at_episode(linear_decay(1.0, 0.0, 10), 5) == 0.5


def test_bad_arguments_are_refused_by_name():
    with pytest.raises(ValueError, match="episodes must be positive, got 0"):
        linear_decay(1.0, 0.1, 0)
    with pytest.raises(ValueError, match=r"end must be positive, got 0.0"):
        exponential_decay(1.0, 0.0, 10)
