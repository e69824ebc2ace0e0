"""Stored results, toys, pictures and predictions of lesson 11, against slower computations."""

import csv
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_11 import pictures, predictions, results, toys
from mlearn_utils.runtime import data_path

# --- results


def rows(name):
    with data_path("lesson_11", name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_number_of_tasks_has_five_trainings_on_four_sets_of_new_tasks():
    counts, after = results.by_tasks("new")
    assert counts.tolist() == [2, 5, 10, 20, 50, 100, 500]
    assert after.shape == (5, 7)
    chosen = [r for r in rows("tasks.csv") if (r["tasks"], r["seed"], r["where"]) == ("20", "3", "new")]
    assert [row["set"] for row in chosen] == ["0", "1", "2", "3"]
    assert after[3, 3] == pytest.approx(np.mean([float(row["after"]) for row in chosen]))


def test_the_rate_at_test_is_the_best_of_those_tried_and_at_an_end_only_where_it_is_stuck():
    counts, best = results.best_rates()
    tried = {float(row["rate"]) for row in rows("rates.csv")}
    assert best.shape == (5, len(counts))
    assert set(best.ravel()) <= tried
    for row in rows("rates.csv"):
        if (row["tasks"], row["seed"]) == ("2", "0") and float(row["rate"]) == best[0, 0]:
            same = [float(r["after"]) for r in rows("rates.csv") if (r["tasks"], r["seed"]) == ("2", "0")]
            assert float(row["after"]) == max(same)
    stuck = results.by_tasks("new")[1] < 45
    assert stuck.sum() <= 4
    assert not np.isin(best[~stuck], [min(tried), max(tried)]).any()


def test_the_rate_of_the_wide_family_is_5_and_lies_within_what_was_tried():
    tried = results.wide_rates()
    assert max(tried, key=lambda rate: tried[rate]) == 5
    assert min(tried) < 5 < max(tried)


def test_both_sides_together_are_the_new_tasks():
    after = results.by_tasks("new")[1][:, 0]
    for seed in range(5):
        left, right = results.by_side(seed)
        assert min(left, right) <= after[seed] <= max(left, right)


@pytest.mark.parametrize("family", ["usual", "slow", "wide", "tuned"])
def test_every_target_has_five_trainings(family):
    targets, after = results.by_distance(family)
    assert (targets.min(), targets.max()) == (0.1, 2.0)
    assert after.shape == results.by_distance(family, "before")[1].shape == (5, len(targets))


def test_the_episodes_that_end_near_a_goal_are_those_of_goals_that_were_seen_and_of_others():
    for reward in ("dense", "sparse"):
        found = results.point(reward)
        assert {len(values) for values in found.values()} == {5}
        assert (found["all"] <= np.maximum(found["found"], found["missed"]) + 1e-9).all()
        assert all(((values >= 0) & (values <= 1)).all() for values in found.values())


def test_the_settings_of_the_sparse_reward_do_not_lie_at_an_end_of_their_grid():
    tried = results.noises()
    best = max(tried, key=lambda pair: tried[pair])
    for axis in (0, 1):
        values = sorted({pair[axis] for pair in tried})
        assert values[0] < best[axis] < values[-1]


def test_of_sixteen_tools_each_has_a_date_a_version_and_what_happened():
    tools = results.tools()
    assert len(tools) == 16
    assert {(row["date"], row["python"]) for row in tools} == {("2026-11-28", "3.11")}
    assert {row["installs"] for row in tools} == {"yes", "no"}
    assert all(row["version"] and row["happened"].endswith(".") for row in tools)
    table = results.tool_table()
    assert max(map(len, table.split("\n"))) <= 100
    assert all(row["tool"] in table for row in tools)


def test_what_earlier_lessons_left_is_read():
    assert results.returns("dirv", "MAML").shape == (6, 4)
    assert results.cost("dirv", "memory")[0] > results.cost("dirv", "MAML")[0]
    assert len(results.distilled("teacher", 36, 50)) == 5
    assert results.grid_gains().shape == (240,)


# --- toys


def test_expected_losses_are_those_of_many_noisy_descents():
    rates = np.array([0.9, 0.5, 0.2, 0.4])
    rng = np.random.default_rng(0)
    theta = np.sqrt(toys.START) * rng.choice([-1.0, 1.0], (100_000, 2))
    for rate, expected in zip(rates, toys.expected_losses(rates), strict=True):
        center = rng.normal(size=theta.shape) * np.sqrt(toys.NOISE)
        theta = theta - rate * toys.CURVATURE * (theta - center)
        assert (toys.CURVATURE * theta**2 / 2).sum(axis=1).mean() == pytest.approx(expected, rel=0.02)


def test_no_other_rate_is_better_for_the_next_step_than_the_greedy_one():
    rates = toys.greedy_rates(steps=30)
    for at in (0, 7, 29):
        best = toys.expected_losses(rates[: at + 1])[-1]
        for factor in (0.9, 1.1):
            other = rates[: at + 1].copy()
            other[-1] *= factor
            assert toys.expected_losses(other)[-1] > best


def test_a_player_who_never_explores_stops_looking_and_the_others_do_not():
    shares = {name: toys.suffix_failures(name, games=500, seed=1) for name in toys.PLAYERS}
    assert 0.35 < shares["greedy"] < 0.6
    assert max(shares["UCB"], shares["Thompson sampling"]) < 0.06


def test_a_greedy_game_by_hand_fails_as_often():
    rng, failures = np.random.default_rng(2), 0
    for _ in range(400):
        wins, pulls, last = np.zeros(5), np.zeros(5), -1
        for pull in range(toys.PULLS):
            worth = np.where(pulls == 0, 2.0, wins / np.maximum(pulls, 1))
            arm = rng.choice(np.flatnonzero(worth == worth.max()))
            wins[arm] += rng.uniform() < toys.CHANCES[arm]
            pulls[arm] += 1
            last = pull if arm == 0 else last
        failures += last < toys.PULLS // 2
    assert failures / 400 == pytest.approx(toys.suffix_failures("greedy", games=4000, seed=0), abs=0.1)


# --- pictures and predictions


def test_the_explorer_says_what_the_step_is_worth_at_each_target():
    explorer = pictures.distance_explorer()
    targets, after = results.by_distance("usual")
    gains = after - results.by_distance("usual", "before")[1]
    for place, target in enumerate(targets):
        explorer.explore(target=float(np.clip(target + 0.02, 0.1, 2.0)))
        caption = explorer.caption.value
        assert f"Target {target:g} m/s" in caption
        assert f"<b>{gains[:, place].mean():.1f}</b>".replace("-", "−") in caption
        assert ("inside" in caption) == (0.5 <= target <= 1.0)


def test_the_numbers_of_tasks_are_drawn_with_their_own_and_new_tasks():
    ax = Figure().subplots()
    pictures.draw_tasks(ax)
    assert len(ax.lines) == 3
    assert np.allclose(ax.lines[1].get_ydata(), results.by_tasks("new")[1].mean(axis=0))


@pytest.mark.parametrize(
    ("make", "guess"), [(predictions.predict_tasks, "5"), (predictions.predict_distance, "at both")]
)
def test_a_prediction_answers_with_figures(make, guess):
    question = make()
    question.commit(guess)
    assert re.search(r"\d", question.caption.value)
