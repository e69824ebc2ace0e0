"""The progress log: what is written stays, what is torn is passed over, what is exported is whole."""

import csv
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlearn_utils.course.grading.events import COLUMNS, OWNER, clean_name, read_export
from mlearn_utils.course.grading.progress import (
    LONGEST_MESSAGE,
    Progress,
    Recorder,
    current_recorder,
    start_recording,
)


def fill(progress: Progress) -> None:
    progress.record("04", "exercise", "inner_step", "not yet")
    progress.record("04", "exercise", "inner_step", "passed", points=2)
    progress.record("04", "exercise", "inner_step", "passed", points=2)
    progress.record("04", "quiz", "second-order", "wrong", answer="=1+1")
    progress.record("04", "quiz", "second-order", "correct")
    progress.record("04", "hint", "inner_step", "shown", answer=1)
    progress.record("05", "quiz", "shots", "wrong")


def test_nothing_is_created_before_the_first_event(progress_log):
    assert Progress().events() == []
    assert Progress().summary() == {}
    assert not progress_log.exists()


def test_a_summary_counts_every_exercise_and_question_once(progress_log):
    fill(Progress())
    four, five = Progress().summary()["04"], Progress().summary()["05"]
    assert (four.passed, four.points, four.correct, four.hints) == ({"inner_step"}, 2, {"second-order"}, 1)
    assert (five.tried, five.correct, five.answered) == (set(), set(), {"shots"})


def test_a_later_failure_takes_nothing_away():
    progress = Progress()
    progress.record("04", "exercise", "inner_step", "passed", points=2)
    progress.record("04", "exercise", "inner_step", "your code raised")
    assert progress.summary()["04"].points == 2


def test_paths_in_their_order(tmp_path, monkeypatch, progress_log):
    assert Progress(tmp_path / "mine.jsonl").path == tmp_path / "mine.jsonl"
    assert Progress().path == progress_log
    monkeypatch.delenv("MLEARN_PROGRESS")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Progress().path == tmp_path / ".mlearn" / "progress.jsonl"
    Progress().record("04", "exercise", "x", "passed")
    assert len(Progress().events()) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b'{"time": "2026", "lesson": "04", "ki',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"17",
        b"",
        b'{"kind": "exercise"}',
        b'{"kind": "virus", "lesson": "04", "name": "x", "outcome": "passed"}',
        b'{"kind": "exercise", "lesson": 4, "name": "x", "outcome": "passed"}',
    ],
)
def test_a_torn_or_foreign_line_loses_only_itself(progress_log, garbage):
    Progress().record("04", "exercise", "before", "passed", points=1)
    with progress_log.open("ab") as file:
        file.write(garbage)
    Progress().record("04", "exercise", "after", "passed", points="many")  # type: ignore[arg-type]
    assert Progress().summary()["04"].passed == {"before", "after"}
    assert Progress().summary()["04"].points == 1


def test_line_separators_inside_text_do_not_tear_a_line():
    Progress().record("04", "predict", "p", "committed", answer="a\u2028b\nc\x85")
    (event,) = Progress().events()
    assert event["answer"] == "a\u2028b\nc\x85"


def test_each_event_is_one_write_and_reaches_the_disk(progress_log, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda handle, data: calls.append(data) or write(handle, data))
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append("fsync") or fsync(handle))
    Progress().record("04", "exercise", "x", "passed")
    assert calls == [progress_log.read_bytes(), "fsync"]


def test_writers_at_the_same_time_do_not_mix_lines():
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: Progress().record("04", "quiz", f"q{k}", "correct"), range(40)))
    assert Progress().summary()["04"].correct == {f"q{k}" for k in range(40)}


def test_an_unknown_kind_is_refused_before_writing(progress_log):
    with pytest.raises(ValueError, match="kind must be one of"):
        Progress().record("04", "exam", "x", "passed")
    assert not progress_log.exists()


def test_export_as_csv(tmp_path):
    fill(Progress())
    text = Progress().export(tmp_path / "out.csv", "Ana").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(rows[0]) == (*OWNER, *COLUMNS)
    assert {row["student"] for row in rows} == {"Ana"}
    assert [row["outcome"] for row in rows[:2]] == ["not yet", "passed"]
    assert rows[3]["answer"] == "'=1+1", "a spreadsheet must not run an answer"


def test_export_as_json(tmp_path):
    fill(Progress())
    found = json.loads(Progress().export(tmp_path / "out.JSON", "Ana").read_text(encoding="utf-8"))
    assert (found["student"], found["events"]) == ("Ana", Progress().events())


def test_export_of_nothing(tmp_path):
    assert Progress().export(tmp_path / "out.csv").read_text() == ",".join((*OWNER, *COLUMNS)) + "\n"


def test_export_refuses_another_suffix(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.csv or \.json"):
        Progress().export(tmp_path / "out.xlsx")


def test_an_export_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def fail(self, other):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Progress().export(target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_log_that_cannot_be_written_is_said_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    recorder = Recorder("04", Progress(tmp_path / "file" / "progress.jsonl"))
    note = recorder.note("exercise", "x", "passed")
    assert str(tmp_path / "file" / "progress.jsonl") in note
    assert "MLEARN_PROGRESS" in note
    assert recorder.note("exercise", "x", "passed") == ""
    assert recorder.progress.events() == []


def test_a_write_cut_short_is_an_error_and_costs_one_line(progress_log, monkeypatch):
    Progress().record("04", "exercise", "before", "passed")
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[: len(data) // 2]))
    assert "No space left" in Recorder("04").note("exercise", "lost", "passed")
    monkeypatch.undo()
    monkeypatch.setenv("MLEARN_PROGRESS", str(progress_log))
    Progress().record("04", "exercise", "after", "passed")
    events, lost = Progress().read()
    assert [event["name"] for event in events] == ["before", "after"]
    assert lost == f"1 line was passed over in `{progress_log}`: torn, or not of this course."


def test_a_relative_path_is_that_of_the_start(tmp_path, monkeypatch):
    monkeypatch.setenv("MLEARN_PROGRESS", "mine.jsonl")
    monkeypatch.chdir(tmp_path)
    recorder = start_recording("04")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recorder.note("exercise", "x", "passed")
    current_recorder().note("predict", "y", "committed")
    Progress().record("04", "exercise", "z", "passed")
    lines = (tmp_path / "mine.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["x", "y", "z"]


def test_the_recorder_of_the_lesson_that_was_started_last_is_the_current_one():
    assert current_recorder().lesson == ""
    assert start_recording("03") is current_recorder()
    start_recording("04")
    assert current_recorder().lesson == "04"


def test_without_a_home_folder_it_is_said_in_words(monkeypatch):
    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MLEARN_PROGRESS")
    monkeypatch.setattr(Path, "expanduser", no_home)
    recorder = Recorder("04")
    note = recorder.note("exercise", "x", "passed")
    assert note.startswith(
        "Your progress could not be saved (this user has no home folder); set `MLEARN_PROGRESS`"
    )
    assert recorder.progress.read() == ([], "")
    assert recorder.progress.summary() == {}


def test_a_log_that_is_a_folder_is_told(tmp_path):
    events, lost = Progress(tmp_path).read()
    assert events == []
    assert lost == f"The progress file `{tmp_path}` could not be read (Is a directory)."
    assert Progress(tmp_path).export(tmp_path / "out.csv").read_text() == ",".join((*OWNER, *COLUMNS)) + "\n"


def test_a_log_that_may_not_be_read_is_told(progress_log, monkeypatch):
    def refuse(self, **options):
        raise PermissionError(13, "Permission denied")

    Progress().record("04", "exercise", "x", "passed")
    monkeypatch.setattr(Path, "read_text", refuse)
    assert Progress().read() == (
        [],
        f"The progress file `{progress_log}` could not be read (Permission denied).",
    )


def test_a_deep_line_and_half_a_character_harm_nothing(progress_log, tmp_path):
    progress_log.write_text("[" * 200_000 + "\n", encoding="utf-8")
    Progress().record("04", "predict", "p", "committed", answer="half \ud800 a character")
    events, lost = Progress().read()
    assert events[0]["answer"] == "half \ud800 a character"
    assert "1 line was passed over" in lost
    for suffix in (".csv", ".json"):
        assert "half" in Progress().export(tmp_path / f"out{suffix}").read_text(encoding="utf-8")


def test_a_byte_order_mark_costs_no_event(progress_log):
    Progress().record("04", "exercise", "x", "passed")
    progress_log.write_bytes(b"\xef\xbb\xbf" + progress_log.read_bytes())
    assert Progress().read() == (Progress().events(), "")
    assert len(Progress().events()) == 1


def test_what_the_student_was_told_is_kept_at_a_sane_length(progress_log):
    recorder = Recorder("04")
    recorder.note("exercise", "x", "not yet", message="first\nline")
    recorder.note("exercise", "x", "your code raised", message="m" * 100_000)
    short, long = Progress().events()
    assert short["message"] == "first\nline"
    assert long["message"] == "m" * (LONGEST_MESSAGE - 1) + "…"
    assert len(progress_log.read_text(encoding="utf-8").splitlines()) == 2


def test_a_log_of_before_messages_is_read(progress_log, tmp_path):
    progress_log.write_text(
        '{"time": "2026-11-28T10:00:00+00:00", "lesson": "04", "kind": "exercise", "name": "x", '
        '"outcome": "passed", "points": 2, "answer": null}\n'
    )
    Progress().record("04", "exercise", "y", "passed", points=1, message="Good.")
    assert [event["message"] for event in Progress().events()] == ["", "Good."]
    assert Progress().summary()["04"].points == 3
    for suffix in (".csv", ".json"):
        text = Progress().export(tmp_path / f"out{suffix}").read_text(encoding="utf-8")
        assert [event["name"] for event in read_export(text).events] == ["x", "y"]


@pytest.mark.parametrize("name", ["Ana", "Zoë \u202e Müller", "half \ud800", "x" * 1000])
def test_a_name_is_remembered_beside_the_log(name, progress_log, tmp_path):
    assert Progress().student == ""
    Progress().remember(name)
    assert Progress().student == clean_name(name)
    assert (tmp_path / "progress.student.txt").exists()
    assert not progress_log.exists()
    assert Progress(tmp_path / "other.jsonl").student == "", "each log has its own"
    text = Progress().export(tmp_path / "out.json").read_text(encoding="utf-8")
    assert read_export(text).student == clean_name(name)


def test_a_name_that_cannot_be_read_is_asked_for_again(tmp_path):
    (tmp_path / "progress.student.txt").mkdir()
    assert Progress().student == ""
    nowhere = Progress()
    nowhere.path = None
    assert nowhere.student == ""
    with pytest.raises(OSError, match="no home folder"):
        nowhere.remember("Ana")
