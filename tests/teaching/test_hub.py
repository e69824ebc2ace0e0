"""The hub: what is written, what its configuration says and does, and what is refused in words."""

import asyncio
import json
import os
import re
import shlex
import socket
import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import classroom
import hub
import pytest
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent.parent
Write = Callable[..., Path]
Load = Callable[[Path], dict[str, Any]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that gives the command with some options and returns the folder it wrote."""

    def run(*options: str) -> Path:
        out = tmp_path / "the {class}"
        port = str(free_port())
        assert classroom.run_here(["hub", "--out", str(out), "--port", port, *options]) == 0
        proxy = out / "proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
        proxy.parent.mkdir(parents=True, exist_ok=True)
        proxy.touch()
        return out

    return run


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that runs a written configuration without JupyterHub; `c` is what it has set."""
    auth = ModuleType("jupyterhub.auth")
    auth.Authenticator = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jupyterhub", ModuleType("jupyterhub"))
    monkeypatch.setitem(sys.modules, "jupyterhub.auth", auth)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("MLEARN_HUB_PASSWORD", raising=False)

    def run(out: Path) -> dict[str, Any]:
        path = out / "jupyterhub_config.py"
        names: dict[str, Any] = {"get_config": Config, "__file__": str(path)}
        exec(compile(path.read_text(), str(path), "exec"), names)
        return names

    return run


def free_port() -> int:
    """Return a port so that it, the next and the 81st behind it are free."""
    for port in range(20000, 30000, 100):
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            try:
                first.bind(("", port))
                second.bind(("", port + 1))
                third.bind(("", port + 81))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def student(name: str) -> Any:
    return SimpleNamespace(user=SimpleNamespace(name=name))


def test_the_configuration_says_what_the_class_chose(write: Write, load: Load, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\ufeffAnna\n\nLI Lei\nZoe\u0308\n", encoding="utf-8")
    out = write("--lessons", "00", "04", "--names", str(names), "--idle", "1.5")
    c = load(out)["c"]
    assert c.Authenticator.allowed_users == {"anna", "li lei", "zoë"}
    assert not c.Authenticator.allow_all
    assert not c.Authenticator.allow_existing_users
    assert c.Spawner.cmd == [sys.executable, "-m", "jupyterhub.singleuser"]
    assert "--allow-root" not in c.Spawner.args
    assert "--MappingKernelManager.cull_idle_timeout=90" in c.Spawner.args
    assert "--ServerApp.shutdown_no_activity_timeout=90" in c.Spawner.args
    assert c.Spawner.environment["OMP_NUM_THREADS"] == "1"
    assert c.Spawner.environment["PYTHONPATH"] == str(ROOT)
    assert c.SimpleLocalProcessSpawner.home_dir_template.format(username="anna") == str(out / "students/anna")
    assert Path(c.ConfigurableHTTPProxy.command[0]).is_file()
    settings = json.loads((out / "settings.json").read_text())
    assert settings["notebooks"] == ["00_start_here.ipynb", "04_maml.ipynb"]
    assert c.JupyterHub.bind_url == f"http://:{settings['port']}"


def test_without_a_list_any_name_may_come_in_that_knows_the_password(write: Write, load: Load) -> None:
    c = load(write())["c"]
    assert c.Authenticator.allow_all
    assert c.Authenticator.allowed_users == set()


def test_the_password_is_the_teachers_alone_and_the_lock_works(
    write: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write("--lessons", "00")
    password = (out / "password").read_text().strip()
    assert re.fullmatch(r"[a-z2-9]{4}(-[a-z2-9]{4}){2}", password)
    assert stat.S_IMODE((out / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    told = [path for path in out.iterdir() if path.is_file() and path.name != "password"]
    assert not any(password in path.read_text() for path in told)

    lock = load(out)["c"].JupyterHub.authenticator_class()

    def opens(name: str, word: str) -> "str | None":
        return asyncio.run(lock.authenticate(None, {"username": name, "password": word}))

    assert opens("anna", password) == "anna"
    assert opens("Zoe\u0308", password) == "Zoë"
    assert [opens("anna", word) for word in ("", "wrong", "密码密码密码", password.upper())] == [None] * 4
    (out / "password").write_text("another one\n")
    assert opens("anna", "another one") == "anna"
    monkeypatch.setenv("MLEARN_HUB_PASSWORD", "Straße des 17. Juni")
    assert opens("anna", "Straße des 17. Juni") == "anna"
    monkeypatch.setenv("MLEARN_HUB_PASSWORD", "short")
    with pytest.raises(SystemExit, match="at least 8 characters, it has 5"):
        load(out)


def test_lessons_are_copied_once_and_never_over_a_students_file(write: Write, load: Load) -> None:
    out = write("--lessons", "00", "02", "04")
    copy_lessons = load(out)["c"].Spawner.pre_spawn_hook
    copy_lessons(student("anna"))
    home = out / "students" / "anna"
    originals = {path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("0[024]_*.ipynb")}
    assert {path.name: path.read_bytes() for path in home.iterdir()} == originals

    (home / "04_maml.ipynb").write_text("mine")
    (home / "02_q_learning.ipynb").unlink()
    (home / "02_q_learning.ipynb").symlink_to("nowhere")
    (home / "00_start_here.ipynb").unlink()
    copy_lessons(student("anna"))
    assert (home / "04_maml.ipynb").read_text() == "mine"
    assert (home / "02_q_learning.ipynb").readlink() == Path("nowhere")
    assert (home / "00_start_here.ipynb").read_bytes() == originals["00_start_here.ipynb"]
    assert len(list(home.iterdir())) == 3

    password = (out / "password").read_text()
    write("--lessons", "00", "04", "05")
    load(out)["c"].Spawner.pre_spawn_hook(student("anna"))
    assert (home / "04_maml.ipynb").read_text() == "mine"
    assert (home / "05_few_shot_regression.ipynb").exists()
    assert (out / "password").read_text() == password


def test_every_student_has_a_progress_file_of_their_own(write: Write, load: Load) -> None:
    out = write()
    progress = load(out)["c"].Spawner.environment["MLEARN_PROGRESS"]
    assert progress(student("anna")) == str(out / "students/anna/.mlearn/progress.jsonl")
    assert progress(student("李雷")) == str(out / "students/李雷/.mlearn/progress.jsonl")


BAD = [
    "../x",
    "..",
    ".",
    ".x",
    "a/b",
    "/etc",
    "a\\b",
    "",
    "a\n",
    "a ",
    "%2e%2e",
    "-x",
    "a\0b",
    "x" * 41,
    "{x}",
]


def test_names_that_lead_out_of_the_folder_or_are_odd_are_refused(
    write: Write, load: Load, tmp_path: Path
) -> None:
    names = load(write())
    pattern = re.compile(names["c"].Authenticator.username_pattern)
    for name in ("anna", "李雷", "zoë müller", "o.k-d_e", "3b", "x" * 40):
        assert pattern.match(name)
        assert names["folder_of"](name).parent == names["STUDENTS"]
    for name in BAD:
        assert not pattern.match(name), name
        with pytest.raises(ValueError, match="a student's name is made of"):
            names["c"].Spawner.pre_spawn_hook(student(name))
    assert not names["STUDENTS"].exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"anna\n../x\n", r"line 2 of .*names is '\.\./x'; a name has at most 40"),
        (b"anna\nben\nAnna\n", "line 3 of .*names is 'Anna', which was there before"),
        (b"M\xfcller\n", "is not text in UTF-8"),
        (b"\n \n", "has no name"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_list_of_names_that_is_wrong_is_told_by_its_line(
    content: "bytes | None", told: str, tmp_path: Path
) -> None:
    path = tmp_path / "names"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=told):
        classroom.run_here(["hub", "--out", str(tmp_path / "out"), "--names", str(path)])
    assert not (tmp_path / "out").exists()


def test_a_hand_out_is_served_with_its_own_python(write: Write, load: Load, tmp_path: Path) -> None:
    course = tmp_path / "course"
    for name in ("notebooks/04_maml.ipynb", "mlearn_utils/__init__.py", ".venv/bin/python"):
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text(name)
    out = write("--course", str(course))
    c = load(out)["c"]
    assert c.Spawner.environment["PYTHONPATH"] == str(course)
    assert c.Spawner.cmd[0] == str(course / ".venv/bin/python")
    c.Spawner.pre_spawn_hook(student("anna"))
    assert (out / "students/anna/04_maml.ipynb").read_text() == "notebooks/04_maml.ipynb"
    assert str(course / ".venv/bin/python") in (out / "START.md").read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out", "{}/file"], "file: File exists"),
        (["--out", "{}/file/deeper"], "file/deeper: Not a directory"),
        (["--out", "{}/out", "--lessons", "04", "77"], "there is no lesson 77 in .*; it has 00 01 02"),
        (["--out", "{}/out", "--course", "{}"], "--course needs a folder with notebooks and mlearn_utils"),
    ],
)
def test_wrong_options_are_told_before_anything_is_written(
    options: list[str], told: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=told):
        classroom.run_here(["hub", *(option.format(tmp_path) for option in options)])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("port", ["80", "x", "70000", "-1"])
def test_a_port_that_no_account_may_have_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        classroom.parser().parse_args(["hub", "--out", "out", f"--port={port}"])
    assert f"a port from 1024 to 64999 is expected, got '{port}'" in capsys.readouterr().err


@pytest.mark.parametrize(("offset", "what"), [(0, "students"), (1, "proxy"), (81, "hub")])
def test_a_port_that_is_taken_is_told(write: Write, load: Load, offset: int, what: str) -> None:
    out = write()
    port = json.loads((out / "settings.json").read_text())["port"] + offset
    with socket.socket() as other:
        other.bind(("", port))
        other.listen()
        with pytest.raises(SystemExit, match=rf"Port {port} \(for {what}\) cannot be had: Address already"):
            load(out)
        (out / "proxy.pid").touch()  # of a hub that was killed: its proxy still listens
        if what == "hub":
            with pytest.raises(SystemExit, match="If this hub does not run already"):
                load(out)
        else:
            load(out)


def test_the_hub_does_not_start_for_root_nor_without_its_proxy(
    write: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SystemExit, match="from an account of its own, not as root"):
        load(out)
    monkeypatch.setenv("MLEARN_HUB_AS_ROOT", "1")
    assert load(out)["c"].Spawner.args[-1] == "--allow-root"
    next(out.glob("proxy/*/*/*/*")).unlink()
    with pytest.raises(SystemExit, match=r"is not there; START\.md has the command that installs it"):
        load(out)


def test_windows_is_told_that_it_cannot_serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = classroom.parser().parse_args(["hub", "--out", str(tmp_path / "out")])
    monkeypatch.setattr(hub, "os", SimpleNamespace(name="nt"))
    with pytest.raises(SystemExit, match="does not run on Windows"):
        hub.main(options)


def test_the_commands_to_start_are_whole_and_pinned_as_in_the_package(write: Write) -> None:
    out = write()
    blocks = re.findall("```bash\n(.*?)```", (out / "START.md").read_text(), flags=re.DOTALL)
    install, npm, start = (shlex.split(line) for block in blocks for line in block.splitlines())
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["hub"]
    assert install[:4] == [sys.executable, "-m", "pip", "install"]
    assert install[4:] == extra == [hub.HUB, hub.NODE]
    assert npm[-3:] == ["--prefix", str(out / "proxy"), "configurable-http-proxy@5.3.0"]
    assert start == [sys.executable, "-m", "jupyterhub", "--config", str(out / "jupyterhub_config.py")]
    guide = (ROOT / "docs/teaching/hub.md").read_text()
    assert install[4] in guide
    assert npm[-1] in guide
