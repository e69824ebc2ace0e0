"""Thousands of independent walks through finite MDPs, one numpy operation per step for all of them.

Each of the L walks lives in one of T tasks. The tasks' outcomes are laid into flat tables, so that a step is
a few look-ups: no Python loop over walks, and no search through rows of probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlearn_utils.tasks.tabular import ROW_TOLERANCE, BoolArray, FloatArray, IntArray, TabularMDP


@dataclass(frozen=True)
class Categorical:
    """N categorical distributions over at most K outcomes each, drawn from many at once.

    `edges` are the K - 1 inner edges of the cumulative distributions, one array [N] each: a draw costs K - 1
    comparisons of whole arrays, which is fast because the tasks here have few outcomes per action.
    """

    edges: tuple[FloatArray, ...]

    @classmethod
    def from_probabilities(cls, probabilities: FloatArray) -> "Categorical":
        """Prepare the draws from `probabilities` [N, K], rows that sum to 1."""
        cumulative = np.cumsum(probabilities, axis=-1)
        # The last outcome with a positive probability takes what rounding leaves of the unit interval.
        cumulative[cumulative > 1 - ROW_TOLERANCE] = 1.0
        return cls(tuple(np.ascontiguousarray(column) for column in cumulative.T[:-1]))

    def draw(self, row: IntArray, uniform: FloatArray) -> IntArray:
        """Return [L] outcomes in 0..K-1 of the distributions `row` [L], given `uniform` [L] in [0, 1)."""
        outcome = np.zeros(len(row), dtype=np.int64)
        for edge in self.edges:
            outcome += uniform >= edge[row]
        return outcome


class TabularBatch:
    """L walks, each through one of T finite MDPs with the same number of actions.

    Tasks of unequal size are padded to the largest: S is the largest number of states, and the states beyond
    a task's own are never reached. Episodes are neither counted nor cut here; the caller restarts a walk.

    Args:
        mdps: the T tasks.
        task: [L] which task each walk lives in.

    Attributes:
        n_states, n_actions: S and A.
        outcomes: [T, S, A, K] the possible next states of an action; `probabilities`, `rewards` (mean) and
            `ended` (True where the next state is terminal) have the same shape.
        starts, start_chances: [T, K0] the possible first states and their probabilities.
        noise: [L] standard deviation of the reward noise.

    Raises:
        ValueError: if `mdps` is empty, the numbers of actions differ, or `task` names one that is not there.
    """

    def __init__(self, mdps: Sequence[TabularMDP], task: IntArray) -> None:
        actions = sorted({mdp.P.shape[1] for mdp in mdps})
        if len(actions) != 1:
            raise ValueError(f"mdps must be tasks with the same number of actions, got {actions}")
        if task.ndim != 1 or not np.issubdtype(task.dtype, np.integer):
            raise ValueError(f"task must be integers [L], got {task.dtype} of shape {task.shape}")
        if len(task) == 0 or task.min() < 0 or task.max() >= len(mdps):
            raise ValueError(f"task must name tasks 0 to {len(mdps) - 1}, got {np.unique(task)}")
        self.task, self.n_actions = task, actions[0]
        self.n_states = max(len(mdp.P) for mdp in mdps)
        self.noise = np.array([mdp.reward_noise for mdp in mdps])[task]
        self._noisy = bool(self.noise.any())
        self._lay_out_outcomes(mdps)
        self._lay_out_starts(mdps)

    def _lay_out_outcomes(self, mdps: Sequence[TabularMDP]) -> None:
        S, A, K = self.n_states, self.n_actions, max(int((mdp.P > 0).sum(-1).max()) for mdp in mdps)
        shape = (len(mdps), S, A, K)
        self.outcomes, self.probabilities = np.zeros(shape, dtype=np.int64), np.zeros(shape)
        self.rewards, self.ended = np.zeros(shape), np.zeros(shape, dtype=bool)
        for t, mdp in enumerate(mdps):
            s, order = len(mdp.P), np.argsort(-mdp.P, axis=-1, kind="stable")[..., :K]
            k = order.shape[-1]
            self.outcomes[t, :s, :, :k] = order
            self.probabilities[t, :s, :, :k] = np.take_along_axis(mdp.P, order, axis=-1)
            self.rewards[t, :s, :, :k] = np.take_along_axis(mdp.rewards, order, axis=-1)
            self.ended[t, :s, :, :k] = mdp.terminal[order]
        self._draws = Categorical.from_probabilities(self.probabilities.reshape(-1, K))
        self._first_row = self.task * S * A

    def _lay_out_starts(self, mdps: Sequence[TabularMDP]) -> None:
        most = max(int((mdp.start > 0).sum()) for mdp in mdps)
        orders = [np.argsort(-mdp.start, kind="stable")[:most] for mdp in mdps]
        chances = [np.pad(mdp.start[o], (0, most - len(o))) for mdp, o in zip(mdps, orders, strict=True)]
        self.starts = np.stack([np.pad(order, (0, most - len(order))) for order in orders])
        self.start_chances = np.stack(chances)
        self._start_draws = Categorical.from_probabilities(self.start_chances)

    def reset(self, walks: IntArray, rng: np.random.Generator) -> IntArray:
        """Return the first states of new episodes of the given walks (indices into 0..L-1)."""
        task = self.task[walks]
        return self.starts[task, self._start_draws.draw(task, rng.random(len(walks)))]

    def step(
        self, state: IntArray, action: IntArray, rng: np.random.Generator
    ) -> tuple[IntArray, FloatArray, BoolArray]:
        """Advance every walk by one step.

        Args:
            state: [L] current states, none of them terminal.
            action: [L] actions.
            rng: source of the draws.

        Returns:
            next_state [L], reward [L] and terminated [L].
        """
        row = self._first_row + state * self.n_actions + action
        cell = row * self.outcomes.shape[-1] + self._draws.draw(row, rng.random(len(row)))
        reward = self.rewards.reshape(-1)[cell]
        if self._noisy:
            reward = reward + self.noise * rng.standard_normal(len(row))
        return self.outcomes.reshape(-1)[cell], reward, self.ended.reshape(-1)[cell]
