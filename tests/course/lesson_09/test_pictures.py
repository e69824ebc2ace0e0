"""Pictures, rides, the tree, predictions and stored runs of lesson 09."""

import csv
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_09 import ice, pictures, predictions, results, simulators, treasures, tree
from mlearn_utils.course.lesson_09.patients import CURVE_HOURS
from mlearn_utils.course.widgets.canvas import CanvasEvent
from mlearn_utils.runtime import data_path, needs
from mlearn_utils.tasks.patients import SAMPLE_HOURS, PatientTasks
from mlearn_utils.tasks.pendulums import PendulumTask
from mlearn_utils.tasks.treasures import SMALL_LAKE, TreasureTask, frozen_cells

# --- what is missing


def test_a_missing_simulator_leaves_out_what_needs_it(capsys):
    def make():
        raise ImportError("mujoco is missing: pip install mujoco", name="mujoco")

    assert simulators.run_or_skip(make) is None
    assert "pip install mujoco" in capsys.readouterr().out
    assert simulators.run_or_skip(lambda: 3) == 3


@pytest.mark.parametrize("error", [ImportError("no such name", name="numpy"), ValueError("bad")])
def test_other_errors_are_not_swallowed(error):
    def make():
        raise error

    with pytest.raises(type(error)):
        simulators.run_or_skip(make)


def test_needs_names_the_command(monkeypatch):
    with pytest.raises(ImportError, match="no_such_simulator is missing: pip install it==1") as caught:
        needs("no_such_simulator", "it==1")
    assert caught.value.name == "no_such_simulator"
    assert needs("numpy", "numpy") is np


# --- pictures


def test_a_walk_is_drawn_from_the_start_to_the_treasure():
    tasks = TreasureTask(frozen_cells(SMALL_LAKE)[:2])
    goal = int(tasks.goal[1])
    steps = np.array([[3, 2]])
    cells = np.array([[0, 0], [1, 1], [2, -1]])
    walks = treasures.Walks(steps, np.array([[True, True]]), cells)
    ax = Figure().subplots()
    pictures.draw_walk(ax, tasks, walks, 1, episode=0)
    x, y = (np.asarray(values) for values in ax.lines[0].get_data())
    columns = len(SMALL_LAKE[0])
    assert (x[0], y[0]) == (0.5, 0.5)
    assert (x[-1], y[-1]) == (goal % columns + 0.5, goal // columns + 0.5)


def test_the_two_patients_are_far_apart_and_drawn_with_their_samples():
    people = PatientTasks().sample(50, seed=0)
    true, samples = people.level(CURVE_HOURS), people.sample_blood(seed=1)
    low, high = pictures.far_apart(true)
    means = true[:, :96].mean(axis=1)
    assert means[low] < np.median(means) < means[high]
    ax = Figure().subplots()
    pictures.draw_patient(ax, {"double": 2 * true}, samples, true, high)
    labels = {line.get_label(): line for line in ax.lines}
    assert np.allclose(labels["double"].get_ydata(), 2 * true[high, :96])
    assert np.allclose(labels["true level"].get_ydata(), true[high, :96])
    assert np.allclose(labels["samples"].get_xdata(), SAMPLE_HOURS)
    assert np.allclose(labels["samples"].get_ydata(), samples[high])


def test_the_course_drives_as_the_simulator():
    pytest.importorskip("highway_env")
    ax = Figure().subplots()
    assert pictures.compare_with_simulator(ax) < 1e-9
    assert len(ax.lines) == 2 * len(pictures.GRIPS)


def test_a_robot_without_a_motor_falls_and_one_that_balances_stands():
    pytest.importorskip("mujoco")
    pytest.importorskip("imageio")
    robot = PendulumTask(np.array([100.0]), np.array([5.0]))
    ax = Figure().subplots()
    fell = pictures.draw_poles(ax, robot, np.array([0.0, 100.0, 0.0, 0.0]))  # the wrong way round
    assert fell < 25
    assert len(ax.lines) == 2 * (fell + 1)
    stood = pictures.draw_poles(Figure().subplots(), robot, np.array([-0.5, -20.0, -1.0, -3.0]))
    assert stood == 25


# --- driving on ice


def test_a_ride_ends_and_tells_the_grip():
    canvas = ice.drive_on_ice(seed=0)
    assert "15 turns left" in canvas.caption.value
    ride = ice.Ride(0)
    for _ in range(ice.TURNS + 2):
        ice.handle(ride, CanvasEvent("key", key="ArrowUp"))
    assert ride.turns == ice.TURNS
    assert np.allclose(ride.states[:, 1], 0)
    assert ride.held() == 0
    assert f"grip of this one was {float(ride.task.grip[0]):.2f}" in ice.caption(ride)
    grip = float(ride.task.grip[0])
    ice.handle(ride, CanvasEvent("key", key="n"))
    assert ride.left == ice.TURNS
    assert float(ride.task.grip[0]) != grip


def test_left_is_up_and_right_is_down():
    left, right = ice.Ride(1), ice.Ride(1)
    ice.handle(left, CanvasEvent("key", key="ArrowLeft"))
    ice.handle(right, CanvasEvent("key", key="ArrowRight"))
    assert left.states[-1, 1] > 0 > right.states[-1, 1]
    ice.handle(left, CanvasEvent("down", x=1.0, y=1.0))
    assert left.turns == 1


def test_the_lane_is_held_by_who_stays_in_it():
    ride = ice.Ride(0)
    ride.states = np.zeros((1 + ice.STEPS * ice.TURNS, 6))
    ride.states[:, 1] = ice.LANE
    assert ride.held() == 1
    ride.states[-15:, 1] = 0
    assert ride.held() == pytest.approx(0.5)


# --- the tree


@pytest.mark.parametrize(
    ("answers", "leaf"),
    [
        ({"hidden": False, "known": True, "samples": True, "alike": False, "acting": True}, "hidden"),
        ({"hidden": True, "known": True, "samples": True, "alike": False, "acting": True}, "known"),
        ({"hidden": True, "known": False, "samples": True, "alike": False, "acting": True}, "samples"),
        ({"hidden": True, "known": False, "samples": False, "alike": False, "acting": True}, "alike"),
        ({"hidden": True, "known": False, "samples": False, "alike": True, "acting": True}, "act"),
        ({"hidden": True, "known": False, "samples": False, "alike": True, "acting": False}, "predict"),
    ],
)
def test_the_first_question_that_decides_is_the_end(answers, leaf):
    assert tree.leaf(**answers) == leaf
    explorer = tree.decision_tree()
    explorer.explore(**answers)
    found = tree.LEAVES[leaf]
    assert found.name[1:] in explorer.caption.value
    assert re.search(r"[Ss]ection|lesson 08", explorer.caption.value)


# --- predictions and stored runs


@pytest.mark.parametrize(
    ("make", "guess", "figure"),
    [
        (predictions.predict_search, "it finds about one of three", "<b>It finds 33% of them"),
        (predictions.predict_dose, "about 64 %", "<b>64%</b> of the second day"),
        (predictions.predict_robots, "none, or nearly so", "<b>0 of 40.</b>"),
    ],
)
def test_a_prediction_answers_with_the_stored_figure(make, guess, figure):
    question = make()
    question.commit(guess)
    assert figure in question.caption.value


WORLDS = {"patients": results.PATIENTS, "vehicles": results.VEHICLES, "pendulums": results.ROBOTS}


@pytest.mark.parametrize("world", WORLDS)
def test_what_is_trained_has_several_trainings_on_several_sets(world):
    with data_path("lesson_09", f"{world}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    trained = {"joint", "fine-tuned", "MAML", "context", "context, equal time"}
    if world == "pendulums":  # there lines have other robots with every seed
        trained |= {"ridge", "learned prior"}
    seeds = 10 if world == "pendulums" else 5
    for method in WORLDS[world]:
        own = [row for row in rows if row["method"] == method]
        assert len({row["seed"] for row in own}) == (seeds if method in trained else 1), method
        assert len({row["set"] for row in own if "seconds" not in row["measure"]}) >= 3


def test_a_table_says_mean_and_interval_of_its_rows():
    text = results.table("patients", {"context": "reader"}, {"rmse": 2})
    found = results.by_seed("patients", "context", "rmse")
    assert len(found) == 5
    assert f"{found.mean():.2f} (" in text
    assert "–" in results.table("patients", {"one dose for all": "one"}, {"rmse": 2})
    with pytest.raises(ValueError, match=r"patients.csv has no speed of MAML"):
        results.by_seed("patients", "MAML", "speed")


def test_the_stored_seeker_walks_as_the_table_says():
    seeker = results.load_seeker()
    lakes = TreasureTask(frozen_cells(SMALL_LAKE))
    walks = treasures.walk(seeker, lakes)
    assert walks.found.all()
    assert walks.steps[1].mean() == pytest.approx(treasures.shortest(lakes).mean(), abs=0.1)
