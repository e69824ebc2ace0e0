"""One meta-update of the sinusoid setting (Finn et al. 2017, section 5.1), and how its time grows."""

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from tests.benchmarks import maml_sides as of
from tests.benchmarks.maml_sides import Maker, Setting
from tests.benchmarks.side_by_side import Options, Result, Row, Side, all_cores, call, compare, far

LOOP, GENERAL, BATCHED, HAND = "plain loop", "general", "batched MLP", "by hand"
COMPILED, JAX = "compiled", "JAX"

OURS: dict[str, Maker] = {GENERAL: of.general, BATCHED: of.batched, HAND: of.by_hand}
PEERS: dict[str, Maker] = {
    "learn2learn": of.learn2learn,
    "higher": of.higher,
    "TorchOpt": of.torchopt,
    JAX: of.jax_side,
}
ALL = {LOOP: of.plain_loop} | OURS | {COMPILED: of.compiled} | PEERS
FEW = {LOOP: of.plain_loop} | OURS | {"learn2learn": of.learn2learn}
WIDE = FEW | {JAX: of.jax_side}

GROWTH = {
    "tasks_100": Setting(tasks=100),
    "tasks_400": Setting(tasks=400),
    "steps_10": Setting(steps=10),
    "steps_20": Setting(steps=20),
    "first_order_1": Setting(first_order=True),
    "first_order_5": Setting(first_order=True, steps=5),
}


def measure(setting: Setting, makers: Mapping[str, Maker], options: Options) -> Result:
    """Check every side's gradient against the plain loop's in float64, then time updates in turn."""
    setting = replace(setting, device=options.device)
    expected = of.exact_gradient(setting)
    sides: dict[str, Side | None] = {}
    differences, notes = {}, {}
    for name, make in makers.items():
        if options.quick and name == COMPILED and setting.steps > 1:
            continue  # a minute
        begin = time.perf_counter()
        with all_cores() if name == COMPILED else nullcontext():  # a compiler is many processes
            side = make(setting)
            gradient = None if side is None else side.gradient()
        if name in (COMPILED, JAX):
            notes[name] = f"first call {time.perf_counter() - begin:.1f} s of the wall"
        if gradient is not None:
            differences[name] = far(gradient, expected)
        sides[name] = None if side is None else call(side.update, options)
    return compare(sides, options, next(iter(makers)), differences=differences, notes=notes)


def measure_gradient(setting: Setting, options: Options) -> Result:
    """Time the meta-gradient alone, without Adam: JAX is jit(vmap(grad))."""
    sides, expected, differences = {}, of.exact_gradient(setting), {}
    for name in (HAND, JAX):
        side = ALL[name](setting)
        sides[name] = None if side is None else call(side.gradient, options)
        if side is not None:
            differences[name] = far(side.gradient(), expected)
    return compare(sides, options, HAND, differences=differences)


def row(name: str, setting: Setting, makers: Mapping[str, Maker], *devices: str, long: bool = False) -> Row:
    return Row(
        f"maml_{name}",
        f"MAML update, {setting}",
        partial(measure, setting, makers),
        long=long,
        devices=devices or ("cpu",),
    )


def rows() -> list[Row]:
    """Return the rows of the meta-gradient."""
    return [
        row("1", Setting(), ALL),
        row("5", Setting(steps=5), ALL),
        *(
            Row(
                f"maml_gradient_{k}",
                f"meta-gradient, {Setting(steps=k)}",
                partial(measure_gradient, Setting(steps=k)),
            )
            for k in (1, 5)
        ),
        row("wide_1", Setting(width=256), WIDE),
        row("wide_5", Setting(width=256, steps=5), WIDE),
        row("one_task", Setting(tasks=1), FEW),
        *(row(name, setting, FEW, long=True) for name, setting in GROWTH.items()),
        *(
            row(f"cuda_{n}_{width}", Setting(tasks=n, width=width), on_cuda(*more), "cuda")
            for n, width, more in (
                (25, 40, (LOOP, "learn2learn", COMPILED)),
                (25, 256, (LOOP,)),
                (1000, 40, (LOOP, COMPILED)),
                (1000, 256, ()),
                (4000, 40, ()),
            )
        ),
    ]


def on_cuda(*more: str) -> dict[str, Maker]:
    """Return the sides of a row on a GPU; more of them than the fastest would take more than five minutes."""
    return {name: make for name, make in ALL.items() if name in (*more, GENERAL, BATCHED)}
