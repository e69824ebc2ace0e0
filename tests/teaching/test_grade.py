"""Grading a class: every kind of submission its score, every cheat a flag, every broken file its reason."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import classroom
import pytest

from mlearn_utils.course.lessons import lesson_numbers
from tests.teaching.handed_in import CHEATS, KINDS, ROOT, STEP, code, notebook, solved, step

Row = dict[str, str]


def grade(
    submissions: Path, out: Path, *options: str
) -> tuple[dict[str, Row], subprocess.CompletedProcess[str]]:
    """Grade by the command that a teacher gives; return the rows by file, and the ended command."""
    command = [sys.executable, "teaching", "grade", "--no-install", str(submissions), "--out", str(out)]
    done = subprocess.run(
        [*command, "--workers", "2", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {}, done
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}, done


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("class")


@pytest.fixture(scope="module")
def graded(room: Path) -> dict[str, Row]:
    """One class: every kind, every cheat, every broken file, graded together."""
    folder = room / "submissions"
    folder.mkdir()
    for name, (book, _) in KINDS.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(book), encoding="utf-8")
    for k, (name, text) in enumerate(CHEATS.items()):
        text = text.replace("{outside}", str(room / f"outside {k}"))
        (folder / f"{name}.ipynb").write_text(json.dumps(step(text)), encoding="utf-8")
    put_broken_files(folder)
    shutil.copytree(ROOT / "notebooks" / "solutions", folder / "solved")
    rows, done = grade(folder, room / "results", "--seconds", "2", "--memory", "1000")
    assert done.returncode == 0, done.stderr
    return rows


def put_broken_files(folder: Path) -> None:
    (folder / "no json.ipynb").write_text("{ this is", encoding="utf-8")
    (folder / "empty file.ipynb").write_text("", encoding="utf-8")
    (folder / "a list.ipynb").write_text("[1, 2]", encoding="utf-8")
    (folder / "latin.ipynb").write_bytes(json.dumps(notebook()).encode("utf-8") + b"\xff\xfe")
    (folder / "deep.ipynb").write_text("[" * 100_000, encoding="utf-8")
    (folder / "essay.docx").write_bytes(b"PK no archive")
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(100_000_000)
    thousand = solved()
    thousand["cells"] += [code(f"x_{k} = {k}") for k in range(1000)]
    (folder / "thousand.ipynb").write_text(json.dumps(thousand), encoding="utf-8")
    old = {
        "nbformat": 3,
        "worksheets": [{"cells": [{**c, "input": c.get("source")} for c in solved()["cells"]]}],
    }
    (folder / "old.ipynb").write_text(json.dumps(old), encoding="utf-8")
    other = {"cells": [code("print('my homework')")]}
    (folder / "another course.ipynb").write_text(json.dumps(other), encoding="utf-8")
    odd = {
        "cells": [3, None, {"cell_type": "code"}, {"cell_type": "code", "source": [1, "a"]}, code("def (")]
    }
    (folder / "odd cells.ipynb").write_text(json.dumps(odd), encoding="utf-8")
    nested = {
        "cells": [code("x = " + "(" * 3000), code("y = " + "-" * 20_000 + "1"), code(STEP + "    pass")]
    }
    (folder / "nested code.ipynb").write_text(json.dumps(nested), encoding="utf-8")
    (folder / "link.ipynb").symlink_to(folder / "perfect.ipynb")
    (folder / "elsewhere").symlink_to(ROOT / "notebooks")
    Path(os.fsdecode(os.fsencode(folder) + b"/bert \xe9.ipynb")).write_text(
        json.dumps(notebook()), encoding="utf-8"
    )
    (folder / "=1+1.ipynb").write_text(json.dumps(notebook()), encoding="utf-8")
    (folder / "no\nline.ipynb").write_text(json.dumps(notebook()), encoding="utf-8")
    os.mkfifo(folder / "pipe.ipynb")
    for name in ("04_maml.ipynb", "04 MAML (2).ipynb"):
        (folder / "twice").mkdir(exist_ok=True)
        (folder / "twice" / name).write_text(json.dumps(solved()), encoding="utf-8")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 broken")
    (folder / ("\U0001d49c" * 60 + ".ipynb")).write_text(json.dumps(notebook()), encoding="utf-8")
    with zipfile.ZipFile(folder / "damaged.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("04_maml.ipynb", json.dumps(notebook()))
    raw = bytearray((folder / "damaged.zip").read_bytes())
    raw[60:300] = b"\xff" * 240
    (folder / "damaged.zip").write_bytes(raw)
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../x/04_maml.ipynb", json.dumps(solved()))
        archive.writestr("/root/y/04_maml.ipynb", json.dumps(notebook()))
        archive.writestr("z/04_maml.ipynb", "no json")
        archive.writestr("bomb/04_maml.ipynb", b" " * 60_000_000)
        link = zipfile.ZipInfo("l/04_maml.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_submission_gets_its_score(graded: dict[str, Row], kind: str) -> None:
    row = graded[f"{kind}.ipynb"]
    assert (row["score"], row["max_score"], row["lesson"]) == (str(KINDS[kind][1]), "12", "04")
    assert row["student"] == kind


def test_the_solved_lessons_get_all_points_and_no_flag(graded: dict[str, Row]) -> None:
    rows = [row for file, row in graded.items() if file.startswith("solved/")]
    assert [row["lesson"] for row in rows] == lesson_numbers()
    assert all(row["score"] == row["max_score"] and not row["flag"] for row in rows), rows


def test_honest_work_has_no_flag(graded: dict[str, Row]) -> None:
    flagged = {kind for kind in KINDS if graded[f"{kind}.ipynb"]["flag"]}
    assert flagged == {"checker patched", "reference imported", "kernel killed"}


@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_gets_a_point_without_a_flag(graded: dict[str, Row], cheat: str) -> None:
    row = graded[f"{cheat}.ipynb"]
    assert row["max_score"] == "12"
    assert row["inner_step"] == "0" or row["flag"], row


HARMLESS = {
    *("prints without end", "calls itself without end", "takes all memory", "leaves by an exit"),
    "sends letters that are none",
}


@pytest.mark.parametrize("cheat", sorted(set(CHEATS) - HARMLESS))
def test_what_is_no_answer_is_flagged(graded: dict[str, Row], cheat: str) -> None:
    assert graded[f"{cheat}.ipynb"]["flag"]


def test_nothing_was_written_outside_and_no_process_is_left(graded: dict[str, Row], room: Path) -> None:
    assert not [*room.glob("outside*"), *(ROOT / "data" / "lesson_04").glob("outside*")]
    if Path("/proc").exists():
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not any(str(room).encode() in line for line in lines)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("no json.ipynb", "not JSON"),
        ("empty file.ipynb", "not JSON"),
        ("a list.ipynb", "no cells"),
        ("latin.ipynb", "not UTF-8"),
        ("deep.ipynb", "nested too deep"),
        ("essay.docx", "does not end in .ipynb"),
        ("huge.ipynb", "100 MB"),
        ("another course.ipynb", "no exercise"),
        ("odd cells.ipynb", "no exercise"),
        ("link.ipynb", "symbolic link"),
        ("elsewhere", "symbolic link"),
        ("pipe.ipynb", "no plain file"),
        ("broken.zip", "broken"),
        ("damaged.zip/04_maml.ipynb", "decompressing"),
        ("all.zip/z/04_maml.ipynb", "not JSON"),
        ("all.zip/bomb/04_maml.ipynb", "60 MB"),
        ("all.zip/l/04_maml.ipynb", "symbolic link"),
        ("all.zip/readme.txt", "does not end in .ipynb"),
    ],
)
def test_what_cannot_be_graded_is_told_by_name_and_has_no_score(
    graded: dict[str, Row], file: str, why: str
) -> None:
    assert (graded[file]["score"], graded[file]["inner_step"]) == ("", "")
    assert graded[file]["flag"].startswith("not graded: ")
    assert why in graded[file]["flag"]


@pytest.mark.parametrize(
    ("file", "score", "flag"),
    [
        ("thousand.ipynb", "12", "cells"),
        ("old.ipynb", "12", "old format"),
        ("bert \\udce9.ipynb", "0", ""),
        ("'=1+1.ipynb", "0", ""),
        ("no\\x0aline.ipynb", "0", ""),
        ("nested code.ipynb", "0", ""),
        ("twice/04_maml.ipynb", "12", "2 notebooks of this student"),
        ("twice/04 MAML (2).ipynb", "12", "2 notebooks of this student"),
        ("all.zip/x/04_maml.ipynb", "12", ""),
        ("all.zip/root/y/04_maml.ipynb", "0", ""),
    ],
)
def test_odd_files_are_graded_all_the_same(graded: dict[str, Row], file: str, score: str, flag: str) -> None:
    assert graded[file]["score"] == score
    assert flag in graded[file]["flag"] if flag else not graded[file]["flag"]


def test_every_file_has_one_line_and_every_graded_one_a_page(graded: dict[str, Row], room: Path) -> None:
    pages = list((room / "results" / "feedback").glob("*.html"))
    assert len(pages) == sum(bool(row["score"]) for row in graded.values())
    page = (room / "results" / "feedback" / "first order 04.html").read_text(encoding="utf-8")
    assert "its derivative by theta is 1, which is first order" in page
    assert "10 of 12 points" in page
    slow = (room / "results" / "feedback" / "endless loop 04.html").read_text(encoding="utf-8")
    assert "more than the 2 seconds" in slow
    broken = (room / "results" / "feedback" / "syntax error 04.html").read_text(encoding="utf-8")
    assert "SyntaxError" in broken
    assert "of the cell" in broken


def test_mistakes_are_counted_over_the_class(graded: dict[str, Row], room: Path) -> None:
    with (room / "results" / "mistakes.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["students"]) for line in lines] == sorted(
        (int(r["students"]) for r in lines), reverse=True
    )
    assert any("first order" in line["message"] and line["exercise"] == "inner_step" for line in lines)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["no such folder"], "no such folder or archive"),
        (["EMPTY"], "no notebook in"),
        (["EMPTY", "--workers", "0"], "--workers must be at least 1"),
        (["EMPTY", "--seconds", "-1"], "--seconds"),
    ],
)
def test_bad_options_are_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path / "empty") if option == "EMPTY" else option for option in options]
    with pytest.raises(SystemExit) as ended:
        classroom.run_here(["grade", "--out", str(tmp_path / "out"), *given])
    assert ended.value.code not in (0, None)
    assert sentence in f"{ended.value.code} {capsys.readouterr().err}"


def test_the_command_ends_with_the_sentence_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _, done = grade(tmp_path / "empty", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no notebook in")
    assert "Traceback" not in done.stderr
