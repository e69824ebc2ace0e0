"""The repository as a whole: directions between rooms, imports without side effects, the wheel, the pins."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import environment
import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.rooms import PAGE_ONLY, wrong_imports

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = [f"3.{minor}" for minor in range(environment.OLDEST[1], environment.NEWEST[1] + 1)]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --- the four rooms


def test_every_import_follows_the_direction_of_the_rooms() -> None:
    assert wrong_imports(ROOT / "mlearn_utils") == []


@pytest.mark.parametrize(
    ("file", "line", "is_wrong"),
    [
        ("tasks/a.py", "from mlearn_utils.rl.rollout import collect", True),
        ("tasks/a.py", "from ..meta import maml", True),
        ("tasks/a.py", "from mlearn_utils import meta", True),
        ("tasks/a.py", "from mlearn_utils import MetaLearner", True),
        ("tasks/a.py", "def f():\n    import mlearn_utils.course", True),
        ("meta/a.py", "import matplotlib.pyplot as plt", True),
        ("meta/a.py", "from PIL import Image", True),
        ("runtime.py", "from mlearn_utils.tasks import regression", True),
        ("__init__.py", "from mlearn_utils.course import start", True),
        ("__init__.py", "from mlearn_utils.meta.maml import adapt", False),
        ("tasks/a.py", "from mlearn_utils.runtime import pick_device", False),
        ("meta/a.py", "from ..tasks import regression", False),
        ("meta/a.py", "from . import maml", False),
        ("course/a.py", "import ipywidgets\nfrom mlearn_utils import meta, runtime", False),
        ("course/grading/a.py", "from mlearn_utils.course.figures import style", True),
        ("course/grading/a.py", "from ..widgets.view import View", True),
        ("course/grading/a.py", "from mlearn_utils.course import start", True),
        ("course/figures/a.py", "from mlearn_utils.course.grading.report import box", True),
        ("course/widgets/a.py", "from mlearn_utils.course.lesson_01 import pictures", True),
        ("course/widgets/a.py", "from mlearn_utils.course import lessons", True),
        ("course/lesson_01/a.py", "from mlearn_utils.course.lesson_02 import pictures", True),
        ("course/lesson_01/a.py", "from ..lesson_02.pictures import film", True),
        ("course/lesson_01/a.py", "from mlearn_utils import course", True),
        ("course/lesson_01/a.py", "from mlearn_utils.course.lessons import start", True),
        ("course/lessons.py", "from mlearn_utils.course import lesson_01", True),
        ("course/__init__.py", "from mlearn_utils.course.lesson_01 import pictures", True),
        ("course/grading/a.py", "from mlearn_utils.rl.returns import gae\nfrom . import compare", False),
        ("course/widgets/a.py", "from ..grading.report import box\nfrom ..figures import style", False),
        ("course/lesson_01/a.py", "from ..widgets.view import View\nfrom . import pictures", False),
        ("course/__init__.py", "from mlearn_utils.course.lessons import start", False),
    ],
)
def test_a_wrong_import_is_found_and_a_right_one_is_not(
    tmp_path: Path, file: str, line: str, is_wrong: bool
) -> None:
    path = tmp_path / "mlearn_utils" / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")

    assert bool(wrong_imports(tmp_path / "mlearn_utils")) == is_wrong


# --- importing


IMPORT_ALL = f"""
import importlib, os, pkgutil, random, sys
for name in {sorted(PAGE_ONLY)!r}:
    if "course" not in sys.argv:
        sys.modules[name] = None  # as if it were not installed
import gymnasium, numpy, torch
if "course" in sys.argv:
    import matplotlib, ipywidgets, anywidget, PIL.Image

def state():
    found = dict(
        threads=torch.get_num_threads(), dtype=torch.get_default_dtype(), device=torch.get_default_device(),
        deterministic=torch.are_deterministic_algorithms_enabled(), torch=torch.get_rng_state().tolist(),
        numpy=str(numpy.random.get_state()), random=random.getstate(), environ=dict(os.environ),
        printing=str(numpy.get_printoptions()), cwd=os.getcwd(), grad=torch.is_grad_enabled(),
    )
    if "course" in sys.argv:
        found.update(style=dict(matplotlib.rcParams), backend=matplotlib.get_backend(auto_select=False))
    return found

before = state()
import mlearn_utils
for room in ("tasks", "rl", "meta", *sys.argv[1:]):
    package = importlib.import_module("mlearn_utils." + room)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
after = state()
changed = [name for name in before if before[name] != after[name]]
assert not changed, f"importing changed {{changed}}"
assert "matplotlib.pyplot" not in sys.modules, "importing opened pyplot"
for name in mlearn_utils.__all__:
    getattr(mlearn_utils, name)
print(mlearn_utils.__file__)
"""


def import_all(*arguments: str, folder: Path = ROOT) -> str:
    """Import every module in a new interpreter started in `folder`; return where the package was found."""
    command = [sys.executable, "-c", IMPORT_ALL, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_the_package_imports_without_jupyter_and_changes_nothing_global() -> None:
    assert import_all()


def test_the_course_too_changes_nothing_global_when_imported() -> None:
    assert import_all("course")


# --- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that the checkout gets no build folder."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(
        ROOT / "mlearn_utils", copy / "mlearn_utils", ignore=shutil.ignore_patterns("__pycache__")
    )
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "-w", str(copy / "dist"), str(copy)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (copy / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mlearn_utils").rglob("*")
        if path.suffix in {".py", ".js", ".css", ".typed"}
    }

    assert {name for name in names if ".dist-info/" not in name} == source
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_imports_without_jupyter(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)

    assert Path(import_all(folder=tmp_path)).is_relative_to(tmp_path)


# --- one list of pins


def pins(python: str) -> dict[str, Requirement]:
    """Return the pinned requirements that hold on a version of Python, by name."""
    lines = [line.split("#")[0].strip() for line in read("requirements.txt").splitlines()]
    found = [Requirement(line) for line in lines if line and line != "-e ."]
    facts = {"python_version": python, "python_full_version": f"{python}.0"}
    active = [pin for pin in found if pin.marker is None or Marker(str(pin.marker)).evaluate(facts)]
    assert len({pin.name for pin in active}) == len(active), f"a package is pinned twice for Python {python}"
    assert {pin.name for pin in active} == {pin.name for pin in found}, f"no pin for Python {python}"
    return {pin.name: pin for pin in active}


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_once_for_every_python(python: str) -> None:
    for pin in pins(python).values():
        assert re.fullmatch(r"==\d+(\.\d+)+", str(pin.specifier)), f"{pin} is not an exact pin"


@pytest.mark.skipif("MLEARN_ASK_INDEX" not in os.environ, reason="set MLEARN_ASK_INDEX=1 to ask the index")
@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_resolve_from_wheels_alone(python: str, tmp_path: Path) -> None:
    """Ask pip's resolver, as on a machine that cannot compile; markers are those of the Python asked for.

    It needs the network, so that only the workflow asks for it.
    """
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("\n".join(str(pin).split(";")[0] for pin in pins(python).values()))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    options = ["--only-binary=:all:", "--python-version", python, "--target", str(tmp_path / "none")]
    done = subprocess.run([*command, *options, "-r", wanted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"no set of wheels for Python {python}:\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_satisfy_what_the_package_asks_for(python: str) -> None:
    text = read("pyproject.toml")
    asked = [Requirement(found) for found in re.findall(r'"([a-z][a-z0-9-]*(?:\[[^]]*\])?>=[^"]+)"', text)]
    pinned = pins(python)

    assert {"torch", "numpy", "gymnasium", "ipywidgets", "setuptools"} <= {need.name for need in asked}
    for need in asked:
        version = str(pinned[need.name].specifier).removeprefix("==")
        assert need.specifier.contains(version), f"{pinned[need.name]} does not satisfy {need}"
        assert need.extras <= pinned[need.name].extras


def test_the_last_requirement_is_the_package_itself() -> None:
    assert read("requirements.txt").rstrip().splitlines()[-1] == "-e ."


def test_the_range_of_pythons_is_the_same_everywhere() -> None:
    oldest, newest = (f"{version[0]}.{version[1]}" for version in (environment.OLDEST, environment.NEWEST))
    after = f"3.{environment.NEWEST[1] + 1}"
    project = read("pyproject.toml")

    assert f'requires-python = ">={oldest},<{after}"' in project
    assert f'target-version = "py{oldest.replace(".", "")}"' in project
    assert f'pythonVersion = "{oldest}"' in project
    assert f"Python {oldest} to {newest}" in read("README.md")
    assert re.findall(r'"(3\.\d+)"', read(".github/workflows/ci.yml")) == PYTHONS
    assert re.findall(r"python=(3\.\d+)", read("environment.yml"))[0] in PYTHONS


def test_conda_and_the_workflow_use_the_same_lists_and_commands() -> None:
    assert "-r requirements.txt" in read("environment.yml")
    assert "python3 tests" in read(".ci/run")
    assert ".ci/run" in read(".github/workflows/ci.yml")
    assert "actions/workflows/ci.yml/badge.svg" in read("README.md")
    assert "extra-index-url " + environment.CPU_INDEX in read("environment.yml")
    hidden_by = ("binder", ".binder", "Dockerfile")  # repo2docker would read these and not environment.yml
    assert not any((ROOT / name).exists() for name in hidden_by)
    for command in ("python3 notebooks", "python3 tests", "python3 docs"):
        assert command in read("README.md")


@pytest.mark.parametrize(
    "name", ["README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md"]
)
def test_the_repository_explains_itself(name: str) -> None:
    assert len(read(name)) > 500


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "data/README.md"):
        for target in re.findall(r"\]\(([^)#\s]+)", read(page)):
            if not target.startswith(("http", "mailto", "../../actions")):
                assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"


README_CODE = re.findall(r"```python\n(.*?)```", read("README.md"), re.DOTALL)


def test_the_code_of_the_readme_runs_as_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in README_CODE:
        exec(block.replace("agent.train()", "agent.train(1, progress=False)"), names)
        if "returns = agent.evaluate" in block:
            assert names["returns"].shape == (4, 100)
        if "meta_gradient(" in block:
            model = names.get("reader", names["model"])
            assert names["gradient"].keys() == dict(model.named_parameters()).keys()
        if "check_family(" in block:
            assert capsys.readouterr().out == "[]\n"
            assert names["agent"].params["4.weight"].shape == (1, 32)
    assert names["first"].shape == names["second"].shape == (1, 1)
    assert len(README_CODE) >= 5


def test_the_readme_lists_every_lesson_there_is() -> None:
    rows = re.findall(r"^\| \[(\d\d) (.+?)\]\((notebooks/\S+)\) \| (\d+) \|", read("README.md"), re.MULTILINE)
    sources = sorted((ROOT / "notebooks" / "source").glob("[0-9][0-9]_*.py"))

    assert [(number, link) for number, _, link, _ in rows] == [
        (path.name[:2], f"notebooks/{path.stem}.ipynb") for path in sources
    ]
    for number, title, _, minutes in rows:
        facts = importlib.import_module(f"mlearn_utils.course.lesson_{number}")
        assert (title, int(minutes)) == (facts.TITLE, facts.MINUTES * facts.SESSIONS)
