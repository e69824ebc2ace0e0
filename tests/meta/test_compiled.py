"""The traced update is the same function as the one it was traced from."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mlearn_utils import LinearTasks, MetaLearner
from mlearn_utils.meta import learner as learner_module
from mlearn_utils.meta.compiled import compiled_meta_gradient, compiled_update
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from tests.meta.reference import largest_difference, make_model, make_tasks


def unchanged(graph):
    """Replay the traced graph as it is: what is tested is the trace, not torch's compiler."""
    return graph


@pytest.mark.parametrize("settings", [{}, {"steps": 3}, {"first_order": True}, {"chunk_size": 2}])
def test_equals_the_function_it_was_traced_from(settings):
    model, compiled = make_model("layer_norm"), compiled_meta_gradient(compiler=unchanged)
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)
    for seed in (1, 2):
        tasks = make_tasks(n_tasks=5, seed=seed)
        loss, gradient = meta_gradient(task_loss, params, tasks, inner_lr=0.1, **settings)
        fast_loss, fast = compiled(task_loss, params, tasks, inner_lr=0.1, **settings)
        assert abs(loss - fast_loss) < 1e-12
        assert largest_difference(gradient, fast) < 1e-12


def test_new_shapes_and_settings_get_a_new_trace():
    model, compiled = make_model(), compiled_meta_gradient(compiler=unchanged)
    task_loss, params = module_loss(model, mse_loss), parameters_of(model)
    first, other, wider = make_tasks(n_tasks=2), make_tasks(n_tasks=3), make_tasks(n_support=7)
    usual: Any = {"inner_lr": 0.1}
    for tasks, settings in (
        *((tasks, usual) for tasks in (first, other, wider)),
        (first, usual | {"inner_lr": 0.3}),
        (first, usual | {"steps": 2}),
    ):
        expected = meta_gradient(task_loss, params, tasks, **settings)[1]
        assert largest_difference(compiled(task_loss, params, tasks, **settings)[1], expected) < 1e-12


class Scaled(nn.Module):
    """A model and loss whose constants stand in attributes of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(1, 1, dtype=torch.float64)
        self.tensor, self.number = torch.ones(1, dtype=torch.float64), np.float32(1.0)
        self.values, self.array = [1.0], np.ones(1)
        self.named: Any = {"a": [1.0]}

    def forward(self, x: Tensor) -> Tensor:
        numbers = float(self.number) * self.values[0] * self.named["a"][0] * float(self.array[0])
        return self.tensor * numbers * self.body(x)


class Slotted:
    """A loss whose setting stands in a slot."""

    __slots__ = ("delta",)

    def __init__(self) -> None:
        self.delta = 1.0

    def __call__(self, prediction: Tensor, y: Tensor) -> Tensor:
        return torch.nn.functional.huber_loss(prediction, y, delta=self.delta)


CHANGES: dict[str, Callable[[Scaled, nn.HuberLoss], object]] = {
    "a tensor replaced": lambda model, _: setattr(
        model, "tensor", torch.full((1,), 2.0, dtype=torch.float64)
    ),
    "a tensor written": lambda model, _: model.tensor.mul_(2.0),
    "a number of numpy": lambda model, _: setattr(model, "number", np.float32(2.0)),
    "an array": lambda model, _: model.array.__setitem__(0, 2.0),
    "a list": lambda model, _: model.values.__setitem__(0, 2.0),
    "a list in a dict": lambda model, _: model.named["a"].__setitem__(0, 2.0),
    "a hook": lambda model, _: model.register_forward_hook(lambda module, args, y: 2.0 * torch.as_tensor(y)),
    "the loss": lambda _, loss: setattr(loss, "delta", 0.05),
}


@pytest.mark.parametrize(
    ("change", "loss_of"), [*((change, nn.HuberLoss) for change in CHANGES), ("the loss", Slotted)]
)
def test_what_a_module_or_loss_holds_is_followed(change, loss_of):
    torch.manual_seed(0)
    model, loss, traces = Scaled(), loss_of(), []

    def counted(graph: Any) -> Any:
        traces.append(graph)
        return graph

    compiled, task_loss, tasks = compiled_meta_gradient(counted), module_loss(model, loss), make_tasks()
    for _ in range(2):
        compiled(task_loss, parameters_of(model), tasks, inner_lr=0.1)
    before = compiled(task_loss, parameters_of(model), tasks, inner_lr=0.1)[1]
    assert len(traces) == 1
    CHANGES[change](model, loss)
    expected = meta_gradient(task_loss, parameters_of(model), tasks, inner_lr=0.1)[1]
    assert largest_difference(expected, before) > 1e-4
    for _ in range(2):
        found = compiled(task_loss, parameters_of(model), tasks, inner_lr=0.1)[1]
        assert largest_difference(found, expected) < 1e-12
    assert len(traces) == 2


def test_rates_must_be_numbers():
    model = make_model()
    rate: Any = torch.tensor(0.1)
    with pytest.raises(TypeError, match="inner_lr must be a float where the update is compiled"):
        compiled_meta_gradient(unchanged)(
            module_loss(model, mse_loss), parameters_of(model), make_tasks(), inner_lr=rate
        )


def test_a_network_by_hand_is_not_compiled():
    model, tasks = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1)).double(), make_tasks()
    loss, params = module_loss(model, mse_loss), parameters_of(model)

    def compiler(graph):
        raise AssertionError("compiled")

    found = compiled_meta_gradient(compiler)(loss, params, tasks, inner_lr=0.1, steps=2)
    assert largest_difference(found[1], meta_gradient(loss, params, tasks, inner_lr=0.1, steps=2)[1]) == 0
    with pytest.raises(AssertionError, match="compiled"):
        compiled_meta_gradient(compiler)(loss, params, tasks, inner_lr=0.1, vectorized=False)


def test_the_first_call_is_shown(capsys):
    compiled, tasks = compiled_meta_gradient(compiler=unchanged), make_tasks()
    model = nn.Linear(1, 1).double()
    task_loss, params = module_loss(model, nn.L1Loss()), parameters_of(model)
    for progress, steps in ((False, 1), (True, 2)):
        compiled.progress = progress
        for _ in range(2):
            compiled(task_loss, params, tasks, inner_lr=0.1, steps=steps)
        lines = capsys.readouterr().err.strip().split("\r")
        assert bool(re.match(r"compiled in \d+ s", lines[-1])) == progress
        assert len([line for line in lines if "compiling (once)" in line]) == progress


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, once it loads its compiler
def test_without_a_compiler_it_says_so_and_goes_on(monkeypatch, capsys):
    import torch._inductor.config as config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))

    def update(params: Any, tasks: Any) -> Any:
        return (params["w"] * tasks[0][0]).sum(), {"w": tasks[0][0].sum().reshape(1)}

    compiled, params = compiled_update(update, progress=True), {"w": torch.ones(1, dtype=torch.float64)}
    with pytest.warns(UserWarning, match="torch finds no compiler here") as caught:
        found = compiled(params, make_tasks())
    assert [each.filename for each in caught if each.category is UserWarning] == [__file__]
    assert largest_difference(found[1], update(params, make_tasks())[1]) == 0
    assert "no compiler: not compiled" in capsys.readouterr().err
    compiled(params, make_tasks(seed=2))  # not a second time


def test_the_learner_trains_the_same_compiled(monkeypatch):
    monkeypatch.setattr(
        learner_module, "compiled_meta_gradient", lambda: compiled_meta_gradient(compiler=unchanged)
    )
    histories = []
    for compile in (False, True):
        torch.manual_seed(0)
        learner = MetaLearner(nn.Linear(1, 1), inner_lr=0.1, meta_lr=0.01, device="cpu", compile=compile)
        learner.train(LinearTasks(), 5, 5, 4, progress=False)
        histories.append([entry["query_loss"] for entry in learner.history])
    assert histories[1] == pytest.approx(histories[0], rel=1e-5)
