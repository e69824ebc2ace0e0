"""What students handed in: every notebook of a folder or an archive, with its student and its lesson.

Nothing is run and nothing is unpacked to the disk: a member of an archive is read where it lies. What cannot
be read becomes an `Unread` with a reason, so that one broken file never stops a class.
"""

import json
import lzma
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

LARGEST = 50_000_000  # bytes of a notebook; one with pictures has a few millions
MOST_MEMBERS = 5000
LONGEST_NAME = 500
UNREADABLE = (
    *(ValueError, OSError, RuntimeError, NotImplementedError, EOFError, KeyError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What a damaged file or archive raises, besides what is told by name."""

USUAL_CELLS = 500
SKIPPED = re.compile(r"^(\.|__MACOSX$)")
START = re.compile(r"""\bstart\(\s*["'](\d\d)["']\s*\)""")
WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        notebook lesson copy of start here reinforcement learning basics q policy gradients maml objective
        and its update rule in practice few shot regression meta rl on cartpole cart pole learner s learners
        the hyperparameters agents with a memory what is used for questions tools trends
        """,
    )
)
"""Words of the lessons' names: in a file's name they say nothing about the student."""

LMS = (
    re.compile(r"^(?P<who>.+?)_\d+_assignsubmission_"),  # Moodle's download of all submissions
    re.compile(r"^(?P<who>.+?)_(?:LATE_)?\d{3,}_\d{3,}_"),  # Canvas's
)


@dataclass(frozen=True)
class Submission:
    """One notebook that can be graded.

    Attributes:
        file: its path below the folder, or inside the archive, in characters that can be shown.
        student: by the name of the first folder, else by what the file's name adds to the lesson's.
        lesson: its number, "" if the notebook does not start one.
        cells: the sources of its code cells, in order.
        notes: what the teacher should know of the file.
    """

    file: str
    student: str
    lesson: str
    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unread:
    """A file that is not graded, and why."""

    file: str
    student: str
    why: str


@dataclass(frozen=True)
class Found:
    """A file or a member of an archive before it is read; `zip` is the archive, None for a plain file."""

    shown: str
    parts: tuple[str, ...]
    path: Path
    member: str = ""


def collect(root: Path, besides: Path | None = None) -> Iterator[Found | Unread]:
    """Yield every notebook of a folder or an archive, in order, and what must be told of the others.

    Links are not followed, hidden files are passed over.

    Args:
        root: the folder, or one zip archive.
        besides: a folder that is not looked into: where the results go.

    Raises:
        FileNotFoundError: if there is no such folder or archive.
    """
    if not root.exists():
        raise FileNotFoundError(2, "there is no such folder or archive", str(root))
    if root.is_file():
        yield from _of_file(root, (root.name,), is_root=True)
        return
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for name in sorted(folders):
            if (here / name).is_symlink():
                parts = (*here.relative_to(root).parts, name)
                yield Unread(show("/".join(parts)), student_of(parts), "a symbolic link: not followed")
        folders[:] = [
            name
            for name in sorted(folders)
            if not SKIPPED.match(name) and not (here / name).is_symlink() and not _same(here / name, besides)
        ]
        for name in sorted(files):
            if not SKIPPED.match(name):
                yield from _of_file(here / name, (*here.relative_to(root).parts, name))


def read(found: Found) -> Submission | Unread:
    """Return a notebook's code, or why it cannot be read."""
    student = student_of(found.parts)
    try:
        raw = _bytes(found)
        book = json.loads(raw.decode("utf-8-sig"))
        cells, notes = code_cells(book)
    except UnicodeDecodeError:
        return Unread(found.shown, student, "not UTF-8, so no notebook")
    except RecursionError:
        return Unread(found.shown, student, "nested too deep for a notebook")
    except json.JSONDecodeError:
        return Unread(found.shown, student, "no notebook: the file is not JSON")
    except UNREADABLE as error:
        return Unread(found.shown, student, str(getattr(error, "strerror", "") or error))
    started = [match for cell in cells for match in START.findall(cell)]
    return Submission(found.shown, student, started[0] if started else "", cells, notes)


def started(found: Found) -> str:
    """Return the number of the lesson that a notebook seems to start, by its first part, "" if by none."""
    try:
        raw = _bytes(found)[:500_000]
    except UNREADABLE:
        return ""
    match = re.search(rb"""\bstart\(\s*\\\\?["'](\d\d)""", raw)
    return match[1].decode() if match else ""


def code_cells(book: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the code cells of a notebook of any format, and notes about the file.

    Raises:
        ValueError: if it is no notebook.
    """
    notes = []
    if isinstance(book, dict) and isinstance(book.get("worksheets"), list):  # format 3 and older
        sheets = [sheet.get("cells") for sheet in book["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
        notes.append("a notebook of an old format")
    elif isinstance(book, dict) and isinstance(book.get("cells"), list):
        cells = book["cells"]
    else:
        raise ValueError("no notebook: it has no cells")
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    if len(cells) > USUAL_CELLS:
        notes.append(f"{len(cells)} cells")
    return tuple(_source(cell) for cell in code), tuple(notes)


def student_of(parts: tuple[str, ...]) -> str:
    """Return the student's name: the first folder's, else what a file's name adds to the lesson's."""
    first = parts[0][:LONGEST_NAME]
    for pattern in LMS:
        match = pattern.match(first)
        if match:
            return show(match["who"])
    if len(parts) > 1:
        return show(first)
    stem = re.sub(r"\.(ipynb|zip)$", "", first, flags=re.IGNORECASE)
    return show(_added(stem) or stem)


def names_nobody(parts: tuple[str, ...]) -> bool:
    """Return whether neither a folder nor what the file's name adds to the lesson's says whose it is."""
    stem = re.sub(r"\.(ipynb|zip)$", "", parts[0], flags=re.IGNORECASE)
    return len(parts) == 1 and not _added(stem[:LONGEST_NAME])


def _added(stem: str) -> str:
    """Return what a file's name says besides the lesson's name, "" if nothing but numbers of copies."""
    words = [word for word in re.split(r"[\s_\-.()]+", stem) if word]
    for at, word in enumerate(words):
        if not re.fullmatch(r"\d\d", word):
            continue
        end = at + 1
        while end < len(words) and words[end].lower() in WORDS:
            end += 1
        if end > at + 1:
            rest = words[:at] + words[end:]
            is_name = any(not re.fullmatch(r"\d{1,2}|copy", each, re.IGNORECASE) for each in rest)
            return " ".join(rest) if is_name else ""
    return " ".join(words)


def show(text: str) -> str:
    """Return a name in characters that can be written and shown, on one line."""
    text = text[:LONGEST_NAME].encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _of_file(path: Path, parts: tuple[str, ...], *, is_root: bool = False) -> Iterator[Found | Unread]:
    shown, suffix = show("/".join(parts)), path.suffix.lower()
    if path.is_symlink() and not is_root:
        yield Unread(shown, student_of(parts), "a symbolic link: not followed")
    elif suffix == ".ipynb":
        yield Found(shown, parts, path)
    elif suffix == ".zip":
        yield from _of_archive(path, parts, is_root)
    else:
        yield Unread(shown, student_of(parts), "no notebook: its name does not end in .ipynb or .zip")


def _of_archive(path: Path, parts: tuple[str, ...], is_root: bool) -> Iterator[Found | Unread]:
    shown = show("/".join(parts))
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except UNREADABLE:
        yield Unread(shown, student_of(parts), "no zip archive, or a broken one")
        return
    if len(members) > MOST_MEMBERS:
        yield Unread(shown, student_of(parts), f"an archive of {len(members)} files")
        return
    wanted = []
    for info in members:
        inner = tuple(part for part in PurePosixPath(info.filename).parts if part not in ("/", "..", "."))
        if inner and not any(SKIPPED.match(part) for part in inner):
            wanted.append((info, inner))
    names = Counter(info.filename for info, _ in wanted)
    books = [inner for _, inner in wanted if inner[-1].lower().endswith(".ipynb")]
    # a class's archive names several students; a student's has lessons, and its own name is the student's
    whose = {student_of(inner) for inner in books if not names_nobody(inner)}
    is_of_class = is_root or len(whose) > 1 or any(p.match(inner[0]) for inner in books for p in LMS)
    for info, inner in wanted:
        place = inner if is_of_class else (*parts[:-1], path.stem, *inner)
        label = show("/".join((*parts, *inner)))
        if (info.external_attr >> 16) & 0o170000 == 0o120000:
            yield Unread(label, student_of(place), "a symbolic link: not followed")
        elif names[info.filename] > 1 or len(info.filename) > LONGEST_NAME:
            yield Unread(label, student_of(place), "a name that is there twice, or far too long")
        elif not inner[-1].lower().endswith(".ipynb"):
            yield Unread(label, student_of(place), "no notebook: its name does not end in .ipynb")
        else:
            yield Found(label, place, path, info.filename)


def _bytes(found: Found) -> bytes:
    """Return the content of a file or of a member.

    Raises:
        ValueError: if it is too large, or encrypted.
    """
    if not found.member:
        if not found.path.is_file():
            raise ValueError("no plain file")
        size = found.path.stat().st_size
        if size > LARGEST:
            raise ValueError(f"{size / 1e6:.0f} MB, too large for a notebook")
        return found.path.read_bytes()
    with zipfile.ZipFile(found.path) as archive:
        info = archive.getinfo(found.member)
        if info.file_size > LARGEST:
            raise ValueError(f"{info.file_size / 1e6:.0f} MB, too large for a notebook")
        if info.flag_bits & 1:
            raise ValueError("encrypted")
        with archive.open(info) as file:
            raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise ValueError("larger than it says, too large for a notebook")
    return raw


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _same(path: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and path.samefile(other)
