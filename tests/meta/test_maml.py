"""The MAML core against finite differences, an unrolled loop, closed forms, and its own invariances."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mlearn_utils import MetaLearner
from mlearn_utils.meta.maml import (
    adapt,
    expand_params,
    inner_step,
    last,
    meta_gradient,
    module_loss,
    parameters_of,
    query_losses,
    trajectory,
    walk,
)
from mlearn_utils.tasks.regression import TaskBatch
from tests.meta.reference import (
    NORMS,
    finite_difference_gradient,
    largest_difference,
    loop_meta_gradient,
    loop_query_losses,
    make_model,
    make_tasks,
)

RATES = {
    "float": lambda params: 0.1,
    "0-d": lambda params: torch.tensor(0.1, dtype=torch.float64),
    "one per parameter": lambda params: {
        name: torch.tensor(0.05 * (k + 1), dtype=torch.float64) for k, name in enumerate(params)
    },
    "one per weight": lambda params: {
        name: 0.02 + 0.1 * torch.rand(value.shape, generator=torch.Generator().manual_seed(3)).double()
        for name, value in params.items()
    },
}


def gradient_of(model: nn.Module, tasks: TaskBatch, **settings) -> dict[str, Tensor]:
    return meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, **settings)[1]


class TestMetaGradient:
    @pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("norm", NORMS)
    def test_equals_central_finite_differences(self, norm, steps):
        model, tasks = make_model(norm), make_tasks(n_tasks=2)
        numeric = finite_difference_gradient(model, tasks, inner_lr=0.05, steps=steps)
        assert largest_difference(gradient_of(model, tasks, inner_lr=0.05, steps=steps), numeric) < 1e-8

    @pytest.mark.parametrize("kind", RATES)
    @pytest.mark.parametrize("norm", ["tanh", "layer_norm"])
    def test_equals_finite_differences_with_every_kind_of_rate(self, norm, kind):
        model, tasks = make_model(norm), make_tasks(n_tasks=2)
        rates = RATES[kind](parameters_of(model))
        numeric = finite_difference_gradient(model, tasks, inner_lr=rates, steps=2)
        assert largest_difference(gradient_of(model, tasks, inner_lr=rates, steps=2), numeric) < 1e-8

    @pytest.mark.parametrize("first_order", [False, True])
    @pytest.mark.parametrize("steps", [0, 1, 3, 5])
    @pytest.mark.parametrize("norm", NORMS)
    def test_equals_the_unrolled_loop(self, norm, steps, first_order):
        model, tasks = make_model(norm), make_tasks(n_tasks=4)
        settings = {"inner_lr": 0.1, "steps": steps, "first_order": first_order}
        loss, gradient = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, **settings)
        loop_loss, loop_gradient = loop_meta_gradient(model, tasks, **settings)
        assert abs(loss - loop_loss) < 1e-12
        assert largest_difference(gradient, loop_gradient) < 1e-12

    def test_one_exact_step_is_the_default_everywhere(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        settings: Any = {"inner_lr": 0.1}
        explicit: Any = settings | {"steps": 1, "first_order": False}
        function: Any
        for function, data in ((adapt, tasks.support), (query_losses, tasks), (meta_gradient, tasks)):
            default, stated = (function(task_loss, params, data, **s) for s in (settings, explicit))
            torch.testing.assert_close(default, stated, rtol=0, atol=0)
        assert len(trajectory(task_loss, params, tasks.support, **settings)) == 2
        assert trajectory(task_loss, params, tasks.support, **settings)[1]["0.weight"].requires_grad
        learner = MetaLearner(make_model(), device="cpu")
        assert (learner.inner_lr, learner.meta_lr, learner.steps, learner.first_order) == (
            0.01,
            0.001,
            1,
            False,
        )

    def test_first_order_differs_from_second_order(self):
        model, tasks = make_model(), make_tasks()
        exact = gradient_of(model, tasks, inner_lr=0.1)
        assert largest_difference(exact, gradient_of(model, tasks, inner_lr=0.1, first_order=True)) > 1e-3

    def test_every_point_of_a_first_order_trajectory_is_of_first_order(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        settings: Any = {"inner_lr": 0.1, "steps": 2, "first_order": True}
        end = trajectory(task_loss, params, tasks.support, **settings)[-1]
        loss = torch.vmap(task_loss)(end, tasks.query).mean()
        gradient = torch.autograd.grad(loss, list(params.values()))
        expected = meta_gradient(task_loss, params, tasks, **settings)[1]
        assert largest_difference(dict(zip(params, gradient, strict=True)), expected) < 1e-12

    def test_no_steps_is_the_plain_gradient_of_the_query_loss(self):
        model, tasks = make_model(), make_tasks()
        x, y = tasks.query
        plain = torch.autograd.grad(mse_loss(model(x), y), tuple(model.parameters()))
        expected = dict(zip(parameters_of(model), plain, strict=True))
        zero = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
        for settings in (
            {"inner_lr": 0.1, "steps": 0},
            {"inner_lr": 0.0, "steps": 3},
            {"inner_lr": zero, "steps": 3},
        ):
            assert largest_difference(gradient_of(model, tasks, **settings), expected) < 1e-12

    def test_one_task_and_one_shot(self):
        model, tasks = make_model(), make_tasks(n_tasks=1, n_support=1, n_query=1)
        numeric = finite_difference_gradient(model, tasks, inner_lr=0.1)
        assert largest_difference(gradient_of(model, tasks, inner_lr=0.1), numeric) < 1e-8

    def test_of_learned_rates_equals_finite_differences(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)

        def objective(value: float) -> float:
            return float(query_losses(task_loss, params, tasks, inner_lr=value, steps=3).detach().mean())

        rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(
            query_losses(task_loss, params, tasks, inner_lr=rate, steps=3).mean(), rate
        )
        numeric = (objective(0.1 + 1e-5) - objective(0.1 - 1e-5)) / 2e-5
        assert abs(float(gradient) - numeric) < 1e-8

    def test_of_learned_rates_over_fixed_parameters(self):
        model, tasks = make_model(), make_tasks()
        task_loss = module_loss(model, mse_loss)
        fixed = {name: value.detach() for name, value in model.named_parameters()}
        rates = {name: torch.full_like(value, 0.1, requires_grad=True) for name, value in fixed.items()}
        losses = query_losses(task_loss, fixed, tasks, inner_lr=rates, steps=2)
        gradients = torch.autograd.grad(losses.mean(), tuple(rates.values()))
        assert all(float(gradient.abs().max()) > 1e-6 for gradient in gradients)


class TestClosedForm:
    """L_i(theta) = (theta - c_i)' A_i (theta - c_i) / 2: every Hessian is A_i, so everything is known."""

    @pytest.mark.parametrize("first_order", [False, True])
    @pytest.mark.parametrize("steps", [0, 1, 2, 5])
    @pytest.mark.parametrize("seed", range(5))
    def test_random_quadratics(self, seed, steps, first_order):
        generator = torch.Generator().manual_seed(seed)
        n_tasks, size, rate = 4, 3, 0.2
        root = torch.randn(2, n_tasks, size, size, generator=generator, dtype=torch.float64)
        hessian = root @ root.mT / size
        center = torch.randn(2, n_tasks, size, generator=generator, dtype=torch.float64)
        theta = torch.randn(size, generator=generator, dtype=torch.float64)
        tasks = TaskBatch(support=(hessian[0], center[0]), query=(hessian[1], center[1]))

        def quadratic(params, batch):
            a, c = batch
            return 0.5 * (params["theta"] - c) @ a @ (params["theta"] - c)

        settings = {"inner_lr": rate, "steps": steps, "first_order": first_order}
        loss, gradient = meta_gradient(quadratic, {"theta": theta}, tasks, **settings)

        expected_loss, expected_gradient = 0.0, torch.zeros(size, dtype=torch.float64)
        for i in range(n_tasks):
            shrink = torch.linalg.matrix_power(
                torch.eye(size, dtype=torch.float64) - rate * hessian[0, i], steps
            )
            error = center[0, i] + shrink @ (theta - center[0, i]) - center[1, i]
            slope = hessian[1, i] @ error
            expected_loss += 0.5 * error @ slope / n_tasks
            expected_gradient += (slope if first_order else shrink.T @ slope) / n_tasks
        assert abs(loss - expected_loss) < 1e-10
        assert float((gradient["theta"] - expected_gradient).abs().max()) < 1e-10


class TestTasksAreIndependent:
    def test_permuting_tasks_permutes_losses(self):
        model, tasks = make_model("layer_norm"), make_tasks(n_tasks=5)
        order = torch.tensor([3, 0, 4, 1, 2])
        permuted = TaskBatch(*(tuple(tensor[order] for tensor in batch) for batch in tasks))
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        losses = query_losses(task_loss, params, tasks, inner_lr=0.1, steps=3).detach()
        again = query_losses(task_loss, params, permuted, inner_lr=0.1, steps=3).detach()
        assert float((again - losses[order]).abs().max()) < 1e-12

    def test_a_task_alone_has_the_loss_it_has_in_company(self):
        model, tasks = make_model("batch_norm"), make_tasks(n_tasks=4)
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        together = query_losses(task_loss, params, tasks, inner_lr=0.1, steps=3).detach()
        for i in range(4):
            alone = TaskBatch(*(tuple(tensor[i : i + 1] for tensor in batch) for batch in tasks))
            loss = query_losses(task_loss, params, alone, inner_lr=0.1, steps=3).detach()
            assert abs(float(loss[0] - together[i])) < 1e-12

    @pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 9])
    def test_chunks_change_nothing(self, chunk_size):
        model, tasks = make_model(), make_tasks(n_tasks=5)
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        loss, whole = meta_gradient(task_loss, params, tasks, inner_lr=0.1, steps=2)
        chunk_loss, chunked = meta_gradient(
            task_loss, params, tasks, inner_lr=0.1, steps=2, chunk_size=chunk_size
        )
        assert abs(loss - chunk_loss) < 1e-12
        assert largest_difference(whole, chunked) < 1e-12

    def test_chunks_bound_the_tasks_evaluated_together(self):
        seen = []

        def loss_of(params, batch):
            return ((params["w"] * batch[0] - batch[1]) ** 2).mean()

        tasks = make_tasks(n_tasks=5)
        original = torch.vmap

        def watching_vmap(function, **options):
            def run(params, batch):
                seen.append(batch[0].shape[0])
                return original(function, **options)(params, batch)

            return run

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "vmap", watching_vmap)
            meta_gradient(loss_of, {"w": torch.ones(1).double()}, tasks, inner_lr=0.1, chunk_size=2)
        assert seen == [2, 2, 2, 2, 1, 1]

    def test_named_tuples_stay_named_tuples(self):
        from typing import NamedTuple

        class Pair(NamedTuple):
            x: Tensor
            y: Tensor

        tasks = make_tasks(n_tasks=3)
        named = TaskBatch(Pair(*tasks.support), Pair(*tasks.query))

        def loss_of(params, batch):
            return ((params["w"] * batch.x - batch.y) ** 2).mean()

        params = {"w": torch.ones(1).double()}
        whole = meta_gradient(loss_of, params, named, inner_lr=0.1)[1]
        chunked = meta_gradient(loss_of, params, named, inner_lr=0.1, chunk_size=2)[1]
        assert largest_difference(whole, chunked) < 1e-12


def half_square(params, batch):
    """L(theta) = (theta - c)^2 / 2: its gradient is theta - c."""
    return (params["theta"] - batch[0]).square().sum() / 2


class TestWalk:
    start: dict[str, Tensor] = {"theta": torch.tensor([1.0, 2.0]).double()}  # noqa: RUF012 - only read

    def test_every_step_has_a_support_set_and_a_rate_of_its_own(self):
        centers = [(torch.tensor([[c], [-c]]).double(),) for c in (3.0, 5.0)]
        points = [
            point["theta"] for point in walk(half_square, self.start, zip(centers, (0.5, 0.1), strict=True))
        ]
        after_one = torch.tensor([1 - 0.5 * (1 - 3), 2 - 0.5 * (2 + 3)]).double()
        after_two = torch.tensor([2 - 0.1 * (2 - 5), -0.5 - 0.1 * (-0.5 + 5)]).double()
        assert torch.equal(points[0], self.start["theta"])
        torch.testing.assert_close(points[1], after_one)
        torch.testing.assert_close(points[2], after_two)
        assert len(points) == 3

    def test_a_support_set_may_be_collected_with_the_parameters_reached_so_far(self):
        seen = []

        def collect(params):
            seen.append(params["theta"].tolist())
            return (params["theta"][:, None] + 1,)  # one above, wherever that is: the gradient is -1

        end = last(walk(half_square, self.start, [(collect, 0.5), (collect, 2.0)]))
        assert seen == [[1.0, 2.0], [1.5, 2.5]]
        assert end["theta"].tolist() == [3.5, 4.5]

    def test_nothing_is_collected_before_it_is_needed(self):
        def never(params):
            raise AssertionError

        assert next(walk(half_square, self.start, [(never, 0.1)])) is self.start


class TestAdapt:
    def test_equals_repeated_inner_steps(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        task_params = expand_params(params, 3)
        for _ in range(3):
            task_params = inner_step(task_loss, task_params, tasks.support, inner_lr=0.1)
        adapted = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=3)
        assert largest_difference(task_params, adapted) < 1e-12

    def test_equals_gradient_descent_on_a_copy_of_the_model(self):
        model, tasks = make_model("layer_norm"), make_tasks(n_tasks=3)
        adapted = adapt(
            module_loss(model, mse_loss), parameters_of(model), tasks.support, inner_lr=0.1, steps=4
        )
        for i in range(3):
            twin = copy.deepcopy(model)
            optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
            for _ in range(4):
                optimizer.zero_grad()
                mse_loss(twin(tasks.support[0][i]), tasks.support[1][i]).backward()
                optimizer.step()
            own = {name: value[i] for name, value in adapted.items()}
            assert largest_difference(own, parameters_of(twin)) < 1e-12

    def test_no_steps_gives_every_task_the_shared_parameters(self):
        model, tasks = make_model(), make_tasks(n_tasks=3)
        params = parameters_of(model)
        adapted = adapt(module_loss(model, mse_loss), params, tasks.support, inner_lr=0.1, steps=0)
        assert largest_difference(adapted, expand_params(params, 3)) == 0.0

    def test_carries_a_graph_only_where_one_is_wanted(self):
        model, tasks = make_model(), make_tasks()
        task_loss, params = module_loss(model, mse_loss), parameters_of(model)
        plain = {name: value.detach() for name, value in params.items()}
        graph = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=2)
        none = adapt(task_loss, plain, tasks.support, inner_lr=0.1, steps=2)
        with torch.no_grad():
            switched_off = adapt(task_loss, params, tasks.support, inner_lr=0.1, steps=2)
        assert all(value.requires_grad for value in graph.values())
        assert not any(value.requires_grad for value in (*none.values(), *switched_off.values()))
        assert largest_difference(none, switched_off) == largest_difference(none, graph) == 0.0

    def test_an_unused_parameter_stays_where_it_is(self):
        tasks = make_tasks()

        def loss_of(params, batch):
            return ((params["w"] * batch[0] - batch[1]) ** 2).mean()

        params = {"w": torch.ones(1).double(), "unused": torch.full((2,), 7.0).double()}
        adapted = adapt(loss_of, params, tasks.support, inner_lr=0.1, steps=2)
        gradient = meta_gradient(loss_of, params, tasks, inner_lr=0.1, steps=2)[1]
        assert torch.equal(adapted["unused"], torch.full((3, 2), 7.0).double())
        assert torch.equal(gradient["unused"], torch.zeros(2).double())
        assert float(gradient["w"].abs()) > 0


class TestNothingElseChanges:
    @pytest.mark.parametrize("norm", NORMS)
    def test_model_gradients_flags_and_random_state(self, norm):
        model, tasks = make_model(norm), make_tasks()
        first, *others = model.parameters()
        first.requires_grad_(False)
        first.grad = torch.full_like(first, 5.0)
        before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
        gradient_of(model, tasks, inner_lr=0.1, steps=2)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert not first.requires_grad
        assert all(param.requires_grad for param in others)
        assert torch.equal(first.grad, torch.full_like(first, 5.0))
        assert all(param.grad is None for param in others)
        assert model.training
        assert torch.equal(torch.get_rng_state(), state)

    def test_arguments_are_not_written(self):
        model, tasks = make_model(), make_tasks()
        params = {name: value.detach().clone() for name, value in model.named_parameters()}
        copies = copy.deepcopy((params, tasks))
        meta_gradient(module_loss(model, mse_loss), params, tasks, inner_lr=0.1, steps=2)
        assert largest_difference(params, copies[0]) == 0.0
        assert not any(value.requires_grad for value in params.values())
        for batch, kept in zip(tasks, copies[1], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(batch, kept, strict=True))

    def test_result_has_no_graph(self):
        model, tasks = make_model(), make_tasks()
        loss, gradient = meta_gradient(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1
        )
        assert not loss.requires_grad
        assert not any(value.requires_grad for value in gradient.values())

    def test_a_buffer_that_is_only_read_is_fine(self):
        class Scaled(nn.Module):
            scale: Tensor

            def __init__(self) -> None:
                super().__init__()
                self.linear = nn.Linear(1, 1)
                self.register_buffer("scale", torch.tensor(2.0))

            def forward(self, x):
                return self.linear(x) * self.scale

        model = Scaled().double()
        gradient_of(model, make_tasks(), inner_lr=0.1)
        assert float(model.scale) == 2.0


def test_query_losses_equal_the_loop_without_any_gradient():
    model, tasks = make_model(), make_tasks()
    params = {name: value.detach().requires_grad_() for name, value in model.named_parameters()}
    slow = torch.stack(loop_query_losses(model, params, tasks, inner_lr=0.1, steps=2)).detach()
    with torch.no_grad():
        fast = query_losses(module_loss(model, mse_loss), params, tasks, inner_lr=0.1, steps=2)
    assert float((fast - slow).abs().max()) < 1e-12


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_gradient_that_the_cpu_gives():
    model, tasks = make_model("layer_norm"), make_tasks()
    expected = gradient_of(model, tasks, inner_lr=0.1, steps=2)
    moved = TaskBatch(*(tuple(tensor.cuda() for tensor in batch) for batch in tasks))
    actual = gradient_of(model.cuda(), moved, inner_lr=0.1, steps=2)
    assert largest_difference({name: value.cpu() for name, value in actual.items()}, expected) < 1e-10
