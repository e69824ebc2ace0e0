"""Edit a policy by hand: click an arrow to turn it, and see at once what every cell is worth.

`Arrows` is the policy being edited, without any picture; `arrow_editor` shows it.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mlearn_utils.course.figures.style import GRAY, number
from mlearn_utils.course.widgets.canvas import Canvas, CanvasEvent
from mlearn_utils.course.widgets.value_map import ValueMap
from mlearn_utils.rl.dynamic_programming import greedy_policy, policy_evaluation, value_iteration
from mlearn_utils.tasks.gridworld import ACTIONS, MOVES, GridTask, grid_mdp
from mlearn_utils.tasks.tabular import FloatArray, IntArray

STEPS = dict(zip(("ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft"), MOVES, strict=True))
POINTS = {"w": 0, "d": 1, "s": 2, "a": 3}
TURN, IMPROVE, RESET = " ", "g", "r"
KEYS = (*STEPS, *POINTS, TURN, IMPROVE, RESET)
BUTTONS = {IMPROVE: ("Improve all (G)", 0.02, 0.55), RESET: ("Start over (R)", 0.59, 0.98)}
BUTTON_TOP, BUTTON_HEIGHT, ROOM = 0.85, 0.6, 1.6  # in cells, below the grid


class Arrows:
    """A deterministic policy for a grid, one arrow a cell, and what it is worth.

    Args:
        task: the grid.
        policy: [S] the actions to start with.
        gamma: discount.
    """

    def __init__(self, task: GridTask, policy: IntArray, gamma: float):
        self.task, self.gamma, self.mdp = task, gamma, grid_mdp(task)
        self.first, self.cell = np.array(policy), task.state(task.start)
        self.best = value_iteration(self.mdp.P, self.mdp.R, gamma, terminal=self.mdp.terminal)
        self.rounds = 0
        self.reset()

    def reset(self) -> None:
        """Take all changes back."""
        self.policy, self.rounds = self.first.copy(), 0
        self.V = self._evaluate()
        self.before = self.V

    def point(self, action: int) -> None:
        """Point the arrow of the chosen cell; at a terminal cell there is none."""
        if not self.mdp.terminal[self.cell]:
            self.policy[self.cell] = action
        self._update()

    def turn(self) -> None:
        """Turn the arrow of the chosen cell by a quarter, clockwise."""
        self.point(int(self.policy[self.cell] + 1) % len(ACTIONS))

    def improve(self) -> None:
        """Point every arrow to what is best one step ahead, judged by the present values."""
        mdp = self.mdp
        better = greedy_policy(mdp.P, mdp.R, self.V, self.gamma, terminal=mdp.terminal)
        self.rounds += bool((better != self.policy).any())
        self.policy = better
        self._update()

    def move(self, down: int, right: int) -> None:
        """Choose the cell next to the chosen one; at a wall nothing happens."""
        row, column = divmod(self.cell, self.task.size)
        self.choose(column + right + 0.5, row + down + 0.5)

    def choose(self, x: float, y: float) -> bool:
        """Choose the cell at column `x`, row `y`; return False outside the grid."""
        inside = 0 <= x < self.task.size and 0 <= y < self.task.size
        if inside:
            self.cell = int(y) * self.task.size + int(x)
        return inside

    @property
    def is_best(self) -> bool:
        """True if no policy is worth more, from any cell."""
        return bool(np.allclose(self.V, self.best, atol=1e-6))

    def _update(self) -> None:
        self.before, self.V = self.V, self._evaluate()

    def _evaluate(self) -> FloatArray:
        mdp = self.mdp
        return policy_evaluation(mdp.P, mdp.R, self.policy, self.gamma, terminal=mdp.terminal, tolerance=1e-7)


def arrow_editor(task: GridTask, policy: IntArray, gamma: float) -> Canvas:
    """Return the picture in which `policy` [S] can be edited, with the keyboard or the pointer."""
    arrows = Arrows(task, policy, gamma)

    def make(figure: Figure) -> Callable[[], str]:
        figure.set_size_inches(5.3, 5.3)
        ax = figure.subplots()
        board = ValueMap(ax, task, title=f"What your arrows are worth (γ = {gamma:g})", rows=task.size + ROOM)
        _draw_buttons(ax, task.size)

        def redraw() -> str:
            board.show(arrows.V, arrows.policy)
            board.frame(arrows.cell)
            return _caption(arrows)

        return redraw

    return Canvas(
        make,
        lambda event: handle(arrows, event),
        alt="A grid with an arrow and a value in every cell. Click a cell to turn its arrow. Keys: arrow "
        "keys choose a cell, space turns its arrow, W, A, S and D point it, G improves all, R starts over.",
        keys=KEYS,
        name="arrows",
    )


def handle(arrows: Arrows, event: CanvasEvent) -> None:
    """Do what a pointer or key event asks for."""
    if event.kind == "down":
        if arrows.choose(event.x, event.y):
            arrows.turn()
        else:
            _press(arrows, _button_at(event.x, event.y, arrows.task.size))
    elif event.key in STEPS:
        arrows.move(*STEPS[event.key])
    elif event.key in POINTS:
        arrows.point(POINTS[event.key])
    elif event.key == TURN:
        arrows.turn()
    elif event.kind == "key":
        _press(arrows, event.key)


def _press(arrows: Arrows, button: str) -> None:
    if button == IMPROVE:
        arrows.improve()
    elif button == RESET:
        arrows.reset()


def _button_at(x: float, y: float, size: int) -> str:
    """Return the key of the button at a point, "" if there is none."""
    if not size + BUTTON_TOP <= y <= size + BUTTON_TOP + BUTTON_HEIGHT:
        return ""
    return next((key for key, (_, left, right) in BUTTONS.items() if left <= x / size <= right), "")


def _draw_buttons(ax: Axes, size: int) -> None:
    shape = "round,pad=0,rounding_size=0.12"
    for label, left, right in BUTTONS.values():
        corner, width = (left * size, size + BUTTON_TOP), (right - left) * size
        box = FancyBboxPatch(
            corner, width, BUTTON_HEIGHT, boxstyle=shape, facecolor="#EEEEEE", edgecolor=GRAY
        )
        ax.add_patch(box)
        ax.text(corner[0] + width / 2, corner[1] + BUTTON_HEIGHT / 2, label, ha="center", va="center")


def _caption(arrows: Arrows) -> str:
    start, size = arrows.task.state(arrows.task.start), arrows.task.size
    row, column = divmod(arrows.cell, size)
    here = (
        "the episode ends here"
        if arrows.mdp.terminal[arrows.cell]
        else f"arrow {ACTIONS[arrows.policy[arrows.cell]]}, worth {number(arrows.V[arrows.cell], '.3f')}"
    )
    change = arrows.V[start] - arrows.before[start]
    best = "" if arrows.is_best else f"; the best possible is {number(arrows.best[start], '.3f')}."
    verdict = f" (changed by {number(change, '+.3f')})" if abs(change) > 5e-4 else ""
    if arrows.is_best:
        verdict += ". <b>No policy is worth more, from any cell.</b>"
    return (
        f"Row {row}, column {column}: {here}.<br>"
        f"From the start your arrows are worth <b>{number(arrows.V[start], '.3f')}</b>{verdict}{best}"
        f"{f' Rounds of improvement: {arrows.rounds}.' if arrows.rounds else ''}"
    )
