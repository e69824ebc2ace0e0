"""The checkout's own environment, `.venv`: what all commands of the course set up first.

One set-up at a time, behind a lock that ends with its process. It is marked done once the course's packages
have been imported; whatever stops it before, the same command goes on where it was. Standard library only,
and no syntax that Python 3.6 cannot read, so that one which is too old is told so in words.
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from installer import FOREIGN, InstallError, mend, run_pip, sites

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TextIO

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CPU, REGISTRY = "cpu", "registry"
"""Where torch came from: its own index of CPU builds, or the index that pip asks for everything else."""

GIGABYTES = {CPU: 2.3, REGISTRY: 6.3 if sys.platform == "linux" else 2.3}
"""What is on the disk in the end; on Linux the registry's torch is the CUDA build."""

TO_LOAD = {CPU: 0.6, REGISTRY: 3.1 if sys.platform == "linux" else 0.6}
"""What is loaded for it, and lies on the disk beside it until the end."""

NEEDED = {
    "notebooks": "jupyterlab ipykernel ipywidgets anywidget matplotlib PIL torch numpy gymnasium safetensors "
    "tqdm sklearn optuna array_api_compat mlearn_utils",
    "docs": "sphinx myst_nb sphinx_book_theme nbformat pygments",
    "tests": "pytest xdist nbval jupytext nbclient playwright ruff pyright axe_playwright_python sphinx "
    "myst_nb sphinx_book_theme",
}
"""The modules that the commands need; all need those of the notebooks, too."""


def prepare(root: Path = ROOT, again: str = "the same command", build: str = "") -> str:
    """Return the interpreter of `root`/.venv, made and filled from requirements.txt where that is due.

    It is due when requirements.txt, pyproject.toml or the checkout's place changed since the last set-up that
    came to its end, when packages are missing, or when another build of torch is asked for.

    Args:
        root: the checkout.
        again: the command that the reader gave, for the messages.
        build: CPU or REGISTRY, to have that build of torch; "" for the one that fits this machine.

    Raises:
        SystemExit: with a sentence, if Python does not fit or a step fails.
    """
    venv = root / ".venv"
    for name in FOREIGN:
        os.environ.pop(name, None)
    if _is_done(root, build):
        return str(venv_python(venv))
    with sentences(root, again), ended_by_signals(), only_one(root / ".venv.lock", "set-up") as lock:
        if not _is_done(root, build):  # by the one that was waited for
            _set_up(root, build, lock)
    return str(venv_python(venv))


def require_packages(command: str, python: str = sys.executable) -> None:
    """Stop with a sentence if the Python that runs this is too old, or lacks what `command` needs."""
    if tuple(sys.version_info[:2]) < OLDEST:
        require_python(sys.version_info[:2], "this one")
    names = NEEDED["notebooks"] + ("" if command == "notebooks" else " " + NEEDED[command])
    lacking = [name for name in names.split() if importlib.util.find_spec(name) is None]
    if lacking:
        raise SystemExit(
            f"{python} lacks {', '.join(lacking)}. Without --no-install this command sets up an environment "
            "of its own; or install the course into this Python: python -m pip install -r requirements.txt"
        )


def require_python(version: "tuple[int, ...]", whose: str) -> None:
    """Stop with a sentence if `version` (major, minor, ...) is not one that the pins exist for."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    wanted = f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    newer = ", which its packages were not built for yet" if tuple(version[:2]) > NEWEST else ""
    names = [f"python{OLDEST[0]}.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    here = [name for name in names if shutil.which(name)]
    advice = "Start with the one that you have" if here else "Install one (it may stand beside the other)"
    raise SystemExit(
        f"The course needs {wanted}; {whose} is {version[0]}.{version[1]}{newer}. {advice}, for example: "
        f"{here[0] if here else 'python3.12'} {Path(sys.argv[0]).name}"
    )


def venv_python(venv: Path) -> Path:
    """Return where the interpreter of an environment lies on this system."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(root: Path) -> str:
    """Return a digest of all that an install depends on: the two files and the checkout's place."""
    digest = hashlib.sha256(str(root).encode())
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def only_one(path: Path, what: str) -> "Iterator[int]":
    """Hold the lock file `path`, after waiting for whoever holds it; yield its descriptor.

    The system lets go of the lock when the process that holds it ends, however that happens.
    """
    with path.open("a+") as file:
        locked = _lock(file, wait=False)
        if not locked:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            print(
                f"Another {what} is running in this folder (process {holder}); waiting for its end. "
                "Ctrl-C ends the waiting, not the other.",
                flush=True,
            )
            _lock(file, wait=True)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


@contextlib.contextmanager
def sentences(root: Path, again: str) -> "Iterator[None]":
    """Turn what may go wrong in the set-up into a sentence that ends with what to do."""
    kept = f"What is there is kept; to go on, repeat: {again}"
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(f"\nStopped while setting up. {kept}") from None
    except InstallError as error:
        log = root / ".venv.log"
        raise SystemExit(
            f"The course could not be installed. {error}\nAll that pip said is in {log}. {kept}"
        ) from None
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno == 30:
            cause = f"{error.filename or root} may not be written. Clone the course into a folder of your own"
        elif error.errno in (28, 122):
            cause = f"the disk of {root} is full. Make room"
        else:
            cause = f"{error}. Mend that"
        raise SystemExit(f"The course could not be set up: {cause}, then repeat: {again}") from None


@contextlib.contextmanager
def ended_by_signals() -> "Iterator[None]":
    """Let SIGTERM and SIGHUP end the set-up as Ctrl-C does, so that no pip goes on without it."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    found = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [signal.signal(number, stop) for number in found]
    try:
        yield
    finally:
        for number, handler in zip(found, before):  # noqa: B905  (Python 3.10)
            signal.signal(number, handler)


def home_environment(folder: Path) -> "dict[str, str]":
    """Return what to set where the reader's home folder cannot be written: JupyterLab would not start there.

    Args:
        folder: where the home of the course is made then; progress is kept in it.
    """
    home = Path("~").expanduser()
    try:
        with tempfile.TemporaryFile(dir=str(home)):
            return {}
    except OSError:
        folder.mkdir(parents=True, exist_ok=True)
        print(
            f"Your home folder ({home}) cannot be written; settings and progress go to {folder}", flush=True
        )
        return {"HOME": str(folder), "USERPROFILE": str(folder)}


def _is_done(root: Path, build: str) -> bool:
    venv = root / ".venv"
    python, stamp = venv_python(venv), venv / "installed.txt"
    try:
        if stamp.read_text() != fingerprint(root) or not python.exists():
            return False
    except OSError:
        return False
    if build and build != torch_build(python):
        return False
    places = [*sites(python), root]  # mlearn_utils is not copied into the environment
    return all(
        any((place / name).is_dir() for place in places) for name in NEEDED["notebooks"].split()
    ) and _runs(python, "import sys")


def torch_build(python: Path) -> str:
    """Return which build of torch an environment has: CPU, REGISTRY, or "" for none."""
    names = [path.name for site in sites(python) for path in site.glob("torch-*.dist-info")]
    if not names:
        return ""
    return CPU if "+cpu" in names[0] or sys.platform != "linux" else REGISTRY


def _set_up(root: Path, build: str, lock: int) -> None:
    venv, started = root / ".venv", time.time()
    python, stamp, log = venv_python(venv), venv / "installed.txt", root / ".venv.log"
    log.write_text("")
    half_made = (venv / "making").exists()
    is_new = half_made or not _runs(python, "import pip._internal.commands.install")
    if not is_new and not OLDEST <= _version(python) <= NEWEST:
        print("The environment in .venv has a Python that does not fit; it is made anew.", flush=True)
        is_new = True
    if is_new:
        require_python(sys.version_info[:2], "this one")
    chosen = build or torch_build(python) or _fitting_build()
    _announce(root, chosen, is_new)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        stamp.unlink()
    if is_new:
        _create(venv, lock)
    _install(python, root, chosen, bool(build), log, lock)
    if not _proves(python, log):
        print("Some packages cannot be imported; installing all of them anew.", flush=True)
        _create(venv, lock)
        _install(python, root, chosen, bool(build), log, lock)
        if not _proves(python, log):
            raise InstallError("Its packages are there, but cannot be imported.")
    stamp.write_text(fingerprint(root))
    seconds = int(time.time() - started)
    print(f"Ready after {seconds // 60}:{seconds % 60:02} minutes.", flush=True)


def _announce(root: Path, build: str, is_new: bool) -> None:
    """Say what will be installed and how large that is; stop if there is no room for it."""
    if not is_new:
        print(f"Bringing {root / '.venv'} up to what this version of the course needs.", flush=True)
        return
    kind = "its CPU build" if build == CPU or sys.platform != "linux" else "the build with CUDA"
    print(
        f"Setting up the course in {root / '.venv'}, once: JupyterLab, PyTorch ({kind}) and what they need, "
        f"181 packages, {GIGABYTES[build]} GB on the disk ({TO_LOAD[build]} GB to load).\n"
        f"All that pip says goes to {root / '.venv.log'}.",
        flush=True,
    )
    free, needed = shutil.disk_usage(str(root)).free / 1e9, GIGABYTES[build] + TO_LOAD[build]
    if free < needed:
        raise InstallError(
            f"It takes {needed:.1f} GB until it is done, and the disk of {root} has {free:.1f} GB left."
        )


def _fitting_build() -> str:
    """Return the build of torch for this machine: on Linux the CPU's where no NVIDIA device is."""
    if sys.platform != "linux" or shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        return REGISTRY
    if answers(_cpu_index() + "/torch/"):
        return CPU
    print("The index of torch's CPU builds does not answer, so the registry's build is taken.", flush=True)
    return REGISTRY


def answers(url: str, seconds: float = 2.0) -> bool:
    """Return whether `url` answers in time; looking up its name counts, too."""
    found = []

    def ask() -> None:
        with contextlib.suppress(Exception), urllib.request.urlopen(url, timeout=seconds) as answer:
            found.append(answer.status == 200)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return found == [True]


def _cpu_index() -> str:
    return os.environ.get("MLEARN_CPU_INDEX", CPU_INDEX).rstrip("/")


def _create(venv: Path, lock: int) -> None:
    """Make an empty environment; what stood in its place is moved away first, since removing takes time."""
    odd = [character for character in (os.pathsep, "{", "}") if character in str(venv)]
    if odd:
        raise InstallError(f"Python and pip cannot work below a folder with {odd[0]!r} in its name.")
    if venv.is_symlink():
        raise InstallError(f"{venv} is a link to a folder without a working environment; remove the link.")
    if venv.is_dir():
        known = any((venv / name).exists() for name in ("pyvenv.cfg", "installed.txt", "making"))
        if not known and any(venv.iterdir()):
            raise InstallError(f"{venv} is no environment of Python's, nor empty; move it out of the way.")
        venv.rename(venv.with_name(f".venv-old-{os.getpid()}-{time.time():.0f}"))
    elif venv.exists():
        raise InstallError(f"{venv} is no folder; move it out of the way.")
    for old in venv.parent.glob(".venv-old-*"):
        shutil.rmtree(str(old), ignore_errors=True)
    venv.mkdir()
    (venv / "making").touch()
    options: dict[str, Any] = {"pass_fds": (lock,)} if os.name == "posix" else {}
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(venv)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **options,
    )
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip()
        (venv.parent / ".venv.log").write_text(said + "\n", encoding="utf-8")
        if re.search("No space left|Errno 28", said):
            raise OSError(28, "No space left on device")
        raise InstallError(
            "Python could not make the environment .venv. On Debian and Ubuntu install its venv module "
            "first: sudo apt install python3-venv"
        )
    (venv / "making").unlink()


def _install(python: Path, root: Path, build: str, is_asked: bool, log: Path, lock: int) -> None:
    """Install what requirements.txt lists, torch before the rest where its build was chosen."""
    mend(python)
    pin = next(line for line in (root / "requirements.txt").read_text().split() if line.startswith("torch=="))
    has, only_torch = torch_build(python), [pin, "--no-deps", "--force-reinstall"]
    if sys.platform == "linux" and build == CPU and has != CPU:
        try:
            run_pip(python, [*only_torch, "--index-url", _cpu_index()], root, log, lock)
        except InstallError as error:
            if is_asked:
                raise InstallError(
                    f"The index of torch's CPU builds did not deliver ({error}) Without --cpu the registry's "
                    f"build is taken, {GIGABYTES[REGISTRY]} GB."
                ) from None
            print(f"No CPU build ({error}) Taking the registry's, {GIGABYTES[REGISTRY]} GB.", flush=True)
    elif is_asked and build == REGISTRY and has == CPU:
        run_pip(python, only_torch, root, log, lock)
        if torch_build(python) == CPU:
            raise InstallError("The package index that pip asks has no build of torch with CUDA.")
    run_pip(python, ["-r", "requirements.txt"], root, log, lock)
    shutil.rmtree(str(python.parent.parent / "downloads"), ignore_errors=True)


def _proves(python: Path, log: Path) -> bool:
    """Return whether everything that the two commands need can be imported."""
    modules = [*NEEDED["notebooks"].split(), *NEEDED["tests"].split(), "mlearn_utils.course"]
    command = [str(python), "-c", "import " + ", ".join(modules)]
    with log.open("ab") as file:
        code = subprocess.call(command, cwd=str(python.parent), stdout=file, stderr=file)
    return code == 0


def _runs(python: Path, code: str) -> bool:
    try:
        return subprocess.call([str(python), "-c", code], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def _version(python: Path) -> "tuple[int, ...]":
    said = subprocess.check_output([str(python), "-c", "import sys; print(*sys.version_info[:2])"])
    return tuple(int(number) for number in said.split())


def _lock(file: "TextIO", wait: bool) -> bool:
    """Lock a file for this process; return whether that was possible."""
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                file.seek(1_000_000)  # a byte beyond what is read: Windows keeps readers from locked ones
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
                time.sleep(0.5)
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a disk of the network that knows no locks: better without than not at all
    return True
