"""The browser, the JupyterLab and the page in it that the tests of this folder share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import find_chromium
from tests.browser.page import NotebookPage
from tests.browser.server import running_lab

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
# No sandbox: it needs rights that a container lacks. The others keep Chromium from calling home by itself.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a Chromium with an empty profile; skip where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found: install one, or run `python -m playwright install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab_url(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run JupyterLab over a copy of the student's notebooks (if there is a browser to look at it)."""
    scratch = tmp_path_factory.mktemp("lab")
    root = scratch / "notebooks"
    root.mkdir()
    for name in NAMES:
        shutil.copy(NOTEBOOKS / name, root)
    with running_lab(root, scratch) as url:
        yield url


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """Open the page that the notebooks share, one after the other: loading JupyterLab takes seconds."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    yield page
    page.close()


@pytest.fixture(scope="module", params=NAMES)
def notebook(request: pytest.FixtureRequest, page: Page, lab_url: str) -> Iterator[NotebookPage]:
    """Open a notebook and run it to the end."""
    notebook = NotebookPage(page, lab_url)
    notebook.open(request.param)
    try:
        notebook.run_all()
        yield notebook
    finally:
        notebook.close()
