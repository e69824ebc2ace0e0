"""Robots against Gymnasium's own environment and against the textbook's equations of cart and pole."""

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.linalg import expm, solve_discrete_are

from mlearn_utils.tasks.pendulum_runs import BENCH, FALLEN, balance, bench, drive, linear_model, record
from mlearn_utils.tasks.pendulums import PendulumTask, PendulumTasks

pytest.importorskip("mujoco", reason="mujoco is missing: pip install mujoco")
pytest.importorskip("imageio", reason="imageio is missing: pip install imageio")

GRAVITY, CART, DAMPING = 9.81, 10.471975511965978, 1.0
RADIUS, LENGTH = 0.049, np.hypot(0.6, 0.001)


def robot_of(env: gym.Env) -> Any:
    return env.unwrapped


def pole_inertia(mass: float) -> float:
    """Return the inertia (kg m^2) of a capsule of uniform density about its middle, across its axis."""
    tube, ball = np.pi * RADIUS**2 * LENGTH, 4 / 3 * np.pi * RADIUS**3
    tube, ball = mass * np.array([tube, ball]) / (tube + ball)
    of_tube = tube * (3 * RADIUS**2 + LENGTH**2) / 12
    return of_tube + ball * (2 / 5 * RADIUS**2 + LENGTH**2 / 4 + 3 / 8 * LENGTH * RADIUS)


def mass_matrix(mass: float, angle: float) -> np.ndarray:
    """Return [2, 2] the mass matrix of cart and pole; the middle of the pole is half its length away."""
    tilt = angle + np.arctan2(0.001, 0.6)
    across = mass * LENGTH / 2 * np.cos(tilt)
    return np.array([[CART + mass, across], [across, pole_inertia(mass) + mass * LENGTH**2 / 4]])


def textbook_model(gear: float, mass: float) -> np.ndarray:
    """Return [4, 5] the change in 0.04 s by the linear equations, exactly integrated."""
    inverse = np.linalg.inv(mass_matrix(mass, 0.0))
    system = np.zeros((5, 5))
    system[:2, 2:4] = np.eye(2)
    system[2:4, 1] = inverse @ [0, mass * GRAVITY * 0.3]
    system[2:4, 2:4] = -DAMPING * inverse
    system[2:4, 4] = inverse @ [gear, 0]
    return expm(0.04 * system)[:4] - np.eye(4, 5)


def test_the_same_seed_draws_the_same_robots_within_bounds():
    robots = PendulumTasks(gear=(80.0, 90.0), pole_mass=(3.0, 4.0))
    task = robots.sample(200, seed=3)
    again, other = robots.sample(200, seed=3), robots.sample(200, seed=4)
    assert np.array_equal(task.gear, again.gear)
    assert np.array_equal(task.pole_mass, again.pole_mass)
    assert not np.array_equal(task.gear, other.gear)
    assert ((abs(task.gear) >= 80) & (abs(task.gear) <= 90)).all()
    assert ((task.pole_mass >= 3) & (task.pole_mass <= 4)).all()
    assert 70 < (task.gear < 0).sum() < 130
    assert (PendulumTasks(reversible=False).sample(200, seed=3).gear > 0).all()


def test_tasks_are_indexed_as_batches():
    task = PendulumTask([50.0, -60.0, 70.0], [2.0, 3.0, 4.0])
    assert len(task) == 3
    assert len(task[1]) == 1
    assert (task[1].gear[0], task[-1].pole_mass[0]) == (-60.0, 4.0)
    assert task[np.array([2, 0])].gear.tolist() == [70.0, 50.0]


@pytest.mark.filterwarnings("ignore:.*infinity:UserWarning", "ignore:.*normalized space:UserWarning")
def test_an_environment_passes_gymnasiums_checker():
    env = PendulumTasks().make_env(PendulumTask([-70.0], [8.0]))
    check_env(env.unwrapped, skip_render_check=True)  # Gymnasium's own environment warns of the same
    assert env.spec is not None
    assert env.spec.max_episode_steps == 500


def test_the_simulator_has_the_gear_and_the_mass_matrix_of_the_robot():
    mujoco = pytest.importorskip("mujoco")
    for gear, mass in ((-70.0, 8.0), (100.0, 5.01859164), (50.0, 2.0)):
        robot = robot_of(PendulumTasks().make_env(PendulumTask([gear], [mass])))
        assert robot.model.actuator_gear[0, 0] == gear
        for angle in (0.0, 0.3):
            robot.set_state(np.array([0.1, angle]), np.zeros(2))
            found = np.zeros((2, 2))
            mujoco.mj_fullM(robot.model, robot.data, found)
            assert np.allclose(found, mass_matrix(mass, angle), rtol=1e-6)
        assert np.allclose(robot.model.body_subtreemass[-1], mass)  # derived, by mj_setConst
        assert robot.model.dof_M0[0] == pytest.approx(CART + mass)


def test_the_default_robot_is_gymnasiums():
    task = PendulumTask([100.0], [robot_of(gym.make("InvertedPendulum-v5")).model.body_mass[2]])
    ours, theirs = PendulumTasks().make_env(task), gym.make("InvertedPendulum-v5")
    assert np.array_equal(ours.reset(seed=1)[0], theirs.reset(seed=1)[0])
    for action in np.random.default_rng(0).uniform(-3, 3, (5, 1)).astype(np.float32):
        assert np.array_equal(ours.step(action)[0], theirs.step(action)[0])


def test_recorded_steps_are_those_of_the_environments():
    task = PendulumTasks().sample(5, seed=1)
    steps = bench(task, 12, seed=2, length=4)
    for k in range(len(task)):
        env = PendulumTasks().make_env(task[k])
        for step in range(12):
            state = steps.state[k, step]
            if step % 4 == 0 or abs(steps.state[k, step - 1] + steps.change[k, step - 1])[1] > FALLEN:
                env.reset(seed=0)
                robot_of(env).set_state(state[:2], state[2:])
            observed = env.step(steps.action[k, step])[0]
            assert np.allclose(observed - state, steps.change[k, step], rtol=0, atol=1e-12)


def test_a_driven_robot_begins_at_its_reset_and_goes_on():
    task = PendulumTasks().sample(30, seed=1)
    steps = drive(task, 6, seed=2)
    assert steps.state.shape == (30, 6, 4)
    assert steps.action.shape == (30, 6, 1)
    after = steps.state + steps.change
    fallen = abs(after[:, :-1, 1]) > FALLEN
    assert (abs(steps.state[:, 0]) <= 0.01).all()
    assert fallen.any()
    assert (abs(steps.state[:, 1:][fallen]) <= 0.01).all()
    assert np.allclose(steps.state[:, 1:][~fallen], after[:, :-1][~fallen], atol=1e-15)
    assert abs(steps.action).max() > 2.5
    assert np.array_equal(steps.change, drive(task, 6, seed=2).change)
    assert not np.array_equal(steps.change, drive(task, 6, seed=3).change)


def test_the_bench_sets_robots_up_anew():
    steps = bench(PendulumTasks().sample(50, seed=1), 8, seed=2)
    starts = abs(steps.state[:, ::4]).max((0, 1))
    assert (starts <= BENCH).all()
    assert (starts > 0.8 * np.array(BENCH)).all()


def test_the_linear_model_is_the_textbooks():
    task = PendulumTasks().sample(4, seed=1)
    expected = np.array([textbook_model(*robot) for robot in zip(task.gear, task.pole_mass, strict=True)])
    assert np.allclose(linear_model(task), expected, rtol=1e-3, atol=1e-4)


def test_a_reversed_motor_mirrors_what_the_action_does():
    forward, reverse = linear_model(PendulumTask([80.0, -80.0], [4.0, 4.0]))
    assert np.allclose(forward[:, :4], reverse[:, :4])
    assert np.allclose(forward[:, 4], -reverse[:, 4])
    assert forward[2, 4] > 0.1


def gains_of(model: np.ndarray) -> np.ndarray:
    a, b = np.eye(4) + model[:, :4], model[:, 4:]
    cost = solve_discrete_are(a, b, np.eye(4), np.eye(1))
    return np.linalg.solve(1 + b.T @ cost @ b, b.T @ cost @ a)[0]


def test_balancing_is_that_of_the_environment():
    task = PendulumTask([80.0, -80.0, 80.0], [4.0, 4.0, 4.0])
    gains = np.array([gains_of(model) for model in linear_model(task)])
    gains[2] *= -1  # a robot that believes its motor reversed
    steps = balance(task, gains, seed=5)
    starts = np.random.default_rng(5).uniform(-0.01, 0.01, (3, 4))
    for k in range(3):
        env = PendulumTasks().make_env(task[k])
        env.reset(seed=0)
        robot_of(env).set_state(starts[k, :2], starts[k, 2:])
        state, ended, taken = starts[k], False, 0
        while not ended:
            state, _, terminated, truncated, _ = env.step(np.clip(-gains[k : k + 1] @ state, -3, 3))
            ended, taken = terminated or truncated, taken + 1
        assert steps[k] == taken
    assert steps[:2].tolist() == [500, 500]
    assert steps[2] < 50


ONE = PendulumTask([100.0], [5.0])
TWO = PendulumTask([100.0, 90.0], [5.0, 5.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PendulumTask([0.0], [5.0]), "gear must be finite numbers other than 0"),
        (lambda: PendulumTask([np.nan], [5.0]), "gear must be finite numbers other than 0"),
        (lambda: PendulumTask(["fast"], [5.0]), "gear must be numbers"),
        (lambda: PendulumTask([100.0], [-1.0]), "pole_mass must be finite numbers above 0"),
        (lambda: PendulumTask([100.0], [0.0]), "pole_mass must be finite numbers above 0"),
        (lambda: PendulumTask([100.0], [np.inf]), "pole_mass must be finite numbers above 0"),
        (lambda: PendulumTask([], []), "gear must be finite numbers other than 0"),
        (lambda: PendulumTask([100.0], [5.0, 6.0]), "pole_mass must hold a mass for each of 1 gears, got 2"),
        (lambda: PendulumTasks(gear=(0.0, 100.0)), "gear must be finite bounds"),
        (lambda: PendulumTasks(pole_mass=(3.0, 2.0)), "pole_mass must be finite bounds"),
        (lambda: PendulumTasks(reversible=None), "reversible must be True or False"),  # pyright: ignore
        (lambda: PendulumTasks().sample(0, seed=0), "n_tasks must be an integer >= 1, got 0"),
        (lambda: PendulumTasks().sample(1, seed=-1), "seed must be an integer >= 0, got -1"),
        (lambda: PendulumTasks().make_env(TWO), r"task must hold one robot, got 2; tasks\[i\] is one"),
        (lambda: PendulumTasks().make_env(ONE, horizon=0), "horizon must be an integer >= 1, got 0"),
        (lambda: drive(ONE, 0, seed=0), "n_steps must be an integer >= 1, got 0"),
        (lambda: bench(ONE, 1, seed=0, length=0), "length must be an integer >= 1, got 0"),
        (lambda: record(ONE, np.zeros((1, 2, 4)), np.zeros(2)), "action must be finite numbers"),
        (lambda: record(ONE, np.zeros((1, 1, 4)), np.full((1, 1), np.nan)), "action must be finite numbers"),
        (lambda: record(ONE, np.zeros((1, 2, 3)), np.zeros((1, 2))), "start must be finite numbers"),
        (lambda: balance(ONE, np.zeros(4), seed=0), r"gains must be finite numbers \[1, 4\]"),
        (lambda: balance(ONE, np.full((1, 4), np.nan), seed=0), r"gains must be finite numbers \[1, 4\]"),
        (lambda: balance(ONE, np.zeros((1, 4)), seed=0, horizon=0), "horizon must be an integer >= 1"),
    ],
)
def test_bad_numbers_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_task_is_refused():
    bad: Any = [100.0]
    for call in (PendulumTasks().make_env, lambda tasks: drive(tasks, 1, seed=0), linear_model):
        with pytest.raises(TypeError, match=r"tasks? must be a PendulumTask"):
            call(bad)


@pytest.mark.parametrize("missing", ["mujoco", "imageio"])
def test_a_missing_simulator_is_named_with_its_command(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f"{missing} is missing: pip install {missing}"):
        PendulumTasks().make_env(ONE)
    if missing == "mujoco":
        with pytest.raises(ImportError, match="mujoco is missing: pip install mujoco"):
            drive(ONE, 1, seed=0)
