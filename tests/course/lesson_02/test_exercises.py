"""Wrong answers to the exercises of lesson 02, each with what its author must be told."""

import random

import numpy as np
import pytest

from mlearn_utils.course.lesson_02.mistakes import (
    EPISODE_MISTAKES,
    Corridor,
    Q,
    corridor_table,
    play,
    wrong_updates,
)
from mlearn_utils.rl import temporal_difference as td

# --- td_update


def update(ahead, *, sign=1.0):
    """Return an answer that bootstraps from ahead(q, state, action, next_state)."""

    def answer(q, state, action, reward, next_state, terminated, learning_rate, gamma):
        target = reward + (0.0 if terminated else gamma * ahead(q, state, action, next_state))
        return q[state, action] + sign * learning_rate * (target - q[state, action])

    return answer


def update_in_place(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    target = reward + (0.0 if terminated else gamma * q[next_state].max())
    q[state, action] += learning_rate * (target - q[state, action])
    return q[state, action]


def update_bootstraps_at_the_end(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return update(lambda q, s, a, n: q[n].max())(
        q, state, action, reward, next_state, False, learning_rate, gamma
    )


def update_loses_the_last_reward(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    if terminated:
        return q[state, action]
    return update_bootstraps_at_the_end(q, state, action, reward, next_state, False, learning_rate, gamma)


def update_inverted_flag(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    target = reward + (gamma * q[next_state].max() if terminated else 0.0)
    return q[state, action] + learning_rate * (target - q[state, action])


def update_without_gamma(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return update(lambda q, s, a, n: q[n].max())(
        q, state, action, reward, next_state, terminated, learning_rate, 1.0
    )


def update_returns_the_error(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return reward + (0.0 if terminated else gamma * q[next_state].max()) - q[state, action]


def update_returns_nothing(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    _ = q[state, action] + learning_rate * reward


# --- epsilon_greedy


def greedy_by_argmax(values, epsilon, rng):
    return int(rng.integers(len(values))) if rng.random() < epsilon else int(np.argmax(values))


def greedy_by_the_last(values, epsilon, rng):
    best = np.flatnonzero(values == values.max())
    return int(rng.integers(len(values))) if rng.random() < epsilon else int(best[-1])


def greedy_inverted(values, epsilon, rng):
    return td.epsilon_greedy(values, 1.0 - epsilon, rng)


def greedy_explores_the_others(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.choice(np.flatnonzero(values < values.max())))
    return td.epsilon_greedy(values, 0.0, rng)


def greedy_by_global_random(values, epsilon, rng):
    if random.random() < epsilon:
        return random.randrange(len(values))
    return random.choice(np.flatnonzero(values == values.max()).tolist())


def greedy_by_its_own_generator(values, epsilon, rng):
    return td.epsilon_greedy(values, epsilon, np.random.default_rng(3))


def greedy_returns_the_value(values, epsilon, rng):
    return values.max()


def greedy_worst(values, epsilon, rng):
    return td.epsilon_greedy(-values, epsilon, rng)


# --- learn_episode


def episode(mistake):
    def answer(env, q, learning_rate, gamma, epsilon, rng):
        return play(mistake, env, q, learning_rate, gamma)

    return answer


def episode_without_learning(env, q, learning_rate, gamma, epsilon, rng):
    return play("none", env, q.copy(), learning_rate, gamma)


def episode_without_return(env, q, learning_rate, gamma, epsilon, rng):
    play("none", env, q, learning_rate, gamma)


# --- discretize


def cells(interval, *, combine=None):
    def answer(observation, low, high, bins):
        parts = [interval(*part) for part in zip(observation, low, high, bins, strict=True)]
        if combine is not None:
            return combine(parts, bins)
        state = 0
        for k, n in zip(parts, bins, strict=True):
            state = state * n + k
        return state

    return answer


def cut(value, low, high, n):
    return min(max(int((value - low) / (high - low) * n), 0), n - 1)


def uncut(value, low, high, n):
    return int(np.floor((value - low) / (high - low) * n))


def cut_above(value, low, high, n):
    return min(uncut(value, low, high, n), n - 1)


def cut_at_n(value, low, high, n):
    return min(max(uncut(value, low, high, n), 0), n)


def rounded(value, low, high, n):
    return round((value - low) / (high - low) * n)


def between_n_bounds(value, low, high, n):
    return int(np.digitize(value, np.linspace(low, high, n))) - 1


def from_one(value, low, high, n):
    return cut(value, low, high, n) + 1


def greedy_among_four(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(4))
    return int(rng.choice(np.flatnonzero(values == values.max())))


def greedy_of_the_first_or_last_tie(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    ties = np.flatnonzero(values == values.max())
    return int(rng.choice([ties[0], ties[-1]]))


def greedy_with_loose_ties(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(rng.choice(np.flatnonzero(values > values.max() - 0.01)))


def greedy_by_noise_in_place(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    values += 1e-9 * rng.random(len(values))
    return int(values.argmax())


def episode_without_exploring(env, q, learning_rate, gamma, epsilon, rng):
    return play("none", env, q, learning_rate, gamma)


WRONG_ANSWERS = {
    "td_update": [
        (update(lambda q, s, a, n: q[n].max(), sign=-1.0), "away from the target"),
        (update(lambda q, s, a, n: q.max()), "over states too"),
        (update(lambda q, s, a, n: q[:, a].max()), "the max runs over states: it belongs"),
        (update(lambda q, s, a, n: q[s].max()), "stale row"),
        (update(lambda q, s, a, n: q[n, a]), "the same action"),
        (update(lambda q, s, a, n: q[n].mean()), "that of a random policy"),
        (update(lambda q, s, a, n: q[n].argmax()), "argmax is the number"),
        (update(lambda q, s, a, n: q[n].min()), "not q + learning_rate"),
        (update_in_place, "q itself was changed"),
        (update_bootstraps_at_the_end, "bootstraps at a terminal state"),
        (update_loses_the_last_reward, "the last reward still"),
        (update_inverted_flag, "inverted"),
        (update_without_gamma, "gamma is missing"),
        (update_returns_the_error, "this is the TD error"),
        (update_returns_nothing, "None"),
    ],
    "epsilon_greedy": [
        (greedy_among_four, "with 2 actions"),
        (greedy_of_the_first_or_last_tie, "equally good here"),
        (greedy_with_loose_ties, "only exactly equal values"),
        (greedy_by_noise_in_place, "the values themselves were changed"),
        (greedy_by_argmax, "as argmax does"),
        (greedy_by_the_last, "always takes the last"),
        (greedy_inverted, "here it is that of being greedy"),
        (greedy_explores_the_others, "leaves out the best action"),
        (greedy_by_global_random, "draw from `rng` only"),
        (greedy_by_its_own_generator, "at random"),
        (greedy_returns_the_value, "a whole number"),
        (greedy_worst, "always take an action of largest value"),
    ],
    "learn_episode": [
        (episode_without_exploring, "every episode is the same"),
        (episode("updated after moving"), "the update comes after moving"),
        (episode("truncation"), "treated as terminated"),
        (episode("no terminal"), "bootstraps from a terminal state"),
        (episode("stale row"), "from a stale row"),
        (episode("chosen before the update"), "chosen before the update"),
        (episode("never moves"), "always goes to the first state"),
        (episode_without_learning, "q has not changed"),
        (episode_without_return, "None"),
    ],
    "discretize": [
        (cells(rounded), "it rounds"),
        (cells(between_n_bounds), "n - 1 intervals"),
        (cells(from_one), "counted from 1"),
        (cells(uncut), "the upper bound itself"),
        (cells(cut_at_n), "the upper bound itself"),
        (cells(cut_above), "below `low` is not cut"),
        (cells(cut, combine=lambda parts, bins: sum(parts)), "some share a row"),
        (
            cells(cut, combine=lambda parts, bins: int(np.dot(parts, (1, 3, 15)[: len(parts)]))),
            "fastest here",
        ),
        (
            cells(cut, combine=lambda parts, bins: int(np.dot(parts, (15, 3, 1)[-len(parts) :]))),
            "the dimension that comes next",
        ),
    ],
}


def test_no_two_mistakes_of_an_update_give_the_same_number_nor_the_right_one():
    right = td.td_update(Q, 0, 1, 0.7, 1, False, learning_rate=0.25, gamma=0.8).value
    values = [float(right)] + [value for value, _ in wrong_updates(Q, 0, 1, 0.7, 1, 0.25, 0.8)]
    assert np.diff(np.sort(values)).min() > 1e-6


@pytest.mark.parametrize("mistake", sorted(EPISODE_MISTAKES))
def test_each_mistake_of_the_loop_shows_in_a_short_or_a_long_episode(mistake):
    tables = []
    for kind in ("none", mistake):
        for limit in (20, 3):
            q = corridor_table()
            play(kind, Corridor(limit), q, 0.5, 0.9)
            tables.append(q)
    assert not (np.allclose(tables[0], tables[2]) and np.allclose(tables[1], tables[3]))
