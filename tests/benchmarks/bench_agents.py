"""One iteration of each agent of meta-reinforcement learning, against the code of an earlier commit.

Both versions train side by side, each in a process of its own, which is asked for a few iterations at a time.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.side_by_side import Options, Result, Row, Side, compare

ROOT = Path(__file__).resolve().parents[2]
BEFORE = "f4f8ce0"
"""The commit before the agents were made faster (2026-11-28)."""

NOW, THEN = "now", f"commit {BEFORE}"


class Child:
    """An agent in another process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, seed: int, iterations: int) -> Any:
        """Train on for some iterations and return the seconds; for 0 return the returns on new tasks."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([seed, iterations]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the process of an agent ended early")
        return json.loads(line)


@contextmanager
def child(kind: str, tree: Path, device: str = "cpu") -> Iterator[Child]:
    """Start an agent of the package in a folder."""
    command = [sys.executable, str(Path(__file__).with_name("agent_child.py")), kind, device]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        yield Child(process)
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def earlier() -> Iterator[Path | None]:
    """Put the package of the earlier commit into a folder; None where git does not have it."""
    archive = subprocess.run(
        ["git", "archive", BEFORE, "mlearn_utils", "data/README.md"], cwd=ROOT, capture_output=True
    )
    if archive.returncode:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as members:
            members.extractall(folder, filter="data")
        yield Path(folder)


def in_turn(agent: Child, seeds: int, turns: int, iterations: int) -> Side:
    """Return milliseconds of an iteration; after its `turns` a seed is trained, and the next one begins."""
    orders = iter([seed for seed in range(seeds) for _ in range(turns)])
    return lambda: 1e3 * agent.ask(next(orders), iterations) / iterations


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Return how far two means [seeds, tasks] are apart, in sums of their half intervals (95 %)."""

    def half(values: np.ndarray) -> float:
        means = values.mean(axis=1) if len(values) > 2 else values.ravel()
        return float(1.96 * means.std(ddof=1) / len(means) ** 0.5)

    return float(abs(a.mean() - b.mean()) / (half(a) + half(b)))


def against_before(kind: str, iterations: int, seeds: int, options: Options) -> Result:
    """Time turns of some iterations; the returns that both end at must be within their intervals."""
    turns, seeds = options.rounds + 1, 1 if options.quick else seeds
    with ExitStack() as stack:
        tree = stack.enter_context(earlier())
        agents = {NOW: stack.enter_context(child(kind, ROOT))}
        if tree is not None:
            agents = {THEN: stack.enter_context(child(kind, tree))} | agents
        sides: dict[str, Side | None] = {
            name: in_turn(agent, seeds, turns, iterations) for name, agent in agents.items()
        }
        if tree is None:
            sides[THEN] = None
        measured = Options(options.quick, options.device, seeds * turns)
        result = compare(sides, measured, THEN, limit=1.0)
        returns = {
            name: np.array([agent.ask(seed, 0) for seed in range(seeds)]) for name, agent in agents.items()
        }
    for name, values in returns.items():
        seconds = sum(result.values[name]) * iterations / 1e3 / seeds
        result.notes[name] = (
            f"{seconds:.1f} s for {turns * iterations} iterations; then {values.mean():.1f} a task"
        )
    if tree is not None:
        result.differences[NOW] = apart(returns[NOW], returns[THEN])
    return result


def on_devices(kind: str, iterations: int, options: Options) -> Result:
    """Time iterations on the CPU and on the GPU, by the clock on the wall."""
    with ExitStack() as stack:
        sides: dict[str, Side | None] = {}
        for device in ("cpu", options.device):
            agent = stack.enter_context(child(kind, ROOT, device))
            agent.ask(0, 2)
            sides[device] = in_turn(agent, 1, options.rounds, iterations)
        return compare(sides, options, "cpu")


def rows() -> list[Row]:
    """Return the rows of the agents."""
    return [
        Row("agent_maml", "an iteration of MAMLAgent on dirv", partial(against_before, "MAMLAgent", 6, 3)),
        Row(
            "agent_memory",
            "an update of MemoryAgent on dirv",
            partial(against_before, "MemoryAgent", 2, 1),
            long=True,
        ),
        *(
            Row(
                f"{kind}_cuda",
                f"an iteration of {kind} on dirv",
                partial(on_devices, kind, 2),
                devices=("cuda",),
            )
            for kind in ("MAMLAgent", "MemoryAgent")
        ),
    ]
