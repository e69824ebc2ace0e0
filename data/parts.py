"""Parts of an experiment: what they are, how they are made, and how their results are kept.

The result of a finished part is a JSON file in the experiment's folder below `.parts/`, beside a mark that
tells which version of the code made it. Every file is written under another name and renamed when it is
whole, so that a kill or a full disk leaves the old content or the new, and nothing half.
"""

import ast
import functools
import hashlib
import importlib.util
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import joblib
from tqdm import tqdm

Results = Mapping[str, Any]

CONNECT_SECONDS = 10
"""How long a cluster's scheduler may take to answer."""


@dataclass(frozen=True)
class Part:
    """A piece of an experiment.

    Attributes:
        name: unique in its experiment; words first that tell what belongs together.
        make: a function at the top of its module, so that another process finds it.
        arguments: for `make`.
        after: names of parts that come first; `make` then gets `done`, their results by name, as a keyword.
    """

    name: str
    make: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    after: tuple[str, ...] = ()


def version_of(script: Path) -> str:
    """Return a digest of the code that results come from: the script, and what is imported of the package.

    Comments and docstrings do not count. Left out, and so not noticed: other packages, files that the code
    reads, and modules that are imported only while a part is made.
    """
    modules = [(name, getattr(module, "__file__", None)) for name, module in sorted(sys.modules.items())]
    files = [file for name, file in modules if file and name.partition(".")[0] == "mlearn_utils"]
    digest = hashlib.sha256()
    for path in (script, *map(Path, files)):
        digest.update(_code(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:12]


def _code(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [
                each
                for each in body
                if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
            ]
    return ast.dump(tree)


@dataclass(frozen=True)
class Store:
    """The results of finished parts, kept in a folder.

    Attributes:
        folder: where they are, and what a part keeps there for the next one.
        version: of the code that would make them now.
    """

    folder: Path
    version: str

    def results(self, parts: Sequence[Part]) -> dict[str, Any]:
        """Return the results of the finished parts by name; none if another version made them."""
        found = {}
        if self._mark() == self.version:
            for part in parts:
                with suppress(FileNotFoundError):  # not made; or a run that has just ended removed it
                    found[part.name] = json.loads(self._path(part.name).read_text(encoding="utf-8"))
        return found

    def begin(self) -> Path | None:
        """Get ready to keep parts; return where those of another version, if any, were laid aside."""
        mark, aside = self._mark(), None
        if self.folder.exists() and mark != self.version:
            aside = self.folder.with_name(f"{self.folder.name}-{mark or 'unknown'}")
            shutil.rmtree(aside, ignore_errors=True)
            self.folder.rename(aside)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._mark() != self.version:
            _write_whole(self.folder / "script", self.version)
        return aside

    def keep(self, name: str, result: Any) -> None:
        """Keep the result of a part."""
        _write_whole(self._path(name), json.dumps(result))

    def clear(self) -> None:
        """Forget all parts at once: however this is stopped, all of them are kept or none."""
        gone = self.folder.with_name(f"{self.folder.name}-cleared")
        shutil.rmtree(gone, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _mark(self) -> str:
        with suppress(FileNotFoundError, NotADirectoryError):
            return (self.folder / "script").read_text(encoding="utf-8")
        return ""

    def _path(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"


def _write_whole(path: Path, text: str) -> None:
    half = path.with_name(f"{path.name}.part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)


@dataclass(frozen=True)
class Workers:
    """Who makes parts: this process, others on this machine, or a cluster that has a scheduler already.

    Attributes:
        number: how many parts are made at once; -1 is as many as the backend has workers.
        backend: of joblib: "loky" is processes on this machine, "dask" the workers of a cluster.
        scheduler: the address of the cluster's.
    """

    number: int = 1
    backend: str = "loky"
    scheduler: str | None = None

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let joblib use them; a connection to a cluster is closed again."""
        if self.backend == "loky":
            with joblib.parallel_config("loky", inner_max_num_threads=1, initializer=_ignore_ctrl_c):
                yield
        else:
            from distributed import Client  # pyright: ignore[reportMissingImports]

            with Client(self.scheduler, timeout=CONNECT_SECONDS), joblib.parallel_config("dask"):
                yield


def make_parts(chosen: Sequence[Part], results: dict[str, Any], store: Store, workers: Workers) -> None:
    """Make what is missing of the chosen parts, in an order in which each finds those before it.

    Args:
        chosen: the parts; each comes behind all that it needs.
        results: of the finished parts, by name; every part is added once it is kept.
        store: where they are kept.
        workers: who makes them.
    """
    waiting = [part for part in chosen if part.name not in results]
    hidden, alone = None if sys.stdout.isatty() else True, workers.number == 1
    with (
        tqdm(total=len(chosen), initial=len(chosen) - len(waiting), disable=hidden, unit="part") as bar,
        nullcontext() if alone else workers.used(),
    ):
        _use_one_thread()
        while waiting:
            ready = [part for part in waiting if all(name in results for name in part.after)]
            calls = [(part, {name: results[name] for name in part.after}) for part in ready]
            bar.set_description(ready[0].name if alone else f"{len(ready)} parts")
            for name, result in map(_call, calls[:1]) if alone else _made_at_once(calls, workers.number):
                store.keep(name, result)
                results[name] = result
                bar.update()
                if hidden:
                    print(f"{name}: done", flush=True)
            waiting = [part for part in waiting if part.name not in results]


def _made_at_once(calls: Sequence[tuple[Part, Results]], number: int) -> Iterator[tuple[str, Any]]:
    """Yield the name and the result of each part, in whatever order they come."""
    how: Any = {"return_as": "generator_unordered", "batch_size": 1}
    parallel: Any = joblib.Parallel(number, **how)
    with handled(signal.SIGINT, signal.SIG_IGN):  # the workers that are started here inherit it
        made = parallel(
            joblib.delayed(_call)((replace(part, make=_Named.of(part.make)), done)) for part, done in calls
        )
    with closing(made):  # leaving it by an exception ends the workers
        yield from made


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Named(NamedTuple):
    """A function of a script that another process finds by its name, in an import of its own."""

    module: str
    file: str
    name: str

    @classmethod
    def of(cls, make: Callable[..., Any]) -> "_Named":
        file = sys.modules[make.__module__].__file__ or ""
        return cls(make.__module__, str(Path(file).resolve()), make.__name__)

    def __call__(self, *arguments: Any, **done: Any) -> Any:
        make = getattr(_module(self.module, self.file), self.name)
        _use_one_thread()
        return make(*arguments, **done)


@functools.cache
def _module(name: str, file: str) -> ModuleType:
    """Import a module, once in a process; the script that was started is one without its `__main__`."""
    if name != "__main__":
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location("__mp_main__", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["__mp_main__"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _use_one_thread() -> None:
    """Let torch, if the experiment uses it, run on one core: small networks are slower on two."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _call(call: tuple[Part, Results]) -> tuple[str, Any]:
    part, done = call
    return part.name, part.make(*part.arguments, **({"done": done} if part.after else {}))


@contextmanager
def handled(number: signal.Signals, handler: Any) -> Iterator[None]:
    """Let `handler` have a signal within the block."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
