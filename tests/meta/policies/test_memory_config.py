"""The knobs of MemoryAgent: their ranges, and what falls over a training."""

from typing import Any

import numpy as np
import pytest

from mlearn_utils.meta.policies.memory_config import MemoryConfig, bandit_config

BAD = [
    *((name, value) for name in ("episodes", "trials", "hidden", "epochs", "minibatches", "updates")
      for value in (0, -1, 1.5, True)),
    ("minibatches", 200), ("horizon", 0), ("max_grad_norm", 0.0), ("memory", 1), ("crossed", "yes"),
    ("learning_rate", 0.0), ("learning_rate", float("nan")), ("clip", -0.1), ("gamma", 1.1), ("lam", -0.1),
    ("value_weight", -1.0), ("entropy", 0.1), ("entropy", (0.1,)), ("entropy", (-0.1, 0.0)),
    ("entropy", (0.1, float("inf"))), ("entropy", "ab"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        MemoryConfig(**{name: value})


def test_entropy_and_step_size_fall_and_stay():
    config = MemoryConfig(updates=11, entropy=(0.4, 0.1), learning_rate=0.1)
    assert [config.entropy_at(k) for k in (0, 5, 10, 50)] == pytest.approx([0.4, 0.25, 0.1, 0.1])
    assert [config.learning_rate_at(k) for k in (0, 5, 10, 50)] == pytest.approx([0.1, 0.055, 0.01, 0.01])
    assert MemoryConfig(updates=1).learning_rate_at(0) == MemoryConfig().learning_rate


def test_numbers_of_numpy_become_pythons():
    given: dict[str, Any] = {"gamma": np.float32(0.5), "trials": np.int64(8), "entropy": [np.float64(0.1), 0]}
    config = MemoryConfig(**given)
    assert type(config.gamma) is float
    assert type(config.trials) is int
    assert config.entropy == (0.1, 0.0)


def test_settings_for_bandits_can_be_changed():
    config = bandit_config(7, trials=9)
    assert (config.episodes, config.trials, config.gamma, config.crossed) == (7, 9, 1.0, True)
