"""Dynamic programming against linear algebra, enumeration and a published figure."""

from itertools import product

import gymnasium as gym
import numpy as np
import pytest

from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.tasks.gridworld import GridTask, grid_mdp
from tests.tasks.toy_text import read_table

GRID = grid_mdp(GridTask(size=4, slip=0.3, pits=((1, 1), (3, 0)), trap=(0, 2)))


def random_mdp(n_states=6, n_actions=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n_states), size=(n_states, n_actions)), rng.normal(
        size=(n_states, n_actions)
    )


def solved(P, R, policy, gamma):
    """Return V with (I - gamma P_pi) V = R_pi."""
    P_pi, R_pi = np.einsum("sa,sat->st", policy, P), (policy * R).sum(axis=1)
    return np.linalg.solve(np.eye(len(R)) - gamma * P_pi, R_pi)


def slow_backup(P, R, V, gamma, policy, terminal):
    """Sum over actions and next states one by one; policy None takes the best action."""
    backed_up = np.zeros(len(V))
    for s in range(len(V)):
        q = [
            0.0
            if terminal[s]
            else R[s, a] + gamma * sum(P[s, a, t] * V[t] for t in range(len(V)) if not terminal[t])
            for a in range(R.shape[1])
        ]
        backed_up[s] = (
            max(q) if policy is None else sum(p * value for p, value in zip(policy[s], q, strict=True))
        )
    return backed_up


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
def test_policy_evaluation_solves_the_linear_system(gamma):
    P, R = random_mdp()
    policy = np.random.default_rng(1).dirichlet(np.ones(3), size=6)
    V = dp.policy_evaluation(P, R, policy, gamma)
    np.testing.assert_allclose(V, solved(P, R, policy, gamma), atol=1e-7)


@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_policy_evaluation_of_a_grid_solves_the_linear_system_of_its_open_states(gamma):
    policy, going = np.full((16, 4), 0.25), ~GRID.terminal
    V = dp.policy_evaluation(GRID.P, GRID.R, policy, gamma, terminal=GRID.terminal)
    within = solved(GRID.P[going][..., going], GRID.R[going], policy[going], gamma)
    np.testing.assert_allclose(V[going], within, atol=1e-8)
    assert not V[GRID.terminal].any()


def test_integer_policies_are_deterministic_ones():
    P, R = random_mdp()
    actions = np.array([0, 1, 2, 0, 1, 2])
    one_hot = dp.policy_evaluation(P, R, np.eye(3)[actions], 0.9)
    np.testing.assert_array_equal(dp.policy_evaluation(P, R, actions, 0.9), one_hot)


def test_value_iteration_finds_the_best_of_all_policies():
    P, R = random_mdp(n_states=4, n_actions=2)
    policies = product(range(2), repeat=4)
    best = np.max([solved(P, R, np.eye(2)[list(policy)], 0.9) for policy in policies], axis=0)
    V = dp.value_iteration(P, R, 0.9)
    np.testing.assert_allclose(V, best, atol=1e-8)
    greedy = dp.greedy_policy(P, R, V, 0.9)
    np.testing.assert_allclose(dp.policy_evaluation(P, R, greedy, 0.9), best, atol=1e-8)


@pytest.mark.parametrize("policy", [None, np.random.default_rng(2).dirichlet(np.ones(4), size=16)])
def test_a_backup_equals_the_slow_sums(policy):
    V = np.random.default_rng(3).normal(size=16)
    fast = dp.bellman_backup(GRID.P, GRID.R, V, 0.9, policy=policy, terminal=GRID.terminal)
    np.testing.assert_allclose(fast, slow_backup(GRID.P, GRID.R, V, 0.9, policy, GRID.terminal), atol=1e-12)


def test_nothing_follows_a_terminal_state_whatever_the_model_says():
    P, R = np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), np.array([[1.0], [5.0]])
    terminal = np.array([False, True])
    np.testing.assert_allclose(dp.value_iteration(P, R, 0.5, terminal=terminal), [1.0, 0.0])
    np.testing.assert_allclose(dp.value_iteration(P, R, 0.5), solved(P, R, np.ones((2, 1)), 0.5), atol=1e-9)


def test_no_argument_is_written_to():
    P, R = random_mdp()
    V, before = np.ones(6), (P.copy(), R.copy())
    dp.bellman_backup(P, R, V, 0.9, terminal=np.array([True] + [False] * 5))
    assert (V == 1).all()
    np.testing.assert_array_equal(P, before[0])
    np.testing.assert_array_equal(R, before[1])


def test_a_policy_may_be_a_list():
    mdp = grid_mdp(GridTask())
    as_array = dp.policy_evaluation(mdp.P, mdp.R, np.ones(25, dtype=int), 0.9, terminal=mdp.terminal)
    assert np.array_equal(dp.policy_evaluation(mdp.P, mdp.R, [1] * 25, 0.9, terminal=mdp.terminal), as_array)  # pyright: ignore[reportArgumentType]


def test_expected_return_of_the_best_frozen_lake_policy():
    lake = read_table(gym.make("FrozenLake-v1"))
    V = dp.value_iteration(lake.P, lake.R, 1.0, terminal=lake.terminal)
    assert V[0] == pytest.approx(14 / 17, abs=1e-6)  # without a time limit
    policy = dp.greedy_policy(lake.P, lake.R, V, 1.0, terminal=lake.terminal)
    arguments = (lake.P, lake.R, policy, lake.start)
    assert dp.expected_return(*arguments, horizon=100, terminal=lake.terminal) == pytest.approx(
        0.74, abs=0.001
    )
    assert dp.expected_return(*arguments, horizon=5000, terminal=lake.terminal) == pytest.approx(
        V[0], abs=1e-6
    )
    assert dp.expected_return(*arguments, horizon=5, terminal=lake.terminal) == 0


def test_horizon_one_is_one_expected_reward():
    P, R = random_mdp()
    policy, start = np.full((6, 3), 1 / 3), np.full(6, 1 / 6)
    assert dp.expected_return(P, R, policy, start, horizon=1) == pytest.approx(R.mean())


P2, R2, UNIFORM = np.full((2, 2, 2), 0.5), np.zeros((2, 2)), np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((P2 * 1.1, R2, UNIFORM, 0.9), r"P\[0, 0\] sums to 1.1 "),
        ((P2[:1], R2, UNIFORM, 0.9), r"P has shape \(1, 2, 2\), expected \[S, A, S\]"),
        ((P2, R2[:1], UNIFORM, 0.9), r"R has shape \(1, 2\), expected \(2, 2\) to match P"),
        ((P2, R2, UNIFORM, 1.1), r"gamma must be in \[0, 1\], got 1.1"),
        ((P2, R2, UNIFORM, -0.1), r"gamma must be in \[0, 1\], got -0.1"),
        ((P2, R2, UNIFORM, float("nan")), r"gamma must be in \[0, 1\], got nan"),
        ((P2, R2, UNIFORM * 2, 0.9), r"policy\[0\] sums to 2 "),
        ((P2, R2, np.full((3, 2), 0.5), 0.9), r"policy has shape \(3, 2\), expected \(2, 2\) or \(2,\)"),
        ((P2, R2, np.array([0, 2]), 0.9), r"policy holds the actions \[0 2\], expected 0 to 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        dp.policy_evaluation(*arguments)


def test_bad_terminal_is_refused_by_name():
    with pytest.raises(ValueError, match=r"terminal has shape \(3,\), expected \(2,\) to match P"):
        dp.value_iteration(P2, R2, 0.9, terminal=np.zeros(3, dtype=bool))


def test_values_that_never_settle_are_reported(monkeypatch):
    monkeypatch.setattr(dp, "MAX_SWEEPS", 50)
    with pytest.raises(
        RuntimeError, match="not settled after 50 sweeps; with gamma = 1 every episode must end"
    ):
        dp.policy_evaluation(P2, R2 - 1, UNIFORM, 1.0)
