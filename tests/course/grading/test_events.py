"""The file that a student hands in: it says whose it is, and reading it never trusts it."""

import csv
import importlib.metadata
import json
from datetime import UTC, datetime

import pytest

from mlearn_utils.course.grading.events import (
    COLUMNS,
    LONGEST_NAME,
    Event,
    as_csv,
    as_json,
    clean_name,
    course_version,
    file_stem,
    moment,
    parse_event,
    read_export,
)

EVENTS: list[Event] = [
    dict(zip(COLUMNS, ("2026-11-28T10:00:00+00:00", "04", *rest), strict=True))
    for rest in [
        ("exercise", "inner_step", "not yet", 0, None, "=1+1 is first order.\nStuck?"),
        ("quiz", "second-order", "wrong", 0, "-2", ""),
        ("hint", "inner_step", "shown", 0, 1, ""),
    ]
]


@pytest.mark.parametrize("name", ["Ana", "Zoë Müller", "李小龙", "=cmd|' /C calc'!A0", "-", '"; drop, "'])
@pytest.mark.parametrize("write", [as_json, as_csv])
def test_what_is_written_is_read_again(write, name):
    export = read_export(write(EVENTS, name))
    assert (export.student, export.version, export.lost) == (name, course_version(), 0)
    assert [e["message"] for e in export.events] == [EVENTS[0]["message"], "", ""]
    assert [e["answer"] for e in export.events][1] == "-2"
    assert [e["points"] for e in export.events] == [0, 0, 0]


def test_the_json_says_whose_it_is_and_when_it_was_made():
    found = json.loads(as_json(EVENTS, "Ana"))
    assert list(found) == ["student", "course", "version", "exported", "events"]
    assert (found["student"], found["course"]) == ("Ana", "mlearn-utils")
    assert found["version"] == importlib.metadata.version("mlearn-utils")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found["exported"])).total_seconds()) < 60
    assert found["events"] == EVENTS


def test_no_cell_of_the_csv_is_a_formula():
    text = as_csv(EVENTS, "@Ana")
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert "'@Ana" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_a_course_that_was_not_installed_has_no_version(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert course_version() == ""
    assert read_export(as_json(EVENTS, "Ana")).version == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Ana \t  Silva\n", "Ana Silva"),
        ("Zoe\u0308", "Zoë"),
        ("a\u202eb\u200bc\x00\x1b[31m\ud800", "abc[31m"),
        ("x" * 500, "x" * LONGEST_NAME),
        ("a \u202e b", "a b"),
        ("\x00 \u200b", ""),
        ("", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_a_name_is_one_line_that_can_be_shown(text, name):
    assert clean_name(text) == clean_name(clean_name(text)) == name


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Ana", "mlearn-progress-Ana"),
        ("Jean-Luc d'Artagnan, Jr.", "mlearn-progress-Jean-Luc-d-Artagnan-Jr"),
        ("Zoë Müller", "mlearn-progress-Zoë-Müller"),
        ("李小龙", "mlearn-progress-李小龙"),
        ("नेहा", "mlearn-progress-नेहा"),
        ("", "mlearn-progress"),
    ],
)
def test_a_file_is_called_after_the_student(name, stem):
    assert file_stem(name) == stem


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "C:\\con", "a/b", "..", "🦊", "nul\x00l/", "ab" * 200, "𠀀" * 60, "$(x)`y`*?"],
)
def test_no_name_leads_out_of_the_folder_or_is_too_long_for_it(name, tmp_path):
    path = tmp_path / f"{file_stem(name)}.json"
    path.write_text("x")
    assert path.parent == tmp_path
    assert file_stem(name).replace("-", "").isalnum()
    assert len(path.name.encode()) < 220


def test_two_names_are_two_files():
    names = [
        "Ana",
        "Bo",
        "🦊",
        "🐻",
        "C",
        "C++",
        "C#",
        "a/b",
        "a:b",
        "a b",
        "x" * 59,
        "x" * 60,
        "ab",
        "n/a b",
    ]
    assert len({file_stem(name).casefold() for name in names}) == len(names)
    assert file_stem("Ana  Silva") == file_stem("Ana-Silva") == file_stem(" Ana Silva.")


def test_an_old_export_names_nobody():
    old = [{key: value for key, value in e.items() if key != "message"} for e in EVENTS]
    export = read_export(json.dumps(old))
    assert (export.student, export.version, export.exported, len(export.events)) == ("", "", "", 3)
    assert export.events[0]["message"] == ""
    header = "time,lesson,kind,name,outcome,points,answer\n"
    export = read_export(header + "2026-11-28T10:00:00+00:00,04,exercise,inner_step,passed,2,\n")
    assert (export.student, export.events[0]["points"]) == ("", 2)
    assert read_export("[]").events == read_export(header).events == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "no export"),
        ("a,b\n1,2\n", "no export"),
        ("{}", "no export"),
        ('{"cells": [], "nbformat": 4}', "no export"),
        ("[1, 2]", "no export"),
        ('{"events": 7}', "no export"),
        ('{"events": [], "course": "another"}', "another course"),
        ("[" * 100_000, "JSON is damaged"),
        ('{"events": [', "JSON is damaged"),
        ('{"events": [' + "9" * 5000 + "]}", "JSON is damaged"),
        ("time,lesson,kind,name,outcome\n" + "x" * 200_000, "CSV is damaged"),
    ],
)
def test_what_is_no_export_is_refused_in_words(text, why):
    with pytest.raises(ValueError, match=why):
        read_export(text)


def test_damaged_events_are_counted():
    text = json.dumps({"course": "mlearn-utils", "student": 7, "events": [*EVENTS, 5, {"kind": []}]})
    export = read_export(text)
    assert (export.student, len(export.events), export.lost) == ("", 3, 2)


def test_an_event_has_points_and_a_message_of_the_right_kind():
    odd = parse_event({**EVENTS[0], "points": "many", "message": ["x"]})
    assert odd is not None
    assert (odd["points"], odd["message"]) == (0, "")


@pytest.mark.parametrize("text", [None, 7, "", "soon", "2026-99-01", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_none(text):
    assert moment(text) is None


def test_a_time_without_a_zone_is_in_utc():
    assert (
        moment("2026-11-28T10:00:00")
        == moment("2026-11-28T12:00:00+02:00")
        == datetime(2026, 11, 28, 10, tzinfo=UTC)
    )
