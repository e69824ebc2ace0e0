"""The student's function as a checker calls it: what it does beyond returning a value does not go unnoticed.

Every call hands out copies, so that nothing the checker compares with can be spoiled. A changed argument ends
the check and is named. The first calls are made twice, with random numbers outside of `rng` moved on in
between: a second call with the same arguments must give the same result.
"""

import inspect
import io
import pickle
import random
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

import numpy as np
import torch

from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.grading.values import (
    goes_on,
    handed_copy,
    is_alike,
    is_unchanged,
    kept_copy,
    tensors_in,
    why_unusable,
)

CALLS_MADE_TWICE, CALLS_REMEMBERED = 150, 300
LONGEST = 600  # characters of an exception that are shown
Generators = np.random.Generator | torch.Generator


class AnswerRaised(Exception):  # noqa: N818 (it carries an error, it is none of ours)
    """Whatever a student's function raised, `error`: any exception but KeyboardInterrupt."""

    def __init__(self, error: BaseException):
        super().__init__(type(error).__name__)
        self.error = error


def attempt(ask: Callable[[], Any], default: Any) -> Any:
    """Return what `ask` finds out about an object of a student, or `default` if the object fails at it."""
    try:
        return ask()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return default


def text_of(error: BaseException) -> str:
    """Return the text of an exception, not too long, and of characters that can be shown."""
    text = attempt(lambda: str(error), "(its text cannot be shown)")
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return text.encode("utf-8", "backslashreplace").decode()


class Answer:
    """A student's function, to be called as the reference is.

    Args:
        function: the student's.
        reference: the function that solves the exercise; its parameters name the arguments.
        writes: names of the parameters that the exercise asks to change in place; these are handed out as
            they are.

    Attributes:
        returned: what the last call returned.
    """

    def __init__(
        self, function: Callable[..., Any], reference: Callable[..., Any], writes: Collection[str] = ()
    ):
        self.returned: Any = None
        self._function, self._reference, self._writes = function, reference, frozenset(writes)
        self._names = tuple(inspect.signature(reference).parameters)
        self._calls = 0
        self._drawn: dict[bytes, list[tuple[bytes, Any]]] = {}
        self._moved = False
        self._earlier: tuple[Sequence[Any], Sequence[Any]] = (), ()
        self._last: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function on copies of the arguments and return what it returned.

        Handed out as they are: tensors that require a gradient, since the checker derives by them, and what a
        call moves on by nature, generators and environments.

        Raises:
            AnswerRaised: if the function raises.
            NotYet: if it changes an argument, or a second call gives another result.
        """
        given = dict(zip(self._names, args, strict=False)) | kwargs
        is_told_of = self._calls < CALLS_REMEMBERED  # later calls need no generator as it was before them
        kept = {
            name: kept_copy(value) if is_told_of or not goes_on(value) else value
            for name, value in given.items()
        }
        handed = {
            name: value if name in self._writes or goes_on(value) else handed_copy(value)
            for name, value in given.items()
        }
        self._calls, self._last = self._calls + 1, kept
        is_probed = self._calls <= CALLS_MADE_TWICE
        result = self.returned = self._run(handed, kwargs, seed=2 * self._calls if is_probed else None)
        self._check_unchanged(handed, kept)
        if is_probed:
            self._check_second_call(result, handed, kept, kwargs)
        if is_told_of:
            self._remember(given, kept, result)
        return result

    def check_randomness(self) -> None:
        """Raise NotYet if the function was given generators in several states and drew from none of them."""
        groups = [group for group in self._drawn.values() if len({state for state, _ in group}) > 1]
        if groups and all(is_alike(group[0][1], result) for group in groups for _, result in group):
            raise NotYet("the result is the same whatever state the generator `rng` is in: draw from it")
        if groups and not self._moved:
            raise NotYet(
                "`rng` is left in the state it came in, so the next call would draw the same again: draw "
                "from `rng` itself, not from a copy of it; a generator is there to be moved on"
            )

    def expected(self) -> Any:
        """Return what the reference gives for the arguments of the last call; raises what it raises."""
        return self._reference(*(kept_copy(value) for value in self._last.values()))

    def _run(self, handed: dict[str, Any], by_name: Mapping[str, Any], seed: int | None) -> Any:
        args = [value for name, value in handed.items() if name not in by_name]
        kwargs = {name: handed[name] for name in by_name}
        if seed is not None:
            _seed_everything(seed)
        try:
            with own_switches() if self._calls <= CALLS_REMEMBERED else nullcontext():
                result = self._function(*args, **kwargs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise AnswerRaised(error) from error
        if inspect.iscoroutine(result):
            result.close()
            raise NotYet("it returns a coroutine, not a value: begin it with `def`, not with `async def`")
        if inspect.isgenerator(result):
            raise NotYet("it returns a generator, not a value: `return` the result instead of a `yield`")
        odd = attempt(lambda: why_unusable(result), "something that cannot be looked at")
        if odd:
            raise NotYet(f"it returns {odd}")
        return result

    def _check_unchanged(self, handed: dict[str, Any], kept: dict[str, Any]) -> None:
        for name, value in handed.items():
            if name not in self._writes and not is_unchanged(value, kept[name]):
                raise NotYet(
                    f"{name} itself was changed in place: leave the arguments as they were given, and return "
                    "something new"
                )

    def _check_second_call(
        self, result: Any, handed: dict[str, Any], kept: dict[str, Any], by_name: Mapping[str, Any]
    ) -> None:
        """Call again with what was given the first time; objects that went on in between begin anew."""
        written = {name: handed[name] for name in self._writes if name in handed}
        first = kept_copy((result, written))
        leaves = [tensor for tensor in tensors_in(list(handed.values())) if tensor.is_leaf]
        gradients = kept_copy([tensor.grad for tensor in leaves])
        again = {
            name: kept_copy(kept[name]) if name in self._writes or goes_on(value) else value
            for name, value in handed.items()
        }
        try:
            with redirect_stdout(io.StringIO()):  # what it prints was seen the first time
                second = self._run(again, by_name, seed=2 * self._calls + 1)
        except AnswerRaised as raised:
            why = f"{type(raised.error).__name__}: {text_of(raised.error)}".split(". ")[0]
            raise NotYet(
                "the first call works, a second one with the same arguments does not: what does the first "
                f"one leave behind, or use up? ({why})"
            ) from raised
        if not is_alike(gradients, [tensor.grad for tensor in leaves]):
            raise NotYet(
                "each call adds to `.grad` of its arguments, which nobody clears: that is what .backward() "
                "does. torch.autograd.grad returns the gradient and leaves `.grad` alone"
            )
        if not is_alike(first, (second, {name: again[name] for name in written})):
            raise NotYet(self._why_another(handed))
        if not (is_unchanged(result, first[0]) and all(map(is_unchanged, *self._earlier))):
            raise NotYet("a later call changes what an earlier one returned: make a new result each time")
        if not self._writes:
            self._earlier = [result], first[:1]

    def _why_another(self, handed: dict[str, Any]) -> str:
        if any(isinstance(value, Generators) for value in handed.values()):
            return (
                "with a generator in the same state, a second call gives another result: draw from `rng` "
                "only, not from np.random, `random`, torch or a generator of your own, and keep nothing from "
                "one call to the next, such as a default argument that grows"
            )
        return (
            "a second call with the same arguments gives another result: does it draw random numbers, or "
            "change something outside of itself, such as a global?"
        )

    def _remember(self, given: dict[str, Any], kept: dict[str, Any], result: Any) -> None:
        """Note the state of the generators and the result, under the other arguments."""
        before = [_state(value) for value in kept.values() if isinstance(value, Generators)]
        if before:
            after = [_state(value) for value in given.values() if isinstance(value, Generators)]
            self._moved |= before != after
            others = {name: value for name, value in kept.items() if not isinstance(value, Generators)}
            self._drawn.setdefault(_fingerprint(others), []).append((b"".join(before), kept_copy(result)))


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Leave the random numbers outside of generators (np.random, `random`, torch) as they were before."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)


@contextmanager
def usual_switches() -> Iterator[None]:
    """Judge under gradients, single precision and the CPU, whatever the notebook or an answer switches."""
    dtype = torch.get_default_dtype()
    # Within the block of a device every operation of torch is slower: only where another one is set.
    device = nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    torch.set_default_dtype(torch.float32)
    try:
        with own_switches(), torch.inference_mode(False), torch.enable_grad(), device:
            yield
    finally:
        torch.set_default_dtype(dtype)


def _put_warnings(filters: list) -> None:
    warnings.filters[:] = filters  # type: ignore[index]


def _put_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


SWITCHES: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, _put_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (np.geterr, lambda errors: np.seterr(**errors)),
    (lambda: list(warnings.filters), _put_warnings),
)
"""How to ask for what an answer may switch for all that follows, and how to set it back."""


@contextmanager
def own_switches() -> Iterator[None]:
    """Set back what an answer switches: gradients, dtype, device, threads, warnings."""
    before = [ask() for ask, _ in SWITCHES]
    try:
        yield
    finally:
        for (ask, put), value in zip(SWITCHES, before, strict=True):
            if ask() != value:
                put(value)


def _state(generator: Generators) -> bytes:
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy().tobytes()
    return repr(generator.bit_generator.state).encode()


def _fingerprint(values: dict[str, Any]) -> bytes:
    try:
        return pickle.dumps(values)
    except Exception:  # functions of a notebook cannot be pickled; calls with them count as different
        return repr(id(values)).encode()
