"""Variants of MAML against finite differences of plain loops, and what each of them must leave alone."""

import math
from typing import Any

import pytest
import torch
from torch.nn.functional import mse_loss

from mlearn_utils.meta.compiled import compiled_update
from mlearn_utils.meta.maml import (
    adapt,
    expand_params,
    mean_gradient,
    meta_gradient,
    module_loss,
    parameters_of,
    query_losses,
)
from mlearn_utils.meta.variants import (
    adapt_only,
    add_rates,
    anil_losses,
    meta_sgd_losses,
    multi_step_losses,
    reptile_gradient,
    split_rates,
)
from tests.meta.reference import (
    NORMS,
    finite_difference_gradient,
    largest_difference,
    loop_query_losses,
    make_model,
    make_tasks,
    make_transformer,
    numeric_gradient,
    task_error,
)

HEAD = ("3.weight", "3.bias")
MODELS = [*NORMS, "transformer"]


def model_of(kind):
    return make_transformer() if kind == "transformer" else make_model(kind)


def head_of(model):
    return list(parameters_of(model))[-2:]


def detached(model):
    return {name: value.detach() for name, value in model.named_parameters()}


class TestAnil:
    @pytest.mark.parametrize("steps", [1, 3])
    @pytest.mark.parametrize("kind", MODELS)
    def test_meta_gradient_equals_finite_differences(self, kind, steps):
        model, tasks = model_of(kind), make_tasks(n_tasks=2)
        task_loss, head = module_loss(model, mse_loss), head_of(model)

        def losses_of(params, tasks):
            return anil_losses(task_loss, params, tasks, adapted=head, inner_lr=0.05, steps=steps)

        gradient = mean_gradient(losses_of, parameters_of(model), tasks)[1]
        numeric = finite_difference_gradient(model, tasks, inner_lr=0.05, steps=steps, adapted_names=head)
        assert largest_difference(gradient, numeric) < 1e-8

    def test_only_the_named_parameters_adapt(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        end = adapt_only(HEAD, task_loss, params, tasks.support, inner_lr=0.1, steps=2)
        assert list(end) == list(params)
        shared = expand_params(params, 3)
        assert all(torch.equal(end[name], shared[name]) for name in params if name not in HEAD)
        assert all(not torch.equal(end[name], shared[name]) for name in HEAD)

    def test_with_every_name_it_is_maml(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        all_of_it = adapt_only(list(params), task_loss, params, tasks.support, inner_lr=0.1, steps=2)
        plain = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=2)
        assert largest_difference(all_of_it, plain) < 1e-12

    def test_a_rate_of_zero_gives_the_same_gradient_the_long_way(self):
        model, tasks = make_model("layer_norm"), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        rates = {name: torch.tensor(0.1 if name in HEAD else 0.0, dtype=torch.float64) for name in params}

        def losses_of(params, tasks):
            return anil_losses(task_loss, params, tasks, adapted=HEAD, inner_lr=0.1, steps=3)

        short = mean_gradient(losses_of, params, tasks)[1]
        assert (
            largest_difference(short, meta_gradient(task_loss, params, tasks, inner_lr=rates, steps=3)[1])
            < 1e-12
        )

    @pytest.mark.parametrize("adapted", [[], ["4.weight"], "3.weight"])
    def test_names_of_no_parameter(self, adapted):
        model = make_model()
        with pytest.raises(ValueError, match="adapted must name parameters, some of"):
            adapt_only(
                adapted,
                module_loss(model, mse_loss),
                parameters_of(model),
                make_tasks().support,
                inner_lr=0.1,
            )


class TestMetaSGD:
    @pytest.mark.parametrize("kind", MODELS)
    def test_gradient_of_start_and_rates_equals_finite_differences(self, kind):
        model, tasks = model_of(kind), make_tasks(n_tasks=2)
        task_loss, params = module_loss(model, mse_loss), add_rates(detached(model), 0.05)

        def losses_of(params, tasks):
            return meta_sgd_losses(task_loss, params, tasks, steps=2)

        def objective(params):
            rates = {name: params["log_rate." + name].exp().detach() for name in parameters_of(model)}
            start = {name: params[name] for name in rates}
            losses = loop_query_losses(model, start, tasks, inner_lr=rates, steps=2, create_graph=False)
            return float(torch.stack(losses).detach().mean())

        gradient = mean_gradient(losses_of, params, tasks)[1]
        assert largest_difference(gradient, numeric_gradient(objective, params)) < 1e-8
        assert any(
            float(gradient[name].abs().max()) > 1e-4 for name in params if name.startswith("log_rate.")
        )

    def test_at_first_it_is_maml(self):
        model, tasks = make_model(), make_tasks()
        task_loss = module_loss(model, mse_loss)
        losses = meta_sgd_losses(task_loss, add_rates(detached(model), 0.1), tasks, steps=2)
        plain = query_losses(task_loss, detached(model), tasks, inner_lr=0.1, steps=2)
        torch.testing.assert_close(losses, plain, rtol=1e-12, atol=0)

    def test_rates_stay_positive_whatever_the_optimizer_does(self):
        params = add_rates({"w": torch.ones(2)}, 0.1)
        params["log_rate.w"] = params["log_rate.w"] - 50
        weights, rates = split_rates(params)
        assert list(weights) == list(rates) == ["w"]
        assert bool((rates["w"] > 0).all())

    def test_first_order_still_learns_the_rates(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), add_rates(detached(model), 0.1)

        def losses_of(params, tasks):
            return meta_sgd_losses(task_loss, params, tasks, first_order=True)

        gradient = mean_gradient(losses_of, params, tasks)[1]
        assert all(float(gradient["log_rate." + name].abs().max()) > 1e-8 for name in HEAD)

    def test_rates_that_do_not_fit(self):
        params = add_rates({"w": torch.ones(2)}, 0.1)
        with pytest.raises(ValueError, match="params must hold a rate"):
            split_rates({"w": params["w"]})
        for inner_lr in (0.0, -0.1, math.nan, math.inf):
            with pytest.raises(ValueError, match="inner_lr must be finite and > 0"):
                add_rates({"w": torch.ones(2)}, inner_lr)


class TestMultiStepLosses:
    @pytest.mark.parametrize("weights", [(0.2, 0.3, 0.5), (0.0, 2.0)])
    @pytest.mark.parametrize("kind", MODELS)
    def test_meta_gradient_equals_finite_differences(self, kind, weights):
        model, tasks = model_of(kind), make_tasks(n_tasks=2)
        task_loss = module_loss(model, mse_loss)

        def losses_of(params, tasks):
            return multi_step_losses(task_loss, params, tasks, weights=weights, inner_lr=0.05)

        gradient = mean_gradient(losses_of, parameters_of(model), tasks)[1]
        numeric = finite_difference_gradient(model, tasks, inner_lr=0.05, steps=len(weights), weights=weights)
        assert largest_difference(gradient, numeric) < 1e-8

    @pytest.mark.parametrize("steps", [1, 4])
    def test_all_weight_on_the_last_step_is_maml(self, steps):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), detached(model)
        weights = [0.0] * (steps - 1) + [1.0]
        losses = multi_step_losses(task_loss, params, tasks, weights=weights, inner_lr=0.1)
        plain = query_losses(task_loss, params, tasks, inner_lr=0.1, steps=steps)
        torch.testing.assert_close(losses, plain, rtol=1e-12, atol=0)

    def test_weights_out_of_range(self):
        model, tasks = make_model(), make_tasks()
        for weights in ([], [1.0, -0.1], [math.nan], [math.inf]):
            with pytest.raises(ValueError, match="weights must hold a finite number >= 0"):
                multi_step_losses(
                    module_loss(model, mse_loss), detached(model), tasks, weights=weights, inner_lr=0.1
                )


class TestFirstOrder:
    @pytest.mark.parametrize("kind", MODELS)
    def test_equals_finite_differences_with_the_adaptation_held_still(self, kind):
        """FOMAML differentiates L_i(theta + shift_i); shift_i, what adaptation changed, holds still."""
        model, tasks = model_of(kind), make_tasks(n_tasks=2)
        task_loss, params = module_loss(model, mse_loss), detached(model)
        end = adapt(task_loss, params, tasks.support, inner_lr=0.05, steps=3)
        shifts = [{name: (end[name][i] - params[name]).detach() for name in params} for i in range(2)]

        def objective(moved):
            total = 0.0
            for i, shift in enumerate(shifts):
                own = {name: moved[name] + shift[name] for name in moved}
                total += float(task_error(model, own, [tensor[i] for tensor in tasks.query]).detach())
            return total / 2

        gradient = meta_gradient(task_loss, params, tasks, inner_lr=0.05, steps=3, first_order=True)[1]
        assert largest_difference(gradient, numeric_gradient(objective, params)) < 1e-8


def one_detached_step(task_loss, params, rates, tasks, moving):
    """Return the mean query loss () after one step along gradients that count as constants, task by task."""
    losses = []
    for i in range(len(tasks.support[0])):
        support, query = (tuple(tensor[i] for tensor in batch) for batch in tasks)
        slopes = torch.autograd.grad(task_loss(params, support), [params[name] for name in moving])
        steps = dict(zip(moving, slopes, strict=True))
        end = {n: value - rates[n] * steps[n] if n in steps else value for n, value in params.items()}
        losses.append(task_loss(end, query))
    return torch.stack(losses).mean()


class TestFirstOrderOfVariants:
    """With first_order, every variant treats the inner gradient as a constant; rates still learn."""

    @pytest.mark.parametrize("variant", ["anil", "meta_sgd", "multi_step"])
    def test_one_step_equals_a_loop_with_detached_gradients(self, variant):
        model, tasks = make_model("layer_norm"), make_tasks()
        task_loss, start = module_loss(model, mse_loss), detached(model)
        if variant == "meta_sgd":
            start = add_rates(start, 0.1)
        moving = list(HEAD) if variant == "anil" else list(detached(model))

        def losses_of(params, tasks):
            if variant == "anil":
                return anil_losses(task_loss, params, tasks, adapted=moving, inner_lr=0.1, first_order=first)
            if variant == "meta_sgd":
                return meta_sgd_losses(task_loss, params, tasks, first_order=first)
            return multi_step_losses(task_loss, params, tasks, weights=[1.0], inner_lr=0.1, first_order=first)

        first = True
        found = mean_gradient(losses_of, start, tasks)[1]
        leaves = {name: value.clone().requires_grad_() for name, value in start.items()}
        weights, rates = (
            split_rates(leaves) if variant == "meta_sgd" else (leaves, dict.fromkeys(leaves, 0.1))
        )
        objective = one_detached_step(task_loss, weights, rates, tasks, moving)
        slopes = torch.autograd.grad(objective, list(leaves.values()))
        assert largest_difference(found, dict(zip(leaves, slopes, strict=True))) < 1e-12
        first = False
        assert largest_difference(found, mean_gradient(losses_of, start, tasks)[1]) > 1e-4

    @pytest.mark.parametrize("variant", ["anil", "meta_sgd"])
    def test_one_exact_step_is_the_default(self, variant):
        model, tasks = make_model(), make_tasks()
        task_loss, start = module_loss(model, mse_loss), detached(model)

        def losses_of(params, **how):
            if variant == "anil":
                return anil_losses(task_loss, params, tasks, adapted=HEAD, inner_lr=0.1, **how)
            return meta_sgd_losses(task_loss, params, tasks, **how)

        start = add_rates(start, 0.1) if variant == "meta_sgd" else start
        default, stated = (
            mean_gradient(lambda params, _, how=how: losses_of(params, **how), start, tasks)[1]
            for how in ({}, {"steps": 1, "first_order": False})
        )
        assert largest_difference(default, stated) == 0.0


@pytest.mark.parametrize("variant", ["anil", "meta_sgd", "multi_step", "reptile", "adapt_only"])
def test_every_variant_serves_a_loss_that_looks_at_its_value(variant):
    """torch.vmap cannot; one task after the other gives what a loss that does not look gives at once."""
    model, tasks = make_model("layer_norm"), make_tasks()
    plain, start = module_loss(model, mse_loss), detached(model)

    def looking(params, batch):
        loss = plain(params, batch)
        return loss if float(loss.detach()) >= 0 else -loss

    def result(task_loss, **how):
        if variant == "reptile":
            return reptile_gradient(task_loss, start, tasks.support, inner_lr=0.1, steps=2, **how)
        if variant == "adapt_only":
            return adapt_only(HEAD, task_loss, start, tasks.support, inner_lr=0.1, steps=2, **how)
        losses_of = {
            "anil": lambda p, t: anil_losses(task_loss, p, t, adapted=HEAD, inner_lr=0.1, **how),
            "meta_sgd": lambda p, t: meta_sgd_losses(task_loss, p, t, **how),
            "multi_step": lambda p, t: multi_step_losses(
                task_loss, p, t, weights=[1.0, 2.0], inner_lr=0.1, **how
            ),
        }[variant]
        return mean_gradient(losses_of, add_rates(start, 0.1) if variant == "meta_sgd" else start, tasks)[1]

    with pytest.raises(ValueError, match="give vectorized=False"):
        result(looking)
    assert largest_difference(result(looking, vectorized=False), result(plain)) < 1e-12


class TestReptile:
    @pytest.mark.parametrize("kind", MODELS)
    def test_equals_steps_along_finite_differences(self, kind):
        model, tasks = model_of(kind), make_tasks(n_tasks=2)
        task_loss, start = module_loss(model, mse_loss), detached(model)
        expected = {name: torch.zeros_like(value) for name, value in start.items()}
        for i in range(2):
            data, own = [tensor[i] for tensor in tasks.support], dict(start)
            for _ in range(3):
                slope = numeric_gradient(lambda p, data=data: float(task_error(model, p, data).detach()), own)
                own = {name: own[name] - 0.05 * slope[name] for name in own}
            expected = {name: expected[name] + (start[name] - own[name]) / 2 for name in own}
        actual = reptile_gradient(task_loss, start, tasks.support, inner_lr=0.05, steps=3)
        assert largest_difference(actual, expected) < 1e-8

    def test_one_step_is_joint_training(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        joint = meta_gradient(task_loss, params, make_tasks()._replace(query=tasks.support), inner_lr=0.0)[1]
        one_step = reptile_gradient(task_loss, params, tasks.support, inner_lr=0.1, steps=1)
        assert largest_difference(one_step, {name: 0.1 * value for name, value in joint.items()}) < 1e-12

    def test_leaves_no_graph_and_the_model_alone(self):
        model, tasks = make_model(), make_tasks()
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        found = reptile_gradient(
            module_loss(model, mse_loss), parameters_of(model), tasks.support, inner_lr=0.1, steps=2
        )
        assert not any(value.requires_grad for value in found.values())
        assert largest_difference(before, parameters_of(model)) == 0.0


class TestMeanGradient:
    @pytest.mark.parametrize("chunk_size", [1, 2, 5])
    def test_chunks_change_nothing(self, chunk_size):
        model, tasks = make_model(), make_tasks(n_tasks=5)
        task_loss = module_loss(model, mse_loss)

        def losses_of(params, tasks):
            return anil_losses(task_loss, params, tasks, adapted=HEAD, inner_lr=0.1, steps=2)

        whole = mean_gradient(losses_of, parameters_of(model), tasks)
        parts = mean_gradient(losses_of, parameters_of(model), tasks, chunk_size=chunk_size)
        assert abs(whole[0] - parts[0]) < 1e-12
        assert largest_difference(whole[1], parts[1]) < 1e-12

    def test_a_compiled_variant_is_the_same_function(self):
        model = make_model("layer_norm")
        task_loss, params = module_loss(model, mse_loss), add_rates(detached(model), 0.1)

        def update(params, tasks):
            return mean_gradient(lambda p, t: meta_sgd_losses(task_loss, p, t, steps=2), params, tasks)

        compiled: Any = compiled_update(update, compiler=lambda graph: graph)
        for tasks in (make_tasks(seed=1), make_tasks(seed=2), make_tasks(n_tasks=2)):
            (loss, gradient), (fast_loss, fast) = update(params, tasks), compiled(params, tasks)
            assert abs(loss - fast_loss) < 1e-12
            assert largest_difference(gradient, fast) < 1e-12
