"""The verdict on an answer: its statements run in a child process, and the course's checker judges there.

Student's code and checker share that process, since a checker differentiates through an answer. So the text
is screened before, the process is limited and watched, and what it tries on the system is stopped by an
audit hook, which Python code cannot take out again.
"""

import ast
import inspect
import linecache
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from children import Ended, limit, run_all
from excerpt import Excerpt, Statement, excerpt, read_cells
from screen import Finding, patches, screen
from submissions import show

import mlearn_utils
from mlearn_utils.course.grading import grade as grading
from mlearn_utils.course.grading.answer import text_of
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.report import ICONS, Report

LONGEST, LONGEST_FLAG, MOST_FLAGS = 4000, 300, 20  # characters of a message, of a flag; flags of an answer
NOT_WRITTEN = "`{name}` was not written, or not to its end."
MISSING = "Nothing in the notebook defines `{name}`."
REFUSED = (
    "Refused: {what}. The answer must be your own, and leave alone what is not its own. If you think that "
    "this is a mistake, talk to your teacher."
)
SLOW = "It took more than the {seconds:g} seconds that an answer has here; is there a loop without an end?"
ENDED = "The answer ended the Python that ran it ({how})."
STOPPED = "An answer may not do that here: {event}"

ROOT = Path(mlearn_utils.__file__).resolve().parents[1]
ROOMS = "os shutil subprocess socket ctypes mmap fcntl pty signal resource syslog ftplib smtplib urllib http"
ACTS = (
    *(f"{room}." for room in f"{ROOMS} sqlite3 gc".split()),
    *("code.__new__", "sys.settrace", "sys.setprofile", "sys.addaudithook", "cpython.run_"),
    "pickle.find_class",
)
"""How the audit events begin that an answer has no use for."""

HARMLESS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.putenv", "os.unsetenv", "os.getxattr"}
IN_SCRATCH = {"os.mkdir", "os.remove", "os.rmdir", "os.rename"}
"""What is harmless, and what is so in an answer's own folder."""

KEPT_BACK = re.compile(r"mlearn_utils\.course\.(lesson_\d\d\.(exercises|mistakes)|lessons)")
"""Modules of the course that an answer cannot import."""

WAYS_OUT = "mknod mkfifo setsid setpgid setpgrp pidfd_open setuid"
DOORS = {
    **dict.fromkeys(("os", "posix"), WAYS_OUT),
    **dict.fromkeys(("torch", "torch._C._VariableFunctions"), "from_file"),
    "_posixsubprocess": "fork_exec",
    "subprocess": "_fork_exec",
    "signal": "pidfd_send_signal",
}
"""Module -> functions that get out without an audit event."""

READABLE = tuple(
    f"{Path(folder).resolve()}{os.sep}"
    for folder in (
        *(sys.prefix, sys.base_prefix, Path(torch.__file__).parents[1], *sysconfig.get_paths().values()),
        *(ROOT / "mlearn_utils", ROOT / "mlearn_utils.egg-info", ROOT / "data"),
        *("/dev", "/usr/share", "/etc", "/sys/devices/system/cpu"),
    )
)
READABLE_FILES = {"/proc/stat", "/proc/cpuinfo", "/proc/meminfo"}
"""Folders and files that libraries read from."""


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
    verdicts, jobs, ran = {}, [], set()
    for exercise in exercises:
        found = excerpt(statements, broken, exercise)
        ran |= {id(statement.node) for statement in found.statements}
        findings = screen(pairs(found.statements), exercise.name, own_names(exercise))
        flags = [_told(finding, cells) for finding in findings[:MOST_FLAGS]]
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
    rest = [(s.node, s.cell) for s in statements if id(s.node) not in ran]
    listed = list(verdicts.values())
    listed[0].flags += [_told(finding, cells) for finding in patches(rest)[:MOST_FLAGS]]
    return listed


def pairs(statements: tuple[Statement, ...]) -> list[tuple[ast.stmt, int]]:
    """Return the syntax tree and the cell's number of statements, as `screen` takes them."""
    return [(statement.node, statement.cell) for statement in statements]


def _told(finding: Finding, cells: tuple[str, ...]) -> str:
    """Return a finding with the line that it is about, since nobody counts cells."""
    lines = cells[finding.cell].splitlines()
    line = lines[finding.line - 1].strip()[:80] if finding.line <= len(lines) else ""
    where = f"line {finding.line} of code cell {finding.cell + 1}"
    return show(f"{finding.what} in `{line}` ({where})")[:LONGEST_FLAG]


def is_result(result: Any) -> bool:
    """Return whether a child sent what a verdict is made of: outcome, message, line and source."""
    if not isinstance(result, list) or len(result) != 4:
        return False
    outcome, message, line, source = result
    known = outcome in ICONS if isinstance(outcome, str) else False
    return known and isinstance(message, str) and isinstance(source, str) and isinstance(line, int | None)


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
    flags = [show(note)[:LONGEST_FLAG] for note in sorted(set(ended.notes))[:MOST_FLAGS]]
    if is_result(ended.result):
        outcome, message, line, source = ended.result
        if flags and outcome == "passed":  # it tried what an answer has no use for
            return _report(exercise, "not yet", REFUSED.format(what=flags[0])), flags
        if outcome == "not attempted":  # the checker's own sentence speaks of cells to run
            message = NOT_WRITTEN.format(name=exercise.name)
        return _report(exercise, outcome, message[:LONGEST], line, source[:LONGEST]), flags
    if ended.how == "slow":
        return _report(exercise, "your code raised", SLOW.format(seconds=seconds)), flags
    return _report(exercise, "your code raised", ENDED.format(how=ended.how)), [*flags, f"ended: {ended.how}"]


def _report(
    exercise: Exercise, outcome: Any, message: str, line: int | None = None, source: str = ""
) -> Report:
    facts = exercise.title, exercise.level, exercise.minutes, exercise.points
    return Report(outcome, message, *facts, line=line, source=source)


def own_names(exercise: Exercise) -> set[str]:
    """Return what of the course an exercise's own solution uses: of these the answer may make use, too."""
    tree = ast.parse(exercise.solved_source() + "\n" + exercise.stub_source())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {exercise.name}
    known = inspect.unwrap(exercise.reference).__globals__
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return used | {known[name].__name__ for name in used if isinstance(known.get(name), ModuleType)}


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
    own = f"{Path(__file__).resolve().parent}{os.sep}"
    grading.LIBRARY_FOLDERS += (own,)  # no line of ours is the student's
    limit(seconds, memory)
    _take_away(exercise)
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


def _take_away(exercise: Exercise) -> None:
    """Take from this process what an answer could use to pass or to get out, without an audit event."""
    exercise.is_untouched(_take_away)  # what this asks first is remembered, and needs the source
    for name in [name for name in sys.modules if KEPT_BACK.fullmatch(name)]:
        above, _, last = name.rpartition(".")
        vars(sys.modules[above]).pop(last, None)
        del sys.modules[name]
    for module, names in DOORS.items():
        for name in names.split() if module in sys.modules else ():
            vars(sys.modules[module]).pop(name, None)


def _raised_before(error: BaseException) -> tuple[str, str, int | None, str]:
    """Return what to say if the cell itself raises, before there is a function to check."""
    trace, line, source = error.__traceback__, None, ""
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if filename.startswith("<ipython-"):
            line, source = trace.tb_lineno, linecache.getline(filename, trace.tb_lineno).strip()
        trace = trace.tb_next
    where = f"\nLine {line} of the cell: `{source}`" if line else ""
    return "your code raised", f"{type(error).__name__}: {text_of(error)}{where}", line, source


def _watch(scratch: str, tell: Callable[[str], None]) -> None:
    """From here on, stop and report what touches files, processes or the network."""
    busy, scratch = False, f"{os.path.realpath(scratch)}{os.sep}"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:
            return
        if event == "import":
            if KEPT_BACK.fullmatch(str(arguments[0])):
                tell(f"tried to import {arguments[0]}")
                raise ImportError(STOPPED.format(event=f"import of {arguments[0]}"))
            return
        if event != "open" and (not event.startswith(ACTS) or event in HARMLESS):
            return
        busy = True  # what is asked here may raise events of its own
        try:
            ask = _of_open if event == "open" else _of_act
            what = ask(scratch, event, arguments)
            if what:
                tell(f"tried to use {what}")
        finally:
            busy = False
        if what:
            raise PermissionError(STOPPED.format(event=what))

    sys.addaudithook(hook)


def _of_open(scratch: str, event: str, arguments: tuple[Any, ...]) -> str:
    """Return in words which opening of a file is stopped, "" for one that is not."""
    path, mode, flags = arguments
    if isinstance(path, int):
        return ""
    name = _plain(path)
    if name == os.devnull:
        return ""
    to_write = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    writes = (isinstance(flags, int) and flags & to_write) or set(str(mode or "")) & set("wax+")
    may_read = (name.startswith(READABLE) and not os.path.isdir(name)) or name in READABLE_FILES  # noqa: PTH112
    if name.startswith(scratch) or (not writes and may_read):
        return ""
    return f"a file{' for writing' if writes else ''} ({name[:200]})"


def _of_act(scratch: str, event: str, arguments: tuple[Any, ...]) -> str:
    """Return the event that is stopped, "" for one that only touches the answer's own folder."""
    paths = [_plain(each) for each in arguments if isinstance(each, str | bytes | os.PathLike)]
    of_folders = [each for each in arguments[-2:] if isinstance(each, int) and each >= 0]  # or a mode
    if event == "os.mkdir":
        of_folders = [each for each in arguments[-1:] if each != -1]
    inside = paths and all(f"{path}{os.sep}".startswith(scratch) for path in paths)
    return "" if event in IN_SCRATCH and inside and not of_folders else event


def _plain(path: Any) -> str:
    """Return the real path of what an event names, whatever an object of a class of its own says."""
    path = os.fspath(path)
    plain = (
        str.__str__(path) if isinstance(path, str) else bytes.__bytes__(path).decode(errors="surrogateescape")
    )
    return os.path.realpath(str.__getitem__(plain, slice(None)) + "")
