"""The page of notation: each symbol once, as the lesson that is named writes it."""

import re

from tests.docs.sources import ROOT, lessons


def rows() -> list[list[str]]:
    """Return the cells of all rows of the page's tables, without their heads."""
    page = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| $")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def plain(maths: str) -> str:
    """Return LaTeX without blanks, thin ones included."""
    return re.sub(r"\\[,;!]|\s", "", maths)


def test_every_symbol_stands_once() -> None:
    symbols = [row[0] for row in rows()]
    assert len(symbols) > 80
    assert sorted(symbols) == sorted(set(symbols))


def test_every_symbol_has_a_meaning_and_stands_in_the_lesson_that_is_named() -> None:
    missing = []
    for symbol, meaning, *_, last in rows():
        named = re.fullmatch(r"\d\d", last)
        meanings = [named[0]] if named else re.findall(r"\((\d\d)\)", meaning)
        assert meaning, symbol
        assert meanings, symbol
        missing += [(symbol, n) for n in meanings if not stands_in(symbol.strip("$"), lessons()[n])]
    assert missing == []


def stands_in(symbol: str, cells: list[str]) -> bool:
    """Return whether the maths of a lesson has a symbol; a letter must not be one of a word or a command."""
    maths = "".join(re.findall(r"\$\$.*?\$\$|\$[^$]+\$", "\n".join(cells), re.DOTALL))
    if len(symbol) == 1:
        maths = re.sub(r"\\(?:text|mathbb|mathcal|tfrac|frac)\{\w*\}|\\[A-Za-z]+|\^\\top", "", maths)
    return plain(symbol) in plain(maths)


def test_a_letter_with_several_meanings_says_how_they_are_told_apart() -> None:
    several = [row for row in rows() if not re.fullmatch(r"\d\d", row[-1])]
    assert len(several) > 20
    assert [row[0] for row in several if len(row) != 3 or not row[2]] == []
