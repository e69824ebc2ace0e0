"""The common wrong answers in the teacher's guide: `.venv/bin/python teaching/guide.py` writes them.

A page `docs/teaching/NN.md` shows, for each exercise of lesson NN, three wrong answers and what the checker
says of each. They come from the tests of the checkers (`tests/course/lesson_NN/answers.py`) and are graded
here, so that no message is written by hand. `--check` says which pages are out of date.

The first three that can be shown are taken, unless the page chooses. An answer is called by its name, or by
the piece of its message that the tests ask for (the last that fits); words may stand in place of its code::

    <!-- wrong answers: inner_step = step_uphill, step_on_data "the gradient is subtracted from `theta.data`";
    td_update = 'over states too' "the max is taken over the whole table" --> ... <!-- end -->
"""

import argparse
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.report import plural
from mlearn_utils.course.lessons import load_lesson
from tests.course.lesson_tests import answers_to, graded

PAGES = Path(__file__).resolve().parent.parent / "docs" / "teaching"
PART = re.compile(r"(<!-- wrong answers:?(?P<choice>.*?)-->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
ITEM = r"""(\w+|'[^']+')(?:\s+"([^"]+)")?"""
SHOWN, LINES, WIDTH, SECONDS = 3, 12, 108, 20.0
INTRODUCTION = """
For each exercise the three that we expect most. They are our choice, as no class has been counted yet; what
yours gets wrong, `python3 teaching table` tells. The messages are the checker's own, without the first line
(*Not yet*) and the last one (the offer of a hint). This part is made by grading these very answers, with
`.venv/bin/python teaching/guide.py`.
"""
Wrong = tuple[Callable[..., Any], str]  # an answer, and the words in place of its code, if any


def pages() -> dict[str, Path]:
    """Return the guide's pages by the number of their lesson."""
    return {path.stem: path for path in sorted(PAGES.glob("[0-9][0-9].md"))}


def renewed(text: str, number: str) -> str:
    """Return the text of a lesson's page with its common wrong answers as they are graded now.

    Raises:
        ValueError: if the page has no place for them, or chooses what is not there or can't be shown.
    """
    parts = list(PART.finditer(text))
    if len(parts) != 1:
        raise ValueError(f"one '<!-- wrong answers -->' with an '<!-- end -->' is expected, got {len(parts)}")
    exercises, chosen = load_lesson(number).EXERCISES, choices(parts[0]["choice"])
    if unknown := chosen.keys() - {exercise.name for exercise in exercises}:
        raise ValueError(f"lesson {number} has no exercise {', '.join(sorted(unknown))}")
    made = [part_of(exercise, find(number, exercise, chosen.get(exercise.name))) for exercise in exercises]
    return text[: parts[0].end(1)] + "\n".join([INTRODUCTION, *made, ""]) + text[parts[0].end() :]


def choices(text: str) -> dict[str, list[tuple[str, str]]]:
    """Return what a page chooses: (name, words) of answers, by exercise.

    Raises:
        ValueError: if it can't be read; the message quotes where.
    """
    found = {}
    for entry in filter(str.strip, re.findall(r"""(?:"[^"]*"|'[^']*'|[^;"'])+""", text)):
        name, _, items = entry.partition("=")
        if not re.fullmatch(rf"\s*{ITEM}(\s*,\s*{ITEM})*\s*", items):
            raise ValueError(f"'exercise = answer, answer \"words\"; ...' is expected, got {entry.strip()!r}")
        found[name.strip()] = [(item, " ".join(words.split())) for item, words in re.findall(ITEM, items)]
    return found


def find(number: str, exercise: Exercise, chosen: list[tuple[str, str]] | None) -> list[Wrong]:
    """Return the wrong answers to show for an exercise.

    Raises:
        ValueError: if one that was chosen is not there.
    """
    table = answers_to(number, exercise, "WRONG_ANSWERS")
    if chosen is None:
        return [(answer, "") for answer, _ in table if code_of(answer, exercise.name)][:SHOWN]
    known = {f"'{piece}'": answer for answer, piece in table}
    known |= {getattr(answer, "__name__", ""): answer for answer, _ in table}
    if missing := [name for name, _ in chosen if name not in known]:
        raise ValueError(f"{exercise.name} has no wrong answer {', '.join(missing)} in its WRONG_ANSWERS")
    return [(known[name], words) for name, words in chosen]


def part_of(exercise: Exercise, wrong: list[Wrong]) -> str:
    """Return the part of the page on one exercise.

    Raises:
        ValueError: if the checker does not answer "not yet", or there are neither code nor words to show.
    """
    facts = f"{exercise.level}, {plural(exercise.minutes, 'minute')}, {plural(exercise.points, 'point')}"
    lines = [f"### `{exercise.name}`: {exercise.title} ({facts})", ""]
    for answer, words in wrong:
        report = graded(exercise, answer, SECONDS)
        if report is None or report.outcome != "not yet":
            raise ValueError(f"{answer!r} is not answered by 'not yet' as an answer to {exercise.name}")
        if not (code := code_of(answer, exercise.name)) and not words:
            raise ValueError(f"{answer!r}, an answer to {exercise.name}, must be described in words")
        shown = f"{words[0].upper()}{words[1:]}:" if words else f"```python\n{code}\n```"
        lines += [shown, "", quoted(report.message), ""]
    return "\n".join(lines)


def code_of(answer: Callable[..., Any], name: str) -> str:
    """Return an answer's code under the exercise's name, "" if it can't be read by itself."""
    if not inspect.isfunction(answer) or answer.__name__ == "<lambda>" or answer.__code__.co_freevars:
        return ""
    code = re.sub(r" +# noqa.*", "", textwrap.dedent(inspect.getsource(answer)).rstrip())
    lines = re.sub(rf"\Adef {answer.__name__}\b", f"def {name}", code).splitlines()
    return "\n".join(lines[:LINES] + ["    ..."] * (len(lines) > LINES))


def quoted(message: str) -> str:
    """Return what a checker says as a quotation in Markdown that shows it letter by letter."""
    pieces = re.split(r"(`[^`]+`)", " ".join(message.split("\nStuck?")[0].split()))
    pieces[::2] = [re.sub(r"([\\*$<>~]|\b_(?!\w)|(?<!\w)_)", r"\\\1", piece) for piece in pieces[::2]]
    lines = textwrap.wrap("".join(pieces), WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join("> " + re.sub(r"^([-+=#]|\d+(?=[.)]))", r"\\\1", line) for line in lines)


def main() -> int:
    """Write the pages, or say which are out of date; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the common wrong answers of the teacher's guide.")
    parser.add_argument("--check", action="store_true", help="only say which pages are out of date")
    check, stale = parser.parse_args().check, False
    for number, path in pages().items():
        text = path.read_text(encoding="utf-8")
        try:
            new = renewed(text, number)
        except ValueError as error:
            raise SystemExit(f"docs/teaching/{path.name}: {error}") from None
        if new != text:
            stale = True
            print(f"docs/teaching/{path.name} is {'out of date' if check else 'written'}")
            if not check:
                path.write_text(new, encoding="utf-8")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
