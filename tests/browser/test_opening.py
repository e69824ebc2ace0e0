"""What `python3 notebooks` opens, in a real browser: lesson 00, and beside it the lessons, nothing else."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import working_copies
from playwright.sync_api import Browser, expect

from tests.browser.server import environment, running_url

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent.parent
FITS = """(node) => {
  const text = document.createTreeWalker(node, NodeFilter.SHOW_TEXT).nextNode();
  const words = document.createRange();
  words.setStart(text, 0);
  words.setEnd(text, text.length - ".ipynb".length);
  const cut = node.scrollWidth > node.clientWidth + 1;
  const ellipsis = cut ? 12 : 0;
  return words.getBoundingClientRect().right <= node.getBoundingClientRect().right - ellipsis;
}"""
"""Whether an entry of the side bar shows a name whole; its ending, .ipynb, may be cut."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Start the command in a copy of the notebooks; yield the address that it prints."""
    copy, log = tmp_path / "copy", tmp_path / "log"
    (copy / "notebooks").mkdir(parents=True)
    for path in [*(ROOT / "notebooks").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]:
        shutil.copy(path, copy / "notebooks")
    shutil.copytree(ROOT / "notebooks" / "jupyter", copy / "notebooks" / "jupyter")
    command = [sys.executable, "notebooks", "--no-install", "--no-browser", "--port=0"]
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=copy, env=environment(tmp_path), stdin=subprocess.DEVNULL, stderr=file, text=True
        )
        try:
            running_url(server, tmp_path / "runtime")
            yield re.findall(r"http://127\.0\.0\.1:\d+/\S+", log.read_text())[-1]
        finally:
            server.terminate()
            server.wait(timeout=15)


def test_the_printed_address_opens_lesson_00_beside_readable_names(address: str, browser: Browser) -> None:
    names = sorted(name for name, _ in working_copies.lessons(ROOT).values())
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    listed = page.locator(".jp-DirListing-item .jp-DirListing-itemText")

    expect(page.locator(".jp-NotebookPanel h1").first).to_contain_text("Start here", timeout=60_000)
    expect(listed).to_have_count(len(names), timeout=20_000)
    assert sorted(listed.all_inner_texts()) == names
    short = [item for item in listed.all() if len(item.inner_text()) <= 36]
    assert len(short) >= len(names) - 2
    assert all(item.evaluate(FITS) for item in short), "the side bar shows the names whole"
    page.close()
