"""What was drawn in advance: explorers, steppers and films as pictures along the places of their controls."""

import io
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from links import SiteError
from markup import box, data, mathematics, note, picture, prose
from PIL import Image

from mlearn_utils.course.figures.style import DENSITY
from mlearn_utils.course.grading.report import plural
from mlearn_utils.course.widgets.canvas import Canvas
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.course.widgets.stepper import Stepper

PLACES, FEWEST = 21, 12
"""At how many places of a slider a picture is drawn: so many, or fewer where other controls move, too."""

FRAMES = 48
"""At most so many pictures of one explorer."""

SHOTS = 10
"""A game without a player of its own is shown for at least so many presses of its keys."""

ANEW = ("n", "r", "c")
"""Keys that begin a game anew: no film needs them."""

COLORS = 64
LIVE = "Live in JupyterLab (<code>python3 notebooks</code>)"


@dataclass
class Shelf:
    """Where the pictures of one notebook go.

    Attributes:
        folder: where they are written.
        address: of that folder, as a page names it.
        prefix: what their names begin with: the cell's number.
        count: of the pictures written under this prefix.
    """

    folder: Path
    address: str
    prefix: str = ""
    count: int = 0
    known: dict[bytes, str] = field(default_factory=dict)

    def put(self, png: bytes) -> str:
        """Write a picture with few colors, unless it is there already; return its address."""
        if png not in self.known:
            name = f"{self.prefix}-{self.count}.webp"
            self.count += 1
            (self.folder / name).write_bytes(small(png))
            self.known[png] = f"{self.address}/{name}"
        return self.known[png]


@dataclass(frozen=True)
class Axis:
    """One control as the page has it: a label, and the places at which pictures were drawn.

    Attributes:
        name: of the control.
        label: what the reader sees.
        values: what the control was set to.
        texts: the same for the reader.
        start: index of the value it begins with.
        is_list: a drop-down list instead of a slider.
    """

    name: str
    label: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]
    start: int
    is_list: bool


def small(png: bytes) -> bytes:
    """Return a PNG as lossless WebP of a few colors: a fifth of the bytes."""
    file = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    few = image.quantize(COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.convert("RGB").save(file, "WEBP", lossless=True, method=1, quality=0)  # quality: how hard it tries
    return file.getvalue()


def size_of(png: bytes) -> tuple[int, int]:
    """Return width and height on the page of a picture that a widget drew."""
    width, height = Image.open(io.BytesIO(png)).size
    return round(width / DENSITY), round(height / DENSITY)


# --- explorers


def explorer(view: Explorer, shelf: Shelf) -> str:
    """Draw an explorer at places of its leading control, and of such others as have few values.

    Raises:
        SiteError: if it has no control with several places.
    """
    axes = choose_axes(view)
    frames, places = [], itertools.product(*(range(len(axis.values)) for axis in axes))
    size = size_of(view.png)
    for place in places:
        view.explore(**{axis.name: axis.values[k] for axis, k in zip(axes, place, strict=True)})
        frames.append([shelf.put(view.png), mathematics(view.caption.value)])
    start = 0
    for axis in axes:
        start = start * len(axis.values) + axis.start
    fixed = [name for name in view.controls if name not in {axis.name for axis in axes}]
    said = (
        f"{plural(len(frames), 'picture')}, drawn in advance. {LIVE} every place of every control is drawn."
    )
    if fixed:
        kept = "; ".join(f"{_label(view.controls[name])} = {_shown(view.controls[name])}" for name in fixed)
        said = f"Fixed here: {kept}. {said}"
    buttons = "" if not isinstance(view, Stepper) else button_row(("back", "◀ Previous"), ("on", "Next ▶"))
    shown = picture(frames[start][0], view.alt, size)
    content = (
        f'<div class="web-controls" hidden>{"".join(map(control_row, axes))}{buttons}</div>\n{note(said)}\n'
        f'<div class="web-scroll">{shown}</div>\n<p class="web-caption" aria-live="polite">{frames[start][1]}'
        f"</p>\n{data({'sizes': [len(axis.values) for axis in axes], 'frames': frames})}"
    )
    return box(view.kind, content, f"{view.kind.capitalize()}: {view.alt}")


def choose_axes(view: Explorer) -> list[Axis]:
    """Return the controls that the page can move: the leading one, then those that have few values.

    Raises:
        SiteError: if the leading control has one place only.
    """
    leading = view.controls[view.leading]
    others = [axis for name in view.controls if name != view.leading if (axis := _axis(view, name, PLACES))]
    chosen, total = [], 1
    for axis in sorted(others, key=lambda axis: len(axis.values)):
        if total * len(axis.values) * min(FEWEST, count_places(leading)) <= FRAMES:
            chosen, total = [*chosen, axis], total * len(axis.values)
    most = count_places(leading) if isinstance(view, Stepper) else min(PLACES, FRAMES // total)
    first = _axis(view, view.leading, most)
    if first is None or len(first.values) < 2:
        raise SiteError(f"{view.text[:60]!r} has no control that could be drawn at several places")
    return [first, *chosen]


def _axis(view: Explorer, name: str, most: int) -> Axis | None:
    """Return a control with at most `most` places, spread evenly; None if it is of no known kind."""
    control = view.controls[name]
    if hasattr(control, "step"):
        indices, start = spread(
            count_places(control), round((control.value - control.min) / control.step), most
        )
        values = tuple(value_at(control, k) for k in indices)
        texts = tuple(text_at(control, value) for value in values)
        return Axis(name, _label(control), values, texts, start, is_list=False)
    if hasattr(control, "options"):
        values, texts = control._options_values, tuple(map(str, control._options_labels))
        return Axis(name, _label(control), tuple(values), texts, values.index(control.value), is_list=True)
    if isinstance(control.value, bool):
        return Axis(name, _label(control), (False, True), ("no", "yes"), int(control.value), is_list=True)
    return None


def spread(count: int, start: int, most: int) -> tuple[list[int], int]:
    """Return at most `most` of `count` indices, evenly spread, `start` among them; and the place of that."""
    if count <= most:
        return list(range(count)), start
    indices = [round(k * (count - 1) / (most - 1)) for k in range(most)]
    place = min(range(most), key=lambda k: abs(indices[k] - start))
    indices[place] = start
    return indices, place


def count_places(control: Any) -> int:
    """Return how many values a control can take."""
    if hasattr(control, "step"):
        return round((control.max - control.min) / control.step) + 1
    return len(control._options_values) if hasattr(control, "options") else 2


def value_at(control: Any, index: int) -> Any:
    """Return the value of a slider after `index` steps from its low end."""
    value = min(control.max, control.min + index * control.step)
    return value if isinstance(control.step, int) else round(value, 10)


def text_at(control: Any, value: Any) -> str:
    """Return a value of a slider as the slider shows it."""
    return format(value, getattr(control, "readout_format", "d"))


def _label(control: Any) -> str:
    return control.description


def _shown(control: Any) -> str:
    if hasattr(control, "step"):
        return text_at(control, control.value)
    return str(getattr(control, "label", "yes" if control.value else "no"))


def control_row(axis: Axis) -> str:
    """Return a labelled control with its places as text."""
    if axis.is_list:
        options = "".join(
            f'<option value="{k}"{" selected" if k == axis.start else ""}>{prose(text)}</option>'
            for k, text in enumerate(axis.texts)
        )
        return f"<label><span>{prose(axis.label)}</span><select>{options}</select></label>"
    return (
        f'<label><span>{prose(axis.label)}</span><input type="range" min="0" max="{len(axis.values) - 1}" '
        f'step="1" value="{axis.start}" aria-valuetext="{axis.texts[axis.start]}"><output>'
        f"{axis.texts[axis.start]}</output>{data(axis.texts)}</label>"
    )


def button_row(*named: tuple[str, str]) -> str:
    """Return buttons: what `course.js` calls each, and what stands on it."""
    made = (f'<button type="button" data-does="{does}">{name}</button>' for does, name in named)
    return f'<div class="web-buttons">{"".join(made)}</div>'


# --- games


def recorded(view: Any, game: Canvas) -> Iterable[tuple[bytes, str]]:
    """Yield pictures and captions of a game that somebody else plays: with its keys, one after the other.

    A view that can `play` is given moves: right while the reward of the last push did not fall, else the
    other way. A canvas has the keys of its tour pressed, or, if it has none, all of its keys in turn.
    """
    yield game.png, game.caption.value
    if hasattr(view, "play"):
        move = 1
        while not view.match.is_over:
            rewards = [] if view.match.now.is_over else view.match.now.rewards
            move = 1 - move if len(rewards) > 1 and rewards[-1] < rewards[-2] else move
            view.play([move])
            yield game.png, game.caption.value
        return
    keys = [key for key in game.keys if key not in ANEW]
    for key in game.tour or itertools.islice(itertools.cycle(keys), max(SHOTS, len(keys))):
        game.send("key", key=key)
        yield game.png, game.caption.value


def film(shots: Iterable[tuple[bytes, str]], alt: str, shelf: Shelf) -> str:
    """Return a film: its pictures with their captions, a slider through them and a button that plays it."""
    taken = list(shots)
    frames = [[shelf.put(png), mathematics(caption)] for png, caption in taken]
    texts = tuple(f"{k + 1} of {len(frames)}" for k in range(len(frames)))
    axis = Axis("moment", "moment", tuple(range(len(frames))), texts, 0, is_list=False)
    said = note(f"Recorded in advance. {LIVE} it answers to your own keys and clicks.")
    content = (
        f'<div class="web-controls" hidden>{control_row(axis)}{button_row(("play", "▶ Play"))}</div>\n'
        f"{said}\n"
        f'<div class="web-scroll">{picture(frames[0][0], alt, size_of(taken[0][0]))}</div>\n'
        f'<p class="web-caption">{frames[0][1]}</p>\n'
        f"{data({'sizes': [len(frames)], 'frames': frames})}"
    )
    return box("film", content, f"Film: {alt}")


def animation(name: str, still: str, alt: str, size: tuple[int, int]) -> str:
    """Return an animated picture that can be stopped; a reader who wants no motion sees the still one."""
    moving = f' data-moving="{name}"'
    shown = picture(still, alt, size, moving)
    content = f'<div class="web-scroll">{shown}</div>\n<div hidden>{button_row(("move", "▶ Play"))}</div>'
    return box("animation", content, f"Animation: {alt}")
