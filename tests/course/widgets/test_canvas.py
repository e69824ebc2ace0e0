"""The canvas from Python's side: events arrive in data coordinates, each is answered, errors show."""

import base64

import pytest

from mlearn_utils import course
from mlearn_utils.course.widgets.canvas import Surface


class Point:
    """A point to drag on axes from -1 to 1 (logarithmic from 1 to 100 on request)."""

    def __init__(self, *, log: bool = False):
        self.x, self.y, self.log, self.events = 0.0, 0.0, log, []
        self.canvas = course.Canvas(
            self.make, self.on_event, alt="A point to drag.", keys=("ArrowLeft", "a"), name="point"
        )

    def make(self, figure):
        ax = figure.subplots()
        ax.set(xlim=(1, 100) if self.log else (-1, 1), ylim=(-1, 1))
        if self.log:
            ax.set_xscale("log")
        (dot,) = ax.plot([0], [0], "o")

        def redraw():
            dot.set_data([self.x], [self.y])
            return f"at {self.x:.2f}, {self.y:.2f}"

        return redraw

    def on_event(self, event):
        self.events.append(event)
        if event.kind == "key":
            self.x -= 0.5
        elif event.x > 50 and not self.log:
            raise RuntimeError("out of <range>")
        else:
            self.x, self.y = event.x, event.y


@pytest.fixture
def point():
    return Point()


@pytest.fixture
def replies(point, monkeypatch):
    """What is sent back to the page."""
    sent = []
    monkeypatch.setattr(point.canvas._surface, "send", sent.append)
    return sent


def from_page(canvas, **content):
    canvas._surface._handle_custom_msg(content, [])


def fractions(canvas, x, y):
    """Where data coordinates lie in the picture, as the page would say it."""
    width, height = canvas.picture.size
    px, py = canvas.picture.figure.axes[0].transData.transform((x, y))
    return {"u": px / width, "v": 1 - py / height}


def test_send_moves_the_state_and_draws(point):
    before = point.canvas.png
    point.canvas.send("down", 0.5, -0.25)
    assert point.canvas.caption.value == "at 0.50, -0.25"
    assert point.canvas.png != before
    assert point.canvas._surface.png == point.canvas.png
    point.canvas.send("key", key="a")
    assert point.canvas.caption.value == "at 0.00, -0.25"


@pytest.mark.parametrize("kind", ["down", "move", "up"])
def test_the_pages_fractions_become_data_coordinates(point, replies, kind):
    from_page(point.canvas, kind=kind, id="v-1", **fractions(point.canvas, 0.3, -0.7))
    (event,) = point.events
    assert (event.kind, event.x, event.y) == (kind, pytest.approx(0.3), pytest.approx(-0.7))
    assert replies == [{"done": "v-1"}]


def test_the_picture_comes_before_the_answer(point, monkeypatch):
    order = []
    point.canvas._surface.observe(lambda change: order.append("picture"), "png")
    monkeypatch.setattr(point.canvas._surface, "send", lambda content: order.append("done"))
    from_page(point.canvas, kind="down", id="v-1", **fractions(point.canvas, 0.3, -0.7))
    assert order == ["picture", "done"]


def test_logarithmic_axes():
    point = Point(log=True)
    from_page(point.canvas, kind="down", id="v-1", **fractions(point.canvas, 10, 0.5))
    assert (point.x, point.y) == (pytest.approx(10), pytest.approx(0.5))


def test_a_key_knows_where_the_pointer_was(point):
    from_page(point.canvas, kind="key", id="v-1", key="a")
    from_page(point.canvas, kind="down", id="v-2", **fractions(point.canvas, 0.3, -0.7))
    from_page(point.canvas, kind="key", id="v-3", key="ArrowLeft")
    first, _, last = point.events
    assert first.x != first.x, "no pointer yet: NaN"
    assert (last.key, last.x, last.y) == ("ArrowLeft", pytest.approx(0.3), pytest.approx(-0.7))


def test_an_error_is_raised_shown_and_answered_all_the_same(point, replies):
    with pytest.raises(RuntimeError, match="out of"):
        point.canvas.send("move", 60, 0)
    from_page(point.canvas, kind="move", id="v-1", **fractions(point.canvas, 60, 0))
    assert "RuntimeError: out of &lt;range&gt;" in point.canvas.caption.value
    assert replies == [{"done": "v-1"}], "else the page would wait for ever"
    point.canvas.send("down", 0, 0)
    assert point.canvas.caption.value == "at 0.00, 0.00"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"kind": "wheel"}, "kind must be one of"),
        ({"kind": "key", "key": "q"}, "key must be one of .*'ArrowLeft'"),
    ],
)
def test_unknown_events_are_refused(point, event, message):
    with pytest.raises(ValueError, match=message):
        point.canvas.send(**event)
    assert point.events == []


def test_the_bundle_has_a_picture_for_where_there_is_no_kernel(point):
    bundle, facts = point.canvas._repr_mimebundle_()
    assert bundle["text/plain"] == "Canvas: A point to drag."
    assert base64.b64decode(bundle["image/png"]) == point.canvas.png
    assert facts == {"image/png": {"width": 400}}
    assert {"mlearn-canvas", "mlearn-point"} <= set(point.canvas.widget._dom_classes)


def test_the_surface_is_named_and_has_its_keys_and_size(point):
    surface = point.canvas._surface
    assert (surface.alt, surface.listen, surface.width) == ("A point to drag.", ["ArrowLeft", "a"], 400)


def test_the_page_module_is_shipped_and_fetches_nothing():
    source = str(Surface._esm)
    assert "export default { render }" in source
    assert "import" not in source
    assert "http" not in source


def test_a_figure_without_axes_is_refused():
    with pytest.raises(ValueError, match="make must add axes"):
        course.Canvas(lambda figure: lambda: "", print, alt="Empty.")


def test_a_tour_consists_of_keys():
    def make(figure):
        figure.subplots()
        return lambda: ""

    toured = course.Canvas(make, print, alt="Keys.", keys=("a", "b"), tour="abba")
    assert toured.tour == ("a", "b", "b", "a")
    with pytest.raises(ValueError, match=r"tour must consist of keys, \['a'\], got \['b'\]"):
        course.Canvas(make, print, alt="Keys.", keys=("a",), tour="ab")


def test_a_canvas_without_alt_is_refused():
    with pytest.raises(ValueError, match="alt must describe"):
        course.Canvas(lambda figure: lambda: "", print, alt="")
