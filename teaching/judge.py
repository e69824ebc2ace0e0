"""The verdict on an answer: its statements run in a child process, and the course's checker judges there.

Student's code and checker share that process, since a checker differentiates through an answer. So the text
is screened before, the process is limited and watched, and what it tries on the system is stopped by an
audit hook, which Python code cannot take out again.
"""

import ast
import linecache
import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from children import Ended, limit, run_all
from excerpt import Excerpt, Statement, excerpt, read_cells
from screen import Finding, patches, screen

import mlearn_utils
from mlearn_utils.course.grading import grade as grading
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.report import Report

LONGEST = 4000  # characters of a message
MISSING = "Nothing in the notebook defines `{name}`."
REFUSED = "Refused: {what}. The answer must be your own, and leave alone what is not its own."
SLOW = "It took more than the {seconds:g} seconds that an answer has here; is there a loop without an end?"
ENDED = "The answer ended the Python that ran it ({how})."
STOPPED = "An answer may not do that here: {event}"

ROOT = Path(mlearn_utils.__file__).resolve().parents[1]
ACTS = (
    *(
        f"{word}."
        for word in ("os", "shutil", "subprocess", "socket", "ctypes", "mmap", "fcntl", "pty", "signal")
    ),
    *(f"{word}." for word in ("resource", "syslog", "ftplib", "smtplib", "urllib", "http", "sqlite3", "gc")),
    *("code.__new__", "sys.settrace", "sys.setprofile", "sys.addaudithook", "cpython.run_"),
)
"""How the audit events begin that an answer has no use for."""

HARMLESS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.putenv", "os.unsetenv", "os.getxattr"}
IN_SCRATCH = {"os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.chmod", "os.truncate", "shutil.rmtree"}
"""What is harmless, and what is so in an answer's own folder."""

READABLE = tuple(
    f"{Path(folder).resolve()}{os.sep}"
    for folder in (
        *(sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()),
        *(
            Path(torch.__file__).parents[1],
            ROOT / "mlearn_utils",
            ROOT / "mlearn_utils.egg-info",
            ROOT / "data",
        ),
        *("/dev", "/proc/self", "/usr/share", "/etc", "/sys/devices/system/cpu"),
    )
)
"""Folders that libraries read from."""


@dataclass
class Verdict:
    """What came of one exercise.

    Attributes:
        exercise: the exercise.
        report: what the student reads.
        flags: what a human should look at.
    """

    exercise: Exercise
    report: Report
    flags: list[str] = field(default_factory=list)


def judge(
    exercises: tuple[Exercise, ...], cells: tuple[str, ...], seconds: float, memory: float
) -> list[Verdict]:
    """Return a verdict on every exercise of a lesson, in order.

    Args:
        exercises: of the lesson.
        cells: the sources of a notebook's code cells, in order.
        seconds: of the processor that an answer may take; twice that by the clock.
        memory: megabytes that it may claim.
    """
    statements, broken = read_cells(cells)
    verdicts, jobs = {}, []
    for exercise in exercises:
        found = excerpt(statements, broken, exercise)
        findings = screen(pairs(found.statements), exercise.name, _own_names(exercise))
        flags = [str(finding) for finding in findings]
        told = _before_running(exercise, found, findings)
        verdicts[exercise.name] = Verdict(exercise, told or _report(exercise, "not attempted", ""), flags)
        if told is None:
            jobs.append((exercise.name, (exercise, found.statements, cells, seconds, memory)))
    with tempfile.TemporaryDirectory(prefix="answers-") as scratch:
        run = [(name, partial(_run, *job, scratch)) for name, job in jobs]
        for name, ended in run_all(run, seconds=2 * seconds + 1):
            verdict = verdicts[name]
            verdict.report, more = _after_running(verdict.exercise, ended, seconds)
            verdict.flags += more
    ran = {id(s.node) for e in exercises for s in excerpt(statements, broken, e).statements}
    rest = [(s.node, s.cell) for s in statements if id(s.node) not in ran]
    listed = list(verdicts.values())
    listed[0].flags += [str(finding) for finding in patches(rest)]
    return listed


def pairs(statements: tuple[Statement, ...]) -> list[tuple[ast.stmt, int]]:
    """Return the syntax tree and the cell's number of statements, as `screen` takes them."""
    return [(statement.node, statement.cell) for statement in statements]


def _before_running(exercise: Exercise, found: Excerpt, findings: list[Finding]) -> Report | None:
    """Return the report on what needs no running, None if the answer is to be run."""
    if found.broken:
        return _report(exercise, "your code raised", found.broken)
    if not found.statements:
        return _report(exercise, "not attempted", MISSING.format(name=exercise.name))
    refused = [finding for finding in findings if finding.refused]
    if refused:
        return _report(exercise, "not yet", REFUSED.format(what=refused[0]))
    return None


def _after_running(exercise: Exercise, ended: Ended, seconds: float) -> tuple[Report, list[str]]:
    """Return the report on an answer that was run, and what to look at."""
    flags = sorted(set(ended.notes))
    if ended.result is not None:
        outcome, message, line, source = ended.result
        if flags and outcome == "passed":  # it tried what an answer has no use for
            return _report(exercise, "not yet", REFUSED.format(what=flags[0])), flags
        return _report(exercise, outcome, message[:LONGEST], line, source[:LONGEST]), flags
    if ended.how == "slow":
        return _report(exercise, "your code raised", SLOW.format(seconds=seconds)), flags
    return _report(exercise, "your code raised", ENDED.format(how=ended.how)), [*flags, f"ended: {ended.how}"]


def _report(
    exercise: Exercise, outcome: Any, message: str, line: int | None = None, source: str = ""
) -> Report:
    facts = exercise.title, exercise.level, exercise.minutes, exercise.points
    return Report(outcome, message, *facts, line=line, source=source)


def _own_names(exercise: Exercise) -> set[str]:
    """Return the names that an exercise's own solution uses: of these the answer may make use, too."""
    tree = ast.parse(exercise.solved_source() + "\n" + exercise.stub_source())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return (names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}) - {
        exercise.name
    }


def _run(
    exercise: Exercise,
    statements: tuple[Statement, ...],
    cells: tuple[str, ...],
    seconds: float,
    memory: float,
    scratch: str,
    tell: Callable[[str], None],
) -> tuple[str, str, int | None, str]:
    """Run an answer and its check, in a child process; return outcome, message, line and source."""
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    os.chdir(scratch)
    sys.path[:] = [path for path in sys.path if Path(path).resolve() not in (ROOT, *ROOT.iterdir())]
    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    grading.LIBRARY_FOLDERS += (
        f"{Path(__file__).resolve().parent}{os.sep}",
    )  # no line of ours is the student's
    limit(seconds, memory)
    _watch(scratch, tell)
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    for statement in statements:
        filename = f"<ipython-input-{statement.cell + 1}>"
        text = cells[statement.cell]
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    try:
        for statement in statements:
            code = compile(ast.Module([statement.node], []), f"<ipython-input-{statement.cell + 1}>", "exec")
            exec(code, namespace)
    except BaseException as error:
        return _raised_before(error)
    report = grading.grade(exercise, namespace.get(exercise.name))
    return report.outcome, report.message, report.line, report.source


def _raised_before(error: BaseException) -> tuple[str, str, int | None, str]:
    """Return what to say if the cell itself raises, before there is a function to check."""
    trace, line, source = error.__traceback__, None, ""
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if filename.startswith("<ipython-"):
            line, source = trace.tb_lineno, linecache.getline(filename, trace.tb_lineno).strip()
        trace = trace.tb_next
    where = f"\nLine {line} of the cell: `{source}`" if line else ""
    return "your code raised", f"{type(error).__name__}: {str(error)[:600]}{where}", line, source


def _watch(scratch: str, tell: Callable[[str], None]) -> None:
    """From here on, stop and report what touches files, processes or the network."""
    busy, scratch = False, f"{os.path.realpath(scratch)}{os.sep}"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:
            return
        if event != "open" and (not event.startswith(ACTS) or event in HARMLESS):
            return
        busy = True  # what is asked here may raise events of its own
        try:
            what = (
                _of_open(scratch, *arguments[:3]) if event == "open" else _of_act(scratch, event, arguments)
            )
            if what:
                tell(f"tried to use {what}")
        finally:
            busy = False
        if what:
            raise PermissionError(STOPPED.format(event=what))

    sys.addaudithook(hook)


def _of_open(scratch: str, path: Any, mode: Any, flags: Any) -> str:
    """Return in words which opening of a file is stopped, "" for one that is not."""
    if isinstance(path, int) or path == os.devnull:
        return ""
    name = os.path.realpath(os.fsdecode(path))
    to_write = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    writes = (isinstance(flags, int) and flags & to_write) or set(str(mode or "")) & set("wax+")
    if name.startswith(scratch) or (not writes and name.startswith(READABLE)):
        return ""
    return f"a file{' for writing' if writes else ''} ({name[:200]})"


def _of_act(scratch: str, event: str, arguments: tuple[Any, ...]) -> str:
    """Return the event that is stopped, "" for one that only touches the answer's own folder."""
    paths = [os.path.realpath(os.fsdecode(a)) for a in arguments if isinstance(a, str | bytes | os.PathLike)]
    if event in IN_SCRATCH and paths and all(f"{path}{os.sep}".startswith(scratch) for path in paths):
        return ""
    return event
