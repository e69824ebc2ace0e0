"""Meta-reinforcement learning: MAML for policies, in a class that only keeps state.

All mathematics is in `meta.policies.adaptation` and `meta.maml`. One iteration: draw tasks, explore each with
the shared policy, adapt, play each adapted policy, and let Adam follow the gradient through the adaptation.

Reference: Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep networks",
Algorithm 3, https://arxiv.org/abs/1703.03400.
"""

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mlearn_utils.meta import checkpoint, maml, ranks
from mlearn_utils.meta.policies.adaptation import (
    EpisodeBatch,
    PlayedEpisodes,
    Query,
    adapt_in_turn,
    clipped_losses,
    clipped_losses_of,
)
from mlearn_utils.meta.policies.adaptive_policy import AdaptivePolicy
from mlearn_utils.meta.policies.config import MAMLConfig
from mlearn_utils.meta.policies.film import film
from mlearn_utils.meta.policies.policy_model import LOG_STD
from mlearn_utils.meta.policies.tasks import PolicyTasks, draw_tasks, family_name, share_batch
from mlearn_utils.rl.rollout import Rollout, closing_batch, collect
from mlearn_utils.runtime import check_integer, check_target, make_generator, next_seed

__all__ = ["MAMLAgent", "MAMLConfig"]

Params = maml.Params
History = list[dict[str, Any]]

FACTS = ("config", "network", "family", "optimizer", "seed", "history")
"""What a checkpoint holds beside tensors."""

SAVE_EVERY = 10
"""Iterations between two writes of `train(checkpoint=...)`."""


class MAMLAgent(AdaptivePolicy):
    """Learns initial parameters of a policy from which few gradient steps on a new task suffice.

    Args:
        env: a family of tasks, such as CartPoleTasks("dirv"), or any object with `sample(n_tasks, seed=)` and
            `make_env(task)` whose environments have Box observations, and Discrete or Box actions (of one
            axis). A Gymnasium cart-pole or its id is one task: it is made the family `dirv` (a hidden target
            velocity) with the same physics, with a warning that says so.
        config: the knobs, `MAMLConfig`.
        network: a module from scaled observations [N, *] to action parameters [N, W], in place of the tanh
            network: logits, or of continuous actions the means (and, if it likes, logarithms of standard
            deviations). It is copied; `params` hold what is learned, by the module's names.
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
        TypeError: if `env` is neither a family nor a cart-pole, or has other spaces.
        ValueError: if `seed` is negative, the device is not there, or `network` returns another shape.
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
        super().__init__(env, config, network=network, seed=seed, device=device)
        self.history: History = []
        self._learned = [value for value in self.params.values() if value.requires_grad]
        self._optimizer = torch.optim.Adam(self._learned, lr=self.config.meta_lr)
        self._seed: int | None = None

    @ranks.together()
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

        In a script that torchrun has started several times each process plays a share of the tasks, and all
        end with the same parameters and history; see `mlearn_utils.meta.ranks`.

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
                an integer >= 0; if the inner steps would learn from more episodes than the `seen_episodes`
                whose rewards the family shows; or if processes that train together do not hold the same
                policy, configuration, seed or family.
            FileNotFoundError: if the folder of `checkpoint` does not exist.
            IsADirectoryError: if `checkpoint` is a folder.
            FloatingPointError: if a gradient is not finite; the agent stays as it was before.
            RankError: if another of the processes that train together fails or ends.
        """
        self.check_seen(self.config.inner_steps, names="config.inner_steps * config.episodes")
        iterations = self._left() if iterations is None else iterations
        check_integer("iterations", iterations, minimum=1)
        seed = next_seed(seed, self._seed)
        if checkpoint is not None:
            check_target("checkpoint", checkpoint)
        self._seed = seed
        begin, group = len(self.history), ranks.current()
        if group.size > 1:
            group.same_everywhere("MAMLAgent.train", {"iterations": iterations}, *reversed(self._contents()))
        bar = tqdm(range(iterations), desc="meta-iterations", disable=not progress or group.rank > 0)
        try:
            for _ in bar:
                row = self._iterate()
                bar.set_postfix(before=f"{row['before']:.1f}", after=f"{row['after']:.1f}")
                if checkpoint is not None and len(self.history) % SAVE_EVERY == 0:
                    self.save(checkpoint)
        finally:
            if checkpoint is not None and len(self.history) > begin:
                self.save(checkpoint)
        return self.history[begin:]

    @ranks.together()
    def save(self, path: str | Path) -> None:
        """Write everything needed to go on exactly: parameters, optimizer, configuration, history, seed.

        The write is atomic. Of the family only its repr is stored (its class's name, if it has no repr of its
        own), which `load` compares. Of several processes that train together one writes, and all wait.
        """
        kind, contents = type(self).__name__, self._contents()
        ranks.current().once(lambda: checkpoint.save_checkpoint(path, kind, *contents))

    def _contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors and the facts of a checkpoint, which all processes must hold alike."""
        tensors, optimizer_facts = checkpoint.optimizer_tensors(self._optimizer)
        tensors |= {f"params.{name}": value for name, value in self.params.items()}
        tensors |= {"center": self.center, "scale": self.scale}
        facts = {
            "config": dataclasses.asdict(self.config),
            "network": None if self.model.network is None else repr(self.model.network),
            "family": family_name(self.family),
            "optimizer": optimizer_facts,
            "seed": self._seed,
            "history": self.history,
        }
        return tensors, facts

    @classmethod
    def load(
        cls,
        path: str | Path,
        env: PolicyTasks | gym.Env | str,
        config: MAMLConfig | None = None,
        *,
        network: nn.Module | None = None,
        device: str | torch.device = "auto",
    ) -> "MAMLAgent":
        """Return the agent that was saved.

        Args:
            path: file written by `save`.
            env: the family it was trained on.
            config: checked against the stored one if given.
            network: as in the constructor, with any parameters.
            device: as in the constructor.

        Raises:
            TypeError: if `config` is no MAMLConfig, or as in the constructor.
            FileNotFoundError: if there is no such file.
            ValueError: if the file is truncated or was changed, lacks something, is of another format, or of
                another configuration, family, network or shape of policy; the message names what.
        """
        if config is not None and not isinstance(config, MAMLConfig):
            raise TypeError(f"config must be a MAMLConfig, got {config!r}")
        tensors, facts = checkpoint.load_checkpoint(path, cls.__name__, facts=FACTS)
        fields = {field.name for field in dataclasses.fields(MAMLConfig)}
        checkpoint.check_fact(path, "config", isinstance(facts["config"], dict), "a dict", facts["config"])
        checkpoint.check_names(path, "settings", facts["config"], fields)
        with checkpoint.named_errors(path):
            stored = MAMLConfig(**facts["config"])
        if config is not None and config != stored:
            raise ValueError(f"config: {path} was trained with {_differences(stored, config)}")
        agent = cls(env, stored, network=network, device=device)
        given = family_name(agent.family)
        if given != facts["family"]:
            raise ValueError(f"env: {path} was trained on {facts['family']}, expected that, got {given}")
        own = None if agent.model.network is None else repr(agent.model.network)
        if own != facts["network"]:
            raise ValueError(f"network: {path} was trained with {facts['network']}, got {own}")
        with checkpoint.named_errors(path):
            agent._restore_from(tensors, facts, path)
        return agent

    def _restore_from(self, tensors: dict[str, Tensor], facts: dict[str, Any], path: str | Path) -> None:
        """Take over what a checkpoint holds; raise ValueError if something does not fit."""
        own = {f"params.{name}": value for name, value in self.params.items()}
        own |= {"center": self.center, "scale": self.scale}
        moments = {name for name in tensors if name.startswith("optimizer.")}
        checkpoint.check_names(path, "tensors", tensors.keys() - moments, own)
        shapes = {name: list(tensors[name].shape) for name in own}
        expected = {name: list(value.shape) for name, value in own.items()}
        if shapes != expected:
            raise ValueError(f"env: {path} holds a policy of other shapes: {shapes}, expected {expected}")
        checkpoint.check_optimizer(self._optimizer, tensors, facts["optimizer"], path)
        checkpoint.check_history(path, facts["history"], ("iteration", "before", "after", "steps"))
        seed = facts["seed"]
        good = seed is None or (type(seed) is int and seed >= 0)
        checkpoint.check_fact(path, "seed", good, "an integer >= 0 or null", seed)
        with torch.no_grad():
            for name, value in self.params.items():
                value.copy_(tensors[f"params.{name}"])
        self.model.center = tensors["center"].to(self.device)
        self.model.scale = tensors["scale"].to(self.device)
        checkpoint.load_optimizer(self._optimizer, tensors, facts["optimizer"])
        self._seed, self.history = seed, facts["history"]

    def film(self, task: Any, path: str | Path, *, steps: int = 1, fps: int = 20, seed: int = 0) -> Path:
        """Write an animated PNG of one task, before and after adapting; see `meta.policies.film`."""
        return film(self, task, path, steps=steps, fps=fps, seed=seed)

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
        self._anneal(number)
        tasks = draw_tasks(self.family, self.config.tasks, seed=task_seed)
        path: list[Params] = []
        supports: list[PlayedEpisodes] = []
        own, played = share_batch(self.family, self.make_batch, tasks, ranks.current())
        with closing_batch(own) as env:
            generator = make_generator(seed)
            rates = self.config.rates(self.config.inner_steps)
            params, rollouts = self.explore(env, rates, generator, path, supports)
            rollouts.append(collect(env, self.policy(params), generator=generator))
        after = self.with_advantages(rollouts[-1])
        first = query = Query(after, self.log_probs(params, after))
        if supports:
            *fields, logp = supports[0]
            inner = self.config.normalise_inner
            first = Query(EpisodeBatch(*fields) if inner else self.with_advantages(rollouts[0]), logp)
        row = self._row(rollouts, played)
        backup = self._state()
        try:
            for _ in range(self.config.epochs):
                self._update(supports, query, first, played)
            self.history.append(row)
        except BaseException:
            self._restore(backup)
            del self.history[number:]
            raise
        return row

    def _row(self, rollouts: list[Rollout], played: int) -> dict[str, Any]:
        earlier = self.history[-1]["steps"] if self.history else 0
        means = [rollouts[k].episode_returns().mean() for k in (0, -1)]
        before, after = ranks.current().mean(means, played)
        steps = torch.tensor(sum(int(rollout.mask.sum()) for rollout in rollouts) * bool(played))
        return {
            "iteration": len(self.history) + 1,
            "before": before.item(),
            "after": after.item(),
            "steps": earlier + int(ranks.current().total(steps)[0]),
        }

    def _anneal(self, number: int) -> None:
        """Set the deviation of Gaussian policies in an iteration, unless it is learned."""
        log_std = self.params.get(LOG_STD)
        if log_std is not None and not log_std.requires_grad:
            with torch.no_grad():
                log_std.fill_(self.config.log_std_at(number))

    def _update(
        self,
        supports: Sequence[EpisodeBatch | PlayedEpisodes],
        query: Query,
        first: Query,
        played: int,
    ) -> None:
        """Take one Adam step on the outer loss, adapting anew from the stored episodes.

        `first` are the episodes before adaptation, whose return counts as well in the first half. Of the
        tasks of all processes this one has `played` so many.
        """
        done = min(len(self.history) / self.config.iterations, 1 - 1 / self.config.iterations)
        weight = self.config.before_weight * (1 - 2 * done)
        noted: list[Tensor] = []
        loss = self.outer_loss(self.params, supports, query, noted)
        if supports and weight > 0:
            loss = loss + weight * self._loss_before(first, noted)
        gradient = torch.autograd.grad(loss, self._learned, materialize_grads=True)
        gradient = ranks.current().mean(gradient, played)
        if not all(bool(part.isfinite().all()) for part in gradient):
            raise FloatingPointError(
                f"the gradient of iteration {len(self.history) + 1} is not finite: lower inner_lr or meta_lr"
            )
        if not any(bool(part.any()) for part in gradient):
            return  # episodes that tell nothing: Adam would go on in the direction of earlier ones
        for value, part in zip(self._learned, gradient, strict=True):
            value.grad = part
        if self.config.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._learned, self.config.max_grad_norm)
        self._optimizer.param_groups[0]["lr"] = self.config.meta_lr * (1 - done)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _loss_before(self, first: Query, noted: list[Tensor]) -> Tensor:
        """Return the outer loss () of the shared policy, which the first inner step may have noted."""
        if not noted:
            return self.outer_loss(self.params, [], first)
        return clipped_losses_of(noted[0], first, clip=self.config.clip, horizon=self.horizon).mean()

    def outer_loss(
        self,
        params: Params,
        supports: Sequence[EpisodeBatch | PlayedEpisodes],
        query: Query,
        noted: list[Tensor] | None = None,
    ) -> Tensor:
        """Return the mean outer loss () of one iteration's episodes, whose gradient is the meta-gradient.

        Args:
            params: [*] shared parameters.
            supports: the episodes of each inner step; none for the return of the shared policy itself. An
                EpisodeBatch counts as played by `params`, so that the loss then differs from one whose ratios
                are to a fixed policy in value, not in this gradient; PlayedEpisodes say who played them.
            query: the episodes of the policies after these steps.
            noted: a list for the log-probabilities of each inner step, as in `PolicyTaskLoss`.
        """
        adapted = adapt_in_turn(
            self.task_loss._replace(noted=noted),
            params,
            supports,
            self.config.rates(len(supports)),
            n_tasks=len(query.logp),
            first_order=self.config.first_order,
            adapted=self.adapted,
        )
        return clipped_losses(
            adapted, query, clip=self.config.clip, horizon=self.horizon, log_probs=self.model.log_probs
        ).mean()

    def _state(self) -> tuple[list[Tensor], dict[str, Any]]:
        params = [value.detach().clone() for value in self.params.values()]
        return params, copy.deepcopy(self._optimizer.state_dict())

    def _restore(self, state: tuple[list[Tensor], dict[str, Any]]) -> None:
        with torch.no_grad():
            for value, old in zip(self.params.values(), state[0], strict=True):
                value.copy_(old)
        self._optimizer.load_state_dict(state[1])


def _differences(stored: MAMLConfig, given: MAMLConfig) -> str:
    """Say in which fields two configurations differ."""
    pairs = zip(dataclasses.asdict(stored).items(), dataclasses.asdict(given).values(), strict=True)
    return ", ".join(f"{name}={old!r} (got {new!r})" for (name, old), new in pairs if old != new)
