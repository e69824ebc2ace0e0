"""From an exercise and a student's answer to a report: which of the four outcomes it is.

An exception belongs to the student when a frame of theirs is on its traceback: code that is neither in this
package, nor installed, nor in the checker's own file. Then the innermost such line is shown. Any other
exception is a mistake of the course and propagates, as KeyboardInterrupt always does.
"""

import inspect
import linecache
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import mlearn_utils
from mlearn_utils.course.grading.compare import describe
from mlearn_utils.course.grading.exercise import Exercise, NotYet
from mlearn_utils.course.grading.report import Outcome, Report, stable

_FOLDERS = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
LIBRARY_FOLDERS = (str(Path(mlearn_utils.__file__).parent), *sorted(_FOLDERS))

UNTOUCHED = "Nothing to check yet: write `{name}` above, run that cell, then run this one again."
PLANTED = "`{name}` is still as it was: find what is wrong, mend it, run that cell, then this one again."
HINT = '\nStuck? `lesson.hint("{name}")` gives one hint at a time.'


def grade(exercise: Exercise, answer: Any) -> Report:
    """Return the report on `answer`.

    Args:
        exercise: what was to be done.
        answer: the student's function, or whatever they passed instead.

    Raises:
        Exception: whatever the checker itself raises, with no frame of the student's code.
    """
    if not callable(answer):
        return _report(exercise, "not yet", _not_a_function(exercise, answer))
    if exercise.is_untouched(answer):
        return _report(exercise, "not attempted", _nothing_done(exercise))
    mismatch = _signature_mismatch(exercise, answer)
    if mismatch:
        return _report(exercise, "not yet", mismatch)
    try:
        praise = exercise.check(answer)
    except NotYet as error:
        return _report(exercise, "not yet", _sentence(stable(str(error))))
    except Exception as error:
        return _report_error(exercise, answer, error)
    return _report(exercise, "passed", _sentence(praise or ""))


def _report(
    exercise: Exercise, outcome: Outcome, message: str, line: int | None = None, source: str = ""
) -> Report:
    if outcome in ("not yet", "not attempted"):
        message += HINT.format(name=exercise.name)
    return Report(
        outcome, message, exercise.title, exercise.level, exercise.minutes, exercise.points, line, source
    )


def _report_error(exercise: Exercise, answer: Any, error: Exception) -> Report:
    """Report an exception that passed through the student's code; raise it again if it did not."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if _is_students(frame.filename, exercise, answer)]
    if not theirs:
        called = getattr(answer, "__qualname__", "")
        if isinstance(error, TypeError) and str(error).startswith(f"{called}() "):
            return _report(exercise, "not yet", f"{_expected_call(exercise)}: {stable(str(error))}.")
        raise error
    last = theirs[-1]
    source = linecache.getline(last.filename, last.lineno or 0).strip()
    raised_here = last is frames[-1] and (not source or "NotImplementedError" in source)
    if isinstance(error, NotImplementedError) and raised_here:
        return _report(exercise, "not attempted", _nothing_done(exercise))
    message = _error_message(error, last.lineno, source, last.name)
    return _report(exercise, "your code raised", message, last.lineno, source)


def _error_message(error: Exception, line: int | None, source: str, function: str) -> str:
    what = stable(f"{type(error).__name__}: {error}".removesuffix(": "))
    where = f"Line {line} of the cell, in `{function}`" + (f": `{source}`" if source else "")
    advice = "\nDoes the function call itself without an end?" if isinstance(error, RecursionError) else ""
    return f"{what}\n{where}{advice}"


def _is_students(filename: str, exercise: Exercise, answer: Any) -> bool:
    if filename == _file_of(exercise.check) or filename.startswith(LIBRARY_FOLDERS):
        return False
    if filename.startswith("<"):  # generated code, as of a dataclass, unless it is the answer itself
        return filename == _file_of(answer) or filename.startswith("<ipython-")
    return True


def _file_of(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else ""


def _signature_mismatch(exercise: Exercise, answer: Any) -> str:
    """Return what is wrong with the parameters of `answer`, "" if it can be called as the reference is."""
    try:
        mine, right = inspect.signature(answer), inspect.signature(exercise.reference)
    except (ValueError, TypeError):
        return ""  # a built-in without a signature: the call itself will tell
    needed = [p for p in right.parameters.values() if p.default is p.empty]
    by_place = [p for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = {p.name: p for p in needed if p.kind is p.KEYWORD_ONLY}
    try:
        mine.bind(*by_place, **by_name)
    except TypeError as error:
        return f"{_expected_call(exercise)}; yours takes `{_names(mine)}`: {error}."
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


def _nothing_done(exercise: Exercise) -> str:
    return (PLANTED if exercise.planted else UNTOUCHED).format(name=exercise.name)


def _sentence(text: str) -> str:
    """End with a stop, so that a checker's message may lack one."""
    text = text.strip()
    return text + "." if text and not text.endswith((".", "!", "?", ":", "`")) else text
