"""The carts of lesson 07: policy gradients under chosen settings, and discounts that adjust themselves."""

import csv

import numpy as np
import torch

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.online_settings import OnlineSettings
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.rl.batched_policy_gradient import BatchedPolicyGradient
from mlearn_utils.runtime import data_path
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPolePhysics, CartPoleTask

SPACE = spaces.as_space(
    {"learning rate": (0.002, 0.2, True), "look-ahead": (2.0, 200.0, True), "lambda": (0.0, 1.0)}
)
"""What may be set of a policy gradient; the discount by its horizon 1 / (1 - gamma), in steps."""

ITERATIONS, EPISODES, AT_ONCE = 15, 8, 400

STARTS, OTHERS = (0.5, 0.9, 0.99), (0.8, 0.95, 0.999)
"""Discounts that the meta-gradient starts from, and more that stay as they are.

Three each: runs of equal seed and place in their batch then share their random numbers, in pairs.
"""

META_LR, HORIZON, UPDATES = 0.1, 200, 40


def run(tasks: CartPoleTask, settings: FloatArray, *, seed: int = 0) -> FloatArray:
    """Return [T, R] the mean return of the last three batches of runs with settings [T, R, H]."""
    T, R = settings.shape[:2]
    rows = settings.reshape(T * R, -1)
    task = np.repeat(np.arange(T), R)
    chunks = np.array_split(np.arange(T * R), -(-T * R // AT_ONCE))
    returns = [_run(tasks[task[chunk]], rows[chunk], 1000 * seed + k) for k, chunk in enumerate(chunks)]
    return np.concatenate(returns).reshape(T, R)


def _run(tasks: CartPoleTask, rows: FloatArray, seed: int) -> FloatArray:
    rate, ahead, lam = (torch.as_tensor(column, dtype=torch.float32) for column in rows.T)
    learners = BatchedPolicyGradient(
        BatchedCartPole(tasks, EPISODES), learning_rate=rate, gamma=1 - 1 / ahead, lam=lam, seed=seed
    )
    history = learners.train(ITERATIONS, seed=seed + 1)
    return torch.stack([row["return"] for row in history[-3:]]).mean(dim=0).double().numpy()


def discount_runs(gammas: tuple[float, ...], *, meta_lr: float, seeds: int, seed: int = 0) -> FloatArray:
    """Return [3, G, seeds, updates] return, discount and lambda of learners that start from G discounts.

    Lambda starts from 0.9 and is adjusted along with the discount.
    """
    gamma = torch.tensor(gammas).repeat_interleave(seeds)
    tasks = CartPoleTask("phys", CartPolePhysics(), np.zeros(len(gamma)))
    env = BatchedCartPole(tasks, EPISODES, horizon=HORIZON)
    learners = OnlineSettings(env, gamma=gamma, lam=0.9, meta_lr=meta_lr, seed=seed)
    history = learners.train(UPDATES, seed=seed + 1)
    curves = np.array([[row[name].numpy() for row in history] for name in ("return", "gamma", "lam")])
    return curves.transpose(0, 2, 1).reshape(3, len(gammas), seeds, UPDATES)


def discount_curves() -> dict[tuple[str, float, str], FloatArray]:
    """Return the curves [seed, update] of each (fixed or adjusted, first gamma, quantity)."""
    with data_path("lesson_07", "discount.csv").open(newline="") as stream:
        _, *rows = csv.reader(stream)
    found: dict[tuple[str, float, str], list[list[float]]] = {}
    for kind, gamma, quantity, _, *values in rows:
        found.setdefault((kind, float(gamma), quantity), []).append([float(value) for value in values])
    return {key: np.array(curves) for key, curves in found.items()}
