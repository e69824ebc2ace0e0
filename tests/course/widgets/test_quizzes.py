"""Quiz banks are validated with the question's name; the widget explains every choice and keeps the score."""

import copy
import json

import pytest

from mlearn_utils.course.grading.progress import Progress, Recorder
from mlearn_utils.course.widgets.choices import Choices
from mlearn_utils.course.widgets.quizzes import Quiz, load_bank

BANK = {
    "lesson": "98",
    "questions": [
        {
            "name": "step",
            "question": "What is `theta'` if $a < b$?",
            "choices": [
                {"text": "$\\theta$", "correct": False, "why": "That is the start."},
                {"text": "$\\theta - \\alpha g$", "correct": True, "why": "One step."},
                {"text": "`None`", "correct": False, "why": "Nothing is <None> here."},
            ],
        },
        {
            "name": "data",
            "question": "Which data?",
            "choices": [
                {"text": "support", "correct": False, "why": "Memory."},
                {"text": "`query`", "correct": True, "why": "Fresh."},
            ],
        },
    ],
}


@pytest.fixture
def save(tmp_path):
    def write(bank, name="lesson_98/quiz.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(bank), encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def quiz(save):
    return Quiz(load_bank(save(BANK)), "98", Recorder("98"))


def changed(edit):
    bank = copy.deepcopy(BANK)
    edit(bank)
    return bank


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda b: b["questions"][0]["choices"][0].update(correct=True),
            "'step' must have exactly one .* 2 of 3",
        ),
        (lambda b: b["questions"][1]["choices"][1].update(correct=False), "'data' .* exactly one .* 0 of 2"),
        (
            lambda b: b["questions"][1]["choices"][1].update(correct="yes"),
            "'data': every choice says correct",
        ),
        (lambda b: b["questions"][1]["choices"][1].update(why=" "), "'data' needs a text under 'why'"),
        (lambda b: b["questions"][1]["choices"][1].pop("why"), "'data' needs a text under 'why', got None"),
        (lambda b: b["questions"][1]["choices"][1].pop("correct"), "lacks 'correct'"),
        (lambda b: b["questions"][1]["choices"][1].update(text="support"), "'data' .* different choices"),
        (
            lambda b: b["questions"][1].update(choices=b["questions"][1]["choices"][1:]),
            "two or more different",
        ),
        (lambda b: b["questions"][1].update(name="step"), "the same name twice: 'step'"),
        (
            lambda b: b["questions"][1].update(question=BANK["questions"][0]["question"]),
            "same question twice",
        ),
        (lambda b: b["questions"][1].pop("name"), "a question needs a text under 'name'"),
        (lambda b: b["questions"][1].update(question=""), "'data' needs a text under 'question'"),
        (lambda b: b.update(lesson="99"), "must say it is of lesson '98', got '99'"),
        (lambda b: b.update(questions=[]), "at least one question"),
        (lambda b: b.pop("questions"), "lacks 'questions'"),
        (lambda b: b.update(questions=[3]), "quiz.json is no quiz bank"),
    ],
)
def test_a_bad_bank_is_refused_and_named(save, edit, message):
    with pytest.raises(ValueError, match=f"quiz.json.*{message}|{message}"):
        load_bank(save(changed(edit)))


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "lesson_98").mkdir()
    (tmp_path / "lesson_98" / "quiz.json").write_text("{")
    with pytest.raises(ValueError, match=r"lesson_98/quiz.json is no quiz bank"):
        load_bank(tmp_path / "lesson_98" / "quiz.json")


def test_before_answering_nothing_is_given_away(quiz):
    assert all(card.feedback.value == "" for card in quiz.cards.values())
    assert all(card.choices.picked is None for card in quiz.cards.values())
    assert quiz.score.value == "0 right, 0 of 2 questions answered."


def test_the_button_asks_for_a_choice_first(quiz):
    quiz.cards["data"].button.click()
    assert quiz.cards["data"].feedback.value == "Choose an answer first."
    assert Progress().events() == []


def test_every_choice_is_explained_after_answering(quiz):
    quiz.answer("step", 0)
    text = quiz.cards["step"].feedback.value
    assert text.startswith("<strong>✘ Not this one.</strong>")
    assert "<li>✘ <strong>$\\theta$</strong> <em>(your answer)</em>: That is the start.</li>" in text
    assert "<li>✔ <strong>$\\theta - \\alpha g$</strong>: One step.</li>" in text
    assert "<li>✘ <strong><code>None</code></strong>: Nothing is &lt;None&gt; here.</li>" in text
    assert text.count("your answer") == 1


def test_the_score_and_the_log_follow(quiz):
    quiz.answer("step", 0)
    quiz.answer("data", 1)
    assert quiz.score.value == "1 right, 2 of 2 questions answered."
    assert quiz.cards["data"].feedback.value.startswith("<strong>✔ Right.</strong>")
    assert Progress().summary()["98"].answered == {"step", "data"}
    assert Progress().summary()["98"].correct == {"data"}
    assert Progress().events()[1]["answer"] == "`query`"


def test_an_answered_question_is_locked(quiz):
    quiz.answer("data", 0)
    card = quiz.cards["data"]
    assert card.choices.radio.disabled
    assert card.button.disabled


def test_a_log_that_cannot_be_written_is_said_in_the_card(save, tmp_path):
    (tmp_path / "file").write_text("")
    quiz = Quiz(load_bank(save(BANK)), "98", Recorder("98", Progress(tmp_path / "file" / "log")))
    quiz.answer("data", 1)
    assert "could not be saved" in quiz.cards["data"].feedback.value
    assert "✔ Right." in quiz.cards["data"].feedback.value


def test_text_and_classes(quiz):
    bundle, facts = quiz._repr_mimebundle_()
    text = "Quiz of lesson 98: 2 questions (Run this notebook in Jupyter to answer.)"
    assert bundle["text/plain"] == text
    assert "image/png" not in bundle
    assert facts == {}
    assert {"mlearn-quiz", "mlearn-quiz-98"} <= set(quiz.widget._dom_classes)
    assert "mlearn-question-step" in quiz.cards["step"].widget._dom_classes


def test_math_goes_to_a_lettered_list_and_plain_text_stays_at_its_button(quiz):
    step, data = quiz.cards["step"].choices, quiz.cards["data"].choices
    assert [label for label, _ in step.radio.options] == ["A", "B", "C"]
    assert "<strong>B</strong> · $\\theta - \\alpha g$" in step.widget.children[0].value
    assert [label for label, _ in data.radio.options] == ["support", "query"]
    assert len(data.widget.children) == 1


@pytest.mark.parametrize("options", [("one",), ("same", "same"), tuple(map(str, range(27)))])
def test_choices_need_two_to_26_different_options(options):
    with pytest.raises(ValueError, match="options must be 2 to 26 different texts"):
        Choices(options, "Your answer")


def test_a_lesson_finds_its_bank(lesson, save, monkeypatch, tmp_path):
    save(BANK)
    monkeypatch.setenv("MLEARN_DATA", str(tmp_path))
    lesson.quiz().answer("data", 1)
    assert Progress().summary()["98"].correct == {"data"}
