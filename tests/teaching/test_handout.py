"""What students get answers as the course does, and shows no solution.

One archive of all lessons serves most tests; what it answers is asked of it once, in a process of its own
(`sweep`).
"""

import argparse
import ast
import importlib.util
import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import handout
import nbformat
import numpy as np
import pytest
from sliced import asked

from mlearn_utils.course.grading.exercise import Exercise, find_exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.grading.trial import Record, Trial
from mlearn_utils.course.lessons import lesson_numbers, load_lesson

ROOT = Path(__file__).resolve().parents[2]
TRIED = ("04", "05")
"""Lessons whose answers in the course's own tests are all tried in the class's edition."""

LIBRARY = tuple(f"mlearn_utils/{room}/" for room in ("tasks", "rl", "meta"))
NEARLY_RIGHT = (
    ("lesson_01/policies.py", "worth"),
    ("lesson_02/corridor.py", "play"),
    ("lesson_04/mistakes.py", "_adapted_losses"),
    ("lesson_05/mistakes.py", "_moving"),
    ("lesson_11/mistakes.py", "_diagnosis"),
)
"""Functions of the checkers that are a word away from a solution."""

SHORTEST = 15  # characters of a line that says something: not `return result`


def exercises() -> Iterator[tuple[str, Exercise]]:
    for number in lesson_numbers():
        for exercise in load_lesson(number).EXERCISES:
            yield number, exercise


def run(lessons: tuple[str, ...], out: Path) -> int:
    return handout.main(argparse.Namespace(lessons=list(lessons), out=out))


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert all(name.startswith("meta-rl-course/") for name in names)
        return {name.removeprefix("meta-rl-course/"): archive.read(name) for name in names}


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """Return the folder of an unpacked archive of all lessons."""
    out = tmp_path_factory.mktemp("handout")
    assert run((), out) == 0
    with zipfile.ZipFile(out / "meta-rl-course.zip") as archive:
        archive.extractall(out)
    return out / "meta-rl-course"


@pytest.fixture(scope="session")
def two(tmp_path_factory) -> dict[str, bytes]:
    """Return the files of an archive of two lessons, made by the command."""
    out = tmp_path_factory.mktemp("two") / "new"
    command = [sys.executable, str(ROOT / "teaching"), "handout", "--no-install", "--out", str(out)]
    variables = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--lessons", "05", "00"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{out / 'meta-rl-course-00-05.zip'}: " in done.stdout
    assert "Lessons 00, 05, without references, solutions and 6 hidden probes" in done.stdout
    return unpacked(out / "meta-rl-course-00-05.zip")


@pytest.fixture(scope="session")
def answers(whole, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Return what the edition says to stubs and answers: "NN name" of an exercise -> what was found."""
    places = (whole, ROOT, ROOT / "teaching")
    variables = {"PYTHONPATH": os.pathsep.join(map(str, places)), "OMP_NUM_THREADS": "1"}
    variables["MLEARN_PROGRESS"] = str(tmp_path_factory.mktemp("sweep") / "progress.jsonl")
    command = [sys.executable, str(ROOT / "tests/teaching/sweep.py"), *TRIED]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- what is in it


def squeezed(line: str) -> str:
    """Return a line of source, maybe one of a notebook's JSON, without spaces."""
    return re.sub(r"\s+", "", line.strip().removesuffix(",").strip('"').removesuffix("\\n"))


def test_no_line_of_a_solution_is_in_any_file(whole):
    solved = {squeezed(line) for _, e in exercises() for line in e.solved_source().splitlines()}
    stubs = {squeezed(line) for _, e in exercises() for line in e.stub_source().splitlines()}
    secret = {line for line in solved - stubs if len(line) >= SHORTEST}
    assert len(secret) > 60
    for path in whole.rglob("*"):
        name = path.relative_to(whole).as_posix()
        if path.suffix in {".py", ".ipynb", ".md", ".json", ".toml"} and not name.startswith(LIBRARY):
            text = path.read_text(encoding="utf-8")
            assert not {squeezed(line) for line in text.splitlines()} & secret, name


def test_no_function_that_makes_a_mistake_is_in_it(whole):
    found = list((whole / "mlearn_utils/course").glob("lesson_*/*.py"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in found)
    trials = [e.check for _, e in exercises() if isinstance(e.check, Trial)]
    assert len(trials) >= 40
    for trial in trials:
        assert trial.mistakes is not None
        assert f"def {trial.mistakes.__name__}(" not in text or trial.mistakes.__name__ == "<lambda>"
    assert "mistakes=" not in text
    for name, function in NEARLY_RIGHT:
        line = f"def {function}("
        assert line in (ROOT / "mlearn_utils/course" / name).read_text(encoding="utf-8")
        assert line not in (whole / "mlearn_utils/course" / name).read_text(encoding="utf-8")


def test_it_holds_what_students_need_and_no_more(two):
    files = two
    folders = {name.split("/")[0] for name in files}
    alike = {"LICENSE", "README.md", "requirements.txt", "environment.yml", "pyproject.toml"}
    assert folders == {*alike, "notebooks", "mlearn_utils", "data", "tests"}
    lessons = {match[1] for name in files if (match := re.search(r"lesson_(\d\d)/", name))}
    assert lessons == {"00", "05"}
    assert sorted(name for name in files if name.endswith(".ipynb")) == [
        "notebooks/00_start_here.ipynb",
        "notebooks/05_few_shot_regression.ipynb",
    ]
    for name in ("__main__", "opening", "environment", "installer", "working_copies"):
        assert files[f"notebooks/{name}.py"] == (ROOT / f"notebooks/{name}.py").read_bytes()
    assert "notebooks/jupyter/labconfig/default_setting_overrides.json" in files
    assert {name for name in files if name.startswith("tests/")} == {
        "tests/__main__.py",
        "tests/command.py",
        "tests/nbval.cfg",
        "tests/test_exercises.py",
    }
    assert "data/lesson_05/weights.safetensors" in files
    assert not [name for name in files if name.startswith("data/") and name.endswith(".py")]
    assert "[tool.ruff" not in files["pyproject.toml"].decode()
    assert "[tool.pytest" in files["pyproject.toml"].decode()
    book = nbformat.reads(files["notebooks/00_start_here.ipynb"].decode(), as_version=4)
    (course_map,) = [cell for cell in book.cells if cell.source == "lesson.course_map()"]
    assert course_map.outputs == []  # it would list lessons that are not there


def test_the_notebooks_of_all_lessons_are_the_course_s(whole):
    for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        assert (whole / "notebooks" / path.name).read_bytes() == path.read_bytes()


def test_no_notebook_and_no_module_of_a_lesson_calls_a_reference():
    """In a class's edition a reference raises, so that the course's own code has functions of its own."""
    for number in lesson_numbers():
        (notebook,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        modules = (ROOT / f"mlearn_utils/course/lesson_{number}").glob("*.py")
        codes = [path.read_text(encoding="utf-8") for path in modules]
        for code in [handout.code_of(notebook.read_bytes()), *codes]:
            wanted = asked([ast.parse(code)], f"mlearn_utils.course.lesson_{number}")
            assert wanted.get("exercises", set()) <= {"EXERCISES"}, code[:200]


def test_the_same_files_give_the_same_archive_and_the_same_lessons_the_same_files(whole, two):
    files = {"b.py": b"1\n", "a.py": b"2\n"}
    assert handout.archive(files) == handout.archive(dict(reversed(files.items())))
    for name, text in two.items():  # made in another process, with other hashes
        if "lesson_05" in name or "lesson_00" in name:
            assert text == (whole / name).read_bytes(), name


def test_a_tree_without_git_gives_the_same_files(tmp_path):
    files = ["mlearn_utils/a.py", "data/lesson_04/quiz.json", "notebooks/04_maml.ipynb", "LICENSE"]
    caches = ["mlearn_utils/__pycache__/a.pyc", "notebooks/.ipynb_checkpoints/04_maml.ipynb"]
    for name in [*files, *caches]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = handout.tracked(tmp_path)
    assert set(files) <= set(found)
    assert not set(caches) & set(found)


# --- how it answers


def test_every_exercise_waits_and_has_no_solution(answers):
    assert sorted(answers) == sorted(f"{number} {exercise.name}" for number, exercise in exercises())
    for name, found in answers.items():
        assert found["stub"] == "not attempted", name
        assert found["reference"] == "not attempted", name
        assert "class's edition" in found["solution"], name
        assert "has no solutions" in found["solution"], name


@pytest.mark.parametrize("number", TRIED)
def test_answers_are_told_what_they_are_told_in_the_course(answers, number):
    assert [line for name, found in answers.items() if name[:2] == number for line in found["unlike"]] == []


def test_a_probe_is_held_back_wherever_the_others_tell_mistakes_apart(answers):
    short = {}
    for number, exercise in exercises():
        if isinstance(exercise.check, Trial):
            probes = len(exercise.check.probes())
            short[exercise.name] = probes - answers[f"{number} {exercise.name}"]["probes"]
            assert short[exercise.name] <= (probes >= 4)
    assert set(short.values()) == {0, 1}
    assert sum(short.values()) >= len(short) - 3


def test_a_table_of_what_the_edition_checks_fails_in_grading(whole):
    folder = whole / "mlearn_utils/course/lesson_04"
    spec = importlib.util.spec_from_file_location("handed_out", folder / "mistakes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    right = Record(*pickle.loads((folder / "best_start.record").read_bytes())).right
    table = {repr(p): parts["The result"] for p, parts in zip(module.start_probes(), right, strict=True)}

    def best_start(curvature, support_center, query_center, inner_lr, steps):
        return table.get(repr((curvature, support_center, query_center, inner_lr, steps)), np.float64(0.3))

    exercise = find_exercise(load_lesson("04").EXERCISES, "best_start")
    assert grade(exercise, best_start).outcome == "not yet"
    handed_out = replace(exercise.check, probes=module.start_probes)  # type: ignore[type-var]
    assert grade(replace(exercise, check=handed_out), best_start).outcome == "passed"


# --- what may be wrong


def test_an_unknown_lesson_is_named_before_anything_is_done(tmp_path):
    with pytest.raises(SystemExit, match=r"there is no lesson 97; there are 00, 01"):
        run(("04", "97"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_lesson_without_a_notebook_is_named(monkeypatch):
    monkeypatch.setattr(handout, "tracked", lambda root: ["LICENSE"])
    with pytest.raises(SystemExit, match="no notebook of lesson 04"):
        handout.edition(["04"])


def test_out_must_be_a_folder(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SystemExit, match=r"--out must be a folder; .*out is a file"):
        run(("04",), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a file"


def test_an_archive_that_is_there_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(handout, "edition", lambda numbers: ({"README.md": b"new"}, 0))
    old = tmp_path / "meta-rl-course-04.zip"
    old.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            run(("04",), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
    assert old.read_bytes() == b"old"
    run(("04", "04"), tmp_path)
    assert ", anew: " in capsys.readouterr().out
    assert zipfile.ZipFile(io.BytesIO(old.read_bytes())).read("meta-rl-course/README.md") == b"new"
