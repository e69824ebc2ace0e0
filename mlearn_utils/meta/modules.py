"""A module as a pure function of its parameters: nothing else of it is learned, nothing is written."""

import copy
from collections.abc import Callable, Collection, Hashable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from mlearn_utils.meta import checks
from mlearn_utils.meta.checkpoint import OWN, held_by
from mlearn_utils.meta.losses import Params, for_every_task
from mlearn_utils.meta.plain import batched_predictions, is_plain, is_squared_error
from mlearn_utils.tasks.regression import Batch


class ModuleLoss:
    """The loss of one task of a module and a criterion; made by `module_loss`."""

    def __init__(
        self,
        model: nn.Module,
        criterion: Callable[[Tensor, Tensor], Tensor],
        learned: Collection[str] | None = None,
    ) -> None:
        self.model, self.criterion, self.learned = model, criterion, learned

    def __call__(self, params: Params, batch: Batch) -> Tensor:
        """Return the loss () of one task: its parameters [*] and its data (x, y)."""
        if len(batch) != 2:
            raise ValueError(f"batch must be (x, y), two tensors, got {len(batch)}")
        x, y = batch
        return self.criterion(call_module(self.model, params, x, learned=self.learned), y)

    def losses(self, task_params: Params, batch: Batch) -> Tensor | None:
        """Return the loss [T] of every task, a plain network's predictions by batched products, or None.

        Parameters are [T, *] and data (x, y) [T, K, *]. None for everything that this does not serve: the
        general path, `__call__` under torch.vmap, then does, or says what is wrong.
        """
        if self.learned is not None or len(batch) != 2 or not all(isinstance(each, Tensor) for each in batch):
            return None
        x, y = batch
        prediction = batched_predictions(self.model, task_params, x)
        if prediction is None:
            return None
        if is_squared_error(self.criterion) and y.shape == prediction.shape and is_plain(prediction, y):
            return (prediction - y).square().mean((1, 2))
        try:
            criterion = checks.scalar_loss(self._of_prediction)
            return for_every_task(criterion, {"prediction": prediction}, (y,))
        except Exception:  # whatever it is, the general path meets it too and says it
            return None

    def _of_prediction(self, params: Params, batch: Batch) -> Tensor:
        return self.criterion(params["prediction"], batch[0])

    def state(self) -> Hashable:
        """Return what the loss depends on beside its arguments: a traced graph is good for one such state."""
        frozen = tuple(value.requires_grad for value in self.model.parameters())
        apart = {id(value) for value in self.model.parameters()}
        return frozen, _state_of(self.model, apart), _state_of(self.criterion, apart)


def module_loss(
    model: nn.Module,
    criterion: Callable[[Tensor, Tensor], Tensor],
    *,
    learned: Collection[str] | None = None,
) -> ModuleLoss:
    """Turn a module and a criterion into the loss of one task, whose batch is (x, y).

    Args:
        model: called with the parameters it is given, never with its own; its buffers are read only. Weights
            that are tied, and modules that stand in it twice, have one name, as in `named_parameters()`.
        criterion: (prediction, y) -> scalar, averaged or summed over the K examples of the task.
        learned: names of the parameters that will be given; the others are the model's own constants. By
            default all must be given but those that are frozen (`requires_grad_(False)`).

    Returns:
        task_loss(params, (x, y)) -> scalar.

    Raises:
        ValueError: if `learned` names no parameter. From the loss: if a name in `params` is not the model's,
            or one is missing; if in training mode `model` keeps running statistics, drops out, or writes
            itself: a forward pass that changes the model or draws random numbers is no function of (params,
            batch).
        TypeError: from the loss, if x is integer and `model` computes with it.
    """
    if learned is not None:
        learned = frozenset(checks.chosen_names("learned", learned, dict(model.named_parameters())))
    return ModuleLoss(model, criterion, learned)


def module_predictions(
    model: nn.Module, task_params: Params, x: Tensor, *, vectorized: bool = True
) -> Tensor:
    """Return the predictions [T, K, *] of T tasks' parameters for their inputs [T, K, *]; without a graph.

    Errors as in `module_loss`.
    """

    def predict(params: Params, batch: Batch) -> Tensor:
        return call_module(model, params, batch[0])

    with torch.no_grad():
        return for_every_task(predict, task_params, (x,), vectorized=vectorized)


def call_module(
    model: nn.Module, params: Params, x: Tensor, *, learned: Collection[str] | None = None
) -> Tensor:
    """Return `model(x)` at the given parameters; see `module_loss` for what is refused."""
    if isinstance(model, (torch.jit.ScriptModule, nn.DataParallel)):
        return functional_call(model, params, (x,))  # says that it cannot
    modules = list(model.named_modules())
    with torch._C.DisableTorchFunction():  # no function of the model's: none to be replaced in a loss
        places, own = _places_of(modules, params)
        checks.check_names(params, own, learned)
        versions = [value._version for _, _, _, value in places]
    before = [_plain_attributes(module) for _, module in modules]
    kept = [(held, name, held[name]) for held, name, _, _ in places]
    try:
        for held, name, _, value in places:
            held[name] = value
        prediction = model(x)
    except RuntimeError as error:
        if checks.is_integer(x) and "type" in str(error):
            raise TypeError(
                f"batch: x must be floating point, got {x.dtype}: this model computes with it; convert it "
                "with x.float()"
            ) from error
        raise
    finally:
        after = [held.get(name) for held, name, _, _ in places]
        for held, name, value in kept:
            held[name] = value
        written = [
            f"{path}.{name}" if path else name
            for (path, module), attributes in zip(modules, before, strict=True)
            for name in _put_back(module, attributes)
        ]
    with torch._C.DisableTorchFunction():
        written += [
            place
            for (_, _, place, value), now, version in zip(places, after, versions, strict=True)
            if now is not value or value._version != version
        ]
    if written:
        buffers = {f"{path}.{name}" if path else name for path, module in modules for name in module._buffers}
        checks.check_nothing_written(written, buffers)
    return prediction


def _places_of(
    modules: list[tuple[str, nn.Module]], params: Params
) -> tuple[list[tuple[dict[str, Any], str, str, Tensor]], Params]:
    """Return every place of a parameter or buffer with what it holds in a call, and the model's parameters.

    A place is the dict of a module, the name in it, the name in the model, and the value.
    """
    places: list[tuple[dict[str, Any], str, str, Tensor]] = []
    names: dict[int, str] = {}  # the name of each parameter, by identity: the first place where it stands
    copies: dict[int, Tensor] = {}
    own: Params = {}
    for path, module in modules:
        checks.check_stateless_module(path, module)
        prefix = f"{path}." if path else ""
        for name, value in module._parameters.items():
            if value is not None:
                place = prefix + name
                first = names.setdefault(id(value), place)
                own.setdefault(first, value)
                given = params[first] if first in params else value.detach()
                places.append((module._parameters, name, place, given))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                copy_of = copies.setdefault(id(buffer), buffer.clone())
                places.append((module._buffers, name, prefix + name, copy_of))
    return places, own


class _Same:
    """Stands for an object in a state: equal to itself alone, and kept, so that no other takes its place."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


def _state_of(value: Any, apart: Collection[int], seen: set[int] | None = None) -> Hashable:
    """Return what a value is now, with all that it holds; objects whose id is `apart` may change freely."""
    if id(value) in apart:
        return None
    if isinstance(value, (bool, int, float, str, np.generic, type(None))):
        return type(value), repr(value)
    if isinstance(value, Tensor):
        return _Same(value), value._version
    seen = set() if seen is None else seen
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return tuple((key, _state_of(each, apart, seen)) for key, each in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(_state_of(each, apart, seen) for each in value)
    if id(value) in seen or isinstance(value, (type, ModuleType)):
        return _Same(value)
    seen.add(id(value))
    held = {name: each for name, each in held_by(value).items() if name not in OWN or each}
    if not isinstance(value, nn.Module):
        held["cells"] = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
        held |= {name: getattr(value, name, None) for name in ("__self__", "func", "args", "keywords")}
    return _Same(value), _state_of(held, apart, seen)


def _plain_attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Return the attributes that are no parameters, buffers or modules, and what lists and dicts hold."""
    own = vars(module)
    return {
        name: (own[name], copy.copy(own[name]) if isinstance(own[name], (list, dict)) else own[name])
        for name in own.keys() - OWN
    }


def _put_back(module: nn.Module, before: dict[str, tuple[Any, Any]]) -> list[str]:
    """Undo what a forward pass did to attributes that hold tensors; return their names.

    What is no state is not among the names: an attribute that a hook of torch's older weight norm or spectral
    norm computes anew in every forward pass, and a list of the module's own parameters, as an LSTM keeps.
    """
    own, changed = vars(module), []
    for name in own.keys() - OWN | before.keys():
        old, content = before.get(name, (None, None))
        if own.get(name) is old is content:
            continue
        now, held = _tensors(own.get(name)), _tensors(content)
        if len(now) == len(held) and all(a is b for a, b in zip(now, held, strict=True)):
            continue
        changed.append(name)
        if name not in before:
            del own[name]
            continue
        own[name] = old
        if isinstance(old, list):
            old[:] = content
        elif isinstance(old, dict):
            old.clear()
            old.update(content)
    if not changed:
        return []
    recomputed = {getattr(hook, "name", None) for hook in module._forward_pre_hooks.values()}
    return [
        name for name in changed if name not in recomputed and not _lists_parameters(module, before, name)
    ]


def _lists_parameters(module: nn.Module, before: dict[str, tuple[Any, Any]], name: str) -> bool:
    held = _tensors(before.get(name, (None, None))[1])
    own = {id(value) for value in module._parameters.values()}
    return bool(held) and all(id(value) in own for value in held)


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors that an attribute is or, as a list, tuple or dict, holds."""
    values = (
        value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    )
    return [item for item in values if isinstance(item, Tensor)]
