"""Regression families: shapes, distributions, independence of support and query, determinism, bad input."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import LinearTasks, SineTasks

FAMILIES = [LinearTasks(), SineTasks()]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
class TestEveryFamily:
    def test_shapes_are_task_example_feature(self, family):
        tasks = family.sample(7, 3, 5, generator=make_generator(0))
        assert [tuple(tensor.shape) for tensor in tasks.support] == [(7, 3, 1)] * 2
        assert [tuple(tensor.shape) for tensor in tasks.query] == [(7, 5, 1)] * 2
        assert tasks.support[0].dtype == torch.float32

    def test_same_seed_same_tasks(self, family):
        a, b, c = (family.sample(4, 3, 2, generator=make_generator(seed)) for seed in (5, 5, 6))
        assert torch.equal(a.support[1], b.support[1])
        assert torch.equal(a.query[0], b.query[0])
        assert not torch.equal(a.support[1], c.support[1])

    def test_support_and_query_share_no_point(self, family):
        tasks = family.sample(10, 5, 5, generator=make_generator(0))
        assert not set(tasks.support[0].flatten().tolist()) & set(tasks.query[0].flatten().tolist())

    def test_leaves_the_global_generator_alone(self, family):
        state = torch.get_rng_state()
        family.sample(3, 2, 2, generator=make_generator(0))
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize("name", ["n_tasks", "n_support", "n_query"])
    @pytest.mark.parametrize("value", [0, -1, 2.0, True])
    def test_counts(self, family, name, value):
        generator = make_generator(0)
        before = generator.get_state()
        counts: Any = {"n_tasks": 2, "n_support": 2, "n_query": 2} | {name: value}
        with pytest.raises(ValueError, match=f"{name} must be an integer >= 1"):
            family.sample(**counts, generator=generator)
        assert torch.equal(generator.get_state(), before)

    def test_counts_of_numpy(self, family):
        counts: Any = (np.int64(2), np.int32(3), np.uint8(4))
        own, theirs = (family.sample(*sizes, generator=make_generator(0)) for sizes in ((2, 3, 4), counts))
        assert torch.equal(own.support[1], theirs.support[1])

    def test_missing_device(self, family):
        with pytest.raises(ValueError, match="device"):
            family.sample(2, 2, 2, generator=make_generator(0), device="no such device")


def test_lines_are_lines_over_the_stated_ranges():
    family = LinearTasks(slope=(1.0, 3.0), intercept=(-1.0, 0.0), x=(-2.0, 2.0))
    (x, y), _ = family.sample(4000, 2, 1, generator=make_generator(0))
    slope = (y[:, 1] - y[:, 0]) / (x[:, 1] - x[:, 0])
    intercept = y[:, 0] - slope * x[:, 0]
    apart = (x[:, 1] - x[:, 0]).abs() > 0.1
    assert float(slope[apart].min()) > 0.999
    assert float(slope[apart].max()) < 3.001
    assert float(slope[apart].mean()) == pytest.approx(2.0, abs=0.05)
    assert float(intercept[apart].mean()) == pytest.approx(-0.5, abs=0.05)
    assert -2 <= float(x.min()) < -1.9
    assert 1.9 < float(x.max()) <= 2


def test_noise_has_its_standard_deviation_and_is_drawn_anew():
    (_, y), (_, y_query) = LinearTasks(slope=(0.0, 0.0), intercept=(0.0, 0.0), noise=0.5).sample(
        1000, 10, 10, generator=make_generator(0)
    )
    assert float(y.std()) == pytest.approx(0.5, rel=0.05)
    assert not torch.equal(y, y_query)


def test_sinusoids_have_the_amplitudes_and_phases_of_the_paper():
    family, generator = SineTasks(), make_generator(0)
    amplitude, phase = family.sample_functions(4000, generator=generator)
    assert 0.1 <= float(amplitude.min()) < 0.2
    assert 4.9 < float(amplitude.max()) <= 5.0
    assert float(phase.min()) >= 0
    assert 3.1 < float(phase.max()) <= math.pi
    again = make_generator(1)
    amplitude, phase = family.sample_functions(3, generator=again)
    (x, y), (x_query, y_query) = family.sample(3, 4, 4, generator=make_generator(1))
    for inputs, targets in ((x, y), (x_query, y_query)):
        expected = amplitude[:, None, None] * torch.sin(inputs - phase[:, None, None])
        torch.testing.assert_close(targets, expected)


@pytest.mark.parametrize(
    "bounds", [(1.0, 0.0), (0.0, float("nan")), (0.0, float("inf")), 3.0, (1.0,), "ab", (False, True)]
)
def test_bounds(bounds):
    with pytest.raises(ValueError, match="slope must be finite bounds"):
        LinearTasks(slope=bounds)
    with pytest.raises(ValueError, match="phase must be finite bounds"):
        SineTasks(phase=bounds)


@pytest.mark.parametrize("noise", [-0.1, True, float("nan"), float("inf")])
def test_noise_out_of_range(noise):
    with pytest.raises(ValueError, match="noise must be a finite standard deviation"):
        LinearTasks(noise=noise)
