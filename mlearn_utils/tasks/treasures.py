"""A treasure hidden on a frozen lake: Gymnasium's FrozenLake on maps of one's own, its goal unknown.

A task is one cell of the lake, where the treasure lies. A walk shows where one stands and nothing else, so
that the first episode in a lake is a search, and all that follow need not be. Whoever keeps no memory
searches every time.

Reference: Gymnasium's FrozenLake-v1, not slippery, https://gymnasium.farama.org/environments/toy_text/.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

from mlearn_utils.runtime import check_integer, make_rng

SMALL_LAKE = ("SFFF", "FFFF", "FFFF", "FFFF")
"""Four by four cells, no hole: a walk can visit each cell once."""

LARGE_LAKE = ("SFFFFF", "FFFFFF", "FFFFFF", "FFFFFF", "FFFFFF", "FFFFFF")

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))
"""What FrozenLake's actions 0 to 3 do: left, down, right, up, as (rows, columns)."""

Array = Any  # numpy array or torch tensor


@dataclass(frozen=True, eq=False)
class TreasureTask:
    """A batch of T treasures on one lake; `tasks[i]` and `tasks[2:5]` are batches too.

    Attributes:
        goal: int64 [T] the cell of each treasure, counted row by row from 0.
        lake: rows of letters, as FrozenLake's `desc` without a goal: S start, F frozen, H hole.

    Raises:
        ValueError: if the lake is none, or a treasure does not lie on a frozen cell of it.
    """

    goal: np.ndarray
    lake: tuple[str, ...] = SMALL_LAKE

    def __post_init__(self):
        check_lake(self.lake)
        goal, letters = np.atleast_1d(np.asarray(self.goal)), "".join(self.lake)
        good = goal.ndim == 1 and goal.size and goal.dtype.kind in "iu"
        if not good or not all(0 <= cell < len(letters) and letters[cell] == "F" for cell in goal):
            raise ValueError(f"goal must be frozen cells of the lake, [T] integers, got {self.goal!r}")
        object.__setattr__(self, "goal", goal.astype(np.int64))

    def __len__(self) -> int:
        return len(self.goal)

    def __getitem__(self, index: int | slice | np.ndarray) -> "TreasureTask":
        return TreasureTask(np.atleast_1d(self.goal[index]), self.lake)


class TreasureTasks:
    """Treasures that lie with equal chance on any of some cells of a lake.

    Args:
        lake: rows of letters, as FrozenLake's `desc` without a goal: S start, F frozen, H hole.
        cells: where a treasure may lie; None for every frozen cell.
        horizon: steps after which an episode is cut off.

    Example:
        >>> family = TreasureTasks(cells=frozen_cells(SMALL_LAKE)[::2])
        >>> agent = MemoryAgent(family, MemoryConfig(episodes=3, gamma=0.95))

    Attributes:
        observation_scale: one-hot rows and columns are used as they are.

    Raises:
        ValueError: if the lake is none, a cell is not a frozen one, or `horizon` is not an integer >= 1.
    """

    def __init__(
        self,
        lake: Sequence[str] = SMALL_LAKE,
        *,
        cells: Sequence[int] | np.ndarray | None = None,
        horizon: int = 30,
    ):
        check_lake(lake)
        check_integer("horizon", horizon, minimum=1)
        self.lake, self.horizon = tuple(lake), int(horizon)
        self.cells = frozen_cells(self.lake) if cells is None else _checked_cells(cells, self.lake)
        self.observation_scale = (1.0,) * (len(self.lake) + len(self.lake[0]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lake!r}, cells={self.cells.tolist()}, horizon={self.horizon})"

    def sample(self, n_tasks: int, *, seed: int) -> TreasureTask:
        """Draw n treasures; the same seed gives the same ones.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1)
        return TreasureTask(make_rng(seed).choice(self.cells, n_tasks), self.lake)

    def make_env(self, task: TreasureTask) -> gym.Env:
        """Return Gymnasium's own FrozenLake with this treasure, its observations as in `BatchedTreasures`.

        Raises:
            TypeError: if `task` is not a TreasureTask.
            ValueError: if it holds several treasures or is of another lake.
        """
        self._check(task, "task")
        if len(task) != 1:
            raise ValueError(f"task must hold one treasure, got {len(task)}; tasks[i] is one")
        letters = list("".join(self.lake))
        letters[task.goal[0]] = "G"
        columns = len(self.lake[0])
        desc = ["".join(letters[i : i + columns]) for i in range(0, len(letters), columns)]
        env = gym.wrappers.TimeLimit(FrozenLakeEnv(desc=desc, is_slippery=False), self.horizon)
        codes = _codes(self.lake)
        space = gym.spaces.Box(0.0, 1.0, codes.shape[1:], np.float32)
        return gym.wrappers.TransformObservation(env, lambda cell: codes[cell], space)

    def make_batch(
        self,
        tasks: TreasureTask,
        num_envs: int,
        *,
        horizon: int | None = None,
        device: torch.device | None = None,
    ) -> "BatchedTreasures":
        """Return T treasures x E walkers; arguments and errors as in `BatchedTreasures`."""
        self._check(tasks)
        return BatchedTreasures(
            tasks, num_envs, horizon=self.horizon if horizon is None else horizon, device=device
        )

    def _check(self, tasks: object, name: str = "tasks") -> None:
        if not isinstance(tasks, TreasureTask):
            raise TypeError(
                f"{name} must be a TreasureTask, as {type(self).__name__}.sample returns, got {tasks!r}"
            )
        if tasks.lake != self.lake:
            raise ValueError(f"{name} must lie on the lake {self.lake}, got {tasks.lake}")


class BatchedTreasures:
    """T treasures x E walkers each, all of whom step together: FrozenLake, not slippery, in numpy or torch.

    ## Actions
    Integers [T, E]: 0 left, 1 down, 2 right, 3 up; into the border: stay.

    ## Observations
    [T, E, rows + columns] float32: 1 at the row and at the column where one stands, else 0.

    ## Rewards
    [T, E]: 1 on the step that reaches the treasure, else 0.

    ## Start and end
    A walk starts at S. It is terminated at the treasure and in a hole, truncated after `horizon` steps.

    Args:
        tasks: T treasures.
        num_envs: walkers a treasure, E.
        horizon: steps of an episode.
        device: None computes with numpy, a torch device with torch there.

    Raises:
        TypeError: if `tasks` is not a TreasureTask.
        ValueError: if a count is not an integer >= 1.
    """

    num_actions = 4
    part: tuple[slice, int] | None = None
    """Nothing here is drawn, so that it makes no difference; see `rl.rollout.part_of`."""

    def __init__(
        self,
        tasks: TreasureTask,
        num_envs: int = 1,
        *,
        horizon: int = 30,
        device: str | torch.device | None = None,
    ):
        if not isinstance(tasks, TreasureTask):
            raise TypeError(f"tasks must be a TreasureTask, as TreasureTasks().sample returns, got {tasks!r}")
        check_integer("num_envs", num_envs, minimum=1)
        check_integer("horizon", horizon, minimum=1)
        self.tasks, self.num_tasks, self.num_envs, self.horizon = tasks, len(tasks), num_envs, horizon
        self.device = None if device is None else torch.device(device)
        self._xp: Any = numpy_namespace if device is None else torch_namespace
        letters = np.array(list("".join(tasks.lake)))
        self._codes = self._array(_codes(tasks.lake))
        self._next, self._hole = self._array(_next_cells(tasks.lake)), self._array(letters == "H")
        self._start = int(np.flatnonzero(letters == "S")[0])
        self._goal = self._array(np.repeat(tasks.goal[:, None], num_envs, axis=1))
        self.num_features = self._codes.shape[1]
        self.alive = self._array(np.zeros((self.num_tasks, num_envs), dtype=bool))
        self.elapsed: int | None = None

    def reset(self, *, seed: int) -> Array:
        """Start a walk everywhere; nothing is left to chance. Return observations [T, E, rows + columns]."""
        check_integer("seed", seed, minimum=0)
        self.cell = self._xp.full_like(self._goal, self._start)
        self.alive = self.cell == self.cell
        self._terminated = ~self.alive
        self.elapsed = 0
        return self._codes[self.cell]

    def step(self, action: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Take a step everywhere; who has arrived, or fallen into a hole, stays.

        Args:
            action: [T, E] integers.

        Returns:
            observation [T, E, rows + columns], reward [T, E], terminated [T, E], truncated [T, E], no info.

        Raises:
            RuntimeError: if `reset` was not called.
            ValueError: if the actions have another shape or are out of 0 to 3.
        """
        if self.elapsed is None:
            raise RuntimeError("call reset() before step()")
        if tuple(action.shape) != (self.num_tasks, self.num_envs):
            raise ValueError(f"action must be [{self.num_tasks}, {self.num_envs}], got {list(action.shape)}")
        if "int" not in str(action.dtype) or bool(((action < 0) | (action > 3)).any()):
            raise ValueError("action must be integers, 0 (left), 1 (down), 2 (right) or 3 (up)")
        self.cell = self._xp.where(self.alive, self._next[self.cell, action], self.cell)
        found = self.alive & (self.cell == self._goal)
        self._terminated = self._terminated | found | self._hole[self.cell]
        self.elapsed += 1
        out_of_time = self.elapsed >= self.horizon
        truncated = ~self._terminated & out_of_time
        self.alive = ~(self._terminated | truncated)
        reward = found.astype(np.float32) if self.device is None else found.float()
        return self._codes[self.cell], reward, self._terminated, truncated, {}

    def _array(self, values: np.ndarray) -> Array:
        return values if self.device is None else torch.from_numpy(values).to(self.device)


def check_lake(lake: object) -> None:
    """Raise ValueError unless a lake is rows of equal length of the letters S, F, H, with one S and one F."""
    rows = list(lake) if isinstance(lake, Sequence) and not isinstance(lake, str) else []
    letters = "".join(row for row in rows if isinstance(row, str))
    good = rows and all(isinstance(row, str) and len(row) == len(rows[0]) for row in rows)
    if not good or set(letters) - set("SFH") or letters.count("S") != 1 or "F" not in letters:
        raise ValueError(
            f"lake must be rows of equal length of the letters S (start, once), F and H, got {lake!r}"
        )


def frozen_cells(lake: Sequence[str]) -> np.ndarray:
    """Return the numbers of the frozen cells, counted row by row: where a treasure may lie."""
    return np.flatnonzero(np.array(list("".join(lake))) == "F")


def steps_from_start(lake: Sequence[str]) -> np.ndarray:
    """Return [cells] the length of the shortest walk from the start to each cell; inf where none leads."""
    letters, after = np.array(list("".join(lake))), _next_cells(lake)
    steps = np.where(letters == "S", 0.0, np.inf)
    for _ in letters:
        for cell in np.flatnonzero(np.isfinite(steps) & (letters != "H")):
            steps[after[cell]] = np.minimum(steps[after[cell]], steps[cell] + 1)
    return steps


def best_blind_steps(cells: Sequence[int] | np.ndarray) -> float:
    """Return the mean number of steps of the best search that knows nothing, (n + 1) / 2 for n cells.

    No search visits its k-th new cell before step k. Where a walk from the start visits every cell once and
    the holes never, going along it attains that: on a lake without holes, row by row, to and fro. If only
    some cells may hold the treasure this is a bound that no search passes.
    """
    return (len(cells) + 1) / 2


def _checked_cells(cells: object, lake: tuple[str, ...]) -> np.ndarray:
    allowed, found = frozen_cells(lake), np.asarray(cells)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iu" or not np.isin(found, allowed).all():
        raise ValueError(f"cells must be frozen cells of the lake, {allowed.tolist()}, got {cells!r}")
    return np.unique(found)


def _codes(lake: Sequence[str]) -> np.ndarray:
    """Return [cells, rows + columns] float32 what each cell looks like."""
    row, column = np.divmod(np.arange(len(lake) * len(lake[0])), len(lake[0]))
    parts = np.eye(len(lake))[row], np.eye(len(lake[0]))[column]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _next_cells(lake: Sequence[str]) -> np.ndarray:
    """Return [cells, 4] the cell after each action."""
    rows, columns = len(lake), len(lake[0])
    row, column = np.divmod(np.arange(rows * columns), columns)
    steps = [
        np.clip(row + down, 0, rows - 1) * columns + np.clip(column + right, 0, columns - 1)
        for down, right in MOVES
    ]
    return np.stack(steps, axis=1)
