"""Games: a treasure on a frozen lake, sought by an agent with a memory."""

from typing import NamedTuple

import numpy as np

from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.meta.policies.memory_config import MemoryConfig
from mlearn_utils.tasks.treasures import SMALL_LAKE, TreasureTask, TreasureTasks, steps_from_start


class Walks(NamedTuple):
    """What was walked in T lakes.

    Attributes:
        steps: [N, T] steps of each episode, up to the treasure or to the horizon.
        found: [N, T] whether it ended at the treasure.
        cells: [S, T] the cell before each step of the trial; -1 after its end.
    """

    steps: np.ndarray
    found: np.ndarray
    cells: np.ndarray


def train(
    cells: np.ndarray,
    lake: tuple[str, ...] = SMALL_LAKE,
    *,
    updates: int = 100,
    hidden: int = 32,
    horizon: int = 30,
    seed: int = 0,
) -> MemoryAgent:
    """Return an agent trained on treasures in some cells of a lake, three episodes a trial."""
    config = MemoryConfig(episodes=3, gamma=0.95, entropy=(0.05, 0.0), updates=updates, hidden=hidden)
    agent = MemoryAgent(TreasureTasks(lake, cells=cells, horizon=horizon), config, seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    return agent


def walk(
    agent: MemoryAgent, tasks: TreasureTask, *, episodes: int = 3, wipe: bool = False, greedy: bool = True
) -> Walks:
    """Play one trial in each lake."""
    with_horizon = agent.make_batch(tasks)
    played = agent.play(with_horizon, episodes=episodes, seed=1, wipe=wipe, greedy=greedy)
    taken = (played.mask > 0).numpy()
    episode = (played.clock // with_horizon.horizon).numpy()
    found = played.returns.numpy() > 0
    steps = np.array([(taken & (episode == k)).sum(axis=0) for k in range(episodes)])
    rows, columns = len(tasks.lake), len(tasks.lake[0])
    code = played.inputs[..., : rows + columns].numpy()
    cells = code[..., :rows].argmax(axis=-1) * columns + code[..., rows:].argmax(axis=-1)
    return Walks(steps, found, np.where(taken, cells, -1))


def found_within(walks: Walks, budget: int = 30) -> np.ndarray:
    """Return [T] how many treasures were found in the first steps of a trial, all episodes together."""
    return (walks.found & (np.cumsum(walks.steps, axis=0) <= budget)).sum(axis=0)


def shortest(tasks: TreasureTask) -> np.ndarray:
    """Return [T] the number of steps of the shortest walk to each treasure."""
    return steps_from_start(tasks.lake)[tasks.goal]


def hold_out(cells: np.ndarray, count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells to train on and those held out, drawn at random."""
    held = np.random.default_rng(seed).choice(cells, count, replace=False)
    return np.setdiff1d(cells, held), np.sort(held)
