"""The door: what it says before anything is set up, and that every command is there."""

import importlib
import subprocess
import sys
from pathlib import Path

import classroom
import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = ("handout", "grade", "table", "slides", "hub", "nbgrader")


def say(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the door in a Python that sees none of the course's packages."""
    door = str(ROOT / "teaching")
    start = f"import sys; sys.path.insert(0, {door!r}); from classroom import main; main(sys.argv[1:])"
    command = [sys.executable, "-I", "-S", "-c", start, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_set_up_and_names_every_option(command: str) -> None:
    done = say(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "--out OUT" in done.stdout
    assert "--no-install" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_module_with_a_main(command: str) -> None:
    module = importlib.import_module("for_nbgrader" if command == "nbgrader" else command)
    assert callable(module.main)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "required"),
        (("mark",), "invalid choice"),
        (("handout",), "--out"),
        (("handout", "--out", "x", "--lessons", "4"), "two digits"),
        (("grade", "x", "--out", "y", "--seconds", "0"), "a number > 0"),
        (("slides", "--out", "x", "--cpu", "--cuda"), "not allowed with"),
    ],
)
def test_a_wrong_line_is_told_before_anything_is_set_up(arguments: tuple[str, ...], sentence: str) -> None:
    done = say(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_the_guide_shows_only_commands_that_there_are() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs" / "teaching").glob("*.md")]
    lines = [line.strip() for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    shown = [line.split("#")[0].split()[2:] for line in lines if line.startswith("python3 teaching ")]
    assert {words[0] for words in shown} == {*COMMANDS}
    for words in shown:
        classroom.parser().parse_args(words)
