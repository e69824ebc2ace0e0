"""Peak memory of a meta-gradient against tasks and steps: whole, in chunks, and by learn2learn.

Each number is of a process of its own, forked from one that has imported everything and computed nothing: the
most it ever held (Linux: VmHWM of /proc/self/status), less what it held before.
"""

import multiprocessing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from tests.benchmarks import maml_sides as of
from tests.benchmarks import peers
from tests.benchmarks.maml_sides import Setting
from tests.benchmarks.side_by_side import Options, Result, Row, far

STATUS = Path("/proc/self/status")
WIDTH, CHUNK = 256, 10
WHOLE, CHUNKED, LEARN2LEARN = "by hand, whole", f"by hand, chunk_size={CHUNK}", "learn2learn"
GENERAL, CHUNKED_GENERAL = "general, whole", f"general, chunk_size={CHUNK}"
RECOMPUTED, CHUNKED_RECOMPUTED = "general, recompute", f"general, chunk_size={CHUNK}, recompute"


def sides() -> dict[str, of.Filler]:
    """Return what is measured, by name."""
    return {
        GENERAL: partial(of.by_core, plain=True),
        CHUNKED_GENERAL: partial(of.by_core, plain=True, chunk_size=CHUNK),
        RECOMPUTED: partial(of.by_core, plain=True, recompute=True),
        CHUNKED_RECOMPUTED: partial(of.by_core, plain=True, chunk_size=CHUNK, recompute=True),
        WHOLE: of.by_core,
        CHUNKED: partial(of.by_core, chunk_size=CHUNK),
        LEARN2LEARN: of.by_learn2learn,
    }


def held(name: str) -> float:
    """Return an entry of this process's status, in MB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def probe(name: str, setting: Setting, check: bool, pipe: Connection) -> None:
    """Compute one meta-gradient; send how much memory that took at most, and how far the result is off."""
    torch.set_num_threads(1)
    network, tasks = setting.network(), setting.sample()
    fill = sides()[name](network, tasks, setting)
    before = held("VmRSS")
    fill()
    grown = held("VmHWM") - before
    found = {name: value.grad.numpy() for name, value in network.named_parameters() if value.grad is not None}
    pipe.send((grown, far(found, of.exact_gradient(setting)) if check else 0.0))


def in_a_process(name: str, setting: Setting, check: bool) -> tuple[float, float]:
    """Return the megabytes and the difference that `probe` sends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=probe, args=(name, setting, check, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def measure(setting: Setting, options: Options) -> Result:
    """Return the megabytes of every side, three times each."""
    result = Result(unit="MB", base=GENERAL)
    for name in sides():
        if not STATUS.exists():
            result.missing[name] = "needs Linux"
        elif name == LEARN2LEARN and peers.learn2learn() is None:
            result.missing[name] = "not installed"
        else:
            found = [in_a_process(name, setting, check=k == 0) for k in range(1 if options.quick else 3)]
            result.values[name] = [megabytes for megabytes, _ in found]
            result.differences[name] = found[0][1]
    return result


def rows() -> list[Row]:
    """Return a row for each number of tasks and of steps."""
    return [
        Row(
            f"memory_{tasks}_{steps}",
            f"peak memory, {Setting(tasks=tasks, steps=steps, width=WIDTH)}",
            partial(measure, Setting(tasks=tasks, steps=steps, width=WIDTH)),
            long=(tasks, steps) != (100, 10),
        )
        for tasks, steps in ((25, 1), (25, 10), (100, 1), (100, 10), (100, 20))
    ]
