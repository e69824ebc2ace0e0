"""The grids and carts of lesson 07, and the stored results of their runs."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.lesson_07 import carts, grids, results
from mlearn_utils.course.lesson_07.network import NetworkRegressor
from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.tasks.cartpole import CartPoleTasks
from mlearn_utils.tasks.gridworld import GridTask, GridTasks

ROOT = Path(__file__).parents[3]

# --- the grids


def test_features_say_what_is_known_of_a_grid():
    task = GridTask(size=5, goal=(2, 4), pits=((1, 1), (3, 3)), trap=(0, 2), slip=0.4, reward_noise=0.3)
    assert grids.task_features(task) == [5, 0.4, 0.3, 0.01, 0.08, True, 6]
    assert len(grids.FEATURES) == 7


def test_a_run_is_that_of_its_own_setting_and_task():
    tasks = GridTasks("alike").sample(3, seed=0)
    good, idle = [0.3, 20.0, 0.3], [0.003, 3.0, 0.02]
    returns = grids.run(tasks, np.tile([good, idle], (3, 1, 1)), steps=1500, seed=0)
    assert returns.shape == (3, 2)
    assert returns[:, 0].mean() > returns[:, 1].mean() + 0.2


def test_a_strategy_sees_its_own_runs_and_nothing_else():
    tasks, calls = GridTasks("alike").sample(2, seed=0), []

    def strategy(tried, seen):
        calls.append((tried.copy(), seen.copy()))
        return np.tile([0.1 * (len(calls)), 10.0, 0.2], (2, 1))

    earned = grids.play(strategy, tasks, 3, steps=200, seed=0)
    assert [seen.shape for _, seen in calls] == [(2, 0), (2, 1), (2, 2)]
    assert np.array_equal(calls[2][1], earned[:, :2])
    assert calls[2][0][0, :, 0] == pytest.approx([0.1, 0.2])


def test_a_list_of_settings_is_played_in_its_order_with_the_luck_of_every_other_strategy():
    tasks = GridTasks("alike").sample(2, seed=0)
    listed = grids.spread_settings(3)
    earned = grids.play(listed, tasks, 2, steps=100, seed=4)
    for k in range(2):
        alone = grids.run(tasks, np.tile(listed[k], (2, 1, 1)), steps=100, seed=4000 + k)
        assert np.array_equal(earned[:, k : k + 1], alone)
    each = grids.play(np.stack([listed, listed]), tasks, 2, steps=100, seed=4)
    asked = grids.play(lambda tried, seen: listed[[seen.shape[1]] * 2], tasks, 2, steps=100, seed=4)
    assert np.array_equal(earned, each)
    assert np.array_equal(earned, asked)


def test_a_portfolio_complements_itself():
    table = np.array([[1.0, 0.9, 0.0], [1.0, 0.9, 0.0], [0.0, 0.1, 1.0]])
    assert grids.best_default(table) == 0
    assert grids.portfolio(table, 2) == [0, 2]


def test_the_best_so_far_never_falls():
    assert grids.best_so_far(np.array([[0.2, 0.1, 0.5]])).tolist() == [[0.2, 0.2, 0.5]]


def test_spread_settings_lie_in_the_space_and_differ():
    chosen = grids.spread_settings()
    spaces.check_inside(grids.SPACE, chosen)
    assert len(np.unique(chosen, axis=0)) == grids.N_SETTINGS


def test_the_network_learns_and_repeats_itself():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    y = np.sin(2 * x[:, 0]) * x[:, 1]
    first, second = (NetworkRegressor(epochs=80).fit(x[:500], y[:500]).predict(x[500:]) for _ in range(2))
    assert np.array_equal(first, second)
    assert ((first - y[500:]) ** 2).mean() < 0.4 * y[500:].var()


# --- the carts


def test_a_cart_is_run_with_its_own_settings():
    tasks = CartPoleTasks("phys").sample(2, seed=0)
    good, idle = [0.05, 50.0, 0.9], [0.002, 2.0, 0.0]
    returns = carts.run(tasks, np.array([[good, idle], [idle, good]]), seed=0)
    assert returns.shape == (2, 2)
    assert (returns[[0, 1], [0, 1]] > returns[[0, 1], [1, 0]] + 15).all()


def test_fixed_settings_stay_and_adjusted_ones_move():
    fixed, adjusted = (carts.discount_runs((0.5, 0.9), meta_lr=lr, seeds=3) for lr in (0.0, carts.META_LR))
    assert fixed.shape == (3, 2, 3, carts.UPDATES)
    assert np.ptp(fixed[1:], axis=-1).max() < 1e-6
    assert np.array_equal(fixed[0, :, :, 0], adjusted[0, :, :, 0])  # the first batch, before any update
    assert (np.ptp(adjusted[1:], axis=-1) > 1e-3).all()
    assert adjusted[1, 0, :, -1].mean() > 0.55


# --- what is stored


def test_stored_discounts_have_every_kind_start_and_seed():
    curves = carts.discount_curves()
    adjusted = {("adjusted", start, name) for start in carts.STARTS for name in ("return", "gamma", "lambda")}
    fixed = {("fixed", start, "return") for start in (*carts.STARTS, *carts.OTHERS)}
    assert set(curves) == adjusted | fixed
    assert {runs.shape for runs in curves.values()} == {(40, carts.UPDATES)}


def test_the_stored_table_is_large_enough_and_in_its_space():
    for family in ("varied", "alike"):
        features, returns = results.table(family)
        assert features.shape[0] == returns.shape[0] >= 300
        assert returns.shape[1] == len(results.settings(family)) >= 30
        assert np.allclose(features, grids.all_features(GridTasks(family).sample(300, seed=0)), rtol=1e-3)
        spaces.check_inside(grids.SPACE, results.settings(family))


def test_no_held_out_grid_stands_in_a_training_table():
    script = runpy.run_path(str(ROOT / "data" / "lesson_07" / "make_table.py"))
    for family in ("varied", "alike"):
        seen = {task for seed in range(5) for task in GridTasks(family).sample(300, seed=seed)}
        held_out = script["new_grids"](family)
        assert len(held_out) == len(results.held_out(family)["model @1"]) == 240
        assert not set(held_out) & seen


def test_the_model_beats_every_other_strategy_on_held_out_grids_over_grids_and_over_tables():
    columns = results.held_out("varied")
    assert len(columns["model @1"]) >= 200
    assert set(results.STRATEGIES) == {name.split(" @")[0] for name in columns if "@" in name}
    for budget in results.budgets(columns):
        for other in results.STRATEGIES[:-2]:
            assert results.difference(columns, f"model @{budget}", f"{other} @{budget}")[1] > 0
            assert interval(results.seed_gains("varied", budget, "model", other))[1] > 0


def test_stored_means_are_those_of_the_tables():
    for family in ("varied", "alike", "phys", "dirv"):
        grids_or_carts = results.cartpole if family in ("phys", "dirv") else results.held_out
        columns = grids_or_carts(family)
        for budget in (1, 2):
            by_table = results.seed_gains(family, budget)
            assert len(by_table) == 5
            gain = columns[f"model @{budget}"].mean() - columns[f"default @{budget}"].mean()
            assert by_table.mean() == pytest.approx(gain, abs=2e-3)


def test_an_oracle_that_chooses_by_more_runs_earns_more_and_less_than_the_flattered_one():
    for family in ("varied", "alike"):
        columns = results.held_out(family)
        means = [columns[f"oracle by {k}"].mean() for k in (1, 2, 4, 8)] + [
            columns["oracle, optimistic"].mean()
        ]
        assert means == sorted(means)


def test_where_grids_are_alike_nothing_could_be_gained():
    columns = results.held_out("alike")
    assert results.difference(columns, "oracle, optimistic", "default @1")[2] < 0.05
    assert results.difference(columns, "oracle by 8", "default @1")[2] < 0.01
