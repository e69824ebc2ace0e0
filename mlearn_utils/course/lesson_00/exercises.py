"""Start here.

The exercises of lesson 00: the hidden reward, the guess from a round, and a round that got lost; `mistakes`
says how they are judged.
"""

import numpy as np

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_00 import mistakes

# --- the hidden reward


def hidden_reward(velocity: np.ndarray, target: float) -> np.ndarray:
    """Return 1 - |velocity - target|, but never less than 0, for each entry of velocity."""
    ### BEGIN SOLUTION
    return np.clip(1 - np.abs(velocity - target), 0, 1)
    ### END SOLUTION


# --- what to try next


def best_guess(velocities: np.ndarray, rewards: np.ndarray) -> float:
    """Return the velocity of the push that paid best; both arrays hold one number a push."""
    ### BEGIN SOLUTION
    return velocities[np.argmax(rewards)]
    ### END SOLUTION


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


EXERCISES = (
    Exercise(
        reference=hidden_reward,
        check=mistakes.HIDDEN_REWARD,
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
        check=mistakes.BEST_GUESS,
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
        check=mistakes.MEAN_RETURN,
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
