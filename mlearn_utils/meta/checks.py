"""What the MAML core asks of its arguments: each error names the argument and says what is expected."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from mlearn_utils.runtime import check_not_negative, is_number

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def check_parameters(params: Mapping[str, Tensor]) -> None:
    """Raise unless `params` is a non-empty dict of floating-point tensors."""
    if not isinstance(params, Mapping) or not params:
        raise TypeError(f"params must be a non-empty dict of tensors by name, got {params!r}")
    for name, value in params.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise TypeError(f"params[{name!r}] must be a floating-point tensor, got {_kind(value)}")


def check_task_parameters(task_params: Mapping[str, Tensor], n_tasks: int) -> None:
    """Raise unless every parameter has the leading task axis that the data have."""
    check_parameters(task_params)
    for name, value in task_params.items():
        if value.ndim == 0 or value.shape[0] != n_tasks:
            raise ValueError(
                f"task_params[{name!r}] must have shape [T, *] with T = {n_tasks} tasks as in support, "
                f"got {list(value.shape)}; expand_params gives every task its own copy"
            )


def count_tasks(name: str, value: tuple[Tensor, ...]) -> int:
    """Return the number of tasks T in a batch; raise unless its tensors agree about it and hold examples."""
    if not isinstance(value, tuple) or not value or not all(isinstance(tensor, Tensor) for tensor in value):
        raise TypeError(f"{name} must be a non-empty tuple of tensors such as (x, y), got {_kind(value)}")
    shapes = [list(tensor.shape) for tensor in value]
    if any(not shape or 0 in shape for shape in shapes):
        raise ValueError(f"{name} must hold at least one task and one example, got shapes {shapes}")
    if len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            f"{name}: every tensor must have the same number of tasks first, got shapes {shapes}"
        )
    return shapes[0][0]


def count_task_pairs(value: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]) -> int:
    """Return the number of tasks; raise unless support and query agree about it."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"tasks must be a TaskBatch(support, query), got {_kind(value)}")
    n_support, n_query = count_tasks("tasks.support", value[0]), count_tasks("tasks.query", value[1])
    if n_support != n_query:
        raise ValueError(f"tasks must have as many support as query sets, got {n_support} and {n_query}")
    return n_support


def spread_rates(inner_lr: Any, task_params: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return one rate for each parameter; raise unless all are of a fitting shape, finite and >= 0."""
    if not isinstance(inner_lr, Mapping):
        check_rate("inner_lr", inner_lr)
        return dict.fromkeys(task_params, inner_lr)
    if set(inner_lr) != set(task_params):
        missing, unknown = sorted(set(task_params) - set(inner_lr)), sorted(set(inner_lr) - set(task_params))
        raise ValueError(
            f"inner_lr must hold one rate for each parameter: missing {missing}, unknown {unknown}"
        )
    for name, rate in inner_lr.items():
        check_rate(f"inner_lr[{name!r}]", rate, shape=task_params[name].shape[1:])
    return dict(inner_lr)


def check_rate(name: str, rate: Any, *, shape: torch.Size | None = None) -> None:
    """Raise unless `rate` is a finite number >= 0, or a tensor of such that is 0-d or of the given shape."""
    if isinstance(rate, Tensor):
        if rate.ndim and rate.shape != shape:
            expected = "a 0-d tensor" if shape is None else f"0-d or of the parameter's shape {list(shape)}"
            raise ValueError(f"{name} must be {expected}, got shape {list(rate.shape)}")
        # a comparison on an accelerator would stall the hot path; while tracing, there are no values
        readable = rate.device.type == "cpu" and get_proxy_mode() is None
        if readable and not ((rate >= 0) & rate.isfinite()).all():
            raise ValueError(f"{name} must be finite and >= 0, got {rate!r}")
    elif is_number(rate):
        check_not_negative(name, rate, "finite and >= 0")
    else:
        raise TypeError(f"{name} must be a float or a tensor, got {_kind(rate)}")


def check_stateless(model: nn.Module) -> None:
    """Raise if a forward pass in training mode would write running statistics or draw random numbers."""
    for name, module in model.named_modules():
        if not module.training:
            continue
        if getattr(module, "track_running_stats", False):
            raise ValueError(
                f"model: {type(module).__name__} {name!r} keeps running statistics, which every task would "
                "overwrite; build it with track_running_stats=False, or call model.eval()"
            )
        if isinstance(module, DROPOUTS) and module.p > 0:
            raise ValueError(
                f"model: {type(module).__name__} {name!r} draws random numbers, so the loss is no function "
                "of (params, batch); set p=0, or call model.eval()"
            )


def check_input_dtype(model: nn.Module, x: Tensor) -> None:
    """Raise if x is integer (or boolean) and the model has no embedding that would look it up."""
    if x.is_floating_point() or x.is_complex():
        return
    if not any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in model.modules()):
        raise TypeError(f"batch: x must be floating point, got {x.dtype}; convert it with x.float()")


def check_buffers_unwritten(buffers: Mapping[str, Tensor], versions: Mapping[str, int]) -> None:
    """Raise if a forward pass wrote one of the buffers it was given."""
    written = sorted(name for name, buffer in buffers.items() if buffer._version != versions[name])
    if written:
        raise ValueError(f"model: its forward pass writes the buffers {written}; adaptation leaves no trace")


def scalar_loss(task_loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Wrap the loss of one task so that anything but a floating-point scalar raises."""

    def checked(params: dict[str, Tensor], one_batch: tuple[Tensor, ...]) -> Tensor:
        loss = task_loss(params, one_batch)
        if not isinstance(loss, Tensor) or loss.ndim != 0 or not loss.is_floating_point():
            raise ValueError(f"task_loss must return a floating-point scalar for one task, got {_kind(loss)}")
        return loss

    return checked


def differentiable(loss: Tensor) -> Tensor:
    """Return `loss`; raise if no parameter had a part in it."""
    if not loss.requires_grad:
        raise ValueError("task_loss must depend on the parameters it is given; its value does not")
    return loss


@contextmanager
def explained_vmap_errors() -> Iterator[None]:
    """Say in our words what torch.vmap says of a loss that draws random numbers."""
    try:
        yield
    except RuntimeError as error:
        if "randomness" not in str(error):
            raise
        raise ValueError(
            "task_loss draws random numbers (dropout?), so it is no function of (params, batch); "
            "draw them beforehand and pass them in the batch"
        ) from error


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {list(value.shape)}"
    return f"{type(value).__name__} {value!r}"
