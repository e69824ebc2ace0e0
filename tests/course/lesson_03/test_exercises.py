"""Wrong answers to the exercises of lesson 03, each with what its author must be told."""

import numpy as np
import torch

from mlearn_utils.rl import returns

# --- returns_to_go


def backwards(reward, mask, gamma, start=None):
    result, ahead = torch.zeros_like(reward), torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        ahead = mask[t] * (reward[t] + gamma * ahead)
        result[t] = ahead
    return result


def shortened(mask):
    return torch.cat((mask[1:], torch.zeros_like(mask[:1])))


def returns_discounted_twice(reward, mask, gamma):
    return gamma ** torch.arange(len(reward)).unsqueeze(-1) * backwards(reward, mask, gamma)


def returns_without_mask(reward, mask, gamma):
    return backwards(reward, torch.ones_like(mask), gamma)


def returns_masked_too_late(reward, mask, gamma):
    return returns_without_mask(reward, mask, gamma) * mask


def returns_without_the_last_step(reward, mask, gamma):
    return backwards(reward, shortened(mask), gamma)


def returns_of_the_whole_episode(reward, mask, gamma):
    return backwards(reward, mask, gamma)[0] * mask


def returns_so_far(reward, mask, gamma):
    return (reward * mask * gamma ** torch.arange(len(reward)).unsqueeze(-1)).cumsum(0) * mask


def returns_without_gamma(reward, mask, gamma):
    return backwards(reward, mask, 1.0)


def returns_of_what_follows(reward, mask, gamma):
    return (backwards(reward, mask, gamma) - reward) * mask


def returns_in_place(reward, mask, gamma):
    for t in reversed(range(len(reward))):
        reward[t] = mask[t] * (reward[t] + (gamma * reward[t + 1] if t + 1 < len(reward) else 0))
    return reward


def returns_as_a_number(reward, mask, gamma):
    return backwards(reward, mask, gamma)[0].sum()


def returns_forgotten(reward, mask, gamma):
    backwards(reward, mask, gamma)


# --- policy_gradient_loss


def loss_uphill(logp, adv, mask):
    return (logp * adv.detach() * mask).sum() / mask.sum()


def loss_over_all_entries(logp, adv, mask):
    return -(logp * adv.detach() * mask).mean()


def loss_without_mask(logp, adv, mask):
    return -(logp * adv.detach()).mean()


def loss_half_masked(logp, adv, mask):
    return -(logp * adv.detach()).sum() / mask.sum()


def loss_through_the_return(logp, adv, mask):
    return -(logp * adv * mask).sum() / mask.sum()


def loss_of_probabilities(logp, adv, mask):
    return -(logp.exp() * adv.detach() * mask).sum() / mask.sum()


def loss_without_the_last_step(logp, adv, mask):
    return loss_through_the_return(logp, adv.detach(), shortened(mask))


def loss_as_a_sum(logp, adv, mask):
    return -(logp * adv.detach() * mask).sum()


def loss_an_episode(logp, adv, mask):
    return -(logp * adv.detach() * mask).sum() / mask.shape[-1]


def loss_detached(logp, adv, mask):
    return loss_through_the_return(logp.detach(), adv.detach(), mask)


def loss_of_each_episode(logp, adv, mask):
    return -(logp * adv.detach() * mask).sum(0) / mask.sum(0)


# --- gae


def generalized(reward, values, mask, gamma, lam, bootstrap=None, decay=None):
    bootstrap = mask if bootstrap is None else bootstrap
    decay = gamma * lam if decay is None else decay
    adv, ahead, next_value = torch.zeros_like(reward), torch.zeros_like(reward[0]), 0.0
    for t in reversed(range(len(reward))):
        ahead = mask[t] * (reward[t] + gamma * next_value - values[t] + decay * ahead)
        adv[t], next_value = ahead, bootstrap[t] * values[t]
    return adv


def gae_past_the_end(reward, values, mask, gamma, lam):
    return generalized(reward, values, mask, gamma, lam, bootstrap=torch.ones_like(mask))


def gae_without_the_last_step(reward, values, mask, gamma, lam):
    goes_on = shortened(mask)
    after = torch.cat((values[1:], torch.zeros_like(values[:1])))
    delta = (reward + gamma * after * goes_on - values) * goes_on
    return returns.discounted_sums(delta, gamma * lam)


def gae_without_mask(reward, values, mask, gamma, lam):
    return generalized(reward, values, torch.ones_like(mask), gamma, lam)


def gae_of_one_step(reward, values, mask, gamma, lam):
    return generalized(reward, values, mask, gamma, 0.0)


def gae_without_lam(reward, values, mask, gamma, lam):
    return generalized(reward, values, mask, gamma, 1.0)


def gae_by_lam_alone(reward, values, mask, gamma, lam):
    return generalized(reward, values, mask, gamma, lam, decay=lam)


def gae_undiscounted_value(reward, values, mask, gamma, lam):
    return generalized(reward, values, mask, 1.0, lam, decay=gamma * lam)


def gae_as_a_target(reward, values, mask, gamma, lam):
    return (generalized(reward, values, mask, gamma, lam) + values) * mask


def gae_turned(reward, values, mask, gamma, lam):
    return -generalized(reward, values, mask, gamma, lam)


def gae_in_place(reward, values, mask, gamma, lam):
    result = generalized(reward, values, mask, gamma, lam)
    values *= mask
    return result


# --- normalized


def scaled(adv, mask, within, deviate=True):
    count = mask.sum(within, keepdim=True).clamp(min=1)
    centered = (adv - (adv * mask).sum(within, keepdim=True) / count) * mask
    deviation = ((centered**2).sum(within, keepdim=True) / count).sqrt()
    return centered / (deviation + 1e-8) if deviate else centered


def normalized_across_tasks(adv, mask):
    return scaled(adv, mask, (-3, -2, -1))


def normalized_by_episode(adv, mask):
    return scaled(adv, mask, (-2,))


def normalized_by_step(adv, mask):
    return scaled(adv, mask, (-1,))


def normalized_with_junk(adv, mask):
    return scaled(adv, torch.ones_like(mask), (-2, -1)) * mask


def only_centered(adv, mask):
    return scaled(adv, mask, (-2, -1), deviate=False)


def normalized_to_one_number(adv, mask):
    return (adv * mask).mean((-2, -1))


# --- best_baseline


def baseline_as_the_mean(score, reward, probability):
    return float(probability @ reward)


def baseline_unweighted(score, reward, probability):
    return float((score**2 * reward).sum() / (score**2).sum())


def baseline_by_score(score, reward, probability):
    return float(probability @ (score * reward) / (probability @ score**2))


def baseline_undivided(score, reward, probability):
    return float(probability @ (score**2 * reward))


def baseline_by_search(score, reward, probability):
    grid = np.linspace(-20, 20, 4001)
    square = [probability @ (score * (reward - b)) ** 2 for b in grid]
    return float(grid[np.argmin(square)])


def loss_of_detached_probabilities(logp, adv, mask):
    return -(logp.detach() * adv * mask).sum() / mask.sum()


def loss_of_cut_advantages(logp, adv, mask):
    return -(logp * adv.detach().clamp(-10, 10) * mask).sum() / mask.sum()


WRONG_ANSWERS = {
    "returns_to_go": [
        (returns_discounted_twice, "discounts twice"),
        (returns_without_mask, "the mask is not used"),
        (returns_masked_too_late, "*before* you sum"),
        (returns_without_the_last_step, "the step that ends an episode is dropped"),
        (returns_of_the_whole_episode, "the whole episode"),
        (returns_so_far, "up to step t"),
        (returns_without_gamma, "gamma is not used"),
        (returns_of_what_follows, "the reward of step t itself is missing"),
        (returns_in_place, "changed in place"),
        (returns_as_a_number, "of shape [5, 3]"),
        (returns_forgotten, "None"),
    ],
    "policy_gradient_loss": [
        (loss_uphill, "wrong sign"),
        (loss_over_all_entries, "divided by all entries"),
        (loss_without_mask, "the mask is not used"),
        (loss_half_masked, "in the numerator"),
        (loss_through_the_return, "also flows through the advantages"),
        (loss_of_detached_probabilities, "the log-probabilities were detached"),
        (loss_of_cut_advantages, "large advantages are cut"),
        (loss_of_probabilities, "where its logarithm belongs"),
        (loss_without_the_last_step, "the step that ends an episode is dropped"),
        (loss_as_a_sum, "the sum over the steps"),
        (loss_an_episode, "the mean over episodes"),
        (loss_detached, "nothing is left to differentiate"),
        (loss_of_each_episode, "one number"),
    ],
    "gae": [
        (gae_past_the_end, "bootstraps past the end"),
        (gae_without_the_last_step, "the step that ends an episode is dropped"),
        (gae_without_mask, "the mask is not used"),
        (gae_of_one_step, "lam = 0"),
        (gae_without_lam, "lam is not used"),
        (gae_by_lam_alone, "by lam alone"),
        (gae_undiscounted_value, "must be discounted"),
        (gae_as_a_target, "a target for the baseline"),
        (gae_turned, "the sign is turned"),
        (gae_in_place, "changed in place"),
    ],
    "normalized": [
        (normalized_across_tasks, "for all tasks"),
        (normalized_by_episode, "each *episode*"),
        (normalized_by_step, "each *step number*"),
        (normalized_with_junk, "counts entries after the end"),
        (only_centered, "division by the deviation"),
        (normalized_to_one_number, "of shape [2, 5, 3]"),
    ],
    "best_baseline": [
        (baseline_as_the_mean, "this is the mean reward"),
        (baseline_unweighted, "not equally likely"),
        (baseline_by_score, "in the variance it is squared"),
        (baseline_undivided, "divide by the mean squared score"),
        (baseline_by_search, "set the derivative to zero"),
    ],
}
