"""Q-learning.

The exercises of lesson 02; `mistakes` and `exploring` say how they are judged. They carry no annotations:
their first lines are what a student reads.
"""

import numpy as np

from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_02 import mistakes
from mlearn_utils.course.lesson_02.exploring import check_epsilon_greedy
from mlearn_utils.rl import temporal_difference as td

# --- one update


def td_update(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    """Return the new value of q[state, action] after one transition; q [S, A] itself stays as it is."""
    ### BEGIN SOLUTION
    ahead = 0.0 if terminated else q[next_state].max()
    error = reward + gamma * ahead - q[state, action]
    return q[state, action] + learning_rate * error
    ### END SOLUTION


# --- exploring


def epsilon_greedy(values, epsilon, rng):
    """Return a random action with probability epsilon, else one of largest value, ties broken at random."""
    ### BEGIN SOLUTION
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    best = np.flatnonzero(values == values.max())
    return int(rng.choice(best))
    ### END SOLUTION


# --- the planted bug: one episode


def learn_episode(env, q, learning_rate, gamma, epsilon, rng):
    """Play one episode, learn into q [S, A] after every step, and return the sum of the rewards."""
    state, _ = env.reset()
    total, done = 0.0, False
    while not done:
        action = td.epsilon_greedy(q[state], epsilon, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        rates = {"learning_rate": learning_rate, "gamma": gamma}
        ### BEGIN SOLUTION
        q[state, action] = td.td_update(q, state, action, reward, next_state, terminated, **rates).value
        state = next_state
        ### END SOLUTION
        #| state = next_state
        #| q[state, action] = td.td_update(q, state, action, reward, next_state, terminated, **rates).value
        total += reward
        done = terminated or truncated
    return total


# --- cells


def discretize(observation, low, high, bins):
    """Return the number of observation's cell; the last dimension counts fastest, values outside are cut."""
    ### BEGIN SOLUTION
    state = 0
    for value, lowest, highest, n in zip(observation, low, high, bins, strict=True):
        interval = int((value - lowest) / (highest - lowest) * n)
        state = state * n + min(max(interval, 0), n - 1)
    return state
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=td_update,
        check=mistakes.TD_UPDATE,
        title="One TD update",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "First the target: the reward plus gamma times what the next state is worth.",
            "The next state is worth q[next_state].max(), or 0 if the episode terminated there.",
            "error = target - q[state, action]; return q[state, action] + learning_rate * error.",
        ),
    ),
    Exercise(
        reference=epsilon_greedy,
        check=check_epsilon_greedy,
        title="Exploring",
        level="core",
        minutes=5,
        points=2,
        hints=(
            "rng.random() is below epsilon with probability epsilon.",
            "rng.integers(len(values)) draws an action, the best one included.",
            "np.flatnonzero(values == values.max()) are all best actions; rng.choice picks one of them.",
        ),
    ),
    Exercise(
        reference=learn_episode,
        check=mistakes.check_learn_episode,
        title="Find the bug in the loop",
        level="core",
        minutes=3,
        points=2,
        planted=True,
        writes=("q",),
        hints=(
            "Follow one pass of the loop with a pencil: which row of q learns from this step?",
            "When the table is updated, `state` must still be the state in which the action was taken.",
        ),
    ),
    Exercise(
        reference=discretize,
        check=mistakes.check_discretize,
        title="Cells for a table",
        level="core",
        minutes=7,
        points=2,
        hints=(
            "One dimension first: int((value - low) / (high - low) * n) is the interval, before cutting.",
            "min(max(interval, 0), n - 1) cuts it to 0 ... n - 1.",
            "For several dimensions start with state = 0 and repeat: state = state * n + interval.",
        ),
    ),
)
