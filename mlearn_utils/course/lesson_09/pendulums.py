"""Robots: adapt a model of how a pendulum moves to what it has just done, and balance it by that model.

A method is a function from a few recorded steps of T robots to T linear models near upright [T, 4, 5]:
change of the state = model @ (state, action). Whatever the model was before, a network or a table of numbers,
the controller is the same: LQR with the same costs on that linear model. All SETTINGS were tuned on
validation robots (data/lesson_09/make_pendulums.py).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import nn
from torch.nn.functional import mse_loss

from mlearn_utils.course.lesson_09.pendulum_records import (
    Logbook,
    RecordedRobots,
    Scales,
    physical,
    record_logbook,
    scaled,
)
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.meta.maml import adapt, module_loss, parameters_of
from mlearn_utils.tasks.pendulum_runs import Transitions, balance, bench, drive, linear_model, record
from mlearn_utils.tasks.pendulums import PendulumTask, PendulumTasks

Method = Callable[[Transitions], np.ndarray]
"""Recorded steps [T, K] of T robots -> their linear models [T, 4, 5]."""

STATE_COST, ACTION_COST = np.eye(4), np.eye(1)
"""What LQR weighs, for every method alike: the textbook's choice, not tuned."""
NEW = 6_000
"""The seed of the robots of the live cells: not that of validation or test."""
WILD = 1e3
"""What no number of a robot's linear model comes near: such a model has diverged."""

Settings = Mapping[str, Mapping[int, tuple[float, ...]]]

SETTINGS: Settings = {
    "MAML": {1: (0.03, 30), 2: (0.03, 300), 3: (0.001, 30), 5: (0.001, 30)},
    "fine-tuned": {1: (0.1, 300), 2: (0.1, 1000), 3: (0.03, 100), 5: (0.1, 1000)},
    "ridge": {1: (0.1,), 2: (0.1,), 3: (0.03,), 5: (0.1,)},
    "learned prior": {1: (1e-7,), 2: (1e-6,), 3: (1e-5,), 5: (1e-4,)},
}
"""Method -> transitions K -> what it does with a new robot: rate and number of gradient steps of a network;
the variance that changes are taken to have around a linear model, in scaled units."""


class Trained(NamedTuple):
    """What was learned from one logbook.

    Attributes:
        maml: a start that adapts.
        joint: one network for all robots.
        mean: [4, 5] mean of the training robots' linear models, in scaled units.
        covariance: [20, 20] their covariance.
        scales: of the logbook.
    """

    maml: MetaLearner
    joint: MetaLearner
    mean: np.ndarray
    covariance: np.ndarray
    scales: Scales


def network(seed: int, hidden: int = 32) -> nn.Module:
    """Return an untrained network (state, action) -> change, in scaled units and float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = (nn.Linear(5, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 4))
        return nn.Sequential(*layers).double()


def train_maml(
    log: Logbook,
    *,
    seed: int,
    inner_lr: float = 0.03,
    steps: int = 3,
    shots: int = 1,
    meta_lr: float = 0.01,
    updates: int = 300,
) -> MetaLearner:
    """Return a network that is good on the bench after `steps` steps on the first `shots` of a drive."""
    learner = MetaLearner(
        network(seed), inner_lr, meta_lr, steps=steps, max_grad_norm=1.0, task_ndim=2, device="cpu"
    )
    return _trained(learner, RecordedRobots(log), updates, shots, seed)


def train_joint(log: Logbook, *, seed: int, meta_lr: float = 3e-4, updates: int = 1000) -> MetaLearner:
    """Return a network that is good on average, from the same data and for as many seconds as MAML."""
    learner = MetaLearner(network(seed), 0.1, meta_lr, steps=0, max_grad_norm=1.0, task_ndim=2, device="cpu")
    return _trained(learner, RecordedRobots(log, pooled=True), updates, 1, seed)


def _trained(learner: MetaLearner, tasks: RecordedRobots, updates: int, shots: int, seed: int) -> MetaLearner:
    """Return the learner after its updates, the last third with a tenth of Adam's step size.

    Without that some seeds end with every second robot's motor wrong, by the noise of the last updates.
    """
    last = updates // 3
    learner.train(tasks, updates - last, shots, 25, query_batch_size=20, seed=seed, progress=False)
    learner.meta_lr /= 10
    if last:
        learner.train(tasks, last, shots, 25, query_batch_size=20, progress=False)
    return learner


def train(log: Logbook, *, seed: int) -> Trained:
    """Return all that the methods learn from a logbook: about 6 s."""
    return Trained(train_maml(log, seed=seed), train_joint(log, seed=seed), *linear_prior(log), log.scales)


def linear_prior(log: Logbook) -> tuple[np.ndarray, np.ndarray]:
    """Return mean [4, 5] and covariance [20, 20] of the training robots' linear models, in scaled units."""
    models = least_squares(log.bench, log.scales)
    away = (models - models.mean(0)).reshape(len(models), -1)
    return models.mean(0), away.T @ away / len(models)


def methods(trained: Trained, n_steps: int, *, settings: Settings = SETTINGS) -> dict[str, Method]:
    """Return the methods with their settings for supports of `n_steps` transitions, 1, 2, 3 or 5.

    Raises:
        ValueError: if there are no settings for `n_steps`.
    """
    known = tuple(settings["MAML"])
    if n_steps not in known:
        raise ValueError(f"n_steps must be one of {known}, got {n_steps!r}")
    chosen = {name: by_steps[n_steps] for name, by_steps in settings.items()}
    mean, covariance, scales = trained.mean, trained.covariance, trained.scales
    (rate, steps), (maml_rate, maml_steps) = chosen["fine-tuned"], chosen["MAML"]
    return {
        "joint": network_method(trained.joint, scales, 0.0, 0),
        "fine-tuned": network_method(trained.joint, scales, rate, steps),
        "MAML": network_method(trained.maml, scales, maml_rate, maml_steps),
        "least squares": lambda steps: physical(least_squares(steps, scales), scales),
        "ridge": gaussian_method(mean, np.eye(mean.size), chosen["ridge"][0], scales),
        "learned prior": gaussian_method(mean, covariance, chosen["learned prior"][0], scales),
    }


def stays_up(method: Method, tasks: PendulumTask, n_steps: int, *, seed: int) -> np.ndarray:
    """Return [T] how many of 500 steps each robot stays up by the model adapted to its own drive."""
    return balance(tasks, lqr_gains(method(drive(tasks, n_steps, seed=seed))), seed=seed + 1)


def live(*, n_steps: int = 2, robots: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    """Train everything on a logbook, and return each method's gains [T, 4] on new robots after their drive.

    Raises:
        ImportError: if mujoco is missing.
    """
    trained = train(record_logbook(seed=seed), seed=seed)
    seen = drive(new_robots(robots), n_steps, seed=NEW + 2)
    return {name: lqr_gains(method(seen)) for name, method in methods(trained, n_steps).items()}


def new_robots(n_tasks: int) -> PendulumTask:
    """Return robots that nothing was trained or tuned on."""
    return PendulumTasks().sample(n_tasks, seed=NEW)


def network_method(learner: MetaLearner, scales: Scales, rate: float, steps: float) -> Method:
    """Return: take gradient steps on the transitions, then the slope of the network at upright."""
    nudge = 1e-4 * torch.cat((torch.eye(5), -torch.eye(5))).double()
    loss = module_loss(learner.model, mse_loss)

    def method(support: Transitions) -> np.ndarray:
        with torch.no_grad():
            params = parameters_of(learner.model)
            adapted = adapt(loss, params, scaled(support, scales), inner_lr=rate, steps=int(steps))
            ends = learner.predict(nudge, adapted).detach()
        return physical(((ends[:, :5] - ends[:, 5:]) / 2e-4).mT.numpy(), scales)

    return method


def gaussian_method(mean: np.ndarray, covariance: np.ndarray, noise: float, scales: Scales) -> Method:
    """Return: the posterior mean of a linear model whose 20 numbers are Gaussian before anything is seen.

    With the identity as covariance it is ridge regression around the mean.

    Reference: Bishop 2006, "Pattern Recognition and Machine Learning", equations 3.49 to 3.51.
    """

    def method(support: Transitions) -> np.ndarray:
        x, y = (part.numpy() for part in scaled(support, scales))
        outputs = y.shape[-1]
        design = np.einsum("tki,oj->tkoji", x, np.eye(outputs)).reshape(len(x), -1, mean.size)
        surprise = (y - x @ mean.T).reshape(len(x), -1, 1)
        spread = design @ covariance @ design.mT + noise * np.eye(design.shape[1])
        moved = covariance @ design.mT @ np.linalg.solve(spread, surprise)
        return physical(mean + moved.reshape(len(x), *mean.shape), scales)

    return method


def least_squares(steps: Transitions, scales: Scales) -> np.ndarray:
    """Return [T, 4, 5] the smallest of the linear models that fit best, in scaled units."""
    x, y = (part.numpy() for part in scaled(steps, scales))
    return (np.linalg.pinv(x) @ y).mT


def why_least_squares_fails(*, n_steps: int, robots: int = 40) -> str:
    """Return a table of drives and test bench: how alike inputs are, and how many are balanced.

    The last column is for the same inputs, and changes as they would be were every robot exactly linear.

    Raises:
        ImportError: if mujoco is missing.
    """
    tasks = new_robots(robots)
    truth = linear_model(tasks)
    lines = [f"{'':16}{'condition number':>18}{'balanced':>10}{'if the pole were linear':>26}"]
    for name, recorded in (("its own drive", drive), ("the test bench", bench)):
        steps = recorded(tasks, n_steps, seed=NEW + 2)
        inputs = np.concatenate((steps.state, steps.action), axis=2)
        straight = steps._replace(change=inputs @ truth.mT)
        scales = Scales(*(np.sqrt((part**2).mean((0, 1))) for part in (inputs, steps.change)))
        condition = np.median(np.linalg.cond(inputs / scales.inputs))
        up = [
            (balance(tasks, lqr_gains(physical(least_squares(each, scales), scales)), seed=NEW + 1) == 500)
            for each in (steps, straight)
        ]
        lines.append(f"{name:16}{condition:18.0f}{up[0].sum():10}{up[1].sum():26}")
    return "\n".join(lines)


def by_equations(support: Transitions, scales: Scales) -> np.ndarray:
    """Return [T, 4, 5] the true linear models of those robots of a grid that explain the steps best.

    What somebody does who has the simulator and knows that gear and mass are hidden: 42 gears, 9 masses.

    Raises:
        ImportError: if mujoco is missing.
    """
    gears, masses = np.linspace(50, 150, 21), np.linspace(2, 10, 9)
    known = PendulumTask(np.repeat(np.concatenate((-gears, gears)), 9), np.tile(masses, 42))
    models, n_known = linear_model(known), len(known)
    found = []
    for state, action, change in zip(*support, strict=True):
        tried = record(
            known,
            np.repeat(state[None], n_known, axis=0),
            np.repeat(action[None, :, 0], n_known, axis=0),
            length=1,
        ).change
        off = (((tried - change) / scales.change) ** 2).sum(axis=(1, 2))
        found.append(models[off.argmin()])
    return np.array(found)


def lqr_gains(models: np.ndarray) -> np.ndarray:
    """Return [T, 4] the gains of LQR on linear models [T, 4, 5]; 0 where there are none.

    There are none for a model that cannot be stabilized, nor for one beyond WILD.
    """
    gains = np.zeros((len(models), 4))
    for task, model in enumerate(models):
        if not (abs(model) < WILD).all():
            continue
        a, b = np.eye(4) + model[:, :4], model[:, 4:]
        try:
            cost = scipy.linalg.solve_discrete_are(a, b, STATE_COST, ACTION_COST)
            gain = np.linalg.solve(ACTION_COST + b.T @ cost @ b, b.T @ cost @ a)[0]
        except (np.linalg.LinAlgError, ValueError):  # scipy has both for a model that has no solution
            continue
        gains[task] = gain if np.isfinite(gain).all() else 0.0
    return gains
