"""The two pure functions of temporal-difference control: one update, and one choice of action.

    error    = r + gamma * max_a' q(s', a') - q(s, a)        the bootstrap is 0 where s' ended the episode
    q(s, a) <- q(s, a) + learning_rate * error

That is Q-learning; SARSA takes the value of the action that really comes next instead of the maximum. The
agents, the batch of learners, the exercises and the plots all call this one `td_update`.

References: Watkins and Dayan, Q-learning, Machine Learning 8, 1992; Sutton and Barto, Reinforcement Learning:
An Introduction, 2nd ed. 2018, equations 6.7 and 6.8.
"""

from typing import NamedTuple

import numpy as np

from mlearn_utils.tasks.tabular import BoolArray, FloatArray, IntArray


class TDUpdate(NamedTuple):
    """What a transition does to q[state, action]: the `value` to store there, and the TD `error` behind it.

    Each is one number, or an array with one number per transition.
    """

    value: FloatArray
    error: FloatArray


def td_update(
    q: FloatArray,
    state: int | IntArray,
    action: int | IntArray,
    reward: float | FloatArray,
    next_state: int | IntArray,
    terminated: bool | BoolArray,
    *,
    learning_rate: float | FloatArray,
    gamma: float | FloatArray,
    next_action: int | IntArray | None = None,
) -> TDUpdate:
    """Return the new value of q[state, action] and the TD error. Nothing is written: the caller stores it.

    One learner: q is [S, A] and the other arguments are scalars (or [B] transitions, all judged by this q).
    L learners at once: q is [L, S, A] and the other arguments are [L] or scalars.

    Args:
        q: the table or tables.
        state: where the action was taken.
        action: the action taken.
        reward: what this step earned.
        next_state: where it led.
        terminated: True if `next_state` ended the episode: nothing is bootstrapped then. A truncated episode
            has not terminated.
        learning_rate: step size.
        gamma: discount. Neither is checked in this innermost loop; the agents check them once.
        next_action: the action taken in `next_state` (SARSA); None takes the best one (Q-learning).
    """
    if q.ndim == 3:
        n_learners, n_states, n_actions = q.shape
        first = np.arange(n_learners) * n_states
        q, state, next_state = q.reshape(-1, n_actions), first + state, first + next_state
    if next_action is None:
        # Gathered by `take` and laid actions first, the maximum is several times faster than q[...].max(-1).
        ahead = q.take(next_state, axis=0).T.copy().max(axis=0)
    else:
        ahead = q[next_state, next_action]
    now = q[state, action]
    error = reward + gamma * ahead * (1.0 - terminated) - now
    return TDUpdate(now + learning_rate * error, error)


def epsilon_greedy(values: FloatArray, epsilon: float, rng: np.random.Generator) -> int:
    """Return a random action with probability `epsilon`, else one of largest value, ties broken at random.

    Args:
        values: [A] value of each action.
        epsilon: probability of exploring.
        rng: source of the draws.
    """
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    best = np.flatnonzero(values == values.max())
    return int(best[0] if len(best) == 1 else rng.choice(best))


def epsilon_greedy_actions(
    values: FloatArray, epsilon: float | FloatArray, rng: np.random.Generator
) -> IntArray:
    """Return [L] epsilon-greedy actions, drawn as L calls of `epsilon_greedy` would.

    An exploring learner draws among all actions, the others among those of largest value.

    Args:
        values: [L, A] value of each action.
        epsilon: probability of exploring, one number or [L].
        rng: source of the draws.
    """
    explores = rng.random(len(values)) < epsilon
    values = values.T.copy()  # actions first, as in td_update
    allowed = (values == values.max(axis=0)) | explores
    lots = allowed * (1.0 - rng.random(values.shape))  # in (0, 1] where allowed, else 0
    return lots.T.copy().argmax(axis=1)
