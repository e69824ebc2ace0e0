"""Which networks are plain: linear layers and elementwise activations, one after the other, nothing else.

A plain network need not be called to know what it computes. `batched_predictions` serves all tasks at once
without torch.vmap, and `mlearn_utils.meta.by_hand` differentiates it without autograd. Both are shortcuts:
whatever could make a difference (a hook, a replaced forward pass, a subclass, tied weights, another dtype)
is left to the general path, which calls the module.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_modules

Layers = list[tuple[str, nn.Module]]
"""The layers of a plain network in order, each with the prefix of its parameters' names."""

ACTIVATIONS = (
    *(nn.Identity, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.ELU, nn.SiLU, nn.Softplus, nn.LeakyReLU),
    *(nn.SELU, nn.CELU, nn.Mish, nn.Softsign, nn.LogSigmoid, nn.Tanhshrink, nn.ReLU6, nn.Hardtanh),
)
"""Elementwise modules without parameters that compute the same in training and evaluation."""

FLOATS = (torch.float32, torch.float64)

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

REPLACED = frozenset({"forward", "_call_impl", "_wrapped_call_impl", "_slow_forward", "_compiled_call_impl"})
"""Attributes by which one module is called otherwise than its class."""


def _calls() -> tuple[Any, ...]:
    """Return what runs when a plain network is called: another library may have put its own in place."""
    kinds = (nn.Module, nn.Sequential, nn.Linear, nn.MSELoss, *ACTIVATIONS)
    called = tuple(getattr(kind, name) for kind in kinds for name in ("__call__", "forward"))
    return *called, F.linear, F.relu, F.mse_loss


AS_IMPORTED = _calls()


def plain_layers(model: nn.Module) -> Layers | None:
    """Return the layers of a plain network, or None for any other: each weight one of its own, no hooks.

    A plain network is an `nn.Linear`, or an `nn.Sequential` of `nn.Linear` and `ACTIVATIONS`, exactly these
    classes.
    """
    if type(model) is nn.Sequential:
        layers = [(f"{name}.", layer) for name, layer in model._modules.items()]
        untouched = _is_untouched(model) and all(value is None for value in model._parameters.values())
    else:
        layers, untouched = [("", model)], type(model) is nn.Linear
    weights: list[Tensor] = []
    for _, layer in layers:
        if not isinstance(layer, nn.Module) or layer._modules or not _is_untouched(layer):
            return None
        if type(layer) is nn.Linear and layer._parameters.keys() == {"weight", "bias"}:
            weights += [value for value in layer._parameters.values() if value is not None]
        elif type(layer) not in ACTIVATIONS or layer._parameters:
            return None
    single = len({id(value) for value in weights}) == len(weights)
    watched = torch_modules._has_any_global_hook() or _calls() != AS_IMPORTED
    return layers if untouched and weights and single and not watched else None


def _is_untouched(module: nn.Module) -> bool:
    own = vars(module)
    usual = own.keys().isdisjoint(REPLACED) and not own.get("track_running_stats", False)
    return usual and not any(own[hooks] for hooks in HOOKS) and not module._buffers


def is_squared_error(criterion: Any) -> bool:
    """Return whether a criterion is torch's mean squared error, the function or the module."""
    if criterion is F.mse_loss:
        return True
    return type(criterion) is nn.MSELoss and criterion.reduction == "mean" and _is_untouched(criterion)


def is_plain(*tensors: Tensor) -> bool:
    """Return whether all are tensors of torch's own class, dense, of one float dtype and on one device."""
    first = tensors[0]
    dtype, device = first.dtype, first.device
    return dtype in FLOATS and all(
        type(each) in (Tensor, nn.Parameter)
        and each.dtype == dtype
        and each.device == device
        and each.layout == torch.strided
        and not each.is_inference()
        for each in tensors
    )


def batched_predictions(model: nn.Module, task_params: dict[str, Tensor], x: Tensor) -> Tensor | None:
    """Return the predictions of all tasks by batched products: [T, *] and [T, K, n] -> [T, K, m].

    None where the network is not plain, or the parameters and data are not exactly its own: then the general
    path serves, or says what is wrong.
    """
    layers = plain_layers(model)
    if layers is None or x.ndim != 3 or not is_plain(x, *task_params.values()) or _casts(x):
        return None
    steps, names, width = [], set(), x.shape[2]
    for prefix, layer in layers:
        if type(layer) is not nn.Linear:
            if getattr(layer, "inplace", False):
                return None
            steps.append((layer, None))
            continue
        weight, bias = task_params.get(f"{prefix}weight"), task_params.get(f"{prefix}bias")
        if weight is None or (bias is None) != (layer.bias is None):
            return None
        names |= {f"{prefix}weight"} | (set() if bias is None else {f"{prefix}bias"})
        shape = weight.shape
        if len(shape) != 3 or shape[0] != x.shape[0] or shape[2] != width or 0 in shape:
            return None
        if bias is not None and bias.shape != shape[:2]:
            return None
        steps.append((weight, bias))
        width = shape[1]
    if names != task_params.keys():
        return None
    for weight, bias in steps:
        x = weight(x) if isinstance(weight, nn.Module) else _linear(x, weight, bias)
    return x


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x W' + b of every task; a single input needs no matrix product."""
    turned = weight.mT
    if bias is None:
        return x * turned if x.shape[2] == 1 else torch.bmm(x, turned)
    bias = bias.unsqueeze(1)
    return torch.addcmul(bias, x, turned) if x.shape[2] == 1 else torch.baddbmm(bias, x, turned)


def _casts(x: Tensor) -> bool:
    return torch.is_autocast_enabled(x.device.type) or torch._C._len_torch_function_stack() > 0


def is_watched() -> bool:
    """Return whether something would see or change what torch computes here: modes, transforms, traces."""
    return bool(
        torch._C._len_torch_function_stack()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore
        or torch._C._get_tracing_state() is not None
        or torch.compiler.is_compiling()
        or torch.is_inference_mode_enabled()
        or torch.is_anomaly_enabled()
        or torch.autograd.forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
    )
