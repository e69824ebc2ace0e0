"""Each widget of the course as HTML that works without a kernel.

What a page shows is asked of the widget itself: its texts, its captions and alt texts, what it answers to
each choice. `course.js` only switches between what is here; pictures are drawn by `drawn.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from drawn import (
    LIVE,
    PLACES,
    Axis,
    Shelf,
    button_row,
    control_row,
    count_places,
    explorer,
    film,
    recorded,
    size_of,
    spread,
    text_at,
    value_at,
)
from links import SiteError
from markup import box, data, mathematics, note, picture, prose

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.report import plural
from mlearn_utils.course.widgets.canvas import Canvas
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.course.widgets.hints import Hints
from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.course.widgets.progress_panel import ProgressPanel
from mlearn_utils.course.widgets.quizzes import Card, Quiz, explanations
from mlearn_utils.course.widgets.view import View


def export(view: View, shelf: Shelf, exercises: Sequence[Exercise] = ()) -> str:
    """Return the HTML of a widget; its pictures go to `shelf`.

    Raises:
        SiteError: if there is no way to show it without a kernel.
    """
    if isinstance(view, Explorer):
        return explorer(view, shelf)
    if isinstance(view, Predict):
        return prediction(view, shelf)
    if isinstance(view, Quiz):
        return quiz(view)
    if isinstance(view, Hints):
        name = view.text.split("`")[1]
        return box("hints", hints(next(e for e in exercises if e.name == name)), f"Hints for {name}")
    if isinstance(view, ProgressPanel):
        return box("still", note(f"{view.text}. {LIVE} it counts what you did."))
    game = view if isinstance(view, Canvas) else getattr(view, "canvas", None)
    if isinstance(game, Canvas):
        return film(recorded(view, game), game.alt, shelf)
    raise SiteError(f"no way to show a {type(view).__name__} without a kernel; docs/exports.py knows none")


# --- questions


def prediction(view: Predict, shelf: Shelf) -> str:
    """Return a question with what every guess would reveal."""
    options, name = view.options, f"{shelf.prefix}-{view.name}"
    view.button.click()  # with nothing chosen yet: says so
    first = view.caption.value
    if isinstance(options, tuple):
        guesses: Sequence[Any] = options
        asked = choices("Your guess", name, [prose(option) for option in options])
    else:
        indices, start = spread(count_places(options), count_places(options) // 2, PLACES)
        guesses = [value_at(options, k) for k in indices]
        texts = tuple(text_at(options, guess) for guess in guesses)
        axis = Axis("guess", options.description, tuple(guesses), texts, start, is_list=False)
        asked = f'<div class="web-controls">{control_row(axis)}</div>'
    answers, size = [], (0, 0)
    for guess in guesses:
        answer, drawn = view.preview(guess)
        png = drawn.render() if drawn else b""
        size = size_of(png) if png else size
        answers.append([shelf.put(png) if png else "", mathematics(answer)])
    shown = (
        f'<div class="web-scroll" hidden>{picture(answers[0][0], view.alt, size)}</div>' if size[0] else ""
    )
    content = (
        f"<p><strong>Predict</strong> · {prose(view.question)}</p>\n{asked}\n"
        f"{button_row(('reveal', 'Commit and reveal'))}\n"
        f'<div class="web-caption" aria-live="polite"></div>\n{shown}\n'
        f"{data({'frames': answers, 'first': first})}"
    )
    return box("predict", content, "Prediction")


def quiz(view: Quiz) -> str:
    """Return the questions with their choices, and what each choice would be answered."""
    cards = [_question(card) for card in view.cards.values()]
    title = view.text.split(" (Run")[0]
    score = f'<p class="web-score" aria-live="polite">{view.score.value}</p>'
    return box("quiz", f"<p><strong>{title}</strong></p>\n" + "\n".join([*cards, score]), title)


def _question(card: Card) -> str:
    question, options = card.question, card.question.choices
    try:
        asked, listed = prose(question.question), [prose(option.text) for option in options]
        for option in options:
            prose(option.why)
    except SiteError as error:
        raise SiteError(f"question {question.name!r} of its quiz: {error}") from None
    said = [mathematics(explanations(question, k)) for k in range(len(options))]
    card.button.click()  # with nothing picked yet
    answers = {"right": [option.correct for option in options], "said": said, "first": card.feedback.value}
    offered = choices("Your answer", f"quiz-{question.name}", listed)
    return (
        f'<div class="web-question"><p>{asked}</p>\n{offered}\n'
        f"{button_row(('check', 'Check'))}\n"
        f'<div class="web-feedback" aria-live="polite"></div>\n{data(answers)}</div>'
    )


def choices(legend: str, name: str, options: Sequence[str]) -> str:
    """Return radio buttons."""
    listed = "".join(
        f'<label><input type="radio" name="{name}" value="{k}"> <span>{option}</span></label>'
        for k, option in enumerate(options)
    )
    return f"<fieldset><legend>{legend}</legend>{listed}</fieldset>"


# --- exercises


def exercise(found: Exercise, number: str, highlight: Callable[[str], str]) -> str:
    """Return an exercise's facts, how to do it, its hints one at a time, and a solution on demand."""
    facts = f"{found.level}, {found.minutes} min, {plural(found.points, 'point')}"
    solution = highlight(found.solved_source())
    content = (
        f"<p><strong>✎ {prose(found.title)}</strong> <small>({facts})</small></p>\n"
        f"<p>To write it and have it checked: <code>python3 notebooks</code>, open lesson {number}, fill in "
        f"the cell above, and run it and the next one.</p>\n{hints(found)}\n"
        f"<details><summary>Show one way to write it</summary>{solution}</details>"
    )
    return box("exercise", content, f"Exercise: {found.title}")


def hints(found: Exercise) -> str:
    """Return the hints of an exercise, each closed; `course.js` shows one only after the one before it."""
    total = len(found.hints)
    return "\n".join(
        f'<details class="web-hint"><summary>Show hint {k} of {total}</summary><p>{prose(hint)}</p></details>'
        for k, hint in enumerate(found.hints, 1)
    )
