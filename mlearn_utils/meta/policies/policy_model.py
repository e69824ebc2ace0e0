"""What makes actions of observations: a network and a kind of actions, for one policy or for T of them."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mlearn_utils.meta.losses import Params, for_every_task
from mlearn_utils.meta.modules import call_module
from mlearn_utils.rl.actions import Actions, GaussianActions
from mlearn_utils.rl.policies import fixed_mlp, hidden_units, init_mlp, mlp
from mlearn_utils.rl.shallow_mlp import is_shallow, shallow_mlp

LOG_STD = "log_std"
"""Name of the logarithms of the standard deviations [D] among the parameters of a Gaussian policy."""


class PolicyModel:
    """Observations [..., N, F] -> action parameters [..., N, W], as a function of its parameters.

    Args:
        shape: of one observation; networks of one's own get [N, *shape].
        actions: the kind of actions.
        hidden: tanh units of each hidden layer; not used with a network of one's own.
        network: a module from observations to action parameters, or, for continuous actions, to their means
            alone. It is copied, and never trained itself.
        center: [F] what is subtracted from observations.
        scale: [F] what they are then divided by.

    Raises:
        TypeError: if `network` is no module.
        ValueError: if it returns another shape for observations of zeros, or has no parameter that learns.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        actions: Actions,
        *,
        hidden: int | Sequence[int] = 32,
        network: nn.Module | None = None,
        center: Tensor,
        scale: Tensor,
    ) -> None:
        self.shape, self.actions, self.hidden = shape, actions, hidden_units(hidden)
        self.center, self.scale = center, scale
        self.network = None if network is None else _checked(network, shape, actions, scale.device)
        means_only = isinstance(actions, GaussianActions)
        if self.network is not None:
            means_only = means_only and _width(self.network, shape, scale.device) < actions.width
        self.has_log_std = means_only

    def start(self, generator: torch.Generator, *, log_std: float) -> Params:
        """Return parameters to start from, on the CPU: random ones, or those of the network given."""
        if self.network is not None:
            params = {
                name: value.detach().cpu().clone()
                for name, value in self.network.named_parameters()
                if value.requires_grad
            }
        else:
            width = self.actions.size if isinstance(self.actions, GaussianActions) else self.actions.width
            sizes = (self.scale.numel(), *self.hidden, width)
            params = init_mlp(sizes, generator=generator)
        if self.has_log_std and isinstance(self.actions, GaussianActions):
            params[LOG_STD] = torch.full((self.actions.size,), float(log_std))
        return params

    def scaled(self, obs: Tensor) -> Tensor:
        """Return observations [..., F] as the network sees them."""
        return (obs - self.center) / self.scale

    def outputs(self, params: Params, x: Tensor) -> Tensor:
        """Return action parameters for scaled observations: [N, W] for [N, F], [T, N, W] for [T, N, F].

        Args:
            params: [*] of one policy, or [T, *] of T, each with its own [N, F].
            x: scaled observations.
        """
        weights = _weights(params)
        if self.network is not None:
            return self._with_log_std(params, self._of_network(weights, x))
        return self._with_log_std(params, (shallow_mlp if is_shallow(weights, x) else mlp)(weights, x))

    def fixed(self, params: Params) -> Callable[[Tensor], Tensor]:
        """Return a function of observations [T, E, F], not scaled, to `outputs` of parameters that stay."""
        values = {name: value.detach() for name, value in params.items()}
        weights, centered = _weights(values), bool(self.center.any())
        center, scale = self.center, self.scale
        apply = fixed_mlp(weights) if self.network is None else partial(self._of_network, weights)

        def outputs(obs: Tensor) -> Tensor:
            return self._with_log_std(values, apply((obs - center if centered else obs) / scale))

        return outputs

    def log_probs(self, params: Params, x: Tensor, act: Tensor) -> Tensor:
        """Return log pi(act | x) of scaled observations, [T, S, E] for T policies and x [T, S, E, F]."""
        first = x.ndim - 3  # 0 for one policy and x [S, E, F]
        outputs = self.outputs(params, x.flatten(first, first + 1))
        return self.actions.log_prob(outputs.unflatten(first, x.shape[first : first + 2]), act)

    def _with_log_std(self, params: Params, out: Tensor) -> Tensor:
        if not self.has_log_std:
            return out
        return torch.cat((out, params[LOG_STD].unsqueeze(-2).expand_as(out)), dim=-1)

    def _of_network(self, params: Params, x: Tensor) -> Tensor:
        network = self.network
        assert network is not None
        x, leading = x.unflatten(-1, self.shape), x.shape[:-1]

        def one(params: Params, batch: tuple[Tensor, ...]) -> Tensor:
            return call_module(network, params, batch[0])

        name, own = next((name, value) for name, value in network.named_parameters() if value.requires_grad)
        if params[name].ndim == own.ndim:
            return one(params, (x.reshape(-1, *self.shape),)).reshape(*leading, -1)
        return for_every_task(one, params, (x,))


def _weights(params: Params) -> Params:
    return {name: value for name, value in params.items() if name != LOG_STD}


def _checked(network: nn.Module, shape: tuple[int, ...], actions: Actions, device: torch.device) -> nn.Module:
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, got {network!r}")
    if not any(value.requires_grad for value in network.parameters()):
        raise ValueError("network must have parameters that learn (requires_grad)")
    own = copy.deepcopy(network).to(device)
    widths = {actions.width, getattr(actions, "size", actions.width)}
    if actions.width == 1:
        widths.add(2)
    found = _width(own, shape, device)
    if found not in widths:
        raise ValueError(
            f"network must return {' or '.join(map(str, sorted(widths)))} numbers for each observation of "
            f"[N, {', '.join(map(str, shape))}], got {found or 'another shape than [N, W]'}"
        )
    return own


def _width(network: nn.Module, shape: tuple[int, ...], device: torch.device) -> int:
    """Return W, or 0 where a network does not return [N, W] for two observations of zeros."""
    with torch.no_grad():
        out = network(torch.zeros(2, *shape, device=device))
    return out.shape[1] if isinstance(out, Tensor) and out.ndim == 2 and len(out) == 2 else 0
