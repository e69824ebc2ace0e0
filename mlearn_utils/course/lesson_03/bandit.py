"""A two-armed bandit small enough to enumerate: the score-function estimate, and what a baseline does."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS, PALETTE
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.course.widgets.predict import Predict

PAYS = np.array([[8.0, 12.0], [10.0, 14.0]])
"""[arm, luck]: coins that an arm pays, either amount with probability 1/2; 10 and 12 on average."""
ARMS = ("left", "right")
RANGE = (0.0, 24.0)
BASELINES = np.linspace(*RANGE, 97)


class Outcomes(NamedTuple):
    """The four things that one play can lead to, [4] each.

    Attributes:
        arm: 0 left, 1 right.
        reward: coins.
        chance: probability under the policy.
        score: derivative of log pi(arm) by theta.
    """

    arm: np.ndarray
    reward: np.ndarray
    chance: np.ndarray
    score: np.ndarray


def outcomes(theta: float) -> Outcomes:
    """Enumerate one play of the policy P(right) = 1 / (1 + exp(-theta))."""
    right = 1 / (1 + np.exp(-theta))
    arm = np.array([0, 0, 1, 1])
    chance = np.where(arm == 1, right, 1 - right) / 2
    return Outcomes(arm, PAYS.ravel(), chance, arm - right)


def moments(theta: float, baseline: float) -> tuple[float, float]:
    """Return mean and variance of the one-play estimate score * (reward - baseline)."""
    play = outcomes(theta)
    estimate = play.score * (play.reward - baseline)
    mean = float(play.chance @ estimate)
    return mean, float(play.chance @ (estimate - mean) ** 2)


def best_baseline(theta: float) -> float:
    """Return the baseline of the smallest variance."""
    play = outcomes(theta)
    weight = play.chance * play.score**2
    return float(weight @ play.reward / weight.sum())


def predict_baseline() -> Predict:
    """Ask what subtracting a number from every payout does to the estimate."""
    (mean, variance), (mean_b, variance_b) = moments(0.0, 0.0), moments(0.0, 11.0)
    answer = (
        f"The mean stays {mean_b:.2g} (it was {mean:.2g}); the variance falls from <b>{variance:.3g} to "
        f"{variance_b:.3g}</b>. The baseline adds −11 · score, and the mean score is 0 under every policy. "
        "What changes is how far single estimates lie from their mean."
    )
    return Predict(
        "Subtract 11 coins from every payout before it is multiplied with the score. What happens to the "
        "gradient estimate, at $\\theta = 0$?",
        (
            "its mean becomes smaller, its variance stays",
            "its mean stays, its variance becomes about 2 % smaller",
            "its mean stays, its variance becomes more than ten times smaller",
            "its mean becomes negative: most payouts are now below zero",
        ),
        lambda guess: answer,
        name="what-does-a-baseline-do",
    )


def baseline_explorer() -> Explorer:
    """Return the explorer of the estimate over theta and the baseline."""
    return Explorer(
        estimates,
        {
            "baseline": slider("b, the baseline (coins)", *RANGE, 0.25, 0.0),
            "theta": slider("θ, the policy's parameter", -3.0, 3.0, 0.1, 0.0),
        },
        alt="Left: the four possible gradient estimates and their mean, which the baseline does not move. "
        "Right: their variance over the baseline, a parabola.",
        name="baseline",
    )


def estimates(figure: Figure) -> Callable[..., str]:
    """Draw the four estimates (left) and their variance over the baseline (right).

    Returns:
        update(baseline, theta) -> caption.
    """
    figure.set_size_inches(8.4, 3.2)
    left, right = figure.subplots(1, 2)
    left.set(xlim=(-14, 14), ylim=(0, 0.62), xlabel="estimate of dJ/dθ", ylabel="probability")
    left.set_title("The four estimates that one play can give")
    right.set(xlim=RANGE, ylim=(0.05, 200), yscale="log", xlabel="baseline b (coins)", ylabel="variance")
    right.set_title("Variance of the estimate")
    stems = []
    for k in range(4):
        color, symbol = PALETTE[k // 2], "os"[k // 2]
        label = ARMS[k // 2] if k % 2 == 0 else None
        stems.append(left.plot([], [], color=color, linestyle="-", marker=symbol, markevery=[1], label=label))
    (mean_line,) = left.plot([], [], color=COLORS["truth"], linestyle="--", label="mean: dJ/dθ")
    left.legend(fontsize=8, loc="upper left")
    (curve,) = right.plot([], [], color=COLORS["gradient"], linestyle="-")
    (here,) = right.plot([], [], "o", color=COLORS["gradient"], markeredgecolor="black", label="your b")
    (best,) = right.plot([], [], "v", color=COLORS["good"], markeredgecolor="black", label="best b")
    right.legend(fontsize=8)

    def update(baseline: float, theta: float) -> str:
        play = outcomes(theta)
        for (stem,), value, chance in zip(
            stems, play.score * (play.reward - baseline), play.chance, strict=True
        ):
            stem.set_data([value, value], [0, chance])
        mean, variance = moments(theta, baseline)
        mean_line.set_data([mean, mean], [0, 0.6])
        curve.set_data(BASELINES, [moments(theta, b)[1] for b in BASELINES])
        here.set_data([baseline], [variance])
        best_b = best_baseline(theta)
        best.set_data([best_b], [moments(theta, best_b)[1]])
        return (
            f"P(right) = {play.chance[2:].sum():.2f}. Mean of the estimate {mean:.3f}, <b>variance "
            f"{variance:.3g}</b>; the smallest is {moments(theta, best_b)[1]:.3g}, at b = {best_b:.3g}."
        )

    return update
