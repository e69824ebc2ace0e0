"""Inner rules: the directions of torch's own optimizers, and derivatives that finite differences confirm."""

import copy

import pytest
import torch
from torch.nn.functional import mse_loss

from mlearn_utils.meta.inner_rules import adam, momentum
from mlearn_utils.meta.maml import (
    adapt,
    expand_params,
    inner_step,
    last,
    meta_gradient,
    module_loss,
    parameters_of,
    trajectory,
    walk,
)
from mlearn_utils.meta.variants import adapt_only, multi_step_losses
from tests.meta.reference import (
    NORMS,
    adam_under_the_root,
    finite_difference_gradient,
    heavy_ball,
    largest_difference,
    make_model,
    make_tasks,
    make_transformer,
)

RULES = {
    "momentum": (momentum(0.7), heavy_ball(0.7)),
    "adam": (adam((0.8, 0.9), eps=1e-2), adam_under_the_root((0.8, 0.9), eps=1e-2)),
}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kind", [*NORMS, "transformer"])
@pytest.mark.parametrize("rule", RULES)
def test_meta_gradient_equals_finite_differences(rule, kind, steps):
    model, tasks = make_transformer() if kind == "transformer" else make_model(kind), make_tasks(n_tasks=2)
    fast, slow = RULES[rule]
    settings = {"inner_lr": 0.05, "steps": steps}
    gradient = meta_gradient(
        module_loss(model, mse_loss), parameters_of(model), tasks, **settings, rule=fast
    )[1]
    numeric = finite_difference_gradient(model, tasks, **settings, direction=slow)
    assert largest_difference(gradient, numeric) < 1e-8


@pytest.mark.parametrize(
    ("rule", "make_optimizer"),
    [
        (momentum(), lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9)),
        (adam(eps=1e-16), lambda params: torch.optim.Adam(params, lr=0.1, eps=1e-8)),
    ],
    ids=["momentum", "adam"],
)
def test_adaptation_equals_torchs_own_optimizer(rule, make_optimizer):
    model, tasks = make_model("layer_norm"), make_tasks(n_tasks=2)
    end = adapt(
        module_loss(model, mse_loss), parameters_of(model), tasks.support, inner_lr=0.1, steps=5, rule=rule
    )
    for i in range(2):
        twin = copy.deepcopy(model)
        optimizer = make_optimizer(twin.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            mse_loss(twin(tasks.support[0][i]), tasks.support[1][i]).backward()
            optimizer.step()
        own = {name: value[i] for name, value in end.items()}
        assert largest_difference(own, parameters_of(twin)) < 1e-6


def test_adams_defaults():
    model, tasks = make_model(), make_tasks()
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)
    default, stated = (
        adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=3, rule=rule)
        for rule in (adam(), adam((0.9, 0.999), eps=1e-8))
    )
    assert largest_difference(default, stated) == 0.0


def test_no_momentum_is_gradient_descent():
    model, tasks = make_model(), make_tasks()
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)
    plain = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=3)
    none_kept = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=3, rule=momentum(0.0))
    assert largest_difference(plain, none_kept) == 0.0


def test_a_coordinate_whose_gradient_is_zero_stays_finite():
    """An idle parameter has gradient 0 at every step, and sqrt(v) has no derivative at 0."""
    tasks = make_tasks()

    def loss_of(params, batch):
        return ((params["w"] * batch[0] - batch[1]) ** 2).mean() + 0.0 * params["idle"].square().sum()

    params = {"w": torch.ones(1).double(), "idle": torch.zeros(2).double()}
    for steps in (1, 3):
        loss, gradient = meta_gradient(loss_of, params, tasks, inner_lr=0.01, steps=steps, rule=adam())
        assert bool(loss.isfinite())
        assert all(bool(value.isfinite().all()) for value in gradient.values())
        assert float(gradient["w"].abs()) > 1e-3


def test_every_adaptation_starts_with_a_fresh_state():
    model, tasks = make_model(), make_tasks()
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)
    for rule in (momentum(0.9), adam()):
        first = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=3, rule=rule)
        again = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=3, rule=rule)
        assert largest_difference(first, again) == 0.0


@pytest.mark.parametrize("rule", [momentum(0.9), adam()], ids=["momentum", "adam"])
def test_a_trajectory_ends_where_adaptation_ends(rule):
    model, tasks = make_model(), make_tasks()
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)
    path = trajectory(task_loss, params, tasks.support, inner_lr=0.1, steps=3, rule=rule)
    assert len(path) == 4
    for steps, point in enumerate(path):
        end = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=steps, rule=rule)
        assert largest_difference(point, end) == 0.0


@pytest.mark.parametrize("rule", [momentum(0.9), adam()], ids=["momentum", "adam"])
def test_a_rule_walks_over_changing_support_sets_with_its_state(rule):
    """The second step starts with what the first remembers, on other data."""
    model, tasks = make_model(), make_tasks()
    task_loss, start = module_loss(model, mse_loss), expand_params(parameters_of(model), 3)
    one = inner_step(task_loss, start, tasks.support, inner_lr=0.1, rule=rule)
    both = last(walk(task_loss, start, [(tasks.support, 0.1), (tasks.query, 0.1)], rule=rule))
    forgot = inner_step(task_loss, one, tasks.query, inner_lr=0.1, rule=rule)
    same = adapt(task_loss, parameters_of(model), tasks.support, inner_lr=0.1, steps=1, rule=rule)
    assert largest_difference(one, same) == 0.0
    assert largest_difference(both, forgot) > 1e-3


def test_one_step_by_a_rule():
    model, tasks = make_model(), make_tasks()
    task_loss, start = module_loss(model, mse_loss), expand_params(parameters_of(model), 3)
    plain = inner_step(task_loss, start, tasks.support, inner_lr=0.1)
    assert (
        largest_difference(plain, inner_step(task_loss, start, tasks.support, inner_lr=0.1, rule=momentum()))
        == 0
    )
    signs = inner_step(task_loss, start, tasks.support, inner_lr=0.1, rule=adam(eps=1e-30))
    for name, value in start.items():
        torch.testing.assert_close(value - signs[name], 0.1 * (value - plain[name]).sign(), rtol=0, atol=1e-6)


def test_a_rule_reaches_the_variants():
    model, tasks = make_model(), make_tasks()
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)
    head, rule = list(params)[-2:], momentum(0.9)
    plain = adapt_only(head, task_loss, params, tasks.support, inner_lr=0.1, steps=2)
    heavy = adapt_only(head, task_loss, params, tasks.support, inner_lr=0.1, steps=2, rule=rule)
    assert largest_difference(plain, heavy) > 1e-3
    last = multi_step_losses(task_loss, params, tasks, weights=[0, 0, 1], inner_lr=0.1, rule=rule).detach()
    other = multi_step_losses(task_loss, params, tasks, weights=[0, 0, 1], inner_lr=0.1).detach()
    assert float((last - other).abs().max()) > 1e-3


def test_arguments_out_of_range():
    for decay in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"decay must be in \[0, 1\)"):
            momentum(decay)
    with pytest.raises(ValueError, match=r"decays\[1\] must be in \[0, 1\)"):
        adam((0.9, 1.0))
    for eps in (0.0, -1e-8, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="eps must be finite and > 0"):
            adam(eps=eps)
