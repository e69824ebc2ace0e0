"""`python3 teaching table EXPORTS --out RESULTS`: what a class did, and what it got wrong.

Students press *Export* in the panel of `lesson.progress()` and hand the file in. RESULTS gets

- `table.csv`: a row a student;
- `class.png`: students by exercises;
- `mistakes.csv`: what the checkers said, by how many students met it;
- `class.html`: the picture, the commonest mistakes, and what was odd about the files.

All of it is for teaching, not for marks: whoever can read such a file can write one.
"""

import csv
import io
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from table_files import collect, printable
from table_mistakes import NOTE, mistakes_table, page
from table_picture import pictures
from table_rows import Student, count, table, tasks_of

from mlearn_utils.course.grading.events import safe_cell
from mlearn_utils.course.grading.report import plural


def main(options: Namespace) -> int:
    """Read `options.exports`, a folder or an archive; write into the folder `options.out`; return 0.

    Raises:
        SystemExit: with a sentence, if there is nothing to read, or no place to write to.
    """
    source, out = options.exports.resolve(), options.out.resolve()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if not source.is_dir() and source.suffix.lower() != ".zip":
        raise SystemExit(
            f"EXPORTS must be a folder or a .zip of exports, got {printable(str(options.exports))}"
        )
    if source == out:
        raise SystemExit("--out must be another folder than EXPORTS")
    handed, problems = collect(source, out)
    students = [count(one.export.student, one.export.events) for one in handed]
    problems += [f"{s.name}: {problem}" for s in students for problem in s.problems]
    for problem in problems:
        print(f"- {problem}")
    if not students:
        raise SystemExit(f"There is no export of the progress panel in {printable(str(options.exports))}.")
    names = write(students, problems, out)
    print(f"{plural(len(students), 'student')}: {', '.join(names)} in {printable(str(options.out))}")
    print(NOTE)
    return 0


def write(students: Sequence[Student], problems: Sequence[str], out: Path) -> list[str]:
    """Write all that is made of a class into `out`; return the names of the files."""
    tasks = tasks_of(students)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("class*.png"):
        old.unlink()
    drawn = {
        f"class{f'_{k}' if k > 1 else ''}.png": png for k, png in enumerate(pictures(students, tasks), 1)
    }
    files = {
        "table.csv": _as_csv(table(students, tasks)),
        **drawn,
        "mistakes.csv": _as_csv(mistakes_table(students, tasks)),
        "class.html": page(students, tasks, list(drawn), problems).encode("utf-8", "backslashreplace"),
    }
    for name, content in files.items():
        (out / name).write_bytes(content)
    return list(files)


def _as_csv(rows: Sequence[Sequence[object]]) -> bytes:
    """Return a table that spreadsheets open with all its letters, and no cell of which they run."""
    text = io.StringIO()
    csv.writer(text).writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8-sig", "backslashreplace")
