"""Quizzes: a bank of questions in `data/lesson_NN/quiz.json`, and the widget that asks them.

Every choice has its own explanation, and all of them are shown once the reader has answered.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from mlearn_utils.course.grading.progress import Recorder
from mlearn_utils.course.grading.report import plural, rich
from mlearn_utils.course.widgets.choices import Choices
from mlearn_utils.course.widgets.controls import Button
from mlearn_utils.course.widgets.view import View, frame, spoken


@dataclass(frozen=True)
class Choice:
    """One choice: its text, whether it is the right one, and why or why not."""

    text: str
    correct: bool
    why: str


@dataclass(frozen=True)
class Question:
    """One question; `name` identifies it in the progress log."""

    name: str
    question: str
    choices: tuple[Choice, ...]


def load_bank(path: Path) -> tuple[Question, ...]:
    """Read and validate the bank of questions at `path`.

    Raises:
        ValueError: if the file is not such a bank; the message names the question and what is wrong with it.
        FileNotFoundError: if there is no such file.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        bank = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(bank, dict):
            raise TypeError('it must be an object, {"lesson": "NN", "questions": [...]}, got a list')
        questions = tuple(_question(entry) for entry in bank["questions"])
    except (KeyError, TypeError, ValueError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{name} is no quiz bank: {reason}") from error
    lesson = path.parent.name.removeprefix("lesson_")
    if bank.get("lesson") != lesson:
        raise ValueError(f"{name} must say it is of lesson {lesson!r}, got {bank.get('lesson')!r}")
    for field in ("name", "question"):
        _check_unique(name, field, [getattr(question, field) for question in questions])
    if not questions:
        raise ValueError(f"{name} must hold at least one question")
    return questions


def explanations(question: Question, picked: int) -> str:
    """Return what is shown to who picked choice number `picked`, from 0: a verdict, and each choice's why."""
    is_right = question.choices[picked].correct
    rows = [_explanation(choice, is_picked=k == picked) for k, choice in enumerate(question.choices)]
    verdict = "✔ Right." if is_right else "✘ Not this one."
    return f'<strong>{verdict}</strong><ul class="mlearn-options">{"".join(rows)}</ul>'


class Card:
    """One question on the page: text, choices, a button, and the explanations after answering."""

    def __init__(self, question: Question, recorder: Recorder, on_answer: Callable[[], None]):
        self.question = question
        self._on_answer = on_answer
        self.is_right: bool | None = None
        self._recorder = recorder
        self.choices = Choices([choice.text for choice in question.choices], "Your answer")
        self.button = Button("Check", self._press, "Check this answer")
        self.feedback = spoken(widgets.HTMLMath())
        text = widgets.HTMLMath(f"<p>{rich(question.question)}</p>")
        self.widget = widgets.VBox([text, self.choices.widget, self.button, self.feedback])
        self.widget.add_class("mlearn-question").add_class(f"mlearn-question-{question.name}")

    def _press(self) -> None:
        """Grade what is picked, show all explanations and lock the card."""
        picked = self.choices.picked
        if picked is None:
            self.feedback.value = "Choose an answer first."
            return
        self.choices.lock()
        self.button.disabled = True
        self.is_right = self.question.choices[picked].correct
        outcome, answer = ("correct" if self.is_right else "wrong"), self.question.choices[picked].text
        note = self._recorder.note("quiz", self.question.name, outcome, answer=answer)
        saved = f"<p>{rich(note)}</p>" if note else ""
        self.feedback.value = explanations(self.question, picked) + saved
        self._on_answer()


class Quiz(View):
    """All questions of a bank, one below the other, and how many were right so far.

    Args:
        questions: as `load_bank` returns them.
        lesson: its number, for the heading.
        recorder: where answers are noted.
    """

    def __init__(self, questions: Iterable[Question], lesson: str, recorder: Recorder):
        self.cards = {question.name: Card(question, recorder, self._show_score) for question in questions}
        title = f"Quiz of lesson {lesson}: {plural(len(self.cards), 'question')}"
        self.text = f"{title} (Run this notebook in Jupyter to answer.)"
        heading = widgets.HTML(f"<strong>{title}</strong>")
        self.score = spoken(widgets.HTML())
        children = [heading, *(card.widget for card in self.cards.values()), self.score]
        self.widget = frame(children, "quiz", f"quiz-{lesson}")
        self._show_score()

    def answer(self, name: str, choice: int) -> None:
        """Pick choice number `choice` (from 0) of question `name` and press its button.

        Raises:
            KeyError: if there is no such question.
        """
        card = self.cards[name]
        card.choices.radio.value = choice
        card.button.click()

    def _show_score(self) -> None:
        answered = [card for card in self.cards.values() if card.is_right is not None]
        right = sum(bool(card.is_right) for card in answered)
        total = plural(len(self.cards), "question")
        self.score.value = f"{right} right, {len(answered)} of {total} answered."


def _question(entry: Any) -> Question:
    if not isinstance(entry, dict):
        raise ValueError(f"a question is an object with name, question and choices, got {entry!r}")
    name = _text(entry, "name", "a question")
    where = f"question {name!r}"
    text = _text(entry, "question", where)
    choices = tuple(
        Choice(_text(choice, "text", where), choice["correct"], _text(choice, "why", where))
        for choice in entry["choices"]
    )
    if not all(isinstance(choice.correct, bool) for choice in choices):
        raise ValueError(f"{where}: every choice says correct: true or false")
    right = sum(choice.correct for choice in choices)
    if right != 1:
        raise ValueError(f"{where} must have exactly one correct choice, got {right} of {len(choices)}")
    if len(choices) < 2 or len({choice.text for choice in choices}) < len(choices):
        raise ValueError(f"{where} must have two or more different choices")
    return Question(name, text, choices)


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where} needs a text under {key!r}, got {value!r}")
    return value


def _check_unique(bank: str, field: str, values: list[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{bank} has the same {field} twice: {twice[0]!r}")


def _explanation(choice: Choice, *, is_picked: bool) -> str:
    mark = "✔" if choice.correct else "✘"
    yours = " <em>(your answer)</em>" if is_picked else ""
    return f"<li>{mark} <strong>{rich(choice.text)}</strong>{yours}: {rich(choice.why)}</li>"
