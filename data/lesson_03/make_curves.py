"""Make curves.csv of lesson 03: ten agents learn CartPole-v1, then each meets two new tasks.

Every column but `cpu_seconds` is the same again on the same machine. One row is one run of
PolicyGradientAgent with its default settings but for the learning rate:

    cartpole   CartPole-v1 from a random start
    transfer   a new task, from the agent that has learned CartPole-v1 with that seed and the default rate
    scratch    the same new task, from a random start

A new task is one of the family `dirv` (a hidden target velocity, 100 steps an episode). Seed k draws its
size; both directions are run, since a cart-pole agent drifts one way by chance. All three are run at each of
LEARNING_RATES, so that they can be compared at equal rates and each at its best.

Columns: experiment, seed, target (m/s), learning_rate, cpu_seconds, before and after (mean undiscounted
return of 100 greedy episodes), steps (environment steps of the training), and r0 ... r59, the mean return of
the 16 episodes of each iteration, before its update. A first batch of 16, which only sets the scale of the
observations of a new agent, is not counted.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results, table

import gymnasium as gym

from mlearn_utils.rl.policy_gradient import PolicyGradientAgent
from mlearn_utils.tasks.cartpole import CartPolePhysics, CartPoleTask, CartPoleTasks

SEEDS, ITERATIONS = 10, 60
LEARNING_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
FAMILY = CartPoleTasks("dirv")

Row = dict[str, object]


def make_task(seed: int, sign: int) -> CartPoleTask:
    """Return the new task of a seed: a target velocity of drawn size, in the direction `sign`."""
    size = abs(FAMILY.sample(SEEDS, seed=0).target[seed])
    return CartPoleTask("dirv", CartPolePhysics(), [sign * size])


def measure(agent: PolicyGradientAgent, experiment: str, seed: int, target: float = 0.0) -> Row:
    """Train an agent; return its row of the table."""
    before = agent.evaluate(100, seed=1000 + seed).mean()
    began = time.process_time()
    history = agent.train(ITERATIONS, seed=seed)
    seconds = time.process_time() - began
    row: Row = {
        "experiment": experiment,
        "seed": seed,
        "target": f"{target:.3f}",
        "learning_rate": agent.learning_rate,
        "cpu_seconds": f"{seconds:.1f}",
        "before": f"{before:.1f}",
        "after": f"{agent.evaluate(100, seed=1000 + seed).mean():.1f}",
        "steps": history[-1]["steps"],
    }
    return row | {f"r{k}": f"{entry['return']:.1f}" for k, entry in enumerate(history)}


def run_seed(seed: int) -> list[Row]:
    """Return all rows of one seed."""
    agent, rows = PolicyGradientAgent("CartPole-v1", seed=seed), []
    for learning_rate in LEARNING_RATES:
        learner = PolicyGradientAgent("CartPole-v1", learning_rate=learning_rate, seed=seed)
        rows.append(measure(learner, "cartpole", seed))
        if learning_rate == agent.learning_rate:
            agent = learner
    for sign in (1, -1):
        task = make_task(seed, sign)
        env: gym.Env = FAMILY.make_env(task)
        for learning_rate in LEARNING_RATES:
            agent.learning_rate = learning_rate  # of the agents that `transfer` makes
            scratch = PolicyGradientAgent(env, learning_rate=learning_rate, seed=seed)
            for twin, experiment in ((agent.transfer(env), "transfer"), (scratch, "scratch")):
                rows.append(measure(twin, experiment, seed, task.target.item()))
    return rows


def parts() -> list[Part]:
    """Return the seeds."""
    return [Part(f"seed {seed}", run_seed, (seed,)) for seed in range(SEEDS)]


def finish(results: Results) -> Files:
    """Return all rows, by experiment, learning rate and seed."""
    rows = [row for part in parts() for row in results[part.name]]
    rows.sort(key=lambda row: (row["experiment"], str(row["learning_rate"])))  # stable: then by seed
    return {"curves.csv": table(rows)}


EXPERIMENT = Experiment(__file__, __doc__, 20, ("curves.csv",), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
