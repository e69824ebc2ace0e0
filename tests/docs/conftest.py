"""The built site, a browser that looks at it, and small notebooks to build pages of."""

from collections.abc import Callable
from pathlib import Path

import build_site
import nbformat
import pytest
from drawn import Shelf
from nbformat import NotebookNode

from tests.browser.conftest import browser as chromium  # noqa: F401


@pytest.fixture(scope="session")
def site() -> Path:
    """Build the site, unless it is there and up to date; return its folder."""
    return build_site.build()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return Shelf(folder, "pictures/42", "07")


@pytest.fixture
def write_notebook(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a notebook of cells (text, source or (source, output)) and its path."""

    def write(*cells: NotebookNode, name: str = "42_lines.ipynb") -> Path:
        folder = tmp_path / "notebooks"
        folder.mkdir(exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), folder / name)
        return folder / name

    return write
