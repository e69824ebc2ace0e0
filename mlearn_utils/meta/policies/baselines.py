"""What MAML for policies is compared with, each at its best: the same agent, with one thing taken away.

- multitask + fine-tuning: one policy trained on all tasks without adapting, then adapted as MAML's is;
- random + fine-tuning: an untrained agent, adapted as MAML's is;
- told: one policy that sees what the task hides; the longer it is trained, the nearer it is to the ceiling.

Fine-tuning lives by its step size, so `tune_inner_lr` finds the best on validation tasks, separately for
every number of steps, and does not settle for the last value it tried.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTask, CartPoleTasks

RATES = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
DECAYS = (1.0, 0.3)
LARGEST_RATE, SMALLEST_DECAY, LARGEST_DECAY = 1e6, 0.01, 10.0
"""Where the search ends: by such a step every policy is certain of all it does, and the next is none."""


def multitask_config(config: MAMLConfig) -> MAMLConfig:
    """Return the configuration that trains one policy on all tasks, on as many episodes as `config`."""
    episodes = config.episodes * (1 + config.inner_steps)
    return dataclasses.replace(config, inner_steps=0, episodes=episodes)


def tune_inner_lr(
    agents: MAMLAgent | Sequence[MAMLAgent],
    tasks: Any,
    *,
    steps: int = 3,
    episodes: int = 10,
    rates: tuple[float, ...] = RATES,
    decays: tuple[float, ...] = DECAYS,
    seed: int = 0,
    table: list[tuple[float, float, int, float]] | None = None,
) -> dict[int, list[float]]:
    """Return for each number of steps k = 1 ... `steps` the k step sizes with the best mean return.

    Every first rate is tried with every decay from step to step. While the largest rate wins for any number
    of steps, one three times larger is tried, up to LARGEST_RATE; 0 is the other end, no adaptation at all.
    While the smallest or the largest decay wins for several steps, one beyond it is tried, a third or three
    times as large, down to SMALLEST_DECAY and up to LARGEST_DECAY.

    A size that suits one training may break the policy of another, so give several agents of equal settings.

    Args:
        agents: one or more, whose policies are adapted; the mean over them counts.
        tasks: validation tasks, never those reported on.
        steps: the most inner steps.
        episodes: episodes a task and step.
        rates: first step sizes to try.
        decays: factors from one step to the next.
        seed: start of the random numbers of episodes and actions.
        table: a list that gets a row (first rate, decay, steps, mean return) for all that was tried.

    Raises:
        ValueError: if `agents`, `rates` or `decays` is empty.
    """
    trained = list(agents) if isinstance(agents, Sequence) else [agents]
    if not trained:
        raise ValueError("agents must not be empty")
    if not rates or not decays:
        raise ValueError(f"rates and decays must not be empty, got {rates} and {decays}")
    means: dict[tuple[float, float], np.ndarray] = {}
    tried, factors = sorted(rates), sorted(decays)
    while True:
        for rate, decay in itertools.product(tried, factors):
            if (rate, decay) in means:
                continue
            sizes = _sizes(rate, decay, steps)
            found = [
                agent.evaluate(tasks, steps=steps, inner_lr=sizes, episodes=episodes, seed=seed)
                for agent in trained
            ]
            means[rate, decay] = np.mean(found, axis=(0, 2))
        best = {k: max(means, key=lambda pair: means[pair][k]) for k in range(1, steps + 1)}
        won = {decay for k, (rate, decay) in best.items() if k > 1 and rate > 0}
        before = len(tried) + len(factors)
        if any(rate == tried[-1] for rate, _ in best.values()) and 3 * tried[-1] <= LARGEST_RATE:
            tried.append(3 * tried[-1])
        if factors[0] in won and factors[0] / 3 >= SMALLEST_DECAY:
            factors.insert(0, factors[0] / 3)
        if factors[-1] in won and 3 * factors[-1] <= LARGEST_DECAY:
            factors.append(3 * factors[-1])
        if len(tried) + len(factors) == before:
            break
    if table is not None:
        table += [(*pair, k, float(values[k])) for pair, values in means.items() for k in range(1, steps + 1)]
    return {k: _sizes(*pair, k) for k, pair in best.items()}


def evaluate_tuned(
    agent: MAMLAgent, tasks: Any, tuned: dict[int, list[float]], *, episodes: int = 10, seed: int = 0
) -> np.ndarray:
    """Return [steps + 1, T] returns on test tasks after k steps, each k with the sizes tuned for it.

    Arguments as in `tune_inner_lr`, which returned `tuned`.
    """
    rows = [agent.evaluate(tasks, steps=0, episodes=episodes, seed=seed)[0]]
    for k, sizes in sorted(tuned.items()):
        rows.append(agent.evaluate(tasks, steps=k, inner_lr=sizes, episodes=episodes, seed=seed)[k])
    return np.stack(rows)


class ToldTasks:
    """A cart-pole family that hides nothing: its observations end with what varies between the tasks.

    Rewards are seen in every episode, of "once" as well: who knows the target learns nothing from them.

    Args:
        family: "dirv", "dir", "phys", "goalv" or "once".

    Raises:
        ValueError: if the family is unknown.
    """

    def __init__(self, family: str):
        self.hidden = CartPoleTasks(family)

    def __repr__(self) -> str:
        return f"ToldTasks({self.hidden.family!r})"

    def sample(self, n_tasks: int, *, seed: int) -> CartPoleTask:
        """Draw the tasks that `CartPoleTasks.sample` draws."""
        return self.hidden.sample(n_tasks, seed=seed)

    def make_env(self, task: CartPoleTask) -> gym.Env:
        """Return one task whose observation [4 + H] ends with `task.hidden()`."""
        env = self.hidden.make_env(task)
        told = task.hidden()[0].astype(np.float32)
        seen = env.observation_space
        assert isinstance(seen, gym.spaces.Box)
        low, high = (np.concatenate([bound, told]) for bound in (seen.low, seen.high))
        space = gym.spaces.Box(low, high, dtype=np.float32)
        return gym.wrappers.TransformObservation(env, lambda obs: np.concatenate([obs, told]), space)

    def make_batch(
        self, tasks: CartPoleTask, num_envs: int, *, horizon: int, device: torch.device | None
    ) -> "ToldBatch":
        """Return the batch of these tasks with observations [T, E, 4 + H]."""
        return ToldBatch(self.hidden.make_batch(tasks, num_envs, horizon=horizon, device=device))


class ToldBatch:
    """A batched cart-pole whose observations end with what its tasks hide: [T, E, 4 + H].

    Args:
        env: the batch; its reset and step are called.
    """

    def __init__(self, env: BatchedCartPole):
        self._env = env
        told = env.tasks.hidden().astype(np.float32)
        spread = np.broadcast_to(told[:, None], (env.num_tasks, env.num_envs, told.shape[1]))
        self._told = torch.from_numpy(spread.copy())
        self.num_tasks, self.num_envs, self.horizon = env.num_tasks, env.num_envs, env.horizon
        self.num_features, self.num_actions = env.num_features + told.shape[1], env.num_actions

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

    def reset(self, *, seed: int) -> torch.Tensor:
        """Start all episodes; return observations [T, E, 4 + H]."""
        return self._tell(self._env.reset(seed=seed))

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Push every cart once, as `BatchedCartPole.step`."""
        obs, reward, terminated, truncated, info = self._env.step(action)
        return self._tell(obs), reward, terminated, truncated, info

    def _tell(self, obs: Any) -> torch.Tensor:
        seen = torch.as_tensor(obs)
        return torch.cat((seen, self._told.to(seen.device)), dim=-1)


def _sizes(rate: float, decay: float, steps: int) -> list[float]:
    return [rate * decay**k for k in range(steps)]
