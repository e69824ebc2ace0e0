"""`python3 notebooks`: set up the course in this checkout and open it in JupyterLab.

It opens your own copies of the lessons, in my_course/, and never writes over them.

Options:
    --fresh NN      set your copy of lesson NN back; the old one is kept beside it
    --cpu, --cuda   which build of PyTorch to install; without either, the one that fits this machine
    --no-install    use the Python that runs this, as it is
and every option of `jupyter lab`, such as --no-browser or --port 9999 (0: any free one).
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import working_copies
from environment import CPU, REGISTRY, ROOT, home_environment, only_one, prepare, require_packages, sentences

AGAIN = "python3 notebooks"


class Choices(NamedTuple):
    """What the command line asks for.

    Attributes:
        install: whether to set up .venv.
        build: of torch: CPU, REGISTRY, or "" for the one that fits.
        fresh: the number of a lesson to set back, or "".
        rest: options of JupyterLab.
    """

    install: bool
    build: str
    fresh: str
    rest: "list[str]"


def read_choices(arguments: "list[str]") -> Choices:
    """Return what the command line asks for.

    Raises:
        SystemExit: with a sentence, if options do not go together or a value is missing.
    """
    rest, fresh = list(arguments), ""
    given = {name: name in rest for name in ("--no-install", "--cpu", "--cuda")}
    rest = [argument for argument in rest if argument not in given]
    for k, argument in enumerate(rest):
        if argument == "--fresh" or argument.startswith("--fresh="):
            values = [argument.partition("=")[2]] if "=" in argument else rest[k + 1 : k + 2]
            if not values or not values[0]:
                raise SystemExit(f"--fresh needs the number of a lesson, for example: {AGAIN} --fresh 04")
            fresh = values[0]
            del rest[k : k + (1 if "=" in argument else 2)]
            break
    if given["--cpu"] and given["--cuda"]:
        raise SystemExit("--cpu and --cuda ask for different builds of PyTorch; give one of them")
    if given["--no-install"] and (given["--cpu"] or given["--cuda"]):
        raise SystemExit("--no-install installs nothing, so that --cpu and --cuda have no meaning beside it")
    if given["--cuda"] and sys.platform != "linux":
        raise SystemExit("--cuda: the index has a build with CUDA for Linux only; see pytorch.org for yours")
    build = CPU if given["--cpu"] else REGISTRY if given["--cuda"] else ""
    return Choices(not given["--no-install"], build, fresh, rest)


def copy_lessons(root: Path, fresh: str) -> Path:
    """Make or update the working copies, say what was done, and return the path of the first lesson's.

    Raises:
        SystemExit: with a sentence, if they cannot be written or `fresh` is no lesson's number.
    """
    folder = root / working_copies.FOLDER
    with sentences(root, AGAIN):
        folder.mkdir(exist_ok=True)
        with only_one(folder / ".lock", "start"):
            try:
                told = [working_copies.set_back(root, fresh)] if fresh else []
            except ValueError as error:
                raise SystemExit(str(error)) from None
            told += working_copies.update(root)
        print("\n".join([*told, f"Your copies of the lessons are in {folder}"]), flush=True)
        name, _ = next(iter(working_copies.lessons(root).values()))
        return folder / name


def jupyter_command(python: str, first: Path, options: "list[str]") -> "list[str]":
    """Return the command that opens the notebook `first` in JupyterLab, whose files are those beside it."""
    command = [python, "-m", "jupyterlab", f"--ServerApp.root_dir={first.parent}"]
    command.append(f"--LabApp.default_url=/lab/tree/{quote(first.name)}")  # the address that is printed
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # JupyterLab refuses to start for root without it
    return command + options


def open_course(arguments: "list[str]") -> int:
    """Set up, then become JupyterLab; return its exit code where the system can only wait for it."""
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return 0
    choices = read_choices(arguments)
    if choices.install:
        python = prepare(again=AGAIN, build=choices.build)
    else:
        require_packages("notebooks")
        python = sys.executable
    first = copy_lessons(ROOT, choices.fresh)
    os.environ.update(home_environment(first.parent / ".home"))
    # A first-time reader should meet the lesson, not a question about Jupyter's news nor half of its name.
    paths = [str(ROOT / "notebooks" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    command = jupyter_command(python, first, choices.rest)
    if os.name == "posix":
        os.chdir(str(first.parent))
        sys.stdout.flush()
        os.execv(python, command)  # Ctrl-C and kill then reach JupyterLab itself
    server = subprocess.Popen(command, cwd=str(first.parent))
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            pass  # JupyterLab got it too, and asks or stops


def main(arguments: "list[str]") -> None:
    """Run the command and end with its exit code."""
    try:
        sys.exit(open_course(arguments))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
