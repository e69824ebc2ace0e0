"""What the course promises about its speed: ratios within one run, each reached or not.

A target is never bent to what was measured. Where a row or a side was not measured, the target says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks import bench_cartpole as carts
from tests.benchmarks import bench_maml as maml
from tests.benchmarks import bench_ranks as ranks
from tests.benchmarks.bench_agents import NOW, THEN
from tests.benchmarks.bench_memory import CHUNKED, CHUNKED_GENERAL
from tests.benchmarks.side_by_side import Result, rounded

AT_LEAST, AT_MOST, PRINTED = "at least", "at most", "printed"


@dataclass(frozen=True)
class Target:
    """What must be reached: how many times what `under` takes `over` takes, or the value of `over` alone."""

    what: str
    row: str
    over: str
    under: str | None
    bound: str
    value: float = 0.0

    def judge(self, results: Mapping[str, Result]) -> dict[str, Any]:
        """Return the target, what was measured, and whether it is reached (None: not measured)."""
        bound = PRINTED if self.bound == PRINTED else f"{self.bound} {self.value:g}"
        told = {"what": self.what, "row": self.row, "bound": bound}
        result, needed = results.get(self.row), [self.over, *([self.under] if self.under else [])]
        if result is None or not all(name in result.values for name in needed):
            missing = (
                [f"{name}: {result.missing[name]}" for name in needed if name in result.missing]
                if result
                else []
            )
            return told | {"measured": None, "reached": None, "why": "; ".join(missing) or "not measured"}
        if self.under is None:
            measured = median(result.values[self.over])
        else:
            measured = result.ratio(self.over, self.under).median
        if self.bound == PRINTED:
            return told | {"measured": rounded(measured), "reached": None}
        good = measured >= self.value if self.bound == AT_LEAST else measured <= self.value
        wrong = [name for name in needed if name in result.wrong]
        why = {"why": f"{', '.join(wrong)}: another result"} if wrong else {}
        return told | {"measured": rounded(measured), "reached": good and not wrong} | why


def _two(what: str, row: str, *rest: Any) -> list[Target]:
    """Return a target of one inner step and of five."""
    return [Target(f"{what}, {n}", row.format(k), *rest) for k, n in ((1, "1 step"), (5, "5 steps"))]


def _carts(
    what: str, row: str, over: str, least: float, *sizes: int, under: str = carts.OURS
) -> list[Target]:
    return [Target(f"{what}, {n}", row.format(n), over, under, AT_LEAST, least) for n in sizes]


LEARN2LEARN = "learn2learn"
TARGETS = [
    *_two("general path x learn2learn", "maml_{}", LEARN2LEARN, maml.GENERAL, AT_LEAST, 12),
    *_two("general path x plain loop", "maml_{}", maml.LOOP, maml.GENERAL, AT_LEAST, 7),
    *_two("batched MLP x learn2learn", "maml_{}", LEARN2LEARN, maml.BATCHED, AT_LEAST, 20),
    *_two("batched MLP / JAX", "maml_{}", maml.BATCHED, maml.JAX, AT_MOST, 3.5),
    *_two("by hand x learn2learn", "maml_{}", LEARN2LEARN, maml.HAND, AT_LEAST, 45),
    *_two("by hand / JAX, with Adam", "maml_{}", maml.HAND, maml.JAX, AT_MOST, 1.4),
    *_two("by hand / JAX, gradient alone", "maml_gradient_{}", maml.HAND, maml.JAX, AT_MOST, 1.4),
    Target("by hand / JAX, width 256, 1 step", "maml_wide_1", maml.HAND, maml.JAX, AT_MOST, 0.6),
    Target("by hand / JAX, width 256, 5 steps", "maml_wide_5", maml.HAND, maml.JAX, AT_MOST, 0.85),
    *_two("compiled / JAX", "maml_{}", maml.COMPILED, maml.JAX, AT_MOST, 1.3),
    Target("one task, general path / plain loop", "maml_one_task", maml.GENERAL, maml.LOOP, AT_MOST, 1.1),
    Target("one task, by hand / plain loop", "maml_one_task", maml.HAND, maml.LOOP, AT_MOST, 1.1),
    Target(
        "general, in chunks: 100 tasks, 10 steps, width 256, MB",
        "memory_100_10",
        CHUNKED_GENERAL,
        None,
        AT_MOST,
        120,
    ),
    Target("by hand, in chunks: the same, MB", "memory_100_10", CHUNKED, None, AT_MOST, 120),
    *_carts("numpy cart-pole x CartPoleVectorEnv", "steps_{}", carts.VECTOR, 1.5, 64, 256, 1024),
    *_carts("numpy cart-pole x SyncVectorEnv", "steps_{}", carts.SYNC, 100, 1024),
    *_carts("numpy cart-pole x envpool", "steps_{}", carts.ENVPOOL, 8, 1024),
    *_carts("rollouts x SyncVectorEnv", "rollouts_{}", carts.SYNC, 5, 64),
    *_carts("rollouts x SyncVectorEnv", "rollouts_{}", carts.SYNC, 20, 1024),
    Target("rollouts / gymnax, 64", "rollouts_64", carts.OURS, carts.GYMNAX, PRINTED),
    Target("rollouts / gymnax, 1024", "rollouts_1024", carts.OURS, carts.GYMNAX, PRINTED),
    Target("MAMLAgent on dirv, now / before", "agent_maml", NOW, THEN, AT_MOST, 0.5),
    Target("two ranks x one, 400 tasks, width 256", "ranks", ranks.ONE, ranks.ALL, AT_LEAST, 1.6),
]
