"""The page of references: each once, with an identifier, and nothing is cited that it does not have."""

import calendar
import re

from tests.docs.sources import ROOT, lessons, markdown_cells

WITHOUT_IDENTIFIER = {
    "Gabrielsson 2016": "a book whose number was not found",
    "Sheiner 1982": "a paper whose number was not found",
}
INITIALS = r"(?:[A-Z]\. ?|-[A-Z]\. ?)+"
NAME = r"(?:[A-Z]['’])?[A-Z]\w+"
YEAR = r"(?<![\w:/.])((?:19|20)\d\d)(?!\w|\.\d)"
IN_TEXT = re.compile(
    rf"((?:Adaptive Agent )?{NAME})(?: et al\.|(?:, {NAME})*,? (?:and|&) {NAME})?,? \(?{YEAR}"
)
READING_LIST = re.compile(r"^(?:#+ |\*\*)Further reading.*\Z", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^- \*\*(.+? \d{4}b?)\*\*: (.+?)(?=\n- |\n\n|\Z)", re.MULTILINE | re.DOTALL)

Citation = tuple[str, str]  # first author, year


def entries() -> dict[str, str]:
    """Return the text of every entry of the page by its key, such as "Finn 2017"."""
    page = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")
    found = {entry[1]: " ".join(entry[2].split()) for entry in ENTRY.finditer(page)}
    assert len(found) == len(re.findall(r"^- ", page, re.MULTILINE)), "an entry twice, or of another form"
    return found


def entry_of(citation: Citation) -> str | None:
    """Return the key of what is cited; its text may have the year instead, such as that of a later print."""
    name, year = citation
    same_name = [key for key in entries() if key.rsplit(" ", 1)[0] == name]
    exact = [key for key in same_name if key == f"{name} {year}"]
    return next(iter(exact or [key for key in same_name if year in entries()[key]]), None)


def cited_by_lessons(cells: list[str]) -> set[Citation]:
    """Return what the Markdown cells of a lesson cite, in the text and in its reading list."""
    found: set[Citation] = set()
    for cell in cells:
        reading_list = READING_LIST.search(cell)
        text = re.sub(r"`[^`]*`|\$[^$]*\$|[*]", "", READING_LIST.sub("", cell))
        cited = {(match[1], match[2]) for match in IN_TEXT.finditer(" ".join(text.split()))}
        found |= {(name, year) for name, year in cited if name not in calendar.month_name}
        items = re.split(r"^- ", reading_list[0], flags=re.MULTILINE)[1:] if reading_list else []
        for item in items:
            for paper in re.split(rf"; (?={INITIALS})", " ".join(item.split())):
                author = re.match(rf"(?:{INITIALS})?({NAME}(?: {NAME})*)", paper)
                years = re.findall(YEAR, paper)
                assert author, f"no author: {paper}"
                assert years, f"no year: {paper}"
                found.add((author[1], years[-1]))
    return found


def package_references() -> list[tuple[str, str, str]]:
    """Return (file, first author, text) of each reference in the package's docstrings."""
    found = []
    for file in sorted((ROOT / "mlearn_utils").rglob("*.py")):
        blocks = re.findall(
            r"^ *References?:(.*?)(?:\n *\n|\"\"\")", file.read_text(encoding="utf-8"), re.M | re.S
        )
        for block in blocks:
            for paper in re.split(r"; ", " ".join(block.split())):
                if author := re.match(rf"(?:{INITIALS})?({NAME})", paper):
                    found.append((file.relative_to(ROOT / "mlearn_utils").as_posix(), author[1], paper))
    return found


# --- the page


def test_entries_are_sorted() -> None:
    keys = [key.casefold() for key in entries()]
    assert len(keys) > 50
    assert keys == sorted(keys)


def test_every_entry_has_an_identifier_of_its_own() -> None:
    links = {key: re.findall(r"\]\((\S+?)\)[.,]|ISBN ([\d-]+)", text) for key, text in entries().items()}
    assert {key for key, found in links.items() if not found} == set(WITHOUT_IDENTIFIER)
    identifiers = [link for found in links.values() for link in found]
    assert len(identifiers) == len(set(identifiers))


def test_a_link_leads_to_the_identifier_that_is_shown() -> None:
    for text in entries().values():
        for shown, link in re.findall(r"\[(?:arXiv|doi):(\S+?)\]\((\S+?)\)[.,]", text):
            assert link.replace("%28", "(").replace("%29", ")").endswith(f"/{shown}")


# --- the page and the lessons


def test_every_citation_has_its_entry_and_every_entry_its_lessons() -> None:
    citing: dict[str, set[str]] = {key: set() for key in entries()}
    for lesson, cells in lessons().items():
        for citation in cited_by_lessons(cells):
            key = entry_of(citation)
            assert key, f"lesson {lesson} cites {citation}, which docs/references.md has not"
            citing[key].add(lesson)
    named = {
        key: set(re.findall(r"\d\d", said[1]))
        if (said := re.search(r"\*Lessons? ([\d, ]+)\.\*$", text))
        else set()
        for key, text in entries().items()
    }
    assert named == citing


def test_what_the_package_cites_has_its_entry_and_no_entry_is_cited_nowhere() -> None:
    authors = {key.rsplit(" ", 1)[0] for key in entries()} | {"Gymnasium"}
    assert [(file, author) for file, author, _ in package_references() if author not in authors] == []
    files = {key: re.findall(r"`(\S+\.py)`", text) for key, text in entries().items() if "*Package:" in text}
    for key, names in files.items():
        assert names
        for name in names:
            assert key.rsplit(" ", 1)[0] in (ROOT / "mlearn_utils" / name).read_text(encoding="utf-8")
    assert [k for k, text in entries().items() if k not in files and not text.endswith(".*")] == []


def test_a_citation_without_an_entry_is_found() -> None:
    source = (
        "# %% [markdown]\n# Seen before (Nobody, Someone and\n# Others 1999), and by Duan et al. (2016).\n"
    )
    cited = cited_by_lessons(markdown_cells(source))
    assert cited == {("Nobody", "1999"), ("Duan", "2016")}
    assert {citation for citation in cited if entry_of(citation) is None} == {("Nobody", "1999")}


def test_reading_lists_are_read_paper_by_paper() -> None:
    cell = (
        "## Further reading\n\n"
        "- J. Bergstra, R. Bardenet, *Algorithms*, NeurIPS\n  2011 (TPE); T. Akiba et al., *Optuna*,\n"
        "  KDD 2019, arXiv:1907.10902.\n"
        '- Adaptive Agent Team, "Adaptation", ICML 2023, arXiv:2301.07608.\n'
    )
    assert cited_by_lessons([cell]) == {
        ("Bergstra", "2011"),
        ("Akiba", "2019"),
        ("Adaptive Agent Team", "2023"),
    }
