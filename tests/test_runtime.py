"""Device, generator, speed mode and data folder."""

import pytest
import torch

from mlearn_utils.runtime import data_path, fast_mode, make_generator, pick_device


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


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), (" TRUE ", True), ("yes", True), ("0", False), ("", False)]
)
def test_fast_mode(monkeypatch, value, expected):
    monkeypatch.setenv("MLEARN_FAST", value)
    assert fast_mode() is expected


def test_data_path(monkeypatch, tmp_path):
    monkeypatch.delenv("MLEARN_DATA", raising=False)
    assert data_path("lesson_03").is_dir()
    (tmp_path / "here.txt").write_text("x")
    monkeypatch.setenv("MLEARN_DATA", str(tmp_path))
    assert data_path("here.txt") == tmp_path / "here.txt"
    with pytest.raises(FileNotFoundError, match="MLEARN_DATA"):
        data_path("lesson_03")
