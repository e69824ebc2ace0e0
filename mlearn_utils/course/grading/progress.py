"""The progress log: one small local file of JSON lines, appended to and never rewritten.

Every event is one `write` to a file opened with O_APPEND, then fsync: a crash loses at most the line being
written, and a torn line is passed over when reading, and counted. A class without a server hands in what
`Progress().export(path)` writes. Nothing here crashes over what a file holds or a folder refuses: it is told.
"""

import errno
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from mlearn_utils.course.grading.events import (
    COLUMNS,
    KINDS,
    Event,
    as_csv,
    as_json,
    clean_name,
    now,
    parse_line,
)

ENVIRONMENT = "MLEARN_PROGRESS"
NO_HOME = "this user has no home folder"
LONGEST_MESSAGE = 500


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
        self,
        lesson: str,
        kind: str,
        name: str,
        outcome: str,
        *,
        points: int = 0,
        answer: object = None,
        message: str = "",
    ) -> None:
        """Append one event.

        Args:
            lesson: such as "04"; "" when it is not known.
            kind: "exercise", "quiz", "predict", "hint" or "solution".
            name: of the exercise, question or prediction.
            outcome: such as "passed", "correct", "shown".
            points: points earned by this event.
            answer: what was chosen; a number or text.
            message: what the student was told; LONGEST_MESSAGE characters of it are kept.

        Raises:
            ValueError: if `kind` is unknown.
            OSError: if the file cannot be written.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        if self.path is None:
            raise OSError(errno.ENOENT, NO_HOME)
        told = message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"
        values = (now(), lesson, kind, name, outcome, points, answer, told)
        event = dict(zip(COLUMNS, values, strict=True))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _append(self.path, json.dumps(event, ensure_ascii=False, default=str))

    def events(self) -> list[Event]:
        """Return all events, oldest first; lines that are torn or not ours are passed over."""
        return self.read()[0]

    def read(self) -> tuple[list[Event], str]:
        """Return all events, oldest first, and in words what of the log could not be read, "" if nothing."""
        try:
            text = self.path.read_text(encoding="utf-8-sig", errors="replace") if self.path else ""
        except (FileNotFoundError, NotADirectoryError):
            return [], ""
        except OSError as error:
            return [], f"The progress file `{self.path}` could not be read ({reason(error)})."
        lines = [line for line in text.split("\n") if line.strip()]
        events = [event for event in map(parse_line, lines) if event is not None]
        lost = len(lines) - len(events)
        was = "1 line was" if lost == 1 else f"{lost} lines were"
        return events, f"{was} passed over in `{self.path}`: torn, or not of this course." if lost else ""

    def summary(self) -> dict[str, LessonSummary]:
        """Return what was done in each lesson; every exercise and question counts once."""
        lessons: dict[str, LessonSummary] = {}
        for event in self.events():
            _count(lessons.setdefault(event["lesson"], LessonSummary()), event)
        return lessons

    @property
    def student(self) -> str:
        """The name that was given for exports, "" if none was; it is kept in a text file beside the log."""
        try:
            return clean_name(self._student_file.read_text(encoding="utf-8-sig", errors="replace"))
        except OSError:
            return ""

    def remember(self, student: str) -> None:
        """Keep the student's name for the next export.

        Raises:
            OSError: if its file cannot be written.
        """
        self._student_file.parent.mkdir(parents=True, exist_ok=True)
        _replace(self._student_file, clean_name(student) + "\n")

    @property
    def _student_file(self) -> Path:
        if self.path is None:
            raise OSError(errno.ENOENT, NO_HOME)
        return self.path.with_name(f"{self.path.stem}.student.txt")

    def export(self, path: str | Path, student: str = "") -> Path:
        """Write all events to `path` as CSV or JSON, by its suffix; an existing file is replaced at once.

        Args:
            path: where to.
            student: whose they are; the name that is remembered by default.

        Raises:
            ValueError: if the suffix is neither .csv nor .json.
            OSError: if the file cannot be written.
        """
        target = Path(path)
        writers = {".csv": as_csv, ".json": as_json}
        if target.suffix.lower() not in writers:
            raise ValueError(f"path must end in .csv or .json, got {str(path)!r}")
        named = clean_name(student) or self.student
        _replace(target, writers[target.suffix.lower()](self.events(), named))
        return target


class Recorder:
    """Writes events and says once, in words for the student, when the log cannot be written."""

    def __init__(self, lesson: str = "", progress: Progress | None = None):
        self.lesson = lesson
        self.progress = progress or Progress()
        self._has_complained = False

    def note(
        self,
        kind: str,
        name: str,
        outcome: str,
        *,
        points: int = 0,
        answer: object = None,
        message: str = "",
    ) -> str:
        """Record an event; return "" or, the first time that it fails, what the student should know."""
        try:
            self.progress.record(
                self.lesson, kind, name, outcome, points=points, answer=answer, message=message
            )
        except OSError as error:
            if self._has_complained:
                return ""
            self._has_complained = True
            where = f" to `{self.progress.path}`" if self.progress.path else ""
            return (
                f"Your progress could not be saved{where} ({reason(error)}); "
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


def reason(error: OSError) -> str:
    """Return in words why the system refused."""
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


def _count(lesson: LessonSummary, event: Event) -> None:
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


def _replace(target: Path, text: str) -> None:
    """Write beside `target` and move into place, so that a crash leaves the old file or the new one."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
