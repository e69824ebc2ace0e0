"""Widgets as HTML: what is drawn, what is said, and what is refused."""

import json
import re
from typing import Any

import pytest
from drawn import Shelf, choose_axes, film, recorded, small, spread
from exports import export, hints
from links import SiteError
from matplotlib.figure import Figure
from PIL import Image

from mlearn_utils import course
from mlearn_utils.course.grading.progress import Recorder
from mlearn_utils.course.lesson_00.cart_game import CartGame
from mlearn_utils.course.lesson_04.exercises import EXERCISES
from mlearn_utils.course.lesson_09.ice import drive_on_ice
from mlearn_utils.course.widgets.quizzes import Choice, Question, Quiz
from mlearn_utils.course.widgets.view import View


def make(figure: Figure):
    figure.set_size_inches(2, 1)
    ax = figure.subplots()
    (line,) = ax.plot([0, 1], [0, 1])

    def update(**values: Any) -> str:
        line.set_ydata([0, float(next(iter(values.values())))])
        return f"It is <b>{'; '.join(map(str, values.values()))}</b>, $x < 1$."

    return update


def explorer(**controls: Any) -> course.Explorer:
    return course.Explorer(make, controls, alt='A line that is "steep".')


def data_of(markup: str) -> Any:
    return json.loads(re.findall(r'<script type="application/json">(.*?)</script>', markup)[-1])


def test_an_explorer_is_drawn_along_its_slider(shelf: Shelf) -> None:
    markup = export(explorer(slope=course.slider("slope in m", -1, 1, 0.5, 0.5)), shelf)
    data = data_of(markup)

    assert data["sizes"] == [5]
    assert [caption for _, caption in data["frames"]][::4] == [
        "It is <b>-1.0</b>, \\(x < 1\\).",
        "It is <b>1.0</b>, \\(x < 1\\).",
    ]
    assert len(list(shelf.folder.iterdir())) == 5
    assert 'alt="A line that is &quot;steep&quot;."' in markup
    assert '<span>slope in m</span><input type="range" min="0" max="4" step="1" value="3"' in markup
    assert data["frames"][3][0] in markup.split("<script")[0] or f'src="{data["frames"][3][0]}"' in markup


def test_the_places_are_those_of_the_live_slider_and_the_start_is_among_them() -> None:
    assert spread(5, 3, 21) == ([0, 1, 2, 3, 4], 3)
    indices, place = spread(141, 92, 21)
    assert len(indices) == 21
    assert indices[place] == 92
    assert indices[0] == 0
    assert indices[-1] == 140
    assert indices == sorted(set(indices))


def test_controls_with_few_values_move_too_and_the_others_are_named(shelf: Shelf) -> None:
    view = explorer(
        a=course.slider("a", 0, 1, 0.01, 0.5),
        b=course.slider("b", 0, 1, 0.01, 0.25),
        c=course.toggle("c", True),
    )
    axes = choose_axes(view)
    markup = export(view, shelf)

    assert [(axis.name, len(axis.values)) for axis in axes] == [("a", 21), ("c", 2)]
    assert "Fixed here: b = 0.25." in markup
    assert data_of(markup)["sizes"] == [21, 2]
    assert data_of(markup)["frames"][1][1].startswith("It is <b>0.0; 0.25; True")


def test_dragging_leads_where_there_is_dragging() -> None:
    sliders = {"a": course.slider("a", 0, 1, 0.5, 0), "b": course.slider("b", 0, 1, 0.25, 0)}
    view = course.DragExplorer(make, sliders, drag="b", alt="A line.")

    assert view.leading == choose_axes(view)[0].name == "b"
    assert explorer(on=course.toggle("on", True), a=course.slider("a", 0, 1, 0.5, 0)).leading == "a"


def test_an_explorer_without_anything_to_move_is_refused(shelf: Shelf) -> None:
    with pytest.raises(SiteError, match="no control that could be drawn at several places"):
        export(explorer(only=course.choice("only", [1], 1)), shelf)


def test_a_widget_that_nobody_knows_is_refused(shelf: Shelf) -> None:
    with pytest.raises(SiteError, match="no way to show a View without a kernel"):
        export(View(), shelf)


def test_a_stepper_has_all_its_steps_and_begins_with_the_first(shelf: Shelf) -> None:
    markup = export(course.Stepper(make, 30, alt="Steps."), shelf)

    assert data_of(markup)["sizes"] == [30]
    assert 'value="0"' in markup
    assert "◀ Previous" in markup
    assert "Next ▶" in markup


def test_a_prediction_knows_the_answer_to_every_guess(shelf: Shelf) -> None:
    view = course.Predict(
        "Is $x$ `small`?", ("yes", "no, $x > 1$"), lambda guess: f"You said {guess}.", name="is-it-small"
    )
    markup = export(view, shelf)

    assert "Is \\(x\\) <code>small</code>?" in markup
    assert [answer for _, answer in data_of(markup)["frames"]] == [
        "You said yes.",
        "You said no, \\(x > 1\\).",
    ]
    assert data_of(markup)["first"] == "Choose a guess first: there is no wrong one."
    assert not view.button.disabled


def test_a_prediction_by_slider_has_its_picture_for_every_guess(shelf: Shelf) -> None:
    view = course.Predict(
        "How many?",
        course.int_slider("n", 0, 100, 1, 50),
        str,
        name="how-many",
        reveal_picture=lambda figure: figure.subplots().set_title(str(view.guess)),
        alt="A number.",
    )
    frames = data_of(export(view, shelf))["frames"]

    assert [answer for _, answer in frames][::10] == ["0", "50", "100"]
    assert len({source for source, _ in frames}) == 21


def a_quiz(text: str = "$1$ `one`", why: str = "It $is$.") -> Quiz:
    options = (Choice(text, True, why), Choice("two", False, "No."))
    return Quiz([Question("how-many", "How many?", options)], "42", Recorder("42"))


def test_a_quiz_says_for_each_choice_what_the_live_one_says(shelf: Shelf) -> None:
    live = a_quiz()
    live.answer("how-many", 1)
    data = json.loads(re.findall(r"json\">(.*?)</script>", export(a_quiz(), shelf))[0])

    assert data["right"] == [True, False]
    assert data["said"][1] == live.cards["how-many"].feedback.value.replace("$1$", "\\(1\\)").replace(
        "$is$", "\\(is\\)"
    )
    assert data["first"] == "Choose an answer first."


@pytest.mark.parametrize(("text", "why"), [("costs 5 $", "It is."), ("`one", "It is."), ("one", "a $ and")])
def test_a_quiz_that_would_not_render_is_refused(shelf: Shelf, text: str, why: str) -> None:
    with pytest.raises(SiteError, match=r"question 'how-many' of its quiz: a .* without a partner"):
        export(a_quiz(text, why), shelf)


def test_hints_come_one_by_one() -> None:
    found = EXERCISES[0]

    assert hints(found).count("<details") == len(found.hints)
    assert f"Show hint 1 of {len(found.hints)}" in hints(found)


def test_the_game_is_a_film_of_all_its_rounds(shelf: Shelf) -> None:
    game = CartGame(seed=9)
    shots = list(recorded(game, game.canvas))
    markup = film(shots[:2], game.canvas.alt, shelf)

    assert game.match.is_over
    assert len(shots) == 1 + sum(len(played.rewards) for played in game.match.rounds)
    assert "Play" in markup
    assert data_of(markup)["sizes"] == [2]


def test_a_canvas_is_filmed_on_its_tour(shelf: Shelf) -> None:
    canvas = drive_on_ice(seed=3)
    captions = [caption for _, caption in recorded(canvas, canvas)]

    assert len(captions) == 1 + len(canvas.tour)
    assert "<b>100%</b> of the second half in the lane" in captions[-1]


def test_a_picture_keeps_its_size_and_loses_most_of_its_bytes(shelf: Shelf) -> None:
    png = explorer(a=course.slider("a", 0, 1, 0.5, 0)).png
    name = shelf.put(png)

    assert shelf.put(png) == name == "pictures/42/07-0.webp"
    with Image.open(shelf.folder / "07-0.webp") as drawn:
        assert drawn.size == (320, 160)
    assert len(small(png)) < len(png)
