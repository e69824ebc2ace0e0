"""A policy that adapts: what a family of tasks, a configuration and shared parameters make together.

It explores tasks with the shared policy, takes inner steps on what it saw, and is judged before and after.
How the shared parameters are learned is in `meta.policies.agent`; all mathematics is in
`meta.policies.adaptation` and `meta.maml`.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from mlearn_utils.meta import maml
from mlearn_utils.meta.policies.adaptation import EpisodeBatch, policy_task_loss, with_advantages
from mlearn_utils.meta.policies.config import MAMLConfig
from mlearn_utils.meta.policies.tasks import PolicyTasks, find_family, make_batch, observation_scale
from mlearn_utils.rl.policies import mlp, start_policy
from mlearn_utils.rl.rollout import BatchEnv, Policy, Rollout, collect
from mlearn_utils.rl.surrogates import SURROGATES
from mlearn_utils.runtime import make_generator, pick_device

Params = maml.Params


class AdaptivePolicy:
    """Shared parameters of a policy, from which it adapts to each task by gradient steps on its own episodes.

    Arguments and errors as in `MAMLAgent`.

    Attributes:
        params: the shared parameters [*], a policy to adapt from.
        scale: [F] what observations are divided by.
        task_loss: what an inner step descends, as `policy_task_loss` makes it.
    """

    def __init__(
        self,
        env: PolicyTasks | gym.Env | str,
        config: MAMLConfig | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
    ):
        self.config = MAMLConfig() if config is None else config
        if not isinstance(self.config, MAMLConfig):
            raise TypeError(f"config must be a MAMLConfig, got {self.config!r}")
        generator = make_generator(seed)
        self.device = pick_device(device)
        self.family = find_family(env)
        example = self.make_batch(self.family.sample(1, seed=0), 1)
        sizes = example.num_features, example.num_actions
        start = start_policy(*sizes, hidden=self.config.hidden, generator=generator)
        self.params: Params = {name: value.to(self.device).requires_grad_() for name, value in start.items()}
        self.scale = self._find_scale(example.num_features)
        self.task_loss = policy_task_loss(SURROGATES[self.config.surrogate], self.config.horizon)

    def adapt(
        self,
        tasks: Any,
        *,
        steps: int = 1,
        inner_lr: float | Sequence[float] | None = None,
        episodes: int | None = None,
        seed: int = 0,
    ) -> Params:
        """Return a policy for each task [T, *], after `steps` inner steps on its own episodes.

        Args:
            tasks: T tasks of the agent's family, as its `sample` returns.
            steps: inner steps, each on fresh episodes.
            inner_lr: size of the first step, or a size for each; those of the configuration by default.
            episodes: episodes a task and step; `config.episodes` by default.
            seed: start of the random numbers of episodes and actions.

        Raises:
            ValueError: if `steps` is negative or the tasks are of another family.
            TypeError: if `tasks` is no batch of tasks.
        """
        rates = self.config.rates(steps, inner_lr)
        return self.explore(self.make_batch(tasks, episodes), rates, make_generator(seed))[0]

    def evaluate(
        self,
        tasks: Any,
        *,
        steps: int = 3,
        inner_lr: float | Sequence[float] | None = None,
        episodes: int | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Return [steps + 1, T] each task's mean undiscounted return after 0, 1, ... inner steps.

        Each entry is the mean over episodes with sampled actions, played by the policies whose returns they
        are; the next inner step uses the same episodes. Arguments and errors as in `adapt`; `tasks` should be
        held out from training.
        """
        rates = self.config.rates(steps, inner_lr)
        env, generator = self.make_batch(tasks, episodes), make_generator(seed)
        params, rollouts = self.explore(env, rates, generator)
        rollouts.append(collect(env, self.policy(params), generator=generator))
        return np.stack(
            [rollout.episode_returns().mean(dim=1).cpu().double().numpy() for rollout in rollouts]
        )

    def policy(self, params: Params | None = None) -> Policy:
        """Return the function observations [T, E, F] -> logits [T, E, A] that `rl.rollout.collect` plays.

        Args:
            params: what `adapt` returned; None for the meta-parameters, the same policy for every task.
        """
        used = {name: value.detach() for name, value in (params or self.params).items()}

        def logits(obs: Tensor) -> Tensor:
            return mlp(used, obs.to(self.device) / self.scale).to(obs.device)

        return logits

    def make_batch(self, tasks: Any, episodes: int | None = None) -> BatchEnv:
        """Return environments [T, E] of tasks of the family; E is `config.episodes` if nothing is given."""
        episodes = self.config.episodes if episodes is None else episodes
        return make_batch(self.family, tasks, episodes, horizon=self.config.horizon, device=self.device)

    def with_advantages(self, rollout: Rollout) -> EpisodeBatch:
        """Return episodes with advantages, as a support set on the agent's device."""
        rollout = Rollout(*(field.to(self.device) for field in rollout))
        return with_advantages(rollout, self.scale, gamma=self.config.gamma, lam=self.config.lam)

    def explore(
        self, env: BatchEnv, rates: list[float], generator: torch.Generator
    ) -> tuple[Params, list[Rollout]]:
        """Return policies [T, *] after an inner step for each rate, and the rollouts these were made of."""
        rollouts: list[Rollout] = []

        def play(params: Params) -> EpisodeBatch:
            rollouts.append(collect(env, self.policy(params), generator=generator))
            return self.with_advantages(rollouts[-1])

        shared = {name: value.detach() for name, value in self.params.items()}
        start = maml.expand_params(shared, env.num_tasks)
        path = maml.walk(self.task_loss, start, [(play, rate) for rate in rates])
        return maml.last(path), rollouts

    def _find_scale(self, num_features: int) -> Tensor:
        """Return [F] what observations are divided by: what the family says, else measured once."""
        stated = observation_scale(self.family, num_features)
        if stated is not None:
            return stated.to(self.device)
        self.scale = torch.ones(num_features, device=self.device)
        env = self.make_batch(self.family.sample(self.config.tasks, seed=0))
        return collect(env, self.policy(), generator=make_generator(0)).deviation().to(self.device)
