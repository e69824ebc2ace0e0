"""A pool of stored transitions: old experience that a learner can learn from again."""

from typing import NamedTuple

import numpy as np

from mlearn_utils.runtime import check_integer


class Transition(NamedTuple):
    """One step of a tabular learner. Only SARSA knows `next_action`."""

    state: int
    action: int
    reward: float
    next_state: int
    terminated: bool
    next_action: int | None = None


class ReplayPool:
    """The last `capacity` transitions."""

    def __init__(self, capacity: int = 50_000) -> None:
        check_integer("capacity", capacity, minimum=1, expected="at least 1")
        self.capacity = capacity
        self.transitions: list[Transition] = []
        self._oldest = 0

    def add(self, transition: Transition) -> None:
        """Store a transition, in place of the oldest one if the pool is full."""
        if len(self.transitions) < self.capacity:
            self.transitions.append(transition)
            return
        self.transitions[self._oldest] = transition
        self._oldest = (self._oldest + 1) % self.capacity

    def sample(self, n: int, rng: np.random.Generator) -> list[Transition]:
        """Return `n` stored transitions, drawn with replacement."""
        return [self.transitions[i] for i in rng.integers(len(self.transitions), size=n).tolist()]
