"""What a student's function may return by mistake, or out of curiosity: no check may stumble over it."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch


class Hostile:
    """Fails at whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparing")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __float__(self) -> float:
        raise RuntimeError("no number")

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __hash__ = None  # type: ignore[assignment]


class NoLength(tuple):
    """A tuple of less than no entries."""

    def __len__(self) -> int:
        return -1


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


def endless() -> list:
    """Return a list that holds itself."""
    values: list = [1.0]
    values.append(values)
    return values


def generator() -> Iterator[float]:
    yield 1.0


def odd_values() -> dict[str, Any]:
    """Return a label -> value for each, made anew."""
    values: list[Any] = [
        None, ..., NotImplemented, True, -1, 10**400, 1.5, float("nan"), float("inf"), 3 + 2j, "text",
        b"bytes", Fraction(1, 3), Decimal("0.1"), datetime.timedelta(1), [], (), {}, set(), {"key": 1.0},
        {1: None}, {1.0, 2.0}, [None], [1.0, "a"], ["a", "b"], [[1.0], [2.0, 3.0]], [1.0, 2.0], (0.5, 0.5),
        range(3), iter([1]), np.float32(0.5), np.int8(1), np.bool_(True), np.array(2), np.array("a"),
        np.zeros(0), np.zeros(3), np.array([None, 1]), np.array([1 + 1j]), np.zeros((2, 3, 4)),
        np.full(2, np.nan), np.ma.masked, np.datetime64("2026-01-01"), np.array(["a", "b"]),
        np.zeros((5, 4), dtype=int), torch.tensor(1.0), torch.tensor(True), torch.zeros(0), torch.zeros(2, 3),
        torch.ones(2, requires_grad=True), torch.tensor(1 + 1j), torch.eye(3).to_sparse(),
        torch.zeros(2, device="meta"), torch.nn.Linear(1, 1), object(), int, len, lambda: 1.0, Hostile(),
        Hostile, ValueError("returned"), (Hostile(), Hostile()), endless(), generator(), print,
        np.random.default_rng(0), np, np.array([10**400, 1]), torch.zeros(5, 3, dtype=torch.complex64).conj(),
        torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged), NoLength((1.0,)), Decimal("sNaN"),
        Knot(), range(10**30),
        np.array([0.5, 0.25], dtype=object), [np], {"a": [[[None]]]},
    ]  # fmt: skip
    return {f"{k}: {type(value).__name__}": value for k, value in enumerate(values)}
