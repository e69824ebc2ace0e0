"""Dragging in the picture moves a slider, in whichever axes the pointer is."""

import pytest

from mlearn_utils.course import choice, int_slider, slider
from mlearn_utils.course.widgets.drag import DragExplorer


def make(figure):
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        ax.set(xlim=(-2, 2), ylim=(0, 1))
    (line,) = left.plot([0], [0.5], "o")

    def update(theta, steps):
        line.set_xdata([theta])
        return f"theta is {theta:.2f} after {steps} steps"

    return update


def make_explorer(**changed):
    controls = {"theta": slider("theta", -1.0, 1.0, 0.1, 0.0), "steps": int_slider("steps", 0, 5, 1, 1)}
    return DragExplorer(make, controls, **{"drag": "theta", "alt": "A point on a line."} | changed)


def test_dragging_moves_the_slider_to_the_nearest_step_and_the_picture_follows():
    explorer = make_explorer()
    before = explorer.png
    for kind in ("down", "move", "up"):
        explorer.send(kind, 0.53)
    assert explorer.values["theta"] == pytest.approx(0.5)
    assert "theta is 0.50" in explorer.caption.value
    assert explorer.png != before
    assert explorer._screen.png == explorer.png


@pytest.mark.parametrize(("x", "expected"), [(5.0, 1.0), (-5.0, -1.0)])
def test_dragging_beyond_the_range_stops_at_its_end(x, expected):
    explorer = make_explorer()
    explorer.send("move", x)
    assert explorer.values["theta"] == pytest.approx(expected)


def test_an_integer_slider_can_be_dragged():
    explorer = make_explorer(drag="steps")
    explorer.send("down", 2.6)
    assert explorer.values["steps"] == 3


def test_a_message_of_the_page_is_placed_in_the_axes_it_is_in():
    explorer = make_explorer()
    answers = []
    explorer._screen.send = answers.append
    for ax in explorer.picture.figure.axes:
        explorer.explore(theta=0.0)
        x, y = ax.transData.transform((0.7, 0.5))
        width, height = explorer.picture.size
        explorer._on_message(None, {"kind": "down", "u": x / width, "v": 1 - y / height, "id": "7"}, [])
        assert explorer.values["theta"] == pytest.approx(0.7)
    assert answers == [{"done": "7"}] * 2


def test_the_page_hears_back_when_drawing_fails():
    def failing(figure):
        figure.subplots()

        def update(theta, steps):
            if theta > 0:
                raise RuntimeError("cannot draw")

        return update

    explorer = DragExplorer(
        failing,
        {"theta": slider("theta", -1.0, 1.0, 0.1, 0.0), "steps": int_slider("steps", 0, 5, 1, 1)},
        drag="theta",
        alt="x",
    )
    answers = []
    explorer._screen.send = answers.append
    with pytest.raises(RuntimeError, match="cannot draw"):
        explorer._on_message(None, {"kind": "down", "u": 0.9, "v": 0.5, "id": "7"}, [])
    assert answers == [{"done": "7"}]
    assert "cannot draw" in explorer.caption.value


def test_bad_input():
    with pytest.raises(ValueError, match="drag must name a slider"):
        make_explorer(drag="alpha")
    with pytest.raises(ValueError, match="drag must name a slider"):
        DragExplorer(make, {"theta": choice("theta", [1, 2], 1)}, drag="theta", alt="x")
    with pytest.raises(ValueError, match="kind must be"):
        make_explorer().send("key", 0.0)
