"""Times one MAML update of the sinusoid setting against a plain Python loop over tasks, in one run.

Setting of Finn et al. 2017, section 5.1: 25 tasks, 10 + 10 points, a 1-40-40-1 network, one inner step, Adam.
Both sides make the same update (checked before anything is timed) on one thread of the CPU, or on a GPU.

    python -m tests.benchmarks.bench_maml [--compile] [--device cuda] [--tasks 1000]
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from mlearn_utils import SineTasks, TaskBatch
from mlearn_utils.meta.compiled import compiled_meta_gradient
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from mlearn_utils.runtime import make_generator

INNER_LR = 0.01


def make_network(device: torch.device) -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    return network.to(device)


def loop_gradient(model: nn.Module, tasks: TaskBatch) -> list[Tensor]:
    """Adapt to one task after the other, as a first implementation would, and differentiate the mean."""
    params = parameters_of(model)
    (xs, ys), (xq, yq) = tasks
    total = torch.zeros((), device=xs.device)
    for i in range(len(xs)):
        loss = mse_loss(functional_call(model, params, (xs[i],)), ys[i])
        grads = torch.autograd.grad(loss, tuple(params.values()), create_graph=True)
        adapted = {
            name: value - INNER_LR * grad for (name, value), grad in zip(params.items(), grads, strict=True)
        }
        total = total + mse_loss(functional_call(model, adapted, (xq[i],)), yq[i])
    return list(torch.autograd.grad(total / len(xs), tuple(params.values())))


def core_gradient(
    gradient_of: Callable, model: nn.Module, task_loss: Callable, tasks: TaskBatch
) -> list[Tensor]:
    return list(gradient_of(task_loss, parameters_of(model), tasks, inner_lr=INNER_LR)[1].values())


def updater(gradient: Callable[[nn.Module], list[Tensor]], device: torch.device) -> Callable[[], None]:
    """Return a function that makes one update of a fresh network by Adam."""
    model = make_network(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def update() -> None:
        for param, grad in zip(model.parameters(), gradient(model), strict=True):
            param.grad = grad
        optimizer.step()

    return update


def milliseconds(
    updates: dict[str, Callable[[], None]], rounds: int = 15, calls: int = 10
) -> dict[str, list[float]]:
    """Time the sides in turn, so that a slow moment of the machine meets both."""
    times: dict[str, list[float]] = {name: [] for name in updates}
    for _ in range(rounds):
        for name, update in updates.items():
            start = time.perf_counter()
            for _ in range(calls):
                update()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(1e3 * (time.perf_counter() - start) / calls)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compile", action="store_true", help="also time MetaLearner(compile=True)'s update")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--tasks", type=int, default=25)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device, n_tasks = arguments.device, arguments.tasks
    tasks = SineTasks().sample(n_tasks, 10, 10, generator=make_generator(0), device=device)
    variants = {"core": meta_gradient} | ({"compiled": compiled_meta_gradient()} if arguments.compile else {})
    sides = {"plain loop": lambda model: loop_gradient(model, tasks)}
    for name, gradient_of in variants.items():
        losses: dict[nn.Module, Callable] = {}
        sides[name] = lambda model, g=gradient_of, losses=losses: core_gradient(
            g, model, losses.setdefault(model, module_loss(model, mse_loss)), tasks
        )
    model = make_network(device)
    expected = sides["plain loop"](model)
    for name, gradient in sides.items():
        for a, b in zip(gradient(model), expected, strict=True):
            far = 1e-4 * float(b.abs().max())  # sums of many float32 numbers
            torch.testing.assert_close(a, b, rtol=1e-4, atol=far, msg=f"{name} gives another gradient")
    updates = {name: updater(gradient, device) for name, gradient in sides.items()}
    calls = max(1, 250 // n_tasks)
    milliseconds(updates, rounds=1, calls=calls)
    times = milliseconds(updates, rounds=15 if n_tasks <= 100 else 5, calls=calls)
    where = "CPU, 1 thread" if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(
        f"one update: {n_tasks} tasks, 10 + 10 points, width 40, one step, Adam; "
        f"torch {torch.__version__}, {where}"
    )
    print(f"{'':12} {'median ms':>10} {'min ms':>8} {'loop / this, median (min .. max) over rounds':>46}")
    for name, values in times.items():
        ratios = sorted(loop / own for loop, own in zip(times["plain loop"], values, strict=True))
        ratio = f"{ratios[len(ratios) // 2]:.1f} ({ratios[0]:.1f} .. {ratios[-1]:.1f})"
        print(f"{name:12} {sorted(values)[len(values) // 2]:10.2f} {min(values):8.2f} {ratio:>46}")


if __name__ == "__main__":
    main()
