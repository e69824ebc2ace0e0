"""One meta-gradient shared by two processes against the same in one.

400 tasks, 10 + 10 points, a 1-256-256-1 network, one inner step, one thread a process. Both sides are started
by torchrun on this machine; the first process makes the whole meta-gradient alone while the other waits, and
then both make it together, in turn. Times are of a clock on the wall: what a user waits. Each process is tied
to a core of its own, where there are enough.

    python tests/benchmarks --only ranks
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from mlearn_utils.meta import maml, ranks
from tests.benchmarks.maml_sides import Setting
from tests.benchmarks.side_by_side import Options, Result, Row, all_cores, far

ROOT = Path(__file__).resolve().parents[2]
RANKS, SETTING = 2, Setting(tasks=400, width=256)
ONE, ALL = "1 rank", f"{RANKS} ranks"


def measure(options: Options) -> Result:
    """Start the processes and return what the first of them measured."""
    cores = os.cpu_count() or 1
    if cores < RANKS:
        return Result(missing={ALL: f"needs {RANKS} cores"})
    with tempfile.TemporaryDirectory() as folder, all_cores():
        path = Path(folder, "row.json")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(RANKS), "-m", __name__, str(options.rounds), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return Result(base=ONE, **json.loads(path.read_text()))


def on_a_rank(rounds: int, path: Path) -> None:
    """Measure; the first rank writes the row."""
    torch.set_num_threads(1)
    ranks.join("cpu")
    group = ranks.current()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[group.rank]})
    model, batch = SETTING.network(), SETTING.sample()
    params, loss = maml.parameters_of(model), maml.module_loss(model, torch.nn.functional.mse_loss)
    alone = partial(maml.meta_gradient, loss, inner_lr=SETTING.inner_lr)
    together = partial(ranks.mean_gradient, alone)
    expected, found = alone(params, batch)[1], together(params, batch)[1]
    times: dict[str, list[float]] = {ONE: [], ALL: []}
    cpu: dict[str, list[float]] = {ONE: [], ALL: []}
    for _ in range(rounds):
        for side in times:
            group.largest(0.0)  # all wait for the slowest
            wall, used = time.perf_counter(), time.process_time()
            if side == ALL:
                together(params, batch)
            elif group.rank == 0:
                alone(params, batch)
            cpu[side].append(1e3 * group.total(torch.tensor(time.process_time() - used))[0].item())
            times[side].append(1e3 * group.largest(time.perf_counter() - wall))
    if group.rank == 0:
        notes = {
            side: f"CPU {sorted(values)[len(values) // 2]:.0f} ms in all" for side, values in cpu.items()
        }
        differences = {ALL: far(found, expected)}
        path.write_text(json.dumps({"values": times, "notes": notes, "differences": differences}))


def rows() -> list[Row]:
    """Return the row of ranks."""
    return [Row("ranks", f"meta-gradient, {SETTING}, the wall's time", measure)]


if __name__ == "__main__":
    on_a_rank(int(sys.argv[1]), Path(sys.argv[2]))
