"""TreasureTasks: step for step Gymnasium's FrozenLake, on numpy and torch; what is exact; bad input."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from mlearn_utils.tasks import treasures
from mlearn_utils.tasks.treasures import (
    LARGE_LAKE,
    SMALL_LAKE,
    best_blind_steps,
    frozen_cells,
    steps_from_start,
)

# without types: they take numbers and lists as well, and refuse what is wrong
TreasureTask: Any = treasures.TreasureTask
TreasureTasks: Any = treasures.TreasureTasks
BatchedTreasures: Any = treasures.BatchedTreasures
HOLES = ("SFF", "FHF", "FFH", "FFF")


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("lake", [SMALL_LAKE, HOLES])
def test_a_batch_walks_as_frozen_lake(lake, device):
    """Every treasure of a lake, random walks: positions, rewards, holes and the end of time."""
    cells, rng = frozen_cells(lake), np.random.default_rng(0)
    family = TreasureTasks(lake, horizon=14)
    tasks = TreasureTask(np.repeat(cells, 5), lake)
    batch = family.make_batch(tasks, 1, device=None if device is None else torch.device(device))
    envs = [family.make_env(tasks[i]) for i in range(len(tasks))]
    seen = np.asarray(batch.reset(seed=0))[:, 0]
    assert np.array_equal(seen, np.array([env.reset(seed=0)[0] for env in envs]))
    alive, ends = np.ones(len(tasks), dtype=bool), {"found": 0, "hole": 0, "late": 0}
    for _ in range(14):
        act = rng.integers(0, 4, (len(tasks), 1))
        answers: Any = (
            each if isinstance(each, dict) else np.asarray(each)
            for each in batch.step(act if device is None else torch.from_numpy(act))
        )
        seen, reward, terminated, truncated, _ = answers
        for i, env in enumerate(envs):
            if not alive[i]:
                assert reward[i] == 0
                continue
            expected = env.step(int(act[i, 0]))
            assert np.array_equal(seen[i, 0], expected[0])
            assert (reward[i, 0], terminated[i, 0]) == expected[1:3]
            assert truncated[i, 0] == (expected[3] and not expected[2])
            alive[i] = not (expected[2] or expected[3])
            ends["found"] += expected[1] == 1
            ends["hole"] += expected[2] and expected[1] == 0
            ends["late"] += expected[3] and not expected[2]
        assert np.array_equal(np.asarray(batch.alive)[:, 0], alive)
    assert not alive.any()
    assert ends["found"] > 5
    assert ends["late"] > 5 or lake == HOLES
    assert (ends["hole"] > 5) == (lake == HOLES)


def test_an_environment_passes_gymnasiums_checker():
    check_env(TreasureTasks(HOLES).make_env(TreasureTask(5 - 1 + 2, HOLES)).unwrapped, skip_render_check=True)
    env = TreasureTasks(SMALL_LAKE).make_env(TreasureTask(7))
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert obs.tolist() == [1, 0, 0, 0, 1, 0, 0, 0]


def test_the_best_blind_search_is_that_of_the_walk_to_and_fro():
    """On a lake without holes: no order of cells has a smaller mean, and this one has it."""
    for lake in (SMALL_LAKE, LARGE_LAKE):
        n = len(lake)
        order = [
            row * n + (column if row % 2 == 0 else n - 1 - column) for row in range(n) for column in range(n)
        ]
        apart = [abs(a // n - b // n) + abs(a % n - b % n) for a, b in pairwise(order)]
        assert set(apart) == {1}
        assert best_blind_steps(frozen_cells(lake)) == np.mean(np.arange(1, n * n))
    assert best_blind_steps(frozen_cells(SMALL_LAKE)) == 8.0


def test_shortest_walks_go_round_holes():
    row, column = np.divmod(np.arange(36), 6)
    assert np.array_equal(steps_from_start(LARGE_LAKE), row + column)
    closed = ("SHF", "FHF", "FHF")
    assert steps_from_start(closed).tolist() == [0, 1, np.inf, 1, 2, np.inf, 2, 3, np.inf]
    assert steps_from_start(("SHF", "FFF"))[2] == 4


def test_only_the_cells_given_hold_treasures():
    family = TreasureTasks(cells=[3, 9, 14])
    drawn = family.sample(300, seed=1)
    assert np.array_equal(np.unique(drawn.goal), [3, 9, 14])
    assert (np.bincount(drawn.goal)[[3, 9, 14]] > 70).all()
    assert np.array_equal(drawn.goal, family.sample(300, seed=1).goal)
    assert not np.array_equal(drawn.goal, family.sample(300, seed=2).goal)
    assert set(TreasureTasks().sample(500, seed=0).goal) == set(range(1, 16))
    assert "cells=[3, 9, 14]" in repr(family)


def test_tasks_are_cut_as_arrays_are():
    tasks = TreasureTask(np.array([5, 6, 7, 8]))
    assert len(tasks) == 4
    assert tasks[1].goal.tolist() == [6]
    assert tasks[1:3].goal.tolist() == [6, 7]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TreasureTasks("SF"), ValueError, "lake must be rows"),
        (lambda: TreasureTasks(("SF", "F")), ValueError, "lake must be rows"),
        (lambda: TreasureTasks(("FF", "FF")), ValueError, "S \\(start, once\\)"),
        (lambda: TreasureTasks(("SF", "FG")), ValueError, "lake must be rows"),
        (lambda: TreasureTasks(("SH", "HH")), ValueError, "lake must be rows"),
        (lambda: TreasureTasks(cells=[]), ValueError, "cells must be frozen cells"),
        (lambda: TreasureTasks(cells=[0]), ValueError, "cells must be frozen cells"),
        (lambda: TreasureTasks(cells=[16]), ValueError, "cells must be frozen cells"),
        (lambda: TreasureTasks(cells=[1.5]), ValueError, "cells must be frozen cells"),
        (lambda: TreasureTasks(horizon=0), ValueError, "horizon must be"),
        (lambda: TreasureTasks().sample(0, seed=0), ValueError, "n_tasks must be"),
        (lambda: TreasureTasks().sample(1, seed=-1), ValueError, "seed must be"),
        (lambda: TreasureTask(np.array([0])), ValueError, "goal must be frozen cells"),
        (lambda: TreasureTask(np.array([], dtype=int)), ValueError, "goal must be frozen cells"),
        (lambda: TreasureTask(np.array([2.0])), ValueError, "goal must be frozen cells"),
        (lambda: TreasureTasks().make_env(3), TypeError, "task must be a TreasureTask"),
        (lambda: TreasureTasks().make_env(TreasureTask([1, 2])), ValueError, "task must hold one treasure"),
        (lambda: TreasureTasks().make_batch(TreasureTask(1, HOLES), 1), ValueError, "must lie on the lake"),
        (lambda: BatchedTreasures(TreasureTask(1), 0), ValueError, "num_envs must be"),
        (lambda: BatchedTreasures(TreasureTask(1), 1, horizon=0), ValueError, "horizon must be"),
        (lambda: BatchedTreasures(3), TypeError, "tasks must be a TreasureTask"),
        (lambda: BatchedTreasures(TreasureTask(1)).step(np.zeros((1, 1), int)), RuntimeError, "call reset"),
    ],
)
def test_bad_input_is_named(call: Any, error: Any, message: str):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("act", [np.full((2, 1), 4), np.full((2, 1), -1), np.zeros((1, 2), int)])
def test_actions_that_are_none(act):
    batch = BatchedTreasures(TreasureTask([1, 2]))
    batch.reset(seed=0)
    with pytest.raises(ValueError, match="action must be"):
        batch.step(act)


@pytest.mark.parametrize("dtype", [float, bool])
def test_actions_that_are_no_integers_are_refused(dtype):
    tasks = TreasureTasks().sample(2, seed=0)
    env = TreasureTasks().make_batch(tasks, 3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must be integers"):
        env.step(np.ones((2, 3), dtype=dtype))
