"""Wrong answers to the exercises of lesson 06, each with what its author must be told."""

import numpy as np
import torch

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.lesson_06.goals import Goal
from mlearn_utils.rl import policy_gradient as pg
from mlearn_utils.rl import returns, surrogates
from mlearn_utils.tasks.cartpole import CartPoleTask

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


# --- paired_interval


def paired_over_everything(ours, theirs):
    return interval((ours - theirs).ravel())


def paired_over_tasks(ours, theirs):
    return interval((ours - theirs).mean(axis=0))


def unpaired(ours, theirs):
    (mean, low, high), (mean_, low_, high_) = interval(ours.mean(1)), interval(theirs.mean(1))
    return mean - mean_, low - high_, high - low_


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


# --- step_sizes


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
        (advantages_forgotten, "None"),
    ],
    "lvc_surrogate": [
        (lvc_as_plain, "this is the plain surrogate"),
        (lvc_of_probabilities, "weighs by the probability itself"),
        (lvc_without_mask, "the mask is not used"),
        (lvc_as_a_loss, "wrong sign"),
        (lvc_as_a_mean, "the mean over steps"),
        (lvc_turned, "the gradient points down"),
        (lvc_without_stop, "1 whatever theta is"),
        (lvc_all_stopped, "nothing is left to differentiate"),
        (lvc_cumulated, "summed up to step t"),
        (lvc_without_exp, "the Hessian is that of the plain surrogate"),
        (lvc_as_dice, "this is the DiCE surrogate"),
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
    ],
    "sample_tasks": [
        (tasks_with_a_stale_target, "still has the target 0.75"),
        (tasks_of_the_last_goal, "still has the target"),
        (tasks_with_a_stale_speed, "only the speed 0.75"),
        (tasks_that_all_go_right, "all drive the same way"),
        (tasks_one_too_late, "after the draw, not before"),
        (tasks_with_added_speed, "speeds lie between"),
        (tasks_as_targets, "should be a CartPoleTask"),
        (tasks_of_a_fixed_seed, "draw from rng"),
    ],
    "paired_interval": [
        (paired_over_everything, "the runs are the seeds"),
        (paired_over_tasks, "an interval over tasks"),
        (unpaired, "Subtract first"),
        (paired_turned, "the sign is turned"),
        (paired_with_nothing, "the interval of ours alone"),
        (paired_for_each_task, "The result[0]"),
        (paired_mean, "3 values"),
        (paired_by_deviation, "not the Student-t interval"),
    ],
    "step_sizes": [
        (sizes_undamped, "the second step makes the policy worse"),
        (sizes_that_grow, "the third step makes the policy worse"),
        (sizes_too_timid, "the later steps gain little"),
        (sizes_of_no_step, "must be above 0"),
        (sizes_of_three_steps, "2 values"),
        (size_of_one_step, "2 values"),
    ],
}


def test_a_task_s_advantages_do_not_depend_on_the_others():
    random = np.random.default_rng(0)
    reward, x = (torch.from_numpy(random.normal(size=shape)) for shape in ((3, 6, 4), (3, 6, 4, 2)))
    mask = torch.ones_like(reward)
    adv = pg.gae(reward, values_of(reward, x, mask, 0.9), mask, gamma=0.9, lam=0.6)
    together = returns.normalise(adv, mask)
    for i in range(3):
        alone = returns.normalise(gae(reward[i : i + 1], x[i : i + 1], mask[i : i + 1], 0.9, 0.6), mask[:1])
        torch.testing.assert_close(together[i : i + 1], alone)
