"""The set-up that both commands share: done once, again after a change, anew after an interruption."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import environment
import pytest


class Commands:
    """Stands for `subprocess.call`: records what was asked for, and answers with `codes`, then 0."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.codes: list[int] = []
        self.during: Callable[[], None] = lambda: None

    def __call__(self, command: list[str], cwd: str | None = None) -> int:
        self.calls.append(command)
        if command[1:3] == ["-m", "venv"]:
            python = environment.venv_python(Path(command[3]))
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
        self.during()
        return self.codes.pop(0) if self.codes else 0

    def did(self) -> list[str]:
        """Return what was run since the last time, a word a command."""
        words = [command[2] for command in self.calls]
        self.calls.clear()
        return words


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    fake = Commands()
    monkeypatch.setattr(environment.subprocess, "call", fake)
    return fake


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


def test_a_fresh_clone_is_set_up_once(checkout: Path, commands: Commands) -> None:
    python = environment.prepare(checkout)

    assert commands.did() == ["venv", "pip"]
    assert python == str(environment.venv_python(checkout / ".venv"))
    overrides = checkout / ".venv" / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    assert json.loads(overrides.read_text()) == environment.SETTINGS
    assert environment.prepare(checkout) == python
    assert commands.did() == []


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_a_changed_file_is_installed_again_into_the_same_environment(
    checkout: Path, commands: Commands, name: str
) -> None:
    environment.prepare(checkout)
    commands.did()
    (checkout / name).write_text("changed\n")

    environment.prepare(checkout)

    assert commands.did() == ["pip"]


def test_a_moved_checkout_is_installed_again(checkout: Path, commands: Commands) -> None:
    environment.prepare(checkout)
    commands.did()

    moved = checkout.rename(checkout.with_name("elsewhere"))
    environment.prepare(moved)

    assert commands.did() == ["pip"]


def test_an_environment_that_was_made_by_hand_is_completed(checkout: Path, commands: Commands) -> None:
    commands(["python", "-m", "venv", str(checkout / ".venv")])
    commands.did()

    environment.prepare(checkout)

    assert commands.did() == ["pip"]


def test_an_interrupted_install_starts_from_nothing(checkout: Path, commands: Commands) -> None:
    def interrupt() -> None:
        if commands.calls[-1][2] == "pip":
            raise KeyboardInterrupt

    commands.during = interrupt
    with pytest.raises(SystemExit, match=r"Stopped while installing\. To go on, repeat: python3 notebooks"):
        environment.prepare(checkout, again="python3 notebooks")
    (checkout / ".venv" / "half").touch()
    commands.did()
    commands.during = lambda: None

    environment.prepare(checkout)

    assert commands.did() == ["venv", "pip"]
    assert not (checkout / ".venv" / "half").exists()


def test_a_failing_pip_says_what_to_repeat_and_is_tried_again(checkout: Path, commands: Commands) -> None:
    commands.codes = [0, 23]
    with pytest.raises(SystemExit, match=r"exit code 23\)\. When that is mended, repeat: python3 tests"):
        environment.prepare(checkout, again="python3 tests")
    commands.did()

    environment.prepare(checkout)

    assert commands.did() == ["pip"]


def test_a_missing_venv_module_is_named_and_leaves_nothing_behind(checkout: Path, commands: Commands) -> None:
    commands.codes = [1]
    with pytest.raises(SystemExit, match="sudo apt install python3-venv"):
        environment.prepare(checkout)

    assert not (checkout / ".venv").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path, commands: Commands) -> None:
    python = Path(environment.prepare(checkout))
    python.unlink()
    python.symlink_to(checkout / "gone")
    commands.did()

    environment.prepare(checkout)

    assert commands.did() == ["venv", "pip"]


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 14), True), ((3, 15), False)]
)
def test_a_python_that_does_not_fit_is_told_the_range(
    version: tuple[int, int], fits: bool, checkout: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (*version, 0, "final", 0))
    if fits:
        environment._create(checkout / ".venv", checkout / ".venv" / "installed.txt", "again")
        assert commands.did() == ["venv"]
        return
    with pytest.raises(SystemExit, match=rf"Python 3\.11 to 3\.14; this one is 3\.{version[1]}[.,]"):
        environment.prepare(checkout)
    assert commands.did() == []
