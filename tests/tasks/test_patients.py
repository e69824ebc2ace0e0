"""PatientTasks: levels against the differential equation, several doses, the environment, bad input."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.integrate import solve_ivp

from mlearn_utils.tasks.patients import (
    DAY,
    FIRST_DOSE,
    HOURS,
    NOISE,
    SAMPLE_HOURS,
    WINDOW,
    PatientEnv,
    PatientTask,
    PatientTasks,
)


def integrated(patient: PatientTask, hours: np.ndarray, doses: list[float]) -> np.ndarray:
    """Return the levels by solving the equations of gut and blood, a dose a day from hour 0."""
    ka, clearance, volume = (float(each[0]) for each in vars(patient).values())
    gut, blood, levels = 0.0, 0.0, []
    for day, dose in enumerate([*doses, 0.0]):
        gut += dose
        inside = hours[(hours > DAY * day) & (hours <= DAY * (day + 1))] - DAY * day

        def flow(_: float, y: np.ndarray) -> list[float]:
            return [-ka * y[0], ka * y[0] - clearance / volume * y[1]]

        found = solve_ivp(
            flow, (0, DAY), [gut, blood], t_eval=np.union1d(inside, [DAY]), rtol=1e-10, atol=1e-12
        )
        levels.append(found.y[1, : len(inside)] / volume)
        gut, blood = found.y[:, -1]
    return np.concatenate(levels)


@pytest.mark.parametrize("values", [(1.2, 1.5, 25.0), (0.31, 9.0, 20.0), (0.06, 1.5, 25.0)])
def test_levels_solve_the_equations(values):
    """The last patient absorbs as fast as the drug is cleared: there the formula divides zero by zero."""
    patient = PatientTask(*values)
    hours = np.array([0.1, 0.5, 1.0, 3.0, 7.5, 12.0, 23.0])
    assert patient.level(hours)[0] == pytest.approx(integrated(patient, hours, [FIRST_DOSE]), rel=1e-7)


def test_levels_are_continuous_where_both_rates_are_one():
    levels = [PatientTask(0.06 + d, 1.5, 25.0).level([3.0, 20.0]) for d in (0.0, 1e-10, 1e-8, 1e-6)]
    for level in levels[1:]:
        assert level == pytest.approx(levels[0], rel=1e-4)
    hours, ka, k = np.array([3.0, 20.0]), 0.0605, 0.06
    textbook = FIRST_DOSE * ka / (25.0 * (ka - k)) * (np.exp(-k * hours) - np.exp(-ka * hours))
    assert PatientTask(ka, 1.5, 25.0).level(hours)[0] == pytest.approx(textbook, rel=1e-9)


def test_a_body_that_clears_faster_than_it_absorbs_has_levels_at_any_hour():
    level = PatientTask(0.1, 200.0, 20.0).level([24.0, 100.0, 120.0])[0]
    assert level == pytest.approx(FIRST_DOSE * 0.1 / (20 * 9.9) * np.exp(-0.1 * np.array([24, 100, 120])))


def test_one_seed_for_patient_and_error_does_not_tell_what_is_hidden():
    """Else the errors of the samples are the logarithms of absorption, clearance and volume."""
    family, hidden, errors = PatientTasks(), [], []
    for seed in range(300):
        patient = family.sample(1, seed=seed)
        hidden.append(np.log([patient.absorption[0], patient.clearance[0], patient.volume[0]]))
        true = patient.level(SAMPLE_HOURS)[0]
        seen = (patient.sample_blood(seed=seed)[0], PatientEnv(patient).reset(seed=seed)[0][:3])
        errors.append(np.concatenate([each / true - 1 for each in seen]))
    found = np.corrcoef(np.array(hidden).T, np.array(errors).T)[:3, 3:]
    assert abs(found).max() < 0.25


def test_before_a_dose_and_long_after_it_nothing_is_there():
    level = PatientTasks().sample(50, seed=0).level([-1.0, 0.0, 5_000.0])
    assert (level[:, :2] == 0).all()
    assert (level[:, 2] < 1e-6).all()
    assert (PatientTask(1.0, 2.0, 20.0).level([3.0], 0.0) == 0).all()


def test_an_episode_adds_up_its_doses():
    patient, doses = PatientTask(0.8, 1.3, 22.0), [FIRST_DOSE, 60.0, 0.0, 250.0]
    env = PatientEnv(patient)
    env.reset(seed=0)
    for day, dose in enumerate(doses[1:], 1):
        _, reward, terminated, truncated, info = env.step(np.array([dose]))
        expected = integrated(patient, DAY * day + HOURS, doses[: day + 1])
        assert info["level"] == pytest.approx(expected, rel=1e-6)
        assert reward == np.mean((expected >= WINDOW[0]) & (expected <= WINDOW[1]))
        assert not terminated
        assert not truncated


def test_doses_beyond_the_bounds_are_cut():
    one, other = (PatientEnv(PatientTask(0.8, 1.3, 22.0)) for _ in range(2))
    for env, dose in ((one, 900.0), (other, 300.0)):
        env.reset(seed=0)
        seen = env.step(np.array([dose]))[0]
        assert seen[3] == 300


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")  # a dose is in mg
@pytest.mark.filterwarnings("ignore:.*maximum value is infinity")
def test_the_environment_passes_gymnasiums_checker():
    family = PatientTasks()
    task = family.sample(1, seed=3)
    check_env(PatientEnv(task), skip_render_check=True)
    env = family.make_env(task)
    env.reset(seed=0)
    ends = [env.step(np.array([50.0]))[3] for _ in range(family.horizon)]
    assert ends == [False] * (family.horizon - 1) + [True]


def test_samples_of_blood_have_their_error_and_no_other():
    patients = PatientTasks().sample(4_000, seed=1)
    share = patients.sample_blood(seed=2) / patients.level(SAMPLE_HOURS) - 1
    assert share.mean() == pytest.approx(0, abs=4 * NOISE / share.size**0.5)
    assert share.std() == pytest.approx(NOISE, rel=0.02)
    assert abs(np.corrcoef(share.T) - np.eye(3)).max() < 0.06
    assert not np.array_equal(patients.sample_blood(seed=2), patients.sample_blood(seed=3))
    first, again = (PatientEnv(patients[0]).reset(seed=5)[0] for _ in range(2))
    assert np.array_equal(first, again)
    true = patients[0].level(SAMPLE_HOURS)[0]
    seen = np.array([PatientEnv(patients[0]).reset(seed=s)[0][:3] for s in range(400)])
    assert (seen / true - 1).std() == pytest.approx(NOISE, rel=0.1)
    assert abs(np.corrcoef((seen / true).T) - np.eye(3)).max() < 0.2


def test_patients_are_log_normal_and_independent():
    family = PatientTasks(absorption=(1.2, 0.4), clearance=(1.5, 0.6), volume=(25.0, 0.3))
    drawn = family.sample(20_000, seed=0)
    logs = np.log([drawn.absorption, drawn.clearance, drawn.volume])
    assert logs.mean(axis=1) == pytest.approx(np.log([1.2, 1.5, 25.0]), abs=0.02)
    assert logs.std(axis=1) == pytest.approx([0.4, 0.6, 0.3], rel=0.02)
    assert abs(np.corrcoef(logs) - np.eye(3)).max() < 0.03
    assert np.array_equal(drawn.clearance, family.sample(20_000, seed=0).clearance)
    assert not np.array_equal(drawn.clearance, family.sample(20_000, seed=1).clearance)


def test_tasks_are_cut_as_arrays_are():
    tasks = PatientTask([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0])
    assert len(tasks) == 3
    assert (tasks[1].absorption, tasks[1].clearance, tasks[1].volume) == (2.0, 5.0, 8.0)
    assert tasks[1:].volume.tolist() == [8.0, 9.0]


ONE = PatientTask(1.0, 2.0, 20.0)
NOT_A_PAIR: Any = 1.2
NOT_A_TASK: Any = 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: PatientTask(1.0, -2.0, 20.0), ValueError, "clearance must be finite numbers above 0"),
        (lambda: PatientTask(0.0, 2.0, 20.0), ValueError, "absorption must be finite numbers above 0"),
        (lambda: PatientTask(1.0, 2.0, np.nan), ValueError, "volume must be finite numbers above 0"),
        (lambda: PatientTask("a", 2.0, 20.0), ValueError, "absorption must be numbers"),
        (lambda: PatientTask([1.0, 1.0], [2.0], [20.0, 20.0]), ValueError, "clearance must hold 2"),
        (lambda: PatientTask([], [], []), ValueError, "absorption must be finite numbers"),
        (lambda: PatientTasks(clearance=(-1.0, 0.5)), ValueError, "clearance must be a typical value"),
        (lambda: PatientTasks(volume=(20.0, -0.1)), ValueError, "volume must be a typical value"),
        (lambda: PatientTasks(absorption=NOT_A_PAIR), ValueError, "absorption must be"),
        (lambda: PatientTasks().sample(0, seed=0), ValueError, "n_tasks must be"),
        (lambda: PatientTasks().sample(1, seed=-1), ValueError, "seed must be"),
        (lambda: ONE.level([]), ValueError, "hours must be finite numbers"),
        (lambda: ONE.level([1.0, np.inf]), ValueError, "hours must be finite numbers"),
        (lambda: ONE.level([1.0], -5.0), ValueError, "dose must be"),
        (lambda: ONE.sample_blood([], seed=0), ValueError, "hours must be finite numbers"),
        (lambda: ONE.sample_blood(seed=-1), ValueError, "seed must be"),
        (lambda: PatientTasks().make_env(NOT_A_TASK), TypeError, "task must be a PatientTask"),
        (lambda: PatientTasks().make_env(PatientTasks().sample(2, seed=0)), ValueError, "one patient, got 2"),
        (lambda: PatientEnv(ONE).step(np.array([np.nan])), ValueError, "action must be one finite"),
        (lambda: PatientEnv(ONE).step(np.array([1.0, 2.0])), ValueError, "action must be one finite"),
    ],
)
def test_bad_input_is_named(call: Any, error: Any, message: str):
    with pytest.raises(error, match=message):
        call()


def test_no_dose_before_the_first_reset():
    env = PatientTasks().make_env(PatientTasks().sample(1, seed=0)).unwrapped
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.array([100.0]))
