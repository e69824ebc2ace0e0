"""The table of a run, its targets and its JSON: what was measured, with which versions, on which machine."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tests.benchmarks import peers
from tests.benchmarks.side_by_side import Options, Result, Row, rounded

ROOT = Path(__file__).resolve().parents[2]
HEAD = "| row | side | median | base / this (quartiles) | differs by | |\n|---|---|--:|--:|--:|---|"


def machine(options: Options) -> dict[str, Any]:
    """Return what the numbers depend on beside the code."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit or "unknown",
        "python": platform.python_version(),
        "system": platform.system(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": rounded(os.getloadavg()[0]) if hasattr(os, "getloadavg") else None,
        "clock": "processor" if options.device == "cpu" else "wall",
    }
    gpu = {} if options.device == "cpu" else {"gpu": torch.cuda.get_device_name()}
    return facts | gpu | {"versions": peers.versions()}


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def slug(facts: Mapping[str, Any]) -> str:
    """Return the name of the files that a run on this machine is stored in."""
    return re.sub(r"[^a-z0-9]+", "_", facts.get("gpu", "cpu").lower()).strip("_")


def opening(facts: Mapping[str, Any]) -> str:
    """Return the words above the table, and its head."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    where = facts.get("gpu") or f"{facts['cpu']}, {facts['cores']} cores"
    return (
        f"# {where}, {facts['date']}, commit {facts['commit']}\n\n"
        f"Sides of a row took turns in one process on {facts['threads']} thread; times are of the "
        f"{facts['clock']}. Python {facts['python']}, {versions}; load {facts['load']}.\n\n{HEAD}"
    )


def lines(row: Row, result: Result) -> str:
    """Return the lines of a row: what it is, then every side."""
    compared = f"; base: {result.base}" if result.base in result.values else ""
    told = [f"| **{row.name}** | {row.about}{compared} | {result.unit} | | | |"]
    for name, values in result.values.items():
        ratio = ""
        if compared and name != result.base:
            ratio = "{:.3g} ({:.3g} to {:.3g})".format(*result.ratio(result.base, name))
        far = f"{result.differences[name]:.0e}" if name in result.differences else ""
        note = result.notes.get(name, "")
        if name in result.wrong:
            note = f"**WRONG: may differ by {result.limit:g}** {note}"
        told.append(f"| | {name} | {median(values):.4g} | {ratio} | {far} | {note} |")
    return "\n".join(told + [f"| | {name} | | | | {why} |" for name, why in result.missing.items()])


def target_lines(judged: list[dict[str, Any]]) -> str:
    """Return the table of targets."""
    told = ["\n## Targets\n\n| what | must be | measured | |\n|---|--:|--:|---|"]
    for each in judged:
        verdict = {True: "reached", False: "**not reached**", None: ""}[each["reached"]]
        measured = "" if each["measured"] is None else f"{each['measured']:.3g}"
        told.append(f"| {each['what']} | {each['bound']} | {measured} | {verdict} {each.get('why', '')} |")
    return "\n".join(told)
