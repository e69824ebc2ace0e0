"""The widgets of lesson 00 beside the game: a prediction, and an explorer of the hidden reward."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import BLACK, BLUE, ORANGE
from mlearn_utils.course.lesson_00.cart_rounds import paid, signed
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.course.widgets.predict import Predict

VELOCITIES = np.linspace(-2, 2, 201)


def predict_experienced(newcomer: np.ndarray, experienced: np.ndarray) -> Predict:
    """Ask for the experienced player's first round, before the picture shows it.

    Args:
        newcomer: rewards [task, round, push] of the player who knows nothing.
        experienced: those of the player who knows what kind of thing is hidden.
    """
    first, practiced = (player[:, k].sum(axis=-1).mean() for player, k in ((experienced, 0), (newcomer, 1)))
    return Predict(
        "The experienced player meets the same 60 tasks. What is its mean return in its first round?",
        slider("my guess (return, 0 to 16)", 0, 16, 0.1, 8.0),
        lambda guess: (
            f"It is <b>{first:.1f}</b>; you said {guess:.1f}. The newcomer reaches {practiced:.1f}, but in "
            "its second round. Here, knowing the rule behind all tasks is worth about a round of practice."
        ),
        name="experienced-first-round",
    )


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
    cart.set(clip_on=False, zorder=5)  # whole where the reward is 0
    ax.set(xlim=(-2, 2), ylim=(0, 1.05), xlabel="velocity v (m/s)", ylabel="reward")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)

    def update(target: float, velocity: float) -> str:
        reward = paid(np.array([velocity]), target)
        tent.set_data(VELOCITIES, paid(VELOCITIES, target))
        wanted.set_data([target, target], [0, 1])
        cart.set_data([velocity], reward)
        return (
            f"The cart is {abs(velocity - target):.2f} m/s off the target {signed(target)} m/s: "
            f"reward <strong>{reward[0]:.2f}</strong>."
        )

    return update
