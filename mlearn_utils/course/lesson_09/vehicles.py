"""Driving: what a vehicle will do in the next two seconds, from the last ten noisy steps; and brake or steer.

Every method is a model of one step: from speed, lateral speed, yaw rate and steering to the change of lateral
speed and yaw rate, for T vehicles at once. `roll_out` feeds its own predictions back for twenty steps. All
models but Bayes' rule begin at the last measured state.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mlearn_utils.course.lesson_09.networks import adam_steps, network, train_staged
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.runtime import check_integer, make_generator, make_rng
from mlearn_utils.tasks.regression import TaskBatch
from mlearn_utils.tasks.vehicles import DT, NOISE, VehicleTask, VehicleTasks, drive

HISTORY, AHEAD = 10, 20
"""Steps that are seen, and steps that are predicted."""
SWERVE = np.full(AHEAD, 0.05)
"""The plan of steering (rad) by which a vehicle would swerve."""
NEEDED, BRAKING = 2.0, 0.3
"""How far aside (m) it must be after two seconds, and what braking is worth instead."""
VEHICLES = 25
"""Vehicles an update."""
DRIVING, MEASURING = 1, 2
"""What the driving and the errors are seeded with beside their seed: `VehicleTasks.sample` and `drives` with
the same seed must not draw the same numbers, or each vehicle's speed tells its grip."""
IN_SCALE = np.array([10.0, 1.0, 0.3, 0.1])
OUT_SCALE = np.array([0.2, 0.1])

Model = Callable[[np.ndarray], np.ndarray]
"""(speed, lateral speed, yaw rate, steering) [T, 4] -> changes of lateral speed and yaw rate [T, 2]."""


class Drive(NamedTuple):
    """What T vehicles did.

    Attributes:
        seen: [T, 11, 3] measured speed, lateral speed and yaw rate, each with an error.
        steering: [T, 30] of the ten steps seen and of the twenty to come.
        path: [T, 21] how far aside (m) each was from the line it headed along after the ten steps.
    """

    seen: np.ndarray
    steering: np.ndarray
    path: np.ndarray


def drives(tasks: VehicleTask, *, seed: int, plan: np.ndarray | None = None) -> Drive:
    """Drive vehicles with random steering, then by a plan [20], which is random if none is given."""
    steering, states = _states(tasks, seed, plan)
    rng = np.random.default_rng([seed, MEASURING])
    seen = states[:, : HISTORY + 1, 3:] + np.array(NOISE) * rng.normal(size=(len(tasks), HISTORY + 1, 3))
    now = states[:, HISTORY]
    moved = states[:, HISTORY:, :2] - now[:, None, :2]
    path = moved[..., 1] * np.cos(now[:, None, 2]) - moved[..., 0] * np.sin(now[:, None, 2])
    return Drive(seen, steering, path)


def _states(tasks: VehicleTask, seed: int, plan: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return steering [T, 30] and exact states [T, 31, 6]."""
    check_integer("seed", seed, minimum=0)
    rng, n = np.random.default_rng([seed, DRIVING]), len(tasks)
    start = np.zeros((n, 6))
    start[:, 3] = rng.uniform(10.0, 14.0, n)
    steering = np.repeat(rng.uniform(-0.15, 0.15, (n, (HISTORY + AHEAD) // 2)), 2, axis=1)
    if plan is not None:
        steering[:, HISTORY:] = plan
    return steering, drive(tasks, start, steering, np.zeros((1, HISTORY + AHEAD)))


def transitions(drive_: Drive) -> tuple[np.ndarray, np.ndarray]:
    """Return what went in [T, 10, 4] and what came out [T, 10, 2] of the ten steps seen."""
    inputs = np.concatenate((drive_.seen[:, :-1], drive_.steering[:, :HISTORY, None]), axis=2)
    return inputs, np.diff(drive_.seen[:, :, 1:], axis=1)


def roll_out(model: Model, drive_: Drive) -> np.ndarray:
    """Return [T, 21] the path that a model predicts, from the last measured state on."""
    speed, lateral, yaw = drive_.seen[:, -1].T
    heading, path = np.zeros(len(speed)), [np.zeros(len(speed))]
    for steering in drive_.steering[:, HISTORY:].T:
        change = model(np.stack((speed, lateral, yaw, steering), axis=1))
        after_lateral, after_yaw = np.clip(lateral + change[:, 0], -9, 9), np.clip(yaw + change[:, 1], -3, 3)
        middle = heading + DT * (3 * yaw + after_yaw) / 8
        aside = speed * np.sin(middle) + (lateral + after_lateral) / 2 * np.cos(middle)
        path.append(path[-1] + DT * aside)
        heading = heading + DT * (yaw + after_yaw) / 2
        lateral, yaw = after_lateral, after_yaw
    return np.stack(path, axis=1)


# --- networks


class VehicleData:
    """Data for `MetaLearner`: a fleet of training vehicles, each driven once on a test track.

    Support are the ten steps of a vehicle as they are measured in traffic, query the twenty that follow,
    measured exactly.

    Args:
        vehicles: of the fleet.
        seed: of the vehicles and of their drives.
    """

    def __init__(self, *, vehicles: int = 5000, seed: int = 3_000_000):
        tasks = VehicleTasks().sample(vehicles, seed=seed)
        support = transitions(drives(tasks, seed=seed))
        steering, states = _states(tasks, seed, None)
        ahead = states[:, HISTORY:, 3:]
        inputs = np.concatenate((ahead[:, :-1], steering[:, HISTORY:, None]), axis=2)
        pairs = support, (inputs, np.diff(ahead[..., 1:], axis=1))
        self.support, self.query = ((_tensor(x / IN_SCALE), _tensor(y / OUT_SCALE)) for x, y in pairs)

    def sample(
        self,
        n_tasks: int,
        n_support: int,
        n_query: int,
        *,
        generator: torch.Generator,
        device: str | torch.device = "cpu",
    ) -> TaskBatch:
        """Draw vehicles of the fleet: (inputs, changes) scaled, [T, 10, 4 and 2] and [T, 20, 4 and 2]."""
        if (n_support, n_query) != (HISTORY, AHEAD):
            raise ValueError(f"n_support, n_query must be {HISTORY}, {AHEAD}, got {n_support}, {n_query}")
        rows = torch.randint(len(self.support[0]), (n_tasks,), generator=generator)
        support, query = (
            tuple(each[rows].to(device) for each in pair) for pair in (self.support, self.query)
        )
        return TaskBatch(support, query)


@cache
def fleet() -> VehicleData:
    """Return the fleet that all networks are trained on."""
    return VehicleData()


def _tensor(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _beside(x: Tensor, support: tuple[Tensor, ...]) -> Tensor:
    """Return inputs [T, K, 4] beside the ten steps seen, [T, K, 64]."""
    context = torch.cat(support, dim=-1).flatten(1)
    return torch.cat((x, context[:, None].expand(-1, x.shape[1], -1)), dim=-1)


def train_plain(*, context: bool, meta_lr: float, updates: int, seed: int) -> nn.Sequential:
    """Return one network for all vehicles; with `context` it reads the ten steps seen as well."""
    model, generator = network(64 if context else 4, 2, seed=seed), make_generator(seed)
    for optimizer in adam_steps(model, meta_lr, updates):
        batch = fleet().sample(VEHICLES, HISTORY, AHEAD, generator=generator)
        x, y = batch.query
        loss = (model(_beside(x, batch.support) if context else x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def train_maml(*, inner_lr: float, steps: int, meta_lr: float, updates: int, seed: int) -> MetaLearner:
    """Return MAML on vehicles: the support of a task are its ten steps seen."""
    learner = MetaLearner(network(4, 2, seed=seed), inner_lr, meta_lr, steps=steps, device="cpu")
    return train_staged(
        learner, fleet(), meta_lr, updates, shots=HISTORY, tasks=VEHICLES, queries=AHEAD, seed=seed
    )


def adapted(learner: MetaLearner, drive_: Drive, *, steps: int | None = None) -> Model:
    """Return a network after gradient steps on the ten steps seen; with 0 steps as it is."""
    x, y = transitions(drive_)
    params = None
    if steps != 0:
        params = learner.adapt(_tensor(x / IN_SCALE), _tensor(y / OUT_SCALE), steps=steps)

    def model(inputs: np.ndarray) -> np.ndarray:
        return OUT_SCALE * learner.predict(_tensor(inputs / IN_SCALE)[:, None], params)[:, 0].double().numpy()

    return model


def by_context(network_: nn.Module, drive_: Drive) -> Model:
    """Return a network that reads the ten steps seen."""
    x, y = transitions(drive_)
    support = _tensor(x / IN_SCALE), _tensor(y / OUT_SCALE)

    @torch.no_grad()
    def model(inputs: np.ndarray) -> np.ndarray:
        return (
            OUT_SCALE * network_(_beside(_tensor(inputs / IN_SCALE)[:, None], support))[:, 0].double().numpy()
        )

    return model


# --- lines, and the true model


@cache
def fleet_lines() -> tuple[np.ndarray, np.ndarray]:
    """Return mean [3, 2] and covariance [6, 6] of the lines that fit each vehicle of the fleet.

    From what the networks learn from, the twenty exact steps of each; inputs (lateral speed, yaw rate,
    steering) are scaled, the changes are not.
    """
    x, y = (part.double().numpy() for part in fleet().query)
    lines = np.linalg.pinv(x[..., 1:]) @ (y * OUT_SCALE)
    return lines.mean(axis=0), np.cov(lines.reshape(len(lines), -1).T)


def linear(drive_: Drive, *, average: np.ndarray | None = None, strength: float = 0.0) -> Model:
    """Return lines in lateral speed, yaw rate and steering: least squares, or ridge around an average."""
    x, y = transitions(drive_)
    x = x[..., 1:] / IN_SCALE[1:]
    center = np.zeros((3, 2)) if average is None else average
    square = x.transpose(0, 2, 1) @ x + max(strength, 1e-9) * np.eye(3)
    return _by_lines(center + np.linalg.solve(square, x.transpose(0, 2, 1) @ (y - x @ center)))


def by_prior(drive_: Drive, mean: np.ndarray, covariance: np.ndarray, *, factor: float = 1.0) -> Model:
    """Return the posterior means of lines that are Gaussian before anything is seen.

    Args:
        drive_: T vehicles.
        mean: [3, 2], as `fleet_lines` returns it.
        covariance: [6, 6], likewise.
        factor: of the variance that a measured change is taken to have, which is that of two errors.
    """
    x, y = transitions(drive_)
    x = x[..., 1:] / IN_SCALE[1:]
    design = np.einsum("tkf,op->tkofp", x, np.eye(2)).reshape(len(x), -1, mean.size)
    surprise = (y - x @ mean).reshape(len(x), -1, 1)
    noise = factor * np.tile(2 * np.array(NOISE[1:]) ** 2, x.shape[1])
    spread = design @ covariance @ design.transpose(0, 2, 1) + np.diag(noise)
    moved = covariance @ design.transpose(0, 2, 1) @ np.linalg.solve(spread, surprise)
    return _by_lines(mean + moved.reshape(len(x), *mean.shape))


def _by_lines(lines: np.ndarray) -> Model:
    """Return the model of lines [T, 3, 2]."""
    return lambda inputs: np.einsum("tf,tfg->tg", inputs[:, 1:] / IN_SCALE[1:], lines)


def possible_paths(drive_: Drive, *, draws: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return paths [T, S, 21] and weights [T, S]: Bayes' rule with the true equations and distribution.

    Each draw is a vehicle and a speed at the start; its weight is how well it explains all that was measured.
    """
    noise, paths, weights = np.array(NOISE), [], []
    guesses = VehicleTasks().sample(draws, seed=seed)
    for seen, steering in zip(drive_.seen, drive_.steering, strict=True):
        start = np.zeros((draws, 6))
        # a straight start: the mean of eleven measured speeds has an error of noise / sqrt(11)
        start[:, 3] = seen[:, 0].mean() + noise[0] / 11**0.5 * make_rng(seed + 1).normal(size=draws)
        states = drive(guesses, start, steering, np.zeros(HISTORY + AHEAD))
        off = (states[:, : HISTORY + 1, 4:] - seen[:, 1:]) / noise[1:]
        log = -0.5 * (off**2).sum(axis=(1, 2))
        weight = np.exp(log - log.max())
        now = states[:, HISTORY]
        moved = states[:, HISTORY:, :2] - now[:, None, :2]
        paths.append(moved[..., 1] * np.cos(now[:, None, 2]) - moved[..., 0] * np.sin(now[:, None, 2]))
        weights.append(weight / weight.sum())
    return np.array(paths), np.array(weights)


# --- judging


def errors(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return the error of paths [T, 21] as a share of their spread, and the median error after 2 s (m)."""
    off = predicted - true
    return {
        "nrmse": float(np.sqrt((off**2).mean() / (true**2).mean())),
        "metres": float(np.median(abs(off[:, -1]))),
    }


def worth(swerves: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return what decisions [T] are worth on average, and the share of vehicles that crash."""
    clear = true[:, -1] >= NEEDED
    return {
        "worth": float(np.where(swerves, clear, BRAKING).mean()),
        "crashes": float((swerves & ~clear).mean()),
    }
