"""The command that opens the course, started as a reader starts it, but without an install."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.browser.server import environment, running_url

ROOT = Path(__file__).resolve().parent.parent.parent


def test_notebooks_opens_jupyterlab_and_stops_on_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "notebooks", "--no-install", "--no-browser", "--port=0"]
    log = tmp_path / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment(tmp_path), stdin=subprocess.DEVNULL, stderr=file, text=True
        )
    try:
        with urllib.request.urlopen(running_url(server, tmp_path / "runtime"), timeout=20) as answer:
            assert answer.status == 200
            assert b"JupyterLab" in answer.read()
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
    finally:
        server.kill()
        server.wait()
    assert f"Serving notebooks from local directory: {ROOT / 'notebooks'}" in log.read_text()


def test_help_says_what_the_commands_do() -> None:
    for folder, words in {"notebooks": "open it in JupyterLab", "tests": "run every check"}.items():
        done = subprocess.run(
            [sys.executable, folder, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert words in done.stdout


def test_arguments_of_tests_go_to_pytest_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_good():\n    pass\n\ndef test_bad():\n    assert 0\n")
    command = [sys.executable, "tests", "--no-install", str(tmp_path / "test_it.py"), "-k", "bad"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert "1 failed, 1 deselected" in done.stdout
    assert done.returncode == 1
