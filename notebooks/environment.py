"""The checkout's own environment, `.venv`: what both commands (`notebooks`, `tests`) set up first.

Standard library only. It and the two `__main__.py` keep to what any Python 3 can read, so that one which is
too old is told so in words.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)
UNFINISHED = "unfinished"
# A first-time reader should meet the lesson, not a question about news from Jupyter.
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}}


def prepare(root: Path = ROOT, again: str = "the same command") -> str:
    """Return the interpreter of `root`/.venv, made and filled from requirements.txt where that is due.

    It is due when requirements.txt, pyproject.toml or the checkout's place changed since the last install
    that came to its end. One that was cut short may have left half a package, so it starts from nothing.

    Args:
        root: the checkout.
        again: the command that the reader gave, for the messages.

    Raises:
        SystemExit: with a sentence, if Python does not fit or a step fails.
    """
    venv = root / ".venv"
    python, stamp = venv_python(venv), venv / "installed.txt"
    wanted, found = fingerprint(root), stamp.read_text() if stamp.exists() else ""
    if found == wanted and python.exists():
        return str(python)
    if venv.exists() and (found == UNFINISHED or not python.exists()):
        print("An earlier set-up did not come to its end; starting it anew.", flush=True)
        shutil.rmtree(str(venv))
    if not venv.exists():
        _create(venv, stamp, again)
    _check(python, venv)
    _install(python, root, stamp, again)
    settings = venv / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(json.dumps(SETTINGS))
    stamp.write_text(wanted)
    return str(python)


def require_python(version: "tuple[int, ...]", whose: str) -> None:
    """Stop with a sentence if `version` (major, minor, ...) is not one that the pins exist for."""
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        wanted = f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
        newer = ", which its packages were not built for yet" if tuple(version[:2]) > NEWEST else ""
        raise SystemExit(
            f"The course needs {wanted}; {whose} is {version[0]}.{version[1]}{newer}. Install one of these "
            f"(it may stand beside the other) and start with it, for example: python3.12 "
            f"{Path(sys.argv[0]).name}"
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


def _create(venv: Path, stamp: Path, again: str) -> None:
    require_python(sys.version_info[:2], "this one")
    venv.mkdir()
    stamp.write_text(UNFINISHED)
    if subprocess.call([sys.executable, "-m", "venv", str(venv)]) != 0:
        shutil.rmtree(str(venv), ignore_errors=True)
        raise SystemExit(
            "Python could not make the environment .venv (its message is above). On Debian and Ubuntu "
            f"install its venv module first: sudo apt install python3-venv. Then repeat: {again}"
        )


def _check(python: Path, venv: Path) -> None:
    probe = "import sys, pip; print(*sys.version_info[:2])"
    answer = subprocess.run([str(python), "-c", probe], stdout=subprocess.PIPE, check=False)
    if answer.returncode != 0:
        raise SystemExit(f"{venv} has no working pip; delete that folder and repeat.")
    require_python(tuple(int(number) for number in answer.stdout.split()), f"the one in {venv}")


def _install(python: Path, root: Path, stamp: Path, again: str) -> None:
    print("Installing the course into .venv (once; a few minutes) ...", flush=True)
    stamp.write_text(UNFINISHED)
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", "requirements.txt"]
    try:
        code = subprocess.call(command, cwd=str(root))
    except KeyboardInterrupt:
        raise SystemExit(f"\nStopped while installing. To go on, repeat: {again}") from None
    if code != 0:
        stamp.write_text("failed")  # pip gave up by itself, before or between packages
        raise SystemExit(
            f"pip could not install the course (its message is above; exit code {code}). "
            f"When that is mended, repeat: {again}"
        )
