"""The Markdown cells of the lessons' sources, as the tests of the pages read them."""

from functools import cache
from pathlib import Path

import jupytext

ROOT = Path(__file__).parents[2]


def markdown_cells(text: str) -> list[str]:
    """Return the Markdown cells of a source's text."""
    cells = jupytext.reads(text, fmt="py:percent").cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


@cache
def lessons() -> dict[str, list[str]]:
    """Return the Markdown cells of every lesson, by its number."""
    files = sorted((ROOT / "notebooks" / "source").glob("[0-9][0-9]_*.py"))
    return {file.name[:2]: markdown_cells(file.read_text(encoding="utf-8")) for file in files}
