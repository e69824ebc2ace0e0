"""Wrong and right answers to the exercises of lesson 08, and what the authors of the wrong ones are told."""

from functools import cache

import numpy as np
import torch

# --- posterior_means


def counts(arms, rewards, n_arms):
    pulls = np.bincount(arms, minlength=n_arms)
    return np.bincount(arms, weights=rewards, minlength=n_arms), pulls


def means_as_shares(arms, rewards, n_arms):
    wins, pulls = counts(arms, rewards, n_arms)
    return wins / np.maximum(pulls, 1)


def means_prior_where_unknown(arms, rewards, n_arms):
    wins, pulls = counts(arms, rewards, n_arms)
    return np.array([w / n if n else 0.5 for w, n in zip(wins, pulls, strict=True)])


def means_without_the_prior_loss(arms, rewards, n_arms):
    wins, pulls = counts(arms, rewards, n_arms)
    return (wins + 1) / (pulls + 1)


def means_of_losing(arms, rewards, n_arms):
    wins, pulls = counts(arms, rewards, n_arms)
    return (pulls - wins + 1) / (pulls + 2)


def means_over_all_pulls(arms, rewards, n_arms):
    wins, _ = counts(arms, rewards, n_arms)
    return (wins + 1) / (len(arms) + 2)


def means_by_bincount(arms, rewards, n_arms):
    wins, pulls = counts(arms, rewards, n_arms)
    return (wins + 1) / (pulls + 2)


def means_by_a_loop(arms, rewards, n_arms):
    wins, losses = [1] * n_arms, [1] * n_arms
    for arm, reward in zip(arms, rewards, strict=True):
        if reward:
            wins[arm] += 1
        else:
            losses[arm] += 1
    return [w / (w + l) for w, l in zip(wins, losses, strict=True)]


def means_by_one_hot(arms, rewards, n_arms):
    one_hot = np.eye(n_arms)[arms]
    return (1 + rewards @ one_hot) / (2 + one_hot.sum(axis=0))


# --- best_value


def worths(wins, losses, left, value):
    found = []
    for arm in range(len(wins)):
        won, lost = wins.copy(), losses.copy()
        won[arm] += 1
        lost[arm] += 1
        mean = (wins[arm] + 1) / (wins[arm] + losses[arm] + 2)
        found.append(mean * (1 + value(won, losses, left - 1)) + (1 - mean) * value(wins, lost, left - 1))
    return found


def value_at_random(wins, losses, left):
    return np.mean(worths(wins, losses, left, value_at_random)) if left else 0.0


def value_greedy(wins, losses, left):
    if left == 0:
        return 0.0
    means = (wins + 1) / (wins + losses + 2)
    return worths(wins, losses, left, value_greedy)[int(np.argmax(means))]


def value_without_learning(wins, losses, left):
    return left * max((wins + 1) / (wins + losses + 2))


def value_of_one_pull(wins, losses, left):
    return max((wins + 1) / (wins + losses + 2))


def value_one_too_few(wins, losses, left):
    return max(worths(wins, losses, left, value_one_too_few)) if left > 1 else 0.0


def value_by_max(wins, losses, left):
    return max(worths(wins, losses, left, value_by_max)) if left > 0 else 0.0


def value_remembered(wins, losses, left):
    @cache
    def value(state, left):
        if not left:
            return 0.0
        best = 0.0
        for arm, (w, l) in enumerate(state):
            mean = (w + 1) / (w + l + 2)
            up = tuple((a + 1, b) if k == arm else (a, b) for k, (a, b) in enumerate(state))
            down = tuple((a, b + 1) if k == arm else (a, b) for k, (a, b) in enumerate(state))
            best = max(best, mean * (1 + value(up, left - 1)) + (1 - mean) * value(down, left - 1))
        return best

    return value(tuple(zip(wins.tolist(), losses.tolist(), strict=True)), left)


def value_by_numpy(wins, losses, left):
    if left == 0:
        return np.float64(0)
    one, mean = np.eye(len(wins), dtype=int), (wins + 1) / (wins + losses + 2)
    won = np.array([value_by_numpy(wins + row, losses, left - 1) for row in one])
    lost = np.array([value_by_numpy(wins, losses + row, left - 1) for row in one])
    return (mean * (1 + won) + (1 - mean) * lost).max()


# --- make_game


def game_still_leaking(n_bandits, seed):
    chances = np.random.default_rng(seed).uniform(size=(n_bandits, 5))
    ties = np.random.default_rng(seed).uniform(size=(10, n_bandits, 5))
    return chances, ties


def game_with_ties_once(n_bandits, seed):
    rng = np.random.default_rng(seed)
    chances, ties = rng.uniform(size=(n_bandits, 5)), rng.uniform(size=(n_bandits, 5))
    return chances, np.broadcast_to(ties, (10, n_bandits, 5)).copy()


def game_without_a_seed(n_bandits, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(n_bandits, 5)), np.random.default_rng().uniform(size=(10, n_bandits, 5))


def game_with_fixed_ties(n_bandits, seed):
    chances = np.random.default_rng(seed).uniform(size=(n_bandits, 5))
    return chances, np.random.default_rng(123).uniform(size=(10, n_bandits, 5))


def game_of_zeros(n_bandits, seed):
    return np.random.default_rng(seed).uniform(size=(n_bandits, 5)), np.zeros((10, n_bandits, 5))


def game_from_one_generator(n_bandits, seed):
    rng = np.random.default_rng(seed)
    return rng.random((n_bandits, 5)), rng.random((10, n_bandits, 5))


def game_from_spawned_generators(n_bandits, seed):
    one, other = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2))
    return one.uniform(size=(n_bandits, 5)), other.uniform(size=(10, n_bandits, 5))


def game_from_one_draw(n_bandits, seed):
    numbers = np.random.default_rng([seed, 7]).uniform(size=(11, n_bandits, 5))
    return numbers[0], numbers[1:]


# --- memory_input


def input_without_reward(obs, action, reward, ended, n_actions):
    return np.concatenate((obs, np.eye(n_actions)[action], ended[:, None]), axis=1)


def input_without_end(obs, action, reward, ended, n_actions):
    return np.concatenate((obs, np.eye(n_actions)[action], reward[:, None]), axis=1)


def input_with_a_number(obs, action, reward, ended, n_actions):
    return np.column_stack((obs, action, reward, ended))


def input_of_the_actions_seen(obs, action, reward, ended, n_actions):
    return np.column_stack((obs, np.eye(action.max() + 1)[action], reward, ended))


def input_in_another_order(obs, action, reward, ended, n_actions):
    return np.column_stack((obs, np.eye(n_actions)[action], ended, reward))


def input_by_columns(obs, action, reward, ended, n_actions):
    return np.column_stack((obs, np.eye(n_actions)[action], reward, ended))


def input_by_hand(obs, action, reward, ended, n_actions):
    n, f = obs.shape
    x = np.zeros((n, f + n_actions + 2))
    x[:, :f] = obs
    x[np.arange(n), f + action] = 1
    x[:, -2], x[:, -1] = reward, ended
    return x


def input_by_torch(obs, action, reward, ended, n_actions):
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(action), n_actions).numpy()
    return np.hstack([obs, one_hot, np.stack([reward, ended], axis=1)])


# --- next_state


def state_wiped_at_the_border(state, episode_ended, task_changed):
    return np.where(episode_ended[:, None], 0.0, state)


def state_always_kept(state, episode_ended, task_changed):
    return state


def state_wiped_for_all(state, episode_ended, task_changed):
    return np.zeros_like(state) if task_changed.any() else state


def state_of_new_tasks(state, episode_ended, task_changed):
    return state * task_changed[:, None]


def state_by_product(state, episode_ended, task_changed):
    return state * (1 - task_changed)[:, None]


def state_by_index(state, episode_ended, task_changed):
    after = state.copy()
    after[task_changed] = 0
    return after


def state_by_a_loop(state, episode_ended, task_changed):
    return np.array([np.zeros(len(h)) if new else h for h, new in zip(state, task_changed, strict=True)])


# --- trial_errors


def errors_cut_at_episodes(reward, values, episode_ended, trial_ended, gamma):
    return reward + gamma * (1 - episode_ended) * np.append(values[1:], 0) - values


def errors_across_trials(reward, values, episode_ended, trial_ended, gamma):
    return reward + gamma * np.append(values[1:], 0) - values


def errors_without_gamma(reward, values, episode_ended, trial_ended, gamma):
    return reward + (1 - trial_ended) * np.append(values[1:], 0) - values


def errors_backwards(reward, values, episode_ended, trial_ended, gamma):
    return values - reward - gamma * (1 - trial_ended) * np.append(values[1:], 0)


def errors_by_a_loop(reward, values, episode_ended, trial_ended, gamma):
    found = []
    for t in range(len(reward)):
        after = 0.0 if trial_ended[t] else values[t + 1]
        found.append(reward[t] + gamma * after - values[t])
    return found


def errors_by_roll(reward, values, episode_ended, trial_ended, gamma):
    return reward + gamma * np.where(trial_ended == 1, 0, np.roll(values, -1)) - values


def errors_in_place(reward, values, episode_ended, trial_ended, gamma):
    found = reward - values
    found[:-1] += gamma * values[1:] * (1 - trial_ended[:-1])
    return found


# --- filter_step


def paid(targets, velocity):
    return np.maximum(0, 1 - abs(velocity - targets))


def belief_without_the_prior(belief, targets, velocity, reward, width):
    weight = np.exp(-(((reward - paid(targets, velocity)) / width) ** 2) / 2)
    return weight / weight.sum()


def belief_not_normalized(belief, targets, velocity, reward, width):
    return belief * np.exp(-(((reward - paid(targets, velocity)) / width) ** 2) / 2)


def belief_without_the_floor(belief, targets, velocity, reward, width):
    after = belief * np.exp(-(((reward - (1 - abs(velocity - targets))) / width) ** 2) / 2)
    return after / after.sum()


def belief_by_the_reward(belief, targets, velocity, reward, width):
    after = belief * paid(targets, velocity)
    return after / after.sum()


def belief_without_width(belief, targets, velocity, reward, width):
    after = belief * np.exp(-((reward - paid(targets, velocity)) ** 2) / 2)
    return after / after.sum()


def belief_by_logs(belief, targets, velocity, reward, width):
    log = np.log(belief) - 0.5 * ((reward - paid(targets, velocity)) / width) ** 2
    log = log - log.max()
    return np.exp(log) / np.exp(log).sum()


def belief_by_clip(belief, targets, velocity, reward, width):
    d = (np.clip(1 - np.abs(targets - velocity), 0, 1) - reward) / width
    after = np.exp(-0.5 * d * d) * belief
    return after / np.sum(after)


def belief_by_a_loop(belief, targets, velocity, reward, width):
    after = []
    for b, v in zip(belief, targets, strict=True):
        d = (reward - max(0.0, 1 - abs(velocity - v))) / width
        after.append(b * np.exp(-(d**2) / 2))
    total = sum(after)
    return [each / total for each in after]


WRONG_ANSWERS = {
    "posterior_means": [
        (means_as_shares, "this is the share of wins"),
        (means_prior_where_unknown, "for arms that were never pulled only"),
        (means_without_the_prior_loss, "it has a loss, too"),
        (means_of_losing, "the chance to lose"),
        (means_over_all_pulls, "by the pulls of all arms"),
    ],
    "best_value": [
        (value_at_random, "pulling arms at random"),
        (value_greedy, "this is the greedy player"),
        (value_without_learning, "the counts never change"),
        (value_of_one_pull, "the next pull alone"),
        (value_one_too_few, "one pull too few"),
    ],
    "make_game": [
        (game_still_leaking, "ARE the chances"),
        (game_with_ties_once, "as at pull 1"),
        (game_without_a_seed, "gives another result"),
        (game_with_fixed_ties, "the same for every seed"),
        (game_of_zeros, "must be uniform"),
    ],
    "memory_input": [
        (input_without_reward, "the reward is not among the inputs"),
        (input_without_end, "the end of the episode is not among the inputs"),
        (input_with_a_number, "enters as its number"),
        (input_in_another_order, "reward, then end"),
        (input_of_the_actions_seen, "whichever were taken"),
    ],
    "next_state": [
        (state_wiped_at_the_border, "wiped at every end of an episode"),
        (state_always_kept, "kept from one task to the next"),
        (state_wiped_for_all, "wipes all memories"),
        (state_of_new_tasks, "turned round"),
    ],
    "trial_errors": [
        (errors_cut_at_episodes, "nothing is taken over from one episode to the next"),
        (errors_across_trials, "the next trial is taken over"),
        (errors_without_gamma, "gamma is not used"),
        (errors_backwards, "the sign is turned"),
    ],
    "filter_step": [
        (belief_without_the_prior, "the belief so far is not used"),
        (belief_not_normalized, "does not sum to 1"),
        (belief_without_the_floor, "less than nothing"),
        (belief_by_the_reward, "by what it would have paid"),
        (belief_without_width, "width is not used"),
    ],
}

RIGHT_ANSWERS = {
    "posterior_means": [means_by_bincount, means_by_a_loop, means_by_one_hot],
    "best_value": [value_by_max, value_remembered, value_by_numpy],
    "make_game": [game_from_one_generator, game_from_spawned_generators, game_from_one_draw],
    "memory_input": [input_by_columns, input_by_hand, input_by_torch],
    "next_state": [state_by_product, state_by_index, state_by_a_loop],
    "trial_errors": [errors_by_a_loop, errors_by_roll, errors_in_place],
    "filter_step": [belief_by_logs, belief_by_clip, belief_by_a_loop],
}

POSITIVE = (r"the result has lost its sign", "it has none to lose: chances, returns and beliefs are positive")
EQUIVALENT = {
    "posterior_means": [(r"`n_arms` must not be 0", "there is no bandit without arms"), POSITIVE],
    "best_value": [
        (r"len\(losses\)", "wins and losses are of the same arms"),
        (r"return 0\.0  ->  return 0$", "0 is the same number as 0.0"),
        (r"np\.eye\(len\(wins\)\)\[arm\]", "counts may be floats"),
        POSITIVE,
    ],
    "make_game": [(r"`n_bandits` must not be 0", "a game has bandits"), POSITIVE],
    "memory_input": [(r"`n_actions` must not be 0", "there is something to do")],
    "next_state": [(r"`episode_ended`", "the end of an episode alone changes nothing")],
    "trial_errors": [
        (r"`episode_ended`", "the end of an episode alone changes nothing"),
        (r"np\.append\(values\[1:\], -?1\.0\)", "the last step ends a trial, so nothing follows it"),
        (r"the last entry of `trial_ended`", "0 follows the last step in any case"),
    ],
    "filter_step": [
        (r"np\.maximum\(1 - abs\(velocity - targets\), 0\)", "the larger of two, in either order"),
        (r"`(belief|reward|width)` has lost its sign", "these are never negative"),
        (r"`width` must not be 0", "a width of 0 is no width"),
        POSITIVE,
    ],
}
