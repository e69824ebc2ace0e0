"""What the rewards seen so far say about a cart-pole's hidden target: Bayes' rule on a grid of targets.

Before the first step every target of the family's range is equally likely. A step at state s that pays r
leaves the targets that would have paid r there:

    p(v | r, s)  proportional to  p(v) exp(-(r - R(s, v))^2 / (2 width^2))

where R is the family's reward. The reward has no noise: the width is half the distance between two targets of
the grid, so that the nearest to the true one survives, and the belief is exact up to that distance. A reward
above 0 says how far away the target is, so R(s, v) then counts as 1 - |x_dot - v|, below 0 for targets that
would have paid nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.runtime import check_integer
from mlearn_utils.tasks.cartpole_tasks import FAMILIES, check_family


@dataclass(frozen=True)
class TargetFilter:
    """The exact filter over the target of a cart-pole family.

    Attributes:
        family: "dirv", "once", "goalv" or "dir".
        points: targets on each side of zero that the grid holds, >= 2; "dir" has one on each side.

    Raises:
        ValueError: if the family is unknown or hides no target, or `points` is not an integer >= 2.
    """

    family: str
    points: int = 26

    def __post_init__(self):
        check_family(self.family)
        check_integer("points", self.points, minimum=2)
        if FAMILIES[self.family].target is None:
            raise ValueError(f"family must be one that hides a target, got {self.family!r}")

    @property
    def targets(self) -> Tensor:
        """[G] the grid, in ascending order, float32."""
        if self.family == "dir":
            return torch.tensor([-1.0, 1.0])
        low = 0.5 if self.family in ("dirv", "once") else 0.5 / self.points
        side = np.linspace(low, 1.0, self.points)
        return torch.from_numpy(np.concatenate([-side[::-1], side])).float()

    @property
    def width(self) -> float:
        """How far a reward may be from a target's own, in units of reward."""
        return 0.005 if self.family == "dir" else float(self.targets[-1] - self.targets[-2]) / 2

    def prior(self, *shape: int) -> Tensor:
        """Return log-beliefs [*shape, G] before anything was seen."""
        targets = self.targets
        return torch.full((*shape, len(targets)), -float(np.log(len(targets))))

    def update(self, log_belief: Tensor, obs: Tensor, reward: Tensor) -> Tensor:
        """Return the log-beliefs [..., G], normalised, after a step.

        Args:
            log_belief: [..., G] before it.
            obs: [..., 4] the state that the step reached, finite.
            reward: [...] what it paid, finite: by a target within the range of the family. One that no target
                of the range would have paid leaves those that come nearest.

        Raises:
            ValueError: if a state or a reward is not finite.
        """
        for name, given in (("obs", obs), ("reward", reward)):
            if not bool(given.isfinite().all()):
                raise ValueError(f"{name} must be finite, got {given[~given.isfinite()][:3].tolist()}")
        targets = self.targets.to(obs)
        paid = reward.unsqueeze(-1)
        expected = FAMILIES[self.family].reward(obs.unsqueeze(-2), targets)
        if self.family != "dir":
            expected = torch.where(paid > 0, 1 - (obs[..., 1:2] - targets).abs(), expected)
        told = log_belief - 0.5 * ((paid - expected) / self.width) ** 2
        return torch.log_softmax(told, dim=-1)

    def moments(self, log_belief: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation [...] of beliefs [..., G]."""
        belief, targets = log_belief.exp(), self.targets.to(log_belief)
        mean = (belief * targets).sum(dim=-1)
        spread = (belief * (targets - mean.unsqueeze(-1)) ** 2).sum(dim=-1)
        return mean, spread.sqrt()
