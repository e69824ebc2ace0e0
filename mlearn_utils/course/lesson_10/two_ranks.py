"""One meta-gradient by several processes: a script that the notebook of lesson 10 starts with torchrun.

    torchrun --standalone --nproc-per-node 2 two_ranks.py FILE

Every rank draws the same tasks from the same seed, differentiates its own share, and the sums are added up.
Rank 0 writes what was found to FILE. It imports nothing of the course, which would take each rank seconds.
"""

import json
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mlearn_utils.meta import maml
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import SineTasks, TaskBatch

TASKS, WIDTH, ROUNDS = 400, 256, 3
"""What is timed."""


def command(n_ranks: int, file: str) -> list[str]:
    """Return the command that starts this module so many times; what they find is written to a file."""
    torchrun = ["torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    return [sys.executable, "-m", *torchrun, "--nproc-per-node", str(n_ranks), __file__, file]


def use_threads(number: int) -> None:
    """Let torch and numpy use so many threads in this process; the processor's time is fair with one."""
    from threadpoolctl import threadpool_limits  # which sets an environment variable when it is imported

    torch.set_num_threads(number)
    threadpool_limits(number)


def network(width: int, seed: int = 0) -> nn.Sequential:
    """Return the wave network 1 - width - width - 1 of lesson 05, with the same weights for the same seed."""
    sizes = (1, width, width, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def network_loss(model: nn.Module) -> maml.TaskLoss:
    """Return the squared error of one task as the package likes it best: it can look into the module."""
    return maml.module_loss(model, mse_loss)


def sine_tasks(n_tasks: int, dtype: torch.dtype = torch.float32) -> TaskBatch:
    """Draw the tasks that every rank draws: ten support and ten query points each."""
    tasks = SineTasks().sample(n_tasks, 10, 10, generator=make_generator(0))
    return TaskBatch(*(tuple(tensor.to(dtype) for tensor in batch) for batch in tasks))


def gradient_over_ranks(loss: maml.TaskLoss, params: maml.Params, tasks: TaskBatch) -> tuple[Tensor, int]:
    """Return the meta-gradient of all tasks [P], the same on every rank, and how many were this rank's."""
    rank, n_ranks, n_tasks = dist.get_rank(), dist.get_world_size(), len(tasks.support[0])
    mine = TaskBatch(*(tuple(t.tensor_split(n_ranks)[rank] for t in batch) for batch in tasks))
    count = len(mine.support[0])
    total = torch.cat([torch.zeros_like(value.detach()).flatten() for value in params.values()])
    if count:
        _, gradient = maml.meta_gradient(loss, params, mine, inner_lr=0.01)
        total = count * torch.cat([value.flatten() for value in gradient.values()])
    dist.all_reduce(total)  # now every rank holds the sum over ranks
    return total / n_tasks, count


def seconds_per_update(n_tasks: int, width: int, rounds: int) -> tuple[float, float]:
    """Return the time of one meta-gradient over all ranks, the median of some, by two clocks.

    The first is on the wall. The second is the processor's, of the rank that needs most: what other programs
    do, and waiting, counts in the first alone.
    """
    model, tasks = network(width), sine_tasks(n_tasks)
    loss, params, times = network_loss(model), maml.parameters_of(model), []
    for _ in range(rounds + 1):
        dist.barrier()
        begin, cpu = time.perf_counter(), time.process_time()
        gradient_over_ranks(loss, params, tasks)
        times.append((time.perf_counter() - begin, time.process_time() - cpu))
    middle = torch.tensor([statistics.median(column) for column in zip(*times[1:], strict=True)])  # warm
    dist.all_reduce(middle, op=dist.ReduceOp.MAX)
    return middle[0].item(), middle[1].item()


def all_reduce_seconds(numbers: int, rounds: int = 9) -> float:
    """Return the wall-clock time of adding up so many float32 numbers over the ranks: the median of some."""
    values, times = torch.zeros(numbers), []
    for _ in range(rounds):
        dist.barrier()
        begin = time.perf_counter()
        dist.all_reduce(values)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def trained_parameters() -> list[float]:
    """Return the parameters after five updates by the package's class, which splits the tasks by itself."""
    learner = MetaLearner(network(40).double(), inner_lr=0.01, device="cpu")
    learner.train(SineTasks(), epochs=5, inner_batch_size=10, outer_batch_size=25, progress=False)
    return [each for value in learner.model.parameters() for each in value.flatten().tolist()]


def findings() -> dict[str, Any]:
    """Return what the notebook shows of the ranks: the same on each."""
    model = network(40).double()
    gradient, count = gradient_over_ranks(
        network_loss(model), maml.parameters_of(model), sine_tasks(25, torch.float64)
    )
    counts: list[int] = [0] * dist.get_world_size()
    dist.all_gather_object(counts, count)
    seconds, cpu_seconds = seconds_per_update(TASKS, WIDTH, ROUNDS)
    return {
        "counts": counts,
        "gradient": gradient.tolist(),
        "parameters": trained_parameters(),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "all_reduce": {str(size): all_reduce_seconds(size) for size in (1, 1_761, 1_000_000)},
    }


def alone() -> dict[str, Any]:
    """Return the findings of a single rank, which is this process."""
    store = dist.HashStore()  # pyright: ignore[reportPrivateImportUsage] - documented, but not exported
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        return findings()
    finally:
        dist.destroy_process_group()


def main(file: str) -> None:
    """Join the other ranks, compute, and write the findings; torchrun has set the environment for it."""
    use_threads(1)
    dist.init_process_group("gloo")  # reads RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT
    found = findings()
    if dist.get_rank() == 0:
        Path(file).write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
