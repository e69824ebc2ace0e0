"""Medicine: a patient's levels from three blood samples, and the next dose from these levels.

Every method makes a function of patients' samples [T, 3] that gives their levels [T, H] at `CURVE_HOURS`, the
48 hours after a first dose. A network is judged by what it predicts and by the dose that it leads to.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mlearn_utils.course.lesson_09.networks import adam_steps, network, train_staged
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.runtime import make_generator, make_rng
from mlearn_utils.tasks.patients import DAY, FIRST_DOSE, HOURS, NOISE, SAMPLE_HOURS, WINDOW, PatientTasks
from mlearn_utils.tasks.regression import TaskBatch

CURVE_HOURS = np.concatenate((HOURS, HOURS + DAY))
"""[192] a quarter of an hour apart."""
DOSES = np.arange(0.0, 301.0, 5.0)
"""The doses (mg) among which the second one is chosen."""
DEVIATIONS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
"""Where a standard normal distribution is tried when a curve is doubted."""
PATIENTS, QUERIES = 25, 20
"""Patients an update, and levels that are measured of each at random hours in training."""
TIME_SCALE, LEVEL_SCALE = 12.0, 2.0
"""A network sees hours and levels divided by these."""

Predict = Callable[[np.ndarray], np.ndarray]
"""Samples [T, 3] (mg/L) -> levels [T, 192] (mg/L)."""


class PatientData:
    """Data for `MetaLearner`: support the three samples, query levels at random hours, all measured."""

    def sample(
        self,
        n_tasks: int,
        n_support: int,
        n_query: int,
        *,
        generator: torch.Generator,
        device: str | torch.device = "cpu",
    ) -> TaskBatch:
        """Draw new patients: (hours, levels) scaled, [T, 3, 1] and [T, n_query, 1]; n_support must be 3."""
        if n_support != len(SAMPLE_HOURS):
            raise ValueError(f"n_support must be {len(SAMPLE_HOURS)}, got {n_support}")
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        rng, patients = make_rng(seed), PatientTasks().sample(n_tasks, seed=seed)
        queries = np.sort(rng.choice(CURVE_HOURS, n_query, replace=False))
        hours = np.concatenate((np.array(SAMPLE_HOURS), queries))
        level = patients.level(hours) * (1 + NOISE * rng.normal(size=(n_tasks, len(hours))))
        x = torch.tensor(hours / TIME_SCALE, dtype=torch.float32).expand(n_tasks, -1)[..., None]
        y = torch.tensor(level / LEVEL_SCALE, dtype=torch.float32)[..., None]
        return TaskBatch(
            (x[:, :3].to(device), y[:, :3].to(device)), (x[:, 3:].to(device), y[:, 3:].to(device))
        )


def _curve_inputs(n: int) -> Tensor:
    hours = torch.tensor(CURVE_HOURS / TIME_SCALE, dtype=torch.float32)
    return hours.expand(n, -1)[..., None]


def _levels(output: Tensor) -> np.ndarray:
    return LEVEL_SCALE * output.detach().squeeze(-1).double().clamp(min=0).numpy()


def _context(samples: Tensor, hours: Tensor) -> Tensor:
    """Return [T, H, 4] the three samples beside each hour."""
    return torch.cat((samples[:, None].expand(-1, hours.shape[1], -1), hours), dim=-1)


def train_plain(*, context: bool, updates: int, seed: int, lr: float = 1e-2) -> nn.Sequential:
    """Return one network for all patients, which sees the hour, and with `context` the three samples.

    Adam's step size falls from `lr` to a tenth of it, as for MAML.
    """
    model, generator = network(4 if context else 1, 1, seed=seed), make_generator(seed)
    for optimizer in adam_steps(model, lr, updates):
        batch = PatientData().sample(PATIENTS, 3, QUERIES, generator=generator)
        hours, levels = batch.query
        inputs = _context(batch.support[1].squeeze(-1), hours) if context else hours
        loss = (model(inputs) - levels).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def train_maml(*, inner_lr: float, steps: int, updates: int, seed: int, meta_lr: float = 1e-2) -> MetaLearner:
    """Return MAML on patients: the support of a task are its three samples."""
    learner = MetaLearner(network(1, 1, seed=seed), inner_lr, meta_lr, steps=steps, device="cpu")
    return train_staged(
        learner, PatientData(), meta_lr, updates, shots=3, tasks=PATIENTS, queries=QUERIES, seed=seed
    )


def adapted(learner: MetaLearner, *, steps: int | None = None) -> Predict:
    """Return levels by a network that takes gradient steps on the three samples."""

    def predict(samples: np.ndarray) -> np.ndarray:
        hours = torch.tensor(np.array(SAMPLE_HOURS) / TIME_SCALE, dtype=torch.float32)
        x = hours.expand(len(samples), -1)[..., None]
        y = torch.tensor(samples / LEVEL_SCALE, dtype=torch.float32)[..., None]
        params = learner.adapt(x, y, steps=steps)
        return _levels(learner.predict(_curve_inputs(len(samples)), params))

    return predict


def fine_tuned(joint: nn.Module, *, rate: float, steps: int) -> Predict:
    """Return levels by the joint network after gradient steps on the three samples; with 0 by itself."""
    if steps == 0:
        return lambda samples: _levels(joint(_curve_inputs(len(samples))))
    return adapted(MetaLearner(joint, rate, steps=steps, device="cpu"))


def by_context(model: nn.Module) -> Predict:
    """Return levels by a network that reads the three samples."""

    def predict(samples: np.ndarray) -> np.ndarray:
        y = torch.tensor(samples / LEVEL_SCALE, dtype=torch.float32)
        return _levels(model(_context(y, _curve_inputs(len(samples)))))

    return predict


class Posterior(NamedTuple):
    """What is known of T patients after their samples: S possible patients with weights.

    Attributes:
        curves: [S, 192] the levels of each possible patient.
        weights: [T, S] their probabilities, rows that sum to 1.
    """

    curves: np.ndarray
    weights: np.ndarray

    def mean(self) -> np.ndarray:
        """Return [T, 192] the expected levels."""
        return self.weights @ self.curves

    def effective(self) -> np.ndarray:
        """Return [T] how many equally weighted patients the weights are worth."""
        return 1 / (self.weights**2).sum(axis=1)


@cache
def _possible(size: int) -> tuple[np.ndarray, np.ndarray]:
    patients = PatientTasks().sample(size, seed=4_000_000)
    return patients.level(CURVE_HOURS), patients.level(SAMPLE_HOURS)


def posterior(samples: np.ndarray, *, size: int = 20_000) -> Posterior:
    """Return what Bayes' rule makes of samples [T, 3], with the true model and the true distribution."""
    curves, expected = _possible(size)
    log = -np.log(expected).sum(axis=1) - 0.5 * sum(
        ((samples[:, k, None] / expected[:, k] - 1) / NOISE) ** 2 for k in range(samples.shape[1])
    )
    weights = np.exp(log - log.max(axis=1, keepdims=True))
    return Posterior(curves, weights / weights.sum(axis=1, keepdims=True))


def population(samples: np.ndarray) -> np.ndarray:
    """Return the mean curve of many patients, the same for all."""
    return np.repeat(_possible(20_000)[0].mean(axis=0)[None], len(samples), axis=0)


def in_window(curves: np.ndarray) -> np.ndarray:
    """Return [T, D] the share of the second day in the window, for each dose of `DOSES` at hour 24.

    Args:
        curves: [T, 192] levels after the first dose, predicted or true.
    """
    day, left = curves[:, : len(HOURS)], curves[:, len(HOURS) :]
    shares = []
    for dose in DOSES:  # one by one: all doses of 20 000 possible patients at once are a gigabyte
        level = left + dose / FIRST_DOSE * day
        shares.append(((level >= WINDOW[0]) & (level <= WINDOW[1])).mean(axis=1))
    return np.stack(shares, axis=1)


def choose(curves: np.ndarray, *, doubt: float = 0.0) -> np.ndarray:
    """Return [T] the place in `DOSES` of the dose that is best if the levels are about these.

    Args:
        curves: [T, 192] predicted levels.
        doubt: the curve may be wrong by a factor exp(doubt z), where z is about standard normal; the dose has
            the largest expected share. With 0 the curve is taken for true.

    Raises:
        ValueError: if a level is not finite.
    """
    if not np.isfinite(curves).all():
        raise ValueError("curves must be finite levels: these have run away")
    if doubt == 0:
        return in_window(curves).argmax(axis=1)
    weights = np.exp(-(np.array(DEVIATIONS) ** 2) / 2)
    shares = [
        weight * in_window(curves * np.exp(doubt * z)) for z, weight in zip(DEVIATIONS, weights, strict=True)
    ]
    return np.sum(shares, axis=0).argmax(axis=1)


def choose_by_posterior(known: Posterior) -> np.ndarray:
    """Return [T] the place of the dose with the largest expected share of the day in the window."""
    return (known.weights @ in_window(known.curves)).argmax(axis=1)


@cache
def one_for_all() -> int:
    """Return the place of the dose that is best for many patients on average."""
    return int(in_window(_possible(20_000)[0]).mean(axis=0).argmax())


def rmse(predicted: np.ndarray, true: np.ndarray) -> float:
    """Return the root mean squared error (mg/L) over the first day and all patients."""
    return float(np.sqrt(((predicted - true)[:, : len(HOURS)] ** 2).mean()))


def score(chosen: np.ndarray, true: np.ndarray) -> float:
    """Return the mean share of the second day in the window, under the doses chosen."""
    return float(np.take_along_axis(in_window(true), chosen[:, None], axis=1).mean())


def leak(*, people: int = 50, tested: int = 10, draws: int = 100) -> dict[str, float]:
    """Return the error (mg/L) of a "model" that gives each visit the curve of the nearest visit in training.

    Each patient comes twice. Tested are the last visits of the list, or all visits of the last patients.
    """
    found: dict[str, list[float]] = {"tested on the last visits": [], "tested on the last patients": []}
    whose = np.tile(np.arange(people), 2)
    kept = (np.arange(2 * people) >= 2 * (people - tested), whose >= people - tested)
    for seed in range(draws):
        group = PatientTasks().sample(people, seed=seed)
        seen = np.log(
            np.concatenate([group.sample_blood(seed=2 * seed + visit + 5_000_000) for visit in (0, 1)])
        )
        curves = np.tile(group.level(CURVE_HOURS), (2, 1))
        for errors, test in zip(found.values(), kept, strict=True):
            apart = ((seen[test, None] - seen[~test]) ** 2).sum(axis=2)
            errors.append(rmse(curves[~test][apart.argmin(axis=1)], curves[test]))
    return {name: float(np.mean(errors)) for name, errors in found.items()}
