"""Lay out a new lesson that runs, from the files in `notebooks/template`: `build.py --new NN "Title"`.

Every part that a lesson has is there once: a text to replace, two exercises and a planted bug with their
mistakes and answers, an explorer, a prediction, a quiz. It passes all tests before a word of it is changed.
"""

import re
from pathlib import Path

from cells import NAME, BuildError

TEMPLATE = Path(__file__).resolve().parent / "template"
ROW = re.compile(r"^\| \[(\d\d) [^\n]*\n", flags=re.MULTILINE)


def places(root: Path, number: str, title: str) -> dict[str, Path]:
    """Return where each file of the template goes in the checkout at `root`."""
    name = "_".join(re.findall(r"[a-z0-9]+", title.lower()))
    room = root / "mlearn_utils" / "course" / f"lesson_{number}"
    modules = ("__init__.py", "exercises.py", "mistakes.py", "pictures.py", "predictions.py")
    return {module: room / module for module in modules} | {
        "source.py": root / "notebooks" / "source" / f"{number}_{name}.py",
        "answers.py": root / "tests" / "course" / f"lesson_{number}" / "answers.py",
        "quiz.json": root / "data" / f"lesson_{number}" / "quiz.json",
        "teacher.md": root / "docs" / "teaching" / f"{number}.md",
    }


def lay_out(root: Path, number: str, title: str) -> list[Path]:
    """Write the files of a new lesson and its row in the README; return the paths.

    Args:
        root: the checkout.
        number: two digits.
        title: of the lesson; the notebook's name is made of its letters and digits.

    Raises:
        BuildError: if the number has not two digits or is taken, or the title cannot be one; nothing is
            written then.
    """
    if not re.fullmatch(r"\d\d", number):
        raise BuildError(f"the number of a lesson has two digits, such as 08, got {number!r}")
    if not re.search(r"[A-Za-z0-9]", title) or re.search(r'["\\\n|\[\]]', title):
        raise BuildError(f"a title has letters or digits, and no quotes, brackets or bars, got {title!r}")
    targets = places(root, number, title)
    taken = [*(path for path in targets.values() if path.exists())]
    taken += (root / "notebooks" / "source").glob(f"{number}_*.py")
    if taken:
        raise BuildError(f"lesson {number} is there already: {taken[0].relative_to(root)}")
    readme = root / "README.md"
    listed = _with_row(readme.read_text(encoding="utf-8"), number, title, targets["source.py"].stem)
    for name, path in targets.items():
        text = (TEMPLATE / name).read_text(encoding="utf-8").replace("NN_STEM", targets["source.py"].stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NN", number).replace("LESSON_TITLE", title), encoding="utf-8")
    readme.write_text(listed, encoding="utf-8")
    return list(targets.values())


def lesson_faults(root: Path, source: Path) -> list[str]:
    """Return which files and facts a lesson lacks, without which its notebook or the tests would fail.

    Args:
        root: the checkout.
        source: of the lesson's notebook.
    """
    if not NAME.fullmatch(source.stem):
        return [f"{source.name}: a source is called NN_name.py, in lower case"]
    number, found = source.stem[:2], []
    files = places(root, number, "any")
    for name in ("__init__.py", "exercises.py", "answers.py", "quiz.json", "teacher.md"):
        if not files[name].exists():
            found.append(f"{files[name].relative_to(root)}: missing; notebooks/template/{name} shows one")
    if files["__init__.py"].exists():
        text = files["__init__.py"].read_text(encoding="utf-8")
        lacking = [name for name in ("TITLE", "MINUTES", "SESSIONS") if name not in text]
        found += [f"{files['__init__.py'].relative_to(root)}: {name} is missing" for name in lacking]
    if files["quiz.json"].exists():
        from mlearn_utils.course.widgets.quizzes import load_bank

        try:
            load_bank(files["quiz.json"])
        except ValueError as error:
            found.append(f"data/{error}")
    if f"(notebooks/{source.stem}.ipynb)" not in (root / "README.md").read_text(encoding="utf-8"):
        found.append(
            f"README.md: the table of lessons has no row that links to notebooks/{source.stem}.ipynb"
        )
    return found


def _with_row(text: str, number: str, title: str, name: str) -> str:
    """Return the README with the lesson in its table, behind the last one of a lower number."""
    before = [row for row in ROW.finditer(text) if row[1] < number]
    if not before:
        raise BuildError(f"README.md has no table of lessons to which lesson {number} could be added")
    row = f"| [{number} {title}](notebooks/{name}.ipynb) | 50 | (what one can do afterwards) |\n"
    return text[: before[-1].end()] + row + text[before[-1].end() :]
