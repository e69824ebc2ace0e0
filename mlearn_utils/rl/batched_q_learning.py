"""Q-learning for hundreds of learners at once: seeds x configurations x tasks, in numpy.

Every learner has its own table, its own walk and its own settings. All of them take a step together: one
call chooses L actions, one draws L next states, one `td_update` learns from L transitions. A learner whose
episode ends begins its next one at once, so nobody waits.
"""

from collections.abc import Sequence

import numpy as np

from mlearn_utils.rl.q_learning import History
from mlearn_utils.rl.schedules import (
    DEFAULT_EPSILON,
    Schedule,
    at_episode,
    check_learning_rate,
    check_unit_interval,
)
from mlearn_utils.rl.temporal_difference import epsilon_greedy_actions, td_update
from mlearn_utils.runtime import check_integer, next_seed
from mlearn_utils.tasks.tabular import BoolArray, FloatArray, IntArray, TabularMDP
from mlearn_utils.tasks.tabular_batch import TabularBatch

EVALUATED_AT_ONCE = 512


class BatchedQLearner:
    """L tabular Q-learners, each in one of T finite MDPs.

    Args:
        mdps: the T tasks (or a single one); smaller ones are padded to the states of the largest.
        task: [L] which task each learner lives in; by default one learner per task.
        learning_rate: step size > 0, one number or [L], or a schedule over episodes.
        gamma: discount in [0, 1], one number or [L].
        epsilon: probability of a random action in [0, 1], one number or [L], or a schedule over episodes. A
            schedule is called with the learners' own episode numbers [L].
        horizon: an episode is truncated after this many steps.

    Attributes:
        q_tables: [L, S, A] value of each action.
        episodes: [L] number of episodes finished so far.

    Raises:
        ValueError: if a setting is outside its range or not one number per learner.
    """

    def __init__(
        self,
        mdps: TabularMDP | Sequence[TabularMDP],
        *,
        task: IntArray | None = None,
        learning_rate: float | FloatArray | Schedule = 0.1,
        gamma: float | FloatArray = 0.99,
        epsilon: float | FloatArray | Schedule = DEFAULT_EPSILON,
        horizon: int = 100,
    ) -> None:
        mdps = [mdps] if isinstance(mdps, TabularMDP) else list(mdps)
        if not mdps or not all(isinstance(mdp, TabularMDP) for mdp in mdps):
            raise ValueError(f"mdps must be a TabularMDP or several, got {mdps!r}")
        task = np.arange(len(mdps)) if task is None else np.asarray(task)
        check_integer("horizon", horizon, minimum=1, expected="at least 1")
        check_unit_interval("gamma", gamma)
        self.walks = TabularBatch(mdps, task)
        self.learning_rate, self.gamma, self.epsilon = learning_rate, gamma, epsilon
        self.horizon, self.n_learners = horizon, len(task)
        self.q_tables = np.zeros((self.n_learners, self.walks.n_states, self.walks.n_actions))
        self.episodes = np.zeros(self.n_learners, dtype=np.int64)
        self._learner = np.arange(self.n_learners)
        self._seed: int | None = None
        self._rng = np.random.default_rng(0)
        self._first_row = self._learner * self.walks.n_states
        self._rate = at_episode(learning_rate, self.episodes)
        self._epsilon = at_episode(epsilon, self.episodes)
        check_learning_rate(self._rate)
        check_unit_interval("epsilon", self._epsilon)
        for name, value in (("learning_rate", self._rate), ("gamma", gamma), ("epsilon", self._epsilon)):
            if np.shape(value) not in {(), (self.n_learners,)}:
                raise ValueError(f"{name} has shape {np.shape(value)}, expected () or ({self.n_learners},)")

    def train(self, episodes: int, *, seed: int | None = None) -> History:
        """Let every learner learn from `episodes` more episodes; one that has them all learns no further.

        Without a `seed`, or with the one used last, the random numbers go on; None is 0 at first.

        Returns:
            One row per episode: "episode", "return" [L] (undiscounted), "steps" [L].
        """
        check_integer("episodes", episodes, minimum=1)
        before = self.episodes.copy()
        returns, lengths = np.zeros((2, episodes, self.n_learners))
        rng = self._begin(seed)
        active = np.full(self.n_learners, True)
        while active.any():
            ended, total, length = self._step(rng, active)
            counted = active[ended]
            learner = ended[counted]
            row = self.episodes[learner] - before[learner]
            returns[row, learner], lengths[row, learner] = total[counted], length[counted]
            self._count(learner)
            active[learner[row == episodes - 1]] = False
        return [{"episode": e, "return": returns[e], "steps": lengths[e]} for e in range(episodes)]

    def train_steps(self, steps: int, *, windows: int = 20, seed: int | None = None) -> History:
        """Let every learner learn from `steps` more steps, however many episodes these make.

        Each call begins with new episodes; `seed` as in `train`.

        Returns:
            One row per window of steps: "steps" (those done at its end), "return" [L] mean of the episodes
            that ended in it (NaN where none did), "episodes" [L] their number.
        """
        check_integer("steps", steps, minimum=1)
        check_integer("windows", windows, minimum=1)
        totals, counts = np.zeros((2, windows, self.n_learners))
        rng = self._begin(seed)
        for step in range(steps):
            ended, total, _ = self._step(rng)
            totals[step * windows // steps, ended] += total
            counts[step * windows // steps, ended] += 1
            self._count(ended)
        means = np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)
        return [
            {"steps": (w + 1) * steps // windows, "return": means[w], "episodes": counts[w]}
            for w in range(windows)
        ]

    def learn(
        self,
        state: IntArray,
        action: IntArray,
        reward: FloatArray,
        next_state: IntArray,
        terminated: BoolArray,
        *,
        active: BoolArray | None = None,
    ) -> FloatArray:
        """Update every table by one transition each (all arguments [L]) and return the TD errors [L].

        Learners outside `active` keep their tables.
        """
        rate = self._rate if active is None else self._rate * active
        value, error = td_update(
            self.q_tables, state, action, reward, next_state, terminated, learning_rate=rate, gamma=self.gamma
        )
        self.q_tables[self._learner, state, action] = value
        return error

    def greedy_returns(self) -> FloatArray:
        """Return [L] the expected undiscounted return of an episode of each greedy policy, computed exactly.

        Ties are broken at random, as the agents do; episodes are truncated after `horizon` steps.
        """
        chunks = np.array_split(self._learner, -(-self.n_learners // EVALUATED_AT_ONCE))
        return np.concatenate([self._greedy_returns(learners) for learners in chunks])

    def _greedy_returns(self, learners: IntArray) -> FloatArray:
        walks, q, task = self.walks, self.q_tables[learners], self.walks.task[learners]
        best = q == q.max(axis=-1, keepdims=True)
        chances = (best / best.sum(axis=-1, keepdims=True))[..., None] * walks.probabilities[task]
        reward = np.einsum("lsak,lsak->ls", chances, walks.rewards[task])
        ahead = walks.outcomes[task] + (np.arange(len(learners)) * walks.n_states)[:, None, None, None]
        V = np.zeros_like(reward)  # and 0 it stays in terminal states, which absorb without reward
        for _ in range(self.horizon):
            V = reward + np.einsum("lsak,lsak->ls", chances, V.reshape(-1)[ahead])
        return (walks.start_chances[task] * np.take_along_axis(V, walks.starts[task], axis=1)).sum(axis=1)

    def _begin(self, seed: int | None) -> np.random.Generator:
        """Start a new episode for every learner and return the generator of the run."""
        seed = next_seed(seed, self._seed)
        if seed != self._seed:
            self._rng, self._seed = np.random.default_rng(seed), seed
        self._state = self.walks.reset(self._learner, self._rng)
        self._total, self._elapsed = np.zeros(self.n_learners), np.zeros(self.n_learners, dtype=np.int64)
        return self._rng

    def _step(
        self, rng: np.random.Generator, active: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray, IntArray]:
        """Take one step with every learner; return who ended an episode, with its return and its length."""
        state = self._state
        values = self.q_tables.reshape(-1, self.walks.n_actions).take(self._first_row + state, axis=0)
        action = epsilon_greedy_actions(values, self._epsilon, rng)
        next_state, reward, terminated = self.walks.step(state, action, rng)
        self.learn(state, action, reward, next_state, terminated, active=active)
        self._total += reward
        self._elapsed += 1
        ended = np.flatnonzero(terminated | (self._elapsed >= self.horizon))
        total, length = self._total[ended], self._elapsed[ended]
        self._total[ended], self._elapsed[ended] = 0.0, 0
        next_state[ended] = self.walks.reset(ended, rng)
        self._state = next_state
        return ended, total, length

    def _count(self, learners: IntArray) -> None:
        """Count one more episode for these learners and let schedules follow."""
        self.episodes[learners] += 1
        if callable(self.learning_rate):
            self._rate = self.learning_rate(self.episodes)
        if callable(self.epsilon):
            self._epsilon = self.epsilon(self.episodes)
