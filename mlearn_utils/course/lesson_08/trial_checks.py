"""How lesson 08's planted bug is judged: by the numbers that a game is made of."""

from collections.abc import Callable

import numpy as np

from mlearn_utils.course.grading.compare import compare, expect
from mlearn_utils.course.grading.exercise import NotYet

N, SEEDS = 400, (0, 5, 11)


def check_make_game(answer: Callable) -> str:
    """Look at the chances and the numbers that break ties: kind, range, seeds, and dependence."""
    games = [_game(answer, N, seed) for seed in SEEDS]
    for chances, ties in games:
        _check_apart(chances, ties)
    for k, what in enumerate(("chances", "numbers that break ties")):
        expect(
            not np.array_equal(games[0][k], games[1][k]),
            f"the {what} are the same for every seed: they must come from it",
        )
    for game in (_game(answer, 3, 2), _game(answer, 1, 7)):
        expect(len(np.unique(np.concatenate([each.ravel() for each in game]))) > 50, "numbers come twice")
    return "Chances and ties have nothing to do with each other, for any of three seeds."


def _game(answer: Callable, n_bandits: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an answer's game, if it is one."""
    game = answer(n_bandits, seed)
    expected = (np.zeros((n_bandits, 5)), np.zeros((10, n_bandits, 5)))
    compare(game, expected, "", float("inf"), "The result")
    chances, ties = (np.asarray(each, dtype=float) for each in game)
    for what, values in (("chances", chances), ("numbers that break ties", ties)):
        inside = (values >= 0) & (values < 1)
        expect(inside.all(), f"the {what} must lie in [0, 1)")
        if values.size > 500:
            expect(
                values.min() < 0.02 and values.max() > 0.98 and abs(values.mean() - 0.5) < 0.05,
                f"the {what} must be uniform in [0, 1): yours reach from {values.min():.2f} to "
                f"{values.max():.2f}, with mean {values.mean():.2f}",
            )
    return chances, ties


def _check_apart(chances: np.ndarray, ties: np.ndarray) -> None:
    """Raise NotYet if what breaks a tie tells of the chances, or of other ties."""
    for pull, numbers in enumerate(ties):
        together = max(
            (np.corrcoef(each.ravel(), numbers.ravel())[0, 1] for each in (chances, abs(2 * chances - 1))),
            key=abs,
        )
        if abs(together) > 0.15:
            which = "ARE the chances" if np.allclose(chances, numbers) else "go with the chances"
            raise NotYet(
                f"the numbers that break ties at pull {pull + 1} {which} (correlation {together:.2f}): "
                "whoever breaks a tie by them knows which arm is good. Do not start a second generator from "
                "the same seed, and do not draw once for both"
            )
    for pull, numbers in enumerate(ties[1:], start=2):
        expect(
            abs(np.corrcoef(ties[0].ravel(), numbers.ravel())[0, 1]) < 0.15,
            f"ties at pull {pull} are broken as at pull 1: draw new numbers for every pull",
        )
    first = ties[0]
    expect(
        abs(np.corrcoef(first[:, 0], first[:, 1])[0, 1]) < 0.3
        and abs(np.corrcoef(chances[:, 0], chances[:, 1])[0, 1]) < 0.3,
        "all arms of a bandit get the same number: each needs one of its own",
    )
    for what, values in (("chances", chances), ("ties", first)):
        expect(
            np.ptp(values, axis=0).min() > 0.5, f"the {what} are the same for every bandit: draw N of them"
        )
