"""Several ways to the same result, timed in turn in one process, and what is said of them.

A round times every side once, one after the other, so that a slow moment of the machine meets all of them;
the next round begins with another side. What counts is the ratio within a round: its median over the rounds,
with the quartiles as its spread. Time is that of the processor, all threads of the process together, which a
busy machine inflates less than the clock on the wall; where a GPU computes it is the wall's.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any, NamedTuple

import numpy as np
import torch

GRADIENT, STEP = 1e-4, 1e-6
"""How far two sides may differ: meta-gradients, relative to the largest entry; steps of an environment."""

TURN = 0.04
"""Seconds that a side's turn lasts at least; in turns of a quarter, JAX looked twice as slow."""

Side = Callable[[], float]
"""Does its work once and returns what it took, in the row's unit."""


@dataclass(frozen=True)
class Options:
    """How a run measures.

    Attributes:
        quick: the smaller sizes of a row, where it has several.
        device: "cpu" or "cuda".
        rounds: of each row.
    """

    quick: bool = False
    device: str = "cpu"
    rounds: int = 9


class Ratio(NamedTuple):
    """A median over rounds and its quartiles."""

    median: float
    low: float
    high: float


@dataclass
class Result:
    """What a row measured.

    Attributes:
        unit: of the values.
        base: the side that the others are compared with.
        values: a number a round, by side.
        missing: why a side has no values.
        notes: what else is said of a side.
        differences: how far a side's result is from that of the slow and obvious side.
        limit: what a difference may be.
    """

    unit: str = "ms"
    base: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    limit: float = GRADIENT

    @property
    def wrong(self) -> list[str]:
        """The sides that compute something else."""
        return [name for name, far in self.differences.items() if not far <= self.limit]

    def ratio(self, slow: str, fast: str) -> Ratio:
        """Return how many times what `fast` takes `slow` takes, a round's two values against each other."""
        return spread([a / b for a, b in zip(self.values[slow], self.values[fast], strict=True)])

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers and words, rounded to five digits."""
        sides: dict[str, Any] = {name: {"missing": why} for name, why in self.missing.items()}
        for name, values in self.values.items():
            sides[name] = {"median": rounded(median(values)), "values": [rounded(v) for v in values]}
            if self.base in self.values:
                sides[name][f"{self.base} / this"] = [rounded(v) for v in self.ratio(self.base, name)]
        for name, far in self.differences.items():
            sides.setdefault(name, {})["differs"] = float(f"{far:.1e}")
        for name, note in self.notes.items():
            sides.setdefault(name, {})["note"] = note
        return {"unit": self.unit, "differ_at_most": self.limit, "sides": sides}


@dataclass(frozen=True)
class Row:
    """A row of the table: a name to choose it by, what it is, and what measures it.

    Attributes:
        by_name: it takes minutes: measured only when asked for.
        long: it takes more than a few seconds: not part of a quick run.
        devices: where it can be measured.
    """

    name: str
    about: str
    measure: Callable[[Options], Result]
    by_name: bool = False
    long: bool = False
    devices: tuple[str, ...] = ("cpu",)


def spread(values: list[float]) -> Ratio:
    """Return the median of values and their quartiles."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else 3 * values
    return Ratio(middle, low, high)


def rounded(value: float) -> float:
    """Return a number with five significant digits."""
    return float(f"{value:.5g}")


def far(given: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """Return the largest error of any array, relative to the largest entry of what is expected there.

    Infinite, or no number at all, where an array is missing, of another shape or not finite.
    """
    errors = []
    for name, value in expected.items():
        a, b = np.asarray(given.get(name, np.nan), dtype=float), np.asarray(value, dtype=float)
        errors.append(abs(a - b).max() / max(abs(b).max(), 1e-12) if a.shape == b.shape else math.inf)
    return float(np.max(errors))


def clock(options: Options) -> Callable[[], float]:
    """Return the clock of a device: seconds of the processor, or of the wall once the GPU has finished."""
    if options.device == "cpu":
        return time.process_time

    def wall() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return wall


@contextmanager
def all_cores() -> Iterator[None]:
    """Let what is started meanwhile use every core; a run is tied to one (see `__main__`)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def call(work: Callable[[], object], options: Options) -> Side:
    """Return a side that reports the milliseconds of a call, the mean over a turn.

    A turn of several calls begins with one that is not counted: the side before has emptied the caches.
    """
    now = clock(options)

    def seconds(calls: int) -> float:
        start = now()
        for _ in range(calls):
            work()
        return (now() - start) / calls

    work()
    calls = max(1, math.ceil(TURN / max(seconds(1), 1e-6)))

    def milliseconds() -> float:
        if calls > 1:
            work()
        return 1e3 * seconds(calls)

    return milliseconds


def take_turns(sides: Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Return `rounds` values of every side; each round begins with another of them."""
    values: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for k in range(rounds):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            values[name].append(sides[name]())
    return values


def compare(sides: Mapping[str, Side | None], options: Options, base: str, **facts: Any) -> Result:
    """Time the sides and return the row's result; one that is None is said to be not installed."""
    there = {name: side for name, side in sides.items() if side is not None}
    missing = {name: "not installed" for name in sides if name not in there}
    result = Result(base=base, missing=missing, **facts)
    result.values = take_turns(there, options.rounds)
    return result
