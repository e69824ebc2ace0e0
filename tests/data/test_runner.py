"""The runner of the experiments: parts are kept, whatever stops it, and it says what it does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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

NEEDS["a unicorn"] = lambda: Path("unicorn").exists()


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
WRITTEN = "number,square\n0,0\n1,1\n2,4\n3,9\n4,16\n"


class Script:
    """A small experiment in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "make_squares.py"
        self.write()

    def write(self, seconds: float = 0, needs: tuple[str, ...] = (), more: str = "") -> None:
        text = SCRIPT.format(data=str(ROOT / "data"), seconds=seconds, needs=needs)
        self.path.write_text(text + more)

    def start(self, *options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(self.path), *options],
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *options: str) -> tuple[int, str]:
        process = self.start(*options)
        told = process.communicate(timeout=120)[0]
        return process.returncode, told

    def written(self) -> str:
        return (self.folder / "squares.csv").read_text()

    def stop(self, after: str, number: signal.Signals) -> tuple[int, str]:
        """Stop a run once it has printed `after`; return its exit code and what it printed."""
        process, told = self.start(), ""
        assert process.stdout is not None
        while after not in told:
            told += process.stdout.readline()
        process.send_signal(number)
        told += process.communicate(timeout=60)[0]
        return process.returncode, told


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


def test_the_old_files_stand_until_the_new_ones_are_complete(script: Script) -> None:
    script.run()
    script.write(seconds=0.3)
    process = script.start("--force")
    time.sleep(0.1)
    process.kill()
    process.communicate()

    assert script.written() == WRITTEN
    assert "Nothing to do" in script.run()[1], "no part was made, so there is nothing to go on with"


def test_parts_of_another_version_are_laid_aside(script: Script) -> None:
    script.write(seconds=0.3)
    script.stop("making 2", signal.SIGKILL)
    script.write(more="# changed\n")
    code, told = script.run()

    assert code == 0
    assert "The script has changed: parts of another version were laid aside, in " in told
    assert told.count("making") == 5
    assert len(list((script.folder / ".parts").glob("make_squares-*"))) == 1


def test_two_at_once_wait_for_each_other(script: Script) -> None:
    script.write(seconds=0.3)
    first = script.start()
    assert first.stdout is not None
    first.stdout.readline()
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


def test_parts_can_be_chosen_listed_and_made_at_once(script: Script) -> None:
    code, told = script.run("square 1", "square 2")
    assert (code, told.count("making")) == (0, 2)
    assert "4 parts are missing still. To make them: " in told
    code, told = script.run("--parts")
    assert told.splitlines()[:3] == ["-     square 0", "done  square 1", "done  square 2"]
    code, told = script.run("--processes", "2")
    assert (code, told.count("making"), script.written()) == (0, 3, WRITTEN)


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


def test_a_part_that_was_half_written_is_made_again(script: Script) -> None:
    script.write(seconds=0.3)
    script.stop("making 2", signal.SIGKILL)
    kept = script.folder / ".parts" / "make_squares"
    (kept / "half.part").write_text("[1, 2")
    assert all(isinstance(json.loads(path.read_text()), int) for path in kept.glob("*.json"))

    assert script.run()[0] == 0
    assert script.written() == WRITTEN
