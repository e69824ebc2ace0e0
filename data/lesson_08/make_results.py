"""Memory, belief and gradient on four families of cart-poles, judged on tasks that nothing was tuned on.

Parts are called by their family first, such as "dirv".

    results.csv        family, method, seed, set, episode: mean return of that episode of a trial over each
                       of four sets of 200 test tasks. "memory, wiped" is the memory agent that forgets at the
                       end of each episode; "memory, cut" one whose advantages end with the episode. Of MAML
                       episode 1 is any of the first ten, before its step, and 11 any after it; "MAML, long"
                       was trained on as many steps as the others; of "MAML, one" episode 2 follows a step on
                       the first
    curves.csv         family, method, seed, update: mean return of the first and the last episode in training
    costs.csv          family, method, seed: CPU seconds and environment steps of the training
    entropies.csv      family, method, weight, seed: return of the second episode on 200 validation tasks, of
                       a training with that weight of the entropy at its start (0 at its end); per method the
                       best mean is used. On `once` belief and told use those of `dirv`, whose tasks it has
    tuning.csv         MAML with one episode before its step: all that was tried, on 200 validation tasks
    memory_FAMILY.safetensors    the memory agent of the first seed
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.meta.policies.adaptation import EpisodeBatch
from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import ToldTasks
from mlearn_utils.meta.policies.beliefs import BeliefTasks
from mlearn_utils.meta.policies.memory_agent import MemoryAgent, MemoryConfig
from mlearn_utils.meta.policies.tasks import PolicyTasks
from mlearn_utils.meta.policies.trials import Trials, trial_advantages
from mlearn_utils.rl.returns import normalise
from mlearn_utils.rl.rollout import Rollout
from mlearn_utils.tasks.cartpole import CartPoleTasks

UPDATES = {"once": 400, "dirv": 200, "dir": 200, "phys": 60}
"""Of every method but MAML, so that they have equal budgets on a family."""

ONE, LONG, CUT = "MAML, one", "MAML, long", "memory, cut"
ITERATIONS = {"MAML": 60, LONG: 140, ONE: 270}
"""Of MAML: the usual number, and as many as take about as many steps as the others' updates."""

SEEDS = range(5)
TEST_SEEDS = (990_001, 990_002, 990_003, 990_004)
VALIDATION_SEED = 78_000
TUNING_SEEDS = (910, 911, 912)
ENTROPY_SEEDS = TUNING_SEEDS[:2]
INNER_LRS = (1.0, 2.5, 5.0, 10.0)
WEIGHTS = (0.02, 0.05, 0.1, 0.2)
METHODS = {
    "once": ("memory", "feed-forward", "belief", "told", ONE, CUT),
    "dirv": ("memory", "feed-forward", "belief", "told", "MAML", LONG),
    "dir": ("memory", "feed-forward", "belief", "told", "MAML", LONG),
    "phys": ("memory", "feed-forward", "told", "MAML"),
}
MAML_RATES = {"dirv": 20.0, "dir": 10.0, "phys": 10.0}
"""Inner rates: those that lesson 06 tuned (data/lesson_06/settings.json); on `phys` nothing was tuned."""

TUNED = {
    "once": ("memory", "feed-forward"),
    "dirv": ("memory", "belief", "told", "feed-forward"),
    "dir": ("memory", "belief", "told", "feed-forward"),
}
"""Whose weight of the entropy is tuned; on `phys`, where one policy suits all, it is the default's."""

EVERY = 4
"""Updates between two rows of curves.csv."""

RESULTS = ("family", "method", "seed", "set", "episode", "return")
CURVES = ("family", "method", "seed", "update", "first", "last")
COSTS = ("family", "method", "seed", "cpu_seconds", "environment_steps")
ENTROPIES = ("family", "method", "weight", "seed", "return")
TUNING = ("inner_lr", "rate_at_test", "return")


class OneEpisode(MAMLAgent):
    """MAML that sees one episode of each task, with a baseline fitted over all tasks.

    Fitted to a single episode, twelve features explain much of it away. At test the baseline and the scale of
    the advantages come from all tasks at once as well, which favors it.
    """

    def with_advantages(self, rollout: Rollout, *, inner: bool = False) -> EpisodeBatch:
        """Return the episodes [T, S, 1] with advantages as if all of them were of one task."""
        as_one = Rollout(*(each.transpose(0, -2 if each is rollout.last_obs else 2) for each in rollout))
        return EpisodeBatch(*(each.transpose(0, 2) for each in super().with_advantages(as_one, inner=inner)))


class CutAtBorder(MemoryAgent):
    """A memory agent whose advantages end with the episode, as if nothing came after it."""

    def _credit(self, trials: Trials) -> tuple[Tensor, Tensor]:
        """Return advantages and targets of values [S, B], each episode's on its own."""
        gamma, lam, unit = self.config.gamma, self.config.lam, self._value_unit(trials)
        episode = torch.div(trials.clock, CartPoleTasks.horizon, rounding_mode="floor")
        with torch.no_grad():
            values = self.network(trials.inputs)[1] * unit
        adv = torch.zeros_like(values)
        for k in range(self.config.episodes):
            alone = trials._replace(mask=trials.mask * (episode == k))
            adv += trial_advantages(alone, values, gamma=gamma, lam=lam)
        return normalise(adv, trials.mask), (adv + values) / unit


def one_config(inner_lr: float) -> MAMLConfig:
    """Return MAML with one episode before its step, on as many episodes an iteration as the default."""
    return MAMLConfig(inner_lr=inner_lr, tasks=200, episodes=1, iterations=ITERATIONS[ONE])


def tune_one() -> dict[str, Any]:
    """Return the inner rates, in training and at test, of MAML that sees one episode; and all tried."""
    tasks = CartPoleTasks("once").sample(200, seed=VALIDATION_SEED)
    earned: dict[tuple[float, float], float] = {}
    tried = list(INNER_LRS)
    while True:
        for rate in tried:
            if any(rate == key[0] for key in earned):
                continue
            agents = [
                OneEpisode(CartPoleTasks("once"), one_config(rate), seed=s, device="cpu")
                for s in TUNING_SEEDS
            ]
            for agent, seed in zip(agents, TUNING_SEEDS, strict=True):
                agent.train(seed=seed, progress=False)
            for at_test in (0.0, rate / 10, rate / 3, rate, 3 * rate):
                found = [agent.evaluate(tasks, steps=1, episodes=1, inner_lr=at_test)[1] for agent in agents]
                earned[rate, at_test] = float(np.mean(found))
        best = max(earned, key=earned.__getitem__)
        if min(tried) < best[0] < max(tried) or len(tried) > 8:
            break
        tried.append(best[0] / 2 if best[0] == min(tried) else best[0] * 2)
    rows = [[rate, f"{at_test:.4g}", f"{value:.5g}"] for (rate, at_test), value in sorted(earned.items())]
    return {"best": best, "rows": rows}


def tune(family: str, method: str) -> dict[str, Any]:
    """Return the weight of the entropy at the start of a method's training, and all tried."""
    tasks = tasks_of(family, method)
    validation = tasks.sample(200, seed=VALIDATION_SEED)
    earned: dict[float, list[float]] = {}
    tried = list(WEIGHTS)
    while True:
        for weight in tried:
            if weight in earned:
                continue
            agents = [
                MemoryAgent(tasks, config_of(family, method, weight), seed=s, device="cpu")
                for s in ENTROPY_SEEDS
            ]
            for agent, seed in zip(agents, ENTROPY_SEEDS, strict=True):
                agent.train(seed=seed, progress=False)
            earned[weight] = [float(agent.evaluate(validation, trials=2)[1].mean()) for agent in agents]
        best = max(earned, key=lambda weight: np.mean(earned[weight]))
        if min(tried) < best < max(tried) or len(tried) > 6:
            break
        tried.append(best / 2 if best == min(tried) else best * 2)
    rows = [
        [family, method, weight, seed, f"{value:.5g}"]
        for weight, values in sorted(earned.items())
        for seed, value in zip(ENTROPY_SEEDS, values, strict=True)
    ]
    return {"best": best, "rows": rows}


def tasks_of(family: str, method: str) -> PolicyTasks:
    """Return the family as a method sees it."""
    return {"belief": BeliefTasks, "told": ToldTasks}.get(method, CartPoleTasks)(family)


def config_of(family: str, method: str, weight: float) -> MemoryConfig:
    """Return the settings of all methods but MAML."""
    return MemoryConfig(updates=UPDATES[family], memory=method in ("memory", CUT), entropy=(weight, 0.0))


def tuned(family: str, method: str) -> tuple[str, ...]:
    """Return the part that chose a method's weight of the entropy, if any."""
    method = "memory" if method == CUT else method
    if family == "phys":
        return ()
    return (f"{family if method in TUNED[family] else 'dirv'} {method} tuned",)


def maml(family: str, method: str, seed: int, done: Results | None = None) -> dict[str, Any]:
    """Train and judge one MAML agent."""
    rate, at_test, episodes = MAML_RATES.get(family, 0.0), None, None
    config, kind = MAMLConfig(inner_lr=rate, iterations=ITERATIONS[method]), MAMLAgent
    if method == ONE:
        assert done is not None
        rate, at_test = done["once tuned"]["best"]
        config, kind, episodes = one_config(rate), OneEpisode, 1
    agent = kind(CartPoleTasks(family), config, seed=seed, device="cpu")
    seconds = trained(agent, seed)
    rows = []
    for k, test_seed in enumerate(TEST_SEEDS):
        tasks = CartPoleTasks(family).sample(200, seed=test_seed)
        returns = agent.evaluate(tasks, steps=1, episodes=episodes, inner_lr=at_test).mean(axis=1)
        for episode, value in zip((1, 2) if method == ONE else (1, 11), returns, strict=True):
            rows.append([family, method, seed, k, episode, f"{value:.5g}"])
    curves = [
        [family, method, seed, row["iteration"], f"{row['before']:.4g}", f"{row['after']:.4g}"]
        for row in agent.history
    ]
    costs = [family, method, seed, f"{seconds:.3g}", agent.history[-1]["steps"]]
    return {"results": rows, "curves": curves, "costs": costs}


def trained(agent: Any, seed: int) -> float:
    """Train an agent with one thread and return the CPU seconds of it."""
    torch.set_num_threads(1)
    start = time.process_time()
    agent.train(seed=seed, progress=False)
    return time.process_time() - start


def run(family: str, method: str, seed: int, done: Results | None = None) -> dict[str, Any]:
    """Train and judge one agent of a method; the first memory agent of a family is kept."""
    tasks, weights = tasks_of(family, method), [found["best"] for found in (done or {}).values()]
    config = config_of(family, method, *weights or [MemoryConfig().entropy[0]])
    kind = CutAtBorder if method == CUT else MemoryAgent
    agent = kind(tasks, config, seed=seed, device="cpu")
    seconds = trained(agent, seed)
    if method == "memory" and seed == SEEDS[0]:
        agent.save(EXPERIMENT.kept / f"memory_{family}.safetensors")
    rows = []
    for k, test_seed in enumerate(TEST_SEEDS):
        test = tasks.sample(200, seed=test_seed)
        found = {method: agent.evaluate(test, trials=2)}
        if method == "memory":
            found["memory, wiped"] = agent.evaluate(test, trials=2, wipe=True)
        for name, returns in found.items():
            for episode, value in enumerate(returns.mean(axis=1), start=1):
                rows.append([family, name, seed, k, episode, f"{value:.5g}"])
    curves = [
        [family, method, seed, row["update"], f"{row['first']:.4g}", f"{row['last']:.4g}"]
        for row in agent.history
        if row["update"] % EVERY == 0
    ]
    costs = [family, method, seed, f"{seconds:.3g}", agent.history[-1]["steps"]]
    return {"results": rows, "curves": curves, "costs": costs}


def parts() -> list[Part]:
    """Return what is tuned, then for each family every seed and method."""
    pairs = [(family, method) for family, methods in TUNED.items() for method in methods]
    found = [Part(f"{family} {method} tuned", tune, (family, method)) for family, method in pairs]
    found.append(Part("once tuned", tune_one))
    for family, methods in METHODS.items():
        for seed in SEEDS:
            for method in methods:
                make, after = maml, ("once tuned",) * (method == ONE)
                if "MAML" not in method:
                    make, after = run, tuned(family, method)
                found.append(Part(f"{family} {method} seed {seed}", make, (family, method, seed), after))
    return found


def finish(results: Results) -> Files:
    """Return the content of all files."""
    found: dict[str, list] = {"results": [], "curves": [], "costs": []}
    for part in parts():
        if part.make in (tune, tune_one):
            continue
        made = results[part.name]
        found["results"] += made["results"]
        found["curves"] += made["curves"]
        found["costs"].append(made["costs"])
    weights = [row for part in parts() if part.make is tune for row in results[part.name]["rows"]]
    agents = {name: EXPERIMENT.kept / name for name in AGENTS}
    return {
        "results.csv": [RESULTS, *found["results"]],
        "curves.csv": [CURVES, *found["curves"]],
        "costs.csv": [COSTS, *found["costs"]],
        "entropies.csv": [ENTROPIES, *weights],
        "tuning.csv": [TUNING, *results["once tuned"]["rows"]],
        **agents,
    }


AGENTS = ("memory_once.safetensors", "memory_dirv.safetensors")
FILES = ("results.csv", "curves.csv", "costs.csv", "entropies.csv", "tuning.csv")
EXPERIMENT = Experiment(__file__, __doc__, 240, FILES + AGENTS, parts, finish)

if __name__ == "__main__":
    EXPERIMENT.main()
