"""What each way to a meta-gradient costs, in time and memory, on one processor and on several.

    times.csv    width, steps, tasks, way, repeat, ms: one meta-gradient of a network 1-width-width-1 on waves
                 with 10 support and 10 query points a task, by each way of `lesson_10.ways` ("chunks": the
                 batched way, 25 tasks at a time; "compiled": the way of vmap, compiled): the median over nine
                 rounds, in which the ways alternate, of the processor's time on one thread. A way whose call
                 takes more than two seconds is left out.
    first.csv    width, steps, seconds: the first call of "compiled", on a clock
    memory.csv   width, steps, tasks, way, chunk, mb: by how much the memory of a process of its own grows in
                 one meta-gradient at its peak; chunk is chunk_size, 0 for all tasks at once; "recompute":
                 the batched way with recompute=True
    threads.csv  width, way, threads, repeat, ms, cpu_ms: 25 tasks, one step, torch and numpy with so many
                 threads: on a clock, and of the processor
    ranks.csv    ranks, repeat, seconds, cpu_seconds, one, parameters, million: an update of 400 tasks at
                 width 256, on a clock and, of the processor, of the rank that needs most; and on a clock the
                 sum over ranks of so many numbers (1, 1761, a million). By `lesson_10.two_ranks`

On a clock what else the machine does counts as well. `memory.csv` needs Linux.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

from torch import Tensor

from mlearn_utils.course.lesson_10 import two_ranks, ways
from mlearn_utils.meta import maml
from mlearn_utils.meta.compiled import compiled_meta_gradient
from mlearn_utils.tasks.regression import Batch

WIDTHS, TASKS, STEPS, REPEATS = (40, 256), (1, 5, 25, 100, 400), (1, 5), 3
ROUNDS, SLOWEST, CHUNK = 9, 2.0, 25
MEMORY_WIDTH, MEMORY_TASKS, MEMORY_STEPS, CHUNKS = 256, (10, 100), (1, 2, 5, 10, 20), (0, 10)
COLUMNS = {
    "times": ("width", "steps", "tasks", "way", "repeat", "ms"),
    "first": ("width", "steps", "seconds"),
    "memory": ("width", "steps", "tasks", "way", "chunk", "mb"),
    "threads": ("width", "way", "threads", "repeat", "ms", "cpu_ms"),
    "ranks": ("ranks", "repeat", "seconds", "cpu_seconds", "one", "parameters", "million"),
}
GROWTH = """
import sys
from data.lesson_10.make_times import call_of, kilobytes
call = call_of(*map(int, sys.argv[1:4]), sys.argv[4], int(sys.argv[5]))
call_of(int(sys.argv[1]), 1, 1, sys.argv[4], 0)()  # what is loaded at the first call is no growth
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = kilobytes("VmRSS")
call()
print(kilobytes("VmHWM") - before)
"""


def kilobytes(name: str) -> int:
    """Return a line of what Linux tells of this process's memory, in units of 1024 bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def rounded(value: float) -> float:
    """Return a number with four digits."""
    return float(f"{value:.4g}")


def times(width: int, steps: int, tasks: int, repeat: int) -> list[list[Any]]:
    """Measure all ways side by side."""
    two_ranks.use_threads(1)
    found = ways.package_ways(two_ranks.network(width), two_ranks.sine_tasks(tasks), steps)
    if tasks > CHUNK:
        found["chunks"] = ways.package_ways(
            two_ranks.network(width), two_ranks.sine_tasks(tasks), steps, chunk_size=CHUNK
        )["batched"]
    fast = {}
    for name, way in found.items():
        begin = time.process_time()
        way()
        if time.process_time() - begin < SLOWEST:
            fast[name] = way
    middle = ways.medians(ways.milliseconds(fast, ROUNDS))
    return [[width, steps, tasks, name, repeat, rounded(ms)] for name, ms in middle.items()]


def compiled(width: int, steps: int) -> list[list[Any]]:
    """Compile, and measure beside what is compiled: first what the first call takes, then rows of times."""
    two_ranks.use_threads(1)
    model, tasks = two_ranks.network(width), two_ranks.sine_tasks(25)
    loss, params = two_ranks.network_loss(model), maml.parameters_of(model)
    call = compiled_meta_gradient()

    def plain(params: maml.Params, batch: Batch) -> Tensor:
        return loss(params, batch)  # so that it is not taken by hand

    both = {
        "vmap": ways.package_ways(model, tasks, steps)["vmap"],
        "compiled": lambda: call(plain, params, tasks, inner_lr=ways.INNER_LR, steps=steps),
    }
    begin = time.perf_counter()
    both["compiled"]()
    rows: list[list[Any]] = [[width, steps, rounded(time.perf_counter() - begin)]]
    for repeat in range(REPEATS):
        ms = ways.medians(ways.milliseconds(both, ROUNDS))["compiled"]
        rows.append([width, steps, 25, "compiled", repeat, rounded(ms)])
    return rows


def call_of(width: int, steps: int, tasks: int, way: str, chunk: int) -> ways.Way:
    """Return what is called in a process of its own, to see what it holds."""
    two_ranks.use_threads(1)
    model, batch, again = two_ranks.network(width), two_ranks.sine_tasks(tasks), way == "recompute"
    found = ways.package_ways(model, batch, steps, chunk_size=chunk or None, recompute=again)
    return found["batched" if again else way]


def memory(width: int, steps: int, tasks: int) -> list[list[Any]]:
    """Measure the growth of the peak, in MB of 10^6 bytes."""
    rows = []
    for way in ("loop", "batched", "recompute", "by hand"):
        for chunk in CHUNKS if way in ("batched", "by hand") else (0,):
            arguments = [str(each) for each in (width, steps, tasks, way, chunk)]
            done = subprocess.run(
                [sys.executable, "-c", GROWTH, *arguments],
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).resolve().parents[2],
            )
            rows.append([width, steps, tasks, way, chunk, rounded(int(done.stdout) * 1024 / 1e6)])
    return rows


def threads(width: int, repeat: int) -> list[list[Any]]:
    """Measure two ways with one thread and with two, in turns."""
    found = ways.package_ways(two_ranks.network(width), two_ranks.sine_tasks(25))
    rows = []
    for number in (1, 2):
        two_ranks.use_threads(number)
        chosen = {name: found[name] for name in ("batched", "by hand")}
        clocks = (time.perf_counter, time.process_time)
        by_clock = [ways.medians(ways.milliseconds(chosen, ROUNDS, clock=clock)) for clock in clocks]
        rows += [[width, name, number, repeat, *(rounded(ms[name]) for ms in by_clock)] for name in chosen]
    two_ranks.use_threads(1)
    return rows


def ranks(repeat: int) -> list[list[Any]]:
    """Measure one, two and four ranks, in turns."""
    rows = []
    for number in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "found.json")
            subprocess.run(two_ranks.command(number, file), check=True, capture_output=True)
            found = json.loads(Path(file).read_text(encoding="utf-8"))
        sums = [rounded(found["all_reduce"][size]) for size in ("1", "1761", "1000000")]
        rows.append([number, repeat, rounded(found["seconds"]), rounded(found["cpu_seconds"]), *sums])
    return rows


def parts() -> list[Part]:
    """Return all parts."""
    return [
        *(
            Part(f"times w{w} K{k} T{t} {repeat}", times, (w, k, t, repeat))
            for repeat in range(REPEATS)
            for w in WIDTHS
            for k in STEPS
            for t in TASKS
        ),
        *(Part(f"compiled w{w} K{k}", compiled, (w, k)) for w, k in ((40, 1), (40, 5), (256, 1))),
        *(
            Part(f"memory K{k} T{t}", memory, (MEMORY_WIDTH, k, t))
            for k in MEMORY_STEPS
            for t in MEMORY_TASKS
        ),
        *(Part(f"threads w{w} {repeat}", threads, (w, repeat)) for repeat in range(5) for w in WIDTHS),
        *(Part(f"ranks {repeat}", ranks, (repeat,)) for repeat in range(5)),
    ]


def finish(results: Results) -> Files:
    """Return the tables."""
    found: dict[str, list[Any]] = {name: [columns] for name, columns in COLUMNS.items()}
    for name, rows in results.items():
        if name.startswith("compiled"):
            found["first"].append(rows[0])
            found["times"].extend(rows[1:])
        else:
            found[name.split()[0]].extend(rows)
    return {f"{name}.csv": rows for name, rows in found.items()}


EXPERIMENT = Experiment(
    script=__file__,
    text=__doc__,
    minutes=20,
    files=tuple(f"{name}.csv" for name in COLUMNS),
    parts=parts,
    finish=finish,
    needs=("a C++ compiler",),
)

if __name__ == "__main__":
    EXPERIMENT.main()
