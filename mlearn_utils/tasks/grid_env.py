"""The Gymnasium environment of one slippery grid; its steps are drawn from the arrays of `grid_mdp`."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mlearn_utils.tasks.grid_picture import draw_grid
from mlearn_utils.tasks.gridworld import ACTIONS, GridTask, grid_mdp


class GridEnv(gym.Env[np.int64, np.int64]):
    """A square grid with a goal, pits, perhaps a trap, and moves that slip.

    ## Action space: `Discrete(4)`
    | number | move |
    |---|---|
    | 0 | up |
    | 1 | right |
    | 2 | down |
    | 3 | left |

    With probability `task.slip` the move goes to one of the two sides instead. A move into a wall goes
    nowhere.

    ## Observation space: `Discrete(size * size)`
    The agent's cell, row * size + column, counted from the top left. Pits and trap are not observed: every
    grid is learned afresh.

    ## Reward
    `-step_cost`, plus `goal_reward`, `pit_reward` or `trap_reward` on entering such a cell, plus normal noise
    of standard deviation `reward_noise`.

    ## Start and end
    Episodes start in `task.start`. Entering the goal, a pit or the trap terminates. `gymnasium.make` cuts
    an episode after 100 steps; this class by itself never does. A step taken after the end goes nowhere and
    earns 0.

    ## Arguments
    `gymnasium.make("mlearn/Grid-v0", task=GridTask(size=4, pits=((1, 2),)), render_mode="rgb_array")`
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012  (Gymnasium's own name and type)

    def __init__(self, task: GridTask | None = None, render_mode: str | None = None) -> None:
        if render_mode not in {None, *self.metadata["render_modes"]}:
            raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
        self.task = GridTask() if task is None else task
        self.mdp = grid_mdp(self.task)
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(self.task.size**2)
        self.action_space = spaces.Discrete(len(ACTIONS))
        cumulative = np.cumsum(self.mdp.P, axis=-1)
        self._cumulative = cumulative / cumulative[..., -1:]
        self._state = self.task.state(self.task.start)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Return the start state and an empty info."""
        super().reset(seed=seed)
        self._state = self.task.state(self.task.start)
        return np.int64(self._state), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Draw the next state from P and its reward; return (observation, reward, terminated, False, {}).

        Raises:
            ValueError: if `action` is not one of the four.
        """
        if not self.action_space.contains(action):
            raise ValueError(f"action must be an integer from 0 to 3, got {action!r}")
        mdp, state = self.mdp, self._state
        uniform = self.np_random.random()
        self._state = int(self._cumulative[state, action].searchsorted(uniform, side="right"))
        reward = float(mdp.rewards[state, action, self._state])
        if mdp.reward_noise and not mdp.terminal[state]:
            reward += mdp.reward_noise * self.np_random.standard_normal()
        return np.int64(self._state), reward, bool(mdp.terminal[self._state]), False, {}

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the picture [H, W, 3] in render mode "rgb_array", else None."""
        return draw_grid(self.task, self._state) if self.render_mode == "rgb_array" else None
