"""One cart-pole task as a Gymnasium environment, `gymnasium.make("mlearn/CartPole-v0", task=task)`."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from mlearn_utils.tasks.cartpole_physics import START_WIDTH, THETA_LIMIT, X_LIMIT, cartpole_step, fallen
from mlearn_utils.tasks.cartpole_tasks import FAMILIES, CartPoleTask

Action = int | np.int64

TARGET_COLOR = np.array([0, 114, 178], dtype=np.uint8)


class CartPoleTaskEnv(gym.Env[np.ndarray, Action]):
    """A cart-pole whose reward hides what is wanted.

    ## Action space
    `Discrete(2)`: 0 pushes the cart left, 1 pushes it right.

    ## Observation space
    `Box(4)`, float32; the hidden target is not part of it.

    | index | observation                   | bounds                                             |
    |-------|-------------------------------|----------------------------------------------------|
    | 0     | position of the cart (m)      | +-4.8; the episode ends beyond +-2.4               |
    | 1     | velocity of the cart (m/s)    | the largest float32: unbounded                     |
    | 2     | angle of the pole (rad)       | +-0.419 (24 degrees); the episode ends beyond 12   |
    | 3     | angular velocity (rad/s)      | the largest float32: unbounded                     |

    ## Reward
    That of the task's family, `mlearn_utils.tasks.cartpole_tasks`; the step that ends an episode is paid too.

    ## Start and end
    Every component starts uniform in +-0.05. The episode terminates when the cart leaves the track or the
    pole leans too far; the registered time limit truncates it after 100 steps.

    Rendering ("rgb_array") is Gymnasium's own drawing of the cart-pole with an arrow for the hidden target:
    its direction, and its length in proportion to the target velocity.

    Args:
        task: a CartPoleTask of one task; None is CartPole-v1's physics with reward 1 a step.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: if `task` holds more than one task, or the render mode is another.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 (Gymnasium's own declaration)

    def __init__(self, task: CartPoleTask | None = None, render_mode: str | None = None):
        self.task = CartPoleTask() if task is None else task
        if len(self.task) != 1:
            raise ValueError(f"task must hold one task, got a batch of {len(self.task)}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
        huge = float(np.finfo(np.float32).max)
        bounds = np.array([2 * X_LIMIT, huge, 2 * THETA_LIMIT, huge], dtype=np.float32)
        self.observation_space = gym.spaces.Box(-bounds, bounds, dtype=np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.render_mode = render_mode
        self._state: np.ndarray | None = None  # [1, 4] float64
        self._drawing = CartPoleEnv(render_mode="rgb_array")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode. Returns the observation [4] and an empty info; `options` is ignored."""
        super().reset(seed=seed)
        self._state = self.np_random.uniform(-START_WIDTH, START_WIDTH, size=(1, 4))
        return self._observation(), {}

    def step(self, action: Action) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Push once. Returns observation [4], reward, terminated, False (the time limit is a wrapper), {}.

        Raises:
            ValueError: if the action is neither 0 nor 1.
            RuntimeError: if `reset` was not called.
        """
        if not self.action_space.contains(action):
            raise ValueError(f"action must be 0 or 1, got {action!r}")
        if self._state is None:
            raise RuntimeError("call reset() before step()")
        self._state = cartpole_step(self._state, np.array([action]), self.task.physics)
        reward = FAMILIES[self.task.family].reward(self._state, self.task.target)
        return self._observation(), float(reward[0]), bool(fallen(self._state)[0]), False, {}

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the picture, uint8 [400, 600, 3]; None without a render mode or before the first reset."""
        if self.render_mode is None or self._state is None:
            return None
        self._drawing.state = self._state[0]
        self._drawing.length = self.task.physics.length.item()
        frame = np.ascontiguousarray(self._drawing.render())
        if FAMILIES[self.task.family].target is not None:
            _draw_arrow(frame, self.task.target.item())
        return frame

    def close(self) -> None:
        """Free the drawing surface."""
        self._drawing.close()

    def _observation(self) -> np.ndarray:
        assert self._state is not None
        return self._state[0].astype(np.float32)


def _draw_arrow(frame: np.ndarray, target: float) -> None:
    """Draw an arrow into the picture [H, W, 3]: where to go, 150 pixels for a target of 1."""
    height, width, _ = frame.shape
    row, middle = height // 8, width // 2
    length = max(round(150 * abs(target)), 1)
    head = min(24, length)
    along = np.arange(length)
    half = np.where(along < length - head, 4, (length - along) / head * 14)  # half the thickness, tail to tip
    columns = middle + (along if target >= 0 else -along)
    rows = np.arange(height)[:, None]
    inside = np.abs(rows - row) <= half
    frame[:, columns] = np.where(inside[..., None], TARGET_COLOR, frame[:, columns])
