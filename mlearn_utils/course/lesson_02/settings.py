"""The tasks and settings of lesson 02, shared by its notebook and by the script that made its curves."""

import csv
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.rl.schedules import Schedule, exponential_decay, linear_decay
from mlearn_utils.runtime import data_path
from mlearn_utils.tasks.gridworld import GridTask
from mlearn_utils.tasks.tabular import FloatArray, TabularMDP, absorb

# The grid of lesson 01.
TASK = GridTask(size=5, start=(0, 0), goal=(4, 4), pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2)
GAMMA = 0.95

LAKE_EPISODES, LAKE_SEEDS = 5000, 100
LAKE: dict[str, Any] = {"gamma": 0.99, "epsilon": linear_decay(1.0, 0.1, 4000)}
LAKE_RATES: dict[str, float | Schedule] = {
    "constant 0.1": 0.1,
    "constant 0.01": 0.01,
    "falling": exponential_decay(0.3, 0.01, 4000),
}

CLIFF_EPISODES = 500
CLIFF: dict[str, Any] = {"learning_rate": 0.5, "gamma": 1.0, "epsilon": 0.1}

CARTPOLE_EPISODES = 600
CARTPOLE: dict[str, Any] = {
    "learning_rate": exponential_decay(0.5, 0.1, 400),
    "gamma": 0.99,
    "epsilon": linear_decay(1.0, 0.01, 300),
}
CART_HIGH = np.array([2.4, 3.0, 0.21, 2.0])  # m, m/s, rad, rad/s
CART_BINS: dict[str, tuple[int, ...]] = {
    "pole 6 x 12": (1, 1, 6, 12),
    "pole 12 x 24": (1, 1, 12, 24),
    "pole 24 x 48": (1, 1, 24, 48),
    "cart 4 x 4, pole 6 x 12": (4, 4, 6, 12),
    "cart 4 x 4, pole 12 x 24": (4, 4, 12, 24),
    "cart 4 x 4, pole 24 x 48": (4, 4, 24, 48),
}
CART_SHOWN = "pole 6 x 12"

REPLAY_TASK = GridTask(size=6, goal=(-1, -1), pits=((1, 1), (2, 4), (3, 2), (4, 4)), slip=0.0)
REPLAY: dict[str, Any] = {"learning_rate": 1.0, "gamma": 0.95, "epsilon": 0.1}


def lake_mdp() -> TabularMDP:
    """Return FrozenLake-v1, 4x4, slippery, as arrays: a square leads to itself more than once at a wall."""
    lake: Any = gym.make("FrozenLake-v1").unwrapped
    P, ends = np.zeros((16, 4, 16)), np.isin(lake.desc.reshape(-1), [b"H", b"G"])
    for state in range(16):
        for action in range(4):
            for probability, after, _, _ in lake.P[state][action]:
                P[state, action, after] += probability
    rewards = np.broadcast_to((lake.desc.reshape(-1) == b"G") * 1.0, P.shape)
    return TabularMDP(*absorb(P, rewards, ends), ends, lake.initial_state_distrib)


def cart_discretizer(variant: str = CART_SHOWN) -> Discretizer:
    """Return a discretizer of CartPole; that of `CART_SHOWN` looks at the pole alone."""
    return Discretizer(-CART_HIGH, CART_HIGH, CART_BINS[variant])


def curves(task: str, variant: str) -> tuple[FloatArray, FloatArray]:
    """Return x [N] and the recorded values [seed, N] of one variant; see data/lesson_02/make_curves.py."""
    rows = [row for row in _read("curves.csv") if (row["task"], row["variant"]) == (task, variant)]
    seeds = sorted({row["seed"] for row in rows}, key=int)
    values = np.array([[float(row["value"]) for row in rows if row["seed"] == seed] for seed in seeds])
    return np.array([float(row["x"]) for row in rows[: values.shape[1]]]), values


def results(task: str, variant: str) -> FloatArray:
    """Return [seed] the recorded greedy return of one variant after training."""
    rows = [row for row in _read("results.csv") if (row["task"], row["variant"]) == (task, variant)]
    return np.array([float(row["value"]) for row in rows])


def cart_table() -> FloatArray:
    """Return [72, 2] the action values that one seed learned on CartPole-v1."""
    return np.loadtxt(data_path("lesson_02", "cartpole_table.csv"), delimiter=",")


def _read(name: str) -> list[dict[str, str]]:
    with data_path("lesson_02", name).open(newline="") as stream:
        return list(csv.DictReader(stream))
