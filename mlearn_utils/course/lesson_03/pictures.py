"""Pictures of lesson 03: advantages computed from the back, and cart-pole agents to look at."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS
from mlearn_utils.rl.policy_gradient import PolicyGradientAgent

REWARDS = np.ones(6)
VALUES = np.array([4.5, 4.0, 3.0, 3.2, 2.4, 1.4])
"""An episode of six steps that ends with a fall, and what a baseline expected at each of them."""


def backward_pass(gamma: float = 0.9, lam: float = 0.8) -> Callable[[Figure], Callable[..., str]]:
    """Return the picture of generalized advantages computed from the last step back, for a `Stepper`.

    Its update takes step = 0 (nothing computed) to 6 (all six steps done).
    """
    count = len(REWARDS)
    following = np.append(VALUES[1:], 0.0)
    delta = REWARDS + gamma * following - VALUES
    adv = np.zeros(count + 1)
    for t in reversed(range(count)):
        adv[t] = delta[t] + gamma * lam * adv[t + 1]

    def make(figure: Figure) -> Callable[[int], str]:
        figure.set_size_inches(6.4, 3.2)
        ax = figure.subplots()
        at = np.arange(count)
        ax.axhline(0, color=COLORS["muted"], linestyle="-", linewidth=0.8)
        ax.plot(at, VALUES, "D", color=COLORS["start"], label="V, the baseline")
        deltas = ax.bar(at - 0.2, np.zeros(count), 0.38, color=COLORS["first order"], label="δ", hatch="//")
        advs = ax.bar(at + 0.2, np.zeros(count), 0.38, color=COLORS["second order"], label="A = advantage")
        ax.set(xlabel="step t of the episode (it ends after step 5)", ylim=(-2.2, 5.2), title="From the back")
        ax.legend(fontsize=8, ncols=3, loc="upper right")

        def update(step: int) -> str:
            for t in range(count):
                done = t >= count - step
                deltas[t].set_height(delta[t] if done else 0.0)
                advs[t].set_height(adv[t] if done else 0.0)
            return _moment(step, gamma, lam, delta, adv)

        return update

    return make


def _moment(step: int, gamma: float, lam: float, delta: np.ndarray, adv: np.ndarray) -> str:
    if step == 0:
        return (
            f"<b>0 of 6.</b> Every step paid 1. γ = {gamma:g}, λ = {lam:g}. Nothing is computed yet: the "
            "advantages need what comes after, so begin with the last step."
        )
    t = len(REWARDS) - step
    following = f"{VALUES[t + 1]:.1f}" if step > 1 else "0 (the episode is over)"
    surprise = "better" if delta[t] > 0 else "worse"
    return (
        f"<b>{step} of 6.</b> t = {t}: δ = 1 + {gamma:g} · {following} − {VALUES[t]:.1f} = {delta[t]:.2f}, "
        f"this step went {surprise} than expected. "
        f"A = {delta[t]:.2f} + {gamma * lam:.2f} · {adv[t + 1]:.2f} = <b>{adv[t]:.2f}</b>."
    )


def film(agent: PolicyGradientAgent, env: gym.Env, *, seed: int = 0, steps: int = 200) -> np.ndarray:
    """Return pictures of one greedy episode, every second step, [steps / 2, 200, 300, 3] uint8.

    After the end of the episode the last picture stands still and is darker.

    Args:
        agent: plays it.
        env: with render_mode "rgb_array".
        seed: of the start state.
        steps: how many to show.
    """
    observation, _ = env.reset(seed=seed)
    frames: list[Any] = []
    is_over = False
    for step in range(steps):
        if step % 2 == 0:
            frames.append(_shrunk(env.render()) if not is_over else frames[-1])
        if not is_over:
            observation, _, terminated, truncated, _ = env.step(agent.act(observation, greedy=True))
            is_over = terminated or truncated
            if is_over:
                frames.append((_shrunk(env.render()) * 0.6).astype(np.uint8))
    return np.stack(frames)[: steps // 2]


def side_by_side(*films: np.ndarray) -> np.ndarray:
    """Return films of one length [N, H, W, 3] next to each other, with a dark line between them."""
    line = np.full((*films[0].shape[:2], 4, 3), 60, dtype=np.uint8)
    parts = [part for film in films for part in (film, line)]
    return np.concatenate(parts[:-1], axis=2)


def _shrunk(picture: Any) -> np.ndarray:
    """Return a picture at half its size: means of 2 x 2 pixels."""
    pixels = np.asarray(picture, dtype=np.float32)
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    return pixels.reshape(height, 2, width, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
