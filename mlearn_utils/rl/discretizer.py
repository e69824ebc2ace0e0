"""Cut continuous observations into cells, so that a table can hold their values."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike

from mlearn_utils.tasks.tabular import FloatArray

MAX_STATES = 10_000_000
LARGE = 1e4
"""A bound from which on it is tried whether a space means it."""
DEFAULT_BINS, DEFAULT_STATES = 16, 100_000
RANDOM_EPISODES, RANDOM_STEPS = 100, 20_000


class Discretizer:
    """Number the cells of a box: dimension d is cut into `bins[d]` intervals of equal length.

    A value beyond a bound belongs to the interval next to that bound.

    Args:
        low: [D] lower bounds.
        high: [D] upper bounds, above `low`.
        bins: intervals per dimension, one number or [D].

    Raises:
        ValueError: if a bound is not finite, low >= high, bins < 1, or there are more than MAX_STATES cells.
    """

    def __init__(self, low: ArrayLike, high: ArrayLike, bins: int | ArrayLike = 10) -> None:
        try:
            self.low, self.high = (np.asarray(bound, dtype=np.float64) for bound in (low, high))
        except (TypeError, ValueError):
            raise ValueError(f"low and high must be arrays of numbers, got {low!r} and {high!r}") from None
        if self.low.ndim != 1 or self.low.shape != self.high.shape:
            raise ValueError(f"low and high must both be [D], got {self.low.shape} and {self.high.shape}")
        if not (np.isfinite(self.low) & np.isfinite(self.high) & (self.low < self.high)).all():
            raise ValueError(f"low must lie below high, both finite, got low={self.low}, high={self.high}")
        if np.shape(bins) not in ((), (1,), self.low.shape):
            raise ValueError(f"bins must be one number or one for each of {len(self.low)} axes, got {bins}")
        self.bins = np.broadcast_to(np.asarray(bins), self.low.shape)
        if not np.issubdtype(self.bins.dtype, np.integer) or (self.bins < 1).any():
            raise ValueError(f"bins must be integers >= 1, got {bins}")
        self.n_states = int(np.prod(self.bins, dtype=object))
        if self.n_states > MAX_STATES:
            raise ValueError(f"bins={bins} make {self.n_states} states, expected at most {MAX_STATES}")
        scale = self.bins / (self.high - self.low)
        self._axes = list(zip(self.low.tolist(), scale.tolist(), self.bins.tolist(), strict=True))

    def __call__(self, observation: ArrayLike) -> int:
        """Return the number of the cell, 0 to n_states - 1, that `observation` [D] lies in.

        Raises:
            ValueError: if the observation has another length or holds NaN.
        """
        values, state = np.asarray(observation).tolist(), 0
        if not isinstance(values, list) or len(values) != len(self._axes) or isinstance(values[0], str):
            raise ValueError(f"observation must be {len(self._axes)} numbers, got {observation!r}")
        if any(map(math.isnan, values)):
            raise ValueError(f"observation holds NaN: {values}")
        for value, (low, scale, bins) in zip(values, self._axes, strict=True):
            state = state * bins + int(min(max((value - low) * scale, 0), bins - 1))
        return state

    @classmethod
    def from_env(
        cls, env: gym.Env[Any, Any], *, bins: int | ArrayLike | None = None, seed: int = 0
    ) -> "Discretizer":
        """Return the default discretizer of an environment whose observations are a Box [D].

        The bounds are the space's. Where a dimension has none, or large numbers in place of one, they are the
        smallest and the largest value seen in 100 episodes (at most 20 000 steps) of random actions, which
        reseed `env`. A dimension without bounds that never varies there gets a single interval.

        Args:
            env: the environment.
            bins: intervals per dimension, one number or [D]; None for 16, or for as many fewer as keep the
                number of states within 100 000.
            seed: of the random episodes.
        """
        space = env.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise TypeError(f"env must have observations in a Box of one axis, got {space}")
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        if not (np.maximum(abs(low), abs(high)) < LARGE).all():
            seen = _random_observations(env, seed)
            least, most, far = seen.min(axis=0), seen.max(axis=0), 1000 * np.ptp(seen, axis=0)
            # a large number that is a thousand times as far away as what was seen is wide states no bound
            low = np.where((abs(low) >= LARGE) & (least - low > far), least, low)
            high = np.where((abs(high) >= LARGE) & (high - most > far), most, high)
        constant = ~(low < high)
        varying = int((~constant).sum())
        bins = np.broadcast_to(default_bins(varying) if bins is None else np.asarray(bins), low.shape)
        middle = np.where(constant, low, 0.0)
        return cls(
            np.where(constant, middle - 0.5, low),
            np.where(constant, middle + 0.5, high),
            np.where(constant, 1, bins),
        )


def default_bins(n_dimensions: int) -> int:
    """Return 16, or as many fewer (2 at least) as keep the number of states within 100 000."""
    fitting = [bins for bins in range(2, DEFAULT_BINS + 1) if bins**n_dimensions <= DEFAULT_STATES]
    return max(fitting, default=2)


def _random_observations(env: gym.Env[Any, Any], seed: int) -> FloatArray:
    """Return the observations [N, D] of random episodes."""
    env.action_space.seed(seed)
    seen = [env.reset(seed=seed)[0]]
    episodes = 0
    while episodes < RANDOM_EPISODES and len(seen) < RANDOM_STEPS:
        obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
        seen.append(obs)
        if terminated or truncated:
            seen.append(env.reset()[0])
            episodes += 1
    return np.asarray(seen, dtype=np.float64)
