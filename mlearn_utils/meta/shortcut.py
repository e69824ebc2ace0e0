"""Where the meta-gradient can be had by hand: what must hold of a loss, its model and its data."""

from collections.abc import Collection
from numbers import Integral
from typing import Any

import numpy as np
from torch import Tensor, nn

from mlearn_utils.meta.by_hand import as_tensors, fit, mean_gradient_of
from mlearn_utils.meta.inner_loop import InnerRule, steepest
from mlearn_utils.meta.losses import Params, is_frozen
from mlearn_utils.meta.modules import ModuleLoss
from mlearn_utils.meta.plain import is_squared_error, is_watched, plain_layers
from mlearn_utils.runtime import is_number
from mlearn_utils.tasks.regression import TaskBatch


def shortcut(
    task_loss: Any,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: Any,
    steps: Any = 1,
    first_order: bool = False,
    rule: InnerRule = steepest,
    adapted: Collection[str] | None = None,
    vectorized: bool = True,
    chunk_size: Any = None,
    recompute: bool = False,
    learned: Collection[str] | None = None,
) -> tuple[Tensor, Params] | None:
    """Return what `maml.meta_gradient` is to return, found by hand, where it can be had so; else None.

    It can for the loss of a plain network with ReLU and the squared error, made by `module_loss`, on the CPU,
    where all parameters adapt and learn by plain gradient steps, and the result is finite. Whatever is wrong
    with the arguments, the general path says. `recompute` makes no difference: little is kept here.
    """
    usual = rule is steepest and adapted is None and learned is None and vectorized is True
    if not usual or type(task_loss) is not ModuleLoss or task_loss.learned is not None:
        return None
    if not (_is_count(steps, 0) and (chunk_size is None or _is_count(chunk_size, 1))):
        return None
    if not is_number(inner_lr) or not 0 <= inner_lr < 1e30:
        return None
    if not is_squared_error(task_loss.criterion) or is_watched():
        return None
    layers = _relu_layers(task_loss.model)
    if not layers or not fit(layers, params, tasks) or any(is_frozen(value) for value in params.values()):
        return None
    size = int(chunk_size or tasks[0][0].shape[0])
    means = mean_gradient_of(layers, params, tasks, size, float(inner_lr), int(steps), bool(first_order))
    return as_tensors(layers, params, means) if all(np.isfinite(mean).all() for mean in means) else None


def _is_count(value: Any, minimum: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= minimum


def _relu_layers(model: nn.Module) -> list[tuple[str, str]] | None:
    """Return the names of weight and bias of each layer of a plain network with ReLU throughout, or None."""
    layers = plain_layers(model)
    if layers is None or len(layers) % 2 == 0:
        return None
    for k, (_, layer) in enumerate(layers):
        if type(layer) is not (nn.ReLU if k % 2 else nn.Linear) or (k % 2 == 0 and layer.bias is None):
            return None
    return [(f"{prefix}weight", f"{prefix}bias") for prefix, _ in layers[::2]]
