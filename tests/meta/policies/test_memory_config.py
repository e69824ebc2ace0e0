"""The knobs of MemoryAgent: their ranges, and what falls over a training."""

import dataclasses
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
    ("entropy", (0.1, float("inf"))), ("entropy", "ab"), ("entropy", (0.1, 0.0, 0.0)), ("entropy", (True, 0)),
    ("entropy", (float("nan"), 0.0)), ("entropy", (10**400, 0)), ("minibatches", 129),
    ("horizon", 2.5), ("horizon", True),
    ("max_grad_norm", -1.0), ("max_grad_norm", float("inf")), ("memory", None), ("crossed", 0),
    ("learning_rate", float("inf")), ("learning_rate", True), ("clip", 0.0), ("clip", float("nan")),
    ("gamma", -0.1), ("gamma", float("nan")), ("gamma", True), ("lam", 1.1), ("lam", "0.9"),
    ("value_weight", float("nan")), ("value_weight", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        MemoryConfig(**{name: value})


EDGES = [
    *((name, 1) for name in ("episodes", "hidden", "epochs", "minibatches", "updates", "horizon")),
    *((name, edge) for name in ("gamma", "lam") for edge in (0, 1, 0.0, 1.0)),
    ("minibatches", 128), ("horizon", None), ("max_grad_norm", None), ("max_grad_norm", 1e-9),
    ("value_weight", 0.0), ("entropy", (0.0, 0.0)), ("entropy", (0.0, 0.1)), ("clip", 1e-9),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), EDGES)
def test_the_edges_of_a_range_belong_to_it(name, value):
    assert getattr(MemoryConfig(**{name: value}), name) == value


def test_as_many_minibatches_as_trials_and_no_more():
    assert MemoryConfig(trials=3, minibatches=3).minibatches == 3
    with pytest.raises(ValueError, match=r"minibatches must be at most trials \(3\), got 4"):
        MemoryConfig(trials=3, minibatches=4)


NUMBERS = [field.name for field in dataclasses.fields(MemoryConfig)]


def test_every_field_is_tested_at_its_range():
    assert {name for name, _ in BAD} == set(NUMBERS)


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - {"memory", "crossed", "entropy"}))
def test_a_number_of_numpy_becomes_pythons_in_every_field(name):
    integer = name not in ("gamma", "lam", "learning_rate", "clip", "value_weight", "max_grad_norm")
    given: Any = np.int64(4) if integer else np.float32(0.5)
    found = getattr(MemoryConfig(**{name: given}), name)
    assert type(found) is (int if integer else float)
    assert found == given


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MemoryConfig().gamma = 0.5  # pyright: ignore[reportAttributeAccessIssue]


def test_what_does_not_fall_stays():
    config = MemoryConfig(updates=5, entropy=(0.1, 0.1))
    assert {config.entropy_at(k) for k in range(9)} == {0.1}
    rising = MemoryConfig(updates=3, entropy=(0.0, 0.2))
    assert [rising.entropy_at(k) for k in (0, 1, 2, 3)] == pytest.approx([0.0, 0.1, 0.2, 0.2])


def test_a_training_of_one_update_ends_where_it_starts():
    config = MemoryConfig(updates=1, entropy=(0.4, 0.1), learning_rate=0.1)
    assert (config.entropy_at(0), config.learning_rate_at(0)) == (0.4, 0.1)
    assert config.entropy_at(1) == pytest.approx(0.1)
    assert config.learning_rate_at(1) == pytest.approx(0.01)


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


def test_settings_for_bandits_are_other_ones_than_for_cart_poles():
    found, usual = bandit_config(), MemoryConfig()
    assert (found.episodes, found.entropy, found.horizon) == (10, (0.03, 0.0), None)
    for field in ("trials", "crossed", "gamma", "lam", "epochs", "minibatches", "updates"):
        assert getattr(found, field) != getattr(usual, field)
    for field in ("memory", "hidden", "learning_rate", "clip", "value_weight", "max_grad_norm"):
        assert getattr(found, field) == getattr(usual, field)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"pulls": 0}, ValueError, "episodes must be"),
        ({"trials": 1}, ValueError, "minibatches must be at most trials"),
        ({"arms": 3}, TypeError, "arms"),
    ],
)
def test_bad_settings_for_bandits_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        bandit_config(**changes)


def test_what_is_changed_comes_before_what_is_usual():
    found = bandit_config(4, episodes=6, entropy=(0.5, 0.1), memory=False)
    assert (found.episodes, found.entropy, found.memory) == (6, (0.5, 0.1), False)


def test_a_flag_of_numpy_is_taken_as_pythons():
    assert MemoryConfig(memory=np.False_, crossed=np.True_) == MemoryConfig(memory=False, crossed=True)  # pyright: ignore[reportArgumentType]
    assert type(MemoryConfig(memory=np.False_).memory) is bool  # pyright: ignore[reportArgumentType]
