"""Peak memory of a meta-gradient against tasks and steps: whole, in chunks, and by learn2learn.

Each number is of a process of its own, forked from one that has imported everything and computed nothing: the
most it held (Linux: VmHWM of /proc/self/status), less what it held after a first, tiny meta-gradient.
"""

import multiprocessing
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

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


def probe(name: str, setting: Setting, pipe: Connection) -> None:
    """Compute a tiny meta-gradient, which loads what is loaded late, then the one asked for.

    Send how many megabytes that took at most, and the gradient.
    """
    torch.set_num_threads(1)
    network, tasks = setting.network(), setting.sample()
    fill = sides()[name](network, tasks, setting)
    tiny = replace(setting, tasks=1, steps=1, width=2)
    sides()[name](tiny.network(), tiny.sample(), tiny)()
    before = held("VmRSS")
    fill()
    grown = held("VmHWM") - before
    grads = {name: value.grad for name, value in network.named_parameters()}
    pipe.send((grown, {name: grad.numpy() for name, grad in grads.items() if grad is not None}))


def in_a_process(name: str, setting: Setting) -> tuple[float, dict[str, Any]]:
    """Return what `probe` sends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=probe, args=(name, setting, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def measure(setting: Setting, options: Options) -> Result:
    """Return the megabytes of every side; the same run gives the same number, so one is enough."""
    result, expected = Result(unit="MB", base=GENERAL), of.exact_gradient(setting)
    for name in sides():
        if not STATUS.exists():
            result.missing[name] = "needs Linux"
        elif name == LEARN2LEARN and peers.learn2learn() is None:
            result.missing[name] = "not installed"
        else:
            grown, found = in_a_process(name, setting)
            result.values[name], result.differences[name] = [grown], far(found, expected)
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
