"""How a rule for the cart-pole is judged in lesson 01: its episodes, and the habit that drops the pole."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.course.grading.compare import NUMBERS

LEAN, TIP = 0.05, 0.4  # rad and rad/s of the states in which a rule is asked for its push


def episode_lengths(rule: Callable[[Any], Any], episodes: int, limit: int) -> list[int]:
    """Return for how many steps, at most `limit`, `rule` (observation [4] -> push) holds the pole."""
    env = gym.make("CartPole-v1")
    lengths = []
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        for step in range(1, limit + 1):
            observation, _, terminated, truncated, _ = env.step(int(rule(observation)))
            if terminated or truncated or step == limit:
                lengths.append(step)
                break
    return lengths


def push_fault(push: Any) -> str:
    """Say what is wrong with an action for the cart-pole, "" if nothing is."""
    if push is None:
        return "the push is None: is a `return` missing?"
    if isinstance(push, bool | np.bool_):
        return (
            "the push is True or False; Gymnasium expects the number 0 or 1: wrap the condition in int(...)"
        )
    if isinstance(push, float | np.floating) and push in (0, 1):
        return "the push is a float; Gymnasium expects an integer, 0 or 1"
    if not isinstance(push, NUMBERS) or push not in (0, 1):
        return "the push must be 0 (left) or 1 (right): there are two actions and nothing in between"
    return ""


def push_habit(rule: Callable[[Any], Any]) -> str:
    """Name the likely reason why a rule drops the pole, from what it does in a few states."""

    def push(**state: float) -> int:
        parts = {"x": 0.0, "x_dot": 0.0, "lean": 0.0, "tip": 0.0} | state
        return int(rule(np.array(list(parts.values()), dtype=np.float32)))

    leaning = [push(lean=lean) for lean in (-LEAN, LEAN)]
    tipping = [push(tip=tip) for tip in (-TIP, TIP)]
    elsewhere = {push(**{name: at}) for name in ("x", "x_dot") for at in (-1.0, 1.0)}
    if leaning == tipping and len({*leaning, *tipping, *elsewhere}) == 1:
        return "it always pushes to the same side"
    if leaning == [1, 0] or tipping == [1, 0]:
        return "it pushes away from where the pole leans: push the cart there, so that it gets under the pole"
    if leaning == [0, 1] and tipping != [0, 1]:
        return (
            "it ignores the angular velocity and acts too late: a pole can lean left while it already swings "
            "to the right. Add the angular velocity, observation[3]"
        )
    if tipping == [0, 1] and leaning != [0, 1]:
        return "it ignores the angle: a pole that leans without moving is let go. Add the angle"
    if leaning != [0, 1] and tipping != [0, 1]:
        return (
            "it follows the cart; it is the pole that must be held: look at observation[2] and observation[3]"
        )
    return "try another weight of the angular velocity against the angle"
