"""What the course promises about its speed: ratios within one run, each reached or not.

A target is never bent to what was measured. Where a row or a side was not measured, the target says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks import bench_cartpole as carts
from tests.benchmarks import bench_maml as maml
from tests.benchmarks.bench_agents import NOW, THEN
from tests.benchmarks.bench_memory import CHUNKED
from tests.benchmarks.side_by_side import Result, rounded

AT_LEAST, AT_MOST = "at least", "at most"


@dataclass(frozen=True)
class Target:
    """What must be reached: how many times what `under` takes `over` takes, or the value of `over` alone."""

    what: str
    row: str
    over: str
    under: str | None
    bound: str
    value: float

    def judge(self, results: Mapping[str, Result]) -> dict[str, Any]:
        """Return the target, what was measured, and whether it is reached (None: not measured)."""
        told = {"what": self.what, "row": self.row, "bound": f"{self.bound} {self.value:g}"}
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
        good = measured >= self.value if self.bound == AT_LEAST else measured <= self.value
        wrong = [name for name in needed if name in result.wrong]
        why = {"why": f"{', '.join(wrong)}: another result"} if wrong else {}
        return told | {"measured": rounded(measured), "reached": good and not wrong} | why


def targets() -> list[Target]:
    """Return all of them."""
    found = []
    for row, what in (("maml_1", "25 tasks, 1 step"), ("maml_5", "25 tasks, 5 steps")):
        found += [
            Target(f"general path x learn2learn, {what}", row, "learn2learn", maml.GENERAL, AT_LEAST, 12),
            Target(f"general path x plain loop, {what}", row, maml.LOOP, maml.GENERAL, AT_LEAST, 7),
            Target(f"batched MLP x learn2learn, {what}", row, "learn2learn", maml.BATCHED, AT_LEAST, 20),
            Target(f"batched MLP / JAX, {what}", row, maml.BATCHED, maml.JAX, AT_MOST, 3.5),
            Target(f"by hand x learn2learn, {what}", row, "learn2learn", maml.HAND, AT_LEAST, 45),
            Target(f"by hand / JAX, {what}", row, maml.HAND, maml.JAX, AT_MOST, 1.4),
            Target(f"compiled / JAX, {what}", row, maml.COMPILED, maml.JAX, AT_MOST, 1.3),
        ]
    found += [
        Target(
            "by hand x learn2learn, width 256, 1 step", "maml_wide_1", "learn2learn", maml.HAND, AT_LEAST, 45
        ),
        Target(
            "by hand x learn2learn, width 256, 5 steps", "maml_wide_5", "learn2learn", maml.HAND, AT_LEAST, 45
        ),
        Target("by hand / JAX, width 256, 1 step", "maml_wide_1", maml.HAND, maml.JAX, AT_MOST, 0.6),
        Target("by hand / JAX, width 256, 5 steps", "maml_wide_5", maml.HAND, maml.JAX, AT_MOST, 0.85),
        Target("one task, general path / plain loop", "maml_one_task", maml.GENERAL, maml.LOOP, AT_MOST, 1.1),
        Target("one task, by default / plain loop", "maml_one_task", maml.CHOSEN, maml.LOOP, AT_MOST, 1.1),
        Target("chunked, 100 tasks, 10 steps, width 256, MB", "memory_100_10", CHUNKED, None, AT_MOST, 120),
    ]
    found += [
        Target(
            f"numpy cart-pole x CartPoleVectorEnv, {n}", f"steps_{n}", carts.VECTOR, carts.OURS, AT_LEAST, 1.5
        )
        for n in (64, 256, 1024)
    ]
    return [
        *found,
        Target("numpy cart-pole x SyncVectorEnv, 1024", "steps_1024", carts.SYNC, carts.OURS, AT_LEAST, 100),
        Target("numpy cart-pole x envpool, 1024", "steps_1024", carts.ENVPOOL, carts.OURS, AT_LEAST, 8),
        Target("rollouts x SyncVectorEnv, 64", "rollouts_64", carts.SYNC, carts.OURS, AT_LEAST, 5),
        Target("rollouts x SyncVectorEnv, 1024", "rollouts_1024", carts.SYNC, carts.OURS, AT_LEAST, 20),
        Target(
            "rollouts / gymnax, 1024 (printed)",
            "rollouts_1024",
            carts.OURS,
            carts.GYMNAX,
            AT_MOST,
            float("inf"),
        ),
        Target("MAMLAgent on dirv, now / before", "agent_maml", NOW, THEN, AT_MOST, 0.5),
        Target("two ranks x one, 400 tasks, width 256", "ranks", "1 rank", "2 ranks", AT_LEAST, 1.6),
    ]
