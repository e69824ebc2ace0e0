"""What is said of a rule for the cart-pole holds for that rule."""

import gymnasium as gym
import numpy as np
import pytest

from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.lesson_01 import balance


def pushes_of(rule):
    return np.apply_along_axis(lambda state: balance.push(rule, state), -1, balance.STATES)


def linear(*weights, threshold=0.0):
    return lambda state: int(np.dot(weights, state) > threshold)


def test_what_is_said_of_linear_rules_holds():
    """A rule is a sum of weighed numbers, and each sentence says something of the weights."""
    for x, x_dot, angle, spin in np.ndindex(3, 3, 5, 5):
        weights = np.array([x - 1, x_dot - 1, angle - 2, spin - 2]) * (0.6, 0.3, 0.5, 0.5)
        said = balance.habit(pushes_of(linear(*weights)))
        assert ("always pushes" in said) == (not weights.any())
        assert ("follows the cart" in said) == (weights[:2].any() and not weights[2:].any())
        if "ignores the angular velocity" in said:
            assert weights[3] == 0
        if "ignores the angle" in said:
            assert weights[2] == 0
        if "the sign of the angle is wrong" in said:
            assert weights[2] < 0 < weights[3]
        if "away from where the pole leans" in said:
            assert weights[2] < 0
        if "the sign of the angular velocity is turned" in said:
            assert weights[3] < 0
        if "outweighs the pole" in said:
            assert weights[:2].any()
        assert "no difference between left and right" not in said


@pytest.mark.parametrize(
    ("rule", "fragment"),
    [
        (lambda state: int(abs(state[2]) > 0.05), "no difference between left and right"),
        (lambda state: int(state[2] * state[3] > 0), "no difference between left and right"),
        (linear(0, 0, 1, 20), "a smaller one: in all states tried the angular velocity wins"),
        (linear(0, 0, 1, 0.005), "a larger one: in all states tried the angle wins"),
        (linear(0, 0, 1, 0.3), "try another weight"),
        (linear(0, 0, 1, 0.5, threshold=0.05), "with the angle 0.02 and the angular velocity 0"),
        (lambda state: int(max(state[2], state[3]) > 0), "to the right wherever lean and swing oppose"),
        (lambda state: int(min(state[2], 0) + min(state[3], 0) >= 0), "to the left wherever"),
    ],
)
def test_what_is_said_of_other_rules(rule, fragment):
    pushes = pushes_of(rule)
    assert fragment in (balance.habit(pushes) or balance.weighed(pushes))


def test_an_angular_velocity_that_is_weighed_too_much_is_not_quite_enough():
    """The message must not send a student who has both parts back to the angle."""
    said = balance.habit(pushes_of(linear(0, 0, 0.05, 1)))
    assert not said


@pytest.mark.parametrize(("cart", "is_told"), [((0, 0), False), ((0.05, 0.1), True), ((50, 50), True)])
def test_a_rule_that_the_cart_spoils_is_told_so(cart, is_told):
    rule = linear(*cart, 1, 0.5)
    assert bool(balance.of_the_cart(rule, pushes_of(rule))) == is_told


@pytest.mark.parametrize(
    "action",
    [0, 1, True, np.int64(1), np.int8(0), np.array(1), np.uint8(1), np.array(0, dtype=np.int16)],
    ids=repr,
)
def test_what_gymnasium_takes_is_a_push(action):
    assert gym.make("CartPole-v1").action_space.contains(action)
    assert balance.push(lambda state: action, balance.STATES[0, 0, 0, 0]) == int(action)


@pytest.mark.parametrize(
    "action", [2, -1, 1.0, np.bool_(True), np.array([1]), np.float32(0), "1", [1]], ids=repr
)
def test_what_gymnasium_refuses_is_none(action):
    assert not gym.make("CartPole-v1").action_space.contains(action)
    with pytest.raises(NotYet, match="must be 0"):
        balance.push(lambda state: action, balance.STATES[0, 0, 0, 0])
