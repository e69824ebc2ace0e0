"""How numbers are written."""

import pytest

from mlearn_utils.course.figures.style import number


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (-0.52, ".2f", "−0.52"),
        (-0.0, ".1f", "0.0"),
        (-0.04, ".1f", "0.0"),
        (-1e-3, ".0e", "−1e−03"),
        (2, "d", "2"),
    ],
)
def test_a_number_has_a_real_minus_sign_and_none_before_a_zero(value: float, spec: str, text: str) -> None:
    assert number(value, spec) == text
