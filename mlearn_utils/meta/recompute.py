"""Inner steps that keep nothing but where they started, and are taken once more when they are differentiated.

Differentiating K inner steps needs what each of them computed: activations, their derivatives, products. A
recomputed step keeps its arguments only, the parameters [T, *] of every task before it, and computes the rest
anew in the backward pass. That costs about one more inner loop; the gradient is the same.

Reference: Chen, Xu, Zhang & Guestrin 2016, "Training Deep Nets with Sublinear Memory Cost",
https://arxiv.org/abs/1604.06174, section 4.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

Step = Callable[..., Any]
"""A function of arguments that may hold tensors, to values that may hold tensors."""


def recomputed(step: Step, *arguments: Any) -> Any:
    """Return step(*arguments); its graph keeps the arguments alone. The result has one derivative, not two.

    Args:
        step: called with the arguments, once more for each derivative; it must depend on nothing else that
            requires a gradient.
        arguments: tensors, anything else, and dicts, lists and tuples of both.
    """
    flat, form = tree_flatten(arguments)
    places = [k for k, value in enumerate(flat) if isinstance(value, Tensor)]

    def run(tensors: tuple[Tensor, ...]) -> tuple[list[Any], Any]:
        values = list(flat)
        for k, tensor in zip(places, tensors, strict=True):
            values[k] = tensor
        return tree_flatten(step(*tree_unflatten(values, form)))

    shape: list[Any] = []
    tensors = _Recomputed.apply(run, shape, *[flat[k] for k in places])
    result, result_form = shape
    found = iter(tensors)
    return tree_unflatten(
        [next(found) if isinstance(value, torch.Size) else value for value in result], result_form
    )


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Any, shape: list[Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.run = run
        ctx.save_for_backward(*tensors)
        values, form = run(tuple(tensor.detach() for tensor in tensors))
        shape += [[value.shape if isinstance(value, Tensor) else value for value in values], form]
        return tuple(value for value in values if isinstance(value, Tensor))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        needed = ctx.needs_input_grad[2:]
        tensors = tuple(
            tensor.detach().requires_grad_(need)
            for tensor, need in zip(ctx.saved_tensors, needed, strict=True)
        )
        with torch.enable_grad():
            values = [value for value in ctx.run(tensors)[0] if isinstance(value, Tensor)]
        pairs = [(value, grad) for value, grad in zip(values, grads, strict=True) if value.requires_grad]
        inputs = [tensor for tensor, need in zip(tensors, needed, strict=True) if need]
        found = iter(
            torch.autograd.grad(
                [value for value, _ in pairs], inputs, [grad for _, grad in pairs], allow_unused=True
            )
        )
        return None, None, *(next(found) if need else None for need in needed)
