"""What the set-up decides and says, piece by piece; `test_set_up.py` runs it as a whole."""

import os
import sys
import threading
import time
from pathlib import Path

import environment
import installer
import opening
import pytest


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        (
            "WARNING: Retrying (...) after connection broken by 'ProxyError('Cannot",
            "The proxy does not let pip",
        ),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "name it in PIP_CERT"),
        ("ERROR: Could not install packages: [Errno 13] Permission denied: '/x'", "may not be written"),
        ("pip._vendor.urllib3: NewConnectionError(': Failed to establish", "There is no network"),
        ("socket.gaierror: Temporary failure in NameResolution", "There is no network"),
        ("ReadTimeoutError: Read timed out.", "There is no network"),
        ("IncompleteRead(5 bytes read, 9 more expected)", "A package arrived broken"),
        ("ERROR: No matching distribution found for torch==2.13.0", "has no torch==2.13.0 for Python 3"),
        ("ERROR: first\nERROR: the last one", "pip ended with exit code 7: the last one"),
        ("", "pip ended with exit code 7: it said no more"),
        ("Retrying after 'NewConnectionError'\nOSError: [Errno 28] No space left", "The disk is full"),
    ],
)
def test_a_failing_pip_is_explained(said: str, sentence: str) -> None:
    assert sentence in installer.reason(said, 7)


def test_progress_tells_what_pip_is_at(tmp_path: Path) -> None:
    progress = installer.Progress(tmp_path, tmp_path)
    assert "asking the package index" in progress.text()
    progress.hear("  Downloading torch-2.13.0-cp311-cp311-linux_x86_64.whl.metadata (30 kB)\n")
    assert "asking the package index" in progress.text()
    progress.hear("  Using cached numpy-2.4.6-cp311.whl (16.1 MB)\n")
    progress.hear("  Downloading https://index/torch-2.13.0-cp311-linux_x86_64.whl (180.5 MB)\n")
    (tmp_path / "torch-2.13.0-cp311-linux_x86_64.whl").write_bytes(bytes(3_000_000))
    assert progress.text().endswith("0:00  loading package 2: torch, 3 MB of 180.5 MB")
    progress.hear("WARNING: Retrying (Retry(total=2, ...\n")
    assert "the network does not answer; trying again" in progress.text()
    (tmp_path / "pip-1.dist-info").mkdir()
    progress.hear("Installing collected packages: numpy, torch, jupyterlab\n")
    (tmp_path / "numpy-2.4.6.dist-info").mkdir()
    assert "unpacking package 2 of 3" in progress.text()


def test_progress_is_one_line_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = installer.Progress(tmp_path, tmp_path)
    progress._terminal = True
    with progress:
        time.sleep(0.7)
    shown = capsys.readouterr().out

    assert "\n" not in shown
    assert shown.startswith("\r  0:00  asking the package index")
    assert shown.endswith(" \r"), "the line is wiped in the end"


def test_an_address_that_never_answers_costs_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(environment.urllib.request, "urlopen", lambda *_, **__: hangs.wait(20))
    began = time.monotonic()
    assert not environment.answers("http://127.0.0.1/", seconds=0.2)
    assert time.monotonic() - began < 5
    hangs.set()


@pytest.mark.parametrize(
    ("platform", "nvidia", "reached", "build"),
    [
        ("linux", False, True, environment.CPU),
        ("linux", False, False, environment.REGISTRY),
        ("linux", True, True, environment.REGISTRY),
        ("darwin", False, True, environment.REGISTRY),
        ("win32", False, True, environment.REGISTRY),
    ],
)
def test_the_build_of_torch_fits_the_machine(
    platform: str, nvidia: bool, reached: bool, build: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.sys, "platform", platform)
    monkeypatch.setattr(environment.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if nvidia else None)
    monkeypatch.setattr(environment.Path, "exists", lambda path: False)
    monkeypatch.setattr(environment, "answers", lambda url: reached)

    assert environment._fitting_build() == build


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 14), True), ((3, 15), False)]
)
def test_a_python_that_does_not_fit_is_told_the_range(
    version: tuple[int, int], fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.shutil, "which", lambda name: name == "python3.13")
    if fits:
        environment.require_python(version, "this one")
        return
    told = rf"Python 3\.11 to 3\.14; this one is 3\.{version[1]}[.,].*example: python3\.13"
    with pytest.raises(SystemExit, match=told):
        environment.require_python(version, "this one")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cpu", "--cuda"], "give one of them"),
        (["--no-install", "--cpu"], "have no meaning beside it"),
        (["--fresh"], "--fresh needs the number of a lesson"),
        (["--fresh="], "--fresh needs the number of a lesson"),
    ],
)
def test_options_that_make_no_sense_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        opening.read_choices(arguments)


def test_options_are_read_and_jupyters_are_handed_on() -> None:
    read = opening.read_choices(["--no-browser", "--fresh", "04", "--cpu", "--port", "9999"])

    assert read == opening.Choices(True, environment.CPU, "04", ["--no-browser", "--port", "9999"])
    assert opening.read_choices(["--fresh=05"]).fresh == "05"


@pytest.mark.skipif(os.name != "posix", reason="POSIX's way of having no home")
def test_a_home_that_can_be_written_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert environment.home_environment(tmp_path / "new") == {}
    assert list(tmp_path.iterdir()) == []


def test_the_size_that_the_readme_states_is_the_one_that_the_set_up_states() -> None:
    readme = (environment.ROOT / "README.md").read_text(encoding="utf-8")

    assert f"{environment.GIGABYTES[environment.CPU]} GB" in readme
    if sys.platform == "linux":
        assert f"{environment.GIGABYTES[environment.REGISTRY]} GB" in readme
