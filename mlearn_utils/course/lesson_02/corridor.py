"""The corridor in which the loop of lesson 02 is tried, and the loop itself with each known mistake in it."""

from typing import Any

import numpy as np

from mlearn_utils.rl import temporal_difference as td
from mlearn_utils.tasks.tabular import FloatArray

Step = tuple[int, int, float, int, bool]
"""(state, action, reward, next_state, terminated)."""


class Corridor:
    """Cells in a row, for scripted tests: action k goes k cells to the right, and action 0 costs 1.

    Args:
        n_cells: the last one ends the episode with reward 2.13.
        limit: of steps, after which an episode is truncated.
        start: the cell in which episodes begin.

    Attributes:
        seeds: what the episodes were begun with.
        steps: of the present episode.
    """

    def __init__(self, n_cells: int, limit: int, start: int = 0) -> None:
        self.n_cells, self.limit, self.start, self.state = n_cells, limit, start, -1
        self.seeds: list[int | None] = []
        self.steps: list[Step] = []

    def reset(self, *, seed: int | None = None) -> tuple[int, dict[str, Any]]:
        """Return the first cell."""
        self.state, self.steps = self.start, []
        self.seeds.append(seed)
        return self.state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Return what Gymnasium's step returns."""
        if not self.seeds:
            raise RuntimeError("step was called before reset")
        if self.state == self.n_cells - 1 or len(self.steps) == self.limit:
            raise RuntimeError("step was called after the end of the episode")
        before, self.state = self.state, min(self.state + int(action), self.n_cells - 1)
        terminated = self.state == self.n_cells - 1
        reward = 2.13 if terminated else (0.47 if action else -1.0)
        self.steps.append((before, int(action), reward, self.state, terminated))
        return self.state, reward, terminated, len(self.steps) == self.limit, {}


def play(
    env: Corridor,
    q: FloatArray,
    learning_rate: float,
    gamma: float,
    epsilon: float,
    rng: np.random.Generator,
    *,
    mistake: str = "",
) -> Any:
    """Play one episode of Q-learning, as slowly and as obviously as possible, with one mistake in it."""
    table, before = q.copy() if mistake == "learns in a copy" else q, q.copy()
    start, _ = env.reset()
    start = 0 if mistake == "starts at 0" else start
    state, rewards, done = start, [], False
    action = td.epsilon_greedy(q[state], epsilon, rng)
    while not done:
        if mistake != "chosen before the update":
            action = td.epsilon_greedy((before if mistake == "stale row" else table)[state], epsilon, rng)
        after, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        done = terminated or truncated
        ended = {"truncation": done, "other flag": truncated, "no terminal": False}.get(mistake, terminated)
        now = after if mistake in ("updated after moving", "exchanged") else state
        then = state if mistake == "exchanged" else after
        row = {"updated after moving": after, "wrong row": after, "first row": start}.get(mistake, state)
        next_action = td.epsilon_greedy(table[after], epsilon, rng)
        update = td.td_update(
            table, now, action, reward, then, ended, learning_rate=learning_rate, gamma=gamma
        )
        if mistake != "no update" and not (mistake == "last step" and done):
            table[row, action] = _stored(table[row, action], update, mistake)
        state, action = start if mistake == "stays" else after, next_action
    return _returned(np.array(rewards), q, gamma, mistake)


def _stored(old: float, update: td.TDUpdate, mistake: str) -> Any:
    wrong = {"error": update.error, "error added": old + update.error, "value added": old + update.value}
    return wrong.get(mistake, update.value)


def _returned(rewards: FloatArray, q: FloatArray, gamma: float, mistake: str) -> Any:
    wrong = {
        "discounted": gamma ** np.arange(len(rewards)) @ rewards,
        "last reward": rewards[-1],
        "steps": len(rewards),
        "mean": rewards.mean(),
        "without the last": rewards[:-1].sum(),
        "table": q,
    }
    return wrong.get(mistake, rewards.sum())


def relearned(
    q: FloatArray,
    steps: list[Step],
    learning_rate: float,
    gamma: float,
    *,
    epsilon: float = 0.0,
    mistake: str = "",
) -> tuple[FloatArray, int]:
    """Return the table that Q-learning makes of `q` along the steps, or one with a mistake in it.

    Returns:
        The table [S, A], and the number of steps whose action was not the best of the row.
    """
    table, explored = q.copy(), 0
    for state, action, reward, after, terminated in steps:
        new, _ = td.td_update(
            table, state, action, reward, after, terminated, learning_rate=learning_rate, gamma=gamma
        )
        if mistake == "Expected SARSA" and not terminated:
            new = new - learning_rate * gamma * epsilon * (table[after].max() - table[after].mean())
        is_greedy = table[state, action] == table[state].max()
        explored += not is_greedy
        if is_greedy or mistake != "greedy steps only":
            table[state, action] = new
    return table, explored
