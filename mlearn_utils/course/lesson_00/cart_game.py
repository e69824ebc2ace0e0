"""Lesson 00's game in the page: steer a cart whose reward is hidden, by arrow keys or buttons.

The game waits for each push, so a slow kernel or network makes it slow and never unfair. Rules and physics
are in `cart_rounds`, the drawing in `cart_picture`.
"""

from collections.abc import Iterable

import ipywidgets as widgets
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_00.cart_picture import GamePicture, lean
from mlearn_utils.course.lesson_00.cart_rounds import (
    LEFT,
    PUSHES,
    RIGHT,
    ROUNDS,
    ROUNDS_PER_TASK,
    TASKS,
    Match,
    Round,
    ending,
    signed,
    verdict,
)
from mlearn_utils.course.widgets.canvas import Canvas, CanvasEvent
from mlearn_utils.course.widgets.controls import row
from mlearn_utils.course.widgets.view import View

KEYS = {"ArrowLeft": LEFT, "ArrowRight": RIGHT}
NEXT = "Enter"
NAMES = {LEFT: "left", RIGHT: "right"}
ALT = (
    "A cart with a pole on a track, a gauge with the reward of the last push, and below a bar for the reward "
    "of every push in four rounds. Left and right arrow keys push the cart, Enter begins the next round."
)


class CartGame(View):
    """The game: a canvas with buttons of the same meaning as its keys, and a table of the rounds.

    Args:
        seed: of the two hidden tasks; "New game" takes the next one.

    Attributes:
        match: the state of the game.
        canvas: the picture and its caption.
        table: the rounds played, as an HTML table.
    """

    def __init__(self, seed: int = 0):
        self.seed, self.match = seed, Match(seed)
        self.canvas = Canvas(self._make, self._on_event, alt=ALT, keys=(*KEYS, NEXT), name="cart-game")
        self.text = f"Game: {ALT}"
        self.left, self.right = _button("◀ Push left", "ArrowLeft"), _button("Push right ▶", "ArrowRight")
        self.next, self.new = _button("Next round", NEXT), _button("New game", "two new hidden tasks")
        self.left.on_click(lambda button: self.canvas.send("key", key="ArrowLeft"))
        self.right.on_click(lambda button: self.canvas.send("key", key="ArrowRight"))
        self.next.on_click(lambda button: self.canvas.send("key", key=NEXT))
        self.new.on_click(lambda button: self._begin(self.seed + 1))
        self.table = widgets.HTML(_table(self.match))
        buttons = row([self.left, self.right, self.next, self.new])
        self.widget = widgets.VBox([buttons, self.canvas.widget, self.table])
        self.widget.add_class("mlearn-game")

    @property
    def scores(self) -> list[float]:
        """The returns of the rounds that are over."""
        return self.match.scores

    def play(self, actions: Iterable[int]) -> list[float]:
        """Push left (0) or right (1) for each of `actions`, beginning the next round where one is over.

        Returns:
            The returns of the rounds that are over.

        Raises:
            ValueError: if an action is neither, or the game is over.
        """
        for action in actions:
            if self.match.now.is_over:
                self.match.next_round()
            self.match.now.push(action)
        self._show()
        return self.scores

    def _make(self, figure: Figure):
        picture = GamePicture(figure)

        def redraw() -> str:
            picture.show(self.match)
            return caption(self.match)

        return redraw

    def _on_event(self, event: CanvasEvent) -> None:
        match = self.match
        if event.key in KEYS and not match.now.is_over:
            match.now.push(KEYS[event.key])
        elif event.key == NEXT and match.now.is_over and not match.is_over:
            match.next_round()
        if event.kind == "key":
            self.table.value = _table(match)

    def _begin(self, seed: int) -> None:
        self.seed, self.match = seed, Match(seed)
        self._show()

    def _show(self) -> None:
        self.table.value = _table(self.match)
        self.canvas.refresh()

    def _fallback(self) -> tuple[bytes, int]:
        return self.canvas.png, self.canvas.picture.width


def caption(match: Match) -> str:
    """Say what the picture shows and what can be done now."""
    if match.is_over:
        end = f"<strong>The game is over.</strong> {verdict(match)}"
        return f"{_last_push(match.now)}<br>{_revealed(match)}<br>{end}"
    if match.now.is_over:
        return f"{_last_push(match.now)}<br>{_between(match)}"
    if match.now.rewards:
        return _last_push(match.now)
    again = (
        "the same hidden reward again" if (len(match.rounds) - 1) % ROUNDS_PER_TASK else "a new hidden reward"
    )
    return (
        f"Round {len(match.rounds)} of {ROUNDS}, task {TASKS[match.task]}: {again}. The cart is at rest. "
        f"You have {PUSHES} pushes; collect as much reward as you can."
    )


def _last_push(played: Round) -> str:
    x, velocity, angle, _ = played.state
    before = f" (before: {played.rewards[-2]:.2f})" if len(played.rewards) > 1 else ""
    end = ending(played)
    return (
        f"Push {len(played.rewards)} of {PUSHES}, {NAMES[played.actions[-1]]}: "
        f"reward <strong>{played.rewards[-1]:.2f}</strong>{before}. Position {signed(x)} m, velocity "
        f"{signed(velocity)} m/s, {lean(angle)}." + (f" {end}: the round ends early." if end else "")
    )


def _between(match: Match) -> str:
    over = f"<strong>Round {len(match.rounds)} is over</strong>, return {match.now.score:.1f}."
    if match.is_task_over:
        return (
            f"{over}<br>{_revealed(match)}<br>Press Next round (or Enter) for task {TASKS[match.task + 1]}."
        )
    return f"{over} Press Next round (or Enter): the same hidden reward once more, from the start."


def _revealed(match: Match) -> str:
    target = match.now.target
    side = "right" if target > 0 else "left"
    return (
        f"<strong>Task {TASKS[match.task]} revealed:</strong> what paid was a velocity, best at "
        f"{signed(target)} m/s ({side}); each 0.1 m/s off cost 0.1, up to 1 m/s."
    )


def _table(match: Match) -> str:
    """Return the rounds as an HTML table, one column each."""
    begun = match.rounds
    tasks = [k // ROUNDS_PER_TASK for k in range(ROUNDS)]
    returns = [f"{begun[k].score:.1f}" if k < len(begun) else "–" for k in range(ROUNDS)]
    known = [task < match.task or (task == match.task and match.is_task_over) for task in tasks]
    hidden = [f"{signed(match.targets[task])} m/s" if known[k] else "?" for k, task in enumerate(tasks)]
    rows = (
        _row("", [f"Round {k + 1}" for k in range(ROUNDS)], "th"),
        _row("Task", [TASKS[task] for task in tasks]),
        _row("Return", returns),
        _row("Hidden", hidden),
    )
    return f"<table>{''.join(rows)}</table>"


def _row(name: str, cells: list[str], kind: str = "td") -> str:
    style = 'style="padding: 0 14px 0 4px; text-align: left"'
    scope = ' scope="col"' if kind == "th" else ""
    body = "".join(f"<{kind}{scope} {style}>{cell}</{kind}>" for cell in cells)
    head = f'<th scope="row" {style}>{name}</th>' if name else "<td></td>"
    return f"<tr>{head}{body}</tr>"


def _button(name: str, tip: str) -> widgets.Button:
    layout = widgets.Layout(width="auto", min_width="130px")
    return widgets.Button(description=name, tooltip=f"{name} ({tip})", layout=layout)
