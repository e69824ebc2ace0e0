"""Transformers: attention on a kernel that can be differentiated twice, and nothing global left changed."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import mse_loss

from mlearn_utils import LinearTasks, MetaLearner
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of, query_losses
from tests.meta.reference import (
    finite_difference_gradient,
    largest_difference,
    loop_query_losses,
    make_tasks,
    make_transformer,
)


def kernels() -> list[bool]:
    return [
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.mem_efficient_sdp_enabled(),
        torch.backends.cuda.math_sdp_enabled(),
    ]


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_meta_gradient_of_a_transformer_equals_finite_differences(training, steps):
    model, tasks = make_transformer().train(training), make_tasks(n_tasks=2)
    gradient = meta_gradient(
        module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.05, steps=steps
    )[1]
    numeric = finite_difference_gradient(model.train(), tasks, inner_lr=0.05, steps=steps)
    assert largest_difference(gradient, numeric) < 1e-8


@pytest.mark.parametrize("steps", [0, 2])
def test_evaluated_without_gradients(steps):
    model, tasks = make_transformer().eval(), make_tasks()
    with torch.no_grad():
        losses = query_losses(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.05, steps=steps
        )
    params = {name: value.detach().requires_grad_() for name, value in model.named_parameters()}
    slow = loop_query_losses(model.train(), params, tasks, inner_lr=0.05, steps=steps)
    assert float((losses - torch.stack(slow).detach()).abs().max()) < 1e-12


def test_attention_of_ones_own_making_works_too():
    def loss_of(params, batch):
        x = batch[0] @ params["in"]
        return ((F.scaled_dot_product_attention(x, x, x) @ params["out"] - batch[1]) ** 2).mean()

    params = {"in": torch.full((1, 4), 0.3).double(), "out": torch.full((4, 1), 0.2).double()}
    loss, gradient = meta_gradient(loss_of, params, make_tasks(), inner_lr=0.1, steps=2)
    assert bool(loss.isfinite())
    assert float(gradient["in"].abs().max()) > 1e-4


def test_the_choice_of_kernels_is_left_as_it_was():
    model, before = make_transformer(), kernels()
    meta_gradient(module_loss(model, mse_loss), parameters_of(model), make_tasks(), inner_lr=0.1)
    assert kernels() == before
    with pytest.raises(RuntimeError, match="own"):
        query_losses(_raise, parameters_of(model), make_tasks(), inner_lr=0.1)
    assert kernels() == before


def test_a_learner_adapts_and_predicts_with_a_transformer():
    learner = MetaLearner(make_transformer().float(), inner_lr=0.01, device="cpu")
    learner.train(LinearTasks(), 2, 5, 4, progress=False)
    x = torch.linspace(-2, 2, 5)[:, None]
    adapted = learner.adapt(x, 2 * x)
    assert bool(learner.predict(x, adapted).isfinite().all())


def test_dropout_inside_attention_is_explained():
    model = make_transformer()
    attention = model.layer.self_attn
    assert isinstance(attention, nn.MultiheadAttention)
    attention.dropout = 0.5
    with pytest.raises(ValueError, match="task_loss draws random numbers"):
        meta_gradient(module_loss(model, mse_loss), parameters_of(model), make_tasks(), inner_lr=0.1)


def _raise(params, batch):
    raise RuntimeError("the student's own")
