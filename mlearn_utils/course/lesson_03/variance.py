"""Gradient estimates of lesson 03: a cart-pole policy of four numbers, one estimate for each episode."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mlearn_utils.course.figures.style import COLORS
from mlearn_utils.course.widgets.controls import choice, slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.rl import returns
from mlearn_utils.rl.rollout import Rollout, collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole

THETA = torch.tensor([0.0, 0.2, 0.6, 1.0])
"""A half-trained policy: it pushes to where the pole leans and turns, and keeps it up for a while."""
SCALE = torch.tensor([1.0, 1.0, 10.0, 1.0])
"""Features are the observation times this, so that a lean of 0.1 rad counts as 1."""
HORIZON, BATCH, BATCHES = 200, 16, 200
TOLD_APART = 4.0
"""A mean has a direction if its square is this many times the square of its standard error."""
LAMBDAS = np.array([0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.97, 0.99, 1.0])


def play(episodes: int, *, seed: int) -> Rollout:
    """Return episodes of the policy P(right) = sigmoid(theta . features), [1, S, E]."""
    env = BatchedCartPole(num_envs=episodes, horizon=HORIZON)
    return collect(env, lambda obs: (obs * SCALE) @ THETA.unsqueeze(-1), generator=make_generator(seed))


def scores(rollout: Rollout) -> Tensor:
    """Return [S, E, 4] the score of each step: (a - P(right)) times the features."""
    x = rollout.obs[0] * SCALE
    return (rollout.act[0] - torch.sigmoid(x @ THETA)).unsqueeze(-1) * x


def estimates(rollout: Rollout, credit: Tensor) -> Tensor:
    """Return [E, 4] one gradient estimate an episode: the sum over its steps of score times credit [S, E]."""
    return (scores(rollout) * (credit * rollout.mask[0]).unsqueeze(-1)).sum(dim=0)


def variance(estimate: Tensor) -> float:
    """Return the variance of an estimate [E, 4]: mean squared distance from its mean."""
    return float(estimate.var(dim=0).sum())


def credits(rollout: Rollout, baseline: Rollout) -> dict[str, Tensor]:
    """Return what each step [S, E] is credited with, by four methods; the baseline is fitted elsewhere.

    Args:
        rollout: the episodes that are credited.
        baseline: other episodes of the same policy, to which the baselines are fitted.
    """
    reward, mask = rollout.reward[0], rollout.mask[0]
    to_go = returns.returns_to_go(reward, mask, gamma=1.0)
    plain, discounted = (ridge(baseline, rollout, gamma) for gamma in (1.0, 0.99))
    return {
        "whole return": to_go[:1].expand_as(to_go),
        "return to go": to_go,
        "less a baseline": to_go - plain,
        "GAE (0.99, 0.97)": returns.gae(reward, discounted, mask, gamma=0.99, lam=0.97),
    }


def ridge(known: Rollout, rollout: Rollout, gamma: float) -> Tensor:
    """Return the package's linear baseline [S, E] at the steps of a rollout, fitted to another."""
    targets = returns.returns_to_go(known.reward, known.mask, gamma=gamma)
    weights = returns.fit_ridge(returns.baseline_features(known.obs), targets, known.mask)
    return returns.baseline_values(weights, returns.baseline_features(rollout.obs))[0]


def measure(*, seed: int, episodes: int = 400) -> dict[str, tuple[float, Tensor]]:
    """Return method -> (variance, mean estimate [4]) over the episodes of one seed."""
    rollout, known = play(episodes, seed=2 * seed), play(episodes, seed=2 * seed + 1)
    found = {name: estimates(rollout, credit) for name, credit in credits(rollout, known).items()}
    return {name: (variance(estimate), estimate.mean(dim=0)) for name, estimate in found.items()}


class Trade:
    """By how many degrees GAE's gradient points wrongly, for one set of episodes; each discount once.

    Args:
        episodes: how many to play.
        seed: of the episodes.
    """

    def __init__(self, episodes: int = 200, *, seed: int = 0):
        self.rollout, self.known = play(episodes, seed=seed), play(episodes, seed=seed + 1)
        many, other = play(8 * episodes, seed=seed + 2), play(episodes, seed=seed + 3)
        self.target = estimates(many, credits(many, other)["less a baseline"]).mean(dim=0)
        self._scores = scores(self.rollout)
        self._batches = np.random.default_rng(seed).integers(episodes, size=(BATCHES, BATCH))
        lengths = self.rollout.mask[0].sum(dim=0)
        self.episode = int((lengths - 60).abs().argmin())  # about 60 steps long
        self.length = int(lengths[self.episode])
        self._known_angles: dict[tuple[float, bool], tuple[np.ndarray, np.ndarray]] = {}

    def advantages(self, gamma: float, lam: float, values: Tensor) -> Tensor:
        """Return [S, E] generalized advantages of the episodes."""
        return returns.gae(self.rollout.reward[0], values, self.rollout.mask[0], gamma=gamma, lam=lam)

    def values(self, gamma: float, has_baseline: bool) -> Tensor:
        """Return the baseline [S, E], or zeros."""
        return ridge(self.known, self.rollout, gamma) * float(has_baseline)

    def angles(self, gamma: float, has_baseline: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return [L] degrees off the gradient over LAMBDAS: of the mean estimate, and of batches on average.

        NaN where the mean of all episodes cannot be told apart from 0: then it points nowhere.
        """
        key = (gamma, has_baseline)
        if key not in self._known_angles:
            values = self.values(gamma, has_baseline)
            rows = [self._degrees(self.advantages(gamma, float(lam), values)) for lam in LAMBDAS]
            mean, batch = np.array(rows).T
            self._known_angles[key] = mean, batch
        return self._known_angles[key]

    def _degrees(self, adv: Tensor) -> tuple[float, float]:
        """Return the angle between the mean estimate and the gradient, and the mean angle of batches."""
        estimate = torch.einsum("sef,se->ef", self._scores, adv)
        mean = estimate.mean(dim=0)
        if variance(estimate) / float(mean.square().sum()) > len(estimate) / TOLD_APART:
            return np.nan, np.nan
        batches = estimate[self._batches].mean(dim=1)
        return self._off(mean), float(self._off(batches).mean())

    def _off(self, estimate: Tensor) -> Any:
        """Return by how many degrees estimates [..., 4] point away from the gradient."""
        cosine = estimate @ self.target / (estimate.norm(dim=-1) * self.target.norm())
        return np.degrees(np.arccos(np.clip(cosine.numpy(), -1, 1)))


def gae_explorer() -> Explorer:
    """Return the explorer of gamma and lambda."""
    return Explorer(
        _draw_trade(Trade()),
        {
            "gamma": slider("γ, the discount", 0.8, 1.0, 0.01, 0.99),
            "lam": slider("λ of GAE", 0.0, 1.0, 0.01, 0.97),
            "baseline": choice("V", (("fitted to other episodes", True), ("zero: no baseline", False)), True),
        },
        alt="Left: advantages along one episode that ends with a fall. Right: the angle between gradient and "
        "estimate over lambda, for the mean estimate and for a batch of 16 episodes.",
        name="gae",
    )


def _draw_trade(trade: Trade) -> Callable[[Figure], Callable[..., str]]:
    def make(figure: Figure) -> Callable[..., str]:
        figure.set_size_inches(8.4, 3.2)
        left, right = figure.subplots(1, 2)
        left.set(xlim=(0, trade.length), ylim=(-70, 70), xlabel="step of one episode", ylabel="advantage")
        left.set_title("Credit of each step; the pole falls at the end")
        left.axhline(0, color=COLORS["muted"], linestyle="-", linewidth=0.8)
        (credit,) = left.plot([], [], color=COLORS["adapted"], linestyle="-")
        right.set(xlim=(0, 1.02), ylim=(0, 95), xlabel="λ", ylabel="degrees off the gradient")
        right.set_title("How wrongly the estimate points")
        (bias,) = right.plot([], [], color=COLORS["gradient"], linestyle="--", marker=".", label="its mean")
        batch_label = f"a batch of {BATCH} episodes"
        (error,) = right.plot(
            [], [], color=COLORS["second order"], linestyle="-", marker=".", label=batch_label
        )
        (here,) = right.plot([], [], "o", markersize=9, color=COLORS["second order"], markeredgecolor="black")
        right.legend(fontsize=8, loc="lower left")

        def update(gamma: float, lam: float, baseline: bool) -> str:
            gamma = round(gamma, 2)
            adv = trade.advantages(gamma, lam, trade.values(gamma, baseline))
            credit.set_data(np.arange(trade.length), adv[: trade.length, trade.episode])
            mean, batch = trade.angles(gamma, baseline)
            bias.set_data(LAMBDAS, mean)
            error.set_data(LAMBDAS, batch)
            mean_here, batch_here = (float(np.interp(lam, LAMBDAS, angle)) for angle in (mean, batch))
            here.set_data([lam], [batch_here])
            ahead = "all that follows" if gamma * lam >= 1 else f"about {1 / (1 - gamma * lam):.0f} steps"
            off = "The mean estimate <b>cannot be told apart from 0</b>: it has no direction to draw."
            if np.isfinite(batch_here):
                off = (
                    f"The mean estimate points {mean_here:.0f}° off the gradient, a batch of {BATCH} "
                    f"episodes <b>{batch_here:.0f}°</b>."
                )
            return (
                f"An action is credited with {ahead}. {off} At this γ the best of the marked λ is "
                f"{LAMBDAS[np.nanargmin(batch)]:g}, with {np.nanmin(batch):.0f}°."
            )

        return update

    return make
