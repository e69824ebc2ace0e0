"""Meta-reinforcement learning without an inner gradient: a policy that remembers, RL^2, trained by PPO.

A trial is several episodes in one task. The network's hidden state lasts for the trial, so what it did and
what that brought can change what it does next; the weights do not change. They are trained, over many tasks,
for the return of whole trials: learning how to explore and adapt is ordinary reinforcement learning, with
trials for episodes. The value after the last step of a trial is 0; the ends of its episodes cut nothing.

References: Duan et al. (2016), "RL^2: Fast reinforcement learning via slow reinforcement learning",
https://arxiv.org/abs/1611.02779; Wang et al. (2016), "Learning to reinforcement learn",
https://arxiv.org/abs/1611.05763; Schulman et al. (2017), "Proximal policy optimization algorithms".
"""

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mlearn_utils.meta import checkpoint, ranks
from mlearn_utils.meta.policies.memory_config import MemoryConfig
from mlearn_utils.meta.policies.tasks import (
    PolicyTasks,
    draw_tasks,
    family_name,
    find_family,
    make_batch,
    observation_scale,
    share_batch,
)
from mlearn_utils.meta.policies.trials import (
    InputEncoder,
    MemoryNetwork,
    Trials,
    build,
    play_trials,
    trial_advantages,
)
from mlearn_utils.rl.actions import actions_of
from mlearn_utils.rl.returns import normalise
from mlearn_utils.rl.rollout import BatchEnv, closing_batch, collect
from mlearn_utils.rl.surrogates import clipped_objective
from mlearn_utils.runtime import check_integer, check_target, make_generator, next_seed

__all__ = ["MemoryAgent", "MemoryConfig"]

History = list[dict[str, Any]]

FACTS = ("config", "family", "optimizer", "seed", "history")
"""What a checkpoint holds beside tensors."""

COLUMNS = ("update", "first", "last", "entropy", "steps")
"""What a row of the history holds."""

SAVE_EVERY = 10
"""Updates between two writes of `train(checkpoint=...)`."""


class MemoryAgent:
    """Learns a policy that adapts by what it remembers of its trial, without a gradient step.

    Args:
        env: a family of tasks, or a cart-pole, as for `MAMLAgent`. Of a family with `seen_episodes` only as
            many episodes of a trial show their rewards to the network; it is trained for all that is paid.
        config: the knobs, `MemoryConfig`; `memory=False` is the feed-forward twin.
        seed: start of the random numbers that the first weights are drawn from.
        device: "auto", "cpu", "cuda", "mps" or a torch.device.

    Attributes:
        network: what is learned, a `MemoryNetwork`.
        encode: what makes its inputs of observations, actions and rewards, an `InputEncoder`.
        history: one dict for each update so far; see `train`.

    Example:
        >>> agent = MemoryAgent(CartPoleTasks("dirv"))
        >>> history = agent.train()
        >>> returns = agent.evaluate(CartPoleTasks("dirv").sample(100, seed=1_000_000))   # [2, 100]

    Raises:
        TypeError: if `env` is neither a family nor a cart-pole, or has other spaces, or `config` is another.
        ValueError: if `seed` is negative, or the device is not there.
    """

    def __init__(
        self,
        env: PolicyTasks | gym.Env | str,
        config: MemoryConfig | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
    ):
        self.config = MemoryConfig() if config is None else config
        if not isinstance(self.config, MemoryConfig):
            raise TypeError(f"config must be a MemoryConfig, got {self.config!r}")
        generator = make_generator(seed)
        self.device = ranks.join(device)
        with ranks.current().quiet():
            self.family = find_family(env)
        with closing_batch(self._batch(self.family, self.family.sample(1, seed=0), 1)) as example:
            actions, features = actions_of(example), example.num_features
        self.encode = InputEncoder(actions, *self._find_scale(features), self.config.crossed)
        config = self.config
        sizes = self.encode.width, actions.width
        self.network = build(
            lambda: MemoryNetwork(*sizes, hidden=config.hidden, memory=config.memory),
            generator,
            shrink={"policy": 0.01},  # so that the first policy tries all actions alike
        ).to(self.device)
        self.history: History = []
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self._seed: int | None = None

    @ranks.together()
    def train(
        self,
        updates: int | None = None,
        *,
        seed: int | None = None,
        progress: bool = True,
        checkpoint: str | Path | None = None,
    ) -> History:
        """Learn; a further call without a seed, or with the same, goes on exactly where the last one stopped.

        Interrupted, it keeps every finished update, and with `checkpoint` the file as well. Step size and
        entropy fall over `config.updates` in all and stay at their last values after that.

        In a script that torchrun has started several times each process plays a share of the trials, and all
        end with the same weights and history; see `mlearn_utils.meta.ranks`.

        Args:
            updates: how many; None means what is left of `config.updates`.
            seed: start of the random numbers of tasks, episodes and actions; None is the last one used, which
                `save` stores, and 0 at first.
            progress: show a progress bar with the return of the first and the last episode.
            checkpoint: a file to save to every ten updates and at the end.

        Returns:
            One dict for each update of this call: `update` (from 1), `first` and `last` (mean undiscounted
            return of the trials' first and last episode), `entropy` (of the policy in the first pass over the
            trials, a mean over its minibatches, nats), `steps` (environment steps so far).

        Raises:
            ValueError: if `updates` is not an integer >= 1, or None and nothing is left; if `seed` is not an
                integer >= 0; or if processes that train together do not hold the same network,
                configuration, seed or family.
            FileNotFoundError: if the folder of `checkpoint` does not exist.
            IsADirectoryError: if `checkpoint` is a folder.
            FloatingPointError: if a gradient is not finite; the agent stays as it was before.
            RankError: if another of the processes that train together fails or ends.
        """
        updates = self._left() if updates is None else updates
        check_integer("updates", updates, minimum=1)
        seed = next_seed(seed, self._seed)
        if checkpoint is not None:
            check_target("checkpoint", checkpoint)
        self._seed = seed
        begin, group = len(self.history), ranks.current()
        if group.size > 1:
            group.same_everywhere("MemoryAgent.train", {"updates": updates}, *reversed(self._contents()))
        bar = tqdm(range(updates), desc="updates", disable=not progress or group.rank > 0)
        try:
            for _ in bar:
                row = self._update()
                bar.set_postfix(first=f"{row['first']:.1f}", last=f"{row['last']:.1f}")
                if checkpoint is not None and len(self.history) % SAVE_EVERY == 0:
                    self.save(checkpoint)
        finally:
            if checkpoint is not None and len(self.history) > begin:
                self.save(checkpoint)
        return self.history[begin:]

    def evaluate(
        self,
        tasks: Any,
        *,
        episodes: int | None = None,
        trials: int = 1,
        seed: int = 0,
        greedy: bool = False,
        wipe: bool = False,
        family: PolicyTasks | None = None,
    ) -> np.ndarray:
        """Return [episodes, T]: each task's undiscounted return in each episode of a trial.

        Args:
            tasks: T tasks, as the family's `sample` returns; they should be held out from training.
            episodes: episodes of a trial; `config.episodes` by default.
            trials: trials a task, over which the returns are averaged.
            seed: start of the random numbers of episodes and actions.
            greedy: take the most probable actions instead of samples.
            wipe: forget everything at the end of each episode, as if the task were new: a control.
            family: of the tasks, if it is not the agent's own.

        Raises:
            TypeError: if `tasks` is no batch of tasks.
            ValueError: if a count is not an integer >= 1, the tasks are of another family, or their
                observations or actions have another size than the agent's.
        """
        check_integer("episodes", self.config.episodes if episodes is None else episodes, minimum=1)
        with closing_batch(self.make_batch(tasks, trials=trials, family=family)) as env:
            played = self.play(env, episodes=episodes, seed=seed, greedy=greedy, wipe=wipe, family=family)
        shape = (len(played.returns), env.num_tasks, env.num_envs)
        return played.returns.reshape(shape).mean(dim=2).cpu().double().numpy()

    def play(
        self,
        env: BatchEnv,
        *,
        episodes: int | None = None,
        seed: int = 0,
        greedy: bool = False,
        wipe: bool = False,
        family: PolicyTasks | None = None,
    ) -> Trials:
        """Return one trial in each environment of a batch, as `make_batch` returns; see `evaluate`."""
        episodes = self.config.episodes if episodes is None else episodes
        check_integer("episodes", episodes, minimum=1)
        return play_trials(
            env,
            self.network,
            self.encode,
            episodes=episodes,
            generator=make_generator(seed),
            seen_episodes=getattr(self.family if family is None else family, "seen_episodes", None),
            greedy=greedy,
            wipe=wipe,
        )

    def make_batch(self, tasks: Any, *, trials: int = 1, family: PolicyTasks | None = None) -> BatchEnv:
        """Return environments [T, trials] of tasks of a family, by default the agent's own.

        Raises:
            ValueError: if their observations or actions have another size than the agent's, or `trials` < 1.
        """
        check_integer("trials", trials, minimum=1)
        if family is not None:
            family = find_family(family)
        env = self._batch(self.family if family is None else family, tasks, trials)
        found, own = (env.num_features, actions_of(env)), (len(self.encode.scale), self.encode.actions)
        if found != own or type(found[1]) is not type(own[1]):
            getattr(env, "close", lambda: None)()
            raise ValueError(
                f"tasks must have observations of {own[0]} numbers and {own[1]}, as the agent's own family "
                f"{family_name(self.family)} has, got {found[0]} and {found[1]}"
            )
        return env

    @ranks.together()
    def save(self, path: str | Path) -> None:
        """Write everything needed to go on exactly: weights, optimizer, configuration, history, seed.

        The write is atomic. Of the family only its repr is stored (its class's name, if it has no repr of its
        own), which `load` compares. Of several processes that train together one writes, and all wait.
        """
        kind, contents = type(self).__name__, self._contents()
        ranks.current().once(lambda: checkpoint.save_checkpoint(path, kind, *contents))

    def _contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors and the facts of a checkpoint, which all processes must hold alike."""
        tensors, optimizer_facts = checkpoint.optimizer_tensors(self._optimizer)
        tensors |= checkpoint.model_tensors(self.network)
        tensors |= {"center": self.encode.center, "scale": self.encode.scale}
        facts = {
            "config": dataclasses.asdict(self.config),
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
        config: MemoryConfig | None = None,
        *,
        device: str | torch.device = "auto",
    ) -> "MemoryAgent":
        """Return the agent that was saved.

        Args:
            path: file written by `save`.
            env: the family it was trained on.
            config: checked against the stored one if given.
            device: as in the constructor.

        Raises:
            TypeError: if `config` is no MemoryConfig, or as in the constructor.
            FileNotFoundError: if there is no such file.
            ValueError: if the file is truncated or was changed, lacks something, is of another format, or of
                another configuration (the feed-forward twin's, for example), family or shape; the message
                names what.
        """
        if config is not None and not isinstance(config, MemoryConfig):
            raise TypeError(f"config must be a MemoryConfig, got {config!r}")
        tensors, facts = checkpoint.load_checkpoint(path, cls.__name__, facts=FACTS)
        fields = {field.name for field in dataclasses.fields(MemoryConfig)}
        checkpoint.check_fact(path, "config", isinstance(facts["config"], dict), "a dict", facts["config"])
        checkpoint.check_names(path, "settings", facts["config"], fields)
        with checkpoint.named_errors(path):
            stored = MemoryConfig(**facts["config"])
        if config is not None and config != stored:
            raise ValueError(f"config: {path} was trained with {_differences(stored, config)}")
        agent = cls(env, stored, device=device)
        given = family_name(agent.family)
        if given != facts["family"]:
            raise ValueError(f"env: {path} was trained on {facts['family']}, expected that, got {given}")
        with checkpoint.named_errors(path):
            agent._restore_from(tensors, facts, path)
        return agent

    def _restore_from(self, tensors: dict[str, Tensor], facts: dict[str, Any], path: str | Path) -> None:
        """Take over what a checkpoint holds; raise ValueError if something does not fit."""
        own = {"center": self.encode.center, "scale": self.encode.scale}
        others = {name for name in tensors if not name.startswith(("optimizer.", "model."))}
        checkpoint.check_names(path, "tensors", others, own)
        for name, value in own.items():
            found, least = tensors[name], 0.0 if name == "scale" else -math.inf
            good = (found.shape, found.dtype) == (value.shape, value.dtype)
            good = good and bool((found.isfinite() & (found > least)).all())
            expected = f"{list(value.shape)} finite numbers{' > 0' * (name == 'scale')}, {value.dtype}"
            checkpoint.check_fact(path, name, good, expected, found.tolist())
        checkpoint.check_model(self.network, tensors, path)
        for name in checkpoint.model_tensors(self.network):
            good = bool(tensors[name].isfinite().all())
            checkpoint.check_fact(path, name, good, "finite numbers", tensors[name].tolist())
        checkpoint.check_optimizer(self._optimizer, tensors, facts["optimizer"], path)
        checkpoint.check_history(path, facts["history"], COLUMNS)
        seed = facts["seed"]
        good = seed is None or (type(seed) is int and seed >= 0)
        checkpoint.check_fact(path, "seed", good, "an integer >= 0 or null", seed)
        checkpoint.load_model(self.network, tensors)
        center, scale = (tensors[name].to(self.device) for name in ("center", "scale"))
        self.encode = self.encode._replace(center=center, scale=scale)
        checkpoint.load_optimizer(self._optimizer, tensors, facts["optimizer"])
        self._seed, self.history = seed, facts["history"]

    def _left(self) -> int:
        done, planned = len(self.history), self.config.updates
        if done >= planned:
            raise ValueError(f"updates must be given: all {planned} of the configuration are done")
        return planned - done

    def _batch(self, family: PolicyTasks, tasks: Any, trials: int) -> BatchEnv:
        return make_batch(family, tasks, trials, horizon=self.config.horizon, device=self.device)

    def _update(self) -> dict[str, Any]:
        """Make one update, entirely or not at all."""
        assert self._seed is not None
        config, number = self.config, len(self.history)
        task_seed, seed = np.random.SeedSequence([self._seed, number]).generate_state(2).tolist()
        tasks = draw_tasks(self.family, config.trials, seed=task_seed)
        group = ranks.current()
        batch, played = share_batch(
            self.family, lambda tasks: self._batch(self.family, tasks, 1), tasks, group
        )
        with closing_batch(batch) as env:
            trials = self.play(env, seed=seed)
        trials = trials._replace(mask=trials.mask * bool(played))
        adv, targets = self._credit(trials)
        generator = make_generator(seed)
        backup = copy.deepcopy((self.network.state_dict(), self._optimizer.state_dict()))
        self._optimizer.param_groups[0]["lr"] = config.learning_rate_at(number)
        entropies = []
        try:
            for _ in range(config.epochs):
                order = torch.randperm(config.trials, generator=generator).to(self.device)
                for chosen in order.tensor_split(config.minibatches):
                    entropies.append(self._step(trials, adv, targets, chosen, config.entropy_at(number)))
            first, last = group.mean([trials.returns[k].mean() for k in (0, -1)], played)
            row = {
                "update": number + 1,
                "first": first.item(),
                "last": last.item(),
                "entropy": float(np.mean(entropies[: config.minibatches])),
                "steps": (self.history[-1]["steps"] if self.history else 0)
                + int(group.total(trials.mask.sum())[0]),
            }
            self.history.append(row)
        except BaseException:
            self.network.load_state_dict(backup[0])
            self._optimizer.load_state_dict(backup[1])
            del self.history[number:]
            raise
        return row

    def _credit(self, trials: Trials) -> tuple[Tensor, Tensor]:
        """Return advantages [S, B], normalised over all steps of an update, and targets of the values [S, B].

        Values count in units of what the discount lets add up, so that their targets are of the order of a
        reward.
        """
        with torch.no_grad():
            values = self.network(trials.inputs)[1] * self._value_unit(trials)
        adv = trial_advantages(trials, values, gamma=self.config.gamma, lam=self.config.lam)
        total = ranks.current().total
        return normalise(adv, trials.mask, total=total), (adv + values) / self._value_unit(trials)

    def _value_unit(self, trials: Trials) -> float:
        longest = ranks.current().largest(float(len(trials.mask)))
        return longest if self.config.gamma == 1 else min(1 / (1 - self.config.gamma), longest)

    def _step(self, trials: Trials, adv: Tensor, targets: Tensor, chosen: Tensor, weight: float) -> float:
        """Take one Adam step on some of the trials; return the mean entropy of the policy before it."""
        config, actions, group = self.config, self.encode.actions, ranks.current()
        chosen, counted = self._own(chosen)
        mask = trials.mask[:, chosen] * counted
        steps = group.total(mask.sum())[0]
        outputs, values, _ = self.network(trials.inputs[:, chosen])
        logp = actions.log_prob(outputs, trials.act[:, chosen])
        change = logp - trials.logp[:, chosen]
        ratio = torch.exp(
            change.where(mask.bool(), torch.zeros_like(change))
        )  # what pads a trial is no number
        gain = clipped_objective(ratio, adv[:, chosen], clip=config.clip)
        entropy = (actions.entropy(outputs) * mask).sum() / steps
        error = (values - targets[:, chosen]).square()
        loss = ((config.value_weight * error - gain) * mask).sum() / steps - weight * entropy
        self._optimizer.zero_grad()
        loss.backward()
        learned = [value for value in self.network.parameters() if value.grad is not None]
        grads = [value.grad for value in learned if value.grad is not None]
        entropy, *gradient = group.total(entropy.detach(), *grads)
        for value, part in zip(learned, gradient, strict=True):
            value.grad = part
        if not all(bool(part.isfinite().all()) for part in gradient):
            raise FloatingPointError(
                f"the gradient of update {len(self.history) + 1} is not finite: lower learning_rate"
            )
        if config.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.max_grad_norm)
        self._optimizer.step()
        return float(entropy)

    def _own(self, chosen: Tensor) -> tuple[Tensor, bool]:
        """Return which of an update's trials that were chosen are this process's, and whether any is.

        If none is, the first one takes part, so that all processes do the same, and counts for nothing.
        """
        group = ranks.current()
        if group.size == 1:
            return chosen, True
        own = group.share(self.config.trials)
        mine = chosen[(chosen >= own.start) & (chosen < own.stop)] - own.start
        return (mine, True) if len(mine) else (torch.zeros_like(chosen[:1]), False)

    def _find_scale(self, features: int) -> tuple[Tensor, Tensor]:
        """Return [F] and [F] center and scale of observations: what the family says, else measured once."""
        stated = observation_scale(self.family, features)
        if stated is not None:
            return torch.zeros(features, device=self.device), stated.to(self.device)
        tasks = draw_tasks(self.family, self.config.trials, seed=0)
        with closing_batch(self._batch(self.family, tasks, 1)) as env:
            width = actions_of(env).width
            played = collect(
                env, lambda obs: obs.new_zeros(*obs.shape[:2], width), generator=make_generator(0)
            )
        center, scale = played.center_and_scale()
        return center.to(self.device), scale.to(self.device)


def _differences(stored: MemoryConfig, given: MemoryConfig) -> str:
    """Say in which fields two configurations differ."""
    pairs = zip(dataclasses.asdict(stored).items(), dataclasses.asdict(given).values(), strict=True)
    return ", ".join(f"{name}={old!r} (got {new!r})" for (name, old), new in pairs if old != new)
