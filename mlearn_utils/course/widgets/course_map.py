"""The course map: every lesson with its minutes, and a link to those whose notebook is here."""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
"""Where a checkout keeps its notebooks."""
LEFT = ' style="text-align: left"'  # JupyterLab would align a table's cells right


@dataclass(frozen=True)
class Stop:
    """One lesson on the map.

    Attributes:
        number: two digits; the notebook is called `{number}_....ipynb`.
        title: what it is about.
        minutes: of one session.
        sessions: how many there are.
    """

    number: str
    title: str
    minutes: int
    sessions: int

    @property
    def time(self) -> str:
        """Minutes as text: "50", "2 × 50"."""
        return f"{self.minutes}" if self.sessions == 1 else f"{self.sessions} × {self.minutes}"


class CourseMap:
    """The lessons as a table, in HTML with links and as text.

    Args:
        stops: the lessons, in order.
        folder: where the student's notebooks are; those of this checkout by default.
    """

    def __init__(self, stops: Iterable[Stop], folder: Path = NOTEBOOKS):
        self.stops, self._folder = tuple(stops), folder

    def notebooks(self, number: str) -> list[str]:
        """Return the file names of the notebooks of lesson `number`: none if it is still to come.

        A notebook counts when its source is there, so it is on the map while it is being built; in a class's
        edition, which has no sources, when it is there itself.
        """
        names = self._folder.glob(f"source/{number}_*.py"), self._folder.glob(f"{number}_*.ipynb")
        return sorted({f"{path.stem}.ipynb" for found in names for path in found})

    def __repr__(self) -> str:
        rows = [(f"{s.number} {s.title}", s.time, self._status(s.number)) for s in self.stops]
        return "\n".join(f"{title:<42} {time:>6} min  {status}" for title, time, status in rows)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        head = "".join(f'<th scope="col"{LEFT}>{name}</th>' for name in ("Lesson", "Minutes", "Notebook"))
        body = "".join(self._row(stop) for stop in self.stops)
        table = f"<table><caption>Course map</caption><tr>{head}</tr>{body}</table>"
        return {"text/plain": repr(self), "text/html": table}

    def _row(self, stop: Stop) -> str:
        links = [f'<a href="{name}">{name}</a>' for name in map(html.escape, self._links(stop.number))]
        title = html.escape(f"{stop.number} {stop.title}", quote=False)
        cells = (f"<td{LEFT}>{text}</td>" for text in (stop.time, ", ".join(links) or "to come"))
        return f'<tr><th scope="row"{LEFT}>{title}</th>{"".join(cells)}</tr>'

    def _links(self, number: str) -> list[str]:
        """Return the reader's own copies of a lesson's notebooks, where there are, else the course's."""
        own = sorted(Path.cwd().glob(f"{number} *.ipynb"), key=lambda path: len(path.name))
        return [path.name for path in own[:1]] or self.notebooks(number)

    def _status(self, number: str) -> str:
        return ", ".join(self.notebooks(number)) or "to come"
