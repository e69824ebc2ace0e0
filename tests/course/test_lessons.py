"""`course.start`, and what a lesson does with answers, hints and solutions."""

import os
import subprocess
import sys

import matplotlib as mpl
import pytest
import torch

from mlearn_utils import course
from mlearn_utils.course import lessons
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.progress import Progress


@pytest.fixture
def start(fake, monkeypatch):
    monkeypatch.setattr(lessons, "load_lesson", lambda number: fake)
    monkeypatch.setattr(lessons, "use_style", lambda: None)
    for name in (*lessons.HEADLESS, "MLEARN_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield course.start
    torch.set_num_threads(threads)


def test_start_prints_one_line_and_prepares_the_notebook(start, capsys):
    lesson = start("98")
    line = capsys.readouterr().out
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert line.startswith(
        f"Lesson 98 · Python {python} · torch {torch.__version__.split('+')[0]} · gymnasium "
    )
    assert line.endswith(" · device cpu\n")
    assert line.count("\n") == 1
    assert lesson.device == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert all(os.environ[name] == value for name, value in lessons.HEADLESS.items())


def test_what_the_user_set_before_stays(start, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    start("98")
    assert os.environ["SDL_VIDEODRIVER"] == "x11"


def test_the_device_comes_from_the_environment(start, monkeypatch):
    monkeypatch.setenv("MLEARN_DEVICE", "quantum")
    with pytest.raises(ValueError, match="quantum"):
        start("98")


def test_an_unknown_lesson_lists_those_there_are():
    with pytest.raises(ValueError, match=r"number must be one of \[.*\], got '97'"):
        course.start("97")


def test_importing_the_package_sets_nothing_global():
    code = (
        "import os, sys, matplotlib as mpl, torch; before = dict(mpl.rcParams), dict(os.environ), "
        "torch.get_num_threads(); import mlearn_utils.course; "
        "assert before == (dict(mpl.rcParams), dict(os.environ), torch.get_num_threads()); "
        "assert 'matplotlib.pyplot' not in sys.modules and 'pygame' not in sys.modules"
    )
    gymnasiums = {"PYGAME_HIDE_SUPPORT_PROMPT": "hide"}  # it sets this itself, and highway-env another value
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=os.environ | gymnasiums)


def test_use_style_sets_the_figure_size():
    with mpl.rc_context():
        lessons.use_style()
        assert list(mpl.rcParams["figure.figsize"]) == [5, 3]
        assert mpl.rcParams["figure.dpi"] == 80


def test_check_finds_the_exercise_by_the_functions_name(lesson):
    assert lesson.check(lesson.exercises[0].reference).ok
    assert lesson.check(lambda x: 2 * x, "double").ok
    assert [event["outcome"] for event in Progress().events()] == ["passed", "passed"]
    assert [event["message"] for event in Progress().events()] == ["Checked on two numbers."] * 2
    assert Progress().summary()["98"].points == 1


def test_check_of_an_unknown_name_lists_the_exercises(lesson):
    with pytest.raises(ValueError, match=r"no exercise '<lambda>'.*double, mean, broken.*answer, \"name\""):
        lesson.check(lambda x: x)
    with pytest.raises(ValueError, match=r"without calling it.*double, mean, broken"):
        lesson.check(torch.ones(2))


def test_an_interrupted_check_keeps_what_was_done_before(lesson, write):
    lesson.check(lambda x: 2 * x, "double")
    answer = write("def double(x):\n    raise KeyboardInterrupt\n", "double")
    with pytest.raises(KeyboardInterrupt):
        lesson.check(answer)
    assert Progress().summary()["98"].passed == {"double"}


def test_a_home_that_cannot_be_written_does_not_stop_a_check(fake, monkeypatch, tmp_path):
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("MLEARN_PROGRESS", str(tmp_path / "home" / "progress.jsonl"))
    monkeypatch.setattr(lessons, "load_lesson", lambda number: fake)
    lesson = lessons.Lesson("98")
    first, second = (lesson.check(lambda x: 2 * x, "double") for _ in range(2))
    assert first.ok
    assert "could not be saved" in first.note
    assert "MLEARN_PROGRESS" in str(first)
    assert second.note == ""


def test_hints_come_one_at_a_time(lesson):
    texts = [str(lesson.hint("double")) for _ in range(4)]
    assert texts[0] == "Hint 1 of 2 · `double`\nThink of addition."
    assert texts[1] == "Hint 2 of 2 · `double`\nOr multiply by 2."
    assert texts[2] == texts[3]
    assert 'lesson.solution("double")' in texts[2]
    assert str(lesson.hint("mean")).startswith("Hint 1 of 2")
    assert Progress().summary()["98"].hints == 3


@pytest.mark.parametrize("ask", ["hint", "solution"])
def test_a_log_that_cannot_be_written_is_told_by_whoever_meets_it_first(fake, monkeypatch, tmp_path, ask):
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("MLEARN_PROGRESS", str(tmp_path / "home" / "progress.jsonl"))
    monkeypatch.setattr(lessons, "load_lesson", lambda number: fake)
    lesson = lessons.Lesson("98")
    shown = getattr(lesson, ask)("double")
    assert "could not be saved" in str(shown)
    assert "could not be saved" not in str(lesson.check(lambda x: 2 * x, "double"))


def test_a_fault_of_a_checker_is_on_record(lesson, caplog):
    report = lesson.check(lambda x: x, "broken")
    assert report.outcome == "not yet"
    (event,) = Progress().events()
    assert (event["outcome"], event["answer"]) == ("not yet", "KeyError: 'a mistake of ours'")
    caplog.clear()


@pytest.mark.parametrize("answer", [3.0, None, "double", torch.ones(2), len, type, lambda: 1, object()])
def test_whatever_is_checked_by_name_gets_a_report(lesson, answer):
    assert lesson.check(answer, "double").outcome in {"not yet", "your code raised"}


class Nameless:
    """Fails at being asked for its name."""

    @property
    def __name__(self):
        raise RuntimeError("no name")

    def __call__(self, x):
        return 2 * x


def test_an_answer_that_has_no_name_to_tell_is_asked_for_one(lesson):
    with pytest.raises(ValueError, match=r'lesson\.check\(answer, "name"\)'):
        lesson.check(Nameless())
    assert lesson.check(Nameless(), "double").ok


def test_a_prediction_knows_the_lesson_that_was_started(start, fake):
    start("98")
    course.Predict("?", ("a", "b"), lambda guess: "", name="p").commit("a")
    (event,) = Progress().events()
    assert (event["lesson"], event["kind"], event["name"]) == ("98", "predict", "p")


def test_solution_shows_the_source(lesson):
    assert str(lesson.solution("double")).endswith("    y = 2 * y\n    return y")
    assert str(lesson.solution(lesson.exercises[0].reference)) == str(lesson.solution("double"))


def test_a_class_s_edition_says_that_it_has_no_solutions(lesson, monkeypatch):
    monkeypatch.setattr(Exercise, "has_solution", False)
    shown = lesson.solution("double")
    assert "class's edition" in str(shown)
    assert "y = 2 * y" not in str(shown)
    assert not shown.is_code
    assert Progress().events() == []  # nothing was shown
    last = [str(lesson.hint("double")) for _ in range(3)][-1]
    assert "class's edition" in last
    assert "lesson.solution" not in last


@pytest.mark.parametrize("method", ["hint", "solution"])
def test_hint_and_solution_of_an_unknown_exercise(lesson, method):
    with pytest.raises(ValueError, match="double, mean, broken"):
        getattr(lesson, method)("triple")


def test_a_lesson_without_a_quiz_says_so(lesson, monkeypatch, tmp_path):
    monkeypatch.setenv("MLEARN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"quiz\.json"):
        lesson.quiz()


def test_a_lesson_has_a_short_text(lesson):
    assert repr(lesson) == "Lesson 98"
