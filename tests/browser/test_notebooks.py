"""Every lesson in a real browser: it gives its stored outputs, its widgets answer, answers get their reports.

The tests of one notebook share its page, in this order.
"""

import ast
import json
import re
from pathlib import Path

import build
import pytest
from cells import find_exercises
from playwright.sync_api import expect

from tests.browser.axe import serious_faults
from tests.browser.page import ANSWER_MS, NotebookPage
from tests.notebooks.outputs import MENDED_BY, differences

pytestmark = pytest.mark.browser

# What is drawn arrives in the page message by message: every look at it waits.
LONG = re.compile(r".{20,}", re.DOTALL)
OWN = (".mlearn-view", ".mlearn-report", ".jp-RenderedHTMLCommon table")
EXPLAINED = re.compile(r":.{10,}", re.DOTALL)
OF_COLORS = ("color-contrast", "link-in-text-block")
"""Axe's rules whose verdict depends on the theme: those that look at colors."""


def test_it_runs_to_the_end(notebook: NotebookPage) -> None:
    cells = [cell for cell in notebook.cells() if cell["cell_type"] == "code"]
    notebook.photograph()

    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert len(notebook.page.title()) > 0
    assert notebook.troubles() == []
    stored = json.loads((build.ROOT / notebook.name).read_text(encoding="utf-8"))
    assert differences(stored["cells"], cells) == [], MENDED_BY.format(lesson=notebook.name[:2])


def test_a_hint_shows_when_its_button_is_pressed(notebook: NotebookPage) -> None:
    for hints in notebook.all(".mlearn-hints"):
        expect(hints).not_to_contain_text("Hint 1")
        hints.get_by_role("button", name="Show hint 1").press("Enter")
        expect(hints).to_contain_text("Hint 1 of", timeout=ANSWER_MS)

    assert notebook.troubles() == []


def test_its_widgets_are_drawn(notebook: NotebookPage) -> None:
    notebook.wait_for(".mlearn-view", count=notebook.count_widgets())

    for image in notebook.all(".mlearn-view img"):
        if image.is_visible():
            assert image.evaluate("(node) => node.decode().then(() => node.naturalWidth > 100)")
            assert image.evaluate("(node) => node.naturalWidth >= 1.99 * node.clientWidth"), "sharp text"
            assert len(image.get_attribute("alt") or "") > 10


def test_every_slider_changes_its_picture_by_keyboard(notebook: NotebookPage) -> None:
    explorers = [box for box in notebook.all(".mlearn-explorer") if box.locator(".noUi-handle").count()]
    assert explorers, "a lesson has at least one explorer with a slider"
    for explorer in explorers:
        before = notebook.shown(explorer)
        notebook.nudge(explorer.locator(".noUi-handle").first)
        notebook.wait_until_shown_differs(explorer, before)

    assert notebook.troubles() == []


def test_every_picture_with_a_drag_follows_the_pointer(notebook: NotebookPage) -> None:
    explorers = [box for box in notebook.all(".mlearn-explorer") if box.locator(".mlearn-surface").count()]
    for explorer in explorers:
        before = notebook.shown(explorer)
        notebook.drag(explorer.locator("img").first, 0.3, 0.4)
        notebook.wait_until_shown_differs(explorer, before)

    assert notebook.troubles() == []


def test_every_prediction_is_revealed_once_committed(notebook: NotebookPage) -> None:
    predictions = notebook.all(".mlearn-predict")
    assert predictions, "a lesson has at least one prediction"
    for prediction in predictions:
        for radio in prediction.locator("input[type=radio]").all()[:1]:
            radio.press("Space")
        for handle in prediction.locator(".noUi-handle").all()[:1]:
            notebook.nudge(handle)
        button = prediction.get_by_role("button", name="Commit and reveal")
        button.press("Enter")
        expect(button).to_be_disabled()
        expect(prediction.locator(".mlearn-spoken")).to_have_text(LONG, timeout=ANSWER_MS)

    assert notebook.troubles() == []


def test_a_quiz_explains_every_choice_once_answered(notebook: NotebookPage) -> None:
    questions = notebook.all(".mlearn-quiz .mlearn-question")
    assert questions, "a lesson has a quiz"
    for question in questions:
        choices = question.locator("input[type=radio]")
        count = choices.count()
        choices.first.press("Space")
        question.get_by_role("button", name="Check").press("Enter")
        question.get_by_text("(your answer)").wait_for()
        explained = question.locator(".mlearn-options").last.locator("li")
        expect(explained).to_have_text([EXPLAINED] * count, timeout=ANSWER_MS)

    summary = f"{len(questions)} of {len(questions)} question"
    expect(notebook.all(".mlearn-quiz")[0]).to_contain_text(summary, timeout=ANSWER_MS)
    assert notebook.troubles() == []


@pytest.mark.parametrize(
    ("kind", "verdict"), [("right", "Passed"), ("wrong", "Not yet"), ("raising", "Your code raised")]
)
def test_an_answer_gets_its_report(notebook: NotebookPage, kind: str, verdict: str) -> None:
    name, exercise = next(iter(find_exercises(Path(notebook.name)).items()))
    solved = exercise.solved_source()
    bodies = {"wrong": "return 0.0", "raising": "raise ValueError('my own mistake')"}

    notebook.run_cell(
        notebook.find_cell(f"def {name}("),
        solved if kind == "right" else with_body(solved, bodies[kind]),
    )
    report = notebook.run_cell(notebook.find_cell(f"lesson.check({name})"))

    expect(report).to_contain_text(verdict, timeout=ANSWER_MS)
    if kind == "raising":
        expect(report).to_contain_text("my own mistake", timeout=ANSWER_MS)
    assert notebook.troubles() == []


@pytest.mark.parametrize(("theme", "rules"), [("JupyterLab Light", ()), ("JupyterLab Dark", OF_COLORS)])
def test_nothing_that_the_course_shows_is_serious_for_axe(
    notebook: NotebookPage, theme: str, rules: tuple[str, ...]
) -> None:
    own = [css for css in OWN if notebook.all(css)]
    with notebook.theme_of(theme):
        faults = serious_faults(notebook.page, inside=[f".jp-Notebook {css}" for css in own], rules=rules)
    assert faults == []


def test_at_400_pixels_words_controls_and_pictures_are_whole_or_scroll(notebook: NotebookPage) -> None:
    with notebook.width_of(400):
        look = notebook.look()

    assert look["cut_buttons"] == []
    assert look["beyond_the_page"] == []
    assert look["page_scrolls_sideways"] is False
    assert look["scrolling_rows"] == []
    assert look["short_tracks"] == []
    assert look["shrunk_pictures"] == []


def test_lines_of_prose_and_sliders_are_set_as_they_are_read(notebook: NotebookPage) -> None:
    look = notebook.look()

    assert look["long_lines"] == []
    assert look["ragged_sliders"] == []
    assert look["cut_buttons"] == []


def with_body(source: str, statement: str) -> str:
    """Return the function in `source` with `statement` for its body."""
    tree = ast.parse(source)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    function.body = ast.parse(statement).body
    return ast.unparse(tree)
