"""Student-t quantiles against published ones, intervals against the definition, and bands in a figure."""

import math

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mlearn_utils.course.figures.statistics import interval, t_quantile
from mlearn_utils.course.figures.style import DASHES, PALETTE, STYLE, band

# tables of the t distribution; the first and second have closed forms: tan and (2p-1) sqrt(2/(4p(1-p)))
KNOWN = [
    (0.975, 1, math.tan(0.475 * math.pi)),
    (0.975, 2, 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))),
    (0.975, 4, 2.7764451051977987),
    (0.975, 9, 2.2621571627409915),
    (0.975, 19, 2.0930240544082634),
    (0.995, 4, 4.604094871415897),
    (0.95, 30, 1.6972608865939574),
    (0.975, 1000, 1.9623390808264078),
    (0.5, 3, 0.0),
]


@pytest.mark.parametrize(("probability", "dof", "expected"), KNOWN)
def test_quantiles_equal_published_ones(probability, dof, expected):
    assert t_quantile(probability, dof) == pytest.approx(expected, abs=1e-9)


def test_many_degrees_of_freedom_are_normal():
    assert t_quantile(0.975, 10**6) == pytest.approx(1.959963985, abs=1e-6)
    assert t_quantile(0.975, 99_999) == pytest.approx(t_quantile(0.975, 100_000), abs=3e-5)


@pytest.mark.parametrize(("probability", "dof"), [(0.4, 3), (1.0, 3), (math.nan, 3), (0.9, 0)])
def test_quantiles_outside_are_refused(probability, dof):
    with pytest.raises(ValueError, match="must be"):
        t_quantile(probability, dof)


def test_interval_of_five_values():
    mean, low, high = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert (mean, low, high) == pytest.approx((3.0, 3.0 - half, 3.0 + half), abs=1e-6)


def test_interval_along_the_first_axis():
    values = np.random.default_rng(0).normal(size=(6, 4))
    mean, low, high = interval(values, level=0.9)
    single = [interval(values[:, k], level=0.9) for k in range(4)]
    np.testing.assert_allclose(np.stack([mean, low, high], axis=1), np.array(single))


def test_intervals_cover_the_mean_as_often_as_they_say():
    samples = np.random.default_rng(1).normal(size=(5, 4000))
    _, low, high = interval(samples)
    assert ((low < 0) & (high > 0)).mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("values", [[1.0], 3.0, [], np.zeros((1, 5))])
def test_one_seed_has_no_interval(values):
    with pytest.raises(ValueError, match="at least 2 seeds"):
        interval(values)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_outside_is_refused(level):
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        interval([1.0, 2.0], level=level)


def test_band_draws_mean_and_interval_in_one_color():
    ax = Figure().subplots()
    runs = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [1.0, 2.0, 3.0]])
    assert band(ax, [0, 1, 2], runs, label="maml", color="#0072B2") is None
    (line,), (shade,) = ax.lines, ax.collections
    assert np.asarray(line.get_ydata()) == pytest.approx([1.0, 2.0, 3.0])
    assert line.get_label() == "maml"
    _, low, high = interval(runs)
    box = shade.get_paths()[0].get_extents()
    assert (box.y0, box.y1) == pytest.approx((low.min(), high.max()))
    assert np.asarray(shade.get_facecolor())[0, :3] == pytest.approx(to_rgb("#0072B2"))


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 1)])
def test_band_names_a_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"runs must be \[S, N\] with N = 3"):
        band(Figure().subplots(), [0, 1, 2], np.zeros(shape))


def test_lines_differ_in_color_and_in_dashes():
    assert len(set(PALETTE)) == len(PALETTE) == len(set(DASHES)) == len(DASHES)
    with mpl.rc_context(STYLE):
        ax = Figure().subplots()
        first, second = ax.plot([0, 1], [0, 1])[0], ax.plot([0, 1], [1, 0])[0]
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
