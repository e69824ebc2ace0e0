"""Predict, then reveal: nothing before the guess, everything after it, and only one guess."""

import pytest

from mlearn_utils import course
from mlearn_utils.course.grading.progress import Progress
from mlearn_utils.course.widgets.choices import Choices


def reveal(guess):
    return f"You said <b>{guess}</b>: $1 - \\alpha h$."


def predict(**options) -> course.Predict:
    return course.Predict("Which way?", ("up", "`down`", "neither"), reveal, name="which-way", **options)


def test_nothing_is_revealed_before_the_guess():
    p = predict(reveal_picture=lambda figure: figure.subplots())
    assert (p.caption.value, p.png, p.guess) == ("", b"", None)
    assert p._image.layout.display == "none"
    assert "image/png" not in p._repr_mimebundle_()[0]


def test_the_button_asks_for_a_guess_first():
    p = predict()
    p.button.click()
    assert p.caption.value == "Choose a guess first: there is no wrong one."
    assert not p.button.disabled
    assert Progress().events() == []


def test_a_guess_reveals_the_answer_and_is_noted():
    p = predict()
    p.commit("`down`")
    assert p.caption.value == "You said <b>`down`</b>: $1 - \\alpha h$."
    assert p.button.disabled
    assert isinstance(p._input, Choices)
    assert p._input.radio.disabled
    (event,) = Progress().events()
    assert (event["kind"], event["name"], event["answer"]) == ("predict", "which-way", "`down`")


def test_a_picture_comes_with_the_answer():
    p = predict(reveal_picture=lambda figure: figure.subplots().plot([0, 1]), alt="A line.")
    p.commit("up")
    assert p.png.startswith(b"\x89PNG")
    assert bytes(p._image.value) == p.png
    assert not p._image.layout.display
    assert getattr(p.widget.children[0], "alt", "") == "A line."


def test_a_number_is_guessed_with_a_slider():
    slider = course.slider("gain", 0, 10, 0.5, 2)
    p = course.Predict("How much?", slider, lambda guess: f"{guess - 1:g} too much", name="how-much")
    p.button.click()
    assert p.caption.value == "Move the slider to your guess first: there is no wrong one."
    assert Progress().events() == []
    p.commit(7.5)
    assert p.caption.value == "6.5 too much"
    assert slider.disabled
    assert Progress().events()[0]["answer"] == 7.5
    with pytest.raises(ValueError, match="guess must be between 0"):
        p.commit(11)


def test_a_guess_that_is_no_option_is_refused():
    with pytest.raises(ValueError, match=r"guess must be one of .* got 'left'"):
        predict().commit("left")


def test_an_error_in_reveal_is_raised_and_shown_and_the_guess_stays_open():
    def fail(guess):
        raise RuntimeError("no answer")

    p = course.Predict("Which way?", ("up", "down"), fail, name="which-way")
    with pytest.raises(RuntimeError, match="no answer"):
        p.commit("up")
    assert "RuntimeError: no answer" in p.caption.value
    assert not p.button.disabled
    assert Progress().events() == []


def test_text_and_classes():
    p = predict()
    text = "Predict, then reveal: Which way? (Run this notebook in Jupyter to answer.)"
    assert p._repr_mimebundle_()[0]["text/plain"] == text
    assert {"mlearn-predict", "mlearn-which-way"} <= set(p.widget._dom_classes)


def test_a_log_that_cannot_be_written_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLEARN_PROGRESS", str(tmp_path / "file" / "log"))
    p = predict()
    p.commit("up")
    assert "could not be saved" in p.caption.value


@pytest.mark.parametrize("name", ["", "two words"])
def test_a_name_that_cannot_identify_it_is_refused(name):
    with pytest.raises(ValueError, match="name must"):
        course.Predict("Which way?", ("up", "down"), reveal, name=name)
