r"""The terms of the glossary, and the links that lead the reader of a lesson to them.

`glossary.md` is the only place where terms stand. Each is a heading, a sentence and a line of facts:

    ## support set

    The data of a task that adaptation may use.

    *symbol* $s$ · *Chinese* 支持集 · [lesson 04](../notebooks/04_maml.ipynb) · *also* training set

A term is found by its name and by what follows *also*, in singular and plural. A word that is ordinary
English too is found by what follows *only as*, and by nothing else. Links lead to headings, since GitHub and
MyST make the same anchor of a heading, and MyST knows no other anchor of another page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).with_name("glossary.md")

ARTICLE = re.compile(r"(?:(?:a|an|the|its)\s+)?", re.IGNORECASE)
LESSON = re.compile(r"\[lesson (\d\d)\]\(\.\./notebooks/(\S+)\.ipynb\)")
NOT_PROSE = re.compile(
    r"""
      ^(?:\#+[ ]|\*\*)Further\ reading.*\Z           # titles of papers, to the end of the cell
    | ^[ ]*(?P<fence>```+|~~~+).*?(?:^[ ]*(?P=fence)|\Z)
    | ^\#{1,6}[ ][^\n]*                              # a heading
    | (?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)
    | \$\$.*?\$\$ | \$[^$]+\$                        # maths
    | <a\b.*?</a> | <!--.*?--> | </?[a-z][^<>]*>     # links, comments and tags of HTML
    | <?https?://[^\s)>]+>?
    | !?\[(?:[^\[\]]|\[[^\[\]]*\])*\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Term:
    """One entry of the glossary; its `anchor` is the part of its address after the #."""

    name: str
    symbol: str  # as Markdown; empty if it has none
    chinese: str
    lesson: str  # number of the lesson that introduces it, such as "04"
    notebook: str  # of that lesson, without the ending
    sentence: str
    anchor: str
    words: tuple[str, ...]  # what it is found by in a text, in singular and plural
    phrases: tuple[str, ...]  # what it is found by as it stands


@cache
def terms() -> tuple[Term, ...]:
    """Return all terms in the order of the page."""
    return tuple(parse(PAGE.read_text(encoding="utf-8")))


def parse(page: str) -> list[Term]:
    """Return the terms of a glossary's text.

    Raises:
        ValueError: if an entry is not a heading, one paragraph, and a line with a lesson and a Chinese term.
    """
    return [_parse_entry(entry) for entry in re.split(r"^## ", page, flags=re.MULTILINE)[1:]]


def _parse_entry(entry: str) -> Term:
    """Return the term of one entry, from behind the ## of its heading on."""
    name, *paragraphs = [" ".join(part.split()) for part in entry.strip().split("\n\n")]
    sentence, line = paragraphs if len(paragraphs) == 2 else ("", "")
    facts = dict(re.findall(r"\*(symbol|Chinese|also|only as)\* (.+?)(?: · |$)", line))
    lesson = LESSON.search(line)
    if lesson is None or "Chinese" not in facts:
        raise ValueError(f"glossary, {name!r}: expected a sentence and a line of facts, got {paragraphs}")
    return Term(
        name=name,
        symbol=facts.get("symbol", ""),
        chinese=facts["Chinese"],
        lesson=lesson[1],
        notebook=lesson[2],
        sentence=sentence,
        anchor=re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-"),
        words=() if "only as" in facts else (name, *_listed(facts.get("also", ""))),
        phrases=_listed(facts.get("only as", "")),
    )


def _listed(text: str) -> tuple[str, ...]:
    """Return what stands between the commas of `text`."""
    return tuple(text.split(", ")) if text else ()


def find_terms(markdown: str) -> Iterator[tuple[Term, re.Match[str]]]:
    """Yield each use of a term in the prose of `markdown`, with the place where it stands.

    Where several terms begin the longest counts: "inner learning rate" is no use of "learning rate".
    """
    prose = NOT_PROSE.sub(lambda hidden: "\0" * len(hidden[0]), markdown)
    pattern, by_group = _pattern()
    for match in pattern.finditer(prose):
        yield by_group[match.lastgroup or ""], match


@cache
def _pattern() -> tuple[re.Pattern[str], dict[str, Term]]:
    """Return a pattern of all that terms are found by, longest first, and the term of each of its groups."""
    found = [(word, True, term) for term in terms() for word in term.words]
    found += [(phrase, False, term) for term in terms() for phrase in term.phrases]
    found.sort(key=lambda each: -len(each[0]))
    groups = [f"(?P<s{n}>{_spelled(text, plural=plural)})" for n, (text, plural, _) in enumerate(found)]
    by_group = {f"s{n}": term for n, (_, _, term) in enumerate(found)}
    return re.compile(rf"(?<![\w-])(?:{'|'.join(groups)})(?![\w-])"), by_group


def _spelled(text: str, *, plural: bool) -> str:
    """Return a pattern of `text` in which a blank may also be a hyphen or a line's end."""
    pattern = r"(?: +| *\n *|-)".join(re.escape(word) for word in re.split("[ -]", text))
    if text[0].isalpha() and not re.search("[A-Z]", text):
        pattern = f"(?i:{pattern[0]}){pattern[1:]}"  # at the beginning of a sentence, too
    if plural and re.search("[^aeiou]y$", text):
        pattern = pattern[:-1] + "(?:y|ies)"
    elif plural:
        pattern += "(?:e?s)?"
    return pattern


def link_terms(markdown: str, lesson: str, seen: set[str], page: str = "glossary.md") -> str:
    """Return a lesson's Markdown cell with the first use of each term made a link to the glossary.

    Terms of later lessons are left alone, and so are code, maths, headings, links and HTML.

    Args:
        markdown: source of the cell.
        lesson: number of the lesson, such as "04".
        seen: names of the terms that the lesson's earlier cells link; the new ones are added.
        page: address of the glossary, from the lesson's page.
    """
    parts, end = [], 0
    for term, match in find_terms(markdown):
        if term.lesson > lesson or term.name in seen:
            continue
        seen.add(term.name)
        start = match.start() + len(ARTICLE.match(match[0])[0])  # type: ignore[index]
        parts += [markdown[end:start], f"[{markdown[start : match.end()]}]({page}#{term.anchor})"]
        end = match.end()
    return "".join(parts) + markdown[end:]
