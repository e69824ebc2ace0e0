"""What `five_positions` is told of five positions that are not good enough is true of them."""

import math
import re

import numpy as np
import pytest

from mlearn_utils.course.lesson_05.positions import NEAR, WIDE, advice, position_error

RANDOM = [[round(x, 2) for x in np.random.default_rng(seed).uniform(-5, 5, 5)] for seed in range(40)]


@pytest.mark.parametrize("positions", [[0.0] * 5, [0.0, 0.0, 0.0, 2.0, 4.0], *RANDOM], ids=str)
def test_advice_is_true(positions):
    told = advice(positions)
    pairs = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+) and (-?[\d.]+) \(", told)]
    assert len(set(pairs)) == len(pairs) <= 3
    for a, b in pairs:
        assert {a, b} <= set(positions)
        assert abs(math.remainder(b - a, math.pi)) < NEAR or "The range is covered" in told
    for low, high in re.findall(r"between (-?[\d.]+) and (-?[\d.]+)\. Cover", told):
        assert float(high) - float(low) > WIDE
        assert not any(float(low) < x < float(high) for x in positions)
    assert ("close together" in told) <= (max(positions) - min(positions) < WIDE)


def test_a_point_of_a_named_pair_has_a_better_place():
    for positions in RANDOM[:5]:
        error = position_error(positions)
        if error > 0.5:
            named = {
                float(x)
                for pair in re.findall(r"(-?[\d.]+) and (-?[\d.]+) \(", advice(positions))
                for x in pair
            }
            moved = [
                position_error([x if value == old else value for value in positions])
                for old in named
                for x in np.linspace(-5, 5, 11)
            ]
            assert min(moved) < 0.8 * error
