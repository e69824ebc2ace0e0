"""Hints show when somebody asks for them, not when a cell is run."""

from mlearn_utils.course.grading.progress import Progress
from mlearn_utils.course.widgets.view import WIDGET_VIEW


def test_running_the_cell_shows_no_hint_and_records_none(lesson):
    for _ in range(3):
        hints = lesson.hint("double")
        bundle, _ = hints._repr_mimebundle_()
        assert WIDGET_VIEW in bundle
        assert bundle["text/plain"] == repr(hints)
        assert "Think of addition" not in str(bundle) + repr(hints) + hints.hint.value
        assert hints.button.description == "Show hint 1 of 2"
    assert Progress().events() == []


def test_each_press_shows_the_next_one(lesson):
    hints = lesson.hint("double")
    hints.button.click()
    assert "Hint 1 of 2" in hints.hint.value
    assert "Think of addition." in hints.hint.value
    assert hints.button.description == "Show hint 2 of 2"
    hints.button.click()
    assert "Or multiply by 2." in hints.hint.value
    assert hints.button.description == "No more hints: what now?"
    hints.button.click()
    assert hints.button.description == "No more hints"
    assert hints.button.disabled
    assert (
        "lesson.solution(&quot;double&quot;)" in hints.hint.value or 'solution("double")' in hints.hint.value
    )
    assert [(e["kind"], e["name"], e["answer"]) for e in Progress().events()] == [
        ("hint", "double", 1),
        ("hint", "double", 2),
    ]


def test_another_cell_goes_on_where_the_first_stopped(lesson):
    lesson.hint("double").button.click()
    again = lesson.hint("double")
    assert again.button.description == "Show hint 2 of 2"
    assert lesson.hint("mean").button.description == "Show hint 1 of 2"
    again.button.click()
    assert again.hint.value.count("Hint 1 of 2") == again.hint.value.count("Hint 2 of 2") == 1


def test_hints_that_were_shown_can_be_read_again(lesson):
    for _ in range(2):
        print(lesson.hint("double"))
    again = lesson.hint("double")
    assert again.button.description == "Show all hints again"
    again.button.click()
    assert all(text in again.hint.value for text in ("Hint 1 of 2", "Hint 2 of 2", "lesson.solution"))
    assert again.button.disabled
    assert "Hint 1 of 2" in str(again)
    assert "Hint 2 of 2" in str(again)
    assert len(Progress().events()) == 2


def test_it_can_be_found_and_heard(lesson):
    hints = lesson.hint("double")
    assert {"mlearn-view", "mlearn-hints"} <= set(hints.widget._dom_classes)
    assert "mlearn-spoken" in hints.hint._dom_classes
    assert hints.button.tooltip == "Show the next hint for double"
