"""Grids: the arrays against a cell-by-cell twin, the family against its own promises."""

from dataclasses import replace

import numpy as np
import pytest

from mlearn_utils.tasks.gridworld import (
    ACTIONS,
    FAMILIES,
    MOVES,
    GridFamily,
    GridTask,
    GridTasks,
    grid_mdp,
    neighbors,
)

TASK = GridTask(size=4, slip=0.3, pits=((1, 1), (3, 0)), trap=(0, 2), goal=(2, 3), step_cost=0.05)


def slow_outcomes(task, state, action):
    """Return {next state: probability} of one action, move by move."""
    outcomes = {}
    for turn, probability in ((0, 1 - task.slip), (1, task.slip / 2), (3, task.slip / 2)):
        down, right = MOVES[(action + turn) % 4]
        row = min(max(state // task.size + down, 0), task.size - 1)
        column = min(max(state % task.size + right, 0), task.size - 1)
        reached = row * task.size + column
        outcomes[reached] = outcomes.get(reached, 0.0) + probability
    return outcomes


def test_arrays_equal_the_cell_by_cell_twin():
    mdp = grid_mdp(TASK)
    bonus = {2 * 4 + 3: 1.0, 1 * 4 + 1: -1.0, 3 * 4: -1.0, 2: 0.2}
    for state in range(16):
        for action in range(4):
            if state in bonus:
                expected = {state: 1.0}
            else:
                expected = slow_outcomes(TASK, state, action)
                for reached in expected:
                    assert mdp.rewards[state, action, reached] == pytest.approx(
                        bonus.get(reached, 0.0) - 0.05
                    )
            row = [expected.get(reached, 0.0) for reached in range(16)]
            np.testing.assert_allclose(mdp.P[state, action], row, atol=1e-15)
    assert np.flatnonzero(mdp.terminal).tolist() == sorted(bonus)
    assert not mdp.R[mdp.terminal].any()


def test_moves_go_where_their_names_say():
    center = {name: neighbors(3)[4, action] for action, name in enumerate(ACTIONS)}
    assert center == {"up": 1, "right": 5, "down": 7, "left": 3}
    assert neighbors(3)[0].tolist() == [0, 1, 3, 0]


def test_a_grid_that_always_slips_never_goes_straight():
    P = grid_mdp(GridTask(size=3, slip=1.0)).P
    np.testing.assert_allclose(P[4, 0, [1, 3, 5]], [0.0, 0.5, 0.5])


def test_negative_cells_count_from_the_far_end():
    assert grid_mdp(GridTask(size=4, goal=(-1, -2))).terminal[3 * 4 + 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 1}, "size must be at least 2, got 1"),
        ({"size": 2.5}, "size must be at least 2, got 2.5"),
        ({"slip": True}, r"slip must be a probability in \[0, 1\], got True"),
        ({"slip": 1.5}, r"slip must be a probability in \[0, 1\], got 1.5"),
        ({"slip": float("nan")}, r"slip must be a probability in \[0, 1\], got nan"),
        ({"reward_noise": -0.1}, "reward_noise must be a standard deviation >= 0, got -0.1"),
        ({"reward_noise": float("inf")}, "reward_noise must be a standard deviation >= 0, got inf"),
        ({"goal": (4, 0)}, r"goal \(4, 0\) is outside a grid of size 4"),
        ({"pits": ((0, -5),)}, r"pits \(0, -5\) is outside a grid of size 4"),
        ({"trap": (0, 0)}, r"trap \(0, 0\) lies on the cell of start"),
        ({"pits": ((-2, -1),)}, r"pits \(-2, -1\) lies on the cell of goal"),
    ],
)
def test_impossible_grids_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TASK, **changes)


def test_same_seed_same_tasks():
    assert GridTasks().sample(20, seed=3) == GridTasks().sample(20, seed=3)
    assert GridTasks().sample(20, seed=3) != GridTasks().sample(20, seed=4)
    assert len(GridTasks().sample(1, seed=0)) == 1


def test_varied_grids_span_their_family():
    family, tasks = FAMILIES["varied"], GridTasks("varied").sample(400, seed=0)
    assert {task.size for task in tasks} == set(family.sizes)
    assert {task.slip for task in tasks} == set(family.slips)
    assert {task.reward_noise for task in tasks} == set(family.reward_noises)
    assert {task.step_cost for task in tasks} == set(family.step_costs)
    assert 0.4 < np.mean([task.trap is not None for task in tasks]) < 0.6
    for task in tasks:
        assert sum(task.goal) >= task.size
        assert len(task.pits) in {round(share * task.size**2) for share in family.pit_shares}
        assert task.trap is None or sum(task.trap) == 2


def test_every_goal_can_be_reached():
    for task in GridTasks(GridFamily(pit_shares=(0.4,), trap_chance=1.0)).sample(100, seed=1):
        reachable = np.linalg.matrix_power(grid_mdp(replace(task, slip=0.0)).P.mean(axis=1), task.size**2)
        assert reachable[0, task.state(task.goal)] > 0


def test_bad_requests_are_refused_by_name():
    with pytest.raises(
        ValueError, match=r"family must be one of \['alike', 'varied'\] or a GridFamily, got 'x'"
    ):
        GridTasks("x")
    with pytest.raises(ValueError, match="n_tasks must be at least 1, got 0"):
        GridTasks().sample(0, seed=0)
