"""Episodes of many tasks and environments at once, [task T, time S, environment E, ...].

An environment that has finished stays finished, so every row of a rollout holds exactly one episode: the
mask is 1 from its first step to the one that ended it, and 0 after that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.rl.actions import Actions, actions_of

LEAST_DEVIATION = 1e-5
"""Smallest deviation of a feature, as a share of its mean, that counts as such."""

CHECK_EVERY = 10  # steps between two looks at whether every episode has ended: each look waits for a GPU


class BatchEnv(Protocol):
    """T tasks x E environments stepped together; finished ones are frozen, with reward 0.

    One with continuous actions also has `action_size`, D: its actions are [T, E, D]. One that holds something
    that must be closed has `close()`. One that can be a part of a larger batch has `part`, see `part_of`.

    `tasks.cartpole.BatchedCartPole` and `rl.gymnasium_batch.GymnasiumBatch` are such. Arrays
    are numpy, or torch tensors on one device.
    """

    num_tasks: int
    num_envs: int
    num_features: int
    num_actions: int
    horizon: int
    alive: Any

    def reset(self, *, seed: int) -> Any:
        """Start all episodes; return observations [T, E, F]."""
        ...

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take actions [T, E]; return observation, reward, terminated, truncated [T, E, ...] and info."""
        ...


class Policy(Protocol):
    """Observations [T, E, F] float32 -> action parameters [T, E, W], such as logits; see `rl.actions`."""

    def __call__(self, obs: Tensor, /) -> Tensor:
        """Return the action parameters."""
        ...


class Rollout(NamedTuple):
    """One episode of each environment, float32 but for the actions; S is the longest episode's length.

    An episode that terminated has a 1 in `terminated` at its last step; one that was truncated has none,
    and the observation after its last step (the next of `obs`, or `last_obs`) is the one to bootstrap from.

    Attributes:
        obs: [T, S, E, F] what the policy saw; frozen after the end.
        act: [T, S, E] int64 what it did; [T, S, E, D] float32 where actions are continuous.
        reward: [T, S, E] what it got; 0 after the end.
        mask: [T, S, E] 1 for every step taken, the one that ended the episode included.
        terminated: [T, S, E] 1 at the step on which the task itself ended the episode.
        last_obs: [T, E, F] the observation after the last step.
    """

    obs: Tensor
    act: Tensor
    reward: Tensor
    mask: Tensor
    terminated: Tensor
    last_obs: Tensor

    def episode_returns(self) -> Tensor:
        """Return [T, E] the undiscounted return of each episode."""
        return self.reward.sum(dim=-2)

    def deviation(self) -> Tensor:
        """Return [F] the standard deviation of each feature over all steps taken; 1 where it never varied."""
        deviation = self.obs[self.mask > 0].std(dim=0, correction=0)
        return torch.where(deviation > 0, deviation, torch.ones_like(deviation))

    def center_and_scale(self) -> tuple[Tensor, Tensor]:
        """Return [F] and [F]: what to subtract from each feature, and what to divide it by, for a network.

        The divisor is the standard deviation, at least a hundred-thousandth of the feature's mean. The mean
        is subtracted where it is larger than the deviation: a feature that is large but hardly varies would
        be all that a network sees.
        """
        seen = self.obs[self.mask > 0]
        mean, deviation = seen.double().mean(dim=0).float(), seen.std(dim=0, correction=0)
        scale = torch.maximum(self.deviation(), LEAST_DEVIATION * mean.abs())
        return torch.where(mean.abs() > deviation, mean, torch.zeros_like(mean)), scale


@contextmanager
def closing_batch(env: BatchEnv) -> Iterator[BatchEnv]:
    """Use a batch of environments, and close it after that if it can be closed."""
    try:
        yield env
    finally:
        getattr(env, "close", lambda: None)()


def part_of(env: Any) -> tuple[slice, int]:
    """Return which tasks of how many a batch holds, as its attribute `part` says; all of them without one.

    Where several processes share the tasks of a batch, each draws the random numbers of all of them and keeps
    those of its own: episodes do not depend on how many processes there are.
    """
    return getattr(env, "part", None) or (slice(0, env.num_tasks), env.num_tasks)


@torch.no_grad()
def collect(env: BatchEnv, policy: Policy, *, generator: torch.Generator, greedy: bool = False) -> Rollout:
    """Play one episode in every environment.

    A policy with parameters of its own for each task is a closure over parameters [T, *], for instance
    `rl.policies.fixed_mlp(task_params)`: one matrix product serves all tasks.

    Args:
        env: T tasks x E environments.
        policy: observations [T, E, F] -> action parameters [T, E, W].
        generator: CPU generator; it seeds the environments and draws the actions, on any device the same.
        greedy: take the most probable action instead of a sample.

    Raises:
        TypeError: if `policy` is not callable.
        ValueError: if the action parameters have another shape or are not finite, or an observation or a
            reward is not finite (the step, task and environment are named).
    """
    if not callable(policy):
        raise TypeError(f"policy must be callable, observations -> logits, got {type(policy).__name__}")
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    obs, actions = _float(env.reset(seed=seed)), actions_of(env)
    tasks, of = part_of(env)
    noise = actions.noise((env.horizon, of, obs.shape[1]), generator)[:, tasks].to(obs.device).unbind()
    in_numpy = isinstance(env.alive, np.ndarray)
    steps = []
    for step in range(env.horizon):
        logits = policy(obs)
        if step == 0:
            _check_outputs(logits, env, actions)
        act = actions.best(logits) if greedy else actions.choose(logits, noise[step])
        alive = env.alive
        after, reward, terminated, _, _ = env.step(act.numpy() if in_numpy else act)
        steps.append((obs, act, reward, alive, terminated))
        obs = _float(after)
        if step % CHECK_EVERY == CHECK_EVERY - 1 and not env.alive.any():
            break
    return _pack(steps, obs)


def _pack(steps: list[tuple[Any, ...]], last_obs: Tensor) -> Rollout:
    """Stack the steps along the time axis and cut off those that nobody took."""
    obs, act, reward, mask, terminated = (_stack(values) for values in zip(*steps, strict=True))
    taken = int(mask.amax(dim=(0, 2)).sum())
    check_played("observation", obs, mask)
    check_played("observation after the last step", last_obs.unsqueeze(1), mask[:, :1])
    check_played("reward", reward, mask)
    fields = (obs, act, reward.float(), mask.float(), (terminated & mask).float())
    return Rollout(*(field[:, :taken] for field in fields), last_obs=last_obs)


def _stack(values: tuple[Any, ...]) -> Tensor:
    if isinstance(values[0], np.ndarray):
        return torch.from_numpy(np.stack(values, axis=1))
    return torch.stack(values, dim=1)


def _float(obs: Any) -> Tensor:
    """Return a contiguous tensor: the batched cart-pole keeps its components apart, networks want rows."""
    if isinstance(obs, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(obs, dtype=np.float32))
    return torch.as_tensor(obs, dtype=torch.float32).contiguous()


def _check_outputs(outputs: Any, env: BatchEnv, actions: Actions) -> None:
    widths = {actions.width, getattr(env, "num_actions", None)} - {None}
    shapes = [(env.num_tasks, env.num_envs, width) for width in sorted(widths, reverse=True)]
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) not in shapes:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        what = "logits" if getattr(env, "action_size", None) is None else "means and logarithms of deviations"
        raise ValueError(f"policy must return {what} of shape {' or '.join(map(str, shapes))}, got {got}")


def check_played(name: str, values: Tensor, mask: Tensor, *, of: str = "an episode") -> None:
    """Raise, naming the first step, unless values [T, S, E, ...] are finite wherever the mask is true."""
    good = torch.isfinite(values)
    if bool(good.all()):
        return
    bad = (~good.flatten(3).all(-1) if good.ndim > 3 else ~good) & mask.bool()
    where = bad.nonzero()
    if len(where):
        task, step, env = where[where[:, 1].argmin()].tolist()
        got = values[task, step, env].flatten()[:8].tolist()
        raise ValueError(
            f"{name} must be finite, got {got[0] if values.ndim == 3 else got} at step {step} of {of} "
            f"(task {task}, environment {env})"
        )
