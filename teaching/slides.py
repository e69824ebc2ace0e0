"""`python3 teaching slides`: a deck of slides of each lesson, made of the stored notebook.

A heading begins a slide, other text a subslide, and code stands on the slide of its text. What is for the
student alone (set-up, checks, hints, progress) is left out. Code that draws is left out, too, its picture is
not; a quiz becomes a slide a question, the answer on the next key. nbconvert writes the page, reveal.js shows
it, and `deck/deck.js` makes all slides fit the screen. What a deck loads lies beside it; no network.

Two tags in the sources of the lessons: `slide-skip` leaves a cell out, `slide-hide-input` its code.
"""

import argparse
import ast
import importlib.metadata
import itertools
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from environment import ROOT
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from mlearn_utils.course.grading.report import rich
from mlearn_utils.course.widgets.quizzes import Question, load_bank

sys.path.insert(0, str(ROOT / "docs"))

from build_site import copy_mathjax
from figures import ALT, alt_text, imported_modules
from links import SiteError

HERE = Path(__file__).resolve().parent
REVEAL = "sphinx-revealjs"
FOR_STUDENTS = {"check", "hint", "solution", "progress"}
"""Methods of a lesson whose cells no slide shows."""

NOTEBOOK_ONLY = re.compile(r"<!-- notebook only -->.*?(<!-- end -->|\Z)\n*", re.DOTALL)
HOW_TO_ASK = re.compile(r"^`lesson\.hint\(.*?(\n\n|\Z)", re.DOTALL)
"""What tells students how to ask for a hint, at the beginning of a cell."""

VIEW = re.compile(r"(Explorer|Stepper|Canvas|Game|Animation|Predict, then reveal): ")
GUESS = '<p class="question"><strong>Your guess?</strong> {}</p>'
IN_JUPYTER = " (Run this notebook in Jupyter to answer.)"
RELATIVE = re.compile(r"""<a href="(?!https?:)[^"]*">(.*?)</a>""", re.DOTALL)


def main(options: argparse.Namespace) -> int:
    """Write a deck of each lesson into `options.out`, and what they load; return the exit code."""
    try:
        notebooks = choose(ROOT / "notebooks", options.lessons)
        if options.out.exists() and not options.out.is_dir():
            raise SiteError(f"--out must be a folder, and {options.out} is a file")
        write_assets(options.out / "assets")
        for notebook in notebooks:
            deck = options.out / f"{notebook.stem}.html"
            deck.write_text(page(notebook), encoding="utf-8")
            print(deck, flush=True)
    except SiteError as error:
        print(f"No slides: {error}", file=sys.stderr)
        return 1
    print("Open one in a browser: Space goes on, Esc shows all. It needs the folder assets beside it.")
    return 0


def choose(folder: Path, lessons: list[str]) -> list[Path]:
    """Return the stored notebooks in `folder` of the numbers `lessons`, of all lessons without any.

    Raises:
        SiteError: if a lesson has no notebook.
    """
    found = {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    for lesson in lessons:
        if lesson not in found:
            raise SiteError(f"--lessons: there is no lesson {lesson!r}; there are {', '.join(found)}")
    return [found[lesson] for lesson in sorted(set(lessons) or found)]


def page(notebook: Path) -> str:
    """Return the deck of a stored notebook as HTML.

    Raises:
        SiteError: if it was not executed, or shows a figure without saying what is on it.
    """
    bank = ROOT / "data" / f"lesson_{notebook.stem[:2]}" / "quiz.json"
    try:
        deck = make_deck(nbformat.read(notebook, as_version=4), load_bank(bank) if bank.exists() else ())
    except SiteError as error:
        raise SiteError(f"notebooks/{notebook.name}: {error}") from None
    exporter = SlidesExporter(
        template_name="deck", extra_template_basedirs=[str(HERE)], exclude_anchor_links=True
    )
    return exporter.from_notebook_node(deck)[0]


def make_deck(notebook: NotebookNode, questions: tuple[Question, ...]) -> NotebookNode:
    """Return the cells that the slides show, each with its `slide_type`: "slide", "subslide" or "-".

    Args:
        notebook: a lesson, executed.
        questions: of its quiz; they take the place of the cell `lesson.quiz()`.

    Raises:
        SiteError: if a cell was not executed, or its figure has no alt text.
    """
    modules = imported_modules(cell.source for cell in notebook.cells if cell.cell_type == "code")
    made = []
    for index, cell in enumerate(notebook.cells):
        if "slide-skip" in cell.metadata.get("tags", []) or is_for_students(cell):
            continue
        if cell.cell_type == "markdown":
            made += text_cells(cell.source)
        elif method_of_lesson(cell.source) == "quiz":
            asked = (question_slide(k, question) for k, question in enumerate(questions, 1))
            made += [_typed("subslide" if k else "-", text) for k, text in enumerate(asked)]
        else:
            try:
                made += code_cells(cell, modules)
            except SiteError as error:
                raise SiteError(f"cell {index}: {error}") from None
    for cell, following in itertools.pairwise(made):
        if "Your guess?" in str(cell.get("outputs")) and following.metadata.slideshow.slide_type == "-":
            following.metadata.slideshow.slide_type = "subslide"  # not the answer beside the question
    title = next((heading[1] for cell in made if (heading := re.match(r"# (.+)", cell.source))), "Slides")
    return nbformat.v4.new_notebook(cells=made, metadata={**notebook.metadata, "title": title})


def text_cells(markdown: str) -> list[NotebookNode]:
    """Return the cells of a text: a slide for what is below a heading, a subslide for what is below none."""
    parts = re.split(r"\n(?=##? )", HOW_TO_ASK.sub("", NOTEBOOK_ONLY.sub("", markdown)))
    texts = [text for part in parts if (text := part.strip())]
    return [_typed("slide" if re.match(r"##? ", text) else "subslide", text) for text in texts]


def question_slide(number: int, question: Question) -> str:
    """Return the HTML of a question with its choices; the right one and why come with the next key."""
    right = [choice.correct for choice in question.choices].index(True)
    choices = "".join(f"<li>{rich(choice.text)}</li>" for choice in question.choices)
    why = rich(question.choices[right].why)
    return (
        f'<p class="question"><strong>{number}.</strong> {rich(question.question)}</p>\n'
        f'<ol class="choices" type="A">{choices}</ol>\n'
        f'<p class="answer fragment"><strong>{chr(ord("A") + right)}.</strong> {why}</p>'
    )


def is_for_students(cell: NotebookNode) -> bool:
    """Return whether a cell only imports, starts the lesson, checks, hints or shows progress."""
    if cell.cell_type != "code":
        return False
    if method_of_lesson(cell.source) in FOR_STUDENTS:
        return True
    body = ast.parse(cell.source).body
    imports = (ast.Import, ast.ImportFrom)
    return all(isinstance(s, imports) or ast.unparse(s).startswith("lesson = course.start(") for s in body)


def method_of_lesson(source: str) -> str:
    """Return `check` for a cell that is `lesson.check(...)` and nothing else, "" for any other cell."""
    body = ast.parse(source).body
    if len(body) != 1 or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Call):
        return ""
    called = ast.unparse(body[0].value.func)
    return called.removeprefix("lesson.") if called.startswith("lesson.") else ""


def code_cells(cell: NotebookNode, modules: dict[str, str]) -> list[NotebookNode]:
    """Return a cell as it goes on the slide of its text: what is shown of its code, and its outputs, if any.

    Raises:
        SiteError: if it was not executed, or its figure has no alt text.
    """
    if cell.execution_count is None:
        raise SiteError("it was not executed; run: python notebooks/build.py --force")
    source, outputs = shown_code(cell), list(shown_outputs(cell, modules))
    kind = {"slideshow": {"slide_type": "-"}}
    return [nbformat.v4.new_code_cell(source, outputs=outputs, metadata=kind)] if source or outputs else []


def shown_code(cell: NotebookNode) -> str:
    """Return as much of a cell's code as a class looks at.

    None of a cell that shows a widget or an animation, or that is one call of the lesson. Of one that shows a
    figure, what comes before the drawing, if that is more than one statement.
    """
    if "slide-hide-input" in cell.metadata.get("tags", []) or method_of_lesson(cell.source):
        return ""
    source = ALT.sub("", cell.source)
    texts = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    if any(VIEW.match(text) for text in texts):
        return ""
    if any(text.startswith("<Figure") for text in texts):
        body = ast.parse(source).body
        first = next((k for k, s in enumerate(body) if re.search(r"\bplt\.", ast.unparse(s))), len(body))
        if first < 2:
            return ""
        source = "\n".join(source.split("\n")[: body[first - 1].end_lineno])
    return source.strip("\n")


def shown_outputs(cell: NotebookNode, modules: dict[str, str]) -> Iterator[NotebookNode]:
    """Yield a cell's outputs as slides show them: pictures with their alt text, a prediction as a question.

    Raises:
        SiteError: if a figure has no alt text.
    """
    for output in cell.outputs:
        if "data" not in output:  # what was printed
            yield output
            continue
        data, metadata = dict(output.data), {}
        text = data.get("text/plain", "")
        view = VIEW.match(text)
        if "image/png" in data:
            metadata["alt"] = text[view.end() :] if view else alt_text(cell.source, modules)
        elif view:
            data = {"text/html": GUESS.format(rich(text[view.end() :].removesuffix(IN_JUPYTER)))}
        elif "text/html" in data:
            data["text/html"] = RELATIVE.sub(r"\1", data["text/html"])
        yield nbformat.v4.new_output("display_data", data, metadata=metadata)


def write_assets(folder: Path) -> None:
    """Write all that decks load: reveal.js (MIT licence) and MathJax (Apache licence 2.0), styles, script.

    Raises:
        SiteError: if a package that brings some of it is not installed.
    """
    try:
        files = importlib.metadata.files(REVEAL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [
        file for file in files if re.search(r"/revealjs/(dist/reveal\.(js|css)|LICENSE)$", file.as_posix())
    ]
    if not found:
        raise SiteError(f"reveal.js is not there; install {REVEAL}, which requirements.txt pins")
    copy_mathjax(folder / "mathjax")
    for file in found:
        shutil.copy(str(file.locate()), folder / file.name.replace("LICENSE", "reveal.LICENSE"))
    colors = HtmlFormatter(style="a11y-high-contrast-light").get_style_defs(".highlight")
    style = (HERE / "deck" / "deck.css").read_text(encoding="utf-8")
    (folder / "deck.css").write_text(f"{colors}\n{style}", encoding="utf-8")
    shutil.copy(HERE / "deck" / "deck.js", folder)


def _typed(kind: str, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})
