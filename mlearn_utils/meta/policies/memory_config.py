"""The knobs of `MemoryAgent`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlearn_utils.runtime import check_fraction, check_integer, check_not_negative, check_positive


@dataclass(frozen=True)
class MemoryConfig:
    """How a MemoryAgent plays trials and learns from them: PPO over trials of several episodes.

    The defaults are those of the course for cart-poles; `bandit_config` has those for bandits.

    Attributes:
        episodes: episodes of a trial, all in the same task; the hidden state lasts for the whole trial.
        trials: trials an update, each in a task of its own, T.
        horizon: steps after which an episode ends, H; None takes the family's own `horizon`, or the time
            limit of its environments.
        memory: a recurrent network (GRU); False is its feed-forward twin, which sees the same inputs, among
            them the last action, reward and end, and remembers nothing else.
        hidden: units of the GRU; the twin has two layers of twice as many, which is about as many parameters.
        crossed: show the network the previous action a second time, times the previous reward. What an action
            brought is then one input, and need not be made of two.
        gamma: discount in [0, 1], over the steps of the trial: it does not start anew with an episode.
        lam: GAE's lambda in [0, 1].
        learning_rate: Adam's step size at the start, > 0; it falls linearly to a tenth over `updates`.
        entropy: weight of the policy's entropy in the objective at the start and at the end; linear between.
        epochs: passes over the same trials.
        minibatches: Adam steps a pass, each on as many of the trials; at most `trials`.
        clip: how far a probability ratio may leave 1 before it earns nothing more, > 0.
        value_weight: weight of the squared error of the values, >= 0, which count in units of what the
            discount lets add up (see `MemoryAgent`), so that their errors are small.
        max_grad_norm: the gradient is scaled down to at most this norm; None leaves it as it is.
        updates: length of a training.

    Raises:
        ValueError: if a value is out of its range; the message names the field.
    """

    episodes: int = 2
    trials: int = 128
    horizon: int | None = None
    memory: bool = True
    hidden: int = 32
    crossed: bool = False
    gamma: float = 0.98
    lam: float = 0.95
    learning_rate: float = 0.01
    entropy: tuple[float, float] = (0.02, 0.0)
    epochs: int = 3
    minibatches: int = 4
    clip: float = 0.2
    value_weight: float = 5.0
    max_grad_norm: float | None = None
    updates: int = 200

    def __post_init__(self):
        for name in ("episodes", "trials", "hidden", "epochs", "minibatches", "updates"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.minibatches > self.trials:
            raise ValueError(f"minibatches must be at most trials ({self.trials}), got {self.minibatches}")
        if self.horizon is not None:
            check_integer("horizon", self.horizon, minimum=1)
        if self.max_grad_norm is not None:
            check_positive("max_grad_norm", self.max_grad_norm)
        for name in ("memory", "crossed"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        for name in ("learning_rate", "clip"):
            check_positive(name, getattr(self, name))
        for name in ("gamma", "lam"):
            check_fraction(name, getattr(self, name))
        check_not_negative("value_weight", self.value_weight)
        object.__setattr__(self, "entropy", _two_weights(self.entropy))
        for name, value in vars(self).copy().items():
            if isinstance(value, np.generic):
                object.__setattr__(self, name, value.item())

    def done(self, update: int) -> float:
        """Return which share of the training lies behind an update, counted from 0: in [0, 1]."""
        return min(update / max(self.updates - 1, 1), 1.0)

    def entropy_at(self, update: int) -> float:
        """Return the weight of the entropy in an update, counted from 0."""
        start, end = self.entropy
        return start + self.done(update) * (end - start)

    def learning_rate_at(self, update: int) -> float:
        """Return Adam's step size in an update, counted from 0."""
        return self.learning_rate * (1 - 0.9 * self.done(update))


def bandit_config(pulls: int = 10, **changes: Any) -> MemoryConfig:
    """Return the settings that suit `BernoulliBandits`; `changes` replace single ones.

    Args:
        pulls: of a trial, each an episode.
        **changes: fields of MemoryConfig.
    """
    settings: dict[str, Any] = {
        "episodes": pulls,
        "trials": 512,
        "crossed": True,
        "gamma": 1.0,
        "lam": 0.9,
        "entropy": (0.03, 0.0),
        "epochs": 4,
        "minibatches": 2,
        "updates": 240,
    }
    return MemoryConfig(**settings | changes)


def _two_weights(value: object) -> tuple[float, float]:
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    expected = "two finite numbers >= 0, at the start and at the end"
    if len(numbers) != 2:
        raise ValueError(f"entropy must be {expected}, got {value!r}")
    for each in numbers:
        check_not_negative("entropy", each, expected)
    return float(numbers[0]), float(numbers[1])
