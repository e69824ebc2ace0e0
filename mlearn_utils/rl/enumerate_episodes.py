"""Every episode of a small finite MDP, so that expectations are sums and nothing is sampled.

An estimator of a gradient or a Hessian can then be judged without noise: weigh what it says about each
episode by that episode's probability, and compare with the derivatives of the expected return itself.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.runtime import check_integer


class Episodes(NamedTuple):
    """All E possible episodes of S steps, float64 but for the integers.

    Attributes:
        state: [S, E] int64.
        act: [S, E] int64.
        reward: [S, E].
        chance: [E] the environment's part of the episode's probability (start and transitions).
    """

    state: Tensor
    act: Tensor
    reward: Tensor
    chance: Tensor

    def probability(self, logp: Tensor) -> Tensor:
        """Return [E] the probability of each episode, from log pi(a_t | s_t) [S, E]; differentiable."""
        return self.chance * logp.sum(dim=0).exp()


def enumerate_episodes(P: np.ndarray, R: np.ndarray, start: np.ndarray, *, steps: int) -> Episodes:
    """List the episodes that have a chance above zero.

    Their number grows as (states x actions)^steps: meant for two or three of each.

    Args:
        P: [X, A, X] transition probabilities.
        R: [X, A] reward of an action in a state.
        start: [X] probabilities of the first state.
        steps: length of every episode, S >= 1.

    Raises:
        ValueError: if shapes disagree, a row of probabilities does not sum to 1, or `steps` < 1.
    """
    n_states, n_actions, _ = P.shape
    if P.shape != (n_states, n_actions, n_states) or R.shape != (n_states, n_actions):
        raise ValueError(f"P must be [X, A, X] and R [X, A], got shapes {P.shape} and {R.shape}")
    if start.shape != (n_states,) or not (np.allclose(P.sum(-1), 1) and np.allclose(start.sum(), 1)):
        raise ValueError("P and start must hold probabilities that sum to 1 over their last axis")
    check_integer("steps", steps, minimum=1)
    pairs = list(product(range(n_states), range(n_actions)))
    paths = np.array(list(product(pairs, repeat=steps)))  # [E, S, 2]
    state, act = paths[..., 0].T, paths[..., 1].T
    chance = start[state[0]] * P[state[:-1], act[:-1], state[1:]].prod(axis=0)
    possible = chance > 0
    state, act = state[:, possible], act[:, possible]
    arrays = (state, act, R[state, act], chance[possible])
    return Episodes(*(torch.from_numpy(np.ascontiguousarray(values)) for values in arrays))
