"""Pictures of lesson 02: single updates, learners that retrain, paths along a cliff, maps of settings."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.figures.style import COLORS, PALETTE, SKY, number
from mlearn_utils.course.widgets.action_map import ActionMap
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.dynamic_programming import expected_return, greedy_policy, value_iteration
from mlearn_utils.rl.temporal_difference import epsilon_greedy, td_update
from mlearn_utils.tasks.gridworld import ACTIONS, HORIZON, GridTask, grid_mdp, make_env
from mlearn_utils.tasks.tabular import FloatArray, IntArray

STEPPED = GridTask(size=3, start=(0, 0), goal=(2, 2), pits=((1, 1),), slip=0.0, step_cost=0.0)
RETRAINED = GridTask(size=4, goal=(-1, -1), pits=((1, 2), (2, 0)), slip=0.1)
LEARNERS, STEPS, WINDOWS = 400, 500, 10


def record_updates(task: GridTask, count: int, *, rate: float, gamma: float, seed: int) -> list[tuple]:
    """Return `count` updates of a learner that starts from zeros.

    Returns:
        One (table before [S, A], state, action, reward, next_state, terminated, new value, error) each.
    """
    env, rng, q = make_env(task), np.random.default_rng(seed), np.zeros((task.size**2, 4))
    updates, state = [], int(env.reset(seed=seed)[0])
    while len(updates) < count:
        action = epsilon_greedy(q[state], 0.2, rng)
        after, reward, terminated, truncated, _ = env.step(action)
        step = (state, action, float(reward), int(after), terminated)
        value, error = td_update(q, *step, learning_rate=rate, gamma=gamma)
        updates.append((q.copy(), *step, float(value), float(error)))
        q[state, action] = value
        state = int(env.reset()[0]) if terminated or truncated else int(after)
    return updates


def interesting_updates(updates: Sequence[tuple], *, most: int) -> list[tuple]:
    """Return the first updates and then those that change the table: 0 + 0 - 0 need not be seen often."""
    return [u for k, u in enumerate(updates) if k < 3 or abs(u[-1]) > 1e-3][:most]


def update_steps(
    updates: Sequence[tuple], *, rate: float, gamma: float
) -> Callable[[Figure], Callable[[int], str]]:
    """Return the picture of these updates, two moments each, for a `Stepper`."""

    def make(figure: Figure) -> Callable[[int], str]:
        figure.set_size_inches(5.4, 4.2)
        table = ActionMap(figure.subplots(), STEPPED, title="q(s, a)", numbers=True)

        def update(step: int) -> str:
            before, state, action, *_, after, _, value, _ = updates[step // 2]
            now = before.copy()
            if step % 2:
                now[state, action] = value
            table.show(now)
            table.point(state, action, after)
            return _update_caption(updates[step // 2], step, rate, gamma)

        return update

    return make


def _update_caption(update: tuple, step: int, rate: float, gamma: float) -> str:
    before, state, action, reward, after, terminated, value, error = update
    row, column = divmod(state, STEPPED.size)
    now, best = before[state, action], before[after].max()
    sign = signed(error)
    seen = f"<b>Update {step // 2 + 1}.</b> From ({row}, {column}) {ACTIONS[action]}: reward {minus(reward)}"
    if not step % 2:
        end = (
            "the episode <b>terminates</b>"
            if terminated
            else f"the best move in ({after // 3}, {after % 3}) is worth max q = {minus(best)}"
        )
        return f"{seen}, {end}. The table still says {minus(now)}. What will the new number be?"
    bootstrap = "0, since nothing follows the end" if terminated else f"{gamma:g} · {signed(best)}"
    return (
        f"{seen}. Target = {minus(reward)} + {bootstrap}. TD error = target − {signed(now)} = "
        f"<b>{minus(error)}</b>. q ← {minus(now)} + {rate:g} · {sign} = <b>{minus(value)}</b>."
    )


def minus(value: float) -> str:
    """Return a number with three digits and a real minus sign."""
    return number(value, ".3g")


def signed(value: float) -> str:
    """Return a number, in parentheses if it is negative."""
    return f"({minus(value)})" if value < 0 else minus(value)


def best_return(task: GridTask = RETRAINED) -> float:
    """Return the undiscounted return of the best policy of a grid, which no learner can exceed."""
    mdp = grid_mdp(task)
    V = value_iteration(mdp.P, mdp.R, 0.999, terminal=mdp.terminal)
    policy = greedy_policy(mdp.P, mdp.R, V, 0.999, terminal=mdp.terminal)
    return expected_return(mdp.P, mdp.R, policy, mdp.start, horizon=HORIZON, terminal=mdp.terminal)


def retrain(figure: Figure) -> Callable[..., str]:
    """Draw what a batch of learners earns while it learns (left) and the table of one of them (right)."""
    figure.set_size_inches(8.9, 3.8)
    left, right = figure.subplots(1, 2)
    mdp, table = grid_mdp(RETRAINED), ActionMap(right, RETRAINED, title="q of the first learner")
    x = (np.arange(WINDOWS) + 0.5) * STEPS / WINDOWS
    left.set(xlim=(0, STEPS), ylim=(-2.1, 3.1), yticks=(-2, -1, 0, 1), xlabel="steps in the environment")
    left.set(ylabel="return, undiscounted", title=f"{LEARNERS} learners")
    (mean,) = left.plot([], [], color=PALETTE[0], linestyle="-", marker="o", label="mean while learning")
    edges = [left.plot([], [], color=SKY, linestyle="--", linewidth=1)[0] for _ in range(2)]
    edges[0].set_label("95 % interval over learners")
    ways = left.axhline(0.0, color=PALETTE[1], linestyle="-.", label="their greedy policies at the end")
    best = best_return()
    left.axhline(best, color=COLORS["oracle"], linestyle="-", linewidth=1, label="best policy")
    left.legend(loc="upper left")

    def update(rate: float, epsilon: float, gamma: float) -> str:
        learners = BatchedQLearner(
            mdp, task=np.zeros(LEARNERS, dtype=int), learning_rate=rate, gamma=gamma, epsilon=epsilon
        )
        history = learners.train_steps(STEPS, windows=WINDOWS, seed=0)
        center, low, high = _window_intervals([row["return"] for row in history])
        for line, values in zip((mean, *edges), (center, low, high), strict=True):
            line.set_data(x, values)
        table.show(learners.q_tables[0])
        worth = interval(learners.greedy_returns())
        ways.set_ydata([worth[0]] * 2)
        return (
            f"α = {rate:.2f}, ε = {epsilon:.2f}, γ = {gamma:.2f}. After {STEPS} steps the greedy policies "
            f"are worth {minus(worth[0])}, without discount (95 % interval over {LEARNERS} learners "
            f"{minus(worth[1])} to {minus(worth[2])}); the best policy is worth {minus(best)}. "
            "A dot points to a cell's best move."
        )

    return update


def retrain_explorer() -> Explorer:
    """Return the explorer that trains a batch of learners anew whenever a slider moves."""
    return Explorer(
        retrain,
        {
            "rate": slider("α, the learning rate", 0.02, 1.0, 0.02, 0.3),
            "epsilon": slider("ε, the share of random moves", 0.0, 1.0, 0.02, 0.1),
            "gamma": slider("γ, the discount", 0.0, 1.0, 0.02, 0.9),
        },
        alt="Left: return of 400 learners over 500 steps with an interval, what their greedy policies are "
        "worth, and what the best policy is. Right: a grid of four by four cells, each with the values of "
        "its four moves.",
        name="retrain",
    )


def _window_intervals(rows: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean and interval of each window [N] over the learners that ended an episode in it."""
    found = np.full((3, len(rows)), np.nan)
    for k, row in enumerate(rows):
        seen = row[~np.isnan(row)]
        if len(seen) >= 2:
            found[:, k] = interval(seen)
    return found[0], found[1], found[2]


def draw_paths(ax: Axes, paths: Mapping[str, Sequence[int]]) -> None:
    """Draw walks through CliffWalking's 4 x 12 cells, each a list of states row * 12 + column."""
    ax.set(xlim=(0, 12), ylim=(4, 0), aspect="equal", xlabel="column", ylabel="row")
    ax.add_patch(Rectangle((1, 3), 10, 1, facecolor="#DDDDDD", edgecolor=COLORS["muted"], hatch="//"))
    ax.text(6, 3.5, "the cliff", ha="center", va="center", backgroundcolor="white", fontsize=9)
    ax.text(0.5, 3.75, "start", ha="center", va="center", fontsize=8)
    ax.text(11.5, 3.75, "goal", ha="center", va="center", fontsize=8)
    for k, (label, path) in enumerate(paths.items()):
        rows, columns = np.divmod(np.array(path), 12)
        ax.plot(columns + 0.5, rows + 0.42 + 0.12 * k, marker="os^"[k], markersize=4, label=label)
    ax.set_xticks(np.arange(12) + 0.5, [str(k) for k in range(12)])
    ax.set_yticks(np.arange(4) + 0.5, [str(k) for k in range(4)])
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def draw_cart_table(ax: Axes, q: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Draw what pushing right is worth more than pushing left, over 6 angles and 12 angular velocities."""
    gain = (q[:, 1] - q[:, 0]).reshape(6, 12).T
    reach = float(np.abs(gain).max())
    extent = (low[2], high[2], low[3], high[3])
    image = ax.imshow(
        gain, extent=extent, origin="lower", aspect="auto", cmap="PuOr", vmin=-reach, vmax=reach
    )
    for i, angle in enumerate(low[2] + (np.arange(6) + 0.5) * (high[2] - low[2]) / 6):
        for j, speed in enumerate(low[3] + (np.arange(12) + 0.5) * (high[3] - low[3]) / 12):
            arrow = "→" if gain[j, i] > 0 else "←" if gain[j, i] < 0 else "·"
            ax.text(angle, speed, arrow, ha="center", va="center", fontsize=9)
    ax.grid(False)
    ax.set(xlabel="angle of the pole (rad)", ylabel="angular velocity (rad/s)")
    ax.figure.colorbar(image, ax=ax, label="q(right) − q(left)")


def draw_maps(
    figure: Figure,
    maps: Mapping[str, FloatArray],
    rates: FloatArray,
    epsilons: FloatArray,
    gammas: FloatArray,
    best: Mapping[str, IntArray],
) -> None:
    """Draw mean returns [rate, epsilon, gamma] of each task at its best gamma, the best cell framed."""
    figure.set_size_inches(9.0, 3.2)
    axes = figure.subplots(1, len(maps))
    for ax, (name, mean) in zip(axes, maps.items(), strict=True):
        i, j, k = best[name]
        ax.imshow(mean[:, :, k], origin="lower", vmin=-1, vmax=1)
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=COLORS["bad"], linewidth=3))
        for (row, column), value in np.ndenumerate(mean[:, :, k]):
            ink = "black" if value > 0 else "white"
            label = number(value, ".1f")
            ax.text(column, row, label, ha="center", va="center", fontsize=8, color=ink)
        ax.set_xticks(range(len(epsilons)), [f"{e:g}" for e in epsilons])
        ax.set_yticks(range(len(rates)), [f"{a:g}" for a in rates])
        ax.set(xlabel="ε", ylabel="α", title=f"{name}, γ = {gammas[k]:g}")
        ax.grid(False)
    figure.colorbar(axes[-1].images[0], ax=axes, label="greedy return, undiscounted")
