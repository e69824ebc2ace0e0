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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "notebooks"))

from environment import ROOT, home_environment, prepare, require_packages
from opening import read_choices

# Two workers are what a small machine carries; three took longer on two cores. tests/conftest.py says what
# they share.
PARTS = (
    ("ruff check", "ruff check ."),
    ("ruff format", "ruff format --check ."),
    ("web edition", "docs/build_site.py"),
    ("pytest", "pytest -n 2 --dist worksteal --durations 12"),
)

BESIDE = ("pyright", "pyright")
"""What runs beside the others, up to the last: it uses one core only."""


def run(python: str, command: "list[str]") -> int:
    """Run a module or a script of this checkout, one thread a process; return its exit code."""
    start = [python] if command[0].endswith(".py") else [python, "-m"]
    return subprocess.call(start + command, cwd=str(ROOT), env=dict(os.environ, OMP_NUM_THREADS="1"))


def run_quietly(python: str, command: str) -> "tuple[int, str, float]":
    """Run a module; return its exit code, what it said, and the seconds it took."""
    started = time.time()
    done = subprocess.run(
        [python, "-m", *command.split()],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip(), time.time() - started


def run_all(python: str) -> int:
    """Run every part, also after one failed, and close with a line for each."""
    lines, failed = [], []

    def note(name: str, code: int, seconds: float) -> None:
        lines.append(f"{'ok    ' if code == 0 else 'FAILED'} {seconds:6.1f} s  {name}")
        failed.extend([name] if code else [])

    with ThreadPoolExecutor() as pool:
        beside = pool.submit(run_quietly, python, BESIDE[1])
        for name, command in PARTS:
            if name == PARTS[-1][0]:
                code, said, seconds = beside.result()
                print(f"\n== {BESIDE[0]}: {BESIDE[1]}\n{said}", flush=True)
                note(BESIDE[0], code, seconds)
            print(f"\n== {name}: {command}", flush=True)
            started = time.time()
            note(name, run(python, command.split()), time.time() - started)
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
