"""Explorers, predictions and stored results of lesson 08: what they say is what slower computations say."""

import csv
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_08 import pictures, predictions, results
from mlearn_utils.meta.policies.memory_agent import MemoryAgent, MemoryConfig
from mlearn_utils.rl.bayes_bandit import bayes_value
from mlearn_utils.runtime import data_path
from mlearn_utils.tasks.cartpole import CartPoleTasks

# --- the tree of histories


@pytest.mark.parametrize("safe", [0.4, 0.55, 0.7])
def test_the_tree_says_what_the_best_play_is_worth(safe):
    explorer = pictures.history_tree()
    explorer.explore(safe=safe)
    best, caption = bayes_value(1, 3, safe=safe), explorer.caption.value
    if best > 3 * safe + 1e-9:
        assert f"<b>{best:.4f}</b>" in caption
        assert f"always safe {3 * safe:.2f}" in caption
    else:
        assert "no play earns more" in caption


def test_the_tree_marks_where_trying_is_best():
    explorer = pictures.history_tree()
    explorer.explore(safe=0.55)
    (ax,) = explorer.picture.figure.axes
    words = {text.get_text() for text in ax.texts if "," in text.get_text()}
    tried = {text.split("\n")[1] for text in words if text.startswith("try")}
    assert tried == {"0 won, 0 lost", "1 won, 0 lost", "2 won, 0 lost"}
    assert "try, 1.725\n0 won, 0 lost" in words


# --- the belief


@pytest.fixture
def belief(monkeypatch):
    agent = MemoryAgent(CartPoleTasks("dirv"), MemoryConfig(hidden=4, trials=4), seed=0, device="cpu")
    monkeypatch.setattr(pictures, "load_memory", lambda family: agent)
    return pictures.belief_explorer()


def test_the_belief_starts_even_and_ends_on_the_right_side(belief):
    belief.explore(target=0.8, step=0)
    assert "nothing was paid yet" in belief.caption.value
    assert "has the belief 0.50" in belief.caption.value
    sides = []
    for target in pictures.TARGETS:
        belief.explore(target=target, step=pictures.STEPS)
        sides.append(float(re.findall(r"belief (\d\.\d\d)", belief.caption.value)[0]))
    assert min(sides) > 0.45  # never the wrong side
    assert max(sides) == 1.0


def test_every_belief_that_is_drawn_sums_to_one(monkeypatch):
    agent = MemoryAgent(CartPoleTasks("dirv"), MemoryConfig(hidden=4, trials=4), seed=0, device="cpu")
    monkeypatch.setattr(pictures, "load_memory", lambda family: agent)
    x_dot, reward, beliefs = pictures._drives()
    assert beliefs.shape[:2] == (len(pictures.TARGETS), x_dot.shape[1] + 1)
    assert np.allclose(beliefs.sum(axis=-1), 1, atol=1e-5)
    paid = (1 - abs(x_dot - np.array(pictures.TARGETS)[:, None])).clip(0, 1)
    going = reward > 0
    assert np.allclose(reward[going], paid[going], atol=1e-4)


# --- predictions


@pytest.mark.parametrize(
    ("make", "guess"),
    [
        (predictions.predict_thompson, "greedy"),
        (predictions.predict_ascent, "all at 1.65"),
        (predictions.predict_probe, "R² about 0.9"),
        (predictions.predict_frozen, "more than 6.5"),
        (predictions.predict_wiped, "less than 10"),
    ],
)
def test_a_prediction_answers_with_figures(make, guess):
    question = make()
    question.commit(guess)
    assert re.search(r"\d\.\d", question.caption.value)


# --- results


def rows(name):
    with data_path("lesson_08", name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_family_and_method_has_five_trainings_on_four_sets():
    table = rows("results.csv")
    assert {row["family"] for row in table} == set(results.BY_FAMILY)
    for family, methods in results.BY_FAMILY.items():
        for method in methods:
            runs = [r for r in table if (r["family"], r["method"]) == (family, method)]
            assert {r["seed"] for r in runs} == set("01234")
            assert {r["set"] for r in runs} == set("0123")
            values = [float(r["return"]) for r in runs if r["episode"] == "1"]
            assert results.returns(family, method)[:, 0].mean() == pytest.approx(np.mean(values))


def test_no_weight_of_the_entropy_that_won_lies_at_an_end_of_its_grid():
    pairs = {(row["family"], row["method"]) for row in rows("entropies.csv")}
    assert len(pairs) == 10
    for family, method in pairs:
        tried = results.entropies(family, method)
        best = max(tried, key=lambda weight: tried[weight].mean())
        assert min(tried) < best < max(tried), (family, method)
        assert {len(found) for found in tried.values()} == {2}


def test_a_row_of_the_table_says_mean_interval_and_every_seed():
    found = results.returns("once", "memory")
    row = results.row("once", "memory")
    assert row.startswith("memory (GRU)")
    assert f"{found[:, 0].mean():3.0f} (" in row
    assert row.split()[-5:] == [f"{value:.0f}" for value in np.sort(found[:, 1])]


def test_curves_costs_and_bandits_are_read_by_seed():
    updates, curves = results.curves("once", "memory")
    assert curves.shape == (5, len(updates))
    assert min(results.costs("dirv", "memory")) > 10
    assert len(results.bandits("argmax")) == 5
    assert results.distilled("teacher").shape == (5, 50)


@pytest.mark.parametrize("family", ["dirv", "dir"])
def test_experience_is_drawn_with_the_told_policy_as_a_line(family):
    ax = Figure().subplots()
    pictures.draw_experience(ax, family)
    assert len(ax.lines) == 6  # five methods, and the marks of one
    assert np.asarray(ax.lines[-1].get_ydata())[0] == pytest.approx(results.returns(family, "told").mean())


@pytest.mark.parametrize("family", ["once", "dirv"])
def test_the_stored_agents_are_those_of_the_table(family):
    agent = results.load_memory(family)
    tasks = CartPoleTasks(family).sample(100, seed=990_001)
    found = agent.evaluate(tasks, episodes=1)[0].mean()
    assert found == pytest.approx(results.returns(family, "memory")[0, 0], abs=6)
