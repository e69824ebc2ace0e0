"""How an answer to `epsilon_greedy` of lesson 02 is judged: by the actions that come up in many draws.

Apart from `mistakes`, since chance has a part in every value: sets and shares of actions are compared.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlearn_utils.course.grading.answer import Answer
from mlearn_utils.course.grading.compare import expect, expect_index, same
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.tasks.tabular import FloatArray

CLEAR, TIED = np.array([0.15, 0.7, -2.3, 0.35]), np.array([0.1, 3.5, 3.5, 1.2])
GREEDY = (  # the values, and which action is the best of them: the first, the last, by little, below 0
    (CLEAR, 1),
    (np.array([1.9, -0.6, 0.4]), 0),
    (np.array([0.2, -5.0, -0.4, 0.1, 0.8]), 4),
    (np.array([-3.2, -1.1, -1.1001]), 1),
    (np.array([64.0, 64.0 + 1e-9]), 1),
)
TIES = (  # the values, and which actions are the best of them
    (np.array([2.5, 1.1, 2.5, 0.2, 2.5]), [0, 2, 4]),
    (np.zeros(3), [0, 1, 2]),
    (np.array([-0.4, -0.4]), [0, 1]),
    (np.array([6.0, 6.0, 6.0, -1.0, 6.0, 6.0]), [0, 1, 2, 4, 5]),
)


def check_epsilon_greedy(answer: Answer) -> str:
    """Look at many draws: random ones, greedy ones, tied ones and mixed ones."""
    random, tied = set(draws(answer, CLEAR, 1.0, 120)), set(draws(answer, TIED, 0.0, 50))
    greedy = [set(draws(answer, values, 0.0, 20)) for values, _ in GREEDY]
    answer.check_randomness()  # before what comes of it is taken for something else
    _check_greedy(greedy, tied, random)
    _check_ties(answer, tied)
    _check_random(random)
    for n in (2, 6):
        drawn = set(draws(answer, np.linspace(0.3, 1.4, n), 1.0, 120))
        expect(drawn == set(range(n)), f"with {n} actions and epsilon = 1, only {sorted(drawn)} come up")
    _check_frequencies(answer)
    return "The best of 4 actions came up (1 - epsilon) + epsilon / 4 of the time, and ties were split."


def draws(answer: Callable[..., Any], values: FloatArray, epsilon: float, n: int) -> list[int]:
    """Return n actions that the student's function chooses, each with the generator in another state."""
    rng, actions = np.random.default_rng(0), []
    for _ in range(n):
        rng.random()  # moves it on, even if the function does not
        actions.append(action(answer(values, epsilon, rng), values))
    return actions


def action(chosen: Any, values: FloatArray) -> int:
    """Return what was chosen as the number of an action.

    Raises:
        NotYet: if it is none, such as the value of an action.
    """
    try:
        return expect_index(chosen, len(values), f"with {len(values)} actions the action")
    except NotYet:
        is_value = any(same(chosen, value, tol=1e-9) for value in values)
        expect(
            not is_value,
            "what is returned is one of the values: return the number of an action, not what it is worth. "
            "rng.integers(len(values)) draws a number, rng.choice(values) draws a value",
        )
        raise


def _check_greedy(greedy: list[set[int]], tied: set[int], random: set[int]) -> None:
    """Judge the actions that came up for GREEDY and TIED with epsilon = 0, and for CLEAR with 1."""
    swapped = len(greedy[0]) > 1 and random == {1}
    expect(not swapped, "epsilon is the probability of exploring: here it is that of being greedy")
    expect(
        greedy != [{int(values.argmin())} for values, _ in GREEDY],
        "with epsilon = 0 it takes the action of the smallest value: take the largest",
    )
    expect(
        greedy != [{int(abs(values).argmax())} for values, _ in GREEDY],
        "with epsilon = 0 it takes the action whose value is farthest from 0: the sign counts",
    )
    expect(
        not (greedy[0] == {0} and tied == {0, 1}),
        "a place in the list of the best is returned: return the action that stands there, best[k]",
    )
    for found, (values, best) in zip(greedy, GREEDY, strict=True):
        differences = np.abs(values[best] - np.delete(values, best))
        expect(
            not (best in found and len(found) > 1 and differences.min() < 0.01),
            f"of {values.tolist()} more than one comes up as the best: only exactly equal values are a tie",
        )
        expect(
            found == {best},
            f"with epsilon = 0 it must always take an action of largest value: {best} for {values.tolist()}, "
            f"and {sorted(found)} came up",
        )
    expect(random != {1}, "with epsilon = 1 it still takes the best action every time: epsilon is not used")


def _check_ties(answer: Callable[..., Any], tied: set[int]) -> None:
    """Judge the actions that came up for TIED, and those that come up for TIES, with epsilon = 0."""
    expect(tied != {1}, "of equal values it always takes the first, as argmax does: break the tie at random")
    expect(tied != {2}, "of equal values it always takes the last: break the tie at random among the largest")
    expect(tied == {1, 2}, f"with values {TIED.tolist()} the greedy actions are 1 and 2, got {sorted(tied)}")
    for values, best in TIES:
        found = set(draws(answer, values, 0.0, 100))
        expect(
            found == set(best), f"of {values.tolist()} actions {best} are equally good, got {sorted(found)}"
        )


def _check_random(random: set[int]) -> None:
    """Judge the actions that came up for CLEAR with epsilon = 1."""
    expect(
        len(random) > 1,
        f"with epsilon = 1 every call returns action {min(random)}: any of the 4 must come up",
    )
    expect(1 in random, "exploring leaves out the best action: it draws among all of them, the best too")
    expect(random == {0, 1, 2, 3}, f"with epsilon = 1 only the actions {sorted(random)} come up")


def _check_frequencies(answer: Callable[..., Any]) -> None:
    uneven = "exploring must draw all actions with equal chances"
    _expect_shares(answer, CLEAR, 1.0, np.full(4, 0.25), uneven, n=400)
    for values, best in TIES[::3]:
        shares = np.isin(np.arange(len(values)), best) / len(best)
        _expect_shares(answer, values, 0.0, shares, "each of the best has the same chance", n=400)
    for epsilon in (0.05, 0.6):
        shares = np.full(4, epsilon / 4) + (1 - epsilon) * np.eye(4)[1]
        explanation = (
            f"with epsilon = {epsilon} it must be greedy {1 - epsilon:g} of the time, and explore "
            f"{epsilon:g} of it, the best action included"
        )
        _expect_shares(answer, CLEAR, epsilon, shares, explanation, n=2500)


def _expect_shares(
    answer: Callable[..., Any],
    values: FloatArray,
    epsilon: float,
    shares: FloatArray,
    message: str,
    *,
    n: int,
) -> None:
    """Refuse an answer whose actions come up so unevenly that chance would do it once in ten million."""
    counts = np.bincount(draws(answer, values, epsilon, n), minlength=len(shares))
    likely = shares > 0
    unlikeliness = ((counts - n * shares)[likely] ** 2 / (n * shares[likely])).sum()  # chi-square
    expect(
        unlikeliness < 40 and not counts[~likely].any(),
        f"{message}; in {n} draws the actions came up {counts.tolist()} times, about "
        f"{(n * shares).round().astype(int).tolist()} are expected",
    )
