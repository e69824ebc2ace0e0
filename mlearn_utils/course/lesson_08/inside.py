"""What is in the memory of a bandit player: what can be read out of it, and what it makes of the order.

Every measure is taken of an untrained network of the same shape as well: what it has, training did not bring.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mlearn_utils.meta.policies.in_context import bandit_inputs
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.rl.bandit_histories import count
from mlearn_utils.rl.bayes_bandit import posterior_mean
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.bandit import BernoulliBandits


class Histories(NamedTuple):
    """What was pulled and paid, [H, S] each."""

    arms: Tensor
    rewards: Tensor


def play(agent: MemoryAgent, *, histories: int = 2000, pulls: int = 10, seed: int = 0) -> Histories:
    """Let an agent play bandits that are new to it, sampling its actions."""
    bandits = BernoulliBandits(agent.encode.action_size)
    env = agent.make_batch(bandits.sample(histories, seed=seed))
    played = agent.play(env, episodes=pulls, seed=seed)
    return Histories(played.act.T, played.reward.T)


def memories(agent: MemoryAgent, seen: Histories) -> Tensor:
    """Return [H, units] the hidden state after all pulls of histories."""
    with torch.no_grad():
        features, _ = agent.network.remember(bandit_inputs(agent.encode, *seen))
    return features[-1]


def order_shift(agent: MemoryAgent, seen: Histories, *, seed: int = 0) -> float:
    """Return how far the memory moves when the order of the pulls is shuffled, all counts being the same.

    The mean squared distance between the two memories, divided by that between the memories of two different
    histories: 0 if the order is forgotten, 1 if a shuffled history is as far away as any other.
    """
    generator = make_generator(seed)
    order = torch.rand(seen.arms.shape, generator=generator).argsort(dim=1)
    shuffled = Histories(seen.arms.gather(1, order), seen.rewards.gather(1, order))
    before, after = memories(agent, seen), memories(agent, shuffled)
    other = before[torch.randperm(len(before), generator=generator)]
    moved, apart = (((before - each) ** 2).sum(dim=1).mean() for each in (after, other))
    return float(moved / apart)


def read_out(agent: MemoryAgent, seen: Histories, *, ridge: float = 1e-4) -> float:
    """Return R^2 of the posterior means of all arms, read linearly out of the memory.

    The weights are fitted (with a small ridge penalty) on even histories and judged on odd ones.
    """
    wins, losses = count(seen.arms, seen.rewards, agent.encode.action_size)
    target = torch.from_numpy(posterior_mean(wins, losses)).float()
    x = memories(agent, seen)
    x = torch.cat((x, torch.ones(len(x), 1)), dim=1)
    fit, test = slice(0, None, 2), slice(1, None, 2)
    gram = x[fit].T @ x[fit] + ridge * len(x[fit]) * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x[fit].T @ target[fit])
    error = (x[test] @ weights - target[test]).square().sum()
    spread = (target[test] - target[fit].mean(dim=0)).square().sum()
    return float(1 - error / spread)
