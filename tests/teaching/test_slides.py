"""The decks of slides: what of a notebook they show, and, in headless Chromium, that it fits the screen."""

import argparse
import base64
import importlib.metadata
import io
from pathlib import Path
from typing import Any

import nbformat
import pytest
import slides
from links import SiteError
from nbformat import NotebookNode
from PIL import Image
from playwright.sync_api import Browser, Page

from mlearn_utils.course.widgets.quizzes import Choice, Question
from tests.browser import conftest as chromium

browser = chromium.browser

QUIZ = (
    Question("a", "Is $1 < 2$?", (Choice("No", False, "Count."), Choice("Yes", True, "By `one`."))),
    Question("b", "And then?", (Choice("On", True, "Always."), Choice("Off", False, "Never."))),
)
DRAWING = """fig, ax = plt.subplots()
ax.plot([1, 2])
# alt: A line that
# alt: climbs.
plt.show()"""
SIZES = [(1280, 720), (1920, 1080)]
FAULTS = """() => Reveal.getSlides().flatMap((slide) => {
  const {h, v} = Reveal.getIndices(slide);
  Reveal.slide(h, v);
  const screen = document.querySelector('.slides').getBoundingClientRect();
  const seen = [...slide.querySelectorAll('*')].filter((node) => !node.closest('mjx-assistive-mml'));
  return seen.filter((node) => {
    const box = node.getBoundingClientRect();
    const cut = node.matches('pre') && node.scrollWidth > node.clientWidth + 1;
    const out = box.right > screen.right || box.bottom > screen.bottom || box.top < screen.top;
    return box.width && (cut || out);
  }).map((node) => `${h}.${v} ${node.tagName}.${node.className} ${node.textContent.slice(0, 40)}`);
})"""
"""What is not whole on its slide."""

CODE_SIZES = "(all) => all.map((pre) => parseFloat(getComputedStyle(pre).fontSize))"

HEIGHTS = "(all) => all.map((image) => parseFloat(image.style.height))"


def text(source: str, *tags: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source: str, *outputs: NotebookNode, tags: tuple[str, ...] = ()) -> NotebookNode:
    metadata = {"tags": list(tags)}
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=1, metadata=metadata)


def printed(words: str) -> NotebookNode:
    return nbformat.v4.new_output("stream", text=words)


def shows(words: str, *, size: tuple[int, int] | None = None) -> NotebookNode:
    data = {"text/plain": words}
    if size:
        file = io.BytesIO()
        Image.new("RGB", size, "#8ac").save(file, "PNG")
        data["image/png"] = base64.b64encode(file.getvalue()).decode()
    return nbformat.v4.new_output("execute_result", data, execution_count=1)


def made(*cells: NotebookNode, questions: tuple[Question, ...] = ()) -> list[NotebookNode]:
    return slides.make_deck(nbformat.v4.new_notebook(cells=list(cells)), questions).cells


def kinds(cells: list[NotebookNode]) -> list[tuple[str, str]]:
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in cells]


def test_a_heading_is_a_slide_and_other_text_a_subslide_and_code_stands_below_its_text() -> None:
    deck = made(text("# Title\n\nTime\n## One"), text("More."), text("### Small"), code("x = 1"))

    assert kinds(deck) == [
        ("slide", "# Title\n\nTime"),
        ("slide", "## One"),
        ("subslide", "More."),
        ("subslide", "### Small"),
        ("-", "x = 1"),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        code('import numpy as np\n\nlesson = course.start("04")', printed("Lesson 04")),
        code("lesson.check(step)", shows("Not attempted")),
        code('lesson.hint("step")', shows("Hints")),
        code("lesson.progress()", shows("Progress panel")),
        code("x = 1", tags=("slide-skip",)),
        text("For you alone.", "slide-skip"),
        text("<!-- notebook only -->\nRun all cells.\n<!-- end -->"),
        text('`lesson.hint("step")` gives one hint at a time.'),
    ],
)
def test_what_is_for_the_student_alone_is_on_no_slide(cell: NotebookNode) -> None:
    assert kinds(made(cell, text("The rest."))) == [("subslide", "The rest.")]


def test_a_text_for_the_notebook_leaves_the_rest_of_its_cell() -> None:
    (cell,) = made(text("Play.\n\n<!-- notebook only -->\nPress.\n<!-- end -->\nThen on."))

    assert cell.source == "Play.\n\nThen on."


@pytest.mark.parametrize(
    ("cell", "left"),
    [
        (code(f"one = 1\ntwo = 2\n\n{DRAWING}", shows("<Figure size 1x1>", size=(9, 9))), "one = 1\ntwo = 2"),
        (code(f"one = 1\n{DRAWING}", shows("<Figure size 1x1>", size=(9, 9))), ""),
        (code("explorer()", shows("Explorer: A curve.", size=(9, 9))), ""),
        (code("lesson.course_map()", shows("Map")), ""),
        (code("print(1)", printed("1"), tags=("slide-hide-input",)), ""),
        (code("print(1)", printed("1")), "print(1)"),
    ],
)
def test_code_that_draws_or_is_tagged_is_hidden_and_its_output_is_not(cell: NotebookNode, left: str) -> None:
    (shown,) = made(cell)

    assert (shown.source, len(shown.outputs)) == (left, 1)


def test_pictures_keep_their_words() -> None:
    drawn, widget = made(
        code(DRAWING, shows("<Figure size 1x1>", size=(9, 9))),
        code("explorer()", shows("Explorer: A curve.", size=(9, 9))),
    )

    assert drawn.outputs[0].metadata.alt == "A line that climbs."
    assert widget.outputs[0].metadata.alt == "A curve."


def test_the_answer_is_not_on_the_slide_of_the_prediction() -> None:
    asked = shows("Predict, then reveal: Is `a` < b? (Run this notebook in Jupyter to answer.)")
    guess, answer = made(text("Guess."), code("predict()", asked), code("print(2)", printed("2")))[1:]

    assert guess.outputs[0].data["text/html"].endswith("Is <code>a</code> &lt; b?</p>")
    assert [guess.metadata.slideshow.slide_type, answer.metadata.slideshow.slide_type] == ["-", "subslide"]


def test_a_quiz_is_a_slide_a_question_with_its_answer_last() -> None:
    first, second = made(code("lesson.quiz()", shows("Quiz")), questions=QUIZ)

    assert [cell.metadata.slideshow.slide_type for cell in (first, second)] == ["-", "subslide"]
    assert "<li>No</li><li>Yes</li>" in first.source
    assert 'fragment"><strong>B.</strong> By <code>one</code>.' in first.source


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (nbformat.v4.new_code_cell("x = 1"), "cell 0: it was not executed"),
        (code("draw()", shows("<Figure size 1x1>", size=(9, 9))), "cell 0: a figure without alt text"),
    ],
)
def test_a_cell_that_cannot_be_shown_is_named(cell: NotebookNode, message: str) -> None:
    with pytest.raises(SiteError, match=message):
        made(cell)


def options(out: Path, *lessons: str) -> argparse.Namespace:
    return argparse.Namespace(out=out, lessons=list(lessons))


def test_an_unknown_lesson_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert slides.main(options(tmp_path / "out", "04", "77")) == 1
    assert "no lesson '77'; there are 00, 01" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")

    assert slides.main(options(tmp_path / "out", "04")) == 1
    assert "--out must be a folder" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_a_missing_package_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)

    assert slides.main(options(tmp_path / "out", "04")) == 1
    assert "install sphinx-revealjs, which requirements.txt pins" in capsys.readouterr().err


def test_each_lesson_has_cells_for_slides() -> None:
    for notebook in slides.choose(slides.ROOT / "notebooks", []):
        deck = slides.make_deck(nbformat.read(notebook, as_version=4), QUIZ)
        found = [kind for kind, _ in kinds(deck.cells)]
        assert found[0] == "slide"
        assert found.count("slide") > 5
        assert deck.metadata.title.startswith(notebook.stem[:2])
        assert not any("# alt:" in cell.source for cell in deck.cells)


# --- in a browser


@pytest.fixture(scope="module")
def decks(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the deck of lesson 04, and one of all that could be too wide or too high; return their folder."""
    folder = tmp_path_factory.mktemp("decks")
    assert slides.main(options(folder, "04")) == 0
    sentence = "A sentence that goes on for a while, and then ends, as sentences do. "
    worst = nbformat.v4.new_notebook(
        cells=[
            text("# A title\n\n" + f"{sentence * 6}\n\n" * 9),
            text("## List\n\n" + "".join(f"1. {sentence} {k}\n" for k in range(1, 21))),
            text("## Table\n\n| a | b |\n|---|---|\n" + f"| {sentence} | x |\n" * 30),
            text("$$" + "a_1 + " * 60 + "z$$"),
            code("x = 1\n" * 60, printed("word " * 60 + "\n" + "number 1\n" * 60 + "x" * 400)),
            code(
                DRAWING, shows("<Figure size 1x1>", size=(3000, 200)), shows("<Figure 2>", size=(200, 3000))
            ),
        ]
    )
    nbformat.write(worst, folder / "99_worst.ipynb")
    (folder / "99_worst.html").write_text(slides.page(folder / "99_worst.ipynb"), encoding="utf-8")
    return folder


def open_deck(browser: Browser, deck: Path) -> tuple[Page, list[str]]:
    """Open a deck from the disk, without a network; return its page and the list of what goes wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    page, troubles = context.new_page(), []
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda asked: troubles.append(asked.url) if asked.url.startswith("http") else None)
    page.on("requestfailed", lambda asked: troubles.append(asked.url))
    page.goto(deck.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    return page, troubles


@pytest.mark.browser
def test_a_deck_works_from_the_disk_and_all_of_it_is_on_the_screen(browser: Browser, decks: Path) -> None:
    page, troubles = open_deck(browser, decks / "04_maml.html")

    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("Reveal.layout()")
        assert page.evaluate(FAULTS) == []
    assert page.evaluate("Reveal.getTotalSlides()") > 40
    assert troubles == []
    assert page.locator("mjx-container").count() > 100
    assert page.locator("mjx-merror").count() == 0
    assert min(page.locator("pre").evaluate_all(CODE_SIZES)) >= 16
    assert all(page.locator("img").evaluate_all("(all) => all.map((image) => image.alt.length > 10)"))
    assert min(page.locator("img").evaluate_all(HEIGHTS)) > 400
    page.context.close()


@pytest.mark.browser
def test_what_is_too_high_goes_to_the_next_slides_and_nothing_is_lost(browser: Browser, decks: Path) -> None:
    page, troubles = open_deck(browser, decks / "99_worst.html")
    words = page.locator(".slides").evaluate("(node) => node.textContent")

    assert page.evaluate(FAULTS) == []
    assert troubles == []
    assert words.count("A sentence that goes on") == 9 * 6 + 20 + 30
    assert (words.count("number 1"), words.count("x = 1")) == (60, 60)
    starts = page.locator("ol").evaluate_all("(all) => all.map((list) => [list.start, list.children.length])")
    assert len(starts) > 1
    assert [start for start, _ in starts] == [1 + sum(n for _, n in starts[:k]) for k in range(len(starts))]
    assert min(page.locator("pre").evaluate_all(CODE_SIZES)) >= 16
    page.context.close()
