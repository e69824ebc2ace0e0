r"""A network with one hidden layer for each of T tasks, and its first two derivatives by hand.

For one task, with rows x of N observations, hidden units h = tanh(x W1' + b1) and outputs z = h W2' + b2, and
with g the derivative of a loss by z, d = 1 - h^2, * a product by elements and j a hidden unit,

    dL/dW2 = g' h      dL/db2 = sum g      dL/dW1_j = sum_k W2_kj P_kj,  P_kj = sum_n g_nk d_nj x_n

and with a constant 1 beside x, dL/db1 is a column of dL/dW1. MAML differentiates these four once more. Along
directions V1, c1, V2, c2 of theirs, with r = d * (x V1' + c1), they change g, and by way of h also W1, by

    by g: c2 + h V2' + r W2'    by W2: g' r    by W1_j: sum_k V2_kj P_kj - 2 W2_kj sum_n g_nk h_nj r_nj x_n

That is a third of the passes over arrays [T, N, H] which autograd makes, and nearly all of the time.

Reference: Pearlmutter (1994), "Fast exact multiplication by the Hessian".
"""

from typing import Any

import torch
from torch import Tensor

from mlearn_utils.rl.policies import Params, mlp

NAMES = ("0.weight", "0.bias", "2.weight", "2.bias")


def is_shallow(params: Params, x: Tensor) -> bool:
    """Return whether `shallow_mlp` serves these: one set of parameters [T, *] for each task, a hidden layer.

    Not where x requires a gradient, inside transforms such as torch.vmap, and where observations and outputs
    are so many that this would be slower.
    """
    if torch.autograd.forward_ad._current_level >= 0:
        return False
    if x.ndim != 3 or x.requires_grad or any(name not in params for name in NAMES) or "4.weight" in params:
        return False
    weight, out = params["0.weight"], params["2.weight"]
    small = weight.ndim == out.ndim == 3 and out.shape[-2] * (x.shape[-1] + 1) <= out.shape[-1]
    return small and not any(map(_is_transformed, (x, *params.values())))


def shallow_mlp(params: Params, x: Tensor) -> Tensor:
    """Return what `rl.policies.mlp` returns, differentiable any number of times: [T, N, W].

    Args:
        params: [T, *] as `init_mlp` names them, with one hidden layer.
        x: [T, N, F] constants.
    """
    return _Outputs.apply(x, *(params[name] for name in NAMES))  # pyright: ignore[reportReturnType]


class _Outputs(torch.autograd.Function):
    """Observations and parameters -> outputs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        h = torch.baddbmm(b1.unsqueeze(-2), x, w1.mT).tanh_()
        ctx.save_for_backward(x, h, w1, b1, w2, b2)
        return torch.baddbmm(b2.unsqueeze(-1), w2, h.mT).mT

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        return None, *_Gradients.apply(g, *ctx.saved_tensors)  # pyright: ignore


class _Gradients(torch.autograd.Function):
    """Derivatives by the outputs -> derivatives by the parameters, which is differentiable as well."""

    @staticmethod
    def forward(
        ctx: Any, g: Tensor, x: Tensor, h: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
    ) -> tuple[Tensor, ...]:
        one = h.new_ones(())
        rows = torch.cat((x, one.expand(*x.shape[:2], 1)), dim=-1)
        gx = (g.unsqueeze(-1) * rows.unsqueeze(-2)).flatten(-2)  # [T, N, W (F + 1)]
        d = torch.addcmul(one, h, h, value=-1)
        p = torch.bmm(gx.mT, d).unflatten(1, (w2.shape[1], -1))  # [T, W, F + 1, H]
        ctx.save_for_backward(g, x, h, w1, b1, w2, b2, gx, d, p)
        return *_of_first_layer(w2.unsqueeze(-2) * p), torch.bmm(g.mT, h), g.sum(dim=-2)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, v1: Tensor, c1: Tensor, v2: Tensor, c2: Tensor
    ) -> tuple[Tensor | None, ...]:
        g, x, h, w1, b1, w2, b2, gx, d, p = ctx.saved_tensors
        if torch.is_grad_enabled():
            by = _differentiably(x, (g, w1, b1, w2, b2), (v1, c1, v2, c2))
            return by[0], None, None, *by[1:]
        r = torch.baddbmm(c1.unsqueeze(-2), x, v1.mT).mul_(d)
        by_g = torch.baddbmm(c2.unsqueeze(-1), v2, h.mT).baddbmm_(w2, r.mT).mT
        by_w2 = torch.bmm(g.mT, r)
        q = torch.bmm(gx.mT, r.mul_(h)).view_as(p)
        by_first = _of_first_layer(v2.unsqueeze(-2) * p - 2 * w2.unsqueeze(-2) * q)
        return by_g, None, None, *by_first, by_w2, None


def _of_first_layer(products: Tensor) -> tuple[Tensor, Tensor]:
    """Return the parts of W1 [T, H, F] and b1 [T, H] in products [T, W, F + 1, H]."""
    whole = products.sum(dim=1)
    return whole[:, :-1].mT, whole[:, -1]


def _differentiably(x: Tensor, inputs: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the derivatives of <gradients of mlp, along> by `inputs`, with a graph: the rare third ones."""
    inputs = tuple(value.view_as(value) for value in inputs)  # none of them computed from another
    g, *values = inputs
    gradients = torch.autograd.grad(
        mlp(dict(zip(NAMES, values, strict=True)), x), values, g, create_graph=True
    )
    return torch.autograd.grad(gradients, inputs, along, create_graph=True, materialize_grads=True)


def _is_transformed(value: Tensor) -> bool:
    return torch._C._functorch.is_functorch_wrapped_tensor(value)  # pyright: ignore
