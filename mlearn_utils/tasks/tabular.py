"""A finite Markov decision process as arrays.

The arrays are the whole truth about such a task: dynamic programming reads them, an environment draws its
steps from them, and a batch of learners draws thousands of steps at once. Nothing is stated twice.

Reference: Puterman, Markov Decision Processes, 1994, chapter 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.runtime import check_not_negative

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

ROW_TOLERANCE = 1e-8


def check_rows(name: str, rows: FloatArray) -> None:
    """Check that every row (the last axis) is a probability distribution.

    Raises:
        ValueError: naming the argument and its first bad row, if an entry is negative or a sum is not 1.
    """
    sums = rows.sum(axis=-1)
    bad = np.argwhere((rows < 0).any(axis=-1) | ~(np.abs(sums - 1) <= ROW_TOLERANCE))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        row = f"{name}{list(where)}" if where else name
        raise ValueError(
            f"{row} sums to {sums[where]:.6g} (smallest entry {rows[where].min():.6g}); "
            "expected probabilities that sum to 1"
        )


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """A finite MDP with S states and A actions.

    Attributes:
        P: [S, A, S] probability of the next state. A terminal state's rows stay where they are.
        rewards: [S, A, S] mean reward of a transition.
        terminal: [S] True where entering the state ends the episode.
        start: [S] distribution of the first state.
        reward_noise: standard deviation of the normal noise added to every reward.
    """

    P: FloatArray
    rewards: FloatArray
    terminal: BoolArray
    start: FloatArray
    reward_noise: float = 0.0

    def __post_init__(self) -> None:
        S, A = self.P.shape[:2]
        for name, shape in {"P": (S, A, S), "rewards": (S, A, S), "terminal": (S,), "start": (S,)}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        check_rows("P", self.P)
        check_rows("start", self.start)
        if not np.isfinite(self.rewards).all():
            raise ValueError(f"rewards must be finite, got {self.rewards[~np.isfinite(self.rewards)][0]}")
        check_not_negative("reward_noise", self.reward_noise, "a standard deviation >= 0")

    @property
    def R(self) -> FloatArray:  # noqa: N802  (the field's name)
        """[S, A] expected reward of an action."""
        return np.einsum("ijk,ijk->ij", self.P, self.rewards)


def absorb(P: FloatArray, rewards: FloatArray, terminal: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return P and rewards [S, A, S] whose terminal states stay where they are and earn nothing."""
    stay = np.eye(len(P))[:, None, :]
    ended = terminal[:, None, None]
    return np.where(ended, stay, P), np.where(ended, 0.0, rewards)
