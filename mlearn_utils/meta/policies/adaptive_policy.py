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
from torch import Tensor, nn

from mlearn_utils.meta import maml, ranks
from mlearn_utils.meta.policies.adaptation import (
    EpisodeBatch,
    PlayedEpisodes,
    PolicyTaskLoss,
    policy_task_loss,
)
from mlearn_utils.meta.policies.config import MAMLConfig
from mlearn_utils.meta.policies.policy_model import LOG_STD, PolicyModel
from mlearn_utils.meta.policies.tasks import (
    PolicyTasks,
    draw_tasks,
    family_name,
    find_family,
    make_batch,
    observation_scale,
)
from mlearn_utils.rl.actions import actions_of
from mlearn_utils.rl.returns import advantages
from mlearn_utils.rl.rollout import BatchEnv, Policy, Rollout, closing_batch, collect
from mlearn_utils.rl.surrogates import SURROGATES
from mlearn_utils.runtime import check_integer, make_generator

Params = maml.Params

KEPT = 7_900_000
"""Floats of a block, just under 32 MB, that is asked for and freed before anything is played.

Linux's allocator then keeps freed arrays of up to that size for the next ones. Else it hands them back and
fetches them anew, page by page: some thousand pages in an iteration, a tenth of its time (mallopt(3),
M_MMAP_THRESHOLD).
"""


class AdaptivePolicy:
    """Shared parameters of a policy, from which it adapts to each task by gradient steps on its own episodes.

    Arguments and errors as in `MAMLAgent`.

    Attributes:
        params: the shared parameters [*], a policy to adapt from.
        model: what makes actions of observations, given parameters; see `PolicyModel`.
        horizon: steps after which an episode ends.
    """

    def __init__(
        self,
        env: PolicyTasks | gym.Env | str,
        config: MAMLConfig | None = None,
        *,
        network: nn.Module | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
    ):
        self.config = MAMLConfig() if config is None else config
        if not isinstance(self.config, MAMLConfig):
            raise TypeError(f"config must be a MAMLConfig, got {self.config!r}")
        generator = make_generator(seed)
        self.device = ranks.join(device)
        torch.empty(KEPT)  # freed at once
        with ranks.current().quiet():
            self.family = find_family(env)
        with closing_batch(self.make_batch(self.family.sample(1, seed=0), 1)) as example:
            self.horizon, features = example.horizon, example.num_features
            shape, actions = getattr(example, "observation_shape", (features,)), actions_of(example)
        plain = torch.zeros(features, device=self.device), torch.ones(features, device=self.device)
        self.model = PolicyModel(
            shape, actions, hidden=self.config.hidden, network=network, center=plain[0], scale=plain[1]
        )
        start = self.model.start(generator, log_std=self.config.log_std[0])
        self.params: Params = {name: value.to(self.device).requires_grad_() for name, value in start.items()}
        self.adapted = [name for name in self.params if name != LOG_STD]
        if LOG_STD in self.params and not self.config.learn_log_std:
            self.params[LOG_STD] = nn.Parameter(self.params[LOG_STD].detach(), requires_grad=False)
        self.model.center, self.model.scale = self._find_scale(features)

    @property
    def task_loss(self) -> PolicyTaskLoss:
        """What an inner step descends, as `policy_task_loss` makes it."""
        return policy_task_loss(SURROGATES[self.config.surrogate], self.horizon, self.model.log_probs)

    @property
    def scale(self) -> Tensor:
        """[F] what observations are divided by."""
        return self.model.scale

    @scale.setter
    def scale(self, scale: Tensor) -> None:
        self.model.scale = scale.to(self.device)

    @property
    def center(self) -> Tensor:
        """[F] what is subtracted from observations before."""
        return self.model.center

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
            ValueError: if `steps` is negative, the tasks are of another family, or the steps would learn from
                more episodes than the `seen_episodes` whose rewards the family shows.
            TypeError: if `tasks` is no batch of tasks.
        """
        rates = self.config.rates(steps, inner_lr)
        self.check_seen(steps, episodes)
        with closing_batch(self.make_batch(tasks, episodes)) as env:
            return self.explore(env, rates, make_generator(seed))[0]

    def evaluate(
        self,
        tasks: Any,
        *,
        steps: int = 3,
        inner_lr: float | Sequence[float] | None = None,
        episodes: int | None = None,
        seed: int = 0,
        greedy: bool = False,
    ) -> np.ndarray:
        """Return [steps + 1, T] each task's mean undiscounted return after 0, 1, ... inner steps.

        Each entry is the mean over episodes with sampled actions, played by the policies whose returns they
        are; the next inner step uses the same episodes. With `greedy` the returns are those of further
        episodes with the most probable actions; the inner steps still learn from sampled ones. Other
        arguments and errors as in `adapt`; `tasks` should be held out from training.
        """
        rates = self.config.rates(steps, inner_lr)
        self.check_seen(steps, episodes)
        with closing_batch(self.make_batch(tasks, episodes)) as env:
            generator = make_generator(seed)
            path: list[Params] = []
            params, rollouts = self.explore(env, rates, generator, path)
            if greedy:
                rollouts = [collect(env, self.policy(p), generator=generator, greedy=True) for p in path]
            else:
                rollouts.append(collect(env, self.policy(params), generator=generator))
        return np.stack(
            [rollout.episode_returns().mean(dim=1).cpu().double().numpy() for rollout in rollouts]
        )

    def policy(self, params: Params | None = None) -> Policy:
        """Return the function observations [T, E, F] -> action parameters that `rl.rollout.collect` plays.

        Args:
            params: what `adapt` returned; None for the meta-parameters, the same policy for every task.
        """
        outputs = self.model.fixed(params or self.params)
        if self.device.type == "cpu":
            return outputs
        return lambda obs: outputs(obs.to(self.device)).to(obs.device)

    def make_batch(self, tasks: Any, episodes: int | None = None) -> BatchEnv:
        """Return environments [T, E] of tasks of the family; E is `config.episodes` if nothing is given."""
        episodes = self.config.episodes if episodes is None else episodes
        check_integer("episodes", episodes, minimum=1)
        return make_batch(self.family, tasks, episodes, horizon=self.config.horizon, device=self.device)

    def check_seen(self, steps: int, episodes: int | None = None, names: str = "steps * episodes") -> None:
        """Raise ValueError if inner steps would learn from rewards that the family does not show."""
        episodes = self.config.episodes if episodes is None else episodes
        check_integer("episodes", episodes, minimum=1)
        seen = getattr(self.family, "seen_episodes", None)
        if seen is not None and steps * episodes > seen:
            raise ValueError(
                f"{names} must be at most {seen}: {family_name(self.family)} shows the rewards of no more "
                f"episodes in a task, got {steps} * {episodes}"
            )

    def with_advantages(self, rollout: Rollout, *, inner: bool = False) -> EpisodeBatch:
        """Return episodes with advantages on the agent's device; `inner` for a support set."""
        rollout = Rollout(*(field.to(self.device) for field in rollout))
        adv = advantages(
            rollout._replace(obs=rollout.obs - self.center),
            gamma=self.config.gamma,
            lam=self.config.lam,
            normalised=not inner or self.config.normalise_inner,
        )
        return EpisodeBatch(self.model.scaled(rollout.obs), rollout.act, adv, rollout.mask)

    def log_probs(self, params: Params, episodes: EpisodeBatch) -> Tensor:
        """Return [T, S, E] the log-probabilities of actions under T policies, without a graph."""
        with torch.no_grad():
            return self.model.log_probs(params, episodes.obs, episodes.act)

    def explore(
        self,
        env: BatchEnv,
        rates: list[float],
        generator: torch.Generator,
        path: list[Params] | None = None,
        supports: list[PlayedEpisodes] | None = None,
    ) -> tuple[Params, list[Rollout]]:
        """Return policies [T, *] after an inner step for each rate, and the rollouts these were made of.

        The policies before the first and after each step are appended to `path`, if that is given, and what
        each step learned from to `supports`.
        """
        rollouts: list[Rollout] = []
        batches: list[EpisodeBatch] = []

        def play(params: Params) -> EpisodeBatch:
            rollouts.append(collect(env, self.policy(params), generator=generator))
            batches.append(self.with_advantages(rollouts[-1], inner=True))
            return batches[-1]

        shared = {name: value.detach() for name, value in self.params.items()}
        start = maml.expand_params(shared, env.num_tasks)
        pairs = [(play, rate) for rate in rates]
        path = [] if path is None else path
        noted: list[Tensor] = []
        task_loss = self.task_loss._replace(noted=noted)
        path += maml.walk(task_loss, start, pairs, adapted=self.adapted)
        if supports is not None:
            if not noted:  # torch.vmap computed the losses
                noted = [self.log_probs(params, batch) for params, batch in zip(path, batches, strict=False)]
            pairs = zip(batches, noted, strict=True)
            supports += [PlayedEpisodes(*batch, logp.detach()) for batch, logp in pairs]
        return path[-1], rollouts

    def _find_scale(self, num_features: int) -> tuple[Tensor, Tensor]:
        """Return [F] and [F] center and scale of observations: what the family says, else measured once."""
        stated = observation_scale(self.family, num_features)
        if stated is not None:
            return self.center, stated.to(self.device)
        with closing_batch(self.make_batch(draw_tasks(self.family, self.config.tasks, seed=0))) as env:
            seen = collect(env, self.policy(), generator=make_generator(0)).center_and_scale()
        return seen[0].to(self.device), seen[1].to(self.device)
