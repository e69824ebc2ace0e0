"""What the core promises beyond its numbers: who moves, who learns, what stays, and in which precision."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.functional import mse_loss

from mlearn_utils.meta.compiled import compiled_meta_gradient
from mlearn_utils.meta.inner_rules import clipped
from mlearn_utils.meta.maml import (
    adapt,
    expand_params,
    inner_step,
    mean_gradient,
    meta_gradient,
    module_loss,
    parameters_of,
    query_losses,
    trajectory,
    walk,
)
from mlearn_utils.meta.variants import add_rates, anil_losses, meta_sgd_losses, reptile_gradient
from mlearn_utils.tasks.regression import TaskBatch
from tests.meta.reference import largest_difference, loop_meta_gradient, make_model, make_tasks

HEAD, BODY = ["2.weight", "2.bias"], ["0.weight", "0.bias"]


def frozen_body() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    model[0].requires_grad_(False)
    return model


def moved(params: dict[str, Tensor], start: dict[str, Tensor]) -> set[str]:
    return {name for name in params if not torch.equal(params[name], start[name].expand_as(params[name]))}


class TestFrozenParameters:
    @pytest.mark.parametrize("enabled", [True, False])
    @pytest.mark.parametrize("vectorized", [True, False])
    def test_no_inner_step_moves_them(self, enabled, vectorized):
        model, (support, _) = frozen_body(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        settings: dict[str, Any] = {"inner_lr": 0.1, "vectorized": vectorized}
        with torch.set_grad_enabled(enabled):
            start = expand_params(params, 3)
            ends = [
                adapt(task_loss, params, support, steps=3, **settings),
                trajectory(task_loss, params, support, steps=2, **settings)[-1],
                inner_step(task_loss, start, support, **settings),
                list(walk(task_loss, start, [(support, 0.1)] * 2, vectorized=vectorized))[-1],
            ]
        assert [moved(end, params) for end in ends] == [set(HEAD)] * 4
        assert all(torch.equal(end["0.weight"], start["0.weight"]) for end in ends)

    def test_they_have_no_meta_gradient_and_the_others_that_of_a_loop(self):
        model, tasks = frozen_body(), make_tasks()
        _, gradient = meta_gradient(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1, steps=2, chunk_size=2
        )
        twin = frozen_body()
        twin.load_state_dict(model.state_dict())
        twin.requires_grad_(True)
        _, expected = loop_meta_gradient(twin, tasks, inner_lr=0.1, steps=2, adapted_names=HEAD)
        assert all(not gradient[name].any() for name in BODY)
        assert largest_difference({k: gradient[k] for k in HEAD}, {k: expected[k] for k in HEAD}) < 1e-12

    def test_nor_do_reptile_and_meta_sgd_move_them(self):
        model, tasks = frozen_body(), make_tasks()
        params, task_loss = parameters_of(model), module_loss(model, mse_loss)
        step = reptile_gradient(task_loss, params, tasks.support, inner_lr=0.1, steps=2)
        assert {name for name, value in step.items() if value.any()} == set(HEAD)
        rates = add_rates({name: params[name] for name in HEAD}, 0.1)
        _, gradient = mean_gradient(lambda p, t: meta_sgd_losses(task_loss, p, t), rates, tasks)
        assert set(gradient) == {*HEAD, "log_rate.2.weight", "log_rate.2.bias"}
        assert all(value.any() for value in gradient.values())

    def test_rates_are_needed_for_those_that_move_only(self):
        model, (support, _) = frozen_body(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        same = adapt(task_loss, params, support, inner_lr=dict.fromkeys(HEAD, 0.1))
        assert largest_difference(same, adapt(task_loss, params, support, inner_lr=0.1)) == 0.0
        with pytest.raises(ValueError, match=r"missing \['2.bias'\], unknown \['2.bais'\]"):
            adapt(task_loss, params, support, inner_lr={"2.weight": 0.1, "2.bais": 0.1})

    def test_where_all_are_frozen_nothing_is_left(self):
        model, tasks = frozen_body().requires_grad_(False), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        for call in (
            lambda: adapt(task_loss, params, tasks.support, inner_lr=0.1),
            lambda: meta_gradient(task_loss, params, tasks, inner_lr=0.1),
        ):
            with pytest.raises(ValueError, match="are frozen"):
                call()

    def test_plain_tensors_that_need_no_gradient_are_not_frozen(self):
        model, (support, _) = make_model(), make_tasks()
        plain = {name: value.detach() for name, value in parameters_of(model).items()}
        end = adapt(module_loss(model, mse_loss), plain, support, inner_lr=0.1)
        assert moved(end, plain) == set(plain)
        assert not any(value.requires_grad for value in end.values())


class TestNames:
    @pytest.mark.parametrize("names", [HEAD, ["3"], ("3.weight", "3.bias")])
    def test_what_adapts_is_chosen_by_name_frozen_or_not(self, names):
        names = [name.replace("2.", "3.") for name in names]
        for frozen in (False, True):
            model, tasks = make_model(), make_tasks()
            model[3].requires_grad_(not frozen)
            losses = query_losses(
                module_loss(model, mse_loss),
                parameters_of(model),
                tasks,
                inner_lr=0.1,
                steps=2,
                adapted=names,
            )
            twin = make_model()
            _, expected = loop_meta_gradient(
                twin, tasks, inner_lr=0.1, steps=2, adapted_names=["3.weight", "3.bias"]
            )
            slope = torch.autograd.grad(losses.mean(), parameters_of(model)["0.weight"])[0]
            torch.testing.assert_close(slope, expected["0.weight"], rtol=1e-10, atol=1e-12)

    def test_what_learns_is_chosen_by_name_and_everything_adapts(self):
        model, tasks = make_model(), make_tasks()
        _, gradient = meta_gradient(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1, learned=["0"]
        )
        _, expected = loop_meta_gradient(make_model(), tasks, inner_lr=0.1)
        torch.testing.assert_close(gradient["0.weight"], expected["0.weight"], rtol=1e-10, atol=1e-12)
        assert not gradient["3.weight"].any()

    @pytest.mark.parametrize("names", ["0.weight", [], ["0.weigth"], ["0.wei"], {"0", "4"}])
    def test_names_that_are_none(self, names):
        model, tasks = make_model(), make_tasks()
        for argument in ("adapted", "learned"):
            with pytest.raises(ValueError, match=f"{argument} must name parameters, some of"):
                meta_gradient(
                    module_loss(model, mse_loss),
                    parameters_of(model),
                    tasks,
                    inner_lr=0.1,
                    **{argument: names},
                )

    def test_parameters_that_the_model_has_not_or_that_are_missing(self):
        model, (support, _) = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        others = {name: value for name, value in params.items() if name != "0.weight"}
        for wrong, message in (
            (others | {"0.weigth": params["0.weight"]}, r"missing \['0.weight'\], unknown \['0.weigth'\]"),
            (others, r"missing \['0.weight'\], unknown \[\]"),
            (
                params | {"module.0.weight": params["0.weight"]},
                r"missing \[\], unknown \['module.0.weight'\]",
            ),
        ):
            with pytest.raises(ValueError, match=message):
                adapt(task_loss, wrong, support, inner_lr=0.1)

    def test_a_loss_that_was_told_what_is_learned_keeps_the_rest_constant(self):
        model, tasks = make_model(), make_tasks()
        task_loss = module_loss(model, mse_loss, learned=["3"])
        head = {name: value for name, value in parameters_of(model).items() if name[0] == "3"}
        _, gradient = meta_gradient(task_loss, head, tasks, inner_lr=0.1, steps=2)
        _, expected = loop_meta_gradient(model, tasks, inner_lr=0.1, steps=2, adapted_names=list(head))
        assert largest_difference(gradient, {name: expected[name] for name in head}) < 1e-12
        with pytest.raises(ValueError, match="learned must name parameters"):
            module_loss(model, mse_loss, learned=["head"])


class TestWhatTheLossClosesOver:
    def difference(self, value_at: Callable[[float], Tensor], h: float = 1e-5) -> float:
        return float((value_at(h) - value_at(-h)).detach() / (2 * h))

    def test_a_fixed_head_that_adapts_and_a_learned_body(self):
        model, tasks = make_model(), make_tasks()
        task_loss = module_loss(model, mse_loss)

        def loss_at(h: float) -> Tensor:
            params = {k: v if k[0] == "0" else v.detach() for k, v in parameters_of(model).items()}
            shift = torch.zeros_like(params["0.weight"])
            shift[0] = h
            params["0.weight"] = params["0.weight"] + shift
            return anil_losses(task_loss, params, tasks, adapted=["3"], inner_lr=0.1, steps=2).mean()

        slope = torch.autograd.grad(loss_at(0.0), parameters_of(model)["0.weight"])[0][0, 0]
        assert float(slope) == pytest.approx(self.difference(loss_at), rel=1e-6)

    @pytest.mark.parametrize("first_order", [False, True])
    @pytest.mark.parametrize("vectorized", [False, True])
    def test_a_learned_weight_of_the_loss(self, first_order, vectorized):
        model, tasks = make_model(), make_tasks()
        plain = {name: value.detach() for name, value in parameters_of(model).items()}
        of_module = module_loss(model, mse_loss)

        def loss_at(phi: Tensor) -> Tensor:
            return query_losses(
                lambda p, b: phi.exp() * of_module(p, b),
                plain,
                tasks,
                inner_lr=0.1,
                steps=3,
                first_order=first_order,
                vectorized=vectorized,
            ).mean()

        phi = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        slope = torch.autograd.grad(loss_at(phi), phi)[0]
        if not first_order:
            difference = self.difference(lambda h: loss_at(phi.detach() + h))
            assert float(slope) == pytest.approx(difference, rel=1e-6)
        assert float(slope) > 0

    def test_features_computed_once_serve_every_chunk(self):
        w = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
        x = torch.randn(4, 5, 3, dtype=torch.float64)
        features = (w.exp() * w).T.sum(1)  # its graph is used by every chunk

        def losses_of(params: dict[str, Tensor], tasks: TaskBatch) -> Tensor:
            return ((tasks.support[0].mean((1, 2)) * features.sum() - params["a"]) ** 2).flatten()

        params = {"a": torch.ones(1, dtype=torch.float64)}
        tasks = TaskBatch((x,), (x,))
        whole = mean_gradient(losses_of, params, tasks)[1]["a"]
        assert torch.allclose(mean_gradient(losses_of, params, tasks, chunk_size=1)[1]["a"], whole)


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
    def test_many_tasks_in_chunks_of_any_size(self, dtype):
        """Their sum is beyond the largest float16, and a sum in bfloat16 would stop growing early."""
        x, y = torch.zeros(500, 1, 1, dtype=dtype), torch.full((500, 1, 1), 100.0, dtype=dtype)
        model = nn.Linear(1, 1).to(dtype)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        tasks = TaskBatch((x, y), (x, y))
        for chunk_size in (None, 50, 1):
            loss, gradient = meta_gradient(
                module_loss(model, mse_loss),
                parameters_of(model),
                tasks,
                inner_lr=0.0,
                chunk_size=chunk_size,
            )
            eps = torch.finfo(dtype).eps
            assert float(loss) == pytest.approx(100.0**2, rel=max(4 * eps, 1e-12))
            assert float(gradient["bias"]) == pytest.approx(-2 * 100.0, rel=max(4 * eps, 1e-12))
            assert gradient["bias"].dtype == dtype

    @pytest.mark.parametrize("steps", [1, 2])
    def test_rates_of_another_dtype_change_none(self, steps):
        model, (support, _) = make_model().float(), make_tasks()
        support = tuple(tensor.float() for tensor in support)
        rates = {k: torch.full_like(v, 0.1, dtype=torch.float64) for k, v in parameters_of(model).items()}
        end = adapt(module_loss(model, mse_loss), parameters_of(model), support, inner_lr=rates, steps=steps)
        same = adapt(module_loss(model, mse_loss), parameters_of(model), support, inner_lr=0.1, steps=steps)
        assert {value.dtype for value in end.values()} == {torch.float32}
        assert largest_difference(end, same) < 1e-6

    @pytest.mark.parametrize(
        "shape",
        [lambda losses: losses.mean(), lambda losses: losses[:2], lambda losses: losses[:, None], float],
    )
    def test_objectives_that_are_not_one_value_a_task(self, shape):
        def losses_of(params: dict[str, Tensor], tasks: TaskBatch) -> Any:
            losses = query_losses(module_loss(model, mse_loss), params, tasks, inner_lr=0.1)
            return 1.0 if shape is float else shape(losses)

        model = make_model()
        with pytest.raises(ValueError, match=r"losses_of must return one value for each of the 3 tasks"):
            mean_gradient(losses_of, parameters_of(model), make_tasks())


class TestModesOfTorch:
    def test_inference_mode_is_refused_by_its_name(self):
        model, (support, _) = make_model(), make_tasks()
        with torch.inference_mode(), pytest.raises(ValueError, match=r"use torch.no_grad\(\)"):
            adapt(module_loss(model, mse_loss), parameters_of(model), support, inner_lr=0.1)
        with torch.inference_mode():
            params = {name: value.clone() for name, value in parameters_of(model).items()}
        with pytest.raises(ValueError, match=r"is a tensor of torch.inference_mode"):
            adapt(module_loss(model, mse_loss), params, support, inner_lr=0.1)

    def test_forward_mode_is_refused(self):
        model, tasks = make_model(), make_tasks()
        with forward_ad.dual_level(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = {
                k: forward_ad.make_dual(v.detach(), torch.ones_like(v))
                for k, v in parameters_of(model).items()
            }
            with pytest.raises(ValueError, match="forward-mode derivative"):
                query_losses(module_loss(model, mse_loss), params, tasks, inner_lr=0.1)

    def test_a_lazy_module_is_asked_to_see_data_first(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = nn.Sequential(nn.LazyLinear(2))
        with pytest.raises(ValueError, match="has no size yet; call the model once"):
            parameters_of(model)


class TestCompiled:
    def make(self) -> tuple[nn.Module, Any]:
        model = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).double()
        return model.eval(), compiled_meta_gradient(compiler=lambda graph: graph)

    def equal(self, model: nn.Module, compiled: Any, task_loss: Any) -> None:
        tasks = make_tasks()
        _, expected = meta_gradient(task_loss, parameters_of(model), tasks, inner_lr=0.1)
        _, found = compiled(task_loss, parameters_of(model), tasks, inner_lr=0.1)
        assert largest_difference(found, expected) < 1e-12

    def test_it_follows_buffers_modes_and_attributes(self):
        model, compiled = self.make()
        task_loss, norm = module_loss(model, mse_loss), model[1]  # pyright: ignore
        self.equal(model, compiled, task_loss)
        norm.running_mean.fill_(1.0)
        self.equal(model, compiled, task_loss)
        norm.running_mean = torch.full((4,), 2.0).double()
        self.equal(model, compiled, task_loss)
        norm.eps = 0.5
        self.equal(model, compiled, task_loss)
        model[0].requires_grad_(False)  # pyright: ignore
        self.equal(model, compiled, task_loss)
        model.train()
        with pytest.raises(ValueError, match="keeps running statistics"):
            compiled(task_loss, parameters_of(model), make_tasks(), inner_lr=0.1)


class TestClippedSteps:
    def by_hand(self, model: nn.Module, tasks: TaskBatch, limit: float) -> Tensor:
        params, (x, y) = parameters_of(model), tasks.support
        total = torch.zeros((), dtype=torch.float64)
        for i in range(3):
            loss = mse_loss(torch.func.functional_call(model, params, (x[i],)), y[i])
            grads = torch.autograd.grad(loss, tuple(params.values()), create_graph=True)
            norm = torch.cat([grad.flatten() for grad in grads]).norm()
            scale = limit / norm if norm > limit else 1.0
            end = {k: v - 0.1 * scale * g for (k, v), g in zip(params.items(), grads, strict=True)}
            total = total + F.mse_loss(
                torch.func.functional_call(model, end, (tasks.query[0][i],)), tasks.query[1][i]
            )
        return total / 3

    @pytest.mark.parametrize("limit", [0.05, 1.5, 1e6])
    def test_each_task_has_its_own_norm(self, limit):
        model, tasks = make_model(), make_tasks()
        loss, gradient = meta_gradient(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1, rule=clipped(limit)
        )
        expected = self.by_hand(model, tasks, limit)
        grads = torch.autograd.grad(expected, tuple(model.parameters()))
        assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-12)
        assert largest_difference(gradient, dict(zip(gradient, grads, strict=True))) < 1e-12

    @pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), "1"])
    def test_bad_norms(self, limit):
        with pytest.raises(ValueError, match="max_norm must be finite and > 0"):
            clipped(limit)
