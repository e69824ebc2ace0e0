"""Bernoulli bandits: the smallest world in which exploring is a problem, and one where the best is known.

A task is a row of arms; arm a pays 1 with probability p_a and else 0. The probabilities are drawn uniformly
from [0, 1] and hidden. There is nothing to see but what one's own pulls have paid. A family may also have a
safe arm, which always pays the same known amount.

One pull is an episode (the family's `horizon` is 1), so that a trial of ten episodes is ten pulls: an agent
with a memory plays `MemoryConfig(episodes=10)`.
"""

from dataclasses import dataclass
from typing import Any

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import gymnasium as gym
import numpy as np
import torch

from mlearn_utils.runtime import check_fraction, check_integer, make_rng

ENV_ID = "mlearn/Bandit-v0"

LUCK = 1
"""What the luck of a batch is seeded with beside its seed: `sample` and `reset` with the same seed must not
draw the same numbers, or whoever pulls the first arm first meets its own chance as luck, and always loses."""

Array = Any  # numpy array or torch tensor


@dataclass(frozen=True, eq=False)
class BanditTask:
    """A batch of T bandits; `tasks[i]` and `tasks[2:5]` are batches too.

    Attributes:
        chances: float64 [T, A] the probability that a pull of each arm pays 1.
        safe: what the safe arm pays, which comes after the others; None if there is none.

    Raises:
        ValueError: if the chances are not numbers in [0, 1], [T, A] with T, A >= 1, or `safe` is not one.
    """

    chances: Array
    safe: float | None = None

    def __post_init__(self):
        try:
            chances = np.atleast_2d(np.array(self.chances, dtype=float))
        except (TypeError, ValueError):
            raise ValueError(f"chances must be numbers [T, A], got {self.chances!r}") from None
        if chances.ndim != 2 or not chances.size or not ((chances >= 0) & (chances <= 1)).all():
            raise ValueError(
                f"chances must be numbers in [0, 1], [T, A] with T, A >= 1, got {self.chances!r}"
            )
        if self.safe is not None:
            check_fraction("safe", self.safe)
        object.__setattr__(self, "chances", chances)

    def __len__(self) -> int:
        return len(self.chances)

    def __getitem__(self, index: int | slice | np.ndarray) -> "BanditTask":
        return BanditTask(self.chances[np.atleast_1d(np.arange(len(self))[index])], self.safe)

    @property
    def num_actions(self) -> int:
        """Arms to choose from, the safe one among them."""
        return self.chances.shape[1] + (self.safe is not None)

    def means(self) -> np.ndarray:
        """Return [T, A'] what a pull of each arm pays on average, the safe one last."""
        if self.safe is None:
            return self.chances
        return np.concatenate((self.chances, np.full((len(self), 1), self.safe)), axis=1)


class BernoulliBandits:
    """The distribution over bandits whose arms' chances are independent and uniform in [0, 1].

    Args:
        n_arms: arms with hidden chances, >= 1.
        safe: what a further arm always pays, in [0, 1]; None for no such arm.

    Example:
        >>> agent = MemoryAgent(BernoulliBandits(5), bandit_config(pulls=10))

    Attributes:
        horizon: 1, a pull an episode.
        observation_scale: there is one observation, always 1.

    Raises:
        ValueError: if `n_arms` is not an integer >= 1, or `safe` not in [0, 1].
    """

    horizon = 1
    observation_scale: tuple[float, ...] = (1.0,)

    def __init__(self, n_arms: int = 5, *, safe: float | None = None):
        check_integer("n_arms", n_arms, minimum=1)
        if safe is not None:
            check_fraction("safe", safe)
        self.n_arms, self.safe = int(n_arms), safe

    def __repr__(self) -> str:
        safe = "" if self.safe is None else f", safe={self.safe!r}"
        return f"{type(self).__name__}({self.n_arms}{safe})"

    def sample(self, n_tasks: int, *, seed: int) -> BanditTask:
        """Draw n bandits; the same seed gives the same ones.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1)
        return BanditTask(make_rng(seed).uniform(size=(n_tasks, self.n_arms)), self.safe)

    def make_env(self, task: BanditTask, *, horizon: int = 1) -> gym.Env[np.ndarray, int | np.int64]:
        """Return one bandit as a Gymnasium environment with episodes of `horizon` pulls.

        Raises:
            TypeError: if `task` is not a BanditTask.
            ValueError: if it holds several bandits or has other arms, or `horizon` is not >= 1.
        """
        self._check(task, "task")
        check_integer("horizon", horizon, minimum=1)
        return gym.make(ENV_ID, task=task, max_episode_steps=horizon)

    def make_batch(
        self, tasks: BanditTask, num_envs: int, *, horizon: int = 1, device: torch.device | None = None
    ) -> "BatchedBandit":
        """Return T bandits x E players; arguments and errors as in `BatchedBandit`.

        Raises:
            TypeError: if `tasks` is not a BanditTask.
            ValueError: if the bandits have other arms than the family's.
        """
        self._check(tasks)
        return BatchedBandit(tasks, num_envs, horizon=horizon, device=device)

    def _check(self, tasks: object, name: str = "tasks") -> None:
        if not isinstance(tasks, BanditTask):
            raise TypeError(f"{name} must be a BanditTask, as {self}.sample returns, got {tasks!r}")
        found = tasks.chances.shape[1], tasks.safe
        if found != (self.n_arms, self.safe):
            raise ValueError(
                f"{name} must have n_arms={self.n_arms} and safe={self.safe}, got n_arms={found[0]} and "
                f"safe={found[1]}"
            )


class BatchedBandit:
    """T bandits x E players each, all of whom pull together.

    ## Actions
    Integers [T, E]: the arm, from 0; the last one is the safe arm, if there is one.

    ## Observations
    [T, E, 1] float32, always 1: there is nothing to see.

    ## Rewards
    [T, E]: 1 with the chance of the arm, else 0; of the safe arm what it pays.

    ## Start and end
    An episode is truncated after `horizon` pulls, everywhere at once.

    Args:
        tasks: T bandits.
        num_envs: players a bandit, E.
        horizon: pulls of an episode.
        device: None computes with numpy, a torch device with torch there.

    Raises:
        TypeError: if `tasks` is not a BanditTask.
        ValueError: if a count is not an integer >= 1.
    """

    num_features = 1
    part: tuple[slice, int] | None = None
    """Which tasks these are of how many that `reset` draws for; see `rl.rollout.part_of`."""

    def __init__(
        self,
        tasks: BanditTask,
        num_envs: int = 1,
        *,
        horizon: int = 1,
        device: str | torch.device | None = None,
    ):
        if not isinstance(tasks, BanditTask):
            raise TypeError(
                f"tasks must be a BanditTask, as BernoulliBandits().sample returns, got {tasks!r}"
            )
        check_integer("num_envs", num_envs, minimum=1)
        check_integer("horizon", horizon, minimum=1)
        self.tasks, self.num_tasks, self.num_envs, self.horizon = tasks, len(tasks), num_envs, horizon
        self.num_actions = tasks.num_actions
        self.device = None if device is None else torch.device(device)
        self._xp: Any = numpy_namespace if device is None else torch_namespace
        self._row = np.arange(self.num_tasks)[:, None]
        self._obs = self._array(np.ones((self.num_tasks, num_envs, 1), dtype=np.float32))
        self.alive = self._array(np.zeros((self.num_tasks, num_envs), dtype=bool))
        self.elapsed: int | None = None

    def reset(self, *, seed: int) -> Array:
        """Start an episode everywhere; `seed` fixes the luck of its pulls. Return observations [T, E, 1]."""
        check_integer("seed", seed, minimum=0)
        luck = np.random.default_rng([int(seed), LUCK])
        tasks, of = self.part or (slice(None), self.num_tasks)
        self._luck = luck.uniform(size=(self.horizon, of, self.num_envs))[:, tasks]
        self._ended = self._array(np.zeros((self.num_tasks, self.num_envs), dtype=bool))
        self.alive = ~self._ended
        self.elapsed = 0
        return self._obs + 0

    def step(self, action: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Pull once everywhere; after the last pull of an episode nothing is paid.

        Args:
            action: [T, E] integers.

        Returns:
            observation [T, E, 1], reward [T, E], terminated [T, E], truncated [T, E], and an empty info.

        Raises:
            RuntimeError: if `reset` was not called.
            ValueError: if the actions have another shape or are no arms.
        """
        if self.elapsed is None:
            raise RuntimeError("call reset() before step()")
        arms = np.asarray(action.cpu() if isinstance(action, torch.Tensor) else action)
        if arms.shape != (self.num_tasks, self.num_envs) or arms.dtype.kind not in "iu":
            raise ValueError(
                f"action must be integers [{self.num_tasks}, {self.num_envs}], got {arms.dtype} "
                f"{list(arms.shape)}"
            )
        if arms.min() < 0 or arms.max() >= self.num_actions:
            raise ValueError(f"action must be arms from 0 to {self.num_actions - 1}, got {np.unique(arms)}")
        reward = np.zeros(arms.shape, dtype=np.float32)
        if self.elapsed < self.horizon:
            chance = self.tasks.means()[self._row, arms]
            safe = arms == self.tasks.chances.shape[1]
            reward = np.where(safe, chance, self._luck[self.elapsed] < chance).astype(np.float32)
            self.elapsed += 1
        terminated = self._ended
        if self.elapsed >= self.horizon:
            self.alive = self._xp.zeros_like(self._ended)
        return self._obs + 0, self._array(reward), terminated & True, ~self.alive, {}

    def _array(self, values: np.ndarray) -> Array:
        return values if self.device is None else torch.from_numpy(values).to(self.device)


class BanditEnv(gym.Env[np.ndarray, int | np.int64]):
    """One bandit as a Gymnasium environment; see `BatchedBandit` for actions, observations and rewards.

    Args:
        task: one bandit; five arms with chances 0.1, 0.3, 0.5, 0.7, 0.9 by default.

    Raises:
        TypeError: if `task` is not a BanditTask.
        ValueError: if it holds several bandits.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own form

    def __init__(self, task: BanditTask | None = None):
        task = BanditTask([0.1, 0.3, 0.5, 0.7, 0.9]) if task is None else task
        if not isinstance(task, BanditTask):
            raise TypeError(f"task must be a BanditTask of one bandit, got {type(task).__name__}")
        if len(task) != 1:
            raise ValueError(f"task must hold one bandit, got {len(task)}; tasks[i] is one")
        self.task = task
        self.observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(task.num_actions)
        self._means = task.means()[0]
        self._rng = np.random.default_rng()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode: nothing changes but the generator of its luck."""
        super().reset(seed=seed)
        if seed is not None:
            self._rng = np.random.default_rng([seed, LUCK])
        return np.ones(1, dtype=np.float32), {}

    def step(self, action: int | np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pull an arm.

        Raises:
            ValueError: if `action` is no arm.
        """
        if isinstance(action, bool) or not self.action_space.contains(action):
            raise ValueError(f"action must be an arm from 0 to {len(self._means) - 1}, got {action!r}")
        chance = float(self._means[action])
        safe = action == self.task.chances.shape[1]
        reward = chance if safe else float(self._rng.uniform() < chance)
        return np.ones(1, dtype=np.float32), reward, False, False, {}


if ENV_ID not in gym.registry:
    gym.register(ENV_ID, entry_point="mlearn_utils.tasks.bandit:BanditEnv", max_episode_steps=1)
