"""The explorer of lesson 00: the hidden reward over velocity, with sliders for the target and the cart."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from mlearn_utils.course.cart_rounds import signed
from mlearn_utils.course.controls import slider
from mlearn_utils.course.explorer import Explorer
from mlearn_utils.course.lesson_00 import hidden_reward
from mlearn_utils.course.style import BLACK, BLUE, ORANGE

VELOCITIES = np.linspace(-2, 2, 201)


def reward_explorer() -> Explorer:
    """Return an explorer of the reward of a velocity, for a target that the reader sets."""
    controls = {
        "target": slider("target velocity v* (m/s)", -1, 1, 0.05, 0.7),
        "velocity": slider("velocity of the cart v (m/s)", -2, 2, 0.05, 0.3),
    }
    alt = "The reward over the velocity: a tent of height 1 above the target, and the point of the cart."
    return Explorer(_draw_reward, controls, alt=alt, name="hidden-reward")


def _draw_reward(figure: Figure) -> Callable[..., str]:
    ax = figure.subplots()
    (tent,) = ax.plot([], [], color=BLUE, linestyle="-", label="reward of each velocity")
    (wanted,) = ax.plot([], [], color=BLACK, linestyle=":", label="target v*")
    (cart,) = ax.plot([], [], color=ORANGE, marker="o", markersize=9, linestyle="none", label="the cart")
    ax.set(xlim=(-2, 2), ylim=(0, 1.05), xlabel="velocity v (m/s)", ylabel="reward")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)

    def update(target: float, velocity: float) -> str:
        reward = hidden_reward(np.array([velocity]), target)
        tent.set_data(VELOCITIES, hidden_reward(VELOCITIES, target))
        wanted.set_data([target, target], [0, 1])
        cart.set_data([velocity], reward)
        return (
            f"The cart is {abs(velocity - target):.2f} m/s off the target {signed(target)} m/s: "
            f"reward <strong>{reward[0]:.2f}</strong>."
        )

    return update
