"""Every kind of module and loss: the numbers of a plain loop over tasks, or our words; no trace is left."""

import copy
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import mse_loss

from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from mlearn_utils.tasks.regression import TaskBatch
from tests.meta.sweep_models import LOSSES, MODELS, Case, Loss

INNER_LR = 0.1


@pytest.fixture(autouse=True)
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_tasks(shape: tuple[int, ...], integer: int | None = None, y: str = "numbers") -> TaskBatch:
    """Return three tasks of five examples."""
    random = torch.Generator().manual_seed(1)

    def draw() -> tuple[Tensor, Tensor]:
        size = (3, 5, *shape)
        x = torch.randn(size, generator=random)
        x = x if integer is None else torch.randint(0, integer, size, generator=random)
        targets = torch.randn(3, 5, 2, generator=random)
        if y == "classes":
            targets = torch.randint(0, 2, (3, 5), generator=random)
            targets[:, 0] = 0  # not all of them are the class that a loss ignores
        return x, (targets > 0).double() if y == "signs01" else targets

    return TaskBatch(draw(), draw())


def loop(task_loss: Callable, params: dict[str, Tensor], tasks: TaskBatch, *, steps: int, first_order: bool):
    """Return the mean query loss and its gradient by backward through a loop over tasks."""
    theta = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    total = torch.zeros(())
    for i in range(3):
        support, query = (tuple(tensor[i].clone() for tensor in batch) for batch in tasks)
        adapted = dict(theta)
        for _ in range(steps):
            loss = task_loss(adapted, support)
            grads = torch.autograd.grad(
                loss, tuple(adapted.values()), create_graph=not first_order, materialize_grads=True
            )
            adapted = {k: v - INNER_LR * g for (k, v), g in zip(adapted.items(), grads, strict=True)}
        total = total + task_loss(adapted, query) / 3
    grads = torch.autograd.grad(total, tuple(theta.values()), materialize_grads=True)
    return total.detach(), dict(zip(theta, grads, strict=True))


def plain_loss(model: nn.Module, criterion: Callable) -> Callable:
    """Return the loss of one task without this package: the module's own call at other values.

    The weight norm and padding of torch are written out: torch differentiates them wrongly.
    """

    def task_loss(params: dict[str, Tensor], batch: tuple[Tensor, ...]) -> Tensor:
        x, y = batch
        values = dict(params)
        for name, module in model.named_modules():
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                row = torch.arange(5).unsqueeze(-1) == module.padding_idx % 5
                weight = params[f"{name}.weight"]
                values[f"{name}.weight"] = torch.where(row, weight.detach(), weight)
        return criterion(call(model, values, x), y)

    return task_loss


def call(model: nn.Module, values: dict[str, Tensor], x: Tensor) -> Tensor:
    """Call a module with values set as plain attributes, so that nothing is swapped or tied by torch.func."""
    model = copy.deepcopy(model)
    places = [
        (module, name, value)
        for module in model.modules()
        for name, value in list(module._parameters.items())
        if value is not None
    ]
    names = {id(value): name for name, value in model.named_parameters()}
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return functional_call(model, values, (x,))
    for module, name, value in places:
        module._parameters.pop(name)
        module.__dict__[name] = values[names[id(value)]]
    return model(x)


@contextmanager
def torch_in_plain_words():
    """Let torch compute attention by its formula, and the weight norm as it is written."""
    fused, norm = torch.backends.mha.get_fastpath_enabled(), torch._weight_norm  # pyright: ignore

    def written_out(v: Tensor, g: Tensor, dim: int) -> Tensor:
        return g * v / v.norm(dim=1 - dim, keepdim=True)

    torch.backends.mha.set_fastpath_enabled(False)
    torch._weight_norm = written_out  # pyright: ignore
    with sdpa_kernel(SDPBackend.MATH):
        yield
    torch._weight_norm = norm  # pyright: ignore
    torch.backends.mha.set_fastpath_enabled(fused)


@contextmanager
def unchanged(model: nn.Module, tasks: TaskBatch):
    """Check that what runs inside leaves a model, the data and the random state as they were."""
    state = {name: (value, value.clone(), value.requires_grad) for name, value in all_tensors(model)}
    plain = [
        {k: copy.copy(v) if isinstance(v, list) else v for k, v in vars(m).items()} for m in model.modules()
    ]
    data = [tensor.clone() for batch in tasks for tensor in batch]
    random = torch.get_rng_state()
    yield
    assert [name for name, _ in all_tensors(model)] == list(state)
    for name, value in all_tensors(model):
        same, old, needed = state[name]
        assert value is same
        assert type(value) in (Tensor, nn.Parameter)
        assert torch.equal(value, old)
        assert value.requires_grad == needed
        assert value.grad is None
    for module, before in zip(model.modules(), plain, strict=True):
        assert vars(module).keys() == before.keys()
        assert {
            k: v for k, v in vars(module).items() if isinstance(v, list) and k != "_flat_weight_refs"
        } == {k: v for k, v in before.items() if isinstance(v, list) and k != "_flat_weight_refs"}
    assert all(torch.equal(a, b) for a, b in zip(data, (t for batch in tasks for t in batch), strict=True))
    assert torch.equal(torch.get_rng_state(), random)


def all_tensors(model: nn.Module) -> list[tuple[str, Any]]:
    return [*model.named_parameters(), *model.named_buffers()]


def check(
    model: nn.Module, criterion: Any, tasks: TaskBatch, case: Case | Loss, settings: dict[str, Any]
) -> None:
    """Check one way of computing against the loop, or that it is refused as stated."""
    vectorized, first_order = settings["vectorized"], settings["first_order"]
    why = case.vectorized if vectorized else case.loop
    why = why or (case.second if settings["steps"] and not first_order else None)
    task_loss, params = module_loss(model, criterion), parameters_of(model)
    with unchanged(model, tasks):
        if why is not None:
            with pytest.raises(ValueError, match=why):
                meta_gradient(task_loss, params, tasks, inner_lr=INNER_LR, **settings)
            return
        loss, gradient = meta_gradient(task_loss, params, tasks, inner_lr=INNER_LR, **settings)
    with torch_in_plain_words():
        expected_loss, expected = loop(
            plain_loss(model, criterion), params, tasks, steps=settings["steps"], first_order=first_order
        )
    torch.testing.assert_close(loss, expected_loss, rtol=1e-9, atol=1e-10)
    for name, value in expected.items():
        torch.testing.assert_close(
            gradient[name], value, rtol=1e-8, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
        )


SETTINGS = [
    {"steps": 2, "first_order": False, "vectorized": True, "chunk_size": 2},
    {"steps": 1, "first_order": True, "vectorized": True, "chunk_size": None},
    {"steps": 2, "first_order": False, "vectorized": False, "chunk_size": None},
    {"steps": 1, "first_order": True, "vectorized": False, "chunk_size": 2},
]


@pytest.mark.parametrize("name", MODELS)
def test_modules(name):
    case = MODELS[name]
    torch.manual_seed(0)
    model = case.make().double()
    for settings in SETTINGS:
        check(model, mse_loss, make_tasks(case.shape, case.integer), case, settings)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_modules_on_a_gpu_give_what_they_give_on_the_cpu():
    wrong = {}
    for name, case in MODELS.items():
        torch.manual_seed(0)
        model = case.make().double()
        twin, tasks = copy.deepcopy(model).cuda(), make_tasks(case.shape, case.integer)
        moved = TaskBatch(*(tuple(tensor.cuda() for tensor in batch) for batch in tasks))
        for settings in SETTINGS:
            found = []
            for on, data in ((model, tasks), (twin, moved)):
                loss = module_loss(on, mse_loss)
                try:
                    gradient = meta_gradient(loss, parameters_of(on), data, inner_lr=INNER_LR, **settings)[1]
                    found.append(torch.cat([value.flatten().cpu() for value in gradient.values()]))
                except ValueError as error:
                    found.append(str(error)[:40])
            same = found[0] == found[1] if isinstance(found[0], str) else None
            if same is None:
                same = isinstance(found[1], Tensor) and torch.allclose(*found, rtol=1e-6, atol=1e-8)
            if not same:
                wrong[name, *settings.values()] = found
    assert not wrong


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    case = LOSSES[name]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    for settings in SETTINGS:
        check(model, case.of, make_tasks((3,), y=case.y), case, settings)


def test_there_are_as_many_as_promised():
    assert len(MODELS) >= 40
    assert len(LOSSES) >= 30


@pytest.mark.parametrize("old", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_the_older_weight_and_spectral_norm(old):
    """Both compute a plain attribute in a hook of every forward pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = nn.Sequential(old(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2)).double().eval()
    tasks = make_tasks((3,))

    def by_hand(params: dict[str, Tensor], batch: tuple[Tensor, ...]) -> Tensor:
        if old is nn.utils.weight_norm:
            v = params["0.weight_v"]
            weight = params["0.weight_g"] * v / v.norm(dim=1, keepdim=True)
        else:
            v = params["0.weight_orig"]
            weight = v / (model[0].weight_u @ v @ model[0].weight_v)  # pyright: ignore
        hidden = torch.tanh(batch[0] @ weight.T + params["0.bias"])
        return mse_loss(hidden @ params["2.weight"].T + params["2.bias"], batch[1])

    for settings in SETTINGS:
        _, gradient = meta_gradient(
            module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=INNER_LR, **settings
        )
        _, expected = loop(
            by_hand, parameters_of(model), tasks, steps=settings["steps"], first_order=settings["first_order"]
        )
        for name, value in expected.items():
            torch.testing.assert_close(gradient[name], value, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["weight norm", "weight norm of columns", "embedding with padding", "lstm", "tied weights"]
)
def test_second_derivatives_against_differences(name):
    """The oracle of these is autograd's; this one has no derivative but the first."""
    case = MODELS[name]
    torch.manual_seed(0)
    model, tasks = case.make().double(), make_tasks(case.shape, case.integer)
    params, task_loss = parameters_of(model), module_loss(model, mse_loss)
    settings: dict[str, Any] = {"inner_lr": INNER_LR, "vectorized": case.vectorized is None}
    way = {k: torch.randn(v.shape, generator=torch.Generator().manual_seed(2)) for k, v in params.items()}
    if "padding" in name:
        way["0.weight"][1] = 0  # the padding row is a constant

    def value_at(h: float) -> Tensor:
        moved = {k: v.detach() + h * way[k] for k, v in params.items()}
        return meta_gradient(task_loss, moved, tasks, first_order=True, **settings)[0]

    slope = (value_at(1e-5) - value_at(-1e-5)) / 2e-5
    gradient = meta_gradient(task_loss, params, tasks, **settings)[1]
    torch.testing.assert_close(sum((gradient[k] * way[k]).sum() for k in way), slope, rtol=1e-6, atol=1e-8)
