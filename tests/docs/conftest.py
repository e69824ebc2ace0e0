"""The built site, a browser that looks at it, and small notebooks to build pages of."""

from collections.abc import Callable, Iterator
from pathlib import Path

import build_site
import nbformat
import pytest
from drawn import Shelf
from nbformat import NotebookNode
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import find_chromium
from tests.browser.conftest import FLAGS


@pytest.fixture(scope="session")
def site() -> Path:
    """Build the site, unless it is there and up to date; return its folder."""
    return build_site.build()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start a Chromium with an empty profile; skip where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found: install one, or run `python -m playwright install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


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
