"""Planning with a known model: what a policy is worth, and the best policy, by repeated Bellman backups.

    q(s, a) = R(s, a) + gamma * sum_s' P(s, a, s') V(s')        one step ahead
    V(s)    = sum_a policy(s, a) q(s, a)                        policy evaluation
    V(s)    = max_a q(s, a)                                     value iteration

Nothing follows a terminal state: its value is 0, whatever P says.

Reference: Sutton and Barto, Reinforcement Learning: An Introduction, 2nd ed. 2018, equations 4.4 and 4.10.
"""

from collections.abc import Callable

import numpy as np

from mlearn_utils.runtime import check_fraction, check_integer, check_not_negative
from mlearn_utils.tasks.tabular import BoolArray, FloatArray, IntArray, check_rows

MAX_SWEEPS = 100_000


def action_values(
    P: FloatArray, R: FloatArray, V: FloatArray, gamma: float, *, terminal: BoolArray | None = None
) -> FloatArray:
    """Return [S, A] the value of each action when V [S] is what the next state is worth.

    Args:
        P: [S, A, S] probability of the next state.
        R: [S, A] expected reward.
        V: [S] value of each state; a terminal state's is taken to be 0.
        gamma: discount in [0, 1].
        terminal: [S] True where the episode ends; None if none is, or all absorb at reward 0.
    """
    if terminal is None:
        return R + gamma * (P @ V)
    return np.where(terminal[:, None], 0.0, R + gamma * (P @ np.where(terminal, 0.0, V)))


def bellman_backup(
    P: FloatArray,
    R: FloatArray,
    V: FloatArray,
    gamma: float,
    *,
    policy: FloatArray | None = None,
    terminal: BoolArray | None = None,
) -> FloatArray:
    """Return V [S] after one sweep: the mean over `policy` [S, A], or the maximum over actions if None."""
    q = action_values(P, R, V, gamma, terminal=terminal)
    return q.max(axis=1) if policy is None else (policy * q).sum(axis=1)


def policy_evaluation(
    P: FloatArray,
    R: FloatArray,
    policy: FloatArray | IntArray,
    gamma: float,
    *,
    terminal: BoolArray | None = None,
    tolerance: float = 1e-10,
) -> FloatArray:
    """Return V [S], what following `policy` is worth from each state.

    Args:
        P: [S, A, S] probability of the next state.
        R: [S, A] expected reward.
        policy: [S, A] probability of each action, or [S] the action taken (integers).
        gamma: discount in [0, 1]; with 1, every episode of the policy must end.
        terminal: [S] True where the episode ends.
        tolerance: stop when no value changes by more in a sweep.

    Raises:
        ValueError: if shapes disagree, rows of P or policy do not sum to 1, a reward is not finite, gamma is
            outside [0, 1], or `tolerance` is not >= 0.
        RuntimeError: if the values have not settled after MAX_SWEEPS sweeps.
    """
    check_model(P, R, gamma, terminal)
    chances = policy_rows(policy, n_actions=R.shape[1])
    if chances.shape != R.shape:
        raise ValueError(f"policy has shape {np.shape(policy)}, expected {R.shape} or ({len(R)},)")
    return _sweep(
        lambda V: bellman_backup(P, R, V, gamma, policy=chances, terminal=terminal), len(R), tolerance
    )


def value_iteration(
    P: FloatArray, R: FloatArray, gamma: float, *, terminal: BoolArray | None = None, tolerance: float = 1e-10
) -> FloatArray:
    """Return V [S], what each state is worth under the best policy.

    Arguments and errors are those of `policy_evaluation`.
    """
    check_model(P, R, gamma, terminal)
    return _sweep(lambda V: bellman_backup(P, R, V, gamma, terminal=terminal), len(R), tolerance)


def greedy_policy(
    P: FloatArray, R: FloatArray, V: FloatArray, gamma: float, *, terminal: BoolArray | None = None
) -> IntArray:
    """Return [S] the action of largest value one step ahead of V [S]; of equal ones the first."""
    return action_values(P, R, V, gamma, terminal=terminal).argmax(axis=1)


def expected_return(
    P: FloatArray,
    R: FloatArray,
    policy: FloatArray | IntArray,
    start: FloatArray,
    *,
    horizon: int,
    gamma: float = 1.0,
    terminal: BoolArray | None = None,
) -> float:
    """Return the expected return of episodes truncated after `horizon` steps, exactly and without sampling.

    The first state is drawn from `start` [S]. Other arguments and errors as in `policy_evaluation`.
    """
    check_model(P, R, gamma, terminal)
    check_integer("horizon", horizon, minimum=0)
    if np.shape(start) != (len(R),):
        raise ValueError(f"start has shape {np.shape(start)}, expected ({len(R)},)")
    check_rows("start", np.asarray(start)[None])
    chances, V = policy_rows(policy, n_actions=R.shape[1]), np.zeros(len(R))
    for _ in range(horizon):
        V = bellman_backup(P, R, V, gamma, policy=chances, terminal=terminal)
    return float(np.asarray(start) @ V)


def policy_rows(policy: FloatArray | IntArray, *, n_actions: int) -> FloatArray:
    """Return `policy` as probabilities [S, A]; integers [S] become rows with a single 1.

    Raises:
        ValueError: if an action does not exist or a row is not a distribution.
    """
    given = np.asarray(policy)
    if given.ndim == 1 and np.issubdtype(given.dtype, np.integer):
        actions = given.astype(np.int64)
        if actions.min() < 0 or actions.max() >= n_actions:
            raise ValueError(f"policy holds the actions {np.unique(actions)}, expected 0 to {n_actions - 1}")
        return np.eye(n_actions)[actions]
    rows = given.astype(np.float64)
    check_rows("policy", rows)
    return rows


def check_model(P: FloatArray, R: FloatArray, gamma: float, terminal: BoolArray | None) -> None:
    """Check the arrays of a model.

    Raises:
        ValueError: naming the first argument that is not what `policy_evaluation` expects.
    """
    if P.ndim != 3 or P.shape[0] != P.shape[2]:
        raise ValueError(f"P has shape {P.shape}, expected [S, A, S]")
    if R.shape != P.shape[:2]:
        raise ValueError(f"R has shape {R.shape}, expected {P.shape[:2]} to match P")
    if not np.isfinite(R).all():
        raise ValueError("R must be finite, got NaN or infinity")
    if terminal is not None and np.shape(terminal) != R.shape[:1]:
        raise ValueError(f"terminal has shape {np.shape(terminal)}, expected {R.shape[:1]} to match P")
    check_fraction("gamma", gamma)
    check_rows("P", P)


def _sweep(backup: Callable[[FloatArray], FloatArray], n_states: int, tolerance: float) -> FloatArray:
    """Apply `backup` to V = 0 until it changes no value by more than `tolerance`."""
    check_not_negative("tolerance", tolerance)
    V = np.zeros(n_states)
    for _ in range(MAX_SWEEPS):
        V, before = backup(V), V
        if np.abs(V - before).max() <= tolerance:
            return V
    raise RuntimeError(
        f"the values have not settled after {MAX_SWEEPS} sweeps; with gamma = 1 every episode must end"
    )
