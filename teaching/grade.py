"""`python3 teaching grade SUBMISSIONS --out RESULTS`: scores of submitted notebooks, and a page a student.

    RESULTS/grades.csv            a line a notebook: file, student, lesson, score, max_score, flag, exercises
    RESULTS/mistakes.csv          what students were told, by how many of them
    RESULTS/feedback/NAME.html    what one student reads

Points come from the course alone. A line with a flag is for a human eye; one without a score was not graded,
and its flag says why.
"""

import argparse
import csv
import html
import io
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from children import Ended, limit, run_all
from judge import is_result, judge
from submissions import Found, Submission, Unread, collect, names_nobody, read, started, student_of

from mlearn_utils.course.grading.events import safe_cell
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.grading.report import Report, plural
from mlearn_utils.course.lessons import lesson_numbers, load_lesson

FACTS = ("file", "student", "lesson", "score", "max_score", "flag")
READING = 3  # times the seconds of an answer: for reading a notebook
NO_EXERCISE = "no exercise of the course in it"
STYLE = "font-family: system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem"


@dataclass
class Row:
    """A line of the table.

    Attributes:
        file: the notebook.
        student: whose it is.
        lesson: its number, "" if that is not known.
        reports: by the name of the exercise; empty if it was not graded.
        flags: what a human should look at, or why it was not graded.
    """

    file: str
    student: str
    lesson: str = ""
    reports: dict[str, Report] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)


def main(options: argparse.Namespace) -> int:
    """Grade what the options name, write the results and say where they are; return the exit code."""
    if not hasattr(os, "fork"):
        raise SystemExit("Grading needs Linux or macOS; on Windows run it in WSL or in the container.")
    if options.workers < 1:
        raise SystemExit(f"--workers must be at least 1, got {options.workers}")
    if options.out.exists() and not options.out.is_dir():
        raise SystemExit(f"--out must be a folder, and {options.out} is a file")
    if isinstance(sys.stdout, io.TextIOWrapper):  # names and messages may have letters that a terminal lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    began = time.time()
    options.out.mkdir(parents=True, exist_ok=True)
    found = list(collect(options.submissions, options.out))
    if not found:
        raise SystemExit(f"There is no notebook in {options.submissions}.")
    rows = grade_all(found, options.seconds, options.memory, options.workers, say=partial(print, flush=True))
    write_results(rows, options.out)
    graded = [row for row in rows if row.reports]
    print(
        f"{len(graded)} of {plural(len(rows), 'file')} graded in {time.time() - began:.0f} s; "
        f"{sum(bool(row.flags) for row in rows)} to look at. The table is {options.out / 'grades.csv'}"
    )
    return 0


def grade_all(
    found: list[Found | Unread],
    seconds: float,
    memory: float,
    workers: int,
    say: Callable[[str], Any] = lambda line: None,
) -> list[Row]:
    """Return a row for every file, in order; a notebook is read and graded in a process of its own.

    Args:
        found: as `collect` yields them.
        seconds: of the processor allowed for an exercise.
        memory: megabytes allowed for an exercise.
        workers: how many notebooks at a time.
        say: is given a line for each.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a process that uses CUDA cannot fork
    lessons = {number: load_lesson(number).EXERCISES for number in lesson_numbers()}
    warm_up(lessons, {started(entry) for entry in found if isinstance(entry, Found)})
    rows: dict[int, Row] = {k: _row_of(entry) for k, entry in enumerate(found)}
    jobs = [
        (k, partial(_grade_one, entry, lessons, seconds, memory))
        for k, entry in enumerate(found)
        if isinstance(entry, Found)
    ]
    most = 60 + (2 * seconds + 5) * max(map(len, lessons.values()))
    for k, ended in run_all(jobs, seconds=most, at_once=workers):
        rows[k] = _row_from(rows[k], ended, lessons)
        say(_line(rows[k]))
    for k, row in rows.items():
        if isinstance(found[k], Unread):
            say(_line(row))
    listed = list(rows.values())
    _flag_twins(listed)
    return listed


def warm_up(lessons: dict[str, tuple[Exercise, ...]], numbers: set[str]) -> None:
    """Grade the references once, so that every child has at hand what their checks compute first."""
    if sys.platform == "linux":  # elsewhere a process that has used autograd may not be able to fork
        for number in sorted(numbers & set(lessons)):
            for exercise in lessons[number]:
                grade(exercise, exercise.reference)


def write_results(rows: list[Row], out: Path) -> None:
    """Write the table, the mistakes and the pages below `out`; each file whole or not at all."""
    numbers = sorted({row.lesson for row in rows if row.reports})
    columns = [(n, e.name) for n in numbers for e in load_lesson(n).EXERCISES]
    twice = {name for name, count in Counter(name for _, name in columns).items() if count > 1}
    head = [*FACTS, *(f"{number} {name}" if name in twice else name for number, name in columns)]
    _write_csv(out / "grades.csv", head, [_cells(row, columns) for row in rows])
    told = Counter(
        (row.lesson, name, report.outcome, report.message.split("\nStuck?")[0])
        for row in rows
        for name, report in row.reports.items()
        if not report.ok and report.outcome != "not attempted"
    )
    lines = [[count, *key] for key, count in sorted(told.items(), key=lambda entry: (-entry[1], entry[0]))]
    _write_csv(out / "mistakes.csv", ["students", "lesson", "exercise", "outcome", "message"], lines)
    pages = out / "feedback"
    pages.mkdir(exist_ok=True)
    taken: set[str] = set()
    for row in rows:
        if row.reports:
            (pages / f"{_page_name(row, taken)}.html").write_text(
                page(row), encoding="utf-8", errors="backslashreplace"
            )


def page(row: Row) -> str:
    """Return the page that a student reads: every exercise with the checker's own message."""
    title = f"Lesson {row.lesson}: {_score(row)} of {plural(_most(row), 'point')}"
    boxes = "\n".join(report._repr_mimebundle_()["text/html"] for report in row.reports.values())
    whose = html.escape(f"{row.student} · {row.file}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f'<body style="{STYLE}"><h1>{title}</h1>\n<p>{whose}</p>\n{boxes}\n</body></html>\n'
    )


def _grade_one(
    found: Found,
    lessons: dict[str, tuple[Exercise, ...]],
    seconds: float,
    memory: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Read and grade one notebook, in a child process; return what the row needs, as JSON can hold it."""
    limit(READING * seconds, memory, for_good=False)
    submission = read(found)
    if isinstance(submission, Unread):
        return {"why": submission.why}
    number = _lesson_of(submission, lessons)
    if not number:
        return {"why": NO_EXERCISE}
    verdicts = judge(lessons[number], submission.cells, seconds, memory)
    flags = [*submission.notes]
    for verdict in verdicts:
        flags += [f"{verdict.exercise.name}: {flag}" for flag in verdict.flags]
    reports = [(v.report.outcome, v.report.message, v.report.line, v.report.source) for v in verdicts]
    return {"lesson": number, "reports": reports, "flags": flags}


def _lesson_of(submission: Submission, lessons: dict[str, tuple[Exercise, ...]]) -> str:
    """Return the lesson that a notebook starts, else the one of whose exercises it defines most, else ""."""
    if submission.lesson in lessons:
        return submission.lesson
    text = "\n".join(submission.cells)
    counts = {
        number: sum(bool(re.search(rf"^\s*def {e.name}\b", text, re.MULTILINE)) for e in exercises)
        for number, exercises in lessons.items()
    }
    best = max(counts, key=lambda number: counts[number])
    return best if counts[best] else ""


def _row_of(entry: Found | Unread) -> Row:
    if isinstance(entry, Unread):
        return Row(entry.file, entry.student, flags=[f"not graded: {entry.why}"])
    nameless = ["the file's name names no student"] if names_nobody(entry.parts) else []
    return Row(entry.shown, student_of(entry.parts), flags=nameless)


def _row_from(row: Row, ended: Ended, lessons: dict[str, tuple[Exercise, ...]]) -> Row:
    result = ended.result
    if isinstance(result, dict) and isinstance(result.get("why"), str):
        row.flags.append(f"not graded: {result['why']}")
    elif not _is_whole(result, lessons):
        row.flags.append(f"not graded: it ended the process that read it ({ended.how or 'a forged result'})")
    else:
        row.lesson, row.flags = result["lesson"], [*row.flags, *result["flags"]]
        for exercise, (outcome, message, line, source) in zip(
            lessons[row.lesson], result["reports"], strict=True
        ):
            facts = exercise.title, exercise.level, exercise.minutes, exercise.points
            row.reports[exercise.name] = Report(outcome, message, *facts, line=line, source=source)
    return row


def _is_whole(result: Any, lessons: dict[str, tuple[Exercise, ...]]) -> bool:
    """Return whether a child sent what a row is made of."""
    if not isinstance(result, dict) or result.get("lesson") not in lessons:
        return False
    reports, flags = result.get("reports"), result.get("flags")
    if not isinstance(reports, list) or not isinstance(flags, list):
        return False
    whole = len(reports) == len(lessons[result["lesson"]]) and all(map(is_result, reports))
    return whole and all(isinstance(flag, str) for flag in flags)


def _flag_twins(rows: list[Row]) -> None:
    counts = Counter((row.student, row.lesson) for row in rows if row.reports)
    for row in rows:
        if row.reports and counts[row.student, row.lesson] > 1:
            row.flags.append(f"{counts[row.student, row.lesson]} notebooks of this student for this lesson")


def _score(row: Row) -> int:
    return sum(report.earned for report in row.reports.values())


def _most(row: Row) -> int:
    return sum(report.points for report in row.reports.values())


def _line(row: Row) -> str:
    score = f"{_score(row):3} of {_most(row)}" if row.reports else " not graded"
    return f"{score}  {row.file}" + "".join(f"\n           ! {flag}" for flag in row.flags)


def _cells(row: Row, columns: list[tuple[str, str]]) -> list[Any]:
    score = [_score(row), _most(row)] if row.reports else ["", ""]
    own = [row.reports[name].earned if n == row.lesson and row.reports else "" for n, name in columns]
    return [row.file, row.student, row.lesson, *score, "; ".join(row.flags), *own]


def _write_csv(path: Path, head: list[str], lines: list[list[Any]]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([safe_cell(value) for value in line] for line in lines)
    temporary.replace(path)


def _page_name(row: Row, taken: set[str]) -> str:
    """Return a file name that is free, in characters that every system takes."""
    student = row.student.encode("utf-8", "backslashreplace")[:150].decode("utf-8", "ignore")
    plain = re.sub(r"[^\w .-]", "_", f"{student} {row.lesson}").strip(" .")
    name, k = plain, 1
    while name.lower() in taken:
        k += 1
        name = f"{plain} {k}"
    taken.add(name.lower())
    return name
