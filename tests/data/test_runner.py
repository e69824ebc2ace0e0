"""The runner of the experiments: parts are kept, whatever stops it, and it says what it does."""

import functools
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = '''"""Squares of numbers.

squares.csv: number, square.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, {data!r})

from runner import NEEDS, Experiment, Part

import mlearn_utils

if {importing}:
    print("importing", flush=True)
    time.sleep({importing})
NEEDS["a unicorn"] = lambda: "" if Path("unicorn").exists() else "there is none"


def square(number):
    print("making", number, flush=True)
    time.sleep({seconds})
    if number == 3 and Path("broken").exists():
        raise ValueError("three is broken")
    return number**2


def total(done):
    return sum(done.values())


def parts():
    singles = [Part(f"square {{k}}", square, (k,)) for k in range(5)]
    return [*singles, Part("sum", total, (), tuple(part.name for part in singles))]


def finish(results):
    rows = [(k, results[f"square {{k}}"]) for k in range(5)]
    return {{"squares.csv": [("number", "square"), *rows], "sum.txt": str(results["sum"])}}


FILES = ("squares.csv", "sum.txt")
EXPERIMENT = Experiment(__file__, __doc__, 3, FILES, parts, finish, needs={needs!r})

if __name__ == "__main__":
    EXPERIMENT.main()
'''
FOREIGN = ("PYTHONUNBUFFERED", "CXX")  # what would change how it ends on a closed pipe, or what it needs
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in FOREIGN}
ENVIRONMENT["OMP_NUM_THREADS"] = "1"
WRITTEN = "number,square\n0,0\n1,1\n2,4\n3,9\n4,16\n"


class Script:
    """A small experiment, with a package of its own, in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "make_squares.py"
        self.kept = folder / ".parts" / "make_squares"
        self.package = folder / "mlearn_utils" / "__init__.py"
        self.package.parent.mkdir()
        self.package.touch()
        self.write()

    def write(
        self, seconds: float = 0, needs: tuple[str, ...] = (), more: str = "", importing: float = 0
    ) -> None:
        text = SCRIPT.format(data=str(ROOT / "data"), seconds=seconds, needs=needs, importing=importing)
        self.path.write_text(text + more)

    def start(self, *options: str, **how: Any) -> "subprocess.Popen[str]":
        """Start it in a process group of its own, as a terminal does."""
        how = {
            "env": ENVIRONMENT,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        } | how
        command = [sys.executable, str(self.path), *options]
        return subprocess.Popen(command, cwd=self.folder, text=True, start_new_session=True, **how)

    def run(self, *options: str, **how: Any) -> tuple[int, str]:
        process = self.start(*options, **how)
        told = process.communicate(timeout=120)[0]
        return process.returncode, told

    def written(self) -> str:
        return (self.folder / "squares.csv").read_text()

    def stop(self, after: str, number: signal.Signals, *options: str, times: int = 1) -> tuple[int, str]:
        """Stop a run once it has printed `after` so often; return its exit code and what it printed."""
        process = self.start(*options)
        told = read(process, after, times)
        os.killpg(process.pid, number)
        told += process.communicate(timeout=60)[0]
        return process.returncode, told


def read(process: "subprocess.Popen[str]", until: str, times: int = 1) -> str:
    """Return what a process prints, up to the line in which `until` comes for the last of so many times."""
    assert process.stdout is not None
    told = ""
    while told.count(until) < times:
        line = process.stdout.readline()
        assert line, f"it ended without {until!r}: {told}"
        told += line
    return told


full_disk = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (8, 8))
"""A disk on which no file gets longer than eight bytes: that holds a process's number, but no version."""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_a_run_writes_its_files_and_keeps_no_parts(script: Script) -> None:
    code, told = script.run()

    assert (code, script.written()) == (0, WRITTEN)
    assert (script.folder / "sum.txt").read_text() == "30"
    assert told.splitlines()[-1] == "Written: squares.csv, sum.txt"
    assert not (script.folder / ".parts" / "make_squares").exists()


def test_a_second_run_says_that_there_is_nothing_to_do_and_how_to_force_it(script: Script) -> None:
    script.run()
    (script.folder / "sum.txt").write_text("31")
    code, told = script.run()

    assert code == 0
    assert "Nothing to do: its files are there (squares.csv, sum.txt). --force makes them again" in told
    assert "about 3 CPU-minutes" in told
    assert "making" not in told
    assert (script.folder / "sum.txt").read_text() == "31"
    code, told = script.run("--force")
    assert told.count("making") == 5
    assert (script.folder / "sum.txt").read_text() == "30"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_was_finished_is_kept_whatever_stops_it(script: Script, number: signal.Signals) -> None:
    script.write(seconds=0.3)
    code, told = script.stop("making 3", number)

    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 130
        assert f"Stopped: 3 of 6 parts are kept. To go on, repeat: python {script.path}" in told
        assert "Traceback" not in told
    assert not (script.folder / "squares.csv").exists()
    code, told = script.run()
    assert (told.count("making"), "making 3" in told, script.written()) == (2, True, WRITTEN)


def test_ctrl_c_during_the_imports_is_answered_by_a_sentence(script: Script) -> None:
    script.write(importing=20)
    code, told = script.stop("importing", signal.SIGINT, "--processes", "2")

    command = f"python {script.path} --processes 2"
    assert told == f"importing\n\nStopped before it began; nothing was changed. To begin, repeat: {command}\n"
    assert code == 130


def test_ctrl_c_during_the_imports_of_the_workers_is_answered_by_one_sentence(script: Script) -> None:
    script.write(importing=1)
    code, told = script.stop("importing", signal.SIGINT, "--processes", "2", times=3)

    again = f"python {script.path} --processes 2"
    told = told.replace("importing", "").strip()  # the workers' lines may run into each other
    assert told == f"Stopped: 0 of 6 parts are kept. To go on, repeat: {again}"
    assert code == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_workers_end_and_one_sentence_is_said(script: Script, number: signal.Signals) -> None:
    script.write(seconds=1)
    code, told = script.stop("making", number, "--processes", "2", times=2)

    assert told.endswith(f"of 6 parts are kept. To go on, repeat: python {script.path} --processes 2\n")
    assert not re.search("Traceback|Error|Warning", told)
    assert code == 130


def test_ctrl_c_is_left_to_whoever_imports_the_runner_otherwise(script: Script) -> None:
    (script.folder / "user.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'data')!r})\nimport runner"
    )
    script.path.write_text("import signal, user\nprint(signal.getsignal(2) is signal.default_int_handler)")

    assert script.run() == (0, "True\n")


def test_force_is_repeated_until_it_has_made_a_part(script: Script) -> None:
    script.run()
    script.write(seconds=0.3)
    command = f"To go on, repeat: python {script.path}"
    told = script.stop("making 0", signal.SIGINT, "--force", "square", "sum")[1]
    assert told.endswith(f"Stopped: 0 of 6 parts are kept. {command} square sum --force\n")

    told = script.stop("making 2", signal.SIGINT, "--force", "square 2", "square 3")[1]
    assert told.endswith(f"Stopped: 0 of 6 parts are kept. {command} 'square 2' 'square 3' --force\n")

    told = script.stop("making 1", signal.SIGINT, "--force")[1]
    assert told.endswith(f"Stopped: 1 of 6 parts are kept. {command}\n")


def test_force_is_repeated_if_it_was_waiting_for_another_run(script: Script) -> None:
    script.write(seconds=0.3)
    first = script.start()
    read(first, "making 1")
    told = script.stop("Another run of this experiment is running", signal.SIGINT, "--force")[1]

    assert told.endswith(f"To go on, repeat: python {script.path} --force\n")
    assert "Traceback" not in told
    first.communicate()


def test_the_old_files_stand_until_the_new_ones_are_complete(script: Script) -> None:
    script.run()
    script.write(seconds=3)
    code, told = script.stop("making 0", signal.SIGKILL, "--force")

    assert (code, "done" in told) == (-signal.SIGKILL, False)
    assert script.written() == WRITTEN
    assert "Nothing to do" in script.run()[1], "no part was made, so there is nothing to go on with"


def test_parts_of_another_version_are_laid_aside(script: Script) -> None:
    script.write(seconds=0.3)
    script.stop("making 2", signal.SIGKILL)
    script.write(more="CHANGED = True\n")
    assert "done" not in script.run("--parts")[1]
    assert script.kept.exists(), "a listing changes nothing"
    code, told = script.run()

    assert code == 0
    assert "parts of another version were laid aside, in " in told
    assert told.count("making") == 5
    assert len(list((script.folder / ".parts").glob("make_squares-*"))) == 1


def test_a_setting_of_the_package_belongs_to_the_version(script: Script) -> None:
    script.package.write_text("RATE = 1\n")
    script.run("square 1")
    script.package.write_text("RATE = 2\n")
    code, told = script.run()

    assert "or what it imports of mlearn_utils: parts of another version were laid aside, in " in told
    assert (code, told.count("making")) == (0, 5)


def test_comments_and_docstrings_do_not_belong_to_the_version(script: Script) -> None:
    script.run("square 1")
    script.write(more="# a comment\n")
    script.package.write_text('"""A docstring."""\n')
    code, told = script.run()

    assert "laid aside" not in told
    assert (code, told.count("making")) == (0, 4)


def test_two_at_once_wait_for_each_other(script: Script) -> None:
    script.write(seconds=0.3)
    first = script.start()
    read(first, "making 0")
    code, told = script.run()

    assert f"Another run of this experiment is running in this folder (process {first.pid})" in told
    assert "Nothing to do" in told
    assert code == 0
    first.communicate()
    assert script.written() == WRITTEN


def test_a_part_that_fails_is_shown_and_the_others_are_kept(script: Script) -> None:
    (script.folder / "broken").touch()
    code, told = script.run()

    assert code == 1
    assert "ValueError: three is broken" in told
    assert "A part failed (see above); the finished ones are kept. Then repeat: " in told
    (script.folder / "broken").unlink()
    code, told = script.run()
    assert (code, told.count("making")) == (0, 2)


def test_what_it_needs_is_looked_for_before_it_begins(script: Script) -> None:
    script.write(needs=("a unicorn",))
    code, told = script.run()

    assert code == 1
    assert "needs a unicorn, and there is none; install one and repeat" in told
    assert "making" not in told
    (script.folder / "unicorn").touch()
    assert script.run()[0] == 0


def test_nothing_is_deleted_before_all_checks_have_passed(script: Script) -> None:
    script.run("square 1", "square 2")
    script.write(needs=("a unicorn",))
    before = sorted(script.kept.iterdir())
    assert script.run("--force")[0] == 1
    assert sorted(script.kept.iterdir()) == before

    script.write()
    code, told = script.run("--force", "sum")
    assert (code, "sum comes after parts that are not made; make all" in told) == (1, True)
    assert script.run()[1].count("making") == 3


@pytest.mark.parametrize(
    ("there", "cxx", "lacks"),
    [
        (["g++"], None, ""),
        (["c++", "clang++"], None, "'g++', which"),
        (["clang++"], "clang++", ""),
        (["g++"], "clang++-99", "'clang++-99' (from $CXX), which"),
        (["g++"], "", "'' (from $CXX), which"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="torch takes another compiler on other systems")
def test_the_compiler_that_is_looked_for_is_the_one_that_torch_takes(
    script: Script, there: list[str], cxx: str | None, lacks: str
) -> None:
    script.write(needs=("a C++ compiler",))
    tools = script.folder / "tools"
    tools.mkdir()
    for name in there:
        (tools / name).touch(mode=0o755)
    env = ENVIRONMENT | {"PATH": str(tools)}
    code, told = script.run(env=env if cxx is None else env | {"CXX": cxx})

    assert code == (1 if lacks else 0)
    assert not lacks or f"needs a C++ compiler, and torch would take {lacks} is not there" in told


def test_parts_can_be_chosen_listed_and_made_at_once(script: Script) -> None:
    code, told = script.run("square 1", "square 2")
    assert (code, told.count("making")) == (0, 2)
    assert "4 parts are missing still. To make them: " in told
    code, told = script.run("--parts")
    assert told.splitlines()[:3] == ["-     square 0", "done  square 1", "done  square 2"]
    code, told = script.run("--processes", "2")
    assert (code, told.count("making"), script.written()) == (0, 3, WRITTEN)


def test_a_listing_does_not_wait_for_a_run(script: Script) -> None:
    script.write(seconds=1)
    run = script.start()
    read(run, "square 0: done")
    code, told = script.run("--parts")

    assert run.poll() is None
    assert (code, told.splitlines()[:2]) == (0, ["done  square 0", "-     square 1"])
    run.kill()
    run.communicate()


@pytest.mark.parametrize("options", [("--parts",), ()])
def test_whoever_reads_the_output_may_stop_reading(script: Script, options: tuple[str, ...]) -> None:
    script.write(importing=0.5)
    process = script.start(*options, stderr=subprocess.PIPE)
    read(process, "importing")
    assert process.stdout is not None
    process.stdout.close()

    assert process.communicate()[1] == ""
    assert process.returncode == 141


def test_a_part_whose_forerunners_are_not_made_is_named(script: Script) -> None:
    code, told = script.run("sum")

    assert code == 1
    assert "sum comes after parts that are not made; make all" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--processes", "0"], "--processes needs 1 or more, got 0"),
        (["cube"], "no part begins with 'cube'; --parts lists them"),
        (["--processes", "many"], "argument --processes: invalid int value: 'many'"),
        (["--backend", "abacus"], "argument --backend: invalid choice: 'abacus'"),
        (["--backend", "dask"], "--backend dask and --scheduler ADDRESS go together"),
        (["--scheduler", "tcp://host:1"], "--backend dask and --scheduler ADDRESS go together"),
    ],
)
def test_bad_options_are_named_before_anything_is_done(
    script: Script, options: list[str], message: str
) -> None:
    code, told = script.run(*options)

    assert code == 2
    assert message in told
    assert "making" not in told


def test_help_says_what_it_makes_how_long_that_takes_and_what_it_needs(script: Script) -> None:
    script.write(needs=("a unicorn",))
    told = script.run("--help")[1]

    assert "squares.csv: number, square." in told
    assert "Makes: squares.csv, sum.txt." in told
    assert "About 3 CPU-minutes on one core; needs a unicorn." in told
    assert "--force" in told


def test_a_folder_that_cannot_be_written_is_named(script: Script) -> None:
    (script.folder / ".parts").write_text("a file in the way")
    code, told = script.run()

    assert code == 1
    assert f"{script.folder / '.parts'}: File exists. Mend that and repeat: " in told
    assert "Traceback" not in told


def test_a_full_disk_tears_no_mark_and_leaves_no_half_file_beside_the_results(script: Script) -> None:
    code, told = script.run("square 1", preexec_fn=full_disk)
    assert code == 1
    assert f"{script.folder}: File too large. Mend that and repeat: python {script.path} 'square 1'" in told
    assert not (script.kept / "script").exists()

    script.run("square 1")
    beside = sorted(script.folder.iterdir())
    code, told = script.run(preexec_fn=full_disk)
    assert (code, told.count("making"), "File too large" in told) == (1, 4, True)
    assert sorted(script.folder.iterdir()) == beside

    code, told = script.run()
    assert (code, told.count("making"), script.written()) == (0, 0, WRITTEN)


def test_a_part_that_was_half_written_is_made_again(script: Script) -> None:
    script.write(seconds=0.3)
    script.stop("making 2", signal.SIGKILL)
    (script.kept / "half.part").write_text("[1, 2")
    assert all(isinstance(json.loads(path.read_text()), int) for path in script.kept.glob("*.json"))

    assert script.run()[0] == 0
    assert script.written() == WRITTEN
