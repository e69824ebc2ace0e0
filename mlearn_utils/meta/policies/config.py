"""The knobs of `MAMLAgent`."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlearn_utils.rl.policies import hidden_units
from mlearn_utils.rl.surrogates import SURROGATES
from mlearn_utils.runtime import (
    check_fraction,
    check_integer,
    check_not_negative,
    check_positive,
    is_number,
)


@dataclass(frozen=True)
class MAMLConfig:
    """How a MAMLAgent explores, adapts and learns.

    The defaults are those of the course, for every family. They are not the best there are: on validation
    tasks of `dirv` a smaller `meta_lr` (0.01) or a single epoch earned 3 to 4 more after one step
    (`data/lesson_06/choices.csv`). Weighing the return before adaptation at first is an annealed multi-step
    loss (Antoniou et al. 2019, "How to train your MAML", section 4).

    Attributes:
        inner_lr: step size of the first inner step, >= 0.
        inner_steps: inner steps in training; 0 trains one policy on all tasks (the multitask baseline).
        step_decay: in (0, 1]; inner step k = 0, 1, ... has size inner_lr * step_decay ** k. Trained with one
            step, later ones of full size often break the policy; damped they do not.
        first_order: treat the inner gradient as a constant (FOMAML).
        surrogate: what the inner step differentiates: "plain", "lvc" or "dice" (`rl.surrogates`).
        tasks: tasks an iteration, T.
        episodes: episodes a task before each inner step, and again after the last one, E.
        horizon: steps after which an episode ends, H; None takes the family's own `horizon`, or the time
            limit of its environments. The end counts as part of the task: nothing is bootstrapped. The loss
            is divided by H, so that the inner step of a task whose episodes end early is smaller.
        gamma: discount in [0, 1].
        lam: GAE's lambda in [0, 1].
        normalise_inner: scale the advantages of each inner step to deviation 1, over each task's own steps.
            Without it the size of a step tells how far from good a policy is, which `PointTasks` need.
        hidden: tanh units of the policy's hidden layer, or of each of several.
        log_std: of policies over continuous actions, the logarithm of their standard deviation at the start
            and at the end: it falls linearly over the first four fifths of `iterations`.
        learn_log_std: learn it instead, from its first value, in the outer loop alone.
        max_grad_norm: the outer gradient is scaled down to at most this norm; None leaves it as it is.
        before_weight: weight of the return before adaptation in the outer objective, at the start; it falls
            linearly to 0 over the first half of `iterations`, and from then on the objective is MAML's. With
            0 throughout, two trainings of five on `dirv` got stuck with policies that no inner step mended;
            with 0.3, 1 or 3, none of fifteen.
        meta_lr: Adam's step size at the start, > 0; it falls linearly to 0 over `iterations`.
        epochs: Adam steps on the same episodes.
        clip: how far a probability ratio may leave 1 before it earns nothing more, > 0.
        iterations: length of a training.

    Raises:
        ValueError: if a value is out of its range; the message names the field.
    """

    inner_lr: float = 10.0
    inner_steps: int = 1
    step_decay: float = 0.1
    first_order: bool = False
    surrogate: str = "lvc"
    tasks: int = 20
    episodes: int = 10
    horizon: int | None = None
    gamma: float = 0.99
    lam: float = 0.97
    normalise_inner: bool = True
    hidden: int | tuple[int, ...] = 32
    log_std: tuple[float, float] = (0.0, -1.5)
    learn_log_std: bool = False
    max_grad_norm: float | None = None
    before_weight: float = 1.0
    meta_lr: float = 0.02
    epochs: int = 2
    clip: float = 0.2
    iterations: int = 60

    def __post_init__(self):
        check_integer("inner_steps", self.inner_steps, minimum=0)
        for name in ("tasks", "episodes", "epochs", "iterations"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.horizon is not None:
            check_integer("horizon", self.horizon, minimum=1)
        if self.max_grad_norm is not None:
            check_positive("max_grad_norm", self.max_grad_norm)
        for name in ("meta_lr", "clip"):
            check_positive(name, getattr(self, name))
        for name in ("inner_lr", "before_weight"):
            check_not_negative(name, getattr(self, name))
        for name in ("gamma", "lam"):
            check_fraction(name, getattr(self, name))
        check_positive("step_decay", self.step_decay, "in (0, 1]")
        check_fraction("step_decay", self.step_decay, "in (0, 1]")
        if self.surrogate not in SURROGATES:
            raise ValueError(f"surrogate must be one of {sorted(SURROGATES)}, got {self.surrogate!r}")
        for name in ("first_order", "normalise_inner", "learn_log_std"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        units = hidden_units(self.hidden)
        object.__setattr__(self, "hidden", units if isinstance(self.hidden, Sequence) else units[0])
        object.__setattr__(self, "log_std", _two_numbers("log_std", self.log_std))
        for name, value in vars(self).copy().items():
            if isinstance(value, np.generic):  # a float32 would make float32 of all it is multiplied with
                object.__setattr__(self, name, value.item())

    def rates(self, steps: int, inner_lr: float | Sequence[float] | None = None) -> list[float]:
        """Return the sizes of the first `steps` inner steps.

        Args:
            steps: how many, >= 0.
            inner_lr: in place of the configuration's: the size of the first step, or a size for each.

        Raises:
            ValueError: if a number is out of its range, or there is not one size for each step.
        """
        check_integer("steps", steps, minimum=0)
        given = self.inner_lr if inner_lr is None else inner_lr
        for size in np.ravel(given):
            check_not_negative("inner_lr", size, "finite and >= 0")
        if not isinstance(given, Iterable):
            return [given * self.step_decay**k for k in range(steps)]
        if len(given) != steps:
            raise ValueError(f"inner_lr must hold a size for each of the {steps} steps, got {len(given)}")
        return [float(size) for size in given]

    def log_std_at(self, iteration: int) -> float:
        """Return the logarithm of the standard deviation of Gaussian policies in an iteration, from 0."""
        done = min(iteration / (0.8 * self.iterations), 1.0)
        return self.log_std[0] + done * (self.log_std[1] - self.log_std[0])


def point_config(**changes: Any) -> MAMLConfig:
    """Return the settings that suit `PointTasks`, where the defaults fail; `changes` replace single ones.

    The advantages of the inner step keep their size, one step of size 1 goes the whole way, later ones are
    not damped, and the noise falls.
    """
    settings = {"inner_lr": 1.0, "step_decay": 1.0, "normalise_inner": False, "iterations": 100}
    return MAMLConfig(**settings | changes)


def _two_numbers(name: str, value: object) -> tuple[float, float]:
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(numbers) != 2 or not all(is_number(each) and math.isfinite(each) for each in numbers):
        raise ValueError(f"{name} must be two finite numbers, at the start and at the end, got {value!r}")
    return float(numbers[0]), float(numbers[1])
