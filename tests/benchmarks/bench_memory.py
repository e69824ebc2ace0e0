"""Peak memory of one meta-gradient against tasks and steps: each measured in a process of its own.

    python -m tests.benchmarks.bench_memory [--width 256]

The network is 1-width-width-1, with tanh for the general path (with and without chunks and recomputed steps),
with ReLU for the gradient by hand. A row is the growth, in MB, of the process's largest resident memory over
that after a first, tiny gradient. Linux and macOS only.
"""

import argparse
import resource
import subprocess
import sys
from typing import Any

import torch
from torch import nn
from torch.nn.functional import mse_loss

from mlearn_utils import SineTasks
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from mlearn_utils.runtime import make_generator

WAYS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "general": (nn.Tanh, {}),
    "chunks of 10": (nn.Tanh, {"chunk_size": 10}),
    "recomputed": (nn.Tanh, {"recompute": True}),
    "chunks, recomputed": (nn.Tanh, {"chunk_size": 10, "recompute": True}),
    "by hand": (nn.ReLU, {}),
    "by hand, chunks": (nn.ReLU, {"chunk_size": 10}),
}


def growth(way: str, n_tasks: int, steps: int, width: int) -> float:
    """Return by how many MB one meta-gradient raises the peak memory of a new process."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_memory", "--one", way]
    numbers = [str(number) for number in (n_tasks, steps, width)]
    result = subprocess.run([*command, *numbers], check=True, capture_output=True, text=True)
    return float(result.stdout)


def own_growth(way: str, n_tasks: int, steps: int, width: int) -> float:
    """Return the same for this process, which must not have computed anything larger before."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    activation, settings = WAYS[way]
    sizes = (nn.Linear(1, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, 1))
    model = nn.Sequential(*sizes)
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)

    def gradient(n_tasks: int, steps: int) -> None:
        tasks = SineTasks().sample(n_tasks, 10, 10, generator=make_generator(0))
        meta_gradient(task_loss, params, tasks, inner_lr=1e-3, steps=steps, **settings)

    gradient(1, 1)
    before = peak()
    gradient(n_tasks, steps)
    return peak() - before


def peak() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, *numbers = arguments.one
        print(own_growth(way, *[int(number) for number in numbers]))
        return
    cases = [(n_tasks, steps) for n_tasks in (25, 100) for steps in (1, 5, 10)]
    print(f"{f'MB at width {arguments.width}':20}" + "".join(f"{t} x {k}".rjust(10) for t, k in cases))
    for way in WAYS:
        row = [growth(way, n_tasks, steps, arguments.width) for n_tasks, steps in cases]
        print(f"{way:20}" + "".join(f"{megabytes:10.0f}" for megabytes in row), flush=True)


if __name__ == "__main__":
    main()
