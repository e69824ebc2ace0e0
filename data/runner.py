"""One runner for all experiments of this folder: a bar, parts that are kept, sentences for what goes wrong.

An experiment is a list of parts: functions of a few plain arguments that return what JSON can hold. Each
finished part is written to `.parts/NAME/` beside its script, so whatever stops a run, the same command goes
on with the next part. Once all are there, `finish` makes the files; only then do these replace the old ones.
"""

import argparse
import csv
import hashlib
import importlib.util
import io
import json
import multiprocessing
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))

if lacking := [name for name in ("torch", "tqdm", "mlearn_utils") if importlib.util.find_spec(name) is None]:
    raise SystemExit(
        f"This Python lacks {', '.join(lacking)}; use the one that `python3 notebooks` sets up: "
        f".venv/bin/python {' '.join(sys.argv)}"
    )

from environment import only_one
from tqdm import tqdm

Results = Mapping[str, Any]
Files = Mapping[str, "list[Sequence[object]] | str | Path"]

COMPILERS = ("g++", "clang++", "c++", "cl")
NEEDS: dict[str, Callable[[], bool]] = {
    "a C++ compiler": lambda: any(shutil.which(name) for name in (os.environ.get("CXX") or "", *COMPILERS)),
}
"""What an experiment may need beyond the course's packages, and how it is looked for."""


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


@dataclass(frozen=True)
class Experiment:
    """What makes some files of this folder, part by part.

    Attributes:
        script: the path of the script; the files are written next to it.
        text: the script's docstring, for --help.
        minutes: on one core, about.
        files: the names of all files that it makes.
        parts: returns the parts, in an order in which they can be run.
        finish: makes the content of the files of all results: rows of a CSV, text, or a path to copy.
        needs: keys of NEEDS.
    """

    script: str
    text: str
    minutes: int
    files: tuple[str, ...]
    parts: Callable[[], list[Part]]
    finish: Callable[[Results], Files]
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return Path(self.script).resolve().parent

    @property
    def kept(self) -> Path:
        """Where finished parts are, and what a part keeps for the next one."""
        return self.folder / ".parts" / Path(self.script).stem

    def main(self, arguments: list[str] | None = None) -> None:
        """Do what the command line asks for; end the process with its exit code."""
        options = self._read(sys.argv[1:] if arguments is None else arguments)
        try:
            with _ended_by_sigterm(), only_one(self._lock(), "run of this experiment"):
                sys.exit(self._run(options))
        except KeyboardInterrupt:
            done, all_parts = len(self._results()), len(self.parts())
            print(f"\nStopped: {done} of {all_parts} parts are kept. To go on, repeat: {self._command()}")
            sys.exit(130)
        except Exception as error:
            if not isinstance(error, OSError):
                traceback.print_exc()
                sys.exit(
                    f"A part failed (see above); the finished ones are kept. Then repeat: {self._command()}"
                )
            sys.exit(
                f"{error.filename or self.folder}: {error.strerror}. Mend that and repeat: {self._command()}"
            )

    def _read(self, arguments: list[str]) -> argparse.Namespace:
        parser = argparse.ArgumentParser(
            prog=self._command(),
            description=f"{self.text.strip()}\n\nMakes: {', '.join(self.files)}.\n{self.terms()}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("names", nargs="*", help="only parts whose names begin so; without it, all")
        parser.add_argument("--force", action="store_true", help="make everything again")
        parser.add_argument(
            "--processes", type=int, default=1, metavar="N", help="parts at once (default: 1)"
        )
        parser.add_argument("--parts", action="store_true", help="list the parts, and which are done")
        options = parser.parse_args(arguments)
        if options.processes < 1:
            parser.error(f"--processes needs 1 or more, got {options.processes}")
        names = [part.name for part in self.parts()]
        for start in options.names:
            if not any(name.startswith(start) for name in names):
                parser.error(f"no part begins with {start!r}; --parts lists them")
        return options

    def terms(self) -> str:
        """Return how long it takes and what it needs, as --help and the README say it."""
        needs = f"; needs {' and '.join(self.needs)}" if self.needs else ""
        return f"About {self.minutes} CPU-minutes on one core{needs}."

    def _run(self, options: argparse.Namespace) -> int:
        parts = self.parts()
        if options.force:
            shutil.rmtree(self.kept, ignore_errors=True)
        results = self._results()
        if options.parts:
            print("\n".join(f"{'done' if part.name in results else '-   '}  {part.name}" for part in parts))
            return 0
        complete = all((self.folder / name).exists() for name in self.files)
        if complete and not options.force and not results:
            terms = self.terms()[:-1].replace("About", "about")
            print(
                f"Nothing to do: its files are there ({', '.join(self.files)}). --force makes them again "
                f"({terms}); the old ones stand until the new ones are complete."
            )
            return 0
        for need in self.needs:
            if not NEEDS[need]():
                print(f"{self._command()} needs {need}, and there is none; install one and repeat.")
                return 1
        self.kept.mkdir(parents=True, exist_ok=True)
        (self.kept / "script").write_text(self._digest())
        wanted = tuple(options.names)
        chosen = [part for part in parts if part.name.startswith(wanted) or not wanted]
        self._make(chosen, results, options.processes)
        missing = len(parts) - len(results)
        if missing:
            print(f"{missing} parts are missing still. To make them: {self._command()}")
            return 0
        self._write(self.finish(results))
        shutil.rmtree(self.kept)
        print(f"Written: {', '.join(self.files)}")
        return 0

    def _make(self, chosen: list[Part], results: dict[str, Any], processes: int) -> None:
        """Make the chosen parts that are missing, as soon as those before them are there."""
        waiting = [part for part in chosen if part.name not in results]
        hidden = None if sys.stdout.isatty() else True
        with tqdm(total=len(chosen), initial=len(chosen) - len(waiting), disable=hidden, unit="part") as bar:
            while waiting:
                ready = [part for part in waiting if all(name in results for name in part.after)]
                if not ready:
                    raise SystemExit(f"{waiting[0].name} comes after parts that are not made; make all")
                for name, result in _results_of(
                    ready if processes > 1 else ready[:1], results, processes, bar
                ):
                    results[name] = result
                    self._keep(name, result)
                    bar.update()
                    if hidden:
                        print(f"{name}: done", flush=True)
                waiting = [part for part in waiting if part.name not in results]

    def _results(self) -> dict[str, Any]:
        """Return the results of the finished parts; those of another version of the script are laid aside."""
        mark = self.kept / "script"
        if mark.exists() and mark.read_text() != self._digest():
            aside = self.kept.with_name(f"{self.kept.name}-{mark.read_text()}")
            shutil.rmtree(aside, ignore_errors=True)
            self.kept.rename(aside)
            print(f"The script has changed: parts of another version were laid aside, in {aside}")
        found = {}
        for part in self.parts():
            path = self._path(part.name)
            if path.exists():
                found[part.name] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def _path(self, name: str) -> Path:
        return self.kept / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"

    def _keep(self, name: str, result: Any) -> None:
        path = self._path(name)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(result), encoding="utf-8")
        part.replace(path)

    def _write(self, files: Files) -> None:
        """Write all files beside the old ones, then put each in its place."""
        if set(files) != set(self.files):
            raise ValueError(f"finish made {sorted(files)}, files says {sorted(self.files)}")
        for name, content in files.items():
            temporary = self.folder / f"{name}.part"
            if isinstance(content, Path):
                shutil.copy(content, temporary)
            else:
                text = content if isinstance(content, str) else _csv(content)
                temporary.write_text(text, encoding="utf-8", newline="\n")
        for name in files:
            (self.folder / f"{name}.part").replace(self.folder / name)

    def _digest(self) -> str:
        return hashlib.sha256(Path(self.script).read_bytes()).hexdigest()[:12]

    def _lock(self) -> Path:
        path = self.folder / ".parts" / f"{self.kept.name}.lock"
        path.parent.mkdir(exist_ok=True)
        return path

    def _command(self) -> str:
        path = Path(self.script).resolve()
        return f"python {path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path}"


def _results_of(parts: list[Part], results: Results, processes: int, bar: tqdm) -> Iterator[tuple[str, Any]]:
    """Yield the name and the result of each part, in whatever order they come."""
    calls = [(part, {name: results[name] for name in part.after}) for part in parts]
    if processes == 1 or len(calls) == 1:
        _use_one_thread()
        for part, done in calls:
            bar.set_description(part.name)
            yield _call((part, done))
        return
    bar.set_description(f"{len(calls)} parts")
    with multiprocessing.get_context("spawn").Pool(processes, _begin_worker) as pool:
        yield from pool.imap_unordered(_call, calls)  # leaving it by an exception ends the workers


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _use_one_thread()


def _use_one_thread() -> None:
    """Let torch, if the experiment uses it, run on one core: small networks are slower on two."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _call(call: tuple[Part, Results]) -> tuple[str, Any]:
    part, done = call
    return part.name, part.make(*part.arguments, **({"done": done} if part.after else {}))


def _csv(rows: list[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def table(rows: list[dict[str, object]]) -> list[Sequence[object]]:
    """Return dictionaries with the same keys as a header and rows."""
    return [list(rows[0]), *(list(row.values()) for row in rows)]


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
