"""A student's own copies of the lessons, in `my_course/`: made once, never written over.

The copies are what `python3 notebooks` opens; git knows nothing of them. Beside them, out of sight, lies
what they were made from (`my_course/.origins`). So a lesson that has changed since can be laid beside the
student's with a list of what changed, and one that the student never touched can follow the course. Standard
library only, and no syntax that Python 3.6 cannot read.
"""

import contextlib
import difflib
import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

FOLDER = "my_course"
ORIGINS = ".origins"
NUMBER = re.compile(r"\d\d_")


def update(root: Path) -> "list[str]":
    """Bring `root`/my_course up to the lessons of the course; return a sentence on each thing done.

    A lesson that is not there is copied. One that is there as it was copied follows the course. One that the
    student has written into stays, and a new version is laid beside it.

    Args:
        root: the checkout.
    """
    folder, told = root / FOLDER, []
    origins = folder / ORIGINS
    origins.mkdir(parents=True, exist_ok=True)
    for stem, (name, text) in lessons(root).items():
        known = _known(origins, stem)
        path = _own_copy(folder, known) or folder / name
        if not path.exists():
            _place(path, text, origins, stem, text)
        elif text == path.read_bytes() or _digest(text) in [entry["version"] for entry in known.values()]:
            continue
        elif _is_untouched(path, known):
            path.unlink()
            _place(path, text, origins, stem, text)
            told.append(f"{path.stem}: the new version of the course, in place of one that you had not begun")
        else:
            changes = changed_sections(_newest(origins, known), _notebook(text))
            if not changes:
                continue  # but for what its cells print, it is the same
            offered = _free(folder, f"{path.stem} (new on {time.strftime('%d %b %Y')})")
            _place(offered, _with_note(text, changes), origins, stem, text)
            told.append(f"{path.stem} has changed; yours stays, the new one is beside it: {offered.name}")
            told += [f"    {change}" for change in changes]
    return told


def set_back(root: Path, number: str) -> str:
    """Replace the copy of a lesson by a fresh one and keep the old beside it; return what was done.

    Args:
        root: the checkout.
        number: of the lesson: two digits.

    Raises:
        ValueError: if there is no such lesson.
    """
    found = {stem[:2]: (stem, *copy) for stem, copy in lessons(root).items()}
    if number not in found:
        raise ValueError(f"--fresh needs the number of a lesson ({', '.join(found)}), got {number!r}")
    stem, name, text = found[number]
    folder, kept = root / FOLDER, None
    origins = folder / ORIGINS
    origins.mkdir(parents=True, exist_ok=True)
    path = _own_copy(folder, _known(origins, stem)) or folder / name
    if path.exists() and path.read_bytes() != text:
        kept = _free(folder, f"{path.stem} (mine until {time.strftime('%d %b %Y')})")
        path.rename(kept)
    if not path.exists():
        _place(path, text, origins, stem, text)
    return f"{path.stem} is fresh" + (f"; yours is kept as: {kept.name}" if kept else "; it was already")


def lessons(root: Path) -> "dict[str, tuple[str, bytes]]":
    """Return the students' notebooks of the course, in order: name there -> readable name, text.

    Where one links to another, the text has the readable name.
    """
    paths = [path for path in sorted((root / "notebooks").glob("*.ipynb")) if NUMBER.match(path.name)]
    texts, names = {path.stem: path.read_bytes() for path in paths}, {}
    for path in paths:
        try:
            names[path.stem] = readable_name(texts[path.stem], path.stem)
        except ValueError:
            raise SystemExit(
                f"{path} is no notebook any more (are git's marks of a conflict in it?). To have it as the "
                "course has it: git checkout notebooks"
            ) from None
    for stem in texts:
        for other, name in names.items():
            texts[stem] = texts[stem].replace(f"{other}.ipynb".encode(), name.encode())
    return {stem: (names[stem], text) for stem, text in texts.items()}


def readable_name(text: bytes, stem: str) -> str:
    """Return the file name of a working copy, such as "04 MAML.ipynb": the title up to its colon."""
    heading = re.search(r"# \d\d · ([^\n:]+)", _source(_notebook(text)["cells"][0]))
    title = heading[1].strip() if heading else stem[3:].replace("_", " ")
    return re.sub(r'[<>:"/\\|?*]', "", f"{stem[:2]} {title}") + ".ipynb"


def changed_sections(old: "dict[str, Any]", new: "dict[str, Any]") -> "list[str]":
    """Return a line for each section of a lesson in which cells differ, and how many."""
    before, after = [[(c["cell_type"], _source(c)) for c in book["cells"]] for book in (old, new)]
    found: dict[str, int] = {}
    for kind, _, _, start, end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for i in range(start, end) if end > start else (max(start - 1, 0),):
            found[_section(after, i)] = found.get(_section(after, i), 0) + 1
    return [f"{section}: {n} cell{'s' if n > 1 else ''}" for section, n in found.items()]


def _section(cells: "list[tuple[str, str]]", index: int) -> str:
    for kind, source in reversed(cells[: index + 1]):
        heading = re.search(r"^#+ (.+)", source, flags=re.MULTILINE) if kind == "markdown" else None
        if heading:
            return heading[1]
    return "the beginning"


def _with_note(text: bytes, changes: "list[str]") -> bytes:
    """Return the notebook with a first cell that says what changed since the student's copy."""
    book = _notebook(text)
    lines = ["**New in this version of the lesson** (your own copy is unchanged, beside this one):", ""]
    source = "\n".join(lines + [f"- {change}" for change in changes])
    note = {"cell_type": "markdown", "id": "what-is-new", "metadata": {}, "source": source}
    book["cells"].insert(0, note)
    return (json.dumps(book, ensure_ascii=False, indent=1) + "\n").encode()


def _place(path: Path, written: bytes, origins: Path, lesson: str, origin: bytes) -> None:
    """Write a new copy whole, or not at all, and never in another's place; remember where it came from."""
    (origins / f"{_digest(origin)}.ipynb").write_bytes(origin)
    entry = {"lesson": lesson, "version": _digest(origin), "written": _digest(written), "at": time.time()}
    (origins / f"{path.stem}.json").write_text(json.dumps(entry), encoding="utf-8")
    part = path.with_name(f".{path.stem}.{os.getpid()}.part")
    part.write_bytes(written)
    try:
        os.link(str(part), str(path))
    except FileExistsError:
        pass  # another process was as quick; its copy is as good
    except OSError:  # a disk that knows no links
        if not path.exists():
            part.rename(path)
    with contextlib.suppress(FileNotFoundError):
        part.unlink()


def _known(origins: Path, lesson: str) -> "dict[str, dict[str, Any]]":
    """Return what is known of the copies of a lesson, by the name of each without its ending."""
    found = {}
    for path in origins.glob("*.json"):
        with contextlib.suppress(ValueError, KeyError):
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry["lesson"] == lesson and {"version", "written", "at"} <= set(entry):
                found[path.stem] = entry
    return found


def _own_copy(folder: Path, known: "dict[str, dict[str, Any]]") -> "Path | None":
    """Return the copy that the student was given first, also when the lesson has a new title by now."""
    for stem in sorted(known, key=lambda stem: known[stem]["at"]):
        path = folder / f"{stem}.ipynb"
        if path.exists():
            return path
    return None


def _is_untouched(path: Path, known: "dict[str, dict[str, Any]]") -> bool:
    return path.stem in known and _digest(path.read_bytes()) == known[path.stem]["written"]


def _newest(origins: Path, known: "dict[str, dict[str, Any]]") -> "dict[str, Any]":
    """Return the notebook that the student was last given, or an empty one if that is not known."""
    for entry in sorted(known.values(), key=lambda entry: -entry["at"]):
        with contextlib.suppress(OSError, ValueError):
            return _notebook((origins / f"{entry['version']}.ipynb").read_bytes())
    return {"cells": []}


def _free(folder: Path, stem: str) -> Path:
    """Return a path in `folder` that is not taken: with a number behind the name, if need be."""
    names = [stem, *(f"{stem} {k}" for k in range(2, 1000))]
    return next(folder / f"{name}.ipynb" for name in names if not (folder / f"{name}.ipynb").exists())


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _notebook(text: bytes) -> "dict[str, Any]":
    return json.loads(text.decode("utf-8"))


def _source(cell: "dict[str, Any]") -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
