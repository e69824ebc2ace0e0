"""The cart-pole's equations of motion, written once for numpy arrays and torch tensors.

A pole of mass m and half-length l stands on a cart of mass M that a force F pushes left or right. With
the total mass M + m and the angle theta measured from upright,

    a         = (F + m l theta_dot^2 sin theta) / (M + m)
    theta_acc = (g sin theta - a cos theta) / (l (4/3 - m cos^2 theta / (M + m)))
    x_acc     = a - m l theta_acc cos theta / (M + m)

and one explicit Euler step of `dt` seconds moves the state (x, x_dot, theta, theta_dot).

Reference: Barto, Sutton & Anderson (1983), "Neuronlike adaptive elements that can solve difficult learning
control problems"; Florian (2007), "Correct equations for the dynamics of the cart-pole system".
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from array_api_compat import array_namespace

Array = Any
"""A numpy array or a torch tensor."""

X_LIMIT = 2.4
"""An episode ends when the cart is farther than this from the center (m)."""
THETA_LIMIT = 12 * 2 * math.pi / 360
"""An episode ends when the pole leans more than this from upright (rad): 12 degrees."""
START_WIDTH = 0.05
"""Every component of the start state is uniform in [-START_WIDTH, START_WIDTH]."""


@dataclass(frozen=True, eq=False)
class CartPolePhysics:
    """The five constants of a cart-pole; the defaults are those of Gymnasium's CartPole-v1.

    Each is a number, or an array that broadcasts against the batch of states ([T, 1] for states
    [T, E, 4]). What follows from them is a property and never stored, so it cannot go stale when a constant
    changes: `dataclasses.replace(physics, length=1.0)` is a longer pole in every equation.

    Attributes:
        gravity: acceleration of gravity (m/s^2), finite.
        masscart: mass of the cart (kg), > 0.
        masspole: mass of the pole (kg), > 0.
        length: half the length of the pole (m), > 0.
        force_mag: size of the force of one push (N), finite; a negative one swaps left and right.

    Raises:
        ValueError: if a value is not finite, or a mass or the length is not positive.
    """

    gravity: Array = 9.8
    masscart: Array = 1.0
    masspole: Array = 0.1
    length: Array = 0.5
    force_mag: Array = 10.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check_constant(field.name, getattr(self, field.name))

    @property
    def total_mass(self) -> Array:
        """Mass of cart and pole together (kg)."""
        return self.masspole + self.masscart

    @property
    def polemass_length(self) -> Array:
        """Mass of the pole times half its length (kg m)."""
        return self.masspole * self.length


class Constants(NamedTuple):
    """What a step multiplies and divides by: those of a physics, and what follows from them."""

    gravity: Array
    masspole: Array
    length: Array
    force_mag: Array
    two_forces: Array
    total_mass: Array
    polemass_length: Array
    four_thirds: Array
    dt: Array


def constants_of(
    physics: CartPolePhysics, dt: float = 0.02, form: Callable[[Array], Array] = lambda value: value
) -> Constants:
    """Return the constants of steps of `dt` seconds; `form` makes of each what the state is computed with."""
    values = (
        physics.gravity,
        physics.masspole,
        physics.length,
        physics.force_mag,
        2 * physics.force_mag,
        physics.total_mass,
        physics.polemass_length,
        4.0 / 3.0,
        dt,
    )
    return Constants(*map(form, values))


def cartpole_step(state: Array, action: Array, physics: CartPolePhysics, dt: float = 0.02) -> Array:
    """Return the state `dt` seconds later.

    Leaves out what an environment adds: the end of an episode, rewards, and a check of the actions.

    Args:
        state: [..., 4] position (m), velocity (m/s), angle (rad), angular velocity (rad/s); a floating
            numpy array or torch tensor.
        action: [...] 1 pushes right, 0 pushes left.
        physics: constants that broadcast against [...].
        dt: length of the step (s).

    Returns:
        [..., 4] the new state.
    """
    xp = array_namespace(state)
    push = xp.asarray(action, dtype=state.dtype)
    return xp.moveaxis(advance(xp, xp.moveaxis(state, -1, 0), push, constants_of(physics, dt)), 0, -1)


def advance(xp: Any, parts: Array, push: Array, c: Constants) -> Array:
    """Return the next state; `cartpole_step` with the components first, which is what makes a batch fast.

    The operations and their order are the textbook's: in float64 the result equals Gymnasium's to the bit.

    Args:
        xp: the array namespace of `parts`.
        parts: [4, ...] the state, each component contiguous in memory.
        push: [...] ones and zeros, of the dtype of `parts`.
        c: constants that broadcast against [...]. With numpy, arrays are faster than numbers, which it would
            make arrays of at every operation.
    """
    x_dot, theta, theta_dot = parts[1:2], parts[2:3], parts[3:4]
    force = c.two_forces * push - c.force_mag
    sin, cos = xp.sin(theta), xp.cos(theta)

    a = (force + c.polemass_length * (theta_dot * theta_dot) * sin) / c.total_mass
    inertia = c.length * (c.four_thirds - c.masspole * (cos * cos) / c.total_mass)
    theta_acc = (c.gravity * sin - cos * a) / inertia
    x_acc = a - c.polemass_length * theta_acc * cos / c.total_mass
    return parts + c.dt * xp.concat((x_dot, x_acc, theta_dot, theta_acc))


def fallen(state: Array, x_limit: Array = X_LIMIT, theta_limit: Array = THETA_LIMIT) -> Array:
    """Return [...] whether each state [..., 4] is past the track's end or leans too far."""
    return (abs(state[..., 0]) > x_limit) | (abs(state[..., 2]) > theta_limit)


def _check_constant(name: str, value: Array) -> None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number or an array of numbers, got {value!r}") from None
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite, got {value!r}")
    if name in ("masscart", "masspole", "length") and not (numbers > 0).all():
        raise ValueError(f"{name} must be > 0, got {value!r}")
