"""VehicleTasks: the batched steps are highway-env's own, bounds, the environment, bad input."""

import builtins
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mlearn_utils.tasks import pendulums, vehicles
from mlearn_utils.tasks.vehicles import DT, NOISE, VehicleEnv, drive, simulator_vehicle

# without types: they take numbers and lists as well, and refuse what is wrong
VehicleTask: Any = vehicles.VehicleTask
VehicleTasks: Any = vehicles.VehicleTasks
FAMILY = VehicleTasks()
ONE = VehicleTask(0.6, 1.1, 0.45)
START = np.array([3.0, -1.0, 0.2, 12.0, 0.3, -0.1])


def test_a_batch_of_vehicles_drives_as_the_simulator():
    """Random steering and pedals, also so wild that the simulator clips; each vehicle another start."""
    tasks, rng = FAMILY.sample(8, seed=0), np.random.default_rng(0)
    state = START + rng.normal(size=(8, 6)) * [1, 1, 1, 1, 0.5, 0.2]
    state[0, 5] = 7.0  # turns faster than the simulator allows
    steering, push = rng.uniform(-0.4, 0.4, (8, 40)), rng.uniform(-1.5, 2.0, (8, 40))
    steering[1, 7] = 2.0  # more than a right angle
    state[2, 3] = 43.0  # faster than the simulator allows
    states = drive(tasks, state, steering, push)
    for i in range(8):
        car = simulator_vehicle(tasks[i], state[i])
        for k in range(40):
            car.act({"acceleration": push[i, k], "steering": steering[i, k]})
            car.step(DT)
            assert car.state[:, 0] == pytest.approx(states[i, k + 1], abs=1e-10)


def test_a_step_needs_a_reset():
    for env in (VehicleEnv(ONE), FAMILY.make_env(ONE)):
        with pytest.raises(gym.error.ResetNeeded):
            env.step(np.zeros(2))


def test_further_axes_are_further_drives():
    tasks = FAMILY.sample(3, seed=1)
    state = START + np.zeros((3, 5, 6))
    state[..., 3] += np.arange(5)
    together = drive(tasks, state, np.full(10, 0.1), np.zeros(10))
    assert together.shape == (3, 5, 11, 6)
    for k in range(5):
        assert np.array_equal(together[:, k], drive(tasks, state[:, k], np.full(10, 0.1), np.zeros(10)))


def test_grip_mass_and_balance_show_where_they_should():
    """A slippery, a heavy and a tail-heavy vehicle, each against the same one: how far aside after 2 s."""
    tasks = VehicleTask([0.6, 0.2, 0.6, 0.6], [1.0, 1.0, 1.6, 1.0], [0.45, 0.45, 0.45, 0.5])
    start = np.tile([0.0, 0.0, 0.0, 12.0, 0.0, 0.0], (4, 1))
    plain, slippery, heavy, tail = drive(tasks, start, np.full(20, 0.05), np.zeros(20))[:, -1, 1]
    assert slippery < plain - 0.5
    assert heavy < plain - 0.2
    assert tail != pytest.approx(plain, abs=0.01)


def test_the_environment_is_the_simulator_and_its_errors_are_as_stated():
    env = VehicleEnv(ONE)
    first = env.reset(seed=3)[0]
    assert np.array_equal(first, env.reset(seed=3)[0])
    seen = np.array([env.reset(seed=seed)[0] for seed in range(600)])
    assert (seen[:, 2:] - [12.0, 0.0, 0.0]).std(axis=0) == pytest.approx(NOISE, rel=0.1)
    assert set(np.unique(seen[:, 0])) == {-1.0, 1.0}
    env.reset(seed=3)
    side = float(first[0])
    exact = drive(ONE, np.array([[0.0, side, 0.0, 12.0, 0.0, 0.0]]), np.full(4, -0.05), np.full(4, 1.0))[0]
    for k in range(4):
        seen, reward, terminated, _, _ = env.step(np.array([1.0, -0.05]))
        assert seen[:2] == pytest.approx(exact[k + 1, 1:3], abs=1e-6)
        assert reward == pytest.approx(-abs(exact[k + 1, 1]))
        assert not terminated


def test_an_episode_ends_below_the_lowest_speed_or_at_the_horizon():
    env = FAMILY.make_env(ONE)
    env.reset(seed=0)
    ends = [env.step(np.array([-3.0, 0.0]))[2:4] for _ in range(31)]
    assert not any(map(any, ends[:29]))
    assert ends[30] == (True, False)
    env.reset(seed=0)
    ends = [env.step(np.array([0.0, 0.0]))[2:4] for _ in range(FAMILY.horizon)]
    assert [end for end in ends if any(end)] == [(False, True)]


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")  # m/s^2 and rad
@pytest.mark.filterwarnings("ignore:.*(maximum|minimum) value is.*infinity")
def test_the_environment_passes_gymnasiums_checker():
    check_env(VehicleEnv(ONE), skip_render_check=True)


def test_vehicles_are_uniform_within_their_bounds():
    family = VehicleTasks(grip=(0.2, 0.4), mass=(1.0, 1.0), balance=(0.4, 0.6))
    drawn = family.sample(5_000, seed=0)
    assert (drawn.grip.min(), drawn.grip.max()) == pytest.approx((0.2, 0.4), abs=1e-3)
    assert drawn.grip.mean() == pytest.approx(0.3, abs=0.003)
    assert set(drawn.mass) == {1.0}
    assert abs(np.corrcoef(drawn.grip, drawn.balance)[0, 1]) < 0.05
    assert np.array_equal(drawn.grip, family.sample(5_000, seed=0).grip)
    assert not np.array_equal(drawn.grip, family.sample(5_000, seed=1).grip)
    assert len(drawn[3]) == 1
    assert np.array_equal(drawn[1:3].balance, drawn.balance[1:3])


def test_a_missing_simulator_names_the_command(monkeypatch):
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("highway_env"):
            raise ModuleNotFoundError("No module named 'highway_env'", name="highway_env")
        return real(name, *arguments, **more)

    monkeypatch.setattr("mlearn_utils.runtime.import_module", without)
    with pytest.raises(ImportError, match="pip install highway-env"):
        FAMILY.make_env(ONE)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: VehicleTask(0.0, 1.0, 0.5), ValueError, "grip must be finite numbers above 0"),
        (lambda: VehicleTask(1.0, -1.0, 0.5), ValueError, "mass must be finite numbers above 0"),
        (lambda: VehicleTask(1.0, np.inf, 0.5), ValueError, "mass must be finite numbers above 0"),
        (lambda: VehicleTask(1.0, 1.0, 1.0), ValueError, r"balance must be finite numbers in \(0, 1\)"),
        (lambda: VehicleTask(1.0, 1.0, "x"), ValueError, "balance must be numbers"),
        (lambda: VehicleTask([1.0, 1.0], [1.0], [0.5, 0.5]), ValueError, "mass must hold 2 numbers"),
        (lambda: VehicleTasks(grip=(0.5, 0.2)), ValueError, "grip must be bounds"),
        (lambda: VehicleTasks(balance=(0.5, 1.2)), ValueError, "balance must be bounds"),
        (lambda: VehicleTasks(mass=1.0), ValueError, "mass must be bounds"),
        (lambda: FAMILY.sample(0, seed=0), ValueError, "n_tasks must be"),
        (lambda: FAMILY.sample(1, seed=-1), ValueError, "seed must be"),
        (lambda: FAMILY.make_env(3), TypeError, "task must be a VehicleTask"),
        (lambda: FAMILY.make_env(FAMILY.sample(2, seed=0)), ValueError, "one vehicle, got 2"),
        (lambda: drive(ONE, START[None] * 0.1, np.zeros(3), np.zeros(3)), ValueError, "holds from 3.0 on"),
        (lambda: drive(ONE, START, np.zeros(3), np.zeros(3)), ValueError, "state must be"),
        (lambda: drive(ONE, START[None] * np.nan, np.zeros(3), np.zeros(3)), ValueError, "state must be f"),
        (
            lambda: drive(ONE, START[None], np.full(3, np.inf), np.zeros(3)),
            ValueError,
            "steering must be f",
        ),
        (
            lambda: drive(ONE, START[None], np.zeros(3), np.full(3, np.nan)),
            ValueError,
            "acceleration must",
        ),
        (lambda: drive(ONE, START[None], np.zeros(3), np.full(3, -115)), ValueError, "below 1 m/s within"),
        (lambda: drive(ONE, START[None], np.zeros((2, 3)), np.zeros(3)), ValueError, "steering and accel"),
        (lambda: drive(ONE, START[None], np.zeros(4), np.zeros(3)), ValueError, "acceleration must be"),
        (lambda: VehicleEnv(ONE).step(np.array([0.0])), ValueError, "action must be two finite"),
        (lambda: VehicleEnv(ONE).step(np.array([0.0, np.nan])), ValueError, "action must be two finite"),
    ],
)
def test_bad_input_is_named(call: Any, error: Any, message: str):
    with pytest.raises(error, match=message):
        call()


def test_what_is_missing_is_installed_in_the_version_of_the_course():
    pinned = Path(__file__).parents[2].joinpath("requirements.txt").read_text().split()
    for _, package in (pendulums.SIMULATOR, pendulums.IMAGES, vehicles.SIMULATOR):
        assert package in pinned
