"""Choosing one of a few answers: radio buttons, with the answers as a lettered list where they hold math."""

import string
from collections.abc import Sequence

import ipywidgets as widgets

from mlearn_utils.course.grading.report import rich

LETTERS = string.ascii_uppercase


class Choices:
    """Radio buttons over `options`; `widget` is what to show and `picked` the index chosen so far, or None.

    Args:
        options: two to 26 texts; `$math$` and `code` are allowed.
        label: what the group asks for, such as "Your answer".

    Raises:
        ValueError: if there are fewer than two or more than 26 options, or two are equal.
    """

    def __init__(self, options: Sequence[str], label: str):
        if not 2 <= len(options) <= len(LETTERS) or len(set(options)) < len(options):
            raise ValueError(f"options must be 2 to {len(LETTERS)} different texts, got {list(options)!r}")
        has_math = any("$" in option for option in options)
        names = [letter(k) if has_math else option.replace("`", "") for k, option in enumerate(options)]
        self.radio = widgets.RadioButtons(
            options=[(name, k) for k, name in enumerate(names)],
            value=None,
            description=label,
            layout=widgets.Layout(width="auto"),
            style={"description_width": "initial"},
        )
        listed = [widgets.HTMLMath(_lettered(options))] if has_math else []
        self.widget = widgets.VBox([*listed, self.radio])

    @property
    def picked(self) -> int | None:
        """The index of the option chosen so far, or None."""
        return self.radio.value

    def lock(self) -> None:
        """Keep the choice as it is from now on."""
        self.radio.disabled = True


def letter(index: int) -> str:
    """Return the name of option `index` in a lettered list: A, B, C, ..."""
    return LETTERS[index]


def _lettered(options: Sequence[str]) -> str:
    rows = (f"<li><strong>{letter(k)}</strong> · {rich(option)}</li>" for k, option in enumerate(options))
    return f'<ul class="mlearn-options">{"".join(rows)}</ul>'
