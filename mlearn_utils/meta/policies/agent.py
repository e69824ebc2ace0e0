"""Meta-reinforcement learning: MAML for policies, in a class that only keeps state.

All mathematics is in `meta.policies.adaptation` and `meta.maml`. One iteration: draw tasks, explore each with
the shared policy, adapt, play each adapted policy, and let Adam follow the gradient through the adaptation.

Reference: Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep networks",
Algorithm 3, https://arxiv.org/abs/1703.03400.
"""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mlearn_utils.meta import checkpoint, maml
from mlearn_utils.meta.policies.adaptation import (
    EpisodeBatch,
    Query,
    action_log_probs,
    adapt_in_turn,
    clipped_losses,
)
from mlearn_utils.meta.policies.adaptive_policy import AdaptivePolicy
from mlearn_utils.meta.policies.config import MAMLConfig
from mlearn_utils.meta.policies.tasks import PolicyTasks, family_name
from mlearn_utils.rl.rollout import Rollout, collect
from mlearn_utils.runtime import check_integer, make_generator, next_seed

__all__ = ["MAMLAgent", "MAMLConfig"]

Params = maml.Params
History = list[dict[str, Any]]

SAVE_EVERY = 10
"""Iterations between two writes of `train(checkpoint=...)`."""


class MAMLAgent(AdaptivePolicy):
    """Learns initial parameters of a policy from which few gradient steps on a new task suffice.

    Args:
        env: a family of tasks, such as CartPoleTasks("dirv"), or any object with `sample(n_tasks, seed=)` and
            `make_env(task)` whose environments have Box observations and discrete actions. A Gymnasium
            cart-pole or its id is one task: it is made the family `dirv` (a hidden target velocity) with the
            same physics, with a warning that says so.
        config: the knobs, `MAMLConfig`.
        seed: start of the random numbers that the first policy is drawn from.
        device: "auto", "cpu", "cuda", "mps" or a torch.device.

    Attributes:
        params: the meta-parameters [*], a policy to adapt from.
        history: one dict for each iteration so far; see `train`.

    Example:
        >>> agent = MAMLAgent(CartPoleTasks("dirv"))
        >>> history = agent.train()
        >>> returns = agent.evaluate(CartPoleTasks("dirv").sample(100, seed=1_000_000))   # [4, 100]

    Raises:
        TypeError: if `env` is neither a family nor a cart-pole, or its actions are not discrete.
        ValueError: if `seed` is negative or the device is not there.
    """

    def __init__(
        self,
        env: PolicyTasks | gym.Env | str,
        config: MAMLConfig | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
    ):
        super().__init__(env, config, seed=seed, device=device)
        self.history: History = []
        self._optimizer = torch.optim.Adam(self.params.values(), lr=self.config.meta_lr)
        self._seed: int | None = None

    def train(
        self,
        iterations: int | None = None,
        *,
        seed: int | None = None,
        progress: bool = True,
        checkpoint: str | Path | None = None,
    ) -> History:
        """Learn; a further call without a seed, or with the same, goes on exactly where the last one stopped.

        Interrupted, it keeps every finished iteration, and with `checkpoint` the file as well: the agent that
        `load` returns and this one go on alike. The step size falls over `config.iterations` in all and stays
        at its last value after that.

        Args:
            iterations: how many; None means what is left of `config.iterations`.
            seed: start of the random numbers of tasks, episodes and actions; None is the last one used, which
                `save` stores, and 0 at first.
            progress: show a progress bar with the return before and after adaptation.
            checkpoint: a file to save to every ten iterations and at the end.

        Returns:
            One dict for each iteration of this call: `iteration` (from 1), `before` and `after` (mean
            undiscounted return of the tasks' episodes, before and after the inner steps), `steps`
            (environment steps so far).

        Raises:
            ValueError: if `iterations` is not an integer >= 1, or None and nothing is left; if `seed` is not
                an integer >= 0.
            FileNotFoundError: if the folder of `checkpoint` does not exist.
            FloatingPointError: if a gradient is not finite; the agent stays as it was before.
        """
        iterations = self._left() if iterations is None else iterations
        check_integer("iterations", iterations, minimum=1)
        seed = next_seed(seed, self._seed)
        if checkpoint is not None and not Path(checkpoint).parent.is_dir():
            raise FileNotFoundError(f"checkpoint: the folder {Path(checkpoint).parent} does not exist")
        self._seed = seed
        begin = len(self.history)
        bar = tqdm(range(iterations), desc="meta-iterations", disable=not progress)
        try:
            for _ in bar:
                row = self._iterate()
                bar.set_postfix(before=f"{row['before']:.1f}", after=f"{row['after']:.1f}")
                if checkpoint is not None and len(self.history) % SAVE_EVERY == 0:
                    self.save(checkpoint)
        finally:
            if checkpoint is not None:
                self.save(checkpoint)
        return self.history[begin:]

    def save(self, path: str | Path) -> None:
        """Write everything needed to go on exactly: parameters, optimizer, configuration, history, seed.

        The write is atomic. Of the family only its repr is stored (its class's name, if it has no repr of its
        own), which `load` compares.
        """
        tensors, optimizer_facts = checkpoint.optimizer_tensors(self._optimizer)
        tensors |= {f"params.{name}": value for name, value in self.params.items()}
        tensors["scale"] = self.scale
        facts = {
            "config": dataclasses.asdict(self.config),
            "family": family_name(self.family),
            "optimizer": optimizer_facts,
            "seed": self._seed,
            "history": self.history,
        }
        checkpoint.save_checkpoint(path, type(self).__name__, tensors, facts)

    @classmethod
    def load(
        cls,
        path: str | Path,
        env: PolicyTasks | gym.Env | str,
        config: MAMLConfig | None = None,
        *,
        device: str | torch.device = "auto",
    ) -> "MAMLAgent":
        """Return the agent that was saved.

        Args:
            path: file written by `save`.
            env: the family it was trained on.
            config: checked against the stored one if given.
            device: as in the constructor.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is truncated, of a later format, or of another configuration, family or
                shape of policy.
        """
        tensors, facts = checkpoint.load_checkpoint(path, cls.__name__)
        stored = MAMLConfig(**facts["config"])
        if config is not None and config != stored:
            raise ValueError(f"config: {path} was trained with {_differences(stored, config)}")
        agent = cls(env, stored, device=device)
        given = family_name(agent.family)
        if given != facts["family"]:
            raise ValueError(f"env: {path} was trained on {facts['family']}, expected that, got {given}")
        agent._check_shapes(tensors, path)
        with torch.no_grad():
            for name, value in agent.params.items():
                value.copy_(tensors[f"params.{name}"])
        agent.scale = tensors["scale"].to(agent.device)
        checkpoint.load_optimizer(agent._optimizer, tensors, facts["optimizer"])
        agent._seed, agent.history = facts["seed"], facts["history"]
        return agent

    def _left(self) -> int:
        done, planned = len(self.history), self.config.iterations
        if done >= planned:
            raise ValueError(f"iterations must be given: all {planned} of the configuration are done")
        return planned - done

    def _iterate(self) -> dict[str, Any]:
        """Make one iteration, entirely or not at all."""
        assert self._seed is not None
        number = len(self.history)
        task_seed, seed = np.random.SeedSequence([self._seed, number]).generate_state(2).tolist()
        env = self.make_batch(self.family.sample(self.config.tasks, seed=task_seed))
        generator = make_generator(seed)
        params, rollouts = self.explore(env, self.config.rates(self.config.inner_steps), generator)
        rollouts.append(collect(env, self.policy(params), generator=generator))
        episodes = [self.with_advantages(rollout) for rollout in rollouts]
        with torch.no_grad():
            query = Query(episodes[-1], action_log_probs(params, episodes[-1]))
            shared = maml.expand_params(self.params, env.num_tasks)
            first = Query(episodes[0], action_log_probs(shared, episodes[0]))
        row = self._row(rollouts)
        backup = self._state()
        try:
            for _ in range(self.config.epochs):
                self._update(episodes[:-1], query, first)
            self.history.append(row)
        except BaseException:
            self._restore(backup)
            del self.history[number:]
            raise
        return row

    def _row(self, rollouts: list[Rollout]) -> dict[str, Any]:
        before = self.history[-1]["steps"] if self.history else 0
        return {
            "iteration": len(self.history) + 1,
            "before": rollouts[0].episode_returns().mean().item(),
            "after": rollouts[-1].episode_returns().mean().item(),
            "steps": before + sum(int(rollout.mask.sum()) for rollout in rollouts),
        }

    def _update(self, supports: list[EpisodeBatch], query: Query, first: Query) -> None:
        """Take one Adam step on the outer loss, adapting anew from the stored episodes.

        `first` are the episodes before adaptation, whose return counts as well in the first half.
        """
        done = min(len(self.history) / self.config.iterations, 1 - 1 / self.config.iterations)
        weight = self.config.before_weight * (1 - 2 * done)
        loss = self.outer_loss(self.params, supports, query)
        if supports and weight > 0:
            loss = loss + weight * self.outer_loss(self.params, [], first)
        gradient = torch.autograd.grad(loss, tuple(self.params.values()))
        if not all(bool(part.isfinite().all()) for part in gradient):
            raise FloatingPointError(
                f"the gradient of iteration {len(self.history) + 1} is not finite: lower inner_lr or meta_lr"
            )
        for value, part in zip(self.params.values(), gradient, strict=True):
            value.grad = part
        self._optimizer.param_groups[0]["lr"] = self.config.meta_lr * (1 - done)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def outer_loss(self, params: Params, supports: list[EpisodeBatch], query: Query) -> Tensor:
        """Return the mean outer loss () of one iteration's episodes, differentiable in `params`.

        Args:
            params: [*] shared parameters.
            supports: the episodes of each inner step; none for the return of the shared policy itself.
            query: the episodes of the policies after these steps.
        """
        adapted = adapt_in_turn(
            self.task_loss,
            params,
            supports,
            self.config.rates(len(supports)),
            n_tasks=len(query.logp),
            first_order=self.config.first_order,
        )
        return clipped_losses(adapted, query, clip=self.config.clip, horizon=self.config.horizon).mean()

    def _state(self) -> tuple[list[Tensor], dict[str, Any]]:
        params = [value.detach().clone() for value in self.params.values()]
        return params, copy.deepcopy(self._optimizer.state_dict())

    def _restore(self, state: tuple[list[Tensor], dict[str, Any]]) -> None:
        with torch.no_grad():
            for value, old in zip(self.params.values(), state[0], strict=True):
                value.copy_(old)
        self._optimizer.load_state_dict(state[1])

    def _check_shapes(self, tensors: dict[str, Tensor], path: str | Path) -> None:
        own = {f"params.{name}": value.shape for name, value in self.params.items()}
        stored = {name: value.shape for name, value in tensors.items() if name.startswith("params.")}
        if own != stored:
            raise ValueError(f"env: {path} holds a policy of other shapes: {stored}, expected {own}")


def _differences(stored: MAMLConfig, given: MAMLConfig) -> str:
    """Say in which fields two configurations differ."""
    pairs = zip(dataclasses.asdict(stored).items(), dataclasses.asdict(given).values(), strict=True)
    return ", ".join(f"{name}={old!r} (got {new!r})" for (name, old), new in pairs if old != new)
