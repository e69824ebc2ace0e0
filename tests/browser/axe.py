"""What axe-core finds on a page: faults that keep readers with a keyboard or a screen reader out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")  # MPL 2.0


def serious_faults(page: Page, *, inside: Sequence[str] = (), rules: Sequence[str] = ()) -> list[str]:
    """Return what is serious or critical, as "rule: element".

    Args:
        page: loaded.
        inside: CSS selectors of the parts to look at, empty for all of the page.
        rules: names of axe's rules, empty for all.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    options |= {"runOnly": list(rules)} if rules else {}
    where = {"include": [[css] for css in inside]} if inside else None
    run = "([where, options]) => axe.run(where ?? document, options)"
    return [
        f"{fault['id']}: {node['html'][:120]}"
        for fault in page.evaluate(run, [where, options])["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
