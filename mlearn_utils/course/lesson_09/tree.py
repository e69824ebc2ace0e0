"""Which method, then? Five questions, and the cell of this lesson that answers each leaf."""

from collections.abc import Callable
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mlearn_utils.course.figures.style import COLORS, GRAY
from mlearn_utils.course.widgets.controls import choice
from mlearn_utils.course.widgets.explorer import Explorer


class Leaf(NamedTuple):
    """A recommendation.

    Attributes:
        name: the method.
        why: what in this course speaks for it, and where.
    """

    name: str
    why: str


QUESTIONS = (
    ("hidden", "Is something hidden\nthat changes what is\nbest to do?"),
    ("known", "Can you write down\nthe model, and how\nit differs?"),
    ("samples", "Are there samples\nenough to fit a new\ntask from nothing?"),
    ("alike", "Are new tasks like\nthose of training?"),
    ("acting", "Must it predict,\nor act for reward?"),
)
LEAVES = {
    "hidden": Leaf("one policy or model for all", "`phys` in lesson 08, section 10: everything earns 100."),
    "known": Leaf(
        "the model: search, Bayes' rule, estimation",
        "The search of section 1, Bayes in 2 and 3, the simulator in 4: nothing learned passes them on "
        "all tasks that may come.",
    ),
    "samples": Leaf(
        "fit this task alone",
        "Section 4: least squares on the test bench, from ten steps on; driven, a hundred are not enough.",
    ),
    "alike": Leaf(
        "no meta-learning: collect such tasks, or write a model",
        "Section 1: what never held a treasure is not searched.",
    ),
    "predict": Leaf(
        "average and spread of simple models first, then a context network, MAML or fine-tuning",
        "Ridge and the learned prior in sections 3 and 4; the networks, fine-tuned ones too, in section 2.",
    ),
    "act": Leaf(
        "an agent with a memory",
        "`once` in lesson 08; and section 1, where a program is better, because one can be written.",
    ),
}


def leaf(hidden: bool, known: bool, samples: bool, alike: bool, acting: bool) -> str:
    """Return the name of the leaf that answers lead to: the first question that decides."""
    if not hidden:
        return "hidden"
    if known:
        return "known"
    if samples:
        return "samples"
    if not alike:
        return "alike"
    return "act" if acting else "predict"


def decision_tree() -> Explorer:
    """Return the tree, to be gone through with a problem of one's own."""

    def yes_or_no(text: str, default: bool) -> Any:
        return choice(text, [("yes", True), ("no", False)], default)

    return Explorer(
        _draw,
        {
            "hidden": yes_or_no("something hidden changes what is best", True),
            "known": yes_or_no("the model can be written down", False),
            "samples": yes_or_no("enough samples to fit from nothing", False),
            "alike": yes_or_no("new tasks are like those of training", True),
            "acting": choice("what is asked for", [("predict", False), ("act for reward", True)], False),
        },
        alt="Five questions in a row, each with a branch to a method. The way of the answers chosen is drawn "
        "in color, and its method is named below with the section that shows it.",
        name="decision-tree",
    )


def _draw(figure: Figure) -> Callable[..., str]:
    figure.set_size_inches(8.4, 3.4)
    ax = figure.subplots()
    ax.set(xlim=(0, 10), ylim=(0, 3.4))
    ax.axis("off")
    boxes, texts = {}, {}
    places = {name: (0.05 + 2.0 * k, 2.1) for k, (name, _) in enumerate(QUESTIONS)}
    ends = {"hidden": 0, "known": 1, "samples": 2, "alike": 3}
    labels = dict(QUESTIONS)
    spots = {name: (0.05 + 2.0 * k, 0.5) for name, k in ends.items()} | {
        "predict": (8.05, 0.9),
        "act": (8.05, 0.1),
    }
    for name, (x, y) in places.items():
        boxes[name] = _box(ax, x, y, 1.85, 1.1)
        texts[name] = ax.text(x + 0.92, y + 0.55, labels[name], ha="center", va="center", fontsize=9)
    short = {"hidden": "one for all", "known": "use the model", "samples": "fit it alone", "alike": "do not",
             "predict": "prior, MAML, context", "act": "memory"}  # fmt: skip
    for name, (x, y) in spots.items():
        boxes[f"leaf {name}"] = _box(ax, x, y, 1.6 if name == "predict" else 1.85, 0.6)
        ax.text(
            x + (0.8 if name == "predict" else 0.92),
            y + 0.3,
            short[name],
            ha="center",
            va="center",
            fontsize=8,
        )
    words = {"hidden": "no", "known": "yes", "samples": "yes", "alike": "no"}
    for name, word in words.items():
        x = places[name][0] + 0.92
        ax.annotate("", (x, 1.12), (x, 2.08), arrowprops={"arrowstyle": "->", "color": GRAY})
        ax.text(x + 0.08, 1.6, word, fontsize=8, color=GRAY)
    for k in range(4):
        x = 0.05 + 2.0 * k + 1.85
        ax.annotate("", (x + 0.15, 2.65), (x, 2.65), arrowprops={"arrowstyle": "->", "color": GRAY})
        ax.text(x + 0.075, 3.25, ("yes", "no", "no", "yes")[k], fontsize=8, color=GRAY, ha="center")
    ax.annotate("", (8.5, 1.52), (8.5, 2.08), arrowprops={"arrowstyle": "->", "color": GRAY})
    ax.text(8.55, 1.72, "predict", fontsize=8, color=GRAY)
    ax.annotate("", (9.83, 0.72), (9.83, 2.08), arrowprops={"arrowstyle": "->", "color": GRAY})
    ax.text(9.78, 1.72, "act", fontsize=8, color=GRAY, ha="right")

    def update(hidden: bool, known: bool, samples: bool, alike: bool, acting: bool) -> str:
        end = leaf(hidden, known, samples, alike, acting)
        names = [name for name, _ in QUESTIONS]
        asked = names[: names.index(end) + 1] if end in names else names
        on = {*asked, f"leaf {end}"}
        for name, box in boxes.items():
            box.set_edgecolor(COLORS["adapted"] if name in on else "#CCCCCC")
            box.set_linewidth(2.5 if name in on else 1.0)
        found = LEAVES[end]
        return f"<b>{found.name[0].upper()}{found.name[1:]}.</b> {found.why.replace('`', '')}"

    return update


def _box(ax: Axes, x: float, y: float, width: float, height: float) -> FancyBboxPatch:
    box = FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.08", facecolor="white", edgecolor=GRAY
    )
    ax.add_patch(box)
    return box
