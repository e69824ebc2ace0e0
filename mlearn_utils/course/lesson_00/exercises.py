"""Exercises of lesson 00: the hidden reward, the guess from a round, and a round that got lost."""

from collections.abc import Callable

import numpy as np

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.tasks.cartpole import FAMILIES

TITLE = "Start here"

# --- the hidden reward


def hidden_reward(velocity: np.ndarray, target: float) -> np.ndarray:
    """Return 1 - |velocity - target|, but never less than 0, for each entry of velocity."""
    ### BEGIN SOLUTION
    return np.clip(1 - np.abs(velocity - target), 0, 1)
    ### END SOLUTION


def check_hidden_reward(answer: Callable) -> str:
    """Compare with the game's own reward and with what each known mistake gives."""
    velocity = np.array([-2.0, -0.6, 0.0, 0.4, 0.7, 1.1, 3.0])
    for target in (0.7, -0.9):
        result = answer(velocity, target)
        gap = velocity - target
        for wrong, message in (
            (1 - np.abs(gap), "far from the target it is negative: it must never be less than 0"),
            (np.clip(np.abs(gap), 0, 1), "this is the distance itself, largest far away: it is 1 minus that"),
            (1 - gap, "too slow is paid more than right: the distance is the absolute value, np.abs"),
            (np.clip(1 - gap, 0, 1), "too slow is paid in full: the distance is the absolute value, np.abs"),
            (
                np.clip(1 - np.abs(np.abs(velocity) - np.abs(target)), 0, 1),
                "left and right are paid alike: compare the velocities with their signs",
            ),
            (np.clip(1 - gap**2, 0, 1), "the distance is squared: the reward falls evenly, 0.1 for 0.1 m/s"),
        ):
            expect(not _same(result, wrong), message)
        state = np.stack([np.zeros_like(velocity), velocity], axis=-1)  # [position, velocity]
        right = FAMILIES["dirv"].reward(state, np.array(target))
        expect_close(result, right, "not 1 - |velocity - target|, cut off at 0")
    return "Equal to the reward that the game paid you, for two targets and seven velocities."


# --- what to try next


def best_guess(velocities: np.ndarray, rewards: np.ndarray) -> float:
    """Return the velocity of the push that paid best; both arrays hold one number a push."""
    ### BEGIN SOLUTION
    return velocities[np.argmax(rewards)]
    ### END SOLUTION


def check_best_guess(answer: Callable) -> str:
    """Compare on two rounds with the best velocity and with what each known mistake gives."""
    velocities = np.array([0.25, 0.5, 0.8, 0.5, 0.25, 0.0, -0.25, -0.5, -0.75, -1.0])
    for target in (-0.7, 0.4):
        rewards = hidden_reward(velocities, target)
        best = int(rewards.argmax())
        result = answer(velocities, rewards)
        for wrong, message in (
            (best, "this is the number of the push: look up its velocity, velocities[...]"),
            (rewards[best], "this is the reward of the best push: return its velocity"),
            (velocities[rewards.argmin()], "this push paid least: argmin looks for the smallest"),
            (-velocities[best], "the sign is lost: to the left velocities are negative"),
            (velocities.max(), "this is the largest velocity: ask the rewards which push was best"),
            (velocities[-1], "this is the velocity of the last push, whatever it paid"),
        ):
            expect(not _same(result, np.asarray(wrong)), message)
        expect_close(result, velocities[best], "not the velocity of the push with the largest reward")
    return "Right for a target on either side: in round 2 this is the velocity to hold."


# --- the round that got lost


def mean_return(rounds: list[np.ndarray]) -> float:
    """Return the mean over rounds of the round's return, which is the sum of its rewards."""
    total = 0.0
    ### BEGIN SOLUTION
    for k in range(len(rounds)):
        total += rounds[k].sum()
    ### END SOLUTION
    #| for k in range(1, len(rounds)):
    #|     total += rounds[k].sum()
    return total / len(rounds)


def check_mean_return(answer: Callable) -> str:
    """Compare on rounds of different lengths with the mean return and with what each known mistake gives."""
    rounds = [np.array([0.5, 0.2, 0.9, 0.3]), np.array([0.1, 0.4]), np.array([1.0, 0.7, 0.6])]
    returns = np.array([rewards.sum() for rewards in rounds])
    result = answer(rounds)
    for wrong, message in (
        (
            returns[1:].sum() / 3,
            "one round is still missing from the total: which k does range(...) begin with?",
        ),
        (returns[1:].mean(), "the division hides it, but the first round is still lost: mend the loop"),
        (returns[:-1].sum() / 3, "now the last round is missing: range(n) already stops before n"),
        (returns.sum(), "this is the total: divide by the number of rounds"),
        (np.concatenate(rounds).mean(), "this is the mean reward of a push: a return is a sum"),
        (
            np.mean([rewards.mean() for rewards in rounds]),
            "a return is the sum of a round's rewards, not a mean",
        ),
    ):
        expect(not _same(result, np.asarray(wrong)), message)
    expect_close(result, returns.mean(), "not the mean of the three returns")
    expect_close(answer(rounds[:1]), returns[0], "with a single round the mean is its return")
    return "All three rounds count, also when one of them ends early."


def _same(result: object, wrong: np.ndarray) -> bool:
    """Return whether a student's result is the value that a mistake gives."""
    if not isinstance(result, int | float | np.number | np.ndarray) or np.shape(result) != wrong.shape:
        return False
    return np.allclose(np.asarray(result, dtype=float), wrong)


EXERCISES = (
    Exercise(
        reference=hidden_reward,
        check=check_hidden_reward,
        title="The hidden reward",
        level="core",
        minutes=2,
        points=2,
        hints=(
            "Begin with the distance between velocity and target: their difference without its sign.",
            "The reward is 1 - np.abs(velocity - target) wherever that is positive. And where it is not?",
            "np.maximum(0, values) replaces negative values by 0; so does np.clip(values, 0, 1).",
        ),
    ),
    Exercise(
        reference=best_guess,
        check=check_best_guess,
        title="The guess from a round",
        level="core",
        minutes=1,
        points=1,
        hints=(
            "np.argmax(rewards) is the position of the largest reward in the array, counted from 0.",
            "The same position in the other array is the answer: velocities[np.argmax(rewards)].",
        ),
    ),
    Exercise(
        reference=mean_return,
        check=check_mean_return,
        title="Find the round that got lost",
        level="core",
        minutes=2,
        points=2,
        planted=True,
        hints=(
            "Call it with a single round, mean_return([np.array([1.0, 1.0])]), and look at the answer.",
            "Python counts from 0: rounds[0] is the first round. Which k is the first in range(1, 3)?",
        ),
    ),
)
