"""Gymnasium's toy-text environments as arrays: what tests and benchmarks compare with."""

from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.tasks.tabular import TabularMDP, absorb


def read_table(env: gym.Env[Any, Any]) -> TabularMDP:
    """Return the table `env.unwrapped.P[state][action]` of FrozenLake, CliffWalking or Taxi.

    It lists (probability, next state, reward, terminated). Two outcomes of one action that lead to the same
    state are merged: probabilities add up, rewards are averaged. A state is taken to be terminal if some
    transition into it ends the episode.
    """
    toy: Any = env.unwrapped
    S, A = len(toy.P), len(toy.P[0])
    outcomes = np.array([(s, a, *o) for s in range(S) for a in range(A) for o in toy.P[s][a]])
    state, action, next_state = (outcomes[:, i].astype(np.int64) for i in (0, 1, 3))
    probability, reward, ended = outcomes[:, 2], outcomes[:, 4], outcomes[:, 5] > 0
    P, rewards, terminal = np.zeros((S, A, S)), np.zeros((S, A, S)), np.zeros(S, dtype=bool)
    terminal[next_state[ended]] = True
    np.add.at(P, (state, action, next_state), probability)
    np.add.at(rewards, (state, action, next_state), probability * reward)
    np.divide(rewards, P, out=rewards, where=P > 0)
    start = np.asarray(toy.initial_state_distrib, dtype=np.float64)
    return TabularMDP(*absorb(P, rewards, terminal), terminal, start)
