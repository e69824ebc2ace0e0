"""How the answers of lesson 02 are judged: probes, known mistakes, and what to tell who made them.

`epsilon_greedy`, which is judged by what comes up in many draws, has a module of its own, `exploring`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.course.grading.answer import Answer
from mlearn_utils.course.grading.compare import (
    TOLERANCE,
    compare,
    expect,
    expect_close,
    expect_index,
    same,
)
from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong
from mlearn_utils.course.lesson_02.corridor import Corridor, play, relearned
from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.tasks.tabular import FloatArray, IntArray

# --- one update


def update_probes() -> list[Probe]:
    """Return q, state, action, reward, next_state, terminated, learning_rate and gamma.

    The best action of next_state is the first, the last or one between; a step pays nothing; values are far
    from 0; the future does not count; and what Gymnasium returns may be a truth value of numpy.
    """
    small = np.array([[0.512, -0.327, 0.1], [0.3, 1.0, 2.5], [4.0, 3.0, -1.0]])
    tall = np.array([[0.8, 1.7], [-0.9, 0.4], [1.3, 2.2], [-1.6, -0.7]])
    wide = np.array([[1.1, -0.4, 0.9, 3.2], [0.7, 2.6, -1.8, 0.2]])
    far = np.array([[25.5, 64.0, -48.0], [83.0, -35.5, 12.25], [-7.0, -61.5, -90.0]])
    return [
        (small, 0, 1, 0.7133, 1, False, 0.25, 0.8),
        (small, 0, 1, 0.7133, 1, True, 0.25, 0.8),
        (tall, 2, 0, -1.2, 3, False, 0.6, 0.65),  # nothing in that row is above 0
        (tall, 1, 1, 2.4, 0, True, 0.6, 0.65),
        (wide, 1, 3, 0.5, 0, False, 0.35, 0.7),
        (wide, 1, 2, 1.9, 1, False, 0.35, 0.7),
        (far, 2, 1, 0.0, 1, np.bool_(False), 0.45, 0.9),
        (far, 1, 0, -22.0, 0, np.bool_(True), 0.45, 0.9),
        (small, 1, 0, 1.7, 2, False, 0.15, 0.0),
    ]


def wrong_updates(
    q: FloatArray,
    state: int,
    action: int,
    reward: float,
    next_state: int,
    terminated: bool | np.bool_,
    learning_rate: float,
    gamma: float,
) -> Wrong:
    """Return what each known mistake gives for the new value, with its message."""
    now, row, rate, goes_on = q[state, action], q[next_state], learning_rate, not terminated

    def towards(
        ahead: float = row.max(), old: float = now, rate: float = rate, gamma: float = gamma
    ) -> float:
        return old + rate * (reward + gamma * ahead * goes_on - old)

    def at_the_end(value: float) -> float:
        return value if terminated else right

    inverted = -1 - terminated if isinstance(terminated, bool) else goes_on  # by ~
    right, ahead = towards(), gamma * row.max() * goes_on
    target = reward + ahead
    error, changed = target - now, q.copy()
    changed[state, action] = right
    weights = "learning_rate weighs the target and 1 - learning_rate the old value"
    parentheses = "learning_rate multiplies the whole error: put target minus old value in parentheses"
    lost = "when the episode ends, the last reward still has to be learned"
    return [
        (error, "this is the TD error; the new value is the old one plus learning_rate times the error"),
        (target, "this is the target itself: move only the part learning_rate of the way"),
        (rate * error, "this is the step alone, learning_rate times the error: the new value is the old one "
         "plus it"),
        (now - rate * error, "it moves away from the target: the error is target minus present value"),
        (now + rate * target, "the present value is not subtracted from the target"),
        (rate * target, "this is learning_rate times the target: where is the old value? " + parentheses),
        ((1 - rate) * now + target, weights + ": the target has its full weight here"),
        (rate * now + (1 - rate) * target, weights + ": here it is the other way round"),
        (rate * reward + ahead, parentheses),
        (now + rate * reward + ahead, parentheses),
        (now + rate * (reward - now) + ahead, parentheses),
        (now + rate * (ahead - now) + reward, parentheses),
        (now + rate * (reward + gamma * (row.max() * goes_on - now)), "gamma discounts the next value alone, "
         "not the present one: check the parentheses"),
        (now + rate * (reward + row.max() * goes_on - now), "gamma is missing: the value of the next state "
         "is discounted"),
        (now + rate * (gamma * (reward + row.max() * goes_on) - now), "the reward is discounted as well: it "
         "is paid now, only the next value comes a step later"),
        (towards(rate=gamma, gamma=rate), "learning_rate and gamma are exchanged"),
        (towards(rate=gamma), "gamma stands in the place of learning_rate"),
        (towards(gamma=rate), "learning_rate stands in the place of gamma"),
        (now + rate * (ahead - now), "the reward is missing from the target"),
        (now + rate * (reward - ahead - now), "the next value is subtracted: the target adds it"),
        (towards(q.max()), "the max runs over states too: only the row of next_state matters"),
        (towards(q[:, action].max()), "the max runs over states: it belongs over the actions in next_state"),
        (towards(q[state].max()), "this is the stale row of `state`: the max is taken in next_state"),
        (towards(row[action]), "the same action is used in next_state: take its best action"),
        (towards(now), "the entry itself stands for what follows: take the max over the row of next_state"),
        (towards(row.mean()), "the mean over actions is that of a random policy: take the max"),
        (towards(row.sum()), "the sum over actions: only one is taken, the best, so take the max"),
        (towards(row.min()), "this is the worst action of next_state: take the max"),
        (towards(row[0]), "action 0 of next_state is used: take its best action"),
        (towards(row.argmax()), "argmax is the number of the best action; max is what it is worth"),
        (towards(max(row.max(), 0.0)), "the search for the best starts at 0, which beats values below 0"),
        (towards(0.0), "nothing is ever bootstrapped: add gamma times the best value of next_state"),
        (towards(old=q[state].max()), "the present value is that of the action taken, not of the best one"),
        (towards(old=row[action]), "the present value is that of next_state: the entry that changes is "
         "q[state, action]"),
        (towards(q[state].max(), old=row[action]), "state and next_state are exchanged"),
        (now + rate * (reward + gamma * row.max() * terminated - now), "nothing is bootstrapped although the "
         "episode goes on: is `terminated` inverted?"),
        (now + rate * (reward + gamma * row.max() - now), "it bootstraps at a terminal state: nothing "
         "follows the end, whatever the table says there"),
        (now + rate * (reward + gamma * row.max() * inverted - now), "~ turns Python's False into "
         "-1 and True into -2: write `not terminated`, or 1 - terminated"),
        *[(at_the_end(value), lost) for value in (now, 0.0, now - rate * now)],
        (at_the_end(rate * (reward - now)), "when the episode ends, too, the step is added to the old value"),
        (at_the_end(reward), "the last step of an episode moves the part learning_rate of the way, too"),
        (at_the_end(now + reward), "the last step of an episode has an error, too: the reward less the old "
         "value. The new value is the old one plus learning_rate times it"),
        (changed, "this is the whole table: return the new value of q[state, action] alone"),
        (changed[state], "this is a row of the table: return the new value of q[state, action] alone"),
    ]  # fmt: skip


TD_UPDATE = Trial(
    probes=update_probes,
    mistakes=wrong_updates,
    otherwise="not q + learning_rate * TD error",
    praise="Right in four tables, in mid-episode and where an episode ends.",
)


# --- the planted bug: one episode

TABLE = "The table q"


def episode_probes() -> list[Probe]:
    """Return env, q, learning_rate, gamma, epsilon and rng: greedy episodes that end, are cut off, or both.

    The tables have no ties, and the row of the terminal cell is not zero.
    """
    short = [[0.2, 0.1], [0.4, 0.3], [0.05, 0.15], [5.0, 7.0]]
    wide = [[0.3, 0.6, 0.4], [1.2, 0.2, 0.7], [0.1, 0.9, 0.5], [0.8, 0.35, 0.65], [4.0, -3.0, 6.0]]
    cases = (
        (short, 20, 0, 0.45, 0.85),
        (short, 3, 0, 0.45, 0.85),
        (wide, 20, 0, 0.3, 0.7),
        (wide, 4, 0, 0.6, 0.85),
        (wide, 20, 2, 0.5, 0.0),
        (short, 3, 1, 0.45, 0.6),
    )
    return [
        (Corridor(len(q), limit, start), np.array(q), rate, gamma, 0.0, np.random.default_rng(k))
        for k, (q, limit, start, rate, gamma) in enumerate(cases)
    ]


def right_episode(
    env: Corridor, q: FloatArray, learning_rate: float, gamma: float, epsilon: float, rng: np.random.Generator
) -> float:
    """Play one episode of Q-learning, without a mistake."""
    return play(env, q, learning_rate, gamma, epsilon, rng)


def learned(episode: Callable[..., Any], env: Corridor, q: FloatArray, *rest: Any) -> Parts:
    """Return the table after an episode, and what was returned."""
    total = episode(env, q, *rest)
    return Parts({TABLE: q, RESULT: total})


FIRST_STATE = "the update always goes to the first state: set `state = next_state` after it"
UNCHANGED = "q has not changed: is the new value stored in q itself, and the error weighed by learning_rate?"
EPISODE_MISTAKES = {
    "updated after moving": "the update comes after moving: `state` is already the next state, so the wrong "
    "row learns. Update first, then move on",
    "wrong row": "the new value is stored in the row of next_state: it belongs to the row that acted",
    "exchanged": "state and next_state are exchanged in the update",
    "truncation": "a truncated episode is treated as terminated: the task would have gone on, so its last "
    "step still bootstraps",
    "other flag": "the update is given `truncated`: what ends the future is `terminated`",
    "no terminal": "the last step bootstraps from a terminal state: what follows the end is worth nothing",
    "stale row": "the actions are chosen from a stale row: read q[state] again at every step, it has changed",
    "chosen before the update": "the next action is chosen before the update, from a stale row. Q-learning "
    "chooses it afterwards, when the row may have changed",
    "first row": FIRST_STATE,
    "stays": FIRST_STATE,
    "starts at 0": "the episode begins in the state that env.reset() returns, which need not be 0",
    "error": "the TD error is stored: .value is the new value",
    "error added": "the whole TD error is added, without learning_rate: .value is the new value to store",
    "value added": "the new value is added to the old one: .value takes its place, so = instead of +=",
    "last step": "the last step of the episode is not learned",
    "no update": UNCHANGED,
    "learns in a copy": UNCHANGED,
    "discounted": "the rewards are discounted: return their plain sum",
    "last reward": "only the last reward is returned: add them up",
    "steps": "the number of steps is returned: add up the rewards",
    "mean": "the mean of the rewards is returned: add them up",
    "without the last": "the last reward is missing from the sum",
    "table": "q is returned: return the sum of the rewards, the table is changed in place",
}

REPLAYED_MISTAKES = {
    "Expected SARSA": "the target holds the mean value of what may be played next, as in Expected SARSA: "
    "Q-learning takes the largest value of next_state",
    "greedy steps only": "only greedy steps are learned: Q-learning learns from those that explore, too",
}

LEARN_EPISODE = Trial(
    reference=right_episode,
    probes=episode_probes,
    mistakes=lambda *_: [
        (functools.partial(play, mistake=mistake), message) for mistake, message in EPISODE_MISTAKES.items()
    ],
    observe=learned,
    otherwise={
        TABLE: "the table is not that of Q-learning after one episode",
        RESULT: "the table is right, but what is returned is not the sum of the rewards",
    },
    praise="Update first, then move: the row that acted is the row that learns.",
)


def check_learn_episode(answer: Answer) -> str:
    """Compare greedy episodes, then look at what was learned of random ones, and at how they explore."""
    praise = LEARN_EPISODE(answer)
    for epsilon in (0.4, 0.05):
        envs = [Corridor(40, limit=50, start=seed % 3) for seed in range(40)]
        counts = [_episode(answer, env, seed, epsilon) for seed, env in enumerate(envs)]
        seeds = {env.seeds[-1] for env in envs}
        expect(
            None in seeds or len(seeds) > 1,
            "the environment is reset with the same seed every time, so that all its episodes begin alike: "
            "env.reset() goes on",
        )
        _check_exploring(np.sum(counts, axis=0), epsilon)
    answer.check_randomness()  # before what comes of it is taken for something else
    firsts = {_first_action(answer, seed) for seed in range(25)}
    expect(
        len(firsts) > 1,
        f"in a table of zeros it always begins with action {min(firsts)}: of equal values any must come up",
    )
    return praise


def _episode(answer: Callable[..., Any], env: Corridor, seed: int, epsilon: float) -> NDArray[np.floating]:
    """Judge what one random episode taught; return the numbers of steps and of those that were not greedy."""
    before = np.random.default_rng(seed).normal(size=(40, 3))
    table, rates = before.copy(), (0.3, 0.8)
    total = answer(env, table, *rates, epsilon, np.random.default_rng(seed + 100))
    right, explored = relearned(before, env.steps, *rates)
    if not same(table, right):
        for mistake, message in REPLAYED_MISTAKES.items():
            wrong, _ = relearned(before, env.steps, *rates, epsilon=epsilon, mistake=mistake)
            expect(not same(table, wrong), message)
    where = f"after an episode with epsilon = {epsilon}"
    compare(table, right, f"{where} the table is not that of Q-learning along its steps", TOLERANCE, TABLE)
    rewards = sum(step[2] for step in env.steps)
    expect_close(total, rewards, f"{where} the table is right, but the result is not the sum of the rewards")
    return np.array([len(env.steps), explored])


def _check_exploring(counts: NDArray[np.floating], epsilon: float) -> None:
    """Refuse a number of steps that are not greedy which chance would give once in ten million."""
    n, explored = counts
    share = epsilon * 2 / 3  # of three actions, the best included
    expect(
        abs(explored - n * share) < 5.3 * np.sqrt(n * share * (1 - share)),
        f"with epsilon = {epsilon} and 3 actions about {n * share:.0f} of {n:.0f} steps should not be "
        f"greedy; it is {explored:.0f}: epsilon is the probability of exploring, in every step",
    )


def _first_action(answer: Callable[..., Any], seed: int) -> int:
    env = Corridor(4, limit=3)
    answer(env, np.zeros((4, 3)), 0.3, 0.8, 0.0, np.random.default_rng(seed))
    return env.steps[0][1]


# --- cells

BOXES = (
    ((-2.0, -1.0), (1.0, 3.0), (7, 4)),
    ((-1.0,), (2.0,), (4,)),
    ((-0.5, 1.0, 0.5), (2.5, 6.0, 3.0), (3, 5, 2)),
    ((-6.25, -0.31, 2.0, -1.0), (-1.13, 0.47, 9.5, -0.2), (3, 2, 4, 3)),
    ((0.0, -0.05, -3.0, 1.0, -2.0), (1.0, 0.05, 0.4, 1.5, 2.0), (2, 3, 2, 2, 3)),
)
EXACT = ((-2.0, 0.0), (2.0, 8.0), (4, 4))  # its inner bounds are whole numbers


@functools.cache  # nobody writes to them: an answer gets copies
def cell_probes() -> list[Probe]:
    """Return observation, low, high and bins: random ones, some out of bounds, and bounds themselves.

    Observations are arrays of both precisions, and lists.
    """
    random, probes = np.random.default_rng(0), []
    for bounds in BOXES:
        low, high, bins = map(np.array, bounds)
        inside = low + (high - low) * random.uniform(-0.3, 1.3, (6, len(low)))
        outside = [low - 10 * (high - low), high + 10 * (high - low)]
        for k, observation in enumerate([*inside, low, high, *outside]):
            kinds = (observation, observation.astype(np.float32), observation.tolist())
            probes.append((kinds[k % 3], low, high, bins))
    low, high, bins = map(np.array, EXACT)
    at_bounds = [[-1.0, 2.0], [0.0, 4.0], [1.0, 6.0], [0.0, 0.0], [-2.0, 6.0]]
    return probes + [(observation, low, high, bins) for observation in at_bounds]


def right_cell(observation: Any, low: FloatArray, high: FloatArray, bins: IntArray) -> int:
    """Return the number of the cell, as the package's class does."""
    return Discretizer(low, high, bins)(observation)


def wrong_cells(observation: Any, low: FloatArray, high: FloatArray, bins: IntArray) -> Wrong:
    """Return what each known mistake gives for the number of a cell, with its message."""
    above, width = np.array(observation, dtype=np.float64) - low, high - low
    share = above / width * bins
    floor, toward_0, nearest, last = np.floor(share), np.trunc(share), np.round(share), bins - 1
    cell, between = floor.clip(0, last), np.floor(above / width * last)

    def row(parts: Any, base: Sequence[int] | IntArray = bins) -> float:
        state = 0.0
        for part, n in zip(parts, base, strict=True):
            state = state * n + part
        return state

    before = np.cumprod([1, *bins[:-1]])
    fewer = "n bounds enclose n - 1 intervals: cut each dimension into n intervals, not into n - 1"
    rounds = "it rounds: cut off the fraction, interval k runs from k / n to (k + 1) / n of the range"
    from_1 = "the intervals are counted from 1 (as digitize does): count from 0"
    uncut = (
        "nothing is cut: a value outside belongs to the outermost interval, the upper bound itself to n - 1"
    )
    low_uncut = "a value below `low` is not cut: it belongs to the first interval (and -1 is the last row)"
    follows = "multiply by the number of intervals of the dimension that comes next"
    shared = "some cells share a row: multiply by the number of intervals before you add the next one"
    alike = "each dimension has its own number of intervals: multiply by that of the one that comes next"
    below = np.ceil(share) - 1
    return [
        (row(below.clip(0, last)), "a value on the bound between two intervals belongs to the upper one: "
         "interval k begins at k / n of the range"),
        (row(nearest.clip(0, last)), rounds),
        (row(nearest), rounds),
        (row(np.ceil(share).clip(0, last)), "it rounds up: interval k begins at k / n of the range"),
        (row(share.clip(0, last)), "the fraction is not cut off: an interval is a whole number, int(...)"),
        (row(between), fewer),
        (row(between.clip(0, last)), fewer),
        (row(between.clip(-1, last)), fewer),
        (row(cell + 1), from_1),
        (row(floor.clip(-1, bins) + 1), from_1),
        (row(floor), uncut),
        (row(toward_0), uncut),
        (row(floor.clip(0, bins)), "the upper bound itself lies in the last interval, n - 1: n is no cell of "
         "the table"),
        (row(floor.clip(0)), "a value above `high` is not cut: it belongs to the last interval, n - 1, as "
         "the upper bound itself does"),
        (row(np.minimum(floor, last)), low_uncut),
        (row(np.minimum(toward_0, last)), low_uncut),
        (row(np.minimum(abs(toward_0), last)), "a value below `low` counts like one above it, since the sign "
         "is lost: it belongs to the first interval"),
        (row(floor % bins), "what lies outside comes in again at the other end (%): cut it"),
        (row(last - cell), "the intervals are counted from the upper end: interval 0 begins at `low`"),
        (row(np.floor((above + low) / width * bins).clip(0, last)), "`low` is not subtracted from the value"),
        (row(np.floor(above / high * bins).clip(0, last)), "the range is high - low: it is divided by high"),
        (row(np.floor(above * bins).clip(0, last)), "it is not divided by the range, high - low"),
        (row(np.floor(above / width).clip(0, last)), "the number of intervals is missing: times n"),
        (cell @ before, "the first dimension counts fastest here; the last one should, as in reshape"),
        (cell @ before[::-1], follows),
        (row(cell, [1, *bins[:-1]]), follows),
        (row(cell * bins), "first multiply, then add the interval: state * n + interval"),
        (row(cell, np.full(len(bins), bins[0])), alike),
        (row(cell, np.full(len(bins), bins[-1])), alike),
        (row(cell, np.full(len(bins), bins.max())), alike),
        (cell.sum(), shared),
        (cell.prod(), shared),
        (cell @ bins, "the interval is multiplied, and not the number so far: state * n + interval"),
        (cell[0], "only the first dimension counts: does the loop `return` too early?"),
        (cell[-1], "only the last dimension counts: is `state` set anew in every round?"),
        (cell.astype(np.int64), "these are the intervals of the dimensions: combine them into one number"),
    ]  # fmt: skip


DISCRETIZE = Trial(
    reference=right_cell,
    probes=cell_probes,
    mistakes=wrong_cells,
    otherwise="not the number of the cell",
    praise="Equal to the package's Discretizer in one to five dimensions, in bounds and out of them.",
)


def check_discretize(answer: Callable[..., Any]) -> str:
    """Compare the numbers of cells, then ask whether they can number the rows of a table."""
    praise = DISCRETIZE(answer)
    for observation, low, high, bins in cell_probes():
        expect_index(answer(observation, low, high, bins), int(bins.prod()), "the row")
    return praise
