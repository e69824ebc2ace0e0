"""An exercise is data and two plain functions: the reference that solves it, and the checker of an answer.

The reference holds the solution between two marker lines, so that there is one copy of it::

    def inner_step(theta, support, inner_lr):
        '''One gradient step on the support set.'''
        ### BEGIN SOLUTION
        return theta - inner_lr * slope(theta, support)
        ### END SOLUTION

The student's stub is the same text with the marked block replaced by `raise NotImplementedError`, or, for a
planted bug, by the lines that follow the END marker and start with `#| `.
"""

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

BEGIN, END, PLANT = "### BEGIN SOLUTION", "### END SOLUTION", "#|"
TO_DO = 'raise NotImplementedError("your turn")'

Level = Literal["core", "explore", "research"]
LEVELS: tuple[str, ...] = get_args(Level)
Checker = Callable[[Any], str | None]


class NotYet(Exception):  # noqa: N818 (it is an answer to the student, not an error of the program)
    """Raised by a checker: the answer is not right yet. The message names the likely mistake."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise of a lesson.

    Attributes:
        reference: the solved function, with the marker lines; the student's function has the same name.
        check: takes the student's function; raises `NotYet`, or returns None or a sentence of praise. A
            `Trial` without a reference gets this one.
        title: what the student reads above the report.
        level: "core", "explore" or "research".
        minutes: the time a student should need.
        points: what a passed answer counts.
        hints: shown one at a time, from a nudge to almost the answer; at least two.
        planted: the stub is running code with a bug to find, so untouched code is "not attempted".
        writes: names of the parameters that a right answer changes in place, such as a Q-table.

    Raises:
        ValueError: if the level is unknown, minutes or points are not positive, or hints are missing.
    """

    reference: Callable[..., Any]
    check: Checker
    title: str
    level: Level
    minutes: int
    points: int
    hints: tuple[str, ...]
    planted: bool = False
    writes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if getattr(self.check, "reference", self) is None:
            object.__setattr__(self, "check", replace(self.check, reference=self.reference))  # type: ignore[type-var]
        if not self.title:
            raise ValueError(f"title of exercise {self.name} must not be empty")
        if self.level not in LEVELS:
            raise ValueError(f"level of exercise {self.name} must be one of {LEVELS}, got {self.level!r}")
        for field in ("minutes", "points"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{field} of exercise {self.name} must be an integer >= 1, got {value!r}")
        if not isinstance(self.hints, tuple) or len(self.hints) < 2 or not all(self.hints):
            raise ValueError(f"hints of exercise {self.name} must be a tuple of two or more texts")

    @property
    def name(self) -> str:
        """The name of the function that the student writes."""
        return self.reference.__name__

    def solved_source(self) -> str:
        """Return the reference's source without markers and planted lines."""
        return _rewrite(self._source(), solved=True)

    def stub_source(self) -> str:
        """Return what the student starts from."""
        return _rewrite(self._source(), solved=False)

    @property
    def has_solution(self) -> bool:
        """Whether there is one to show: a class's edition of the course has none."""
        return self.solved_source() != self.stub_source()

    def stub(self) -> Callable[..., Any]:
        """Compile the stub in the namespace of the lesson's module and return the function (for tests)."""
        source, filename = self.stub_source(), f"<stub of {self.name}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        namespace = dict(inspect.unwrap(self.reference).__globals__)
        exec(compile(source, filename, "exec"), namespace)
        return namespace[self.name]

    def is_untouched(self, answer: object) -> bool:
        """Return True if `answer` is the stub, up to its name, comments, layout and docstring."""
        try:
            written = skeleton(inspect.getsource(answer))  # type: ignore[arg-type]
        except KeyboardInterrupt:
            raise
        except BaseException:
            return False  # no source to compare: whoever made it did more than leave the stub alone
        return written == self._stub_skeleton

    @cached_property
    def _stub_skeleton(self) -> str:
        return skeleton(self.stub_source())

    def _source(self) -> str:
        return textwrap.dedent(inspect.getsource(inspect.unwrap(self.reference)))


def find_exercise(exercises: tuple[Exercise, ...], name: str) -> Exercise:
    """Return the exercise called `name`.

    Raises:
        ValueError: if there is none; the message lists those there are.
    """
    for exercise in exercises:
        if exercise.name == name:
            return exercise
    known = ", ".join(exercise.name for exercise in exercises) or "none"
    raise ValueError(
        f"there is no exercise {name!r} in this lesson; its exercises are: {known}. To check a function of "
        'another name: lesson.check(answer, "name")'
    )


def _rewrite(source: str, *, solved: bool) -> str:
    """Turn a reference's source into the solution's or the stub's.

    Raises:
        ValueError: if the markers are missing or do not pair up.
    """
    head, *blocks = source.split(BEGIN)
    if not blocks or any(block.count(END) != 1 for block in blocks):
        raise ValueError(f"a reference needs {BEGIN!r} ... {END!r} around its solution, got:\n{source}")
    text = head
    for block in blocks:
        indent = text[text.rindex("\n") + 1 :]
        solution, rest = block.split(END)
        planted, rest = _split_planted(rest)
        # the solution's last line holds the indent of the END marker, and the head ends with BEGIN's
        body = solution[1:].rstrip(" ") if solved else _stub_lines(planted, indent)
        text = text[: len(text) - len(indent)] + body + rest
    return text.rstrip() + "\n"


def withheld(source: str) -> str:
    """Return the source of a module in which the stub's lines stand in the place of every solution."""
    text, *blocks = source.split(BEGIN)
    for block in blocks:
        indent = text[text.rindex("\n") + 1 :]
        solution, rest = block.split(END)
        planted, _ = _split_planted(rest)
        closing = solution[solution.rindex("\n") + 1 :]  # END may be indented further than BEGIN
        text += f"{BEGIN}\n{_stub_lines(planted, indent)}{closing}{END}{rest}"
    return text


def _split_planted(rest: str) -> tuple[list[str], str]:
    """Split what follows an END marker into the planted lines (uncommented) and the text after them."""
    lines = rest.removeprefix("\n").splitlines(keepends=True)
    count = 0
    while count < len(lines) and lines[count].lstrip().startswith(PLANT):
        count += 1
    planted = [line.strip().removeprefix(PLANT).removeprefix(" ") for line in lines[:count]]
    return planted, "".join(lines[count:])


def _stub_lines(planted: list[str], indent: str) -> str:
    return "".join(f"{indent}{line}".rstrip() + "\n" for line in planted or [TO_DO])


def skeleton(source: str) -> str:
    """Return the syntax tree of the function in `source` as text, without its name and docstring."""
    tree = ast.parse(textwrap.dedent(source))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.name = "_"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
