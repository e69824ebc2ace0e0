"""An animation is a small APNG with all frames, one palette and an alternative text."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mlearn_utils import course


def ball(count=40, height=200, width=300) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    frames = np.full((count, height, width, 3), 255, dtype=np.uint8)
    for k in range(count):
        frames[k][np.hypot(x - 20 - 6 * k, y - 100) < 15] = (0, 114, 178)
    return frames


def test_all_frames_come_back():
    frames = ball(5)
    picture = Image.open(io.BytesIO(course.animation(frames, 20, "A ball rolls.").png))
    assert (picture.format, getattr(picture, "n_frames", 1)) == ("PNG", 1 + 5)  # the still comes first
    assert picture.info["loop"] == 0
    for k in range(5):
        picture.seek(1 + k)
        assert picture.info["duration"] == 50
        np.testing.assert_allclose(np.asarray(picture.convert("RGB")), frames[k], atol=4)


def test_where_it_is_not_played_all_exposures_are_seen_at_once():
    frames = ball(41)
    still = np.asarray(
        Image.open(io.BytesIO(course.animation(frames, 20, "A ball rolls.").png)).convert("RGB")
    )
    np.testing.assert_allclose(still, frames[::10].min(axis=0), atol=4)


def test_it_is_small_and_the_same_each_time():
    a, b = (course.animation(ball(100, 60, 90), 20, "A ball rolls.").png for _ in range(2))
    assert a == b
    assert len(course.animation(ball(), 20, "A ball rolls.").png) < 60 * 1024


def test_the_bundle():
    data, metadata = course.animation(ball(2), 20, "A ball rolls.")._repr_mimebundle_()
    assert data["text/plain"] == "Animation: A ball rolls."
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata == {"image/png": {"alt": "A ball rolls."}}


@pytest.mark.parametrize(
    ("frames", "fps", "alt", "error", "message"),
    [
        (ball(2).astype(float), 20, "x", TypeError, "frames must be uint8, got float64"),
        (ball(2)[..., 0], 20, "x", ValueError, r"frames must be \[N, H, W, 3\]"),
        (ball(1), 20, "x", ValueError, "N from 2 to 100"),
        (ball(101, 2, 2), 20, "x", ValueError, r"got \[101, 2, 2, 3\]"),
        (ball(2), 0, "x", ValueError, "fps must be above 0"),
        (ball(2), 20, "", ValueError, "alt must describe"),
    ],
)
def test_what_cannot_be_an_animation(frames, fps, alt, error, message):
    with pytest.raises(error, match=message):
        course.animation(frames, fps, alt)
