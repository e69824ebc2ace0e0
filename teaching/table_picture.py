"""The picture of a class: a row a student, a column an exercise, and in each place a sign.

Passed, tried and not tried differ in shape, not in color alone; what was tried carries the number of tries.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from table_rows import Student, Task

from mlearn_utils.course.figures.style import BLUE, GRAY, ORANGE, STYLE
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.report import plural
from mlearn_utils.course.widgets.view import Picture

ROWS = 40
"""Students in one picture."""
LONGEST = 24
"""Letters of a name in it."""
PASSED: dict[str, Any] = {"marker": "s", "color": BLUE, "linestyle": "", "markersize": 10}
TRIED: dict[str, Any] = {**PASSED, "marker": "o", "color": ORANGE, "markersize": 12, "fillstyle": "none"}
NOT_TRIED: dict[str, Any] = {**PASSED, "marker": ".", "color": GRAY, "markersize": 3}
SMALL = 8.0


def pictures(students: Sequence[Student], tasks: Sequence[tuple[str, Exercise]]) -> list[bytes]:
    """Return PNG pictures of the class, each of up to ROWS students; none if there is nothing to show."""
    columns = [(lesson, exercise.name) for lesson, exercise in tasks]
    if not columns:
        return []
    starts = range(0, len(students), ROWS)
    return [Picture(lambda figure, k=k: _draw(figure, students, columns, k)).render() for k in starts]


def _draw(figure: Figure, students: Sequence[Student], columns: Sequence[Task], first: int) -> None:
    shown = students[first : first + ROWS]
    figure.set_size_inches(3.2 + 0.27 * len(columns), 2.8 + 0.26 * len(shown))
    ax = figure.subplots()
    for row, student in enumerate(shown):
        for column, task in enumerate(columns):
            _mark(ax, column, row, student, task)
    for column, task in enumerate(columns):
        passed = sum(task in student.passed for student in students)
        ax.text(column, len(shown), str(passed), ha="center", va="center", fontsize=SMALL)
    _label(ax, [f"{first + k}  {_drawable(s.name)}" for k, s in enumerate(shown, 1)], columns)
    whole = plural(len(students), "student")
    part = f"{first + 1} to {first + len(shown)} of {whole}" if len(students) > ROWS else whole
    figure.suptitle(f"{part}: for teaching, not for marks", fontsize="medium")
    signs = ((PASSED, "passed"), (TRIED, "tried this often, not passed"), (NOT_TRIED, "not tried"))
    handles = [Line2D([], [], label=label, **sign) for sign, label in signs]
    figure.legend(handles=handles, loc="outside lower left", ncols=1 if len(columns) < 8 else 3)


def _mark(ax: Axes, column: int, row: int, student: Student, task: Task) -> None:
    if task in student.passed:
        ax.plot(column, row, **PASSED)
    elif task in student.tries:
        ax.plot(column, row, **TRIED)
        tries = student.tries[task]
        ax.text(
            column, row, str(tries) if tries < 100 else "…", ha="center", va="center_baseline", fontsize=7
        )
    else:
        ax.plot(column, row, **NOT_TRIED)


def _label(ax: Axes, names: Sequence[str], columns: Sequence[Task]) -> None:
    """Name rows and columns, and draw a line between lessons."""
    titles = [f"{lesson} {name}" for lesson, name in columns]
    ax.set_xticks(range(len(titles)), titles, rotation=90, fontsize=SMALL)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(names) + 1), [*names, "passed by"], fontsize=SMALL, parse_math=False)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set(xlim=(-0.6, len(columns) - 0.4), ylim=(len(names) + 0.6, -0.6))
    for k in range(1, len(columns)):
        if columns[k][0] != columns[k - 1][0]:
            ax.axvline(k - 0.5, color=GRAY, linewidth=0.6, linestyle="-")
    ax.axhline(len(names) - 0.5, color=GRAY, linewidth=0.6, linestyle="-")


def _drawable(name: str) -> str:
    """Return a name as the font can show it: with a box in the place of each letter that it lacks."""
    short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return "".join(letter if ord(letter) in _letters() else "□" for letter in short)


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(STYLE["font.family"])).get_charmap())
