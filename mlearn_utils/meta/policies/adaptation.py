r"""MAML for policies as pure functions: episodes -> what they say about each action -> adapted policies.

Task i of T is tried with the policy theta, and its episodes D_i give one inner step on the loss

    L_i(theta) = -1 / (E H) * sum over episodes and steps of s(l_t) A_t

with l_t = log pi(a_t | s_t), A_t the advantages of the task's own episodes, s one of `rl.surrogates` (with
the ratio to the policy that played them, which matters from the second outer step on the same episodes), E
the episodes and H the horizon. The divisor is the same for every task: the mean over the steps taken, which
is common elsewhere, weighs a step of a short episode more, and training then often ends in policies that
fall.

Fresh episodes D'_i of the adapted policy theta_i' are the query data. For them the outer objective is

    J(theta) = 1/T sum_i 1/(E H) sum of min(rho_t A_t, clip(rho_t, 1 - c, 1 + c) A_t)

with rho_t the probability of the action under theta_i'(theta), adapted anew from the stored D_i, over that
under the policy which collected D'_i. At the first update rho = 1, and grad J is MAML's meta-gradient.

Reference: Finn et al. (2017), "Model-agnostic meta-learning for fast adaptation of deep networks", Algorithm
3; Schulman et al. (2017), "Proximal policy optimization algorithms", equation 7; Rothfuss et al. (2019),
"ProMP: Proximal meta-policy search", for re-adapting from the stored data.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mlearn_utils.meta.maml import Params, TaskLoss, expand_params, last, walk
from mlearn_utils.rl.policies import log_prob, mlp
from mlearn_utils.rl.returns import advantages
from mlearn_utils.rl.rollout import Rollout
from mlearn_utils.rl.surrogates import Surrogate, clipped_objective


class EpisodeBatch(NamedTuple):
    """Episodes with their advantages: a support set of T tasks, E episodes each, as the MAML core takes it.

    Attributes:
        obs: [T, S, E, F] scaled observations.
        act: [T, S, E] int64 actions taken.
        adv: [T, S, E] advantages, normalised over each task's own steps.
        mask: [T, S, E] 1 for every step taken.
    """

    obs: Tensor
    act: Tensor
    adv: Tensor
    mask: Tensor


class PlayedEpisodes(NamedTuple):
    """An EpisodeBatch that also knows what the policies that played it thought of their actions.

    Attributes:
        obs: [T, S, E, F] scaled observations.
        act: [T, S, E] int64 actions taken, or [T, S, E, D] continuous ones.
        adv: [T, S, E] advantages, normalised over each task's own steps.
        mask: [T, S, E] 1 for every step taken.
        logp: [T, S, E] log-probabilities of the actions under the policies that took them.
    """

    obs: Tensor
    act: Tensor
    adv: Tensor
    mask: Tensor
    logp: Tensor


LogProbs = Callable[[Params, Tensor, Tensor], Tensor]
"""Parameters, observations [.., S, E, F] and actions -> log-probabilities [.., S, E]."""


class Query(NamedTuple):
    """Episodes of adapted policies, and what these policies thought of their actions.

    Attributes:
        episodes: the episodes.
        logp: [T, S, E] log-probabilities of the actions under the policies that took them.
    """

    episodes: EpisodeBatch
    logp: Tensor


def with_advantages(
    rollout: Rollout, scale: Tensor, *, gamma: float, lam: float, normalised: bool = True
) -> EpisodeBatch:
    """Return the episodes of a rollout with scaled observations and each task's own advantages.

    Args:
        rollout: [T, S, E].
        scale: [F] what observations are divided by.
        gamma: discount in [0, 1].
        lam: GAE's lambda in [0, 1].
        normalised: with mean 0 and deviation 1 over each task's own steps, or as they are.
    """
    adv = advantages(rollout, gamma=gamma, lam=lam, normalised=normalised)
    return EpisodeBatch(rollout.obs / scale, rollout.act, adv, rollout.mask)


def action_log_probs(params: Params, episodes: EpisodeBatch) -> Tensor:
    """Return log pi(a | s) of the actions taken: [T, S, E] for T tasks, [S, E] for one.

    Args:
        params: [T, *] a policy for each task, or [*] one policy, as `rl.policies.init_mlp` names them.
        episodes: of T tasks, or of one without the leading axis.
    """
    first = episodes.obs.ndim - 3
    logits = mlp(params, episodes.obs.flatten(first, first + 1))
    return log_prob(logits.unflatten(first, episodes.act.shape[first:]), episodes.act)


class PolicyTaskLoss(NamedTuple):
    """What `policy_task_loss` returns: the loss of one task, and of all at once.

    Attributes:
        surrogate: as there.
        horizon: as there.
        log_probs: as there.
        noted: a list to which `losses` appends the log-probabilities [T, S, E] it computes, with their graph.
    """

    surrogate: Surrogate
    horizon: int
    log_probs: LogProbs | None
    noted: list[Tensor] | None = None

    def __call__(self, params: Params, batch: tuple[Tensor, ...]) -> Tensor:
        """Return the loss of one task ()."""
        return self._replace(noted=None).losses(params, batch)

    def losses(self, params: Params, batch: tuple[Tensor, ...]) -> Tensor:
        """Return the losses of all tasks [T], for which `meta.losses.task_losses` looks."""
        episodes, played = EpisodeBatch(*batch[:4]), batch[4:]
        logp = _log_probs(self.log_probs, params, episodes)
        if self.noted is not None:
            self.noted.append(logp)
        return -self.surrogate(logp, episodes.adv, episodes.mask, *played).mean(dim=-1) / self.horizon


def policy_task_loss(surrogate: Surrogate, horizon: int, log_probs: LogProbs | None = None) -> PolicyTaskLoss:
    """Return the inner loss of one task, (params, episodes) -> scalar, for the functions of `meta.maml`.

    The episodes are an EpisodeBatch, played by these parameters, or PlayedEpisodes, played by others.

    Args:
        surrogate: (log-probabilities, advantages, mask, those of who played) -> objective of each episode.
        horizon: H, the most steps an episode can have: the loss of a short episode is divided by it as well.
        log_probs: what the policy is; by default as `action_log_probs`.
    """
    return PolicyTaskLoss(surrogate, horizon, log_probs)


def adapt_in_turn(
    task_loss: TaskLoss,
    params: Params,
    supports: Sequence[EpisodeBatch | PlayedEpisodes],
    rates: Sequence[float],
    *,
    n_tasks: int,
    first_order: bool = False,
    adapted: Collection[str] | None = None,
) -> Params:
    """Return policies [T, *]: one inner step for each support set, each from where the last one led.

    Args:
        task_loss: as `policy_task_loss` makes it.
        params: [*] the shared start.
        supports: the episodes of step k were collected with the policies after k steps.
        rates: step sizes, one for each support set.
        n_tasks: T.
        first_order: treat the inner gradients as constants.
        adapted: names of the parameters that adapt; all by default.
    """
    pairs = zip(supports, rates, strict=True)
    start = expand_params(params, n_tasks)
    return last(walk(task_loss, start, pairs, first_order=first_order, adapted=adapted))


def clipped_losses(
    adapted: Params, query: Query, *, clip: float, horizon: int, log_probs: LogProbs | None = None
) -> Tensor:
    """Return each task's outer loss [T]: minus the clipped objective of its adapted policy.

    Args:
        adapted: [T, *] policies, differentiable with respect to the shared start.
        query: episodes of the policies as they were when these were collected.
        clip: c > 0; a ratio of probabilities beyond 1 +- c earns nothing more.
        horizon: H.
        log_probs: as in `policy_task_loss`.
    """
    return clipped_losses_of(
        _log_probs(log_probs, adapted, query.episodes), query, clip=clip, horizon=horizon
    )


def clipped_losses_of(logp: Tensor, query: Query, *, clip: float, horizon: int) -> Tensor:
    """Return what `clipped_losses` does, from log-probabilities [T, S, E] of the actions."""
    episodes = query.episodes
    ratio = torch.exp(logp - query.logp)
    objective = clipped_objective(ratio, episodes.adv, clip=clip) * episodes.mask
    return -objective.sum(dim=-2).mean(dim=-1) / horizon


def _log_probs(log_probs: LogProbs | None, params: Params, episodes: EpisodeBatch) -> Tensor:
    if log_probs is None:
        return action_log_probs(params, episodes)
    return log_probs(params, episodes.obs, episodes.act)
