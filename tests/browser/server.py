"""A JupyterLab of the tests' own: on this machine only, with its own settings, over any folder."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from build import kernel_environment

SETTINGS = {
    # Cells off screen must be in the page, or no test can look at them.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}


def running_url(server: subprocess.Popen[str], runtime: Path, seconds: float = 60.0) -> str:
    """Wait until `server` answers and return its address with the token, `http://.../lab?token=...`.

    Args:
        server: the JupyterLab process.
        runtime: its runtime folder (JUPYTER_RUNTIME_DIR).
        seconds: how long to wait.

    Raises:
        RuntimeError: if it ends or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended with exit code {server.returncode}")
        for file in runtime.glob("jpserver-*.json"):
            try:
                facts = json.loads(file.read_text())
                address = urlsplit(facts["url"])
                socket.create_connection((address.hostname, address.port), 1).close()
            except (ValueError, OSError):
                continue  # being written, or not listening yet
            return f"{facts['url']}lab?token={facts['token']}"
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not answer within {seconds:.0f} s")


def environment(scratch: Path) -> dict[str, str]:
    """Return the environment of a JupyterLab that keeps everything it writes below `scratch`."""
    folders = {
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    kept = kernel_environment(scratch / "progress.jsonl")
    for key, name in folders.items():
        (scratch / name).mkdir(parents=True, exist_ok=True)
        kept[key] = str(scratch / name)
    return kept


@contextmanager
def running_lab(root: Path, scratch: Path) -> Iterator[str]:
    """Run JupyterLab over the folder `root`; yields its address with the token, `http://.../lab?token=...`."""
    variables = environment(scratch)
    for name, setting in SETTINGS.items():
        file = scratch / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(setting))
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        "--port=0",
        "--allow-root",
    ]
    command += [f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"]
    with (scratch / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=root, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
        )
        try:
            yield running_url(server, scratch / "runtime")
        finally:
            server.terminate()
            try:
                server.wait(timeout=15)
            except subprocess.TimeoutExpired:
                server.kill()
