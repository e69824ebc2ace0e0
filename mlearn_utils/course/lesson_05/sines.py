"""Sinusoids: the network, the test tasks, and how any start is judged on them.

A *start* is a set of parameters from which a few gradient steps are taken on a task's support points. Every
method of the lesson ends as a start, and all of them are judged by the same function on the same tasks.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from mlearn_utils.meta import maml
from mlearn_utils.runtime import data_path, make_generator
from mlearn_utils.tasks.regression import SineTasks, TaskBatch

N_QUERY = 100
"""Points on which a test task is judged; drawn like its support points, but not shared with them."""

VALIDATION_SEED, TEST_SEED = 10**6, 2 * 10**6
"""Seeds of the two streams of held-out tasks: step sizes are chosen on one, results read from the other."""


def sine_network(seed: int, n_inputs: int = 1, width: int = 40) -> nn.Sequential:
    """Return the network of Finn et al. 2017, section 5.1: 1-40-40-1 with ReLU; same seed, same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(n_inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )


NETWORK = sine_network(0)
"""Only its shape is used: `task_loss` calls it with the parameters that it is given."""

BODY = NETWORK[:-1]
BODY_NAMES = tuple(name for name, _ in BODY.named_parameters())
"""All layers but the last, and their parameters, under the same names as in NETWORK."""

task_loss = maml.module_loss(NETWORK, mse_loss)
"""The mean squared error of one task: (params, (x, y)) -> scalar."""


def draw_tasks(n_tasks: int, shots: int, *, seed: int, family: SineTasks | None = None) -> TaskBatch:
    """Draw `n_tasks` sinusoids with `shots` support points and N_QUERY query points each."""
    family = SineTasks() if family is None else family
    return family.sample(n_tasks, shots, N_QUERY, generator=make_generator(seed))


@torch.no_grad()
def curves(task_params: maml.Params, x: Tensor) -> Tensor:
    """Return what the network says at x [K] with the parameters of each task [T, *]: [T, K]."""
    return torch.vmap(lambda params: functional_call(NETWORK, params, (x[:, None],)))(task_params)[..., 0]


@torch.no_grad()
def features(params: maml.Params, x: Tensor) -> Tensor:
    """Return what the last hidden layer says at x [K], with the parameters of one task: [K, 40]."""
    return functional_call(BODY, {name: params[name] for name in BODY_NAMES}, (x[:, None],))


def stacked(path: list[maml.Params], task: int = 0) -> maml.Params:
    """Return the parameters of one task at every point of a trajectory, on a leading axis: [steps + 1, *]."""
    return {name: torch.stack([point[name][task] for point in path]).detach() for name in path[0]}


@torch.no_grad()
def losses_by_step(start: maml.Params, tasks: TaskBatch, *, inner_lr: maml.InnerRate, steps: int) -> Tensor:
    """Return the query loss of every task after 0, 1, ..., `steps` inner steps: [steps + 1, T]."""
    path = maml.trajectory(task_loss, start, tasks.support, inner_lr=inner_lr, steps=steps)
    return torch.stack([maml.task_losses(task_loss, params, tasks.query) for params in path])


def stream_seed(shots: int, stream: int) -> int:
    """Return the seed of one of the streams of test tasks on which the long runs are judged."""
    return TEST_SEED + 1000 * (stream + 1) + shots


def run_name(inner_lr: float, shots: int, seed: int, init: str = "torch") -> str:
    """Return the name of one long run, such as "alpha0.001_k5_seed0"; "paper_..." with its initialization."""
    return f"{'' if init == 'torch' else init + '_'}alpha{inner_lr:g}_k{shots}_seed{seed}"


def long_run(
    inner_lr: float, shots: int, seed: int, init: str = "torch", *, path: Path | None = None
) -> maml.Params:
    """Load the start that a long run of data/lesson_05/train.py ended with."""
    stored = load_file(data_path("lesson_05", "weights.safetensors") if path is None else path)
    prefix = run_name(inner_lr, shots, seed, init) + "."
    found = {name[len(prefix) :]: value for name, value in stored.items() if name.startswith(prefix)}
    if not found:
        raise ValueError(
            f"there is no long run with inner_lr={inner_lr!r}, shots={shots!r}, seed={seed!r}, init={init!r}"
        )
    return found
