"""Small random worlds in which every episode is enumerated: how wrong each surrogate's Hessian is on average.

Nothing is sampled, so what is left is bias alone.
"""

import itertools
import math
from collections import Counter
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

    def log_chance(self) -> Tensor:
        """Return [E] the logarithm of each episode's probability under the world's policy."""
        return self._chance.log()

    def derivatives(self, name: str) -> tuple[Tensor, Tensor]:
        """Return [E, 2] and [E, 2, 2] each episode's derivatives of a surrogate, less a perfect baseline."""
        credit = self.credit(has_baseline=True)
        own = self.theta.repeat(len(self._chance), 1).requires_grad_()  # [E, 2]: a policy for each episode
        total = SURROGATES[name](self._logp_each(own), credit, self._mask).sum()
        (slope,) = torch.autograd.grad(total, own, create_graph=True)
        rows = [torch.autograd.grad(slope[:, k].sum(), own, retain_graph=True)[0] for k in range(2)]
        return slope.detach(), torch.stack(rows, dim=1)

    def scores(self) -> Tensor:
        """Return [E, 2] the derivative of each episode's log-probability."""
        own = self.theta.repeat(len(self._chance), 1).requires_grad_()
        return torch.autograd.grad(self._logp_each(own).sum(), own)[0]

    def _logp_each(self, own: Tensor) -> Tensor:
        """Return [S, E] as `logp`, with the policy own[e] for episode e."""
        return log_prob(own.gather(1, self._every.state.T).T.unsqueeze(-1), self._every.act)

    def batches(self, episodes: int) -> tuple[Tensor, Tensor]:
        """Return all batches of so many episodes, order aside.

        Returns:
            [B, E] how often each of the world's episodes is in a batch, and [B] in how many orders it comes.
        """
        size = len(self._chance)
        found = [Counter(batch) for batch in itertools.combinations_with_replacement(range(size), episodes)]
        counts = torch.zeros(len(found), size, dtype=torch.float64)
        for row, batch in zip(counts, found, strict=True):
            for episode, times in batch.items():
                row[episode] = times
        orders = [math.factorial(episodes) / math.prod(map(math.factorial, b.values())) for b in found]
        return counts, torch.tensor(orders, dtype=torch.float64)

    def returns_of(self, thetas: Tensor) -> Tensor:
        """Return [B] J of each policy in thetas [B, 2]."""
        logits = thetas[:, self._every.state].unsqueeze(-1)  # [B, S, E, 1]
        logp = log_prob(logits, self._every.act.expand(len(thetas), *self._every.act.shape))
        return (self._every.chance * logp.sum(dim=1).exp()) @ self._every.reward.sum(dim=0)


def scatter(count: int = 12) -> dict[str, np.ndarray]:
    """Return for each surrogate with a baseline [count]: how far one episode's Hessian is from their mean.

    The root of the mean squared distance, relative to the size of the exact Hessian.
    """
    rows: dict[str, list[float]] = {}
    for seed in range(count):
        world = World(seed)
        chance, exact = world.log_chance().exp(), _matrix(hessian(world.expected_return, world.theta))
        for name in SURROGATES:
            each = world.derivatives(name)[1]  # [E, 2, 2]
            mean = torch.einsum("e,eij->ij", chance, each)
            spread = (chance * (each - mean).square().sum(dim=(1, 2))).sum().sqrt()
            rows.setdefault(f"{name}, baseline", []).append(float(spread / exact.norm()))
    return {kind: np.array(values) for kind, values in rows.items()}


def sampled_errors(count: int = 12, *, episodes: int = 2, inner_lr: float = 1.0) -> dict[str, np.ndarray]:
    """Return kind of derivative -> relative errors [count] of the meta-gradient of what is really run.

    What is run is a step along the gradient of a *sampled* batch of episodes, so the objective is the mean of
    J(theta + inner_lr * slope of the batch) over all batches. Its exact gradient has a term for the
    probability of the batch, which depends on theta, too (Stadie et al. 2018, "Some Considerations on
    Learning to Explore via Meta-Reinforcement Learning", arXiv:1803.01118: E-MAML). No surrogate has that
    term. The credits are held fixed, as they are in practice.

    Args:
        count: how many worlds.
        episodes: in a batch.
        inner_lr: step size of the inner step.
    """
    rows: dict[str, list[float]] = {}
    for seed in range(count):
        found = sampled_gradients(World(seed), episodes=episodes, inner_lr=inner_lr)
        for name, value in found.items():
            rows.setdefault(name, []).append(_relative(value, found["plain + sampling term"]))
    return {name: np.array(values) for name, values in rows.items()}


def sampled_gradients(world: World, *, episodes: int, inner_lr: float) -> dict[str, Tensor]:
    """Return kind of derivative -> [2] the meta-gradient of one world; arguments as in `sampled_errors`."""
    counts, orders = world.batches(episodes)
    derivatives = {name: world.derivatives(name) for name in SURROGATES}
    slopes = derivatives["plain"][0]  # [E, 2]; all surrogates have the same
    adapted = (world.theta + inner_lr * counts @ slopes / episodes).requires_grad_()  # [B, 2]
    earned = world.returns_of(adapted)
    (there,) = torch.autograd.grad(earned.sum(), adapted)
    earned = earned.detach()
    weight = orders * (counts @ world.log_chance()).exp()  # [B], sums to 1
    found = {}
    for name, (_, second) in derivatives.items():
        mean = torch.einsum("be,eij->bij", counts, second) / episodes
        found[name] = weight @ (there + inner_lr * torch.einsum("bij,bj->bi", mean, there))
    found["first order"] = weight @ there
    exploring = (weight * (earned - weight @ earned)) @ (counts @ world.scores())
    found["plain + sampling term"] = found["plain"] + exploring
    return found


def errors(count: int = 20, *, inner_lr: float = 1.0) -> dict[str, np.ndarray]:
    """Return kind of derivative -> relative errors [count, 2]: of the Hessian, and of the meta-gradient.

    The kinds are "first order" (no Hessian at all), and each surrogate without and with a baseline. The inner
    step is along the exact gradient, that of infinitely many episodes.

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
