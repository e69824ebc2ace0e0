"""What a student reads: the same in every run, an icon and words for each outcome, nothing unescaped."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mlearn_utils.course.grading.report import ICONS, Note, Report, error_box, rich, stable

REPORT = Report("not yet", "Is `x < y`?\nLook again.", "Compare & swap", "core", 6, 2)


class Page(HTMLParser):
    """Collects text and checks that tags are closed."""

    def __init__(self, source: str):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(source)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("outcome", ICONS)
def test_icon_word_title_level_minutes_and_points_are_in_both_texts(outcome):
    report = replace(REPORT, outcome=outcome)
    bundle = report._repr_mimebundle_()
    points = "2 of 2 points" if outcome == "passed" else "0 of 2 points"
    for text in (bundle["text/plain"], Page(bundle["text/html"]).text):
        for part in (ICONS[outcome], outcome.capitalize(), "Compare & swap", "core", "6 min", points):
            assert part in text
    assert report.ok == (outcome == "passed")


def test_icons_differ_so_that_color_is_not_alone():
    assert len(set(ICONS.values())) == len(ICONS) == 4


def test_plain_text():
    assert str(REPORT) == "✎ Not yet · Compare & swap (core, 6 min, 0 of 2 points)\nIs `x < y`?\nLook again."
    assert repr(REPORT) == str(REPORT)


def test_html_escapes_and_marks_code():
    page = REPORT._repr_mimebundle_()["text/html"]
    assert "Compare &amp; swap" in page
    assert "Is <code>x &lt; y</code>?<br>Look again." in page


def test_a_note_stands_below_the_message():
    assert str(REPORT.with_note("Not saved.")).endswith("Look again.\nNot saved.")
    assert "Look again.<br>Not saved." in REPORT.with_note("Not saved.")._repr_mimebundle_()["text/html"]


def test_a_listing_keeps_its_lines():
    bundle = Note("One way", "def f(x):\n    return x < 1\n", is_code=True)._repr_mimebundle_()
    assert bundle["text/plain"] == "One way\ndef f(x):\n    return x < 1"
    assert "<pre><code>def f(x):\n    return x &lt; 1" in bundle["text/html"]
    Page(bundle["text/html"])


def test_an_error_box_shows_type_and_text():
    assert "⚠ Error" in error_box(ValueError("a < b"))
    assert "ValueError: a &lt; b" in error_box(ValueError("a < b"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("<object at 0x7f00aa11>", "<object at 0x…>"), ("0xff is 255", "0xff is 255"), ("none", "none")],
)
def test_addresses_are_removed_and_numbers_stay(text, expected):
    assert stable(text) == expected


def test_rich_leaves_math_alone():
    assert rich("$a < b$ and `c`") == "$a &lt; b$ and <code>c</code>"
