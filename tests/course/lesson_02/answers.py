"""Wrong and right answers to the exercises of lesson 02, and what the authors of the wrong ones are told."""

import random

import numpy as np
import torch

from mlearn_utils.course.lesson_02.corridor import play
from mlearn_utils.rl import temporal_difference as td
from mlearn_utils.rl.discretizer import Discretizer

# --- td_update


def update(ahead, *, sign=1.0):
    """Return an answer that bootstraps from ahead(q, state, action, next_state)."""

    def answer(q, state, action, reward, next_state, terminated, learning_rate, gamma):
        target = reward + (0.0 if terminated else gamma * ahead(q, state, action, next_state))
        return q[state, action] + sign * learning_rate * (target - q[state, action])

    return answer


def formula(new):
    """Return an answer that returns new(now, target, reward, ahead, rate, gamma)."""

    def answer(q, state, action, reward, next_state, terminated, learning_rate, gamma):
        ahead = 0.0 if terminated else q[next_state].max()
        return new(q[state, action], reward + gamma * ahead, reward, ahead, learning_rate, gamma)

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


def update_of_the_exchanged_states(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    target = reward + (0.0 if terminated else gamma * q[state].max())
    return q[next_state, action] + learning_rate * (target - q[next_state, action])


def update_from_the_best_entry(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    target = reward + (0.0 if terminated else gamma * q[next_state].max())
    return q[state].max() + learning_rate * (target - q[state].max())


def update_from_0(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    best = 0.0
    for value in q[next_state]:
        best = max(best, value)
    return update(lambda *_: best)(q, state, action, reward, next_state, terminated, learning_rate, gamma)


def update_with_a_tilde(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    target = reward + gamma * q[next_state].max() * ~terminated
    return q[state, action] + learning_rate * (target - q[state, action])


def update_of_the_table(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    q = q.copy()
    update_in_place(q, state, action, reward, next_state, terminated, learning_rate, gamma)
    return q


def update_of_the_row(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return update_of_the_table(q, state, action, reward, next_state, terminated, learning_rate, gamma)[state]


def update_by_the_package(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return td.td_update(
        q, state, action, reward, next_state, terminated, learning_rate=learning_rate, gamma=gamma
    )


def update_that_jumps_at_the_end(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    if terminated:
        return reward
    return update_bootstraps_at_the_end(q, state, action, reward, next_state, False, learning_rate, gamma)


def update_to_0_at_the_end(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    target = 0.0 if terminated else reward + gamma * q[next_state].max()
    return q[state, action] + learning_rate * (target - q[state, action])


def update_of_the_step_at_the_end(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    if terminated:
        return learning_rate * (reward - q[state, action])
    return update_bootstraps_at_the_end(q, state, action, reward, next_state, False, learning_rate, gamma)


def update_with_its_own_rate(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return update_by_the_package(q, state, action, reward, next_state, terminated, 0.1, gamma).value


def update_as_a_dict(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return {(state, action): q[state, action]}


def update_as_a_text(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return str(q[state, action])


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


def greedy_by_value_when_exploring(values, epsilon, rng):
    if rng.random() < epsilon:
        return rng.choice(values)
    return int(rng.choice(np.flatnonzero(values == values.max())))


def greedy_by_a_fresh_generator(values, epsilon, rng):
    rng = np.random.default_rng(0)
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(rng.choice(np.flatnonzero(values == values.max())))


def greedy_by_the_global_numpy(values, epsilon, rng):
    if np.random.rand() < epsilon:  # noqa: NPY002
        return int(np.random.randint(len(values)))  # noqa: NPY002
    return int(np.random.choice(np.flatnonzero(values == values.max())))  # noqa: NPY002


def greedy_with_global_ties(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(np.random.choice(np.flatnonzero(values == values.max())))  # noqa: NPY002


def greedy_as_a_float(values, epsilon, rng):
    return float(td.epsilon_greedy(values, epsilon, rng))


def greedy_by_floor(values, epsilon, rng):
    if rng.random() < epsilon:
        return np.floor(rng.random() * len(values))
    return int(rng.choice(np.flatnonzero(values == values.max())))


def greedy_as_a_list(values, epsilon, rng):
    best = np.flatnonzero(values == values.max())
    return rng.choice(best, 1) if rng.random() >= epsilon else rng.integers(len(values))


def greedy_as_all_of_the_best(values, epsilon, rng):
    best = np.flatnonzero(values == values.max())
    return best if rng.random() >= epsilon else rng.integers(len(values))


def greedy_counted_from_1(values, epsilon, rng):
    return td.epsilon_greedy(values, epsilon, rng) + 1


def greedy_without_the_last(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values) - 1))
    return td.epsilon_greedy(values, 0.0, rng)


def greedy_without_epsilon(values, epsilon, rng):
    return td.epsilon_greedy(values, 0.0, rng)


def greedy_by_argmax_alone(values, epsilon, rng):
    return int(values.argmax())


def greedy_at_random(values, epsilon, rng):
    return int(rng.integers(len(values)))


def greedy_with_half_of_epsilon(values, epsilon, rng):
    explores = epsilon == 1 or rng.random() < epsilon / 2
    return td.epsilon_greedy(values, float(explores), rng)


def greedy_with_one_draw_for_both(values, epsilon, rng):
    draw = rng.random()
    if draw < epsilon:
        return int(draw * len(values))
    return td.epsilon_greedy(values, 0.0, rng)


def greedy_rounded(values, epsilon, rng):
    if rng.random() < epsilon:
        return round(rng.random() * (len(values) - 1))
    return td.epsilon_greedy(values, 0.0, rng)


def greedy_with_uneven_ties(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    best = np.flatnonzero(values == values.max())
    return int(best[min(rng.integers(len(best) + 1), len(best) - 1)])


def greedy_from_0(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    best = max(values.max(), 0.0)
    ties = np.flatnonzero(values == best)
    return int(rng.choice(ties)) if len(ties) else int(rng.integers(len(values)))


def greedy_by_place(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(rng.integers(len(np.flatnonzero(values == values.max()))))


def greedy_without_0(values, epsilon, rng):
    return (
        int(rng.integers(1, len(values))) if rng.random() < epsilon else td.epsilon_greedy(values, 0.0, rng)
    )


def greedy_without_return(values, epsilon, rng):
    td.epsilon_greedy(values, epsilon, rng)


def greedy_that_forgets_one_branch(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))


def explores(chance, *, draw=None):
    """Return an answer that explores with probability chance(epsilon, rng) instead of epsilon."""

    def answer(values, epsilon, rng):
        is_random = rng.random() < chance(epsilon, rng)
        return (
            td.epsilon_greedy(values, float(is_random), rng) if draw is None or not is_random else draw(rng)
        )

    return answer


def greedy_by_eleven_lots(values, epsilon, rng):
    if rng.integers(0, 11) < 10 * epsilon:
        return int(rng.integers(len(values)))
    return td.epsilon_greedy(values, 0.0, rng)


def greedy_by_magnitude(values, epsilon, rng):
    return td.epsilon_greedy(abs(values), epsilon, rng)


def greedy_by_nearly_equal(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(rng.choice(np.flatnonzero(np.isclose(values, values.max()))))


def greedy_of_two(values, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(rng.choice(np.flatnonzero(values == values.max())[:3]))


def greedy_at_0_for_equal_values(values, epsilon, rng):
    return 0 if values.max() == values.min() and epsilon < 1 else td.epsilon_greedy(values, epsilon, rng)


def greedy_third(values, epsilon, rng):
    return td.epsilon_greedy(np.eye(len(values))[min(2, len(values) - 1)], epsilon, rng)


# --- learn_episode


def episode(mistake):
    def answer(env, q, learning_rate, gamma, epsilon, rng):
        return play(env, q, learning_rate, gamma, epsilon, rng, mistake=mistake)

    return answer


def episode_without_learning(env, q, learning_rate, gamma, epsilon, rng):
    return play(env, q.copy(), learning_rate, gamma, epsilon, rng)


def episode_without_return(env, q, learning_rate, gamma, epsilon, rng):
    play(env, q, learning_rate, gamma, epsilon, rng)


def episode_without_exploring(env, q, learning_rate, gamma, epsilon, rng):
    return play(env, q, learning_rate, gamma, 0.0, rng)


def learned(store, *, learn=lambda done: True, move=True):
    """Return the loop with store(q, state, action, after, update) in it, written as a student would."""

    def answer(env, q, learning_rate, gamma, epsilon, rng):
        state, _ = env.reset()
        total, done = 0.0, False
        while not done:
            action = td.epsilon_greedy(q[state], epsilon, rng)
            after, reward, terminated, truncated, _ = env.step(action)
            done = terminated or truncated
            update = td.td_update(
                q, state, action, reward, after, terminated, learning_rate=learning_rate, gamma=gamma
            )
            if learn(done):
                store(q, state, action, after, update)
            total += reward
            state = after if move else state
        return total

    return answer


def store(q, state, action, after, update):
    q[state, action] = update.value


def store_the_error(q, state, action, after, update):
    q[state, action] = update.error


def add_the_error(q, state, action, after, update):
    q[state, action] += update.error


def add_the_value(q, state, action, after, update):
    q[state, action] += update.value


def store_in_the_next_row(q, state, action, after, update):
    q[after, action] = update.value


def store_nothing(q, state, action, after, update):
    pass


def episode_that_returns(what):
    """Return a right episode that returns what(q, rewards, gamma) instead of the sum."""

    def answer(env, q, learning_rate, gamma, epsilon, rng):
        rewards = []
        pays = env.step

        def step(action):
            result = pays(action)
            rewards.append(result[1])
            return result

        env.step = step
        play(env, q, learning_rate, gamma, epsilon, rng)
        return what(q, rewards, gamma)

    return answer


def episode_that_ignores_the_time_limit(env, q, learning_rate, gamma, epsilon, rng):
    state, _ = env.reset()
    total, terminated = 0.0, False
    while not terminated:
        action = td.epsilon_greedy(q[state], epsilon, rng)
        after, reward, terminated, _, _ = env.step(action)
        q[state, action] += learning_rate * (
            reward + gamma * q[after].max() * (not terminated) - q[state, action]
        )
        state, total = after, total + reward
    return total


def episode_with_a_generator_of_its_own(env, q, learning_rate, gamma, epsilon, rng):
    return play(env, q, learning_rate, gamma, epsilon, np.random.default_rng(7))


def episode_that_explores_always(env, q, learning_rate, gamma, epsilon, rng):
    return play(env, q, learning_rate, gamma, 0.5, rng)


def learning(ahead, *, learns=lambda greedy: True, chance=lambda epsilon, k: epsilon, seed=None, pays=sum):
    """Return an episode whose target holds ahead(q, after, next_action, epsilon), with other changes."""

    def answer(env, q, learning_rate, gamma, epsilon, rng):
        state, _ = env.reset(seed=seed(rng) if callable(seed) else seed)
        rewards, done = [], False
        action = td.epsilon_greedy(q[state], chance(epsilon, 0), rng)
        while not done:
            after, reward, terminated, truncated, _ = env.step(action)
            done = terminated or truncated
            rewards.append(reward)
            error = reward - q[state, action]
            next_action = td.epsilon_greedy(q[after], chance(epsilon, len(rewards)), rng)
            if not terminated:
                error += gamma * ahead(q, after, next_action, epsilon)
            if learns(q[state, action] == q[state].max()):
                q[state, action] += learning_rate * error
            if ahead is not played:
                next_action = td.epsilon_greedy(q[after], chance(epsilon, len(rewards)), rng)
            state, action = after, next_action
        return pays(rewards)

    return answer


def largest(q, after, next_action, epsilon):
    return q[after].max()


def played(q, after, next_action, epsilon):
    return q[after, next_action]


def expected(q, after, next_action, epsilon):
    return epsilon * q[after].mean() + (1 - epsilon) * q[after].max()


def episode_that_learns_at_the_rate_of_exploring(env, q, learning_rate, gamma, epsilon, rng):
    return play(env, q, epsilon, gamma, epsilon, rng)


def episode_that_breaks_ties_by_order(env, q, learning_rate, gamma, epsilon, rng):
    q += 1e-9 * np.arange(q.shape[1])[::-1]
    return play(env, q, learning_rate, gamma, epsilon, rng)


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


def rounded_and_cut(value, low, high, n):
    return min(max(rounded(value, low, high, n), 0), n - 1)


def rounded_up(value, low, high, n):
    return min(max(int(np.ceil((value - low) / (high - low) * n)), 0), n - 1)


def not_whole(value, low, high, n):
    return min(max((value - low) / (high - low) * n, 0), n - 1)


def floored_to_a_float(value, low, high, n):
    return np.clip(np.floor((value - low) / (high - low) * n), 0, n - 1)


def scaled_by_n_less_1(value, low, high, n):
    return min(max(int((value - low) / (high - low) * (n - 1)), 0), n - 1)


def digitized(value, low, high, n):
    return int(np.digitize(value, np.linspace(low, high, n + 1)))


def truncated_but_not_cut(value, low, high, n):
    return int((value - low) / (high - low) * n)


def cut_below(value, low, high, n):
    return max(uncut(value, low, high, n), 0)


def to_the_lower(value, low, high, n):
    return min(max(int(np.ceil((value - low) / (high - low) * n)) - 1, 0), n - 1)


def without_sign(value, low, high, n):
    return min(abs(truncated_but_not_cut(value, low, high, n)), n - 1)


def wrapped(value, low, high, n):
    return uncut(value, low, high, n) % n


def from_above(value, low, high, n):
    return n - 1 - cut(value, low, high, n)


def without_low(value, low, high, n):
    return min(max(int(value / (high - low) * n), 0), n - 1)


def divided_by_high(value, low, high, n):
    return min(max(int((value - low) / high * n), 0), n - 1)


def clipped_before(value, low, high, n):
    return int((min(max(value, low), high) - low) / (high - low) * n)


def weights_of(bins, *, of_next):
    """Return how much an interval of each dimension counts if the first, or the last, counts fastest."""
    return np.cumprod([1, *bins[:0:-1]])[::-1] if of_next else np.cumprod([1, *bins[:-1]])


def first_fastest(parts, bins):
    return int(parts @ weights_of(bins, of_next=False))


def reversed_weights(parts, bins):
    return int(parts @ weights_of(bins, of_next=False)[::-1])


def multiplied_by_the_one_before(parts, bins):
    state = 0
    for k, part in enumerate(parts):
        state = state * (bins[k - 1] if k else 1) + part
    return state


def multiplied_too_late(parts, bins):
    state = 0
    for part, n in zip(parts, bins, strict=True):
        state = (state + part) * n
    return state


def interval_multiplied(parts, bins):
    state = 0
    for part, n in zip(parts, bins, strict=True):
        state = part * n + state
    return state


def multiplied_by_the_first(parts, bins):
    state = 0
    for part in parts:
        state = state * bins[0] + part
    return state


WRONG_ANSWERS = {
    "td_update": [
        (update(lambda q, s, a, n: q[n].max(), sign=-1.0), "away from the target"),
        (update(lambda q, s, a, n: q.max()), "over states too"),
        (update(lambda q, s, a, n: q[:, a].max()), "the max runs over states: it belongs"),
        (update(lambda q, s, a, n: q[s].max()), "stale row"),
        (update(lambda q, s, a, n: q[n, a]), "the same action"),
        (update(lambda q, s, a, n: q[n].mean()), "that of a random policy"),
        (update(lambda q, s, a, n: q[n].argmax()), "argmax is the number"),
        (update(lambda q, s, a, n: q[n].min()), "the worst action"),
        (update(lambda q, s, a, n: q[n].sum()), "the sum over actions"),
        (update(lambda q, s, a, n: 0.0), "nothing is ever bootstrapped"),
        (update(lambda q, s, a, n: q[n, 0]), "action 0 of next_state"),
        (update(lambda q, s, a, n: q[s, a]), "the entry itself stands for what follows"),
        (update_in_place, "q itself was changed in place"),
        (update_bootstraps_at_the_end, "bootstraps at a terminal state"),
        (update_loses_the_last_reward, "the last reward still"),
        (update_to_0_at_the_end, "the last reward still"),
        (update_of_the_step_at_the_end, "added to the old value"),
        (update_that_jumps_at_the_end, "moves the part learning_rate of the way, too"),
        (update_inverted_flag, "inverted"),
        (update_with_a_tilde, "~ turns"),
        (update_without_gamma, "gamma is missing"),
        (update_returns_the_error, "this is the TD error"),
        (update_returns_nothing, "None"),
        (formula(lambda now, target, reward, ahead, rate, gamma: rate * (target - now)), "the step alone"),
        (formula(lambda now, target, reward, ahead, rate, gamma: target), "this is the target itself"),
        (formula(lambda now, target, reward, ahead, rate, gamma: now + target - now), "the target itself"),
        (formula(lambda now, target, reward, ahead, rate, gamma: now + rate * target), "is not subtracted"),
        (formula(lambda now, target, reward, ahead, rate, gamma: now + rate * target - now), "parentheses"),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: now + rate * reward + gamma * ahead - now
            ),
            "multiplies the whole error",
        ),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: now + rate * (reward - now) + gamma * ahead
            ),
            "multiplies the whole error",
        ),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: now + gamma * (reward + rate * ahead - now)
            ),
            "are exchanged",
        ),
        (
            formula(lambda now, target, reward, ahead, rate, gamma: now + gamma * (target - now)),
            "gamma stands in the place of learning_rate",
        ),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: now + rate * (reward + rate * ahead - now)
            ),
            "learning_rate stands in the place of gamma",
        ),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: now + rate * (gamma * (reward + ahead) - now)
            ),
            "the reward is discounted as well",
        ),
        (
            formula(lambda now, target, reward, ahead, rate, gamma: now + rate * (gamma * ahead - now)),
            "the reward is missing",
        ),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: now + rate * (reward - gamma * ahead - now)
            ),
            "the next value is subtracted",
        ),
        (
            formula(lambda now, target, reward, ahead, rate, gamma: (1 - rate) * now + target),
            "has its full weight here",
        ),
        (
            formula(lambda now, target, reward, ahead, rate, gamma: rate * now + (1 - rate) * target),
            "the other way round",
        ),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: now + rate * (reward + gamma * (ahead - now))
            ),
            "gamma discounts the next value alone",
        ),
        (update_of_the_exchanged_states, "state and next_state are exchanged"),
        (update_from_the_best_entry, "not of the best one"),
        (update_from_0, "starts at 0"),
        (update_of_the_table, "this is the whole table"),
        (update_of_the_row, "this is a row of the table"),
        (update_by_the_package, "2 values"),
        (update_with_its_own_rate, "`learning_rate` makes no difference"),
        (update_as_a_dict, "should be one number"),
        (
            formula(lambda now, target, reward, ahead, rate, gamma: round(now + rate * (target - now), 3)),
            "close",
        ),
        (
            formula(
                lambda now, target, reward, ahead, rate, gamma: np.clip(now + rate * (target - now), -10, 10)
            ),
            "not q + learning_rate",
        ),
        (update(lambda q, s, a, n: q[n, 1:].max()), "not q + learning_rate"),
        (
            lambda q, s, a, r, n, terminated, rate, gamma: (
                q[s, a] + rate * (r + gamma * q[n].max() * (terminated is False) - q[s, a])
            ),
            "not q + learning_rate",
        ),
        (update_as_a_text, "should be one number"),
    ],
    "epsilon_greedy": [
        (greedy_by_eleven_lots, "explore 0.05"),
        (explores(lambda epsilon, rng: 0.8 * epsilon + 0.2 * (epsilon == 1)), "explore 0.6"),
        (explores(lambda epsilon, rng: 1.2 * epsilon), "explore 0.6"),
        (explores(lambda epsilon, rng: epsilon + 0.1 * (epsilon > 0)), "explore 0.05"),
        (explores(lambda epsilon, rng: round(epsilon, 1)), "explore 0.05"),
        (explores(lambda epsilon, rng: epsilon, draw=lambda rng: int(rng.integers(1))), "returns action 0"),
        (greedy_by_magnitude, "farthest from 0"),
        (greedy_third, "an action of largest value"),
        (greedy_by_nearly_equal, "only exactly equal values"),
        (greedy_of_two, "are equally good"),
        (greedy_at_0_for_equal_values, "of [0.0, 0.0, 0.0] actions [0, 1, 2]"),
        (greedy_among_four, "with 2 actions"),
        (greedy_of_the_first_or_last_tie, "are equally good"),
        (greedy_with_loose_ties, "only exactly equal values"),
        (greedy_by_noise_in_place, "values itself was changed in place"),
        (greedy_by_argmax, "as argmax does"),
        (greedy_by_the_last, "always takes the last"),
        (greedy_with_uneven_ties, "the same chance"),
        (greedy_inverted, "here it is that of being greedy"),
        (greedy_explores_the_others, "leaves out the best action"),
        (greedy_without_the_last, "only the actions [0, 1, 2] come up"),
        (greedy_rounded, "equal chances"),
        (greedy_by_global_random, "draw from `rng` only"),
        (greedy_by_the_global_numpy, "draw from `rng` only"),
        (greedy_with_global_ties, "draw from `rng` only"),
        (greedy_by_its_own_generator, "whatever state the generator `rng` is in"),
        (greedy_by_a_fresh_generator, "whatever state the generator `rng` is in"),
        (greedy_by_argmax_alone, "whatever state the generator `rng` is in"),
        (greedy_returns_the_value, "one of the values"),
        (greedy_by_value_when_exploring, "rng.choice(values) draws a value"),
        (greedy_as_a_float, "an index must be of an integer kind"),
        (greedy_by_floor, "an index must be of an integer kind"),
        (greedy_as_a_list, "of shape [1]"),
        (greedy_as_all_of_the_best, "a whole number, got an array of shape"),
        (greedy_counted_from_1, "should be one of 0 to 3, got 4"),
        (greedy_worst, "takes the action of the smallest value"),
        (greedy_without_epsilon, "epsilon is not used"),
        (greedy_at_random, "always take an action of largest value"),
        (greedy_with_half_of_epsilon, "it must be greedy"),
        (greedy_with_one_draw_for_both, "it must be greedy"),
        (greedy_from_0, "of [-3.2, -1.1, -1.1001] more than one"),
        (greedy_by_place, "best[k]"),
        (greedy_without_0, "only the actions [1, 2, 3] come up"),
        (greedy_without_return, "None"),
        (greedy_that_forgets_one_branch, "None"),
    ],
    "learn_episode": [
        (episode_without_exploring, "steps should not be greedy"),
        (episode_with_a_generator_of_its_own, "it always begins with action 2"),
        (episode_that_explores_always, "not that of Q-learning"),
        (learning(played), "chosen before the update"),
        (learning(expected), "as in Expected SARSA"),
        (learning(largest, learns=lambda greedy: greedy), "only greedy steps are learned"),
        (learning(largest, chance=lambda epsilon, k: epsilon / 2), "steps should not be greedy"),
        (learning(largest, chance=lambda epsilon, k: epsilon**2), "steps should not be greedy"),
        (learning(largest, chance=lambda epsilon, k: epsilon * (k == 0)), "steps should not be greedy"),
        (learning(largest, seed=0), "all its episodes begin alike"),
        (learning(largest, pays=lambda rewards: round(sum(rewards), 1)), "not the sum of the rewards"),
        (episode("starts at 0"), "need not be 0"),
        (episode_that_learns_at_the_rate_of_exploring, "the error weighed by learning_rate"),
        (episode_that_breaks_ties_by_order, "of equal values any must come up"),
        (episode("updated after moving"), "the update comes after moving"),
        (episode("wrong row"), "stored in the row of next_state"),
        (learned(store_in_the_next_row), "stored in the row of next_state"),
        (episode("exchanged"), "exchanged in the update"),
        (episode("truncation"), "treated as terminated"),
        (episode("other flag"), "given `truncated`"),
        (episode("no terminal"), "bootstraps from a terminal state"),
        (episode("stale row"), "from a stale row"),
        (episode("chosen before the update"), "chosen before the update"),
        (episode("first row"), "always goes to the first state"),
        (learned(store, move=False), "always goes to the first state"),
        (learned(store_the_error), "the TD error is stored"),
        (learned(add_the_error), "without learning_rate"),
        (learned(add_the_value), "= instead of +="),
        (learned(store, learn=lambda done: not done), "the last step of the episode is not learned"),
        (learned(store_nothing), "q has not changed"),
        (episode_without_learning, "q has not changed"),
        (episode_without_return, "None"),
        (episode_that_returns(lambda q, rewards, gamma: q), "q is returned"),
        (episode_that_returns(lambda q, rewards, gamma: rewards[-1]), "only the last reward"),
        (episode_that_returns(lambda q, rewards, gamma: len(rewards)), "the number of steps"),
        (episode_that_returns(lambda q, rewards, gamma: np.mean(rewards)), "the mean of the rewards"),
        (episode_that_returns(lambda q, rewards, gamma: sum(rewards[:-1])), "is missing from the sum"),
        (
            episode_that_returns(lambda q, rewards, gamma: gamma ** np.arange(len(rewards)) @ rewards),
            "the rewards are discounted",
        ),
    ],
    "discretize": [
        (cells(to_the_lower), "belongs to the upper one"),
        (cells(rounded), "it rounds"),
        (cells(rounded_and_cut), "it rounds"),
        (cells(rounded_up), "it rounds up"),
        (cells(not_whole), "the fraction is not cut off"),
        (cells(floored_to_a_float), "an index must be of an integer kind"),
        (cells(between_n_bounds), "n - 1 intervals"),
        (cells(scaled_by_n_less_1), "n - 1 intervals"),
        (cells(from_one), "counted from 1"),
        (cells(digitized), "counted from 1"),
        (cells(uncut), "the upper bound itself"),
        (cells(truncated_but_not_cut), "nothing is cut"),
        (cells(cut_at_n), "the upper bound itself"),
        (cells(clipped_before), "the upper bound itself"),
        (cells(cut_above), "below `low` is not cut"),
        (cells(cut_below), "above `high` is not cut"),
        (cells(without_sign), "the sign is lost"),
        (cells(wrapped), "at the other end"),
        (cells(from_above), "from the upper end"),
        (cells(without_low), "`low` is not subtracted"),
        (cells(divided_by_high), "divided by high"),
        (cells(cut, combine=lambda parts, bins: sum(parts)), "some cells share a row"),
        (cells(cut, combine=lambda parts, bins: int(np.prod(parts))), "some cells share a row"),
        (cells(cut, combine=first_fastest), "fastest here"),
        (cells(cut, combine=reversed_weights), "the dimension that comes next"),
        (cells(cut, combine=multiplied_by_the_one_before), "the dimension that comes next"),
        (cells(cut, combine=multiplied_too_late), "first multiply, then add"),
        (cells(cut, combine=interval_multiplied), "the interval is multiplied"),
        (cells(cut, combine=multiplied_by_the_first), "its own number of intervals"),
        (cells(cut, combine=lambda parts, bins: parts), "combine them into one number"),
        (cells(cut, combine=lambda parts, bins: parts[0]), "only the first dimension counts"),
        (cells(cut, combine=lambda parts, bins: parts[-1]), "only the last dimension counts"),
    ],
}


# --- right answers in other styles


def update_by_weights(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    target = reward + gamma * np.max(q[next_state, :]) * (1 - terminated)
    return (1 - learning_rate) * q[state, action] + learning_rate * target


def update_of_a_copy(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    q = q.astype(np.float32)
    target = reward
    if not terminated:
        target += gamma * max(q[next_state])
    q[state][action] += learning_rate * (target - q[state][action])
    return q[state, action]


def update_in_torch(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    table = torch.as_tensor(q)
    ahead = table[next_state].amax() * (not terminated)
    return torch.lerp(table[state, action], reward + gamma * ahead, learning_rate)


def update_of_the_package(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    return update_by_the_package(q, state, action, reward, next_state, terminated, learning_rate, gamma).value


def greedy_in_numpy(values, epsilon, rng):
    best = rng.choice(np.flatnonzero(values == values.max()))
    return np.where(rng.random() < epsilon, rng.integers(len(values)), best)


def greedy_by_lists(values, epsilon, rng):
    explores = rng.random() < epsilon
    return rng.choice([a for a in range(len(values)) if explores or values[a] == max(values)])


def greedy_by_lots(values, epsilon, rng):
    """Draw a lot for each action, and take the largest lot among those allowed."""
    allowed = (values == values.max()) | (rng.uniform() < epsilon)
    return int(np.argmax(allowed * (1.0 - rng.random(len(values)))))


def greedy_by_probabilities(values, epsilon, rng):
    best = values == np.amax(values)
    return rng.choice(len(values), p=epsilon / len(values) + (1 - epsilon) * best / best.sum())


def greedy_by_a_permutation(values, epsilon, rng):
    order = rng.permutation(len(values))
    if rng.binomial(1, epsilon):
        return order[0].item()
    return torch.tensor(order[values[order].argmax()])


def episode_by_hand(env, q, learning_rate, gamma, epsilon, rng):
    state = env.reset()[0]
    total = 0.0
    while True:
        action = td.epsilon_greedy(q[state], epsilon, rng)
        after, reward, terminated, truncated, _ = env.step(action)
        target = reward if terminated else reward + gamma * q[after].max()
        q[state, action] += learning_rate * (target - q[state, action])
        total, state = total + reward, after
        if terminated or truncated:
            return total


def episode_that_keeps_the_old_state(env, q, learning_rate, gamma, epsilon, rng):
    state, _ = env.reset()
    total, done = 0.0, False
    while not done:
        action = td.epsilon_greedy(q[state], epsilon, rng)
        before = state
        state, reward, terminated, truncated, _ = env.step(action)
        rates = {"learning_rate": learning_rate, "gamma": gamma}
        q[before, action] = td.td_update(q, before, action, reward, state, terminated, **rates).value
        total += reward
        done = terminated or truncated
    return np.float64(total)


def episode_with_its_own_choice(env, q, learning_rate, gamma, epsilon, rng):
    """Explore by other draws from the same generator."""
    state, _ = env.reset()
    rewards, done = [], False
    while not done:
        action = int(greedy_by_lots(q[state], epsilon, rng))
        after, reward, terminated, truncated, _ = env.step(action)
        rates = {"learning_rate": learning_rate, "gamma": gamma}
        q[state, action] += (
            learning_rate * td.td_update(q, state, action, reward, after, terminated, **rates).error
        )
        rewards.append(reward)
        state, done = after, terminated or truncated
    return sum(rewards)


def cell_by_ravel(observation, low, high, bins):
    share = (np.asarray(observation) - low) / (high - low)
    cell = np.clip((share * bins).astype(int), 0, bins - 1)
    return np.ravel_multi_index(tuple(cell), tuple(bins))


def cell_by_digitize(observation, low, high, bins):
    state = 0
    for d in range(len(observation)):
        bounds = np.linspace(low[d], high[d], bins[d] + 1)[1:-1]
        state = state * bins[d] + np.digitize(observation[d], bounds)
    return state


def cell_by_weights(observation, low, high, bins):
    parts = [cut(*part) for part in zip(observation, low, high, bins, strict=True)]
    return int(parts @ weights_of(bins, of_next=True))


def cell_in_torch(observation, low, high, bins):
    observation, low, high, bins = (torch.as_tensor(part) for part in (observation, low, high, bins))
    cell = ((observation - low) / (high - low) * bins).floor().long()
    state = torch.tensor(0)
    for interval, n in zip(torch.minimum(cell.clamp(min=0), bins - 1), bins, strict=True):
        state = state * n + interval
    return state


def cell_of_the_package(observation, low, high, bins):
    return Discretizer(low, high, bins)(observation)


def cell_from_the_last(observation, low, high, bins):
    state, weight = 0, 1
    for d in range(len(bins) - 1, -1, -1):
        value = min(max(observation[d], low[d]), high[d])
        state += weight * min(int((value - low[d]) // ((high[d] - low[d]) / bins[d])), bins[d] - 1)
        weight *= bins[d]
    return state


RIGHT_ANSWERS = {
    "td_update": [update_by_weights, update_of_a_copy, update_in_torch, update_of_the_package],
    "epsilon_greedy": [
        td.epsilon_greedy,
        greedy_in_numpy,
        greedy_by_lists,
        greedy_by_lots,
        greedy_by_probabilities,
        greedy_by_a_permutation,
    ],
    "learn_episode": [
        learning(largest),
        learning(largest, seed=lambda rng: int(rng.integers(2**31))),
        episode_by_hand,
        episode_that_keeps_the_old_state,
        episode_with_its_own_choice,
    ],
    "discretize": [
        cell_by_ravel,
        cell_by_digitize,
        cell_by_weights,
        cell_in_torch,
        cell_of_the_package,
        cell_from_the_last,
    ],
}

INTEGER = "an integer of numpy is as good an index as one of Python"
EQUIVALENT = {
    "epsilon_greedy": [
        (r"rng.random\(\) <= epsilon", "rng.random() equals epsilon with probability 0, and is never 1"),
        (r"->  return rng.choice\(best\)", INTEGER),
        (r"->  return rng.integers\(len\(values\)\)", INTEGER),
    ],
    "learn_episode": [(r"\(False, 0.0\)", "False counts as 0, and 0.0 as False")],
    "discretize": [
        (r"bins\):|strict=False", "the four have one length in every call"),
        (r"min\(n - 1, max", "min of the same two"),
        (r"max\(0, interval\)", "max of the same two"),
    ],
}
