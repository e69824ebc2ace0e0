"""What a student reads after `lesson.check(...)`, `lesson.hint(...)` and `lesson.solution(...)`.

Both texts (plain and HTML) are deterministic: no time, no address, no path of a kernel. The outcome is told
by an icon and words, never by color alone, so it also reads well where a page strips styles.
"""

import html
import re
from dataclasses import dataclass, replace
from typing import Literal

Outcome = Literal["passed", "not yet", "not attempted", "your code raised"]

ICONS: dict[str, str] = {"passed": "✔", "not yet": "✎", "not attempted": "○", "your code raised": "⚠"}
EDGES: dict[str, str] = {
    "passed": "var(--jp-success-color1, #2e7d32)",
    "not yet": "var(--jp-warn-color1, #b26a00)",
    "not attempted": "var(--jp-border-color1, #757575)",
    "your code raised": "var(--jp-error-color1, #c62828)",
}
BOX = "border-left: 4px solid {edge}; padding: 2px 0 2px 12px; margin: 4px 0; line-height: 1.5;"


@dataclass(frozen=True)
class Report:
    """The result of one check.

    Attributes:
        outcome: "passed", "not yet", "not attempted" or "your code raised".
        message: what was verified, the likely mistake, or the student's error with its line.
        title, level, minutes, points: as in the exercise.
        line: the line number in the student's cell that raised, else None.
        source: the text of that line, "" when it is not known.
        note: what else must be said (such as a progress file that cannot be written).
        fault: what the checker itself raised over the answer, "" if nothing, as it should be.
    """

    outcome: Outcome
    message: str
    title: str
    level: str
    minutes: int
    points: int
    line: int | None = None
    source: str = ""
    note: str = ""
    fault: str = ""

    @property
    def ok(self) -> bool:
        """True if the answer passed."""
        return self.outcome == "passed"

    @property
    def earned(self) -> int:
        """Points earned: all or none."""
        return self.points if self.ok else 0

    def with_note(self, note: str) -> "Report":
        """Return the same report with `note` below its message."""
        return replace(self, note=note)

    def __str__(self) -> str:
        head = f"{self._verdict()} · {self.title} ({self._facts()})"
        return "\n".join(part for part in (head, self.message, self.note) if part)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._html()}

    def _html(self) -> str:
        head = f"<strong>{self._verdict()}</strong> · {rich(self.title)} <small>({self._facts()})</small>"
        parts = [head] + [rich(part) for part in (self.message, self.note) if part]
        return box("<br>".join(parts), EDGES[self.outcome], kind="mlearn-report", label="Exercise report")

    def _verdict(self) -> str:
        return f"{ICONS[self.outcome]} {self.outcome.capitalize()}"

    def _facts(self) -> str:
        return f"{self.level}, {self.minutes} min, {self.earned} of {plural(self.points, 'point')}"


@dataclass(frozen=True)
class Note:
    """A hint or a solution: a heading and a text, or a listing of code; `note` is what else must be said."""

    heading: str
    text: str
    is_code: bool = False
    note: str = ""

    def __str__(self) -> str:
        return "\n".join(part for part in (self.heading, self.text.rstrip(), self.note) if part)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        code = f"<pre><code>{html.escape(self.text)}</code></pre>"
        body = code if self.is_code else f"<br>{rich(self.text)}"
        said = f"<br>{rich(self.note)}" if self.note else ""
        page = box(f"<strong>{rich(self.heading)}</strong>{body}{said}", "var(--jp-info-color1, #0277bd)")
        return {"text/plain": str(self), "text/html": page}


def box(content: str, edge: str, *, kind: str = "mlearn-note", label: str = "") -> str:
    """Return HTML `content` with a bar of color `edge` at its left; `label` makes it a named region."""
    role = f' role="group" aria-label="{html.escape(label)}"' if label else ""
    return f'<div class="{kind}"{role} style="{BOX.format(edge=edge)}">{content}</div>'


def error_box(error: BaseException) -> str:
    """Return HTML that shows an exception of a widget's callback in the page."""
    text = (
        f"<strong>⚠ Error</strong> · {html.escape(type(error).__name__)}: {html.escape(stable(str(error)))}"
    )
    return box(text, EDGES["your code raised"], kind="mlearn-error")


def rich(text: str) -> str:
    """Escape `text` for HTML; `code` in backticks and line breaks keep their meaning."""
    marked = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return marked.replace("\n", "<br>")


def stable(text: str) -> str:
    """Remove memory addresses from `text`, so that two runs write the same."""
    return re.sub(r"\b0x[0-9a-fA-F]{6,}\b", "0x…", text)


def plural(count: int, word: str) -> str:
    """Return "1 point", "2 points"."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
