"""Training in several processes: which rank this one is, which tasks are its own, and what all add up.

`torchrun --nproc-per-node 2 script.py` starts a script twice; each process is a rank. All ranks draw the same
tasks, and each takes its share. With T tasks in all, n_r of them on rank r and g_r the mean over these,

    grad J = 1/T * sum over ranks of n_r g_r                                          (mean_gradient)

The sum is divided once, by all tasks: a mean of the ranks' means would count a task more where there are
fewer. Sums are taken in float64 and are the same on every rank, and so is what an optimizer makes of them.

Ranks meet: each waits for all others, says where it is and whether it has failed, and only then is anything
added up. So one that raises takes the others with it (`together`), and ranks that are not at the same place
are told so. A process that ends closes its connections, which the others notice as soon as they meet.

Without several processes none of this does anything.

Reference: PyTorch's torch.distributed and torchrun, https://docs.pytorch.org/docs/stable/distributed.html.
"""

import atexit
import os
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mlearn_utils.meta import checks
from mlearn_utils.meta.checkpoint import settings_of
from mlearn_utils.meta.losses import Params
from mlearn_utils.runtime import pick_device
from mlearn_utils.tasks.regression import TaskBatch

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process by environment variables, and what several processes cannot do without."""

JOIN_SECONDS = 120
"""How long a rank waits for the others before the first of them has come."""

SHOWN = 100  # characters of a setting in a message; of a longer one only that it differs is said


class RankError(RuntimeError):
    """Another rank has failed or ended, or is at another place of the program."""


@dataclass(frozen=True)
class Ranks:
    """The processes that train together, as one of them sees it; `current` finds them.

    Attributes:
        rank: which one this is, from 0.
        size: how many there are; 1 is a process on its own, for which every method is free.
    """

    rank: int = 0
    size: int = 1

    def share(self, n: int) -> slice:
        """Return which of n tasks are this rank's; see `share`."""
        return share(n, self.rank, self.size)

    def total(self, *values: Tensor) -> list[Tensor]:
        """Return the sums over all ranks of tensors that have the same shapes on each: [*] -> [*].

        They are added in float64 and returned in their own dtype, on their own device.

        Raises:
            RankError: if another rank has failed, ended or is elsewhere.
        """
        if self.size == 1:
            return list(values)
        parts = [_wide(value.detach().to(_adding_device(value))).flatten() for value in values]
        flat = torch.cat([part.to(parts[0].device) for part in parts])
        self._meet(f"a sum of {len(flat)} numbers")
        with _reaching():
            dist.all_reduce(flat)
        sums = flat.split([len(part) for part in parts])
        return [each.view(value.shape).to(value) for each, value in zip(sums, values, strict=True)]

    def mean(self, values: Sequence[Tensor], n: int) -> list[Tensor]:
        """Return means over the tasks of all ranks, given those over this rank's n tasks: [*] -> [*].

        A rank with n = 0 counts for nothing, whatever its values are.

        Raises:
            RankError: as `total`.
        """
        if self.size == 1:
            return list(values)
        wide = [_wide(value) * n if n else torch.zeros_like(_wide(value)) for value in values]
        *sums, tasks = self.total(*wide, torch.tensor(float(n), dtype=torch.float64))
        return [(each / tasks.to(each)).to(value) for each, value in zip(sums, values, strict=True)]

    def largest(self, value: float) -> float:
        """Return the largest of the ranks' values."""
        if self.size == 1:
            return value
        self._meet("a maximum")
        found = torch.tensor(float(value), dtype=torch.float64, device=_meeting_device())
        with _reaching():
            dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return found.item()

    def same_everywhere(self, call: str, *facts: Mapping[str, Any]) -> None:
        """Raise ValueError, on all ranks alike, unless all have the same facts.

        Args:
            call: what is to begin if they have, such as "MetaLearner.train".
            facts: by name, those in a further mapping one by one; of tensors digests are compared.

        Raises:
            ValueError: if a fact of a rank is not that of rank 0: the message names it, and the rank.
            RankError: as `total`.
        """
        if self.size == 1:
            return
        own = {name: settings_of(value) for name, value in _single(facts)}
        apart = [text for rank, other in enumerate(self._all(call, own)) for text in _apart(rank, *other)]
        if apart:
            raise ValueError(
                f"{call}: all ranks must hold the same, but {'; '.join(apart[:6])}"
                f"{f'; and {len(apart) - 6} more' * (len(apart) > 6)}. Every rank runs the same script: seed "
                "torch before the model is made, and let no setting depend on the rank"
            )

    def once(self, write: Callable[[], None]) -> None:
        """Let rank 0 do something, such as writing a file, and the others wait until it is done.

        While an exception is on its way out nobody waits: who is still there is not known.

        Raises:
            RankError: on the other ranks if rank 0 could not do it.
        """
        leaving = sys.exception() is not None
        if self.rank == 0:
            write()
        if self.size > 1 and not leaving:
            self._meet("the end of a save")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let only rank 0 warn of what all meet alike."""
        if self.rank == 0:
            yield
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield

    def _all(self, call: str, own: dict[str, str]) -> list[tuple[dict[str, str], dict[str, str]]]:
        """Return what each rank told, and beside it what rank 0 did."""
        self._meet(call)
        found: list[Any] = [None] * self.size
        with _reaching():
            dist.all_gather_object(found, own)
        return [(each, found[0]) for each in found]

    def _meet(self, place: str, error: BaseException | None = None) -> None:
        """Wait for all ranks; raise RankError if one of them has failed or has come to another place."""
        code = zlib.crc32(place.encode()) % 2**16
        header = torch.tensor([error is not None, code, code**2], device=_meeting_device())
        with _reaching():
            dist.all_reduce(header)
        failed, codes, squares = header.tolist()
        if not failed and squares * self.size == codes**2:
            return
        found: list[Any] = [None] * self.size
        told = None if error is None else f"{type(error).__name__}: {error}"
        with _reaching():
            dist.all_gather_object(found, (place, told))
        if error is not None:
            return
        errors = [f"rank {rank} stopped ({text})" for rank, (_, text) in enumerate(found) if text is not None]
        if errors:
            raise RankError(f"{'; '.join(errors)}: rank {self.rank} stops as well")
        places = ", ".join(f"rank {rank} at {where}" for rank, (where, _) in enumerate(found))
        raise RankError(
            f"the ranks are at different places: {places}; all must make the same calls, save too"
        )


def share(n: int, rank: int, size: int) -> slice:
    """Return which of n tasks a rank has: sizes differ by 1 at most, and are 0 beyond n ranks.

    Args:
        n: tasks, >= 0.
        rank: from 0.
        size: ranks, >= 1.
    """
    return slice(rank * n // size, (rank + 1) * n // size)


def mean_gradient(
    gradient_of: Callable[[Params, TaskBatch], tuple[Tensor, Params]], params: Params, tasks: TaskBatch
) -> tuple[Tensor, Params]:
    """Return the mean objective of tasks and its gradient, computed by all ranks, each on its own share.

    Args:
        gradient_of: parameters [*] and tasks -> the mean objective () of these and its gradient by name, such
            as `functools.partial(meta_gradient, task_loss, inner_lr=0.01)`.
        params: the same on every rank.
        tasks: all tasks, the same on every rank.

    Returns:
        What `gradient_of(params, tasks)` is, but for rounding; the same on every rank.

    Raises:
        RankError: if another rank has failed or ended.
    """
    ranks = current()
    if ranks.size == 1:
        return gradient_of(params, tasks)
    own = ranks.share(checks.count_task_pairs(tasks))
    n = own.stop - own.start
    example = next(iter(params.values()))
    loss = example.new_zeros((), dtype=torch.promote_types(example.dtype, torch.float32))
    gradient = {name: torch.zeros_like(value, requires_grad=False) for name, value in params.items()}
    if n:
        parts = (getattr(part, "_make", tuple)([tensor[own] for tensor in part]) for part in tasks)
        found, gradient = gradient_of(params, TaskBatch(*parts))
        loss = found.to(loss)
    loss, *means = ranks.mean([loss, *(gradient[name] for name in params)], n)
    return loss, dict(zip(params, means, strict=True))


def current() -> Ranks:
    """Return the ranks that this process belongs to: those of torch's process group, if there is one."""
    if not (dist.is_available() and dist.is_initialized()):
        return Ranks()
    return Ranks(dist.get_rank(), dist.get_world_size())


@contextmanager
def together() -> Iterator[None]:
    """Let an exception of one rank reach the others, which then raise RankError; also a decorator."""
    try:
        yield
    except RankError:
        raise
    except BaseException as error:
        ranks = current()
        if ranks.size > 1 and not hasattr(error, "told_ranks"):
            error.__dict__["told_ranks"] = True  # by an inner call, such as save in train: once will do
            try:
                ranks._meet("an error", error)
            except RankError as other:
                error.add_note(f"The other ranks could not be told: {other}")
        raise


def join(device: str | torch.device = "auto") -> torch.device:
    """Join the ranks that torchrun has started, if it has, and return the device of this one.

    A process group that is there already is used. Else the environment variables of torchrun are read; the
    ranks talk by gloo, and between GPUs by nccl. Without them there is nothing to join.

    Args:
        device: as in `pick_device`; "auto" and "cuda" are the GPU with the number LOCAL_RANK.

    Raises:
        ValueError: if a variable is missing or wrong, the device is not there, or ranks outnumber GPUs.
        RankError: if the other ranks do not come, or the port of rank 0 is taken.
    """
    there = dist.is_available() and dist.is_initialized()
    told = {} if there else _environment()
    size = dist.get_world_size() if there else int(told.get("WORLD_SIZE", "1"))
    chosen = _own_device(device) if size > 1 else pick_device(device)
    if chosen.type == "cuda" and size > 1:
        torch.cuda.set_device(chosen)
    if there or size == 1:
        return chosen
    if not dist.is_available():
        raise ValueError(f"WORLD_SIZE is {size}, but this torch was built without torch.distributed")
    from torch.distributed.rendezvous import rendezvous  # which is not there without torch.distributed

    rank, where = int(told["RANK"]), f"{told['MASTER_ADDR']}:{told['MASTER_PORT']}"
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    try:
        wait = timedelta(seconds=JOIN_SECONDS)
        store, *_ = next(iter(rendezvous("env://", rank, size, timeout=wait)))
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    except (RuntimeError, OSError) as error:
        who = "opens that port itself: is it taken" if rank == 0 else "waits for rank 0 there: was it started"
        raise RankError(
            f"rank {rank} of {size} could not join the others at {where} (MASTER_ADDR:MASTER_PORT); without "
            f"torchrun this rank {who}? {str(error).splitlines()[0]}"
        ) from error
    atexit.register(_leave)
    return chosen


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _environment() -> dict[str, str]:
    """Return torchrun's variables; {} if there are none; raise ValueError unless they are whole and right."""
    told = {name: os.environ[name] for name in NEEDED if os.environ.get(name)}
    if "WORLD_SIZE" not in told and "RANK" not in told:
        return {}
    for name, least in (("WORLD_SIZE", 1), ("RANK", 0), ("MASTER_PORT", 1)):
        if name in told and not (told[name].isdecimal() and int(told[name]) >= least):
            raise ValueError(f"{name} must be an integer >= {least}, got {told[name]!r}")
    if told.get("WORLD_SIZE") == "1":
        return {}
    missing = [name for name in NEEDED if name not in told]
    if missing:
        raise ValueError(
            f"the environment has {', '.join(f'{k}={v}' for k, v in told.items())}, as of one of several "
            f"processes, but not {', '.join(missing)}; start with torchrun, or unset these to train alone"
        )
    if int(told["RANK"]) >= int(told["WORLD_SIZE"]):
        raise ValueError(f"RANK must be below WORLD_SIZE={told['WORLD_SIZE']}, got {told['RANK']}")
    return told


def _own_device(device: str | torch.device) -> torch.device:
    """Return the device of a rank among several: of a GPU without a number, that with LOCAL_RANK's."""
    chosen = pick_device(device)
    if chosen.type != "cuda" or chosen.index is not None:
        return chosen
    local, count = os.environ.get("LOCAL_RANK", ""), torch.cuda.device_count()
    if not local.isdecimal():
        raise ValueError(
            f"LOCAL_RANK must say which GPU is this rank's, got {local!r}; or give device='cuda:N'"
        )
    ranks = max(int(local) + 1, int(os.environ.get("LOCAL_WORLD_SIZE", "0")))
    if ranks > count:
        raise ValueError(
            f"device {device!s} needs a GPU for each of the {ranks} ranks of this machine, it has {count}: "
            "start fewer ranks, or give device='cpu'"
        )
    return torch.device("cuda", int(local))


@contextmanager
def _reaching() -> Iterator[None]:
    """Raise RankError where torch cannot reach another rank."""
    try:
        yield
    except RuntimeError as error:
        raise RankError(
            "another rank has ended, or cannot be reached any more (what it printed last says why): "
            f"{str(error).splitlines()[0]}"
        ) from error


def _meeting_device() -> torch.device:
    """Return where ranks meet: on the CPU, unless the process group was made for GPUs alone."""
    return torch.device("cpu" if "cpu:" in str(dist.get_backend_config()) else "cuda")


def _adding_device(value: Tensor) -> torch.device:
    """Return where a tensor is added up: where it is, if that is a GPU whose group adds there by nccl."""
    if value.device.type == "cuda" and "cuda:nccl" in str(dist.get_backend_config()):
        return value.device
    return _meeting_device()


def _wide(value: Tensor) -> Tensor:
    return value.detach().to("cpu" if value.device.type == "mps" else value.device, torch.float64)


def _single(facts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield facts by name, those of a mapping among them one by one."""
    for mapping in facts:
        for name, value in mapping.items():
            if isinstance(value, Mapping):
                yield from ((f"{name}.{key}", each) for key, each in value.items())
            else:
                yield name, value


def _apart(rank: int, found: dict[str, str], first: dict[str, str]) -> Iterator[str]:
    """Yield in words what a rank holds otherwise than rank 0."""
    for name in first | found:
        one, zero = found.get(name, "nothing"), first.get(name, "nothing")
        if one != zero:
            told = f" ({one}; rank 0 has {zero})" if len(one) + len(zero) <= SHOWN else ""
            yield f"{name} of rank {rank} is another{told}"
