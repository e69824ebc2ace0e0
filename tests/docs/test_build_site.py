"""How the site is put together: pages, links, widgets on the front page, and what is the same in any fork."""

from pathlib import Path

import build_site
import pytest
from build_site import digest, fill_in, guide_entry, repository, table_of_contents
from links import SiteError, page_name, site_links

README = "| lesson | minutes |\n|---|---|\n| [00 Start](notebooks/00_start.ipynb) | 15 |\n| other | table |\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("notebooks/solutions", "docs/teaching", "data", "pages"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "notebooks/00_start.ipynb",
        "notebooks/solutions/00_start.ipynb",
        "docs/do.md",
        "docs/teaching/00.md",
        "docs/teaching/index.md",
        "data/a.png",
    ):
        (tmp_path / name).write_text("{}")
    (tmp_path / "README.md").write_text(README)
    return tmp_path


@pytest.mark.parametrize(
    ("markdown", "known", "unknown"),
    [
        ("[a](../notebooks/00_start.ipynb#b)", "[a](00_start.ipynb#b)", "[a](00_start.ipynb#b)"),
        ("[a](do.md)", "[a](do.md)", "[a](do.md)"),
        ("[a](teaching/00.md#b)", "[a](teaching_00.md#b)", "[a](teaching_00.md#b)"),
        ("[a](../README.md#b)", "[a](https://github.com/o/n/blob/main/README.md#b)", "a"),
        ("[a](https://b.org/c.md)", "[a](https://b.org/c.md)", "[a](https://b.org/c.md)"),
        ("[a](#b) f[x](y)", "[a](#b) f[x](y)", "[a](#b) f[x](y)"),
        ("![a](../data/a.png)", "![a](a.png)", "![a](a.png)"),
    ],
)
def test_links_lead_to_pages_or_to_the_repository(
    checkout: Path, markdown: str, known: str, unknown: str
) -> None:
    for address, expected in (("https://github.com/o/n", known), ("", unknown)):
        found = site_links(markdown, checkout / "docs", checkout, address, checkout / "pages")
        assert found == expected


@pytest.mark.parametrize(
    ("markdown", "message"),
    [
        ("[a](gone.md)", "a link to gone.md, which is not there"),
        ("[a](../../../etc/)", "which is not there"),
        ("![](../data/a.png)", "the picture ../data/a.png has no alt text"),
    ],
)
def test_a_wrong_link_is_refused(checkout: Path, markdown: str, message: str) -> None:
    with pytest.raises(SiteError, match=message):
        site_links(markdown, checkout / "docs", checkout, "", checkout / "pages")


def test_the_guide_finds_lessons_and_pages_and_stands_in_its_order(checkout: Path) -> None:
    text = "[a](../../notebooks/00_start.ipynb) [b](../do.md) [c](00.md) [d](index.md)"
    here = checkout / "docs" / "teaching"

    found = site_links(text, here, checkout, "", checkout / "pages")
    assert found == "[a](00_start.ipynb) [b](do.md) [c](teaching_00.md) [d](teaching_index.md)"
    pages = [path.stem for path in build_site.guide(checkout)]
    assert list(map(guide_entry, pages)) == ["teaching_index", "Lesson 00 <teaching_00>"]


def test_the_front_page_has_widgets_and_the_lessons_of_the_readme(checkout: Path) -> None:
    widgets = {"00": {"film": ['<div data-kind="film">']}}
    page = fill_in("<!-- widget: 00 film 1 -->\n<!-- lessons -->", checkout, widgets, "")

    assert page.startswith(
        '```{raw} html\n<div data-kind="film" data-plays>\n```\n| lesson | minutes |\n|---|---|'
    )
    assert page.endswith("| [00 Start](../notebooks/00_start.ipynb) | 15 |")
    with pytest.raises(SiteError, match="lesson 04 has 0 widgets of the kind 'explorer'"):
        fill_in("<!-- widget: 04 explorer 1 -->", checkout, widgets, "")


def test_a_page_takes_sections_from_the_readme(checkout: Path) -> None:
    more = "\n## For teachers\n\nSee [it](notebooks/a.py), [b](https://b.org).\n\n## For others\n\nNo.\n"
    (checkout / "README.md").write_text(README + more)

    assert fill_in("<!-- README: For teachers -->", checkout, {}, "") == (
        "See [it](../notebooks/a.py), [b](https://b.org)."
    )
    with pytest.raises(SiteError, match=r"README\.md has no section 'For cooks'"):
        fill_in("<!-- README: For cooks -->", checkout, {}, "")


def test_the_glossary_says_what_is_chinese_and_not_how_its_terms_are_found(checkout: Path) -> None:
    line = "*Chinese* 动作 · [lesson 01](../notebooks/00_start.ipynb) · *only as* an action, the action"

    assert fill_in(line, checkout, {}, "") == (
        '*Chinese* <span lang="zh">动作</span> · [lesson 01](../notebooks/00_start.ipynb)'
    )


def test_the_addresses_are_those_of_the_fork(checkout: Path) -> None:
    text = "git+https://github.com/OWNER/REPOSITORY <!-- colab -->"

    assert fill_in(text, checkout, {}, "https://github.com/o/n") == (
        "git+https://github.com/o/n Of this fork: [Colab](https://colab.research.google.com/github/o/n/blob/main/"
        "notebooks/00_start_here.ipynb)."
    )
    assert fill_in(text, checkout, {}, "") == "git+https://github.com/OWNER/REPOSITORY "


def test_a_workflow_says_which_repository_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/n")
    assert repository(tmp_path) == "https://github.com/o/n"
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert repository(tmp_path) == ""


def test_what_changed_is_seen_and_the_order_of_files_is_not(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    before = digest([one, two], "more")

    assert before == digest([two, one], "more") != digest([one, two], "other")
    two.write_text("3")
    assert digest([one, two], "more") != before


def test_pages_stand_in_the_navigation_in_their_order() -> None:
    assert table_of_contents("Lessons", ["00_a", "01_b"]).split() == (
        ["```{toctree}", ":hidden:", ":caption:", "Lessons", "00_a", "01_b", "```"]
    )


def test_every_lesson_and_page_was_built(site: Path) -> None:
    root = build_site.ROOT
    pages = [*build_site.lessons(root), *build_site.written(root), *build_site.guide(root)]
    names = [page_name(path, root).rpartition(".")[0] for path in pages]

    assert names
    for name in names:
        assert (site / f"{name}.html").exists()
    assert (site / "_static" / "mathjax" / "tex-chtml.js").exists()
    assert not list(site.glob("_static/mathjax/**/*svg*"))
