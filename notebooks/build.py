"""Build the notebooks from their sources: `python notebooks/build.py [NN ...] [--check] [--force]`.

`python notebooks/build.py --new NN "Title"` lays out a new lesson and builds it.

    notebooks/source/NN_name.py  ->  notebooks/NN_name.ipynb            the student's, with stubs
                                     notebooks/solutions/NN_name.ipynb  the solved one

Both are executed and committed with their outputs. The way is one-way and deterministic: the same source on
the same versions gives the same bytes. A notebook is rebuilt when its cells differ from the source; after a
change elsewhere that alters a picture, `--force` it. `--check` runs nothing: it says what is out of date.
"""

import argparse
import copy
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
from cells import NAME, BuildError, ExerciseText, compose, find_exercises, place
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from new_lesson import lay_out, lesson_faults

ROOT = Path(__file__).resolve().parent
SECONDS_ALLOWED, SECONDS_TO_WARN = 60.0, 45.0
CELL_SECONDS = 120  # then the kernel hangs
BYTES_ALLOWED = 1_500_000
ANSI = re.compile(r"\x1b\[[0-9;]*m")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def sources(root: Path = ROOT, lessons: list[str] | None = None) -> list[Path]:
    """Return the sources below `root`, or only those whose name starts with one of `lessons`.

    Raises:
        BuildError: if one of `lessons` has no source.
    """
    found = sorted((root / "source").glob("*.py"))
    if not lessons:
        return found
    for lesson in lessons:
        if not any(path.stem.startswith(lesson) for path in found):
            raise BuildError(f"no source starts with {lesson!r}: {', '.join(path.stem for path in found)}")
    return [path for path in found if path.stem.startswith(tuple(lessons))]


def targets(
    source: Path, exercises: Mapping[str, ExerciseText] | None = None
) -> Iterator[tuple[Path, NotebookNode]]:
    """Yield the path and the composed (unexecuted) notebook: the student's, then the solved one."""
    exercises = find_exercises(source) if exercises is None else exercises
    root = source.parent.parent
    yield root / f"{source.stem}.ipynb", compose(source, exercises, solved=False)
    yield root / "solutions" / f"{source.stem}.ipynb", compose(source, exercises, solved=True)


def differences(path: Path, composed: NotebookNode) -> list[str]:
    """Return in what the notebook stored at `path` is not `composed`, executed; empty if in nothing."""
    label = f"{path.parent.name}/{path.name}"
    if not path.exists():
        return [f"{label}: missing"]
    stored = nbformat.read(path, as_version=4)
    if stored.metadata != composed.metadata:
        return [f"{label}: notebook metadata differ from the source"]
    if len(stored.cells) != len(composed.cells):
        return [f"{label}: {len(stored.cells)} cells, the source has {len(composed.cells)}"]
    found, count = [], 0
    for i, (have, want) in enumerate(zip(stored.cells, composed.cells, strict=True)):
        found += [
            f"{label}: cell {i}: {key} differs from the source"
            for key in ("cell_type", "source", "metadata", "id")
            if have[key] != want[key]
        ]
        if have.cell_type == "code":
            count += 1
            if have.execution_count != count:
                found.append(f"{label}: cell {i}: execution count {have.execution_count}, expected {count}")
            found += [f"{label}: cell {i}: {fault}" for fault in faults(have)]
    return found


def faults(cell: NotebookNode) -> Iterator[str]:
    """Yield what is wrong with an executed cell's outputs: an error that no tag allows, or text on stderr."""
    for output in cell.outputs:
        if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
            yield f"raised {output.ename}: {output.evalue}"
        if output.output_type == "stream" and output.name == "stderr":
            yield f"wrote to stderr: {output.text.strip()[:300]}"


def kernel_environment(progress: Path) -> dict[str, str]:
    """Return the environment in which notebooks run the same everywhere, with `progress` for their log.

    No setting of the course, of pytest or of matplotlib's backend gets through, and there is one thread.
    """
    foreign = ("MLEARN_", "PYTEST_", "MPLBACKEND")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return kept | {"MLEARN_PROGRESS": str(progress), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def execute(composed: NotebookNode, path: Path, source: Path) -> float:
    """Run `composed`, made of `source`, in place, in the folder of `path`; return the seconds it took.

    The kernel sees an empty progress log of its own, one thread, and no choice of device.

    Raises:
        BuildError: if a cell raises, writes to stderr or runs too long, or the kernel dies.
    """
    label = f"{path.parent.name}/{path.name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        client = NotebookClient(
            composed,
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            store_widget_state=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # its warnings are not the author's
        )
        try:
            client.execute(env=kernel_environment(Path(scratch, "progress.jsonl")))
        except (CellTimeoutError, DeadKernelError) as error:
            raise BuildError(f"{label}: {error}") from None
        except CellExecutionError as error:
            trace = ANSI.sub("", error.traceback)  # the cell is named below
        else:
            trace = ""
    seconds = time.perf_counter() - started
    for i, cell in enumerate(composed.cells):
        for fault in faults(cell) if cell.cell_type == "code" else ():
            raise BuildError(f"{label}: {source.name}: {place(source, i)}: {fault}\n{trace}".rstrip())
    if seconds > SECONDS_ALLOWED:
        raise BuildError(f"{label}: took {seconds:.0f} s, allowed are {SECONDS_ALLOWED:.0f} s")
    return seconds


def settle(executed: NotebookNode, composed: NotebookNode) -> None:
    """Take from `executed`, in place, what differs from run to run or machine to machine.

    The live widget's view goes too: its model dies with the kernel, so a reopened notebook would show
    "model not found" where the picture (or text) stored beside the view now stands.
    """
    executed.metadata = composed.metadata
    for cell, want in zip(executed.cells, composed.cells, strict=True):
        cell.metadata = want.metadata
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", []):
            if "data" in output:
                output.data.pop(WIDGET_VIEW, None)
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]  # frames name the machine's paths


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return the outputs with neighbouring pieces of one stream put together; how it was cut is chance."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if kept and output.output_type == "stream" and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def write(path: Path, notebook: NotebookNode) -> None:
    """Write `notebook` to `path`, or refuse one that is too large or tells where it was built.

    Raises:
        BuildError: if it is over the size limit or holds a path of this machine.
    """
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n"
    if len(text.encode()) > BYTES_ALLOWED:
        raise BuildError(f"{path.name}: {len(text.encode()):,} bytes, allowed are {BYTES_ALLOWED:,}")
    for folder in (str(path.resolve().parent.parent), str(Path.home()), tempfile.gettempdir()):
        if len(folder) > 1 and f"{folder}{os.sep}" in text:
            raise BuildError(f"{path.name}: an output holds a path of this machine, below {folder}")
    temporary = path.with_suffix(".ipynb.part")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def build(
    source: Path, exercises: Mapping[str, ExerciseText] | None = None, *, force: bool = False
) -> list[tuple[Path, float]]:
    """Build the notebooks of `source` that are out of date (or all, by `force`).

    Returns:
        The path and the seconds of each notebook that was executed.

    Raises:
        BuildError: if the source or a run of it is not as it must be; the stored notebook is then untouched.
    """
    built = []
    if exercises is None and (missing := lesson_faults(ROOT.parent, source)):
        raise BuildError("\n".join(missing))
    for path, composed in targets(source, exercises):
        if not force and not differences(path, composed):
            continue
        executed = copy.deepcopy(composed)
        seconds = execute(executed, path, source)
        settle(executed, composed)
        write(path, executed)
        built.append((path, seconds))
    return built


def check(root: Path = ROOT, lessons: list[str] | None = None) -> list[str]:
    """Return everything in which the stored notebooks below `root` are out of date, without running one.

    Without a folder of solutions, as a teacher hands the course out, it looks at the students' alone.
    """
    found = []
    for source in sources(root, lessons):
        found += lesson_faults(ROOT.parent, source) if root == ROOT else []
        try:
            for path, composed in targets(source):
                if path.parent.exists():
                    found += differences(path, composed)
        except BuildError as error:
            found.append(str(error))
    known = {source.stem for source in sources(root)}
    for path in sorted([*root.glob("*.ipynb"), *root.glob("solutions/*.ipynb")]):
        if NAME.fullmatch(path.stem) and path.stem not in known:
            found.append(f"{path.parent.name}/{path.name}: has no source")
    return found


def main(arguments: list[str]) -> int:
    """Build or check what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("lessons", nargs="*", metavar="NN", help="only these lessons, such as 04")
    parser.add_argument("--check", action="store_true", help="run nothing; say what is out of date")
    parser.add_argument("--force", action="store_true", help="execute also what is up to date")
    parser.add_argument("--new", nargs=2, metavar=("NN", "TITLE"), help="lay out a new lesson that runs")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            if not (ROOT / "solutions").exists():
                print("notebooks/solutions is not there, so only the students' notebooks are looked at")
            return _report(check(ROOT, options.lessons))
        if options.new:
            for path in lay_out(ROOT.parent, *options.new):
                print(f"made     {path.relative_to(ROOT.parent)}", flush=True)
            _build_all([options.new[0]], force=True)
            _build_all(["00"], force=True)  # its map of the course shows the new lesson
        else:
            _build_all(options.lessons, force=options.force)
    except BuildError as error:
        print(f"build failed: {error}", file=sys.stderr)
        return 1
    return 0


def _build_all(lessons: list[str], *, force: bool) -> None:
    for source in sources(ROOT, lessons):
        built = build(source, force=force)
        for path, seconds in built:
            slow = "  SLOW" if seconds > SECONDS_TO_WARN else ""
            print(f"{seconds:5.1f} s  {path.relative_to(ROOT)}{slow}", flush=True)
        if not built:
            print(f"up to date  {source.stem} (--force executes it again)", flush=True)


def _report(found: list[str]) -> int:
    if not found:
        print("the notebooks are what their sources say")
        return 0
    print("\n".join(found), file=sys.stderr)
    print(f"{len(found)} difference(s); build with: python notebooks/build.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
