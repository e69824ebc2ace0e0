"""`python3 teaching handout`: what students get, in one archive. Nothing in it shows a solution.

The class's edition of the course holds the lessons that were chosen, the package and the set-up. References
are stubs, trials have records (`recorded`), and modules of a lesson that hold what is right or nearly so are
cut down to what the lesson needs (`sliced`). What serves authors and teachers stays away.
"""

import argparse
import ast
import importlib
import io
import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

from environment import ROOT
from recorded import recorded, trial_calls
from sliced import ALL, asked, lesson_slices

from mlearn_utils.course.grading.exercise import withheld
from mlearn_utils.course.lessons import PACKAGE, lesson_numbers, load_lesson

TOP = "meta-rl-course"
EDITION = Path(__file__).resolve().parent / "edition"
FOLDERS = ("mlearn_utils", "notebooks", "data")
ALIKE = ("LICENSE", "requirements.txt", "environment.yml", "tests/__main__.py")
DOOR = ("__main__.py", "opening.py", "environment.py", "installer.py", "working_copies.py", "jupyter/")
SECTIONS = ("build-system", "project", "tool.setuptools", "tool.pytest")
"""Of pyproject.toml; the others are for authors."""

MAP = "lesson.course_map()"
LESSON = re.compile(r"(?:mlearn_utils/course|data)/lesson_(\d\d)/")
DAY = (1980, 1, 1, 0, 0, 0)

Files = dict[str, bytes]
"""Path in the archive -> content."""


def main(options: argparse.Namespace) -> int:
    """Write the archive and say what is in it."""
    numbers = chosen(options.lessons)
    if options.out.exists() and not options.out.is_dir():
        raise SystemExit(f"--out must be a folder; {options.out} is a file")
    files, held_back = edition(numbers)
    path = options.out / ("-".join([TOP, *(numbers if options.lessons else ())]) + ".zip")
    options.out.mkdir(parents=True, exist_ok=True)
    replaced = path.exists()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(archive(files))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    size = path.stat().st_size / 1e6
    print(f"{path}{', anew' if replaced else ''}: {size:.1f} MB, {len(files)} files in the folder {TOP}/")
    print(f"Lessons {', '.join(numbers)}, without references, solutions and {held_back} hidden probes.")
    print("Students unpack it, then: python3 notebooks (and python3 tests, to see whether it works).")
    return 0


def chosen(numbers: list[str]) -> list[str]:
    """Return the lessons to hand out, in order; all if none is named.

    Raises:
        SystemExit: with a sentence, if there is none of some number.
    """
    known = lesson_numbers()
    unknown = sorted(set(numbers) - set(known))
    if unknown:
        raise SystemExit(f"--lessons: there is no lesson {', '.join(unknown)}; there are {', '.join(known)}")
    return sorted(set(numbers)) or known


def edition(numbers: list[str], root: Path = ROOT) -> tuple[Files, int]:
    """Return the files of a class's edition, and how many probes are held back in it.

    Raises:
        SystemExit: with a sentence, if a lesson has no notebook.
    """
    paths = [path for path in tracked(root) if belongs(path, numbers)]
    files = {path: (root / path).read_bytes() for path in paths}
    held_back = 0
    for number in numbers:
        notebook = next((path for path in files if path.startswith(f"notebooks/{number}_")), "")
        if not notebook:
            raise SystemExit(f"notebooks/ has no notebook of lesson {number}: build it, and add it to git")
        lesson, count = lesson_files(number, files, files[notebook])
        held_back += count
        folder = f"mlearn_utils/course/lesson_{number}/"
        files = {path: text for path, text in files.items() if not path.startswith(folder)} | lesson
        if numbers != lesson_numbers():
            files[notebook] = without_map(files[notebook])
    files["pyproject.toml"] = settings((root / "pyproject.toml").read_text(encoding="utf-8")).encode()
    files["tests/nbval.cfg"] = (root / "tests/notebooks/nbval.cfg").read_bytes()
    for path in EDITION.rglob("*.*"):
        if "__pycache__" not in path.parts:
            files[path.relative_to(EDITION).as_posix()] = path.read_bytes()
    return files, held_back


def tracked(root: Path) -> list[str]:
    """Return the paths that git tracks below `root`; without git those of all files, but for caches."""
    try:
        said = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ).stdout.decode()
    except OSError:
        said = ""
    paths = [path for path in said.split("\0") if path and (root / path).is_file()]
    if paths:
        return paths
    found = (path.relative_to(root) for name in FOLDERS for path in (root / name).rglob("*"))
    hidden = ("__pycache__", ".")
    plain = [path for path in found if not any(part.startswith(hidden) for part in path.parts)]
    return sorted(path.as_posix() for path in plain if (root / path).is_file()) + list(ALIKE)


def belongs(path: str, numbers: list[str]) -> bool:
    """Return whether a file of the checkout, changed or not, is part of a class's edition."""
    lesson = LESSON.match(path)
    if lesson:
        return lesson[1] in numbers and not (path.startswith("data/") and path.endswith(".py"))
    if path.startswith("notebooks/"):
        inner = path.removeprefix("notebooks/")
        return inner.startswith(DOOR) or (inner[:2] in numbers and inner.endswith(".ipynb"))
    return path.startswith("mlearn_utils/") or path in ALIKE


def lesson_files(number: str, files: Files, notebook: bytes) -> tuple[Files, int]:
    """Return the files of a lesson's package without anything that is right, and the count of hidden probes.

    Args:
        number: of the lesson.
        files: of the course.
        notebook: the student's notebook of the lesson.
    """
    package, folder = f"{PACKAGE}.lesson_{number}", f"mlearn_utils/course/lesson_{number}/"
    exercises = load_lesson(number).EXERCISES
    inside = {path.removeprefix(folder): text for path, text in files.items() if path.startswith(folder)}
    sources = {Path(name).stem: text.decode() for name, text in inside.items() if name.endswith(".py")}
    kept = {name: text for name, text in inside.items() if not name.endswith(".py") or name == "__init__.py"}
    del sources["__init__"]
    wanted = asked([ast.parse(code_of(notebook))], package)
    held_back = 0
    for module, source in sources.items():
        if next(trial_calls(source), None):
            changed = recorded(source, importlib.import_module(f"{package}.{module}"), exercises)
            sources[module] = changed.source
            kept |= changed.records
            held_back += len(changed.held_back)
        elif module in wanted:
            wanted[module] = {ALL}  # a student may use more of it than the notebook does
    sources["exercises"] = withheld(sources["exercises"])
    wanted["exercises"] = {ALL}
    for module, source in lesson_slices(sources, package, wanted).items():
        kept[f"{module}.py"] = source.encode()
    return {folder + name: text for name, text in kept.items()}, held_back


def code_of(notebook: bytes) -> str:
    """Return the code of a notebook's cells."""
    cells = json.loads(notebook)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def without_map(notebook: bytes) -> bytes:
    """Return a notebook whose course map has no stored output: it would show lessons that are not there."""
    book = json.loads(notebook)
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code" and MAP in "".join(cell["source"])]
    for cell in cells:
        cell["outputs"] = []
    return (json.dumps(book, ensure_ascii=False, indent=1) + "\n").encode() if cells else notebook


def settings(text: str) -> str:
    """Return pyproject.toml without the sections for authors."""
    sections = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    return "".join(section for section in sections if section[1:].startswith(SECTIONS)).rstrip() + "\n"


def archive(files: Files) -> bytes:
    """Return a zip of the files in one folder: the same bytes whenever the files are the same."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(files):
            entry = zipfile.ZipInfo(f"{TOP}/{path}", DAY)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, files[path])
    return buffer.getvalue()
