"""The lesson's robots: each method against its closed form, the data against leaks, the stored runs."""

import copy
import csv

import numpy as np
import pytest
import torch

from mlearn_utils.course.lesson_09 import pendulums as lesson
from mlearn_utils.course.lesson_09.pendulum_records import (
    Logbook,
    RecordedRobots,
    physical,
    record_logbook,
    scaled,
)
from mlearn_utils.runtime import data_path, make_generator
from mlearn_utils.tasks.pendulum_runs import Transitions, balance, bench, drive, linear_model, record
from mlearn_utils.tasks.pendulums import PendulumTasks

pytest.importorskip("mujoco", reason="mujoco is missing: pip install mujoco")


@pytest.fixture(scope="module")
def log() -> Logbook:
    return record_logbook(30, seed=0, n_drives=4, n_bench=40)


def invented(n_tasks: int, n_steps: int, *, seed: int) -> tuple[Transitions, np.ndarray]:
    """Return steps of invented linear robots, and what they are [T, 4, 5]."""
    rng = np.random.default_rng(seed)
    models = rng.normal(size=(n_tasks, 4, 5))
    inputs = rng.normal(size=(n_tasks, n_steps, 5))
    return Transitions(inputs[..., :4], inputs[..., 4:], inputs @ models.mT), models


def test_a_logbook_is_of_its_seed(log):
    assert log.drives.state.shape == (30, 4, 5, 4)
    assert log.bench.change.shape == (30, 40, 4)
    again = record_logbook(30, seed=0, n_drives=4, n_bench=40)
    assert np.array_equal(log.drives.change, again.drives.change)
    assert not np.array_equal(log.drives.change[:, 0], log.drives.change[:, 1])
    assert (abs(log.drives.state[:, :, 0]) <= 0.01).all()
    x, y = scaled(log.bench, log.scales)
    assert torch.allclose((x**2).mean((0, 1)), torch.ones(5).double())
    assert torch.allclose((y**2).mean((0, 1)), torch.ones(4).double())


def test_tasks_are_one_robots_drive_and_bench(log):
    tasks = RecordedRobots(log)
    support, query = tasks.sample(7, 3, 11, generator=make_generator(1))
    assert [part.shape for part in (*support, *query)] == [(7, 3, 5), (7, 3, 4), (7, 11, 5), (7, 11, 4)]
    everything, _ = scaled(log.drives, log.scales)
    on_bench, _ = scaled(log.bench, log.scales)
    for x, judged in zip(support[0], query[0], strict=True):
        robot, which = (everything[:, :, :3] == x).all(-1).all(-1).nonzero()[0].tolist()
        assert torch.equal(everything[robot, which, :3], x)
        assert all((on_bench[robot] == row).all(-1).any() for row in judged)
    pooled = RecordedRobots(log, pooled=True).sample(7, 3, 11, generator=make_generator(1))
    assert torch.equal(pooled.query[0], torch.cat((support[0], query[0]), dim=1))


def test_least_squares_finds_linear_robots(log):
    steps, models = invented(6, 5, seed=0)
    assert np.allclose(physical(lesson.least_squares(steps, log.scales), log.scales), models)
    fewer = Transitions(*(part[:, :2] for part in steps))
    found = lesson.least_squares(fewer, log.scales)
    x, y = (part.numpy() for part in scaled(fewer, log.scales))
    assert np.allclose(x @ found.mT, y)
    assert np.linalg.norm(found) < np.linalg.norm(models * log.scales.inputs / log.scales.change[:, None])


def test_an_identity_prior_is_ridge_regression_around_the_mean(log):
    steps, _ = invented(3, 2, seed=1)
    mean = np.random.default_rng(2).normal(size=(4, 5))
    found = lesson.gaussian_method(mean, np.eye(20), 0.3, log.scales)(steps)
    x, y = (part.numpy() for part in scaled(steps, log.scales))
    moved = np.linalg.solve(x.mT @ x + 0.3 * np.eye(5), x.mT @ (y - x @ mean.T))
    assert np.allclose(found, physical(mean + moved.mT, log.scales))


def test_a_prior_of_one_direction_needs_one_number(log):
    """Robots that differ along one line of linear models: a single transition tells where on it."""
    rng = np.random.default_rng(3)
    mean, direction, where = rng.normal(size=(4, 5)), rng.normal(size=(4, 5)), rng.normal(size=(9, 1, 1))
    slopes = mean + where * direction
    inputs = rng.normal(size=(9, 1, 5))
    changes = inputs / log.scales.inputs @ slopes.mT * log.scales.change
    steps = Transitions(inputs[..., :4], inputs[..., 4:], changes)
    covariance = np.outer(direction, direction)
    found = lesson.gaussian_method(mean, covariance, 1e-12, log.scales)(steps)
    assert np.allclose(found, physical(slopes, log.scales))


def test_the_learned_prior_is_that_of_the_training_robots(log):
    mean, covariance = lesson.linear_prior(log)
    truth = linear_model(PendulumTasks().sample(30, seed=0)) * log.scales.inputs / log.scales.change[:, None]
    assert abs(mean - truth.mean(0)).max() < 0.05
    assert np.linalg.eigvalsh(covariance)[-1] > 100 * np.linalg.eigvalsh(covariance)[-2]  # the motor
    assert np.allclose(
        covariance, np.cov(lesson.least_squares(log.bench, log.scales).reshape(30, 20).T, ddof=0)
    )


def test_a_network_without_steps_is_its_own_slope(log):
    learner = lesson.train_joint(log, seed=0, updates=3)
    steps = drive(PendulumTasks().sample(2, seed=1), 2, seed=2)
    found = lesson.network_method(learner, log.scales, 0.0, 0)(steps)
    slope = torch.autograd.functional.jacobian(learner.model, torch.zeros(5).double()).numpy()
    assert np.allclose(found, physical(slope, log.scales), rtol=1e-5, atol=1e-7)
    before = [value.clone() for value in learner.model.parameters()]
    moved = lesson.network_method(learner, log.scales, 0.1, 5)(steps)
    assert not np.allclose(moved, found)
    assert all(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))


def test_a_network_takes_its_steps_on_each_robot_alone(log):
    learner = lesson.train_joint(log, seed=0, updates=3)
    steps = drive(PendulumTasks().sample(2, seed=1), 3, seed=2)
    found = lesson.network_method(learner, log.scales, 0.2, 2)(steps)
    for k, (x, y) in enumerate(zip(*scaled(steps, log.scales), strict=True)):
        twin = copy.deepcopy(learner.model)
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.2)
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(twin(x), y).backward()
            optimizer.step()
        slope = torch.autograd.functional.jacobian(twin, torch.zeros(5).double()).numpy()
        assert np.allclose(found[k], physical(slope, log.scales), rtol=1e-5, atol=1e-7)


def test_a_training_makes_its_updates_the_last_third_in_smaller_steps(log):
    for train in (lesson.train_maml, lesson.train_joint):
        learner = train(log, seed=0, meta_lr=0.01, updates=9)
        longer = train(log, seed=0, meta_lr=0.01, updates=12)
        losses, more = ([each["query_loss"] for each in one.history] for one in (learner, longer))
        assert (len(losses), len(more), learner.meta_lr) == (9, 12, 0.001)
        assert losses[:7] == more[:7]
        assert losses[7] != more[7]


def test_maml_learns_to_tell_the_motors_where_a_joint_network_cannot(log):
    maml, joint = lesson.train_maml(log, seed=0, updates=60), lesson.train_joint(log, seed=0, updates=60)
    ends = [np.mean([each["query_loss"] for each in one.history[-10:]]) for one in (maml, joint)]
    assert ends[0] < 0.5 * ends[1]


def test_the_true_model_balances_and_the_mirrored_one_falls():
    robots = PendulumTasks().sample(12, seed=8)
    truth = linear_model(robots)
    mirrored = np.concatenate((truth[..., :4], -truth[..., 4:]), axis=-1)
    assert (balance(robots, lesson.lqr_gains(truth), seed=9) == 500).all()
    assert (balance(robots, lesson.lqr_gains(mirrored), seed=9) < 100).all()
    closed = np.eye(4) + truth[..., :4] - truth[..., 4:] @ lesson.lqr_gains(truth)[:, None]
    assert (abs(np.linalg.eigvals(closed)) < 1).all()


def test_a_model_without_a_motor_has_no_gains():
    models = linear_model(PendulumTasks().sample(2, seed=8))
    models[0, :, 4] = 0.0
    models[1, 0, 0] = np.nan
    assert (lesson.lqr_gains(models) == 0).all()
    assert (lesson.lqr_gains(np.full((1, 4, 5), 1e200)) == 0).all()


def test_least_squares_on_the_bench_balances_but_on_two_driven_steps_falls(log):
    robots = PendulumTasks().sample(12, seed=8)
    far = lesson.least_squares(bench(robots, 40, seed=1), log.scales)
    near = lesson.least_squares(drive(robots, 2, seed=1), log.scales)
    up = [balance(robots, lesson.lqr_gains(physical(m, log.scales)), seed=2) == 500 for m in (far, near)]
    assert up[0].all()
    assert up[1].sum() < 4


def test_the_learned_prior_balances_from_one_driven_step(log):
    robots = PendulumTasks().sample(20, seed=8)
    method = lesson.gaussian_method(*lesson.linear_prior(log), 1e-4, log.scales)
    assert (lesson.stays_up(method, robots, 2, seed=3) == 500).sum() >= 19


def test_bad_counts_are_refused_by_name(log):
    tasks = RecordedRobots(log)
    with pytest.raises(ValueError, match="n_support must be at most 5"):
        tasks.sample(1, 6, 1, generator=make_generator(0))
    with pytest.raises(ValueError, match="n_support must be an integer >= 1, got 0"):
        tasks.sample(1, 0, 1, generator=make_generator(0))
    with pytest.raises(ValueError, match="n_drives must be an integer >= 1, got 0"):
        record_logbook(2, seed=0, n_drives=0)
    learner = lesson.train_joint(log, seed=0, updates=1)
    learned = lesson.Trained(learner, learner, *lesson.linear_prior(log), log.scales)
    assert set(lesson.methods(learned, 1)) == {"joint", "least squares", *lesson.SETTINGS}
    with pytest.raises(ValueError, match=r"n_steps must be one of \(1, 2, 3, 5\), got 4"):
        lesson.methods(learned, 4)


def test_the_settings_are_those_that_the_tuning_found():
    with data_path("lesson_09", "pendulums_tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, by_steps in lesson.SETTINGS.items():
        for n_steps, chosen in by_steps.items():
            tried = [row for row in rows if (row["method"], row["K"]) == (name, str(n_steps))]
            best = max(tried, key=lambda row: (int(row["balanced"]), -float(row["error"])))
            assert tuple(map(float, best["setting"].split())) == pytest.approx(chosen), (name, n_steps)


def test_a_record_needs_robots_of_the_family():
    with pytest.raises(TypeError, match="tasks must be a PendulumTask"):
        record([100.0], np.zeros((1, 1, 4)), np.zeros((1, 1)))  # pyright: ignore[reportArgumentType]


def test_who_has_the_equations_finds_gear_and_mass_from_one_step(log):
    robots = PendulumTasks().sample(12, seed=77)
    models = lesson.by_equations(drive(robots, 1, seed=78), log.scales)
    truth = linear_model(robots)
    assert (np.sign(models[:, 2, 4]) == np.sign(truth[:, 2, 4])).all()
    assert np.allclose(models[:, :, 4], truth[:, :, 4], rtol=0.15, atol=1e-3)
    assert (balance(robots, lesson.lqr_gains(models), seed=79) == 500).all()


def test_least_squares_fails_where_inputs_are_alike_and_the_pole_is_not_linear():
    head, own, on_bench = lesson.why_least_squares_fails(n_steps=10, robots=8).splitlines()
    assert head.split()[:2] == ["condition", "number"]
    condition, up, straight = (float(value) for value in own.split()[-3:])
    even, bench_up, bench_straight = (float(value) for value in on_bench.split()[-3:])
    assert condition > 10 * even
    assert up < 5
    assert straight == bench_up == bench_straight == 8
