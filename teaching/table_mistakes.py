"""What the class got wrong: for every exercise the messages of its checker, by how many students met them.

Texts come from files that anybody can write: they are escaped, and shown as text.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from table_rows import Student

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.report import plural, rich

NOTE = (
    "For teaching, not for marks: this shows what the students' own files say, and such a file is easily "
    "written by hand. To mark, collect the notebooks and grade them: python3 teaching grade"
)
HEADINGS = (
    "lesson",
    "exercise",
    "message",
    "students",
    "of these not passed yet",
    "for teaching, not for marks",
)
UNTOLD = "(an export of an earlier version, which kept no messages)"
MOST = 6
"""Messages of one exercise on the page; mistakes.csv has all."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The class: what was done, and what went wrong</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }}
.note {{ border-left: 4px solid #b26a00; padding-left: 12px; }}
div {{ overflow-x: auto; }}
img {{ max-width: 100%; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; vertical-align: top; padding: 4px 16px 4px 0; border-bottom: 1px solid #ccc; }}
td + td {{ text-align: right; }}
</style>
</head>
<body>
<h1>The class: what was done, and what went wrong</h1>
<p class="note">{note}</p>
{pictures}
<h2>The commonest mistakes</h2>
{mistakes}
<h2>What was odd about the files</h2>
{problems}
</body>
</html>
"""


@dataclass(frozen=True)
class Mistake:
    """A message of the checker, how many students met it, and how many of these have not passed yet."""

    message: str
    students: int
    stuck: int


def mistakes_of(students: Sequence[Student], lesson: str, name: str) -> list[Mistake]:
    """Return the mistakes that were made in an exercise, the commonest first."""
    task, found = (lesson, name), {}
    for student in students:
        for message in student.told.get(task, ()):
            found.setdefault(message, []).append(task not in student.passed)
    listed = [Mistake(message, len(stuck), sum(stuck)) for message, stuck in found.items()]
    return sorted(listed, key=lambda m: (-m.students, -m.stuck, m.message))


def mistakes_table(students: Sequence[Student], tasks: Sequence[tuple[str, Exercise]]) -> list[list[object]]:
    """Return all mistakes as rows, the first one of headings."""
    rows: list[list[object]] = [list(HEADINGS)]
    for lesson, exercise in tasks:
        for m in mistakes_of(students, lesson, exercise.name):
            rows.append([lesson, exercise.name, m.message or UNTOLD, m.students, m.stuck])
    return rows


def page(
    students: Sequence[Student],
    tasks: Sequence[tuple[str, Exercise]],
    pictures: Sequence[str],
    problems: Sequence[str],
) -> str:
    """Return the page of a class: its pictures, its mistakes, and what was odd about its files.

    Args:
        students: of the class.
        tasks: exercises with their lessons.
        pictures: the file names of the pictures.
        problems: a sentence each.
    """
    sections = [_section(students, lesson, exercise) for lesson, exercise in tasks]
    shown = [
        f'<div><img src="{name}" alt="A row a student, a column an exercise: passed, tried, or '
        'not tried. table.csv has the numbers."></div>'
        for name in pictures
    ]
    listed = "".join(f"<li>{html.escape(problem)}</li>" for problem in problems)
    return PAGE.format(
        note=html.escape(NOTE),
        pictures="\n".join(shown),
        mistakes="\n".join(filter(None, sections)) or "<p>None is recorded.</p>",
        problems=f"<ul>{listed}</ul>" if problems else "<p>Nothing.</p>",
    )


def _section(students: Sequence[Student], lesson: str, exercise: Exercise) -> str:
    """Return what the page says of one exercise, "" if no mistake was made in it."""
    mistakes, task = mistakes_of(students, lesson, exercise.name), (lesson, exercise.name)
    if not mistakes:
        return ""
    tried = sum(task in student.tries for student in students)
    passed = sum(task in student.passed for student in students)
    rows = "".join(
        f"<tr><td>{rich(m.message or UNTOLD)}</td><td>{m.students}</td><td>{m.stuck}</td></tr>"
        for m in mistakes[:MOST]
    )
    more = len(mistakes) - MOST
    return (
        f"<h3>{lesson} · {rich(exercise.title)} (<code>{exercise.name}</code>)</h3>\n"
        f"<p>{plural(tried, 'student')} tried it, {passed} passed.</p>\n"
        '<div><table><tr><th scope="col">What the checker said</th><th scope="col">students</th>'
        f'<th scope="col">not passed yet</th></tr>{rows}</table></div>'
        + (f"\n<p>And {plural(more, 'other message')}: see mistakes.csv.</p>" if more > 0 else "")
    )
