"""Policy gradients for many learners at once, each with its own task and its own settings.

The update is one pure function of the policy's parameters *and* of the settings: discount and lambda may be
tensors that require a gradient, and then the new parameters carry a graph to them. That is what lets
`meta.hyperparameters.online_settings` ask how the next return would change with the discount.

`PolicyGradientAgent` is the same learner for one Gymnasium environment; it tells the story better.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.rl.adam import Moments, adam_direction, no_moments
from mlearn_utils.rl.policies import Params, mlp, start_policy
from mlearn_utils.rl.returns import advantages
from mlearn_utils.rl.rollout import BatchEnv, Rollout, collect
from mlearn_utils.rl.surrogates import policy_loss
from mlearn_utils.runtime import check_integer, is_number, make_generator, next_seed
from mlearn_utils.tasks.cartpole import OBSERVATION_SCALE

History = list[dict[str, Any]]


def policy_logits(params: Params, rollout: Rollout, scale: Tensor) -> Tensor:
    """Return [T, S, E, A] the logits of T policies on their own episodes; `scale` divides observations."""
    return mlp(params, _scaled(rollout.obs, scale).flatten(1, 2)).unflatten(1, rollout.act.shape[1:])


def policy_update(
    params: Params,
    moments: Moments,
    rollout: Rollout,
    *,
    learning_rate: Tensor,
    gamma: Tensor,
    lam: Tensor,
    scale: Tensor,
    differentiable: bool = False,
) -> tuple[Params, Moments]:
    """Return parameters and memory after one Adam step of every learner on its policy loss.

    Args:
        params: [T, *] the policies that played `rollout`.
        moments: Adam's memory.
        rollout: episodes [T, S, E].
        learning_rate: [T] Adam's step sizes.
        gamma: [T] discounts.
        lam: [T] GAE's lambdas.
        scale: [F] what observations are divided by.
        differentiable: keep a graph from the new parameters to gamma and lam.
    """
    with torch.enable_grad():
        start = {name: value.detach().requires_grad_() for name, value in params.items()}
        # lesson 07's stored runs are of learners that also follow a batch that tells nothing
        adv = advantages(rollout, gamma=gamma[:, None, None], lam=lam[:, None, None], informed=False)
        loss = policy_loss(policy_logits(start, rollout, scale), rollout.act, adv, rollout.mask).sum()
        grads = torch.autograd.grad(loss, tuple(start.values()), create_graph=differentiable)
        direction, moments = adam_direction(dict(zip(start, grads, strict=True)), moments)
        new = {
            name: value.detach() - learning_rate.view(-1, *[1] * (value.ndim - 1)) * direction[name]
            for name, value in params.items()
        }
    kept = Moments(_detached(moments.first), _detached(moments.second), moments.updates)
    return (new if differentiable else _detached(new)), kept


def _scaled(obs: Tensor, scale: Tensor) -> Tensor:
    return (
        obs * scale.reciprocal()
    )  # a quotient rounds differently, and lesson 07's stored curves are of this


def _detached(params: Params) -> Params:
    return {name: value.detach() for name, value in params.items()}


class BatchedPolicyGradient:
    """T policy-gradient learners, one for each task of `env`, all playing and learning together.

    Args:
        env: T tasks x E environments, such as `BatchedCartPole`; E is the number of episodes a batch.
        learning_rate: Adam's step size, a number or [T].
        gamma: discount, a number or [T].
        lam: GAE's lambda, a number or [T].
        hidden: units of the hidden layer.
        scale: [F] what observations are divided by.
        seed: of the policies' start.

    Attributes:
        params: [T, *] the policies' parameters.
        history: one dict for each iteration: "return" [T], mean of the batch before its update.

    Raises:
        ValueError: if a setting is out of its range, or neither a number nor [T].
    """

    def __init__(
        self,
        env: BatchEnv,
        *,
        learning_rate: float | Tensor = 0.02,
        gamma: float | Tensor = 0.99,
        lam: float | Tensor = 0.97,
        hidden: int = 32,
        scale: tuple[float, ...] = OBSERVATION_SCALE,
        seed: int = 0,
    ):
        if np.shape(scale) != (env.num_features,) or not all(is_number(s) and 0 < s < np.inf for s in scale):
            raise ValueError(f"scale must be {env.num_features} finite numbers > 0, got {scale!r}")
        self.env, self.scale = env, torch.tensor(scale)
        self.learning_rate = _settings("learning_rate", learning_rate, env.num_tasks, high=float("inf"))
        self.gamma = _settings("gamma", gamma, env.num_tasks, high=1.0)
        self.lam = _settings("lam", lam, env.num_tasks, high=1.0)
        generator = make_generator(seed)
        starts = [
            start_policy(env.num_features, env.num_actions, hidden=hidden, generator=generator)
            for _ in range(env.num_tasks)
        ]
        self.params: Params = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
        self.moments = no_moments(self.params)
        self.history: History = []
        self._seed: int | None = None
        self._stream = torch.Generator()

    def train(self, iterations: int, *, seed: int | None = None) -> History:
        """Play and learn for `iterations` batches; return their rows of the history.

        Without a `seed`, or with the one used last, the random numbers go on; None is 0 at first.
        """
        check_integer("iterations", iterations, minimum=1)
        generator, begin = self._go_on(seed), len(self.history)
        for _ in range(iterations):
            rollout = self.play(generator)
            self.history.append({"return": rollout.episode_returns().mean(dim=-1)})
            self.params, self.moments = policy_update(
                self.params,
                self.moments,
                rollout,
                learning_rate=self.learning_rate,
                gamma=self.gamma,
                lam=self.lam,
                scale=self.scale,
            )
        return self.history[begin:]

    def _go_on(self, seed: int | None) -> torch.Generator:
        """Return the stream of random numbers of a further call of `train`."""
        seed = next_seed(seed, self._seed)
        if seed != self._seed:
            self._stream, self._seed = make_generator(seed), seed
        return self._stream

    def play(self, generator: torch.Generator, params: Params | None = None) -> Rollout:
        """Play one batch of episodes with the policies of `params`, by default the learners' own."""
        params = self.params if params is None else params
        return collect(self.env, lambda obs: mlp(params, _scaled(obs, self.scale)), generator=generator)


def _settings(name: str, value: float | Tensor, n_tasks: int, *, high: float) -> Tensor:
    if not (isinstance(value, Tensor) or all(map(is_number, np.ravel(value)))):
        raise ValueError(f"{name} must be a number or [{n_tasks}], got {value!r}")
    tensor = torch.as_tensor(value, dtype=torch.float32)
    if tensor.shape not in {torch.Size([]), torch.Size([n_tasks])}:
        raise ValueError(f"{name} must be a number or [{n_tasks}], got shape {list(tensor.shape)}")
    if not ((tensor >= 0) & (tensor <= high) & tensor.isfinite()).all():
        raise ValueError(f"{name} must be in [0, {high:g}], got {tensor}")
    return tensor.expand(n_tasks)
