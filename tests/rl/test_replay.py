"""The pool of stored transitions."""

from collections import Counter

import numpy as np
import pytest

from mlearn_utils.rl.replay import ReplayPool, Transition


def transitions(n):
    return [Transition(i, 0, 0.0, i + 1, False) for i in range(n)]


def test_a_full_pool_forgets_the_oldest():
    pool = ReplayPool(capacity=3)
    for transition in transitions(5):
        pool.add(transition)
    assert sorted(stored.state for stored in pool.transitions) == [2, 3, 4]


def test_samples_are_even_over_what_is_stored():
    pool = ReplayPool()
    for transition in transitions(4):
        pool.add(transition)
    drawn = Counter(stored.state for stored in pool.sample(8000, np.random.default_rng(0)))
    assert set(drawn) == {0, 1, 2, 3}
    assert max(abs(count / 8000 - 0.25) for count in drawn.values()) < 0.03


def test_capacity_must_be_positive():
    with pytest.raises(ValueError, match="capacity must be at least 1, got 0"):
        ReplayPool(0)
