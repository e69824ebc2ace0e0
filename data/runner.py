"""One runner for all experiments of this folder: a bar, parts that are kept, sentences for what goes wrong.

An experiment is a list of parts: functions of a few plain arguments that return what JSON can hold. Each
finished part is kept below `.parts/` beside its script (`parts.py`), so whatever stops a run, the same
command goes on with the next part. Once all are there, `finish` makes the files; only then do these replace
the old ones.

Scripts import this module before the course's packages: it says which of them are lacking, and makes a
sentence of a Ctrl-C while they are imported.
"""

import argparse
import csv
import importlib.util
import io
import os
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent


def _end_before_main(*_: object) -> NoReturn:
    """End at once, with a sentence: at an exception some compiled modules abort while they are imported."""
    command = shlex.join(["python", *sys.argv])
    text = f"\nStopped before it began; nothing was changed. To begin, repeat: {command}\n"
    os.write(2, text.encode())
    os._exit(130)


def _is_imported_by_script() -> bool:
    """Return whether the process was started with the script that imports this module."""
    names = (frame.f_globals["__name__"] for frame, _ in traceback.walk_stack(None))
    importers = (name for name in names if name != __name__ and "importlib" not in name)
    return next(importers, "") == "__main__"


if _is_imported_by_script() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end_before_main)

sys.path.insert(0, str(ROOT / "notebooks"))

if lacking := [
    name for name in ("torch", "tqdm", "joblib", "mlearn_utils") if importlib.util.find_spec(name) is None
]:
    raise SystemExit(
        f"This Python lacks {', '.join(lacking)}; use the one that `python3 notebooks` sets up: "
        f".venv/bin/python {' '.join(sys.argv)}"
    )

from environment import only_one
from parts import Part, Results, Store, Workers, handled, make_parts, version_of

Files = Mapping[str, "list[Sequence[object]] | str | Path"]


def _lacking_compiler() -> str:
    """Look for the C++ compiler that torch takes, and for no other: see torch._inductor.config.cpp.cxx."""
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    name = os.environ.get("CXX", usual)
    if shutil.which(name):
        return ""
    return f"torch would take {name!r}{' (from $CXX)' if 'CXX' in os.environ else ''}, which is not there"


NEEDS: dict[str, Callable[[], str]] = {"a C++ compiler": _lacking_compiler}
"""What an experiment may need beyond the course's packages; each returns what is lacking, "" for nothing."""


@dataclass(frozen=True)
class Experiment:
    """What makes some files of this folder, part by part.

    Attributes:
        script: the path of the script; the files are written next to it.
        text: the script's docstring, for --help; None under `python -OO`.
        minutes: on one core, about.
        files: the names of all files that it makes.
        parts: returns the parts, in an order in which they can be run.
        finish: makes the content of the files of all results: rows of a CSV, text, or a path to copy.
        needs: keys of NEEDS.
    """

    script: str
    text: str | None
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

    @property
    def command(self) -> str:
        """What starts it, from the root of the checkout."""
        path = Path(self.script).resolve()
        return shlex.join(
            ["python", path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)]
        )

    def terms(self) -> str:
        """Return how long it takes and what it needs, as --help and the README say it."""
        needs = f"; needs {' and '.join(self.needs)}" if self.needs else ""
        return f"About {self.minutes} CPU-minutes on one core{needs}."

    def main(self, arguments: list[str] | None = None) -> None:
        """Do what the command line asks for; end the process with its exit code."""
        sys.exit(_Run(self, self._read(sys.argv[1:] if arguments is None else arguments)).main())

    def _read(self, arguments: list[str]) -> argparse.Namespace:
        parser = argparse.ArgumentParser(
            prog=self.command,
            description=f"{(self.text or '').strip()}\n\nMakes: {', '.join(self.files)}.\n{self.terms()}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("names", nargs="*", help="only parts whose names begin so; without it, all")
        parser.add_argument("--force", action="store_true", help="make everything again")
        parser.add_argument(
            "--processes",
            type=int,
            metavar="N",
            help="parts at once (default: 1; with --scheduler as many as there are workers)",
        )
        parser.add_argument(
            "--backend",
            choices=("loky", "dask"),
            default="loky",
            help="who makes them: loky, processes on this machine (default), or dask, a cluster's workers, "
            "which need this checkout on a disk that all share, and its data folder on their PYTHONPATH",
        )
        parser.add_argument("--scheduler", metavar="ADDRESS", help="of the cluster, such as tcp://host:8786")
        parser.add_argument("--parts", action="store_true", help="list the parts, and which are done")
        options = parser.parse_args(arguments)
        if options.processes is not None and options.processes < 1:
            parser.error(f"--processes needs 1 or more, got {options.processes}")
        if (options.backend == "dask") != (options.scheduler is not None):
            parser.error("--backend dask and --scheduler ADDRESS go together")
        if options.backend == "dask" and importlib.util.find_spec("distributed") is None:
            parser.error("--backend dask needs more packages: pip install dask distributed")
        names = [part.name for part in self.parts()]
        for start in options.names:
            if not any(name.startswith(start) for name in names):
                parser.error(f"no part begins with {start!r}; --parts lists them")
        return options


class _Run:
    """One call of an experiment's command: what it was told, and how far it is."""

    def __init__(self, experiment: Experiment, options: argparse.Namespace):
        self.experiment, self.options, self.parts = experiment, options, experiment.parts()
        self.store = Store(experiment.kept, version_of(Path(experiment.script)))
        self.results: dict[str, Any] = {}
        """Those it goes on from, and those it has made."""

    def main(self) -> int | str:
        """Run; return an exit code, or the sentence to fail with."""
        try:
            if signal.getsignal(signal.SIGINT) is _end_before_main:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            if self.options.parts:
                self._list()
            else:
                with handled(signal.SIGTERM, _stop), only_one(self._lock(), "run of this experiment"):
                    self._run()
            sys.stdout.flush()
            return 0
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one is not to cut the sentence off
            kept = f"{len(self.store.results(self.parts))} of {len(self.parts)} parts are kept"
            print(f"\nStopped: {kept}. To go on, repeat: {self._again()}", file=sys.stderr)
            return 130
        except BrokenPipeError:  # whoever reads the output, such as `head`, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own last flush
            return 128 + 13  # as if ended by SIGPIPE
        except OSError as error:
            cause = (
                f"{error.filename or self.experiment.folder}: {error.strerror}" if error.strerror else error
            )
            return f"{cause}. Mend that and repeat: {self._again()}"
        except Exception:
            traceback.print_exc()
            return f"A part failed (see above); the finished ones are kept. Then repeat: {self._again()}"

    def _again(self) -> str:
        """Return the command that goes on; as long as --force has made nothing, only --force does."""
        options, words = self.options, list(self.options.names)
        if options.processes not in (None, 1):
            words += ["--processes", str(options.processes)]
        if options.scheduler is not None:
            words += ["--backend", options.backend, "--scheduler", options.scheduler]
        if options.force and not self.results:
            words += ["--force"]
        return " ".join([self.experiment.command, *map(shlex.quote, words)])

    def _list(self) -> None:
        """List the parts. This only reads, and so does not wait for a run."""
        done = self.store.results(self.parts)
        print("\n".join(f"{'done' if part.name in done else '-   '}  {part.name}" for part in self.parts))

    def _run(self) -> None:
        """Make what is missing: first all checks, then the first change."""
        experiment, options = self.experiment, self.options
        kept = {} if options.force else self.store.results(self.parts)
        complete = all((experiment.folder / name).exists() for name in experiment.files)
        if complete and not options.force and not kept:
            terms = experiment.terms()[:-1].replace("About", "about")
            print(
                f"Nothing to do: its files are there ({', '.join(experiment.files)}). --force makes them "
                f"again ({terms}); the old ones stand until the new ones are complete."
            )
            return
        wanted = tuple(options.names)
        chosen = [part for part in self.parts if part.name.startswith(wanted) or not wanted]
        self._check(chosen, kept)
        if options.force:
            self.store.clear()
        if aside := self.store.begin():
            print(
                "The script has changed, or what it imports of mlearn_utils: parts of another version were "
                f"laid aside, in {aside}"
            )
        self.results = kept
        number = options.processes or (1 if options.scheduler is None else -1)
        make_parts(chosen, self.results, self.store, Workers(number, options.backend, options.scheduler))
        if missing := len(self.parts) - len(self.results):
            print(f"{missing} parts are missing still. To make them: {experiment.command}")
            return
        self._write(experiment.finish(self.results))
        self.store.clear()
        print(f"Written: {', '.join(experiment.files)}")

    def _check(self, chosen: list[Part], kept: Results) -> None:
        """Raise SystemExit if the chosen parts cannot be made."""
        for need in self.experiment.needs:
            if lack := NEEDS[need]():
                sys.exit(f"{self.experiment.command} needs {need}, and {lack}; install one and repeat.")
        made = set(kept)
        for part in chosen:
            if not made.issuperset(part.after):
                sys.exit(f"{part.name} comes after parts that are not made; make all")
            made.add(part.name)

    def _write(self, files: Files) -> None:
        """Write all files among the parts, on the same disk, then put each in its place."""
        if set(files) != set(self.experiment.files):
            raise ValueError(f"finish made {sorted(files)}, files says {sorted(self.experiment.files)}")
        halves = {name: self.store.folder / f"{name}.part" for name in files}
        for name, content in files.items():
            if isinstance(content, Path):
                shutil.copy(content, halves[name])
            else:
                text = content if isinstance(content, str) else _csv(content)
                halves[name].write_text(text, encoding="utf-8", newline="\n")
        for name, half in halves.items():
            half.replace(self.experiment.folder / name)

    def _lock(self) -> Path:
        path = self.store.folder.with_name(f"{self.store.folder.name}.lock")
        path.parent.mkdir(exist_ok=True)
        return path


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _csv(rows: list[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def table(rows: list[dict[str, object]]) -> list[Sequence[object]]:
    """Return dictionaries with the same keys as a header and rows."""
    return [list(rows[0]), *(list(row.values()) for row in rows)]
