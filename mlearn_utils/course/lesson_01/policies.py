"""How an answer to `policy_iteration` of lesson 01 is judged: in each state, is its action among the best?

Apart from `mistakes`, since a policy is compared by what it is worth: where several actions are best, each is
right.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.course.grading.compare import expect, expect_close, expect_index, same
from mlearn_utils.course.grading.trial import Parts, Probe, Trial, Wrong
from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.tasks.gridworld import GridTask, grid_mdp
from mlearn_utils.tasks.tabular import FloatArray, IntArray

POLICY, ROUNDS = "The policy", 50  # rounds: more than any of the MDPs here needs


@functools.cache  # nobody writes to them: an answer gets copies
def policy_probes() -> list[Probe]:
    """Return P, R and gamma: MDPs that need many rounds or sweeps, or the right discount, or no future.

    Their seeds are such that the rounds settle with each known mistake, too.
    """
    cases = ((124, 7, 4, 0.93), (340, 7, 4, 0.9), (117, 5, 3, 0.97))
    models = [(*model(*case), gamma) for *case, gamma in cases]
    grid = grid_mdp(GridTask(size=5, pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2))
    return [
        *models,
        (*corridor(), 0.8),
        (grid.P, grid.R, 0.7),
        (*model(5, 1, 3), 0.6),
        (*model(9, 4, 2), 0.0),
    ]


def model(seed: int, n_states: int, n_actions: int) -> tuple[FloatArray, FloatArray]:
    """Return P [S, A, S] and R [S, A] of a random MDP without a terminal state."""
    rng, shape = np.random.default_rng(seed), (n_states, n_actions)
    return rng.dirichlet(np.full(n_states, 0.3), size=shape), rng.normal(size=shape)


def corridor(length: int = 45) -> tuple[FloatArray, FloatArray]:
    """Return P [S, 2, S] and R [S, 2] of a corridor: left or right, and only its right end pays."""
    P, R = np.zeros((length, 2, length)), np.zeros((length, 2))
    for state in range(length):
        P[state, 0, max(state - 1, 0)] = P[state, 1, min(state + 1, length - 1)] = 1.0
    R[-1, 1] = 1.0
    return P, R


def worth(P: FloatArray, R: FloatArray, policy: IntArray, gamma: float) -> NDArray[np.floating]:
    """Return V [S] of a policy [S]."""
    states = np.arange(len(R))
    return np.linalg.solve(np.eye(len(R)) - gamma * P[states, policy], R[states, policy])


def best_worth(P: FloatArray, R: FloatArray, gamma: float) -> FloatArray:
    """Return V [S] of the best policy."""
    return dp.value_iteration(P, R, gamma)


def settled(P: FloatArray, R: FloatArray, policy: IntArray, gamma: float) -> IntArray:
    """Return a policy with the first of the best actions wherever its own is as good as that."""
    q = dp.action_values(P, R, best_worth(P, R, gamma), gamma)
    is_best = q[np.arange(len(R)), policy] >= q.max(axis=1) - 1e-7
    return np.where(is_best, q.argmax(axis=1), policy)


def found_policy(function: Callable[..., Any], P: FloatArray, R: FloatArray, gamma: float) -> Parts:
    """Return the policy that a function finds, `settled`, if it is one."""
    policy = function(P, R, gamma)
    expect(
        not (isinstance(policy, tuple) and len(policy) == 2),
        "two things are returned: return the policy alone",
    )
    shape = policy.shape if isinstance(policy, np.ndarray) else ()
    expect(shape != R.shape, "one action a state, [S], is expected, not [S, A]: argmax over axis 1")
    expect(shape != R.shape[1:], "one action a state, [S], is expected, not [A]: argmax over axis 1")
    expect_close(policy, np.zeros(len(R), dtype=np.int64), "", tol=np.inf)  # its kind and its length
    expect(
        not same(policy, best_worth(P, R, gamma)),
        "these are the values of the best policy: return its actions",
    )
    expect(
        not (isinstance(policy, np.ndarray) and policy.dtype.kind == "f"),
        "the actions are floats, which number nothing: P[state, 2.0] fails. Make the array with dtype=int",
    )
    actions = [expect_index(a, R.shape[1], f"the action in state {s}") for s, a in enumerate(policy)]
    return Parts({POLICY: settled(P, R, np.array(actions), gamma)})


def wrong_policies(P: FloatArray, R: FloatArray, gamma: float) -> Wrong:
    """Return what each known mistake gives for policy iteration, with its message."""
    myopic, zeros = R.argmax(axis=1), np.zeros(len(R), dtype=np.int64)

    def rounds(count: int, first: IntArray, choose: Callable[[Any], IntArray] | None = None) -> IntArray:
        policy = first
        for _ in range(count):
            V = worth(P, R, policy, gamma)
            policy = (R + gamma * P @ V).argmax(axis=1) if choose is None else choose(V)
        return policy

    best = best_worth(P, R, gamma)
    random = np.linalg.solve(np.eye(len(R)) - gamma * P.mean(axis=1), R.mean(axis=1))
    once = "stopped after one improvement: the new policy has another V; evaluate it and improve again"
    early = "stopped after a few improvements: go on until nothing changes any more"
    worst = "this is the worst policy: argmax"
    no_reward = "the reward R is missing where the best action is chosen"
    wrong: Wrong = [
        (myopic, "only the next reward counts here: be greedy with R + gamma * P @ V"),
        (zeros, "every state gets action 0: was the first policy never improved?"),
        (rounds(1, myopic), once),
        (rounds(1, zeros), once),
        ((R + gamma * P @ random).argmax(axis=1), "this is greedy with the values of the random policy, and "
         "stops there: the new policy has another V; evaluate it and improve again"),
        (rounds(2, myopic), early),
        (rounds(2, zeros), early),
        (rounds(3, myopic), early),
        (rounds(3, zeros), early),
        ((R + gamma * P @ best).argmin(axis=1), worst),
        (rounds(ROUNDS, myopic, lambda V: (R + gamma * P @ V).argmin(axis=1)), worst),
        ((P @ best).argmax(axis=1), no_reward),
        (rounds(ROUNDS, myopic, lambda V: (P @ V).argmax(axis=1)), no_reward),
        (rounds(ROUNDS, myopic, lambda V: (R + P @ V).argmax(axis=1)), "where the best action is chosen, "
         "gamma must make the future count less than the next reward: be greedy with R + gamma * P @ V"),
        (rounds(ROUNDS, myopic, lambda V: (gamma * (R + P @ V)).argmax(axis=1)), "where the best action is "
         "chosen, gamma multiplies the reward, too: be greedy with R + gamma * P @ V"),
        ((R + 0.95 * P @ best_worth(P, R, 0.95)).argmax(axis=1), "this is the best policy for the gamma of "
         "the notebook, 0.95, and not for the one that is given"),
    ]  # fmt: skip
    return [(Parts({POLICY: settled(P, R, policy, gamma)}), message) for policy, message in wrong]


POLICY_ITERATION = Trial(
    probes=policy_probes,
    mistakes=wrong_policies,
    observe=found_policy,
    otherwise="not the best action everywhere. Is gamma used in both steps, and do the rounds go on until "
    "nothing changes?",
    praise="The best actions on random MDPs, a corridor of 45 states and the grid.",
)
