"""Cart-pole for many tasks at once: [T tasks, E environments] stepped by one array operation.

Everything about the cart-pole can be imported from here: the physics (`cartpole_physics`), the task
families and their Gymnasium environments (`cartpole_tasks`, `cartpole_env`), and `BatchedCartPole`.
"""

from typing import Any

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import numpy as np
import torch

from mlearn_utils.runtime import check_integer, make_rng
from mlearn_utils.tasks.cartpole_physics import (
    START_WIDTH,
    THETA_LIMIT,
    X_LIMIT,
    Array,
    CartPolePhysics,
    advance,
    cartpole_step,
    constants_of,
    fallen,
)
from mlearn_utils.tasks.cartpole_tasks import (
    ENV_ID,
    FAMILIES,
    OBSERVATION_SCALE,
    CartPoleTask,
    CartPoleTasks,
    Family,
)

__all__ = [
    "ENV_ID",
    "FAMILIES",
    "OBSERVATION_SCALE",
    "START_WIDTH",
    "THETA_LIMIT",
    "X_LIMIT",
    "BatchedCartPole",
    "CartPolePhysics",
    "CartPoleTask",
    "CartPoleTasks",
    "Family",
    "cartpole_step",
    "fallen",
]


class BatchedCartPole:
    """T cart-pole tasks x E environments each, stepped together and never reset on their own.

    ## Actions
    Integers [T, E]: 0 pushes the cart left, 1 pushes it right.

    ## Observations
    [T, E, 4]: position (m), velocity (m/s), angle (rad), angular velocity (rad/s), the state itself. It is a
    float32 array by default, and its components lie contiguous in memory, not its rows.

    ## Rewards
    [T, E]: that of each task's family; the step that ends an episode is paid, and no step after it.

    ## Start and end
    Every component starts uniform in +-0.05. An environment terminates when the cart is beyond 2.4 m or the
    pole leans beyond 12 degrees, and is truncated after `horizon` steps; as in Gymnasium both may be true.
    A finished environment stays finished: its state is frozen, its reward 0, its flags stay true, and
    `alive` is false, until the next `reset`. There is no automatic reset, so that episodes of different
    tasks stay in step and the last observation is still there to bootstrap from.

    Args:
        tasks: a CartPoleTask batch; None is the plain CartPole-v1: its physics, reward 1 a step. With
            `horizon=500` and `dtype="float64"` that is Gymnasium's environment in every number; in float32
            the rounding of two hundred steps or so is enough to leave its path.
        num_envs: environments a task, E.
        horizon: steps after which an episode is truncated.
        device: None computes with numpy, fastest on a CPU; a torch device computes with torch there.
        dtype: "float32" or "float64" of states and rewards.

    Example:
        >>> env = BatchedCartPole(CartPoleTasks("dirv").sample(20, seed=0), num_envs=10)
        >>> obs = env.reset(seed=0)                                   # [20, 10, 4]
        >>> obs, reward, terminated, truncated, info = env.step(action)   # action [20, 10]

    Raises:
        TypeError: if `tasks` is not a CartPoleTask.
        ValueError: if `num_envs`, `horizon` or `dtype` is out of range.
    """

    num_actions = 2
    num_features = 4
    part: tuple[slice, int] | None = None
    """Which tasks these are of how many that `reset` draws for; see `rl.rollout.part_of`."""

    def __init__(
        self,
        tasks: CartPoleTask | None = None,
        num_envs: int = 1,
        *,
        horizon: int = 100,
        device: str | torch.device | None = None,
        dtype: str = "float32",
    ):
        if tasks is not None and not isinstance(tasks, CartPoleTask):
            raise TypeError(f"tasks must be a CartPoleTask or None, got {type(tasks).__name__}")
        check_integer("num_envs", num_envs, minimum=1)
        check_integer("horizon", horizon, minimum=1)
        if dtype not in ("float32", "float64"):
            raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
        self.tasks = CartPoleTask() if tasks is None else tasks
        self.num_tasks, self.num_envs, self.horizon = len(self.tasks), num_envs, horizon
        self.device = None if device is None else torch.device(device)
        self._xp: Any = numpy_namespace if device is None else torch_namespace
        self._dtype = dtype
        constants = vars(self.tasks.physics)
        physics = CartPolePhysics(**{name: self._spread(value) for name, value in constants.items()})
        self._constants = constants_of(physics, form=self._form)
        self._target = self._form(self._spread(self.tasks.target[:, None]))
        self._limits = self._form(X_LIMIT), self._form(THETA_LIMIT)
        self._reward = FAMILIES[self.tasks.family].reward
        self._parts: Array = None  # [4, T, E]: the state, components first
        self.elapsed = 0

    def reset(self, *, seed: int) -> Array:
        """Start an episode everywhere; the same seed gives the same start states on every device.

        Returns:
            [T, E, 4] observations.

        Raises:
            ValueError: if `seed` is not an integer >= 0.
        """
        rng = make_rng(seed)
        tasks, of = self.part or (slice(None), self.num_tasks)
        start = rng.uniform(-START_WIDTH, START_WIDTH, (4, of, self.num_envs))[:, tasks]
        self._parts = self._array(start)
        obs = self._xp.permute_dims(self._parts, (1, 2, 0))
        self._truncated = fallen(obs)  # false everywhere
        self.alive = ~self._truncated
        self._all_alive = self.device is None
        self.elapsed = 0
        return obs

    def step(self, action: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Push every cart once.

        Args:
            action: [T, E] zeros and ones. Their values are checked with numpy; with torch only their shape
                is, since a look at the values would wait for the GPU.

        Returns:
            observation [T, E, 4], reward [T, E], terminated [T, E], truncated [T, E], and an empty info.

        Raises:
            RuntimeError: if `reset` was not called.
            ValueError: if the actions have another shape or values.
        """
        self._check_action(action)
        xp, was_alive = self._xp, self.alive
        moved = advance(xp, self._parts, xp.astype(action, self._parts.dtype), self._constants)
        self._parts = moved if self._all_alive else xp.where(was_alive, moved, self._parts)
        obs = xp.permute_dims(self._parts, (1, 2, 0))
        reward = self._reward(obs, self._target)
        reward = reward if self._all_alive else reward * was_alive
        terminated = fallen(obs, *self._limits)  # a frozen state stays fallen
        self.elapsed += 1
        self.alive = ~terminated
        if self.elapsed >= self.horizon:
            self._truncated = self._truncated | was_alive
            self.alive = xp.zeros_like(was_alive)
        self._all_alive = self._all_alive and np.count_nonzero(self.alive) == self.alive.size
        return obs, reward, terminated, self._truncated, {}

    def _check_action(self, action: Array) -> None:
        if self._parts is None:
            raise RuntimeError("call reset() before step()")
        if tuple(action.shape) != (self.num_tasks, self.num_envs):
            raise ValueError(
                f"action must have shape [{self.num_tasks}, {self.num_envs}], got {tuple(action.shape)}"
            )
        if self.device is None and (
            action.dtype.kind not in "biu" or int(np.bitwise_or.reduce(action, axis=None)) >> 1
        ):
            raise ValueError(f"action must hold the integers 0 and 1, got {np.unique(action)}")

    def _array(self, values: np.ndarray) -> Array:
        """Return a contiguous copy of `values` in this environment's dtype, on its device."""
        copy = np.array(values, dtype=self._dtype)
        return copy if self.device is None else torch.from_numpy(copy).to(self.device)

    def _spread(self, column: np.ndarray) -> Array:
        """Return a constant [T, 1] as one number where all tasks share it, else spread over [T, E].

        Both are faster than a column: no inner loop over short rows.
        """
        if (column == column[0]).all():
            return column[0].item()
        return self._array(np.broadcast_to(column, (self.num_tasks, self.num_envs)))

    def _form(self, value: Array) -> Array:
        """Return a number as numpy computes with it fastest, an array of no axes; torch takes it as it is."""
        return np.array(value, dtype=self._dtype) if self.device is None else value
