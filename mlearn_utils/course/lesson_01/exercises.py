"""Exercises of lesson 01, reinforcement-learning basics.

Every checker compares the answer with the right value and with the values that the known mistakes give, so
that its message can name the one that was made. The exercises themselves carry no annotations: their first
lines are what a student reads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_01.balance import episode_lengths, push_fault, push_habit
from mlearn_utils.course.lesson_01.mistakes import (
    REWARDS,
    STEPS,
    VALUES,
    corridor,
    lesson_grid,
    model,
    random_mdp,
    same,
    wrong_backups,
    wrong_policies,
    wrong_returns,
    wrong_targets,
)
from mlearn_utils.rl.dynamic_programming import policy_evaluation, value_iteration

TITLE = "Reinforcement-learning basics"
EPISODES, STEPS_TO_HOLD, TIME_LIMIT = 20, 200, 500

# --- the discounted return


def discounted_return(rewards, gamma):
    """Return the discounted return of an episode: rewards[t] is the reward of step t, from t = 0 on."""
    ### BEGIN SOLUTION
    total = 0.0
    for reward in reversed(rewards):
        total = reward + gamma * total
    return total
    ### END SOLUTION


def check_discounted_return(answer: Callable) -> str:
    """Compare on one episode with the right value and those of the known mistakes, then on the edge cases."""
    for gamma in (0.9, 0.5):
        given = REWARDS.tolist()
        result = answer(given, gamma)
        expect(given == REWARDS.tolist(), "the list itself was changed: reversed(rewards) leaves it alone")
        for wrong, message in wrong_returns(REWARDS, gamma):
            expect(not same(result, wrong), message)
        steps = np.arange(len(REWARDS))
        expect(
            not same(result, gamma**steps * REWARDS),
            "these are the discounted rewards, one a step: the return is their sum",
        )
        expect_close(
            result, discounted_return(REWARDS.tolist(), gamma), "not the sum of gamma ** t * rewards[t]"
        )
    expect_close(answer([2.0, 5.0], 0.0), 2.0, "with gamma = 0 only the first reward counts")
    expect_close(answer([2.0, 5.0], 1.0), 7.0, "with gamma = 1 all rewards count alike")
    expect_close(answer([3.0], 0.9), 3.0, "an episode of one step returns its only reward")
    return (
        "Right for two discounts, for the extremes gamma = 0 and gamma = 1, and for an episode of one step."
    )


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


def check_step_targets(answer: Callable) -> str:
    """Compare on five steps, of all four combinations of the flags."""
    gamma = 0.5
    result = answer(list(STEPS), VALUES.copy(), gamma)
    if isinstance(result, np.ndarray):
        result = result.tolist()
    if isinstance(result, list | tuple) and len(result) < len(STEPS):
        expect(
            False, f"{len(result)} targets for {len(STEPS)} steps: every step has a target, the last one too"
        )
    for wrong, message in wrong_targets(gamma):
        expect(not same(result, wrong), message)
    expect_close(result, step_targets(STEPS, VALUES, gamma), "not reward + gamma * V[next_state]")
    return "A step that the time limit cut off keeps its future; a step that terminated has none."


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


def check_bellman_backup(answer: Callable) -> str:
    """Compare on two random MDPs, whose V is not zero at the terminal state, with every known mistake."""
    for seed, gamma in ((0, 0.9), (1, 0.6)):
        mdp = random_mdp(seed)
        V = np.random.default_rng(seed + 10).normal(size=5) + np.array([0, 0, 0, 0, 7.0])
        before = V.copy()
        for state in (0, 2):
            result = answer(mdp.P, mdp.rewards, V, gamma, mdp.terminal, state)
            expect(np.array_equal(V, before), "V itself was changed: work on a copy, np.where or V.copy()")
            expect(np.shape(result) != (3,), "these are the values of all three actions: take the largest")
            for wrong, message in wrong_backups(mdp, V, gamma, state):
                expect(not same(result, wrong), message)
            right = bellman_backup(mdp.P, mdp.rewards, V, gamma, mdp.terminal, state)
            expect_close(result, right, "not max over actions of sum P * (reward + gamma * V)")
    return "Right in four states of two random MDPs, with a misleading V at the terminal state."


# --- hold the pole


def balance(observation):
    """Return a push, 0 (left) or 1 (right).

    observation: position (m), velocity (m/s), angle (rad), angular velocity (rad/s); right is positive.
    """
    ### BEGIN SOLUTION
    _, _, angle, angular_velocity = observation
    return int(angle + 0.5 * angular_velocity > 0)
    ### END SOLUTION


def check_balance(answer: Callable) -> str:
    """Play 20 episodes; if the pole falls, say which habit of the rule is likely to blame."""
    leaning = np.array([0.0, 0.0, 0.02, 0.0], dtype=np.float32)
    pushes = [answer(leaning.copy()) for _ in range(12)]
    faults = [fault for fault in map(push_fault, pushes) if fault]
    expect(not faults, faults[0] if faults else "")
    expect(len(set(pushes)) == 1, "the same observation gets different pushes: decide by the observation")
    lengths = episode_lengths(lambda observation: _push(answer(observation)), EPISODES, TIME_LIMIT)
    held = sum(length >= STEPS_TO_HOLD for length in lengths)
    if held < EPISODES:
        expect(
            False,
            f"{STEPS_TO_HOLD} steps were reached in {held} of {EPISODES} episodes, the shortest had "
            f"{min(lengths)}: {push_habit(answer)}",
        )
    full = sum(length == TIME_LIMIT for length in lengths)
    return (
        f"It held {STEPS_TO_HOLD} steps in all {EPISODES} episodes and in {full} of them {TIME_LIMIT}, "
        "which is where CartPole-v1 truncates."
    )


def _push(push: Any) -> int:
    fault = push_fault(push)
    expect(not fault, fault)
    return int(push)


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


def check_policy_iteration(answer: Callable) -> str:
    """Compare what the policy is worth on MDPs that need several rounds, many sweeps and the right discount.

    A mistake is named only if it explains every answer: two policies may agree by chance.
    """
    models = [(*model(seed), gamma) for seed, gamma in ((6, 0.95), (18, 0.97), (23, 0.9))]
    models += [(*corridor(), 0.8), (*lesson_grid(), 0.8)]
    results = [answer(P.copy(), R.copy(), gamma) for P, R, gamma in models]
    for result, (P, R, gamma) in zip(results, models, strict=True):
        _check_policy_shape(result, R, value_iteration(P, R, gamma))
    mistakes = zip(*(wrong_policies(*arguments) for arguments in models), strict=True)
    for mistake in mistakes:
        explains = all(same(result, wrong) for result, (wrong, _) in zip(results, mistake, strict=True))
        expect(not explains, mistake[0][1])
    names = ("a random MDP", "a random MDP", "a random MDP", "a corridor of ten states", "the lesson's grid")
    for name, result, (P, R, gamma) in zip(names, results, models, strict=True):
        worth = policy_evaluation(P, R, np.asarray(result), gamma)
        off = float(np.abs(worth - value_iteration(P, R, gamma)).max())
        expect(
            off < 1e-6,
            f"not the best action everywhere: on {name}, with gamma = {gamma}, it loses up to {off:.2g}. Is "
            "gamma used in both steps, and do the rounds go on until nothing changes?",
        )
    return "As good as what value iteration finds, on three random MDPs, a corridor and the grid."


def _check_policy_shape(result: Any, R: np.ndarray, V: np.ndarray) -> None:
    pair = isinstance(result, tuple) and len(result) == 2
    expect(not pair, "two things are returned: return the policy alone")
    table = np.shape(result) == R.shape
    expect(not table, "one action a state, [S], is expected, not [S, A]: argmax over axis 1")
    expect(not same(result, V), "these are the values of the best policy: return its actions")


EXERCISES = (
    Exercise(
        reference=discounted_return,
        check=check_discounted_return,
        title="The discounted return",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "Step t counts gamma ** t. Which t does the first reward have?",
            "Either enumerate(rewards) gives t and the reward, or walk backwards with G = r + gamma * G.",
            "total = 0; for reward in reversed(rewards): total = reward + gamma * total",
        ),
    ),
    Exercise(
        reference=step_targets,
        check=check_step_targets,
        title="Find the bug: where does the future end?",
        level="core",
        minutes=4,
        points=2,
        planted=True,
        hints=(
            "When is there no next value to add? Ask of both flags: would the task itself have gone on?",
            "A time limit is not part of the task: after a truncation the next state still has a future.",
        ),
    ),
    Exercise(
        reference=bellman_backup,
        check=check_bellman_backup,
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
        check=check_policy_iteration,
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
