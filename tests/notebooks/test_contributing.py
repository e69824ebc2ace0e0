"""CONTRIBUTING followed to the letter, in a copy of the checkout: every block is run as it is printed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import new_lesson
import pytest

from mlearn_utils.course.grading.exercise import NotYet

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
LESSON = "mlearn_utils/course/lesson_42"

PLACES = {
    "def discounted_return": f"{LESSON}/exercises.py",
    "def return_probes": f"{LESSON}/mistakes.py",
    '# %% exercise="discounted_return"': "notebooks/source/42_lines.py",
    "def from_the_wrong_end": "tests/course/lesson_42/answers.py",
    "def check_drawn": f"{LESSON}/draws.py",
    '"what-gamma-weighs"': "data/lesson_42/quiz.json",
    "course.Explorer(make": "notebooks/source/42_lines.py",
}
"""Where a block is put; the word stands in it and in no other."""

RUN = ("class Sides",)
"""Blocks of Python that are run by themselves."""

LEFT_OUT = re.compile(r"tests/(course/\w+|meta(/\w+)?)/(?!test_maml)test_\w+\.py")
"""Tests of the copy that its commands select nothing of: pytest would import them to find that out."""


def block(word: str) -> str:
    """Return the one block that holds a word."""
    (found,) = (text for _, text in BLOCKS if word in text)
    return found


def test_every_block_is_followed_below() -> None:
    words = [*PLACES, *RUN, "build.py --check", "build.py --new", "tests/course -k 42"]

    assert {block(word) for word in words} == {text for _, text in BLOCKS}
    assert len(words) == len(BLOCKS)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what git would have in a clone but for `LEFT_OUT`; `python3` there needs no set-up."""
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not LEFT_OUT.fullmatch(name):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / "commands").mkdir()
    for path in (copy / ".venv" / "bin" / "python", copy / "commands" / "python3"):
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        path.chmod(0o755)
    return copy


def run(checkout: Path, text: str) -> str:
    """Run a block of commands in the copy, whose own package they import; return what they printed.

    `python3 tests` is told to install nothing. pyright looks at the new lesson only (the whole takes half a
    minute), and of the whole package's tests the names are listed.
    """
    text = text.replace("python3 tests ", "python3 tests --no-install ")
    text = text.replace("-m pyright", f"-m pyright -p . {LESSON} tests/course/lesson_42")
    text = text.replace("-k maml ", "-k maml --collect-only ")
    done = subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "PATH": f"{checkout}/commands:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def put(checkout: Path, word: str) -> None:
    """Put a block where the page says: at the end of its file, before the quiz, or among the questions."""
    path, text = checkout / PLACES[word], block(word)
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if path.suffix == ".json":
        bank = json.loads(old)
        bank["questions"].append(json.loads(text))
        new = json.dumps(bank)
    elif path.parent.name == "source":
        before, quiz, after = old.partition("# %% [markdown]\n# ## 4. Quiz")
        new = f"{before}{text}\n{quiz}{after}"
    else:
        new = f"{old}\n\n{text}" if old else text
    path.write_text(new, encoding="utf-8")


def test_a_lesson_that_is_laid_out_passes_every_test_and_so_it_does_with_what_the_page_adds(
    checkout: Path,
) -> None:
    made = run(checkout, block("build.py --new"))
    row = "[42 Lines](notebooks/42_lines.ipynb)"

    assert "made     notebooks/source/42_lines.py" in made
    assert "solutions/42_lines.ipynb" in made
    assert row in (checkout / "README.md").read_text(encoding="utf-8")
    assert "42_lines.ipynb" in (checkout / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8")
    assert "passed" in run(checkout, block("tests/course -k 42").splitlines()[1])

    for word in PLACES:
        put(checkout, word)
    source = checkout / PLACES["course.Explorer(make"]
    source.write_text(source.read_text().replace("(12 minutes)", "(8 minutes)", 1))
    told = run(checkout, block("tests/course -k 42"))
    assert "42_lines.ipynb" in told
    assert "passed" in told
    told = run(checkout, block("build.py --check"))
    assert "the notebooks are what their sources say" in told
    assert "All checks passed" in told
    assert "0 errors" in told
    solved = (checkout / "notebooks" / "solutions" / "42_lines.ipynb").read_text(encoding="utf-8")
    assert "Right for three rewards and for two." in solved
    assert "A line through the origin." in solved


def test_the_table_names_all_files_of_a_lesson() -> None:
    named = set(re.findall(r"`((?:notebooks|mlearn_utils|data|tests|docs)/\S*42\S*\.\w+)`", PAGE))
    made = {path.relative_to(ROOT).as_posix() for path in new_lesson.places(ROOT, "42", "Lines").values()}

    built = {"notebooks/42_lines.ipynb", "notebooks/solutions/42_lines.ipynb"}
    assert named == made | built | {f"{LESSON}/draws.py"}


def test_the_custom_check_of_contributing_judges() -> None:
    names = SimpleNamespace()
    exec(block("def check_drawn"), vars(names))
    check = names.check_drawn

    assert "as its chance says" in check(lambda chances, rng: rng.choice(len(chances), p=chances))
    for wrong, told in (
        (lambda chances, rng: rng.integers(len(chances)), "equally often"),
        (lambda chances, rng: int(chances.argmax()), "not drawn as often"),
        (lambda chances, rng: rng.choice(chances), "should be a whole number"),
    ):
        with pytest.raises(NotYet, match=told):
            check(wrong)


def test_the_family_of_contributing_learns() -> None:
    names = SimpleNamespace()
    exec(block("class Sides"), vars(names))

    assert names.returns.shape == (4, 20)
    assert names.returns[1].mean() > names.returns[0].mean() + 2
