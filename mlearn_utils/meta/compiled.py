"""The MAML gradient as one compiled graph: traced once for each shape of data, then only replayed.

`torch.compile` cannot differentiate twice through a graph of its own making. So the order is turned round:
trace the whole of `meta_gradient`, both derivatives included, into a flat graph of tensor operations, and
compile that. The result is the same function; only Python, autograd and vmap have left the hot path.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from mlearn_utils.meta.losses import is_frozen
from mlearn_utils.meta.maml import Params, TaskLoss, meta_gradient
from mlearn_utils.meta.modules import ModuleLoss
from mlearn_utils.runtime import is_number
from mlearn_utils.tasks.regression import TaskBatch

Update = Callable[[Params, TaskBatch], tuple[Tensor, Params]]


def compiled_update(update: Update, compiler: Callable[[Update], Update] = torch.compile) -> Update:
    """Return `update` as one graph for each shape of data: traced at the first call, then replayed.

    Args:
        update: (parameters, tasks) -> (loss, gradient), such as `mean_gradient` of any variant's losses.
            Everything else that it uses becomes a constant of the graph.
        compiler: what turns the traced graph into its compiled form; torch.compile needs a C++ compiler.
    """
    graphs: dict[Any, Update] = {}

    def compiled(params: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
        values = {name: value.detach() for name, value in params.items()}
        frozen = frozenset(name for name, value in params.items() if is_frozen(value))
        shapes = tuple((tensor.shape, tensor.dtype, tensor.device) for batch in tasks for tensor in batch)

        def of_values(values: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
            return update({name: _frozen(v) if name in frozen else v for name, v in values.items()}, tasks)

        if (shapes, frozen) not in graphs:
            graphs[shapes, frozen] = compiler(make_fx(of_values)(values, tasks))
        return graphs[shapes, frozen](values, tasks)

    return compiled


def _frozen(value: Tensor) -> Tensor:
    return nn.Parameter(value, requires_grad=False)


def compiled_meta_gradient(
    compiler: Callable[[Update], Update] = torch.compile,
) -> Callable[..., tuple[Tensor, Params]]:
    """Return a function with the signature of `meta_gradient` that keeps a graph for each shape of data.

    Rates must be floats: they, like `steps`, become constants of the graph. A graph belongs to one task loss
    and, where that is a `ModuleLoss`, to one state of its module: after a change of mode (`model.eval()`), of
    a buffer or of a plain attribute the update is traced anew.

    Args:
        compiler: as in `compiled_update`.

    Raises:
        TypeError: from the returned function, if `inner_lr` is not a float.
    """
    updates: dict[Any, Update] = {}

    def compiled(
        task_loss: TaskLoss, params: Params, tasks: TaskBatch, *, inner_lr: float, **settings: Any
    ) -> tuple[Tensor, Params]:
        if not is_number(inner_lr):
            raise TypeError(f"inner_lr must be a float where the update is compiled, got {inner_lr!r}")
        state = task_loss.state() if isinstance(task_loss, ModuleLoss) else None
        key = (task_loss, state, inner_lr, *sorted((name, str(value)) for name, value in settings.items()))
        if key not in updates:

            def update(params: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
                return meta_gradient(task_loss, params, tasks, inner_lr=inner_lr, **settings)

            updates[key] = compiled_update(update, compiler)
        return updates[key](params, tasks)

    return compiled
