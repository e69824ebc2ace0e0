"""Train MAML on sinusoids as Finn et al. 2017 did: weights.safetensors and table.csv of lesson 05.

From the root of the checkout (about twenty-five CPU-minutes on one core; needs a C++ compiler):

    python data/lesson_05/train.py

Twelve runs: inner step size 0.001 (the released code's) and 0.01 (the text's), K = 5 and 10 support points,
three seeds; 25 tasks an update, one inner step, Adam with step size 0.001, 70,000 updates. Every 5,000
updates a run writes a checkpoint to runs/ (not in the repository). Stop the command at any time: given again,
it resumes where it was and makes the same updates as if it had never been stopped.

weights.safetensors holds the final parameters of every run as NAME.PARAMETER, NAME as in runs/.

table.csv has one row for each run and number of inner steps, over the same 2,000 test tasks of 100 query
points each: inner_lr, shots, seed, steps, mean, low, high (95 % interval of the mean over tasks), median,
diverged (tasks whose loss is not finite, or larger than it was before adaptation), tasks.
"""

import argparse
import csv
import itertools
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from mlearn_utils import MetaLearner, SineTasks
from mlearn_utils.course.lesson_05.sines import TEST_SEED, draw_tasks, losses_by_step, run_name, sine_network
from mlearn_utils.meta.maml import Params, parameters_of

RUNS = tuple(itertools.product((0.001, 0.01), (5, 10), (0, 1, 2)))
"""Inner step size, support points K, seed."""

UPDATES, CHECKPOINT_EVERY = 70_000, 5_000
TEST_TASKS, TEST_STEPS = 2_000, 10


def train(
    inner_lr: float, shots: int, seed: int, folder: Path, *, updates: int, every: int, compile: bool
) -> MetaLearner:
    """Return the learner after `updates` meta-updates, going on from its checkpoint if it has one."""
    path = folder / f"{run_name(inner_lr, shots, seed)}.safetensors"
    model = sine_network(seed)
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


def test(start: Params, inner_lr: float, shots: int, seed: int, n_tasks: int) -> list[dict[str, object]]:
    """Return the rows of one run."""
    losses = losses_by_step(
        start, draw_tasks(n_tasks, shots, seed=TEST_SEED + shots), inner_lr=inner_lr, steps=TEST_STEPS
    ).double()
    rows = []
    for step, values in enumerate(losses):
        mean, margin = values.mean(), 1.96 * values.std() / n_tasks**0.5
        numbers = {"mean": mean, "low": mean - margin, "high": mean + margin, "median": values.median()}
        rows.append(
            {"inner_lr": inner_lr, "shots": shots, "seed": seed, "steps": step}
            | {name: f"{float(value):.4g}" for name, value in numbers.items()}
            | {"diverged": int((~(values <= losses[0])).sum()), "tasks": n_tasks}
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
    runs = chosen.folder / "runs"
    runs.mkdir(exist_ok=True)
    weights, rows = {}, []
    for inner_lr, shots, seed in RUNS:
        learner = train(
            inner_lr,
            shots,
            seed,
            runs,
            updates=chosen.updates,
            every=chosen.every,
            compile=not chosen.no_compile,
        )
        start = {name: value.detach() for name, value in parameters_of(learner.model).items()}
        weights |= {f"{run_name(inner_lr, shots, seed)}.{name}": value for name, value in start.items()}
        rows += test(start, inner_lr, shots, seed, chosen.tasks)
    save_file(weights, chosen.folder / "weights.safetensors")
    with (chosen.folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
