"""What `python tests/benchmarks` does: choose rows, measure them one after the other, print, store, judge."""

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from mlearn_utils.runtime import pick_device
from tests.benchmarks import (
    bench_agents,
    bench_cartpole,
    bench_course,
    bench_maml,
    bench_memory,
    bench_q_learning,
    bench_ranks,
)
from tests.benchmarks.report import ROOT, lines, machine, opening, slug, target_lines
from tests.benchmarks.side_by_side import Options, Row
from tests.benchmarks.targets import TARGETS

MODULES = (
    bench_maml,
    bench_memory,
    bench_ranks,
    bench_cartpole,
    bench_q_learning,
    bench_agents,
    bench_course,
)


FOLDER = ROOT / "data" / "benchmarks"


def all_rows() -> list[Row]:
    """Return every row there is."""
    return [row for module in MODULES for row in module.rows()]


def choose(rows: Iterable[Row], only: Sequence[str], options: Options) -> list[Row]:
    """Return the rows to measure: those whose names begin with one of `only`, else all that cost seconds.

    Raises:
        ValueError: if nothing begins so, or cannot be measured on that device.
    """
    here = [row for row in rows if options.device in row.devices]
    if not only:
        return [row for row in here if not row.by_name and not (options.quick and row.long)]
    for name in only:
        if not any(row.name.startswith(name) for row in here):
            raise ValueError(f"--only: no row on {options.device} begins with {name!r}; --list shows them")
    return [row for row in here if row.name.startswith(tuple(only))]


def run(rows: Iterable[Row], options: Options, say: Callable[[str], None]) -> tuple[dict[str, Any], bool]:
    """Measure and print; return what goes into the JSON file, and whether all sides agreed.

    A row that fails is said to have failed, and the others are measured all the same.
    """
    facts, results, stored, failed = machine(options), {}, {}, {}
    say(opening(facts))
    for row in rows:
        begin = time.perf_counter()
        try:
            result = row.measure(options)
        except KeyboardInterrupt:  # what is measured is kept
            failed[row.name] = "interrupted"
            say(f"| **{row.name}** | interrupted | | | | |")
            break
        except Exception as error:
            traceback.print_exc()
            failed[row.name] = f"{type(error).__name__}: {error}"
            say(f"| **{row.name}** | {row.about} | | | | **FAILED: {failed[row.name]}** |")
            continue
        results[row.name] = result
        stored[row.name] = {
            "about": row.about,
            "seconds": round(time.perf_counter() - begin),
        } | result.as_json()
        say(lines(row, result))
    judged = [target.judge(results) for target in TARGETS if target.row in results]
    if judged:
        say(target_lines(judged))
    agreed = not failed and not any(result.wrong for result in results.values())
    return {
        "machine": facts,
        "quick": options.quick,
        "rows": stored,
        "failed": failed,
        "targets": judged,
    }, agreed


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say; return 1 if a row failed or its sides differ."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="rows whose names begin so")
    parser.add_argument("--quick", action="store_true", help="two or three minutes: no long rows")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="rows of the GPU: cuda")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there")
    parser.add_argument("--store", action="store_true", help="write table and JSON to data/benchmarks")
    parser.add_argument("--list", action="store_true", help="name the rows, and measure none")
    given = parser.parse_args(arguments)
    if given.list:
        for row in all_rows():
            notes = [
                *(["by name only"] if row.by_name else []),
                *(["--device cuda"] if "cpu" not in row.devices else []),
            ]
            print(f"{row.name:22} {row.about}{' (' + ', '.join(notes) + ')' if notes else ''}")
        return 0
    try:
        pick_device(given.device)
        options = Options(given.quick, given.device)
        rows = choose(all_rows(), given.only, options)
        if given.json is not None and not given.json.parent.is_dir():
            raise ValueError(f"--json: the folder {given.json.parent} does not exist")
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of the peers
    said: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        said.append(text)

    stored, agreed = run(rows, options, say)
    text = json.dumps(stored) + "\n"
    if given.json is not None:
        given.json.write_text(text, encoding="utf-8")
    if given.store:
        where = FOLDER / slug(stored["machine"])
        where.with_suffix(".json").write_text(text, encoding="utf-8")
        where.with_suffix(".md").write_text("\n".join(said) + "\n", encoding="utf-8")
    if not agreed:
        print("\nA row failed, or its sides compute different things.", file=sys.stderr)
    return 0 if agreed else 1
