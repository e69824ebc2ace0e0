"""Pictures of lesson 01: the five parts of two tasks, the discount's explorer, the sweeps of value iteration.

Every function here returns or is a `make(figure)` of the widgets in `mlearn_utils.course`.
"""

import dataclasses
from collections.abc import Callable

import gymnasium as gym
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import BLUE, COLORS, GRAY, GREEN, ORANGE
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.course.widgets.value_map import ValueMap
from mlearn_utils.rl.dynamic_programming import action_values, bellman_backup, greedy_policy, value_iteration
from mlearn_utils.tasks.grid_picture import draw_grid
from mlearn_utils.tasks.gridworld import ACTIONS, GridTask, grid_mdp
from mlearn_utils.tasks.tabular import FloatArray, IntArray, TabularMDP

LAST_STEP = 40  # of the discount's picture
AGENT = 18  # where the agent stands in the first figure: row 3, column 3 of a 5 x 5 grid


def five_parts(figure: Figure, task: GridTask) -> None:
    """Point at state, action, transition, reward and policy in a 5 x 5 grid and in the cart-pole."""
    figure.set_size_inches(9.6, 4.2)
    grid, cart = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _point_at_grid(grid, task)
    _point_at_cart(cart)


def _point_at_grid(ax: Axes, task: GridTask) -> None:
    ax.imshow(draw_grid(task, AGENT), extent=(0, task.size, task.size, 0))
    ax.set(xlim=(-0.3, task.size + 1.9), ylim=(task.size + 1.25, -1.4))
    ax.text(0, -1.2, "A slippery grid", va="center", fontweight="bold")
    ax.axis("off")
    x, y = AGENT % task.size + 0.5, AGENT // task.size + 0.5
    for (right, down), share, (label_x, label_y) in (
        ((1, 0), "80 %", (0.62, 0.22)),
        ((0, 1), "10 %", (-0.32, 0.66)),
        ((0, -1), "10 %", (-0.32, -0.62)),
    ):
        ends = [(x + reach * right, y + reach * down) for reach in (0.95, 0.3)]
        ax.annotate("", ends[0], ends[1], arrowprops={"arrowstyle": "-|>", "color": ORANGE, "linewidth": 2})
        ax.text(x + label_x, y + label_y, share, fontsize=8, ha="center", va="center")
    _call(ax, "① state:\nthe cell", (x + 0.2, y + 0.2), (6.05, 4.2))
    _call(ax, "② action:\n“right”", (x + 0.8, y), (6.05, 2.6))
    _call(ax, "③ transition:\nit may slip", (x, y + 0.9), (1.0, 5.75))
    _call(ax, "④ reward: goal +1, pit −1,\ntrap +0.2, each step −0.01", (4.5, 4.85), (4.4, 5.75))
    _call(ax, "⑤ policy: an action for every cell", (0.5, 0.5), (2.2, -0.5))


def _point_at_cart(ax: Axes) -> None:
    env = gym.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0)
    env.unwrapped.state = np.array([0.35, 0.4, 0.14, -0.3])  # pyright: ignore[reportAttributeAccessIssue]
    ax.imshow(np.asarray(env.render())[120:340, 60:], extent=(60, 600, 340, 120))
    env.close()
    ax.set(xlim=(60, 600), ylim=(420, -20))
    ax.text(70, -8, "CartPole", va="center", fontweight="bold")
    ax.axis("off")
    _call(ax, "① state: position, velocity,\nangle, angular velocity", (352, 250), (165, 55))
    _call(ax, "② action: push left or right", (310, 300), (165, 215))
    _call(ax, "③ transition: mechanics,\nno chance", (400, 302), (500, 220))
    _call(ax, "④ reward:\n+1 a step", (365, 190), (480, 55))
    _call(ax, "⑤ policy: a push for every state, such as “to where the pole leans”", (345, 310), (330, 395))


def _call(ax: Axes, text: str, target: tuple[float, float], place: tuple[float, float]) -> None:
    ax.annotate(
        text,
        target,
        place,
        ha="center",
        va="center",
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": GRAY, "linewidth": 1, "shrinkB": 2},
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": GRAY, "linewidth": 0.8},
    )


def gamma_explorer(task: GridTask) -> Explorer:
    """Return the explorer of the discount: the best policy's value map, and what rewards weigh."""
    return Explorer(
        discount(task),
        {
            "gamma": slider("γ, the discount", 0.5, 0.99, 0.01, 0.95),
            "slip": slider("probability of a slip", 0.0, 0.6, 0.05, task.slip),
        },
        alt="Left: the grid with each cell's best value and best move. Right: the weight of a reward by the "
        "step on which it comes, with the horizon, the trap's reward and the goal's.",
        name="discount",
    )


def discount(task: GridTask) -> Callable[[Figure], Callable[[float, float], str]]:
    """Return the picture of the best policy at a discount; its update takes (gamma, slip)."""
    steps = np.arange(LAST_STEP + 1)
    moves = {name: distance(task, cell) for name, cell in (("trap", task.trap), ("goal", task.goal)) if cell}
    gains = {"trap": task.trap_reward, "goal": task.goal_reward}

    def make(figure: Figure) -> Callable[[float, float], str]:
        figure.set_size_inches(9.0, 3.9)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        board = ValueMap(left, task, title="Best value and best move")
        right.set(xlim=(0, LAST_STEP), ylim=(0, 1.35), xlabel="step t", title="What counts, and when")
        right.set_ylabel("weight γᵗ, weighted reward")
        (weights,) = right.plot([], [], color=BLUE, linestyle="-", label="weight of step t")
        (end,) = right.plot([], [], color=GRAY, linestyle="--", label="horizon 1/(1 − γ)")
        stems = {}
        for name, color, marker in (("trap", ORANGE, "D"), ("goal", GREEN, "^")):
            label = f"{name} (no slip)"
            (stems[name],) = right.plot([], [], color=color, marker=marker, markevery=[1], label=label)
        right.legend(loc="upper right", ncols=2)
        beyond = right.text(LAST_STEP, 0.95, "", ha="right", va="center", color=GRAY)

        def update(gamma: float, slip: float) -> str:
            mdp = grid_mdp(dataclasses.replace(task, slip=slip))
            V = value_iteration(mdp.P, mdp.R, gamma, terminal=mdp.terminal, tolerance=1e-7)
            policy = greedy_policy(mdp.P, mdp.R, V, gamma, terminal=mdp.terminal)
            board.show(V, policy)
            weights.set_data(steps, gamma**steps)
            horizon = 1 / (1 - gamma)
            end.set_data([horizon] * 2, [0, 1.05])
            beyond.set_text(f"horizon: {horizon:.3g} steps →" if horizon > LAST_STEP + 1e-9 else "")
            worth = {name: gains[name] * gamma ** (n - 1) for name, n in moves.items()}
            for name, n in moves.items():
                stems[name].set_data([n - 1, n - 1], [0, worth[name]])
            counted = " and ".join(
                f"the {name}'s {gains[name]:g}, {n} moves away, counts {worth[name]:.2f}"
                for name, n in moves.items()
            )
            return (
                f"Horizon 1/(1 − γ) = {horizon:.3g} steps. Without slips, {counted}. "
                f"From the start the best policy is worth <b>{V @ mdp.start:.2f}</b>. "
                f"It ends {ending(task, mdp, policy)}."
            )

        return update

    return make


def distance(task: GridTask, cell: tuple[int, int]) -> int:
    """Return the number of moves from the start to `cell`, with nothing in the way."""
    return sum(abs(a % task.size - b % task.size) for a, b in zip(task.start, cell, strict=True))


def ending(task: GridTask, mdp: TabularMDP, policy: IntArray) -> str:
    """Say where episodes of `policy` end: "at the goal 74 %, in a pit 20 %"."""
    chances = mdp.start @ np.linalg.matrix_power(mdp.P[np.arange(len(policy)), policy], 4096)
    trap = [] if task.trap is None else [task.state(task.trap)]
    shares = {
        "at the goal": chances[task.state(task.goal)],
        "in the trap": chances[trap].sum(),
        "in a pit": chances[task.pit_states].sum(),
        "nowhere": chances[~mdp.terminal].sum(),
    }
    return ", ".join(
        f"{where} {share:.0%}".replace("%", " %") for where, share in shares.items() if share >= 0.005
    )


def sweeps(task: GridTask, gamma: float, count: int) -> Callable[[Figure], Callable[[int], str]]:
    """Return the picture of value iteration, sweep by sweep, for a `Stepper` of `count` steps."""
    mdp = grid_mdp(task)
    best = value_iteration(mdp.P, mdp.R, gamma, terminal=mdp.terminal)
    values = [np.zeros_like(best)]
    for _ in range(count - 1):
        values.append(bellman_backup(mdp.P, mdp.R, values[-1], gamma, terminal=mdp.terminal))
    errors = [float(np.abs(V - best).max()) for V in values]

    def make(figure: Figure) -> Callable[[int], str]:
        figure.set_size_inches(9.0, 3.9)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        board = ValueMap(left, task)
        right.semilogy(errors, color=BLUE, linestyle="-", label="largest error")
        right.semilogy(
            errors[0] * gamma ** np.arange(count), color=GRAY, linestyle=":", label="γᵏ × the first error"
        )
        (now,) = right.plot([], [], "o", color=COLORS["bad"], markersize=9, markeredgecolor="black", zorder=5)
        right.set(xlabel="sweeps k", title="Distance from the best values")
        right.set_ylabel("largest error of a cell")
        right.minorticks_off()  # they take a third of the drawing time
        right.legend(loc="lower left")

        def update(step: int) -> str:
            V = values[step]
            board.title.set_text(f"Values after k = {step} sweeps")
            board.show(V, greedy_policy(mdp.P, mdp.R, V, gamma, terminal=mdp.terminal) if step else None)
            now.set_data([step], [errors[step]])
            return _sweep_caption(step, V, values[max(step - 1, 0)], errors)

        return update

    return make


def _sweep_caption(step: int, V: FloatArray, before: FloatArray, errors: list[float]) -> str:
    if step == 0:
        return "<b>0 sweeps.</b> Nothing is known: every value is 0."
    changed = int((np.abs(V - before) > 0.005).sum())
    left = "one step is" if step == 1 else f"{step} steps are"
    return (
        f"<b>{step} sweep{'s' if step > 1 else ''}.</b> These are the best returns if only {left} left. "
        f"{changed} cells changed by more than 0.005; the largest error fell from {errors[step - 1]:.2g} to "
        f"{errors[step]:.2g}."
    )


def first_moves(task: GridTask, gammas: FloatArray) -> FloatArray:
    """Return [N, A] what each first move is worth at each discount, if the rest is the best policy."""
    mdp = grid_mdp(task)
    values = []
    for gamma in gammas:
        V = value_iteration(mdp.P, mdp.R, gamma, terminal=mdp.terminal)
        q = action_values(mdp.P, mdp.R, V, gamma, terminal=mdp.terminal)
        values.append(q[task.state(task.start)])
    return np.array(values)


def two_ways(
    figure: Figure, gammas: FloatArray, start_q: FloatArray, *, turns: float, guess: float | None
) -> None:
    """Draw what going right and going down from the start are worth (start_q [N, A]) over the discount.

    Marked are `turns`, the first discount at which right is worth more, and the reader's guess.
    """
    figure.set_size_inches(6.6, 3)
    ax = figure.subplots()
    for action, color, style, end in ((1, GREEN, "-", "goal"), (2, ORANGE, "--", "trap")):
        label = f"first {ACTIONS[action]}, towards the {end}"
        ax.plot(gammas, start_q[:, action], color=color, linestyle=style, label=label)
    crossing = float(start_q[np.isclose(gammas, turns), 1][0])
    ax.plot([turns], [crossing], "o", color="black", label=f"right wins from γ = {turns:.2f} on")
    if guess is not None:
        ax.axvline(guess, color=GRAY, linestyle=":", label=f"my guess, γ = {guess:.2f}")
    ax.set(xlabel="discount γ", ylabel="value from the start", title="What the first move is worth")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
