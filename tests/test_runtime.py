"""Device, generator and data folder; what counts as a number, and in which range."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from mlearn_utils.runtime import (
    check_decay,
    check_fraction,
    check_integer,
    check_not_negative,
    check_positive,
    data_path,
    make_generator,
    next_seed,
    pick_device,
)


def test_auto_prefers_cuda_then_mps_then_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device() == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")


def test_named_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device(torch.device("cpu")) == torch.device("cpu")


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert pick_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match=r"device cuda:1 is not there: this machine has 1"):
        pick_device("cuda:1")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device mps is not there"):
        pick_device("mps")


def test_an_unknown_device():
    with pytest.raises(ValueError, match="device must be one of"):
        pick_device("abacus")


def test_generator_starts_from_its_seed():
    a, b = (torch.rand(3, generator=make_generator(7)) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, torch.rand(3, generator=make_generator(8)))


@pytest.mark.parametrize("seed", [-1, 1.5, None, True])
def test_seed(seed):
    with pytest.raises(ValueError, match="seed must be an integer >= 0"):
        make_generator(seed)


def test_data_path(monkeypatch, tmp_path):
    monkeypatch.delenv("MLEARN_DATA", raising=False)
    assert data_path("lesson_03").is_dir()
    (tmp_path / "here.txt").write_text("x")
    monkeypatch.setenv("MLEARN_DATA", str(tmp_path))
    assert data_path("here.txt") == tmp_path / "here.txt"
    with pytest.raises(FileNotFoundError, match="MLEARN_DATA"):
        data_path("lesson_03")


NO_NUMBERS = [True, False, np.True_, None, "1", [1], np.ones(1), torch.tensor(1.0), 1j]
NOT_FINITE = [float("nan"), float("inf"), np.float32("nan"), np.float64("inf")]


@pytest.mark.parametrize("value", [2, 3, np.int64(2), np.uint8(200), 10**30])
def test_integers(value):
    check_integer("size", value, minimum=2)


@pytest.mark.parametrize("value", [1, np.int64(1), np.uint8(0), 2.0, np.float64(2), *NO_NUMBERS, *NOT_FINITE])
def test_what_is_no_integer_that_large(value):
    with pytest.raises(ValueError, match=r"^size must be an integer >= 2, got ") as caught:
        check_integer("size", value, minimum=2)
    assert str(caught.value).endswith(repr(value))
    with pytest.raises(ValueError, match=r"^size must be a number of cells, got "):
        check_integer("size", value, minimum=2, expected="a number of cells")


RANGES = {
    check_positive: ("a finite number > 0", [1e-300, 1, 1e300], [0, -1e-300]),
    check_not_negative: ("a finite number >= 0", [0, 1e300], [-1e-300]),
    check_fraction: (r"in \[0, 1\]", [0, 0.5, 1], [-1e-9, 1 + 1e-9]),
    check_decay: (r"in \[0, 1\)", [0, 0.5, 1 - 1e-9], [-1e-9, 1]),
}


@pytest.mark.parametrize("check", RANGES)
def test_numbers_in_a_range(check):
    expected, inside, outside = RANGES[check]
    for value in (*inside, np.float64(inside[0]), np.float32(0.5), Fraction(1, 2)):
        check("rate", value)
    for value in (*outside, np.float64(outside[-1]), *NO_NUMBERS, *NOT_FINITE):
        with pytest.raises(ValueError, match=rf"^rate must be {expected}, got ") as caught:
            check("rate", value)
        assert str(caught.value).endswith(repr(value))
        with pytest.raises(ValueError, match=r"^rate must be small, got "):
            check("rate", value, "small")


@pytest.mark.parametrize(
    ("given", "last", "expected"), [(None, None, 0), (None, 3, 3), (3, 3, 3), (0, 3, 0), (4, None, 4)]
)
def test_the_seed_of_a_further_training(given, last, expected):
    assert next_seed(given, last) == expected


@pytest.mark.parametrize("seed", [-1, True, 1.5])
def test_a_seed_of_training_that_is_none(seed):
    with pytest.raises(ValueError, match="seed must be an integer >= 0"):
        next_seed(seed, 1)


@pytest.mark.parametrize("seed", [np.int64(7), np.uint32(7)])
def test_a_seed_may_be_numpys(seed: Any):
    assert make_generator(seed).initial_seed() == 7
