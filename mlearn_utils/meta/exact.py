"""What torch differentiates wrongly for many tasks at once, or not twice, put right inside a loss.

Known of torch 2.13, each shown by a test against finite differences:

- `embedding` with a padding index freezes the padding row of the first task only, once it is vectorized;
- the fused `_weight_norm` has a wrong second derivative;
- the fused kernels of attention and cuDNN's of recurrent layers have no second derivative;
- `tensor.data` lets a loss write its parameters or data past every check.

Each is replaced by the same function in operations that torch differentiates rightly. One more, `linear`, is
replaced because it is slow once it is vectorized.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

warn_of_loops = torch._C._functorch._set_vmap_fallback_warning_enabled  # pyright: ignore


@contextmanager
def loops_unwarned() -> Iterator[None]:
    """Keep torch.vmap from warning of a loop inside it: that is as right, and its user can do nothing."""
    warn_of_loops(False)
    try:
        yield
    finally:
        warn_of_loops(True)


class ExactFunctions(TorchFunctionMode):
    """Replaces functions of torch by exact ones inside a loss of one task, and keeps its arguments unwritten.

    While it is active, layers of attention take no fast path, which cannot be differentiated twice.

    Args:
        arguments: the parameters and data of the task; writing into one of them, or a view of it, raises.
    """

    def __init__(self, arguments: Iterable[Tensor]) -> None:
        super().__init__()
        self.kept = {id(tensor): tensor for tensor in arguments}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, or what stands for it here."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        mine = bool(args) and id(args[0]) in self.kept
        in_place = mine and (_writes(func, name) or kwargs.get("inplace"))
        if in_place or id(kwargs.get("out")) in self.kept:
            raise ValueError(
                f"task_loss writes into its arguments ({name} of a tensor of shape {list(args[0].shape)}), "
                "which are the caller's; work on a copy, such as x.clone()"
            )
        result = REPLACED.get(func, func)(*args, **kwargs)  # pyright: ignore[reportOptionalCall]
        if mine and (f" {name} " in VIEWS or func == GET_DATA):
            views = result if isinstance(result, (tuple, list)) else [result]
            self.kept |= {id(view): view for view in views}
        return result


def _writes(func: Any, name: str) -> bool:
    """Return whether a function of torch writes into its first argument."""
    if name.startswith("__"):
        in_place = name.startswith("__i") and name not in ("__int__", "__index__", "__invert__")
        return in_place or name == "__setitem__" or func == SET_DATA
    return name.endswith("_") and name != "requires_grad_"


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W' + b; with weights of each task as a product and a sum, which torch.vmap batches faster."""
    batched = torch._C._functorch.is_batchedtensor(weight)  # pyright: ignore
    if bias is None or not batched or input.ndim != 2 or torch._C._len_torch_function_stack():
        return F.linear(input, weight, bias)  # of a mode of the caller's, too
    if torch.is_autocast_enabled(input.device.type):
        return F.linear(input, weight, bias)
    if input.dtype != weight.dtype or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        return F.linear(input, weight, bias)
    return torch.mm(input, weight.t()) + bias


def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look rows up; that of `padding_idx` has no gradient, in every task."""
    for name, value in (
        ("max_norm", max_norm),
        ("scale_grad_by_freq", scale_grad_by_freq),
        ("sparse", sparse),
    ):
        if value:
            raise ValueError(
                f"task_loss: an embedding with {name}={value!r} cannot adapt: it would write its weights or "
                "has no second derivative; leave the argument out"
            )
    return F.embedding(input, _without_gradient(weight, padding_idx))


def _embedding_bag(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Sum or average rows; that of a padding index has no part in it."""
    if kwargs.get("max_norm") or kwargs.get("scale_grad_by_freq") or kwargs.get("sparse"):
        raise ValueError(
            "task_loss: an embedding bag with max_norm, scale_grad_by_freq or sparse cannot adapt: it would "
            "write its weights or has no second derivative; leave the argument out"
        )
    return F.embedding_bag(input, weight, *args, **kwargs)


def _without_gradient(weight: Tensor, row: int | None) -> Tensor:
    """Return `weight` with one row, if any, that is a constant."""
    if row is None:
        return weight
    rows = torch.arange(weight.shape[0], device=weight.device)
    return torch.where((rows == row % weight.shape[0]).unsqueeze(-1), weight.detach(), weight)


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Return g v / |v|, the norm taken over all axes but `dim` (over all for -1)."""
    axes = [axis for axis in range(v.ndim) if dim == -1 or axis != dim % v.ndim]
    return g * v / v.square().sum(dim=axes, keepdim=True).sqrt() if axes else g * v / v.abs()


def _plain_recurrence() -> Any:
    return torch.backends.cudnn.flags(enabled=False)


def _plain_attention() -> Any:
    return sdpa_kernel(SDPBackend.MATH)


def _inside(context: Callable[[], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes on another kernel: the usual one has no second derivative."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        with context():
            return function(*args, **kwargs)

    return plain


GET_DATA: Any = Tensor.data.__get__  # pyright: ignore[reportAttributeAccessIssue]
WEIGHT_NORM: Any = torch._weight_norm  # pyright: ignore[reportPrivateImportUsage]
SET_DATA: Any = Tensor.data.__set__  # pyright: ignore[reportAttributeAccessIssue]

REPLACED: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    F.embedding: _embedding,
    F.embedding_bag: _embedding_bag,
    WEIGHT_NORM: _weight_norm,
    GET_DATA: Tensor.detach,
    **{
        function: _inside(_plain_recurrence, function)
        for function in (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
    },
    **{
        function: _inside(_plain_attention, function)
        for function in (F.scaled_dot_product_attention, F.multi_head_attention_forward)
    },
}
"""Functions of torch by what stands for them."""

VIEWS = (
    " __getitem__ chunk detach diagonal expand expand_as flatten movedim narrow permute reshape select split "
    "squeeze swapaxes t transpose unbind unflatten unfold unsqueeze view view_as "
)
"""Functions whose result shares the memory of their first argument, between spaces."""
