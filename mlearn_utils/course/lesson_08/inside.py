"""What is in the memory of a bandit player: what can be read out of it, and what it makes of the order.

Every measure is taken of an untrained network of the same shape as well: what it has, training did not bring.
"""

from typing import NamedTuple

import numpy as np
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


def slow_twin(agent: MemoryAgent, *, seed: int = 0, bias: float = 2.0) -> MemoryAgent:
    """Return an untrained agent of the same shape whose GRU forgets slowly: a constant on its update gate."""
    twin = MemoryAgent(agent.family, agent.config, seed=seed, device="cpu")
    weights = dict(twin.network.named_parameters())
    with torch.no_grad():
        weights["body.bias_ih_l0"].chunk(3)[1].add_(bias)  # torch's order: reset, update, new
    return twin


def win_stay(*, pulls: int = 10, histories: int = 200_000, seed: int = 0) -> float:
    """Return the mean return of who stays with one of five arms after a win, and goes on after a loss.

    It needs to see the last pull and its reward, and nothing else.
    """
    chances = BernoulliBandits(5).sample(histories, seed=seed).chances
    rng, row = np.random.default_rng([seed, 2]), np.arange(histories)
    arm, wins = np.zeros(histories, dtype=int), np.zeros(histories)
    for _ in range(pulls):
        won = rng.uniform(size=histories) < chances[row, arm]
        wins += won
        arm = np.where(won, arm, (arm + 1) % 5)
    return float(wins.mean())


def read_out(agent: MemoryAgent, seen: Histories, *, ridge: float = 1e-8) -> float:
    """Return R^2 of the posterior means of all arms, read linearly out of the memory.

    The weights are fitted (with a small ridge penalty) on even histories and judged on odd ones.
    """
    wins, losses = count(seen.arms, seen.rewards, agent.encode.action_size)
    target = torch.from_numpy(posterior_mean(wins, losses)).float()
    target = target.double()
    x = memories(agent, seen).double()
    x = torch.cat((x, torch.ones(len(x), 1).double()), dim=1)
    fit, test = slice(0, None, 2), slice(1, None, 2)
    gram = x[fit].T @ x[fit] + ridge * len(x[fit]) * torch.eye(x.shape[1]).double()
    weights = torch.linalg.solve(gram, x[fit].T @ target[fit])
    error = (x[test] @ weights - target[test]).square().sum()
    spread = (target[test] - target[fit].mean(dim=0)).square().sum()
    return float(1 - error / spread)


def frozen_head(
    agent: MemoryAgent, *, histories: int = 4000, judged: int = 20_000, pulls: int = 10, seed: int = 0
) -> float:
    """Return the mean return of linear heads, one for each pull, on a memory of which no weight is trained.

    Before each pull a head guesses the posterior means of all arms, and pulls the largest. It is fitted by
    least squares, with a small ridge, on histories that the heads before it played with a fifth of the pulls
    at random; then all of them play bandits that are new to them.

    Args:
        agent: whose recurrent network is used as it is.
        histories: to fit on.
        judged: bandits whose mean return is returned.
        pulls: of a trial.
        seed: of bandits and pulls.
    """
    rng, n_arms = np.random.default_rng(seed), agent.encode.action_size
    heads: list[np.ndarray] = []
    rewards = np.zeros((0, 0))
    for size, random_share in ((histories, 0.2), (judged, 0.0)):
        chances, row = rng.uniform(size=(size, n_arms)), np.arange(size)
        arms, rewards = np.zeros((size, 0), dtype=int), np.zeros((size, 0))
        for pull in range(pulls):
            best = np.zeros(size, dtype=int)
            if pull > 0:
                seen = Histories(torch.from_numpy(arms), torch.from_numpy(rewards).float())
                x = np.c_[memories(agent, seen).double().numpy(), np.ones(size)]
                if len(heads) < pull:
                    means = posterior_mean(*count(seen.arms, seen.rewards, n_arms))
                    heads.append(np.linalg.solve(x.T @ x + 1e-8 * size * np.eye(x.shape[1]), x.T @ means))
                best = (x @ heads[pull - 1]).argmax(axis=1)
            arm = np.where(rng.uniform(size=size) < random_share, rng.integers(n_arms, size=size), best)
            won = rng.uniform(size=size) < chances[row, arm]
            arms, rewards = np.c_[arms, arm], np.c_[rewards, won.astype(float)]
    return float(rewards.sum(axis=1).mean())
