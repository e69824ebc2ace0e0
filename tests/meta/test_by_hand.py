"""The meta-gradient by hand against autograd, and against all that must not take it."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mlearn_utils import LinearTasks, MetaLearner
from mlearn_utils.meta.by_hand import meta_gradient_by_hand
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from mlearn_utils.meta.shortcut import shortcut
from mlearn_utils.tasks.regression import TaskBatch
from tests.meta.plain_networks import CHANGES, autograd, changed, data, differ, network
from tests.meta.reference import loop_meta_gradient

CASES = [
    *((sizes, 3, 5, 4, {"steps": 1}) for sizes in ((1, 1), (2, 3), (1, 4, 1), (3, 5, 1, 2), (1, 6, 6, 6, 1))),
    *(((1, 5, 5, 1), 2, 4, 3, {"steps": steps}) for steps in (0, 2, 3, 4, 5)),
    # wide enough that the matrices of several steps stay factors
    *(((2, 40, 40, 3), 2, 2, 5, {"steps": steps}) for steps in (1, 3, 5)),
    ((1, 4, 1), 1, 1, 1, {"steps": 2}),
    ((1, 4, 1), 5, 3, 3, {"steps": 2, "chunk_size": 2}),
    ((1, 4, 1), 3, 3, 7, {"steps": 3, "first_order": True}),
    ((1, 4, 1), 3, 3, 7, {"steps": 2, "inner_lr": 0.0}),
]


@pytest.mark.parametrize(("sizes", "n_tasks", "n_support", "n_query", "settings"), CASES)
def test_equals_autograd(sizes, n_tasks, n_support, n_query, settings):
    model, settings = network(*sizes), {"inner_lr": 0.1} | settings
    tasks = data(sizes[0], sizes[-1], n_tasks, n_support, n_query)
    expected = autograd(model, tasks, **settings)
    found = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, **settings)
    assert differ(found, expected) < 1e-12
    assert list(found[1]) == list(expected[1])
    for a, b in ((found[0], expected[0]), *zip(found[1].values(), expected[1].values(), strict=True)):
        assert (a.shape, a.dtype, a.requires_grad, a.is_contiguous()) == (b.shape, b.dtype, False, True)
    settings.pop("chunk_size", None)
    assert differ(meta_gradient_by_hand(parameters_of(model), tasks, **settings), expected) < 1e-12


def test_equals_a_loop_over_tasks_in_random_cases():
    draw = random.Random(0)
    for seed in range(12):
        sizes = [draw.choice([1, 2, 3, 9]) for _ in range(draw.randint(2, 5))]
        model = network(*sizes, seed=seed)
        tasks = data(sizes[0], sizes[-1], *[draw.choice([1, 2, 5]) for _ in range(3)], seed=seed)
        settings = {"inner_lr": 0.05, "steps": draw.randint(1, 5)}
        found = meta_gradient_by_hand(parameters_of(model), tasks, **settings)
        assert differ(found, loop_meta_gradient(model, tasks, **settings)) < 1e-12


def test_single_precision_is_as_near_as_autograds():
    model, tasks = network(1, 40, 40, 1), data(n_tasks=25)
    exact = autograd(model, tasks, inner_lr=0.01, steps=5)
    narrow = TaskBatch(*[tuple(tensor.float() for tensor in batch) for batch in tasks])
    model.float()
    found = meta_gradient(
        module_loss(model, nn.MSELoss()), parameters_of(model), narrow, inner_lr=0.01, steps=5
    )
    assert found[0].dtype == found[1]["0.weight"].dtype == torch.float32
    assert differ(found, exact) < 1e-5


class Marked(Tensor):
    """A tensor of a class of its own."""


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("change", CHANGES)
def test_another_network_takes_the_general_path(change):
    torch.manual_seed(1)
    model, tasks = changed(network(1, 4, 1), change), data()
    loss, params = module_loss(model, mse_loss), parameters_of(model)
    assert shortcut(loss, params, tasks, inner_lr=0.1) is None
    found = meta_gradient(loss, params, tasks, inner_lr=0.1, steps=2)
    assert differ(found, autograd(model, tasks, inner_lr=0.1, steps=2)) < 1e-12


def test_hooks_of_all_modules_take_the_general_path():
    model, tasks = network(1, 4, 1), data()
    plain = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1)
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, args, y: 2 * y if isinstance(module, nn.Linear) else y
    )
    try:
        found = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1)
        assert differ(found, autograd(model, tasks, inner_lr=0.1)) < 1e-12
        assert differ(found, plain) > 0.1
    finally:
        handle.remove()


OTHERS: dict[str, dict[str, Any]] = {
    "rule": {"rule": lambda grads, state: ({name: 2 * grad for name, grad in grads.items()}, state)},
    "adapted": {"adapted": ["2"]},
    "learned": {"learned": ["0"]},
    "rates": {"inner_lr": torch.tensor(0.1, dtype=torch.float64)},
    "loop": {"vectorized": False},
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_way_to_learn_takes_the_general_path(name):
    model, tasks = network(1, 4, 1), data()
    settings: Any = {"inner_lr": 0.1} | OTHERS[name]
    loss, params = module_loss(model, mse_loss), parameters_of(model)
    assert shortcut(loss, params, tasks, **settings) is None
    assert differ(meta_gradient(loss, params, tasks, **settings), autograd(model, tasks, **settings)) < 1e-12


CRITERIA: dict[str, Any] = {
    "function": lambda prediction, y: mse_loss(prediction, y),
    "summed": nn.MSELoss(reduction="sum"),
    "huber": nn.HuberLoss(),
    "hooked": nn.MSELoss(),
}
CRITERIA["hooked"].register_forward_hook(lambda module, args, y: 2 * y)


@pytest.mark.parametrize("name", CRITERIA)
def test_another_criterion_takes_the_general_path(name):
    model, tasks, criterion = network(1, 4, 1), data(), CRITERIA[name]
    loss, params = module_loss(model, criterion), parameters_of(model)
    assert shortcut(loss, params, tasks, inner_lr=0.1) is None
    found = meta_gradient(loss, params, tasks, inner_lr=0.1)
    assert differ(found, autograd(model, tasks, criterion, inner_lr=0.1)) < 1e-12


def with_y(tasks: TaskBatch, change) -> TaskBatch:
    return TaskBatch(*[(x, change(y)) for x, y in tasks])


ARGUMENTS: dict[str, Any] = {
    "negative rate": {"inner_lr": -0.1},
    "no rate": {"inner_lr": float("nan")},
    "text for a rate": {"inner_lr": "0.1"},
    "true for a rate": {"inner_lr": True},
    "half a step": {"steps": 1.5},
    "negative steps": {"steps": -1},
    "true steps": {"steps": True},
    "no chunk": {"chunk_size": 0},
    "half a chunk": {"chunk_size": 1.5},
    "a list for tasks": lambda tasks: list(tasks),
    "lists for batches": lambda tasks: tuple(list(batch) for batch in tasks),
    "no y": lambda tasks: TaskBatch(*[batch[:1] for batch in tasks]),
    "three tensors": lambda tasks: TaskBatch(*[(*batch, batch[0]) for batch in tasks]),
    "no examples": lambda tasks: TaskBatch(tasks.support, tuple(each[:, :0] for each in tasks.query)),
    "no tasks": lambda tasks: TaskBatch(*[tuple(each[:0] for each in batch) for batch in tasks]),
    "fewer queries": lambda tasks: TaskBatch(tasks.support, tuple(each[:1] for each in tasks.query)),
    "wider x": lambda tasks: TaskBatch(*[(x.repeat(1, 1, 2), y) for x, y in tasks]),
    "integers for x": lambda tasks: TaskBatch(*[(x.long(), y) for x, y in tasks]),
    "single precision for x": lambda tasks: TaskBatch(*[(x.float(), y) for x, y in tasks]),
    "other counts of y": lambda tasks: with_y(tasks, lambda y: y[:, :2]),
    "y without a last axis": lambda tasks: with_y(tasks, lambda y: y[..., 0]),
    "a warning of y": lambda tasks: with_y(tasks, lambda y: y[..., :1, :]),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_bad_argument_has_the_error_of_the_general_path(name):
    model, tasks, given = network(1, 4, 1), data(), ARGUMENTS[name]
    settings: Any = {"inner_lr": 0.1} | (given if isinstance(given, dict) else {})
    bad: Any = tasks if isinstance(given, dict) else given(tasks)
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever it is
        autograd(model, bad, **settings)
    with pytest.raises(type(expected.value)) as found:
        meta_gradient(module_loss(model, mse_loss), parameters_of(model), bad, **settings)
    assert str(found.value) == str(expected.value)


class Doubling(torch.overrides.TorchFunctionMode):
    """Makes every ReLU twice as steep."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        return 2 * result if func is torch.relu else result


def test_modes_and_transforms_see_the_computation():
    model, tasks = network(1, 4, 1), data()
    loss, params = module_loss(model, mse_loss), parameters_of(model)
    assert shortcut(loss, params, tasks, inner_lr=0.1) is not None
    for mode in (Doubling(), torch.autocast("cpu"), torch.autograd.set_detect_anomaly(True)):
        with mode:
            assert shortcut(loss, params, tasks, inner_lr=0.1) is None
    seen = []
    torch.vmap(lambda x: (seen.append(shortcut(loss, params, tasks, inner_lr=0.1)), x)[1])(torch.ones(2))
    assert seen == [None]
    with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode"):
        meta_gradient(loss, params, tasks, inner_lr=0.1)
    with torch.no_grad():
        assert (
            differ(meta_gradient(loss, params, tasks, inner_lr=0.1), autograd(model, tasks, inner_lr=0.1))
            < 1e-12
        )


def test_any_form_of_the_same_parameters_and_data_will_do():
    model, tasks = network(2, 4, 1), data(2)
    loss, params = module_loss(model, mse_loss), parameters_of(model)
    expected = meta_gradient(loss, params, tasks, inner_lr=0.1)
    turned = dict(reversed([(name, value * 1.0) for name, value in params.items()]))  # with a graph
    strided = TaskBatch(*[tuple(each.mT.contiguous().mT for each in batch) for batch in tasks])
    watched = TaskBatch(*[tuple(each.clone().requires_grad_() for each in batch) for batch in tasks])
    for values, given in ((turned, tasks), (params, strided), (params, watched)):
        assert shortcut(loss, values, given, inner_lr=0.1) is not None
        found = meta_gradient(loss, values, given, inner_lr=0.1)
        assert list(found[1]) == list(values)
        assert differ(found, expected) < 1e-12
    wide = TaskBatch(*[tuple(each[:1].expand(3, -1, -1) for each in batch) for batch in tasks])
    one = TaskBatch(*[tuple(each[:1] for each in batch) for batch in tasks])
    assert (
        differ(
            meta_gradient(loss, params, wide, inner_lr=0.1), meta_gradient(loss, params, one, inner_lr=0.1)
        )
        < 1e-12
    )
    marked: Any = {name: value.detach().as_subclass(Marked) for name, value in params.items()}
    assert shortcut(loss, marked, tasks, inner_lr=0.1) is None
    assert shortcut(loss, params | {"4.weight": torch.ones(1)}, tasks, inner_lr=0.1) is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_what_is_not_finite_is_left_to_autograd(bad):
    model, tasks = network(1, 4, 1), data()
    tasks.query[1][1] = bad
    tasks.support[0][0, 0] = bad
    expected = autograd(model, tasks, inner_lr=0.1)
    found = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.1)
    for name, value in expected[1].items():
        assert torch.equal(torch.nan_to_num(found[1][name]), torch.nan_to_num(value))


def test_nothing_that_is_given_is_written():
    model, tasks = network(1, 4, 1), data()
    params = parameters_of(model)
    before = [each.detach().clone() for each in (*params.values(), *tasks.support, *tasks.query)]
    gradient = meta_gradient_by_hand(params, tasks, inner_lr=0.1, steps=3)[1]
    for value in gradient.values():
        value.fill_(7.0)
    for a, b in zip((*params.values(), *tasks.support, *tasks.query), before, strict=True):
        assert torch.equal(a, b)
    assert all(value.grad is None for value in params.values())


def test_by_hand_says_what_it_takes():
    model, tasks = network(1, 4, 1), data()
    params = parameters_of(model)
    for bad, given in (({"weight": torch.ones(1, 1)}, tasks), (params, data(n_outputs=2)), (params, data(2))):
        with pytest.raises(ValueError, match="params and tasks must be those of linear layers"):
            meta_gradient_by_hand(bad, given, inner_lr=0.1)
    for inner_lr, steps, message in ((-1.0, 1, "inner_lr"), (0.1, -1, "steps")):
        with pytest.raises(ValueError, match=message):
            meta_gradient_by_hand(params, tasks, inner_lr=inner_lr, steps=steps)
    with pytest.raises(TypeError, match="params"):
        meta_gradient_by_hand({}, tasks, inner_lr=0.1)


def test_the_learner_trains_the_same_by_hand():
    histories = []
    for by_hand in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 5), nn.ReLU(), nn.Linear(5, 1)).double()
        learner = MetaLearner(model, inner_lr=0.1, steps=2, vectorized=by_hand, device="cpu")
        learner.train(LinearTasks(), 5, 5, 4, progress=False)
        histories.append([entry["query_loss"] for entry in learner.history])
    assert histories[1] == pytest.approx(histories[0], rel=1e-10)
