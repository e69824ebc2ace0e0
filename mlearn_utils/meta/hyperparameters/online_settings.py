r"""Discount and lambda adjusted while a policy learns, by the gradient through its own update.

An update turns parameters theta into theta'(eta), eta = (gamma, lambda). How good the settings were is asked
of the *next* batch of episodes, judged by fixed settings: with J' the policy loss there,

    dJ'/d eta = (d theta' / d eta)^T grad J'(theta')        and   eta <- eta - meta_lr * dJ'/d eta

The next batch is the one that would have been played anyway, so the episodes cost nothing. The first factor
needs a graph through the update; the memory of its optimizer counts as constant, as do all updates before
the last, so that the gradient is a short-sighted one.

Reference: Xu, van Hasselt & Silver (2018), "Meta-gradient reinforcement learning",
https://arxiv.org/abs/1805.09801, equations 4, 5 and 12. They carry a decaying trace over past updates; here
its decay is 0, as in most of their experiments.
"""

from typing import Any

import torch
from torch import Tensor

from mlearn_utils.rl.batched_policy_gradient import (
    BatchedPolicyGradient,
    History,
    policy_logits,
    policy_update,
)
from mlearn_utils.rl.policies import Params
from mlearn_utils.rl.returns import advantages
from mlearn_utils.rl.rollout import BatchEnv, Rollout
from mlearn_utils.rl.surrogates import policy_loss
from mlearn_utils.runtime import check_fraction, check_integer, check_not_negative


class OnlineSettings(BatchedPolicyGradient):
    """T policy-gradient learners that adjust their own gamma and lambda.

    Args:
        env: T tasks x E environments.
        learning_rate: Adam's step size of the policy, a number or [T].
        gamma: first discount in (0, 1), a number or [T].
        lam: first lambda in (0, 1), a number or [T].
        meta_lr: Adam's step size of logit(gamma) and logit(lambda); 0 keeps both as they are.
        judge_gamma: discount by which the settings are judged.
        judge_lam: lambda by which the settings are judged.
        hidden: units of the hidden layer.
        seed: of the policies' start.

    Attributes:
        history: one dict for each iteration: "return", "gamma" and "lam", each [T], before its update.

    Raises:
        ValueError: if a setting is out of its range; a first gamma or lambda of exactly 0 or 1 cannot move.
    """

    def __init__(
        self,
        env: BatchEnv,
        *,
        learning_rate: float | Tensor = 0.02,
        gamma: float | Tensor = 0.9,
        lam: float | Tensor = 0.9,
        meta_lr: float = 0.1,
        judge_gamma: float = 1.0,
        judge_lam: float = 1.0,
        hidden: int = 32,
        seed: int = 0,
    ):
        super().__init__(env, learning_rate=learning_rate, gamma=gamma, lam=lam, hidden=hidden, seed=seed)
        for name, value in (("gamma", self.gamma), ("lam", self.lam)):
            if not ((value > 0) & (value < 1)).all():
                raise ValueError(f"{name} must lie inside (0, 1) to be adjusted, got {value}")
        check_not_negative("meta_lr", meta_lr, "finite and >= 0")
        check_fraction("judge_gamma", judge_gamma)
        check_fraction("judge_lam", judge_lam)
        self.judge_gamma, self.judge_lam = judge_gamma, judge_lam
        self.eta = torch.stack([torch.logit(self.gamma), torch.logit(self.lam)]).requires_grad_()
        self._meta_optimizer = torch.optim.Adam([self.eta], lr=float(meta_lr))

    def train(self, iterations: int, *, seed: int | None = None) -> History:
        """Play and learn for `iterations` batches; return their rows of the history.

        `seed` as in `BatchedPolicyGradient.train`. Settings are adjusted between two batches of one call.
        """
        check_integer("iterations", iterations, minimum=1)
        generator, begin = self._go_on(seed), len(self.history)
        rollout = self.play(generator)
        for k in range(iterations):
            gamma, lam = torch.sigmoid(self.eta)
            self.history.append(
                {
                    "return": rollout.episode_returns().mean(dim=-1),
                    "gamma": gamma.detach(),
                    "lam": lam.detach(),
                }
            )
            params, self.moments = policy_update(
                self.params,
                self.moments,
                rollout,
                learning_rate=self.learning_rate,
                gamma=gamma,
                lam=lam,
                scale=self.scale,
                differentiable=True,
            )
            self.params = {name: value.detach() for name, value in params.items()}
            if k == iterations - 1:
                break
            rollout = self.play(generator)
            self.eta.grad = self.settings_gradient(params, rollout)
            self._meta_optimizer.step()
        return self.history[begin:]

    def settings_gradient(self, params: Params, rollout: Rollout) -> Tensor:
        """Return [2, T] the derivative of the judged loss on `rollout` by logit(gamma) and logit(lambda).

        Args:
            params: [T, *] the updated policies, with their graph to the settings.
            rollout: episodes that these policies played.
        """
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        adv = advantages(rollout, gamma=self.judge_gamma, lam=self.judge_lam)
        loss = policy_loss(policy_logits(leaves, rollout, self.scale), rollout.act, adv, rollout.mask).sum()
        slopes: tuple[Any, ...] = torch.autograd.grad(loss, tuple(leaves.values()))
        return torch.autograd.grad(tuple(params.values()), self.eta, slopes)[0]
