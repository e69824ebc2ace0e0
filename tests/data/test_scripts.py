"""The experiments themselves: each says what it makes, and what it makes is there."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DATA = Path(__file__).resolve().parent.parent.parent / "data"
SCRIPTS = sorted(path for path in DATA.glob("*/*.py"))


def load(path: Path) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}", scope="module")
def experiment(request: pytest.FixtureRequest) -> Any:
    return load(request.param).EXPERIMENT


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 10


def test_its_files_are_there_and_named_in_its_text(experiment: Any) -> None:
    for name in experiment.files:
        assert (experiment.folder / name).exists(), name
    text = re.sub(r"FAMILY", "dirv", experiment.text)
    assert any(name in text for name in experiment.files)


def test_its_parts_are_named_apart_and_come_in_an_order_that_can_be_run(experiment: Any) -> None:
    parts, seen = experiment.parts(), set()
    for part in parts:
        assert part.name not in seen
        assert set(part.after) <= seen
        seen.add(part.name)


def test_the_readme_of_the_data_says_what_its_help_says(experiment: Any) -> None:
    path = Path(experiment.script).relative_to(DATA.parent).as_posix()
    rows = [
        line for line in (DATA / "README.md").read_text(encoding="utf-8").splitlines() if f"`{path}`" in line
    ]

    assert len(rows) == 1, f"data/README.md has {len(rows)} rows of {path}"
    assert experiment.terms() in rows[0]
    named = re.sub(r"`([^`]*)\*([^`]*)`", lambda found: found[0], rows[0])
    for name in experiment.files:
        patterns = re.findall(r"`([^`]+\.(?:csv|json|safetensors))`", named)
        assert any(Path(name).match(Path(pattern).name) for pattern in patterns), name


@pytest.mark.parametrize("path", SCRIPTS[:1] + SCRIPTS[-1:], ids=lambda path: path.parent.name)
def test_started_in_the_checkout_it_has_nothing_to_do(path: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in path.parent.iterdir() if file.is_file()}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Nothing to do: its files are there" in done.stdout
    assert {file: file.stat().st_mtime_ns for file in path.parent.iterdir() if file.is_file()} == before
