"""Every link of the README, of the pages of docs/ and of the notebooks, and every one of the built site."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import build_site
import nbformat
import pytest

ROOT = build_site.ROOT
LINK = re.compile(r"\]\(([^)\s]+)\)")


def markdown_of(path: Path) -> str:
    """Return the Markdown of a file, without its code."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return re.sub(r"`[^`\n]+`|\$[^$]+\$", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sources() -> list[Path]:
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")]
    return [*pages, *build_site.written(ROOT), *build_site.guide(ROOT), *build_site.lessons(ROOT)]


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_of_the_sources_leads_to_a_file_and_its_heading(path: Path) -> None:
    for target in LINK.findall(markdown_of(path)):
        parts = urlsplit(target)
        if parts.scheme or target.startswith("../../actions"):
            continue
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        assert file.exists(), f"{path.name} links to {target}"
        if parts.fragment and file.suffix in {".md", ".ipynb"}:
            assert parts.fragment in anchors(markdown_of(file)), f"{path.name} links to {target}"


class Page(HTMLParser):
    """What a page of the site refers to, and the anchors that it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.references: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {values[name] or "" for name in ("id", "name") if name in values}
        self.references += [values[name] or "" for name in ("href", "src", "data-moving") if name in values]


def test_every_reference_of_the_site_leads_to_a_file_of_it_and_its_anchor(site: Path) -> None:
    pages = {path.name: Page(path) for path in site.glob("*.html") if path.name != "search.html"}
    assert len(pages) > 9
    for name, page in pages.items():
        for path, fragment in inner(page.references):
            assert (site / (path or name)).exists(), f"{name} refers to {path}"
            if fragment and (path or name) in pages:
                assert fragment in pages[path or name].anchors, f"{name} refers to {path}#{fragment}"


def inner(references: list[str]) -> Iterator[tuple[str, str]]:
    """Yield path and fragment of the references that stay on the site."""
    for reference in references:
        parts = urlsplit(reference)
        if not parts.scheme and not parts.netloc:
            yield unquote(parts.path), unquote(parts.fragment)
