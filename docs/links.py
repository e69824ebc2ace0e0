"""Links of the repository's Markdown, and what they become on the site."""

import re
import shutil
from pathlib import Path

LINK = re.compile(
    r"(!?)\[([^\]]*)\]\(([^)\s]+\.(?:md|ipynb|py|json|csv|png|yml|toml|txt)|[^)\s]*/(?:\w+file|))(#[^)\s]*)?\)"
)


class SiteError(Exception):
    """The site cannot be built; the message names the file and the cell, and says what to do."""


def site_links(markdown: str, here: Path, root: Path, repository: str, pages: Path) -> str:
    """Return Markdown with its links to files of the repository as the site needs them.

    Lessons and pages of `docs/` are pages of the site, all in one folder, where those of `docs/teaching/` are
    called `teaching_...`. Pictures are copied beside them.
    What else is linked is shown by the repository's own site; where that is not known, the text stays.

    Args:
        markdown: a page, or a cell of one.
        here: the folder that its links start from.
        root: of the checkout.
        repository: its address, such as `https://github.com/owner/name`, or "".
        pages: where the pages of the site lie.

    Raises:
        SiteError: if a link leads to nothing, or a picture has no alt text.
    """

    def changed(match: re.Match[str]) -> str:
        picture, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = (here / target).resolve()
        if not path.exists() or not path.is_relative_to(root):
            raise SiteError(f"a link to {target}, which is not there")
        if picture:
            if not text.strip():
                raise SiteError(f"the picture {target} has no alt text")
            shutil.copy(path, pages)
            return f"![{text}]({path.name})"
        if page := page_name(path, root):
            return f"[{text}]({page}{anchor})"
        return f"[{text}]({repository}/blob/main/{path.relative_to(root)}{anchor})" if repository else text

    return LINK.sub(changed, markdown)


def page_name(path: Path, root: Path) -> str:
    """Return how the page of the site is called that a file of the repository becomes, "" if it is none."""
    if path.parent == root / "docs" / "teaching" and path.suffix == ".md":
        return f"teaching_{path.name}"
    lesson = path.parent == root / "notebooks" and re.fullmatch(r"\d\d_\w+\.ipynb", path.name)
    return path.name if lesson or (path.parent == root / "docs" and path.suffix == ".md") else ""
