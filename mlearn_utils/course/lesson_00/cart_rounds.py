"""The rules of lesson 00's game: steer a cart whose reward is hidden, two tasks of two rounds each.

Physics and reward are those of the family `dirv`: what pays is a velocity that the player is not told. The
pole is so long and gravity so weak that it stays up by itself for a round, and the cart stays on the track
unless nearly all pushes go one way. What is left to do is to find out what is rewarded. No widgets here.
"""

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
"""A push changes the velocity by about 0.28 m/s; the cart is off the track before this pole of 20 m falls."""
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
FLIPPERS, LUCKY = 1000, 10
"""A round is beyond chance if at most `LUCKY` of `FLIPPERS` players who flip coins earn as much."""


def paid(velocity: np.ndarray, target: np.ndarray | float) -> np.ndarray:
    """Return the reward of each velocity (m/s) for a target; the two are broadcast."""
    state = np.zeros((*np.shape(velocity), 4))
    state[..., 1] = velocity
    return FAMILIES[FAMILY].reward(state, np.asarray(target))


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


def verdict(match: Match) -> str:
    """Say what the four returns of a finished game show of learning, and of learning to learn.

    A gain counts as a sign only if the later round was not within reach of chance: at most `LUCKY` of
    `FLIPPERS` players who flip a coin for each push earn as much on that target. Across tasks it must not
    come from the same keys either.

    Raises:
        ValueError: if the game is not over.
    """
    if not match.is_over:
        raise ValueError("the verdict is of four rounds that are over")
    end = "One game is one sample: its targets differ, and luck is in it too."
    return f"{_within(match)} {_across(match)} {end}"


def coin_flip_returns(target: float, n_players: int, *, seed: int = 0) -> np.ndarray:
    """Return the return [n_players] of players who flip a coin for each push of one round.

    Args:
        target: the hidden velocity (m/s).
        n_players: how many of them.
        seed: of their coins.
    """
    flips = np.random.default_rng(seed).integers(2, size=(PUSHES, n_players))
    state, returns = np.zeros((n_players, 4)), np.zeros(n_players)
    is_playing = np.ones(n_players, dtype=bool)
    for actions in flips:
        for _ in range(STEPS_PER_PUSH):
            state = cartpole_step(state, actions, PHYSICS)
        returns += is_playing * FAMILIES[FAMILY].reward(state, np.full(n_players, target))
        is_playing &= ~fallen(state)
    return returns


def signed(value: float) -> str:
    """Return a number with its sign and two decimals: "+0.52"."""
    return number(value, "+.2f")


def _within(match: Match) -> str:
    first, second = match.rounds[:2]
    gain = second.score - first.score
    if gain < -ABOUT_EQUAL:
        return (
            f"Within task A you lost {-gain:.1f} from round 1 to round 2: trying things out can cost more "
            "than it finds."
        )
    if gain <= ABOUT_EQUAL:
        return "Within task A both rounds brought about the same."
    gained = f"Within task A you gained {gain:.1f} from round 1 to round 2"
    as_good = _flippers_as_good(second)
    if as_good > LUCKY:
        return f"{gained}, but {_of_flippers(as_good)} earn as much as your round 2: no sign of learning yet."
    return f"{gained}, and {_few(as_good)} earn as much as your round 2: a sign that you learned the task."


def _across(match: Match) -> str:
    first, third = match.rounds[0], match.rounds[ROUNDS_PER_TASK]
    gain, no_sign = third.score - first.score, "no sign of learning to learn this time."
    if abs(gain) <= ABOUT_EQUAL:
        return f"Across tasks, your first rounds brought about the same: {no_sign}"
    if gain < 0:
        return f"Across tasks, your first round on B brought {-gain:.1f} less than your first on A: {no_sign}"
    gained = f"Across tasks, your first round on B brought {gain:.1f} more than your first on A"
    if third.actions == first.actions:
        return f"{gained}, by the same keys: the difference lies in the targets, {no_sign}"
    as_good = _flippers_as_good(third)
    if as_good > LUCKY:
        return f"{gained}, but {_of_flippers(as_good)} earn as much as your round 3: {no_sign}"
    return (
        f"{gained}, although its target was new, and {_few(as_good)} earn as much as your round 3. "
        "That is what learning to learn looks like. (Now and then a player who carried nothing over from A "
        "looks like that, too.)"
    )


def _flippers_as_good(played: Round) -> int:
    return int((coin_flip_returns(played.target, FLIPPERS) >= played.score).sum())


def _of_flippers(count: int) -> str:
    return f"{count} of {FLIPPERS} players who flip a coin for each push"


def _few(count: int) -> str:
    return f"only {_of_flippers(count)}" if count else _of_flippers(count).replace("0", "none", 1)
