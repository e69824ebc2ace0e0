"""The driving world: chance has streams of its own, the Bayes ceiling, judging."""

import numpy as np
import pytest

from mlearn_utils.course.lesson_09 import networks, vehicles
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.vehicles import VehicleTasks


@pytest.mark.parametrize("seed", [0, 3_000_000, 4_000_000])
def test_how_a_vehicle_is_driven_tells_nothing_of_the_vehicle(seed):
    """`sample` and `drives` with one seed: neither the speed nor the steering is the grip in disguise."""
    tasks = VehicleTasks().sample(3000, seed=seed)
    drive = vehicles.drives(tasks, seed=seed)
    seen = np.concatenate((drive.seen[:, :, 0], drive.steering), axis=1)
    hidden = np.stack((tasks.grip, tasks.mass, tasks.balance))
    assert abs(np.corrcoef(hidden, seen.T)[:3, 3:]).max() < 0.09
    blocks = drive.steering[:, ::2].ravel()[: 15 * 3000].reshape(15, 3000)
    assert abs(np.corrcoef(hidden, blocks)[:3, 3:]).max() < 0.09


def test_the_errors_of_the_steps_seen_are_none_of_the_path():
    tasks = VehicleTasks().sample(4000, seed=1)
    drive = vehicles.drives(tasks, seed=2)
    steering, states = vehicles._states(tasks, 2, None)
    errors = drive.seen - states[:, : vehicles.HISTORY + 1, 3:]
    assert errors.std(axis=(0, 1)) == pytest.approx(vehicles.NOISE, rel=0.02)
    assert abs(np.corrcoef(errors[:, -1].T, drive.path[:, -1])[:3, 3]).max() < 0.06
    assert np.array_equal(steering, drive.steering)


def test_the_true_model_is_rolled_out_to_the_true_path():
    """Rolling out exact changes from the exact state leaves the error of the rule within a step: .04."""
    tasks = VehicleTasks().sample(200, seed=3)
    drive = vehicles.drives(tasks, seed=4)
    states = vehicles._states(tasks, 4, None)[1]
    exact = drive._replace(seen=states[:, : vehicles.HISTORY + 1, 3:])
    changes = iter(np.diff(states[:, vehicles.HISTORY :, 4:], axis=1).transpose(1, 0, 2))
    found = vehicles.errors(vehicles.roll_out(lambda _: next(changes), exact), exact.path)
    assert found["nrmse"] < 0.06


def test_bayes_is_nearer_than_any_line():
    tasks = VehicleTasks().sample(60, seed=5)
    drive = vehicles.drives(tasks, seed=6)
    paths, weights = vehicles.possible_paths(drive, draws=400)
    assert weights.sum(axis=1) == pytest.approx(1)
    bayes = vehicles.errors((weights[..., None] * paths).sum(axis=1), drive.path)["nrmse"]
    line = vehicles.linear(drive, average=vehicles.fleet_lines()[0], strength=1.0)
    assert bayes < 0.5 * vehicles.errors(vehicles.roll_out(line, drive), drive.path)["nrmse"]


def test_what_decisions_are_worth():
    true = np.array([[0, 2.5], [0, 1.0], [0, 1.9], [0, 2.5], [0, 1.0]])
    swerves = np.array([True, True, True, False, False])
    assert vehicles.worth(swerves, true) == pytest.approx({"worth": 0.32, "crashes": 0.4})


def test_a_training_shares_its_updates_out():
    found = networks.stages(0.02, 107)
    assert sum(number for _, number in found) == 107
    assert (found[0][0], found[-1][0]) == pytest.approx((0.02, 0.002))


def changes(model, drive):
    inputs = np.column_stack((drive.seen[:, -1], drive.steering[:, 0]))
    return model(inputs)


def test_a_learned_prior_lies_between_the_average_and_least_squares():
    """Sure of its mean it is the average line; with a wide prior it is least squares."""
    drive = vehicles.drives(VehicleTasks().sample(30, seed=5), seed=6)
    mean, covariance = vehicles.fleet_lines()
    average = vehicles.linear(drive, average=mean, strength=1e12)
    sure = vehicles.by_prior(drive, mean, 1e-12 * covariance)
    assert np.allclose(changes(sure, drive), changes(average, drive), atol=1e-6)
    wide = vehicles.by_prior(drive, mean, 1e4 * np.eye(6), factor=1e-3)
    assert np.allclose(changes(wide, drive), changes(vehicles.linear(drive), drive), atol=1e-4)


def test_a_prior_with_one_spread_for_all_is_ridge():
    drive = vehicles.drives(VehicleTasks().sample(30, seed=5), seed=6)
    mean, _ = vehicles.fleet_lines()
    noise = 2 * np.array(vehicles.NOISE[1:]) ** 2
    prior = vehicles.by_prior(drive, mean, np.diag(np.tile(noise, 3) / 0.7))
    ridge = vehicles.linear(drive, average=mean, strength=0.7)
    assert np.allclose(changes(prior, drive), changes(ridge, drive))


def test_the_fleets_lines_vary_as_its_vehicles_do():
    mean, covariance = vehicles.fleet_lines()
    assert mean.shape == (3, 2)
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    batch = vehicles.fleet().sample(50, 10, 20, generator=make_generator(0))
    x, y = (part.double().numpy() for part in batch.query)
    off = y * vehicles.OUT_SCALE - x[..., 1:] @ mean
    assert (off**2).mean() < 0.5 * ((y * vehicles.OUT_SCALE) ** 2).mean()
