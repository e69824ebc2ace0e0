"""Policy gradients: REINFORCE with a baseline and generalised advantages, as one agent.

The score-function identity, grad J = E[sum_t grad log pi(a_t | s_t) A_t], turns episodes into a gradient. The
pieces are pure functions elsewhere and importable from here: `rollout.collect` plays the episodes, `returns`
says what each step was worth, `surrogates` what to differentiate.

Reference: Williams (1992), "Simple statistical gradient-following algorithms for connectionist reinforcement
learning"; Schulman et al. (2016), "High-dimensional continuous control using generalized advantage
estimation".
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from tqdm.auto import trange

from mlearn_utils.rl.actions import Actions, DiscreteActions, GaussianActions, actions_of
from mlearn_utils.rl.gymnasium_batch import batch_of, first_action
from mlearn_utils.rl.policies import Params, hidden_units, init_mlp, mlp
from mlearn_utils.rl.returns import (
    advantages,
    baseline_features,
    baseline_values,
    discounted_sums,
    fit_ridge,
    gae,
    normalise,
    returns_to_go,
)
from mlearn_utils.rl.rollout import Rollout, closing_batch, collect
from mlearn_utils.rl.surrogates import SURROGATES, dice_surrogate, lvc_surrogate, plain_surrogate, policy_loss
from mlearn_utils.runtime import check_fraction, check_integer, check_positive, make_generator, next_seed

__all__ = [
    "SURROGATES",
    "PolicyGradientAgent",
    "advantages",
    "baseline_features",
    "baseline_values",
    "dice_surrogate",
    "discounted_sums",
    "fit_ridge",
    "gae",
    "lvc_surrogate",
    "normalise",
    "plain_surrogate",
    "policy_loss",
    "returns_to_go",
]

History = list[dict[str, Any]]


class PolicyGradientAgent:
    """REINFORCE with a ridge baseline and GAE for one task: Box observations, Discrete or Box actions.

    Each iteration plays a batch of whole episodes, computes normalised advantages, and takes one Adam step on
    the policy loss. The policy is a network of tanh units, on observations divided by their standard
    deviation under the untrained policy (one batch, played first), and centred where their mean is larger
    than that. Its outputs are logits, or the means of continuous actions, whose deviation is learned as well.
    There is no critic network, no clipping of ratios, no entropy bonus.

    CartPole-v1 and `mlearn/CartPole-v0` (with their standard wrappers, whatever their physics) are played by
    `BatchedCartPole`, which has the same equations and is many times faster; every other environment by
    copies of `env` in a plain loop. It computes on the CPU: the network is too small for a GPU to pay.

    Args:
        env: a Gymnasium environment or its id. The environment itself is never stepped.
        learning_rate: Adam's step size, > 0.
        gamma: discount in [0, 1].
        lam: GAE's lambda in [0, 1].
        hidden: units of the hidden layer, or of each of several.
        episodes: episodes a batch.
        max_grad_norm: the gradient is scaled down to at most this norm; None leaves it as it is.
        seed: start of the network's random numbers and of those that `act` draws.

    Attributes:
        params: the policy's parameters; `history`: one dict for each iteration of every call of `train`.

    Example:
        >>> agent = PolicyGradientAgent("CartPole-v1")
        >>> history = agent.train(seed=0)
        >>> agent.evaluate(100, seed=1).mean()

    Raises:
        TypeError: if `env` is neither an environment nor an id, or cannot be copied.
        ValueError: if a space is of the wrong kind, or a number is out of its range.
    """

    def __init__(
        self,
        env: gym.Env | str,
        *,
        learning_rate: float = 0.02,
        gamma: float = 0.99,
        lam: float = 0.97,
        hidden: int | Sequence[int] = 32,
        episodes: int = 16,
        max_grad_norm: float | None = None,
        seed: int = 0,
    ):
        check_positive("learning_rate", learning_rate, "> 0")
        check_fraction("gamma", gamma)
        check_fraction("lam", lam)
        self._hidden, self._max_grad_norm = hidden_units(hidden), max_grad_norm
        check_integer("episodes", episodes, minimum=1)
        if max_grad_norm is not None:
            check_positive("max_grad_norm", max_grad_norm)
        self.gamma, self.lam, self.learning_rate = gamma, lam, learning_rate
        self.env = gym.make(env) if isinstance(env, str) else env
        self._batch = batch_of(self.env, episodes)
        self._generator, self._actions = make_generator(seed), actions_of(self._batch)
        gaussian = self._actions if isinstance(self._actions, GaussianActions) else None
        outputs = self._actions.width if gaussian is None else gaussian.size
        sizes = (self._batch.num_features, *self._hidden, outputs)
        start = init_mlp(sizes, generator=self._generator)
        if gaussian is not None:
            start["log_std"] = torch.zeros(gaussian.size)
        self.params: Params = {name: value.requires_grad_() for name, value in start.items()}
        self.history: History = []
        self._scale: tuple[Tensor, Tensor] | None = None  # center and scale [F], by the first call of train
        self._seed: int | None = None  # of the last call of train, which drew from _stream
        self._stream = torch.Generator()
        self._optimizer = torch.optim.Adam(self.params.values(), lr=float(learning_rate))

    def train(
        self, iterations: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> History:
        """Play and learn; a further call without a seed, or with the same, goes on where the last stopped.

        Args:
            iterations: batches of episodes; None means 60, enough for CartPole-v1.
            seed: start of the random numbers of episodes and actions; None is the last one used, 0 at first.
                Another seed starts another stream of them.
            progress: show a progress bar with the return.

        Returns:
            One dict for each iteration of this call: iteration (counted over all calls), return (mean
            undiscounted return of the batch, before its update), length (mean steps an episode), steps (taken
            so far in all calls, without a first batch that only sets the scale of the observations) and
            entropy (nats, mean over the steps).

        Raises:
            ValueError: if `iterations` is not an integer >= 1, or a reward is not finite: the message names
                the step, and what was learnt before that batch is kept.
        """
        iterations = 60 if iterations is None else iterations
        check_integer("iterations", iterations, minimum=1)
        seed = next_seed(seed, self._seed)
        if seed != self._seed:
            self._stream, self._seed = make_generator(seed), seed
        begin = len(self.history)
        if self._scale is None:
            seen = collect(self._batch, self._policy, generator=self._stream)
            self._scale = seen.center_and_scale()
        bar = trange(iterations, desc="policy gradient", disable=not progress)
        for _ in bar:
            rollout = collect(self._batch, self._policy, generator=self._stream)
            self.history.append(self._update(rollout))
            bar.set_postfix({"return": f"{self.history[-1]['return']:.1f}"})
        return self.history[begin:]

    def act(self, observation: np.ndarray, *, greedy: bool = False) -> Any:
        """Return an action for one observation, sampled or (greedy) the most probable.

        An integer; or for a Box of actions an array [D], clipped to its bounds.
        """
        obs = torch.as_tensor(np.ravel(observation), dtype=torch.float32).unsqueeze(0)
        with torch.no_grad():
            outputs = self._policy(obs)[0]
        noise = None if greedy else self._actions.noise((), self._generator)
        act = self._actions.best(outputs) if noise is None else self._actions.choose(outputs, noise)
        box = self.env.action_space
        if isinstance(box, gym.spaces.Box):
            return np.clip(act.numpy(), box.low, box.high).astype(box.dtype)
        return int(act) + first_action(self.env)

    def evaluate(self, episodes: int = 100, *, seed: int = 0) -> np.ndarray:
        """Return [episodes] the undiscounted returns of greedy episodes on start states of their own.

        Raises:
            ValueError: if `episodes` is not an integer >= 1.
        """
        check_integer("episodes", episodes, minimum=1)
        with closing_batch(batch_of(self.env, episodes)) as batch:
            rollout = collect(batch, self._policy, generator=make_generator(seed), greedy=True)
        return rollout.episode_returns()[0].double().numpy()

    def transfer(self, env: gym.Env | str) -> "PolicyGradientAgent":
        """Return an agent for another environment that starts from this one's policy, with a new optimizer.

        Raises:
            ValueError: if the observations or actions of `env` differ from those of this agent's environment.
        """
        twin = PolicyGradientAgent(
            env,
            learning_rate=self.learning_rate,
            gamma=self.gamma,
            lam=self.lam,
            hidden=self._hidden,
            episodes=self._batch.num_envs,
            max_grad_norm=self._max_grad_norm,
        )
        ours, theirs = self._batch, twin._batch
        if (ours.num_features, self._actions) != (theirs.num_features, twin._actions):
            raise ValueError(
                f"env must have {ours.num_features} features and {_count(self._actions)} actions, "
                f"got {theirs.num_features} and {_count(twin._actions)}"
            )
        for name, value in self.params.items():
            twin.params[name].data.copy_(value.data)
        twin._scale = self._scale
        return twin

    def close(self) -> None:
        """Close the environments that the agent has made; it cannot be trained after that."""
        getattr(self._batch, "close", lambda: None)()

    def _policy(self, obs: Tensor) -> Tensor:
        """Return action parameters [..., N, W] for observations [..., N, F]."""
        center, scale = (0.0, 1.0) if self._scale is None else self._scale
        outputs = mlp(self.params, (obs - center) / scale)
        if "log_std" not in self.params:
            return outputs
        return torch.cat((outputs, self.params["log_std"].expand_as(outputs)), dim=-1)

    def _update(self, rollout: Rollout) -> dict[str, Any]:
        """Take one Adam step on the policy loss; return the iteration's row of the history."""
        center = torch.zeros(()) if self._scale is None else self._scale[0]
        adv = advantages(rollout._replace(obs=rollout.obs - center), gamma=self.gamma, lam=self.lam)
        outputs = self._policy(rollout.obs.flatten(1, 2)).unflatten(1, rollout.mask.shape[1:])
        loss = policy_loss(outputs, rollout.act, adv, rollout.mask, log_prob=self._actions.log_prob).sum()
        self._optimizer.zero_grad()
        loss.backward()
        if bool(adv.any()):  # else Adam would go on in the direction of earlier batches
            self._step()
        steps = self.history[-1]["steps"] if self.history else 0
        played = rollout.mask.sum()
        return {
            "iteration": len(self.history),
            "return": rollout.episode_returns().mean().item(),
            "length": (played / rollout.mask.shape[-1]).item(),
            "steps": steps + int(played),
            "entropy": ((self._actions.entropy(outputs.detach()) * rollout.mask).sum() / played).item(),
        }

    def _step(self) -> None:
        if self._max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.params.values(), self._max_grad_norm)
        self._optimizer.step()


def _count(actions: Actions) -> str:
    return str(actions.n) if isinstance(actions, DiscreteActions) else f"{actions.width // 2} continuous"
