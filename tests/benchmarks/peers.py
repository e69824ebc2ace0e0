"""The libraries that the course is compared with: optional, found where they are installed.

    pip install -e ".[benchmarks]"
    pip install --no-deps gymnax==1.0.1        (it asks for a Gymnasium before 1.4, and works with 1.4)

learn2learn 0.2.0, the last, does not build on Python 3.11 (C code of its data sets), and importing it asks
for gym, qpth and torchvision. Its MAML is plain Python that needs none of them: unpack the source

    pip download --no-deps --no-build-isolation --no-binary :all: learn2learn==0.2.0    (needs Cython)
    tar xzf learn2learn-0.2.0.tar.gz
    cp -r learn2learn-0.2.0/learn2learn .venv/lib/python3.11/site-packages

`learn2learn` below imports the MAML module alone. (The folder of the source cannot go on the path: it has a
package `tests`.)
"""

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = ("torch", "numpy", "gymnasium", "jax", "optax", "higher", "torchopt", "envpool", "gymnax")


def optional(name: str) -> Any:
    """Return a module, or None if it is not installed."""
    return import_module(name) if find_spec(name.partition(".")[0]) else None


@cache
def learn2learn() -> Any:
    """Return learn2learn's MAML module, or None; the package around it, which needs more, is not executed."""
    spec = find_spec("learn2learn")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(spec.submodule_search_locations[0])
    for name in ("learn2learn", "learn2learn.algorithms"):
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules.setdefault(name, package)
    return import_module("learn2learn.algorithms.maml")


def versions() -> dict[str, str]:
    """Return the version of every library that takes part, of those that are installed."""
    found = {}
    for name in NAMES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if learn2learn() is not None:
        found["learn2learn"] = import_module("learn2learn._version").__version__
    return found
