"""What a run needs to know about its machine: device, random generator, speed mode, data folder.

Nothing here is set globally; every function only answers a question.
"""

import os
from pathlib import Path

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
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}")
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator


def fast_mode() -> bool:
    """Return True when the environment variable MLEARN_FAST asks for shortened runs ("1", "true", "yes")."""
    return os.environ.get("MLEARN_FAST", "").strip().lower() in {"1", "true", "yes"}


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
