"""The runs of `data/lesson_06`: four families, several methods and seeds, judged on held-out tasks."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.figures.style import COLORS
from mlearn_utils.course.widgets.controls import slider
from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.meta.policies.agent import MAMLAgent
from mlearn_utils.runtime import data_path
from mlearn_utils.tasks.cartpole import CartPoleTasks

FOLDER = "lesson_06"
VALIDATION_SEED, LIVE_SEED, CHECK_SEED = 71_000, 72_000, 73_000
"""Seeds of the tasks that the lesson evaluates on live; neither training nor the stored runs draw these."""

METHODS = {
    "MAML": ("MAML", "maml", "-", "o"),
    "FOMAML": ("FOMAML", "fomaml", "--", "s"),
    "multitask": ("multitask + fine-tuning", "multitask", "-.", "^"),
    "random": ("random + fine-tuning", "random", ":", "D"),
}
"""Method -> its name in words, the role of its color, its dashes and its marker."""


HEADER = f"{'before':>6}  {'after one step':>20}  {'worst':>6}  {'two':>6}  {'three':>6}"
"""Over the columns of `row`."""


class Results:
    """Mean returns on held-out tasks, by family, method and seed.

    Args:
        path: results.csv; its columns are explained in `data/lesson_06/make_results.py`.
    """

    def __init__(self, path: Path):
        self._found: dict[tuple[str, str], dict[tuple[int, int, int], float]] = {}
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                runs = self._found.setdefault((row["family"], row["method"]), {})
                runs[int(row["seed"]), int(row.get("set", 0)), int(row["step"])] = float(row["return"])

    def by_set(self, family: str, method: str) -> np.ndarray:
        """Return [S, sets, K + 1] the mean return over each set of test tasks after 0 to K inner steps.

        Raises:
            ValueError: if there are no such runs.
        """
        if (family, method) not in self._found:
            raise ValueError(f"there are no runs of {method!r} on {family!r}")
        runs = self._found[family, method]
        seeds, sets, steps = (sorted({key[axis] for key in runs}) for axis in range(3))
        return np.array([[[runs[seed, k, step] for step in steps] for k in sets] for seed in seeds])

    def returns(self, family: str, method: str) -> np.ndarray:
        """Return [S, K + 1] the mean return of each seed over all test tasks, after 0 to K inner steps.

        Raises:
            ValueError: if there are no such runs.
        """
        return self.by_set(family, method).mean(axis=1)


def load(name: str = "results.csv") -> Results:
    """Return the stored results."""
    return Results(data_path(FOLDER, name))


def load_curves(family: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return [S, I] the mean return before and after the inner step, by seed and iteration of training."""
    runs: dict[int, list[tuple[float, float]]] = {}
    with data_path(FOLDER, "curves.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            if (entry["family"], entry["method"]) == (family, method):
                pair = float(entry["before"]), float(entry["after"])
                runs.setdefault(int(entry["seed"]), []).append(pair)
    table = np.array([runs[seed] for seed in sorted(runs)])
    return table[..., 0], table[..., 1]


def load_choices() -> dict[tuple[str, str], np.ndarray]:
    """Return [S, K + 1] by (setting, value) the validation returns of data/lesson_06/make_choices.py."""
    runs: dict[tuple[str, str], dict[tuple[int, int], float]] = {}
    with data_path(FOLDER, "choices.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found = runs.setdefault((row["setting"], row["value"]), {})
            found[int(row["seed"]), int(row["step"])] = float(row["return"])
    return {
        key: np.array(
            [[found[s, k] for k in sorted({k for _, k in found})] for s in sorted({s for s, _ in found})]
        )
        for key, found in runs.items()
    }


def read_agent(family: str) -> MAMLAgent:
    """Read the stored agent that was meta-trained on a family, on the CPU; the caller may change it."""
    path = data_path(FOLDER, f"maml_{family}.safetensors")
    return MAMLAgent.load(path, CartPoleTasks(family), device="cpu")


@lru_cache(maxsize=4)
def load_agent(family: str) -> MAMLAgent:
    """Return the stored agent of a family: the same one for everybody in a notebook."""
    return read_agent(family)


@lru_cache(maxsize=64)
def three_steps(second: float, third: float) -> tuple[float, ...]:
    """Return the mean returns after 0 to 3 steps on 200 tasks of the checker's own, the first as trained."""
    agent = read_agent("dir")
    tasks = CartPoleTasks("dir").sample(200, seed=CHECK_SEED)
    sizes = [agent.config.inner_lr, second, third]
    return tuple(agent.evaluate(tasks, steps=3, inner_lr=sizes, seed=CHECK_SEED).mean(axis=1).tolist())


def text(values: np.ndarray) -> str:
    """Return the mean over seeds [S] and its 95 % interval: "33.1 (32.0 to 34.2)"."""
    return "{:4.1f} ({:.1f} to {:.1f})".format(*interval(values))


def row(method: str, returns: np.ndarray) -> str:
    """Return a row of the table under HEADER: means over seeds, one step with its interval and worst seed."""
    before, _, two, three = (f"{value:6.1f}" for value in returns.mean(axis=0))
    first = f"{text(returns[:, 1]):>20}  {returns[:, 1].min():6.1f}"
    return f"{METHODS[method][0]:24}{before}  {first}  {two}  {three}"


def draw_table(ax: Axes, results: Results, family: str) -> None:
    """Draw the mean return of each method over the inner steps, with intervals over seeds."""
    for method, (words, role, dashes, marker) in METHODS.items():
        mean, low, high = interval(results.returns(family, method))
        style = {"color": COLORS[role], "linestyle": dashes, "marker": marker, "capsize": 3}
        ax.errorbar(range(len(mean)), mean, yerr=[mean - low, high - mean], label=words, **style)
    told = results.returns(family, "told").mean()
    ax.axhline(told, color=COLORS["oracle"], linestyle=(0, (1, 2)), label="told the task")
    ax.set(title=family, xlabel="inner steps, ten episodes each", ylim=(0, 100), xticks=range(4))


def predict_families() -> Predict:
    """Ask for which families a policy that cannot adapt does as well as one that is told the task."""
    answer = (
        "Only on <b>phys</b>, the family whose tasks differ in most numbers. What counts is not how much "
        "differs, but whether it changes what should be done, and whether the state shows it. The next cell "
        "has the numbers."
    )
    return Predict(
        "On which of the families will the multitask policy earn about as much as the one that is told the "
        "task?",
        (
            "on none of them: a policy that knows the task is always clearly better",
            "only on phys",
            "on all but phys, where five numbers differ at once",
            "on dirv and goalv, where just one number differs",
        ),
        lambda guess: answer,
        name="which-families-need-adaptation",
    )


def predict_table(results: Results) -> Predict:
    """Ask what a tuned step is worth to the multitask policy on dirv, before the table shows it."""
    told = results.returns("dirv", "told").mean()
    multitask, maml = (results.returns("dirv", method).mean(axis=0) for method in ("multitask", "MAML"))
    room = told - multitask[0]
    return Predict(
        f"On new tasks of dirv, the multitask policy earns {multitask[0]:.0f}, and MAML {maml[1]:.0f} after "
        "one step. Now the multitask policy takes one step, too, on ten episodes and with the step size that "
        "is best for it. What does it earn then, on average?",
        slider("my guess (mean return)", 0, 100, 1, 70),
        lambda guess: (
            f"<b>{multitask[1]:.0f}</b>; you said {guess:.0f}. Between {multitask[0]:.0f} and the {told:.0f} "
            f"of a policy that is told the task lies {room:.0f}. Of that, MAML's step finds "
            f"{(maml[1] - multitask[0]) / room:.0%}, the multitask policy's "
            f"{(multitask[1] - multitask[0]) / room:.0%}."
        ),
        name="return-after-one-step",
    )


def predict_later_steps(results: Results) -> Predict:
    """Ask what two more steps of full size do to a policy that was trained with one."""
    before, first, _, third = results.returns("dir", "MAML undamped").mean(axis=0)
    return Predict(
        "Agents for dir were trained with one inner step. Now they take three, each of that size and on "
        f"fresh episodes. They earn {before:.0f} before and {first:.0f} after the first. After the third?",
        (
            "more: every step follows the gradient of the return",
            "about the same: one step was enough",
            "clearly less than after the first",
        ),
        lambda guess: (
            f"Less: <b>{third:.0f}</b>. A gradient says where the return rises for a <i>small</i> step. "
            "Training made the first large step safe, because it looked at where that step ends. Nothing "
            "ever looked at a second one."
        ),
        name="three-steps-of-full-size",
    )


def draw_later_steps(ax: Axes, results: Results, family: str) -> None:
    """Draw the mean return over the inner steps, of full size and damped, with intervals over seeds."""
    for method, words, role, dashes, marker in (
        ("MAML", "later steps damped", "good", "-", "s"),
        ("MAML undamped", "all steps of full size", "bad", "--", "o"),
    ):
        mean, low, high = interval(results.returns(family, method))
        style = {"color": COLORS[role], "linestyle": dashes, "marker": marker, "capsize": 3}
        ax.errorbar(range(len(mean)), mean, yerr=[mean - low, high - mean], label=words, **style)
    ax.set(title=family, xlabel="inner steps, ten episodes each", ylim=(0, 100), xticks=range(4))
