"""What a step was worth: discounted returns, a baseline, generalised advantages.

Everything keeps the axes [..., time S, environment E]; a leading task axis makes each quantity per task.
Arrays are torch tensors, and every function is differentiable, also with respect to `gamma`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mlearn_utils.rl.rollout import Rollout
from mlearn_utils.runtime import check_fraction

Scalar = float | Tensor
Totals = Callable[..., Sequence[Tensor]]
"""Tensors -> as many, such as `meta.ranks.Ranks.total`."""

LARGEST_FEATURE = 1e3
"""Root mean square of a feature from which on the baseline is fitted in float64."""

MANY_FEATURES = 100
"""Features of an observation (pixels, mostly) from which on the baseline looks at the time alone."""

LEAST_SPREAD = 1e-5
"""Share of the returns below which a difference between them is rounding."""


def discounted_sums(x: Tensor, factor: Scalar) -> Tensor:
    """Return y [..., S, E] with y_t = sum over k >= 0 of factor^k x_{t+k}.

    One product with the triangular matrix of powers, instead of a loop over time.

    Args:
        x: [..., S, E]; zero after the end of an episode.
        factor: in [0, 1], a number or a 0-d tensor.
    """
    steps = torch.arange(x.shape[-2], device=x.device)
    ahead = steps - steps.unsqueeze(-1)  # [S, S]: how far t' lies after t
    powers = torch.as_tensor(factor, dtype=x.dtype, device=x.device) ** ahead.clamp(min=0)
    return (powers * (ahead >= 0)) @ x


def returns_to_go(reward: Tensor, mask: Tensor, *, gamma: Scalar) -> Tensor:
    """Return [..., S, E] the discounted return from each step on: G_t = r_t + gamma G_{t+1}.

    Nothing is added after the last step, be it terminated or truncated: the time limit counts as part of
    the task. G_0 is the discounted return of the episode.

    Args:
        reward: [..., S, E].
        mask: [..., S, E] 1 for every step taken, the one that ended the episode included.
        gamma: discount in [0, 1].

    Raises:
        ValueError: if `gamma` is outside [0, 1].
    """
    _check_scalar("gamma", gamma)
    return discounted_sums(reward * mask, gamma)


def gae(
    reward: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    gamma: Scalar,
    lam: Scalar,
    terminated: Tensor | None = None,
    last_values: Tensor | None = None,
) -> Tensor:
    """Return [..., S, E] generalised advantages, A_t = sum_k (gamma lam)^k delta_{t+k}.

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t). After the last step of an episode V counts as 0, also where
    the time limit ended it: right for a baseline that knows the time. With `last_values` and `terminated`
    a truncated episode is bootstrapped instead: V of the state it was cut off at, as if it went on.

    Args:
        reward: [..., S, E].
        values: [..., S, E] the baseline at each observation; after the end it may hold anything finite.
        mask: [..., S, E] 1 for every step taken.
        gamma: discount in [0, 1].
        lam: in [0, 1]; 0 trusts the baseline after one step, 1 uses the whole sampled return.
        terminated: [..., S, E] 1 at the step on which the task ended the episode; needed to bootstrap.
        last_values: [..., E] the baseline at the observation after step S - 1.

    Raises:
        ValueError: if `gamma` or `lam` is outside [0, 1], or only one of the last two arguments is given.

    Reference:
        Schulman et al. (2016), "High-dimensional continuous control using generalized advantage
        estimation", equation 16.
    """
    _check_scalar("gamma", gamma)
    _check_scalar("lam", lam)
    if (terminated is None) != (last_values is None):
        raise ValueError("terminated and last_values must be given together: bootstrapping needs both")
    nothing = torch.zeros_like(values[..., :1, :])
    goes_on = torch.cat((mask[..., 1:, :], nothing), dim=-2)
    after = nothing
    if terminated is not None and last_values is not None:
        goes_on, after = mask * (1 - terminated), last_values.unsqueeze(-2)
    next_values = torch.cat((values[..., 1:, :], after), dim=-2)
    delta = (reward + gamma * goes_on * next_values - values) * mask
    return discounted_sums(delta, gamma * lam)


def baseline_features(obs: Tensor, *, start: int = 0) -> Tensor:
    """Return [..., S, E, 2F + 4]: obs, obs^2, t, t^2, t^3, 1, with t in hundreds of steps.

    Of observations with more than 100 numbers only the last four: fitted to as many features as there are
    steps, a baseline would take all advantages away.

    Args:
        obs: [..., S, E, F] observations of consecutive steps.
        start: the number of the first step.
    """
    steps = torch.arange(start, start + obs.shape[-3], dtype=obs.dtype, device=obs.device) / 100
    t = steps[:, None, None].expand(*obs.shape[:-1], 1)
    time = (t, t**2, t**3, torch.ones_like(t))
    return torch.cat(time if obs.shape[-1] > MANY_FEATURES else (obs, obs**2, *time), dim=-1)


def fit_ridge(features: Tensor, targets: Tensor, mask: Tensor, *, ridge: float = 1e-5) -> Tensor:
    """Return weights [..., K] of the linear baseline, fitted for each task on its own.

    Solves (sum m x x' + n ridge I) w = sum m x y over the n steps taken (mask m); in float64 where features
    are so large that float32 could not.

    Args:
        features: [..., S, E, K].
        targets: [..., S, E] what to predict, e.g. the returns to go.
        mask: [..., S, E] 1 for every step taken.
        ridge: strength of the penalty on the weights, > 0.

    Reference:
        Duan et al. (2016), "Benchmarking deep reinforcement learning for continuous control".
    """
    x = (features * mask.unsqueeze(-1)).flatten(-3, -2)
    y = (targets * mask).flatten(-2)
    steps = mask.sum(dim=(-2, -1))[..., None, None]
    gram = x.mT @ x / steps
    if gram.dtype == torch.float32 and not bool((gram.detach() < LARGEST_FEATURE**2).all()):
        wide = (array.cpu().double() for array in (features, targets, mask))  # not every device has float64
        return fit_ridge(*wide, ridge=ridge).to(features)
    penalty = ridge * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    moment = (x.mT @ y.unsqueeze(-1)) / steps
    weights, info = torch.linalg.solve_ex(gram + penalty, moment)
    if bool((info != 0).any()):  # features so large that the penalty is lost beside them
        weights = torch.where(
            (info != 0)[..., None, None], torch.linalg.pinv(gram + penalty, hermitian=True) @ moment, weights
        )
    return weights.squeeze(-1)


def baseline_values(weights: Tensor, features: Tensor) -> Tensor:
    """Return the linear baseline [..., S, E] of weights [..., K] at features [..., S, E, K]."""
    return (features @ weights[..., None, :, None]).squeeze(-1)


def normalise(adv: Tensor, mask: Tensor, *, total: Totals = lambda *values: values) -> Tensor:
    """Return advantages [..., S, E] with mean 0 and standard deviation 1 over each task's steps taken.

    Over each task's own: a mean over tasks would tell an easy task that all it did was good.

    Args:
        adv: [..., S, E].
        mask: [..., S, E] 1 for every step taken.
        total: sums -> sums over all processes that share these episodes; by default there are no others.
    """
    count, sums = total(*(each.sum(dim=(-2, -1), keepdim=True) for each in (mask, adv * mask)))
    centered = (adv - sums / count) * mask
    (squares,) = total(centered.square().sum(dim=(-2, -1), keepdim=True))
    return centered / ((squares / count).sqrt() + 1e-8)


def informative(targets: Tensor, reward: Tensor, mask: Tensor) -> Tensor:
    """Return [..., 1, 1] whether the episodes of a task tell any action from another.

    They do not where every episode got the same from each moment on: what is left of the returns after a
    baseline is then the baseline's own error, and dividing by its deviation would make a full step of it. A
    single episode tells nothing if all its rewards are the same.

    Args:
        targets: [..., S, E] returns to go.
        reward: [..., S, E].
        mask: [..., S, E] 1 for every step taken.
    """
    axes = (-2, -1)
    if targets.shape[-1] == 1:
        steps = mask.sum(dim=axes, keepdim=True)
        apart = (reward - (reward * mask).sum(dim=axes, keepdim=True) / steps) * mask
        largest = (reward * mask).abs().amax(dim=axes, keepdim=True)
    else:
        apart, largest = (
            targets - targets.mean(dim=-1, keepdim=True),
            targets.abs().amax(dim=axes, keepdim=True),
        )
    return apart.abs().amax(dim=axes, keepdim=True) > LEAST_SPREAD * largest


def advantages(
    rollout: Rollout, *, gamma: Scalar, lam: Scalar, normalised: bool = True, informed: bool = True
) -> Tensor:
    """Return advantages [T, S, E]: GAE over a ridge baseline fitted to each task's own episodes.

    The time limit counts as part of the task: the baseline sees the time, and nothing is bootstrapped. Where
    the episodes of a task tell nothing (see `informative`), its advantages are 0.

    Args:
        rollout: episodes [T, S, E].
        gamma: discount in [0, 1], a number or for each task a tensor [T, 1, 1].
        lam: GAE's lambda in [0, 1], likewise.
        normalised: with mean 0 and standard deviation 1 over each task's steps, or as they are.
        informed: set those of tasks that tell nothing to 0; else they are the baseline's error.

    Raises:
        ValueError: if `gamma` or `lam` is outside [0, 1].
    """
    targets = returns_to_go(rollout.reward, rollout.mask, gamma=gamma)
    features = baseline_features(rollout.obs)
    values = baseline_values(fit_ridge(features, targets, rollout.mask), features)
    adv = gae(rollout.reward, values, rollout.mask, gamma=gamma, lam=lam)
    adv = normalise(adv, rollout.mask) if normalised else adv
    return adv * informative(targets.detach(), rollout.reward, rollout.mask) if informed else adv


def _check_scalar(name: str, value: Scalar) -> None:
    """Raise ValueError unless `value` lies in [0, 1]; a tensor is not looked into, it may be under vmap."""
    if not isinstance(value, Tensor):
        check_fraction(name, value)
