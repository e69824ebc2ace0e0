"""The texts of a notebook's outputs, and in which of them two runs differ: nbval's rules, without a kernel.

The student's notebooks run in the browser; what they print there is compared with what is stored, so that no
notebook has to run a third time.
"""

import configparser
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

# What nbval compares of an output, too: everything but pictures, live widgets, places and numbers of runs.
COMPARED = ("text/plain", "text/html", "image/svg+xml", "image/gif", "text/markdown", "application/json")
IGNORED = {"nbval-ignore-output", "nbval-skip"}
MENDED_BY = "if the change is wanted: python notebooks/build.py {lesson} --force"
SANITIZERS = Path(__file__).with_name("nbval.cfg")


def differences(stored: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """Return in which code cells the outputs of two runs of a notebook differ, in words; empty if in none."""
    codes = [[cell for cell in cells if cell["cell_type"] == "code"] for cells in (stored, found)]
    if len(codes[0]) != len(codes[1]):
        return [f"{len(codes[0])} code cells are stored, {len(codes[1])} were run"]
    told = []
    for k, (want, have) in enumerate(zip(*codes, strict=True)):
        if not IGNORED & set(want["metadata"].get("tags", [])):
            before, after = texts(want["outputs"]), texts(have["outputs"])
            told += [
                f"code cell {k}: {name} was {before.get(name)!r}, is {after.get(name)!r}"
                for name in sorted(before.keys() | after.keys())
                if before.get(name) != after.get(name)
            ]
    return told


def texts(outputs: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return what is compared of a cell's outputs: kind -> its texts in order, a stream's pieces as one."""
    found: dict[str, list[str]] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            so_far = found.setdefault(output["name"], [""])
            so_far[0] += _joined(output["text"])
        elif output["output_type"] == "error":
            found.setdefault("error", []).append(f"{output['ename']}: {output['evalue']}")
        else:
            for kind in COMPARED:
                if kind in output["data"]:
                    found.setdefault(kind, []).append(_joined(output["data"][kind]))
    return {kind: [_sanitized(text) for text in values] for kind, values in found.items()}


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


def _sanitized(text: str) -> str:
    for regex, replacement in _rules():
        text = re.sub(regex, replacement, text)
    return text


@cache
def _rules() -> list[tuple[str, str]]:
    rules = configparser.RawConfigParser()
    rules.read(SANITIZERS, encoding="utf-8")
    return [(rules.get(name, "regex"), rules.get(name, "replace")) for name in rules.sections()]
