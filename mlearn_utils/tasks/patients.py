"""Patients who take the same drug and clear it at different speeds: one compartment, doses by mouth.

A dose D (mg) is absorbed from the gut at the rate ka (1/h) into a volume V (L) of blood and tissue, from
which the body clears CL (L/h). With k = CL / V, t hours after a dose the level (mg/L) is

    C(t) = D ka / (V (ka - k)) (exp(-k t) - exp(-ka t)),

and the levels of several doses add up. ka, CL and V differ from patient to patient and cannot be seen; what
can be had are a few samples of blood.

The drug is made up, and so are its numbers: this is no medical advice, and no tool to dose by.

Reference: Gabrielsson & Weiner, "Pharmacokinetic and Pharmacodynamic Data Analysis" (one compartment with
first-order absorption, also known as the Bateman function).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.runtime import check_integer, check_not_negative, check_positive, is_number, make_rng

DAY = 24.0
FIRST_DOSE = 100.0
"""What everybody takes at hour 0 (mg)."""
SAMPLE_HOURS = (1.0, 4.0, 10.0)
"""When blood is taken after a dose (h)."""
LARGEST_DOSE = 300.0
WINDOW = (1.0, 3.0)
"""The therapeutic window (mg/L): below it the drug does nothing, above it harm."""
NOISE = 0.1
"""Standard deviation of a measured level, as a share of the level."""
HOURS = np.arange(0.25, DAY + 0.1, 0.25)
"""Hours of a day at which the level is compared with the window."""
PATIENT = 1
"""What patients are seeded with beside the seed: `sample`, `sample_blood` and `reset` with the same seed must
not draw the same numbers, or the errors of the samples are the logarithms of what is hidden."""

Array = Any  # numpy array, or what becomes one
Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class PatientTask:
    """A batch of T patients; `tasks[i]` and `tasks[2:5]` are batches too.

    Attributes:
        absorption: float64 [T] ka (1/h).
        clearance: float64 [T] CL (L/h).
        volume: float64 [T] V (L).

    Raises:
        ValueError: if a value is not a finite number above 0, or their shapes differ.
    """

    absorption: Array
    clearance: Array
    volume: Array

    def __post_init__(self):
        for name in ("absorption", "clearance", "volume"):
            given = getattr(self, name)
            try:
                value = np.atleast_1d(np.array(given, dtype=float))
            except (TypeError, ValueError):
                raise ValueError(f"{name} must be numbers [T], got {given!r}") from None
            if value.ndim != 1 or not value.size or not ((value > 0) & np.isfinite(value)).all():
                raise ValueError(f"{name} must be finite numbers above 0, [T] with T >= 1, got {given!r}")
            object.__setattr__(self, name, value)
            if len(value) != len(self.absorption):
                raise ValueError(f"{name} must hold {len(self.absorption)} numbers, got {len(value)}")

    def __len__(self) -> int:
        return len(self.absorption)

    def __getitem__(self, index: int | slice | np.ndarray) -> "PatientTask":
        rows = np.atleast_1d(np.arange(len(self))[index])
        return PatientTask(self.absorption[rows], self.clearance[rows], self.volume[rows])

    def level(self, hours: Iterable[float] | np.ndarray, dose: float = FIRST_DOSE) -> np.ndarray:
        """Return [T, H] the level (mg/L) so many hours after a single dose (mg); 0 before it.

        Raises:
            ValueError: if `hours` is empty or not finite, or `dose` is not a finite number >= 0.
        """
        t = np.asarray(hours, dtype=float)
        if t.ndim != 1 or not t.size or not np.isfinite(t).all():
            raise ValueError(f"hours must be finite numbers [H] with H >= 1, got {hours!r}")
        check_not_negative("dose", dose)
        ka, k = self.absorption[:, None], (self.clearance / self.volume)[:, None]
        t = np.maximum(t, 0.0)
        # with the slower rate before it, neither factor overflows, whichever of ka and k is larger
        apart = abs(ka - k)
        near = apart < 1e-9  # where both rates are one, (exp(-kt) - exp(-ka t)) / (ka - k) is t exp(-kt)
        safe = np.where(near, 1.0, apart)
        share = np.where(near, t, -np.expm1(-safe * t) / safe)
        return dose * ka / self.volume[:, None] * np.exp(-np.minimum(ka, k) * t) * share

    def sample_blood(
        self, hours: Iterable[float] = SAMPLE_HOURS, *, seed: int, dose: float = FIRST_DOSE
    ) -> np.ndarray:
        """Return [T, H] measured levels: each with an error of its own, `NOISE` of the level.

        Raises:
            ValueError: if `hours` is empty, or `seed` is not an integer >= 0.
        """
        level = self.level(np.asarray(tuple(hours), dtype=float), dose)
        return level * (1 + NOISE * make_rng(seed).normal(size=level.shape))


class PatientTasks:
    """The distribution over patients: ka, CL and V are independent and log-normal.

    ## Description
    A patient has taken 100 mg. On each of the days that follow the next dose is chosen, by three blood
    samples of the day before.

    ## Action space
    Box(0, 300, (1,), float32): the dose of the day (mg), taken at its begin.

    ## Observation space
    Box(0, inf, (4,), float32):

    | | what                                                | unit |
    |-|-----------------------------------------------------|------|
    |0| measured level 1 h after the last dose, error 10 %  | mg/L |
    |1| measured level 4 h after it                         | mg/L |
    |2| measured level 10 h after it                        | mg/L |
    |3| the last dose                                       | mg   |

    ## Hidden
    absorption, clearance and volume. Three samples narrow them down; none of them shows one alone.

    ## Reward
    The share of the day's 24 hours in which the true level lies in the window, 1 to 3 mg/L.

    ## Start and end
    The first observation is of the 100 mg on day 0. Truncated after `horizon` doses; nothing terminates.

    ## What the toy leaves out
    Food, age, illness, other drugs, missed doses; a second compartment; clearance that changes by the day or
    saturates; samples taken at another hour than is written down; and what a wrong dose does to a person.

    Args:
        absorption, clearance, volume: the typical value (the median) and the standard deviation of its
            logarithm.

    Example:
        >>> patients = PatientTasks().sample(200, seed=0)
        >>> patients.level([1.0, 4.0, 10.0])   # [200, 3]

    Raises:
        ValueError: if a typical value is not above 0, or a deviation is below 0.
    """

    horizon = 5
    observation_scale: tuple[float, ...] = (3.0, 3.0, 3.0, 100.0)

    def __init__(
        self, *, absorption: Range = (1.2, 0.4), clearance: Range = (1.5, 0.6), volume: Range = (25.0, 0.3)
    ):
        given = {"absorption": absorption, "clearance": clearance, "volume": volume}
        for name, pair in given.items():
            if not isinstance(pair, tuple) or len(pair) != 2 or not all(map(is_number, pair)):
                raise ValueError(f"{name} must be (typical value, deviation of its logarithm), got {pair!r}")
            check_positive(name, pair[0], "a typical value above 0 and a deviation")
            check_not_negative(name, pair[1], "a typical value and a deviation >= 0")
        self.absorption, self.clearance, self.volume = absorption, clearance, volume

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)}" for name in ("absorption", "clearance", "volume"))
        return f"{type(self).__name__}({values})"

    def sample(self, n_tasks: int, *, seed: int) -> PatientTask:
        """Draw n patients; the same seed gives the same ones.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1)
        check_integer("seed", seed, minimum=0)
        normal = np.random.default_rng([int(seed), PATIENT]).normal(size=(3, n_tasks))
        pairs = (self.absorption, self.clearance, self.volume)
        return PatientTask(
            *(median * np.exp(deviation * z) for (median, deviation), z in zip(pairs, normal, strict=True))
        )

    def make_env(self, task: PatientTask) -> gym.Env[np.ndarray, np.ndarray]:
        """Return a patient as a Gymnasium environment.

        Raises:
            TypeError: if `task` is not a PatientTask.
            ValueError: if it holds several patients.
        """
        if not isinstance(task, PatientTask):
            raise TypeError(f"task must be a PatientTask, as {self!r}.sample returns, got {task!r}")
        if len(task) != 1:
            raise ValueError(f"task must hold one patient, got {len(task)}; tasks[i] is one")
        return gym.wrappers.TimeLimit(PatientEnv(task), self.horizon)


class PatientEnv(gym.Env[np.ndarray, np.ndarray]):
    """One patient, a dose a day; see `PatientTasks` for actions, observations and rewards."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own form

    def __init__(self, task: PatientTask):
        self.task = task
        self.observation_space = gym.spaces.Box(0.0, np.inf, (4,), np.float32)
        self.action_space = gym.spaces.Box(0.0, LARGEST_DOSE, (1,), np.float32)
        self.doses: list[float] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Give the first dose, and look at the day after it."""
        super().reset(seed=seed)
        self.doses = [FIRST_DOSE]
        return self._measured(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Give a dose (mg); beyond the bounds it is cut to them.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
            ValueError: if the dose is not one finite number.
        """
        dose = np.asarray(action, dtype=float)
        if dose.shape != (1,) or not np.isfinite(dose).all():
            raise ValueError(f"action must be one finite number of mg, got {action!r}")
        if not self.doses:
            raise gym.error.ResetNeeded("call reset() before step()")
        self.doses.append(float(np.clip(dose[0], 0.0, LARGEST_DOSE)))
        level = self._level(HOURS)
        inside = (level >= WINDOW[0]) & (level <= WINDOW[1])
        return self._measured(), float(inside.mean()), False, False, {"level": level}

    def _level(self, hours: np.ndarray) -> np.ndarray:
        """Return [H] the level so many hours after the last dose, that of all doses together."""
        last = len(self.doses) - 1
        return sum(
            (self.task.level(hours + DAY * (last - day), dose)[0] for day, dose in enumerate(self.doses)),
            np.zeros(len(hours)),
        )

    def _measured(self) -> np.ndarray:
        level = self._level(np.array(SAMPLE_HOURS))
        seen = level * (1 + NOISE * self.np_random.normal(size=len(level)))
        return np.append(np.maximum(seen, 0.0), self.doses[-1]).astype(np.float32)
