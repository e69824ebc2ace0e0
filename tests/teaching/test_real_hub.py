"""A hub for five students, as START.md starts it: skipped where JupyterHub or its proxy are not installed.

To run it, install what START.md of a hub lists, and let MLEARN_HUB_PROXY name the folder `proxy` there.
"""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import classroom
import pytest
import requests

from tests.teaching.hub_student import Student
from tests.teaching.test_hub import free_port

PROXY = Path(os.environ.get("MLEARN_HUB_PROXY", "none"))
NAMES = ("Anna", "ben", "李雷", "zoë müller", "o.k-d_e")
CHECK = """
import os, sys
import mlearn_utils
from mlearn_utils import course
from mlearn_utils.course.lesson_04.exercises import inner_step
lesson = course.start("04")
lesson.check(inner_step)
print("\\n" + os.getcwd(), sys.executable, mlearn_utils.__file__, os.environ["OMP_NUM_THREADS"], sep="\\n")
"""

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("jupyterhub") is None, reason="no JupyterHub"),
    pytest.mark.skipif(not PROXY.is_dir(), reason="MLEARN_HUB_PROXY names no proxy"),
]


@contextmanager
def running_hub(out: Path) -> Iterator[str]:
    """Start the hub in `out` by the command of its START.md; yield its address; stop it by Ctrl-C."""
    command = re.findall("```bash\n(.*?)```", (out / "START.md").read_text(), flags=re.DOTALL)[-1]
    variables = dict(os.environ, MLEARN_HUB_AS_ROOT="1")
    with (out / "log").open("ab") as log:
        hub = subprocess.Popen(shlex.split(command), env=variables, stdout=log, stderr=log, cwd=out)
    address = f"http://127.0.0.1:{json.loads((out / 'settings.json').read_text())['port']}"
    try:
        end = time.monotonic() + 60
        while not _answers(f"{address}/hub/login"):
            assert hub.poll() is None, (out / "log").read_text()[-2000:]
            assert time.monotonic() < end
            time.sleep(0.2)
        yield address
    finally:
        hub.send_signal(signal.SIGINT)  # a hub that is killed leaves its servers behind
        code = hub.wait(timeout=120)
    assert code == 0


def test_five_students_work_side_by_side_and_keep_what_they_wrote(tmp_path: Path) -> None:
    out, names = tmp_path / "class", tmp_path / "names"
    names.write_text("\n".join(NAMES), encoding="utf-8")
    options = ["hub", "--out", str(out), "--lessons", "00", "04", "--names", str(names)]
    assert classroom.run_here([*options, "--port", str(free_port())]) == 0
    (out / "proxy").symlink_to(PROXY)
    password = (out / "password").read_text().strip()

    with running_hub(out) as address:
        for name, word in (("Anna", "wrong"), ("Anna", "密码密码"), ("carl", password), ("../x", password)):
            assert not Student(address, name).log_in(word)
        students = [Student(address, name) for name in NAMES]
        assert all(student.log_in(password) for student in students)
        with ThreadPoolExecutor(len(students)) as pool:
            list(pool.map(Student.open, students))
            printed = list(pool.map(Student.run, students, [CHECK] * len(students)))
        for student, lines in zip(students, printed, strict=True):
            home = out / "students" / student.name.lower()
            assert lines.splitlines()[-4:] == [str(home), *where(out), "1"]
            events = [json.loads(line) for line in (home / ".mlearn/progress.jsonl").read_text().splitlines()]
            assert [(event["name"], event["outcome"]) for event in events] == [("inner_step", "passed")]
            found = {file["name"] for file in student.ask("GET", "contents")["content"]}
            assert found == {"00_start_here.ipynb", "04_maml.ipynb"}
        foreign = students[0].session.get(f"{students[1].server}/api/contents", timeout=30)
        assert foreign.status_code == 403
        book = students[0].ask("GET", "contents/04_maml.ipynb")
        book["content"]["cells"][0]["source"] = "mine"
        kept = {name: book[name] for name in ("type", "format", "content")}
        students[0].ask("PUT", "contents/04_maml.ipynb", **kept)

    names.write_text("Anna\n")
    port = str(json.loads((out / "settings.json").read_text())["port"])
    assert classroom.run_here([*options, "--port", port]) == 0
    with running_hub(out) as address:
        assert not Student(address, "ben").log_in(password)
        anna = Student(address, "anna")
        assert anna.log_in(password)
        anna.open()
        book = anna.ask("GET", "contents/04_maml.ipynb")
        assert book["content"]["cells"][0]["source"] == "mine"


def where(out: Path) -> list[str]:
    """Return the Python and the package that a student's kernel should have."""
    settings = json.loads((out / "settings.json").read_text())
    return [settings["python"], str(Path(settings["course"]) / "mlearn_utils" / "__init__.py")]


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False
