"""Drive on ice: steer a vehicle whose grip you do not know into another lane, and hold it there.

`Ride` is the ride without any picture; `drive_on_ice` shows it.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS, GRAY
from mlearn_utils.course.widgets.canvas import Canvas, CanvasEvent
from mlearn_utils.tasks.vehicles import DT, VehicleTasks, drive

KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "n")
STEERING = {"ArrowLeft": 0.08, "ArrowRight": -0.08, "ArrowUp": 0.0}
"""What a key does to the front wheels (rad) for `STEPS` steps; left is up in the picture."""
STEPS, TURNS = 4, 15
TOUR = tuple({"<": "ArrowLeft", ">": "ArrowRight", "^": "ArrowUp"}[turn] for turn in "<<<>^>>>><<<^>>")
"""Keys that bring the vehicle of seed 3 into the lane and hold it there; a search found them."""

LANE, WIDTH = 3.5, 1.0
"""Middle of the lane to reach (m), and how far from it still counts."""


class Ride:
    """One vehicle after the other.

    Args:
        seed: of the vehicles.
    """

    def __init__(self, seed: int = 0):
        self.seed = seed
        self.begin()

    def begin(self) -> None:
        """Take the next vehicle."""
        self.task = VehicleTasks().sample(1, seed=self.seed)
        self.states = np.array([[0.0, 0.0, 0.0, 12.0, 0.0, 0.0]])
        self.turns = 0
        self.seed += 1

    @property
    def left(self) -> int:
        """Turns that are left."""
        return TURNS - self.turns

    def steer(self, key: str) -> None:
        """Drive on for `STEPS` steps, if a turn is left."""
        if not self.left:
            return
        plan = np.full(STEPS, STEERING[key])
        after = drive(self.task, self.states[-1:], plan, np.zeros(STEPS))[0, 1:]
        self.states = np.concatenate((self.states, after))
        self.turns += 1

    def held(self) -> float:
        """Return the share of the second half of the ride that was spent in the lane."""
        late = self.states[1 + STEPS * TURNS // 2 :, 1]
        return float((abs(late - LANE) <= WIDTH).mean()) if len(late) else 0.0


def drive_on_ice(seed: int = 0) -> Canvas:
    """Return the ride, steered with the arrow keys (N for another vehicle)."""
    ride = Ride(seed)

    def make(figure: Figure) -> Callable[[], str]:
        figure.set_size_inches(8.2, 2.8)
        ax = figure.subplots()
        ax.set(xlim=(-2, 12 * DT * STEPS * TURNS + 4), ylim=(-5, 9), xlabel="m", ylabel="aside (m)")
        ax.axhspan(LANE - WIDTH, LANE + WIDTH, color=COLORS["truth"], alpha=0.08)
        ax.axhline(0, color=GRAY, linewidth=1, linestyle=":")
        (path,) = ax.plot([], [], color=COLORS["adapted"], linestyle="-")
        (car,) = ax.plot([], [], "o", color=COLORS["adapted"], linestyle="")

        def redraw() -> str:
            path.set_data(ride.states[:, 0], ride.states[:, 1])
            car.set_data(ride.states[-1:, 0], ride.states[-1:, 1])
            return caption(ride)

        return redraw

    return Canvas(
        make,
        lambda event: handle(ride, event),
        alt="The path of a vehicle from above and the lane that it is to reach and hold. The arrow keys "
        "left, right and up steer left, right and straight on for 0.4 s; N takes another vehicle.",
        keys=KEYS,
        tour=TOUR,
        name="drive-on-ice",
    )


def handle(ride: Ride, event: CanvasEvent) -> None:
    """Do what a key asks for."""
    if event.kind == "key" and event.key == "n":
        ride.begin()
    elif event.kind == "key" and event.key in STEERING:
        ride.steer(event.key)


def caption(ride: Ride) -> str:
    """Return what to say below the picture."""
    if ride.left:
        return (
            f"<b>{ride.left} turns left.</b> Arrow left, right, up (straight on): 0.4 s each, at 12 m/s. "
            "Come into the grey lane and stay there. N: another vehicle."
        )
    grip = float(ride.task.grip[0])
    return (
        f"<b>{ride.held():.0%}</b> of the second half in the lane. The grip of this one was {grip:.2f} of a "
        "dry road's. N: another vehicle, another grip."
    )
