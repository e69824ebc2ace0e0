"""Checkpoints of learners: what is missing, unknown or changed is named, and the model stays as it was."""

import copy
import functools
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mlearn_utils import MetaLearner, SineTasks
from mlearn_utils.meta.checkpoint import load_checkpoint, save_checkpoint, settings_of
from mlearn_utils.meta.maml import parameters_of
from tests.meta.reference import largest_difference


def make_model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).eval()


def train(learner: MetaLearner, epochs: int) -> None:
    learner.train(SineTasks(), epochs, 5, 4, progress=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    learner = MetaLearner(make_model(), inner_lr=0.05, device="cpu")
    train(learner, 2)
    learner.save(tmp_path / "learner.safetensors")
    return tmp_path / "learner.safetensors"


def refused(path: Path, message: str) -> None:
    """Check that a file is refused with these words, and that the model that was given is left alone."""
    model = make_model(seed=5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        MetaLearner.load(path, model, device="cpu")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training


FACTS = ("config", "frozen", "loss", "optimizer", "seed", "history")
SETTINGS = ("inner_lr", "meta_lr", "steps", "first_order", "chunk_size", "vectorized", "compile", "adapted")


def changed(path: Path, change: Any, *, raw: bool) -> None:
    """Rewrite a checkpoint after `change(tensors, facts)`; raw keeps its digests, which then do not fit."""
    tensors, facts = load_checkpoint(path, "MetaLearner")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    change(tensors, facts)
    if raw:
        header = json.loads(metadata["checkpoint"]) | {"facts": facts}
        save_file(tensors, path, metadata=metadata | {"checkpoint": json.dumps(header)})
    else:
        save_checkpoint(path, "MetaLearner", tensors, facts)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_is_missing_or_unknown(path, name, raw):
    changed(path, lambda tensors, facts: facts.pop(name), raw=raw)
    refused(path, rf"missing \['{name}'\]")


@pytest.mark.parametrize("raw", [True, False])
def test_an_unknown_fact(path, raw):
    changed(path, lambda tensors, facts: facts.update(extra=1), raw=raw)
    refused(path, r"unknown \['extra'\]")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_is_missing_or_unknown(path, name):
    changed(path, lambda tensors, facts: facts["config"].pop(name), raw=False)
    refused(path, rf"missing \['{name}'\]")


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("config", "steps"), -1, "steps must be an integer >= 0"),
        (("config", "meta_lr"), 0.0, "meta_lr must be a finite number > 0"),
        (("config", "inner_lr"), -1.0, "inner_lr must be finite and >= 0"),
        (("config", "chunk_size"), 0, "chunk_size must be an integer"),
        (("config", "adapted"), ["head"], "adapted must name parameters"),
        (("config", "extra"), 1, r"unknown \['extra'\]"),
        (("loss",), "l1_loss", "was trained with 'l1_loss', got 'mse_loss'"),
        (("config",), ["steps"], "has config"),
        (("config", "steps"), "2", "steps must be an integer >= 0"),
        (("frozen",), ["0.weight"], "has frozen"),
        (("history",), [{"update": "1", "query_loss": 0.5}], "has history"),
        (("optimizer", "param_groups", 0, "lr"), 10.0, "the optimizer's lr = 10.0"),
        (("optimizer", "param_groups", 0, "betas"), 3, "the optimizer's betas = 3"),
        (("optimizer", "param_groups", 0), None, "has optimizer"),
        (("config", "learned"), [2], "learned must name parameters"),
        (("config", "adapted"), 3, "adapted must name parameters"),
        (("config", "max_grad_norm"), 10**400, "max_grad_norm must be a finite number > 0"),
        (("config", "inner_lr"), 10**400, "inner_lr must be finite and >= 0"),
        (("config", "inner_lr"), {"0.weight": None}, "inner_lr must be a float"),
        (("optimizer", "moments"), [0, 99], "has moments"),
        (("seed",), -1, "seed = -1"),
        (("seed",), "0", "seed = '0'"),
        (("history",), {"update": 1}, "has history"),
        (("history",), [{"update": 1}], "has history"),
        (("optimizer",), {}, "has optimizer"),
        (("optimizer", "param_groups"), [], "has optimizer"),
        (("optimizer", "param_groups", 0, "eps"), 1.0, "the optimizer's eps = 1.0"),
        (("optimizer", "param_groups", 0, "lr"), float("nan"), "the optimizer's lr = nan"),
        (("optimizer", "param_groups", 0, "params"), [0], "the optimizer's params"),
        (("optimizer", "param_groups", 0, "extra"), 1, r"unknown \['extra'\]"),
    ],
)
def test_facts_with_values_that_cannot_be(path, where, value, message):
    def change(tensors: dict[str, Tensor], facts: Any) -> None:
        for key in where[:-1]:
            facts = facts[key]
        facts[where[-1]] = value

    changed(path, change, raw=False)
    refused(path, message)


def tensor_names() -> list[str]:
    names = [f"model.{name}" for name in make_model().state_dict()]
    moments = [f"optimizer.{k}.{each}" for k in range(6) for each in ("step", "exp_avg", "exp_avg_sq")]
    return [*names, *moments, "generator"]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", tensor_names())
def test_a_tensor_that_is_missing_or_of_another_shape(path, name, raw):
    whole = path.read_bytes()
    changed(path, lambda tensors, facts: tensors.pop(name), raw=raw)
    refused(path, name.replace(".", r"\."))
    path.write_bytes(whole)
    changed(path, lambda tensors, facts: tensors.update({name: torch.zeros(7, 7)}), raw=raw)
    refused(path, name.replace(".", r"\."))


@pytest.mark.parametrize("name", ["model.0.weight", "optimizer.1.exp_avg", "generator", "optimizer.0.step"])
def test_one_flipped_bit_is_noticed(path, name):
    def flip(tensors: dict[str, Tensor], facts: Any) -> None:
        tensors[name].reshape(-1).view(torch.uint8)[0] ^= 1

    changed(path, flip, raw=True)
    refused(path, rf"was changed after it was written: \['tensor {name}'\]")


@pytest.mark.parametrize(("key", "value"), [("seed", 3), ("history", []), ("loss", "l1_loss")])
def test_a_fact_changed_by_hand_is_noticed(path, key, value):
    changed(path, lambda tensors, facts: facts.update({key: value}), raw=True)
    refused(path, r"was changed after it was written: \['facts'\]")


def test_all_moments_gone_or_a_history_cut_short(path):
    def no_moments(tensors: dict[str, Tensor], facts: Any) -> None:
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            del tensors[name]

    changed(path, no_moments, raw=True)
    refused(path, r"was changed after it was written: \['tensor optimizer.0")


@pytest.mark.parametrize("version", [0, -1, 1, "2", None, 2.0, True])
def test_other_formats(path, version):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    header = json.loads(metadata["checkpoint"]) | {"format": version}
    tensors, _ = load_checkpoint(path, "MetaLearner")
    save_file(tensors, path, metadata=metadata | {"checkpoint": json.dumps(header)})
    refused(path, f"has format {version!r}")


def test_nothing_stays_mapped_and_the_file_may_be_overwritten(path):
    learner = MetaLearner.load(path, make_model(seed=5), device="cpu")
    if sys.platform == "linux":
        assert path.name not in Path("/proc/self/maps").read_text()
    path.write_bytes(b"")
    train(learner, 1)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_the_umask_is_respected_and_permissions_kept(tmp_path):
    for mask, expected in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        path, before = tmp_path / f"{mask:o}.safetensors", os.umask(mask)
        try:
            save_checkpoint(path, "Thing", {}, {})
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == expected
        path.chmod(0o640)
        save_checkpoint(path, "Thing", {}, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "settings",
    [
        {"adapted": ["2"], "learned": ["0"]},
        {"max_grad_norm": 0.1, "vectorized": False},
        {
            "inner_lr": {
                "0.weight": 0.1,
                "0.bias": 0.1,
                "1.weight": 0.0,
                "1.bias": 0.0,
                "2.weight": 0.1,
                "2.bias": 0.2,
            }
        },
    ],
)
def test_every_setting_resumes_exactly(tmp_path, settings):
    straight, first = (MetaLearner(make_model(), **settings, device="cpu") for _ in range(2))
    train(straight, 4)
    train(first, 2)
    first.save(tmp_path / "x.safetensors")
    resumed = MetaLearner.load(tmp_path / "x.safetensors", make_model(seed=5), device="cpu")
    train(resumed, 2)
    assert resumed.history == straight.history
    assert largest_difference(parameters_of(resumed.model), parameters_of(straight.model)) == 0.0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_precision_resumes_exactly(tmp_path, dtype):
    model = nn.Linear(1, 1).to(dtype)
    straight = MetaLearner(copy.deepcopy(model), meta_lr=1e-4, device="cpu")
    first = MetaLearner(copy.deepcopy(model), meta_lr=1e-4, device="cpu")
    train(straight, 40)
    train(first, 20)
    first.save(tmp_path / "x.safetensors")
    resumed = MetaLearner.load(tmp_path / "x.safetensors", copy.deepcopy(model), device="cpu")
    train(resumed, 20)
    assert resumed.history == straight.history
    assert largest_difference(resumed._masters, straight._masters) == 0.0


def huber(delta: Any) -> Any:
    def loss(prediction: Tensor, y: Tensor) -> Tensor:
        return F.huber_loss(prediction, y, delta=float(delta[0] if isinstance(delta, list) else delta))

    return loss


class Of:
    """A loss with a setting of its own, in a slot."""

    __slots__ = ("delta",)

    def __init__(self, delta: float) -> None:
        self.delta = delta

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return F.huber_loss(prediction, y, delta=self.delta)


class Listed(nn.Module):
    """A loss whose settings stand in a list or dict, under a private name."""

    def __init__(self, weights: Any) -> None:
        super().__init__()
        self._weights = weights

    def forward(self, prediction: Tensor, y: Tensor) -> Tensor:
        return sum(self._weights.values() if isinstance(self._weights, dict) else self._weights) * F.mse_loss(
            prediction, y
        )


class InOneSlot:
    """A loss whose slots are stated as a single text."""

    __slots__ = "delta"

    def __init__(self, delta: float) -> None:
        self.delta = delta

    def __call__(self, prediction: Tensor, y: Tensor) -> Tensor:
        return F.huber_loss(prediction, y, delta=self.delta)


class Weighted(nn.Module):
    """A loss of losses, weighted by a buffer that no state dict holds."""

    def __init__(self, delta: float) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.MSELoss(), nn.HuberLoss(delta=2.0)])
        self.register_buffer("weight", torch.tensor(delta), persistent=False)

    def forward(self, prediction: Tensor, y: Tensor) -> Tensor:
        return self.parts[0](prediction, y) + self.weight * self.parts[1](prediction, y)


@pytest.mark.parametrize(
    ("trained", "other"),
    [
        (nn.HuberLoss(delta=1.0), nn.HuberLoss(delta=9.0)),
        (functools.partial(F.huber_loss, delta=1.0), functools.partial(F.huber_loss, delta=9.0)),
        (huber(1.0), huber(9.0)),
        (Of(1.0).loss, Of(9.0).loss),
        (huber([1.0]), huber([9.0])),
        (huber(torch.tensor(1.0)), huber(torch.tensor(9.0))),
        (Weighted(1.0), Weighted(9.0)),
        (InOneSlot(1.0), InOneSlot(9.0)),
        (Listed([1.0]), Listed([9.0])),
        (Listed({"a": torch.ones(1)}), Listed({"a": torch.zeros(1)})),
        (lambda p, y, d=1.0: F.huber_loss(p, y, delta=d), lambda p, y, d=9.0: F.huber_loss(p, y, delta=d)),
        (
            nn.BCEWithLogitsLoss(pos_weight=torch.ones(1)),
            nn.BCEWithLogitsLoss(pos_weight=torch.full((1,), 2.0)),
        ),
    ],
)
def test_the_settings_of_a_loss_are_compared(tmp_path, trained, other):
    MetaLearner(make_model(), loss=trained, device="cpu").save(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"loss: .* was trained with"):
        MetaLearner.load(tmp_path / "x.safetensors", make_model(), loss=other, device="cpu")
    assert settings_of(copy.deepcopy(trained)) == settings_of(trained)
    MetaLearner.load(tmp_path / "x.safetensors", make_model(), loss=trained, device="cpu")


@pytest.mark.parametrize("delta", [1.0, 9.0])
def test_the_modules_in_a_loss_are_compared(delta):
    loss = Weighted(1.0)
    before = settings_of(loss)
    loss.parts[1].delta = delta  # pyright: ignore
    assert settings_of(loss) != before
    assert settings_of(Weighted(1.0)) == before


def test_models_that_cannot_be_loaded_into(path):
    with pytest.raises(ValueError, match="'weight' has no size yet"):
        MetaLearner.load(path, nn.LazyLinear(1), device="cpu")
    with pytest.warns(FutureWarning):
        normed = nn.utils.weight_norm(nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"model: it cannot be copied, .*parametrizations"):
        MetaLearner.load(path, normed, device="cpu")


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(1, 1), nn.Linear(1, 1)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x)))


def test_tied_weights_stay_tied(tmp_path):
    learner = MetaLearner(_Tied(), device="cpu")
    train(learner, 2)
    learner.save(tmp_path / "x.safetensors")
    resumed = MetaLearner.load(tmp_path / "x.safetensors", _Tied(), device="cpu")
    train(learner, 2)
    train(resumed, 2)
    assert resumed.model.a.weight is resumed.model.b.weight  # pyright: ignore
    assert resumed.history == learner.history


class Ending:
    """Sines whose drawing fails after some updates."""

    def __init__(self, after: int):
        self.left = after

    def sample(self, *args, **how):
        self.left -= 1
        batch = SineTasks().sample(*args, **how)
        if self.left < 0:
            raise OSError("no more")
        return batch


def test_an_interrupted_training_leaves_a_file_that_goes_on_exactly(tmp_path):
    path, interrupted = tmp_path / "learner", MetaLearner(make_model(), device="cpu")
    with pytest.raises(OSError, match="no more"):
        interrupted.train(Ending(after=7), 10, 5, 4, progress=False, checkpoint=path, save_every=100)
    resumed, whole = (
        MetaLearner.load(path, make_model(1), device="cpu"),
        MetaLearner(make_model(), device="cpu"),
    )
    train(resumed, 3)
    train(interrupted, 3)
    train(whole, 10)

    assert len(resumed.history) == 10
    assert resumed.history == interrupted.history == whole.history
    params = [parameters_of(learner.model) for learner in (resumed, whole)]
    assert all(torch.equal(value, params[1][name]) for name, value in params[0].items())


def test_a_checkpoint_is_written_as_often_as_said_and_at_the_end(tmp_path, monkeypatch):
    learner, written = MetaLearner(make_model(), device="cpu"), []
    monkeypatch.setattr(MetaLearner, "save", lambda self, path: written.append(len(self.history)))
    learner.train(SineTasks(), 7, 5, 4, progress=False, checkpoint=tmp_path / "learner", save_every=3)

    assert written == [3, 6, 7]


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (FileNotFoundError, "checkpoint: the folder", {"checkpoint": "missing/file"}),
        (IsADirectoryError, "checkpoint must be a file", {"checkpoint": "."}),
        (ValueError, "save_every must be an integer >= 1, got 0", {"save_every": 0}),
    ],
)
def test_where_nothing_can_be_written_is_said_before_any_work(
    tmp_path, monkeypatch, error, message, arguments
):
    monkeypatch.chdir(tmp_path)
    learner = MetaLearner(make_model(), device="cpu")
    with pytest.raises(error, match=message):
        learner.train(SineTasks(), 2, 5, 4, progress=False, **arguments)

    assert learner.history == []
