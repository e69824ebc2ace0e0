"""What the known mistakes of lesson 02 give, and what to tell who made them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlearn_utils.rl import temporal_difference as td
from mlearn_utils.tasks.tabular import FloatArray

Q = np.array([[0.5, -0.3, 0.1], [0.3, 1.0, 2.5], [4.0, 3.0, -1.0]])
Q.flags.writeable = False


def wrong_updates(
    q: FloatArray, state: int, action: int, reward: float, next_state: int, rate: float, gamma: float
) -> list[tuple[float, str]]:
    """Return what each mistake gives for the update of a transition that did not end its episode."""
    now, best = q[state, action], q[next_state].max()
    error = reward + gamma * best - now

    def towards(ahead: float) -> float:
        return now + rate * (reward + gamma * ahead - now)

    return [
        (error, "this is the TD error; the new value is the old one plus learning_rate times the error"),
        (reward + gamma * best, "this is the target itself: move only the part learning_rate of the way"),
        (now - rate * error, "it moves away from the target: the error is target minus present value"),
        (now + rate * (reward + gamma * best), "the present value is not subtracted from the target"),
        (now + rate * (reward + best - now), "gamma is missing: the value of the next state is discounted"),
        (towards(q.max()), "the max runs over states too: only the row of next_state matters"),
        (towards(q[:, action].max()), "the max runs over states: it belongs over the actions in next_state"),
        (towards(q[state].max()), "this is the stale row of `state`: the max is taken in next_state"),
        (
            towards(0.0),
            "nothing is bootstrapped here although the episode goes on: is `terminated` inverted?",
        ),
        (towards(q[next_state, action]), "the same action is used in next_state: take its best action"),
        (towards(q[next_state].mean()), "the mean over actions is that of a random policy: take the max"),
        (towards(q[next_state].argmax()), "argmax is the number of the best action; max is what it is worth"),
    ]


def same(result: Any, wrong: float) -> bool:
    """Return whether a student's result is a number that equals `wrong`."""
    return np.shape(result) == () and result is not None and abs(float(result) - wrong) < 1e-9


class Corridor:
    """Four cells in a row, for a scripted test: action 1 goes right, action 0 stays and costs 1.

    The last cell ends the episode with reward 2; it is truncated after `limit` steps.
    """

    def __init__(self, limit: int = 20) -> None:
        self.limit, self.state, self.steps, self.actions = limit, 0, 0, []

    def reset(self, *, seed: int | None = None) -> tuple[int, dict]:
        """Return the first cell."""
        self.state, self.steps, self.actions = 0, 0, []
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        """Return what Gymnasium's step returns."""
        if self.state == 3 or self.steps == 10 * self.limit:
            raise RuntimeError("step was called after the end of the episode")
        self.steps += 1
        self.state += int(action)
        terminated = self.state == 3
        reward = 2.0 if terminated else (0.5 if action else -1.0)
        return self.state, reward, terminated, self.steps >= self.limit, {}


def corridor_table() -> FloatArray:
    """Return a table [4, 2] without ties; the row of the terminal cell is not zero."""
    return np.array([[0.2, 0.1], [0.4, 0.3], [0.05, 0.15], [5.0, 7.0]])


def play(mistake: str, env: Corridor, q: FloatArray, rate: float, gamma: float) -> float:
    """Play one greedy episode with one mistake in it, as slowly and as obviously as possible."""
    state, _ = env.reset()
    seen, total, done, action = q.copy(), 0.0, False, int(q[state].argmax())
    while not done:
        if mistake != "chosen before the update":
            action = int((seen if mistake == "stale row" else q)[state].argmax())
        after, reward, terminated, truncated, _ = env.step(action)
        done = terminated or truncated
        ended = {"truncation": done, "no terminal": False}.get(mistake, terminated)
        ahead = int(q[after].argmax())
        row = {"updated after moving": after, "never moves": 0}.get(mistake, state)
        now = after if mistake == "updated after moving" else state
        q[row, action] = td.td_update(
            q, now, action, reward, after, ended, learning_rate=rate, gamma=gamma
        ).value
        total += reward
        state, action = after, ahead
    return total


EPISODE_MISTAKES: dict[str, str] = {
    "updated after moving": "the update comes after moving: `state` is already the next state, so the wrong "
    "row learns. Update first, then move on",
    "truncation": "a truncated episode is treated as terminated: the task would have gone on, so its last "
    "step still bootstraps",
    "no terminal": "the last step bootstraps from a terminal state: what follows the end is worth nothing",
    "stale row": "the actions are chosen from a stale row: read q[state] again at every step, it has changed",
    "chosen before the update": "the next action is chosen before the update, from a stale row. Q-learning "
    "chooses it afterwards, when the row may have changed",
    "never moves": "the update always goes to the first state: set `state = next_state` after it",
}


def draws(answer: Callable, values: FloatArray, epsilon: float, n: int, seed: int = 0) -> list:
    """Return n actions that the student's function chooses, all from one generator."""
    rng = np.random.default_rng(seed)
    return [answer(values.copy(), epsilon, rng) for _ in range(n)]
