"""`python3 notebooks`: set up the course in this checkout and open it in JupyterLab.

Options: --no-install (use the Python that runs this, as it is), and every option of `jupyter lab`, such as
--no-browser or --port 9999 (0: any free one).
"""

import os
import subprocess
import sys

from environment import ROOT, prepare


def jupyter_command(python: str, options: "list[str]") -> "list[str]":
    """Return the command that opens the first lesson in JupyterLab under `python`."""
    first = ROOT / "notebooks" / "00_start_here.ipynb"
    command = [python, "-m", "jupyterlab", str(first if first.exists() else first.parent)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # JupyterLab refuses to start for root without it
    return command + options


def main(arguments: "list[str]") -> int:
    """Set up, then become JupyterLab; return its exit code where the system can only wait for it."""
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return 0
    options = [option for option in arguments if option != "--no-install"]
    python = prepare(again="python3 notebooks") if options == arguments else sys.executable
    command = jupyter_command(python, options)
    if os.name == "posix":
        os.chdir(str(ROOT))
        sys.stdout.flush()
        os.execv(python, command)  # Ctrl-C and kill then reach JupyterLab itself
    server = subprocess.Popen(command, cwd=str(ROOT))
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            pass  # JupyterLab got it too, and asks or stops


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
