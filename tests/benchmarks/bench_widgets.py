"""Times the explorers of the lessons in the kernel: from a slider's new value to the picture and its caption.

The aim is 150 ms a change. CPU time is what the widget costs; wall time is what a reader waits for on this
machine as busy as it is now (the way to the page and back, some 30 ms, is not in it).

    python -m tests.benchmarks.bench_widgets
"""

import itertools
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from mlearn_utils.course import Explorer
from mlearn_utils.course.lesson_00.pictures import reward_explorer
from mlearn_utils.course.lesson_01.pictures import gamma_explorer
from mlearn_utils.course.lesson_02.pictures import retrain_explorer
from mlearn_utils.course.lesson_03.bandit import baseline_explorer
from mlearn_utils.course.lesson_03.variance import gae_explorer
from mlearn_utils.course.lesson_04.pictures import landscape_explorer
from mlearn_utils.course.lesson_05.pictures import shots_explorer
from mlearn_utils.course.lesson_05.points import PointExplorer, Start
from mlearn_utils.course.lesson_05.sines import long_run
from mlearn_utils.course.lesson_06.hidden_task import hidden_task_explorer
from mlearn_utils.course.lesson_06.results import load_agent
from mlearn_utils.course.lesson_07.pictures import surface_explorer
from mlearn_utils.tasks.gridworld import GridTask

GRID = GridTask(size=5, pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2)
EXPLORERS: dict[str, Callable[[], Explorer]] = {
    "00 reward of a velocity": reward_explorer,
    "01 discount and slips": lambda: gamma_explorer(GRID),
    "02 retrain 400 learners": retrain_explorer,
    "03 baseline": baseline_explorer,
    "03 generalized advantages": gae_explorer,
    "04 landscape": landscape_explorer,
    "05 points": lambda: PointExplorer({"MAML": Start(long_run(0.001, 5, seed=0), 0.001)}),
    "05 shots": lambda: shots_explorer({"MAML": long_run(0.01, 5, seed=0)}),
    "06 hidden task": lambda: hidden_task_explorer(load_agent("dirv")),
    "07 response surface": surface_explorer,
}


def change(control: Any, k: int) -> None:
    """Move a slider to another of its values, as its reader would."""
    span = round((control.max - control.min) / control.step)
    control.value = control.min + (1 + 7 * k) % span * control.step


def milliseconds(explorer: Explorer, changes: int = 24) -> tuple[list[float], list[float]]:
    """Return CPU and wall milliseconds of `changes` slider changes, the sliders taking turns."""
    sliders = [control for control in explorer.controls.values() if hasattr(control, "step")]
    cpu, wall = [], []
    for k, control in zip(range(-2, changes), itertools.cycle(sliders), strict=False):
        began = time.process_time(), time.perf_counter()
        change(control, k + 2)
        if k >= 0:  # the first two warm up
            cpu.append(1e3 * (time.process_time() - began[0]))
            wall.append(1e3 * (time.perf_counter() - began[1]))
    return cpu, wall


def main() -> None:
    """Print a row an explorer."""
    torch.set_num_threads(1)
    print(f"{'explorer':28} {'CPU ms, median (max)':>22} {'wall ms, median (max)':>23}")
    for name, make in EXPLORERS.items():
        cpu, wall = milliseconds(make())
        print(f"{name:28} {median(cpu):14.0f} ({max(cpu):4.0f}) {median(wall):16.0f} ({max(wall):4.0f})")


if __name__ == "__main__":
    main()
