r"""A network with one hidden layer for each of T tasks, and its first two derivatives by hand.

For one task, with rows x of N observations, hidden units h = tanh(x W1' + b1) and outputs z = h W2' + b2, and
with g the derivative of a loss by z, d = 1 - h^2, * a product by elements and j a hidden unit,

    dL/dW2 = g' h      dL/db2 = sum g      dL/dW1_j = sum_k W2_kj P_kj,  P_kj = sum_n g_nk d_nj x_n

and with a constant 1 beside x, dL/db1 is a column of dL/dW1. MAML differentiates these four once more. Along
directions V1, c1, V2, c2 of theirs, with r = d * (x V1' + c1), they change g, and by way of h also W1, by

    by g: c2 + h V2' + r W2'      by W2: g' r      by W1_j: sum_k V2_kj P_kj - 2 W2_kj sum_n g_nk h_nj r_nj x_n

That is a third of the passes over arrays [T, N, H] which autograd makes, and nearly all of the time.

Reference: Pearlmutter (1994), "Fast exact multiplication by the Hessian".
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mlearn_utils.rl.policies import Params, mlp

TASKS_AT_ONCE = 5
NAMES = ("0.weight", "0.bias", "2.weight", "2.bias")


def is_shallow(params: Params, x: Tensor) -> bool:
    """Return whether `shallow_mlp` serves these: one set of parameters [T, *] for each task, a hidden layer.

    Not where x requires a gradient, inside transforms such as torch.vmap, and where observations and outputs
    are so many that this would be slower.
    """
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
        h, z = x.new_empty(*x.shape[:2], w1.shape[1]), x.new_empty(len(x), w2.shape[1], x.shape[1])
        for h_, z_, x_, w1_, b1_, w2_, b2_ in _parts(h, z, x, w1.mT, b1[:, None], w2, b2[..., None]):
            torch.baddbmm(b1_, x_, w1_, out=h_).tanh_()
            torch.baddbmm(b2_, w2_, h_.mT, out=z_)
        ctx.save_for_backward(x, h, w1, b1, w2, b2)
        return z.mT

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        return None, *_Gradients.apply(g, *ctx.saved_tensors)  # pyright: ignore


class _Gradients(torch.autograd.Function):
    """Derivatives by the outputs -> derivatives by the parameters, which is differentiable as well."""

    @staticmethod
    def forward(
        ctx: Any, g: Tensor, x: Tensor, h: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
    ) -> tuple[Tensor, ...]:
        rows, gx = g.mT.contiguous(), _products(g, x)
        p, by_w2, one = h.new_empty(len(h), gx.shape[2], h.shape[2]), torch.empty_like(w2), h.new_ones(())
        d = None
        for p_, by_w2_, rows_, gx_, h_ in _parts(p, by_w2, rows, gx.mT, h):
            d = torch.empty_like(h_) if d is None or len(d) != len(h_) else d
            torch.bmm(rows_, h_, out=by_w2_)
            torch.bmm(gx_, torch.addcmul(one, h_, h_, value=-1, out=d), out=p_)
        p = p.unflatten(1, (w2.shape[1], -1))  # [T, W, F + 1, H]
        ctx.save_for_backward(g, x, h, w1, b1, w2, b2, rows, gx, p)
        first = (w2.unsqueeze(-2) * p).sum(dim=1)  # [T, F + 1, H]
        return first[:, :-1].mT, first[:, -1], by_w2, rows.sum(dim=-1)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, v1: Tensor, c1: Tensor, v2: Tensor, c2: Tensor
    ) -> tuple[Tensor | None, ...]:
        g, x, h, w1, b1, w2, b2, rows, gx, p = ctx.saved_tensors
        if torch.is_grad_enabled():
            by = _differentiably(x, (g, w1, b1, w2, b2), (v1, c1, v2, c2))
            return by[0], None, None, *by[1:]
        by_g, q, by_w2 = torch.empty_like(rows), torch.empty_like(p), torch.empty_like(w2)
        r = s = None
        for by_g_, q_, by_w2_, x_, h_, rows_, gx_, w2_, v1_, c1_, v2_, c2_ in _parts(
            by_g, q.flatten(1, 2), by_w2, x, h, rows, gx.mT, w2, v1.mT, c1[:, None], v2, c2[..., None]
        ):
            if r is None or len(r) != len(h_):
                r, s = torch.empty_like(h_), torch.empty_like(h_)
            torch.baddbmm(c1_, x_, v1_, out=r)
            r.addcmul_(torch.mul(r, h_, out=s), h_, value=-1)
            torch.baddbmm(c2_, v2_, h_.mT, out=by_g_).baddbmm_(w2_, r.mT)
            torch.bmm(rows_, r, out=by_w2_)
            torch.bmm(gx_, torch.mul(r, h_, out=s), out=q_)
        first = (v2.unsqueeze(-2) * p - 2 * w2.unsqueeze(-2) * q).sum(dim=1)
        return by_g.mT, None, None, first[:, :-1].mT, first[:, -1], by_w2, None


def _products(g: Tensor, x: Tensor) -> Tensor:
    """Return each output's derivative times each feature and 1: [T, N, W (F + 1)]."""
    ones = torch.ones((), dtype=x.dtype, device=x.device).expand(*x.shape[:2], 1)
    return (g.unsqueeze(-1) * torch.cat((x, ones), dim=-1).unsqueeze(-2)).flatten(-2)


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split tensors [T, ...] into those of a few tasks, whose hidden units fit the processor's cache."""
    n_parts = -(-len(tensors[0]) // TASKS_AT_ONCE)
    return zip(*(value.chunk(n_parts) for value in tensors), strict=True)


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
