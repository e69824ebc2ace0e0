"""Where the meta-gradient can be had by hand: what must hold of a loss, its model and its data."""

from typing import Any

import numpy as np
from torch import Tensor, nn

from mlearn_utils.meta.by_hand import fit, mean_gradient_of
from mlearn_utils.meta.losses import Params, is_frozen
from mlearn_utils.meta.plain import is_squared_error, is_watched, plain_layers
from mlearn_utils.tasks.regression import TaskBatch


def shortcut(
    task_loss: Any,
    params: Params,
    tasks: TaskBatch,
    *,
    inner_lr: Any,
    steps: Any,
    first_order: bool,
    chunk_size: Any,
) -> tuple[Tensor, Params] | None:
    """Return the loss and its gradient by hand where they can be had so, else None.

    They can for the loss of a plain network by `module_loss` on the CPU, whose result is finite. Whatever is
    wrong with the arguments, the general path says.
    """
    if type(inner_lr) not in (float, int) or not 0 <= inner_lr < 1e30 or type(steps) is not int or steps < 0:
        return None
    if not (chunk_size is None or (type(chunk_size) is int and chunk_size > 0)):
        return None
    if not is_squared_error(task_loss.criterion) or is_watched():
        return None
    layers = _relu_layers(task_loss.model)
    if not layers or not fit(layers, params, tasks) or any(is_frozen(value) for value in params.values()):
        return None
    n_tasks = len(tasks[0][0])
    found = mean_gradient_of(
        layers, params, tasks, chunk_size or n_tasks, float(inner_lr), steps, bool(first_order)
    )
    finite = all(np.isfinite(value.numpy()).all() for value in (found[0], *found[1].values()))
    return found if finite else None


def _relu_layers(model: nn.Module) -> list[tuple[str, str]] | None:
    """Return the names of weight and bias of each layer of a plain network with ReLU throughout, or None."""
    layers = plain_layers(model)
    if layers is None or len(layers) % 2 == 0:
        return None
    for k, (_, layer) in enumerate(layers):
        if type(layer) is not (nn.ReLU if k % 2 else nn.Linear) or (k % 2 == 0 and layer.bias is None):
            return None
    return [(f"{prefix}weight", f"{prefix}bias") for prefix, _ in layers[::2]]
