"""The glossary: each term once, exact, and no lesson uses one before the lesson that introduces it."""

import re
from collections import Counter

import pytest

from docs.terms import find_terms, link_terms, parse, terms
from tests.docs.sources import ROOT, lessons, markdown_cells

# (term, lesson that uses it early, why it may)
EARLY = {
    ("environment", "00"): "the software that JupyterLab runs in, which is no environment to act in",
    ("model", "00"): "an error message is quoted",
    ("MAML", "03"): "the outlook of the last section names it, and the lesson that introduces it",
    ("feature", "04"): "the outlook of a section names it, and the lesson that introduces it",
    ("recurrent network", "07"): "the map of section 8 shows what is to come, with the number of its lesson",
    ("hidden state", "07"): "the map of section 8 shows what is to come, with the number of its lesson",
    ("RL squared", "07"): "the map of section 8 shows what is to come, with the number of its lesson",
}


def without_marks(cell: str) -> str:
    """Return a cell whose headings are prose, all but that of the reading list, whose titles are no uses."""
    return re.sub(r"^#+ (?!Further reading)", "", cell, flags=re.MULTILINE)


def uses(cells: list[str]) -> set[str]:
    """Return the names of the terms that a lesson's cells use."""
    return {term.name for cell in cells for term, _ in find_terms(without_marks(cell))}


def early_uses(sources: dict[str, list[str]]) -> set[tuple[str, str]]:
    """Return (term, lesson) where a lesson uses a term that a later one introduces."""
    introduced = {term.name: term.lesson for term in terms()}
    return {
        (name, lesson)
        for lesson, cells in sources.items()
        for name in uses(cells)
        if introduced[name] > lesson
    }


# --- the page


def test_terms_are_sorted_and_stand_once() -> None:
    names = [term.name.casefold() for term in terms()]
    assert len(names) > 100
    assert names == sorted(set(names))


def test_no_two_terms_are_found_by_the_same_words_or_share_an_anchor() -> None:
    found = Counter(text.casefold() for term in terms() for text in (*term.words, *term.phrases))
    assert [text for text, count in found.items() if count > 1] == []
    assert [anchor for anchor, count in Counter(term.anchor for term in terms()).items() if count > 1] == []


def test_every_term_is_explained_in_one_sentence() -> None:
    one = re.compile(r"[A-Z\"][^.!?]*(?:\.\d[^.!?]*)*\.")
    assert [term.sentence for term in terms() if not one.fullmatch(term.sentence)] == []


def test_every_term_has_a_chinese_name_or_is_a_name() -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    is_name = re.compile(r"[A-Z][A-Za-z-]*[A-Z]|Reptile")
    assert [t.name for t in terms() if not chinese.search(t.chinese) and not is_name.match(t.name)] == []
    assert [t.name for t in terms() if chinese.search(t.name + t.sentence)] == []


def test_every_anchor_is_the_same_on_github_and_on_the_site() -> None:
    # They disagree on digits above the line, such as that of RL².
    assert [term.name for term in terms() if not re.fullmatch(r"[a-z0-9-]+", term.anchor)] == []


def test_every_symbol_stands_in_the_lesson_that_introduces_it() -> None:
    def plain(maths: str) -> str:
        return re.sub(r"\\,|\s", "", maths)

    symbols = [(term, symbol) for term in terms() for symbol in re.findall(r"\$([^$]+)\$", term.symbol)]
    assert [
        (term.name, symbol)
        for term, symbol in symbols
        if plain(symbol) not in plain("".join(lessons()[term.lesson]))
    ] == []
    assert [term.name for term in terms() if term.symbol and not term.symbol.startswith("$")] == []


def test_an_entry_without_its_facts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'action': expected a sentence and a line of facts"):
        parse("# Glossary\n\n## action\n\nWhat an agent does.\n")


# --- the page and the lessons


def test_every_lesson_that_is_named_exists_and_uses_the_term() -> None:
    folder = ROOT / "notebooks" / "source"
    used = {lesson: uses(cells) for lesson, cells in lessons().items()}
    assert [t.notebook for t in terms() if not (folder / f"{t.notebook}.py").exists()] == []
    assert [t.name for t in terms() if not t.notebook.startswith(t.lesson)] == []
    assert [t.name for t in terms() if t.name not in used[t.lesson]] == []


def test_no_lesson_uses_a_term_before_it_is_introduced() -> None:
    assert early_uses(lessons()) == set(EARLY)


def test_a_term_used_too_early_is_found() -> None:
    source = "# %% [markdown]\n# Now differentiate through the inner\n# step, as\n# always.\n"
    assert early_uses({"02": markdown_cells(source)}) == {("inner step", "02")}
    assert early_uses({"04": markdown_cells(source)}) == set()


@pytest.mark.parametrize(
    "cell",
    [
        "Call `inner_step`, or ``the `inner step` ``.",
        "```python\ninner step\n```",
        "Where $\\text{inner step}$ is\n\n$$\\text{inner step}$$",
        "## Further reading\n\n- A. Author, *The Inner Step*, 2020.",
    ],
)
def test_code_maths_and_titles_of_papers_are_no_uses(cell: str) -> None:
    assert uses([cell]) == set()


def test_a_heading_is_a_use() -> None:
    assert uses(["## 3. The inner step (2 minutes)"]) == {"inner step"}


# --- links


def test_the_first_use_in_a_lesson_is_linked_and_no_other() -> None:
    seen: set[str] = set()
    first = link_terms("An **agent** acts. The agent learns.", "01", seen)
    assert first == "An **[agent](glossary.md#agent)** acts. The agent learns."
    assert seen == {"agent"}
    assert link_terms("Agents act.", "01", seen) == "Agents act."
    assert link_terms("Agents act.", "02", set(), "../glossary.md") == "[Agents](../glossary.md#agent) act."


def test_a_term_of_a_later_lesson_is_not_linked() -> None:
    assert link_terms("The inner step.", "03", set()) == "The inner step."


@pytest.mark.parametrize(
    "hidden",
    [
        "# The agent",
        "Run `agent` and ``the `agent` ``.",
        "```python\nagent = 1\n```",
        "~~~\nagent\n~~~",
        "$\\text{agent}$ and $$\\begin{aligned}\n\\text{agent}\n\\end{aligned}$$",
        "[the agent](https://example.org/agent) and [agent][1]",
        "![an agent](agent.png)",
        '<img alt="agent" src="agent.png"> and <a href="x">agent</a>',
        "https://example.org/agent and <https://example.org/agent>",
        "<!-- agent -->",
        "**Further reading**\n\n- A. Author, *The agent*.",
        "**Exercise `agent`** (core, 5 minutes).",
        "subagents, multi-agent",
    ],
)
def test_code_maths_headings_links_and_html_are_left_alone(hidden: str) -> None:
    seen: set[str] = set()
    assert link_terms(hidden, "09", seen) == hidden
    assert seen == set()
    assert link_terms(f"An agent.\n\n{hidden}", "09", seen) == f"An [agent](glossary.md#agent).\n\n{hidden}"


def test_the_longest_term_wins() -> None:
    linked = link_terms("The inner learning rate, and a learning rate.", "04", set())
    assert linked == (
        "The [inner learning rate](glossary.md#inner-learning-rate), "
        "and a [learning rate](glossary.md#learning-rate)."
    )
    seen = {"inner learning rate"}
    assert link_terms("The inner learning rate.", "04", seen) == "The inner learning rate."


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("two policies", "two [policies](glossary.md#policy)"),
        ("the losses", "the [losses](glossary.md#loss)"),
        ("PAIRED, a method", "PAIRED, a method"),
        ("Paired tests", "[Paired](glossary.md#paired-comparison) tests"),
        ("a Bellman\nequation", "a [Bellman\nequation](glossary.md#bellman-equation)"),
        ("Policy-gradient methods", "[Policy-gradient](glossary.md#policy-gradient) methods"),
        ("MDPs", "[MDPs](glossary.md#markov-decision-process)"),
        ("Markov chance", "[Markov](glossary.md#markov-property) chance"),
        ("Return the row.", "Return the row."),
        ("the RL² agent", "the [RL²](glossary.md#rl-squared) [agent](glossary.md#agent)"),
    ],
)
def test_plurals_and_line_ends_are_found_and_ordinary_words_are_not(text: str, linked: str) -> None:
    assert link_terms(text, "09", set()) == linked


def test_a_term_does_not_reach_over_a_list_or_a_paragraph() -> None:
    text = "- state\n- space\n\nreward\n\nfunction"
    assert {term.name for term, _ in find_terms(text)} == {"state", "reward"}


def test_linking_changes_nothing_but_the_links() -> None:
    for lesson, cells in lessons().items():
        seen: set[str] = set()
        linked = [link_terms(cell, lesson, seen) for cell in cells]
        assert [re.sub(r"\[([^\[\]]+)\]\(glossary\.md#[a-z0-9-]+\)", r"\1", cell) for cell in linked] == cells
        assert len(seen) > 5
