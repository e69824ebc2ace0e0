"""What a sparse reward leaves to see: MAML on the 2-D point, paid by the distance or only near the goal.

    point.csv    reward, seed, set, seen, found, missed, still: MAML with the usual reward ("dense", the
                 package's settings) or with 1 near the goal and else 0 ("sparse"), and the latter before its
                 training ("untrained"), five seeds, on two sets of 200 new goals: the share of goals that an
                 episode before the step came near, and the share of the episodes after it that end near the
                 goal, of these goals and of the others (empty if none); "still": "found" if the policy after
                 the step adds no noise to its actions
    noises.csv   rate, noise, seed, near: what was tried for the sparse reward, on 200 validation goals, with
                 agents that nothing else is reported of: inner rate, the policy's last noise (its logarithm;
                 the first is 0, or as large), and the share of the episodes after the step that end near

An episode has 100 steps, and ends earlier within 0.01 of the goal.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np
import torch

from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.config import point_config
from mlearn_utils.rl.rollout import Rollout, collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.point import BatchedPoint, PointTask, PointTasks

NEAR = 0.2
"""How near to the goal a sparse reward is paid; half the side of the square is 0.5."""
SEEDS, TUNING_SEEDS = range(5), (900, 901, 902)
GOALS, VALIDATION_GOALS = (88_000, 88_001), 77_000
RATES, NOISES = (0.3, 1.0, 3.0, 10.0), (-0.5, 0.0, 0.5, 1.0)
POINT, NOISE = (
    ("reward", "seed", "set", "seen", "found", "missed", "still"),
    ("rate", "noise", "seed", "near"),
)


class SparsePoints(PointTasks):
    """The 2-D point, paid 1 for a step that ends near the goal, and else 0."""

    def make_batch(self, tasks: PointTask, num_envs: int, **options: Any) -> "SparseBatch":
        """Return the batch of these goals."""
        return SparseBatch(tasks, num_envs, **options)


class SparseBatch(BatchedPoint):
    """T goals x E points."""

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Move; pay 1 near the goal."""
        obs, squared, *rest = super().step(action)
        return (obs, ((squared > -(NEAR**2)) & (squared < 0)) * 1.0, *rest)  # pyright: ignore[reportReturnType]


def rounded(value: float) -> float:
    """Return a number with five digits."""
    return float(f"{value:.5g}")


def trained(family: PointTasks, config: MAMLConfig, seed: int) -> MAMLAgent:
    """Return MAML after its training."""
    torch.set_num_threads(1)
    agent = MAMLAgent(family, config, seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    return agent


def near_goals(agent: MAMLAgent, goals: PointTask, *, still: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return [T] whether an episode of ten came near each goal, and the share of ten that end there later.

    With `still` the policy after the step adds no noise to its actions.
    """
    env, generator = agent.make_batch(goals, 10), make_generator(0)
    params, rollouts = agent.explore(env, agent.config.rates(1), generator)
    rollouts.append(collect(env, agent.policy(params), generator=generator, greedy=still))
    before, after = (_is_near(agent, played) for played in rollouts)
    last = rollouts[-1].mask.sum(dim=1, keepdim=True).long() - 1
    ends_near = after.gather(1, last)[:, 0].double().mean(dim=1)
    return before.flatten(1).any(dim=1).numpy(), ends_near.numpy()


def _is_near(agent: MAMLAgent, played: Rollout) -> torch.Tensor:
    """Return [T, S, E] whether a step ends near the goal."""
    if isinstance(agent.family, SparsePoints):
        return played.reward > 0
    return (played.reward > -(NEAR**2)) & (played.mask > 0)


def sparse(rate: float, noise: float) -> MAMLConfig:
    """Return the settings for sparse points."""
    return point_config(inner_lr=rate, normalise_inner=True, log_std=(max(0.0, noise), noise))


def noises(rate: float, noise: float, seed: int) -> list[list[Any]]:
    """Try a setting of the sparse points."""
    _, near = near_goals(
        trained(SparsePoints(), sparse(rate, noise), seed), PointTasks().sample(200, seed=VALIDATION_GOALS)
    )
    return [[rate, noise, seed, rounded(near.mean())]]


def point(reward: str, seed: int, done: Results | None = None) -> list[list[Any]]:
    """Train on the point; count who ends near the goal after one step, by whether it was seen before."""
    if done is None:
        agent = trained(PointTasks(), point_config(), seed)
    else:
        found: dict[tuple[float, float], float] = {}
        for rate, noise, _, near in (rows[0] for rows in done.values()):
            found[rate, noise] = found.get((rate, noise), 0.0) + near
        best = sparse(*max(found, key=lambda pair: found[pair]))
        untrained = MAMLAgent(SparsePoints(), best, seed=seed, device="cpu")
        agent = untrained if reward == "untrained" else trained(SparsePoints(), best, seed)
    rows = []
    for k, goal_seed in enumerate(GOALS):
        goals = PointTasks().sample(200, seed=goal_seed)
        seen, near = near_goals(agent, goals)
        still = near_goals(agent, goals, still=True)[1]
        shares = (near[seen], near[~seen], still[seen])
        means = [rounded(each.mean()) if len(each) else "" for each in shares]
        rows.append([reward, seed, k, rounded(seen.mean()), *means])
    return rows


def parts() -> list[Part]:
    """Return one part for each training."""
    tried = [
        Part(f"noise {noise:g} rate {rate:g} seed {seed}", noises, (rate, noise, seed))
        for rate in RATES
        for noise in NOISES
        for seed in TUNING_SEEDS
    ]
    names = tuple(part.name for part in tried)
    dense = [Part(f"point dense seed {seed}", point, ("dense", seed)) for seed in SEEDS]
    later = [
        Part(f"point {reward} seed {s}", point, (reward, s), names)
        for reward in ("sparse", "untrained")
        for s in SEEDS
    ]
    return [*tried, *dense, *later]


def finish(results: Results) -> Files:
    """Return the content of both files."""
    made: dict[str, list[Any]] = {"point": [POINT], "noise": [NOISE]}
    for part in parts():
        made[part.name.split()[0]] += results[part.name]
    return {"point.csv": made["point"], "noises.csv": made["noise"]}


EXPERIMENT = Experiment(__file__, __doc__, 14, ("point.csv", "noises.csv"), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
