"""Small random worlds in which every episode is enumerated: how wrong each surrogate's Hessian is on average.

Nothing is sampled, so what is left is bias alone.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.rl.enumerate_episodes import enumerate_episodes
from mlearn_utils.rl.policies import log_prob
from mlearn_utils.rl.returns import returns_to_go
from mlearn_utils.rl.surrogates import SURROGATES

Function = Callable[[Tensor], Tensor]


class World:
    """Three steps in two rooms with two actions; the policy has one logit for each room.

    Args:
        seed: of transitions, rewards, start and policy.

    Attributes:
        theta: [2] the policy's logits.
    """

    def __init__(self, seed: int):
        random = np.random.default_rng(seed)
        P, R = random.dirichlet(np.ones(2), (2, 2)), random.uniform(-1, 1, (2, 2))
        self._every = enumerate_episodes(P, R, random.dirichlet(np.ones(2)), steps=3)
        self.theta = torch.from_numpy(random.normal(size=2))
        self._mask = torch.ones_like(self._every.reward)
        self._chance = self._every.probability(self.logp(self.theta))

    def logp(self, theta: Tensor) -> Tensor:
        """Return [S, E] the log-probability of each step of each episode."""
        return log_prob(theta[self._every.state].unsqueeze(-1), self._every.act)

    def expected_return(self, theta: Tensor) -> Tensor:
        """Return J(theta), with no discount."""
        return (self._every.probability(self.logp(theta)) * self._every.reward.sum(dim=0)).sum()

    def credit(self, *, has_baseline: bool) -> Tensor:
        """Return [S, E] returns to go, less the mean return to go of the same room at the same time."""
        to_go = returns_to_go(self._every.reward, self._mask, gamma=1.0)
        in_room = torch.nn.functional.one_hot(self._every.state, 2) * self._chance[:, None]  # [S, E, 2]
        mean = (in_room * to_go[..., None]).sum(1) / in_room.sum(1).clamp(min=1e-12)
        return to_go - mean.gather(1, self._every.state) if has_baseline else to_go

    def mean_surrogate(self, name: str, *, has_baseline: bool) -> Function:
        """Return the function of theta whose derivatives the episodes of `self.theta` estimate."""
        credit = self.credit(has_baseline=has_baseline)
        return lambda theta: (self._chance * SURROGATES[name](self.logp(theta), credit, self._mask)).sum()


def errors(count: int = 20, *, inner_lr: float = 1.0) -> dict[str, np.ndarray]:
    """Return kind of derivative -> relative errors [count, 2]: of the Hessian, and of the meta-gradient.

    The kinds are "first order" (no Hessian at all), and each surrogate without and with a baseline.

    Args:
        count: how many worlds.
        inner_lr: step size of the inner step in the meta-gradient.
    """
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in range(count):
        world = World(seed)
        exact = _matrix(hessian(world.expected_return, world.theta))
        found = {"first order": torch.zeros_like(exact)}
        for name in SURROGATES:
            for has_baseline in (False, True):
                kind = f"{name}, {'baseline' if has_baseline else 'no baseline'}"
                mean = world.mean_surrogate(name, has_baseline=has_baseline)
                found[kind] = _matrix(hessian(mean, world.theta))
        slope = _matrix(jacobian(world.expected_return, world.theta))
        there = _matrix(jacobian(world.expected_return, world.theta + inner_lr * slope))
        right = there + inner_lr * exact @ there
        for kind, second in found.items():
            meta = there + inner_lr * second @ there
            rows.setdefault(kind, []).append((_relative(second, exact), _relative(meta, right)))
    return {kind: np.array(values) for kind, values in rows.items()}


def predict_plain() -> Predict:
    """Ask what is left of the Hessian when sampled log-probabilities are differentiated twice."""
    answer = (
        "<b>Nothing at all</b>, on average: the error is the whole Hessian. With a baseline the credits of "
        "each state have mean 0 whatever is done there, and in this policy the second derivative of log π "
        "does not depend on the action. What is missing is how θ changes which episodes are seen. The "
        "gradient itself is right, so no look at the inner step shows it."
    )
    return Predict(
        "The plain surrogate is used with a perfect baseline, and autograd differentiates it twice. How much "
        "of the exact Hessian is in the mean over all episodes?",
        ("all of it: autograd is exact", "about nine tenths", "about half", "nothing"),
        lambda guess: answer,
        name="hessian-of-the-plain-surrogate",
    )


def _matrix(value: object) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _relative(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())
