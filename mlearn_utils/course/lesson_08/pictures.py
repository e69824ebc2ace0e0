"""Pictures of lesson 08: a tree of histories with its values, a belief that narrows, trials over time."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlearn_utils.course.figures.style import COLORS, GRAY, band, number
from mlearn_utils.course.lesson_08.results import METHODS, load_memory, returns
from mlearn_utils.course.widgets.controls import choice, int_slider, slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.rl.bayes_bandit import CountTree, posterior_mean
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks
from mlearn_utils.tasks.target_belief import TargetFilter

PULLS = 3
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


def history_tree() -> Explorer:
    """Return the tree of what three pulls of an unknown arm beside a safe one can lead to, with values."""
    return Explorer(
        _draw_tree,
        {"safe": slider("what the safe arm pays", 0.40, 0.70, 0.01, 0.55)},
        alt="A tree of wins and losses of the unknown arm. Every node has the value of the best play from "
        "there on and says whether that tries the unknown arm or takes the safe one.",
        name="history-tree",
    )


def _draw_tree(figure: Figure) -> Callable[[float], str]:
    figure.set_size_inches(7.4, 3.6)
    ax = figure.subplots()
    ax.set(xlim=(-0.3, 2.75), ylim=(-1.5, 1.5), xlabel="pulls of the unknown arm so far")
    ax.set_xticks([0, 1, 2])
    ax.set_yticks([])
    ax.grid(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    nodes = [(wins, losses) for n in range(PULLS) for wins in range(n, -1, -1) for losses in (n - wins,)]
    places = {node: (sum(node), 0.62 * (node[0] - node[1])) for node in nodes}
    for (wins, losses), (x, y) in places.items():
        for step, word in (((1, 0), "win"), ((0, 1), "loss")):
            target = places.get((wins + step[0], losses + step[1]))
            if target is None:
                continue
            ax.plot([x, target[0]], [y, target[1]], color=GRAY, linestyle="-", linewidth=1, zorder=1)
            mean = posterior_mean(np.array(wins), np.array(losses))
            chance = mean if word == "win" else 1 - mean
            middle = (x + target[0]) / 2, (y + target[1]) / 2 + (0.12 if word == "win" else -0.16)
            ax.text(*middle, f"{word} {chance:.2f}", ha="center", fontsize=8, color=GRAY)
    marks = {node: ax.plot(*place, "o", markersize=11, zorder=2)[0] for node, place in places.items()}
    texts = {
        node: ax.text(place[0] + 0.09, place[1], "", va="center", fontsize=9, bbox=WHITE, zorder=3)
        for node, place in places.items()
    }

    def update(safe: float) -> str:
        tree = CountTree(1, PULLS, safe=safe)
        values = tree.values()
        for (wins, losses), mark in marks.items():
            level = tree.levels[wins + losses]
            row = int(np.flatnonzero((level.wins[:, 0] == wins) & (level.losses[:, 0] == losses))[0])
            left = PULLS - wins - losses
            value = values[wins + losses][row]
            tries = value > left * safe + 1e-9
            mark.set(color=COLORS["adapted"] if tries else COLORS["muted"], marker="o" if tries else "s")
            word = "try" if tries else "safe"
            texts[wins, losses].set_text(f"{word}, {value:.3f}\n{wins} won, {losses} lost")
        best, always = values[0][0], PULLS * safe
        verdict = (
            f"Trying the unknown arm first is worth <b>{best:.4f}</b>, always safe {always:.2f}."
            if best > always + 1e-9
            else f"The safe arm alone is worth {always:.2f}; no play earns more."
        )
        return f"Safe arm: {safe:.2f}. {verdict} Circles try, squares take the safe arm to the end."

    return update


TARGETS = (-1.0, -0.8, -0.6, 0.6, 0.8, 1.0)
STEPS = 30


def belief_explorer() -> Explorer:
    """Return what an exact filter knows of the target while the stored memory agent drives."""
    return Explorer(
        _draw_belief(*_drives()),
        {
            "target": choice("hidden target (m/s)", [(number(t, "+.1f"), t) for t in TARGETS], -0.6),
            "step": int_slider("step of the episode", 0, STEPS, 1, 1),
        },
        alt="Left: the velocity of a cart over time and the hidden target. Right: the belief over all "
        "targets after the step chosen.",
        name="belief",
    )


def _drives() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return velocities and rewards [T, S] of one episode for each target, and the beliefs [T, S + 1, G]."""
    agent, tasks = load_memory("dirv"), CartPoleTask("dirv", target=np.array(TARGETS))
    env = CartPoleTasks("dirv").make_batch(tasks, 1)
    played = agent.play(env, episodes=1, seed=4)
    x_dot = played.inputs[1:, :, 1].T  # what is seen at the next step; the last one is not shown
    filter_ = TargetFilter("dirv")
    log_belief, beliefs = filter_.prior(len(TARGETS)), []
    obs = torch.zeros(len(TARGETS), x_dot.shape[1], 4)
    obs[..., 1] = x_dot
    beliefs.append(log_belief.exp())
    for step in range(x_dot.shape[1]):
        after = filter_.update(log_belief, obs[:, step], played.reward[step])
        log_belief = torch.where(played.mask[step][:, None] > 0, after, log_belief)  # not after a fall
        beliefs.append(log_belief.exp())
    return x_dot.numpy(), played.reward[:-1].T.numpy(), torch.stack(beliefs, dim=1).numpy()


def _draw_belief(
    x_dot: np.ndarray, reward: np.ndarray, beliefs: np.ndarray
) -> Callable[[Figure], Callable[..., str]]:
    grid = TargetFilter("dirv").targets.numpy()
    last = x_dot.shape[1]

    def make(figure: Figure) -> Callable[..., str]:
        figure.set_size_inches(8.2, 3.2)
        left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
        left.set(xlim=(0, STEPS), ylim=(-1.6, 1.6), xlabel="step of the episode", ylabel="velocity (m/s)")
        (line,) = left.plot([], [], color=COLORS["adapted"], linestyle="-", marker=".", label="cart")
        (goal,) = left.plot([], [], color=COLORS["truth"], linestyle="--", label="hidden target")
        left.legend(loc="lower right", fontsize=8)
        bars = right.bar(grid, np.zeros(len(grid)), 0.03, color=COLORS["support"])
        (true,) = right.plot([], [], "v", color=COLORS["truth"], linestyle="")
        right.set_title("▼ the hidden target")
        right.set(xlim=(-1.1, 1.1), ylim=(0, 1.12), xlabel="target (m/s)", ylabel="belief")

        def update(target: float, step: int) -> str:
            task, at = TARGETS.index(target), min(step, last)
            line.set_data(np.arange(1, at + 1), x_dot[task, :at])
            goal.set_data([0, STEPS], [target, target])
            true.set_data([target], [1.06])
            for bar, height in zip(bars, beliefs[task, at], strict=True):
                bar.set_height(height)
            sure = beliefs[task, at].max()
            seen = "nothing was paid yet" if at == 0 else f"the last step paid {reward[task, at - 1]:.2f}"
            right_way = float(beliefs[task, at][np.sign(grid) == np.sign(target)].sum())
            return (
                f"After {at} step{'s' * (at != 1)} ({seen}): the side of the target has the belief "
                f"{right_way:.2f}, the likeliest target {sure:.2f}."
            )

        return update

    return make


def draw_experience(ax: Axes, family: str) -> None:
    """Draw the mean return of each episode of experience in a new task, with intervals over the trainings."""
    lines = {
        "MAML": ("maml", "-", ([1, 10], [11, 20])),
        "feed-forward": ("multitask", "--", ([1, 1], [2, 2])),
        "belief": ("meta", "-.", ([1, 1], [2, 2])),
        "memory": ("adapted", "-", ([1, 1], [2, 2])),
    }
    for method, (color, dashes, spans) in lines.items():
        found = returns(family, method)
        x = np.ravel(spans) if method == "MAML" else np.array([1, 2])
        y = np.repeat(found, 2, axis=1) if method == "MAML" else found
        band(ax, x, y, label=METHODS[method], color=COLORS[color], linestyle=dashes)
        if method == "memory":
            ax.plot(x, y.mean(axis=0), "o", color=COLORS[color], markersize=4)
    told = returns(family, "told").mean()
    ax.axhline(told, color=COLORS["oracle"], linestyle=":", linewidth=1, label=METHODS["told"])
    ax.set(title=family, xlabel="episode of experience in the task", xlim=(0.5, 20), ylim=(0, 100))
    ax.set_xticks([2, 5, 10, 15, 20])


def draw_trial(ax: Axes) -> None:
    """Draw the time line of two trials of two episodes: what is kept, and what starts anew."""
    ax.set(xlim=(-0.1, 8.2), ylim=(-0.3, 2.3))
    ax.set_axis_off()
    for trial in range(2):
        for episode in range(2):
            left = 4.1 * trial + 2.0 * episode
            ax.add_patch(
                _box(left + 0.05, 1.1, 1.8, 0.7, COLORS["support"] if trial == 0 else COLORS["query"], 0.25)
            )
            ax.text(left + 0.95, 1.45, f"task {trial + 1}\nepisode {episode + 1}", ha="center", va="center")
        ax.add_patch(_box(4.1 * trial + 0.05, 0.2, 3.8, 0.45, COLORS["adapted"], 0.3))
        ax.text(4.1 * trial + 1.95, 0.42, "hidden state: kept", ha="center", va="center")
        ax.annotate(
            "set to zero", xy=(4.1 * trial + 0.05, 0.42), xytext=(4.1 * trial + 0.05, -0.2),
            arrowprops={"arrowstyle": "->"}, ha="left",
        )  # fmt: skip
    ax.annotate("", xy=(8.15, 0.9), xytext=(0.0, 0.9), arrowprops={"arrowstyle": "->", "color": GRAY})
    ax.text(8.15, 0.72, "time", ha="right", va="top", fontsize=8, color=GRAY)
    ax.text(4.1, 2.05, "a trial is several episodes in one task", ha="center")


def _box(x: float, y: float, width: float, height: float, color: str, alpha: float) -> Rectangle:
    return Rectangle((x, y), width, height, facecolor=color, alpha=alpha, edgecolor=GRAY)
