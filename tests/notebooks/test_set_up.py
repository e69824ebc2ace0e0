"""The set-up, misused: each ends in one that works or in a sentence, and none needs `rm -rf .venv`."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.notebooks.stand_in import Clone, Index, make_wheel, pack_setuptools, pins, running_index

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and mounts as POSIX has them")

OPENED = "JupyterLab was opened with"
REPEAT = "repeat: python3 notebooks"
JUPYTER = f"jupyterlab-{pins()['jupyterlab']}-py3-none-any.whl"


@pytest.fixture(scope="module")
def shared_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with running_index(tmp_path_factory.mktemp("index") / "index") as running:
        yield running


@pytest.fixture
def index(shared_index: Index) -> Iterator[Index]:
    yield shared_index
    shared_index.fails = lambda path: ""
    shared_index.asked.clear()


@pytest.fixture
def real_index(index: Index) -> Iterator[Index]:
    """Yield the index with setuptools as it is installed here."""
    wheel = pack_setuptools(index.folder / "simple")
    yield index
    wheel.unlink()
    make_wheel(wheel.parent, "setuptools", pins()["setuptools"], ("setuptools",))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment as Python makes it."""
    venv = tmp_path_factory.mktemp("empty") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    return venv


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shared_index: Index, empty: Path) -> Clone:
    """Set up a clone that the tests may harm which leave it working."""
    clone = Clone(tmp_path_factory.mktemp("made") / "mlearn", shared_index, empty)
    assert clone.run()[0] == 0
    return clone


@pytest.fixture
def ready(made: Clone, index: Index) -> Clone:
    """Return a clone that works, whose next start sets it up again."""
    change(made)
    return made


@pytest.fixture
def clone(tmp_path: Path, index: Index, empty: Path) -> Clone:
    return Clone(tmp_path / "mlearn", index, empty)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on a disk of its own, of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def test_a_fresh_clone_says_what_it_does_and_opens_the_first_lesson(
    tmp_path: Path, real_index: Index
) -> None:
    clone = Clone(tmp_path / "mlearn", real_index)
    code, told = clone.run()

    assert code == 0
    assert f"Setting up the course in {clone.root / '.venv'}" in told
    assert "GB on the disk (" in told
    assert f"All that pip says goes to {clone.root / '.venv.log'}" in told
    assert "unpacking package" in told
    assert "Collecting" not in told, "pip's scroll belongs into the log"
    assert "Collecting jupyterlab" in (clone.root / ".venv.log").read_text()
    assert f"--ServerApp.root_dir={clone.root / 'my_course'}" in told
    assert "--LabApp.default_url=/lab/tree/00%20Start%20here.ipynb" in told
    assert clone.works()

    asked = len(clone.index.asked)
    code, told = clone.run()

    assert (code, len(clone.index.asked)) == (0, asked), "the second start installs nothing"
    assert told.startswith("Your copies")


def test_two_at_once_wait_for_each_other(clone: Clone) -> None:
    first = clone.start()
    wait_for(lambda: clone.python.exists(), first)
    second = clone.start()
    told = second.communicate(timeout=120)[0]

    assert OPENED in first.communicate(timeout=120)[0]
    assert f"Another set-up is running in this folder (process {first.pid})" in told
    assert OPENED in told
    assert "Setting up" not in told
    assert clone.works()


MOMENTS: dict[str, Callable[[Clone], bool]] = {
    "the lock is made": lambda c: (c.root / ".venv.lock").exists(),
    "the folder is made": lambda c: (c.root / ".venv" / "making").exists(),
    "it has a Python": lambda c: c.python.exists(),
    "it gets its pip": lambda c: bool(site(c, "pip/_vendor")),
    "torch is looked for": lambda c: "/cpu/torch" in c.index.asked or "/simple/torch" in c.index.asked,
    "torch is unpacked": lambda c: bool(site(c, "torch-*.dist-info")),
    "others are looked for": lambda c: "/simple/gymnasium" in c.index.asked,
    "all are looked for": lambda c: "/simple/pyright" in c.index.asked,
    "the package is built": lambda c: sum("setuptools" in path for path in c.index.asked) > 1,
    "they are unpacked": lambda c: bool(site(c, "s*.dist-info/WHEEL")),
    "all are unpacked": lambda c: bool(site(c, "mlearn_utils-*.dist-info")),
    "it is being proven": lambda c: "Successfully installed anywidget" in (c.root / ".venv.log").read_text(),
}


def site(clone: Clone, pattern: str) -> list[Path]:
    return list((clone.root / ".venv" / "lib").glob(f"python3*/site-packages/{pattern}"))


def wait_for(happened: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait until something happened or the process has ended."""
    while process.poll() is None and not happened():
        time.sleep(0.003)


@pytest.mark.parametrize("ways", [("Ctrl-C", "all killed"), ("killed", "ended")], ids=" and ".join)
def test_a_set_up_that_is_stopped_at_any_moment_is_gone_on_with(
    tmp_path: Path, index: Index, ways: tuple[str, str]
) -> None:
    clone = Clone(tmp_path / "mlearn", index)
    stopped = 0
    for number, (moment, happened) in enumerate(MOMENTS.items()):
        way = ways[number % 2]
        clone.index.asked.clear()
        process = clone.start(start_new_session=True)
        wait_for(lambda happened=happened: happened(clone), process)
        stop(process, way)
        told = process.communicate(timeout=60)[0]
        stopped += process.returncode != 0
        if process.returncode not in (0, -signal.SIGKILL):
            is_early = not told  # before the set-up had begun, Python itself ends
            assert is_early or "to go on, repeat: python3 notebooks" in told, (moment, way, told)
            assert "Traceback" not in told

    code, told = clone.run()

    assert stopped >= 10
    assert (code, OPENED in told) == (0, True), told
    assert clone.works()
    assert not list(clone.root.glob(".venv-old*"))


def stop(process: "subprocess.Popen[str]", way: str) -> None:
    """Stop a command, or what it started, too: as the terminal does it with Ctrl-C."""
    if process.poll() is not None:
        return
    if way == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    elif way == "all killed":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.send_signal(signal.SIGKILL if way == "killed" else signal.SIGTERM)


def test_a_killed_set_up_leaves_a_pip_that_the_next_one_waits_for(clone: Clone) -> None:
    clone.index.fails = lambda path: time.sleep(0.05) or ""
    first = clone.start()
    wait_for(lambda: "/simple/gymnasium" in clone.index.asked, first)
    first.kill()
    first.communicate()

    code, told = clone.run()

    assert f"Another set-up is running in this folder (process {first.pid})" in told
    assert (code, clone.works()) == (0, True)


def test_without_a_network_at_any_stage_it_says_so_and_goes_on_later(clone: Clone) -> None:
    stages: dict[str, tuple[Callable[[str], str], str]] = {
        "from the start": (lambda path: "gone", "There is no network"),
        "after the index": (lambda path: "gone" if path.endswith(".whl") else "", "There is no network"),
        "in the middle of the list": (lambda path: "gone" if "/p" in path else "", "There is no network"),
        "in a file": (lambda path: "broken" if path.endswith(JUPYTER) else "", "A package arrived broken"),
        "building": (lambda path: "gone" if "setuptools" in path else "", "There is no network"),
    }
    for stage, (fails, sentence) in stages.items():
        clone.index.fails = fails
        code, told = clone.run()
        assert (code, stage, sentence in told, REPEAT in told) == (1, stage, True, True), told
        assert str(clone.root / ".venv.log") in told

    clone.index.fails = lambda path: ""
    assert clone.run()[0] == 0
    assert clone.works()


def test_a_proxy_that_is_dead_is_named_without_its_password(ready: Clone) -> None:
    proxy = {"http_proxy": "http://me:secret@127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
    code, told = ready.run(more=proxy)

    assert code == 1
    assert "The proxy does not let pip through (http_proxy is http://127.0.0.1:9)" in told
    assert "secret" not in told


def test_an_index_without_the_packages_is_named(ready: Clone) -> None:
    code, told = ready.run(more={"PIP_NO_INDEX": "1"})

    assert code == 1
    assert "The package index that pip asks has no setuptools" in told
    assert "PIP_NO_INDEX" in told


def test_a_cpu_build_that_does_not_come_is_replaced_unless_it_was_asked_for(clone: Clone) -> None:
    clone.index.fails = lambda path: "gone" if path.startswith("/cpu/files") else ""
    code, told = clone.run("notebooks", "--cpu")
    assert code == 1
    assert "Without --cpu the registry's build is taken" in told

    code, told = clone.run(code="import environment; environment._fitting_build = lambda: 'cpu'")
    assert code == 0
    assert "Taking the registry's" in told
    assert clone.works()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the index has one build")
def test_the_build_of_torch_can_be_changed_later(ready: Clone) -> None:
    for option, build in (("--cpu", "+cpu"), ("--cuda", ""), ("--cpu", "+cpu")):
        assert ready.run("notebooks", option)[0] == 0
        assert [path.name for path in site(ready, "torch-*")] == [f"torch-{pins()['torch']}{build}.dist-info"]
    asked = len(ready.index.asked)
    assert ready.run("notebooks")[0] == 0
    assert len(ready.index.asked) == asked, "without an option, what is there stays"


def test_a_disk_that_is_too_small_is_told_before_anything_is_installed(
    small_disk: Path, index: Index
) -> None:
    clone = Clone(small_disk / "mlearn", index)
    code, told = clone.run()

    assert code == 1
    assert "GB until it is done, and the disk of" in told
    assert "has 0.0 GB left" in told
    assert not clone.python.exists()


def test_a_disk_that_gets_full_is_told_and_the_set_up_goes_on_once_there_is_room(
    small_disk: Path, index: Index
) -> None:
    clone = Clone(small_disk / "mlearn", index)
    make_wheel(index.folder / "simple", "optuna", pins()["optuna"], ("optuna",), size=60_000_000)
    no_check = "import environment as e; e.GIGABYTES = e.TO_LOAD = dict(cpu=0, registry=0)"
    for size in ("8m", "24m", "40m"):  # in making the environment, in its pip, in the packages
        remount(small_disk, f"size={size}")
        code, told = clone.run(code=no_check)
        assert (code, "disk" in told and "full" in told, REPEAT in told) == (1, True, True), (size, told)
        assert "Traceback" not in told

    remount(small_disk, "size=400m")
    assert clone.run(code=no_check)[0] == 0
    assert clone.works()


def test_a_clone_that_may_not_be_written_is_named(small_disk: Path, index: Index) -> None:
    clone = Clone(small_disk / "mlearn", index)
    remount(small_disk, "ro")
    code, told = clone.run()

    assert code == 1
    assert "may not be written. Clone the course into a folder of your own" in told
    assert "Traceback" not in told


def test_odd_folders_carry_a_set_up_and_one_that_cannot_is_named(tmp_path: Path, real_index: Index) -> None:
    odd = Clone(tmp_path / "Mein Kürs è 学 100%20 'q' $HOME #" / ("long" * 30), real_index)
    code, told = odd.run()
    assert code == 0, told
    assert odd.works()

    for name, character in (("a:b", ":"), ("{x}", "{")):
        code, told = Clone(tmp_path / name, real_index).run()
        assert code == 1
        assert f"Python and pip cannot work below a folder with '{character}' in its name" in told


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_stands_in_the_place_of_the_environment_is_left_alone(clone: Clone, what: str) -> None:
    venv = clone.root / ".venv"
    if what == "file":
        venv.write_text("mine")
    elif what == "folder":
        venv.mkdir()
        (venv / "mine").write_text("mine")
    else:
        (clone.root / "elsewhere").mkdir()
        venv.symlink_to(clone.root / "elsewhere")
    code, told = clone.run()

    assert code == 1
    assert f"{venv} is" in told
    assert REPEAT in told
    assert venv.is_symlink() or "mine" in (venv if venv.is_file() else venv / "mine").read_text()


def test_an_environment_that_was_damaged_is_mended(ready: Clone) -> None:
    def several() -> None:
        change(ready)
        site(ready, "jupyterlab/__main__.py")[0].unlink()
        site(ready, "gymnasium-*/METADATA")[0].write_text("")
        site(ready, "optuna-*/RECORD")[0].unlink()
        site(ready, "tqdm-*/RECORD")[0].write_bytes(b"\0\xff,x")
        site(ready, "numpy-*/INSTALLER")[0].unlink()

    damages: dict[str, Callable[[], object]] = {
        "a package is gone": lambda: shutil.rmtree(site(ready, "torch")[0]),
        "files are gone, empty and torn": several,
        "its Python is gone": lambda: [ready.python.unlink(), ready.python.symlink_to("/gone")],
        "its pip is gone": lambda: [change(ready), shutil.rmtree(site(ready, "pip")[0])],
    }
    for name, damage in damages.items():
        damage()
        code, told = ready.run()
        assert (code, name, ready.works()) == (0, name, True), told


def test_an_environment_whose_making_was_cut_short_is_made_anew(ready: Clone) -> None:
    for name in ("making", "leftover"):
        (ready.root / ".venv" / name).touch()

    assert ready.run()[0] == 0
    assert not (ready.root / ".venv" / "leftover").exists()


def test_an_environment_of_a_python_that_does_not_fit_is_made_anew(ready: Clone) -> None:
    (ready.root / ".venv" / "leftover").touch()
    code, told = ready.run(code="import environment as e; e._version = lambda python: (3, 9)")

    assert code == 0
    assert "has a Python that does not fit; it is made anew" in told
    assert not (ready.root / ".venv" / "leftover").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the index has one build")
def test_cuda_where_the_index_has_no_such_build_is_told(ready: Clone) -> None:
    (plain,) = (ready.index.folder / "simple").glob("torch-*.whl")
    aside = plain.rename(plain.with_suffix(".aside"))
    make_wheel(ready.index.folder / "simple", "torch", f"{pins()['torch']}+cpu", ("torch",))
    assert ready.run("notebooks", "--cpu")[0] == 0
    code, told = ready.run("notebooks", "--cuda")
    (ready.index.folder / "simple" / f"torch-{pins()['torch']}+cpu-py3-none-any.whl").unlink()
    aside.rename(plain)

    assert code == 1
    assert "has no build of torch with CUDA" in told


def change(clone: Clone) -> None:
    """Change the list of requirements, so that the next start sets up again."""
    with (clone.root / "requirements.txt").open("a") as file:
        file.write("# one more line\n")


def test_what_cannot_be_imported_is_installed_anew_and_told_if_that_does_not_help(ready: Clone) -> None:
    spoiler = site(ready, "torch")[0].with_name("spoiler.pth")
    spoiler.write_text("import sys; sys.modules['sklearn'] = None\n")
    code, told = ready.run()

    assert "Some packages cannot be imported; installing all of them anew." in told
    assert (code, ready.works()) == (0, True)

    change(ready)
    course = ready.root / "mlearn_utils" / "course" / "__init__.py"
    course.write_text("1 / 0\n")
    code, told = ready.run()
    course.write_text("")

    assert code == 1
    assert "Its packages are there, but cannot be imported." in told
    assert "ZeroDivisionError" in (ready.root / ".venv.log").read_text()


def test_a_clone_that_was_moved_is_set_up_in_its_new_place(ready: Clone) -> None:
    before = ready.root
    ready.root = before.rename(before.with_name("elsewhere"))

    assert ready.run()[0] == 0
    assert ready.works()
    ready.root = ready.root.rename(before)


def test_settings_that_lead_pip_astray_have_no_effect(ready: Clone, tmp_path: Path) -> None:
    astray = {"PIP_TARGET": str(tmp_path / "target"), "PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1"}
    astray |= {"PYTHONPATH": str(tmp_path / "other"), "PIP_PREFIX": str(tmp_path / "prefix")}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "torch.py").write_text("1 / 0")

    code, told = ready.run(more=astray)

    assert code == 0, told
    assert ready.works()
    assert not (tmp_path / "target").exists()


def test_without_a_home_folder_the_course_makes_one(ready: Clone) -> None:
    home = ready.root / "README.md" / "home"
    code, told = ready.run(more={"HOME": str(home)})

    assert code == 0
    assert f"Your home folder ({home}) cannot be written" in told
    assert (ready.root / "my_course" / ".home").is_dir()


@pytest.mark.parametrize("folder", ["notebooks", "tests"])
def test_no_install_names_what_is_lacking(clone: Clone, folder: str) -> None:
    bare = clone.root / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    done = subprocess.run(
        [str(bare / "bin" / "python"), folder, "--no-install"],
        cwd=clone.root,
        env=clone.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "lacks jupyterlab, ipykernel, ipywidgets" in done.stderr
    assert (" pytest," in done.stderr) == (folder == "tests"), done.stderr
    assert "Without --no-install" in done.stderr


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "import environment as e; e.OLDEST = e.NEWEST = (3, 98)",
            "The course needs Python 3.98 to 3.98",
        ),
        (
            "import environment as e; e.OLDEST = e.NEWEST = (3, 3)",
            "its packages were not built for yet",
        ),
    ],
    ids=["too old", "too new"],
)
def test_a_python_that_does_not_fit_is_told_and_nothing_is_made(
    clone: Clone, code: str, sentence: str
) -> None:
    ended, told = clone.run(code=code)

    assert ended == 1
    assert sentence in told
    assert not (clone.root / ".venv").exists()
