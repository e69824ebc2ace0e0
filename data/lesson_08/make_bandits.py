"""Bandits of five arms: RL^2 on ten pulls, its memory, and networks that learn to act from labels.

bandits.csv        what, seed, value, error: what five trainings each came to. "argmax" and "sampled" are
                   mean returns over 100,000 new bandits of ten pulls, with the standard error over the
                   bandits; "order" and "read out" are measures of the memory, the same "untrained", and of an
                   untrained network that forgets slowly, "slow"; "pretrained" are exact expected returns, and
                   total variations (TV) to the exact P(best), of networks trained to name the best arm
distilled.csv      who, seed, pull, reward: mean reward at each of fifty pulls over 4000 new bandits, of UCB
                   (c = 0.6), of a GRU that learned from its histories, and of a network that learned from
                   them and sees the last pull alone
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np

from mlearn_utils.course.lesson_08 import inside
from mlearn_utils.meta.policies import in_context
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.meta.policies.memory_config import bandit_config
from mlearn_utils.rl.bayes_bandit import CountTree, chance_best, ucb_rule
from mlearn_utils.tasks.bandit import BernoulliBandits

SEEDS, BANDITS = range(5), BernoulliBandits(5)
TEST_SEED, PROBE_SEED, TEACHER_SEED = 995_001, 995_002, 995_003
TEACHER = 0.6
"""The teacher's constant: one that explores for long, so that there is something to be seen."""

LONG = 50


def recurrent(seed: int, memory: bool) -> list[list[Any]]:
    """Return the rows of one RL^2 training, or of its feed-forward twin."""
    agent = MemoryAgent(BANDITS, bandit_config(memory=memory), seed=seed, device="cpu")
    untrained = MemoryAgent(BANDITS, bandit_config(memory=memory), seed=seed, device="cpu")
    agent.train(seed=seed, progress=False)
    test, rows = BANDITS.sample(100_000, seed=TEST_SEED), []
    prefix = "" if memory else "feed-forward "
    for name, greedy in (("argmax", True), ("sampled", False)):
        returns = agent.evaluate(test, greedy=greedy).sum(axis=0)
        rows.append(
            [prefix + name, seed, f"{returns.mean():.5g}", f"{returns.std() / len(returns) ** 0.5:.2g}"]
        )
    if memory:
        seen = inside.play(agent, histories=4000, pulls=9, seed=PROBE_SEED)
        slow = inside.slow_twin(agent, seed=seed)
        for name, player in (("", agent), (", untrained", untrained), (", slow", slow)):
            rows.append([f"order{name}", seed, f"{inside.order_shift(player, seen):.4g}", ""])
            rows.append([f"read out{name}", seed, f"{inside.read_out(player, seen):.4g}", ""])
    return rows


def pretrained(seed: int, pulls: int) -> list[list[Any]]:
    """Return the rows of one network that names the best arm."""
    network = in_context.train_arm_scorer(BANDITS, pulls=pulls, updates=2000, seed=seed)
    rng = np.random.default_rng([PROBE_SEED, pulls])
    chances = rng.uniform(size=(4000, 5))
    losses, wins = np.moveaxis(in_context.random_counts(chances, rng.integers(0, pulls, 4000), rng), -1, 0)
    rule = in_context.network_rule(network)
    off = 0.5 * abs(rule(wins, losses) - chance_best(wins, losses)).sum(axis=1).mean()
    rows: list[list[Any]] = [[f"pretrained, {pulls} pulls, TV", seed, f"{off:.4g}", ""]]
    greedy = in_context.network_rule(network, greedy=True)
    if pulls == 10:
        tree = CountTree(5, pulls)
        rows += [
            [f"pretrained, {pulls} pulls, {name}", seed, f"{tree.value(each):.5g}", ""]
            for name, each in (("sampled", rule), ("argmax", greedy))
        ]
    return rows


def distilled(seed: int) -> list[list[Any]]:
    """Return the rows of the teacher and of what learned from its histories."""
    rule = ucb_rule(TEACHER)
    arms, rewards = in_context.learning_histories(
        rule, BANDITS, pulls=LONG, histories=20_000, seed=TEACHER_SEED + 10 * seed
    )
    test = BANDITS.sample(4000, seed=TEST_SEED + seed).chances
    played = {
        "teacher": in_context.learning_histories(
            rule, BANDITS, pulls=LONG, histories=4000, seed=TEST_SEED + seed
        )[1]
    }
    for name, memory in (("distilled", True), ("last pull alone", False)):
        network = in_context.distill(arms, rewards, n_arms=5, memory=memory, seed=seed)
        played[name] = network.play(test, pulls=LONG, seed=seed)
    return [
        [name, seed, pull, f"{value:.4g}"]
        for name, found in played.items()
        for pull, value in enumerate(found.mean(dim=0).tolist(), start=1)
    ]


def parts() -> list[Part]:
    """Return every kind of training and seed."""
    found = [Part(f"memory seed {seed}", recurrent, (seed, True)) for seed in SEEDS]
    found += [Part(f"feed-forward seed {seed}", recurrent, (seed, False)) for seed in SEEDS]
    found += [
        Part(f"pretrained {n} seed {seed}", pretrained, (seed, n)) for n in (10, LONG) for seed in SEEDS
    ]
    return found + [Part(f"distilled seed {seed}", distilled, (seed,)) for seed in SEEDS]


def finish(results: Results) -> Files:
    """Return the content of all files, in the order of the parts."""
    rows = {True: [], False: []}
    for part in parts():
        rows[part.make is distilled].extend(results[part.name])
    return {
        "bandits.csv": [("what", "seed", "value", "error"), *rows[False]],
        "distilled.csv": [("who", "seed", "pull", "reward"), *rows[True]],
    }


EXPERIMENT = Experiment(__file__, __doc__, 12, ("bandits.csv", "distilled.csv"), parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
