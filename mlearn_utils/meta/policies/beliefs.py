"""Belief + policy: observations that end with what an exact filter knows, so that no memory is needed.

The belief over the hidden target is all of the past that matters, so a policy of the state and the belief can
be as good as one of the whole history. Here the belief is computed, not learned: mean and standard deviation
of `TargetFilter`, which needs to know the family's reward.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from mlearn_utils.tasks.cartpole import OBSERVATION_SCALE, BatchedCartPole, CartPoleTask, CartPoleTasks
from mlearn_utils.tasks.target_belief import TargetFilter


class BeliefTasks:
    """A cart-pole family whose observations [6] end with mean and deviation of the belief over its target.

    The belief lasts as long as the environment: over all episodes of a batch, or of an environment of
    `make_env`, as one trial in one task. Of a family with `seen_episodes` only these change the belief.

    Args:
        family: "dirv", "once", "goalv" or "dir".

    Raises:
        ValueError: if the family is unknown or hides no target.
    """

    observation_scale = (*OBSERVATION_SCALE, 1.0, 1.0)
    horizon = 100

    def __init__(self, family: str):
        self.filter = TargetFilter(family)
        self.hidden = CartPoleTasks(family)
        self.seen_episodes = self.hidden.seen_episodes

    def __repr__(self) -> str:
        return f"BeliefTasks({self.hidden.family!r})"

    def sample(self, n_tasks: int, *, seed: int) -> CartPoleTask:
        """Draw the tasks that `CartPoleTasks.sample` draws."""
        return self.hidden.sample(n_tasks, seed=seed)

    def make_env(self, task: CartPoleTask) -> gym.Env:
        """Return one task whose observation [6] ends with the belief's mean and deviation."""
        return _BeliefWrapper(self.hidden.make_env(task), self)

    def make_batch(
        self, tasks: CartPoleTask, num_envs: int, *, horizon: int = 100, device: torch.device | None = None
    ) -> "BeliefBatch":
        """Return the batch of these tasks with observations [T, E, 6]."""
        return BeliefBatch(self.hidden.make_batch(tasks, num_envs, horizon=horizon, device=device), self)


class _Belief:
    """A belief that lasts over episodes, and heeds the rewards of the first of them."""

    def __init__(self, family: BeliefTasks, *shape: int):
        self.filter, self.seen_episodes = family.filter, family.seen_episodes
        self.log_belief, self.episode = self.filter.prior(*shape), 0

    def look(self, obs: Tensor, reward: Tensor, alive: Tensor) -> None:
        """Take a step in, where the episode had not ended before."""
        if self.seen_episodes is None or self.episode <= self.seen_episodes:
            self.log_belief = self.log_belief.to(obs.device)
            after = self.filter.update(self.log_belief, obs, reward)
            self.log_belief = torch.where(alive.unsqueeze(-1), after, self.log_belief)

    def tell(self, obs: Tensor) -> Tensor:
        """Return observations [..., 6]."""
        mean, deviation = (each.to(obs) for each in self.filter.moments(self.log_belief))
        return torch.cat((obs, mean.unsqueeze(-1), deviation.unsqueeze(-1)), dim=-1)


class BeliefBatch:
    """A batched cart-pole whose observations end with the belief, [T, E, 6]; see `BeliefTasks`.

    Args:
        env: the batch; its reset and step are called.
        family: whose filter it is.
    """

    def __init__(self, env: BatchedCartPole, family: BeliefTasks):
        self._env, self._belief = env, _Belief(family, env.num_tasks, env.num_envs)
        self.num_tasks, self.num_envs, self.horizon = env.num_tasks, env.num_envs, env.horizon
        self.num_features, self.num_actions = env.num_features + 2, env.num_actions

    @property
    def alive(self) -> Any:
        """[T, E] which episodes go on."""
        return self._env.alive

    @property
    def part(self) -> tuple[slice, int] | None:
        """Which tasks these are of how many; see `rl.rollout.part_of`."""
        return self._env.part

    @part.setter
    def part(self, part: tuple[slice, int]) -> None:
        self._env.part = part

    @property
    def log_belief(self) -> Tensor:
        """[T, E, G] the log-beliefs over the filter's targets."""
        return self._belief.log_belief

    def reset(self, *, seed: int) -> Tensor:
        """Start the next episode everywhere; return observations [T, E, 6]."""
        self._belief.episode += 1
        return self._belief.tell(_tensor(self._env.reset(seed=seed)))

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Push every cart once, as `BatchedCartPole.step`."""
        alive = torch.as_tensor(self._env.alive)
        obs, reward, terminated, truncated, info = self._env.step(action)
        self._belief.look(_tensor(obs), _tensor(reward), alive)
        return self._belief.tell(_tensor(obs)), reward, terminated, truncated, info


class _BeliefWrapper(gym.Wrapper):
    """The same for one environment of Gymnasium's kind."""

    def __init__(self, env: gym.Env, family: BeliefTasks):
        super().__init__(env)
        self._belief = _Belief(family)
        seen = env.observation_space
        assert isinstance(seen, gym.spaces.Box)
        low, high = np.append(seen.low, [-1.0, 0.0]), np.append(seen.high, [1.0, 1.0])
        self.observation_space = gym.spaces.Box(low.astype(np.float32), high.astype(np.float32))

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = self.env.reset(**arguments)
        self._belief.episode += 1
        return self._belief.tell(_tensor(obs)).numpy(), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._belief.look(_tensor(obs), _tensor(reward), torch.tensor(True))
        return self._belief.tell(_tensor(obs)).numpy(), reward, terminated, truncated, info


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)
