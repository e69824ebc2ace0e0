"""What the notebook of lesson 01 calls where a reader's answer may still be missing.

Each does what an exercise asks for, by the package's functions: the exercises' own solutions are for readers.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mlearn_utils.course.lesson_01.mistakes import Step
from mlearn_utils.rl import temporal_difference as td
from mlearn_utils.rl.returns import discounted_sums
from mlearn_utils.tasks.tabular import FloatArray

WEIGHTS = np.array([0.05, 0.15, 1.0, 0.7])  # of position, velocity, angle and angular velocity


def discounted_return(rewards: Sequence[float], gamma: float) -> float:
    """Return the discounted return of an episode from its first step on."""
    return float(discounted_sums(torch.tensor(rewards, dtype=torch.float64)[:, None], gamma)[0, 0])


def step_targets(steps: Sequence[Step], V: FloatArray, gamma: float) -> FloatArray:
    """Return the target of each step: a TD update with a learning rate of 1 goes all the way to it."""
    states, rewards, after, terminated, _ = map(np.array, zip(*steps, strict=True))
    q = V[:, None]  # as if there were one action
    return td.td_update(q, states, 0, rewards, after, terminated, learning_rate=1.0, gamma=gamma).value


def held_up(observation: np.ndarray) -> int:
    """Return the push of a rule that holds the pole and keeps the cart near the middle, too."""
    return int(observation @ WEIGHTS > 0)
