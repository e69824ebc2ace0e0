"""Pictures of lesson 09: walks on a lake, levels of patients, paths of vehicles, poles of robots."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mlearn_utils.course.figures.style import COLORS, GRAY
from mlearn_utils.course.lesson_09 import patients
from mlearn_utils.course.lesson_09.treasures import Walks
from mlearn_utils.tasks.patients import HOURS, SAMPLE_HOURS, WINDOW
from mlearn_utils.tasks.pendulums import PendulumTask, PendulumTasks
from mlearn_utils.tasks.treasures import TreasureTask
from mlearn_utils.tasks.vehicles import VehicleTask, drive, simulator_vehicle

GRIPS = (0.2, 0.5, 1.1)
LEANING = 4.0
"""How many times further than in truth a pole leans in the picture."""


def draw_walk(ax: Axes, tasks: TreasureTask, walks: Walks, which: int, *, episode: int) -> None:
    """Draw one episode of a trial on its lake: a line through the cells, the start S and the treasure.

    Args:
        ax: to draw on.
        tasks: T treasures.
        walks: what was walked there.
        which: the treasure, 0 to T - 1.
        episode: counted from 0.
    """
    rows, columns = len(tasks.lake), len(tasks.lake[0])
    goal = int(tasks.goal[which])
    for row, letters in enumerate(tasks.lake):
        for column, letter in enumerate(letters):
            color = "#DDDDDD" if letter == "H" else "#EAF3F9"
            ax.add_patch(Rectangle((column, row), 1, 1, facecolor=color, edgecolor="white", linewidth=2))
    begin = int(walks.steps[:episode, which].sum())
    cells = [int(cell) for cell in walks.cells[begin : begin + int(walks.steps[episode, which]), which]]
    if walks.found[episode, which]:
        cells.append(goal)
    shift = [0.12 * cells[:k].count(cell) for k, cell in enumerate(cells)]  # who comes back walks beside
    x = [cell % columns + 0.5 + s for cell, s in zip(cells, shift, strict=True)]
    y = [cell // columns + 0.5 + s for cell, s in zip(cells, shift, strict=True)]
    ax.plot(x, y, color=COLORS["adapted"], linestyle="-", linewidth=1.5)
    ax.plot(x[0], y[0], "o", color=COLORS["adapted"])
    ax.plot(goal % columns + 0.5, goal // columns + 0.5, "*", markersize=14, color=COLORS["query"])
    steps = int(walks.steps[episode, which])
    ax.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", title=f"walk {episode + 1}: {steps} steps")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_edgecolor(GRAY)


def far_apart(true: np.ndarray) -> tuple[int, int]:
    """Return two patients of [T, 192] levels: one of the lowest and one of the highest on the first day."""
    order = true[:, : len(HOURS)].mean(axis=1).argsort()
    return int(order[len(order) // 10]), int(order[-len(order) // 10])


def draw_patient(
    ax: Axes, predicted: Mapping[str, np.ndarray], samples: np.ndarray, true: np.ndarray, which: int
) -> None:
    """Draw the first day of one patient: the window, the samples, the true level and what methods predict.

    Args:
        ax: to draw on.
        predicted: method -> levels [T, 192] at `patients.CURVE_HOURS`.
        samples: [T, 3] measured.
        true: [T, 192].
        which: the patient, 0 to T - 1.
    """
    first = slice(0, len(HOURS))
    ax.axhspan(*WINDOW, color=COLORS["truth"], alpha=0.08)
    hours = patients.CURVE_HOURS[first]
    ax.plot(
        hours, true[which, first], color=COLORS["truth"], linestyle="-", linewidth=2.5, label="true level"
    )
    for name, curves in predicted.items():
        ax.plot(hours, curves[which, first], label=name, linewidth=1.2)
    ax.plot(SAMPLE_HOURS, samples[which], "o", color=COLORS["support"], label="samples")
    ax.set(xlabel="hours", ylabel="level (mg/L)")


def compare_with_simulator(ax: Axes) -> float:
    """Draw three vehicles from above, by the course's equations (lines) and by highway-env (dots).

    Returns:
        The largest difference of any number of their states, in m, rad and s.

    Raises:
        ImportError: if highway-env is missing.
    """
    tasks = VehicleTask(np.array(GRIPS), np.ones(3), np.full(3, 0.5))
    steering = 0.1 * np.sin(np.arange(40) / 6)
    start = np.tile([0.0, 0.0, 0.0, 12.0, 0.0, 0.0], (3, 1))
    ours, apart = drive(tasks, start, np.tile(steering, (3, 1)), np.zeros((3, 40))), 0.0
    for k, grip in enumerate(GRIPS):
        car, theirs = simulator_vehicle(tasks[k], start[k]), [start[k]]
        for angle in steering.tolist():
            car.act({"acceleration": 0.0, "steering": angle})
            car.step(0.1)
            place = [*car.position, car.heading, car.speed, car.lateral_speed, car.yaw_rate]
            theirs.append(np.array(place, dtype=float))
        seen = np.array(theirs)
        apart = max(apart, float(abs(ours[k] - seen).max()))
        (line,) = ax.plot(ours[k, :, 0], ours[k, :, 1], linestyle="-", label=f"grip {grip:g}")
        ax.plot(seen[::4, 0], seen[::4, 1], "o", color=line.get_color(), markersize=4, linestyle="")
    ax.set(xlabel="m", ylabel="aside (m)")
    ax.legend(fontsize=8)
    return apart


def draw_poles(ax: Axes, task: PendulumTask, gain: np.ndarray, *, seed: int = 0, steps: int = 25) -> int:
    """Let a robot balance by a gain and draw its pole every 0.04 s, leaning 4 times as far as in truth.

    Args:
        ax: to draw on.
        task: one robot.
        gain: [4] the action is -gain @ state.
        seed: of the reset.
        steps: of 0.04 s, at most.

    Returns:
        The steps until it fell, or `steps`.

    Raises:
        ImportError: if a simulator is missing.
    """
    env = PendulumTasks().make_env(task, horizon=steps)
    state, _ = env.reset(seed=seed)
    states, has_fallen = [state], False
    while len(states) <= steps and not has_fallen:
        state, _, has_fallen, _, _ = env.step(np.clip([-gain @ state], -3, 3).astype(np.float32))
        states.append(state)
    env.close()
    for k, (_, angle, *_) in enumerate(states):
        lean = np.clip(LEANING * angle, -1.5, 1.5)
        color = COLORS["query"] if has_fallen and k == len(states) - 1 else COLORS["adapted"]
        ax.plot([0.04 * k, 0.04 * (k + np.sin(lean))], [0, np.cos(lean)], color=color, linestyle="-")
        ax.plot(0.04 * k, 0, "s", color=GRAY, markersize=4)
    if has_fallen:
        ax.text(0.04 * len(states) + 0.02, 0.3, "fallen", color=COLORS["query"])
    ax.set(xlim=(-0.06, 0.04 * steps + 0.06), ylim=(-0.15, 1.2), yticks=[])
    ax.grid(False)
    return len(states) - 1
