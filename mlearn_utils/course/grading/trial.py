"""The check of most exercises: the answer runs on several probes, beside the reference and known mistakes.

A probe is a tuple of arguments. What the answer gives on all of them is compared with what the reference
gives; if it is something else, with what each mistake gives. A mistake is named only if it explains the
answer on every probe, and no two of them, nor any and the right values, may look alike.

A class's edition of the course has neither references nor mistakes: there a trial has a `Record` of what they
gave, which `python3 teaching handout` makes.
"""

import io
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import TOLERANCE, WHOLE, compare, same
from mlearn_utils.course.grading.diagnose import Known, Place, diagnose, find_out
from mlearn_utils.course.grading.exercise import NotYet

Probe = tuple[Any, ...]
Wrong = list[tuple[Any, str]]
"""What each mistake gives, or a function with the reference's parameters that makes it, and what to tell."""

RESULT = WHOLE
COURSE = Path(__file__).parents[1]


class Parts(dict[str, Any]):
    """What is observed of an answer, part by part: such as its value, then its derivative."""


class Record(NamedTuple):
    """What a trial has to know in the place of functions that are right or make mistakes.

    Attributes:
        right: what is right on each probe.
        wrong: what each mistake gives on each probe, with its message.
        minds: what `diagnose` knows of the reference.
    """

    right: list[Parts]
    wrong: list[tuple[list[Parts], str]]
    minds: dict[Place, bool]

    def dump(self) -> bytes:
        """Return the record as a file: the same bytes whenever the values are the same."""
        buffer = io.BytesIO()
        _Pickler(buffer).dump(tuple(self))
        return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Stores tensors as arrays: torch's own way writes addresses of memory, and graphs cannot be stored."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return _tensor, (obj.detach().numpy(),)
        return NotImplemented


def _tensor(array: np.ndarray) -> Tensor:
    return torch.tensor(array)


def call(function: Callable[..., Any], *probe: Any) -> Any:
    """Return what the function returns: what most exercises are judged by."""
    return function(*probe)


def derivatives(value: Tensor, by: Iterable[Tensor], *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Return the derivatives of an answer's value, one number, by tensors: zero where it does not depend.

    Raises:
        NotYet: if autograd cannot go back through what the answer did; the message says why.
    """
    options: Any = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    try:
        return torch.autograd.grad(value, tuple(by), create_graph=create_graph, **options)
    except RuntimeError as error:
        why = str(error)
    if "inplace" in why:
        why = (
            "a number that its gradient needs is changed in place, by +=, *= or a method that ends in _. "
            "Write to a new tensor instead"
        )
    elif "second time" in why:
        why = "its graph is used up, by .backward() or by torch.autograd.grad without create_graph=True"
    raise NotYet(f"the result cannot be differentiated: {why}")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A checker that compares an answer with the exercise's reference.

    Args:
        probes: makes the tuples of arguments, anew for every use and always the same. Together they have at
            least two values of every parameter and two sizes of every axis.
        mistakes: takes the arguments of a probe and returns what each known mistake gives there, with its
            message; the same messages in the same order for every probe. None if there is a record.
        otherwise: what to say of a wrong value that no mistake explains: a sentence, or one for each part.
        praise: what a right answer is told: a sentence, or a function of the values on the first probe.
        observe: (function, *probe) -> what is compared: a value, or a dict of named parts, compared in order.
        tol: as in `expect_close`.
        reference: the function that solves the exercise; `Exercise` fills it in.
        record: in a class's edition, where in the folder of the course the trial's `Record` lies; the
            reference then has parameters, and no body.
    """

    probes: Callable[[], Sequence[Probe]]
    mistakes: Callable[..., Wrong] | None = None
    otherwise: str | Mapping[str, str]
    praise: str | Callable[..., str]
    observe: Callable[..., Any] = call
    tol: float = TOLERANCE
    reference: Callable[..., Any] | None = None
    record: str = ""

    def __call__(self, answer: Callable[..., Any]) -> str:
        """Return the praise, or raise NotYet with the mistake that explains the answer."""
        found: list[Parts] = []
        mistakes = self.wrong  # all there is to compare with is there before the answer runs
        for probe, right in zip(self.probes(), self.right, strict=True):
            found.append(self._observed(answer, probe))
            try:
                self._check_kinds(found[-1], right)  # before later probes stumble over them
            except NotYet:
                if not any(self._same(found[-1], wrong[len(found) - 1]) for wrong, _ in mistakes):
                    raise
        if self._all_same(found, self.right):
            return self.praise if isinstance(self.praise, str) else self.praise(*self.right[0].values())
        for wrong, message in mistakes:
            if self._all_same(found, wrong):
                raise NotYet(message)
        raise NotYet(self._unexplained(answer, found))

    @cached_property
    def right(self) -> list[Parts]:
        """What the reference gives on each probe."""
        if self._recorded:
            return self._recorded.right
        if self.reference is None:
            raise ValueError("reference must be given: an Exercise fills it in")
        return [self._observed(self.reference, probe) for probe in self.probes()]

    @cached_property
    def wrong(self) -> list[tuple[list[Parts], str]]:
        """What each mistake gives on each probe, with its message.

        Raises:
            ValueError: if the messages differ from probe to probe, or two mistakes, or a mistake and the
                right values, cannot be told apart.
        """
        if self._recorded:
            return self._recorded.wrong
        if self.mistakes is None:
            raise ValueError("mistakes must be given, where there is no record")
        tables = [self.mistakes(*probe) for probe in self.probes()]
        messages = [message for _, message in tables[0]]
        if any([message for _, message in table] != messages for table in tables):
            raise ValueError("mistakes must return the same messages, in the same order, for every probe")
        wrong = []
        for k, message in enumerate(messages):
            values = []
            for probe, table in zip(self.probes(), tables, strict=True):
                value = table[k][0]
                values.append(self._observed(value, probe) if callable(value) else _parts(value))
            wrong.append((values, message))
        for (one, name), (other, other_name) in combinations([(self.right, "right"), *wrong], 2):
            if self._all_same(one, other, 10 * self.tol):
                raise ValueError(f"the probes do not tell apart {name!r} and {other_name!r}")
        return wrong

    @cached_property
    def _known(self) -> dict[str, Known]:
        """What `diagnose` knows of each part of what the reference gives; it adds to it."""
        known = {name: Known([parts[name] for parts in self.right]) for name in self.right[0]}
        if self._recorded and RESULT in known:
            known[RESULT].minds.update(self._recorded.minds)
        return known

    @cached_property
    def _recorded(self) -> Record | None:
        return Record(*pickle.loads((COURSE / self.record).read_bytes())) if self.record else None

    def to_record(self) -> Record:
        """Return what another trial needs to judge as this one does; errors are those of `wrong`."""
        known = self._known.get(RESULT, Known())
        if known.right:
            find_out(
                lambda function, probe: self._observed(function, probe)[RESULT],
                self.reference,
                self.probes,
                tol=self.tol,
                known=known,
            )
        return Record(self.right, self.wrong, known.minds)

    def _observed(self, function: Callable[..., Any], probe: Probe) -> Parts:
        return _parts(self.observe(function, *probe))

    def _check_kinds(self, found: Parts, right: Parts) -> None:
        """Raise NotYet if a part is of another kind, up to the first of another value."""
        for name, value in right.items():
            compare(found.get(name), value, self._sentence(name), float("inf"), name)
            if not same(found[name], value, tol=self.tol):
                return

    def _sentence(self, name: str) -> str:
        return self.otherwise if isinstance(self.otherwise, str) else self.otherwise[name]

    def _same(self, found: Parts, value: Parts, tol: float | None = None) -> bool:
        tol = self.tol if tol is None else tol
        return found.keys() == value.keys() and all(same(found[name], value[name], tol=tol) for name in value)

    def _all_same(self, found: Iterable[Parts], values: Iterable[Parts], tol: float | None = None) -> bool:
        return all(self._same(mine, value, tol) for mine, value in zip(found, values, strict=True))

    def _unexplained(self, answer: Callable[..., Any], found: list[Parts]) -> str:
        """Return what a wrong answer is told: the first difference, and what can be said of all of them."""
        differs = [
            name
            for name in self.right[0]
            if not all(
                same(mine[name], right[name], tol=self.tol)
                for mine, right in zip(found, self.right, strict=True)
            )
        ]
        more = diagnose(
            lambda function, probe: self._observed(function, probe)[differs[0]],
            answer,
            self.reference,
            self.probes,
            tol=self.tol,
            is_whole=differs[0] == RESULT,
            known=self._known[differs[0]],
        )
        first = differs[0]
        for mine, right in zip(found, self.right, strict=True):
            try:
                compare(mine.get(first), right[first], self._sentence(first), self.tol, first)
            except NotYet as error:
                return f"{error}. {more}" if more else str(error)
        raise AssertionError("unreachable: the answer was found to differ")


def _parts(value: Any) -> Parts:
    return value if isinstance(value, Parts) else Parts({RESULT: value})
