"""The exercises of lesson 08; `mistakes` and `trial_checks` say how they are judged.

They carry no annotations: their first lines are what a student reads.
"""

import numpy as np

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_08 import mistakes, trial_checks

# --- what is known of the arms


def posterior_means(arms, rewards, n_arms):
    """Return [A] the posterior mean of each arm's chance, from a uniform prior.

    arms: [t] which arm was pulled, 0 to A - 1. rewards: [t] what that paid, 0 or 1.
    """
    means = np.empty(n_arms)
    ### BEGIN SOLUTION
    for arm in range(n_arms):
        paid = rewards[arms == arm]
        means[arm] = (paid.sum() + 1) / (len(paid) + 2)
    ### END SOLUTION
    return means


# --- the best that anybody can do


def best_value(wins, losses, left):
    """Return the expected sum of the rewards still to come, `left` pulls, of the best possible player.

    wins, losses: integers [A] so far. Each arm has a uniform prior.
    """
    ### BEGIN SOLUTION
    if left == 0:
        return 0.0
    values = []
    for arm in range(len(wins)):
        one = np.eye(len(wins), dtype=int)[arm]
        mean = (wins[arm] + 1) / (wins[arm] + losses[arm] + 2)
        won = 1 + best_value(wins + one, losses, left - 1)
        lost = best_value(wins, losses + one, left - 1)
        values.append(mean * won + (1 - mean) * lost)
    return max(values)
    ### END SOLUTION


# --- the planted bug


def make_game(n_bandits, seed):
    """Return chances [N, 5] of N bandits, and [10, N, 5] numbers that break ties at each of ten pulls.

    All are uniform in [0, 1) and independent. The same seed gives the same game.
    """
    rng = np.random.default_rng(seed)
    chances = rng.uniform(size=(n_bandits, 5))
    ### BEGIN SOLUTION
    ties = rng.uniform(size=(10, n_bandits, 5))
    ### END SOLUTION
    #| ties = np.random.default_rng(seed).uniform(size=(10, n_bandits, 5))
    return chances, ties


# --- what the network sees


def memory_input(obs, action, reward, ended, n_actions):
    """Return [B, F + A + 2] inputs of one step of B trials: observation, action, reward, end, in this order.

    obs: [B, F] now. action: integers [B], reward: [B], ended: [B] (0 or 1), all of the step before; the
    action enters as A numbers, 1 at the action taken and 0 elsewhere.
    """
    ### BEGIN SOLUTION
    one_hot = np.eye(n_actions)[action]
    return np.concatenate((obs, one_hot, reward[:, None], ended[:, None]), axis=1)
    ### END SOLUTION


# --- when to forget


def next_state(state, episode_ended, task_changed):
    """Return the hidden states [B, H] that B trials go on with, from those after the last step [B, H].

    episode_ended, task_changed: truth values [B]; a new task always begins with a new episode. All are arrays
    of numpy.
    """
    ### BEGIN SOLUTION
    return np.where(task_changed[:, None], 0.0, state)
    ### END SOLUTION


# --- what a step was worth


def trial_errors(reward, values, episode_ended, trial_ended, gamma):
    """Return [S] the TD errors of S steps, in which several trials follow one another.

    values: [S] of the state and memory at each step. episode_ended, trial_ended: [S] 1 at the last step of an
    episode and of a trial, else 0. The last step ends a trial. All are arrays of numpy.
    """
    ### BEGIN SOLUTION
    after = np.append(values[1:], 0.0)
    return reward + gamma * (1 - trial_ended) * after - values
    ### END SOLUTION


# --- the filter


def filter_step(belief, targets, velocity, reward, width):
    """Return the belief [G] over the targets [G] after a step that reached `velocity` and paid `reward`.

    A target v would have paid max(0, 1 - |velocity - v|). Weigh it by exp(-d^2 / 2), where d is how far that
    is from the reward, in units of `width`. belief and targets are arrays of numpy.
    """
    ### BEGIN SOLUTION
    expected = np.maximum(0, 1 - abs(velocity - targets))
    after = belief * np.exp(-(((reward - expected) / width) ** 2) / 2)
    return after / after.sum()
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=posterior_means,
        check=mistakes.POSTERIOR_MEANS,
        title="What is known of the arms",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "rewards[arms == arm] are the rewards of one arm: how many wins, how many pulls?",
            "The posterior is Beta(w + 1, l + 1). What is its mean where nothing was pulled?",
            "(w + 1) / (w + l + 2), with w + l the number of pulls of this arm.",
        ),
    ),
    Exercise(
        reference=best_value,
        check=mistakes.BEST_VALUE,
        title="The best that anybody can do",
        level="core",
        minutes=9,
        points=3,
        hints=(
            "With no pull left nothing more comes: return 0.0. Else look at each arm in turn.",
            "An arm wins with probability m, its posterior mean. Then 1 is paid and the game goes on with "
            "one win more; else with one loss more. Call the function itself for what follows.",
            "The value of an arm is m (1 + V(one win more)) + (1 - m) V(one loss more), with left - 1; the "
            "best player takes the largest.",
        ),
    ),
    Exercise(
        reference=make_game,
        check=trial_checks.check_make_game,
        title="Above the ceiling",
        level="core",
        minutes=5,
        points=2,
        planted=True,
        hints=(
            "Print the chances of the first bandit, and the numbers that break its ties at the first pull.",
            "Two generators with the same seed give the same numbers.",
            "Draw both from the same generator, one after the other.",
        ),
    ),
    Exercise(
        reference=memory_input,
        check=mistakes.MEMORY_INPUT,
        title="What the network sees",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "np.eye(A)[action] has a row for each trial, with a single 1.",
            "reward[:, None] makes a column of [B]; np.concatenate(..., axis=1) puts columns side by side.",
        ),
    ),
    Exercise(
        reference=next_state,
        check=mistakes.NEXT_STATE,
        title="When to forget",
        level="core",
        minutes=4,
        points=2,
        hints=(
            "What is in the memory after the first episode that the second needs?",
            "And what is in it that a new task must not see? Set exactly those rows to zero.",
            "np.where(condition[:, None], 0.0, state) works row by row.",
        ),
    ),
    Exercise(
        reference=trial_errors,
        check=mistakes.TRIAL_ERRORS,
        title="What a step was worth",
        level="core",
        minutes=6,
        points=2,
        hints=(
            "The TD error is r + gamma V(next) - V(now). Which step comes after the last one of an episode?",
            "The trial goes on: the first step of the next episode comes next. After a trial nothing does.",
            "np.append(values[1:], 0.0) is what comes next; multiply it by 1 - trial_ended.",
        ),
    ),
    Exercise(
        reference=filter_step,
        check=mistakes.FILTER_STEP,
        title="The filter",
        level="core",
        minutes=6,
        points=3,
        hints=(
            "First compute what every target would have paid, an array [G].",
            "Bayes: the new belief is the old one times the weight of what was seen, divided by its sum.",
            "d = (reward - expected) / width; the weight is np.exp(-d**2 / 2).",
        ),
    ),
)
