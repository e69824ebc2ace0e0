"""Every history of a bandit, so that a policy with any memory is judged by a sum and not by sampling.

A history is the order of arms and rewards so far. With two outcomes of each of A arms there are (2 A)^t
after t pulls; each has a probability, from the policy's choices and from what the prior says of the arms:
after w wins and l losses a pull of an arm wins with probability (w + 1) / (w + l + 2). The value is
differentiable, so it also gives the exact policy gradient, without any noise.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.rl.bayes_bandit import Rule
from mlearn_utils.runtime import check_fraction, check_integer

HistoryPolicy = Callable[[Tensor, Tensor], Tensor]
"""arms [H, t] int64 and rewards [H, t] of H histories of t pulls -> probabilities [H, A'] of the next arm."""

MOST_HISTORIES = 2_000_000
"""Histories of the last level that an enumeration may visit."""


def policy_value(
    policy: HistoryPolicy, *, n_arms: int, pulls: int, safe: float | None = None, entropy_weight: float = 0.0
) -> Tensor:
    """Return the expected sum of rewards () of a policy over all histories; float64, differentiable.

    Args:
        policy: arms and rewards so far -> probabilities of the next arm, the safe one's last. It is called
            once for each number of pulls made, 0 ... pulls - 1, with every history of that length.
        n_arms: arms with unknown chances, uniform in [0, 1]; >= 1.
        pulls: how many in all, >= 1.
        safe: what a further arm always pays; None for no such arm.
        entropy_weight: weight of the expected sum of the policy's entropies (nats), which is added.

    Raises:
        ValueError: if a number is out of its range, there are more histories than can be visited, or the
            policy returns something else than probabilities.
    """
    check_integer("n_arms", n_arms, minimum=1)
    check_integer("pulls", pulls, minimum=1)
    if safe is not None:
        check_fraction("safe", safe)
    outcomes = 2 * n_arms + (safe is not None)
    if (pulls - 1) * math.log(outcomes) > math.log(MOST_HISTORIES):
        raise ValueError(
            f"pulls={pulls} with n_arms={n_arms} is too long to enumerate: {outcomes}**{pulls - 1} "
            f"histories, and the most is {MOST_HISTORIES:,}"
        )
    arms, rewards = torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1, 0)
    counts = torch.zeros(1, n_arms, 2, dtype=torch.float64)  # losses, wins
    weight = torch.ones(1, dtype=torch.float64)
    value = torch.zeros((), dtype=torch.float64)
    for pull in range(pulls):
        chosen = _checked(policy(arms, rewards), len(arms), n_arms + (safe is not None))
        won = (counts[..., 1] + 1) / (counts.sum(dim=-1) + 2)
        paid = won
        if safe is not None:
            paid = torch.cat((won, torch.full((len(won), 1), float(safe), dtype=torch.float64)), dim=1)
        value = value + (weight[:, None] * chosen * paid).sum()
        if entropy_weight:
            logp = chosen.clamp(
                min=torch.finfo(torch.float64).tiny
            ).log()  # 0 log 0 is 0, its gradient finite
            value = value - entropy_weight * (weight[:, None] * chosen * logp).sum()
        if pull == pulls - 1:
            break
        parts = []
        for arm in range(chosen.shape[1]):
            if arm == n_arms:
                parts.append(_child(arms, rewards, counts, weight * chosen[:, arm], arm, float(safe or 0)))
                continue
            for outcome, chance in ((0, 1 - won[:, arm]), (1, won[:, arm])):
                after = counts.clone()
                after[:, arm, outcome] += 1
                reached = weight * chosen[:, arm] * chance
                parts.append(_child(arms, rewards, after, reached, arm, float(outcome)))
        arms, rewards, counts, weight = (torch.cat(each) for each in zip(*parts, strict=True))
    return value


def history_policy(rule: Rule, n_arms: int) -> HistoryPolicy:
    """Return a rule of counts, as `rl.bayes_bandit` has them, as a policy of histories."""

    def policy(arms: Tensor, rewards: Tensor) -> Tensor:
        wins, losses = count(arms, rewards, n_arms)
        return torch.from_numpy(np.asarray(rule(wins, losses), dtype=float))

    return policy


def count(arms: Tensor, rewards: Tensor, n_arms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return wins and losses [H, A] of histories [H, t]; pulls of a safe arm, numbered A, do not count."""
    pulled = arms[..., None] == torch.arange(n_arms)
    won = (rewards == 1)[..., None]
    return (pulled & won).sum(dim=1).numpy(), (pulled & ~won).sum(dim=1).numpy()


def _child(
    arms: Tensor, rewards: Tensor, counts: Tensor, weight: Tensor, arm: int, reward: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what becomes of histories by one more pull."""
    arm_column, reward_column = torch.full((len(arms), 1), arm), torch.full((len(arms), 1), reward)
    return torch.cat((arms, arm_column), dim=1), torch.cat((rewards, reward_column), dim=1), counts, weight


def _checked(chances: Any, n_histories: int, n_actions: int) -> Tensor:
    if not isinstance(chances, (Tensor, np.ndarray)):
        raise ValueError(f"policy must return probabilities [{n_histories}, {n_actions}], got {chances!r}")
    chances = torch.as_tensor(chances).double()
    good = chances.shape == (n_histories, n_actions) and bool(
        (chances >= 0).all()
        and torch.allclose(chances.sum(dim=1), torch.ones(n_histories).double(), atol=1e-5)
    )
    if not good:
        raise ValueError(
            f"policy must return probabilities [{n_histories}, {n_actions}] that sum to 1, got {chances}"
        )
    return chances
