"""MAML with a Gaussian policy on the 2-D point, and its baselines, on goals that nothing was tuned on.

    settings.json   what was chosen for the multitask baseline, on validation goals, agents of other seeds
    results.csv     method, seed, step: mean and worst return over 100 goals, CPU-seconds of the training

Methods: MAML (`point_config()`); multitask, one policy trained on all goals and then adapted in the same way,
with its length of training, its noise and its step sizes chosen by the return after one step; told, a policy
that sees the goal. All end with the same noise. Every return is the mean of 20 episodes with sampled actions.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import gymnasium as gym
import numpy as np

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import evaluate_tuned, multitask_config, tune_inner_lr
from mlearn_utils.meta.policies.config import point_config
from mlearn_utils.tasks.point import HORIZON, BatchedPoint, PointTask, PointTasks

SEEDS, TUNING_SEEDS, STEPS, EPISODES = range(3), (900, 901), 3, 20
VALIDATION_SEED, TEST_SEED = 77_000, 88_000
LENGTHS, NOISE = (20, 40, 80), ((0.0, -1.5), (-0.7, -1.5))
RATES, DECAYS = (2.0, 3.0, 4.5, 7.0, 10.0), (1.0, 0.3)


class ToldPoints:
    """The 2-D point whose observations end with its goal."""

    observation_scale, horizon = (0.5, 0.5, 0.5, 0.5), HORIZON

    def sample(self, n_tasks: int, *, seed: int) -> PointTask:
        """Draw the goals that PointTasks draws."""
        return PointTasks().sample(n_tasks, seed=seed)

    def make_env(self, task: PointTask) -> gym.Env:
        """Return one goal whose observation is the position, then the goal."""
        goal = task.goal[0].astype(np.float32)
        space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
        env = PointTasks().make_env(task)
        return gym.wrappers.TransformObservation(env, lambda obs: np.concatenate([obs, goal]), space)

    def make_batch(self, tasks: PointTask, num_envs: int, **options: Any) -> "ToldBatch":
        """Return the batch of these goals."""
        return ToldBatch(tasks, num_envs, **options)


class ToldBatch(BatchedPoint):
    """Observations [T, E, 4]."""

    num_features = 4

    def reset(self, *, seed: int) -> np.ndarray:
        """Return position and goal."""
        return self._told(super().reset(seed=seed))

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Move; return position and goal."""
        obs, *rest = super().step(action)
        return (self._told(obs), *rest)  # pyright: ignore[reportReturnType]

    def _told(self, obs: np.ndarray) -> np.ndarray:
        return np.concatenate([obs, np.broadcast_to(self._goal, obs.shape)], axis=-1)


def train(config: MAMLConfig, seed: int, *, told: bool = False) -> MAMLAgent:
    """Return a trained agent."""
    agent = MAMLAgent(ToldPoints() if told else PointTasks(), config, seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    return agent


def multitask(length: int, noise: tuple[float, float]) -> MAMLConfig:
    """Return the settings of the multitask baseline."""
    return dataclasses.replace(multitask_config(point_config()), iterations=length, log_std=noise)


def tune(length: int, noise: tuple[float, float]) -> dict[str, Any]:
    """Return the best step sizes of one length and noise, and the mean return after one step."""
    goals = PointTasks().sample(100, seed=VALIDATION_SEED)
    options: dict[str, Any] = {"episodes": EPISODES, "rates": RATES, "decays": DECAYS}
    agents = [train(multitask(length, noise), seed) for seed in TUNING_SEEDS]
    sizes = tune_inner_lr(agents, goals, steps=STEPS, **options)
    returns = [evaluate_tuned(a, goals, sizes, episodes=EPISODES, seed=1)[1].mean() for a in agents]
    return {"iterations": length, "log_std": noise, "sizes": sizes, "return": float(np.mean(returns))}


def best(done: Results) -> dict[str, Any]:
    """Return the length, noise and step sizes with the best mean return after one step."""
    tried = [result for name, result in done.items() if name.startswith("tuning")]
    chosen = max(tried, key=lambda result: result["return"])
    return {key: chosen[key] for key in ("iterations", "log_std", "sizes")}


def run(method: str, seed: int, done: Results) -> list[list[object]]:
    """Return the rows of one method with one seed."""
    goals, tuned = PointTasks().sample(100, seed=TEST_SEED), best(done)
    config = {
        "MAML": point_config(),
        "multitask": multitask(tuned["iterations"], tuple(tuned["log_std"])),
        "told": dataclasses.replace(multitask_config(point_config()), iterations=200),
    }[method]
    started = time.process_time()
    agent = train(config, seed, told=method == "told")
    seconds = time.process_time() - started
    if method == "multitask":
        sizes = {int(k): rates for k, rates in tuned["sizes"].items()}
        returns = evaluate_tuned(agent, goals, sizes, episodes=EPISODES)
    else:
        returns = agent.evaluate(goals, steps=0 if method == "told" else STEPS, episodes=EPISODES)
    return [
        [method, seed, step, f"{each.mean():.4g}", f"{each.min():.4g}", f"{seconds:.0f}"]
        for step, each in enumerate(returns)
    ]


def parts() -> list[Part]:
    """Return the tuning of the multitask policy, then every method and seed."""
    tuning = [Part(f"tuning {k} {noise[0]}", tune, (k, noise)) for k in LENGTHS for noise in NOISE]
    after = tuple(part.name for part in tuning)
    runs = [(method, seed) for method in ("MAML", "multitask", "told") for seed in SEEDS]
    return tuning + [Part(f"{method} {seed}", run, (method, seed), after) for method, seed in runs]


def finish(results: Results) -> Files:
    """Return the content of both files."""
    rows = [row for part in parts() if part.make is run for row in results[part.name]]
    return {
        "settings.json": json.dumps(best(results), indent=2) + "\n",
        "results.csv": [("method", "seed", "step", "mean", "worst", "cpu_seconds"), *rows],
    }


EXPERIMENT = Experiment(__file__, __doc__, 8, ("settings.json", "results.csv"), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
