"""Child processes that are watched from outside: each has its time, and none can take the others with it.

A child is forked, so that what was imported before costs nothing again. It runs one function and sends what
that returns, as JSON, through a pipe of its own. When its time is over, or it has ended, all that is left of
its process group is killed.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
MOST_SENT = 4_000_000  # bytes of an answer


@dataclass
class Ended:
    """How a child ended.

    Attributes:
        result: what its function returned, None if it did not get that far.
        how: "" for a result, else "slow", "killed by signal 9", "exit code 1", ...
        notes: what the child told before, line by line.
    """

    result: Any = None
    how: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class _Child:
    key: Any
    pid: int
    pipe: int
    deadline: float
    got: bytes = b""


Job = tuple[Any, Callable[[Callable[[str], None]], Any]]
"""A key, and a function that is given `tell`, by which it can send a note at any time."""


def run_all(jobs: Iterable[Job], *, seconds: float, at_once: int = 1) -> Iterator[tuple[Any, Ended]]:
    """Run every job in a child of its own, `at_once` of them; yield key and end of each as it ends."""
    waiting, running = iter(jobs), dict[int, _Child]()
    try:
        while True:
            while len(running) < at_once:
                job = next(waiting, None)
                if job is None:
                    break
                child = _start(job, seconds)
                running[child.pipe] = child
            if not running:
                return
            soonest = min(child.deadline for child in running.values())
            ready, _, _ = select.select(list(running), [], [], max(0.0, min(soonest - time.monotonic(), 1.0)))
            for child in list(running.values()):
                more = os.read(child.pipe, 1 << 16) if child.pipe in ready else None
                child.got += more or b""
                is_slow = time.monotonic() > child.deadline
                if more == b"" or is_slow or len(child.got) > MOST_SENT:
                    del running[child.pipe]
                    yield child.key, _end(child, is_slow=is_slow and more != b"")
    finally:
        for child in running.values():
            _end(child, is_slow=True)


def limit(seconds: float, megabytes: float, *, for_good: bool = True) -> None:
    """Limit this process: its time on the processor, its memory, its files, and no core dump.

    Memory is limited on Linux only, where it counts what is claimed beyond what the process has already.

    Args:
        seconds: of the processor.
        megabytes: of memory.
        for_good: children cannot have more; otherwise they may set limits of their own.
    """
    whole = int(seconds) + 1
    _set(resource.RLIMIT_CPU, whole, whole + 1 if for_good else None)  # SIGXCPU, then SIGKILL
    _set(resource.RLIMIT_CORE, 0, 0)
    _set(resource.RLIMIT_FSIZE, 1 << 20, 1 << 20)
    claimed = Path("/proc/self/statm")
    if sys.platform == "linux" and claimed.exists():
        most = int(claimed.read_text().split()[0]) * resource.getpagesize() + int(megabytes * 1e6)
        _set(resource.RLIMIT_AS, most, most if for_good else None)


def _set(which: int, soft: int, hard: int | None) -> None:
    """Set a limit; without `hard` that one stays, and none is set above what there is."""
    there = resource.getrlimit(which)[1]
    most = there if hard is None else hard
    if there != resource.RLIM_INFINITY:
        most = min(most, there) if most != resource.RLIM_INFINITY else there
    resource.setrlimit(which, (soft if most == resource.RLIM_INFINITY else min(soft, most), most))


def _start(job: Job, seconds: float) -> _Child:
    key, function = job
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _become(function, writer)
    os.close(writer)
    with contextlib.suppress(OSError):  # the child does it too, whoever comes first
        os.setpgid(pid, pid)
    return _Child(key, pid, reader, time.monotonic() + seconds)


def _become(function: Callable[[Callable[[str], None]], Any], writer: int) -> None:
    """Be the child: run the function, send what it returns behind a word that only this frame knows, end."""
    code = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # if whoever watches it is killed
        for number in (signal.SIGINT, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, writer)  # the pipes of others
        os.closerange(writer + 1, 4096)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
        word = os.urandom(16).hex()
        _send(writer, {"word": word})
        result = function(lambda note: _send(writer, {"word": word, "note": note}))
        _send(writer, {"word": word, "result": result})
        code = 0
    finally:
        os._exit(code)


def _send(writer: int, message: dict[str, Any]) -> None:
    data = (json.dumps(message) + "\n").encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(writer, data) :]


def _end(child: _Child, *, is_slow: bool) -> Ended:
    """Kill what is left of a child, and return how it ended."""
    for kill in (os.killpg, os.kill):  # it may have left its group, but not become another
        with contextlib.suppress(OSError):
            kill(child.pid, signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    os.close(child.pipe)
    ended = Ended(how="slow" if is_slow else _how(os.waitstatus_to_exitcode(status)))
    word = None
    for line in child.got.split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(line)
            if not isinstance(message, dict):
                continue
            word = word or message.get("word")
            if message.get("word") != word:
                ended.notes.append("wrote into the grader's pipe")
            elif "note" in message:
                ended.notes.append(str(message["note"]))
            elif "result" in message:
                ended.result, ended.how = message["result"], ""
    return ended


def _how(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "slow"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
