"""Q-learning.

The exercises of lesson 02. Every checker compares the answer with the right value and with the values that
the known mistakes give, so that its message can name the one that was made.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_02.mistakes import (
    EPISODE_MISTAKES,
    Corridor,
    Q,
    corridor_table,
    draws,
    play,
    same,
    wrong_updates,
)
from mlearn_utils.rl import temporal_difference as td
from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.tasks.tabular import FloatArray

# --- one update


def td_update(q, state, action, reward, next_state, terminated, learning_rate, gamma):
    """Return the new value of q[state, action] after one transition; q [S, A] itself stays as it is."""
    ### BEGIN SOLUTION
    ahead = 0.0 if terminated else q[next_state].max()
    error = reward + gamma * ahead - q[state, action]
    return q[state, action] + learning_rate * error
    ### END SOLUTION


def check_td_update(answer: Callable) -> str:
    """Check a step in mid-episode, then the last step of an episode."""
    q, step, (rate, gamma) = Q.copy(), (0, 1, 0.7, 1), (0.25, 0.8)
    result = answer(q, *step, False, rate, gamma)
    expect(np.array_equal(q, Q), "q itself was changed: return the new value, the caller stores it")
    for wrong, message in wrong_updates(Q, *step, rate, gamma):
        expect(not same(result, wrong), message)
    expect_close(result, td_update(Q, *step, False, rate, gamma), "not q + learning_rate * TD error")
    last = answer(Q.copy(), *step, True, rate, gamma)
    expect(
        not same(last, td_update(Q, *step, False, rate, gamma)),
        "it bootstraps at a terminal state: nothing follows the end, whatever the table says there",
    )
    now = Q[0, 1]
    for lost in (now, 0.0, now + rate * (0.0 - now)):
        expect(not same(last, lost), "when the episode ends, the last reward still has to be learned")
    expect_close(last, td_update(Q, *step, True, rate, gamma), "wrong only where the episode ends")
    _compare_updates(answer)
    return "Equal to the package's update on 50 random transitions, ends of episodes included."


def _compare_updates(answer: Callable) -> None:
    rng = np.random.default_rng(0)
    for k in range(50):
        q = rng.normal(size=(4, 3))
        step = (int(rng.integers(4)), int(rng.integers(3)), float(rng.normal()), int(rng.integers(4)))
        right = td.td_update(q, *step, k % 5 == 0, learning_rate=0.3, gamma=0.9).value
        expect_close(answer(q.copy(), *step, k % 5 == 0, 0.3, 0.9), float(right), "not right for every table")


# --- exploring


def epsilon_greedy(values, epsilon, rng):
    """Return a random action with probability epsilon, else one of largest value, ties broken at random."""
    ### BEGIN SOLUTION
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    best = np.flatnonzero(values == values.max())
    return int(rng.choice(best))
    ### END SOLUTION


def check_epsilon_greedy(answer: Callable) -> str:
    """Look at many draws: greedy ones, tied ones, random ones and mixed ones."""
    clear, tied = np.array([0.1, 0.7, -2.0, 0.3]), np.array([0.0, 3.0, 3.0, 1.0])
    first = answer(clear.copy(), 0.0, np.random.default_rng(0))
    expect_close(first, 0, "", tol=math.inf)
    expect(float(first).is_integer(), f"an action is a whole number, got {float(first):.4g}")
    greedy, random = draws(answer, clear, 0.0, 100), draws(answer, clear, 1.0, 400)
    swapped = "epsilon is the probability of exploring: here it is that of being greedy"
    expect(not (len(set(greedy)) > 1 and set(random) == {1}), swapped)
    expect(set(greedy) == {1}, "with epsilon = 0 it must always take an action of largest value")
    chosen = set(draws(answer, tied, 0.0, 200))
    expect(
        chosen != {1}, "of equal values it always takes the first, as argmax does: break the tie at random"
    )
    expect(
        chosen != {2}, "of equal values it always takes the last: break the tie at random among the largest"
    )
    expect(chosen == {1, 2}, f"with values {tied.tolist()} the greedy actions are 1 and 2, got {chosen}")
    expect(len(set(random)) > 1, "with epsilon = 1 every call returns the same action: draw from `rng`")
    expect(1 in random, "exploring leaves out the best action: it draws among all of them, the best too")
    expect(set(random) == {0, 1, 2, 3}, f"with epsilon = 1 only the actions {sorted(set(random))} come up")
    _check_other_rows(answer)
    _check_frequencies(answer, clear)
    return "The best of 4 actions came up (1 - epsilon) + epsilon / 4 of the time, and ties were split."


def _check_other_rows(answer: Callable) -> None:
    """Look at rows of other lengths, with three equal values, and with values that are nearly equal."""
    for n in (2, 6):
        drawn = set(draws(answer, np.arange(n, dtype=np.float64), 1.0, 300))
        expect(
            drawn == set(range(n)),
            f"with {n} actions a random one is one of 0 to {n - 1}, got {sorted(drawn)}",
        )
    three = set(draws(answer, np.array([2.0, 1.0, 2.0, 0.0, 2.0]), 0.0, 300))
    expect(three == {0, 2, 4}, f"actions 0, 2 and 4 are equally good here, but only {sorted(three)} come up")
    close = set(draws(answer, np.array([1.0, 0.9999, 0.0]), 0.0, 200))
    expect(close == {0}, "0.9999 is less than 1: only exactly equal values are a tie")
    kept = np.array([1.0, 1.0, 0.0])
    answer(kept, 0.0, np.random.default_rng(0))
    expect(kept.tolist() == [1.0, 1.0, 0.0], "the values themselves were changed: they are the agent's table")


def _check_frequencies(answer: Callable, values: FloatArray) -> None:
    expect(
        draws(answer, values, 0.5, 60) == draws(answer, values, 0.5, 60),
        "the same rng gave other actions: draw from `rng` only, not from np.random or `random`",
    )
    counts = np.bincount(np.array(draws(answer, values, 0.4, 4000), dtype=np.int64), minlength=4) / 4000
    fair = 0.4 / 4
    expect(abs(counts[1] - 0.4) > 0.03, "with epsilon = 0.4 it explores with probability 1 - epsilon")
    expect(
        abs(counts[1] - (0.6 + fair)) < 0.03,
        f"with epsilon = 0.4 the best of 4 actions should come up 0.6 + 0.4 / 4 = 0.7 of the time, got "
        f"{counts[1]:.2f}",
    )
    expect(
        (abs(np.delete(counts, 1) - fair) < 0.03).all(), "exploring must draw all actions with equal chances"
    )


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


def check_learn_episode(answer: Callable) -> str:
    """Compare tables after scripted greedy episodes with those that each mistake leaves."""
    for limit in (20, 3):
        mine, total = corridor_table(), None
        total = answer(Corridor(limit), mine, 0.5, 0.9, 0.0, np.random.default_rng(0))
        expect(not np.array_equal(mine, corridor_table()), "q has not changed: store the new value in q")
        for mistake, message in EPISODE_MISTAKES.items():
            wrong = corridor_table()
            play(mistake, Corridor(limit), wrong, 0.5, 0.9)
            expect(not np.allclose(mine, wrong) or np.allclose(wrong, _right_table(limit)), message)
        expect_close(mine, _right_table(limit), "the table is not that of Q-learning after one episode")
        expect_close(total, play("none", Corridor(limit), corridor_table(), 0.5, 0.9), "not sum of rewards")
    explored = [corridor_table() for _ in range(2)]
    for k, table in enumerate(explored):
        answer(Corridor(20), table, 0.5, 0.9, 1.0, np.random.default_rng(k))
    expect(
        not np.array_equal(explored[0], explored[1]),
        "with epsilon = 1 every episode is the same: the actions are drawn by td.epsilon_greedy with `rng`",
    )
    return "Update first, then move: the row that acted is the row that learns."


def _right_table(limit: int) -> FloatArray:
    right = corridor_table()
    play("none", Corridor(limit), right, 0.5, 0.9)
    return right


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


def check_discretize(answer: Callable) -> str:
    """Check one dimension and its bounds, then how dimensions are combined."""
    line: Any = ([-1.0], [1.0], [4])
    expect_close(answer([-0.9], *line), 0, "", tol=math.inf)
    inside = [answer([value], *line) for value in (-0.9, -0.2, 0.3, 0.9)]
    expect(
        inside != [0, 1, 3, 4] and inside != [0, 2, 3, 4],
        "it rounds: cut off the fraction, interval k runs from k / n to (k + 1) / n of the range",
    )
    expect(inside != [0, 1, 1, 2], "n bounds enclose n - 1 intervals: there are 4 intervals here, got 3")
    expect(inside != [1, 2, 3, 4], "the intervals are counted from 1 (as digitize does): count from 0")
    expect_close(inside, [0, 1, 2, 3], "in one dimension, intervals of equal length are numbered 0 to n - 1")
    for value, right, message in (
        (1.0, 3, "the upper bound itself lies in the last interval, n - 1: n is no cell of the table"),
        (7.0, 3, "a value above `high` is not cut: it belongs to the last interval"),
        (
            -7.0,
            0,
            "a value below `low` is not cut: it belongs to the first interval (and -1 is the last row)",
        ),
    ):
        expect_close(answer([value], *line), right, message)
    _check_cells(answer)
    return "Equal to the package's Discretizer on 200 observations, half of them out of bounds."


def _check_cells(answer: Callable) -> None:
    low, high, bins = [0.0, 0.0, 0.0], [3.0, 5.0, 2.0], [3, 5, 2]
    centers = [np.array(cell) + 0.5 for cell in itertools.product(*map(range, bins))]
    cells = [answer(center, low, high, bins) for center in centers]
    kinds = len({str(cell) for cell in cells})
    expect(kinds == 30, f"the 30 cells of a 3 x 5 x 2 box got {kinds} different numbers: some share a row")
    strides = [[int(np.dot(np.floor(c), weights)) for c in centers] for weights in ((1, 3, 15), (15, 3, 1))]
    expect(cells != strides[0], "the first dimension counts fastest here; the last one should, as in reshape")
    expect(cells != strides[1], "multiply by the number of intervals of the dimension that comes next")
    expect_close(cells, list(range(30)), "cells should be numbered 0 to 29, the last dimension fastest")
    package, rng = Discretizer([-2.0, -1.0], [1.0, 3.0], [7, 4]), np.random.default_rng(0)
    for observation in rng.normal(scale=2.0, size=(200, 2)):
        expect_close(
            answer(observation, [-2.0, -1.0], [1.0, 3.0], [7, 4]),
            package(observation),
            "not right everywhere",
        )


EXERCISES = (
    Exercise(
        reference=td_update,
        check=check_td_update,
        title="One TD update",
        level="core",
        minutes=6,
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
        check=check_learn_episode,
        title="Find the bug in the loop",
        level="core",
        minutes=4,
        points=2,
        planted=True,
        hints=(
            "Follow one pass of the loop with a pencil: which row of q learns from this step?",
            "When the table is updated, `state` must still be the state in which the action was taken.",
        ),
    ),
    Exercise(
        reference=discretize,
        check=check_discretize,
        title="Cells for a table",
        level="core",
        minutes=6,
        points=2,
        hints=(
            "One dimension first: int((value - low) / (high - low) * n) is the interval, before cutting.",
            "min(max(interval, 0), n - 1) cuts it to 0 ... n - 1.",
            "For several dimensions start with state = 0 and repeat: state = state * n + interval.",
        ),
    ),
)
