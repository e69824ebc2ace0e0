"""Each widget of the course as HTML that works without a kernel: its pictures are drawn here, at build time.

What a page shows is asked of the widget itself: its texts, its captions and alt texts, what it draws at each
place of its slider. `course.js` only switches between what is here.
"""

import io
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from links import SiteError
from markup import box, data, mathematics, note, picture, prose
from PIL import Image

from mlearn_utils.course.figures.style import DENSITY
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.grading.report import plural
from mlearn_utils.course.widgets.canvas import Canvas
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.course.widgets.hints import Hints
from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.course.widgets.progress_panel import ProgressPanel
from mlearn_utils.course.widgets.quizzes import Card, Quiz, explanations
from mlearn_utils.course.widgets.stepper import Stepper
from mlearn_utils.course.widgets.view import View

PLACES, FEWEST = 21, 12
"""At how many places of a slider a picture is drawn: so many, or fewer where other controls are moved, too."""

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
    few.convert("RGB").save(file, "WEBP", lossless=True, method=1, quality=30)
    return file.getvalue()


def size_of(png: bytes) -> tuple[int, int]:
    """Return width and height on the page of a picture that a widget drew."""
    width, height = Image.open(io.BytesIO(png)).size
    return round(width / DENSITY), round(height / DENSITY)


def export(view: View, shelf: Shelf, exercises: Sequence[Exercise] = ()) -> str:
    """Return the HTML of a widget; its pictures go to `shelf`.

    Raises:
        SiteError: if there is no way to show it without a kernel.
    """
    if isinstance(view, Explorer):
        return explorer(view, shelf)
    if isinstance(view, Predict):
        return prediction(view, shelf)
    if isinstance(view, Quiz):
        return quiz(view)
    if isinstance(view, Hints):
        name = view.text.split("`")[1]
        return box("hints", hints(next(e for e in exercises if e.name == name)), f"Hints for {name}")
    if isinstance(view, ProgressPanel):
        return box("still", note(f"{view.text}. {LIVE} it counts what you did."))
    game = view if isinstance(view, Canvas) else getattr(view, "canvas", None)
    if isinstance(game, Canvas):
        return film(recorded(view, game), game.alt, shelf)
    raise SiteError(f"no way to show a {type(view).__name__} without a kernel; docs/exports.py knows none")


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
    buttons = "" if not isinstance(view, Stepper) else _buttons(("back", "◀ Previous"), ("on", "Next ▶"))
    shown = picture(frames[start][0], view.alt, size)
    content = (
        f'<div class="web-controls" hidden>{"".join(map(_control, axes))}{buttons}</div>\n'
        f'<div class="web-scroll">{shown}</div>\n<p class="web-caption" aria-live="polite">{frames[start][1]}'
        f"</p>\n{note(said)}\n{data({'sizes': [len(axis.values) for axis in axes], 'frames': frames})}"
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
        if total * len(axis.values) * min(FEWEST, _count(leading)) <= FRAMES:
            chosen, total = [*chosen, axis], total * len(axis.values)
    most = _count(leading) if isinstance(view, Stepper) else min(PLACES, FRAMES // total)
    first = _axis(view, view.leading, most)
    if first is None or len(first.values) < 2:
        raise SiteError(f"{view.text[:60]!r} has no control that could be drawn at several places")
    return [first, *chosen]


def _axis(view: Explorer, name: str, most: int) -> Axis | None:
    """Return a control with at most `most` places, spread evenly; None if it is of no known kind."""
    control = view.controls[name]
    if hasattr(control, "step"):
        indices, start = spread(_count(control), round((control.value - control.min) / control.step), most)
        values = tuple(_at(control, k) for k in indices)
        texts = tuple(_format(control, value) for value in values)
        return Axis(name, _label(control), values, texts, start, is_list=False)
    if hasattr(control, "options"):
        values, texts = control._options_values, tuple(map(str, control._options_labels))
        return Axis(name, _label(control), tuple(values), texts, values.index(control.value), is_list=True)
    if isinstance(control.value, bool):
        return Axis(name, _label(control), (False, True), ("no", "yes"), int(control.value), is_list=True)
    return None


def spread(count: int, start: int, most: int) -> tuple[list[int], int]:
    """Return at most `most` of the indices 0 ... count - 1, evenly spread, `start` among them; and its place."""
    if count <= most:
        return list(range(count)), start
    indices = [round(k * (count - 1) / (most - 1)) for k in range(most)]
    place = min(range(most), key=lambda k: abs(indices[k] - start))
    indices[place] = start
    return indices, place


def _count(control: Any) -> int:
    if hasattr(control, "step"):
        return round((control.max - control.min) / control.step) + 1
    return len(control._options_values) if hasattr(control, "options") else 2


def _at(control: Any, index: int) -> Any:
    value = min(control.max, control.min + index * control.step)
    return value if isinstance(control.step, int) else round(value, 10)


def _format(control: Any, value: Any) -> str:
    return format(value, getattr(control, "readout_format", "d"))


def _label(control: Any) -> str:
    return control.description


def _shown(control: Any) -> str:
    if hasattr(control, "step"):
        return _format(control, control.value)
    return str(getattr(control, "label", "yes" if control.value else "no"))


def _control(axis: Axis) -> str:
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


def _buttons(*named: tuple[str, str]) -> str:
    made = (f'<button type="button" data-does="{does}">{name}</button>' for does, name in named)
    return f'<div class="web-buttons">{"".join(made)}</div>'


# --- games


def recorded(view: Any, game: Canvas) -> Iterable[tuple[bytes, str]]:
    """Yield pictures and captions of a game that somebody else plays: with its keys, one after the other.

    A view that can `play` is given moves: right while the reward of the last push did not fall, else the
    other way. Any other has its keys pressed in turn.
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
    for k in range(max(SHOTS, len(keys))):
        game.send("key", key=keys[k % len(keys)])
        yield game.png, game.caption.value


def film(shots: Iterable[tuple[bytes, str]], alt: str, shelf: Shelf) -> str:
    """Return a film: its pictures with their captions, a slider through them and a button that plays it."""
    taken = list(shots)
    frames = [[shelf.put(png), mathematics(caption)] for png, caption in taken]
    texts = tuple(f"{k + 1} of {len(frames)}" for k in range(len(frames)))
    axis = Axis("moment", "moment", tuple(range(len(frames))), texts, 0, is_list=False)
    said = note(f"A film of a game that was played in advance. {LIVE} you play it yourself.")
    content = (
        f'<div class="web-controls" hidden>{_control(axis)}{_buttons(("play", "▶ Play"))}</div>\n'
        f'<div class="web-scroll">{picture(frames[0][0], alt, size_of(taken[0][0]))}</div>\n'
        f'<p class="web-caption">{frames[0][1]}</p>\n{said}\n{data({"sizes": [len(frames)], "frames": frames})}'
    )
    return box("film", content, f"Film: {alt}")


def animation(name: str, still: str, alt: str, size: tuple[int, int]) -> str:
    """Return an animated picture that can be stopped; a reader who wants no motion sees the still one."""
    moving = f' data-moving="{name}"'
    shown = picture(still, alt, size, moving)
    content = f'<div class="web-scroll">{shown}</div>\n<div hidden>{_buttons(("move", "▶ Play"))}</div>'
    return box("animation", content, f"Animation: {alt}")


# --- questions


def prediction(view: Predict, shelf: Shelf) -> str:
    """Return a question with what every guess would reveal."""
    options, name = view.options, f"{shelf.prefix}-{view.name}"
    view.button.click()  # with nothing chosen yet: says so
    first = view.caption.value
    if isinstance(options, tuple):
        guesses: Sequence[Any] = options
        asked = choices("Your guess", name, [prose(option) for option in options])
    else:
        indices, start = spread(_count(options), _count(options) // 2, PLACES)
        guesses = [_at(options, k) for k in indices]
        texts = tuple(_format(options, guess) for guess in guesses)
        axis = Axis("guess", _label(options), tuple(guesses), texts, start, is_list=False)
        asked = f'<div class="web-controls">{_control(axis)}</div>'
    answers, size = [], (0, 0)
    for guess in guesses:
        answer, drawn = view.preview(guess)
        png = drawn.render() if drawn else b""
        size = size_of(png) if png else size
        answers.append([shelf.put(png) if png else "", mathematics(answer)])
    shown = (
        f'<div class="web-scroll" hidden>{picture(answers[0][0], view.alt, size)}</div>' if size[0] else ""
    )
    content = (
        f"<p><strong>Predict</strong> · {prose(view.question)}</p>\n{asked}\n"
        f"{_buttons(('reveal', 'Commit and reveal'))}\n"
        f'<div class="web-caption" aria-live="polite"></div>\n{shown}\n{data({"frames": answers, "first": first})}'
    )
    return box("predict", content, "Prediction")


def quiz(view: Quiz) -> str:
    """Return the questions with their choices, and what each choice would be answered."""
    cards = [_question(card) for card in view.cards.values()]
    title = view.text.split(" (Run")[0]
    score = f'<p class="web-score" aria-live="polite">{view.score.value}</p>'
    return box("quiz", f"<p><strong>{title}</strong></p>\n" + "\n".join([*cards, score]), title)


def _question(card: Card) -> str:
    question, options = card.question, card.question.choices
    try:
        asked, listed = prose(question.question), [prose(option.text) for option in options]
        for option in options:
            prose(option.why)
    except SiteError as error:
        raise SiteError(f"question {question.name!r} of its quiz: {error}") from None
    said = [mathematics(explanations(question, k)) for k in range(len(options))]
    card.button.click()  # with nothing picked yet
    answers = {"right": [option.correct for option in options], "said": said, "first": card.feedback.value}
    return (
        f'<div class="web-question"><p>{asked}</p>\n{choices("Your answer", f"quiz-{question.name}", listed)}\n'
        f"{_buttons(('check', 'Check'))}\n"
        f'<div class="web-feedback" aria-live="polite"></div>\n{data(answers)}</div>'
    )


def choices(legend: str, name: str, options: Sequence[str]) -> str:
    """Return radio buttons."""
    listed = "".join(
        f'<label><input type="radio" name="{name}" value="{k}"> <span>{option}</span></label>'
        for k, option in enumerate(options)
    )
    return f"<fieldset><legend>{legend}</legend>{listed}</fieldset>"


# --- exercises


def exercise(found: Exercise, number: str, highlight: Callable[[str], str]) -> str:
    """Return an exercise's facts, how to do it, its hints one at a time, and a solution on demand."""
    facts = f"{found.level}, {found.minutes} min, {plural(found.points, 'point')}"
    content = (
        f"<p><strong>✎ {prose(found.title)}</strong> <small>({facts})</small></p>\n"
        f"<p>To write it and have it checked: <code>python3 notebooks</code>, open lesson {number}, fill in the "
        "cell above, and run it and the next one.</p>\n"
        f"{hints(found)}\n<details><summary>Show one way to write it</summary>{highlight(found.solved_source())}"
        "</details>"
    )
    return box("exercise", content, f"Exercise: {found.title}")


def hints(found: Exercise) -> str:
    """Return the hints of an exercise, each closed; `course.js` shows one only after the one before it."""
    total = len(found.hints)
    return "\n".join(
        f'<details class="web-hint"><summary>Show hint {k} of {total}</summary><p>{prose(hint)}</p></details>'
        for k, hint in enumerate(found.hints, 1)
    )
