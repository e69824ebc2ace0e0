"""MAML for policies: the meta-gradient against differences of an obvious twin, the clipped loss."""

import pytest
import torch
from torch import Tensor

from mlearn_utils.meta.maml import Params, expand_params
from mlearn_utils.meta.policies.adaptation import (
    EpisodeBatch,
    PlayedEpisodes,
    Query,
    action_log_probs,
    adapt_in_turn,
    clipped_losses,
    policy_task_loss,
    with_advantages,
)
from mlearn_utils.rl.policies import init_mlp, log_prob, mlp
from mlearn_utils.rl.rollout import collect
from mlearn_utils.rl.surrogates import SURROGATES, lvc_surrogate, plain_surrogate
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTasks

TASKS, STEPS, ENVS, HORIZON = 3, 6, 4, 8


def policy(outputs: int = 1) -> Params:
    start = init_mlp((4, 5, outputs), generator=make_generator(0))
    return {name: (3 * value).double() for name, value in start.items()}


def episodes(seed: int, outputs: int = 1) -> EpisodeBatch:
    generator = make_generator(seed)
    shape = (TASKS, STEPS, ENVS)
    lengths = torch.randint(1, STEPS + 1, (TASKS, 1, ENVS), generator=generator)
    mask = (torch.arange(STEPS)[:, None] < lengths).double()
    obs = torch.randn((*shape, 4), generator=generator).double()
    act = torch.randint(max(outputs, 2), shape, generator=generator)
    return EpisodeBatch(obs, act, torch.randn(shape, generator=generator).double() * mask, mask)


def flat(params: Params) -> Tensor:
    return torch.cat([value.flatten() for value in params.values()])


def unflat(vector: Tensor, like: Params) -> Params:
    parts = vector.split([value.numel() for value in like.values()])
    return {name: part.view_as(value) for (name, value), part in zip(like.items(), parts, strict=True)}


def twin_loss(
    params: Params, supports: list[EpisodeBatch], query: Query, rates, ratio_to: Tensor | None
) -> Tensor:
    """Return the outer loss, one task after the other.

    The inner step is the gradient of sum exp(l - l_old) A with l_old fixed (`ratio_to` [k, T, S, E]), which
    is what LVC stands for; without `ratio_to` of sum l A.
    """
    total = torch.zeros((), dtype=torch.float64)
    for i in range(TASKS):
        theta = {name: value.clone().requires_grad_() for name, value in params.items()}
        for k, (support, rate) in enumerate(zip(supports, rates, strict=True)):
            logp = one_log_prob(theta, support, i)
            terms = logp if ratio_to is None else torch.exp(logp - ratio_to[k][i])
            loss = -(terms * support.adv[i] * support.mask[i]).sum() / (ENVS * HORIZON)
            grads = torch.autograd.grad(loss, list(theta.values()))
            theta = {
                name: (value - rate * grad).detach().requires_grad_()
                for (name, value), grad in zip(theta.items(), grads, strict=True)
            }
        ratio = torch.exp(one_log_prob(theta, query.episodes, i) - query.logp[i])
        adv, mask = query.episodes.adv[i], query.episodes.mask[i]
        gained = torch.minimum(ratio * adv, ratio.clamp(0.8, 1.2) * adv)
        total = total - (gained * mask).sum() / (ENVS * HORIZON) / TASKS
    return total.detach()


def one_log_prob(theta: Params, data: EpisodeBatch, i: int) -> Tensor:
    return log_prob(mlp(theta, data.obs[i]), data.act[i])


def central_differences(function, params: Params) -> Tensor:
    theta, step = flat(params), 1e-5
    slopes = []
    for i in range(len(theta)):
        shift = torch.zeros_like(theta)
        shift[i] = step
        up, down = (function(unflat(theta + sign * shift, params)) for sign in (1, -1))
        slopes.append((up - down) / (2 * step))
    return torch.stack(slopes)


def meta_gradient(params: Params, supports, query: Query, rates, surrogate, first_order=False) -> Tensor:
    theta = {name: value.clone().requires_grad_() for name, value in params.items()}
    task_loss = policy_task_loss(surrogate, HORIZON)
    adapted = adapt_in_turn(task_loss, theta, supports, rates, n_tasks=TASKS, first_order=first_order)
    loss = clipped_losses(adapted, query, clip=0.2, horizon=HORIZON).mean()
    return flat(dict(zip(theta, torch.autograd.grad(loss, list(theta.values())), strict=True)))


def make_query(params: Params, supports: list[EpisodeBatch], rates, outputs: int = 1) -> Query:
    task_loss = policy_task_loss(plain_surrogate, HORIZON)
    adapted = adapt_in_turn(task_loss, params, supports, rates, n_tasks=TASKS)
    data = episodes(9, outputs)
    return Query(data, action_log_probs(adapted, data) - 0.01)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("rates", [[], [2.0], [2.0, 0.7]])
def test_the_plain_meta_gradient_equals_central_differences(rates, outputs):
    params, supports = policy(outputs), [episodes(k, outputs) for k in range(len(rates))]
    query = make_query(params, supports, rates, outputs)
    exact = central_differences(lambda theta: twin_loss(theta, supports, query, rates, None), params)
    assert torch.allclose(
        meta_gradient(params, supports, query, rates, plain_surrogate), exact, atol=1e-8, rtol=0
    )


def test_the_lvc_meta_gradient_is_that_of_the_ratio_to_the_policy_that_explored():
    """LVC stands for a fixed sampling policy, which also tells the later inner steps how theirs moved."""
    params, supports, rates = policy(), [episodes(0)], [2.0]
    query = make_query(params, supports, rates)
    old = torch.stack([one_log_prob(params, supports[0], i) for i in range(TASKS)])[None]
    exact = central_differences(lambda theta: twin_loss(theta, supports, query, rates, old), params)
    found = meta_gradient(params, supports, query, rates, lvc_surrogate)
    assert torch.allclose(found, exact, atol=1e-8, rtol=0)
    assert not torch.allclose(
        found, meta_gradient(params, supports, query, rates, plain_surrogate), atol=1e-4
    )


def test_first_order_drops_the_inner_hessian():
    """The gradient at the adapted parameters, summed over tasks, is all that is left."""
    params, supports, rates = policy(), [episodes(0)], [2.0]
    query = make_query(params, supports, rates)
    task_loss = policy_task_loss(plain_surrogate, HORIZON)
    adapted = adapt_in_turn(task_loss, params, supports, rates, n_tasks=TASKS)
    leaves = {name: value.detach().requires_grad_() for name, value in adapted.items()}
    loss = clipped_losses(leaves, query, clip=0.2, horizon=HORIZON).mean()
    parts = [grad.sum(dim=0) for grad in torch.autograd.grad(loss, list(leaves.values()))]
    found = meta_gradient(params, supports, query, rates, plain_surrogate, first_order=True)
    assert torch.allclose(found, torch.cat([part.flatten() for part in parts]), atol=1e-12)
    assert not torch.allclose(
        found, meta_gradient(params, supports, query, rates, plain_surrogate), atol=1e-4
    )


def test_all_surrogates_take_the_same_inner_step():
    params, support = policy(), episodes(0)
    steps = [
        adapt_in_turn(policy_task_loss(surrogate, HORIZON), params, [support], [2.0], n_tasks=TASKS)
        for surrogate in SURROGATES.values()
    ]
    for other in steps[1:]:
        for name, value in steps[0].items():
            assert torch.allclose(other[name], value, atol=1e-12)


def test_a_ratio_beyond_the_clip_earns_nothing_more():
    data = episodes(3)
    params = {name: value.expand(TASKS, *value.shape) for name, value in policy().items()}
    logp = action_log_probs(params, data)
    for offset, sign in ((-0.5, 1.0), (0.5, -1.0)):  # ratios of 1.6 with gains, of 0.6 with losses
        one_sided = data._replace(adv=sign * data.adv.abs())
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        losses = clipped_losses(leaves, Query(one_sided, logp + offset), clip=0.2, horizon=HORIZON)
        bound = 1.2 if offset < 0 else 0.8
        expected = -bound * (one_sided.adv * data.mask).sum(dim=(1, 2)) / (ENVS * HORIZON)
        assert torch.allclose(losses, expected)
        grads = torch.autograd.grad(losses.sum(), list(leaves.values()))
        assert all(not grad.any() for grad in grads)


def test_a_step_counts_the_same_in_a_short_episode():
    """Two tasks with the same first step, one of which ends there: the same gradient from it."""
    data = episodes(3)
    short = data.mask.clone()
    short[:, 1:] = 0
    adv = torch.ones_like(data.adv)
    losses = []
    for mask in (short, torch.ones_like(short)):
        first_only = adv * short
        batch = data._replace(adv=first_only, mask=mask)
        one = EpisodeBatch(*(field[0] for field in batch))
        losses.append(policy_task_loss(plain_surrogate, HORIZON)(policy(), one))
    assert torch.equal(losses[0], losses[1])


@pytest.mark.parametrize("surrogate", SURROGATES.values())
def test_the_losses_of_all_tasks_are_those_of_each(surrogate):
    data = episodes(3)
    batch = PlayedEpisodes(*data, action_log_probs(expand_params(policy(), TASKS), data) - 0.1)
    params = {name: torch.stack([value * (1 + k) for k in range(TASKS)]) for name, value in policy().items()}
    task_loss = policy_task_loss(surrogate, HORIZON)
    each = [
        task_loss({name: value[k] for name, value in params.items()}, tuple(field[k] for field in batch))
        for k in range(TASKS)
    ]
    torch.testing.assert_close(task_loss.losses(params, batch), torch.stack(each))


def test_with_advantages_scales_what_the_policy_sees_and_judges_each_task_by_itself():
    env = BatchedCartPole(CartPoleTasks("dirv").sample(3, seed=0), 5, horizon=20)
    params = init_mlp((4, 5, 1), generator=make_generator(0))
    rollout = collect(env, lambda obs: mlp(params, obs), generator=make_generator(1))
    found = with_advantages(rollout, torch.tensor([1.0, 2.0, 0.1, 1.0]), gamma=0.99, lam=0.9)
    assert torch.allclose(found.obs[..., 1] * 2, rollout.obs[..., 1])
    assert torch.allclose(found.obs[..., 2] * 0.1, rollout.obs[..., 2])
    taken = rollout.mask.sum(dim=(1, 2))
    assert torch.allclose((found.adv * found.mask).sum(dim=(1, 2)) / taken, torch.zeros(3), atol=1e-5)
    assert torch.allclose((found.adv.square() * found.mask).sum(dim=(1, 2)) / taken, torch.ones(3), atol=1e-3)


def test_every_support_set_needs_a_rate_of_its_own():
    task_loss = policy_task_loss(plain_surrogate, HORIZON)
    with pytest.raises(ValueError, match="shorter"):
        adapt_in_turn(task_loss, policy(), [episodes(0), episodes(1)], [2.0], n_tasks=TASKS)


def test_the_whole_second_derivative_is_the_default():
    task_loss = policy_task_loss(plain_surrogate, HORIZON)
    params = {name: value.requires_grad_() for name, value in policy().items()}
    default, stated = (
        adapt_in_turn(task_loss, params, [episodes(0)], [2.0], n_tasks=TASKS, **how)  # pyright: ignore
        for how in ({}, {"first_order": False})
    )
    slopes = [
        torch.autograd.grad(flat(end).square().sum(), list(params.values())) for end in (default, stated)
    ]
    assert all(torch.equal(one, other) for one, other in zip(*slopes, strict=True))
