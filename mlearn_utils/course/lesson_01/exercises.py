"""Reinforcement-learning basics.

The exercises of lesson 01; `mistakes`, `balance` and `policies` say how they are judged. They carry no
annotations: their first lines are what a student reads.
"""

import numpy as np

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_01 import mistakes
from mlearn_utils.course.lesson_01.balance import check_balance
from mlearn_utils.course.lesson_01.policies import POLICY_ITERATION

# --- the discounted return


def discounted_return(rewards, gamma):
    """Return the discounted return of an episode: rewards[t] is the reward of step t, from t = 0 on."""
    ### BEGIN SOLUTION
    total = 0.0
    for reward in reversed(rewards):
        total = reward + gamma * total
    return total
    ### END SOLUTION


# --- truncation is not termination


def step_targets(steps, V, gamma):
    """Return a list: for each step its reward, plus gamma times V of the next state if anything follows."""
    targets = []
    for step in steps:
        target = step.reward
        ### BEGIN SOLUTION
        if not step.terminated:
            ### END SOLUTION
            #| if not (step.terminated or step.truncated):
            target += gamma * V[step.next_state]
        targets.append(target)
    return targets


# --- one Bellman backup


def bellman_backup(P, rewards, V, gamma, terminal, state):
    """Return the value of the best action in `state`, looking one step ahead: a number.

    P and rewards are [S, A, S] (state, action, next state), V and terminal are [S].
    """
    ### BEGIN SOLUTION
    after = np.where(terminal, 0.0, V)
    action_values = (P[state] * (rewards[state] + gamma * after)).sum(axis=1)
    return action_values.max()
    ### END SOLUTION


# --- hold the pole


def balance(observation):
    """Return a push, 0 (left) or 1 (right).

    observation: position (m), velocity (m/s), angle (rad), angular velocity (rad/s); right is positive.
    """
    ### BEGIN SOLUTION
    _, _, angle, angular_velocity = observation
    return int(angle + 0.5 * angular_velocity > 0)
    ### END SOLUTION


# --- policy iteration


def policy_iteration(P, R, gamma):
    """Return the best policy: an array [S] with an action for every state. P is [S, A, S], R is [S, A]."""
    ### BEGIN SOLUTION
    states = np.arange(len(R))
    policy = R.argmax(axis=1)
    while True:
        V = np.linalg.solve(np.eye(len(R)) - gamma * P[states, policy], R[states, policy])
        action_values = R + gamma * P @ V
        if (action_values.max(axis=1) <= V + 1e-9).all():
            return policy
        policy = action_values.argmax(axis=1)
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=discounted_return,
        check=mistakes.check_discounted_return,
        title="The discounted return",
        level="core",
        minutes=3,
        points=2,
        hints=(
            "Step t counts gamma ** t. Which t does the first reward have?",
            "Either enumerate(rewards) gives t and the reward, or walk backwards with G = r + gamma * G.",
            "total = 0; for reward in reversed(rewards): total = reward + gamma * total",
        ),
    ),
    Exercise(
        reference=step_targets,
        check=mistakes.STEP_TARGETS,
        title="Find the bug: where does the future end?",
        level="core",
        minutes=3,
        points=2,
        planted=True,
        hints=(
            "When is there no next value to add? Ask of both flags: would the task itself have gone on?",
            "A time limit is not part of the task: after a truncation the next state still has a future.",
        ),
    ),
    Exercise(
        reference=bellman_backup,
        check=mistakes.BELLMAN_BACKUP,
        title="One Bellman backup",
        level="core",
        minutes=7,
        points=3,
        hints=(
            "P[state] is [A, S]: a row of probabilities for each action. rewards[state] has the same shape.",
            "First the value of each action: the sum over next states of P * (reward + gamma * V).",
            "Nothing follows a terminal state: np.where(terminal, 0.0, V). Then sum(axis=1), then max().",
        ),
    ),
    Exercise(
        reference=balance,
        check=check_balance,
        title="Hold the pole for 200 steps",
        level="core",
        minutes=6,
        points=2,
        hints=(
            "Push the cart to where the pole leans: then the cart gets under it. That holds about 40 steps.",
            "The angle alone acts too late. Where will the pole be in a moment? The angular velocity tells.",
            "Look at the sign of angle + c * angular_velocity, for some c between 0.2 and 1.",
        ),
    ),
    Exercise(
        reference=policy_iteration,
        check=POLICY_ITERATION,
        title="Policy iteration",
        level="research",
        minutes=10,
        points=3,
        hints=(
            "Start with any policy. In turn: solve for its V, then be greedy; until nothing gets better.",
            "P[np.arange(S), policy] is the policy's [S, S] matrix, R[np.arange(S), policy] its rewards.",
            "Stop when (R + gamma * P @ V).max(axis=1) is nowhere larger than V, with 1e-9 for rounding.",
        ),
    ),
)
