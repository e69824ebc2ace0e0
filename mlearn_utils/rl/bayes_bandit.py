r"""Bernoulli bandits with uniform priors, exactly: what is known, what is best, what any rule earns.

After w wins and l losses of an arm the posterior of its chance is Beta(w + 1, l + 1), with mean
(w + 1) / (w + l + 2). Wins and losses of all arms are all that matters of the past, so with k pulls left

    V_k(counts) = max over arms a of  m_a (1 + V_{k-1}(counts, a won)) + (1 - m_a) V_{k-1}(counts, a lost)

with m_a the posterior mean and V_0 = 0. Arms are exchangeable, so counts are kept in sorted order, which
makes the tables small enough for five arms and twenty pulls. A rule is a function of counts: wins and losses
[N, A] -> the probability of each arm [N, A].

References: Gittins (1979), "Bandit processes and dynamic allocation indices"; Thompson (1933), "On the
likelihood that one unknown probability exceeds another in view of the evidence of two samples"; Auer,
Cesa-Bianchi & Fischer (2002), "Finite-time analysis of the multiarmed bandit problem", for UCB1.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mlearn_utils.runtime import check_fraction, check_integer, check_not_negative

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""wins [N, A], losses [N, A] -> probabilities of the actions [N, A], the safe arm's last if there is one."""

MOST_STATES = 1_000_000
"""Counts that an exact recursion may visit: about ten seconds and half a gigabyte."""


def posterior_mean(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return the mean of each arm's chance [...] after these wins and losses [...], from a uniform prior."""
    return (wins + 1) / (wins + losses + 2)


def chance_best(wins: np.ndarray, losses: np.ndarray, *, nodes: int | None = None) -> np.ndarray:
    """Return [..., A] the posterior probability that each arm is the best: P(best) = integral f_a prod F_b.

    Densities f and distribution functions F of the posteriors are polynomials, of degree w + l and w + l + 1,
    so Gauss's quadrature with enough nodes is exact but for rounding.

    Args:
        wins: [..., A] integers.
        losses: [..., A] integers.
        nodes: of the quadrature; enough to be exact by default.

    Raises:
        ValueError: if the counts differ in shape or one is negative.
    """
    from scipy.special import betainc, betaln

    wins, losses = np.asarray(wins, dtype=float), np.asarray(losses, dtype=float)
    if wins.shape != losses.shape or not wins.shape or min(wins.min(), losses.min()) < 0:
        raise ValueError(f"wins and losses must be [..., A] integers >= 0, alike, got {wins} and {losses}")
    if nodes is None:
        degree = int((wins + losses + 1).sum(axis=-1).max(initial=1.0)) - 1
        if degree > MOST_DEGREE:
            raise ValueError(
                f"wins and losses must be at most {MOST_DEGREE} in all, got {degree}; or give nodes"
            )
        nodes = degree // 2 + 1
    x, weights = np.polynomial.legendre.leggauss(nodes)
    x, weights = (x + 1) / 2, weights / 2
    a, b = wins[..., None] + 1, losses[..., None] + 1
    density = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b))
    below = betainc(a, b, x)
    others = np.stack(
        [np.delete(below, arm, axis=-2).prod(axis=-2) for arm in range(below.shape[-2])], axis=-2
    )
    return (density * others * weights).sum(axis=-1)


def greedy_rule(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Pull an arm with the largest posterior mean; ties are broken at random."""
    return _largest(posterior_mean(wins, losses))


def thompson_rule(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Pull each arm with the probability that it is the best: Thompson sampling, exactly."""
    return chance_best(wins, losses)


def random_rule(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Pull every arm with the same probability."""
    return np.full(wins.shape, 1 / wins.shape[-1])


def ucb1_rule(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Pull the largest w / n + sqrt(2 ln t / n), t pulls so far, n of the arm: UCB1; untried arms first."""
    n = wins + losses
    total = n.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = wins / n + np.sqrt(2 * np.log(np.maximum(total, 1)) / n)
    return _largest(np.where(n == 0, np.inf, index))


def ucb_rule(constant: float) -> Rule:
    """Return the rule that pulls the largest m + c sqrt(ln(t + 1) / (n + 1)), with m the posterior mean.

    Args:
        constant: c >= 0; with 0 it is the greedy rule.

    Raises:
        ValueError: if `constant` is not a finite number >= 0.
    """
    check_not_negative("constant", constant)

    def rule(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
        n = wins + losses
        total = n.sum(axis=-1, keepdims=True)
        return _largest(posterior_mean(wins, losses) + constant * np.sqrt(np.log(total + 1) / (n + 1)))

    return rule


MOST_DEGREE = 2000
"""Pulls of all arms together up to which the quadrature is exact by default: its nodes take a second then."""


class Level(NamedTuple):
    """All counts that a number of pulls can lead to.

    Attributes:
        wins: [N, A] integers, arms in sorted order.
        losses: [N, A] integers.
        after: [N, A, 2] index into the next level after a loss and after a win of each arm.
        after_safe: [N] index into the next level after a pull of the safe arm; empty without one.
    """

    wins: np.ndarray
    losses: np.ndarray
    after: np.ndarray
    after_safe: np.ndarray


class CountTree:
    """Every state of counts of a bandit with a number of pulls, level by level, for exact values.

    Args:
        n_arms: arms with unknown chances, >= 1.
        pulls: how many in all, >= 1.
        safe: what a further arm always pays; None for no such arm.

    Attributes:
        levels: one `Level` for each number of pulls made, 0 ... pulls - 1.

    Raises:
        ValueError: if a number is out of its range, or there are more states than an exact recursion should
            visit; the message says how many.
    """

    def __init__(self, n_arms: int, pulls: int, *, safe: float | None = None):
        self.states = count_states(n_arms, pulls, safe=safe, most=MOST_STATES)
        if self.states > MOST_STATES:
            raise ValueError(
                f"pulls={pulls} with n_arms={n_arms} is too long for the exact recursion: it would visit "
                f"{_amount(self.states)} states, and the most is {MOST_STATES:,}; take fewer pulls or arms"
            )
        self.n_arms, self.pulls, self.safe = n_arms, pulls, safe
        self.levels: list[Level] = []
        wins = losses = np.zeros((1, n_arms), dtype=np.int64)
        for _ in range(pulls):
            level, wins, losses = self._grow(wins, losses)
            self.levels.append(level)

    def value(self, rule: Rule | None = None) -> float:
        """Return the expected sum of rewards of a rule over all pulls; None is the Bayes-optimal one.

        A rule must treat the arms alike: it is asked about counts in sorted order. The rules of this module
        know no safe arm; with one, a rule has to say [N, A + 1] how often it takes that.

        Raises:
            ValueError: if a rule does not return probabilities [N, A'] that sum to 1.
        """
        return float(self.values(rule)[0][0])

    def values(self, rule: Rule | None = None) -> list[np.ndarray]:
        """Return [N] the expected sum of the rewards still to come in every state, level by level."""
        later = np.zeros(len(self.levels[-1].wins) * (2 * self.n_arms + 1))
        found = []
        for level in reversed(self.levels):
            q = self._q(level, later)
            later = q.max(axis=1) if rule is None else (q * self._checked(rule, level)).sum(axis=1)
            found.append(later)
        return found[::-1]

    def action_values(self, wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """Return [A'] what each action is worth from counts [A] on, if one is Bayes-optimal after it.

        Without a safe arm the pulls made are those counted; with one they are not known: use `values`.

        Raises:
            ValueError: if counts are not [A] integers >= 0 with fewer than `pulls` in all, or there is a safe
                arm.
        """
        wins, losses = np.asarray(wins), np.asarray(losses)
        if self.safe is not None:
            raise ValueError("action_values needs a bandit without a safe arm")
        good = all(each.shape == (self.n_arms,) and each.dtype.kind in "iu" for each in (wins, losses))
        made = int(wins.sum() + losses.sum()) if good else self.pulls
        if made >= self.pulls or min(wins.min(), losses.min()) < 0:
            raise ValueError(
                f"wins and losses must be [{self.n_arms}] integers >= 0, fewer than {self.pulls} in all, got "
                f"{wins} and {losses}"
            )
        if not hasattr(self, "_best"):
            self._best = self.values()
        level = self.levels[made]
        later = self._best[made + 1] if made + 1 < self.pulls else np.zeros(level.after.max() + 1)
        order = np.argsort(_codes(wins[None], losses[None], self.pulls)[0], kind="stable")
        row = np.flatnonzero(((level.wins == wins[order]) & (level.losses == losses[order])).all(axis=1))[0]
        q = np.empty(self.n_arms)
        q[order] = self._q(level, later)[row]
        return q

    def _q(self, level: Level, later: np.ndarray) -> np.ndarray:
        """Return [N, A'] the value of each action, given [M] those of the next level's states."""
        mean = posterior_mean(level.wins, level.losses)
        lost, won = (later[level.after[..., outcome]] for outcome in (0, 1))
        q = mean * (1 + won) + (1 - mean) * lost
        if self.safe is None:
            return q
        return np.concatenate((q, (self.safe + later[level.after_safe])[:, None]), axis=1)

    def _checked(self, rule: Rule, level: Level) -> np.ndarray:
        chances = np.asarray(rule(level.wins, level.losses))
        shape = (len(level.wins), self.n_arms + (self.safe is not None))
        if chances.shape != shape or not np.allclose(chances.sum(axis=1), 1) or chances.min() < 0:
            raise ValueError(f"rule must return probabilities {list(shape)} that sum to 1, got {chances!r}")
        return chances

    def _grow(self, wins: np.ndarray, losses: np.ndarray) -> tuple[Level, np.ndarray, np.ndarray]:
        """Return a level and the counts of the next one."""
        one = np.eye(self.n_arms, dtype=np.int64)
        children = [(wins[:, None], losses[:, None] + one), (wins[:, None] + one, losses[:, None])]
        rows = [
            np.sort(_codes(won, lost, self.pulls), axis=-1).reshape(-1, self.n_arms) for won, lost in children
        ]
        if self.safe is not None:
            rows.append(_codes(wins, losses, self.pulls))
        unique, index = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
        size = len(wins) * self.n_arms
        index = index.reshape(-1)
        after = np.stack([index[:size], index[size : 2 * size]], axis=-1).reshape(len(wins), self.n_arms, 2)
        next_wins, next_losses = np.divmod(unique, self.pulls + 1)
        return Level(wins, losses, after, index[2 * size :]), next_wins, next_losses


def bayes_value(n_arms: int, pulls: int, *, safe: float | None = None) -> float:
    """Return the expected sum of rewards of the Bayes-optimal player: the most that anybody can earn.

    Arguments and errors as in `CountTree`.
    """
    return CountTree(n_arms, pulls, safe=safe).value()


def count_states(
    n_arms: int, pulls: int, *, safe: float | None = None, most: int | None = None
) -> float | int:
    """Return how many states the exact recursion visits, without visiting them.

    Arguments and errors as in `CountTree`, but that nothing is too long.

    Args:
        n_arms: as there.
        pulls: as there.
        safe: as there.
        most: where many more than this are certain, math.inf is returned at once; None counts them all, in
            a time that grows with the cube of the pulls.
    """
    check_integer("n_arms", n_arms, minimum=1)
    check_integer("pulls", pulls, minimum=1)
    if safe is not None:
        check_fraction("safe", safe)
    ways_at_last = math.comb(pulls - 1 + 2 * n_arms - 1, 2 * n_arms - 1) // math.factorial(n_arms)
    if most is not None and ways_at_last > 1000 * most:  # at least so many with pulls - 1 in all
        return math.inf
    # ways[k][n]: multisets of k arms with n pulls in all; an arm with m pulls comes in m + 1 kinds
    ways = [[1] + [0] * (pulls - 1)] + [[0] * pulls for _ in range(n_arms)]
    for m in range(pulls):
        for _ in range(m + 1):
            for k in range(1, n_arms + 1):
                for n in range(m, pulls):
                    ways[k][n] += ways[k - 1][n - m]
    states = ways[n_arms]
    if safe is None:
        return sum(states)
    return sum(sum(states[: made + 1]) for made in range(pulls))


def _amount(states: float) -> str:
    return "more than a billion" if states == math.inf else f"{states:,}"


def _codes(wins: np.ndarray, losses: np.ndarray, pulls: int) -> np.ndarray:
    """Return each arm's wins and losses as one number."""
    return wins * (pulls + 1) + losses


def _largest(index: np.ndarray) -> np.ndarray:
    """Return the probabilities [N, A] that share 1 among the largest of each row."""
    best = index == index.max(axis=-1, keepdims=True)
    return best / best.sum(axis=-1, keepdims=True)
