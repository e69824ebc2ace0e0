"""Backpropagation through learning, by hand: the meta-gradient of a ReLU network without autograd.

A network of linear layers with ReLU between them is fitted to every task by plain gradient steps on the mean
squared error; how does the error afterwards depend on the start? A layer keeps its bias as one more column
of its weights, and its input one more unit that is always 1. With a_l the input of layer l, d_l the
derivative of the loss with respect to its output, m_l = [a_l > 0] and c = 2 / (number of outputs):

    forward             z_l = a_l W_l',       a_{l+1} = max(z_l, 0)
    backward            d_L = c (z_L - y),    d_{l-1} = (d_l W_l) * m_l
    gradient            G_l = d_l' a_l
    inner step          W_l <- W_l - inner_lr G_l

The meta-gradient walks the steps backwards: V starts as the gradient of the query loss, and each step turns
it into V - inner_lr H V. H V is the derivative of G in the direction V. It needs no H: differentiate the
lines above one by one, writing rx for the derivative of x in this direction (ra_0 = 0: data do not move):

    forward             rz_l = a_l V_l' + ra_l W_l',      ra_{l+1} = rz_l * m_{l+1}
    backward            rd_L = c rz_L,        rd_{l-1} = (rd_l W_l + d_l V_l) * m_l
    Hessian times V     (H V)_l = rd_l' a_l + d_l' ra_l

What makes it fast: the first step has the same weights for all tasks, so it is one flat product; the last
product of the walk is summed over tasks in the same way; and a matrix that is a sum of few outer products
left' right (`Weights`) is never built, where multiplying by the factors takes less work.

References: Pearlmutter 1994, "Fast Exact Multiplication by the Hessian", section 3; Finn, Abbeel & Levine
2017, https://arxiv.org/abs/1703.03400, section 2.2.
"""

from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.meta import checks
from mlearn_utils.meta.losses import Params
from mlearn_utils.meta.plain import is_plain
from mlearn_utils.runtime import check_integer, check_not_negative
from mlearn_utils.tasks.regression import TaskBatch

Array = np.ndarray[Any, Any]


class Weights:
    """One layer's matrix of every task, whole + left' right: some of it whole, some as a few outer products.

    Args:
        whole: [m, n], the same for all tasks, or [T, m, n]; None for 0.
        pair: (left [T, r, m], right [T, r, n]), or None.
    """

    def __init__(self, whole: Array | None, pair: tuple[Array, Array] | None = None) -> None:
        self.whole, self.pair = whole, pair

    def forward(self, a: Array) -> Array:
        """Return a W' [T, K, m] for the inputs a [T, K, n]."""
        terms = [] if self.whole is None else [_times(a, self.whole.mT)]
        if self.pair is not None:
            left, right = self.pair
            terms.append(_times(_times(a, right.mT), left))
        return reduce(np.add, terms)

    def backward(self, d: Array) -> Array:
        """Return d W [T, K, n] for derivatives d [T, K, m]."""
        terms = [] if self.whole is None else [_times(d, self.whole)]
        if self.pair is not None:
            left, right = self.pair
            terms.append(_times(_times(d, left.mT), right))
        return reduce(np.add, terms)

    def plus(self, *pairs: tuple[Array, Array], factored: bool) -> "Weights":
        """Return W + left' right for each (left, right): as a pair, or multiplied out."""
        pairs = (self.pair, *pairs) if factored and self.pair is not None else pairs
        left, right = pairs[0]
        if len(pairs) > 1:
            left, right = (np.concatenate([pair[side] for pair in pairs], 1) for side in (0, 1))
        if factored:
            return Weights(self.whole, (left, right))
        return Weights(left.mT @ right if self.whole is None else self.whole + left.mT @ right)

    def sum(self) -> Array:
        """Return the sum over tasks [m, n] of matrices that are not the same for all."""
        terms = [] if self.whole is None else [self.whole.sum(0)]
        if self.pair is not None:
            left, right = self.pair
            terms.append(_rows(left).T @ _rows(right))
        return reduce(np.add, terms)


def _rows(a: Array) -> Array:
    return a.reshape(-1, a.shape[-1])


def _times(a: Array, w: Array) -> Array:
    """Return a w [T, K, q] for a [T, K, p] and a matrix w [p, q] for all tasks, or [T, p, q]."""
    if w.shape[-2] == 1:
        return a * w
    return a @ w if w.ndim == 3 else (_rows(a) @ w).reshape(*a.shape[:-1], w.shape[-1])


def _backpropagate(
    weights: list[Weights], a: Array, y: Array
) -> tuple[list[Array], list[Array], list[Array], Array]:
    """Return every layer's inputs a, their masks m, derivatives d, and the error z_L - y."""
    inputs = [a]
    for w in weights[:-1]:
        z = w.forward(inputs[-1])
        inputs.append(np.maximum(z, 0, out=z))
    error = weights[-1].forward(inputs[-1]) - y
    masks = [np.sign(a) for a in inputs[1:]]
    derivatives = [error * (2 / error[0].size)]
    for w, mask in zip(weights[:0:-1], masks[::-1], strict=True):
        mask[..., -1] = 0  # the unit that is always 1
        derivatives.append(w.backward(derivatives[-1]) * mask)
    return inputs, masks, derivatives[::-1], error


def _hessian_times(
    v: list[Weights], weights: list[Weights], inputs: list[Array], masks: list[Array], ds: list[Array]
) -> list[list[tuple[Array, Array]]]:
    """Return H V for every layer as pairs (left, right): it is the sum of left' right."""
    rz, r_inputs = v[0].forward(inputs[0]), []
    for k, mask in enumerate(masks, 1):
        r_inputs.append(rz * mask)
        rz = v[k].forward(inputs[k]) + weights[k].forward(r_inputs[-1])
    rd, pairs = rz * (2 / rz[0].size), []
    for k in range(len(weights) - 1, 0, -1):
        pairs.append([(rd, inputs[k]), (ds[k], r_inputs[k - 1])])
        rd = (weights[k].backward(rd) + v[k].backward(ds[k])) * masks[k - 1]
    return [[(rd, inputs[0])], *pairs[::-1]]


def summed_gradient(
    start: list[Array],
    support: tuple[Array, Array],
    query: tuple[Array, Array],
    inner_lr: float,
    steps: int,
    first_order: bool,
) -> tuple[Array, list[Array]]:
    """Return the sum over tasks of the query losses after adaptation, and its gradient for each layer.

    Args:
        start: matrices [m, n] of the layers, as `_with_units` returns them.
        support: x [T, K, n], its last column 1, and y [T, K, m].
        query: likewise.
        inner_lr: inner step size.
        steps: inner steps.
        first_order: leave out every H V.
    """
    rank = steps * support[0].shape[1]
    factored = [rank * sum(matrix.shape) <= matrix.size for matrix in start]
    weights, path = [Weights(matrix) for matrix in start], []
    for _ in range(steps):
        inputs, masks, ds, _ = _backpropagate(weights, *support)
        if not first_order:
            path.append((weights, inputs, masks, ds))
        weights = [
            w.plus((-inner_lr * d, a), factored=f)
            for w, d, a, f in zip(weights, ds, inputs, factored, strict=True)
        ]
    inputs, _, ds, error = _backpropagate(weights, *query)
    v = [
        Weights(None).plus((d, a), factored=f or not path)
        for d, a, f in zip(ds, inputs, factored, strict=True)
    ]
    while path:
        products = _hessian_times(v, *path.pop())
        v = [
            v_l.plus(*[(-inner_lr * left, right) for left, right in pairs], factored=f or not path)
            for v_l, pairs, f in zip(v, products, factored, strict=True)
        ]
    return np.square(error).mean((1, 2)).sum(), [v_l.sum() for v_l in v]


def meta_gradient_by_hand(
    params: Params, tasks: TaskBatch, *, inner_lr: float, steps: int = 1, first_order: bool = False
) -> tuple[Tensor, Params]:
    """Return what `maml.meta_gradient` returns for a ReLU network and the mean squared error: loss, gradient.

    `maml.meta_gradient` takes this way by itself where it can.

    Args:
        params: weights [m, n] and biases [m] of linear layers, as an `nn.Sequential` of `nn.Linear` with
            `nn.ReLU` between them names them: "0.weight", "0.bias", "2.weight", ...
        tasks: support and query of T tasks, each x [T, K, inputs] and y [T, K, outputs].
        inner_lr: inner step size.
        steps: inner steps.
        first_order: drop the second derivatives.

    Returns:
        The mean query loss () and its gradient by parameter name, in the dtype of the parameters.

    Raises:
        ValueError: if a number is out of range, or names and shapes are not those of such a network and its
            data, on the CPU and all of float32 or all of float64.
        TypeError: if `params` or `tasks` are not of the type stated.
    """
    checks.check_parameters(params)
    n_tasks = checks.count_task_pairs(tasks)
    check_integer("steps", steps, minimum=0)
    check_not_negative("inner_lr", inner_lr, "finite and >= 0")
    layers = [(f"{2 * k}.weight", f"{2 * k}.bias") for k in range((len(params) + 1) // 2)]
    if not fit(layers, params, tasks):
        shapes = {name: list(value.shape) for name, value in params.items()}
        data = [[list(tensor.shape) for tensor in batch] for batch in tasks]
        raise ValueError(
            "params and tasks must be those of linear layers (0.weight [m, n], 0.bias [m], 2.weight, ...)  "
            "and x [T, K, inputs] and y [T, K, outputs], on the CPU and all float32 or all float64; "
            f"got params {shapes}, tasks {data}"
        )
    means = mean_gradient_of(layers, params, tasks, n_tasks, float(inner_lr), int(steps), bool(first_order))
    return as_tensors(layers, params, means)


def _is_lazy(tensor: Tensor) -> bool:
    """Return whether numpy cannot read the memory of a tensor as it is."""
    return tensor.is_neg() or tensor._is_zerotensor()


def fit(layers: list[tuple[str, str]], params: Params, tasks: TaskBatch) -> bool:
    """Return whether parameters and data are those of these layers, plain and on the CPU."""
    if not isinstance(params, dict) or params.keys() != {name for pair in layers for name in pair}:
        return False
    if not all(isinstance(part, tuple) for part in (tasks, *tasks)) or [len(part) for part in tasks] != [
        2,
        2,
    ]:
        return False
    tensors = (*tasks[0], *tasks[1], *params.values())
    if not is_plain(*tensors) or tensors[0].device.type != "cpu" or any(map(_is_lazy, tensors)):
        return False
    if any(tensor.ndim != 3 or 0 in tensor.shape for tensor in tensors[:4]):
        return False
    width = n_inputs = tasks[0][0].shape[2]
    for weight, bias in layers:
        shape = params[weight].shape
        if len(shape) != 2 or shape[1] != width or 0 in shape or params[bias].shape != shape[:1]:
            return False
        width = shape[0]
    n_tasks = tasks[0][0].shape[0]
    return all(
        x.shape == (n_tasks, x.shape[1], n_inputs) and y.shape == (n_tasks, x.shape[1], width)
        for x, y in tasks
    )


def mean_gradient_of(
    layers: list[tuple[str, str]],
    params: Params,
    tasks: TaskBatch,
    chunk_size: int,
    inner_lr: float,
    steps: int,
    first_order: bool,
) -> list[Array]:
    """Return the mean loss and its gradient for each layer, from sums over chunks of tasks in float64."""
    start = [
        _with_units(params[weight].detach().numpy(), params[bias].detach().numpy(), last=k == len(layers) - 1)
        for k, (weight, bias) in enumerate(layers)
    ]
    (x, y), (xq, yq) = [[tensor.detach().numpy() for tensor in batch] for batch in tasks]
    n_tasks, sums = x.shape[0], []
    with np.errstate(all="ignore"):
        for first in range(0, n_tasks, chunk_size):
            part = slice(first, first + chunk_size)
            support, query = (_with_ones(x[part]), y[part]), (_with_ones(xq[part]), yq[part])
            loss, gradients = summed_gradient(start, support, query, inner_lr, steps, first_order)
            found = [loss, *gradients]
            if chunk_size < n_tasks:
                found = [value.astype(np.float64) for value in found]
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
        return [(value / n_tasks).astype(x.dtype, copy=False) for value in sums]


def as_tensors(layers: list[tuple[str, str]], params: Params, means: list[Array]) -> tuple[Tensor, Params]:
    """Return the loss () and the gradient by name of what `mean_gradient_of` found."""
    gradient = {}
    for (weight, bias), mean in zip(layers, means[1:], strict=True):
        n_outputs = params[bias].shape[0]
        gradient[weight] = torch.from_numpy(mean[:n_outputs, :-1].copy())
        gradient[bias] = torch.from_numpy(mean[:n_outputs, -1].copy())
    return torch.from_numpy(means[0].reshape(1))[0], {name: gradient[name] for name in params}


def _with_units(weight: Array, bias: Array, *, last: bool) -> Array:
    """Return [[weight, bias], [0, 1]], a layer with one more unit that is 1; without [0, 1] for the last."""
    n_outputs, n_inputs = weight.shape
    matrix = np.zeros((n_outputs + (not last), n_inputs + 1), weight.dtype)
    matrix[:n_outputs, :-1], matrix[:n_outputs, -1] = weight, bias
    if not last:
        matrix[-1, -1] = 1
    return matrix


def _with_ones(x: Array) -> Array:
    return np.concatenate((x, np.ones((*x.shape[:2], 1), x.dtype)), 2)
