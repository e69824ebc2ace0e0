"""Pictures of lesson 02 show what was computed, and the recorded runs are what the text says."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_02 import pictures, predictions, settings
from mlearn_utils.course.widgets.action_map import ActionMap
from mlearn_utils.course.widgets.stepper import Stepper
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.q_learning import QLearningAgent
from mlearn_utils.rl.temporal_difference import td_update
from mlearn_utils.tasks.gridworld import GridTask, grid_mdp, make_env

RATE, GAMMA = 0.5, 0.9
UPDATES = pictures.record_updates(pictures.STEPPED, 300, rate=RATE, gamma=GAMMA, seed=2)


def test_recorded_updates_are_those_of_td_update_and_each_table_follows_from_the_last():
    for (before, *step, value, error), (after, *_) in itertools.pairwise(UPDATES):
        right = td_update(before, *step, learning_rate=RATE, gamma=GAMMA)
        assert (value, error) == (float(right.value), float(right.error))
        changed = before.copy()
        changed[step[0], step[1]] = value
        assert np.array_equal(changed, after)


def test_updates_that_change_nothing_are_left_out_after_the_third():
    shown = pictures.interesting_updates(UPDATES, most=15)
    assert len(shown) == 15
    assert all(abs(update[-1]) > 1e-3 for update in shown[3:])


def test_the_stepper_asks_first_and_then_says_the_new_value():
    shown = pictures.interesting_updates(UPDATES, most=15)
    stepper = Stepper(pictures.update_steps(shown, rate=RATE, gamma=GAMMA), count=30, alt="one update a step")
    first = next(k for k, update in enumerate(shown) if update[5])  # one that terminates
    stepper.explore(step=2 * first)
    assert "terminates" in stepper.caption.value
    assert "TD error" not in stepper.caption.value
    stepper.explore(step=2 * first + 1)
    assert "nothing follows the end" in stepper.caption.value
    assert stepper.caption.value.endswith(f"<b>{pictures.minus(shown[first][-2])}</b>.")


def test_the_explorer_trains_anew_and_the_same_setting_gives_the_same_picture():
    explorer = pictures.retrain_explorer()
    before = explorer.png, explorer.caption.value
    explorer.explore(gamma=0.0)
    assert explorer.caption.value != before[1]
    explorer.explore(gamma=0.9)
    assert (explorer.png, explorer.caption.value) == before


def test_without_a_discount_for_the_future_the_goal_is_not_seen_from_afar():
    explorer = pictures.retrain_explorer()
    worth = []
    for gamma in (0.0, 0.9):
        explorer.explore(gamma=gamma)
        worth.append(float(explorer.caption.value.split("worth ")[1].split(",")[0].replace("−", "-")))
    assert worth[0] + 0.3 < worth[1] < pictures.best_return()


def test_an_action_map_marks_the_best_move_only_where_it_is_the_only_one():
    q = np.zeros((4, 4))
    q[0, 1] = 1.0
    table = ActionMap(Figure().subplots(), GridTask(size=2), numbers=True)
    table.show(q)
    assert np.allclose(table._best.get_xydata(), [[0.6, 0.5]])
    assert [text.get_text() for text in table._texts if text.get_text()] == ["1.00"]


def test_a_step_into_a_wall_is_drawn_towards_the_wall():
    table = ActionMap(Figure().subplots(), GridTask(size=2))
    table.point(0, 0, 0)
    assert np.allclose(np.asarray(table._way.get_ydata()), [0.5, 0.15])


@pytest.mark.parametrize(
    ("task", "variant", "threshold", "seeds"),
    [("lake", "falling", 0.70, 100), ("cliff", "Q-learning", -13, 10), ("cartpole", "pole 6 x 12", 195, 10)],
)
def test_the_recorded_agents_reach_what_the_course_promises(task, variant, threshold, seeds):
    reached = settings.results(task, variant)
    assert reached.shape == (seeds,)
    assert (reached >= threshold).sum() >= 0.8 * seeds


def test_recorded_curves_have_ten_seeds_and_ascending_x():
    for task, variants in {
        "cartpole": [*settings.CART_BINS],
        "cliff": ["SARSA"],
        "replay": ["0", "25"],
    }.items():
        for variant in variants:
            x, values = settings.curves(task, variant)
            assert values.shape == (10, len(x))
            assert (np.diff(x) > 0).all()


def test_no_greedy_policy_of_the_explorer_is_worth_more_than_the_best():
    mdp = grid_mdp(pictures.RETRAINED)
    learners = BatchedQLearner(mdp, task=np.zeros(50, dtype=int), learning_rate=0.1, gamma=0.95, epsilon=0.5)
    learners.train_steps(4000, windows=1, seed=0)
    worth = learners.greedy_returns()
    assert worth.max() <= pictures.best_return() + 1e-9
    assert worth.max() > pictures.best_return() - 0.02


def test_the_cart_table_fits_the_discretizer_and_holds_the_pole():
    q, discretizer = settings.cart_table(), settings.cart_discretizer()
    assert q.shape == (discretizer.n_states, 2)
    leaning_right, leaning_left = (discretizer([0, 0, angle, angle * 6]) for angle in (0.1, -0.1))
    assert q[leaning_right].argmax() == 1
    assert q[leaning_left].argmax() == 0


def test_replay_solves_the_grid_in_fewer_steps_than_without():
    steps = []
    for replay in (0, 10):
        agent = QLearningAgent(make_env(settings.REPLAY_TASK), **settings.REPLAY, replay=replay)
        steps.append(sum(row["steps"] for row in agent.train(15, seed=0)))
    assert steps[1] < steps[0]


@pytest.mark.parametrize("make", [predictions.predict_ties, predictions.predict_cliff])
def test_a_prediction_keeps_its_answer_until_the_guess_is_made(make):
    prediction = make()
    assert prediction.caption.value == ""
    prediction.commit(prediction._options[0])
    assert "<b>" in prediction.caption.value
