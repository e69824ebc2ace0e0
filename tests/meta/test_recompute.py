"""Recomputed inner steps have the same gradient and keep less."""

from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from mlearn_utils import LinearTasks, MetaLearner
from mlearn_utils.meta import checkpoint, inner_rules
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of, query_losses
from tests.meta.reference import largest_difference, make_model, make_tasks

SETTINGS = (
    {},
    {"first_order": True},
    {"chunk_size": 2},
    {"adapted": ["3"]},
    {"vectorized": False},
    {"steps": 0},
)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_gradient_is_the_same(settings):
    for norm in ("tanh", "layer_norm"):
        model, tasks = make_model(norm), make_tasks()
        loss, params = module_loss(model, mse_loss), parameters_of(model)
        for rule in (inner_rules.steepest, inner_rules.adam(), inner_rules.clipped(0.5)):
            given: Any = {"steps": 3, "inner_lr": 0.1, "rule": rule} | settings
            expected = meta_gradient(loss, params, tasks, **given)
            found = meta_gradient(loss, params, tasks, recompute=True, **given)
            assert abs(found[0] - expected[0]) < 1e-12
            assert largest_difference(found[1], expected[1]) < 1e-12


def test_learned_rates_have_the_same_gradient():
    model, tasks = make_model(), make_tasks()
    loss, found = module_loss(model, mse_loss), []
    for recompute in (False, True):
        params = parameters_of(model)
        rates = {name: torch.full_like(value, 0.1).requires_grad_() for name, value in params.items()}
        total = query_losses(loss, params, tasks, inner_lr=rates, steps=2, recompute=recompute).sum()
        found.append(torch.autograd.grad(total, (*rates.values(), *params.values())))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def kept(**settings) -> int:
    """Return how many numbers the graph of an adaptation holds on to."""
    model, tasks = make_model("layer_norm"), make_tasks(n_support=50)
    sizes: dict[int, int] = {}

    def pack(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        total = query_losses(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1, steps=10, **settings
        ).sum()
    total.backward()
    return sum(sizes.values())


def test_less_is_kept():
    assert kept(recompute=True) < kept() / 3


def test_what_a_loss_closes_over_is_not_forgotten_silently():
    model, tasks, weight = make_model(), make_tasks(), torch.ones((), dtype=torch.float64, requires_grad=True)
    loss = module_loss(model, mse_loss)
    with pytest.raises(ValueError, match="recompute: task_loss closes over a tensor"):
        query_losses(
            lambda params, batch: weight * loss(params, batch),
            parameters_of(model),
            tasks,
            inner_lr=0.1,
            recompute=True,
        )


def test_a_learner_recomputes_and_files_without_the_setting_load(tmp_path, monkeypatch):
    histories = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
        learner = MetaLearner(model, inner_lr=0.1, steps=2, device="cpu", recompute=recompute)
        histories.append(learner.train(LinearTasks(), 3, 5, 4, progress=False))
    assert histories[1][-1]["query_loss"] == pytest.approx(histories[0][-1]["query_loss"], rel=1e-5)
    with pytest.raises(ValueError, match="recompute must be True or False"):
        MetaLearner(nn.Linear(1, 1), recompute=1)  # pyright: ignore
    save = checkpoint.save_checkpoint

    def as_before(path, kind, tensors, facts):
        """Write what a release without the setting and without fused kernels wrote."""
        groups = [group | {"fused": None} for group in facts["optimizer"]["param_groups"]]
        optimizer = facts["optimizer"] | {"param_groups": groups}
        config = {name: value for name, value in facts["config"].items() if name != "recompute"}
        save(path, kind, tensors, facts | {"config": config, "optimizer": optimizer})

    monkeypatch.setattr(checkpoint, "save_checkpoint", as_before)
    learner.save(tmp_path / "old.safetensors")
    other = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    loaded = MetaLearner.load(tmp_path / "old.safetensors", other, device="cpu")
    assert loaded.recompute is False
    assert loaded._optimizer.param_groups[0]["fused"] is True
    loaded.recompute = True
    assert loaded.train(LinearTasks(), 2, 5, 4, progress=False) == learner.train(
        LinearTasks(), 2, 5, 4, progress=False
    )


def test_a_rule_that_closes_over_what_learns_is_refused():
    model, tasks, share = make_model(), make_tasks(), torch.tensor(0.5, requires_grad=True)

    def rule(grads: Any, state: Any) -> Any:
        return {name: share * grad for name, grad in grads.items()}, state

    with pytest.raises(ValueError, match="rule closes over"):
        query_losses(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1, rule=rule, recompute=True
        )


def test_rates_in_any_mapping_get_their_gradient():
    model, tasks, found = make_model(), make_tasks(), []
    params = parameters_of(model)
    for kind in (dict, MappingProxyType):
        rates = {name: torch.tensor(0.1, dtype=torch.double, requires_grad=True) for name in params}
        losses = query_losses(
            module_loss(model, mse_loss), params, tasks, inner_lr=kind(rates), recompute=True
        )
        found.append(torch.autograd.grad(losses.sum(), list(rates.values())))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
