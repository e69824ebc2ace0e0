"""Slippery grids: a family of small tasks that differ in everything a Q-learner is sensitive to.

The agent walks from the start to the goal over a square grid. A move slips sideways now and then, pits end
the episode at a loss, a trap near the start ends it with a small gain that tempts a short-sighted learner,
and the rewards may be noisy. Each task is arrays (`grid_mdp`) for dynamic programming, and a Gymnasium
environment (`make_env`, or `gymnasium.make("mlearn/Grid-v0", task=task)`) whose steps are drawn from those
same arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.runtime import check_finite, check_fraction, check_integer, check_not_negative, make_rng
from mlearn_utils.tasks.tabular import BoolArray, IntArray, TabularMDP, absorb

Cell = tuple[int, int]

ENV_ID = "mlearn/Grid-v0"
HORIZON = 100
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
ACTIONS = ("up", "right", "down", "left")


@dataclass(frozen=True)
class GridTask:
    """One grid. A cell is (row, column), counted from the top left; negative numbers count from the far end.

    Attributes:
        size: number of rows, and of columns.
        start: where every episode begins.
        goal: entering it ends the episode with `goal_reward`.
        pits: entering one ends the episode with `pit_reward`.
        trap: entering it ends the episode with `trap_reward`; None for a grid without a trap.
        slip: probability that a move goes sideways instead, half of it to each side.
        step_cost: taken from the reward of every step.
        reward_noise: standard deviation of the normal noise on every reward.
        goal_reward, pit_reward, trap_reward: what entering such a cell adds to the reward.
    """

    size: int = 5
    start: Cell = (0, 0)
    goal: Cell = (-1, -1)
    pits: tuple[Cell, ...] = ()
    trap: Cell | None = None
    slip: float = 0.2
    step_cost: float = 0.01
    reward_noise: float = 0.0
    goal_reward: float = 1.0
    pit_reward: float = -1.0
    trap_reward: float = 0.2

    def __post_init__(self) -> None:
        check_integer("size", self.size, minimum=2, expected="at least 2")
        check_fraction("slip", self.slip, "a probability in [0, 1]")
        check_not_negative("reward_noise", self.reward_noise, "a standard deviation >= 0")
        for name in ("step_cost", "goal_reward", "pit_reward", "trap_reward"):
            check_finite(name, getattr(self, name))
        self._check_cells()

    def _check_cells(self) -> None:
        if not isinstance(self.pits, (tuple, list)):
            raise ValueError(f"pits must be a tuple of cells (row, column), got {self.pits!r}")
        cells = [("start", self.start), ("goal", self.goal), *(("pits", pit) for pit in self.pits)]
        if self.trap is not None:
            cells.append(("trap", self.trap))
        taken: dict[int, str] = {}
        for name, cell in cells:
            state = self.state(cell, name=name)
            if state in taken:
                raise ValueError(f"{name} {cell} lies on the cell of {taken[state]}; expected distinct cells")
            taken[state] = name

    def state(self, cell: Cell, *, name: str = "cell") -> int:
        """Return the number of a cell: row * size + column.

        Raises:
            ValueError: if the cell is outside the grid, or is not two integers.
        """
        if not (
            isinstance(cell, (tuple, list, np.ndarray))
            and len(cell) == 2
            and all(isinstance(k, Integral) for k in cell)
        ):
            raise ValueError(f"{name} must be a cell (row, column), two integers, got {cell!r}")
        row, column = map(int, cell)
        if not (-self.size <= row < self.size and -self.size <= column < self.size):
            raise ValueError(f"{name} {cell} is outside a grid of size {self.size}")
        return row % self.size * self.size + column % self.size

    @property
    def pit_states(self) -> list[int]:
        """The pits' states."""
        return [self.state(pit) for pit in self.pits]


def neighbors(size: int) -> IntArray:
    """Return [S, 4] the state that each move leads to; at a wall the agent stays where it is."""
    cells = np.stack(np.divmod(np.arange(size * size), size), axis=-1)
    rows, columns = np.clip(cells[:, None, :] + np.array(MOVES), 0, size - 1).transpose(2, 0, 1)
    return rows * size + columns


def grid_mdp(task: GridTask) -> TabularMDP:
    """Return the arrays of one grid: S = size * size states, A = 4 actions (up, right, down, left)."""
    S, reached = task.size**2, neighbors(task.size)
    P, states = np.zeros((S, 4, S)), np.arange(S)
    for turn, probability in ((0, 1 - task.slip), (1, task.slip / 2), (-1, task.slip / 2)):
        for action in range(4):
            P[states, action, reached[:, (action + turn) % 4]] += probability
    arrival = np.zeros(S)
    arrival[task.pit_states] = task.pit_reward
    arrival[task.state(task.goal)] = task.goal_reward
    if task.trap is not None:
        arrival[task.state(task.trap)] = task.trap_reward
    P, rewards = absorb(P, np.broadcast_to(arrival - task.step_cost, P.shape), terminal_states(task))
    return TabularMDP(P, rewards, terminal_states(task), np.eye(S)[task.state(task.start)], task.reward_noise)


def terminal_states(task: GridTask) -> BoolArray:
    """Return [S] True at the goal, the pits and the trap."""
    terminal = np.zeros(task.size**2, dtype=bool)
    terminal[[task.state(task.goal), *task.pit_states]] = True
    if task.trap is not None:
        terminal[task.state(task.trap)] = True
    return terminal


def make_env(task: GridTask, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Return the Gymnasium environment of `task`; an episode is truncated after HORIZON steps."""
    return gym.make(ENV_ID, task=task, render_mode=render_mode)


@dataclass(frozen=True)
class GridFamily:
    """What the grids of a family differ in: every task draws one value of each, with equal probabilities.

    Attributes:
        sizes: numbers of rows and columns.
        slips: probabilities of slipping.
        reward_noises: standard deviations of the rewards.
        step_costs: costs of a step.
        pit_shares: pits as a share of the cells.
        trap_chance: probability that a trap lies two steps from the start.
    """

    sizes: tuple[int, ...] = (3, 4, 5, 6, 7, 8)
    slips: tuple[float, ...] = (0.0, 0.2, 0.4)
    reward_noises: tuple[float, ...] = (0.0, 0.3, 2.0)
    step_costs: tuple[float, ...] = (0.0, 0.01)
    pit_shares: tuple[float, ...] = (0.0, 0.1)
    trap_chance: float = 0.5


FAMILIES = {
    "varied": GridFamily(),
    "alike": GridFamily((4, 5), (0.0, 0.1), (0.0,), (0.01,), (0.1,), 0.0),
}


class GridTasks:
    """A distribution over grids.

    Args:
        family: "varied" (size, slip, noise, pits and a trap all vary: no one setting of a learner suits every
            task), "alike" (small, almost deterministic grids: one setting serves them), or a `GridFamily`.

    Raises:
        ValueError: if there is no family of that name.
    """

    def __init__(self, family: str | GridFamily = "varied") -> None:
        if isinstance(family, str):
            if family not in FAMILIES:
                raise ValueError(f"family must be one of {sorted(FAMILIES)} or a GridFamily, got {family!r}")
            family = FAMILIES[family]
        self.family = family

    def sample(self, n_tasks: int, *, seed: int) -> list[GridTask]:
        """Return `n_tasks` grids whose goal can be reached without crossing a pit or a trap.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1, expected="at least 1")
        rng = make_rng(seed)
        return [_sample_task(self.family, rng) for _ in range(n_tasks)]


def _sample_task(family: GridFamily, rng: np.random.Generator) -> GridTask:
    size = _choose(family.sizes, rng)
    knobs = {
        "slip": _choose(family.slips, rng),
        "reward_noise": _choose(family.reward_noises, rng),
        "step_cost": _choose(family.step_costs, rng),
    }
    pits, trapped = round(_choose(family.pit_shares, rng) * size**2), rng.random() < family.trap_chance
    while True:
        task = GridTask(size=size, **_lay_out(size, pits, trapped, rng), **knobs)
        if _goal_is_reachable(task):
            return task


def _lay_out(size: int, pits: int, trapped: bool, rng: np.random.Generator) -> dict[str, Any]:
    """Place the goal in the far half, the trap two steps from the start and the pits anywhere else."""
    cells = [(row, column) for row in range(size) for column in range(size)]
    goal = _choose([cell for cell in cells if sum(cell) >= size], rng)
    trap = _choose([(0, 2), (1, 1), (2, 0)], rng) if trapped else None
    free = [cell for cell in cells if cell not in {(0, 0), goal, trap}]
    chosen = rng.choice(len(free), size=pits, replace=False)
    return {"goal": goal, "trap": trap, "pits": tuple(free[i] for i in chosen)}


def _goal_is_reachable(task: GridTask) -> bool:
    """Walk from the start over every cell that does not end the episode."""
    reached, terminal, goal = neighbors(task.size), terminal_states(task), task.state(task.goal)
    seen, frontier = {task.state(task.start)}, [task.state(task.start)]
    while frontier:
        for state in map(int, reached[frontier.pop()]):
            if state == goal:
                return True
            if state not in seen and not terminal[state]:
                seen.add(state)
                frontier.append(state)
    return False


def _choose(options: Sequence[Any], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


if ENV_ID not in gym.registry:
    gym.register(ENV_ID, entry_point="mlearn_utils.tasks.grid_env:GridEnv", max_episode_steps=HORIZON)
