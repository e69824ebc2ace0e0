"""Two small worlds of lesson 11: learning rates under noise, exactly, and bandit players who stop looking.

The first is the noisy quadratic of Wu et al. (2018, "Understanding short-horizon bias in stochastic
meta-optimization", arXiv:1803.02021), with two directions; the second has the shape of the bandits of
Krishnamurthy et al. (2024, "Can large language models explore in-context?", arXiv:2403.15371).
"""

from collections.abc import Callable

import numpy as np

CURVATURE, NOISE, START = np.array([1.0, 0.02]), np.array([1.0, 1.0]), np.array([100.0, 100.0])
"""[2] of each direction: its curvature, the variance of the center that a gradient sees, and theta^2."""
CHANCES = np.array([0.6, 0.4, 0.4, 0.4, 0.4])
PULLS = 100

Player = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


# --- learning rates under noise


def _after(square: np.ndarray, rate: float) -> np.ndarray:
    """Return [2] the expected theta^2 after a gradient step on h/2 (theta - c)^2, c of mean 0."""
    return (1 - rate * CURVATURE) ** 2 * square + (rate * CURVATURE) ** 2 * NOISE


def expected_losses(rates: np.ndarray) -> np.ndarray:
    """Return [S] the expected loss, the sum of h/2 theta^2, after each step with these learning rates [S]."""
    square, losses = START, []
    for rate in rates:
        square = _after(square, rate)
        losses.append((CURVATURE * square / 2).sum())
    return np.array(losses)


def greedy_rates(*, steps: int) -> np.ndarray:
    """Return [steps] rates, each the one after which the expected loss is least, in closed form."""
    square, rates = START, []
    for _ in range(steps):
        rates.append((CURVATURE**2 * square).sum() / (CURVATURE**3 * (square + NOISE)).sum())
        square = _after(square, rates[-1])
    return np.array(rates)


# --- bandit players


def _greedy(wins: np.ndarray, pulls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(pulls == 0, 2.0, wins / np.maximum(pulls, 1))


def _ucb(wins: np.ndarray, pulls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(pulls == 0, np.inf, wins / np.maximum(pulls, 1) + np.maximum(pulls, 1) ** -0.5)


def _thompson(wins: np.ndarray, pulls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.beta(wins + 1, pulls - wins + 1)


PLAYERS: dict[str, Player] = {"greedy": _greedy, "UCB": _ucb, "Thompson sampling": _thompson}
"""Name -> what each arm looks worth [N, A], from wins and pulls [N, A]; every arm is tried once by the first
two. UCB adds 1 / sqrt(pulls)."""


def suffix_failures(player: str, *, games: int, seed: int) -> float:
    """Return the share of games in whose second half the best arm is never pulled."""
    rng, row = np.random.default_rng(seed), np.arange(games)
    wins, pulls = np.zeros((2, games, len(CHANCES)))
    last = np.full(games, -1)
    for pull in range(PULLS):
        worth = PLAYERS[player](wins, pulls, rng)
        ties = worth == worth.max(axis=1, keepdims=True)
        arm = (ties * rng.uniform(0.5, 1.0, ties.shape)).argmax(axis=1)
        wins[row, arm] += rng.uniform(size=games) < CHANCES[arm]
        pulls[row, arm] += 1
        last = np.where(arm == 0, pull, last)
    return float((last < PULLS // 2).mean())
