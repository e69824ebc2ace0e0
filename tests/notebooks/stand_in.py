"""A stand-in for pip's index and for a clone: the set-up can be misused in seconds, without a network.

The index serves a tiny wheel for every pin of requirements.txt. That of setuptools can build the package of
the clone and nothing else; `pack_setuptools` puts the real one in its place. The clone has the real commands
and the real lists, an empty `mlearn_utils` and one lesson. Its `python -m venv`, which takes longest, may be
a stand-in, too.
"""

import base64
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = {
    "jupyterlab": ("jupyterlab", "ipykernel"),
    "pillow": ("PIL",),
    "scikit-learn": ("sklearn",),
    "pytest-xdist": ("xdist",),
    "array-api-compat": ("array_api_compat",),
}
"""The modules of a pinned distribution, where they are not its name."""

OPENED = "import sys\nprint('JupyterLab was opened with', *sys.argv[1:], sep='\\n')\n"
"""What the stand-in for JupyterLab does."""

LINKED = """import os, shutil, sys
shutil.copytree({empty!r}, sys.argv[1], symlinks=True, copy_function=os.link, dirs_exist_ok=True)
"""
"""What the stand-in for Python's venv does."""

BUILDER = """import pathlib, tomllib, zipfile

def build_editable(folder, settings=None, metadata=None):
    facts = tomllib.loads(pathlib.Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n".format(**facts)
    about += "".join(f"Requires-Dist: {need}\\n" for need in facts["dependencies"])
    label = facts["name"].replace("-", "_") + "-" + facts["version"]
    with zipfile.ZipFile(f"{folder}/{label}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mlearn_utils.pth", str(pathlib.Path.cwd()))
        wheel.writestr(f"{label}.dist-info/METADATA", about)
        wheel.writestr(f"{label}.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{label}.dist-info/RECORD", "")
    return f"{label}-py3-none-any.whl"
"""
"""What the stand-in for setuptools does."""


def pins() -> dict[str, str]:
    """Return the version of each pinned distribution for the Python that runs this."""
    is_new = sys.version_info >= (3, 12)
    found = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        pin = re.match(r"([a-z0-9-]+)(?:\[.*\])?==([0-9.]+) *(?:; python_version (==|>=))?", line)
        if pin and (pin[3] is None or (pin[3] == ">=") == is_new):
            found[pin[1]] = pin[2]
    return found


def make_wheel(folder: Path, name: str, version: str, modules: tuple[str, ...], size: int = 0) -> Path:
    """Write a wheel with empty modules, and `size` zero bytes in a file; return its path."""
    label = f"{name.replace('-', '_')}-{version}"
    files = {f"{module}/__init__.py": b"" for module in modules}
    if "jupyterlab" in modules:
        files["jupyterlab/__main__.py"] = OPENED.encode()
    if "setuptools" in modules:
        files["setuptools/build_meta.py"] = BUILDER.encode()
    if size:
        files[f"{modules[0]}/large"] = bytes(size)
    info = f"{label}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    rows = [f"{path},sha256={_hash(content)},{len(content)}" for path, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]).encode()
    return _zip(folder / f"{label}-py3-none-any.whl", files)


def pack_setuptools(folder: Path) -> Path:
    """Write the setuptools of this environment as the wheel that it came from."""
    found = importlib.metadata.distribution("setuptools")
    paths = [path for path in found.files or [] if "__pycache__" not in str(path) and ".." not in str(path)]
    files = {str(path): Path(str(path.locate())).read_bytes() for path in paths}
    return _zip(folder / f"setuptools-{found.version}-py3-none-any.whl", files)


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


class Index:
    """An index over HTTP on this machine, below `url`: /simple for all, /cpu for torch's CPU build.

    Attributes:
        asked: the paths that were asked for.
        fails: path -> how the answer fails: "gone" (the connection is cut), "broken" (the file is cut off) or
            "" (it does not).
    """

    def __init__(self, folder: Path, url: str = ""):
        self.folder, self.url = folder, url
        self.asked: list[str] = []
        self.fails: Callable[[str], str] = lambda path: ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        path = unquote(handler.path.split("?")[0].rstrip("/"))
        self.asked.append(path)
        failure = self.fails(path)
        if failure == "gone":
            handler.connection.close()
            return
        parts = path.strip("/").split("/")
        if parts[-1].endswith(".whl"):
            content = (self.folder / parts[0] / parts[-1]).read_bytes()
            kind = "application/octet-stream"
        else:
            wheels = sorted((self.folder / parts[0]).glob("*.whl"))
            name = parts[-1].replace("-", "_").lower()
            files = [wheel.name for wheel in wheels if wheel.name.lower().startswith(f"{name}-")]
            links = [f'<a href="/{parts[0]}/files/{quote(file)}">{file}</a>' for file in files]
            content, kind = f"<!DOCTYPE html><html>{''.join(links)}</html>".encode(), "text/html"
            if not files:
                handler.send_error(404)
                return
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2] if failure == "broken" else content)


@contextmanager
def running_index(folder: Path) -> Iterator[Index]:
    """Serve a stand-in index whose wheels are made in `folder`."""
    for name in ("simple", "cpu"):
        (folder / name).mkdir(parents=True)
    for name, version in pins().items():
        make_wheel(folder / "simple", name, version, MODULES.get(name, (name.replace("-", "_"),)))
    make_wheel(folder / "cpu", "torch", f"{pins()['torch']}+cpu", ("torch",))
    index = Index(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            index.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that were killed
    index.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Clone:
    """A clone of the course whose set-up asks a stand-in index.

    Args:
        root: the folder to make; those above it, too.
        index: what pip asks.
        empty: an environment without packages, which is linked where Python would make one anew.
    """

    def __init__(self, root: Path, index: Index, empty: Path | None = None):
        self.root, self.index = root, index
        (root / "tests").mkdir(parents=True)
        (root / "notebooks").mkdir()
        for name in ("README.md", "LICENSE", "pyproject.toml", "requirements.txt"):
            shutil.copy(ROOT / name, root)
        for path in [*(ROOT / "notebooks").glob("*.py"), *(ROOT / "tests").glob("*.py")]:
            shutil.copy(path, root / path.parent.name)
        (root / "mlearn_utils" / "course").mkdir(parents=True)
        for folder in ("mlearn_utils", "mlearn_utils/course"):
            (root / folder / "__init__.py").touch()
        cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# 00 · Start here\n"]}
        book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (root / "notebooks" / "00_start_here.ipynb").write_text(json.dumps(book))
        if empty:  # `python -m` looks first in the folder that it is called from
            (root / "venv.py").write_text(LINKED.format(empty=str(empty)))

    @property
    def python(self) -> Path:
        """The interpreter of the clone's environment."""
        return self.root / ".venv" / "bin" / "python"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a command in the clone; an empty value takes a variable away."""
        foreign = ("PIP_", "PYTHON", "MLEARN_", "VIRTUAL_ENV", "COV_", "PYTEST_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        kept |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{self.index.url}/simple"}
        kept |= {"PIP_RETRIES": "1", "PIP_TIMEOUT": "10", "PIP_NO_CACHE_DIR": "1"}
        kept |= {"MLEARN_CPU_INDEX": f"{self.index.url}/cpu", "NO_PROXY": "127.0.0.1"} | more
        return {key: value for key, value in kept.items() if value}

    def start(self, *arguments: str, code: str = "", **options: Any) -> "subprocess.Popen[str]":
        """Start a command in the clone, by default `python3 notebooks`.

        Args:
            arguments: of the interpreter.
            code: Python code to run before the command of the notebooks, in the same process.
            options: of subprocess.Popen; `more` is for the environment.
        """
        variables = self.environment(**options.pop("more", {}))
        if code:
            run = "sys.argv = ['notebooks']; import runpy; runpy.run_path('notebooks', run_name='__main__')"
            arguments = ("-c", f"import sys; sys.path.insert(0, 'notebooks')\n{code}\n{run}")
        return subprocess.Popen(
            [sys.executable, *(arguments or ("notebooks",))],
            cwd=self.root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def run(self, *arguments: str, code: str = "", **options: Any) -> tuple[int, str]:
        """Run a command in the clone to its end; return its exit code and what it printed."""
        process = self.start(*arguments, code=code, **options)
        told, _ = process.communicate(timeout=120)
        return process.returncode, told

    def works(self) -> bool:
        """Return whether the environment holds everything, with all of its files."""
        modules = [module for name in pins() for module in MODULES.get(name, (name.replace("-", "_"),))]
        command = [str(self.python), "-c", "import mlearn_utils.course, " + ", ".join(modules)]
        checks = command, [str(self.python), "-m", "pip", "check"]
        options = {"cwd": self.root.parent, "env": self.environment(), "capture_output": True}
        return all(subprocess.run(check, **options, check=False).returncode == 0 for check in checks)
