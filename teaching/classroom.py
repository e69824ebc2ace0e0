"""`python3 teaching COMMAND`: the commands of a class, their options, and the set-up that they share.

A command is a module of this folder with `main(options) -> int`. The line is read here, before anything is
set up, so that `--help` and a wrong option answer at once. Standard library only, and no syntax that Python
3.6 cannot read.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "notebooks"))

from environment import CPU, REGISTRY, ROOT, home_environment, prepare, require_packages

DESCRIPTION = (
    "Teach with the course: hand lessons out, collect them, grade them, see what students got wrong."
)
EPILOG = "The guide for teachers is docs/teaching/index.md. Each command has a --help of its own."


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; the name of the command is in `command`."""
    whole = argparse.ArgumentParser("python3 teaching", description=DESCRIPTION, epilog=EPILOG)
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True  # the argument of this name is newer than Python 3.6

    def command(name: str, what: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=what, description=what)
        which = added.add_mutually_exclusive_group()
        which.add_argument(
            "--no-install", action="store_true", help="use the Python that runs this, as it is"
        )
        which.add_argument("--cpu", action="store_true", help="set up with PyTorch's CPU build")
        which.add_argument("--cuda", action="store_true", help="set up with PyTorch's build for CUDA")
        return added

    def lessons(added: argparse.ArgumentParser) -> None:
        help = "numbers of lessons, such as 04 05; all lessons without it"
        added.add_argument("--lessons", nargs="+", metavar="NN", type=_number, default=[], help=help)

    def out(added: argparse.ArgumentParser, what: str) -> None:
        added.add_argument("--out", type=Path, required=True, help=what)

    added = command("handout", "Make what students get: an archive of lessons, package and set-up, unsolved.")
    lessons(added)
    out(added, "the folder for the archive; it is made if need be")

    added = command("grade", "Grade submitted notebooks: a table of scores, and a page for every student.")
    added.add_argument("submissions", type=Path, help="a folder of notebooks (or archives), or one archive")
    out(added, "the folder for grades.csv and the pages; it is made if need be")
    added.add_argument("--seconds", type=_positive, default=20.0, help="allowed per exercise (20)")
    added.add_argument("--memory", type=_positive, default=2000.0, help="MB allowed per exercise (2000)")
    added.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="submissions at a time")

    added = command("table", "Put exports of progress into a table, a picture and a list of mistakes.")
    added.add_argument("exports", type=Path, help="the folder (or .zip) of the files that students exported")
    out(added, "the folder for what is made; it is made if need be")

    added = command("slides", "Make a deck of slides of each lesson that works offline.")
    lessons(added)
    out(added, "the folder for the decks; it is made if need be")

    added = command("hub", "Write the configuration of a JupyterHub for one Linux machine.")
    lessons(added)
    out(added, "the folder for the configuration and the students' files; it is made if need be")
    help = "a text file of the students' names, one a line; without it any name may log in"
    added.add_argument("--names", type=Path, metavar="FILE", help=help)
    help = "an unpacked hand-out to serve; without it this folder is served, references and all"
    added.add_argument("--course", type=Path, metavar="FOLDER", help=help)
    added.add_argument("--port", type=_port, default=8000, help="where students find the hub (8000)")
    help = "minutes after which an idle kernel, or a server without kernels, ends (60)"
    added.add_argument("--idle", type=_positive, default=60.0, metavar="MINUTES", help=help)

    added = command("nbgrader", "Lay out a course for nbgrader, where a school has it.")
    lessons(added)
    out(added, "the folder of nbgrader's course; it is made if need be")
    return whole


def run(arguments: "list[str]") -> int:
    """Read the line, set up, run the command; return its exit code."""
    options = parser().parse_args(arguments)
    if options.no_install:
        require_packages("notebooks")
        python = sys.executable
    else:
        python = prepare(
            again="python3 teaching " + " ".join(arguments),
            build=CPU if options.cpu else REGISTRY if options.cuda else "",
        )
    variables = dict(os.environ, OMP_NUM_THREADS="1", **home_environment(ROOT / ".venv-home"))
    return subprocess.call([python, str(Path(__file__).resolve()), *arguments], env=variables)


def run_here(arguments: "list[str]") -> int:
    """Run a command in this Python, which has the course's packages; return the exit code."""
    options = parser().parse_args(arguments)
    command: str = options.command
    module = __import__("for_nbgrader" if command == "nbgrader" else command)
    try:
        return module.main(options)
    except OSError as error:
        raise SystemExit(f"{error.filename or options.command}: {error.strerror or error}") from None


def main(arguments: "list[str]") -> None:
    """Run the command and end with its exit code."""
    try:
        sys.exit(run(arguments))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")


def _number(text: str) -> str:
    if not re.fullmatch(r"\d\d", text):
        raise argparse.ArgumentTypeError(f"a lesson's number has two digits, such as 04, got {text!r}")
    return text


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"a number > 0 is expected, got {text!r}")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1024 <= int(text) < 65000):
        raise argparse.ArgumentTypeError(f"a port from 1024 to 64999 is expected, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(run_here(sys.argv[1:]))
