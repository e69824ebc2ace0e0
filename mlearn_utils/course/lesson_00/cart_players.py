"""Two scripted players of lesson 00's game, and their rewards over many tasks.

Both steer alike: push right when the cart is slower than wanted, else left. They differ in what they know
before a task begins.
"""

from collections.abc import Callable

import numpy as np

from mlearn_utils.course.lesson_00.cart_rounds import (
    FAMILY,
    LEFT,
    PUSHES,
    RIGHT,
    ROUNDS_PER_TASK,
    Round,
    paid,
)
from mlearn_utils.tasks.cartpole import CartPoleTasks
from mlearn_utils.tasks.cartpole_physics import Array

Player = Callable[[list[Round], np.random.Generator], int]
"""(the rounds on this task so far, the present one last; random numbers) -> the next push."""

CANDIDATES: Array = np.concatenate([np.linspace(-1, -0.5, 51), np.linspace(0.5, 1, 51)])
"""The targets that the family can draw, 0.01 m/s apart."""


def newcomer(rounds: list[Round], rng: np.random.Generator) -> int:
    """Follow the reward in the first round; in the second hold the velocity that paid best in the first.

    To follow the reward: push on while it rises, turn when it falls, flip a coin when it does neither.
    """
    now = rounds[-1]
    if len(rounds) > 1:
        best, _ = max(zip(rounds[0].velocities, rounds[0].rewards, strict=True), key=lambda push: push[1])
        return steer(now, best)
    change = float(np.diff(now.rewards[-2:]).sum())  # 0 before there are two rewards
    if change == 0:
        return int(rng.integers(2))
    return now.actions[-1] if change > 0 else 1 - now.actions[-1]


def experienced(rounds: list[Round], rng: np.random.Generator) -> int:
    """Hold the target that fits every reward on this task so far, knowing which targets there can be."""
    velocities = np.array([velocity for played in rounds for velocity in played.velocities])
    rewards = np.array([reward for played in rounds for reward in played.rewards])
    if len(rewards) == 0:
        return int(rng.integers(2))
    errors = paid(velocities[:, None], CANDIDATES) - rewards[:, None]  # [pushes, candidates]
    return steer(rounds[-1], CANDIDATES[(errors**2).sum(axis=0).argmin()])


def steer(played: Round, wanted: float) -> int:
    """Return the push that brings the cart's velocity nearer to the one wanted (m/s)."""
    return RIGHT if played.state[1] < wanted else LEFT


def play_task(player: Player, target: float, *, seed: int) -> list[Round]:
    """Let `player` play both rounds of one task.

    Args:
        player: `newcomer`, `experienced`, or a function like them.
        target: the hidden velocity (m/s).
        seed: of the player's random numbers.
    """
    rng, rounds = np.random.default_rng(seed), []
    for _ in range(ROUNDS_PER_TASK):
        rounds.append(Round(target))
        while not rounds[-1].is_over:
            rounds[-1].push(player(rounds, rng))
    return rounds


def play_tasks(player: Player, n_tasks: int = 40, *, seed: int = 0) -> np.ndarray:
    """Let `player` play `n_tasks` tasks drawn from the family, each without memory of the others.

    Returns:
        [T, 2, PUSHES] the reward of every push; 0 after a fall.
    """
    targets = CartPoleTasks(FAMILY).sample(n_tasks, seed=seed).target
    rewards = np.zeros((n_tasks, ROUNDS_PER_TASK, PUSHES))
    for k, target in enumerate(targets):
        for r, played in enumerate(play_task(player, target, seed=seed + k)):
            rewards[k, r, : len(played.rewards)] = played.rewards
    return rewards
