"""The teacher's guide: every lesson has its page, and what a page says of its lesson is so."""

import importlib
import itertools
import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import guide
import pytest

from mlearn_utils.course.lessons import load_lesson

ROOT = Path(__file__).parents[2]
LISTED = dict(
    re.findall(
        r"^\| \[(\d\d) .+?\]\((notebooks/\S+)\)",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
PAGES = guide.pages()
SECTIONS = [
    "Objectives",
    "Minute by minute",
    "The question to open with",
    "Misconceptions",
    "When time is short",
    "To discuss",
    "Common wrong answers",
    "Assessment",
]
every_page = pytest.mark.parametrize("number", PAGES)


@cache
def parts_of(number: str) -> dict[str, str]:
    """Return the sections of a page by their headings; what stands above the first is called ""."""
    head, *parts = re.split(r"^## (.+)\n", PAGES[number].read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": head} | dict(zip(parts[::2], parts[1::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def plans(number: str) -> list[list[list[str]]]:
    """Return the rows of the plan of each session."""
    text = parts_of(number)["Minute by minute"]
    return [rows(part) for part in re.split(r"^### Session \d\n", text, flags=re.MULTILINE) if rows(part)]


@cache
def cells(number: str) -> list[tuple[str, str]]:
    """Return (number of its section, text) of the cells of a notebook, outputs included."""
    found, section = [], ""
    for cell in json.loads((ROOT / LISTED[number]).read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        shown = [output.get("text") or output["data"]["text/plain"] for output in cell.get("outputs", [])]
        parts = (
            re.split(r"^(?=## )", source, flags=re.MULTILINE) if cell["cell_type"] == "markdown" else [source]
        )
        for part in filter(None, parts):
            if heading := re.match(r"## (\d*)", part):
                section = heading[1]
            found.append((section, " ".join("".join([part, *itertools.chain(*shown)]).split())))
    return found


def test_every_lesson_of_the_readme_has_a_page() -> None:
    assert LISTED
    assert list(LISTED) == list(PAGES)


@every_page
def test_a_page_has_its_title_a_link_to_the_notebook_and_all_sections(number: str) -> None:
    title = importlib.import_module(f"mlearn_utils.course.lesson_{number}").TITLE.replace(":", ",")
    head = parts_of(number)[""]
    without = guide.PART.sub("", PAGES[number].read_text(encoding="utf-8"))

    assert head.replace(":", ",").startswith(f"# {number} · {title}, for the teacher\n")
    assert f"](../../{LISTED[number]})" in head
    assert list(parts_of(number))[1:] == SECTIONS
    assert all(text.strip() for text in parts_of(number).values())
    assert len(without.splitlines()) <= 160


@every_page
def test_the_minutes_add_up_to_those_of_the_lesson(number: str) -> None:
    facts = importlib.import_module(f"mlearn_utils.course.lesson_{number}")

    assert [sum(int(row[0]) for row in plan) for plan in plans(number)] == [facts.MINUTES] * facts.SESSIONS


@every_page
def test_exercises_are_there_and_have_their_minutes(number: str) -> None:
    minutes = {exercise.name: exercise.minutes for exercise in load_lesson(number).EXERCISES}
    named = re.findall(r"\b[Ee]xercise `(\w+)`", PAGES[number].read_text(encoding="utf-8"))
    planned = [row for plan in plans(number) for row in plan if row[1].startswith("Exercise `")]

    assert set(named) <= set(minutes)
    for row in planned:
        assert int(row[0]) == minutes[row[1].split("`")[1]], row
    for name in minutes:
        assert f"`{name}`" in parts_of(number)["Minute by minute"], f"{name} is neither in class nor at home"


@every_page
def test_misconceptions_are_settled_by_cells_of_the_notebook(number: str) -> None:
    known = {section for section, _ in cells(number)}
    found = rows(parts_of(number)["Misconceptions"])
    planned = [row[1] for plan in plans(number) for row in plan]

    assert 4 <= len(found) <= 12
    for row in [*found, *([name, "", name] for name in planned)]:
        assert len(row) == 3, row
        assert set(re.findall(r"[Ss]ection (\d+)", row[2])) <= known, row[2]
    for _, _, where in found:
        if where.startswith("The same cell"):
            continue
        section, piece = re.search(r"[Ss]ection (\d+)", where), re.search(r"`([^`]+)`", where)
        assert piece, f"no cell is named by {where!r}"
        places = [text for place, text in cells(number) if not section or place == section[1]]
        assert any(" ".join(piece[1].split()) in text for text in places), f"no cell there has {piece[1]!r}"


@every_page
def test_questions_to_discuss_have_answers(number: str) -> None:
    _, *items = re.split(r"^\d\. ", parts_of(number)["To discuss"], flags=re.MULTILINE)

    assert 3 <= len(items) <= 5
    for item in items:
        _, _, question, _, answer = re.split(r"^(\*+)(.+?)(\1)", item, maxsplit=1, flags=re.DOTALL)
        assert len(answer.split()) > 4, f"no answer to {question}"


@every_page
def test_wrong_answers_are_those_of_today(number: str) -> None:
    text = PAGES[number].read_text(encoding="utf-8")

    assert guide.renewed(text, number) == text, "run: .venv/bin/python teaching/guide.py"
    assert "# noqa" not in text
    for exercise in load_lesson(number).EXERCISES:
        (part,) = re.findall(
            rf"^### `{exercise.name}`: .*?(?=^### |^<!-- end)", text, re.MULTILINE | re.DOTALL
        )
        assert len(re.findall(r"(?<!^>)\n\n> ", part)) == 3


# --- how they are made


def test_a_choice_is_read_and_a_wrong_one_is_refused() -> None:
    text = "one = first, 'it says' \"words; with\n more\";\ntwo = second"

    assert guide.choices(text) == {
        "one": [("first", ""), ("'it says'", "words; with more")],
        "two": [("second", "")],
    }
    assert guide.choices(" ") == {}
    with pytest.raises(ValueError, match="is expected, got 'one first'"):
        guide.choices("one first")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("inner_stop = step_uphill", "lesson 04 has no exercise inner_stop"),
        ("inner_step = step_sideways", "inner_step has no wrong answer step_sideways"),
        ("disagreement = 'goes uphill'", "must be described in words"),
    ],
)
def test_what_cannot_be_shown_is_refused(choice: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        guide.renewed(f"<!-- wrong answers: {choice} -->\n<!-- end -->\n", "04")
    with pytest.raises(ValueError, match="is expected, got 0"):
        guide.renewed("no place", "04")


def test_an_answer_that_passes_is_no_wrong_one() -> None:
    (exercise,) = [exercise for exercise in load_lesson("00").EXERCISES if exercise.name == "best_guess"]

    with pytest.raises(ValueError, match="is not answered by 'not yet'"):
        guide.part_of(exercise, [(exercise.reference, "")])


def test_code_is_shown_under_the_name_of_the_exercise_and_cut() -> None:
    def wrong(x):
        return x + 1

    assert guide.code_of(wrong, "right") == "def right(x):\n    return x + 1"
    assert guide.code_of(lambda x: x, "right") == guide.code_of(SimpleNamespace, "right") == ""
    cut = guide.code_of(test_what_cannot_be_shown_is_refused, "long").splitlines()
    assert len(cut) == guide.LINES + 1
    assert cut[-1] == "    ..."


def test_a_message_is_shown_letter_by_letter() -> None:
    message = "a ** 2 < *b*, `c_ * d`, e_f, it ends in _.\n- 1\nStuck? A hint."

    assert guide.quoted(message) == r"> a \*\* 2 \< \*b\*, `c_ * d`, e_f, it ends in \_. - 1"
    assert guide.quoted("word " * 21 + "now + 1").splitlines()[1] == r"> \+ 1"


def test_the_command_says_what_is_stale_and_writes_it(tmp_path, monkeypatch, capsys) -> None:
    page = tmp_path / "00.md"
    page.write_text("Text.\n<!-- wrong answers -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(guide, "PAGES", tmp_path)
    monkeypatch.setattr("sys.argv", ["guide.py", "--check"])

    assert guide.main() == 1
    assert "old" in page.read_text()
    monkeypatch.setattr("sys.argv", ["guide.py"])
    assert guide.main() == 0
    assert "this is the number of the push" in page.read_text()
    assert capsys.readouterr().out == "docs/teaching/00.md is out of date\ndocs/teaching/00.md is written\n"
    monkeypatch.setattr("sys.argv", ["guide.py", "--check"])
    assert guide.main() == 0
