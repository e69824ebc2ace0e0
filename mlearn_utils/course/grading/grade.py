"""From an exercise and a student's answer to a report: which of the four outcomes it is.

There always is a report; only KeyboardInterrupt passes. What the student's function raises is shown with the
innermost line that is theirs. What a checker raises over a returned value is our mistake: the student reads
what was returned and what was expected, and the log `mlearn_utils.course` gets the exception.
"""

import inspect
import linecache
import logging
import os
import site
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import mlearn_utils
from mlearn_utils.course.grading.answer import (
    Answer,
    AnswerRaised,
    attempt,
    kept_random_state,
    text_of,
    usual_switches,
)
from mlearn_utils.course.grading.compare import describe
from mlearn_utils.course.grading.exercise import Exercise, NotYet
from mlearn_utils.course.grading.report import Outcome, Report, stable

log = logging.getLogger("mlearn_utils.course")
log.addHandler(logging.NullHandler())  # a notebook shows reports, not our log

_FOLDERS = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_FOLDERS |= {str(Path(mlearn_utils.__file__).parent), site.getusersitepackages(), *site.getsitepackages()}
LIBRARY_FOLDERS = tuple(sorted(f"{folder}{os.sep}" for folder in _FOLDERS))

UNTOUCHED = "Nothing to check yet: write `{name}` above, run that cell, then run this one again."
PLANTED = "`{name}` is still as it was: find what is wrong, mend it, run that cell, then this one again."
UNFINISHED = "Not finished yet: line {line} of the cell, in `{function}`, raises NotImplementedError."
HINT = '\nStuck? `lesson.hint("{name}")` gives one hint at a time.'


def grade(exercise: Exercise, answer: Any) -> Report:
    """Return the report on `answer`, the student's function or whatever they passed instead."""
    guarded = Answer(answer, exercise.reference, exercise.writes)
    try:
        with kept_random_state(), usual_switches():
            return _graded(exercise, answer, guarded)
    except NotYet as error:
        return _report(exercise, "not yet", _sentence(stable(str(error))))
    except AnswerRaised as raised:
        return _report_error(exercise, answer, raised.error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        ours = {_file_of(exercise.check), _file_of(exercise.reference)}
        if any(frame.filename not in ours for frame in _own_frames(error, answer)):
            # such as a method of an object that the answer returned
            return _report_error(exercise, answer, error)
        return _report_fault(exercise, guarded, error)


def _graded(exercise: Exercise, answer: Any, guarded: Answer) -> Report:
    if not callable(answer):
        return _report(exercise, "not yet", _not_a_function(exercise, answer))
    is_untouched = exercise.is_untouched(answer)
    if is_untouched and not exercise.planted:
        return _report(exercise, "not attempted", UNTOUCHED.format(name=exercise.name))
    mismatch = _signature_mismatch(exercise, answer)
    if mismatch:
        return _report(exercise, "not yet", mismatch)
    try:
        praise = exercise.check(guarded)
        guarded.check_randomness()
    except (NotYet, AnswerRaised):
        if is_untouched:  # a bug may also be mended in what the function uses
            return _report(exercise, "not attempted", PLANTED.format(name=exercise.name))
        raise
    return _report(exercise, "passed", _sentence(praise or ""))


def _report(
    exercise: Exercise,
    outcome: Outcome,
    message: str,
    line: int | None = None,
    source: str = "",
    fault: str = "",
) -> Report:
    if outcome in ("not yet", "not attempted"):
        message += HINT.format(name=exercise.name)
    facts = exercise.title, exercise.level, exercise.minutes, exercise.points
    return Report(outcome, message, *facts, line=line, source=source, fault=fault)


def _report_error(exercise: Exercise, answer: Any, error: BaseException) -> Report:
    """Report what the student's function raised; `issubclass`, since an error may lie about its class."""
    theirs = _own_frames(error, answer)
    what = stable(f"{type(error).__name__}: {text_of(error)}".removesuffix(": "))
    if not theirs:
        if issubclass(type(error), TypeError) and f"{_name(answer)}() " in what:
            return _report(exercise, "not yet", f"{_expected_call(exercise)}: {text_of(error)}.")
        where = f"It was raised where `{exercise.name}` was called, outside of the lines that you wrote."
        return _report(exercise, "your code raised", f"{what}\n{where}")
    last = theirs[-1]
    source = linecache.getline(last.filename, last.lineno or 0).strip()
    if issubclass(type(error), NotImplementedError) and (not source or "NotImplementedError" in source):
        message = UNFINISHED.format(line=last.lineno, function=last.name)
        return _report(exercise, "not attempted", message, last.lineno, source)
    where = f"Line {last.lineno} of the cell, in `{last.name}`" + (f": `{source}`" if source else "")
    advice = (
        "\nDoes the function call itself without an end?" if issubclass(type(error), RecursionError) else ""
    )
    return _report(exercise, "your code raised", f"{what}\n{where}{advice}", last.lineno, source)


def _report_fault(exercise: Exercise, guarded: Answer, error: BaseException) -> Report:
    """Report that a checker could not deal with a returned value, and log why."""
    log.error("the check of %s raised over what was returned", exercise.name, exc_info=error)
    try:
        returned, expected = describe(guarded.returned), describe(guarded.expected())
        message = f"The check could not use what `{exercise.name}` returned: {returned}, expected {expected}."
    except Exception:  # a value that cannot even be described
        message = f"The check could not use what `{exercise.name}` returned."
    fault = f"{type(error).__name__}: {text_of(error)}".removesuffix(": ")
    return _report(exercise, "not yet", stable(message), fault=stable(fault))


def _own_frames(error: BaseException, answer: Any) -> list[traceback.FrameSummary]:
    """Return the frames of the student's own code on the traceback of `error`, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if _is_students(frame.filename, answer)]


def _is_students(filename: str, answer: Any) -> bool:
    """Return whether a line of `filename` is the student's: of a cell, or of a file that is not installed.

    Generated code ("<string>", as of a dataclass) and sources that a compiled library names without shipping
    them ("numpy/random/_generator.pyx") are nobody's.
    """
    if filename.startswith(LIBRARY_FOLDERS):
        return False
    if filename == _file_of(answer):
        return True
    path = Path(filename)
    return filename.startswith("<ipython-") or (
        path.is_absolute() and (filename in linecache.cache or path.exists())
    )


def _file_of(function: Any) -> str:
    return str(attempt(lambda: inspect.unwrap(function).__code__.co_filename, ""))


def _name(answer: Any) -> str:
    return str(attempt(lambda: answer.__qualname__, ""))


def _signature_mismatch(exercise: Exercise, answer: Any) -> str:
    """Return what is wrong with the parameters of `answer`, "" if it can be called as the reference is."""
    mine, right = attempt(lambda: inspect.signature(answer), None), inspect.signature(exercise.reference)
    if mine is None:  # a built-in without a signature: the call itself will tell
        return ""
    needed = [p for p in right.parameters.values() if p.default is p.empty]
    by_place = [p for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = {p.name: p for p in needed if p.kind is p.KEYWORD_ONLY}
    try:
        mine.bind(*by_place, **by_name)
    except TypeError as error:
        return f"{_expected_call(exercise)}; yours takes `{_names(mine)}`: {error}."
    order = [p.name for p in by_place]
    if sorted(mine.parameters) == sorted(order) and list(mine.parameters) != order:
        return f"{_expected_call(exercise)}, in this order; yours takes `{_names(mine)}`."
    return ""


def _expected_call(exercise: Exercise) -> str:
    return f"`{exercise.name}` should take `{_names(inspect.signature(exercise.reference))}`"


def _names(signature: inspect.Signature) -> str:
    """Return a signature as text without its annotations."""
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(inspect.Signature(bare))


def _not_a_function(exercise: Exercise, answer: Any) -> str:
    return (
        f"`{exercise.name}` should be a function, got {describe(answer)}: "
        f"pass the function itself, `lesson.check({exercise.name})`, without calling it."
    )


def _sentence(text: str) -> str:
    """End with a stop, so that a checker's message may lack one."""
    text = text.strip()
    return text + "." if text and not text.endswith((".", "!", "?", ":")) else text
