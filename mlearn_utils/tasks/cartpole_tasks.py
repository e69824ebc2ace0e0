"""Families of cart-pole tasks: physics that differ, and rewards that hide what is wanted.

Physics can be read off the state, so one robust policy serves every task of `phys`. What is rewarded
cannot be seen: in `dirv`, `dir` and `goalv` a policy has to try, look at its rewards, and adapt.

| family | hidden in the task                                       | reward of a step              |
|--------|----------------------------------------------------------|-------------------------------|
| dirv   | target velocity v*: either sign, size in [0.5, 1]        | clip(1 - abs(x_dot - v*), 0, 1) |
| dir    | direction d = +-1; length 0.3-0.8, force 8-12            | clip(0.5 + 0.5 d x_dot, 0, 1) |
| phys   | gravity 5-15, cart 0.5-2, pole 0.05-0.5, length 0.25-1, force 5-15 | 1                   |
| goalv  | target velocity v* in [-1, 1]                            | clip(1 - abs(x_dot - v*), 0, 1) |
| once   | as dirv; of several episodes in a task only the first shows its rewards, all are paid | as dirv |

The velocity is that of the state which the step reaches, and the step that ends an episode is paid too.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from array_api_compat import array_namespace

from mlearn_utils.runtime import check_integer, make_rng
from mlearn_utils.tasks.cartpole_physics import Array, CartPolePhysics

if TYPE_CHECKING:
    from mlearn_utils.tasks.cartpole import BatchedCartPole

ENV_ID = "mlearn/CartPole-v0"
"""Gymnasium id of one task as an environment."""


OBSERVATION_SCALE = (1.0, 1.0, 0.1, 1.0)
"""What the observations of a cart-pole are divided by, so that all four are of the order of 1."""


def velocity_reward(state: Array, target: Array) -> Array:
    """Return [...] how close the cart's velocity is to the target (m/s): clip(1 - |x_dot - v*|, 0, 1)."""
    return (1 - abs(state[..., 1] - target)).clip(0, 1)


def direction_reward(state: Array, target: Array) -> Array:
    """Return [...] how fast the cart moves the way d = +-1 (the target): clip(0.5 + 0.5 d x_dot, 0, 1)."""
    return (0.5 + 0.5 * target * state[..., 1]).clip(0, 1)


def survival_reward(state: Array, target: Array) -> Array:
    """Return [...] ones: each step survived counts the same, and the target is ignored."""
    return array_namespace(state).ones_like(state[..., 1])


class Family(NamedTuple):
    """What varies between the tasks of one family.

    Attributes:
        reward: (state [..., 4], target [...]) -> reward [...].
        target: (numpy generator, T) -> targets [T]; None where the reward hides nothing.
        physics: constant -> (low, high), drawn uniformly; the others keep their defaults.
        seen_episodes: how many episodes in the same task show their rewards; None for all. The others are
            paid just as well.
    """

    reward: Callable[[Array, Array], Array]
    target: Callable[[np.random.Generator, int], np.ndarray] | None
    physics: Mapping[str, tuple[float, float]]
    seen_episodes: int | None = None


def _random_sign(rng: np.random.Generator, n_tasks: int) -> np.ndarray:
    return rng.choice([-1.0, 1.0], size=n_tasks)


def _velocity_away_from_zero(rng: np.random.Generator, n_tasks: int) -> np.ndarray:
    return _random_sign(rng, n_tasks) * rng.uniform(0.5, 1.0, n_tasks)


FAMILIES: dict[str, Family] = {
    "dirv": Family(velocity_reward, _velocity_away_from_zero, {}),
    "dir": Family(direction_reward, _random_sign, {"length": (0.3, 0.8), "force_mag": (8.0, 12.0)}),
    "phys": Family(
        survival_reward,
        None,
        {
            "gravity": (5.0, 15.0),
            "masscart": (0.5, 2.0),
            "masspole": (0.05, 0.5),
            "length": (0.25, 1.0),
            "force_mag": (5.0, 15.0),
        },
    ),
    "goalv": Family(velocity_reward, lambda rng, n: rng.uniform(-1.0, 1.0, n), {}),
    "once": Family(velocity_reward, _velocity_away_from_zero, {}, seen_episodes=1),
}


@dataclass(frozen=True, eq=False)
class CartPoleTask:
    """A batch of T tasks of one family; `tasks[i]` and `tasks[2:5]` are batches too.

    Attributes:
        family: name of the family, which fixes how `target` is rewarded.
        physics: constants as float64 arrays [T, 1] (numbers are spread over the tasks).
        target: float64 [T], the hidden velocity (m/s) or direction; zeros where there is none.

    Example:
        >>> task = CartPoleTask("dirv", CartPolePhysics(length=0.7), target=[0.8])   # one task of one's own

    Raises:
        ValueError: if the family is unknown, a target is not finite, or the physics has another T.
    """

    family: str = "phys"
    physics: CartPolePhysics = dataclasses.field(default_factory=CartPolePhysics)
    target: Array = (0.0,)

    def __post_init__(self):
        check_family(self.family)
        target = np.atleast_1d(np.asarray(self.target, dtype=float))
        if target.ndim != 1 or target.size == 0 or not np.isfinite(target).all():
            raise ValueError(f"target must be finite numbers [T] with T >= 1, got {self.target!r}")
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "physics", _one_row_a_task(self.physics, len(target)))

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: int | slice | np.ndarray) -> "CartPoleTask":
        rows = np.atleast_1d(np.arange(len(self))[index])
        constants = {name: value[rows] for name, value in vars(self.physics).items()}
        return CartPoleTask(self.family, CartPolePhysics(**constants), self.target[rows])

    def hidden(self) -> np.ndarray:
        """Return [T, H] what the family varies: the target, if any, then its physics constants."""
        family = FAMILIES[self.family]
        columns = [] if family.target is None else [self.target]
        columns += [getattr(self.physics, name)[:, 0] for name in family.physics]
        return np.stack(columns, axis=1)


class CartPoleTasks:
    """A distribution over cart-pole tasks.

    Args:
        family: "dirv", "dir", "phys", "goalv" or "once"; the module's table says what each hides.
        physics: constants that the family does not vary; those of CartPole-v1 by default.

    Example:
        >>> tasks = CartPoleTasks("dirv")
        >>> batch = tasks.sample(20, seed=0)
        >>> env = tasks.make_env(batch[3], render_mode="rgb_array")

    Attributes:
        observation_scale: [F] what observations are divided by before a policy sees them.
        horizon: steps after which an episode is truncated, if nothing else is said.
        seen_episodes: how many episodes in a task show their rewards; None for all. `MemoryAgent` and
            `BeliefTasks` heed it; `MAMLAgent` refuses inner steps on more episodes.

    Raises:
        ValueError: if the family is unknown.
    """

    observation_scale: tuple[float, ...] = OBSERVATION_SCALE
    horizon = 100

    def __init__(self, family: str, *, physics: CartPolePhysics | None = None):
        check_family(family)
        self.family = family
        self.seen_episodes = FAMILIES[family].seen_episodes
        self.physics = CartPolePhysics() if physics is None else physics

    def __repr__(self) -> str:
        constants = {name: np.asarray(value, dtype=float) for name, value in vars(self.physics).items()}
        usual = vars(CartPolePhysics())
        changed = ", ".join(f"{k}={v.tolist()}" for k, v in constants.items() if (v != usual[k]).any())
        physics = f", physics=CartPolePhysics({changed})" if changed else ""
        return f"{type(self).__name__}({self.family!r}{physics})"

    def sample(self, n_tasks: int, *, seed: int) -> CartPoleTask:
        """Draw a batch of tasks; the same seed gives the same tasks.

        Args:
            n_tasks: how many, T >= 1.
            seed: start of the random numbers.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1)
        rng = make_rng(seed)
        family = FAMILIES[self.family]
        drawn = {name: rng.uniform(low, high, (n_tasks, 1)) for name, (low, high) in family.physics.items()}
        target = np.zeros(n_tasks) if family.target is None else family.target(rng, n_tasks)
        return CartPoleTask(self.family, dataclasses.replace(self.physics, **drawn), target)

    def make_env(
        self, task: CartPoleTask, *, horizon: int = 100, render_mode: str | None = None
    ) -> gym.Env[np.ndarray, int | np.int64]:
        """Return one task as a Gymnasium environment that is truncated after `horizon` steps.

        Raises:
            TypeError: if `task` is not a CartPoleTask.
            ValueError: if it holds several tasks or is of another family, or `horizon` is not >= 1.
        """
        if not isinstance(task, CartPoleTask):
            raise TypeError(f"task must be a CartPoleTask of one task, got {type(task).__name__}")
        if task.family != self.family:
            raise ValueError(f"task must be of family {self.family!r}, got one of {task.family!r}")
        check_integer("horizon", horizon, minimum=1)
        return gym.make(ENV_ID, task=task, max_episode_steps=horizon, render_mode=render_mode)

    def make_batch(
        self, tasks: CartPoleTask, num_envs: int, *, horizon: int = 100, device: torch.device | None = None
    ) -> "BatchedCartPole":
        """Return T tasks x E environments, stepped together; arguments as in `BatchedCartPole`.

        Raises:
            TypeError: if `tasks` is not a CartPoleTask.
            ValueError: if the tasks are of another family, or a number is out of range.
        """
        from mlearn_utils.tasks.cartpole import BatchedCartPole  # which is built on this module

        if not isinstance(tasks, CartPoleTask):
            raise TypeError(f"tasks must be what {self}.sample returns, got {type(tasks).__name__}")
        if tasks.family != self.family:
            raise ValueError(f"tasks must be of the family {self.family!r}, got {tasks.family!r}")
        return BatchedCartPole(tasks, num_envs, horizon=horizon, device=device)


def check_family(family: str) -> None:
    """Raise ValueError unless `family` is the name of a family."""
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(f"family must be one of {tuple(FAMILIES)}, got {family!r}")


def _one_row_a_task(physics: CartPolePhysics, n_tasks: int) -> CartPolePhysics:
    constants = {}
    for name, value in vars(physics).items():
        column = np.asarray(value, dtype=float)
        if column.shape not in ((), (n_tasks, 1)):
            raise ValueError(f"{name} must be a number or an array [{n_tasks}, 1], got shape {column.shape}")
        constants[name] = np.array(np.broadcast_to(column, (n_tasks, 1)))
    return CartPolePhysics(**constants)


if ENV_ID not in gym.registry:
    gym.register(ENV_ID, entry_point="mlearn_utils.tasks.cartpole_env:CartPoleTaskEnv", max_episode_steps=100)
