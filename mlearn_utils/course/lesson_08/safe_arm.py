"""The safe arm: exploring is hard to learn even where nothing is sampled.

One arm pays a known amount, the other is unknown, and there are three pulls: 27 paths of arms and
rewards, since the safe arm has one outcome and the unknown one two. A policy's exact value is a sum over the
paths, so its exact gradient is known, and Adam follows it from several starts.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mlearn_utils.meta.policies.trials import build
from mlearn_utils.runtime import make_generator

UNKNOWN, SAFE = 0, 1


class Paths(NamedTuple):
    """All that can happen, P paths.

    Attributes:
        arms: [S, P] int64, 0 the unknown arm and 1 the safe one.
        rewards: [S, P].
        chance: [P] the bandit's part of a path's probability.
    """

    arms: Tensor
    rewards: Tensor
    chance: Tensor


class Ascent(NamedTuple):
    """What gradient ascent did.

    Attributes:
        values: [R, steps + 1] exact expected sum of rewards of each of R runs, without the bonus.
        tries: [R, steps + 1] probability that the first pull tries the unknown arm.
    """

    values: np.ndarray
    tries: np.ndarray


def all_paths(safe: float, *, pulls: int = 3) -> Paths:
    """List the paths of so many pulls, with the chance of what the unknown arm pays on each."""
    outcomes = ((UNKNOWN, 0.0), (UNKNOWN, 1.0), (SAFE, safe))
    paths = np.array(list(product(outcomes, repeat=pulls)))  # [P, S, 2]
    arms, rewards = paths[..., 0].T.astype(int), paths[..., 1].T
    wins, losses = ((arms == UNKNOWN) * (rewards == reward) for reward in (1.0, 0.0))
    before = [np.cumsum(each, axis=0) - each for each in (wins, losses)]
    mean = (before[0] + 1) / (before[0] + before[1] + 2)
    chance = np.where(arms == SAFE, 1.0, np.where(rewards == 1.0, mean, 1 - mean)).prod(axis=0)
    return Paths(torch.from_numpy(arms), torch.from_numpy(rewards).float(), torch.from_numpy(chance).float())


class GRUPolicy(nn.Module):
    """Logits of trying the unknown arm, from the arms and rewards before: a small GRU."""

    def __init__(self, hidden: int = 16):
        super().__init__()
        self.body, self.head = nn.GRU(3, hidden), nn.Linear(hidden, 1)

    def forward(self, paths: Paths) -> Tensor:
        """Return [S, P] a logit before each pull."""
        safe = (paths.arms == SAFE).float()
        x = torch.stack((1 - safe, safe, paths.rewards), dim=-1)
        before = torch.cat((torch.zeros_like(x[:1]), x[:-1]))
        return self.head(self.body(before)[0]).squeeze(-1)


class TablePolicy(nn.Module):
    """The same from a table: a logit of its own for every state of time, wins and losses."""

    def __init__(self, pulls: int = 3):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(pulls, pulls, pulls))

    def forward(self, paths: Paths) -> Tensor:
        """Return [S, P] a logit before each pull."""
        tried = paths.arms == UNKNOWN
        wins, losses = (tried & (paths.rewards == reward) for reward in (1.0, 0.0))
        before = [each.long().cumsum(dim=0) - each.long() for each in (wins, losses)]
        time = torch.arange(len(paths.arms))[:, None].expand_as(before[0])
        return self.logits[time, before[0], before[1]]


def value_and_entropy(logits: Tensor, paths: Paths) -> tuple[Tensor, Tensor]:
    """Return () and (): the exact expected sums of the rewards and of the policy's entropies (nats)."""
    logp = nn.functional.logsigmoid(torch.where(paths.arms == UNKNOWN, logits, -logits))
    weight = logp.sum(dim=0).exp() * paths.chance
    p = torch.sigmoid(logits)
    entropy = torch.special.entr(p) + torch.special.entr(1 - p)
    return (weight * paths.rewards.sum(dim=0)).sum(), (weight * entropy.sum(dim=0)).sum()


def ascend(
    kind: type[GRUPolicy] | type[TablePolicy],
    *,
    safe: float = 0.55,
    bonus: float = 0.0,
    runs: int = 6,
    steps: int = 400,
    learning_rate: float = 0.02,
) -> Ascent:
    """Follow the exact gradient of value plus bonus x entropy with Adam, from R starts.

    Args:
        kind: of policy.
        safe: what the safe arm pays.
        bonus: weight of the entropy at first; it falls linearly to 0 over the first three quarters.
        runs: R starts, seeds 0 to R - 1.
        steps: of Adam.
        learning_rate: Adam's.
    """
    paths = all_paths(safe)
    values, tries = np.empty((runs, steps + 1)), np.empty((runs, steps + 1))
    for run in range(runs):
        policy, generator = build(kind, make_generator(run)), make_generator(run)
        with torch.no_grad():
            for weights in policy.parameters():
                weights.copy_(0.25 * (2 * torch.rand(weights.shape, generator=generator) - 1))
        adam = torch.optim.Adam(policy.parameters(), lr=learning_rate)
        for step in range(steps + 1):
            logits = policy(paths)
            value, entropy = value_and_entropy(logits, paths)
            values[run, step], tries[run, step] = value.item(), torch.sigmoid(logits[0, 0]).item()
            weight = bonus * max(0.0, 1 - step / (0.75 * steps))
            adam.zero_grad()
            (-(value + weight * entropy)).backward()
            adam.step()
    return Ascent(values, tries)
