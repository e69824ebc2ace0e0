"""A stored notebook as a page, and everything that stops the build: with the file and the cell."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from figures import alt_text
from links import SiteError
from nbformat import NotebookNode
from pages import checked_exercise, is_view, make_page
from PIL import Image

from mlearn_utils import course
from mlearn_utils.course.lesson_04.exercises import EXERCISES

Write = Callable[..., Path]
EXPLORER = """\
from mlearn_utils import course
def make(figure):
    (line,) = figure.subplots().plot([0, 1], [0, 1])
    def update(slope):
        line.set_ydata([0, slope])
        return str(slope)
    return update
course.Explorer(make, {"slope": course.slider("slope", 0, 1, 0.5, 0.5)}, alt="A line.")"""


def png(level: int = 255, size: tuple[int, int] = (640, 400)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def text(source: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def code(source: str, kind: str = "execute_result", count: int | None = 1, **data: str) -> NotebookNode:
    """Return an executed cell with one output: `text` and `png` are its data."""
    names = {"text": "text/plain", "png": "image/png", "html": "text/html"}
    output = nbformat.v4.new_output(kind, {names[name]: value for name, value in data.items()})
    return nbformat.v4.new_code_cell(source, execution_count=count, outputs=[output] if data else [])


def build(notebook: Path) -> NotebookNode:
    pictures = notebook.parent.parent / "42"
    pictures.mkdir(exist_ok=True)
    pages = notebook.parent.parent / "pages"
    pages.mkdir(exist_ok=True)
    make_page(notebook, pages, pictures)
    return nbformat.read(pages / notebook.name, as_version=4)


def shown(cell: NotebookNode) -> str:
    return cell.outputs[0].data["text/html"]


def test_a_page_has_working_widgets_and_figures_with_words(write_notebook: Write) -> None:
    figure = "ax.set_title('Two lines')\nax.set(xlabel='x')"
    page = build(
        write_notebook(
            text("# 42 · Lines"),
            code(EXPLORER, text="Explorer: A line."),
            code(figure, "display_data", text="<Figure size 1 x 1>", png=png()),
        )
    )

    assert 'data-kind="explorer"' in shown(page.cells[1])
    assert "image/png" not in page.cells[1].outputs[0].data
    assert 'alt="Figure. Two lines. Horizontal axis: x."' in shown(page.cells[2])
    assert 'src="pictures/42/02-0.webp"' in shown(page.cells[2])


def test_an_alt_text_stands_at_the_picture_and_not_in_the_code(write_notebook: Write) -> None:
    source = "fig, ax = plt.subplots()\n# alt: A line that\n# alt: rises.\nplt.show()"
    page = build(write_notebook(text("# 42"), code(source, "display_data", text="<Figure>", png=png())))

    assert 'alt="A line that rises."' in shown(page.cells[1])
    assert page.cells[1].source == "fig, ax = plt.subplots()\nplt.show()"


def test_a_page_leads_to_the_live_course_and_leaves_out_what_is_for_the_notebook(
    write_notebook: Write,
) -> None:
    source = "# 42 · Lines\n\nA.\n\n<!-- notebook only -->\n**Run** it.\n<!-- end -->\n\nB."
    page = build(write_notebook(text(source), text("# Not here")))

    assert page.cells[0].source.startswith("# 42 · Lines\n\n<p class=")
    assert 'href="do.html"' in page.cells[0].source
    assert page.cells[0].source.endswith("A.\n\nB.")
    assert "do.html" not in page.cells[1].source


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code("1 + 1", count=None), r"cell 1: it was not executed"),
        (code(EXPLORER, text="Explorer: Another line."), r"cell 1: its widget says 'Explorer: A line.'"),
        (
            code(EXPLORER, text="Explorer: A line.", png=png(0)),
            r"cell 1: its widget shows another picture than the one that is stored",
        ),
        (
            code("3", text="Explorer: A line."),
            r"cell 1: its value is a int, and the notebook stores a widget",
        ),
        (
            code("draw()", "display_data", text="<Figure>", png=png()),
            r"cell 1: a figure without alt text: add a line `# alt: what it shows`",
        ),
        (
            code(
                EXPLORER.replace('"slope", 0, 1, 0.5, 0.5', '"slope", 0, 1, 2, 0'), text="Explorer: A line."
            ),
            r"cell 1: .* has no control that could be drawn at several places",
        ),
        (text("[gone](05_gone.ipynb)"), r"cell 1: a link to 05_gone.ipynb, which is not there"),
    ],
)
def test_what_cannot_be_shown_stops_the_build_and_names_the_cell(
    write_notebook: Write, cell: NotebookNode, message: str
) -> None:
    with pytest.raises(SiteError, match=rf"^notebooks/42_lines\.ipynb: {message}"):
        build(write_notebook(text("# 42"), cell))


def test_an_animation_is_kept_and_has_a_still_picture_beside_it(write_notebook: Write) -> None:
    frames = np.zeros((3, 20, 30, 3), np.uint8)
    film = course.animation(frames, 10, alt="Nothing moves.")
    stored = base64.b64encode(film.png).decode()
    page = build(write_notebook(code("film()", text="Animation: Nothing moves.", png=stored)))

    assert 'data-moving="pictures/42/00-film.png"' in shown(page.cells[0])
    assert 'alt="Nothing moves."' in shown(page.cells[0])


def test_the_parts_of_a_long_lesson_stand_below_its_title(write_notebook: Write) -> None:
    part = "# Part 1\n```\n# comment\n```\n## A"
    page = build(write_notebook(text("# 42 · Lines"), text(part), text("# Part 2")))

    assert [cell.source for cell in page.cells] == [
        "# 42 · Lines",
        "## Part 1\n```\n# comment\n```\n### A",
        "## Part 2",
    ]


def test_a_map_of_the_course_leads_to_pages(write_notebook: Write) -> None:
    page = build(write_notebook(code("m", text="map", html='<a href="04_maml.ipynb">04_maml.ipynb</a>')))

    assert '<a href="04_maml.html">' in shown(page.cells[0])


def test_the_check_of_an_exercise_becomes_its_hints_and_solution() -> None:
    names = [found.name for found in EXERCISES]

    assert checked_exercise(f"lesson.check({names[0]})", EXERCISES) is EXERCISES[0]
    assert checked_exercise(f'lesson.check(mine, "{names[1]}")', EXERCISES) is EXERCISES[1]
    assert checked_exercise("lesson.check(unknown)", EXERCISES) is None
    assert checked_exercise("lesson.quiz()", EXERCISES) is None


def test_a_picture_that_is_no_figure_counts_as_a_widget_of_a_new_kind() -> None:
    assert is_view(code("board", text="Board: new.", png=png()).outputs[0])
    assert not is_view(code("f", "display_data", text="<Figure>", png=png()).outputs[0])
    assert not is_view(code("2", text="2").outputs[0])


@pytest.mark.parametrize(
    ("cell", "alt"),
    [
        ("# alt: A cat.\nax.plot(x, label='y')", "A cat."),
        (
            "ax.plot(x, label=f'n = {n}')\nax.set(title='T', xlabel='x')",
            "T. Horizontal axis: x. Shown: n = ….",
        ),
        ("pictures.five_parts(plt.figure(), task)", "Point at state, action, transition"),
    ],
)
def test_a_figure_says_what_its_cell_says(cell: str, alt: str) -> None:
    modules = {"pictures": "mlearn_utils.course.lesson_01.pictures"}

    assert alt in alt_text(cell, modules)
