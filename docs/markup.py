"""Small pieces of HTML that all pages share: escaped text, math that MathJax finds, pictures with words."""

import html
import json
import re
from typing import Any

from links import SiteError

from mlearn_utils.course.grading.report import rich


def attribute(text: str) -> str:
    """Return `text` as it may stand between the quotes of an HTML attribute."""
    return html.escape(" ".join(text.split()))


def prose(text: str) -> str:
    """Return the widgets' rich text (`code`, $math$, line breaks) as HTML.

    Raises:
        SiteError: if a `$` or a backtick has no partner: it would not render.
    """
    for mark, name in (("$", "dollar sign"), ("`", "backtick")):
        if text.count(mark) % 2:
            raise SiteError(f"a {name} without a partner would not render: {text!r}")
    return mathematics(rich(text))


def mathematics(markup: str) -> str:
    r"""Return HTML with `$x$` as `\(x\)` and `$$x$$` as `\[x\]`, which is what MathJax looks for here."""
    shown = re.sub(r"\$\$(.+?)\$\$", r"\\[\1\\]", markup, flags=re.DOTALL)
    return re.sub(r"\$(.+?)\$", r"\\(\1\\)", shown, flags=re.DOTALL)


def picture(source: str, alt: str, size: tuple[int, int], more: str = "") -> str:
    """Return an image of this size (width, height) on the page.

    Raises:
        SiteError: if `alt` is empty.
    """
    if not alt.strip():
        raise SiteError("a figure without alt text")
    width, height = size
    return (
        f'<img src="{source}" alt="{attribute(alt)}" width="{width}" height="{height}" loading="lazy" '
        f'style="--width: {width}px"{more}>'
    )


def data(value: Any) -> str:
    """Return a script element that holds `value` as JSON, for `course.js`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def box(kind: str, content: str, label: str = "") -> str:
    """Return a section of the page that `course.js` brings to life, by its kind."""
    named = f' role="group" aria-label="{attribute(label)}"' if label else ""
    return f'<div class="web web-{kind} mathjax_process" data-kind="{kind}"{named}>\n{content}\n</div>'


def note(text: str) -> str:
    """Return a line in small print."""
    return f'<p class="web-note">{text}</p>'
