"""The table of a class: from what students press to what a teacher reads, and whatever else is handed in."""

import csv
import json
import os
import shutil
import zipfile
from argparse import Namespace
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import table
import table_files
import table_picture
import torch
from PIL import Image
from table_mistakes import mistakes_of, page
from table_picture import _drawable, pictures
from table_rows import Student, count, exercises_of, named, tasks_of

from mlearn_utils import course
from mlearn_utils.course.grading import progress
from mlearn_utils.course.grading.events import as_csv, as_json, file_stem, read_export

TIME = "2026-11-28T10:00:{:02d}+00:00"


def event(name: str = "inner_step", outcome: str = "passed", **other: Any) -> dict[str, Any]:
    kept = {"time": TIME.format(0), "lesson": "04", "kind": "exercise", "name": name, "outcome": outcome}
    return {**kept, "points": 0, "answer": None, "message": "", **other}


def hand_in(folder: Path, student: str, *events: dict[str, Any], file: str = "") -> Path:
    path = folder / (file or f"{file_stem(student)}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(events, student), encoding="utf-8")
    return path


def make_table(exports: Path, out: Path) -> list[dict[str, str]]:
    assert table.main(Namespace(exports=exports, out=out)) == 0
    return read_csv(out / "table.csv")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# --- five students, through what they press


FIRST_ORDER = """
def inner_step(loss, theta, support, inner_lr):
    (gradient,) = torch.autograd.grad(loss(theta, support), theta)
    return theta - inner_lr * gradient
"""
RAISING = """
def inner_step(loss, theta, support, inner_lr):
    raise ValueError("my own mistake")
"""
WORK = {
    "Ana Silva": ("solved", "solved"),
    "Bo": (FIRST_ORDER, "solved"),
    "Zoë": (FIRST_ORDER, FIRST_ORDER),
    "李": (RAISING, FIRST_ORDER),
    "=cmd": ("stub", "stub"),
}


def work(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do as the student `name` does in lesson 04, up to the button that writes the export."""
    home = folder / f"home of {name}"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("MLEARN_PROGRESS", str(home / "progress.jsonl"))
    lesson = course.start("04")
    exercise = lesson.exercises[0]
    for source in WORK[name]:
        namespace: dict[str, Any] = {"torch": torch}
        if source not in ("solved", "stub"):
            exec(source, namespace)
        known = {"solved": exercise.reference, "stub": exercise.stub()}
        lesson.check(known.get(source) or namespace["inner_step"], "inner_step")
    quiz = lesson.quiz()
    for question in list(quiz.cards)[: len(name)]:
        quiz.answer(question, 0)
    lesson.hint("inner_step").button.click()
    course.Predict("?", ("a", "b"), lambda guess: "", name="first-guess").commit("a")
    panel = lesson.progress()
    panel.student.value = name
    (panel.csv_button if name == "Bo" else panel.json_button).click()


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the exports of five students, as they come from an LMS: a folder each."""
    folder = tmp_path_factory.mktemp("class")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, mpl.rc_context():
        for name in WORK:
            work(name, folder, patch)
    torch.set_num_threads(threads)
    progress._started.clear()
    return folder


def test_five_students_are_five_rows(handed_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = make_table(only_exports(handed_in, tmp_path / "exports"), tmp_path / "out")

    assert [row["student"] for row in rows] == ["'=cmd", "Ana Silva", "Bo", "Zoë", "李"]
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["points of 12"] for row in rows] == ["0", "2", "2", "0", "0"]
    assert [row["lesson 04: passed of 5"] for row in rows] == ["0", "1", "1", "0", "0"]
    assert [row["tries"] for row in rows] == ["0", "1", "2", "2", "2"]
    assert [row["quiz answered"] for row in rows] == ["4", "6", "2", "3", "1"]
    assert {row["predictions"] for row in rows} == {row["hints"] for row in rows} == {"1"}
    assert {row["last active (UTC)"][:2] for row in rows} == {"20"}
    assert {row["remarks (for teaching, not for marks)"] for row in rows} == {""}
    said = capsys.readouterr().out
    assert "- " not in said.split("5 students")[0]
    assert "For teaching, not for marks" in said


def only_exports(handed_in: Path, exports: Path) -> Path:
    for path in handed_in.glob("*/mlearn-progress-*"):
        target = exports / path.parent.name / path.name
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    return exports


def test_whatever_is_handed_in_carries_its_lesson_and_a_try_what_was_said(handed_in: Path) -> None:
    for path in handed_in.glob("*/mlearn-progress-*"):
        events = read_export(path.read_text(encoding="utf-8")).events
        assert {event["kind"] for event in events} == {"exercise", "quiz", "predict", "hint"}
        assert {event["lesson"] for event in events} == {"04"}
        assert all(event["message"] for event in events if event["kind"] == "exercise")


def test_the_mistakes_are_those_that_the_checker_named(handed_in: Path, tmp_path: Path) -> None:
    make_table(only_exports(handed_in, tmp_path / "exports"), tmp_path / "out")
    first, second = read_csv(tmp_path / "out" / "mistakes.csv")
    assert "first order" in first["message"]
    assert "Stuck?" not in first["message"]
    assert (first["students"], first["of these not passed yet"]) == ("3", "2")
    assert (second["message"], second["students"]) == ("ValueError: my own mistake", "1")
    text = (tmp_path / "out" / "class.html").read_text(encoding="utf-8")
    assert "<p>4 students tried it, 2 passed.</p>" in text
    assert "For teaching, not for marks" in text
    assert '<img src="class.png"' in text


def test_the_picture_has_the_size_of_the_class(handed_in: Path, tmp_path: Path) -> None:
    make_table(only_exports(handed_in, tmp_path / "exports"), tmp_path / "out")
    with Image.open(tmp_path / "out" / "class.png") as image:
        assert (image.width, image.height) == (round(160 * (3.2 + 0.27 * 5)), round(160 * (2.8 + 0.26 * 5)))


def test_a_zip_serves_as_a_folder(handed_in: Path, tmp_path: Path) -> None:
    folder = only_exports(handed_in, tmp_path / "exports")
    shutil.make_archive(str(tmp_path / "class"), "zip", folder)
    assert make_table(tmp_path / "class.zip", tmp_path / "a") == make_table(folder, tmp_path / "b")


# --- whatever else is handed in


def test_points_come_from_the_course(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    forged = [event(points=1000), event("invented", points=1000), event(lesson="77"), event(lesson="../04")]
    hand_in(tmp_path, "Mallory", *forged, event("no-question", "correct", kind="quiz"))
    (row,) = make_table(tmp_path, tmp_path / "out")
    assert (row["points of 12"], row["passed"], row["quiz right"]) == ("2", "1", "0")
    said = capsys.readouterr().out
    for part in (
        "Mallory: unknown exercise 'invented' of lesson '04' (claims 1000 points): passed over",
        "Mallory: unknown exercise 'inner_step' of lesson '77': passed over",
        "Mallory: other points in the file than in the course for inner_step of lesson 04",
    ):
        assert part in said
        assert part.removeprefix("Mallory: ") in row["remarks (for teaching, not for marks)"]
    assert "... and 1 more" in said


def test_a_file_cannot_put_markup_or_formulas_into_what_is_made(tmp_path: Path) -> None:
    told = "<script>alert(1)</script>"
    hand_in(tmp_path, "<b>Eve</b>", event(outcome="not yet", message=told), event("<i>x</i>"))
    hand_in(tmp_path, "@Sum", event(outcome="not yet", message="=1+1"))
    rows = make_table(tmp_path, tmp_path / "out")
    text = (tmp_path / "out" / "class.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert [row["student"] for row in rows] == ["<b>Eve</b>", "'@Sum"]
    assert {row["message"] for row in read_csv(tmp_path / "out" / "mistakes.csv")} == {told, "'=1+1"}


def test_of_two_exports_of_a_student_the_latest_counts(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    early, late = event("inner_step", time=TIME.format(1)), event("meta_gradient", time=TIME.format(2))
    (tmp_path / "one.csv").write_text(as_csv([early], "Ana Silva"))
    (tmp_path / "two.csv").write_text(as_csv([early, late], "ana  silva"))
    (row,) = make_table(tmp_path, tmp_path / "out")
    assert (row["student"], row["passed"]) == ("ana silva", "2")
    assert "ana silva: 2 exports; the latest, two.csv, counts, not one.csv\n" in capsys.readouterr().out
    (tmp_path / "three.json").write_text(as_json([late], "Ana Silva"))  # exported now
    (row,) = make_table(tmp_path, tmp_path / "out")
    assert (row["student"], row["passed"]) == ("Ana Silva", "1")
    said = capsys.readouterr().out
    assert "not one.csv, two.csv; only the earlier hold 1 event: two students, or two computers?" in said


def test_one_export_under_two_names_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    events = [event(time=TIME.format(k)) for k in range(6)]
    hand_in(tmp_path, "Ana", *events)
    hand_in(tmp_path, "Anna", *events[:5])
    hand_in(tmp_path, "Cy", *events)
    hand_in(tmp_path, "Bo", *events[:4])
    assert len(make_table(tmp_path, tmp_path / "out")) == 4
    said = capsys.readouterr().out
    assert "Anna.json: all its events are also in mlearn-progress-Ana.json: one student with two" in said
    assert "Cy.json: all its events are also in mlearn-progress-Ana.json" in said
    assert "Ana.json: all" not in said
    assert "Bo.json: all" not in said


def test_old_exports_are_called_after_their_folder_or_file(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    whole = "Jane Doe_123_file_/mlearn-progress", "mlearn-progress (2)", "mlearn-progress", "a/my", "b/my"
    for name in whole:
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([event()]))
    names = [row["student"] for row in make_table(tmp_path, tmp_path / "out")]
    assert names == ["(2)", "a/my", "b/my", "Jane Doe_123_file_", "mlearn-progress"]
    said = capsys.readouterr().out
    assert "mlearn-progress (2).json: it names no student; in the table it is '(2)'" in said
    assert "it was made with an unnamed version of the course, and this is" in said


def test_another_version_of_the_course_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    hand_in(tmp_path, "Ana", event())
    monkeypatch.setattr(table_files, "course_version", lambda: "9.9")
    assert len(make_table(tmp_path, tmp_path / "out")) == 1
    said = capsys.readouterr().out
    assert "mlearn-progress-Ana.json: it was made with version 0.1.0 of the course, and this is 9.9" in said


def odd_files(folder: Path) -> dict[str, str]:
    """Put one good export and every odd file into `folder`; return file -> what must be said of it."""
    hand_in(folder, "Ana", event(points=2))
    hand_in(folder / "empty", "Nobody")
    contents = {
        "notebook.ipynb": (b'{"cells": []}', "it is no export"),
        "essay.txt": (b"my homework", "it is no export"),
        "nothing.json": (b" \n", "it is empty"),
        "latin.csv": ("student,é".encode("latin-1"), "it is no UTF-8 text"),
        "deep.json": (b"[" * 200_000, "its JSON is damaged"),
        "huge.json": (b"x" * (table_files.LARGEST + 1), "more than the 5,000,000 of any export"),
        "broken.zip": (b"PK\x03\x04 but not for long", "no archive that can be opened"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    (folder / "link.json").symlink_to(folder / "mlearn-progress-Ana.json")
    (folder / "linked").symlink_to("/etc")
    os.mkfifo(folder / "pipe.json")
    (folder / ".DS_Store").write_bytes(b"\x00")
    (folder / "~$open.csv").write_bytes(b"\x00")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\n.json")).write_text("{}")
    expected = {name: why for name, (_, why) in contents.items()}
    expected |= {"link.json": "it is a symbolic link", "linked": "it is a symbolic link"}
    expected |= {"pipe.json": "it is no regular file", "��.json": "it is no export"}
    return expected | {"empty/mlearn-progress-Nobody.json": "it holds nothing that was done"}


def test_odd_files_are_named_and_the_rest_is_read(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    expected = odd_files(tmp_path / "in")
    rows = make_table(tmp_path / "in", tmp_path / "out")
    said = capsys.readouterr().out.split("2 students")[0].splitlines()
    assert [row["student"] for row in rows] == ["Ana", "Nobody"]
    for name, why in expected.items():
        assert [line for line in said if line.startswith(f"- {name}: ") and why in line], name
    assert len(said) == len(expected)
    assert "nothing.json: it is empty" in (tmp_path / "out" / "class.html").read_text(encoding="utf-8")


def test_odd_members_of_an_archive_are_named_and_nothing_is_unpacked(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    good = as_json([event()], "Ana")
    link = zipfile.ZipInfo("link.json")
    link.external_attr = 0o120777 << 16
    inner = BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.json", good)
    with zipfile.ZipFile(tmp_path / "class.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.json", good)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("bomb.json", b" " * (table_files.LARGEST + 1))
        archive.writestr("__MACOSX/._evil.json", b"\x00")
    assert [row["student"] for row in make_table(tmp_path / "class.zip", tmp_path / "out")] == ["Ana"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class.zip", "out"]
    said = capsys.readouterr().out
    assert "class.zip/link.json: it is a symbolic link; not read" in said
    assert "class.zip/inner.zip: it is an archive in an archive; not read" in said
    assert "class.zip/bomb.json: it has 5,000,001 bytes" in said
    assert said.count("; not read") == 3


def test_a_damaged_member_costs_itself_alone(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        archive.writestr("a.json", as_json([event()], "Ana"))
        archive.writestr("b.json", as_json([event()], "Barbara"))
    whole = (tmp_path / "class.zip").read_bytes()
    (tmp_path / "class.zip").write_bytes(whole.replace(b"Barbara", b"Bxrbara"))
    assert [row["student"] for row in make_table(tmp_path / "class.zip", tmp_path / "out")] == ["Ana"]
    assert "class.zip/b.json: it is damaged" in capsys.readouterr().out


def test_too_many_files_in_an_archive_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(table_files, "MOST", 2)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for k in range(3):
            archive.writestr(f"{k}.json", "[]")
    hand_in(tmp_path, "Ana", event())
    assert len(make_table(tmp_path, tmp_path / "out")) == 1
    assert "many.zip: it holds 3 files, more than 2; not read" in capsys.readouterr().out


def test_results_inside_of_the_exports_are_passed_over_the_next_time(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    hand_in(tmp_path, "Ana", event())
    for _ in range(2):
        make_table(tmp_path, tmp_path / "out")
    assert "not read" not in capsys.readouterr().out


def test_without_an_export_it_ends_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for exports, why in (
        (tmp_path / "in", "There is no export of the progress panel in"),
        (tmp_path / "missing", "EXPORTS must be a folder or a .zip of exports"),
        (tmp_path / "missing.zip", "There is no export of the progress panel in"),
        (tmp_path / "out", "EXPORTS must be a folder"),
    ):
        with pytest.raises(SystemExit, match=why):
            table.main(Namespace(exports=exports, out=tmp_path / "out"))
    with pytest.raises(SystemExit, match="another folder than EXPORTS"):
        table.main(Namespace(exports=tmp_path / "in", out=tmp_path / "in"))
    assert not (tmp_path / "out").exists()


# --- the counting


def test_tries_end_where_the_answer_passes_and_stubs_are_none() -> None:
    outcomes = ("not attempted", "not yet", "your code raised", "passed", "not yet", "passed")
    student = count("Ana", [event(outcome=outcome, points=2) for outcome in outcomes])
    assert student.tries == {("04", "inner_step"): 3}
    assert student.passed == {("04", "inner_step")}
    assert student.problems == []


@pytest.mark.parametrize("kind", ["exercise", "quiz", "predict", "hint", "solution"])
def test_no_event_breaks_the_counting(kind: str) -> None:
    odd = [None, -1, 10**30, "x" * 10_000, {"a": [1]}, float("nan")]
    for lesson in ("04", "", "4", "x" * 1000):
        for value in odd:
            student = count("Ana", [event(lesson=lesson, kind=kind, answer=value, time=value, points=0)])
            assert student.last is None


def test_hints_and_solutions_are_those_of_the_exercises() -> None:
    hints = [event(outcome="shown", kind="hint", answer=k) for k in (1, 2, 2)]
    student = count("Ana", [*hints, event(outcome="shown", kind="solution")])
    assert (len(student.hints), student.solutions, student.tries) == (2, {("04", "inner_step")}, {})
    assert [exercise.name for _, exercise in tasks_of([student])] == list(exercises_of("04"))


@pytest.mark.parametrize(
    ("message", "outcome", "mistake"),
    [
        ('It is the loss.\nStuck? `lesson.hint("x")` gives one.', "not yet", "It is the loss."),
        ("Wrong (The result: yours 3, expected 4). Look.", "not yet", "Wrong. Look."),
        ("Wrong (largest difference at [0, 1], yours 3, expected 4)", "not yet", "Wrong"),
        (
            "It takes `(a, b)`; yours takes `(a)`: missing.",
            "not yet",
            "It takes `(a, b)`; yours takes `(a)`: missing.",
        ),
        ("ValueError: bad\nLine 2 of the cell", "your code raised", "ValueError: bad"),
        ("", "not yet", ""),
        ("x" * 1000, "not yet", "x" * 400),
        (" (" + "yours " * 500_000, "not yet", "(" + ("yours " * 67)[:399]),
    ],
)
def test_a_mistake_is_the_message_without_the_students_own_numbers(
    message: str, outcome: str, mistake: str
) -> None:
    assert named(message, outcome) == mistake


def test_the_commonest_mistake_comes_first_and_who_passed_is_not_stuck() -> None:
    task = ("04", "inner_step")
    students = [
        Student("A", told={task: {"often", "seldom"}}, passed={task}),
        Student("B", told={task: {"often"}}),
        Student("C", told={task: {""}}),
    ]
    found = [(m.message, m.students, m.stuck) for m in mistakes_of(students, *task)]
    assert found == [("often", 2, 1), ("", 1, 1), ("seldom", 1, 0)]
    exercise = exercises_of("04")["inner_step"]
    assert "an export of an earlier version" in page(students, [("04", exercise)], [], [])


def test_a_large_class_has_several_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_picture, "ROWS", 3)
    students = [Student(f"Student {k}", solutions={("04", "best_start")}) for k in range(4)]
    assert table.write(students, [], tmp_path)[1:3] == ["class.png", "class_2.png"]
    table.write(students[:2], [], tmp_path)
    assert not (tmp_path / "class_2.png").exists(), "of an earlier, larger class"
    assert pictures(students, []) == []


@pytest.mark.parametrize("name", ["$x^$", "李 🦊", "x" * 60, "\\frac", "عمر", "□"])
def test_any_name_is_drawn(name: str) -> None:
    student = Student(name, tries={("04", "inner_step"): 1234})
    assert len(pictures([student], tasks_of([student]))) == 1
    assert len(_drawable(name)) <= 24
