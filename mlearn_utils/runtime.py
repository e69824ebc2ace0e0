"""What every room asks: of the machine (device, random generator, data folder) and of numbers.

Nothing here is set globally; every function only answers a question. The checks of plain numbers stand here
once; `meta.checks` has those of tensors and tasks.
"""

import math
import os
import sys
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import numpy as np
import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device to compute on.

    Args:
        device: "auto" (CUDA, then MPS, then CPU), "cpu", "cuda", "cuda:N", "mps", or a torch.device.

    Raises:
        ValueError: if `device` is not one of these, or the machine does not have it.
    """
    if str(device) == "auto":
        return _best_device()
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device must be one of {DEVICES} or a torch.device, got {device!r}") from None
    _check_present(chosen)
    return chosen


def make_generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator on `device` that starts from `seed` (an int >= 0).

    Raises:
        ValueError: if `seed` is not an integer >= 0.
    """
    check_integer("seed", seed, minimum=0)
    generator = torch.Generator(device=device)
    generator.manual_seed(int(seed))
    return generator


def make_rng(seed: int) -> np.random.Generator:
    """Return numpy's generator that starts from `seed` (an int >= 0).

    Raises:
        ValueError: if `seed` is not an integer >= 0.
    """
    check_integer("seed", seed, minimum=0)
    return np.random.default_rng(int(seed))


def next_seed(seed: int | None, last: int | None) -> int:
    """Return the seed of a further call of `train`: the one given, else that of the last call, else 0.

    A new stream of random numbers starts only if this is not the last seed: without a seed, or with the same,
    training goes on where it stopped.
    """
    if seed is None:
        return 0 if last is None else last
    check_integer("seed", seed, minimum=0)
    return int(seed)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether `value` is a real number, Python's or numpy's; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: object) -> TypeGuard[float]:
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def check_integer(name: str, value: object, *, minimum: int, expected: str | None = None) -> None:
    """Raise ValueError, saying what is expected, unless `value` is an integer >= `minimum`; True is none."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise ValueError(f"{name} must be {expected or f'an integer >= {minimum}'}, got {value!r}")


def check_positive(name: str, value: object, expected: str = "a finite number > 0") -> None:
    """Raise ValueError, saying what is expected, unless `value` is a finite number > 0."""
    if not (_is_finite(value) and value > 0):
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_finite(name: str, value: object) -> None:
    """Raise ValueError, saying what is expected, unless `value` is a finite number."""
    if not _is_finite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def check_not_negative(name: str, value: object, expected: str = "a finite number >= 0") -> None:
    """Raise ValueError, saying what is expected, unless `value` is a finite number >= 0."""
    if not (_is_finite(value) and value >= 0):
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_fraction(name: str, value: object, expected: str = "in [0, 1]") -> None:
    """Raise ValueError, saying what is expected, unless `value` is a number in [0, 1]."""
    if not (is_number(value) and 0 <= value <= 1):
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_decay(name: str, value: object, expected: str = "in [0, 1)") -> None:
    """Raise ValueError, saying what is expected, unless `value` is a number in [0, 1)."""
    if not (is_number(value) and 0 <= value < 1):
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def level_outside() -> int:
    """Return the `stacklevel` that makes a warning, given where this is called, name a line outside."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        frame, level = frame.f_back, level + 1
    return level


def check_target(name: str, path: str | Path) -> None:
    """Raise, naming the argument, unless a file can be written there: its folder exists, it is no folder.

    Raises:
        FileNotFoundError: if the folder of `path` does not exist.
        IsADirectoryError: if `path` is a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{name}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"{name} must be a file, got the folder {path}")


def needs(module: str, package: str) -> ModuleType:
    """Import and return a module that only one lesson needs.

    Args:
        module: its name.
        package: what pip installs it by, with the version that the course was tried with.

    Raises:
        ImportError: if it is missing; the message says which command installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        raise ImportError(f"{module} is missing: pip install {package}", name=module) from None


def data_path(*parts: str) -> Path:
    """Return the path of a file under the course's data folder.

    The folder is `data/` of the checkout that this package is installed from (`pip install -e .`), or
    the one that the environment variable MLEARN_DATA names.

    Raises:
        FileNotFoundError: if there is no such file or folder.
    """
    folder = os.environ.get("MLEARN_DATA")
    root = Path(folder) if folder else Path(__file__).resolve().parent.parent / "data"
    path = root.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist; install the package from a checkout of the course "
            "(pip install -e .) or set MLEARN_DATA to its data folder"
        )
    return path


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _check_present(device: torch.device) -> None:
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise ValueError(f"device {device} is not there: this machine has {count} CUDA device(s)")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device mps is not there: this machine has no MPS backend")
