"""The commands of the README, started as a reader starts them, but without an install, in a copy."""

import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.browser.server import environment, running_url

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a checkout of the notebooks alone, so that no one's my_course/ is met."""
    folder = tmp_path / "copy"
    (folder / "notebooks").mkdir(parents=True)
    for path in [*(ROOT / "notebooks").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]:
        shutil.copy(path, folder / "notebooks")
    return folder


def test_notebooks_opens_the_first_lesson_in_jupyterlab_and_stops_on_ctrl_c(
    copy: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "notebooks", "--no-install", "--no-browser", "--port=0"]
    log = tmp_path / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=copy, env=environment(tmp_path), stdin=subprocess.DEVNULL, stderr=file, text=True
        )
    try:
        running_url(server, tmp_path / "runtime")
        printed = re.findall(r"http://127\.0\.0\.1:\d+/\S+", log.read_text())[-1]
        assert "/lab/tree/00%20Start%20here.ipynb?token=" in printed
        with urllib.request.urlopen(printed, timeout=20) as answer:
            assert answer.status == 200
            assert b"JupyterLab" in answer.read()
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
    finally:
        server.kill()
        server.wait()
    assert f"Serving notebooks from local directory: {copy / 'my_course'}" in log.read_text()
    assert (copy / "my_course" / "00 Start here.ipynb").exists()


def test_a_fresh_copy_is_said_and_an_unknown_lesson_is_named(copy: Path, tmp_path: Path) -> None:
    def run(*options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "notebooks", "--no-install", *options]
        variables = environment(tmp_path)
        return subprocess.run(command, cwd=copy, env=variables, capture_output=True, text=True, check=False)

    done = run("--fresh", "77")
    assert done.returncode == 1
    assert "--fresh needs the number of a lesson (00, 01, " in done.stderr
    mine = copy / "my_course" / "04 MAML.ipynb"
    done = run("--fresh", "04", "--version")
    assert (done.returncode, mine.exists()) == (0, True)
    mine.write_text(mine.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    done = run("--fresh", "04", "--version")
    assert "04 MAML is fresh; yours is kept as: 04 MAML (mine until " in done.stdout


def test_help_says_what_the_commands_do() -> None:
    said = {"notebooks": "open it in JupyterLab", "tests": "run every check", "docs": "build the web edition"}
    for folder, words in said.items():
        done = subprocess.run(
            [sys.executable, folder, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert words in done.stdout
        assert "--no-install" in done.stdout


def test_docs_names_an_option_that_it_does_not_have() -> None:
    command = [sys.executable, "docs", "--no-install", "--port=0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "python3 docs has no option --port=0; it has: --help\n"


def test_arguments_of_tests_go_to_pytest_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_good():\n    pass\n\ndef test_bad():\n    assert 0\n")
    command = [sys.executable, "tests", "--no-install", str(tmp_path / "test_it.py"), "-k", "bad"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert "1 failed, 1 deselected" in done.stdout
    assert done.returncode == 1
