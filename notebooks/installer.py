"""pip with one line of progress in place of its scroll, and a sentence in place of its errors.

Standard library only, and no syntax that Python 3.6 cannot read.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

# Variables that would make pip put packages elsewhere, or Python import others.
FOREIGN = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_LOG",
)

# What went wrong, by what pip said last; the first that is found is told.
REASONS = (
    (
        r"No space left|Errno 28\b|Errno 122\b|Disk quota|not enough space|WinError 112",
        "The disk is full (or your quota is used up).",
    ),
    (
        r"ProxyError|Cannot connect to proxy|Proxy Authentication|Tunnel connection failed",
        "The proxy does not let pip through{proxy}. Set HTTPS_PROXY to your proxy's address, or unset it.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerification|SSLError",
        "The network's certificate is not one that Python knows: in a company or a school, ask for the file "
        "of its certificate and name it in PIP_CERT.",
    ),
    (
        r"Permission denied|Errno 13\b|Read-only file system|Access is denied|WinError 5\b",
        "A file or a folder may not be written.",
    ),
    (
        r"DO NOT MATCH THE HASHES|IncompleteRead|BadZipFile|Wheel .* is invalid|Connection broken",
        "A package arrived broken: the network broke off.",
    ),
    (
        r"NewConnectionError|NameResolution|Name or service|getaddrinfo|Connection refused|[Tt]imed? ?out"
        r"|Network is unreachable|RemoteDisconnected|Connection reset|Connection aborted|50\d Server Error",
        "There is no network, or the package index does not answer.",
    ),
)


class InstallError(Exception):
    """pip could not do it; the message is a sentence for the reader."""


class Progress:
    """One line that tells how far it is, drawn anew twice a second; without a terminal, a line now and then.

    Args:
        site: the folder that packages are unpacked into.
        downloads: the folder that pip loads them into.
    """

    def __init__(self, site: Path, downloads: Path):
        self._site, self._downloads = site, downloads
        self._started, self._told, self._width = time.time(), 0.0, 0
        self._phase, self._name, self._size = "looking", "", ""
        self._got, self._all, self._before = 0, 0, 0
        self._terminal = sys.stdout.isatty()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Progress":
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()
        if self._terminal:
            print("\r" + " " * self._width + "\r", end="", flush=True)

    def hear(self, line: str) -> None:
        """Take in one line that pip printed."""
        found = re.match(r"\s*(Downloading|Using cached) (\S+)(?: \((.+)\))?", line)
        if found and not found[2].endswith(".metadata"):
            self._got += 1
            self._phase, self._size = "getting", found[3] or ""
            self._name = found[2].rsplit("/", 1)[-1].split("-")[0]
        elif line.startswith("Installing collected packages"):
            self._all, self._before = line.count(",") + 1, self._count()
            self._phase = "unpacking"
        elif "Retrying" in line:
            self._phase = "retrying"

    def text(self) -> str:
        """Return the line as it stands."""
        seconds = int(time.time() - self._started)
        phase = {
            "looking": "asking the package index",
            "retrying": "the network does not answer; trying again",
            "getting": f"loading package {self._got}: {self._name}{self._loaded()}",
            "unpacking": f"unpacking package {self._unpacking()} of {self._all}",
        }[self._phase]
        return f"  {seconds // 60}:{seconds % 60:02}  {phase}"

    def _loaded(self) -> str:
        """Return how much of the package that is being loaded is there, where it is large."""
        if "MB" not in self._size and "GB" not in self._size:
            return ""
        sizes = [0]
        for path in self._downloads.rglob("*.whl"):
            with contextlib.suppress(OSError):
                sizes.append(path.stat().st_size if path.name.startswith(self._name) else 0)
        return f", {max(sizes) / 1e6:.0f} MB of {self._size}"

    def _unpacking(self) -> int:
        return min(self._count() - self._before + 1, self._all)

    def _count(self) -> int:
        return sum(1 for _ in self._site.glob("*.dist-info"))

    def _tick(self) -> None:
        shown = ""
        while not self._over.wait(0.5):
            text = self.text()
            if self._terminal:
                text = text[:100]
                print("\r" + text.ljust(self._width), end="", flush=True)
                self._width = len(text)
            elif self._phase != shown or time.time() - self._told > 30:
                print(text, flush=True)
                shown, self._told = self._phase, time.time()


def pip_environment(downloads: Path) -> "dict[str, str]":
    """Return an environment in which pip installs where it stands, and loads to the disk it installs on."""
    kept = {"PIP_RETRIES": "3", **os.environ}
    kept.update(PIP_USER="0", PYTHONUNBUFFERED="1", PYTHONNOUSERSITE="1", TMPDIR=str(downloads))
    kept.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONIOENCODING="utf-8")
    return kept


def run_pip(python: Path, arguments: "list[str]", root: Path, log: Path, lock: int) -> None:
    """Run `pip install` with a line of progress; all that it says is added to the file `log`.

    Args:
        python: the interpreter of the environment to install into.
        arguments: what to install.
        root: the folder that relative arguments are relative to.
        log: the file that holds all that pip said.
        lock: the descriptor of the set-up's lock, which pip holds too: if the set-up is killed, the next one
            waits until this pip has ended.

    Raises:
        InstallError: with a sentence, if pip fails.
        KeyboardInterrupt: if the set-up is interrupted; pip has ended then.
    """
    (site,) = sites(python) or (python.parent,)
    downloads = python.parent.parent / "downloads"
    downloads.mkdir(exist_ok=True)
    command = [str(python), "-m", "pip", "install", "--no-input", "--progress-bar", "off", *arguments]
    tail: deque[str] = deque(maxlen=60)
    with log.open("a", encoding="utf-8") as file, Progress(site, downloads) as progress:
        file.write("\n$ " + " ".join(command) + "\n")
        options: dict[str, Any] = {"pass_fds": (lock,)} if os.name == "posix" else {}
        process = subprocess.Popen(
            command,
            cwd=str(root),
            env=pip_environment(downloads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace")
                file.write(line)
                file.flush()
                tail.append(line)
                progress.hear(line)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    if code != 0:
        raise InstallError(reason("".join(tail), code))


def sites(python: Path) -> "list[Path]":
    """Return the folder of packages of an environment: one path, or none while it is being made."""
    venv = python.parent.parent
    return [*venv.glob("lib/python3*/site-packages"), *venv.glob("Lib/site-packages")][:1]


def reason(said: str, code: int) -> str:
    """Return a sentence on why pip failed, from the end of what it said."""
    for pattern, sentence in REASONS:
        if re.search(pattern, said):
            return sentence.format(proxy=_proxy())
    missing = re.search(r"No matching distribution found for (\S+)", said)
    if missing:
        system = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {sys.platform}"
        return (
            f"The package index that pip asks has no {missing[1]} for {system}. If pip is told to ask none "
            "(PIP_NO_INDEX, or `pip config list`), or a mirror, that is why."
        )
    errors = re.findall(r"^(?:ERROR|error): *(.+)$", said, flags=re.MULTILINE)
    return f"pip ended with exit code {code}: {errors[-1] if errors else 'it said no more'}"


def mend(python: Path) -> "list[str]":
    """Remove what an interrupted pip left half done, so that the next one takes it up; return their names.

    pip writes the records of a package last. Without them the next pip would take the half for the whole.
    """
    removed = []
    for site in sites(python):
        for path in [*site.glob("*.dist-info"), *site.glob("~*")]:
            if path.name.startswith("~") or not _is_whole(path):
                removed.append(path.name)
                _remove(path)
    _remove(python.parent.parent / "downloads")
    return removed


def _is_whole(info: Path) -> bool:
    """Return whether the records of a package are there, and all the files that they name."""
    if not (info / "INSTALLER").exists() or not (info / "METADATA").exists():
        return False
    try:
        for line in (info / "RECORD").read_text(encoding="utf-8").splitlines():
            name, _, size = line.rsplit(",", 2)
            found = (info.parent / name.strip('"')).stat().st_size
            if size and found != int(size):
                return False
    except (OSError, ValueError):  # a file is gone, or the records are not what pip writes
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inside in path.iterdir():
            _remove(inside)
        path.rmdir()
    elif path.exists() or path.is_symlink():
        path.unlink()


def _proxy() -> str:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        if os.environ.get(name):
            return f" ({name} is {re.sub(r'//[^@/]*@', '//', os.environ[name])})"
    return ""


def _end(process: "subprocess.Popen[Any]") -> None:
    """Wait for pip, which got the Ctrl-C too; end it where it did not, or takes too long over it."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.terminate()
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
