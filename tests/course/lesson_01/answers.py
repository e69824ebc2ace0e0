"""Wrong and right answers to the exercises of lesson 01, and what the authors of the wrong ones are told."""

import functools
import itertools

import numpy as np
import torch

from mlearn_utils.course.lesson_01 import exercises as solutions
from mlearn_utils.rl import dynamic_programming as dp

# --- discounted_return


def return_from_the_wrong_end(rewards, gamma):
    return sum(gamma**t * reward for t, reward in enumerate(reversed(rewards)))


def return_discounted_once_too_often(rewards, gamma):
    total = 0.0
    for reward in reversed(rewards):
        total = gamma * (reward + total)
    return total


def return_without_discount(rewards, gamma):
    return sum(rewards)


def return_as_a_mean(rewards, gamma):
    return float(np.mean(gamma ** np.arange(len(rewards)) * rewards))


def return_with_a_product(rewards, gamma):
    return sum(gamma * t * reward for t, reward in enumerate(rewards))


def return_with_one_factor(rewards, gamma):
    return rewards[0] + gamma * sum(rewards[1:])


def return_of_all_steps(rewards, gamma):
    return gamma ** np.arange(len(rewards)) * np.array(rewards)


def return_that_is_printed(rewards, gamma):
    str(sum(gamma**t * reward for t, reward in enumerate(rewards)))


def return_that_forgets_the_last_reward(rewards, gamma):
    return sum(gamma**t * rewards[t] for t in range(len(rewards) - 1))


def return_that_reverses_the_list(rewards, gamma):
    rewards.reverse()
    total = 0.0
    for reward in rewards:
        total = reward + gamma * total
    return total


def return_of_the_same_weight(rewards, gamma):
    return gamma * sum(rewards)


def return_to_the_power_of_gamma(rewards, gamma):
    return sum(t**gamma * reward for t, reward in enumerate(rewards))


def return_as_a_plain_mean(rewards, gamma):
    return sum(rewards) / len(rewards)


def return_as_a_weighted_mean(rewards, gamma):
    return np.average(rewards, weights=gamma ** np.arange(len(rewards)))


def return_without_the_first_reward(rewards, gamma):
    total = 0.0
    for t in range(len(rewards) - 1, 0, -1):
        total = rewards[t] + gamma * total
    return total


def return_whose_sum_starts_at_1(rewards, gamma):
    return sum(gamma**t * rewards[t] for t in range(1, len(rewards)))


def return_inside_the_loop(rewards, gamma):
    total = 0.0
    for t, reward in enumerate(rewards):
        total += gamma**t * reward
        return total


def return_inside_the_backward_loop(rewards, gamma):
    total = 0.0
    for reward in reversed(rewards):
        total = reward + gamma * total
        return total


def return_of_the_last_step(rewards, gamma):
    total = 0.0
    for reward in rewards:
        total = 0.0
        total += reward
    return total


def return_by_a_forward_loop(rewards, gamma):
    total = 0.0
    for reward in rewards:
        total = reward + gamma * total
    return total


def returns_from_each_step(rewards, gamma):
    result = list(rewards)
    for t in reversed(range(len(rewards) - 1)):
        result[t] += gamma * result[t + 1]
    return result


def returns_from_each_step_in_the_order_of_the_loop(rewards, gamma):
    return returns_from_each_step(rewards, gamma)[::-1]


def return_with_a_discount_of_its_own(rewards, gamma):
    return sum(0.9**t * reward for t, reward in enumerate(rewards))


def return_that_pops(rewards, gamma):
    total = 0.0
    while rewards:
        total = rewards.pop() + gamma * total
    return total


def return_without_an_empty_episode(rewards, gamma):
    if len(rewards) == 1:
        return rewards[0]
    return rewards[0] + gamma * return_without_an_empty_episode(rewards[1:], gamma)


def return_of_nothing_for_an_empty_episode(rewards, gamma):
    return return_without_an_empty_episode(rewards, gamma) if rewards else None


def return_normalized(rewards, gamma):
    return (1 - gamma) * sum(gamma**t * reward for t, reward in enumerate(rewards))


def return_in_whole_numbers(rewards, gamma):
    return int(sum(gamma**t * reward for t, reward in enumerate(rewards)))


# --- step_targets


def targets(steps, V, gamma, goes_on, at="next_state"):
    return [s.reward + (gamma * V[getattr(s, at)] if goes_on(s) else 0.0) for s in steps]


def targets_that_end_at_the_time_limit(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: not s.terminated and not s.truncated)


def targets_past_a_terminal_state(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: True)


def targets_that_prefer_truncation(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: s.truncated or not s.terminated)


def targets_with_flags_mixed_up(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: not s.truncated)


def targets_the_wrong_way_round(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: s.terminated)


def targets_without_a_future(steps, V, gamma):
    return [s.reward for s in steps]


def targets_without_a_discount(steps, V, gamma):
    return targets(steps, V, 1.0, lambda s: not s.terminated)


def targets_of_the_own_state(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: not s.terminated, at="state")


def targets_that_drop_truncated_steps(steps, V, gamma):
    return targets([s for s in steps if not s.truncated], V, gamma, lambda s: not s.terminated)


def targets_by_both_flags(steps, V, gamma):
    return [
        step.reward + (0.0 if step.terminated and step.truncated else gamma * V[step.next_state])
        for step in steps
    ]


def targets_that_write_into_the_values(steps, V, gamma):
    result = []
    for step in steps:
        if step.terminated:
            V[step.next_state] = 0.0
        result.append(step.reward + gamma * V[step.next_state])
    return result


def targets_that_lose_the_reward(steps, V, gamma):
    result = []
    for step in steps:
        target = step.reward
        if not step.terminated:
            target = gamma * V[step.next_state]
        result.append(target)
    return result


def targets_of_nothing_at_the_end(steps, V, gamma):
    return [0.0 if step.terminated else step.reward + gamma * V[step.next_state] for step in steps]


def targets_without_reward(steps, V, gamma):
    return [0.0 if step.terminated else gamma * V[step.next_state] for step in steps]


def targets_that_discount_the_reward(steps, V, gamma):
    return [step.reward if step.terminated else gamma * (step.reward + V[step.next_state]) for step in steps]


def targets_as_errors(steps, V, gamma):
    right = targets(steps, V, gamma, lambda s: not s.terminated)
    return [target - V[step.state] for target, step in zip(right, steps, strict=True)]


def targets_that_subtract(steps, V, gamma):
    return targets(steps, -V, gamma, lambda s: not s.terminated)


def targets_discounted_by_the_step(steps, V, gamma):
    return [
        step.reward + (0.0 if step.terminated else gamma ** (t + 1) * V[step.next_state])
        for t, step in enumerate(steps)
    ]


def targets_of_ended_steps_only(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: s.terminated or s.truncated)


def targets_of_truncated_steps_only(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: s.truncated)


def targets_without_the_last_step(steps, V, gamma):
    return targets(steps[:-1], V, gamma, lambda s: not s.terminated)


def targets_that_skip_terminated_steps(steps, V, gamma):
    result = []
    for step in steps:
        if step.terminated:
            continue
        result.append(step.reward + gamma * V[step.next_state])
    return result


def targets_returned_too_early(steps, V, gamma):
    result = []
    for step in steps:
        result.append(step.reward + (0.0 if step.terminated else gamma * V[step.next_state]))
        return result


def target_of_the_last_step(steps, V, gamma):
    return targets(steps, V, gamma, lambda s: not s.terminated)[-1]


def targets_with_a_tilde(steps, V, gamma):
    return [step.reward + gamma * V[step.next_state] * ~step.terminated for step in steps]


def targets_of_the_best_state(steps, V, gamma):
    return [step.reward + (0.0 if step.terminated else gamma * V.max()) for step in steps]


def targets_backwards(steps, V, gamma):
    return targets(steps[::-1], V, gamma, lambda s: not s.terminated)


def targets_summed(steps, V, gamma):
    return sum(targets(steps, V, gamma, lambda s: not s.terminated))


def targets_averaged(steps, V, gamma):
    return np.mean(targets(steps, V, gamma, lambda s: not s.terminated))


def targets_that_are_forgotten(steps, V, gamma):
    targets(steps, V, gamma, lambda s: not s.terminated)


# --- bellman_backup


def values_of_actions(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * np.where(terminal, 0.0, V))).sum(axis=1)


def backup_past_a_terminal_state(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * V)).sum(axis=1).max()


def backup_of_the_likeliest_state(P, rewards, V, gamma, terminal, state):
    after = P[state].argmax(axis=1)
    V = np.where(terminal, 0.0, V)
    return max(rewards[state, a, s] + gamma * V[s] for a, s in enumerate(after))


def backup_of_the_best_next_state(P, rewards, V, gamma, terminal, state):
    return (rewards[state] + gamma * np.where(terminal, 0.0, V)).max()


def backup_without_probabilities(P, rewards, V, gamma, terminal, state):
    return (rewards[state] + gamma * np.where(terminal, 0.0, V)).sum(axis=1).max()


def backup_with_a_plain_mean(P, rewards, V, gamma, terminal, state):
    return (rewards[state] + gamma * np.where(terminal, 0.0, V)).mean(axis=1).max()


def backup_as_a_mean_over_actions(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, rewards, V, gamma, terminal, state).mean()


def backup_of_the_worst_action(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, rewards, V, gamma, terminal, state).min()


def backup_that_returns_the_action(P, rewards, V, gamma, terminal, state):
    return int(values_of_actions(P, rewards, V, gamma, terminal, state).argmax())


def backup_that_returns_all_actions(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, rewards, V, gamma, terminal, state)


def backup_without_gamma(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, rewards, V, 1.0, terminal, state).max()


def backup_that_discounts_the_reward(P, rewards, V, gamma, terminal, state):
    return gamma * values_of_actions(P, rewards, V, 1.0, terminal, state).max()


def backup_without_reward(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, 0 * rewards, V, gamma, terminal, state).max()


def backup_that_loses_the_last_reward(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P * ~terminal, rewards, V, gamma, terminal, state).max()


def backup_that_writes_to_its_argument(P, rewards, V, gamma, terminal, state):
    V[terminal] = 0.0
    return (P[state] * (rewards[state] + gamma * V)).sum(axis=1).max()


def backup_of_the_largest_term(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * np.where(terminal, 0.0, V))).max()


def backup_with_max_and_sum_swapped(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * np.where(terminal, 0.0, V))).max(axis=1).sum()


def masked(V, terminal):
    return np.where(terminal, 0.0, V)


def backup_with_the_mask_turned(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * np.where(terminal, V, 0.0))).sum(axis=1).max()


def backup_that_masks_by_the_state(P, rewards, V, gamma, terminal, state):
    return 0.0 if terminal[state] else (P[state] * (rewards[state] + gamma * V)).sum(axis=1).max()


def backup_summed_over_actions(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * masked(V, terminal))).sum(axis=0).max()


def backup_with_the_max_inside(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * masked(V, terminal))).max(axis=0).sum()


def backup_as_a_mean_of_the_terms(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * masked(V, terminal))).mean(axis=1).max()


def backup_by_a_matrix_product(P, rewards, V, gamma, terminal, state):
    return (P[state] @ (rewards[state] + gamma * masked(V, terminal)).T).max()


def backup_of_two_best_actions(P, rewards, V, gamma, terminal, state):
    reward = (P[state] * rewards[state]).sum(axis=1)
    return reward.max() + gamma * (P[state] @ masked(V, terminal)).max()


def backup_with_mean_rewards(P, rewards, V, gamma, terminal, state):
    return (rewards[state].mean(axis=1) + gamma * P[state] @ masked(V, terminal)).max()


def backup_with_summed_rewards(P, rewards, V, gamma, terminal, state):
    return (rewards[state].sum(axis=1) + gamma * P[state] @ masked(V, terminal)).max()


def backup_with_largest_rewards(P, rewards, V, gamma, terminal, state):
    return (rewards[state].max(axis=1) + gamma * P[state] @ masked(V, terminal)).max()


def backup_that_starts_at_0(P, rewards, V, gamma, terminal, state):
    best = 0
    for value in values_of_actions(P, rewards, V, gamma, terminal, state):
        if value > best:
            best = value
    return best


def backup_returned_too_early(P, rewards, V, gamma, terminal, state):
    for value in values_of_actions(P, rewards, V, gamma, terminal, state):
        return value


def backup_of_the_last_action(P, rewards, V, gamma, terminal, state):
    best = -np.inf
    for action in range(P.shape[1]):
        best = (P[state, action] * (rewards[state, action] + gamma * masked(V, terminal))).sum()
    return best


def backup_of_the_summed_actions(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, rewards, V, gamma, terminal, state).sum()


def backup_of_the_best_reward_first(P, rewards, V, gamma, terminal, state):
    action = (P[state] * rewards[state]).sum(axis=1).argmax()
    return values_of_actions(P, rewards, V, gamma, terminal, state)[action]


def backup_of_the_best_future_first(P, rewards, V, gamma, terminal, state):
    action = (P[state] @ masked(V, terminal)).argmax()
    return values_of_actions(P, rewards, V, gamma, terminal, state)[action]


def backup_of_the_reward_alone(P, rewards, V, gamma, terminal, state):
    return (P[state] * rewards[state]).sum(axis=1).max()


def backup_of_the_own_value(P, rewards, V, gamma, terminal, state):
    return (P[state] * rewards[state]).sum(axis=1).max() + gamma * V[state]


def backup_that_subtracts(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, rewards, -V, gamma, terminal, state).max()


def backup_as_a_change(P, rewards, V, gamma, terminal, state):
    return values_of_actions(P, rewards, V, gamma, terminal, state).max() - V[state]


def backup_of_all_states(P, rewards, V, gamma, terminal, state):
    return (P * (rewards + gamma * masked(V, terminal))).sum(axis=2).max(axis=1)


def backup_of_the_whole_table(P, rewards, V, gamma, terminal, state):
    return (P * (rewards + gamma * masked(V, terminal))).sum(axis=2)


def backup_of_state_0(P, rewards, V, gamma, terminal, state):
    return backup_of_all_states(P, rewards, V, gamma, terminal, state)[0]


def backup_that_scales_its_argument(P, rewards, V, gamma, terminal, state):
    P /= P.sum(axis=2, keepdims=True) * 2
    return 2 * values_of_actions(P, rewards, V, gamma, terminal, state).max()


def backup_that_adds_to_the_rewards(P, rewards, V, gamma, terminal, state):
    rewards[state] += gamma * masked(V, terminal)
    return (P[state] * rewards[state]).sum(axis=1).max()


def backup_as_a_ragged_list(P, rewards, V, gamma, terminal, state):
    return [[1.0], [2.0, 3.0]]


# --- balance


def push_by_the_angle(observation):
    return int(observation[2] > 0)


def push_by_the_angular_velocity(observation):
    return int(observation[3] > 0)


def push_the_wrong_way(observation):
    return int(observation[2] + 0.5 * observation[3] < 0)


def push_always_right(observation):
    return 1


def push_by_the_position(observation):
    return int(observation[0] < 0)


def push_by_a_truth(observation):
    return observation[2] + 0.5 * observation[3] > 0


def push_by_a_force(observation):
    return 10 * (observation[2] + 0.5 * observation[3])


def push_by_a_float(observation):
    return float(observation[2] + 0.5 * observation[3] > 0)


def push_by_nothing(observation):
    int(observation[2] > 0)


def push_that_looks_far_too_little_at_the_angle(observation):
    return int(0.05 * observation[2] + observation[3] > 0)


def push_without_an_else(observation):
    if observation[2] > 0:
        return 1
    elif observation[2] < 0:
        return 0


def push_without_an_else_by_both(observation):
    ahead = observation[2] + 0.5 * observation[3]
    if ahead > 0:
        return 1
    if ahead < 0:
        return 0


def push_by_the_size_of_the_angle(observation):
    return int(abs(observation[2]) > 0.05)


def push_by_a_product(observation):
    return int(observation[2] * observation[3] > 0)


def push_against_the_swing(observation):
    return int(observation[2] - observation[3] > 0)


def push_against_the_lean(observation):
    return int(observation[3] - observation[2] > 0)


def push_by_the_angle_the_wrong_way(observation):
    return int(observation[2] < 0)


def push_by_the_pole_less_the_cart(observation):
    return int(observation[2] + 0.5 * observation[3] - observation[0] - observation[1] > 0)


def push_by_the_sum_of_three(observation):
    return int(observation[0] + observation[2] + observation[3] > 0)


def push_by_the_pole_less_the_velocity(observation):
    return int(observation[2] + 0.5 * observation[3] - 0.3 * observation[1] > 0)


def push_late(observation):
    return int(observation[2] + 0.5 * observation[3] > 0.1)


def push_if_both_are_positive(observation):
    return int(observation[2] > 0 and observation[3] > 0)


def push_if_one_is_positive(observation):
    return int(observation[2] > 0 or observation[3] > 0)


def push_by_the_wrong_velocity(observation):
    return int(observation[2] + 0.5 * observation[1] > 0)


def push_by_the_first_two(observation):
    return int(observation[0] + 0.5 * observation[1] > 0)


def push_by_a_sign(observation):
    return int(np.sign(observation[2] + 0.5 * observation[3]))


def push_by_words(observation):
    return "right" if observation[2] > 0 else "left"


def push_by_a_tensor(observation):
    return torch.tensor(observation[2] + 0.5 * observation[3] > 0).long()


def push_by_an_array_of_one(observation):
    return np.array([observation[2] + 0.5 * observation[3] > 0], dtype=int)


def push_by_a_coin(observation):
    return int(np.random.rand() < 0.5)  # noqa: NPY002


def push_by_an_own_generator(observation):
    return int(np.random.default_rng().integers(2))


def push_that_scales_the_observation(observation):
    observation *= 10
    return int(observation[2] + 0.5 * observation[3] > 0)


class PushByChance:
    """Random, and the same in every run: a fresh generator each time it is graded."""

    __name__ = "push_by_chance"

    def __init__(self):
        self.coins = itertools.cycle([0, 1, 1, 0, 1, 0, 0])

    def __call__(self, observation):
        return next(self.coins)


# --- policy_iteration


def solve(P, R, policy, gamma):
    states = np.arange(len(R))
    return np.linalg.solve(np.eye(len(R)) - gamma * P[states, policy], R[states, policy])


def iterate(P, R, gamma, rounds=100, first=None):
    policy = R.argmax(axis=1) if first is None else first
    for _ in range(rounds):
        policy = (R + gamma * P @ solve(P, R, policy, gamma)).argmax(axis=1)
    return policy


def policy_of_the_next_reward(P, R, gamma):
    return R.argmax(axis=1)


def policy_after_one_round(P, R, gamma):
    return iterate(P, R, gamma, rounds=1)


def policy_after_one_round_from_zero(P, R, gamma):
    return iterate(P, R, gamma, rounds=1, first=np.zeros(len(R), dtype=int))


def policy_of_the_worst_actions(P, R, gamma):
    return (R + gamma * P @ dp.value_iteration(P, R, gamma)).argmin(axis=1)


def policy_without_reward(P, R, gamma):
    return (P @ dp.value_iteration(P, R, gamma)).argmax(axis=1)


def policy_with_its_values(P, R, gamma):
    policy = iterate(P, R, gamma)
    return policy, solve(P, R, policy, gamma)


def policy_as_values(P, R, gamma):
    return dp.value_iteration(P, R, gamma)


def policy_as_a_table(P, R, gamma):
    return np.eye(R.shape[1])[iterate(P, R, gamma)]


def policy_as_a_float_array(P, R, gamma):
    policy = np.zeros(len(R))
    policy[:] = iterate(P, R, gamma)
    return policy


def policy_as_floats(P, R, gamma):
    return [float(action) for action in iterate(P, R, gamma)]


def policy_counted_from_1(P, R, gamma):
    return iterate(P, R, gamma) + 1


def policy_as_a_column(P, R, gamma):
    return iterate(P, R, gamma)[:, None]


def policy_without_the_last_state(P, R, gamma):
    return iterate(P, R, gamma)[:-1]


def policy_of_the_best_states(P, R, gamma):
    return (R + gamma * P @ dp.value_iteration(P, R, gamma)).argmax(axis=0)


def policy_as_a_dict(P, R, gamma):
    return dict(enumerate(iterate(P, R, gamma).tolist()))


def policy_as_action_values(P, R, gamma):
    return R + gamma * P @ dp.value_iteration(P, R, gamma)


def policy_that_is_not_returned(P, R, gamma):
    policy = R.argmax(axis=1)
    for _ in range(50):
        improved = (R + gamma * P @ solve(P, R, policy, gamma)).argmax(axis=1)
        if (improved == policy).all():
            break
        policy = improved


def policy_of_truths(P, R, gamma):
    return iterate(P, R, gamma) > 0


def policy_of_the_first_action(P, R, gamma):
    return np.zeros(len(R), dtype=int)


def policy_of_the_random_policy_improved(P, R, gamma):
    V = np.linalg.solve(np.eye(len(R)) - gamma * P.mean(axis=1), R.mean(axis=1))
    return (R + gamma * P @ V).argmax(axis=1)


def policy_after_two_rounds(P, R, gamma):
    return iterate(P, R, gamma, rounds=2)


def policy_by_argmin(P, R, gamma):
    policy = R.argmin(axis=1)
    for _ in range(50):
        policy = (R + gamma * P @ solve(P, R, policy, gamma)).argmin(axis=1)
    return policy


def policy_that_iterates_without_reward(P, R, gamma):
    policy = R.argmax(axis=1)
    for _ in range(100):
        policy = (P @ solve(P, R, policy, gamma)).argmax(axis=1)
    return policy


def policy_in_place(P, R, gamma):
    P *= gamma
    return iterate(P, R, 1.0)


def policy_of_a_shorter_horizon(P, R, gamma):
    return iterate(P, R, gamma / 2)


def policy_without_a_discount_in_its_greedy_step(P, R, gamma):
    policy = R.argmax(axis=1)
    for _ in range(50):
        policy = (R + P @ solve(P, R, policy, gamma)).argmax(axis=1)
    return policy


def policy_of_a_fixed_discount(P, R, gamma):
    return iterate(P, R, 0.9)


def policy_of_the_discount_of_the_notebook(P, R, gamma):
    return iterate(P, R, 0.95)


def policy_after_three_rounds(P, R, gamma):
    return iterate(P, R, gamma, rounds=3)


def policy_after_twenty_sweeps(P, R, gamma):
    V = np.zeros(len(R))
    for _ in range(20):
        V = (R + gamma * P @ V).max(axis=1)
    return (R + gamma * P @ V).argmax(axis=1)


def policy_after_five_sweeps(P, R, gamma):
    V = np.zeros(len(R))
    for _ in range(5):
        V = (R + gamma * P @ V).max(axis=1)
    return (R + gamma * P @ V).argmax(axis=1)


def return_that_looks_rewards_up(rewards, gamma):
    return sum(gamma ** rewards.index(reward) * reward for reward in rewards)


def return_until_nothing_is_paid(rewards, gamma):
    total = 0.0
    for t, reward in enumerate(rewards):
        if not reward:
            break
        total += gamma**t * reward
    return total


def policy_by_few_sweeps(P, R, gamma, sweeps=40):
    V = np.zeros(len(R))
    for _ in range(sweeps):
        V = (R + gamma * P @ V).max(axis=1)
    return (R + gamma * P @ V).argmax(axis=1)


def policy_that_stops_too_early(P, R, gamma):
    V, change = np.zeros(len(R)), 1.0
    while change > 1e-4:
        new = (R + gamma * P @ V).max(axis=1)
        change, V = abs(new - V).max(), new
    return (R + gamma * P @ V).argmax(axis=1)


def policy_that_discounts_the_reward(P, R, gamma):
    states = np.arange(len(R))
    policy = R.argmax(axis=1)
    for _ in range(100):
        V = np.linalg.solve(np.eye(len(R)) - gamma * P[states, policy], R[states, policy])
        policy = (gamma * (R + P @ V)).argmax(axis=1)
    return policy


WRONG_ANSWERS = {
    "discounted_return": [
        (return_that_looks_rewards_up, "not the sum of gamma ** t"),
        (return_until_nothing_is_paid, "It is right with rewards of 4"),
        (lambda rewards, gamma: max(solutions.discounted_return(rewards, gamma), 0.0), "not the sum of"),
        (lambda rewards, gamma: round(solutions.discounted_return(rewards, gamma), 3), "close everywhere"),
        (return_that_reverses_the_list, "rewards itself was changed in place"),
        (return_that_pops, "rewards itself was changed in place"),
        (return_from_the_wrong_end, "discounted from the wrong end"),
        (return_by_a_forward_loop, "discounted from the wrong end"),
        (return_discounted_once_too_often, "once too often"),
        (return_without_discount, "undiscounted sum"),
        (return_as_a_mean, "this is a mean"),
        (return_as_a_plain_mean, "the mean of the rewards"),
        (return_as_a_weighted_mean, "a weighted mean"),
        (return_with_a_product, "not gamma * t"),
        (return_to_the_power_of_gamma, "not t ** gamma"),
        (return_with_one_factor, "multiplied by gamma once"),
        (return_of_the_same_weight, "multiplied by gamma once"),
        (return_of_all_steps, "the return is their sum"),
        (returns_from_each_step, "from every step on"),
        (returns_from_each_step_in_the_order_of_the_loop, "the last step first"),
        (return_that_is_printed, "None"),
        (return_that_forgets_the_last_reward, "the last reward is left out"),
        (return_without_the_first_reward, "the first reward is left out"),
        (return_whose_sum_starts_at_1, "the first reward is left out"),
        (return_inside_the_loop, "`return` too early"),
        (return_inside_the_backward_loop, "only the last reward counts"),
        (return_of_the_last_step, "set anew in every step"),
        (return_with_a_discount_of_its_own, "`gamma` makes no difference"),
        (return_without_an_empty_episode, "(yours raises IndexError)"),
        (return_of_nothing_for_an_empty_episode, "None"),
        (return_normalized, "multiplied by 1 - gamma"),
        (return_in_whole_numbers, "not the sum of gamma ** t"),
    ],
    "step_targets": [
        (
            lambda steps, V, gamma: [
                step.reward and step.reward + gamma * V[step.next_state] * (not step.terminated)
                for step in steps
            ],
            "not reward + gamma",
        ),
        (
            lambda steps, V, gamma: [
                step.reward + gamma * V[step.next_state] * (not step.terminated or step is steps[-1])
                for step in steps
            ],
            "not reward + gamma",
        ),
        (targets_that_end_at_the_time_limit, "truncation is still treated as termination"),
        (targets_past_a_terminal_state, "bootstrapped past a terminal state"),
        (targets_that_prefer_truncation, "terminated and truncated at once"),
        (targets_with_flags_mixed_up, "the two flags are mixed up"),
        (targets_the_wrong_way_round, "the wrong way round"),
        (targets_of_ended_steps_only, "the wrong way round"),
        (targets_of_truncated_steps_only, "only truncated steps"),
        (targets_without_a_future, "missing everywhere"),
        (targets_without_a_discount, "gamma is missing"),
        (targets_of_the_own_state, "the state the step started in"),
        (targets_by_both_flags, "one flag decides alone"),
        (targets_that_drop_truncated_steps, "every step has a target"),
        (targets_that_skip_terminated_steps, "Those that terminated are left out"),
        (targets_without_the_last_step, "the last one too"),
        (targets_returned_too_early, "`return` too early"),
        (target_of_the_last_step, "the last step alone"),
        (targets_that_write_into_the_values, "V itself was changed in place"),
        (targets_that_lose_the_reward, "= replaces it"),
        (targets_of_nothing_at_the_end, "the reward of a step that terminated is lost"),
        (targets_without_reward, "the reward is missing"),
        (targets_that_discount_the_reward, "the reward is discounted as well"),
        (targets_as_errors, "a TD error"),
        (targets_that_subtract, "the next value is subtracted"),
        (targets_discounted_by_the_step, "grows from step to step"),
        (targets_with_a_tilde, "~ turns"),
        (targets_of_the_best_state, "the largest value of all"),
        (targets_backwards, "in the reverse order"),
        (targets_summed, "the sum of the targets"),
        (targets_averaged, "the mean of the targets"),
        (targets_that_are_forgotten, "None"),
    ],
    "bellman_backup": [
        (lambda *case: max(solutions.bellman_backup(*case), -100), "not max over actions"),
        (lambda *case: round(solutions.bellman_backup(*case), 3), "close everywhere"),
        (
            lambda P, rewards, V, gamma, terminal, state: solutions.bellman_backup(
                P[:, 1:], rewards[:, 1:], V, gamma, terminal, state
            ),
            "not max over actions",
        ),
        (backup_past_a_terminal_state, "bootstrapped past a terminal state"),
        (backup_that_masks_by_the_state, "which of the next states are"),
        (backup_with_the_mask_turned, "the wrong way round"),
        (backup_of_the_likeliest_state, "most likely next state"),
        (backup_of_the_best_next_state, "the best next state is picked"),
        (backup_without_probabilities, "a plain sum over next states"),
        (backup_with_a_plain_mean, "a plain mean over next states"),
        (backup_as_a_mean_of_the_terms, "weights of a sum"),
        (backup_as_a_mean_over_actions, "value of the random policy"),
        (backup_of_the_worst_action, "worst action"),
        (backup_that_returns_the_action, "number of the best action"),
        (backup_that_returns_all_actions, "take the largest"),
        (backup_of_all_states, "pick that of `state`"),
        (backup_of_the_whole_table, "pick the row of `state`"),
        (backup_of_state_0, "`state` makes no difference"),
        (backup_without_gamma, "gamma is missing"),
        (backup_that_discounts_the_reward, "the reward is discounted as well"),
        (backup_without_reward, "the reward is missing"),
        (backup_of_the_reward_alone, "the next value is missing"),
        (backup_of_the_own_value, "the value of `state` itself"),
        (backup_that_subtracts, "the next value is subtracted"),
        (backup_as_a_change, "not the change"),
        (backup_that_loses_the_last_reward, "the step that ends an episode is paid too"),
        (backup_that_writes_to_its_argument, "V itself was changed in place"),
        (backup_that_scales_its_argument, "P itself was changed in place"),
        (backup_that_adds_to_the_rewards, "rewards itself was changed in place"),
        (backup_of_the_largest_term, "first sum over next states"),
        (backup_with_max_and_sum_swapped, "max and sum are swapped"),
        (backup_with_the_max_inside, "max and sum are swapped"),
        (backup_summed_over_actions, "summed over axis 0"),
        (backup_by_a_matrix_product, "mixes the actions"),
        (backup_of_two_best_actions, "from two actions"),
        (backup_with_mean_rewards, "not weighed by P"),
        (backup_with_summed_rewards, "not weighed by P"),
        (backup_with_largest_rewards, "not weighed by P"),
        (backup_that_starts_at_0, "starts at 0"),
        (backup_returned_too_early, "`return` too early"),
        (backup_of_the_last_action, "the last action alone"),
        (backup_of_the_summed_actions, "the actions are summed"),
        (backup_of_the_best_reward_first, "by the reward alone"),
        (backup_of_the_best_future_first, "by the next value alone"),
        (backup_as_a_ragged_list, "should be one number"),
    ],
    "balance": [
        (push_by_the_angle, "ignores the angular velocity"),
        (push_by_the_wrong_velocity, "ignores the angular velocity"),
        (push_by_the_angular_velocity, "ignores the angle"),
        (push_the_wrong_way, "away from where the pole leans"),
        (push_by_the_angle_the_wrong_way, "away from where the pole leans"),
        (push_against_the_swing, "the sign of the angular velocity is turned"),
        (push_against_the_lean, "the sign of the angle is wrong"),
        (push_always_right, "always pushes to the same side"),
        (push_by_the_size_of_the_angle, "no difference between left and right"),
        (push_by_a_product, "no difference between left and right"),
        (push_by_the_position, "follows the cart"),
        (push_by_the_first_two, "follows the cart"),
        (push_by_the_pole_less_the_cart, "the cart outweighs the pole"),
        (push_by_the_pole_less_the_velocity, "with the cart at 0, its velocity 2"),
        (push_by_the_sum_of_three, "with the cart at -1, its velocity 0"),
        (push_late, "with the angle 0.02 and the angular velocity 0 the pole leans to the right"),
        (push_if_both_are_positive, "with the angle 0.2 and the angular velocity 0 the pole leans"),
        (push_if_one_is_positive, "whichever is stronger"),
        (lambda seen: int(-0.024 * seen[0] + 0.41 * seen[1] + 0.04 * seen[2] + 6.93 * seen[3] > 0), "weight"),
        (push_by_a_truth, "wrap the condition in int"),
        (push_by_a_force, "the push is 3.5; it must be 0 (left) or 1 (right)"),
        (push_by_a_sign, "the push is -1"),
        (lambda observation: 10**30, "a number far from both; it must be 0 (left) or 1 (right)"),
        (push_by_a_float, "a float"),
        (push_by_words, "a text, which Gymnasium refuses"),
        (push_by_a_tensor, "a tensor (int64), which Gymnasium refuses"),
        (push_by_an_array_of_one, "of shape [1] (int64), which Gymnasium refuses"),
        (push_by_nothing, "None"),
        (push_without_an_else, "for the observation [0.0, 0.0, 0.0, 0.0] nothing is returned"),
        (push_without_an_else_by_both, "for the observation [0.0, 0.0, 0.0, 0.0] nothing is returned"),
        (push_that_looks_far_too_little_at_the_angle, "another weight of the angular velocity"),
        (push_by_a_coin, "another result"),
        (push_by_an_own_generator, "another result"),
        (push_that_scales_the_observation, "changed in place"),
        (PushByChance(), "another result"),
    ],
    "policy_iteration": [
        (policy_of_the_next_reward, "only the next reward counts"),
        (policy_after_one_round, "stopped after one improvement"),
        (policy_after_one_round_from_zero, "stopped after one improvement"),
        (policy_of_the_random_policy_improved, "the values of the random policy"),
        (policy_after_two_rounds, "until nothing changes"),
        (policy_after_three_rounds, "until nothing changes"),
        (policy_of_the_first_action, "every state gets action 0"),
        (policy_of_the_worst_actions, "the worst policy"),
        (policy_by_argmin, "the worst policy"),
        (policy_without_reward, "the reward R is missing"),
        (policy_that_iterates_without_reward, "the reward R is missing"),
        (policy_with_its_values, "two things are returned"),
        (policy_as_values, "these are the values"),
        (policy_as_a_table, "argmax over axis 1"),
        (policy_as_action_values, "argmax over axis 1"),
        (policy_of_the_best_states, "not [A]: argmax over axis 1"),
        (policy_as_a_float_array, "dtype=int"),
        (policy_as_floats, "wrap it in int"),
        (policy_counted_from_1, "should be one of 0 to 3, got 4"),
        (policy_as_a_column, "an axis of length 1 too many"),
        (policy_without_the_last_state, "of shape [7]"),
        (policy_as_a_dict, "a dict"),
        (policy_that_is_not_returned, "None"),
        (policy_of_truths, "a whole number"),
        (policy_in_place, "P itself was changed in place"),
        (policy_of_a_shorter_horizon, "not the best action everywhere"),
        (policy_without_a_discount_in_its_greedy_step, "the future count less than the next reward"),
        (policy_that_discounts_the_reward, "gamma multiplies the reward, too"),
        (policy_of_a_fixed_discount, "but not with P [5, 3, 5], R [5, 3], gamma = 0.97"),
        (policy_of_the_discount_of_the_notebook, "the gamma of the notebook"),
        (policy_after_twenty_sweeps, "but not with P [45, 2, 45]"),
        (policy_by_few_sweeps, "but not with P [45, 2, 45]"),
        (policy_that_stops_too_early, "but not with P [45, 2, 45]"),
        (policy_after_five_sweeps, "do the rounds go on until nothing changes"),
    ],
}


# --- right answers in other styles


def return_by_weights(rewards, gamma):
    return (gamma ** np.arange(len(rewards)) * np.array(rewards)).sum()


def return_by_enumerate(rewards, gamma):
    return sum(gamma**t * reward for t, reward in enumerate(rewards))


def return_by_recursion(rewards, gamma):
    return rewards[0] + gamma * return_by_recursion(rewards[1:], gamma) if rewards else 0


def return_by_reduce(rewards, gamma):
    return functools.reduce(lambda total, reward: reward + gamma * total, rewards[::-1], 0.0)


def return_by_a_growing_discount(rewards, gamma):
    total, weight = 0.0, 1.0
    for reward in rewards:
        total, weight = total + weight * reward, weight * gamma
    return np.array(total)


def return_in_torch(rewards, gamma):
    return (torch.tensor(rewards) * gamma ** torch.arange(len(rewards))).sum()


def return_as_a_polynomial(rewards, gamma):
    return np.float32(np.polyval(rewards[::-1], gamma))


def targets_as_an_array(steps, V, gamma):
    after = [0.0 if s.terminated else V[s.next_state] for s in steps]
    return np.array([s.reward for s in steps]) + gamma * np.array(after)


def targets_by_a_product(steps, V, gamma):
    return tuple(s.reward + gamma * V[s.next_state] * (1 - s.terminated) for s in steps)


def targets_by_unpacking(steps, V, gamma):
    result = []
    for _state, reward, after, terminated, _truncated in steps:
        result += [reward if terminated else reward + gamma * V[after]]
    return result


def targets_in_torch(steps, V, gamma):
    _, reward, after, terminated, _ = map(torch.tensor, zip(*steps, strict=True))
    return reward + gamma * torch.from_numpy(V)[after] * ~terminated


def backup_by_loops(P, rewards, V, gamma, terminal, state):
    best = -np.inf
    for a in range(P.shape[1]):
        q = 0.0
        for after in range(P.shape[2]):
            future = 0.0 if terminal[after] else V[after]
            q += P[state, a, after] * (rewards[state, a, after] + gamma * future)
        best = max(best, q)
    return best


def backup_of_a_copy(P, rewards, V, gamma, terminal, state):
    V = V.copy()
    V[terminal] = 0
    return max(p @ (r + gamma * V) for p, r in zip(P[state], rewards[state], strict=True))


def backup_by_einsum(P, rewards, V, gamma, terminal, state):
    q = np.einsum("ax,ax->a", P[state], rewards[state] + gamma * V * (1 - terminal))
    return float(np.max(q))


def backup_of_the_package(P, rewards, V, gamma, terminal, state):
    return dp.bellman_backup(P, (P * rewards).sum(axis=2), V, gamma, terminal=terminal)[state]


def backup_in_torch(P, rewards, V, gamma, terminal, state):
    P, rewards, V = (torch.from_numpy(array).float() for array in (P, rewards, V))
    V[torch.from_numpy(terminal)] = 0  # a copy, since .float() makes one
    return torch.linalg.vecdot(P[state], rewards[state] + gamma * V).max()


def push_by_all_four(observation):
    x, x_dot, angle, angular_velocity = observation
    return 1 if angle + 0.5 * angular_velocity + 0.05 * x + 0.1 * x_dot > 0 else 0


def push_by_a_numpy_integer(observation):
    return np.int64(observation[2] + 0.3 * observation[3] > 0)


def push_by_where(observation):
    return np.where(observation[2] + 0.5 * observation[3] > 0, 1, 0)


def push_by_an_array(observation):
    return np.array(observation[2] + 0.5 * observation[3] > 0, dtype=int)


def push_by_a_python_truth(observation):
    return bool(observation[2] + 0.5 * observation[3] > 0)


def push_by_cases(observation):
    _, _, angle, spin = observation.tolist()
    if abs(spin) > 0.5:
        return 1 if spin > 0 else 0
    if angle > 0:
        return 1
    return 0


def push_by_the_angle_soon(observation):
    return np.heaviside(observation[2] + 0.2 * observation[3], 0).astype(int)


def policy_until_it_stays(P, R, gamma):
    policy = np.zeros(len(R), dtype=np.int8)
    while True:
        improved = (R + gamma * P @ solve(P, R, policy, gamma)).argmax(axis=1)
        if (improved == policy).all():
            return policy
        policy = improved


def policy_as_a_list(P, R, gamma):
    return iterate(P, R, gamma).tolist()


def policy_by_value_iteration(P, R, gamma):
    return dp.greedy_policy(P, R, dp.value_iteration(P, R, gamma), gamma)


def policy_by_sweeps_and_loops(P, R, gamma):
    """Evaluate by sweeps; of equal actions keep the last."""
    policy, before = [0] * len(R), None
    while policy != before:
        V = np.zeros(len(R))
        for _ in range(600):
            V = np.array([R[s, a] + gamma * P[s, a] @ V for s, a in enumerate(policy)])
        q = R + gamma * P @ V
        before, policy = policy, [int(np.flatnonzero(row >= row.max() - 1e-9)[-1]) for row in q]
    return tuple(policy)


RIGHT_ANSWERS = {
    "discounted_return": [
        return_by_weights,
        return_by_enumerate,
        return_by_recursion,
        return_by_reduce,
        return_by_a_growing_discount,
        return_in_torch,
        return_as_a_polynomial,
    ],
    "step_targets": [targets_as_an_array, targets_by_a_product, targets_by_unpacking, targets_in_torch],
    "bellman_backup": [
        backup_by_loops,
        backup_of_a_copy,
        backup_by_einsum,
        backup_of_the_package,
        backup_in_torch,
    ],
    "balance": [
        push_by_all_four,
        push_by_a_numpy_integer,
        push_by_where,
        push_by_an_array,
        push_by_a_python_truth,
        push_by_cases,
        push_by_the_angle_soon,
    ],
    "policy_iteration": [
        iterate,
        policy_until_it_stays,
        policy_as_a_list,
        policy_by_value_iteration,
        policy_by_sweeps_and_loops,
    ],
}

SAME_LENGTH = "P and R have one length, the number of states"
EQUIVALENT = {
    "balance": [
        (r"first entry of `observation`", "where the cart is does not matter"),
        (r">= 0\)", "the sum is hardly ever exactly 0, and then one push is as good as the other"),
        (r"int\(angle \+ (1\.\d \* )?angular_velocity > 0\)", "any weight from 0.05 to 2 holds the pole"),
    ],
    "policy_iteration": [
        (r"np.arange\(len\(P\)\)", SAME_LENGTH),
        (r"np.eye\(len\(P\)\)", SAME_LENGTH),
        (r"R.argmin\(axis=1\)", "any first policy will do"),
        (r"< V \+ 1e-09", "differences of exactly 1e-9 do not occur"),
        (r"<= V \+ 2e-09", "1e-9 is far above rounding and far below any gain, and so is 2e-9"),
    ],
}
ONE_VALUE = {"balance": {"observation": "an observation of CartPole holds four numbers"}}
