"""Answers to the exercises of lesson 00: wrong ones with what their authors must be told, and right ones."""

import numpy as np
import torch

# --- hidden_reward


def reward_below_zero(velocity, target):
    return 1 - np.abs(velocity - target)


def reward_as_distance(velocity, target):
    return np.clip(np.abs(velocity - target), 0, 1)


def reward_without_abs(velocity, target):
    return 1 - (velocity - target)


def reward_clipped_without_abs(velocity, target):
    return np.clip(1 - (velocity - target), 0, 1)


def reward_of_the_speed(velocity, target):
    return np.maximum(0, 1 - np.abs(np.abs(velocity) - abs(target)))


def reward_squared(velocity, target):
    return np.clip(1 - (velocity - target) ** 2, 0, 1)


def reward_without_return(velocity, target):
    np.clip(1 - np.abs(velocity - target), 0, 1)


def reward_summed(velocity, target):
    return np.clip(1 - np.abs(velocity - target), 0, 1).sum()


def reward_twice_as_narrow(velocity, target):
    return np.clip(1 - 2 * np.abs(velocity - target), 0, 1)


def reward_at_least_zero_without_abs(velocity, target):
    return np.maximum(0, 1 - (velocity - target))


def reward_turned_without_abs(velocity, target):
    return np.maximum(0, 1 - (target - velocity))


def reward_turned_and_cut_without_abs(velocity, target):
    return np.clip(1 - (target - velocity), 0, 1)


def reward_of_the_plain_distance(velocity, target):
    return abs(velocity - target)


def reward_with_abs_too_early(velocity, target):
    return np.clip(1 - (np.abs(velocity) - target), 0, 1)


def reward_of_the_speed_alone(velocity, target):
    return np.clip(1 - np.abs(np.abs(velocity) - target), 0, 1)


def reward_with_abs_too_early_at_least_zero(velocity, target):
    return np.maximum(0, 1 - (np.abs(velocity) - target))


def reward_with_abs_too_late(velocity, target):
    return np.abs(1 - (velocity - target))


def reward_of_the_sum(velocity, target):
    return np.maximum(0, 1 - np.abs(velocity + target))


def reward_by_the_smaller_of_two(velocity, target):
    return np.minimum(0, 1 - np.abs(velocity - target))


def reward_that_is_always_full(velocity, target):
    return np.maximum(1, 1 - np.abs(velocity - target))


def reward_with_the_sign_turned(velocity, target):
    return np.maximum(0, np.abs(velocity - target) - 1)


def reward_with_bounds_exchanged(velocity, target):
    return np.clip(1 - np.abs(velocity - target), 1, 0)


def reward_with_the_sign_dropped(velocity, target):
    return np.abs(1 - np.abs(velocity - target))


def reward_that_is_full_far_away(velocity, target):
    gap = np.abs(velocity - target)
    return np.where(gap > 1, 1, 1 - gap)


def reward_as_a_truth(velocity, target):
    return np.abs(velocity - target) < 1


def reward_of_what_is_near(velocity, target):
    reward = 1 - np.abs(velocity - target)
    return reward[reward > 0]


def reward_of_one_target(velocity, target):
    return np.clip(1 - np.abs(velocity - 0.7), 0, 1)


def reward_that_returns_too_early(velocity, target):
    rewards = []
    for v in velocity:
        rewards.append(max(0.0, 1 - abs(v - target)))
        return rewards[0]


def reward_in_place(velocity, target):
    velocity -= target
    return np.clip(1 - np.abs(velocity), 0, 1)


# --- best_guess


def guess_the_index(velocities, rewards):
    return np.argmax(rewards)


def guess_the_reward(velocities, rewards):
    return rewards.max()


def guess_the_worst(velocities, rewards):
    return velocities[np.argmin(rewards)]


def guess_the_fastest(velocities, rewards):
    return velocities.max()


def guess_the_last(velocities, rewards):
    return velocities[-1]


def guess_the_mean(velocities, rewards):
    return velocities.mean()


def guess_all_of_the_best(velocities, rewards):
    return velocities[rewards == rewards.max()]


def guess_the_slowest(velocities, rewards):
    return min(velocities)


def guess_the_fastest_to_either_side(velocities, rewards):
    return max(velocities, key=abs)


def guess_the_first(velocities, rewards):
    return velocities[0]


def guess_one_too_early(velocities, rewards):
    return velocities[np.argmax(rewards) - 1]


def guess_one_too_late(velocities, rewards):
    return velocities[(np.argmax(rewards) + 1) % len(velocities)]


def guess_without_remembering_the_best(velocities, rewards):
    guess, best = velocities[0], 0.0
    for velocity, reward in zip(velocities, rewards, strict=True):
        if reward > best:
            guess = velocity
    return guess


def guess_with_the_arrays_exchanged(velocities, rewards):
    return rewards[np.argmax(velocities)]


def guess_from_sorted_velocities(velocities, rewards):
    return sorted(velocities)[np.argmax(rewards)]


def guess_by_sorting_in_place(velocities, rewards):
    order = np.argsort(rewards)
    velocities[:] = velocities[order]
    return velocities[-1]


def guess_the_weighted_mean(velocities, rewards):
    return np.average(velocities, weights=rewards)


def guess_the_middle(velocities, rewards):
    return np.median(velocities)


# --- mean_return


def mean_that_hides_the_loss(rounds):
    total = 0.0
    for k in range(1, len(rounds)):
        total += rounds[k].sum()
    return total / (len(rounds) - 1)


def mean_that_loses_another_way(rounds):
    return sum(rewards.sum() for rewards in rounds[1:]) / len(rounds)


def mean_without_the_last(rounds):
    total = 0.0
    for k in range(len(rounds) - 1):
        total += rounds[k].sum()
    return total / len(rounds)


def mean_not_divided(rounds):
    return sum(rewards.sum() for rewards in rounds)


def mean_reward_of_a_push(rounds):
    return np.concatenate(rounds).mean()


def mean_of_means(rounds):
    return np.mean([rewards.mean() for rewards in rounds])


def mean_of_three(rounds):
    return sum(rewards.sum() for rewards in rounds) / 3


def mean_of_the_longest(rounds):
    return max(rewards.sum() for rewards in rounds)


def mean_of_the_rest_only(rounds):
    return sum(rewards.sum() for rewards in rounds[1:])


def mean_without_the_last_divided(rounds):
    return sum(rewards.sum() for rewards in rounds[:-1]) / (len(rounds) - 1)


def mean_over_one_less(rounds):
    return sum(rewards.sum() for rewards in rounds) / (len(rounds) - 1)


def mean_with_the_first_twice(rounds):
    total = rounds[0].sum()
    for k in range(len(rounds)):
        total += rounds[k].sum()
    return total / len(rounds)


def mean_with_the_last_twice(rounds):
    total = 0.0
    for k in range(-1, len(rounds)):
        total += rounds[k].sum()
    return total / len(rounds)


def mean_that_returns_too_early(rounds):
    total = 0.0
    for k in range(len(rounds)):
        total += rounds[k].sum()
        return total / len(rounds)


def mean_that_is_not_added_up(rounds):
    total = 0.0
    for k in range(len(rounds)):
        total = rounds[k].sum()
    return total / len(rounds)


def mean_of_the_last_round(rounds):
    return rounds[-1].sum()


def mean_of_the_worst(rounds):
    return min(rewards.sum() for rewards in rounds)


def mean_without_its_fraction(rounds):
    return sum(rewards.sum() for rewards in rounds) // len(rounds)


def mean_of_means_not_divided(rounds):
    return sum(rewards.mean() for rewards in rounds)


def mean_in_the_middle(rounds):
    return np.median([rewards.sum() for rewards in rounds])


def mean_that_empties_the_list(rounds):
    count, total = len(rounds), 0.0
    while rounds:
        total += rounds.pop().sum()
    return total / count


WRONG_ANSWERS = {
    "hidden_reward": [
        (reward_below_zero, "never be less than 0"),
        (reward_as_distance, "the distance itself"),
        (reward_without_abs, "too slow is paid more than right"),
        (reward_clipped_without_abs, "too slow is paid in full"),
        (reward_of_the_speed, "left and right are paid alike"),
        (reward_squared, "squared"),
        (reward_without_return, "`return` missing"),
        (reward_summed, "summed or averaged"),
        (reward_twice_as_narrow, "not 1 - |velocity - target|"),
        (reward_at_least_zero_without_abs, "too slow is paid more than right"),
        (reward_turned_without_abs, "too fast is paid more than right"),
        (reward_turned_and_cut_without_abs, "too fast is paid in full"),
        (reward_of_the_plain_distance, "this is the distance alone"),
        (reward_with_abs_too_early, "of the velocity alone"),
        (reward_with_abs_too_early_at_least_zero, "of the velocity alone"),
        (reward_of_the_speed_alone, "left and right are paid alike"),
        (reward_with_abs_too_late, "belongs to the distance alone"),
        (reward_of_the_sum, "velocity minus target, not plus"),
        (reward_by_the_smaller_of_two, "nothing is more than 0"),
        (reward_that_is_always_full, "every velocity is paid in full"),
        (reward_with_the_sign_turned, "the sign is turned"),
        (reward_with_bounds_exchanged, "every reward is 0"),
        (reward_with_the_sign_dropped, "far from the target it rises again"),
        (reward_that_is_full_far_away, "far from the target it is paid in full"),
        (reward_as_a_truth, "whether the reward is above 0"),
        (reward_of_what_is_near, "are left out"),
        (reward_of_one_target, "`target` makes no difference"),
        (reward_that_returns_too_early, "the first velocity alone"),
        (reward_in_place, "velocity itself was changed in place"),
        (lambda velocity, target: np.clip(1 - abs(velocity - target), 0, 1).round(2), "close everywhere"),
        (lambda velocity, target: np.clip(1 - abs(velocity - target), 0.05, 1), "not 1 - |velocity"),
    ],
    "best_guess": [
        (lambda velocities, rewards: abs(velocities[np.argmax(rewards)]), "the sign is lost"),
        (guess_the_index, "the number of the push"),
        (guess_the_reward, "the reward of the best push"),
        (guess_the_worst, "paid least"),
        (guess_the_fastest, "the largest velocity"),
        (guess_the_last, "the last push"),
        (guess_the_mean, "this is the mean velocity of the round"),
        (guess_the_weighted_mean, "weighed by their rewards"),
        (guess_the_slowest, "the smallest velocity"),
        (guess_the_fastest_to_either_side, "the fastest push, to either side"),
        (guess_the_first, "the first push"),
        (guess_one_too_early, "the velocity of the push before the best one"),
        (guess_one_too_late, "the velocity of the push after the best one"),
        (guess_without_remembering_the_best, "compare with the largest reward so far"),
        (guess_with_the_arrays_exchanged, "arrays were exchanged"),
        (guess_from_sorted_velocities, "no longer belong to their rewards"),
        (guess_by_sorting_in_place, "velocities itself was changed in place"),
        (guess_the_middle, "not the velocity of the push with the largest reward"),
        (guess_all_of_the_best, "should be one number"),
        (lambda velocities, rewards: [*velocities[rewards > 0.9], 0.7][0], "not the velocity of"),
        (lambda velocities, rewards: velocities[:-1][rewards[:-1].argmax()], "the last push is left out"),
        (lambda velocities, rewards: velocities[1:][rewards[1:].argmax()], "the first push is left out"),
        (lambda velocities, rewards: round(velocities[rewards.argmax()], 2), "close everywhere"),
        (lambda velocities, rewards: -velocities[rewards.argmax()], "the sign is turned"),
    ],
    "mean_return": [
        (
            lambda rounds: np.concatenate(rounds).mean() * len(rounds[0]),
            "not the mean of the rounds' returns",
        ),
        (mean_that_hides_the_loss, "the first round is still lost"),
        (mean_that_loses_another_way, "one round is still missing"),
        (mean_without_the_last, "the last round is missing"),
        (mean_not_divided, "divide by the number of rounds"),
        (mean_reward_of_a_push, "the mean reward of a push"),
        (mean_of_means, "the sum of a round's rewards"),
        (mean_of_three, "also when there are not three rounds"),
        (mean_of_the_longest, "the best round's return"),
        (mean_of_the_rest_only, "not divided by the number of rounds any more"),
        (mean_without_the_last_divided, "the last round is missing"),
        (mean_over_one_less, "not by one less"),
        (mean_with_the_first_twice, "the first round is counted twice"),
        (mean_with_the_last_twice, "the last round is counted twice"),
        (mean_that_returns_too_early, "only the first round is in the total"),
        (mean_that_is_not_added_up, "add each one to it"),
        (mean_of_the_last_round, "the last round alone"),
        (mean_of_the_worst, "the worst round's return"),
        (mean_without_its_fraction, "// and int do not"),
        (mean_of_means_not_divided, "the means of the rounds, added up"),
        (mean_in_the_middle, "not the mean of the rounds' returns"),
        (mean_that_empties_the_list, "rounds itself was changed in place"),
        (lambda rounds: int(sum(map(np.sum, rounds)) / len(rounds)), "// and int do not"),
        (lambda rounds: round(sum(map(np.sum, rounds)) / len(rounds), 2), "close everywhere"),
        (
            lambda rounds: sum(rewards.sum() for rewards in rounds if len(rewards) > 1) / len(rounds),
            "not the mean of the rounds' returns",
        ),
    ],
}


# --- right answers in other styles


def right_reward_by_maximum(velocity, target):
    return np.maximum(0.0, 1 - abs(velocity - target))


def right_guess_by_sorting(velocities, rewards):
    return float(max(zip(rewards, velocities, strict=True))[1])


def right_mean_in_one_line(rounds):
    return np.mean([sum(rewards) for rewards in rounds])


def right_reward_by_a_loop(velocity, target):
    rewards = []
    for v in velocity:
        distance = v - target if v > target else target - v
        rewards.append(1 - distance if distance < 1 else 0)
    return rewards


def right_reward_by_where(velocity, target):
    near = np.where(velocity < target, 1 - target + velocity, 1 + target - velocity)
    near[near < 0] = 0
    return near


def right_reward_in_torch(velocity, target):
    return torch.relu(1 - (torch.from_numpy(velocity) - target).abs()).numpy().astype(np.float32)


def right_guess_by_a_loop(velocities, rewards):
    guess, best = velocities[0], rewards[0]
    for velocity, reward in zip(velocities, rewards, strict=True):
        if reward > best:
            guess, best = velocity, reward
    return guess


def right_guess_by_the_last_of_an_order(velocities, rewards):
    return velocities[np.argsort(rewards)[-1]]


def right_guess_in_torch(velocities, rewards):
    return torch.tensor(velocities)[torch.tensor(rewards).argmax()]


def right_mean_that_begins_with_the_first(rounds):
    total = rounds[0].sum()
    for rewards in rounds[1:]:
        total = total + rewards.sum()
    return float(total) / len(rounds)


def right_mean_of_every_push(rounds):
    return sum(reward / len(rounds) for rewards in rounds for reward in rewards)


RIGHT_ANSWERS = {
    "hidden_reward": [
        right_reward_by_maximum,
        right_reward_by_a_loop,
        right_reward_by_where,
        right_reward_in_torch,
    ],
    "best_guess": [
        right_guess_by_sorting,
        right_guess_by_a_loop,
        right_guess_by_the_last_of_an_order,
        right_guess_in_torch,
    ],
    "mean_return": [
        right_mean_in_one_line,
        right_mean_that_begins_with_the_first,
        right_mean_of_every_push,
    ],
}

NEVER_NEGATIVE = "the rewards of this game are never negative"
EQUIVALENT = {
    "best_guess": [(r"`rewards` has lost its sign", NEVER_NEGATIVE)],
    "mean_return": [(r"has lost its sign", NEVER_NEGATIVE)],
    "hidden_reward": [
        (r"the result has lost its sign", NEVER_NEGATIVE),
        (r"np\.clip\(0, 1 - np\.abs", "what is given first is cut to the bounds: 0, raised to the reward"),
        (r"0, 2\)$", "1 - |velocity - target| is never above 1, so the upper bound does nothing"),
    ],
}
