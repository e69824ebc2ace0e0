"""How a rule for the cart-pole is judged in lesson 01: its pushes, its episodes, and why the pole fell.

Apart from `mistakes`, since a rule is judged by what it does in many states and not by known wrong values.
What a student is told of a rule is read off a grid of states, so it holds in those states and claims no more.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from mlearn_utils.course.grading.compare import describe, expect
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.tasks.tabular import IntArray

Observation = NDArray[np.float32]

EPISODES, STEPS_TO_HOLD, TIME_LIMIT = 20, 200, 500
SIDES, ACTIONS = ("left", "right"), Discrete(2)
PLACES, SPEEDS = (-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0)  # of the cart: m, m/s
ANGLES, SPINS = (-0.2, -0.1, -0.02, 0.0, 0.02, 0.1, 0.2), (-2.0, -0.5, -0.1, 0.0, 0.1, 0.5, 2.0)  # rad, rad/s
STATES = np.stack(np.meshgrid(PLACES, SPEEDS, ANGLES, SPINS, indexing="ij"), axis=-1).astype(np.float32)
MIDDLE, UPRIGHT = 1, 3  # the index of 0: in PLACES and SPEEDS, in ANGLES and SPINS


def check_balance(answer: Callable[..., Any]) -> str:
    """Ask for a push in every state of the grid, then play; if the pole falls, say what the pushes show."""
    for observation in (
        (0.0, 0.0, 0.1, 0.5),
        (0.0, 0.0, 0.0, 0.0),
    ):  # plain ones first: a message may show them
        push(answer, np.array(observation, dtype=np.float32))
    pushes = np.array([push(answer, state) for state in STATES.reshape(-1, 4)]).reshape(STATES.shape[:-1])
    lengths = episode_lengths(lambda observation: push(answer, observation))
    held = sum(length >= STEPS_TO_HOLD for length in lengths)
    if held < EPISODES:
        raise NotYet(
            f"{STEPS_TO_HOLD} steps were reached in {held} of {EPISODES} episodes, the shortest had "
            f"{min(lengths)}: {habit(pushes) or of_the_cart(answer, pushes) or weighed(pushes)}"
        )
    first = f"{lengths[0]}, where CartPole-v1 truncates" if lengths[0] == TIME_LIMIT else lengths[0]
    return (
        f"It held {STEPS_TO_HOLD} steps in all {EPISODES} episodes. The first was played on, to step {first}."
    )


def push(rule: Callable[..., Any], observation: Observation) -> int:
    """Return the push that a rule chooses for an observation.

    Raises:
        NotYet: if Gymnasium would not accept it as an action.
    """
    chosen = rule(observation)
    if chosen is None:
        raise NotYet(
            f"for the observation {[round(float(value), 3) for value in observation]} nothing is returned, "
            "the push is None: is a `return` missing, or an `else` for the case that is left over?"
        )
    whole = chosen.item() if isinstance(chosen, np.ndarray | np.generic) and chosen.size == 1 else chosen
    is_another = isinstance(whole, int | float) and whole not in (0, 1)
    number = repr(whole) if is_another and abs(whole) < 1e9 else "a number far from both"
    expect(
        not is_another,
        f"the push is {number}; it must be 0 (left) or 1 (right): there are two actions and nothing in "
        "between",
    )
    expect(
        ACTIONS.contains(chosen),
        f"the push is {kind(chosen)}, which Gymnasium refuses as an action; it must be 0 (left) or 1 "
        "(right), an integer: wrap the condition in int(...)",
    )
    return int(chosen)


def kind(chosen: Any) -> str:
    """Say what was returned in the place of an integer."""
    if isinstance(chosen, np.bool_):
        return "a truth value of numpy (np.bool_)"
    return f"a float, {chosen}" if isinstance(chosen, float | np.floating) else describe(chosen)


def episode_lengths(rule: Callable[[Observation], int]) -> list[int]:
    """Return for how many steps `rule` (observation [4] -> push) holds the pole in each episode.

    The first episode ends at TIME_LIMIT, the others at STEPS_TO_HOLD.
    """
    env = gym.make("CartPole-v1")
    lengths = []
    for episode in range(EPISODES):
        limit = STEPS_TO_HOLD if episode else TIME_LIMIT
        observation, _ = env.reset(seed=episode)
        steps, fallen = 0, False
        while steps < limit and not fallen:
            observation, _, fallen, _, _ = env.step(rule(observation))
            steps += 1
        lengths.append(steps)
    return lengths


def habit(pushes: IntArray) -> str:
    """Say why a rule drops the pole, "" if what it does in single states looks right.

    Args:
        pushes: [position, velocity, angle, spin] what it does in each of STATES, 0 or 1.
    """
    if len(np.unique(pushes)) == 1:
        return f"it always pushes to the same side, {SIDES[pushes.flat[0]]} in all {pushes.size} states tried"
    sideways = (STATES != 0).any(axis=-1)
    if (pushes == np.flip(pushes))[sideways].all():
        return (
            "it makes no difference between left and right: with the sign of every number in an observation "
            "turned, the push stays the same. Is the sign lost, in abs, a square or a product?"
        )
    ignored = [(pushes == pushes.take([0], axis)).all() for axis in range(4)]
    if ignored[2] and ignored[3]:
        return (
            "in all states tried it follows the cart alone; it is the pole that must be held: look at "
            "observation[2] and observation[3]"
        )
    pole = pushes[MIDDLE, MIDDLE]
    return _turned(pole) or _ignorant(ignored) or _misplaced(pole) or _outweighed(pushes)


def _turned(pole: IntArray) -> str:
    """Name the number whose sign is turned.

    Args:
        pole: [angle, spin] the pushes with the cart at rest in the middle.
    """
    lean, swing = pole[[0, -1], UPRIGHT].tolist(), pole[UPRIGHT, [0, -1]].tolist()
    if lean == [1, 0] and swing == [0, 1]:
        return (
            "it pushes to where the pole swings, but away from where it leans: the sign of the angle is wrong"
        )
    if lean == [1, 0]:
        return "it pushes away from where the pole leans: push the cart there, so that it gets under the pole"
    if swing == [1, 0]:
        return (
            "it pushes away from where the pole swings: the sign of the angular velocity is turned. A pole "
            "that swings to the right needs a push to the right, as one that leans there does"
        )
    return ""


def _ignorant(ignored: list[np.bool_]) -> str:
    if ignored[3]:
        return (
            "in all states tried it ignores the angular velocity, and so it acts too late: a pole can lean "
            "left while it already swings to the right. Add the angular velocity, observation[3], with more "
            "weight"
        )
    if ignored[2]:
        return (
            "in all states tried it ignores the angle: a pole that leans without moving is let go. Add the "
            "angle, observation[2], with more weight"
        )
    return ""


def _misplaced(pole: IntArray) -> str:
    """Name a state in which the pole leans or swings to one side only, and the push is to the other."""
    for angle, spin in ((5, 5), (1, 1), (6, 3), (0, 3), (3, 6), (3, 0), (4, 3), (2, 3), (3, 4), (3, 2)):
        side = int(angle + spin > 2 * UPRIGHT)
        if pole[angle, spin] != side:
            does = " and ".join(["leans"] * (angle != UPRIGHT) + ["swings"] * (spin != UPRIGHT))
            return (
                f"with the angle {ANGLES[angle]:g} and the angular velocity {SPINS[spin]:g} the pole {does} "
                f"to the {SIDES[side]}, and it pushes to the {SIDES[1 - side]}: compare the sum with 0"
            )
    return ""


def _outweighed(pushes: IntArray) -> str:
    """Name a place and velocity of the cart that decide against a pole that leans and swings to one side."""
    for side, at in ((1, 5), (0, 1)):
        wrong = np.argwhere(pushes[:, :, at, at] != side).tolist()
        if wrong:
            x, x_dot = min(wrong, key=lambda cart: abs(cart[0] - MIDDLE) + abs(cart[1] - MIDDLE))
            return (
                f"with the cart at {PLACES[x]:g}, its velocity {SPEEDS[x_dot]:g}, and a pole that leans and "
                f"swings to the {SIDES[side]}, it pushes to the {SIDES[1 - side]}: the cart outweighs the "
                "pole. Leave the cart out, or give it less weight"
            )
    return ""


def of_the_cart(rule: Callable[..., Any], pushes: IntArray) -> str:
    """Say whether a rule holds the pole once it does not see the cart."""
    follows_the_cart = any((pushes != pushes.take([0], axis)).any() for axis in (0, 1))
    hidden = np.array([0, 0, 1, 1], dtype=np.float32)
    if follows_the_cart and min(episode_lengths(lambda seen: push(rule, seen * hidden))) >= STEPS_TO_HOLD:
        return (
            f"with 0 for the cart's position and velocity it holds all {EPISODES}. Leave the cart out, or "
            "give it less weight"
        )
    return ""


def weighed(pushes: IntArray) -> str:
    """Say which number wins where lean and swing oppose each other; `pushes` is as in `habit`."""
    pole = pushes[MIDDLE, MIDDLE]
    angles, spins = np.meshgrid(ANGLES, SPINS, indexing="ij")
    oppose = angles * spins < 0
    chosen, leans = pole[oppose], angles[oppose] > 0
    if len(np.unique(chosen)) == 1:
        return (
            f"it pushes to the {SIDES[chosen[0]]} wherever lean and swing oppose each other, whichever is "
            "stronger: add the two, one of them with a weight"
        )
    advice = "try another weight of the angular velocity against the angle"
    if (chosen == leans).all():
        return f"{advice}, a larger one: in all states tried the angle wins where the two oppose"
    if (chosen != leans).all():
        return f"{advice}, a smaller one: in all states tried the angular velocity wins where the two oppose"
    return advice
