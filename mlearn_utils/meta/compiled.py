"""The MAML gradient as one compiled graph: traced once for each shape of data, then only replayed.

`torch.compile` cannot differentiate twice through a graph of its own making. So the order is turned round:
trace the whole of `meta_gradient`, both derivatives included, into a flat graph of tensor operations, and
compile that. The result is the same function; only Python, autograd and vmap have left the hot path.

The optimizer's step stays outside: torch's fused kernel is one call already, and between the gradient and the
step several processes add up their gradients.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from tqdm.auto import tqdm

from mlearn_utils.meta.losses import is_frozen
from mlearn_utils.meta.maml import InnerRate, Params, TaskLoss, meta_gradient
from mlearn_utils.meta.modules import ModuleLoss
from mlearn_utils.meta.shortcut import shortcut
from mlearn_utils.runtime import is_number, level_outside
from mlearn_utils.tasks.regression import TaskBatch

Update = Callable[[Params, TaskBatch], tuple[Tensor, Params]]

NO_COMPILER = ("InvalidCxxCompiler", "TritonMissing")
"""Names of the errors by which torch says that it finds no compiler."""


def to_machine_code(graph: Update) -> Update:
    """Return a traced graph compiled by torch: on a GPU replayed as a CUDA graph, which needs no launches."""

    def compiled(params: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
        loss, gradient = fast[next(iter(params.values())).is_cuda](params, tasks)
        if not loss.is_cuda:
            return loss, gradient
        # the next replay overwrites what a CUDA graph returns
        return loss.clone(), {name: value.clone() for name, value in gradient.items()}

    fast = {
        False: torch.compile(graph, options={"cpp_wrapper": True}),  # no Python between the kernels
        True: torch.compile(graph, mode="reduce-overhead"),
    }
    return compiled


def compiled_update(
    update: Update, compiler: Callable[[Update], Update] = to_machine_code, *, progress: bool = False
) -> Update:
    """Return `update` as one graph for each shape of data: traced at the first call, then replayed.

    Where no compiler is installed, a warning says so once for each shape, and `update` is called as it is.

    Args:
        update: (parameters, tasks) -> (loss, gradient), such as `mean_gradient` of any variant's losses.
            Everything else that it uses becomes a constant of the graph.
        compiler: what turns the traced graph into its compiled form; torch.compile needs a C++ compiler.
        progress: show that something is compiled, and how long it took.
    """
    graphs: dict[Any, Update] = {}

    def compiled(params: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
        values = {name: value.detach() for name, value in params.items()}
        frozen = frozenset(name for name, value in params.items() if is_frozen(value))
        shapes = tuple((tensor.shape, tensor.dtype, tensor.device) for batch in tasks for tensor in batch)

        def of_values(values: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
            return update({name: _frozen(v) if name in frozen else v for name, v in values.items()}, tasks)

        key = shapes, frozen
        if key in graphs:
            return graphs[key](values, tasks)
        start = time.perf_counter()
        with tqdm(desc="compiling (once)", bar_format="{desc}", disable=not progress) as bar:
            graph = compiler(make_fx(of_values)(values, tasks))
            try:
                result = graph(values, tasks)  # the compiler works at the first call
            except Exception as error:
                if not _lacks_compiler(error):
                    raise
                warnings.warn(
                    f"compile: torch finds no compiler here ({error.__class__.__name__}: "
                    f"{str(error).strip().splitlines()[0]}); the update goes on without being compiled, "
                    "as slowly and as right as with compile=False",
                    stacklevel=level_outside(),
                )
                graph = of_values
                result = graph(values, tasks)
                bar.set_description_str("no compiler: not compiled")
            else:
                bar.set_description_str(f"compiled in {time.perf_counter() - start:.0f} s")
        graphs[key] = graph
        return result

    return compiled


def _frozen(value: Tensor) -> Tensor:
    return nn.Parameter(value, requires_grad=False)


def _lacks_compiler(error: BaseException | None) -> bool:
    """Return whether an error, or what caused it, is torch's for a compiler that is not installed."""
    while error is not None:
        inner = getattr(error, "inner_exception", None)
        if type(error).__name__ in NO_COMPILER or type(inner).__name__ in NO_COMPILER:
            return True
        error = error.__cause__ or error.__context__
    return False


class CompiledMetaGradient:
    """A function with the signature of `meta_gradient` that keeps a graph for each shape of data.

    Rates must be floats: they, like `steps`, become constants of the graph. A graph belongs to one task loss
    and, where that is a `ModuleLoss`, to one state of its module: after a change of mode (`model.eval()`), of
    a buffer or of a plain attribute the update is traced anew. What `meta_gradient` computes by hand, the
    plain ReLU networks of `mlearn_utils.meta.by_hand`, is as fast without: it is not compiled.

    Args:
        compiler: as in `compiled_update`.

    Attributes:
        progress: whether to show how long a first call takes.

    Raises:
        TypeError: when called, if `inner_lr` is not a float.
    """

    def __init__(self, compiler: Callable[[Update], Update] = to_machine_code) -> None:
        self.compiler, self.progress = compiler, False
        self._updates: dict[Any, Update] = {}

    def __call__(
        self, task_loss: TaskLoss, params: Params, tasks: TaskBatch, *, inner_lr: InnerRate, **settings: Any
    ) -> tuple[Tensor, Params]:
        """Return what `meta_gradient` returns."""
        if not is_number(inner_lr):
            raise TypeError(f"inner_lr must be a float where the update is compiled, got {inner_lr!r}")
        found = shortcut(task_loss, params, tasks, inner_lr=inner_lr, **settings)
        if found is not None:
            return found
        state = task_loss.state() if isinstance(task_loss, ModuleLoss) else None
        key = (task_loss, state, inner_lr, *sorted((name, str(value)) for name, value in settings.items()))
        if key not in self._updates:

            def update(params: Params, tasks: TaskBatch) -> tuple[Tensor, Params]:
                return meta_gradient(task_loss, params, tasks, inner_lr=inner_lr, **settings)

            self._updates[key] = compiled_update(update, self.compiler, progress=self.progress)
        return self._updates[key](params, tasks)


def compiled_meta_gradient(compiler: Callable[[Update], Update] = to_machine_code) -> CompiledMetaGradient:
    """Return a compiled `meta_gradient`; see `CompiledMetaGradient`."""
    return CompiledMetaGradient(compiler)
