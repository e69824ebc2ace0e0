"""The events of the progress log as text: a JSON line each, and the file that a student hands in.

That file says whose it is and which version of the course made it: as JSON {"student", "course", "version",
"exported", "events"}, as CSV in the first two columns of every row. It is a text that anybody can write, so
it may guide teaching, and proves nothing. `read_export` reads both, and the bare list of events of old.
"""

import csv
import hashlib
import importlib.metadata
import io
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]

COURSE = "mlearn-utils"
COLUMNS = ("time", "lesson", "kind", "name", "outcome", "points", "answer", "message")
KINDS = ("exercise", "quiz", "predict", "hint", "solution")
OWNER = ("student", "version")
TEXTS = ("lesson", "kind", "name", "outcome")
EXPORT = "mlearn-progress"
LONGEST_NAME, LONGEST_STEM = 60, 40
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NO_EXPORT = "it is no export of this course's progress panel"


@dataclass(frozen=True)
class Export:
    """What a file that was handed in holds.

    Attributes:
        student: the name that the student gave, "" in old exports.
        version: of the course that wrote the file, "" if it does not say.
        exported: when, as text; "" in old exports and in CSV.
        events: oldest first.
        lost: how many of its events are not of this course, or damaged.
    """

    student: str
    version: str
    exported: str
    events: list[Event]
    lost: int


def now() -> str:
    """Return the present time as events hold it, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moment(text: object) -> datetime | None:
    """Return the time that an event or export names, in UTC; None if it names none."""
    try:
        found = datetime.fromisoformat(text)  # type: ignore[arg-type]
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def course_version() -> str:
    """Return the version of the course that is installed, "" for a copy that was not installed."""
    try:
        return importlib.metadata.version(COURSE)
    except importlib.metadata.PackageNotFoundError:
        return ""


def clean_name(text: object) -> str:
    """Return a student's name in one line: no control or invisible characters, at most LONGEST_NAME."""
    whole = unicodedata.normalize("NFC", text) if isinstance(text, str) else ""
    shown = "".join(c for c in whole if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(shown.split())[:LONGEST_NAME].strip()


def file_stem(student: str) -> str:
    """Return the name of a student's export without its suffix: letters and digits of any script, and "-".

    Two names share it only if they differ in spaces and punctuation marks of names alone; where more had to
    go, a few digits of a checksum keep them apart.
    """
    name = clean_name(student)
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else "-" for c in name)
    short = re.sub("-+", "-", kept).strip("-")[:LONGEST_STEM].strip("-")
    is_whole = len(kept) <= LONGEST_STEM and all(
        mark == letter or mark in " _.,'’-" for mark, letter in zip(name, kept, strict=True)
    )
    sign = "" if is_whole else hashlib.sha256(name.encode()).hexdigest()[:6]
    return "-".join(part for part in (EXPORT, short, sign) if part)


def parse_event(event: object) -> Event | None:
    """Return an event with all of COLUMNS, or None if this is none."""
    if not isinstance(event, dict) or event.get("kind") not in KINDS:
        return None
    if not all(isinstance(event.get(key), str) for key in TEXTS):
        return None
    points, message = event.get("points"), event.get("message")
    checked = {
        "points": points if isinstance(points, int) else 0,
        "message": message if isinstance(message, str) else "",
    }
    return {**dict.fromkeys(COLUMNS), **event, **checked}


def parse_line(line: str) -> Event | None:
    """Return the event of a line of the log, or None if it is torn or not ours."""
    try:
        return parse_event(json.loads(line))
    except (ValueError, RecursionError):
        return None


def as_json(events: Iterable[Event], student: str) -> str:
    """Return the JSON text to hand in."""
    owner = {"student": student, "course": COURSE, "version": course_version(), "exported": now()}
    return json.dumps({**owner, "events": list(events)}, ensure_ascii=False, indent=1) + "\n"


def as_csv(events: Iterable[Event], student: str) -> str:
    """Return the CSV text to hand in; its first two columns say whose it is and which version wrote it."""
    text, version = io.StringIO(), course_version()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*OWNER, *COLUMNS))
    writer.writerows(
        [safe_cell(value) for value in (student, version, *(event[key] for key in COLUMNS))]
        for event in events
    )
    return text.getvalue()


def safe_cell(value: Any) -> Any:
    """Keep a spreadsheet from reading text as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def read_export(text: str) -> Export:
    """Read what `as_json` or `as_csv` wrote, now or in an earlier version.

    Raises:
        ValueError: if the text is no export; the message says why.
    """
    owner, events = (_from_json if text.lstrip()[:1] in ("[", "{") else _from_csv)(text)
    known = [event for event in map(parse_event, events) if event is not None]
    if events and not known:
        raise ValueError(NO_EXPORT)
    student, version, exported = (clean_name(owner.get(key)) for key in (*OWNER, "exported"))
    return Export(student, version, exported, known, len(events) - len(known))


def _from_json(text: str) -> tuple[dict[str, Any], list[Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{NO_EXPORT}: its JSON is damaged") from None
    owner = {"course": COURSE, "events": found} if isinstance(found, list) else found
    if not isinstance(owner.get("events"), list):
        raise ValueError(NO_EXPORT)
    if owner.get("course") != COURSE:
        raise ValueError("it is an export of another course")
    return owner, owner["events"]


def _from_csv(text: str) -> tuple[dict[str, Any], list[Any]]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if not {"time", *TEXTS} <= set(reader.fieldnames or ()):
            raise ValueError(NO_EXPORT)
        rows = [{key: _plain(key, value) for key, value in row.items()} for row in reader]
    except csv.Error:
        raise ValueError(f"{NO_EXPORT}: its CSV is damaged") from None
    return (rows[0] if rows else {}), rows


def _plain(key: object, value: Any) -> Any:
    """Return the value of a cell as it was before `safe_cell`; points as a number."""
    if key == "points":
        return int(value) if re.fullmatch(r"\d{1,9}", value or "", re.ASCII) else 0
    return value[1:] if isinstance(value, str) and value[:1] == "'" and value[1:2] in FORMULA else value
