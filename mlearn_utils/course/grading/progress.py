"""The progress log: one small local file of JSON lines, appended to and never rewritten.

Every event is one `write` to a file opened with O_APPEND, then fsync: a crash loses at most the line being
written, and a torn line is passed over when reading, and counted. A class without a server hands in what
`Progress().export(path)` writes. Nothing here crashes over what a file holds or a folder refuses: it is told.
"""

import csv
import errno
import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ENVIRONMENT = "MLEARN_PROGRESS"
COLUMNS = ("time", "lesson", "kind", "name", "outcome", "points", "answer")
NO_HOME = "this user has no home folder"
KINDS = ("exercise", "quiz", "predict", "hint", "solution")


@dataclass
class LessonSummary:
    """What one lesson's events add up to.

    Attributes:
        passed: names of the exercises that passed at least once.
        tried: names of the exercises that were checked.
        points: points earned.
        correct: names of the quiz questions answered right at least once.
        answered: names of the quiz questions answered.
        hints: number of hints looked at.
    """

    passed: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    points: int = 0
    correct: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    hints: int = 0


class Progress:
    """The log at `path`, else at $MLEARN_PROGRESS, else at ~/.mlearn/progress.jsonl.

    Nothing is created before the first `record`. A relative path is that of the folder one is in now.

    Attributes:
        path: where the log is; None for a user who has no home folder and names no file.
    """

    def __init__(self, path: str | Path | None = None):
        chosen = Path(path or os.environ.get(ENVIRONMENT) or "~/.mlearn/progress.jsonl")
        try:
            self.path: Path | None = chosen.expanduser().absolute()
        except RuntimeError:  # no home folder
            self.path = None

    def record(
        self, lesson: str, kind: str, name: str, outcome: str, *, points: int = 0, answer: object = None
    ) -> None:
        """Append one event.

        Args:
            lesson: such as "04"; "" when it is not known.
            kind: "exercise", "quiz", "predict", "hint" or "solution".
            name: of the exercise, question or prediction.
            outcome: such as "passed", "correct", "shown".
            points: points earned by this event.
            answer: what was chosen; a number or text.

        Raises:
            ValueError: if `kind` is unknown.
            OSError: if the file cannot be written.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        if self.path is None:
            raise OSError(errno.ENOENT, NO_HOME)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        event = dict(zip(COLUMNS, (now, lesson, kind, name, outcome, points, answer), strict=True))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _append(self.path, json.dumps(event, ensure_ascii=False, default=str))

    def events(self) -> list[dict[str, Any]]:
        """Return all events, oldest first; lines that are torn or not ours are passed over."""
        return self.read()[0]

    def read(self) -> tuple[list[dict[str, Any]], str]:
        """Return all events, oldest first, and in words what of the log could not be read, "" if nothing."""
        try:
            text = self.path.read_text(encoding="utf-8-sig", errors="replace") if self.path else ""
        except (FileNotFoundError, NotADirectoryError):
            return [], ""
        except OSError as error:
            return [], f"The progress file `{self.path}` could not be read ({_reason(error)})."
        lines = [line for line in text.split("\n") if line.strip()]
        events = [event for event in map(_parse, lines) if event is not None]
        lost = len(lines) - len(events)
        was = "1 line was" if lost == 1 else f"{lost} lines were"
        return events, f"{was} passed over in `{self.path}`: torn, or not of this course." if lost else ""

    def summary(self) -> dict[str, LessonSummary]:
        """Return what was done in each lesson; every exercise and question counts once."""
        lessons: dict[str, LessonSummary] = {}
        for event in self.events():
            _count(lessons.setdefault(event["lesson"], LessonSummary()), event)
        return lessons

    def export(self, path: str | Path) -> Path:
        """Write all events to `path` as CSV or JSON, by its suffix; an existing file is replaced at once.

        Raises:
            ValueError: if the suffix is neither .csv nor .json.
            OSError: if the file cannot be written.
        """
        target = Path(path)
        writers = {".csv": _as_csv, ".json": _as_json}
        if target.suffix.lower() not in writers:
            raise ValueError(f"path must end in .csv or .json, got {str(path)!r}")
        _replace(target, writers[target.suffix.lower()](self.events()))
        return target


class Recorder:
    """Writes events and says once, in words for the student, when the log cannot be written."""

    def __init__(self, lesson: str = "", progress: Progress | None = None):
        self.lesson = lesson
        self.progress = progress or Progress()
        self._has_complained = False

    def note(self, kind: str, name: str, outcome: str, *, points: int = 0, answer: object = None) -> str:
        """Record an event; return "" or, the first time that it fails, what the student should know."""
        try:
            self.progress.record(self.lesson, kind, name, outcome, points=points, answer=answer)
        except OSError as error:
            if self._has_complained:
                return ""
            self._has_complained = True
            where = f" to `{self.progress.path}`" if self.progress.path else ""
            return (
                f"Your progress could not be saved{where} ({_reason(error)}); "
                f"set `{ENVIRONMENT}` to a file that can be written. Checking goes on without it."
            )
        return ""


_started: list[Recorder] = []


def start_recording(lesson: str) -> Recorder:
    """Return a recorder for a lesson; from now on it is also that of widgets which belong to none.

    A relative $MLEARN_PROGRESS is made absolute, so that it stays the same file wherever one goes.
    """
    recorder = Recorder(lesson)
    if os.environ.get(ENVIRONMENT) and recorder.progress.path:
        os.environ[ENVIRONMENT] = str(recorder.progress.path)
    _started[:] = [recorder]
    return recorder


def current_recorder() -> Recorder:
    """Return the recorder of the lesson that was started last, else one without a lesson."""
    return _started[0] if _started else Recorder()


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _append(path: Path, line: str) -> None:
    """Append `line` in one write; a torn last line of an earlier crash is closed first."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        end = os.lseek(handle, 0, os.SEEK_END)
        torn = end > 0 and _last_byte(handle, end) != b"\n"
        data = ("\n" * torn + line + "\n").encode("utf-8", "backslashreplace")
        if os.write(handle, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    finally:
        os.close(handle)


def _last_byte(handle: int, end: int) -> bytes:
    os.lseek(handle, end - 1, os.SEEK_SET)
    return os.read(handle, 1)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(event, dict) and event.get("kind") in KINDS
    if not known or not all(isinstance(event.get(key), str) for key in ("lesson", "name", "outcome")):
        return None
    points = event.get("points")
    return {**dict.fromkeys(COLUMNS), **event, "points": points if isinstance(points, int) else 0}


def _count(lesson: LessonSummary, event: dict[str, Any]) -> None:
    kind, name, outcome = event["kind"], event["name"], event["outcome"]
    if kind == "exercise":
        lesson.tried.add(name)
        if outcome == "passed" and name not in lesson.passed:
            lesson.passed.add(name)
            lesson.points += event["points"]
    elif kind == "quiz":
        lesson.answered.add(name)
        if outcome == "correct":
            lesson.correct.add(name)
    elif kind == "hint":
        lesson.hints += 1


def _as_csv(events: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([cell_of_table(event[key]) for key in COLUMNS] for event in events)
    return text.getvalue()


def cell_of_table(value: Any) -> Any:
    """Keep a spreadsheet from reading text as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _as_json(events: Iterable[dict[str, Any]]) -> str:
    return json.dumps(list(events), ensure_ascii=False, indent=1) + "\n"


def _replace(target: Path, text: str) -> None:
    """Write beside `target` and move into place, so that a crash leaves the old file or the new one."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
