"""Animations as APNG: no script, about 20-60 KiB; one still picture where they are not played.

The still picture is several frames in one, as on a photograph that was exposed several times.
"""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

MAX_FRAMES, EXPOSURES = 100, 5
COLORS_USED = 64


class Animation:
    """An animated picture; made by `animation`. `png` holds its bytes."""

    def __init__(self, png: bytes, alt: str):
        self.png = png
        self.alt = alt

    def __repr__(self) -> str:
        return f"Animation: {self.alt}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        data = {"text/plain": repr(self), "image/png": base64.b64encode(self.png).decode("ascii")}
        return data, {"image/png": {"alt": self.alt}}


def animation(frames: Any, fps: float, alt: str) -> Animation:
    """Return frames as one animated PNG that repeats.

    Args:
        frames: [N, H, W, 3] uint8, 2 <= N <= 100; about 200 x 300 pixels is enough.
        fps: frames a second.
        alt: what happens in it, for those who cannot see it.

    Raises:
        TypeError: if the frames are not uint8.
        ValueError: if the shape, the number of frames or `fps` is out of range, or `alt` is empty.
    """
    pixels = np.asarray(frames)
    if pixels.dtype != np.uint8:
        raise TypeError(f"frames must be uint8, got {pixels.dtype}")
    if pixels.ndim != 4 or pixels.shape[-1] != 3 or not 2 <= len(pixels) <= MAX_FRAMES:
        raise ValueError(
            f"frames must be [N, H, W, 3] with N from 2 to {MAX_FRAMES}, got {list(pixels.shape)}"
        )
    if not 0 < fps <= 60:
        raise ValueError(f"fps must be above 0 and at most 60, got {fps!r}")
    if not alt:
        raise ValueError("alt must describe the animation for those who cannot see it")
    return Animation(_apng(pixels, fps), alt)


def _apng(pixels: np.ndarray, fps: float) -> bytes:
    """Encode [N, H, W, 3] with one palette for all frames (a palette a frame would flicker)."""
    sample = pixels[:: max(1, len(pixels) // 10)]
    montage = Image.fromarray(np.ascontiguousarray(sample.reshape(-1, *pixels.shape[2:])))
    palette = montage.quantize(COLORS_USED)
    still = pixels[np.linspace(0, len(pixels) - 1, EXPOSURES).round().astype(int)].min(axis=0)
    first, *rest = (
        Image.fromarray(np.ascontiguousarray(frame)).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in (still, *pixels)
    )
    settings = {"duration": 1000 / fps, "loop": 0, "optimize": True, "default_image": True}
    file = io.BytesIO()
    first.save(file, "PNG", save_all=True, append_images=rest, **settings)
    return file.getvalue()
