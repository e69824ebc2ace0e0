"""Be the bandit player: five arms, ten pulls, and for every pull what it cost against the best possible one.

`Game` is the game without any picture; `bandit_game` shows it.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mlearn_utils.course.figures.style import COLORS, GRAY
from mlearn_utils.course.widgets.canvas import Canvas, CanvasEvent
from mlearn_utils.rl.bayes_bandit import CountTree, posterior_mean

ARMS, PULLS = 5, 10
KEYS = ("1", "2", "3", "4", "5", "n")
TOP, BUTTON = 1.0, (1.55, 0.3)
"""Height of the axes of the bars, and where the button begins below them and how high it is."""


class Game:
    """One bandit after the other, with what was pulled and paid.

    Args:
        seed: of the bandits and their luck.
    """

    def __init__(self, seed: int = 0):
        self.tree = CountTree(ARMS, PULLS)
        self._rng = np.random.default_rng(seed)
        self.finished: list[tuple[float, float]] = []
        self.begin()

    def begin(self) -> None:
        """Take a new bandit."""
        self.chances = self._rng.uniform(size=ARMS)
        self.wins, self.losses = np.zeros(ARMS, dtype=int), np.zeros(ARMS, dtype=int)
        self.regrets: list[float] = []
        self.last: tuple[int, bool] | None = None

    @property
    def left(self) -> int:
        """Pulls that are left."""
        return PULLS - len(self.regrets)

    def pull(self, arm: int) -> None:
        """Pull an arm, if a pull is left; note what that cost on average against the best one."""
        if not self.left:
            return
        worth = self.tree.action_values(self.wins, self.losses)
        self.regrets.append(float(worth.max() - worth[arm]))
        won = bool(self._rng.uniform() < self.chances[arm])
        self.wins[arm] += won
        self.losses[arm] += not won
        self.last = arm, won
        if not self.left:
            self.finished.append((float(self.wins.sum()), sum(self.regrets)))


def bandit_game(seed: int = 0) -> Canvas:
    """Return the game, played with the keys 1 to 5 (N for a new bandit) or the pointer."""
    game = Game(seed)

    def make(figure: Figure) -> Callable[[], str]:
        figure.set_size_inches(6.2, 3.4)
        ax = figure.subplots()
        board = _Board(ax)

        def redraw() -> str:
            board.show(game)
            return caption(game)

        return redraw

    return Canvas(
        make,
        lambda event: handle(game, event),
        alt="Five arms with their wins and losses and what is known of their chances. Keys 1 to 5, or a "
        "click on an arm, pull it; N takes a new bandit.",
        keys=KEYS,
        name="bandit-game",
    )


def handle(game: Game, event: CanvasEvent) -> None:
    """Do what a pointer or key event asks for."""
    if event.kind == "down":
        arm = round(event.x) - 1
        if BUTTON[0] <= event.y <= BUTTON[0] + BUTTON[1]:
            game.begin()
        elif 0 <= arm < ARMS and event.y < BUTTON[0]:
            game.pull(arm)
    elif event.kind == "key" and event.key == "n":
        game.begin()
    elif event.kind == "key" and event.key in KEYS:
        game.pull(int(event.key) - 1)


def caption(game: Game) -> str:
    """Return what to say below the picture."""
    if game.last is None:
        done = ""
        if game.finished:
            earned, cost = np.array(game.finished).mean(axis=0)
            done = f" So far {len(game.finished)} bandits: {earned:.1f} wins and {cost:.2f} given away each."
        return f"<b>{PULLS} pulls.</b> Press 1 to 5, or click an arm. Nothing is known yet.{done}"
    arm, won = game.last
    cost = game.regrets[-1]
    verdict = "no pull was better" if cost < 5e-4 else f"that gives away <b>{cost:.3f}</b> on average"
    text = (
        f"Arm {arm + 1} {'<b>wins</b>' if won else 'loses'}; {verdict}. {game.left} pulls left, "
        f"{game.wins.sum()} wins, {sum(game.regrets):.3f} given away so far."
    )
    if game.left:
        return text
    chances = ", ".join(f"{chance:.2f}" for chance in game.chances)
    return f"{text}<br>The chances were {chances}. N takes a new bandit; the best player gives away 0."


class _Board:
    """The picture: for every arm a band of what is known of its chance, its mean, and its counts."""

    def __init__(self, ax: Axes):
        ax.set(xlim=(0.4, ARMS + 0.6), ylim=(BUTTON[0] + BUTTON[1] + 0.05, -0.05))
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["1", "0.75", "0.5", "0.25", "0"])
        ax.set_xticks([])
        ax.set_ylabel("chance to win", y=0.72)
        ax.grid(False)
        ax.spines["bottom"].set_visible(False)
        ax.spines["left"].set_bounds(0, 1)
        at = range(1, ARMS + 1)
        self._bars = ax.bar(at, np.zeros(ARMS), 0.5, color=COLORS["support"], alpha=0.35)
        (self._means,) = ax.plot(at, np.full(ARMS, 0.5), "o", color=COLORS["support"], linestyle="")
        (self._truth,) = ax.plot([], [], "D", color=COLORS["truth"], linestyle="")
        for arm in at:
            ax.text(arm, TOP + 0.13, f"arm {arm}", ha="center", va="center")
        self._counts = [ax.text(arm, TOP + 0.36, "", ha="center", va="center") for arm in at]
        middle = (ARMS + 1) / 2
        box = FancyBboxPatch(
            (middle - 1.1, BUTTON[0]), 2.2, BUTTON[1], boxstyle="round,pad=0,rounding_size=0.05",
            facecolor="#EEEEEE", edgecolor=GRAY,
        )  # fmt: skip
        ax.add_patch(box)
        ax.text(middle, BUTTON[0] + BUTTON[1] / 2, "New bandit (N)", ha="center", va="center")

    def show(self, game: Game) -> None:
        """Draw the posteriors: mean, and one standard deviation to both sides."""
        n = game.wins + game.losses
        mean = posterior_mean(game.wins, game.losses)
        deviation = np.sqrt(mean * (1 - mean) / (n + 3))
        for arm, bar in enumerate(self._bars):
            bar.set(y=1 - mean[arm] - deviation[arm], height=2 * deviation[arm])
            bar.set_edgecolor(COLORS["query"] if game.last and game.last[0] == arm else "none")
            bar.set_linewidth(2.5)
            self._counts[arm].set_text(f"{game.wins[arm]} won, {game.losses[arm]} lost" if n[arm] else "–")
        self._means.set_ydata(1 - mean)
        over = not game.left
        self._truth.set_data(np.arange(1, ARMS + 1) if over else [], 1 - game.chances if over else [])
