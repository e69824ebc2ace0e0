"""The panel over all lessons: done of total, its buttons, and nothing personal in the notebook's text."""

import json

import pytest

from mlearn_utils.course import lessons
from mlearn_utils.course.grading.events import course_version, read_export
from mlearn_utils.course.grading.progress import Progress
from mlearn_utils.course.widgets.progress_panel import ProgressPanel, lesson_title

BANK = {
    "lesson": "98",
    "questions": [
        {
            "name": name,
            "question": f"{name}?",
            "choices": [
                {"text": "a", "correct": True, "why": "yes"},
                {"text": "b", "correct": False, "why": "no"},
            ],
        }
        for name in ("one", "two")
    ],
}


@pytest.fixture
def panel_of(fake, tmp_path, monkeypatch):
    (tmp_path / "lesson_98").mkdir()
    (tmp_path / "lesson_98" / "quiz.json").write_text(json.dumps(BANK))
    monkeypatch.setenv("MLEARN_DATA", str(tmp_path))
    return lambda progress: ProgressPanel({"98": fake, "99": fake}, progress, folder=tmp_path)


@pytest.fixture
def panel(panel_of):
    return panel_of(Progress())


def work() -> None:
    progress = Progress()
    progress.record("98", "exercise", "mean", "passed", points=3)
    progress.record("98", "exercise", "renamed_since", "passed", points=9)
    progress.record("98", "quiz", "one", "correct")
    progress.record("98", "quiz", "removed-since", "correct")


def test_rows_count_what_is_done_of_what_there_is(panel):
    work()
    row, other = panel.rows()
    assert row.title == "98 A made-up lesson: doubling and a mean with a planted bug"
    assert (row.exercises, row.points, row.minutes, row.quiz) == ((1, 3), (3, 5), (5, 8), (1, 2))
    assert (other.exercises, other.quiz) == ((0, 3), (0, 0))


def test_refresh_reads_the_log_again(panel):
    assert "1 / 3" not in panel.table.value
    work()
    panel.refresh_button.click()
    assert '<td class="number">1 / 3</td>' in panel.table.value
    assert '<th scope="row">All lessons</th><td class="number">1 / 6</td>' in panel.table.value


def test_what_is_complete_has_a_mark_and_what_is_absent_a_dash(panel):
    for name in ("one", "two"):
        Progress().record("98", "quiz", name, "correct")
    panel.refresh()
    assert "2 / 2 ✔" in panel.table.value
    assert '<td class="number">–</td>' in panel.table.value


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_export_writes_beside_the_notebook_under_the_students_name(panel, suffix, tmp_path):
    work()
    panel.student.value = "  Zoë  Müller "
    getattr(panel, f"{suffix}_button").click()
    export = read_export((tmp_path / f"mlearn-progress-Zoë-Müller.{suffix}").read_text(encoding="utf-8"))
    assert (export.student, export.version) == ("Zoë Müller", course_version())
    assert "mean" in [event["name"] for event in export.events]
    said = f"Saved <code>mlearn-progress-Zoë-Müller.{suffix}</code> beside this notebook."
    assert panel.message.value == said
    assert panel.student.value == "Zoë Müller"


@pytest.mark.parametrize("name", ["", "  ", "\u200b\n"])
def test_an_export_asks_for_a_name_first(panel, name, tmp_path):
    work()
    panel.student.value = name
    panel.json_button.click()
    assert panel.message.value.startswith("Write your name into the field first (a nickname will do)")
    assert [path.name for path in tmp_path.iterdir() if "mlearn" in path.name] == []


def test_the_name_is_asked_for_once(panel, panel_of):
    panel.student.value = "Ana"
    panel.json_button.click()
    assert panel_of(Progress()).student.value == "Ana"


def test_two_students_in_one_folder_have_two_files(panel, tmp_path):
    for name in ("Ana", "Bo", "../Ana", "🦊", "🐻"):
        panel.student.value = name
        panel.json_button.click()
    assert len(list(tmp_path.glob("mlearn-progress-*.json"))) == 5


def test_an_export_that_fails_is_said(fake, tmp_path):
    panel = ProgressPanel({"98": fake}, Progress(), folder=tmp_path / "missing")
    panel.student.value = "Ana"
    panel.csv_button.click()
    assert "could not be written: No such file or directory." in panel.message.value


def test_a_name_that_cannot_be_kept_does_not_stop_the_export(panel, tmp_path):
    (tmp_path / "progress.student.txt").mkdir()
    panel.student.value = "Ana"
    panel.json_button.click()
    assert (tmp_path / "mlearn-progress-Ana.json").exists()
    assert "Your name could not be kept for the next time (Is a directory)." in panel.message.value


def test_the_field_of_the_name_is_labelled(panel):
    assert panel.student.description == "Your name, for the export"
    assert panel.student.placeholder == "a nickname will do"


def test_the_notebook_holds_nothing_personal(panel):
    before = panel._repr_mimebundle_()[0]["text/plain"]
    assert before == "Progress panel: exercises, points, minutes and quiz of every lesson"
    work()
    panel.student.value = "Ana"
    panel.refresh()
    assert panel._repr_mimebundle_()[0]["text/plain"] == before
    assert "image/png" not in panel._repr_mimebundle_()[0]


def test_a_lesson_shows_the_panel_of_all_lessons(lesson, fake, monkeypatch):
    monkeypatch.setattr(lessons, "lesson_numbers", lambda: ["97", "98"])
    assert [row.title[:2] for row in lesson.progress().rows()] == ["97", "98"]


def test_the_title_comes_from_the_module(fake, monkeypatch):
    monkeypatch.setattr(fake, "TITLE", "Doubling", raising=False)
    assert lesson_title(fake) == "Doubling"


def test_a_log_that_cannot_be_read_is_told_and_the_panel_goes_on(panel_of, tmp_path):
    panel = panel_of(Progress(tmp_path))
    assert "could not be read (Is a directory)" in panel.message.value
    panel.student.value = "Ana"
    panel.csv_button.click()
    assert "Saved" in panel.message.value
    assert "could not be read" in panel.message.value


def test_lines_that_are_not_ours_are_counted(panel_of, progress_log):
    Progress().record("98", "exercise", "double", "passed", points=1)
    with progress_log.open("a") as file:
        file.write("[" * 100_000 + "\nnonsense\n")
    panel = panel_of(Progress())
    assert "2 lines were passed over" in panel.message.value
    assert panel.rows()[0].points == (1, 5)
