"""The exports of a class: found in a folder or an archive, read, and one kept for each student.

Whatever cannot be read is named with the reason, and the rest is read. Nothing is unpacked, and no link is
followed: a file that was handed in may be anything.
"""

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mlearn_utils.course.grading.events import (
    EXPORT,
    LONGEST_NAME,
    Export,
    clean_name,
    course_version,
    file_stem,
    moment,
    read_export,
)
from mlearn_utils.course.grading.report import plural

LARGEST = 5_000_000
"""Bytes of one file: a thousand tries take a tenth of it."""
MOST = 2000
"""Files in one archive."""
SAME = 5
"""Different seconds that two exports must share to look like one: a class that runs all cells shares some."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)

Found = tuple[str, bytes | str]
"""The name of a file, and what it holds, or why that was not read."""


@dataclass(frozen=True)
class HandedIn:
    """An export, its file's name, and whether the student had to be called after that."""

    file: str
    export: Export
    is_nameless: bool

    @property
    def key(self) -> str:
        """What makes two names one student: spaces, punctuation marks and capitals do not count."""
        return file_stem(self.export.student).casefold()

    @property
    def time(self) -> datetime:
        """When it was exported, or else the time of its last event."""
        last = max((moment(e["time"]) or LONG_AGO for e in self.export.events), default=LONG_AGO)
        return moment(self.export.exported) or last

    @property
    def marks(self) -> set[tuple[str, ...]]:
        """Its events as they can be compared with those of another export."""
        return {tuple(str(e[key]) for key in ("time", "lesson", "kind", "name")) for e in self.export.events}


def collect(source: Path, without: Path) -> tuple[list[HandedIn], list[str]]:
    """Read all exports in a folder, its sub-folders and the archives among them, or in one archive.

    Args:
        source: the folder or archive.
        without: a folder in it to pass over: what this command wrote before.

    Returns:
        One export a student, by name, and in words what must be known of the files.
    """
    files = _in_folder(source, without) if source.is_dir() else _opened(source, source.name)
    read, problems = [], []
    for name, content in files:
        try:
            handed = _read(name, content)
        except ValueError as error:
            problems.append(f"{name}: {error}; not read")
            continue
        read.append(handed)
        problems += _remarks(handed)
    kept, more = _latest(read)
    return kept, [*problems, *more, *_copies(kept)]


def _in_folder(folder: Path, without: Path) -> Iterator[Found]:
    refused: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=refused.append):
        here = Path(place)
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(
            name for name in folders if not _is_passed_over(name) and (here / name).resolve() != without
        )
        for name in sorted([*names, *linked]):
            if not _is_passed_over(name):
                path = here / name
                yield from _opened(path, printable(path.relative_to(folder).as_posix()))
    for error in refused:
        yield printable(str(error.filename)), f"this folder cannot be read ({error.strerror})"


def _is_passed_over(name: str) -> bool:
    """Return whether a file or folder is one that systems leave behind."""
    is_hidden = name.startswith((".", "~$")) and name != ".."
    return is_hidden or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _opened(path: Path, name: str) -> Iterator[Found]:
    """Yield what a file holds; if it is an archive, what every file in it holds."""
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            yield name, "it is a symbolic link"
        elif not stat.S_ISREG(facts.st_mode):
            yield name, "it is no regular file"
        elif path.suffix.lower() == ".zip":
            yield from _in_archive(path, name)
        else:
            yield name, _too_large(facts.st_size) or path.read_bytes()
    except OSError as error:
        yield name, f"it cannot be read ({error.strerror})"


def _in_archive(path: Path, name: str) -> Iterator[Found]:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [info for info in archive.infolist() if not info.is_dir()]
            if len(inside) > MOST:
                yield name, f"it holds {len(inside)} files, more than {MOST}"
                return
            for info in inside:
                if not any(map(_is_passed_over, PurePosixPath(info.filename).parts)):
                    yield f"{name}/{printable(info.filename)}", _member(archive, info)
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        yield name, "it is no archive that can be opened"


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | str:
    """Return what a file of an archive holds, or why it was not read; its size may be a lie."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a symbolic link"
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.filename.lower().endswith(".zip"):
        return "it is an archive in an archive"
    try:
        with archive.open(info) as file:
            content = file.read(LARGEST + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        return "it is damaged, or packed in a way that Python cannot unpack"
    return _too_large(max(info.file_size, len(content))) or content


def _too_large(size: int) -> str:
    return f"it has {size:,} bytes, more than the {LARGEST:,} of any export" if size > LARGEST else ""


def _read(name: str, content: bytes | str) -> HandedIn:
    """Return an export with a name for its student.

    Raises:
        ValueError: if it is none, or was not read; the message says why.
    """
    if isinstance(content, str):
        raise ValueError(content)
    if not content.strip():
        raise ValueError("it is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8 text") from None
    export = read_export(text)
    if export.student:
        return HandedIn(name, export, is_nameless=False)
    return HandedIn(name, replace(export, student=_nameless(name)), is_nameless=True)


def _nameless(name: str) -> str:
    """Return what to call the student of an export that gives no name: after its folder and file."""
    path = PurePosixPath(name).with_suffix("")
    stem = path.name.removeprefix(EXPORT).strip("- ")
    folder = path.parent if path.parent.name else path
    return clean_name(str(path.parent / stem if stem else folder)[-LONGEST_NAME:]) or "nameless"


def _remarks(handed: HandedIn) -> list[str]:
    """Return in words what is odd about an export that could be read."""
    export, ours, said = handed.export, course_version(), []
    if handed.is_nameless:
        said.append(f"it names no student; in the table it is {export.student!r}")
    if not export.events:
        said.append("it holds nothing that was done")
    if export.version != ours:
        theirs = f"version {export.version}" if export.version else "an unnamed version"
        said.append(f"it was made with {theirs} of the course, and this is {ours or 'a copy'}")
    if export.lost:
        said.append(f"{export.lost} of its events are damaged, or not of this course")
    return [f"{handed.file}: {text}" for text in said]


def _latest(read: Sequence[HandedIn]) -> tuple[list[HandedIn], list[str]]:
    """Return the latest export of every student, by name, and in words where there were several."""
    students: dict[str, list[HandedIn]] = {}
    for handed in read:
        students.setdefault(handed.key, []).append(handed)
    kept, said = [], []
    for several in students.values():
        several.sort(key=lambda handed: handed.time)
        last = several.pop()
        kept.append(last)
        if several:
            missing = len(set().union(*(handed.marks for handed in several)) - last.marks)
            others = ", ".join(handed.file for handed in several)
            lost = f"; only the earlier hold {plural(missing, 'event')}: two students, or two computers?"
            said.append(
                f"{last.export.student}: {len(several) + 1} exports; the latest, {last.file}, counts, not "
                + others
                + (lost if missing else "")
            )
    return sorted(kept, key=lambda handed: handed.export.student.casefold()), said


def _copies(kept: Sequence[HandedIn]) -> list[str]:
    """Return in words which exports hold all that another student's holds."""
    marks = [(handed, handed.marks) for handed in kept]
    marks = [(handed, mine) for handed, mine in marks if len({time for time, *_ in mine}) >= SAME]
    return [
        f"{one.file}: all its events are also in {other.file}: one student with two names, or a copy?"
        for k, (one, mine) in enumerate(marks)
        for j, (other, theirs) in enumerate(marks)
        if mine < theirs or (mine == theirs and k > j)
    ]


def printable(text: str) -> str:
    """Return a file's name with a sign in the place of whatever cannot be shown."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
