"""Checkpoints: one safetensors file that holds everything needed to go on exactly where training stopped.

Tensors (weights, buffers, optimizer moments, generator states) are stored as tensors; plain facts (the
configuration, the history) as JSON in the file's header. Nothing in a file is ever executed: there is no
unpickling. A file appears whole or not at all: it is written beside its target and then moved onto it.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FORMAT = 1
"""Version of the layout; a file with a higher one comes from a later release and is refused."""

Facts = dict[str, Any]
"""Anything that JSON can hold, and numbers of numpy."""


def save_checkpoint(path: str | Path, kind: str, tensors: dict[str, Tensor], facts: Facts) -> None:
    """Write a checkpoint atomically: `path` holds either the old file or the new one, whenever it is read.

    Args:
        path: the file to write; its folder must exist.
        kind: what is saved, such as "MetaLearner"; asked for again on loading.
        tensors: tensors by name, on any device.
        facts: JSON-able values; numbers of numpy are stored as Python's.

    Raises:
        FileNotFoundError: if the folder of `path` does not exist.
        TypeError: if `facts` holds what JSON cannot.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path: the folder {path.parent} does not exist")
    header = {"checkpoint": json.dumps({"format": FORMAT, "kind": kind, "facts": facts}, default=_plain)}
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(stored, temporary, metadata=header)
        _flush_to_disk(temporary)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def load_checkpoint(path: str | Path, kind: str) -> tuple[dict[str, Tensor], Facts]:
    """Read a checkpoint of the given kind: its tensors, on the CPU, and its facts.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is truncated or no checkpoint, of another kind, or of a later format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["checkpoint"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        version, found, facts = header["format"], header["kind"], header["facts"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"path: {path} is not a complete checkpoint ({error})") from error
    if version > FORMAT:
        raise ValueError(
            f"path: {path} has format {version}, this release reads up to {FORMAT}; update mlearn_utils"
        )
    if found != kind:
        raise ValueError(f"path: {path} holds a {found}, expected a {kind}")
    return tensors, facts


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model under names that `load_model` reads back."""
    return {f"model.{name}": tensor for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def check_model(model: nn.Module, tensors: dict[str, Tensor], path: str | Path) -> None:
    """Raise ValueError unless the stored model has exactly this model's names, shapes and dtypes."""
    own = model_tensors(model)
    stored = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    missing, unknown = sorted(set(own) - set(stored)), sorted(set(stored) - set(own))
    if missing or unknown:
        raise ValueError(f"model: {path} is of another model: it lacks {missing} and also holds {unknown}")
    for name, tensor in own.items():
        if (tensor.shape, tensor.dtype) != (stored[name].shape, stored[name].dtype):
            raise ValueError(
                f"model: {name} is {list(tensor.shape)} {tensor.dtype}, but {path} holds "
                f"{list(stored[name].shape)} {stored[name].dtype}"
            )


@torch.no_grad()
def load_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy stored parameters and buffers into a model that `check_model` accepted."""
    for name, tensor in model_tensors(model).items():
        tensor.copy_(tensors[name])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], Facts]:
    """Split an optimizer's state into tensors and facts that `load_optimizer` puts together again."""
    state = optimizer.state_dict()
    tensors = {
        f"optimizer.{index}.{key}": value
        for index, values in state["state"].items()
        for key, value in values.items()
    }
    return tensors, {"param_groups": state["param_groups"]}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], facts: Facts) -> None:
    """Restore an optimizer over the same parameters from what `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": facts["param_groups"]})


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"facts must be what JSON can hold, got {value!r}")


def _flush_to_disk(file: str) -> None:
    with open(file, "rb+") as handle:  # noqa: PTH123 - a file descriptor is what fsync needs
        os.fsync(handle.fileno())
