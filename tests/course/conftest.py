"""A lesson that exists only here, loaded as lessons are, and a progress log of the test's own."""

import importlib.util
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.figure import Figure

from mlearn_utils.course import lessons
from mlearn_utils.course.grading import progress
from mlearn_utils.course.widgets import view

FAKE = Path(__file__).with_name("fake_lesson.py")


@pytest.fixture(autouse=True)
def progress_log(tmp_path, monkeypatch) -> Path:
    """No test may touch the progress of whoever runs it, nor go on with another test's lesson."""
    path = tmp_path / "progress.jsonl"
    monkeypatch.setattr(progress, "_started", [])
    monkeypatch.setenv("MLEARN_PROGRESS", str(path))
    return path


@pytest.fixture(autouse=True)
def no_check_raised(caplog) -> Iterator[None]:
    """A checker that raises is answered with a report and logged: here it must not happen unseen."""
    yield
    assert [r.getMessage() for r in caplog.get_records("call") if r.name == "mlearn_utils.course"] == []


@pytest.fixture(autouse=True)
def every_color_has_its_scale(monkeypatch) -> None:
    """Where color means a number, a picture of the course says which: no test may draw one that does not."""
    render = view.Picture.render

    def checked(self: view.Picture) -> bytes:
        png = render(self)
        assert unscaled(self.figure) == []
        return png

    monkeypatch.setattr(view.Picture, "render", checked)


def unscaled(figure: Figure) -> list[str]:
    """Return what in a figure turns numbers into colors without a scale of these colors beside it."""
    axes = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    found = [artist for ax in axes for artist in (*ax.images, *ax.collections)]
    colored = [artist for artist in found if (array := artist.get_array()) is not None and array.ndim < 3]
    known = [(artist.get_cmap().name, artist.get_clim()) for artist in colored if artist.colorbar]
    return [
        f"{type(artist).__name__} from {artist.get_clim()[0]} to {artist.get_clim()[1]}"
        for artist in colored
        if (artist.get_cmap().name, artist.get_clim()) not in known
    ]


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake_lesson", FAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_lesson"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lesson(fake, monkeypatch) -> lessons.Lesson:
    monkeypatch.setattr(lessons, "load_lesson", lambda number: fake)
    return lessons.Lesson("98")


@pytest.fixture
def write():
    """Return a function that defines a student's function from its source, as a notebook's cell does."""

    def define(source: str, name: str, cell: int = 1, **namespace):
        filename = f"/tmp/ipykernel_4242/{cell}{abs(hash(source))}.py"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        exec(compile(source, filename, "exec"), namespace)
        return namespace[name]

    return define
