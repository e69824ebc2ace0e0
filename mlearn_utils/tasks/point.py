"""A point in the plane that must find a hidden goal: the first test of MAML with continuous actions.

    state    position p in the plane, p = (0, 0) at the start
    action   u in R^2; the point moves by 0.1 clip(u, -1, 1)
    reward   -|p - g|^2 after the move, g the goal of the task
    end      within 0.01 of the goal, or after 100 steps

The goals are uniform in the square of side 1 around the origin. The state does not show the goal, the reward
does. Staying at the origin is worth about -16.7 (100 times the mean squared distance, 1/6).

Reference: Finn et al. (2017), section 5.3; the step and the squared distance as in the paper's text.
"""

from dataclasses import dataclass
from typing import Any

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import gymnasium as gym
import numpy as np
import torch

from mlearn_utils.runtime import check_integer, make_rng

ENV_ID = "mlearn/Point-v0"
STEP, NEAR, HALF_SIDE, HORIZON = 0.1, 0.01, 0.5, 100

Array = Any  # numpy array or torch tensor


@dataclass(frozen=True, eq=False)
class PointTask:
    """A batch of T goals; `tasks[i]` and `tasks[2:5]` are batches too.

    Attributes:
        goal: float64 [T, 2].

    Raises:
        ValueError: if the goals are not finite or not [T, 2] with T >= 1.
    """

    goal: Array

    def __post_init__(self):
        try:
            goal = np.atleast_2d(np.array(self.goal, dtype=float))
        except (TypeError, ValueError):
            raise ValueError(f"goal must be finite numbers [T, 2], got {self.goal!r}") from None
        if goal.ndim != 2 or goal.shape[1] != 2 or not len(goal) or not np.isfinite(goal).all():
            raise ValueError(f"goal must be finite numbers [T, 2] with T >= 1, got {self.goal!r}")
        object.__setattr__(self, "goal", goal)

    def __len__(self) -> int:
        return len(self.goal)

    def __getitem__(self, index: int | slice | np.ndarray) -> "PointTask":
        return PointTask(self.goal[np.atleast_1d(np.arange(len(self))[index])])


class PointTasks:
    """The distribution over goals, uniform in the square of side 1 around the origin.

    Example:
        >>> tasks = PointTasks()
        >>> agent = MAMLAgent(tasks, point_config())

    Attributes:
        observation_scale: [2] what positions are divided by before a policy sees them.
        horizon: steps after which an episode is truncated.
    """

    observation_scale: tuple[float, ...] = (HALF_SIDE, HALF_SIDE)
    horizon = HORIZON

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def sample(self, n_tasks: int, *, seed: int) -> PointTask:
        """Draw n goals; the same seed gives the same goals.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1)
        return PointTask(make_rng(seed).uniform(-HALF_SIDE, HALF_SIDE, (n_tasks, 2)))

    def make_env(
        self, task: PointTask, *, horizon: int = HORIZON, render_mode: str | None = None
    ) -> gym.Env[np.ndarray, np.ndarray]:
        """Return one goal as a Gymnasium environment.

        Raises:
            TypeError: if `task` is not a PointTask.
            ValueError: if it holds several goals, or `horizon` is not >= 1.
        """
        check_integer("horizon", horizon, minimum=1)
        return gym.make(ENV_ID, task=task, max_episode_steps=horizon, render_mode=render_mode)

    def make_batch(
        self, tasks: PointTask, num_envs: int, *, horizon: int = HORIZON, device: torch.device | None = None
    ) -> "BatchedPoint":
        """Return T goals x E points, moved together; arguments and errors as in `BatchedPoint`."""
        return BatchedPoint(tasks, num_envs, horizon=horizon, device=device)


class BatchedPoint:
    """T goals x E points each, moved together; one that has ended stays where it is, with reward 0.

    Observations [T, E, 2] float32 are positions, actions [T, E, 2] are clipped to +-1.

    Args:
        tasks: T goals.
        num_envs: points a goal, E.
        horizon: steps after which an episode is truncated.
        device: None computes with numpy, a torch device with torch there.

    Raises:
        TypeError: if `tasks` is not a PointTask.
        ValueError: if a count is not an integer >= 1.
    """

    num_features, num_actions, action_size = 2, 0, 2
    part: tuple[slice, int] | None = None
    """Nothing here is drawn, so that it makes no difference; see `rl.rollout.part_of`."""

    def __init__(
        self,
        tasks: PointTask,
        num_envs: int = 1,
        *,
        horizon: int = HORIZON,
        device: str | torch.device | None = None,
    ):
        if not isinstance(tasks, PointTask):
            raise TypeError(f"tasks must be a PointTask, as PointTasks().sample returns, got {tasks!r}")
        check_integer("num_envs", num_envs, minimum=1)
        check_integer("horizon", horizon, minimum=1)
        self.tasks, self.num_tasks, self.num_envs, self.horizon = tasks, len(tasks), num_envs, horizon
        self.device = None if device is None else torch.device(device)
        self._xp: Any = numpy_namespace if device is None else torch_namespace
        self._goal = self._array(tasks.goal[:, None])
        self.elapsed = 0
        self._at: Array = None

    def reset(self, *, seed: int) -> Array:
        """Put every point at the origin (there is no chance in it); return observations [T, E, 2]."""
        check_integer("seed", seed, minimum=0)
        self._at = self._array(np.zeros((self.num_tasks, self.num_envs, 2)))
        self._terminated = self._array(np.zeros((self.num_tasks, self.num_envs))) > 0
        self._truncated = self._terminated
        self.alive = ~self._terminated
        self.elapsed = 0
        return self._at

    def step(self, action: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Move every point once.

        Args:
            action: [T, E, 2] real numbers.

        Returns:
            observation [T, E, 2], reward [T, E], terminated [T, E], truncated [T, E], and an empty info.

        Raises:
            RuntimeError: if `reset` was not called.
            ValueError: if the actions have another shape, or (with numpy) are not finite.
        """
        if self._at is None:
            raise RuntimeError("call reset() before step()")
        if tuple(action.shape) != tuple(self._at.shape):
            raise ValueError(f"action must have shape {list(self._at.shape)}, got {tuple(action.shape)}")
        if self.device is None and not np.isfinite(action).all():
            raise ValueError("action must be finite, got NaN or infinity")
        xp, was_alive = self._xp, self.alive
        moved = self._at + STEP * xp.clip(xp.astype(action, self._at.dtype), -1.0, 1.0)
        self._at = xp.where(was_alive[..., None], moved, self._at)
        squared = xp.sum((self._at - self._goal) ** 2, axis=-1)
        self.elapsed += 1
        self._terminated = self._terminated | (was_alive & (squared < NEAR**2))
        if self.elapsed >= self.horizon:
            self._truncated = self._truncated | was_alive
        self.alive = ~(self._terminated | self._truncated)
        return self._at, -squared * was_alive, self._terminated, self._truncated, {}

    def _array(self, values: np.ndarray) -> Array:
        copy = np.array(values, dtype=np.float32)
        return copy if self.device is None else torch.from_numpy(copy).to(self.device)


class PointEnv(gym.Env[np.ndarray, np.ndarray]):
    """One point and one hidden goal as a Gymnasium environment.

    Args:
        task: one goal; the corner (0.5, 0.5) by default.
        render_mode: None or "rgb_array": the square, the goal as a ring and the point.

    Raises:
        TypeError: if `task` is not a PointTask.
        ValueError: if it holds several goals, or the mode is unknown.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - Gymnasium's own form

    def __init__(self, task: PointTask | None = None, *, render_mode: str | None = None):
        task = PointTask([HALF_SIDE, HALF_SIDE]) if task is None else task
        if not isinstance(task, PointTask):
            raise TypeError(f"task must be a PointTask of one goal, got {type(task).__name__}")
        if len(task) != 1:
            raise ValueError(f"task must hold one goal, got {len(task)}; tasks[i] is one")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
        self.task, self.render_mode = task, render_mode
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._batch = BatchedPoint(task, 1, horizon=2**31)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Put the point at the origin."""
        super().reset(seed=seed)
        return self._batch.reset(seed=0)[0, 0].copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the point."""
        at, reward, terminated, _, _ = self._batch.step(np.asarray(action, dtype=np.float32)[None, None])
        return at[0, 0].copy(), float(reward[0, 0]), bool(terminated[0, 0]), False, {}

    def render(self) -> np.ndarray | None:
        """Return a picture [200, 200, 3] of the square of side 1.2, or None without a render mode."""
        if self.render_mode is None:
            return None
        axis = np.linspace(-0.6, 0.6, 200)
        x, y = np.meshgrid(axis, -axis)
        picture = np.full((200, 200, 3), 255, dtype=np.uint8)
        picture[np.maximum(abs(x), abs(y)).round(2) == HALF_SIDE] = 190
        goal, at = self.task.goal[0], self._batch._at[0, 0]
        from_goal = np.hypot(x - goal[0], y - goal[1])
        picture[(from_goal > 0.03) & (from_goal < 0.045)] = (200, 60, 40)
        picture[np.hypot(x - at[0], y - at[1]) < 0.025] = (40, 90, 180)
        return picture


if ENV_ID not in gym.registry:
    gym.register(ENV_ID, entry_point="mlearn_utils.tasks.point:PointEnv", max_episode_steps=HORIZON)
