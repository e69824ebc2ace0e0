"""What MAMLAgent learns from: a family of tasks, whatever the user gave, played as batches [T, E]."""

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import torch
from torch import Tensor

from mlearn_utils.meta.ranks import Ranks
from mlearn_utils.rl.gymnasium_batch import GymnasiumBatch, cartpole_task, check_spaces, other_wrappers
from mlearn_utils.rl.rollout import BatchEnv
from mlearn_utils.runtime import level_outside
from mlearn_utils.tasks.cartpole import FAMILIES, CartPolePhysics, CartPoleTasks

DEFAULT_FAMILY = "dirv"
"""What becomes of a plain CartPole: the same cart-pole, rewarded for a hidden target velocity."""


@runtime_checkable
class PolicyTasks(Protocol):
    """A distribution over tasks: Gymnasium environments with Box observations, and Discrete or Box actions.

    A family may also have `make_batch` (see `BatchedPolicyTasks`), a `horizon`, the steps of an episode, and
    `observation_scale`, [F] positive numbers that observations are divided by; of a family without it center
    and scale are measured. `check_family` tries a family and says what is wrong with it.
    """

    def sample(self, n_tasks: int, *, seed: int) -> Any:
        """Draw a sequence of tasks; the same seed gives the same tasks."""
        ...

    def make_env(self, task: Any) -> gym.Env:
        """Return a new environment of one task."""
        ...


@runtime_checkable
class BatchedPolicyTasks(PolicyTasks, Protocol):
    """A family that plays its tasks as one batch, instead of environments stepped one after the other."""

    def make_batch(self, tasks: Any, num_envs: int, *, horizon: int, device: torch.device | None) -> BatchEnv:
        """Return E environments for each of T tasks; `device` is None for numpy on a CPU."""
        ...


def find_family(env: object) -> PolicyTasks:
    """Return the family that `env` is, or the default family of a plain cart-pole.

    Args:
        env: an object with `sample` and `make_env`; or a Gymnasium cart-pole or its id. That is one task, and
            nothing can be learnt about learning from one: it is made a family, `CartPoleTasks("dirv")` with
            the same physics (or the family of its task, for `mlearn/CartPole-v0`), and a warning says so; it
            names the line that gave the cart-pole to this package.

    Raises:
        TypeError: if it is neither, or the environments have another kind of observations or actions.
    """
    if isinstance(env, (gym.Env, str)):
        return _family_of(gym.make(env) if isinstance(env, str) else env)
    if isinstance(env, type) or not isinstance(env, PolicyTasks):
        raise TypeError(
            "env must be a family of tasks with the methods sample(n_tasks, seed=) and make_env(task), such "
            f'as CartPoleTasks("dirv"), or a Gymnasium cart-pole or its id; got {env!r}'
        )
    example = env.make_env(draw_tasks(env, 1, seed=0)[0])
    check_spaces(example, continuous=True)
    example.close()
    return env


def draw_tasks(family: PolicyTasks, n_tasks: int, *, seed: int) -> Any:
    """Return what a family draws; raise unless that is a sequence of as many tasks as it was asked for."""
    tasks = family.sample(n_tasks, seed=seed)
    if not hasattr(tasks, "__getitem__") or not hasattr(tasks, "__len__"):
        raise TypeError(
            f"env: sample({n_tasks}, seed={seed}) of {family_name(family)} must return a sequence of tasks, "
            f"such as a list, got {tasks!r}"
        )
    if len(tasks) != n_tasks:
        raise ValueError(
            f"env: sample({n_tasks}, seed={seed}) of {family_name(family)} returned {len(tasks)} tasks"
        )
    return tasks


def family_name(family: PolicyTasks) -> str:
    """Return what a checkpoint remembers of a family: its repr, or the class's name where there is none.

    Addresses of objects are left out: they differ from one process to the next.
    """
    if type(family).__repr__ is object.__repr__:
        return type(family).__name__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(family))


def observation_scale(family: PolicyTasks, num_features: int) -> Tensor | None:
    """Return [F] what a family says that its observations are to be divided by; None if it says nothing.

    Raises:
        ValueError: if these are not as many positive numbers as there are features.
    """
    stated = getattr(family, "observation_scale", None)
    if stated is None:
        return None
    scale = torch.as_tensor(stated, dtype=torch.float32)
    if scale.shape != (num_features,) or not ((scale > 0) & scale.isfinite()).all():
        raise ValueError(f"observation_scale must be {num_features} finite numbers > 0, got {stated!r}")
    return scale


def _family_of(env: gym.Env) -> CartPoleTasks:
    check_spaces(env, continuous=True)
    task = cartpole_task(env.unwrapped)
    others = other_wrappers(env)
    if task is not None and others:
        raise TypeError(
            f"env must be a family of tasks: the cart-pole {env} would be made one, but without its wrappers "
            f"{others}; pass env.unwrapped, or a family with sample(n_tasks, seed=) and make_env(task)"
        )
    if task is None:
        raise TypeError(
            f"env must be a family of tasks: {env} is a single task, and only a cart-pole with Gymnasium's "
            "rules is made a family; pass an object with methods sample(n_tasks, seed=) and make_env(task)"
        )
    family = DEFAULT_FAMILY if FAMILIES[task.family].target is None else task.family
    physics = CartPolePhysics(**{name: value.item() for name, value in vars(task.physics).items()})
    warnings.warn(
        f"{env} is one task, and meta-learning needs many: an agent that only ever meets one task learns "
        f"that task, not how to adapt. It was made the family CartPoleTasks({family!r}): the same cart-pole "
        "with another hidden reward in every task, and episodes of 100 steps or config.horizon, whatever its "
        "own time limit. Pass a family to choose another.",
        UserWarning,
        stacklevel=level_outside(),
    )
    return CartPoleTasks(family, physics=physics)


def make_batch(
    family: PolicyTasks, tasks: Any, num_envs: int, *, horizon: int | None, device: torch.device
) -> BatchEnv:
    """Return E environments for each of T tasks, as one batch.

    A family that has `make_batch` is asked for it, with device None (numpy) on a CPU; of any other the
    environments are stepped one after the other. Without a `horizon` it is the family's own, else that of the
    environments.

    Raises:
        ValueError: if there are no tasks, or they are of another family.
        TypeError: if the family cannot make environments of them.
    """
    horizon = getattr(family, "horizon", None) if horizon is None else horizon
    if isinstance(family, BatchedPolicyTasks):
        horizon = 100 if horizon is None else horizon
        array_device = None if device.type == "cpu" else device
        return family.make_batch(tasks, num_envs, horizon=horizon, device=array_device)
    if not isinstance(tasks, Sequence) and not hasattr(tasks, "__getitem__"):
        raise TypeError(f"tasks must be a sequence of tasks as the family's sample returns, got {tasks!r}")
    envs = [[family.make_env(tasks[i]) for _ in range(num_envs)] for i in range(len(tasks))]
    return GymnasiumBatch(envs, horizon=horizon)


def share_batch(
    family: PolicyTasks, make: Callable[[Any], BatchEnv], tasks: Any, ranks: Ranks
) -> tuple[BatchEnv, int]:
    """Return a batch of this rank's share of the tasks, and how many these are.

    A rank without tasks plays the first one, so as to keep in step; what comes of it must count for nothing.
    A batch draws what all tasks would get, and keeps its own. One that does not know of `part` (see
    `rl.rollout.part_of`) starts from a seed of its own on every rank: its episodes depend on how many there
    are.

    Args:
        family: of the tasks; one with a `make_batch` of its own is given a slice of them.
        make: makes a batch of tasks.
        tasks: of all ranks.
        ranks: of which this process is one.
    """
    if ranks.size == 1:
        return make(tasks), len(tasks)
    own = ranks.share(len(tasks))
    played = own if own.stop > own.start else slice(0, 1)
    batched = isinstance(family, BatchedPolicyTasks)
    env: Any = make(tasks[played] if batched else [tasks[i] for i in range(played.start, played.stop)])
    env = env if hasattr(env, "part") else _Reseeded(env, own.start)
    env.part = (played, len(tasks))
    return env, own.stop - own.start


class _Reseeded:
    """A batch whose episodes start from other seeds than those of the other ranks."""

    def __init__(self, env: BatchEnv, shift: int):
        self._env, self._shift = env, shift

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, *, seed: int) -> Any:
        return self._env.reset(seed=(seed + self._shift) % (2**31 - 1))
