"""Problems and known mistakes of lesson 01: what a wrong answer gives, and what to tell its author."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mlearn_utils.rl.dynamic_programming import greedy_policy, policy_evaluation, value_iteration
from mlearn_utils.tasks.gridworld import GridTask, grid_mdp
from mlearn_utils.tasks.tabular import FloatArray, IntArray, TabularMDP, absorb

Wrong = list[tuple[Any, str]]


class Step(NamedTuple):
    """One recorded step of an episode.

    Attributes:
        state: where it began.
        reward: what it paid.
        next_state: where it ended.
        terminated: the task itself ended the episode there.
        truncated: the episode was cut off there, by a time limit.
    """

    state: int
    reward: float
    next_state: int
    terminated: bool
    truncated: bool


REWARDS = np.array([1.0, -2.0, 4.0, 0.8])

STEPS = [
    Step(0, -0.5, 1, False, False),
    Step(1, 1.0, 2, False, True),
    Step(2, 2.0, 3, True, False),
    Step(1, -1.0, 4, True, True),
    Step(3, 0.25, 0, False, False),
]
VALUES = np.array([1.0, 2.0, 4.0, 8.0, 16.0])


def same(one: Any, other: Any) -> bool:
    """Return True if both are numbers, arrays or lists of the same shape with almost the same entries."""
    try:
        mine, right = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    except (TypeError, ValueError):
        return False
    return mine.shape == right.shape and bool(np.allclose(mine, right, atol=1e-9))


def wrong_returns(rewards: FloatArray, gamma: float) -> Wrong:
    """Return what each known mistake gives for the discounted return, with its message."""
    steps = np.arange(len(rewards))
    reverse = steps[::-1]
    return [
        (
            (gamma**reverse * rewards).sum(),
            "discounted from the wrong end: the first reward counts in full and the last one least",
        ),
        (
            (gamma ** (steps + 1) * rewards).sum(),
            "every reward is discounted once too often: the first counts in full, gamma ** 0 = 1",
        ),
        (
            (gamma ** (reverse + 1) * rewards).sum(),
            "discounted from the wrong end, and once too often: the first reward counts in full",
        ),
        (rewards.sum(), "this is the undiscounted sum: gamma is not used"),
        ((gamma**steps * rewards).mean(), "this is a mean: a return is a sum"),
        ((gamma * steps * rewards).sum(), "step t weighs gamma to the power of t, gamma ** t, not gamma * t"),
        (gamma * rewards.sum(), "every reward is multiplied by gamma once: step t needs gamma ** t"),
        (
            rewards[0] + gamma * rewards[1:].sum(),
            "all later rewards are multiplied by gamma once: step t needs gamma ** t",
        ),
    ]


def random_mdp(seed: int) -> TabularMDP:
    """Return 5 states and 3 actions; every move is possible, and the last state is terminal."""
    rng = np.random.default_rng(seed)
    terminal = np.arange(5) == 4
    P, rewards = absorb(rng.dirichlet(np.ones(5), size=(5, 3)), rng.normal(size=(5, 3, 5)), terminal)
    return TabularMDP(P, rewards, terminal, np.eye(5)[0])


def wrong_backups(mdp: TabularMDP, V: FloatArray, gamma: float, state: int) -> Wrong:
    """Return what each known mistake gives for one backup of `state`, with its message."""
    P, rewards = mdp.P[state], mdp.rewards[state]  # [A, S]
    after = np.where(mdp.terminal, 0.0, V)
    likely = P.argmax(axis=1)
    actions = np.arange(len(P))
    q = (P * (rewards + gamma * after)).sum(axis=1)
    return [
        (
            (P * (rewards + gamma * V)).sum(axis=1).max(),
            "bootstrapped past a terminal state: nothing follows it, so its V counts as 0 whatever the array "
            "says",
        ),
        (
            (rewards + gamma * after)[actions, likely].max(),
            "only the most likely next state is looked at: take the expectation over all of them, "
            "weighted by P",
        ),
        (
            (rewards + gamma * after).max(),
            "the best next state is picked, as if you could choose it: you choose the action, chance chooses "
            "the next state. Take the expectation over next states, weighted by P",
        ),
        (
            (P * (rewards + gamma * after)).max(),
            "the largest single term P * (reward + gamma * V) is taken: first sum over next states, then max",
        ),
        (
            (P * (rewards + gamma * after)).max(axis=1).sum(),
            "max and sum are swapped: sum over next states (chance), max over actions (your choice)",
        ),
        (
            (rewards + gamma * after).mean(axis=1).max(),
            "a plain mean over next states: weight them by their probabilities P",
        ),
        (
            (rewards + gamma * after).sum(axis=1).max(),
            "a plain sum over next states: weight them by their probabilities P",
        ),
        (q.mean(), "a mean over actions: that is the value of the random policy; the best one takes the max"),
        (q.min(), "this is the worst action: take the max"),
        (q.sum(), "the actions are summed: only one is taken, the best"),
        (q.argmax(), "this is the number of the best action: return its value"),
        ((P * (rewards + after)).sum(axis=1).max(), "gamma is missing: the next value comes a step later"),
        (
            (P * gamma * (rewards + after)).sum(axis=1).max(),
            "the reward is discounted as well: it is paid now, only the next value comes a step later",
        ),
        ((P * gamma * after).sum(axis=1).max(), "the reward is missing"),
        (
            (P * (rewards + gamma * after) * ~mdp.terminal).sum(axis=1).max(),
            "the reward of entering a terminal state is lost: the step that ends an episode is paid too",
        ),
    ]


def targets(gamma: float, goes_on: Callable[[bool, bool], bool]) -> list[float]:
    """Return the targets of STEPS, with a next value where `goes_on(terminated, truncated)` says so."""
    return [
        step.reward + (gamma * VALUES[step.next_state] if goes_on(step.terminated, step.truncated) else 0.0)
        for step in STEPS
    ]


def wrong_targets(gamma: float) -> Wrong:
    """Return what each known mistake gives for the targets of STEPS, with its message."""
    return [
        (
            targets(gamma, lambda terminated, truncated: not (terminated or truncated)),
            "truncation is still treated as termination: a step that the time limit cut off would have gone "
            "on, so the value of its next state counts",
        ),
        (
            targets(gamma, lambda terminated, truncated: True),
            "bootstrapped past a terminal state: after a step that terminated nothing follows",
        ),
        (
            targets(gamma, lambda terminated, truncated: truncated or not terminated),
            "one step was terminated and truncated at once: it is terminated all the same",
        ),
        (
            targets(gamma, lambda terminated, truncated: not (terminated and truncated)),
            "a step that terminated, but was not cut off, still gets a next value: one flag decides alone",
        ),
        (
            targets(gamma, lambda terminated, truncated: not truncated),
            "the two flags are mixed up: bootstrap unless the step *terminated*",
        ),
        (
            targets(gamma, lambda terminated, truncated: terminated),
            "the wrong way round: where the episode terminated there is no next value",
        ),
        (
            targets(gamma, lambda terminated, truncated: truncated),
            "only truncated steps get a next value: all that did not terminate need one",
        ),
        (targets(gamma, lambda *flags: False), "the next state's value is missing everywhere"),
        (targets(1.0, lambda terminated, truncated: not terminated), "gamma is missing"),
        (
            [step.reward + (0.0 if step.terminated else gamma * VALUES[step.state]) for step in STEPS],
            "the value of the state the step started in is used: take that of the next state",
        ),
    ]


def model(seed: int) -> tuple[FloatArray, FloatArray]:
    """Return P [S, A, S] and R [S, A] of 6 states and 3 actions, without a terminal state."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(6, 0.3), size=(6, 3)), rng.normal(size=(6, 3))


def corridor(length: int = 10) -> tuple[FloatArray, FloatArray]:
    """Return P [S, 2, S] and R [S, 2] of a corridor: left or right, and only its right end pays."""
    P, R = np.zeros((length, 2, length)), np.zeros((length, 2))
    for state in range(length):
        P[state, 0, max(state - 1, 0)] = P[state, 1, min(state + 1, length - 1)] = 1.0
    R[-1, 1] = 1.0
    return P, R


def lesson_grid() -> tuple[FloatArray, FloatArray]:
    """Return P [S, A, S] and R [S, A] of the grid of the lesson."""
    mdp = grid_mdp(GridTask(size=5, pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2))
    return mdp.P, mdp.R


def wrong_policies(P: FloatArray, R: FloatArray, gamma: float) -> Wrong:
    """Return what each known mistake gives for policy iteration, with its message."""
    best = value_iteration(P, R, gamma)
    myopic = R.argmax(axis=1)

    def improved(policy: IntArray, discount: float = gamma) -> IntArray:
        return greedy_policy(P, R, policy_evaluation(P, R, policy, discount), gamma)

    return [
        (myopic, "only the next reward counts here: be greedy with R + gamma * P @ V"),
        (
            improved(myopic),
            "stopped after one improvement: the new policy has another V; evaluate it and improve again",
        ),
        (
            improved(np.zeros_like(myopic)),
            "stopped after one improvement: the new policy has another V; evaluate it and improve again",
        ),
        ((R + gamma * P @ best).argmin(axis=1), "this is the worst policy: argmax"),
        ((P @ best).argmax(axis=1), "the reward R is missing where the best action is chosen"),
    ]
