"""The corridor in which the loop of lesson 02 is tried, and the loop itself with each known mistake in it."""

from typing import Any

import numpy as np

from mlearn_utils.rl import temporal_difference as td
from mlearn_utils.tasks.tabular import FloatArray


class Corridor:
    """Cells in a row, for scripted tests: action k goes k cells to the right, and action 0 costs 1.

    Args:
        n_cells: the last one ends the episode with reward 2.
        limit: of steps, after which an episode is truncated.
    """

    def __init__(self, n_cells: int, limit: int) -> None:
        self.n_cells, self.limit, self.state, self.steps = n_cells, limit, 0, 0

    def reset(self, *, seed: int | None = None) -> tuple[int, dict[str, Any]]:
        """Return the first cell."""
        self.state, self.steps = 0, 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Return what Gymnasium's step returns."""
        if self.state == self.n_cells - 1 or self.steps == self.limit:
            raise RuntimeError("step was called after the end of the episode")
        self.steps += 1
        self.state = min(self.state + int(action), self.n_cells - 1)
        terminated = self.state == self.n_cells - 1
        reward = 2.0 if terminated else (0.5 if action else -1.0)
        return self.state, reward, terminated, self.steps == self.limit, {}


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
