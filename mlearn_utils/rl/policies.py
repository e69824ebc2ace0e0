"""Policies over discrete actions: logits from a small network, actions and log-probabilities from logits.

Logits are [..., A]. For two actions one logit is enough: with A = 1 it is that of action 1 against
action 0, P(1) = sigmoid(logit). Every function below takes both forms.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from mlearn_utils.runtime import check_integer

Params = dict[str, Tensor]


def init_mlp(sizes: Sequence[int], *, generator: torch.Generator) -> Params:
    """Return the parameters of a multilayer perceptron, named as those of nn.Sequential(Linear, Tanh, ...).

    Weights and biases are uniform in +-1/sqrt(inputs), as in nn.Linear; the last layer is a hundred times
    smaller, so that the first policy tries all actions alike.

    Args:
        sizes: features, hidden units of each layer, outputs; e.g. (4, 32, 1).
        generator: CPU generator to draw from.

    Raises:
        ValueError: if there are fewer than two sizes, or one is not positive.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes must be two or more positive integers, got {tuple(sizes)}")
    params: Params = {}
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        bound = n_in**-0.5 * (0.01 if layer == len(sizes) - 2 else 1.0)
        for name, shape in (("weight", (n_out, n_in)), ("bias", (n_out,))):
            params[f"{2 * layer}.{name}"] = bound * (2 * torch.rand(shape, generator=generator) - 1)
    return params


def start_policy(
    num_features: int, num_actions: int, *, hidden: int | Sequence[int], generator: torch.Generator
) -> Params:
    """Return the parameters of a policy over discrete actions; for two of them it has a single logit.

    Args:
        num_features: F of the observations.
        num_actions: A.
        hidden: tanh units of the hidden layer, or of each hidden layer.
        generator: CPU generator to draw from.
    """
    outputs = 1 if num_actions == 2 else num_actions
    return init_mlp((num_features, *hidden_units(hidden), outputs), generator=generator)


def hidden_units(hidden: object) -> tuple[int, ...]:
    """Return the units of each hidden layer, from one number or a sequence of them.

    Raises:
        ValueError: if one is not an integer >= 1.
    """
    units = tuple(hidden) if isinstance(hidden, Sequence) and not isinstance(hidden, str) else (hidden,)
    for each in units:
        check_integer("hidden", each, minimum=1, expected="an integer >= 1, or one for each hidden layer")
    return tuple(int(each) for each in units)  # pyright: ignore[reportArgumentType]


def mlp(params: Params, x: Tensor) -> Tensor:
    """Return the outputs of a multilayer perceptron with tanh between its layers.

    Args:
        params: as `init_mlp` makes them, shared ([*]) or one set for each task ([T, *]); others beside them
            are not used.
        x: [..., N, F]; [T, N, F] with one set for each task (flatten [T, S, E, F] over S and E first).

    Returns:
        [..., N, A].
    """
    first, *others = _layers(params)
    x = _linear(x, *first)
    for layer in others:
        x = _linear(torch.tanh(x), *layer)
    return x


def fixed_mlp(params: Params) -> Callable[[Tensor], Tensor]:
    """Return `mlp` at parameters that stay as they are, without a graph to them, for the steps of a rollout.

    Args:
        params: as for `mlp`. They are laid out for the products once, and not at every step.
    """
    layers = [(weight.detach(), bias.detach()) for weight, bias in _layers(params)]
    shared = layers[0][0].ndim == 2
    if not shared:
        layers = [(weight.mT.contiguous(), bias.unsqueeze(-2)) for weight, bias in layers]
    first, *others = layers

    def affine(x: Tensor, layer: tuple[Tensor, Tensor]) -> Tensor:
        return F.linear(x, *layer) if shared else torch.baddbmm(layer[1], x, layer[0])

    def outputs(x: Tensor) -> Tensor:
        x = affine(x, first)
        for layer in others:
            x = affine(x.tanh_(), layer)
        return x

    return outputs


def _layers(params: Params) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of each layer, the first one first."""
    names = [f"{2 * layer}." for layer in range(sum(name.endswith(".weight") for name in params))]
    return [(params[f"{name}weight"], params[f"{name}bias"]) for name in names]


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x w' + b for shared weights [O, I] or those of each task [T, O, I], in one operation."""
    if weight.ndim == 2:
        return F.linear(x, weight, bias)
    return torch.baddbmm(bias.unsqueeze(-2), x, weight.mT)


def choose(logits: Tensor, uniform: Tensor) -> Tensor:
    """Return actions [...], sampled by pushing uniform numbers through the inverse distribution function.

    Args:
        logits: [..., A], or [..., 1] for two actions.
        uniform: [...] in [0, 1); the same numbers give the same actions.
    """
    if logits.shape[-1] == 1:
        return (uniform < torch.sigmoid(logits[..., 0])).long()
    below = torch.softmax(logits, dim=-1).cumsum(dim=-1)[..., :-1]
    return (uniform.unsqueeze(-1) >= below).sum(dim=-1)


def choose_best(logits: Tensor) -> Tensor:
    """Return the most probable actions [...] of logits [..., A]."""
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).long()
    return logits.argmax(dim=-1)


def log_prob(logits: Tensor, action: Tensor) -> Tensor:
    """Return log pi(action) [...] of logits [..., A]; differentiable any number of times.

    Args:
        logits: [..., A], or [..., 1] for two actions.
        action: [...] integers.
    """
    if logits.shape[-1] == 1:
        return F.logsigmoid(logits[..., 0] * (2 * action - 1))
    return torch.log_softmax(logits, dim=-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy [...] (nats) of the policy at logits [..., A]."""
    if logits.shape[-1] == 1:
        logits = torch.cat((torch.zeros_like(logits), logits), dim=-1)
    logp = torch.log_softmax(logits, dim=-1)
    return -(logp.exp() * logp).sum(dim=-1)
