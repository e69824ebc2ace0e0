"""`python3 tests`: set up this checkout and run every check; exit non-zero if one failed.

`python3 tests ARGUMENTS` hands the arguments to pytest alone: `python3 tests tests/meta -k maml`.
Options:
    --cpu, --cuda   which build of PyTorch to install; without either, the one that fits this machine
    --no-install    use the Python that runs this, as it is
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "notebooks"))

from environment import ROOT, home_environment, prepare, require_packages
from opening import read_choices

# Two workers are what a small machine carries; tests/conftest.py says what they share.
PARTS = (
    ("ruff check", "ruff check ."),
    ("ruff format", "ruff format --check ."),
    ("pyright", "pyright"),
    ("notebooks up to date", "notebooks/build.py --check"),
    ("web edition", "docs/build_site.py"),
    ("pytest", "pytest -n 2 --dist worksteal --durations 12"),
)


def run(python: str, command: "list[str]") -> int:
    """Run a module or a script of this checkout, one thread a process; return its exit code."""
    start = [python] if command[0].endswith(".py") else [python, "-m"]
    return subprocess.call(start + command, cwd=str(ROOT), env=dict(os.environ, OMP_NUM_THREADS="1"))


def run_all(python: str) -> int:
    """Run every part, also after one failed, and close with a line for each."""
    lines, failed = [], []
    for name, command in PARTS:
        print(f"\n== {name}: {command}", flush=True)
        started = time.time()
        code = run(python, command.split())
        lines.append(f"{'ok    ' if code == 0 else 'FAILED'} {time.time() - started:6.1f} s  {name}")
        failed += [name] if code else []
    print("\n" + "\n".join(lines))
    print("failed: " + ", ".join(failed) if failed else "everything passed", flush=True)
    return 1 if failed else 0


def run_checks(arguments: "list[str]") -> int:
    """Set up, then run what the arguments ask for; return the exit code."""
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return 0
    choices = read_choices(arguments)
    if choices.install:
        python = prepare(again="python3 tests", build=choices.build)
    else:
        require_packages("tests")
        python = sys.executable
    os.environ.update(home_environment(ROOT / ".venv-home"))
    return run(python, ["pytest", *choices.rest]) if choices.rest else run_all(python)


def main(arguments: "list[str]") -> None:
    """Run the command and end with its exit code."""
    try:
        sys.exit(run_checks(arguments))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
