"""Train MAML on sinusoids as Finn et al. 2017 did: weights.safetensors and table.csv of lesson 05.

Eighteen runs, three seeds each: 25 tasks an update, one inner step, Adam with rate 0.001, 70,000 updates.

    torch    nn.Linear's own initialization, inner step size 0.001 (the released code's) and 0.01 (the
             text's), K = 5 and 10 support points in training
    paper    the released code's: weights from a normal distribution of deviation 0.01, cut off at two
             deviations, biases 0; both inner step sizes, K = 10 (as the text says that the paper trained)

A part is 5,000 updates of a run, which end with a checkpoint (not in the repository): a command that goes on
makes the same updates as if it had never been stopped.

weights.safetensors holds the final parameters of every run as NAME.PARAMETER, NAME as `run_name` gives it.

table.csv has a row for each run, number of support points in testing (5, and 10 for those trained with 10),
stream of test tasks and number of inner steps, over the stream's 2,000 tasks of 100 query points each: init,
inner_lr, trained (K in training), shots (K in testing), seed, stream, steps, mean, median, diverged (tasks
whose loss is not finite, or larger than it was before adaptation), over100 (tasks whose loss is not finite or
above 100), largest (loss of a task). All runs meet the same streams.
"""

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import Experiment, Files, Part, Results, table

import torch
from safetensors.torch import save_file
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
Row = dict[str, object]

RUNS = (
    *itertools.product(("torch",), (0.001, 0.01), (5, 10), (0, 1, 2)),
    *itertools.product(("paper",), (0.001, 0.01), (10,), (0, 1, 2)),
)
"""Initialization, inner step size, support points K, seed."""

UPDATES, CHECKPOINT_EVERY = 70_000, 5_000
COMPILED = True
"""Four times as fast as without a compiler."""

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


def checkpoint(run: Run) -> Path:
    """Return where the state of a run is kept between its parts."""
    init, inner_lr, shots, seed = run
    return EXPERIMENT.kept / f"{run_name(inner_lr, shots, seed, init)}.safetensors"


def train(run: Run, updates: int, done: Results | None = None) -> float:
    """Go on with a run up to `updates` meta-updates in all; return the mean query loss of the last ones."""
    init, inner_lr, shots, seed = run
    model, path = network(init, seed), checkpoint(run)
    learner = (
        MetaLearner.load(path, model, device="cpu")
        if path.exists()
        else MetaLearner(model, inner_lr, 0.001, device="cpu", compile=COMPILED)
    )
    left = updates - len(learner.history)  # none, if it was stopped after its checkpoint was written
    if left > 0:
        learner.train(SineTasks(), left, shots, 25, seed=seed, progress=False)
        learner.save(path)
    return sum(entry["query_loss"] for entry in learner.history[-CHECKPOINT_EVERY:]) / CHECKPOINT_EVERY


def test(start: Params, run: Run, shots: int, stream: int, n_tasks: int) -> list[Row]:
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


def test_run(run: Run, done: Results) -> list[Row]:
    """Return the rows of one run on all its streams, with 5 support points and with those of its training."""
    start, trained = final(run), run[2]
    streams = itertools.product(sorted({5, trained}), range(STREAMS[trained]))
    return [row for shots, stream in streams for row in test(start, run, shots, stream, TEST_TASKS)]


def final(run: Run) -> Params:
    """Return the parameters that a run ends with."""
    learner = MetaLearner.load(checkpoint(run), network(run[0], run[3]), device="cpu")
    return {name: value.detach() for name, value in parameters_of(learner.model).items()}


def parts() -> list[Part]:
    """Return for each run its pieces of training, each after the one before, and its test."""
    found = []
    for run in RUNS:
        init, inner_lr, shots, seed = run
        name, before = run_name(inner_lr, shots, seed, init), ()
        for updates in range(CHECKPOINT_EVERY, UPDATES + 1, CHECKPOINT_EVERY):
            found.append(Part(f"{name} to {updates}", train, (run, updates), before))
            before = (found[-1].name,)
        found.append(Part(f"{name} tested", test_run, (run,), before))
    return found


def finish(results: Results) -> Files:
    """Return the weights of all runs and the table of their tests."""
    weights = {f"{checkpoint(run).stem}.{name}": value for run in RUNS for name, value in final(run).items()}
    save_file(weights, EXPERIMENT.kept / "all.safetensors")
    rows = [row for part in parts() if part.make is test_run for row in results[part.name]]
    return {"weights.safetensors": EXPERIMENT.kept / "all.safetensors", "table.csv": table(rows)}


FILES = ("weights.safetensors", "table.csv")
EXPERIMENT = Experiment(__file__, __doc__, 70, FILES, parts, finish, needs=("a C++ compiler",))

if __name__ == "__main__":
    EXPERIMENT.main()
