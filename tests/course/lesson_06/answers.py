"""Wrong and right answers to the exercises of lesson 06, and what the authors of the wrong ones are told."""

import random

import numpy as np
import torch
from scipy.stats import t as student
from scipy.stats import ttest_ind, ttest_rel

from mlearn_utils.course.figures.statistics import interval, t_quantile
from mlearn_utils.course.lesson_06.goals import Goal
from mlearn_utils.course.lesson_06.results import load_agent
from mlearn_utils.rl import policy_gradient as pg
from mlearn_utils.rl import surrogates
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks

# --- task_advantages


def values_of(reward, x, mask, gamma):
    return pg.baseline_values(pg.fit_ridge(x, pg.returns_to_go(reward, mask, gamma=gamma), mask), x)


def pooled_values(reward, x, mask, gamma):
    x_all, reward_all, mask_all = (torch.cat(list(a), dim=1) for a in (x, reward, mask))
    weights = pg.fit_ridge(x_all, pg.returns_to_go(reward_all, mask_all, gamma=gamma), mask_all)
    return pg.baseline_values(weights, x)


def normalized(adv, mask, axes=(1, 2), scale=True, count=None, less=0):
    count = mask.sum(axes, keepdim=True) if count is None else count
    centered = (adv - (adv * mask).sum(axes, keepdim=True) / count.clamp(min=1)) * mask
    deviation = ((centered**2).sum(axes, keepdim=True) / (count - less).clamp(min=1)).sqrt()
    return centered / (deviation + 1e-8) if scale else centered


def gae(reward, x, mask, gamma, lam, values=values_of):
    return pg.gae(reward, values(reward, x, mask, gamma), mask, gamma=gamma, lam=lam)


def advantages_across_tasks(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam), mask, (0, 1, 2))


def advantages_with_one_baseline(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam, pooled_values), mask)


def advantages_in_one_pot(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam, pooled_values), mask, (0, 1, 2))


def advantages_as_they_are(reward, x, mask, gamma, lam):
    return gae(reward, x, mask, gamma, lam)


def advantages_only_centered(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam), mask, scale=False)


def advantages_without_baseline(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam, lambda *_: torch.zeros_like(reward)), mask)


def advantages_over_rewards(reward, x, mask, gamma, lam):
    fitted = pg.baseline_values(pg.fit_ridge(x, reward, mask), x)
    return normalized(pg.gae(reward, fitted, mask, gamma=gamma, lam=lam), mask)


def advantages_without_lam(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, 1.0), mask)


def advantages_with_the_dead(reward, x, mask, gamma, lam):
    size = torch.tensor(float(mask[0].numel()))
    return normalized(gae(reward, x, mask, gamma, lam), mask, count=size)


def advantages_by_episode(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam), mask, (1,))


def advantages_of_a_sample(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam), mask, less=1)


def advantages_forgotten(reward, x, mask, gamma, lam):
    normalized(gae(reward, x, mask, gamma, lam), mask)


def over_padding(reward, x, mask, gamma, lam):
    adv = gae(reward, x, mask, gamma, lam)
    return adv - adv.mean((1, 2), keepdim=True), adv.std((1, 2), keepdim=True)


def advantages_over_padding(reward, x, mask, gamma, lam):
    centered, deviation = over_padding(reward, x, mask, gamma, lam)
    return centered / deviation


def advantages_over_padding_masked(reward, x, mask, gamma, lam):
    return advantages_over_padding(reward, x, mask, gamma, lam) * mask


def advantages_over_padding_divided_by_n(reward, x, mask, gamma, lam):
    adv = gae(reward, x, mask, gamma, lam)
    deviation = adv.std((1, 2), correction=0, keepdim=True) + 1e-8
    return (adv - adv.mean((1, 2), keepdim=True)) / deviation * mask


def advantages_with_a_padded_deviation(reward, x, mask, gamma, lam):
    centered = normalized(gae(reward, x, mask, gamma, lam), mask, scale=False)
    return centered / over_padding(reward, x, mask, gamma, lam)[1]


def advantages_with_unmasked_squares(reward, x, mask, gamma, lam):
    adv, count = gae(reward, x, mask, gamma, lam), mask.sum((1, 2), keepdim=True)
    centered = adv - (adv * mask).sum((1, 2), keepdim=True) / count
    return centered / ((centered**2).sum((1, 2), keepdim=True) / count).sqrt() * mask


def advantages_without_a_final_mask(reward, x, mask, gamma, lam):
    adv, count = gae(reward, x, mask, gamma, lam), mask.sum((1, 2), keepdim=True)
    centered = adv - adv.sum((1, 2), keepdim=True) / count
    return centered / ((centered**2 * mask).sum((1, 2), keepdim=True) / count).sqrt()


def advantages_with_nan_after_the_end(reward, x, mask, gamma, lam):
    return torch.where(mask == 1, advantages_without_a_final_mask(reward, x, mask, gamma, lam), torch.nan)


def advantages_not_centered(reward, x, mask, gamma, lam):
    adv, count = gae(reward, x, mask, gamma, lam), mask.sum((1, 2), keepdim=True)
    return adv / ((adv**2).sum((1, 2), keepdim=True) / count).sqrt()


def advantages_over_the_variance(reward, x, mask, gamma, lam):
    centered = normalized(gae(reward, x, mask, gamma, lam), mask, scale=False)
    return centered / ((centered**2).sum((1, 2), keepdim=True) / mask.sum((1, 2), keepdim=True))


def advantages_exchanged(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, lam, gamma), mask)


def advantages_exchanged_in_gae(reward, x, mask, gamma, lam):
    values = values_of(reward, x, mask, gamma)
    return normalized(pg.gae(reward, values, mask, gamma=lam, lam=gamma), mask)


def advantages_by_step(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam), mask, (2,))


def advantages_over_the_task_axis(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, gamma, lam), mask, (0, 1))


def advantages_over_undiscounted_sums(reward, x, mask, gamma, lam):
    values = values_of(reward, x, mask, 1.0)
    return normalized(pg.gae(reward, values, mask, gamma=gamma, lam=lam), mask)


def advantages_with_one_scale(reward, x, mask, gamma, lam):
    adv = gae(reward, x, mask, gamma, lam)
    centered = normalized(adv, mask, scale=False)
    return centered / ((centered**2).sum() / mask.sum()).sqrt()


def advantages_as_returns(reward, x, mask, gamma, lam):
    return normalized(pg.returns_to_go(reward, mask, gamma=gamma), mask)


def advantages_fitted_to_padding(reward, x, mask, gamma, lam):
    to_go = pg.returns_to_go(reward, mask, gamma=gamma)
    values = pg.baseline_values(pg.fit_ridge(x, to_go, torch.ones_like(mask)), x)
    return normalized(pg.gae(reward, values, mask, gamma=gamma, lam=lam), mask)


def advantages_of_two_tasks(reward, x, mask, gamma, lam):
    right, result = normalized(gae(reward, x, mask, gamma, lam), mask), torch.zeros_like(reward)
    for i in range(min(2, len(right))):
        result[i] = right[i]
    return result


def advantages_with_gamma_of_the_notebook(reward, x, mask, gamma, lam):
    return normalized(gae(reward, x, mask, 0.99, lam), mask)


def advantages_that_mask_the_rewards(reward, x, mask, gamma, lam):
    reward *= mask
    return normalized(gae(reward, x, mask, gamma, lam), mask)


def advantages_over_everything(reward, x, mask, gamma, lam):
    adv = gae(reward, x, mask, gamma, lam)
    return (adv - adv.mean()) / (adv.std() + 1e-8) * mask


def advantages_over_all_steps_taken(reward, x, mask, gamma, lam):
    adv = gae(reward, x, mask, gamma, lam)
    taken = adv[mask.bool()]
    return (adv - taken.mean()) / taken.std() * mask


# --- lvc_surrogate


def lvc_as_plain(logp, adv, mask):
    return (logp * adv * mask).sum(0)


def lvc_of_probabilities(logp, adv, mask):
    return (logp.exp() * adv * mask).sum(0)


def lvc_without_mask(logp, adv, mask):
    return ((logp - logp.detach()).exp() * adv).sum(0)


def lvc_as_a_loss(logp, adv, mask):
    return -((logp - logp.detach()).exp() * adv * mask).sum(0)


def lvc_as_a_mean(logp, adv, mask):
    return ((logp - logp.detach()).exp() * adv * mask).sum(0) / mask.sum(0)


def lvc_turned(logp, adv, mask):
    return ((logp.detach() - logp).exp() * adv * mask).sum(0)


def lvc_without_stop(logp, adv, mask):
    return ((logp - logp).exp() * adv * mask).sum(0)


def lvc_all_stopped(logp, adv, mask):
    return ((logp.detach() - logp.detach()).exp() * adv * mask).sum(0)


def lvc_cumulated(logp, adv, mask):
    so_far = (logp * mask).cumsum(0)
    return ((so_far - so_far.detach()).exp() * adv * mask).sum(0)


def lvc_without_exp(logp, adv, mask):
    return ((1 + logp - logp.detach()) * adv * mask).sum(0)


def lvc_as_dice(logp, adv, mask):
    return surrogates.dice_surrogate(logp, adv, mask)


def lvc_of_a_batch(logp, adv, mask):
    return lvc_without_exp(logp, adv, mask).sum()


def lvc_of_the_difference(logp, adv, mask):
    return ((logp - logp.detach()) * adv * mask).sum(0)


def lvc_by_expm1(logp, adv, mask):
    return (torch.expm1(logp - logp.detach()) * adv * mask).sum(0)


def lvc_of_nothing(logp, adv, mask):
    return (0 * logp * adv * mask).sum(0)


def lvc_of_the_whole_episode(logp, adv, mask):
    total = (logp * mask).sum(0)
    return (total - total.detach()).exp() * (adv * mask).sum(0)


def lvc_over_the_logarithm(logp, adv, mask):
    return (logp.exp() / logp.detach() * adv * mask).sum(0)


def lvc_with_a_masked_exponent(logp, adv, mask):
    logp = logp * mask
    return ((logp - logp.detach()).exp() * adv).sum(0)


def lvc_over_all_rows(logp, adv, mask):
    return ((logp - logp.detach()).exp() * adv * mask).mean(0)


def lvc_over_episodes(logp, adv, mask):
    return ((logp - logp.detach()).exp() * adv * mask).sum(1)


def lvc_in_numpy(logp, adv, mask):
    return torch.from_numpy(np.sum(adv.numpy() * mask.numpy(), axis=0))


def lvc_of_the_first_step(logp, adv, mask):
    for l, a, m in zip(logp, adv, mask, strict=True):
        return (l - l.detach()).exp() * a * m


def lvc_bent_too_much(logp, adv, mask):
    step = logp - logp.detach()
    return ((step.exp() + step**2) * adv * mask).sum(0)


def lvc_without_gradients(logp, adv, mask):
    with torch.no_grad():
        return ((logp - logp.detach()).exp() * adv * mask).sum(0)


def lvc_that_goes_backward(logp, adv, mask):
    value = ((logp - logp.detach()).exp() * adv * mask).sum(0)
    value.sum().backward()
    return value


def lvc_that_overwrites_a_factor(logp, adv, mask):
    factor = (logp - logp.detach()).exp()
    factor *= adv * mask
    return factor.sum(0)


def lvc_that_uses_its_graph_up(logp, adv, mask):
    value = ((logp - logp.detach()).exp() * adv * mask).sum(0)
    torch.autograd.grad(value.sum(), logp)
    return value


def lvc_in_place(logp, adv, mask):
    adv *= mask
    return ((logp - logp.detach()).exp() * adv).sum(0)


# --- clipped_objective


def parts(logp, old_logp, adv, clip):
    ratio = (logp - old_logp).exp()
    return ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv


def total(terms, mask):
    return (terms * mask).sum(0)


def clipped_bold(logp, old_logp, adv, mask, clip):
    return total(torch.maximum(*parts(logp, old_logp, adv, clip)), mask)


def clipped_only(logp, old_logp, adv, mask, clip):
    return total(parts(logp, old_logp, adv, clip)[1], mask)


def clipped_not(logp, old_logp, adv, mask, clip):
    return total(parts(logp, old_logp, adv, clip)[0], mask)


def clipped_as_a_loss(logp, old_logp, adv, mask, clip):
    return -total(torch.minimum(*parts(logp, old_logp, adv, clip)), mask)


def clipped_upside_down(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(old_logp, logp, adv, clip)), mask)


def clipped_product(logp, old_logp, adv, mask, clip):
    return total(parts(logp, old_logp, adv, clip)[0].clamp(1 - clip, 1 + clip), mask)


def clipped_too_early(logp, old_logp, adv, mask, clip):
    ratio = (logp - old_logp).exp()
    return total(torch.minimum(ratio, ratio.clamp(1 - clip, 1 + clip)) * adv, mask)


def clipped_logarithms(logp, old_logp, adv, mask, clip):
    difference = logp - old_logp
    return total(torch.minimum(difference * adv, difference.clamp(1 - clip, 1 + clip) * adv), mask)


def clipped_without_mask(logp, old_logp, adv, mask, clip):
    return torch.minimum(*parts(logp, old_logp, adv, clip)).sum(0)


def clipped_mean(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(logp, old_logp, adv, clip)), mask) / mask.sum(0)


def clipped_sum(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(logp, old_logp, adv, clip)), mask).sum()


def clipped_mean_of_a_batch(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(logp, old_logp, adv, clip)), mask).mean()


def clipped_detached(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(logp.detach(), old_logp, adv, clip)), mask)


def clipped_with_a_constant_ratio(logp, old_logp, adv, mask, clip):
    value = total(torch.minimum(*parts(logp, old_logp, adv, clip)), mask).detach()
    plain = total(logp * adv, mask)
    return value + plain - plain.detach()


def clipped_to_a_fifth(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(logp, old_logp, adv, 0.2)), mask)


def clipped_mean_over_rows(logp, old_logp, adv, mask, clip):
    return (torch.minimum(*parts(logp, old_logp, adv, clip)) * mask).mean(0)


def clipped_around_zero(logp, old_logp, adv, mask, clip):
    ratio = (logp - old_logp).exp()
    return total(torch.minimum(ratio * adv, ratio.clamp(-clip, clip) * adv), mask)


def clipped_ratio_of_logarithms(logp, old_logp, adv, mask, clip):
    ratio = logp / old_logp
    return total(torch.minimum(ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv), mask)


def clipped_minimum_of_sums(logp, old_logp, adv, mask, clip):
    plain, clipped = parts(logp, old_logp, adv, clip)
    return torch.minimum(total(plain, mask), total(clipped, mask))


def clipped_product_or_less(logp, old_logp, adv, mask, clip):
    plain = parts(logp, old_logp, adv, clip)[0]
    return total(torch.minimum(plain, plain.clamp(1 - clip, 1 + clip)), mask)


def clipped_from_above(logp, old_logp, adv, mask, clip):
    ratio = (logp - old_logp).exp()
    return total(torch.minimum(ratio * adv, ratio.clamp(max=1 + clip) * adv), mask)


def clipped_log_ratio(logp, old_logp, adv, mask, clip):
    step = logp - old_logp
    return total(torch.minimum(step.exp() * adv, step.clamp(-clip, clip).exp() * adv), mask)


def clipped_with_old_and_new_exchanged(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(old_logp, logp, adv, clip)), mask)


def clipped_without_adv(logp, old_logp, adv, mask, clip):
    return total(torch.minimum(*parts(logp, old_logp, torch.ones_like(adv), clip)), mask)


# --- sample_tasks


def draw(rng):
    return rng.choice([-1.0, 1.0]), rng.uniform(0.5, 1.0)


def tasks_with_a_stale_target(n_tasks, rng):
    targets = []
    for _ in range(n_tasks):
        goal = Goal()
        goal.direction, goal.speed = draw(rng)
        targets.append(goal.target)
    return CartPoleTask("dirv", target=targets)


def tasks_of_the_last_goal(n_tasks, rng):
    goal, goals = Goal(), []
    for _ in range(n_tasks):
        goal.direction, goal.speed = draw(rng)
        goal.target = goal.direction * goal.speed
        goals.append(goal)
    return CartPoleTask("dirv", target=[goal.target for goal in goals])


def tasks_with_a_stale_speed(n_tasks, rng):
    goal, targets = Goal(), []
    for _ in range(n_tasks):
        goal.direction, _ = draw(rng)
        targets.append(goal.direction * abs(goal.target))
    return CartPoleTask("dirv", target=targets)


def tasks_that_all_go_right(n_tasks, rng):
    return CartPoleTask("dirv", target=[draw(rng)[1] for _ in range(n_tasks)])


def tasks_one_too_late(n_tasks, rng):
    goal, targets = Goal(), []
    for _ in range(n_tasks):
        targets.append(goal.direction * goal.speed)
        goal.direction, goal.speed = draw(rng)
    return CartPoleTask("dirv", target=targets)


def tasks_with_added_speed(n_tasks, rng):
    return CartPoleTask("dirv", target=[np.sum(draw(rng)) for _ in range(n_tasks)])


def tasks_as_targets(n_tasks, rng):
    return [np.prod(draw(rng)) for _ in range(n_tasks)]


def tasks_of_a_fixed_seed(n_tasks, rng):
    rng = np.random.default_rng(7)
    return CartPoleTask("dirv", target=[np.prod(draw(rng)) for _ in range(n_tasks)])


def tasks_of_few_targets(n_tasks, rng):
    return CartPoleTask("dirv", target=rng.choice([-1.0, 1.0], n_tasks) * rng.choice([0.5, 1.0], n_tasks))


def tasks_of_three_speeds(n_tasks, rng):
    sizes = rng.choice([0.5, 0.75, 1.0], n_tasks)
    return CartPoleTask("dirv", target=rng.choice([-1.0, 1.0], n_tasks) * sizes)


def tasks_of_rounded_speeds(n_tasks, rng):
    return CartPoleTask("dirv", target=np.round([np.prod(draw(rng)) for _ in range(n_tasks)], 2))


def tasks_of_a_fresh_generator(n_tasks, rng):
    rng = np.random.default_rng()
    return CartPoleTask("dirv", target=[np.prod(draw(rng)) for _ in range(n_tasks)])


def tasks_of_numpys_global(n_tasks, rng):
    sign, size = np.random.choice([-1, 1], n_tasks), np.random.uniform(0.5, 1, n_tasks)  # noqa: NPY002
    return CartPoleTask("dirv", target=sign * size)


def tasks_of_the_module_random(n_tasks, rng):
    targets = [random.choice([-1, 1]) * random.uniform(0.5, 1) for _ in range(n_tasks)]
    return CartPoleTask("dirv", target=targets)


def tasks_always_two_hundred(n_tasks, rng):
    return CartPoleTask("dirv", target=[np.prod(draw(rng)) for _ in range(200)])


def tasks_whose_speed_says_the_side(n_tasks, rng):
    speed = rng.uniform(0.5, 1.0, n_tasks)
    return CartPoleTask("dirv", target=np.where(speed > 0.75, speed, -speed))


def tasks_in_turn(n_tasks, rng):
    return CartPoleTask("dirv", target=[(-1) ** k * rng.uniform(0.5, 1.0) for k in range(n_tasks)])


def tasks_half_and_half(n_tasks, rng):
    sign = np.where(np.arange(n_tasks) < n_tasks // 2, -1, 1)
    return CartPoleTask("dirv", target=sign * rng.uniform(0.5, 1.0, n_tasks))


def tasks_two_by_two(n_tasks, rng):
    sign = np.where(np.arange(n_tasks) // 2 % 2, -1, 1)
    return CartPoleTask("dirv", target=sign * rng.uniform(0.5, 1.0, n_tasks))


def tasks_of_a_ladder_of_speeds(n_tasks, rng):
    return CartPoleTask("dirv", target=rng.choice([-1, 1], n_tasks) * np.linspace(0.5, 1, n_tasks))


def tasks_of_one_draw(n_tasks, rng):
    goal = Goal(*draw(rng))
    return CartPoleTask("dirv", target=[goal.target for _ in range(n_tasks)])


def tasks_of_no_draw(n_tasks, rng):
    return CartPoleTask("dirv", target=[Goal().target] * n_tasks)


def tasks_whose_speed_is_never_drawn(n_tasks, rng):
    return CartPoleTask("dirv", target=[Goal(rng.choice([-1.0, 1.0])).target for _ in range(n_tasks)])


def tasks_of_one_speed(n_tasks, rng):
    speed = rng.uniform(0.5, 1.0)
    return CartPoleTask("dirv", target=[Goal(rng.choice([-1.0, 1.0]), speed).target for _ in range(n_tasks)])


def tasks_that_may_stand_still(n_tasks, rng):
    targets = [rng.integers(-1, 2) * rng.uniform(0.5, 1.0) for _ in range(n_tasks)]
    return CartPoleTask("dirv", target=targets)


def tasks_of_slow_goals(n_tasks, rng):
    return CartPoleTask("dirv", target=[rng.choice([-1, 1]) * rng.uniform(0.5, 0.9) for _ in range(n_tasks)])


def tasks_that_get_faster(n_tasks, rng):
    return CartPoleTask("dirv", target=rng.choice([-1, 1], n_tasks) * np.sort(rng.uniform(0.5, 1, n_tasks)))


def tasks_of_clipped_speeds(n_tasks, rng):
    speeds = np.clip(rng.normal(0.75, 0.3, n_tasks), 0.5, 1)
    return CartPoleTask("dirv", target=rng.choice([-1, 1], n_tasks) * speeds)


def tasks_of_goals_never_set(n_tasks, rng):
    targets = []
    for _ in range(n_tasks):
        draw(rng)
        targets.append(Goal().target)
    return CartPoleTask("dirv", target=targets)


def tasks_with_another_target(value):
    def sample_tasks(n_tasks, rng):
        tasks = CartPoleTask("dirv", target=[np.prod(draw(rng)) for _ in range(n_tasks)])
        object.__setattr__(tasks, "target", value)
        return tasks

    return sample_tasks


def tasks_that_mostly_go_left(n_tasks, rng):
    targets = [rng.choice([-1, -1, -1, 1]) * rng.uniform(0.5, 1) for _ in range(n_tasks)]
    return CartPoleTask("dirv", target=targets)


def tasks_of_another_family(n_tasks, rng):
    return CartPoleTask("dir", target=[np.prod(draw(rng)) for _ in range(n_tasks)])


def one_task_too_few(n_tasks, rng):
    return CartPoleTask("dirv", target=[np.prod(draw(rng)) for _ in range(n_tasks - 1)])


# --- paired_interval


def paired_over_everything(ours, theirs):
    return interval((ours - theirs).ravel())


def paired_over_tasks(ours, theirs):
    return interval((ours - theirs).mean(axis=0))


def unpaired(ours, theirs):
    (mean, low, high), (mean_, low_, high_) = interval(ours.mean(1)), interval(theirs.mean(1))
    return mean - mean_, low - high_, high - low_


def unpaired_by_root_of_squares(ours, theirs):
    (mean, low, _), (mean_, low_, _) = interval(ours.mean(1)), interval(theirs.mean(1))
    half = np.hypot(mean - low, mean_ - low_)
    return mean - mean_, mean - mean_ - half, mean - mean_ + half


def paired_turned(ours, theirs):
    return interval((theirs - ours).mean(axis=1))


def paired_with_nothing(ours, theirs):
    return interval(ours.mean(axis=1))


def paired_for_each_task(ours, theirs):
    return interval(ours - theirs)


def paired_mean(ours, theirs):
    return float((ours - theirs).mean())


def paired_by_deviation(ours, theirs):
    gain = (ours - theirs).mean(axis=1)
    return gain.mean(), gain.mean() - 1.96 * gain.std(), gain.mean() + 1.96 * gain.std()


def paired_absolute(ours, theirs):
    return interval(np.abs(ours - theirs).mean(axis=1))


def paired_absolute_means(ours, theirs):
    return interval(abs((ours - theirs).mean(axis=1)))


def paired_sorted(ours, theirs):
    return interval(np.sort(ours.mean(axis=1)) - np.sort(theirs.mean(axis=1)))


def paired_end_by_end(ours, theirs):
    return tuple(np.subtract(interval(ours.mean(axis=1)), interval(theirs.mean(axis=1))))


def paired_by_normal_quantiles(ours, theirs):
    gain = (ours - theirs).mean(axis=1)
    half = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
    return gain.mean(), gain.mean() - half, gain.mean() + half


def paired_by_the_deviation_of_runs(ours, theirs):
    gain = (ours - theirs).mean(axis=1)
    half = t_quantile(0.975, len(gain) - 1) * gain.std(ddof=1)
    return gain.mean(), gain.mean() - half, gain.mean() + half


def paired_by_n(ours, theirs):
    gain = (ours - theirs).mean(axis=1)
    half = t_quantile(0.975, len(gain) - 1) * gain.std() / np.sqrt(len(gain))
    return gain.mean(), gain.mean() - half, gain.mean() + half


def independent_samples(ours, theirs, equal_var=False):
    a, b = ours.mean(axis=1), theirs.mean(axis=1)
    found = ttest_ind(a, b, equal_var=equal_var).confidence_interval()
    return a.mean() - b.mean(), found.low, found.high


def independent_samples_of_one_variance(ours, theirs):
    return independent_samples(ours, theirs, equal_var=True)


def paired_at_another_level(ours, theirs):
    return interval((ours - theirs).mean(axis=1), level=0.9)


def paired_at_the_level_of_one_end(ours, theirs):
    return interval((ours - theirs).mean(axis=1), level=0.975)


def paired_by_two_errors(ours, theirs):
    gain = (ours - theirs).mean(axis=1)
    half = 2 * gain.std(ddof=1) / np.sqrt(len(gain))
    return gain.mean(), gain.mean() - half, gain.mean() + half


def paired_from_high_to_low(ours, theirs):
    mean, low, high = interval((ours - theirs).mean(axis=1))
    return mean, high, low


def paired_in_percent(ours, theirs):
    return interval(((ours - theirs) / theirs).mean(axis=1))


def paired_of_the_first_seed(ours, theirs):
    return interval(ours[0] - theirs[0])


def paired_percentiles(ours, theirs):
    gain = (ours - theirs).mean(axis=1)
    return gain.mean(), *np.percentile(gain, [2.5, 97.5])


def paired_mean_of_intervals(ours, theirs):
    return [float(end.mean()) for end in interval(ours - theirs)]


def paired_in_another_order(ours, theirs):
    mean, low, high = interval((ours - theirs).mean(axis=1))
    return low, mean, high


def paired_of_five_seeds(ours, theirs):
    return interval(np.array([(ours[s] - theirs[s]).mean() for s in range(4)]))


def paired_sizes_of_the_ends(ours, theirs):
    return tuple(map(abs, interval((ours - theirs).mean(axis=1))))


def paired_medians(ours, theirs):
    return interval(np.median(ours - theirs, axis=1))


# --- step_sizes

load_agent("dir")  # the first time takes a second, which no answer should have to wait for


def sizes_undamped():
    return 10.0, 10.0


def sizes_that_grow():
    return 0.5, 10.0


def sizes_too_timid():
    return 1e-3, 1e-3


def sizes_of_no_step():
    return 0.5, 0.0


def sizes_of_three_steps():
    return 10.0, 1.0, 0.1


def size_of_one_step():
    return 1.0


def sizes_as_factors():
    return 5.0, 2.5


def sizes_that_lose_a_little():
    return 2.0, 1.0


WRONG_ANSWERS = {
    "task_advantages": [
        (advantages_across_tasks, "normalized across tasks"),
        (advantages_with_one_baseline, "one baseline is fitted to the episodes of all tasks"),
        (advantages_in_one_pot, "into one pot"),
        (advantages_as_they_are, "not normalized"),
        (advantages_only_centered, "the division by the deviation is missing"),
        (advantages_without_baseline, "the baseline is not used"),
        (advantages_over_rewards, "it predicts the return to go"),
        (advantages_without_lam, "lam is not used"),
        (advantages_with_the_dead, "counts entries after the end"),
        (advantages_by_episode, "each episode has its own mean"),
        (advantages_of_a_sample, "divides by n - 1"),
        (advantages_over_padding, "the mean counts entries after the end"),
        (advantages_over_padding_masked, "the mean counts entries after the end"),
        (advantages_over_padding_divided_by_n, "the mean counts entries after the end"),
        (advantages_with_a_padded_deviation, "the deviation counts entries after the end"),
        (advantages_with_unmasked_squares, "the deviation counts entries after the end"),
        (advantages_without_a_final_mask, "right where a step was taken, but not 0 after the end"),
        (advantages_with_nan_after_the_end, "after the end of an episode is NaN"),
        (advantages_not_centered, "the mean is not subtracted"),
        (advantages_over_the_variance, "divides by the variance"),
        (advantages_exchanged, "gamma and lam are exchanged"),
        (advantages_exchanged_in_gae, "gamma and lam are exchanged"),
        (advantages_by_step, "each step number has its own mean"),
        (advantages_over_the_task_axis, "the mean runs over axis 0"),
        (advantages_over_undiscounted_sums, "without discount"),
        (advantages_with_one_scale, "one deviation serves all"),
        (advantages_as_returns, "neither the baseline nor GAE"),
        (advantages_over_everything, "normalized across tasks"),
        (advantages_over_all_steps_taken, "normalized across tasks"),
        (advantages_fitted_to_padding, "the baseline is fitted to the entries after the end"),
        (advantages_of_two_tasks, "It is right with reward [2, 6, 4]"),
        (advantages_with_gamma_of_the_notebook, "`gamma` makes no difference"),
        (advantages_that_mask_the_rewards, "reward itself was changed in place"),
        (advantages_forgotten, "None"),
    ],
    "lvc_surrogate": [
        (lvc_as_plain, "this is the plain surrogate"),
        (lvc_of_probabilities, "weighs by the probability itself"),
        (lvc_without_mask, "the mask is not used"),
        (lvc_as_a_loss, "wrong sign"),
        (lvc_as_a_mean, "the mean over steps"),
        (lvc_turned, "the gradient points down"),
        (lvc_without_stop, "nothing is left to differentiate"),
        (lvc_all_stopped, "nothing is left to differentiate"),
        (lvc_cumulated, "summed up to step t"),
        (lvc_without_exp, "the Hessian is that of the plain surrogate"),
        (lvc_as_dice, "this is the DiCE surrogate"),
        (lvc_of_the_difference, "exp is missing"),
        (lvc_by_expm1, "nothing is subtracted from it"),
        (lvc_without_gradients, "torch.no_grad() stop both"),
        (lvc_that_overwrites_a_factor, "is changed in place, by +=, *= or a method that ends in _"),
        (lvc_that_uses_its_graph_up, "its graph is used up"),
        (lvc_that_goes_backward, "adds to `.grad` of its arguments"),
        (lvc_in_place, "adv itself was changed in place"),
        (lvc_of_nothing, "it is 0 whatever the log-probabilities are"),
        (lvc_of_the_whole_episode, "one factor, exp of the sum of all l"),
        (lvc_over_the_logarithm, "divides by l, a logarithm"),
        (lvc_with_a_masked_exponent, "the mask is in the exponent"),
        (lvc_over_all_rows, "divides by the number of rows"),
        (lvc_over_episodes, "of shape [4]"),
        (lvc_in_numpy, "nothing is left to differentiate"),
        (lvc_of_the_first_step, "only the first step counts"),
        (lvc_bent_too_much, "the Hessian is not that of LVC"),
        (lvc_of_a_batch, "of shape"),
    ],
    "clipped_objective": [
        (clipped_bold, "the minimum is the cautious one"),
        (clipped_only, "the clipped term alone"),
        (clipped_not, "clip is not used"),
        (clipped_as_a_loss, "wrong sign"),
        (clipped_upside_down, "upside down"),
        (clipped_product, "the product is clipped"),
        (clipped_too_early, "the minimum is taken before the advantage"),
        (clipped_logarithms, "take exp"),
        (clipped_without_mask, "the mask is not used"),
        (clipped_mean, "mean over its steps"),
        (clipped_sum, "the sum over all episodes"),
        (clipped_mean_of_a_batch, "the mean over all episodes"),
        (clipped_detached, "something was detached"),
        (clipped_with_a_constant_ratio, "its gradient by logp is not"),
        (clipped_to_a_fifth, "`clip` makes no difference"),
        (clipped_mean_over_rows, "divides by the number of rows"),
        (clipped_around_zero, "the limits are 1 - clip and 1 + clip"),
        (clipped_ratio_of_logarithms, "divides the logarithms"),
        (clipped_minimum_of_sums, "the minimum is taken of two sums"),
        (clipped_product_or_less, "the product is clipped"),
        (clipped_from_above, "clipped from above only"),
        (clipped_log_ratio, "the logarithm is clipped"),
        (clipped_with_old_and_new_exchanged, "upside down"),
        (clipped_without_adv, "`adv` makes no difference"),
    ],
    "sample_tasks": [
        (tasks_with_a_stale_target, "still has the target 0.75"),
        (tasks_of_the_last_goal, "the same goal shared by all of them"),
        (tasks_with_a_stale_speed, "only the speed 0.75"),
        (tasks_that_all_go_right, "all drive the same way"),
        (tasks_one_too_late, "after the draw, not before"),
        (tasks_with_added_speed, "speeds lie between"),
        (tasks_as_targets, "should be a CartPoleTask"),
        (tasks_of_a_fixed_seed, "draw from it"),
        (tasks_of_few_targets, "only 2 different speeds"),
        (tasks_of_three_speeds, "only 3 different speeds"),
        (tasks_of_rounded_speeds, "different speeds"),
        (tasks_of_a_fresh_generator, "draw from `rng` only"),
        (tasks_of_numpys_global, "draw from `rng` only"),
        (tasks_of_the_module_random, "draw from `rng` only"),
        (tasks_always_two_hundred, "60 tasks were asked for, there are 200"),
        (tasks_whose_speed_says_the_side, "direction and speed must not depend on each other"),
        (tasks_in_turn, "the direction changes in 100% of the cases"),
        (tasks_half_and_half, "the direction changes in 1% of the cases"),
        (tasks_two_by_two, "the directions are the same whatever state"),
        (tasks_of_a_ladder_of_speeds, "the speeds are the same whatever state"),
        (tasks_of_one_draw, "one draw serves all of them"),
        (tasks_of_no_draw, "nothing is drawn"),
        (tasks_whose_speed_is_never_drawn, "only the speed 0.75"),
        (tasks_of_one_speed, "a speed of its own"),
        (tasks_that_may_stand_still, "some tasks have the target 0"),
        (tasks_of_slow_goals, "yours only from 0.50 to 0.90"),
        (tasks_that_mostly_go_left, "of the tasks drive left"),
        (tasks_of_another_family, "of family dirv"),
        (one_task_too_few, "there are 199"),
        (tasks_that_get_faster, "the speeds rise from the first task to the last"),
        (tasks_of_clipped_speeds, "neither round nor clip"),
        (tasks_of_goals_never_set, "what is drawn does not reach it"),
        (tasks_with_another_target(None), "one number for each of them, got None"),
        (tasks_with_another_target(np.full(200, np.nan)), "some targets are not finite"),
        (tasks_with_another_target([0.5] * 200), "got a list of 200 values"),
    ],
    "paired_interval": [
        (paired_over_everything, "the runs are the seeds"),
        (paired_over_tasks, "an interval over tasks"),
        (unpaired, "Subtract first"),
        (unpaired_by_root_of_squares, "two independent samples"),
        (paired_turned, "the sign is turned"),
        (paired_with_nothing, "the interval of ours alone"),
        (paired_for_each_task, "The result[0]"),
        (paired_mean, "3 values"),
        (paired_by_deviation, "the standard error of their mean belongs"),
        (paired_absolute, "the sign of the differences is lost"),
        (paired_absolute_means, "the sign of the differences is lost"),
        (paired_sorted, "the returns are sorted"),
        (paired_end_by_end, "end by end"),
        (paired_by_normal_quantiles, "1.96 is the normal distribution's factor"),
        (paired_by_the_deviation_of_runs, "the standard error of their mean belongs"),
        (paired_by_n, "this deviation divides by n"),
        (independent_samples, "two independent samples"),
        (independent_samples_of_one_variance, "two independent samples"),
        (paired_at_another_level, "the 90 % interval"),
        (paired_at_the_level_of_one_end, "the 97.5 % interval"),
        (paired_by_two_errors, "2 is about the normal distribution's factor"),
        (paired_from_high_to_low, "the order is mean, low, high"),
        (paired_in_percent, "a relative gain"),
        (paired_percentiles, "percentiles of the runs"),
        (paired_sizes_of_the_ends, "the sign of the differences is lost"),
        (paired_medians, "each run's median over tasks"),
        (paired_of_the_first_seed, "only the first training run counts"),
        (paired_mean_of_intervals, "the mean of the intervals of single tasks"),
        (paired_in_another_order, "the order is mean, low, high"),
        (paired_of_five_seeds, "It is right with"),
    ],
    "step_sizes": [
        (sizes_undamped, "the second step makes the policy worse"),
        (sizes_that_grow, "the third step makes the policy worse"),
        (sizes_too_timid, "the later steps gain little"),
        (sizes_of_no_step, "must be above 0"),
        (sizes_of_three_steps, "2 values"),
        (size_of_one_step, "2 values"),
        (sizes_as_factors, "steps of 10, 5 and 2.5"),
        (sizes_that_lose_a_little, "then 75.5, 72."),
    ],
}


# --- right answers in other styles


def advantages_task_by_task(reward, x, mask, gamma, lam):
    """One task after the other, as a batch of one, and the steps taken picked out."""
    result = torch.zeros_like(reward)
    for i in range(len(reward)):
        adv, taken = gae(reward[i], x[i], mask[i], gamma, lam), mask[i].bool()
        result[i][taken] = (adv[taken] - adv[taken].mean()) / (adv[taken].std(correction=0) + 1e-5)
    return result


def advantages_by_the_package(reward, x, mask, gamma, lam):
    return pg.normalise(gae(reward, x, mask, gamma, lam), mask)


def advantages_by_einsum(reward, x, mask, gamma, lam):
    """Sums by einsum; the variance gets a little more under the root."""
    adv, count = gae(reward, x, mask, gamma, lam), torch.einsum("tse->t", mask)
    mean = torch.einsum("tse,tse->t", adv, mask) / count
    centered = (adv - mean[:, None, None]) * mask
    variance = torch.einsum("tse,tse->t", centered, centered) / count
    return centered / torch.sqrt(variance + 1e-5)[:, None, None]


def advantages_by_the_mean_square(reward, x, mask, gamma, lam):
    """The variance as the mean square less the square of the mean; lists joined in the end."""
    rows = []
    for adv, m in zip(gae(reward, x, mask, gamma, lam), mask, strict=True):
        mean, square = ((adv**k * m).sum() / m.sum() for k in (1, 2))
        rows.append(torch.where(m > 0, (adv - mean) / (square - mean**2) ** 0.5, 0))
    return torch.stack(rows)


def lvc_as_a_ratio(logp, adv, mask):
    probability = logp.exp()
    return (probability / probability.detach() * adv * mask).sum(dim=0)


def lvc_by_a_loop(logp, adv, mask):
    total = torch.zeros(logp.shape[1], dtype=logp.dtype)
    for l, a, m in zip(logp, adv, mask, strict=True):
        total = total + torch.exp(l - l.data) * a * m
    return total


def lvc_by_einsum(logp, adv, mask):
    with torch.no_grad():
        old, weight = logp.clone(), adv * mask
    return torch.einsum("se,se->e", torch.exp(logp - old), weight)


def lvc_of_the_package(logp, adv, mask):
    return surrogates.lvc_surrogate(logp, adv, mask)


def clipped_by_cases(logp, old_logp, adv, mask, clip):
    ratio = torch.exp(logp - old_logp)
    cut = torch.where(adv > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    return torch.einsum("se,se,se->e", cut, adv, mask)


def clipped_by_a_loop(logp, old_logp, adv, mask, clip):
    result = []
    for e in range(logp.shape[1]):
        total = logp.new_zeros(())
        for t in range(int(mask[:, e].sum())):
            ratio = (logp[t, e] - old_logp[t, e]).exp()
            clipped = torch.clip(ratio, 1 - clip, 1 + clip)
            total = total + min(ratio * adv[t, e], clipped * adv[t, e])
        result.append(total)
    return torch.stack(result)


def clipped_in_logarithms(logp, old_logp, adv, mask, clip):
    step = logp - old_logp
    near = step.clamp(np.log(1 - clip), np.log(1 + clip))
    return torch.stack([step.exp() * adv, near.exp() * adv]).amin(0).mul(mask).sum(0)


def clipped_as_minus_the_larger_loss(logp, old_logp, adv, mask, clip):
    ratio = logp.exp() / old_logp.exp()
    losses = -adv * ratio, -adv * torch.clamp(ratio, 1 - clip, 1 + clip)
    return -(torch.max(*losses) * mask).sum(0)


def tasks_of_new_goals(n_tasks, rng):
    return CartPoleTask("dirv", target=[Goal(*draw(rng)).target for _ in range(n_tasks)])


def tasks_at_once(n_tasks, rng):
    return CartPoleTask("dirv", target=rng.uniform(0.5, 1.0, n_tasks) * rng.choice([-1, 1], n_tasks))


def tasks_with_a_target_set_anew(n_tasks, rng):
    goal, targets = Goal(), []
    for _ in range(n_tasks):
        goal.direction, goal.speed = draw(rng)
        goal.target = goal.direction * goal.speed
        targets.append(goal.target)
    return CartPoleTask("dirv", target=np.array(targets, dtype=np.float32))


def tasks_by_rejection(n_tasks, rng):
    targets = []
    while len(targets) < n_tasks:
        target = rng.uniform(-1.0, 1.0)
        targets += [target] if abs(target) >= 0.5 else []
    return CartPoleTask("dirv", target=targets)


def tasks_of_the_family(n_tasks, rng):
    return CartPoleTasks("dirv").sample(n_tasks, seed=int(rng.integers(2**31)))


def paired_by_a_loop(ours, theirs):
    gains = [float(np.mean(ours[s] - theirs[s])) for s in range(len(ours))]
    return interval(gains)


def paired_by_hand(ours, theirs):
    """An array of three numbers."""
    gain = ours.mean(axis=1) - theirs.mean(axis=1)
    half = t_quantile(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
    return gain.mean() + np.array([0.0, -half, half])


def paired_by_scipy(ours, theirs):
    found = ttest_rel(ours.mean(axis=1), theirs.mean(axis=1)).confidence_interval()
    return [np.mean(ours - theirs), found.low, found.high]


def paired_by_scipys_t(ours, theirs):
    gain = torch.as_tensor(ours - theirs).mean(dim=1)
    error = gain.std() / len(gain) ** 0.5
    low, high = student.interval(0.95, len(gain) - 1, loc=gain.mean(), scale=error)
    return gain.mean(), low, high


RIGHT_ANSWERS = {
    "task_advantages": [
        advantages_task_by_task,
        advantages_by_the_package,
        advantages_by_einsum,
        advantages_by_the_mean_square,
    ],
    "lvc_surrogate": [lvc_as_a_ratio, lvc_by_a_loop, lvc_by_einsum, lvc_of_the_package],
    "clipped_objective": [
        clipped_by_cases,
        clipped_by_a_loop,
        clipped_in_logarithms,
        clipped_as_minus_the_larger_loss,
    ],
    "sample_tasks": [
        tasks_of_new_goals,
        tasks_at_once,
        tasks_with_a_target_set_anew,
        tasks_by_rejection,
        tasks_of_the_family,
    ],
    "paired_interval": [paired_by_a_loop, paired_by_hand, paired_by_scipy, paired_by_scipys_t],
    "step_sizes": [
        lambda: [0.5, 0.25],
        lambda: np.array([1.0, 0.3], dtype=np.float32),
        lambda: (torch.tensor(0.5), np.float64(0.6)),
        lambda: torch.tensor([1.0, 0.1]),
    ],
}

EQUIVALENT = {
    "task_advantages": [
        (r"returns_to_go\(mask, reward", "only the product of the two is used"),
        (r"\(2, 1\)", "a sum over both axes, in either order"),
        (r"A\.sum\(\(1, 2\)", "GAE is 0 after the end, so the mask changes nothing there"),
    ],
    "lvc_surrogate": [(r"`logp` is rounded", "only the derivatives by logp count, its value cancels")],
    "clipped_objective": [(r"torch\.minimum\(ratio\.clamp", "the smaller of two, in either order")],
    "sample_tasks": [(r"rng\.uniform\(0\.5\)", "1 is the default upper end of numpy's uniform")],
    "step_sizes": [
        (r"return \((0\.3|0\.5|1\.0|1\.5), (0\.3|0\.5|0\.6|1\.3)\)", "these sizes help, too"),
        (r"the result", "0.5 and 0.3 have no sign and one decimal to lose"),
    ],
}
ODD_BUT_RIGHT = {"step_sizes": ["27: tuple", "49: Tensor"]}
