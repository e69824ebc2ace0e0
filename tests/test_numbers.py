"""Counts, seeds and rates everywhere: numpy's numbers are Python's, and what is none is refused by name."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from mlearn_utils import (
    BatchedCartPole,
    CartPoleTasks,
    LinearTasks,
    MAMLAgent,
    MAMLConfig,
    MetaLearner,
    PointTasks,
    QLearningAgent,
    SineTasks,
)
from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.rl.batched_policy_gradient import BatchedPolicyGradient
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.rl.policy_gradient import PolicyGradientAgent
from mlearn_utils.rl.schedules import exponential_decay, linear_decay
from mlearn_utils.tasks.gridworld import GridTask, GridTasks, grid_mdp
from mlearn_utils.tasks.point import BatchedPoint

Call = Callable[..., Any]
NO_INTEGERS = (-1, 1.5, True, "3", float("nan"), [1])
NO_RATES = (-1.0, float("nan"), float("inf"), "x", True)
SMALL = MAMLConfig(iterations=1, tasks=2, episodes=2, horizon=3)


def frozen_lake() -> QLearningAgent:
    return QLearningAgent(gym.make("FrozenLake-v1"))


def batch() -> BatchedCartPole:
    return BatchedCartPole(CartPoleTasks("dirv").sample(2, seed=0), 2, horizon=3)


def point_agent(**settings: Any) -> MAMLAgent:
    return MAMLAgent(PointTasks(), SMALL, device="cpu", **settings)


def learner(**settings: Any) -> MetaLearner:
    return MetaLearner(torch.nn.Linear(1, 1), device="cpu", **settings)


def train_learner(**counts: Any) -> Any:
    sizes: Any = {"epochs": 1, "inner_batch_size": 2, "outer_batch_size": 2} | counts
    return learner().train(SineTasks(), **sizes, progress=False)


def sampled(**counts: Any) -> Any:
    sizes: Any = {"n_tasks": 2, "n_support": 2, "n_query": 2} | counts
    return SineTasks().sample(**sizes, generator=torch.Generator())


COUNTS: dict[str, tuple[str, Call]] = {
    "grids": ("n_tasks", lambda n: GridTasks().sample(n, seed=0)),
    "cart-poles": ("n_tasks", lambda n: CartPoleTasks("phys").sample(n, seed=0)),
    "points": ("n_tasks", lambda n: PointTasks().sample(n, seed=0)),
    "sinusoids": ("n_tasks", lambda n: sampled(n_tasks=n)),
    "support": ("n_support", lambda n: sampled(n_support=n)),
    "query": ("n_query", lambda n: sampled(n_query=n)),
    "copies of a cart-pole": ("num_envs", lambda n: BatchedCartPole(batch().tasks, n)),
    "steps of a cart-pole": ("horizon", lambda n: BatchedCartPole(batch().tasks, 1, horizon=n)),
    "copies of a point": ("num_envs", lambda n: BatchedPoint(PointTasks().sample(2, seed=0), n)),
    "Q-learning": ("episodes", lambda n: frozen_lake().train(n)),
    "Q-learning, evaluated": ("episodes", lambda n: frozen_lake().evaluate(n)),
    "Q-learning, cut": ("max_steps", lambda n: frozen_lake().evaluate(1, max_steps=n)),
    "batched Q-learning": ("episodes", lambda n: BatchedQLearner(grid_mdp(GridTask(size=3))).train(n)),
    "batched steps": ("steps", lambda n: BatchedQLearner(grid_mdp(GridTask(size=3))).train_steps(n)),
    "policy gradient": ("iterations", lambda n: PolicyGradientAgent("CartPole-v1", episodes=1).train(n)),
    "its episodes": ("episodes", lambda n: PolicyGradientAgent("CartPole-v1", episodes=n)),
    "batched policy gradient": ("iterations", lambda n: BatchedPolicyGradient(batch()).train(n)),
    "meta-updates": ("epochs", lambda n: train_learner(epochs=n)),
    "shots": ("inner_batch_size", lambda n: train_learner(inner_batch_size=n)),
    "tasks an update": ("outer_batch_size", lambda n: train_learner(outer_batch_size=n)),
    "query points": ("query_batch_size", lambda n: train_learner(query_batch_size=n)),
    "a chunk": ("chunk_size", lambda n: learner(chunk_size=n)),
    "meta-iterations": ("iterations", lambda n: point_agent().train(n, progress=False)),
    "episodes of an evaluation": (
        "episodes",
        lambda n: point_agent().evaluate(PointTasks().sample(2, seed=0), episodes=n),
    ),
    **{
        f"config: {name}": (name, lambda n, name=name: MAMLConfig(**{name: n}))
        for name in ("tasks", "episodes", "horizon", "epochs", "iterations")
    },
}

SEEDS: dict[str, Call] = {
    "grids": lambda seed: GridTasks().sample(1, seed=seed),
    "cart-poles": lambda seed: CartPoleTasks("dir").sample(1, seed=seed),
    "points": lambda seed: PointTasks().sample(1, seed=seed),
    "cart-poles in a batch": lambda seed: batch().reset(seed=seed),
    "points in a batch": lambda seed: BatchedPoint(PointTasks().sample(1, seed=0), 1).reset(seed=seed),
    "Q-learning": lambda seed: frozen_lake().train(1, seed=seed),
    "Q-learning, evaluated": lambda seed: frozen_lake().evaluate(1, seed=seed),
    "batched Q-learning": lambda seed: BatchedQLearner(grid_mdp(GridTask(size=3))).train(1, seed=seed),
    "policy gradient": lambda seed: PolicyGradientAgent("CartPole-v1", seed=seed),
    "batched policy gradient": lambda seed: BatchedPolicyGradient(batch()).train(1, seed=seed),
    "meta-updates": lambda seed: train_learner(seed=seed),
    "an agent": lambda seed: point_agent(seed=seed),
    "meta-iterations": lambda seed: point_agent().train(1, seed=seed, progress=False),
    "an evaluation": lambda seed: point_agent().evaluate(PointTasks().sample(1, seed=0), seed=seed),
}

RATES: dict[str, tuple[str, Call]] = {
    "Q-learning": (
        "learning_rate",
        lambda rate: QLearningAgent(gym.make("FrozenLake-v1"), learning_rate=rate).train(1),
    ),
    "policy gradient": ("learning_rate", lambda rate: PolicyGradientAgent("CartPole-v1", learning_rate=rate)),
    "a norm": ("max_grad_norm", lambda rate: PolicyGradientAgent("CartPole-v1", max_grad_norm=rate)),
    "an inner rate": ("inner_lr", lambda rate: learner(inner_lr=rate)),
    "a meta-rate": ("meta_lr", lambda rate: learner(meta_lr=rate)),
    "a meta-gradient's norm": ("max_grad_norm", lambda rate: learner(max_grad_norm=rate)),
    "noise": ("noise", lambda rate: LinearTasks(noise=rate)),
    "an evaluation": (
        "inner_lr",
        lambda rate: point_agent().evaluate(PointTasks().sample(1, seed=0), inner_lr=rate, steps=1),
    ),
    **{
        f"config: {name}": (name, lambda rate, name=name: MAMLConfig(**{name: rate}))
        for name in ("inner_lr", "meta_lr", "clip", "before_weight", "max_grad_norm")
    },
}


MODEL = grid_mdp(GridTask(size=3))
STAY = np.zeros(9, dtype=np.int64)
OTHERS: list[tuple[str, Call, tuple[Any, ...]]] = [
    *(
        (k, lambda v, k=k: GridTask(**{k: v}), ((9, 9), (1.5, 0), "ab", (1,), 5))
        for k in ("start", "goal", "trap")
    ),
    ("pits", lambda v: GridTask(pits=v), (((9, 9),), ((0, 0),), 5, "x")),
    *(
        (k, lambda v, k=k: GridTask(**{k: v}), (float("nan"), float("inf"), "x", True))
        for k in ("step_cost", "goal_reward", "pit_reward", "trap_reward", "reward_noise", "slip")
    ),
    ("bins", lambda v: Discretizer((0, 0), (1, 1), v), (0, -1, 1.5, True, "x", (2, 0), (2, 2, 2))),
    ("low", lambda v: Discretizer(v, (1, 1)), ((float("nan"), 0), (2, 0), "x", (0,), None)),
    ("observation", Discretizer((0, 0), (1, 1)), ([1, 2, 3], [0.5], 0.5, "x", ["a", "b"], [float("nan"), 1])),
    ("start", lambda v: linear_decay(v, 0.1, 10), (float("nan"), "x", True)),
    ("end", lambda v: exponential_decay(1.0, v, 10), (float("nan"), "x", True, 0.0, -1)),
    ("tolerance", lambda v: dp.value_iteration(MODEL.P, MODEL.R, 0.9, tolerance=v), (-1, float("nan"), "x")),
    ("gamma", lambda v: dp.value_iteration(MODEL.P, MODEL.R, v), (-1, 1.5, "x", True)),
    ("R", lambda v: dp.value_iteration(MODEL.P, v, 0.9), (MODEL.R[:2], MODEL.R * np.nan)),
    ("terminal", lambda v: dp.value_iteration(MODEL.P, MODEL.R, 0.9, terminal=v), ([True],)),
    ("horizon", lambda v: expected(horizon=v), (-1, 1.5, True, "x")),
    ("start", lambda v: expected(start=v), (np.ones(9), np.eye(9)[0][:4])),
    ("mdps", BatchedQLearner, ("x", [], [3])),
    *(
        (k, lambda v, k=k: BatchedPolicyGradient(batch(), **{k: v}), (-1, float("nan"), "x", True, [1, 2, 3]))
        for k in ("learning_rate", "gamma", "lam")
    ),
    (
        "scale",
        lambda v: BatchedPolicyGradient(batch(), scale=v),
        ((1,), "x", (0, 1, 1, 1), (float("nan"), 1, 1, 1)),
    ),
    ("path", lambda v: point_agent().film(PointTasks().sample(1, seed=0), v), ("film.xyz", "film")),
]


def expected(**given: Any) -> float:
    arguments: Any = {"start": np.eye(9)[0], "horizon": 3} | given
    return dp.expected_return(MODEL.P, MODEL.R, STAY, **arguments)


@pytest.mark.parametrize(("argument", "call", "values"), OTHERS)
def test_other_arguments(argument, call, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"\b{argument}\b"):
            call(value)


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    argument, call = COUNTS[name]
    for number in (np.int64(2), np.int32(1), np.uint8(2)):
        call(number)
    for number in (0, *NO_INTEGERS):
        with pytest.raises(ValueError, match=rf"\b{argument}\b"):
            call(number)


@pytest.mark.parametrize("name", SEEDS)
def test_seeds(name):
    call = SEEDS[name]
    for seed in (np.int64(0), np.uint8(3), 2**31):
        call(seed)
    for seed in NO_INTEGERS:
        with pytest.raises(ValueError, match=r"\bseed\b"):
            call(seed)


@pytest.mark.parametrize("name", RATES)
def test_rates(name):
    argument, call = RATES[name]
    for rate in (np.float32(0.1), np.float64(0.1), np.int64(1)):
        call(rate)
    for rate in NO_RATES:
        with pytest.raises((TypeError, ValueError), match=rf"\b{argument}\b"):
            call(rate)
