"""What a policy's outputs mean: probabilities of discrete actions, or a normal density over continuous ones.

A policy maps observations to *action parameters* [..., W]. For A discrete actions these are logits, W = A (or
1 for two actions, see `rl.policies`). For a Box of D numbers they are the mean and the logarithm of the
standard deviation of independent normal distributions, W = 2 D.

Noise is drawn beforehand and pushed through these distributions, so that the same numbers give the same
actions on every device.
"""

import math
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from mlearn_utils.rl import policies


class Actions(Protocol):
    """A kind of actions; `DiscreteActions` and `GaussianActions` are such."""

    @property
    def width(self) -> int:
        """W, how many action parameters a policy returns for an observation."""
        ...

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw what `choose` needs for actions of this shape, on the CPU."""
        ...

    def choose(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return sampled actions for action parameters [..., W]."""
        ...

    def best(self, outputs: Tensor) -> Tensor:
        """Return the most probable actions."""
        ...

    def log_prob(self, outputs: Tensor, act: Tensor) -> Tensor:
        """Return log-probabilities (or log-densities) [...]; differentiable any number of times."""
        ...

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the entropy [...] in nats."""
        ...


class DiscreteActions(NamedTuple):
    """A actions, numbered from 0: act [...] int64.

    Attributes:
        n: A, how many.
    """

    n: int

    @property
    def width(self) -> int:
        """A, or 1 for two actions: a single logit says all."""
        return 1 if self.n == 2 else self.n

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw uniform numbers [...]."""
        return torch.rand(shape, generator=generator)

    def choose(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return actions [...]; see `policies.choose`."""
        return policies.choose(outputs, noise)

    def best(self, outputs: Tensor) -> Tensor:
        """Return the most probable actions [...]."""
        return policies.choose_best(outputs)

    def log_prob(self, outputs: Tensor, act: Tensor) -> Tensor:
        """Return log pi(act) [...]."""
        return policies.log_prob(outputs, act)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the entropy [...] of the probabilities."""
        return policies.entropy(outputs)


class GaussianActions(NamedTuple):
    """Vectors of D numbers: act [..., D] float32, as drawn; where a Box has bounds, its environment clips.

    Attributes:
        size: D.
    """

    size: int

    @property
    def width(self) -> int:
        """2 D: means, then logarithms of standard deviations."""
        return 2 * self.size

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw standard normal numbers [..., D]."""
        return torch.randn((*shape, self.size), generator=generator)

    def choose(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return mean + deviation * noise [..., D]."""
        mean, log_std = outputs.chunk(2, dim=-1)
        return mean + log_std.exp() * noise

    def best(self, outputs: Tensor) -> Tensor:
        """Return the means [..., D]."""
        return outputs[..., : self.size]

    def log_prob(self, outputs: Tensor, act: Tensor) -> Tensor:
        """Return the log-density [...] of actions [..., D], summed over D."""
        mean, log_std = outputs.chunk(2, dim=-1)
        z = (act - mean) * (-log_std).exp()
        return (-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(dim=-1)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the differential entropy [...], 1/2 log(2 pi e) + log std, summed over D."""
        log_std = outputs[..., self.size :]
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(dim=-1)


def actions_of(env: Any) -> Actions:
    """Return the kind of actions of a batch of environments: Gaussian where it has an `action_size`."""
    size = getattr(env, "action_size", None)
    return DiscreteActions(env.num_actions) if size is None else GaussianActions(size)
