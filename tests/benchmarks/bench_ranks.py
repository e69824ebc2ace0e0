"""Times one meta-gradient shared by two processes against the same in one, in one run.

400 tasks, 10 + 10 points, a 1-256-256-1 network, one inner step, one thread a process. Both sides are started
by torchrun on this machine; each process makes the whole meta-gradient alone, one process after the other
waiting, and then all make it together, in turn. Times are of a clock on the wall: what a user waits.

    python -m tests.benchmarks.bench_ranks [--ranks 2] [--tasks 400] [--width 256] [--rounds 9]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlearn_utils.meta import maml, ranks
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import SineTasks

WITHIN = 1e-4
"""How near the gradients must be, relative to the largest entry of a tensor: they are in float32."""


def rows(*, n_ranks: int = 2, tasks: int = 400, width: int = 256, rounds: int = 9) -> list[dict[str, Any]]:
    """Return one row: what it is, milliseconds of one and of all ranks, and their ratios, round by round.

    Raises:
        AssertionError: if the ranks do not find the gradient that one process finds.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "row.json")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(n_ranks), "-m", __spec__.name if __spec__ else __name__]
        command += [f"--{name}={value}" for name, value in (("tasks", tasks), ("width", width))]
        command += [f"--rounds={rounds}", f"--to={path}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        return [json.loads(path.read_text())]


def measure(tasks: int, width: int, rounds: int, path: Path) -> None:
    """Measure on one of the ranks; the first one writes the row."""
    torch.set_num_threads(1)
    ranks.join("cpu")
    group = ranks.current()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )
    batch = SineTasks().sample(tasks, 10, 10, generator=make_generator(0))
    params = maml.parameters_of(model)
    alone = partial(maml.meta_gradient, maml.module_loss(model, nn.functional.mse_loss), inner_lr=0.01)
    together = partial(ranks.mean_gradient, alone)
    one, all_ranks = alone(params, batch)[1], together(params, batch)[1]
    for name, value in one.items():
        assert (value - all_ranks[name]).abs().max() <= WITHIN * value.abs().max(), name
    times: dict[str, list[float]] = {"one": [], "all": []}
    cpu: dict[str, list[float]] = {"one": [], "all": []}
    for _ in range(rounds):
        for side in times:
            group.largest(0.0)  # all wait for the slowest
            wall, used = time.perf_counter(), time.process_time()
            if side == "all":
                together(params, batch)
            elif group.rank == 0:
                alone(params, batch)
            cpu[side].append(group.total(torch.tensor(time.process_time() - used))[0].item())
            times[side].append(group.largest(time.perf_counter() - wall))
    if group.rank == 0:
        ratios = [one / both for one, both in zip(times["one"], times["all"], strict=True)]
        path.write_text(
            json.dumps(
                {
                    "row": f"{group.size} ranks, {tasks} tasks, width {width}",
                    "one_ms": 1e3 * statistics.median(times["one"]),
                    "ranks_ms": 1e3 * statistics.median(times["all"]),
                    "ratio": statistics.median(ratios),
                    "ratios": sorted(ratios),
                    "one_cpu_ms": 1e3 * statistics.median(cpu["one"]),
                    "ranks_cpu_ms": 1e3 * statistics.median(cpu["all"]),
                }
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("ranks", 2), ("tasks", 400), ("width", 256), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)  # one of the processes
    given = parser.parse_args()
    if given.to is not None:
        measure(given.tasks, given.width, given.rounds, given.to)
        return
    for row in rows(n_ranks=given.ranks, tasks=given.tasks, width=given.width, rounds=given.rounds):
        spread = row["ratios"]
        print(
            f"{row['row']}: {row['one_ms']:.0f} ms in one process, {row['ranks_ms']:.0f} ms in all, "
            f"{row['ratio']:.2f} x (from {spread[0]:.2f} to {spread[-1]:.2f}); "
            f"CPU {row['one_cpu_ms']:.0f} and {row['ranks_cpu_ms']:.0f} ms"
        )


if __name__ == "__main__":
    main()
