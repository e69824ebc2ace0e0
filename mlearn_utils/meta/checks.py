"""What the MAML core asks of its arguments: each error names the argument and says what is expected."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from mlearn_utils.runtime import check_not_negative, is_number

RANDOM = (
    "task_loss draws random numbers (dropout?), so it is no function of (params, batch); "
    "draw them beforehand and pass them in the batch"
)
VECTORIZED = (
    "task_loss cannot be evaluated for all tasks at once (torch.vmap): give vectorized=False, "
    "a plain loop over tasks. torch says: {}"
)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def check_parameters(params: Mapping[str, Tensor]) -> None:
    """Raise unless `params` is a non-empty dict of floating-point tensors."""
    if not isinstance(params, Mapping) or not params:
        raise TypeError(f"params must be a non-empty dict of tensors by name, got {params!r}")
    for name, value in params.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise TypeError(f"params[{name!r}] must be a floating-point tensor, got {_kind(value)}")
        if value.is_inference():
            raise ValueError(
                f"params[{name!r}] is a tensor of torch.inference_mode, which has no derivatives; "
                "use torch.no_grad() instead"
            )


def check_names(
    params: Mapping[str, Tensor], own: Mapping[str, Tensor], learned: Collection[str] | None
) -> None:
    """Raise unless `params` hold every parameter of a model that must be given, and no other."""
    needed = {name for name, value in own.items() if value.requires_grad} if learned is None else set(learned)
    missing, unknown = sorted(needed - params.keys()), sorted(params.keys() - own.keys())
    if missing or unknown:
        raise ValueError(
            f"params must hold the model's parameters by name: missing {missing}, unknown {unknown}; "
            f"the model has {list(own)}"
        )


def chosen_names(name: str, chosen: Collection[str], known: Collection[str]) -> list[str]:
    """Return the known names that are chosen, by a name itself or by that of the module before the dot.

    Raises:
        ValueError: if nothing is chosen, or something that is not known.
    """
    good = isinstance(chosen, Collection) and not isinstance(chosen, str) and bool(chosen)
    if not good or not all(
        isinstance(each, str) and any(_is_within(whole, each) for whole in known) for each in chosen
    ):
        raise ValueError(f"{name} must name parameters, some of {sorted(known)}; got {chosen!r}")
    return [whole for whole in known if any(_is_within(whole, each) for each in chosen)]


def _is_within(name: str, chosen: str) -> bool:
    return name == chosen or name.startswith(f"{chosen}.")


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


def spread_rates(inner_lr: Any, task_params: Mapping[str, Tensor], moving: Collection[str]) -> dict[str, Any]:
    """Return one rate for each moving parameter; raise unless all are of a fitting shape, finite and >= 0."""
    if not isinstance(inner_lr, Mapping):
        check_rate("inner_lr", inner_lr)
        return {name: _rate_for(task_params[name], inner_lr) for name in moving}
    missing, unknown = sorted(set(moving) - set(inner_lr)), sorted(set(inner_lr) - set(task_params))
    if missing or unknown:
        raise ValueError(
            f"inner_lr must hold one rate for each parameter: missing {missing}, unknown {unknown}"
        )
    for name, rate in inner_lr.items():
        check_rate(f"inner_lr[{name!r}]", rate, shape=task_params[name].shape[1:])
    return {name: _rate_for(task_params[name], inner_lr[name]) for name in moving}


def _rate_for(value: Tensor, rate: Any) -> Any:
    """Return a rate in its parameter's dtype: a step changes no dtype."""
    return rate.to(value.dtype) if isinstance(rate, Tensor) and rate.ndim else rate


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
        check_stateless_module(name, module)


def check_stateless_module(name: str, module: nn.Module) -> None:
    """Raise if this module, without those in it, would do so."""
    if not module.training:
        return
    if vars(module).get("track_running_stats", False):
        raise ValueError(
            f"model: {type(module).__name__} {name!r} keeps running statistics, which every task would "
            "overwrite; build it with track_running_stats=False, or call model.eval()"
        )
    if isinstance(module, DROPOUTS) and module.p > 0:
        raise ValueError(
            f"model: {type(module).__name__} {name!r} draws random numbers, so the loss is no function "
            "of (params, batch); set p=0, or call model.eval()"
        )


def is_integer(x: Tensor) -> bool:
    """Return whether x holds integers or booleans."""
    return not (x.is_floating_point() or x.is_complex())


def check_nothing_written(written: Collection[str], buffers: Collection[str]) -> None:
    """Raise if a forward pass wrote parameters, buffers or attributes of its model."""
    if written:
        kind = "the buffers " if set(written) <= set(buffers) else ""
        raise ValueError(
            f"model: its forward pass writes {kind}{sorted(set(written))}, so it is no function of "
            "(params, batch); adaptation leaves no trace"
        )


@contextmanager
def unwritten(arguments: Sequence[Tensor]) -> Iterator[None]:
    """Raise if what runs inside writes into one of these tensors."""
    versions = [tensor._version for tensor in arguments]
    yield
    written = [k for k, tensor in enumerate(arguments) if tensor._version != versions[k]]
    if written:
        shapes = [list(arguments[k].shape) for k in written]
        raise ValueError(
            f"task_loss writes into its arguments (tensors of shape {shapes}), which are the caller's; "
            "work on a copy, such as x.clone()"
        )


@contextmanager
def no_random_numbers(device: torch.device) -> Iterator[None]:
    """Raise if what runs inside draws from torch's global generators; they are put back."""
    devices = [device] if device.type == "cuda" else []
    before = torch.get_rng_state(), [torch.cuda.get_rng_state(each) for each in devices]
    yield
    after = torch.get_rng_state(), [torch.cuda.get_rng_state(each) for each in devices]
    if not all(
        torch.equal(a, b) for a, b in zip((before[0], *before[1]), (after[0], *after[1]), strict=True)
    ):
        torch.set_rng_state(before[0])
        for each, state in zip(devices, before[1], strict=True):
            torch.cuda.set_rng_state(state, each)
        raise ValueError(RANDOM)


def explain_vmap_error(
    error: RuntimeError,
    one_loss: Callable[..., Tensor],
    task_params: Mapping[str, Tensor],
    batch: tuple[Tensor, ...],
) -> Exception:
    """Return what to raise for an error under torch.vmap: the loss's own, or the advice to do without it.

    The first task alone, on copies, tells which of the two it is.
    """
    if "randomness" in str(error):
        return ValueError(RANDOM)
    params = {name: value[0].detach().clone() for name, value in task_params.items()}
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            one_loss(
                {name: value.requires_grad_() for name, value in params.items()},
                task_of(tuple(tensor.detach().clone() for tensor in batch), 0),
            )
    except Exception as own:
        return own
    reason = str(error).strip().split("\n")[0].split(". ")[0]
    return ValueError(VECTORIZED.format(reason))


def task_of(batch: tuple[Tensor, ...], task: int) -> tuple[Tensor, ...]:
    """Return the data of one task; a NamedTuple stays one."""
    return getattr(batch, "_make", tuple)([tensor[task] for tensor in batch])


def scalar_loss(task_loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Wrap the loss of one task so that anything but a floating-point scalar raises."""

    def checked(params: dict[str, Tensor], one_batch: tuple[Tensor, ...]) -> Tensor:
        loss = task_loss(params, one_batch)
        if not isinstance(loss, Tensor) or loss.ndim != 0 or not loss.is_floating_point():
            raise ValueError(f"task_loss must return a floating-point scalar for one task, got {_kind(loss)}")
        return loss

    return checked


def one_value_a_task(losses: Any, n_tasks: int, name: str = "losses_of") -> Tensor:
    """Return `losses`; raise unless they are one floating-point value for each task [T]."""
    if (
        not isinstance(losses, Tensor)
        or losses.shape != torch.Size([n_tasks])
        or not losses.is_floating_point()
    ):
        raise ValueError(
            f"{name} must return one value for each of the {n_tasks} tasks, [{n_tasks}], got {_kind(losses)}"
        )
    return losses


def check_derivatives_possible(task_params: Mapping[str, Tensor]) -> None:
    """Raise in torch.inference_mode, and for forward-mode derivatives, which an inner step would drop."""
    if torch.is_inference_mode_enabled():
        raise ValueError("adaptation takes gradients: use torch.no_grad() in place of torch.inference_mode()")
    if forward_ad._current_level < 0:
        return
    for name, value in task_params.items():
        if forward_ad.unpack_dual(value).tangent is not None:
            raise ValueError(
                f"params[{name!r}] carries a forward-mode derivative, which an inner step cannot pass on; "
                "use torch.autograd.grad, torch.func.grad or jacrev"
            )


def differentiable(loss: Tensor) -> Tensor:
    """Return `loss`; raise if no parameter had a part in it."""
    if not loss.requires_grad:
        raise ValueError("task_loss must depend on the parameters it is given; its value does not")
    return loss


@contextmanager
def explained_derivatives(*, second: bool) -> Iterator[None]:
    """Say in our words that torch cannot differentiate a loss (twice)."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[0]
        if "vmap" in reason:
            raise ValueError(VECTORIZED.format(reason)) from error
        if "second time" in reason:
            raise ValueError(
                "task_loss uses a tensor computed before, whose graph is gone after one derivative; "
                f"compute it anew for every call, inside the loss. torch says: {reason}"
            ) from error
        advice = "first_order=True does without the second derivative; or use" if second else "use"
        raise ValueError(
            f"task_loss cannot be differentiated{' twice' * second}: {advice} another operation. "
            f"torch says: {reason}"
        ) from error


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {list(value.shape)}"
    return f"{type(value).__name__} {value!r}"
