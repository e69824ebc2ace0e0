"""`python3 tests`: set up this folder and see whether its lessons run as they should; non-zero if not.

`python3 tests ARGUMENTS` hands more arguments to pytest: `python3 tests -k 04`. Options:
    --cpu, --cuda   which build of PyTorch to install; without either, the one that fits this machine
    --no-install    use the Python that runs this, as it is
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "notebooks"))

from environment import ROOT, home_environment, prepare, require_packages
from opening import read_choices

PYTEST = (
    "pytest -n 2 --dist loadfile -p no:cacheprovider --nbval --nbval-current-env --nbval-cell-timeout=180 "
    "--nbval-sanitize-with=tests/nbval.cfg tests notebooks"
)


def run_checks(arguments: "list[str]") -> int:
    """Set up, then run every notebook and look at every exercise; return the exit code."""
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return 0
    choices = read_choices(arguments)
    if choices.install:
        python = prepare(again="python3 tests", build=choices.build)
    else:
        require_packages("tests")
        python = sys.executable
    with tempfile.TemporaryDirectory() as scratch:
        variables = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        variables.update(home_environment(ROOT / ".venv-home"), OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT))
        variables["MLEARN_PROGRESS"] = str(Path(scratch) / "progress.jsonl")  # not the reader's own
        command = [python, "-m", *PYTEST.split(), *choices.rest]
        return subprocess.call(command, cwd=str(ROOT), env=variables)


def main(arguments: "list[str]") -> None:
    """Run the command and end with its exit code."""
    try:
        sys.exit(run_checks(arguments))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
