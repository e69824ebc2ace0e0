"""`python3 docs`: set up this checkout and build the web edition of the course in docs/_build/html.

It is made of the notebooks as they are stored, and works without a kernel and without a network.

Options:
    --open          serve it on this machine alone (127.0.0.1) and open it in the browser, until Ctrl-C
    --cpu, --cuda   which build of PyTorch to install; without either, the one that fits this machine
    --no-install    use the Python that runs this, as it is
"""

import functools
import http.server
import os
import subprocess
import sys
import webbrowser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "notebooks"))

from environment import ROOT, home_environment, prepare, require_packages
from opening import read_choices

HTML = ROOT / "docs" / "_build" / "html"


def build_site(arguments: "list[str]") -> int:
    """Set up, build the site, and serve it if that is asked for; return the exit code."""
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return 0
    choices = read_choices(arguments)
    unknown = [argument for argument in choices.rest if argument != "--open"]
    if unknown or choices.fresh:
        raise SystemExit(f"python3 docs has no option {(unknown or ['--fresh'])[0]}; it has: --help")
    if choices.install:
        python = prepare(again="python3 docs", build=choices.build)
    else:
        require_packages("docs")
        python = sys.executable
    variables = dict(os.environ, OMP_NUM_THREADS="1", **home_environment(ROOT / ".venv-home"))
    code = subprocess.call([python, str(ROOT / "docs" / "build_site.py")], cwd=str(ROOT), env=variables)
    if code == 0 and "--open" in choices.rest:
        serve(HTML)
    return code


def serve(folder: Path) -> None:
    """Serve a folder to this machine alone and open it in the browser, until Ctrl-C."""
    with site_server(folder) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        print(f"Serving {address} until Ctrl-C", flush=True)
        webbrowser.open(address)
        server.serve_forever()


def site_server(folder: Path) -> http.server.ThreadingHTTPServer:
    """Return a server of the files in `folder`, at a free port of 127.0.0.1, not yet running."""
    handler = functools.partial(Quiet, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main(arguments: "list[str]") -> None:
    """Run the command and end with its exit code."""
    try:
        sys.exit(build_site(arguments))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
