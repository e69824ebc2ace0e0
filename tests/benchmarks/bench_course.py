"""What a reader and a teacher wait for: sliders, the grading of a class, and, by name, the notebooks."""

import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.side_by_side import Options, Result, Row

ROOT = Path(__file__).resolve().parents[2]
LESSON = "04_maml.ipynb"
GRADE = "from grade import grade_all; from submissions import collect; import json, pathlib, sys\n"
GRADE += "folder = pathlib.Path(sys.argv[1])\n"
GRADE += "rows = grade_all(list(collect(folder, folder / 'out')), 20, 2000, 1)\n"
GRADE += "print(json.dumps([[r.ok for r in row.reports.values()] for row in rows]))\n"


def explorers() -> dict[str, Callable[[], Any]]:
    """Return what makes the explorer of each lesson."""
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

    grid = GridTask(size=5, pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2)
    return {
        "00 reward of a velocity": reward_explorer,
        "01 discount and slips": lambda: gamma_explorer(grid),
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


def widgets(options: Options) -> Result:
    """Time slider changes, the sliders of an explorer in turn, from the new value to picture and caption."""
    result = Result()
    for name, make in explorers().items():
        controls = [control for control in make().controls.values() if hasattr(control, "step")]
        cpu: list[float] = []
        for k, control in zip(range(-2, options.rounds), itertools.cycle(controls), strict=False):
            begin = time.process_time()
            change(control, k + 2)
            if k >= 0:  # the first two warm up
                cpu.append(1e3 * (time.process_time() - begin))
        result.values[name] = cpu
        result.notes[name] = f"at most {max(cpu):.0f}"
    return result


def children_seconds() -> float:
    """Return the processor's seconds of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def grading(options: Options) -> Result:
    """Grade a class's copies of a solved notebook, one worker; everything must be found right."""
    students = 3 if options.quick else 20
    name = f"{students} of lesson {LESSON[:2]}"
    result = Result(unit="s", limit=0.0)
    with tempfile.TemporaryDirectory() as folder:
        for k in range(students):
            shutil.copy(ROOT / "notebooks" / "solutions" / LESSON, Path(folder, f"student{k}_{LESSON}"))
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'teaching'}"}
        begin, spent = time.perf_counter(), children_seconds()
        answer = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", GRADE, folder],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    result.values[name] = [children_seconds() - spent]
    result.notes[name] = (
        f"{(time.perf_counter() - begin) / students:.1f} s of the wall a student, start included"
    )
    graded = json.loads(answer.splitlines()[-1])
    right = sum(bool(row) and all(row) for row in graded)
    result.differences[name] = 1 - right / students
    return result


def notebooks(options: Options) -> Result:
    """Execute every notebook of the course once, in a kernel, as its build does: the wall's seconds."""
    import nbformat

    sys.path.append(str(ROOT / "notebooks"))
    import build

    build.SECONDS_ALLOWED = float("inf")  # a slow notebook is told, not refused
    result = Result(unit="s")
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        source = ROOT / "notebooks" / "source" / f"{path.stem}.py"
        result.values[path.stem] = [build.execute(nbformat.read(path, as_version=4), path, source)]
    return result


def rows() -> list[Row]:
    """Return the rows of the course."""
    return [
        Row("widgets", "a slider's change, to the picture and its caption", widgets),
        Row("grading", "teaching grade: copies of a solved notebook, one worker, once", grading),
        Row("notebooks", "a notebook from top to bottom, once", notebooks, by_name=True),
    ]
