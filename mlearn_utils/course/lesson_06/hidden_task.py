"""Widgets of lesson 06: choose a hidden target and watch the policy adapt; one meta-update by moments."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from mlearn_utils.course.figures.style import COLORS, number
from mlearn_utils.course.widgets.controls import int_slider, slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.rl.policies import Params
from mlearn_utils.rl.returns import advantages
from mlearn_utils.rl.rollout import Policy, Rollout, collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTask

STEPS, EPISODES = 3, 10
TARGETS = np.round(np.linspace(-1.2, 1.2, 25), 1)
TIME = np.arange(1, 101)


class Agent(Protocol):
    """What the widgets need of a meta-trained agent."""

    def adapt(self, tasks: CartPoleTask, *, steps: int = 1, inner_lr: list[float] | None = None) -> Params:
        """Return parameters [T, *] after `steps` inner steps on each task, of these sizes or its own."""
        ...

    def policy(self, params: Params) -> Policy:
        """Return the function observations [T, E, 4] -> logits [T, E, 1]."""
        ...


def play(
    agent: Agent, tasks: CartPoleTask, *, steps: int, seed: int = 0, sizes: list[float] | None = None
) -> Rollout:
    """Play ten episodes of each task after `steps` inner steps, of the agent's own sizes or of these."""
    carts = BatchedCartPole(tasks, num_envs=EPISODES)
    policy = agent.policy(agent.adapt(tasks, steps=steps, inner_lr=sizes or None))
    return collect(carts, policy, generator=make_generator(1000 + seed))


class Chase(NamedTuple):
    """What a policy does on a row of hidden targets, after 0 to 3 inner steps.

    Attributes:
        velocity: [K + 1, T, E, S] of the cart (m/s), NaN after the end of an episode.
        returns: [K + 1, T] mean return of the ten episodes.
    """

    velocity: np.ndarray
    returns: np.ndarray


def chase(agent: Agent) -> Chase:
    """Play every target of TARGETS after 0, 1, 2 and 3 steps, all tasks at once."""
    tasks = CartPoleTask("dirv", target=TARGETS)
    rollouts = [play(agent, tasks, steps=k, seed=k) for k in range(STEPS + 1)]
    velocity = np.stack([velocities(rollout) for rollout in rollouts])
    return Chase(velocity, np.stack([r.episode_returns().mean(dim=1).numpy() for r in rollouts]))


def velocities(rollout: Rollout) -> np.ndarray:
    """Return [T, E, 100] velocities after each step (m/s), NaN from the end of an episode on."""
    after = torch.cat((rollout.obs[:, 1:, :, 1], rollout.last_obs[:, None, :, 1]), dim=1)
    seen = torch.where(rollout.mask > 0, after, torch.nan).transpose(1, 2).numpy()
    whole = np.full((*seen.shape[:2], len(TIME)), np.nan, dtype=np.float32)
    whole[..., : seen.shape[-1]] = seen
    return whole


def hidden_task_explorer(agent: Agent) -> Explorer:
    """Return the explorer in which the reader sets the hidden target and the number of inner steps."""
    return Explorer(
        _draw_chase(chase(agent)),
        {
            "target": slider("hidden target velocity v* (m/s)", -1.2, 1.2, 0.1, 0.8),
            "steps": int_slider("inner steps taken", 0, STEPS, 1, 0),
        },
        alt="Left: velocities of ten episodes over time, their mean, and the hidden target. Right: the mean "
        "return after 0, 1, 2 and 3 inner steps.",
        name="hidden-task",
    )


def _draw_chase(seen: Chase) -> Callable[[Figure], Callable[..., str]]:
    def make(figure: Figure) -> Callable[..., str]:
        figure.set_size_inches(8.4, 3.2)
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        left.set(xlim=(0, 100), ylim=(-2.2, 2.2), xlabel="step of the episode", ylabel="velocity (m/s)")
        left.set_title("What the cart does")
        episodes = LineCollection([], colors=COLORS["adapted"], linewidths=0.7, alpha=0.5)
        left.add_collection(episodes, autolim=False)
        (mean,) = left.plot([], [], color=COLORS["adapted"], linestyle="-", linewidth=3, label="mean of ten")
        (wanted,) = left.plot([], [], color=COLORS["truth"], linestyle="--", label="hidden target v*")
        left.legend(loc="lower left", ncols=2, fontsize=8)
        right.set(xlim=(-0.6, 3.6), ylim=(0, 100), xlabel="inner steps", ylabel="mean return")
        right.set_xticks(range(STEPS + 1))
        right.set_title("What it is paid")
        bars = right.bar(range(STEPS + 1), np.zeros(STEPS + 1), 0.7, edgecolor="black")
        numbers = [right.text(k, 0, "", ha="center", va="bottom") for k in range(STEPS + 1)]

        def update(target: float, steps: int) -> str:
            at = int(np.abs(TARGETS - target).argmin())
            lines = seen.velocity[steps, at]
            episodes.set_segments([_path(line) for line in lines])
            mean.set_data(TIME, _mean(lines))
            wanted.set_data([0, 100], [target, target])
            for k, (bar, label) in enumerate(zip(bars, numbers, strict=True)):
                height = seen.returns[k, at]
                bar.set(height=height, color=COLORS["adapted" if k == steps else "start"])
                bar.set(
                    hatch="" if k == steps else "//", alpha=1.0 if k == steps else 0.4, visible=k <= steps
                )
                label.set(y=height + 1, text=f"{height:.0f}" if k <= steps else "")
            return _chase_caption(target, steps, _late(lines), seen.returns[:, at])

        return update

    return make


def _chase_caption(target: float, steps: int, late: float, returns: np.ndarray) -> str:
    taken = "before any step" if steps == 0 else f"after {steps} step" + ("s" if steps > 1 else "")
    outside = abs(target) > 1.0 or abs(target) < 0.5
    note = " No task of the family has this target: sizes there lie between 0.5 and 1." if outside else ""
    return (
        f"Target {_signed(target)} m/s, {taken}: over the second half of the episodes the cart drives at "
        f"<b>{_signed(late)} m/s</b> on average and earns <b>{returns[steps]:.0f}</b> of 100.{note}"
    )


def _late(lines: np.ndarray) -> float:
    """Return the mean velocity (m/s) over the second half of the episodes."""
    half = lines[:, 50:]
    return float(np.nanmean(half)) if np.isfinite(half).any() else float(np.nanmean(lines))


def _signed(value: float) -> str:
    return "0.00" if abs(value) < 0.005 else number(value, "+.2f")


def _path(line: np.ndarray) -> np.ndarray:
    alive = np.isfinite(line)
    return np.stack((TIME[alive], line[alive]), axis=1)


def _mean(lines: np.ndarray) -> np.ndarray:
    """Return the mean over the episodes still alive, NaN where none is."""
    count = np.isfinite(lines).sum(axis=0)
    return np.where(count > 0, np.nansum(lines, axis=0) / np.maximum(count, 1), np.nan)


# --- one meta-update, moment by moment

PAIR = np.array([-0.8, 0.8])


def one_update(agent: Agent) -> Callable[[Figure], Callable[..., str]]:
    """Return the picture of support, credit, inner step and query in two tasks, for a `Stepper` of 4."""
    tasks = CartPoleTask("dirv", target=PAIR)
    played = [play(agent, tasks, steps=k, seed=10 + k) for k in (0, 1)]
    speeds = [velocities(rollout) for rollout in played]
    adv = [advantages(rollout, gamma=0.99, lam=0.97) for rollout in played]
    credit = [(a.sum(dim=1) / r.mask.sum(dim=1)).numpy() for a, r in zip(adv, played, strict=True)]  # [T, E]
    texts = _moments([r.episode_returns().mean(dim=1).numpy() for r in played], _push(played[0], adv[0]))

    def make(figure: Figure) -> Callable[[int], str]:
        figure.set_size_inches(8.4, 3.4)
        axes = figure.subplots(1, 2, sharey=True)
        axes[0].set_ylabel("velocity (m/s)")
        panels = [_Panel(ax, target) for ax, target in zip(axes, PAIR, strict=True)]

        def update(step: int) -> str:
            at = step // 2
            for i, panel in enumerate(panels):
                panel.show(speeds[at][i], credit[at][i] if step % 2 else None, is_query=at == 1)
            return f"<b>{step + 1} of 4.</b> {texts[step]}"

        return update

    return make


class _Panel:
    """Ten episodes of one task: velocities over time, and which of them went better than the others."""

    def __init__(self, ax: Axes, target: float):
        ax.set(xlim=(0, 100), ylim=(-2.2, 2.2), xlabel="step of the episode")
        ax.set_title(f"the task with v* = {_signed(target)} m/s")
        self._lines = LineCollection([], linewidths=1.2, alpha=0.8)
        ax.add_collection(self._lines, autolim=False)
        ax.axhline(target, color=COLORS["truth"], linestyle=":", label="hidden target")
        self._first, self._second = (ax.plot([], [], linestyle=dashes)[0] for dashes in ("-", "--"))
        self._second.set_color(COLORS["bad"])
        self._ax = ax

    def show(self, velocity: np.ndarray, credit: np.ndarray | None, *, is_query: bool) -> None:
        """Draw velocities [E, 100], marked by the sign of the mean credit [E] of each episode if given."""
        self._lines.set_segments([_path(line) for line in velocity])
        is_good = [True] * len(velocity) if credit is None else list(credit > 0)
        plain = COLORS["meta" if is_query else "support"]
        colors = [plain if credit is None else COLORS["good" if good else "bad"] for good in is_good]
        self._lines.set(colors=colors, linestyles=["-" if good else "--" for good in is_good])
        self._first.set(
            color=plain if credit is None else COLORS["good"],
            label=("after" if is_query else "before") + " the step" if credit is None else "credit > 0",
        )
        self._second.set_label("_" if credit is None else "credit < 0")
        self._ax.legend(loc="lower center", ncols=3, fontsize=8)


def _push(rollout: Rollout, adv: Tensor) -> np.ndarray:
    """Return [T] the mean advantage of the steps that pushed right."""
    pushed = rollout.mask * rollout.act
    return ((adv * pushed).sum(dim=(1, 2)) / pushed.sum(dim=(1, 2))).numpy()


def _moments(paid: list[np.ndarray], push: np.ndarray) -> tuple[str, ...]:
    before, after = paid
    return (
        "<b>Support.</b> θ plays ten episodes in each task. It cannot know which task it is in and does the "
        f"same in both: nothing much, with some drift by chance. Mean returns {before[0]:.0f} and "
        f"{before[1]:.0f}.",
        "<b>Credit.</b> Episodes that drifted the paid way get good credit. The mean advantage of a push to "
        f"the right is {_signed(push[0])} in the left task and {_signed(push[1])} in the right one: to drive "
        "left, one pushes right first, and the pole leans left.",
        "<b>Inner step and query.</b> Each task takes its own step to θ′ and plays ten fresh episodes with "
        f"it: mean returns {after[0]:.0f} and {after[1]:.0f}.",
        "<b>Outer step.</b> The credits of the query episodes say how each θ′ should change. The chain rule "
        "carries that back through the inner step to θ, and the mean over tasks moves it.",
    )
