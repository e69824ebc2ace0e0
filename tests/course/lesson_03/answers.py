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


def loss_of_the_ratio(logp, adv, mask):
    return -((logp - logp.detach()).exp() * adv.detach() * mask).sum() / mask.sum()


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


def gae_masked_at_the_end(reward, values, mask, gamma, lam):
    adv, ahead, after = torch.zeros_like(reward), 0.0, torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        ahead = reward[t] + gamma * after - values[t] + gamma * lam * ahead
        adv[t], after = ahead, values[t]
    return adv * mask


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


def loss_of_floored_logp(logp, adv, mask):
    return -(logp.clamp(min=-2) * adv.detach() * mask).sum() / mask.sum()


def loss_of_adv_within_1000(logp, adv, mask):
    return -(logp * adv.detach().clamp(-1000, 1000) * mask).sum() / mask.sum()


def loss_of_paid_steps(logp, adv, mask):
    taken = mask * (adv != 0)
    return -(logp * adv.detach() * taken).sum() / taken.sum()


def loss_of_a_new_graph(logp, adv, mask):
    logp = logp.detach().requires_grad_()
    return -(logp * adv.detach() * mask).sum() / mask.sum()


def gae_of_an_end_at_lam_0(reward, values, mask, gamma, lam):
    if lam == 0:
        return (reward - values) * mask
    return returns.gae(reward, values, mask, gamma=gamma, lam=lam)


def gae_that_takes_gamma_0_for_none(reward, values, mask, gamma, lam):
    return returns.gae(reward, values, mask, gamma=gamma or 1.0, lam=lam)


def gae_squeezed(reward, values, mask, gamma, lam):
    return returns.gae(reward, values, mask, gamma=gamma, lam=lam).squeeze()


def normalized_within_3(adv, mask):
    return returns.normalise(adv, mask).clamp(-3, 3)


def normalized_by_the_steps_of_the_first(adv, mask):
    count = mask[:1].sum((-2, -1), keepdim=True)
    mean = (adv * mask).sum((-2, -1), keepdim=True) / count
    centered = (adv - mean) * mask
    return centered / (((centered**2).sum((-2, -1), keepdim=True) / count).sqrt() + 1e-8)


def normalized_without_a_guard(adv, mask):
    count = mask.sum((-2, -1), keepdim=True)
    centered = (adv - (adv * mask).sum((-2, -1), keepdim=True) / count) * mask
    return centered / ((centered**2).sum((-2, -1), keepdim=True) / count).sqrt()


WRONG_ANSWERS = {
    "returns_to_go": [
        (
            lambda reward, mask, gamma: (
                returns_without_gamma(reward, mask, gamma)
                if gamma in (0, 1)
                else backwards(reward, mask, gamma)
            ),
            "It is right with",
        ),
        (lambda reward, mask, gamma: backwards(reward, mask, gamma).round(decimals=2), "close everywhere"),
        (lambda reward, mask, gamma: backwards(reward, mask, gamma).squeeze(), "shape"),
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
        (loss_of_floored_logp, "not minus the mean of logp * adv"),
        (loss_of_adv_within_1000, "not minus the mean of logp * adv"),
        (loss_of_paid_steps, "not minus the mean of logp * adv"),
        (loss_of_a_new_graph, "nothing is left to differentiate"),
        (loss_uphill, "wrong sign"),
        (loss_of_the_ratio, "weigh the log-probabilities themselves"),
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
        (gae_of_an_end_at_lam_0, "but not with"),
        (gae_that_takes_gamma_0_for_none, "but not with"),
        (gae_squeezed, "shape"),
        (gae_past_the_end, "bootstraps past the end"),
        (gae_without_the_last_step, "the step that ends an episode is dropped"),
        (gae_without_mask, "the mask is not used"),
        (gae_of_one_step, "lam = 0"),
        (gae_masked_at_the_end, "the mask comes too late"),
        (gae_without_lam, "lam is not used"),
        (gae_by_lam_alone, "by lam alone"),
        (gae_undiscounted_value, "must be discounted"),
        (gae_as_a_target, "a target for the baseline"),
        (gae_turned, "the sign is turned"),
        (gae_in_place, "changed in place"),
    ],
    "normalized": [
        (normalized_within_3, "not mean 0 and deviation 1"),
        (normalized_by_the_steps_of_the_first, "not mean 0 and deviation 1"),
        (normalized_without_a_guard, "NaN"),
        (normalized_across_tasks, "for all tasks"),
        (normalized_by_episode, "each *episode*"),
        (normalized_by_step, "each *step number*"),
        (normalized_with_junk, "counts entries after the end"),
        (only_centered, "division by the deviation"),
        (normalized_to_one_number, "of shape [2, 5, 3]"),
    ],
    "best_baseline": [
        (lambda score, reward, chance: max(baseline_by_average(score, reward, chance), 0), "not where the"),
        (lambda score, reward, chance: baseline_by_average(score, abs(reward), chance), "not where the"),
        (
            lambda score, reward, chance: round(baseline_by_average(score, reward, chance), 3),
            "close everywhere",
        ),
        (baseline_as_the_mean, "this is the mean reward"),
        (baseline_unweighted, "not equally likely"),
        (baseline_by_score, "in the variance it is squared"),
        (baseline_undivided, "divide by the mean squared score"),
        (baseline_by_search, "set the derivative by b to zero, and solve for b (The result: yours"),
    ],
}


# --- right answers in other styles


def returns_by_a_double_loop(reward, mask, gamma):
    """Sum what comes after each step, one number at a time."""
    result = torch.zeros_like(reward)
    for e in range(reward.shape[1]):
        for t in range(reward.shape[0]):
            result[t, e] = sum(
                gamma ** (k - t) * float(reward[k, e] * mask[k, e]) for k in range(t, reward.shape[0])
            )
    return result * mask


def returns_by_a_matrix(reward, mask, gamma):
    """Multiply with the matrix of discounts."""
    steps = torch.arange(len(reward))
    ahead = steps[None] - steps[:, None]
    return (gamma ** ahead.clamp(min=0) * (ahead >= 0)).to(reward.dtype) @ (reward * mask) * mask


def returns_of_the_package(reward, mask, gamma):
    return returns.returns_to_go(reward, mask, gamma=gamma)


def returns_in_numpy(reward, mask, gamma):
    """Go backwards in numpy, and convert."""
    rows, ahead = [], np.zeros(reward.shape[1])
    for r, m in zip(reward.numpy()[::-1], mask.numpy()[::-1], strict=True):
        ahead = m * (r + gamma * ahead)
        rows.append(ahead)
    return torch.from_numpy(np.stack(rows[::-1]))


def loss_of_the_steps_taken(logp, adv, mask):
    """Pick the steps first, then average."""
    taken = mask.bool()
    return -(logp[taken] * adv[taken].detach()).mean()


def loss_by_a_loop(logp, adv, mask):
    total, count = logp.new_zeros(()), 0.0
    for t in range(len(logp)):
        for e in range(logp.shape[1]):
            if mask[t, e]:
                total, count = total - logp[t, e] * adv[t, e].detach(), count + 1
    return total / count


def loss_by_einsum(logp, adv, mask):
    with torch.no_grad():
        weight = adv * mask / mask.sum()
    return torch.einsum("se,se->", -logp, weight)


def gae_by_a_sum(reward, values, mask, gamma, lam):
    """Sum the weighed deltas that follow each step."""
    n_steps = len(reward)
    goes_on = torch.cat((mask[1:], torch.zeros_like(mask[:1])))
    after = torch.cat((values[1:], torch.zeros_like(values[:1]))) * goes_on
    delta = (reward + gamma * after - values) * mask
    adv = torch.zeros_like(reward)
    for t in range(n_steps):
        for k in range(t, n_steps):
            adv[t] += (gamma * lam) ** (k - t) * delta[k]
    return adv


def gae_of_the_package(reward, values, mask, gamma, lam):
    return returns.gae(reward, values, mask, gamma=gamma, lam=lam)


def gae_an_episode_at_a_time(reward, values, mask, gamma, lam):
    adv = torch.zeros_like(reward)
    for e in range(reward.shape[1]):
        steps = int(mask[:, e].sum())
        ahead = 0.0
        for t in range(steps - 1, -1, -1):
            next_value = values[t + 1, e] if t + 1 < steps else 0.0
            ahead = reward[t, e] + gamma * next_value - values[t, e] + gamma * lam * ahead
            adv[t, e] = ahead
    return adv


def normalized_by_a_loop(adv, mask):
    result = torch.zeros_like(adv)
    for k, (one, m) in enumerate(zip(adv, mask, strict=True)):
        taken = one[m.bool()]
        result[k][m.bool()] = (taken - taken.mean()) / (taken.std(unbiased=False) + 1e-5)
    return result


def normalized_with_eps_under_the_root(adv, mask):
    count = mask.sum((1, 2), keepdim=True)
    mean = (adv * mask).sum((1, 2), keepdim=True) / count
    variance = ((adv - mean) ** 2 * mask).sum((1, 2), keepdim=True) / count
    return (adv - mean) / torch.sqrt(variance + 1e-5) * mask


def normalized_by_the_package(adv, mask):
    return returns.normalise(adv, mask)


def baseline_by_a_loop(score, reward, probability):
    above = sum(p * s * s * r for p, s, r in zip(probability, score, reward, strict=True))
    return above / sum(p * s * s for p, s in zip(probability, score, strict=True))


def baseline_by_average(score, reward, probability):
    return np.average(reward, weights=probability * score**2)


def baseline_in_torch(score, reward, probability):
    score, reward, probability = map(torch.as_tensor, (score, reward, probability))
    weight = probability * score.square()
    return (weight @ reward) / (weight.sum() + 1e-8)


RIGHT_ANSWERS = {
    "returns_to_go": [
        returns_by_a_double_loop,
        returns_by_a_matrix,
        returns_of_the_package,
        returns_in_numpy,
    ],
    "policy_gradient_loss": [loss_of_the_steps_taken, loss_by_a_loop, loss_by_einsum],
    "gae": [gae_by_a_sum, gae_of_the_package, gae_an_episode_at_a_time],
    "normalized": [normalized_by_a_loop, normalized_with_eps_under_the_root, normalized_by_the_package],
    "best_baseline": [baseline_by_a_loop, baseline_by_average, baseline_in_torch],
}

SHAPE = "only the shape of the tensor counts, and all of them have the same"
EQUIVALENT = {
    "returns_to_go": [
        (r"zeros_like\(reward\)  ->", "every row is written in the loop, whatever stands there before"),
        (r"zeros_like\(reward\[0\]\)  ->.*zeros_like", SHAPE),
        (r"range\(len\(reward\)\)\)", SHAPE),
    ],
    "gae": [
        (r"adv = torch.zeros_like\(reward\)  ->", "every row is written in the loop"),
        (r"zeros_like\(reward\[0\]\)  ->.*zeros_like", SHAPE),
        (r"range\(len\(reward\)\)\)", SHAPE),
    ],
    "normalized": [
        (r"within = \(-2, -1\)  ->  within = \(-1, -2\)", "a sum over both axes, in either order"),
        (r"1e-08", "any small number keeps a division by zero away"),
    ],
    "best_baseline": [
        (r"float\(", "a number of numpy is as good as one of Python"),
        (r"`score` has lost its sign", "the score counts by its square"),
    ],
}
