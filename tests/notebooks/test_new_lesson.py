"""`build.py --new` refuses what cannot be a lesson; `test_contributing.py` lays one out."""

from pathlib import Path

import cells
import new_lesson
import pytest

NUMBER = "98"


@pytest.mark.parametrize(
    ("number", "title", "message"),
    [
        ("8", "Memory", r"two digits, such as 08, got '8'"),
        ("one", "Memory", "two digits"),
        ("04", "MAML again", r"lesson 04 is there already: "),
        (NUMBER, "", "a title has letters or digits"),
        (NUMBER, "…", "a title has letters or digits"),
        (NUMBER, 'A "quoted" one', "no quotes"),
        (NUMBER, "two\nlines", "a title has"),
    ],
)
def test_what_cannot_be_a_lesson_is_refused_before_anything_is_written(
    tmp_path: Path, number: str, title: str, message: str
) -> None:
    (tmp_path / "README.md").write_text("| [00 Start here](notebooks/00.ipynb) | 15 | begin |\n")
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    (tmp_path / "notebooks" / "source" / "04_maml.py").touch()
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(cells.BuildError, match=message):
        new_lesson.lay_out(tmp_path, number, title)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_readme_without_a_table_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing\n")

    with pytest.raises(cells.BuildError, match="no table of lessons"):
        new_lesson.lay_out(tmp_path, NUMBER, "Memory")

    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
