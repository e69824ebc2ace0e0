"""The rules of lesson 00's game: steer a cart whose reward is hidden, two tasks of two rounds each.

Physics and reward are those of the family `dirv`: what pays is a velocity that the player is not told. The
pole is so long and gravity so weak that it stays up by itself for a round, and the cart stays on the track
unless nearly all pushes go one way. What is left to do is to find out what is rewarded. No widgets here.
"""

from collections.abc import Sequence

import numpy as np

from mlearn_utils.course.figures.style import number
from mlearn_utils.tasks.cartpole import (
    FAMILIES,
    X_LIMIT,
    CartPolePhysics,
    CartPoleTasks,
    cartpole_step,
    fallen,
)

FAMILY = "dirv"
PHYSICS = CartPolePhysics(gravity=1.0, length=10.0, force_mag=2.4)
"""A push changes the velocity by about 0.27 m/s; the cart is off the track before this pole of 20 m falls."""
PUSHES = 16
"""Pushes in a round."""
STEPS_PER_PUSH = 6
"""Physics steps of 0.02 s that one push lasts."""
LEFT, RIGHT = 0, 1
TASKS = ("A", "B")
ROUNDS_PER_TASK = 2
ROUNDS = len(TASKS) * ROUNDS_PER_TASK
ABOUT_EQUAL = 1.0
"""Returns closer than this are called equal."""


class Round:
    """One round: up to `PUSHES` pushes from rest in the middle of the track.

    Args:
        target: the hidden velocity (m/s).

    Attributes:
        state: [4] position (m), velocity (m/s), angle (rad), angular velocity (rad/s).
        velocities: the velocity that each push reached (m/s).
        rewards: what each push paid: the family's reward of the state that it reached.
        actions: the pushes, `LEFT` or `RIGHT`.
    """

    def __init__(self, target: float):
        self.target = float(target)
        self.state = np.zeros(4)
        self.actions: list[int] = []
        self.velocities: list[float] = []
        self.rewards: list[float] = []

    @property
    def has_fallen(self) -> bool:
        """Whether the pole leans too far or the cart is off the track."""
        return bool(fallen(self.state))

    @property
    def is_over(self) -> bool:
        """Whether no push is left: all are used, or the cart-pole has fallen."""
        return len(self.rewards) == PUSHES or self.has_fallen

    @property
    def score(self) -> float:
        """The return: the sum of the rewards."""
        return float(sum(self.rewards))

    def push(self, action: int) -> float:
        """Push the cart and return the reward.

        Args:
            action: `LEFT` or `RIGHT`.

        Raises:
            ValueError: if it is neither, or the round is over.
        """
        if action not in (LEFT, RIGHT):
            raise ValueError(f"action must be {LEFT} (left) or {RIGHT} (right), got {action!r}")
        if self.is_over:
            raise ValueError("the round is over: no push is left")
        for _ in range(STEPS_PER_PUSH):
            self.state = cartpole_step(self.state, np.array(action), PHYSICS)
        reward = float(FAMILIES[FAMILY].reward(self.state, np.array(self.target)))
        self.actions.append(int(action))
        self.velocities.append(float(self.state[1]))
        self.rewards.append(reward)
        return reward


class Match:
    """Four rounds: two on task A, then two on task B.

    Both targets are drawn from the family; that of task B is turned to the other side if need be, so that
    remembering task A is of no use in task B.

    Args:
        seed: of the two tasks.

    Attributes:
        targets: [2] the hidden velocities (m/s).
        rounds: the rounds begun so far.
    """

    def __init__(self, seed: int):
        targets = CartPoleTasks(FAMILY).sample(len(TASKS), seed=seed).target
        self.targets = np.array([targets[0], -np.sign(targets[0]) * abs(targets[1])])
        self.rounds = [Round(self.targets[0])]

    @property
    def now(self) -> Round:
        """The round that is being played."""
        return self.rounds[-1]

    @property
    def task(self) -> int:
        """Index of the task of the present round."""
        return (len(self.rounds) - 1) // ROUNDS_PER_TASK

    @property
    def is_over(self) -> bool:
        """Whether all rounds are over."""
        return len(self.rounds) == ROUNDS and self.now.is_over

    @property
    def scores(self) -> list[float]:
        """The returns of the rounds that are over."""
        return [played.score for played in self.rounds if played.is_over]

    @property
    def is_task_over(self) -> bool:
        """Whether both rounds of the present task are over, so that it may be revealed."""
        return self.now.is_over and len(self.rounds) % ROUNDS_PER_TASK == 0

    def next_round(self) -> None:
        """Begin the next round.

        Raises:
            ValueError: if the present round is not over, or it was the last.
        """
        if not self.now.is_over or self.is_over:
            raise ValueError("the next round begins when one is over and another is left")
        self.rounds.append(Round(self.targets[len(self.rounds) // ROUNDS_PER_TASK]))


def ending(played: Round) -> str:
    """Say how a round ended early; "" if all its pushes were used."""
    if not played.has_fallen:
        return ""
    off = abs(played.state[0]) > X_LIMIT
    return "The cart left the track" if off else "The pole fell"


def verdict(scores: Sequence[float]) -> str:
    """Say what a player's four returns show of learning, and of learning to learn, and what they do not.

    Raises:
        ValueError: if there are not four.
    """
    if len(scores) != ROUNDS:
        raise ValueError(f"scores must hold {ROUNDS} returns, got {len(scores)}")
    first, second, third, _ = scores
    return f"{_within(second - first)} {_across(third - first)} One game is one sample: luck is in it too."


def signed(value: float) -> str:
    """Return a number with its sign and two decimals: "+0.52"."""
    return number(value, "+.2f")


def _within(gain: float) -> str:
    if gain > ABOUT_EQUAL:
        return f"Within task A you gained {gain:.1f} from round 1 to round 2: you learned the task."
    if gain < -ABOUT_EQUAL:
        return (
            f"Within task A you lost {-gain:.1f} from round 1 to round 2: trying things out can cost more "
            "than it finds."
        )
    return "Within task A both rounds brought about the same."


def _across(gain: float) -> str:
    if gain > ABOUT_EQUAL:
        return (
            f"Across tasks, your first round on B brought {gain:.1f} more than your first on A, although its "
            "target was new: you knew what kind of thing to look for. You had learned to learn."
        )
    if gain < -ABOUT_EQUAL:
        return (
            f"Across tasks, your first round on B brought {-gain:.1f} less than your first on A: no sign of "
            "learning to learn this time."
        )
    return "Across tasks, your first rounds brought about the same: no sign of learning to learn this time."
