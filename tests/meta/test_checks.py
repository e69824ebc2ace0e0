"""Bad input: each call raises before any work, names the argument, and changes nothing."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import mse_loss

from mlearn_utils.meta import checks
from mlearn_utils.meta.maml import adapt, expand_params, inner_step, meta_gradient, module_loss, parameters_of
from mlearn_utils.tasks.regression import TaskBatch
from tests.meta.reference import make_model, make_tasks

NAN = float("nan")


def run(model=None, tasks=None, **settings: Any):
    model = make_model() if model is None else model
    settings = {"inner_lr": 0.1} | settings
    return meta_gradient(
        module_loss(model, mse_loss), parameters_of(model), tasks or make_tasks(), **settings
    )


@pytest.mark.parametrize("inner_lr", [-0.1, NAN, float("inf"), torch.tensor(-0.1), torch.tensor(NAN)])
def test_inner_lr_out_of_range(inner_lr):
    with pytest.raises(ValueError, match="inner_lr must be finite and >= 0"):
        run(inner_lr=inner_lr)
    with pytest.raises(ValueError, match="inner_lr must be finite and >= 0"):
        run(inner_lr=inner_lr, steps=0)


def test_inner_lr_of_the_wrong_shape_or_type():
    params = parameters_of(make_model())
    rates = {name: torch.full_like(value, 0.1) for name, value in params.items()}
    with pytest.raises(ValueError, match="inner_lr must be a 0-d tensor"):
        run(inner_lr=torch.full((3,), 0.1))
    with pytest.raises(TypeError, match="inner_lr must be a float or a tensor"):
        run(inner_lr="0.1")
    with pytest.raises(TypeError, match="inner_lr must be a float or a tensor"):
        run(inner_lr=True)
    with pytest.raises(ValueError, match=r"missing \['0.bias'\], unknown \['other'\]"):
        run(inner_lr={name: r for name, r in rates.items() if name != "0.bias"} | {"other": rates["0.bias"]})
    with pytest.raises(ValueError, match=r"missing \[\], unknown \['other'\]"):
        run(inner_lr=rates | {"other": rates["0.bias"]})
    with pytest.raises(ValueError, match=r"inner_lr\['0.weight'\] must be 0-d or of the parameter's shape"):
        run(inner_lr=rates | {"0.weight": torch.full((3, 8, 1), 0.1)})
    with pytest.raises(ValueError, match=r"inner_lr\['0.bias'\] must be finite and >= 0"):
        run(inner_lr=rates | {"0.bias": torch.full((8,), -0.1)})


@pytest.mark.parametrize("steps", [-1, 1.0, True, None])
def test_steps(steps):
    with pytest.raises(ValueError, match="steps must be an integer >= 0"):
        run(steps=steps)


@pytest.mark.parametrize("chunk_size", [0, -1, 2.0])
def test_chunk_size(chunk_size):
    with pytest.raises(ValueError, match="chunk_size must be an integer >= 1"):
        run(chunk_size=chunk_size)


def test_support_and_query_of_different_numbers_of_tasks():
    tasks = TaskBatch(make_tasks(n_tasks=3).support, make_tasks(n_tasks=2).query)
    with pytest.raises(ValueError, match="as many support as query sets, got 3 and 2"):
        run(tasks=tasks)


def test_tensors_of_one_batch_with_different_numbers_of_tasks():
    x, y = make_tasks().support
    with pytest.raises(ValueError, match=r"tasks.query: every tensor must have the same number of tasks"):
        run(tasks=TaskBatch((x, y), (x, y[:2])))


@pytest.mark.parametrize("empty", [torch.zeros(0, 5, 1), torch.zeros(3, 0, 1), torch.tensor(1.0)])
def test_empty_batches(empty):
    x, y = make_tasks().support
    with pytest.raises(ValueError, match=r"tasks.support must hold at least one task and one example"):
        run(tasks=TaskBatch((empty, empty), (x, y)))
    with pytest.raises(ValueError, match="support must hold at least one task"):
        adapt(module_loss(make_model(), mse_loss), parameters_of(make_model()), (empty, empty), inner_lr=0.1)


def test_batches_that_are_no_tuples_of_tensors():
    x, y = make_tasks().support
    bad: Any
    for bad in ([x, y], (), (x, None)):
        with pytest.raises(TypeError, match=r"tasks.support must be a non-empty tuple of tensors"):
            run(tasks=TaskBatch(bad, (x, y)))
    with pytest.raises(TypeError, match="tasks must be a TaskBatch"):
        run(tasks=(x, y, x))


def test_parameters_that_are_no_floating_point_tensors():
    tasks = make_tasks()

    def loss_of(params, batch):
        return (params["w"] * batch[0]).mean()

    params: Any
    for params in ({}, [torch.ones(1)], None):
        with pytest.raises(TypeError, match="params must be a non-empty dict"):
            meta_gradient(loss_of, params, tasks, inner_lr=0.1)
    with pytest.raises(TypeError, match=r"params\['w'\] must be a floating-point tensor, got a torch.int64"):
        meta_gradient(loss_of, {"w": torch.ones(1, dtype=torch.int64)}, tasks, inner_lr=0.1)


def test_task_parameters_without_a_task_axis():
    model, tasks = make_model(), make_tasks()
    task_loss = module_loss(model, mse_loss)
    with pytest.raises(ValueError, match=r"must have shape \[T, \*\] with T = 3"):
        inner_step(task_loss, parameters_of(model), tasks.support, inner_lr=0.1)
    for n_tasks in (2, 4):
        with pytest.raises(ValueError, match=r"must have shape \[T, \*\] with T = 3"):
            inner_step(task_loss, expand_params(parameters_of(model), n_tasks), tasks.support, inner_lr=0.1)
    with pytest.raises(ValueError, match="n_tasks must be an integer >= 1"):
        expand_params(parameters_of(model), 0)


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda params, batch: (params["w"] * batch[0] - batch[1]) ** 2,
        lambda params, batch: 1.0,
        lambda params, batch: params["w"].sum() > 0,
    ],
    ids=["not reduced", "a number", "a boolean"],
)
def test_a_loss_that_is_no_scalar(loss_of):
    with pytest.raises(ValueError, match="task_loss must return a floating-point scalar"):
        meta_gradient(loss_of, {"w": torch.ones(1).double()}, make_tasks(), inner_lr=0.1)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_loss_that_ignores_the_parameters(steps):
    with pytest.raises(ValueError, match="task_loss must depend on the parameters"):
        meta_gradient(
            lambda params, batch: batch[0].mean(),
            {"w": torch.ones(1).double()},
            make_tasks(),
            inner_lr=0.1,
            steps=steps,
        )


def test_integer_inputs():
    model = make_model()
    x, y = make_tasks().support
    with pytest.raises(TypeError, match=r"batch: x must be floating point, got torch.int64"):
        run(model, TaskBatch((x.long(), y), (x.long(), y)))


def test_integer_inputs_that_an_embedding_looks_up():
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 1)).double()
    x = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]])
    y = x[..., None].double()
    loss, gradient = run(model, TaskBatch((x, y), (x, y)))
    assert loss.isfinite()
    assert float(gradient["0.weight"].abs().max()) > 0


@pytest.mark.parametrize(
    "layer",
    [nn.BatchNorm1d(1), nn.InstanceNorm1d(1, track_running_stats=True), nn.Dropout(0.5)],
    ids=["batch norm", "instance norm", "dropout"],
)
def test_a_module_that_writes_or_draws_in_its_forward_pass(layer):
    model = nn.Sequential(nn.Linear(1, 1), layer).double()
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    with pytest.raises(ValueError, match=r"model: (BatchNorm1d|InstanceNorm1d|Dropout) '1'.*model.eval\(\)"):
        run(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


RANDOM = [kind for name, kind in vars(nn).items() if "Dropout" in name]
KEEPS_STATISTICS = [kind for name, kind in vars(nn).items() if "BatchNorm" in name or "InstanceNorm" in name]


@pytest.mark.parametrize("kind", RANDOM + KEEPS_STATISTICS)
def test_every_such_module_that_torch_offers_is_known(kind):
    size = () if kind.__name__.startswith("Lazy") else (1,)
    layer = kind(0.5) if kind in RANDOM else kind(*size, track_running_stats=True)
    assert len(RANDOM) >= 6
    assert len(KEEPS_STATISTICS) >= 13
    with pytest.raises(ValueError, match=rf"model: {kind.__name__} '0' (draws|keeps)"):
        checks.check_stateless(nn.Sequential(layer))
    checks.check_stateless(nn.Sequential(layer).eval())


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(1), nn.Dropout(0.5)], ids=["batch norm", "dropout"])
def test_the_same_module_in_evaluation_mode_is_fine(layer):
    loss, _ = run(nn.Sequential(nn.Linear(1, 1), layer).double().eval())
    assert loss.isfinite()


def test_random_numbers_hidden_in_the_forward_pass():
    class Noisy(nn.Linear):
        def forward(self, input):
            return F.dropout(super().forward(input), 0.5, training=True)

    with pytest.raises(ValueError, match="task_loss draws random numbers"):
        run(Noisy(1, 1).double())


def test_other_runtime_errors_stay_as_they_are():
    def loss_of(params, batch):
        raise RuntimeError("the student's own")

    with pytest.raises(RuntimeError, match="the student's own"):
        meta_gradient(loss_of, {"w": torch.ones(1)}, make_tasks(), inner_lr=0.1)


def test_a_forward_pass_that_writes_a_buffer():
    class Counter(nn.Linear):
        calls: torch.Tensor

        def __init__(self) -> None:
            super().__init__(1, 1)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, input):
            self.calls += 1
            return super().forward(input)

    model = Counter().double()
    with pytest.raises(ValueError, match=r"writes the buffers \['calls'\]"):
        run(model)
    assert float(model.calls) == 0.0
