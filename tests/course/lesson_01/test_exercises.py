"""Wrong answers to the exercises of lesson 01, each with what its author must be told."""

import itertools

import numpy as np
import pytest

from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.lesson_01 import exercises as lesson_01
from mlearn_utils.course.lesson_01.mistakes import (
    REWARDS,
    model,
    random_mdp,
    wrong_backups,
    wrong_policies,
    wrong_returns,
    wrong_targets,
)
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


def iterate(P, R, gamma, rounds=50, first=None):
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


def policy_of_a_shorter_horizon(P, R, gamma):
    return iterate(P, R, gamma / 2)


def policy_without_a_discount_in_its_greedy_step(P, R, gamma):
    policy = R.argmax(axis=1)
    for _ in range(50):
        policy = (R + P @ solve(P, R, policy, gamma)).argmax(axis=1)
    return policy


def policy_of_a_fixed_discount(P, R, gamma):
    return iterate(P, R, 0.9)


def policy_after_three_rounds(P, R, gamma):
    return iterate(P, R, gamma, rounds=3)


def policy_after_five_sweeps(P, R, gamma):
    V = np.zeros(len(R))
    for _ in range(5):
        V = (R + gamma * P @ V).max(axis=1)
    return (R + gamma * P @ V).argmax(axis=1)


def return_that_reverses_the_list(rewards, gamma):
    rewards.reverse()
    total = 0.0
    for reward in rewards:
        total = reward + gamma * total
    return total


def targets_by_both_flags(steps, V, gamma):
    return [
        step.reward + (0.0 if step.terminated and step.truncated else gamma * V[step.next_state])
        for step in steps
    ]


def backup_of_the_largest_term(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * np.where(terminal, 0.0, V))).max()


def backup_with_max_and_sum_swapped(P, rewards, V, gamma, terminal, state):
    return (P[state] * (rewards[state] + gamma * np.where(terminal, 0.0, V))).max(axis=1).sum()


WRONG_ANSWERS = {
    "discounted_return": [
        (return_that_reverses_the_list, "the list itself was changed"),
        (return_from_the_wrong_end, "discounted from the wrong end"),
        (return_discounted_once_too_often, "once too often"),
        (return_without_discount, "undiscounted sum"),
        (return_as_a_mean, "this is a mean"),
        (return_with_a_product, "not gamma * t"),
        (return_with_one_factor, "multiplied by gamma once"),
        (return_of_all_steps, "the return is their sum"),
        (return_that_is_printed, "None"),
        (return_that_forgets_the_last_reward, "not the sum of gamma ** t"),
    ],
    "step_targets": [
        (targets_that_end_at_the_time_limit, "truncation is still treated as termination"),
        (targets_past_a_terminal_state, "bootstrapped past a terminal state"),
        (targets_that_prefer_truncation, "terminated and truncated at once"),
        (targets_with_flags_mixed_up, "the two flags are mixed up"),
        (targets_the_wrong_way_round, "the wrong way round"),
        (targets_without_a_future, "missing everywhere"),
        (targets_without_a_discount, "gamma is missing"),
        (targets_of_the_own_state, "the state the step started in"),
        (targets_by_both_flags, "one flag decides alone"),
        (targets_that_drop_truncated_steps, "every step has a target"),
    ],
    "bellman_backup": [
        (backup_past_a_terminal_state, "bootstrapped past a terminal state"),
        (backup_of_the_likeliest_state, "most likely next state"),
        (backup_of_the_best_next_state, "the best next state is picked"),
        (backup_without_probabilities, "a plain sum over next states"),
        (backup_with_a_plain_mean, "a plain mean over next states"),
        (backup_as_a_mean_over_actions, "value of the random policy"),
        (backup_of_the_worst_action, "worst action"),
        (backup_that_returns_the_action, "number of the best action"),
        (backup_that_returns_all_actions, "take the largest"),
        (backup_without_gamma, "gamma is missing"),
        (backup_that_discounts_the_reward, "the reward is discounted as well"),
        (backup_without_reward, "the reward is missing"),
        (backup_that_loses_the_last_reward, "the step that ends an episode is paid too"),
        (backup_that_writes_to_its_argument, "V itself was changed"),
        (backup_of_the_largest_term, "first sum over next states"),
        (backup_with_max_and_sum_swapped, "max and sum are swapped"),
    ],
    "balance": [
        (push_by_the_angle, "ignores the angular velocity"),
        (push_by_the_angular_velocity, "ignores the angle"),
        (push_the_wrong_way, "away from where the pole leans"),
        (push_always_right, "always pushes to the same side"),
        (push_by_the_position, "follows the cart"),
        (push_by_a_truth, "wrap the condition in int"),
        (push_by_a_force, "must be 0 (left) or 1 (right)"),
        (push_by_a_float, "a float"),
        (push_by_nothing, "None"),
        (push_that_looks_far_too_little_at_the_angle, "another weight of the angular velocity"),
        (PushByChance(), "different pushes"),
    ],
    "policy_iteration": [
        (policy_of_the_next_reward, "only the next reward counts"),
        (policy_after_one_round, "stopped after one improvement"),
        (policy_after_one_round_from_zero, "stopped after one improvement"),
        (policy_of_the_worst_actions, "the worst policy"),
        (policy_without_reward, "the reward R is missing"),
        (policy_with_its_values, "two things are returned"),
        (policy_as_values, "these are the values"),
        (policy_as_a_table, "argmax over axis 1"),
        (policy_of_a_shorter_horizon, "not the best action everywhere"),
        (policy_without_a_discount_in_its_greedy_step, "used in both steps"),
        (policy_of_a_fixed_discount, "on the lesson's grid, with gamma = 0.8"),
        (policy_after_three_rounds, "until nothing changes"),
        (policy_after_five_sweeps, "on a corridor of ten states"),
    ],
}


# --- answers that are right in another way


def return_by_weights(rewards, gamma):
    return (gamma ** np.arange(len(rewards)) * np.array(rewards)).sum()


def targets_as_an_array(steps, V, gamma):
    after = [0.0 if s.terminated else V[s.next_state] for s in steps]
    return np.array([s.reward for s in steps]) + gamma * np.array(after)


def backup_by_loops(P, rewards, V, gamma, terminal, state):
    best = -np.inf
    for a in range(P.shape[1]):
        q = 0.0
        for after in range(P.shape[2]):
            future = 0.0 if terminal[after] else V[after]
            q += P[state, a, after] * (rewards[state, a, after] + gamma * future)
        best = max(best, q)
    return best


def push_by_all_four(observation):
    x, x_dot, angle, angular_velocity = observation
    return 1 if angle + 0.5 * angular_velocity + 0.05 * x + 0.1 * x_dot > 0 else 0


def push_by_a_numpy_integer(observation):
    return np.int64(observation[2] + 0.3 * observation[3] > 0)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("discounted_return", return_by_weights),
        ("step_targets", targets_as_an_array),
        ("bellman_backup", backup_by_loops),
        ("balance", push_by_all_four),
        ("balance", push_by_a_numpy_integer),
        ("policy_iteration", iterate),
        ("policy_iteration", lambda P, R, gamma: iterate(P, R, gamma).tolist()),
    ],
)
def test_another_right_answer_passes(name, answer):
    exercise = next(exercise for exercise in lesson_01.EXERCISES if exercise.name == name)
    report = grade(exercise, answer)
    assert report.ok, report.message


def test_an_angular_velocity_that_is_weighed_too_much_is_not_quite_enough():
    """The message must not send a student who has both parts back to the angle."""
    report = grade(lesson_01.EXERCISES[3], push_that_looks_far_too_little_at_the_angle)
    assert "only" not in report.message


# --- no two mistakes, and no mistake and the right answer, give the same


def all_apart(values):
    arrays = [np.asarray(value, dtype=float) for value in values]
    return all(
        one.shape != other.shape or not np.allclose(one, other)
        for one, other in itertools.combinations(arrays, 2)
    )


@pytest.mark.parametrize("gamma", [0.9, 0.5])
def test_the_mistakes_of_the_return_are_told_apart(gamma):
    right = lesson_01.discounted_return(REWARDS, gamma)
    assert all_apart([right, *(value for value, _ in wrong_returns(REWARDS, gamma))])


def test_the_mistakes_of_the_targets_are_told_apart():
    right = lesson_01.step_targets(lesson_01.STEPS, lesson_01.VALUES, 0.5)
    assert all_apart([right, *(value for value, _ in wrong_targets(0.5))])


@pytest.mark.parametrize(("seed", "gamma"), [(0, 0.9), (1, 0.6)])
def test_the_mistakes_of_the_backup_are_told_apart(seed, gamma):
    mdp = random_mdp(seed)
    V = np.random.default_rng(seed + 10).normal(size=5) + np.array([0, 0, 0, 0, 7.0])
    for state in (0, 2):
        right = lesson_01.bellman_backup(mdp.P, mdp.rewards, V, gamma, mdp.terminal, state)
        assert all_apart([right, *(value for value, _ in wrong_backups(mdp, V, gamma, state))])


@pytest.mark.parametrize(("seed", "gamma"), [(6, 0.95), (18, 0.97), (23, 0.9)])
def test_one_round_of_policy_iteration_is_not_enough(seed, gamma):
    P, R = model(seed)
    best = lesson_01.policy_iteration(P, R, gamma)
    assert np.array_equal(best, dp.greedy_policy(P, R, dp.value_iteration(P, R, gamma), gamma))
    assert all((best != wrong).any() for wrong, _ in wrong_policies(P, R, gamma))


def test_the_backup_of_the_exercise_is_the_packages():
    mdp = random_mdp(3)
    V = np.arange(5.0)
    mine = [lesson_01.bellman_backup(mdp.P, mdp.rewards, V, 0.9, mdp.terminal, state) for state in range(4)]
    assert mine == pytest.approx(dp.bellman_backup(mdp.P, mdp.R, V, 0.9, terminal=mdp.terminal)[:4])
