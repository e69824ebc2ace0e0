"""Explorers and steppers without a kernel: controls move artists, errors fail and show in the page."""

import base64
import io
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib import _pylab_helpers
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from PIL import Image

from mlearn_utils import course
from mlearn_utils.course.widgets import view

X = np.linspace(-1, 1, 50)


LOG: list[str] = []
CALLS: list[tuple] = []


def make(figure):
    ax = figure.subplots()
    (line,) = ax.plot(X, X, label="task")
    ax.set_ylim(-2, 2)
    ax.legend()
    LOG.append("built")

    def update(slope, shape="line", shifted=False):
        if slope > 1.95:
            raise RuntimeError("slope <too> large")
        line.set_ydata(slope * (X if shape == "line" else X**2) + shifted)
        CALLS.append((slope, shape, shifted))
        return f"slope {slope:.1f}, <b>{shape}</b>"

    return update


@pytest.fixture(autouse=True)
def _fresh():
    LOG.clear()
    CALLS.clear()


def explorer(**options) -> course.Explorer:
    controls = {
        "slope": course.slider("slope (1/s)", -2, 2, 0.1, 0.5),
        "shape": course.choice("shape", [("a line", "line"), ("a parabola", "parabola")], "line"),
        "shifted": course.toggle("shifted", False),
    }
    return course.Explorer(make, controls, alt="A curve.", **options)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def children(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from children(child)


def test_it_draws_at_once_in_the_size_of_the_course_at_twice_the_pixels():
    e = explorer()
    assert pixels(e.png).shape == (480, 800, 3)
    assert (e.picture.width, e._screen.width) == (400, "400")
    assert e.values == {"slope": 0.5, "shape": "line", "shifted": False}
    assert e.caption.value == "slope 0.5, <b>line</b>"


def test_a_control_moves_the_artists_of_the_same_figure():
    e = explorer()
    before = e.png
    e.controls["slope"].value = 1.0
    assert e.caption.value == "slope 1.0, <b>line</b>"
    assert (pixels(e.png) != pixels(before)).any()
    assert LOG == ["built"]
    assert bytes(e._screen.value) == e.png


def test_explore_sets_several_controls_and_draws_once():
    e = explorer()
    CALLS.clear()
    e.explore(slope=-1, shape="parabola", shifted=True)
    assert CALLS == [(-1, "parabola", True)]
    assert e.values == {"slope": -1, "shape": "parabola", "shifted": True}
    e.controls["shifted"].value = False
    assert len(CALLS) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tilt": 1}, r"no control is called 'tilt'; there are \['slope', 'shape', 'shifted'\]"),
        ({"slope": 7}, r"slope must be between -2.0 and 2.0, got 7"),
        ({"shape": "circle"}, r"shape must be one of \['line', 'parabola'\]"),
    ],
)
def test_explore_refuses_what_a_control_cannot_take(values, message):
    e = explorer()
    with pytest.raises(ValueError, match=message):
        e.explore(**values)
    e.controls["slope"].value = 0.7
    assert e.caption.value.startswith("slope 0.7"), "controls still draw after a refusal"


def test_an_error_in_update_is_raised_and_shown_and_then_forgotten():
    e = explorer()
    before = e.png
    with pytest.raises(RuntimeError, match="too"):
        e.controls["slope"].value = 2.0
    assert "⚠ Error" in e.caption.value
    assert "RuntimeError: slope &lt;too&gt; large" in e.caption.value
    assert e.png == before
    e.controls["slope"].value = 0.0
    assert e.caption.value == "slope 0.0, <b>line</b>"


def test_the_bundle_is_live_view_picture_and_a_stable_line():
    e = explorer()
    bundle, facts = e._repr_mimebundle_()
    assert bundle["text/plain"] == repr(e) == "Explorer: A curve."
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == e.widget.model_id
    assert isinstance(bundle["image/png"], str)
    assert base64.b64decode(bundle["image/png"]) == e.png
    assert facts == {"image/png": {"width": 400}}


def test_two_runs_draw_the_same_picture():
    assert explorer().png == explorer().png


def test_pyplot_and_its_figures_are_left_alone():
    explorer()
    assert not _pylab_helpers.Gcf.figs


def test_a_color_without_a_scale_is_found():
    def make(scaled: bool):
        def build(figure):
            ax = figure.subplots()
            mesh = ax.pcolormesh(np.arange(6.0).reshape(2, 3))
            if scaled:
                figure.colorbar(mesh)
            return lambda a: None

        return build

    def explorer_of(scaled: bool) -> course.Explorer:
        return course.Explorer(make(scaled), {"a": course.slider("a", 0, 1, 1, 0)}, alt="A mesh.")

    explorer_of(True)
    with pytest.raises(AssertionError, match="QuadMesh"):
        explorer_of(False)


def test_only_core_widgets_besides_the_page_helper_and_no_output():
    kinds = {type(child) for child in children(explorer().widget) if not isinstance(child, view.Page)}
    assert kinds == {
        widgets.VBox,
        widgets.Box,
        widgets.FloatSlider,
        widgets.Dropdown,
        widgets.Checkbox,
        widgets.Image,
        widgets.HTML,
    }


def test_the_image_keeps_its_size_and_has_an_alternative_text():
    e = explorer(name="curve")
    assert e._screen.layout.align_self == "flex-start"
    (page,) = (child for child in children(e.widget) if isinstance(child, view.Page))
    assert page.alt == "A curve."
    assert {"mlearn-view", "mlearn-explorer", "mlearn-curve"} <= set(e.widget._dom_classes)
    assert "mlearn-spoken" in e.caption._dom_classes


def test_the_layout_does_not_shift_when_labels_change():
    e = explorer()
    before = e.picture.figure.axes[0].get_position().bounds
    e.picture.figure.axes[0].set_ylabel("a long label\non two lines")
    e.explore(slope=1)
    assert e.picture.figure.axes[0].get_position().bounds == before


def test_a_change_draws_once_and_computes_no_layout(monkeypatch):
    """What keeps a change below 150 ms; `python -m tests.benchmarks.bench_widgets` times every explorer."""
    e, drawn = explorer(), []
    draw = e.picture.figure.draw

    def counted(renderer: Any) -> None:
        drawn.append(type(e.picture.figure.get_layout_engine()))
        draw(renderer)

    monkeypatch.setattr(e.picture.figure, "draw", counted)
    for slope in (-1.0, 0.0, 1.0):
        e.controls["slope"].value = slope
    assert drawn == [PlaceHolderLayoutEngine] * 3


def forgets_to_return(figure) -> Any:
    figure.subplots()


def test_what_cannot_be_an_explorer():
    with pytest.raises(ValueError, match="alt must describe"):
        course.Explorer(make, {"slope": course.slider("s", 0, 1, 0.1, 0)}, alt="")
    with pytest.raises(ValueError, match="controls must not be empty"):
        course.Explorer(make, {}, alt="A curve.")
    with pytest.raises(ValueError, match="name must be of letters"):
        explorer(name="two words")
    with pytest.raises(TypeError, match="make must return the function that redraws, got None"):
        course.Explorer(forgets_to_return, {"s": course.toggle("s", True)}, alt="Nothing.")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: course.slider("", 0, 1, 0.1, 0), "label must not be empty"),
        (lambda: course.slider("s", 1, 1, 0.1, 1), "low must be below high"),
        (lambda: course.slider("s", 0, 1, 0, 0), "step must be positive"),
        (lambda: course.slider("s", 0, 1, 0.1, 2), "value must be between 0 and 1, got 2"),
        (lambda: course.int_slider("s", 0, 5, 1, -1), "value must be between 0 and 5"),
        (lambda: course.choice("c", ["a", "b"], "c"), r"value must be one of \['a', 'b'\], got 'c'"),
    ],
)
def test_controls_refuse_what_makes_no_sense(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(("step", "decimals"), [(1, 0), (0.5, 1), (0.1, 1), (0.25, 2), (0.001, 3), (10, 0)])
def test_a_slider_shows_as_many_decimals_as_it_steps(step, decimals):
    assert course.slider("s", 0, 100, step, 0).readout_format == f".{decimals}f"


def test_labels_are_not_cut():
    for control in explorer().controls.values():
        assert control.style.description_width == "initial"


def steps(figure):
    (line,) = figure.subplots().plot(X, X)

    def update(step):
        line.set_ydata(X**step)
        return f"step {step}"

    return update


def test_a_stepper_walks_and_stops_at_both_ends():
    s = course.Stepper(steps, 3, alt="Powers.", name="powers")
    seen = [s.caption.value]
    for button in (s.previous, s.next, s.next, s.next, s.previous):
        button.click()
        seen.append(s.caption.value)
    assert seen == ["step 0", "step 0", "step 1", "step 2", "step 2", "step 1"]
    s.explore(step=2)
    assert s.values == {"step": 2}
    assert repr(s) == "Stepper: Powers."
    assert {"mlearn-stepper", "mlearn-powers"} <= set(s.widget._dom_classes)


def test_where_there_is_no_kernel_a_stepper_shows_its_last_step():
    s = course.Stepper(steps, 3, alt="Powers.")
    first = s.png
    bundle, facts = s._repr_mimebundle_()
    assert (s.png, s.values["step"]) == (first, 0)
    s.explore(step=2)
    assert base64.b64decode(bundle["image/png"]) == s.png != first
    assert facts == {"image/png": {"width": 400}}


def test_a_stepper_needs_two_steps():
    with pytest.raises(ValueError, match="count must be an integer >= 2, got 1"):
        course.Stepper(steps, 1, alt="Powers.")
