"""A module is cut down to what is asked for, and nothing that is needed is lost."""

import ast

from sliced import ALL, Edit, asked, edited, lesson_slices, sliced

SOURCE = '''"""About all."""

import math
from typing import Any, Protocol

# what one weighs
WEIGHT = 2.0
"""In kilograms."""


def helper(x: Any) -> float:
    return math.sqrt(x)


# --- asked for


@staticmethod
def wanted(x):
    """Return ü."""
    return WEIGHT * inner(x)  # weighed


def inner(x):
    return x


class Other:
    value = helper(2)
'''


def test_a_statement_keeps_its_comments_and_what_it_uses():
    text = sliced(SOURCE, {"wanted"})
    assert text.startswith('"""About all."""\n')
    for kept in (
        "# what one weighs\nWEIGHT",
        '"""In kilograms."""',
        "# --- asked for\n\n\n@static",
        "# weighed",
    ):
        assert kept in text
    for lost in ("import", "helper", "Other"):
        assert lost not in text
    ast.parse(text)


def test_imports_keep_the_names_that_are_used():
    text = sliced(SOURCE, {"helper"})
    assert "import math\nfrom typing import Any\n" in text
    assert "Protocol" not in text
    assert "wanted" not in text


def test_all_is_everything_but_unused_imports():
    assert sliced(SOURCE, {ALL}) == SOURCE.replace("Any, Protocol", "Any")


def test_what_code_asks_for_of_a_package():
    code = """
from lesson import one, two as second, three
from lesson.four import a, b
from elsewhere import five
one.x(second.y.z)
f(three)
five.z
"""
    assert asked([ast.parse(code)], "lesson") == {
        "one": {"x"},
        "two": {"y"},
        "three": {ALL},
        "four": {"a", "b"},
    }


def test_what_is_asked_for_is_followed_through_the_modules():
    sources = {
        "main": "from lesson import low\nfrom lesson.high import f, g\n\nX = low.p\n\n\ndef h():\n    g\n",
        "low": "def p():\n    return q\n\n\nq = 1\nr = 2\n",
        "high": "f = 1\ng = 2\n",
        "never": "s = 3\n",
    }
    found = lesson_slices(sources, "lesson", {"main": {"X"}, "gone": {"y"}})
    assert found["main"] == "from lesson import low\n\nX = low.p\n"
    assert found["low"] == "def p():\n    return q\n\n\nq = 1\n"
    assert set(found) == {"main", "low"}


def test_edits_count_in_bytes():
    assert edited("ä = 1\nö = 2\n", [Edit(5, 6, "3"), Edit(0, 2, "a")]) == "a = 3\nö = 2\n"
