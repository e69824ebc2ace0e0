"""What the networks of lesson 09 share: their size, and step sizes that fall to a tenth in every training."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from mlearn_utils.meta.learner import MetaLearner, TaskFamily

STAGES = 10
"""Steps in which the step size of a training falls."""
HIDDEN = 40


def network(inputs: int, outputs: int, *, seed: int) -> nn.Sequential:
    """Return a network of two hidden layers, made from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(inputs, HIDDEN),
            nn.Tanh(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Tanh(),
            nn.Linear(HIDDEN, outputs),
        )


def stages(lr: float, updates: int) -> list[tuple[float, int]]:
    """Return (step size, updates) of each stage of a training; the updates are shared out evenly."""
    ends = np.linspace(0, updates, STAGES + 1).astype(int)
    return list(zip(np.linspace(1.0, 0.1, STAGES) * lr, np.diff(ends).tolist(), strict=True))


def adam_steps(model: nn.Module, lr: float, updates: int) -> Iterator[torch.optim.Adam]:
    """Yield Adam once for each update, with the step size of its stage."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for rate, number in stages(lr, updates):
        optimizer.param_groups[0]["lr"] = rate
        for _ in range(number):
            yield optimizer


def train_staged(
    learner: MetaLearner,
    data: TaskFamily,
    meta_lr: float,
    updates: int,
    *,
    shots: int,
    tasks: int,
    queries: int,
    seed: int,
) -> MetaLearner:
    """Train MAML with the same falling step sizes, and return it."""
    for rate, number in stages(meta_lr, updates):
        learner.meta_lr = rate
        if number:
            learner.train(data, number, shots, tasks, query_batch_size=queries, seed=seed, progress=False)
    return learner
