"""Checkpoints: one safetensors file that holds everything needed to go on exactly where training stopped.

Tensors (weights, buffers, optimizer moments, generator states) are stored as tensors; plain facts (the
configuration, the history) as JSON in the file's header, with digests of both. Nothing in a file is ever
executed: there is no unpickling. A file appears whole or not at all: it is written beside its target and then
moved onto it. What is read is a copy: the file may be replaced while its contents are in use.
"""

import functools
import hashlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mlearn_utils.runtime import check_target, is_number

FORMAT = 2
"""Version of the layout; a file with another one is refused."""

KERNELS = ("fused", "foreach")
"""Settings of an optimizer that say how it computes, not what."""

OWN = frozenset(vars(nn.Module()))
"""Attributes that every module has."""

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
        IsADirectoryError: if `path` is a folder.
        TypeError: if `facts` holds what JSON cannot.
    """
    check_target("path", path)
    path = Path(path)
    text = json.dumps({"format": FORMAT, "kind": kind, "facts": facts}, default=_plain)
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"checkpoint": text, "digests": json.dumps(_digests(text, stored))}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(stored, temporary, metadata=header)
        _flush_to_disk(temporary)
        Path(temporary).chmod(_mode_of(path))
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def load_checkpoint(
    path: str | Path, kind: str, *, facts: Collection[str] | None = None
) -> tuple[dict[str, Tensor], Facts]:
    """Read a checkpoint of the given kind: its tensors, on the CPU, and its facts; a copy of both.

    Args:
        path: file written by `save_checkpoint`.
        kind: what it must hold.
        facts: the names of the facts that it must have; any if None.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is truncated, changed or no checkpoint, of another kind or another format, or
            has other facts; the message names what.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = json.loads(metadata["checkpoint"])
            digests = dict(json.loads(metadata.get("digests", "{}")))
            # clones, since safetensors maps the file: a file that shrinks under a map kills the process
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no dict
        version, found, stored = header["format"], header["kind"], header["facts"]
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"path: {path} is not a complete checkpoint ({error})") from error
    if type(version) is int and version > FORMAT:
        raise ValueError(
            f"path: {path} has format {version}, this release reads up to {FORMAT}; update mlearn_utils"
        )
    if type(version) is not int or version != FORMAT:
        raise ValueError(
            f"path: {path} has format {version!r}, expected {FORMAT}: it cannot be read any more"
        )
    if found != kind:
        raise ValueError(f"path: {path} holds a {found}, expected a {kind}")
    if not isinstance(stored, dict):
        raise ValueError(f"path: {path} must hold facts by name, got {stored!r}")
    if facts is not None:
        check_names(path, "facts", stored, facts)
    actual = _digests(metadata["checkpoint"], tensors)
    changed = sorted(name for name in actual.keys() | digests.keys() if actual.get(name) != digests.get(name))
    if changed:
        raise ValueError(f"path: {path} was changed after it was written: {changed} are not what was saved")
    return tensors, stored


def check_names(path: str | Path, what: str, found: Collection[str], expected: Collection[str]) -> None:
    """Raise ValueError, naming what is missing or unknown, unless a file has the names expected."""
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unknown:
        raise ValueError(
            f"path: {path} does not hold the {what} expected: missing {missing}, unknown {unknown}"
        )


def check_fact(path: str | Path, name: str, holds: bool, expected: str, got: object) -> None:
    """Raise ValueError, naming a fact of a file, unless it is as expected."""
    if not holds:
        raise ValueError(f"path: {path} has {name} = {got!r}, expected {expected}")


def check_history(path: str | Path, history: object, keys: Collection[str]) -> None:
    """Raise ValueError unless a history is a list of rows, dicts of numbers by these keys."""
    rows = history if isinstance(history, list) else [None]
    good = all(
        isinstance(row, dict) and set(row) == set(keys) and all(is_number(value) for value in row.values())
        for row in rows
    )
    check_fact(path, "history", good, f"a list of dicts of numbers: {sorted(keys)}", history)


@contextmanager
def named_errors(path: str | Path) -> Iterator[None]:
    """Raise ValueError for whatever error the contents of a file cause inside."""
    try:
        yield
    except ValueError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
        raise ValueError(f"path: {path} holds what cannot be: {type(error).__name__}: {error}") from error


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
    return tensors, {"param_groups": state["param_groups"], "moments": sorted(state["state"])}


def check_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], facts: Any, path: str | Path
) -> None:
    """Raise ValueError unless what is stored fits this optimizer: settings, and moments of all parameters.

    The learning rate may differ from the optimizer's own: a schedule moves it. So may the kernels it uses.
    """
    own = optimizer.state_dict()["param_groups"]
    groups = facts.get("param_groups") if isinstance(facts, dict) else None
    good = (
        isinstance(groups, list)
        and len(groups) == len(own)
        and all(isinstance(each, dict) for each in groups)
    )
    check_fact(path, "optimizer", good, "param_groups", facts)
    for group, stored in zip(own, groups or [], strict=True):
        check_names(path, "optimizer settings", stored, group)
        for name, value in group.items():
            given = (
                tuple(stored[name]) if isinstance(stored[name], list) and name != "params" else stored[name]
            )
            good = type(given) is float and 0 <= given < math.inf if name == "lr" else given == value
            good = given in (None, True, False) if name in KERNELS else good
            check_fact(path, f"the optimizer's {name}", good, repr(value), given)
    check_names(path, "facts of the optimizer", facts, ("param_groups", "moments"))
    params = [value for group in optimizer.param_groups for value in group["params"]]
    known = facts["moments"]
    good = isinstance(known, list) and all(type(k) is int and 0 <= k < len(params) for k in known)
    check_fact(path, "moments", good, f"numbers below {len(params)}", known)
    expected = {f"optimizer.{k}.{key}": k for k in known for key in ("step", "exp_avg", "exp_avg_sq")}
    check_names(path, "optimizer's moments", {n for n in tensors if n.startswith("optimizer.")}, expected)
    for name, k in expected.items():
        found, step = tensors[name], name.endswith(".step")
        shape, dtype = (torch.Size([]), torch.float32) if step else (params[k].shape, params[k].dtype)
        kind = found.is_floating_point() if step else found.dtype == dtype
        least = 1.0 if step else 0.0 if name.endswith("_sq") else -math.inf
        good = found.shape == shape and kind and bool((found.isfinite() & (found >= least)).all())
        check_fact(path, name, good, f"{list(shape)} {dtype}", f"{list(found.shape)} {found.dtype}")


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], facts: Facts) -> None:
    """Restore an optimizer over the same parameters from what `check_optimizer` accepted."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    own = [{name: group[name] for name in KERNELS if name in group} for group in optimizer.param_groups]
    groups = [stored | kept for stored, kept in zip(facts["param_groups"], own, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def settings_of(value: object, depth: int = 4) -> str:
    """Return what is remembered of a loss or another object: its name and its settings, without addresses.

    A function of a module has a name; one made inside another also what it closes over, its defaults and its
    instructions, which differ between versions of Python; a module its settings and digests of its tensors;
    another object what it holds.
    """
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return repr(value)
    if depth == 0 or isinstance(value, type):
        return getattr(value, "__qualname__", type(value).__qualname__)
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(settings_of(each, depth - 1) for each in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k}: {settings_of(v, depth - 1)}' for k, v in value.items())}}}"
    if isinstance(value, (Tensor, np.ndarray)):
        return _digests("", {"of": torch.as_tensor(value)})["tensor of"]
    if isinstance(value, nn.Module):
        tensors = dict((*value.named_parameters(), *value.named_buffers()))
        settings = [
            (
                f"{name} {type(each).__qualname__}".strip(),
                {k: settings_of(v, depth - 1) for k, v in vars(each).items() if k not in OWN},
            )
            for name, each in value.named_modules()
        ]
        return f"{type(value).__qualname__} {settings}" + (f" {_digests('', tensors)}" if tensors else "")
    if isinstance(value, functools.partial):
        return f"{settings_of(value.func)} of {settings_of(value.args)}, {settings_of(value.keywords)}"
    name, owner = getattr(value, "__name__", None), getattr(value, "__self__", None)
    if name is None:
        held = held_by(value)
        return f"{type(value).__qualname__} {settings_of(held, depth - 1) if held else ''}".strip()
    if owner is not None and not isinstance(owner, ModuleType):
        return f"{name} of {settings_of(owner, depth - 1)}"
    cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
    if "<" not in getattr(value, "__qualname__", name) and not cells:  # not <locals>, not <lambda>
        return name
    held = [cells, getattr(value, "__defaults__", None), getattr(value, "__kwdefaults__", None)]
    code = getattr(value, "__code__", None)
    body = _body(code) if code else ""
    return f"{name} {body} {[settings_of(each, depth - 1) for each in held]}"


def held_by(value: object) -> dict[str, Any]:
    """Return the attributes of an object by name, those in slots among them."""
    slots = [getattr(kind, "__slots__", ()) for kind in type(value).__mro__]
    names = [name for each in slots for name in ([each] if isinstance(each, str) else each)]
    return {name: getattr(value, name) for name in names if hasattr(value, name)} | getattr(
        value, "__dict__", {}
    )


def _body(code: CodeType) -> str:
    """Return a digest of what a function does: its instructions, the names and the constants that it uses."""
    constants = [each for each in code.co_consts if not isinstance(each, CodeType)]
    digest = hashlib.sha256(code.co_code + repr((code.co_names, constants)).encode()).hexdigest()[:12]
    return f"{digest} of Python {sys.version_info[0]}.{sys.version_info[1]}"


def _digests(text: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return digests by name: of the facts, and of each tensor with its dtype and shape."""
    digests = {"facts": hashlib.sha256(text.encode()).hexdigest()}
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes())
        digests[f"tensor {name}"] = digest.hexdigest()
    return digests


def _mode_of(path: Path) -> int:
    """Return the permissions of a file to be replaced, or those that a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"facts must be what JSON can hold, got {value!r}")


def _flush_to_disk(file: str) -> None:
    with open(file, "rb+") as handle:  # noqa: PTH123 - a file descriptor is what fsync needs
        os.fsync(handle.fileno())
