"""A stored notebook as a page of the site: its widgets work, its figures have words, its exercises hints.

The page is a notebook again, with HTML in place of such outputs; Sphinx does the rest.
"""

import ast
import base64
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from drawn import Shelf, animation, size_of
from exports import exercise, export
from figures import alt_text, imported_modules
from links import SiteError, site_links
from markup import box, picture
from nbformat import NotebookNode
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from slices import slice_cells
from terms import link_terms

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lessons import lesson_numbers, load_lesson
from mlearn_utils.course.widgets.view import View

WORDS = re.compile(r"(Explorer|Stepper|Canvas|Game|Predict, then reveal|Quiz|Hints|Progress panel)\b")
NOTEBOOK_ONLY = re.compile(r"<!-- notebook only -->.*?<!-- end -->\n*", re.DOTALL)
"""What a lesson says to who has it open in JupyterLab, and to nobody else."""

HERE = """\
<p class="web-note">The web edition: code does not run here, and what moves was drawn in advance. Where the
text asks for more than the page can do, <a href="do.html">do it yourself</a>.</p>
<noscript><p class="web-note">Without JavaScript formulas and widgets stay as they are written.</p></noscript>
"""
DRIFT = 1.0
"""How far, in levels of 255 on average, a picture may be from the stored one: CPUs round differently."""


def make_page(notebook: Path, pages: Path, pictures: Path, repository: str = "") -> dict[str, list[str]]:
    """Write the page of `notebook` into `pages`, and what it shows into `pictures`.

    Args:
        notebook: `NN_name.ipynb`, executed.
        pages: gets `NN_name.ipynb`, too.
        pictures: a folder called NN; pages find it as `pictures/NN`.
        repository: the address of the repository's site, or "".

    Returns:
        The HTML of its widgets by kind, in order.

    Raises:
        SiteError: if the notebook cannot become a page; the message names it and the cell.
    """
    page = nbformat.read(notebook, as_version=4)
    number = notebook.stem[:2]
    exercises = load_lesson(number).EXERCISES if number in lesson_numbers() else ()
    code = [(index, cell) for index, cell in enumerate(page.cells) if cell.cell_type == "code"]
    modules = imported_modules(cell.source for _, cell in code)
    shelf, made = Shelf(pictures, f"pictures/{pictures.name}"), {}
    for index, cell in code:
        with named(notebook, index):
            require_executed(cell)
    views = live_views(notebook, code)
    texts = [cell.source for cell in page.cells if cell.cell_type == "markdown"]
    seen: set[str] = set()  # the terms that were linked so far
    is_parted = sum(text.startswith("# ") for text in texts) > 1
    for index, cell in enumerate(page.cells):
        with named(notebook, index):
            shelf.prefix, shelf.count = f"{index:02d}", 0
            if cell.cell_type == "markdown":
                text = NOTEBOOK_ONLY.sub("", cell.source)
                text = lowered(text) if is_parted and index else text
                text = site_links(text, notebook.parent, notebook.parent.parent, repository, pages)
                cell.source = link_terms(text, number, seen)
                if not index:
                    cell.source = re.sub(r"^(# .+\n)", rf"\1\n{HERE}", cell.source, count=1)
                continue
            asked = checked_exercise(cell.source, exercises)
            if asked:
                cell.outputs = [_html(exercise(asked, number, highlighted))]
                continue
            for k, output in enumerate(cell.outputs):
                shown = ""
                if index in views and is_view(output):
                    shown = export(views[index], shelf, exercises)
                    made.setdefault(_kind(shown), []).append(shown)
                elif "image/png" in output.get("data", {}):
                    shown = still(output, cell.source, modules, shelf)
                elif "text/html" in output.get("data", {}):
                    linked = output.data["text/html"].replace('.ipynb">', '.html">')
                    shown = box("output", linked)
                if shown:
                    cell.outputs[k] = _html(shown)
            cell.source = re.sub(r"^\s*# alt: .*\n", "", cell.source, flags=re.MULTILINE)
    nbformat.write(page, pages / notebook.name)
    return made


@contextlib.contextmanager
def named(notebook: Path, index: int) -> Iterator[None]:
    """Put file and cell in front of what goes wrong."""
    try:
        yield
    except SiteError as error:
        raise SiteError(f"{notebook.parent.name}/{notebook.name}: cell {index}: {error}") from error


def lowered(markdown: str) -> str:
    """Return Markdown with its headings one level lower: for the parts of a lesson below its title."""
    prose = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        part if part.startswith("```") else re.sub(r"^#", "##", part, flags=re.MULTILINE) for part in prose
    )


def require_executed(cell: NotebookNode) -> None:
    """Refuse a cell that was not executed.

    Raises:
        SiteError: if it has no execution count.
    """
    if cell.execution_count is None:
        raise SiteError("it was not executed; run: python notebooks/build.py --force")


def is_view(output: NotebookNode) -> bool:
    """Return whether an output stands for a widget: it says so, or shows a picture that no figure is."""
    shown = output.get("data", {})
    text = shown.get("text/plain", "")
    is_picture = "image/png" in shown and not text.startswith(("<Figure", "Animation:"))
    return output.output_type == "execute_result" and (is_picture or bool(WORDS.match(text)))


def live_views(notebook: Path, code: list[tuple[int, NotebookNode]]) -> dict[int, View]:
    """Make the widgets of a notebook again and return them by their cells.

    Raises:
        SiteError: if a cell gives no widget, or another one than is stored.
    """
    wanted = [k for k, (_, cell) in enumerate(code) if any(map(is_view, cell.outputs))]
    slices = slice_cells([cell.source for _, cell in code], wanted)
    names: dict[str, Any] = {"__name__": "__main__"}
    found = {}
    for k, (index, cell) in enumerate(code):
        with named(notebook, index):
            value = _run(slices[k], names, f"{notebook.stem}-{index}.py", cell.source)
            if k in wanted:
                (stored,) = filter(is_view, cell.outputs)
                found[index] = require_same(value, stored)
    return found


def require_same(value: Any, stored: NotebookNode) -> View:
    """Return a view if it says and shows what the notebook stores.

    Raises:
        SiteError: if it is no view, or differs.
    """
    if not isinstance(value, View):
        raise SiteError(f"its value is a {type(value).__name__}, and the notebook stores a widget")
    again = "the notebook is older than the package; run: python notebooks/build.py --force"
    if value.text != stored.data["text/plain"]:
        raise SiteError(f"its widget says {value.text[:60]!r}, not what is stored: {again}")
    kept, drawn = stored.data.get("image/png"), value._fallback()
    if kept and drawn and _distance(base64.b64decode(kept), drawn[0]) > DRIFT:
        raise SiteError(f"its widget shows another picture than the one that is stored: {again}")
    return value


def checked_exercise(source: str, exercises: tuple[Exercise, ...]) -> Exercise | None:
    """Return the exercise that a cell `lesson.check(name)` checks, or None if it is no such cell."""
    match = re.fullmatch(r'\s*lesson\.check\((\w+)(?:, (?:name=)?"(\w+)")?\)\s*', source)
    known = {found.name: found for found in exercises}
    return known.get(match[2] or match[1]) if match else None


def still(output: NotebookNode, source: str, modules: dict[str, str], shelf: Shelf) -> str:
    """Return a figure or an animation of the notebook as a picture with an alt text."""
    png = base64.b64decode(output.data["image/png"])
    text = output.data.get("text/plain", "")
    if text.startswith("Animation:"):
        name = f"{shelf.prefix}-film.png"
        (shelf.folder / name).write_bytes(png)
        frame = Image.open(io.BytesIO(png))
        first, size = io.BytesIO(), frame.size
        frame.convert("RGB").save(first, "PNG")
        alt = text.removeprefix("Animation:").strip()
        return animation(f"{shelf.address}/{name}", shelf.put(first.getvalue()), alt, size)
    alt = alt_text(source, modules)
    return box("figure", f'<div class="web-scroll">{picture(shelf.put(png), alt, size_of(png))}</div>')


def highlighted(code: str) -> str:
    """Return Python as coloured HTML, as Sphinx colours the cells."""
    shown = highlight(code, PythonLexer(), HtmlFormatter(cssclass="highlight"))
    return f'<div class="highlight-python notranslate">{shown}</div>'


def _run(statements: list[ast.stmt], names: dict[str, Any], file: str, source: str) -> Any:
    """Run statements of a cell in `names`, silently; return the value of its last line, if that is one."""
    last = ast.parse(source).body[-1] if source.strip() else None
    value = None
    with contextlib.redirect_stdout(io.StringIO()):
        for stmt in statements:
            if isinstance(stmt, ast.Expr) and last is not None and stmt.lineno == last.lineno:
                value = eval(compile(ast.Expression(stmt.value), file, "eval"), names)
            else:
                exec(compile(ast.Module([stmt], type_ignores=[]), file, "exec"), names)
    return value


def _distance(one: bytes, other: bytes) -> float:
    pixels = [np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int16) for png in (one, other)]
    return 255.0 if pixels[0].shape != pixels[1].shape else float(abs(pixels[0] - pixels[1]).mean())


def _kind(markup: str) -> str:
    return markup.split('data-kind="', 1)[1].split('"', 1)[0]


def _html(markup: str) -> NotebookNode:
    return nbformat.v4.new_output("display_data", {"text/html": markup})
