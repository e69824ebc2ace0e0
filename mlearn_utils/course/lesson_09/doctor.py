"""Be the doctor: three doses for a patient of whom you see nothing but samples of blood."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from mlearn_utils.course.figures.style import COLORS, number
from mlearn_utils.course.widgets.controls import choice, int_slider
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.tasks.patients import DAY, FIRST_DOSE, HOURS, NOISE, SAMPLE_HOURS, WINDOW, PatientTasks

PATIENTS, SEED, DAYS = 6, 11, 3
"""How many patients there are to choose from, and how many days are yours."""


def levels(patient: int, doses: tuple[float, ...]) -> np.ndarray:
    """Return [days, 96] the level of one patient on each day, doses at the days' begins added up."""
    one = PatientTasks().sample(PATIENTS, seed=SEED)[patient]
    days = []
    for day in range(len(doses)):
        parts = [
            one.level(HOURS + DAY * (day - given), dose)[0] for given, dose in enumerate(doses[: day + 1])
        ]
        days.append(np.sum(parts, axis=0))
    return np.array(days)


def share(level: np.ndarray) -> float:
    """Return the share of the time in which a level lies in the window."""
    return float(((level >= WINDOW[0]) & (level <= WINDOW[1])).mean())


def doctor() -> Explorer:
    """Return the explorer: a patient, a dose a day, and whether the true level is shown."""
    return Explorer(
        _draw,
        {
            "patient": choice("patient", [(f"{k + 1}", k) for k in range(PATIENTS)], 0),
            "second": int_slider("dose on day 2 (mg)", 0, 300, 10, 100),
            "third": int_slider("dose on day 3 (mg)", 0, 300, 10, 100),
            "fourth": int_slider("dose on day 4 (mg)", 0, 300, 10, 100),
            "show": choice("what you see", [("samples", False), ("samples and the true level", True)], False),
        },
        alt="Levels of a drug over four days: three samples a day, the window as a band, and on demand the "
        "true level.",
        name="doctor",
    )


def _draw(figure: Figure) -> Callable[..., str]:
    figure.set_size_inches(8.2, 3.2)
    ax = figure.subplots()
    ax.set(xlim=(0, DAY * (DAYS + 1)), xlabel="hours", ylabel="level (mg/L)")
    ax.set_xticks(DAY * np.arange(DAYS + 2))
    ax.axhspan(*WINDOW, color=COLORS["truth"], alpha=0.08, label="window")
    (line,) = ax.plot([], [], color=COLORS["truth"], linestyle="-", label="true level (on demand)")
    (dots,) = ax.plot([], [], "o", color=COLORS["support"], linestyle="", label="samples")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
    at = np.searchsorted(HOURS, SAMPLE_HOURS)
    errors = 1 + NOISE * np.random.default_rng(SEED).normal(size=(PATIENTS, DAYS + 1, len(at)))

    def update(patient: int, second: float, third: float, fourth: float, show: bool) -> str:
        level = levels(patient, (FIRST_DOSE, second, third, fourth))
        begins = DAY * np.arange(DAYS + 1)[:, None]
        line.set_data((begins + HOURS).ravel() if show else [], level.ravel() if show else [])
        measured = level[:, at] * errors[patient]
        dots.set_data((begins + SAMPLE_HOURS).ravel(), measured.ravel())
        ax.set_ylim(0, max(8.0, 1.1 * level.max(), 1.1 * measured.max()))
        shares = [share(day) for day in level[1:]]
        each = ", ".join(f"day {k}: {number(value, '.0%')}" for k, value in enumerate(shares, 2))
        return (
            f"Day 1 began with {FIRST_DOSE:.0f} mg. In the window ({WINDOW[0]:g} to {WINDOW[1]:g} mg/L) on "
            f"{each}; all three days <b>{np.mean(shares):.0%}</b>."
        )

    return update
