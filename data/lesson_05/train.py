"""Train MAML on sinusoids as Finn et al. 2017 did: weights.safetensors and table.csv of lesson 05.

From the root of the checkout (about seventy CPU-minutes on one core; needs a C++ compiler):

    python data/lesson_05/train.py

Eighteen runs, three seeds each: 25 tasks an update, one inner step, Adam with rate 0.001, 70,000 updates.

    torch    nn.Linear's own initialization, inner step size 0.001 (the released code's) and 0.01 (the
             text's), K = 5 and 10 support points in training
    paper    the released code's: weights from a normal distribution of deviation 0.01, cut off at two
             deviations, biases 0; both inner step sizes, K = 10 (as the text says that the paper trained)

Every 5,000 updates a run writes a checkpoint to runs/ (not in the repository). Stop the command at any time:
given again, it resumes where it was and makes the same updates as if it had never been stopped. Runs that
stand in weights.safetensors are not made again: delete it to start anew.

weights.safetensors holds the final parameters of every run as NAME.PARAMETER, NAME as in runs/.

table.csv has a row for each run, number of support points in testing (5, and 10 for those trained with 10),
stream of test tasks and number of inner steps, over the stream's 2,000 tasks of 100 query points each: init,
inner_lr, trained (K in training), shots (K in testing), seed, stream, steps, mean, median, diverged (tasks
whose loss is not finite, or larger than it was before adaptation), over100 (tasks whose loss is not finite or
above 100), largest (loss of a task). All runs meet the same streams.
"""

import argparse
import csv
import itertools
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mlearn_utils import MetaLearner, SineTasks
from mlearn_utils.course.lesson_05.sines import (
    draw_tasks,
    losses_by_step,
    run_name,
    sine_network,
    stream_seed,
)
from mlearn_utils.meta.maml import Params, parameters_of
from mlearn_utils.runtime import make_generator

Run = tuple[str, float, int, int]

RUNS = (
    *itertools.product(("torch",), (0.001, 0.01), (5, 10), (0, 1, 2)),
    *itertools.product(("paper",), (0.001, 0.01), (10,), (0, 1, 2)),
)
"""Initialization, inner step size, support points K, seed."""

UPDATES, CHECKPOINT_EVERY = 70_000, 5_000
STREAMS = {5: 24, 10: 8}
"""Streams of test tasks by K in training: where explosions are rare, more are needed to see them."""
TEST_TASKS, TEST_STEPS = 2_000, 10


def network(init: str, seed: int) -> nn.Sequential:
    """Return the network of one run before its first update."""
    model = sine_network(seed)
    if init == "paper":
        generator = make_generator(seed)
        for name, value in model.named_parameters():
            if "bias" in name:
                nn.init.zeros_(value)
            else:
                nn.init.trunc_normal_(value, std=0.01, a=-0.02, b=0.02, generator=generator)
    return model


def train(run: Run, folder: Path, *, updates: int, every: int, compile: bool) -> MetaLearner:
    """Return the learner after `updates` meta-updates, going on from its checkpoint if it has one."""
    init, inner_lr, shots, seed = run
    path = folder / f"{run_name(inner_lr, shots, seed, init)}.safetensors"
    model = network(init, seed)
    learner = (
        MetaLearner.load(path, model, device="cpu")
        if path.exists()
        else MetaLearner(model, inner_lr, 0.001, device="cpu", compile=compile)
    )
    while len(learner.history) < updates:
        began = time.process_time()
        epochs = min(every, updates - len(learner.history))
        history = learner.train(SineTasks(), epochs, shots, 25, seed=seed, progress=False)
        learner.save(path)
        loss = sum(entry["query_loss"] for entry in history) / epochs
        print(
            f"{path.stem}: {len(learner.history):6} of {updates} updates, mean query loss {loss:.3f}, "
            f"{time.process_time() - began:.0f} CPU-seconds",
            flush=True,
        )
    return learner


def test(start: Params, run: Run, shots: int, stream: int, n_tasks: int) -> list[dict[str, object]]:
    """Return the rows of one run on one stream of test tasks."""
    init, inner_lr, trained, seed = run
    tasks = draw_tasks(n_tasks, shots, seed=stream_seed(shots, stream))
    losses = losses_by_step(start, tasks, inner_lr=inner_lr, steps=TEST_STEPS).double()
    rows = []
    for step, values in enumerate(losses):
        finite = values.nan_to_num(torch.inf, torch.inf)
        numbers = {"mean": values.mean(), "median": finite.median(), "largest": finite.max()}
        rows.append(
            {"init": init, "inner_lr": inner_lr, "trained": trained, "shots": shots, "seed": seed}
            | {"stream": stream, "steps": step}
            | {
                name: f"{float(value.nan_to_num(torch.inf, torch.inf)):.4g}"
                for name, value in numbers.items()
            }
            | {"diverged": int((~(values <= losses[0])).sum()), "over100": int((finite > 100).sum())}
        )
    return rows


def main(arguments: list[str]) -> None:
    """Train what is not yet trained, then test everything."""
    parser = argparse.ArgumentParser(description="The long runs of lesson 05.")
    parser.add_argument("--updates", type=int, default=UPDATES, help="meta-updates a run")
    parser.add_argument("--every", type=int, default=CHECKPOINT_EVERY, help="updates between checkpoints")
    parser.add_argument("--tasks", type=int, default=TEST_TASKS, help="test tasks")
    parser.add_argument("--no-compile", action="store_true", help="without a C++ compiler; four times slower")
    parser.add_argument(
        "--folder", type=Path, default=Path(__file__).parent, help="where results are written"
    )
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    runs, stored = chosen.folder / "runs", chosen.folder / "weights.safetensors"
    runs.mkdir(exist_ok=True)
    weights, rows = dict(load_file(stored)) if stored.exists() else {}, []
    settings = {"updates": chosen.updates, "every": chosen.every, "compile": not chosen.no_compile}
    for run in RUNS:
        init, inner_lr, trained, seed = run
        name = run_name(inner_lr, trained, seed, init)
        if not any(key.startswith(f"{name}.") for key in weights):
            learner = train(run, runs, **settings)
            start = {key: value.detach() for key, value in parameters_of(learner.model).items()}
            weights |= {f"{name}.{key}": value for key, value in start.items()}
        start = {key[len(name) + 1 :]: value for key, value in weights.items() if key.startswith(f"{name}.")}
        for shots, stream in itertools.product(sorted({5, trained}), range(STREAMS[trained])):
            rows += test(start, run, shots, stream, chosen.tasks)
        print(f"{name}: tested", flush=True)
    save_file(weights, stored)
    with (chosen.folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
