"""Checkpoints: atomic, complete or refused, and never executed."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mlearn_utils.meta import checkpoint
from mlearn_utils.meta.checkpoint import load_checkpoint, save_checkpoint


def save_one(path: Path, value: float = 1.0) -> None:
    save_checkpoint(path, "Thing", {"a": torch.full((3,), value)}, {"history": [{"update": 1, "x": 0.1}]})


def test_round_trip(tmp_path):
    path = tmp_path / "x.safetensors"
    transposed = torch.arange(6.0).view(2, 3).T
    save_checkpoint(str(path), "Thing", {"a": transposed, "b": transposed}, {"x": [0.1, None, "text"]})
    tensors, facts = load_checkpoint(str(path), "Thing")
    assert torch.equal(tensors["a"], transposed)
    assert torch.equal(tensors["b"], transposed)
    assert facts == {"x": [0.1, None, "text"]}


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / "x.safetensors"
    save_one(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match="is not a complete checkpoint"):
        load_checkpoint(path, "Thing")


def test_a_file_that_is_no_checkpoint_is_refused_and_not_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is not a complete checkpoint"):
        load_checkpoint(path, "Thing")
    torch.save({"a": torch.ones(3)}, path)
    with pytest.raises(ValueError, match="is not a complete checkpoint"):
        load_checkpoint(path, "Thing")
    assert not (tmp_path / "exploded").exists()


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    for metadata in (None, {"other": "x"}, {"checkpoint": "{"}, {"checkpoint": "[]"}):
        save_file({"a": torch.ones(3)}, path, metadata=metadata)
        with pytest.raises(ValueError, match="is not a complete checkpoint"):
            load_checkpoint(path, "Thing")


def test_a_file_from_the_future_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    header = {"format": checkpoint.FORMAT + 1, "kind": "Thing", "facts": {}}
    save_file({"a": torch.ones(3)}, path, metadata={"checkpoint": json.dumps(header)})
    with pytest.raises(ValueError, match=r"has format 3, this release reads up to 2; update mlearn_utils"):
        load_checkpoint(path, "Thing")


def test_another_kind_is_refused(tmp_path):
    save_one(tmp_path / "x.safetensors")
    for kind in ("Another", "Zebra"):
        with pytest.raises(ValueError, match=f"holds a Thing, expected a {kind}"):
            load_checkpoint(tmp_path / "x.safetensors", kind)


def test_a_missing_file_or_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_checkpoint(tmp_path / "x.safetensors", "Thing")
    with pytest.raises(FileNotFoundError, match=r"path: the folder .* does not exist"):
        save_one(tmp_path / "no" / "x.safetensors")


@pytest.mark.parametrize("stage", ["save_file", "_flush_to_disk"])
@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, stage, failure):
    path = tmp_path / "x.safetensors"
    save_one(path, 1.0)

    def fail(*arguments: Any, **options: Any) -> None:
        raise failure

    monkeypatch.setattr(checkpoint, stage, fail)
    with pytest.raises(type(failure)):
        save_one(path, 2.0)
    tensors, _ = load_checkpoint(path, "Thing")
    assert torch.equal(tensors["a"], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


def test_facts_that_json_cannot_hold_are_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "x.safetensors"
    save_one(path)
    with pytest.raises(TypeError):
        save_checkpoint(path, "Thing", {}, {"x": object()})
    load_checkpoint(path, "Thing")
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


def test_numbers_of_numpy_are_stored_as_pythons(tmp_path):
    facts = {"seed": np.int64(3), "rates": [np.float32(0.1), np.float64(0.1)], "flag": np.True_}
    save_checkpoint(tmp_path / "x.safetensors", "Thing", {}, facts)
    loaded = load_checkpoint(tmp_path / "x.safetensors", "Thing")[1]
    assert loaded == {"seed": 3, "rates": [float(np.float32(0.1)), 0.1], "flag": True}


def test_the_new_file_replaces_the_old(tmp_path):
    path = tmp_path / "x.safetensors"
    save_one(path, 1.0)
    save_one(path, 2.0)
    assert torch.equal(load_checkpoint(path, "Thing")[0]["a"], torch.full((3,), 2.0))
