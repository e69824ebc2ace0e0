"""What `test_ranks` does in one process and, started by torchrun, in several: a script and its parts.

As a script it writes what each rank found to a folder, and then lets rank 1 end in the middle of a training.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mlearn_utils.meta import maml, ranks
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.meta.policies.adaptation import Query
from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import ToldTasks
from mlearn_utils.meta.policies.memory_agent import MemoryAgent, MemoryConfig
from mlearn_utils.tasks.bandit import BernoulliBandits
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks
from mlearn_utils.tasks.point import PointTasks
from mlearn_utils.tasks.regression import SineTasks, TaskBatch

LATER = 3
"""Updates that follow those of the file from which training goes on."""


class SingleTasks:
    """Cart-poles without a batch of their own, whose observations' scale is measured."""

    def sample(self, n_tasks: int, *, seed: int) -> list[CartPoleTask]:
        tasks = CartPoleTasks("dirv").sample(n_tasks, seed=seed)
        return [tasks[k] for k in range(n_tasks)]

    def make_env(self, task: CartPoleTask) -> Any:
        return CartPoleTasks("dirv").make_env(task)


class Failing:
    """Sines; on rank 1 drawing them fails after some updates."""

    def __init__(self, fail: Callable[[], None], after: int):
        self.fail, self.left = fail, after

    def sample(self, *args: Any, **how: Any) -> TaskBatch:
        if ranks.current().rank == 1 and self.left == 0:
            self.fail()
        self.left -= 1
        return SineTasks().sample(*args, **how)


FAMILIES = {
    "cart-pole": lambda: CartPoleTasks("dirv"),
    "told": lambda: ToldTasks("dirv"),
    "point": PointTasks,
    "single": SingleTasks,
    "bandit": lambda: BernoulliBandits(3),
}


def make_model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 12), nn.ReLU(), nn.Linear(12, 1)).double()


def make_learner(seed: int = 0, **settings: Any) -> MetaLearner:
    return MetaLearner(make_model(seed), 0.01, 0.01, steps=2, device="cpu", **settings)


def draw(n_tasks: int) -> TaskBatch:
    batch = SineTasks().sample(n_tasks, 5, 6, generator=torch.Generator().manual_seed(7))
    return TaskBatch(*(tuple(tensor.double() for tensor in part) for part in batch))


def gradient(n_tasks: int, chunk_size: int | None, share: bool) -> list[float]:
    """Return the loss and the meta-gradient of some tasks, computed by all ranks or by this one."""
    model = make_model()
    loss = maml.module_loss(model, nn.functional.mse_loss)
    gradient_of = partial(maml.meta_gradient, loss, inner_lr=0.01, steps=2, chunk_size=chunk_size)
    of_all = partial(ranks.mean_gradient, gradient_of) if share else gradient_of
    value, found = of_all(maml.parameters_of(model), draw(n_tasks))
    return torch.cat([value[None], *(each.flatten() for each in found.values())]).tolist()


def begin(path: Path) -> None:
    learner = make_learner(max_grad_norm=1.0)
    learner.train(SineTasks(), 2, 5, 25, progress=False)
    learner.save(path)


def go_on(path: Path) -> dict[str, Any]:
    learner = MetaLearner.load(path, make_model(1), device="cpu")
    learner.train(SineTasks(), LATER, 5, 25, progress=False)
    return {"history": learner.history, "params": flat(maml.parameters_of(learner.model))}


def maml_agent(family: str, tasks: int) -> MAMLAgent:
    config = MAMLConfig(tasks=tasks, episodes=3, horizon=12, inner_steps=2, iterations=4, hidden=8)
    return MAMLAgent(FAMILIES[family](), config, device="cpu")


def memory_agent(family: str, tasks: int) -> MemoryAgent:
    config = MemoryConfig(
        trials=tasks,
        episodes=2,
        horizon=None if family == "bandit" else 12,
        updates=4,
        minibatches=2,
        hidden=8,
    )
    return MemoryAgent(FAMILIES[family](), config, device="cpu")


def trained(agent: MAMLAgent | MemoryAgent) -> dict[str, Any]:
    history = agent.train(2, progress=False)
    params = agent.params if isinstance(agent, MAMLAgent) else dict(agent.network.named_parameters())
    return {"history": history, "params": flat(params)}


def outer_gradient() -> tuple[list[float], list[float]]:
    """Return the outer gradient of the same episodes in float64, of this rank alone and of all."""
    agent = maml_agent("cart-pole", 5)
    ours = agent.family.sample(5, seed=3)
    with torch.no_grad():
        params, played = agent.explore(agent.make_batch(ours), [1.0, 1.0], torch.Generator().manual_seed(0))
    logp = agent.log_probs(params, agent.with_advantages(played[1]))
    start = {name: value.detach().double().requires_grad_() for name, value in agent.params.items()}

    def of(tasks: slice) -> list[Tensor]:
        episodes = [
            type(each)(
                *(field[tasks].double() if field.is_floating_point() else field[tasks] for field in each)
            )
            for each in (agent.with_advantages(rollout, inner=True) for rollout in played)
        ]
        query = Query(episodes[1], logp[tasks].double())
        loss = agent.outer_loss(start, episodes[:1], query)
        return list(torch.autograd.grad(loss, tuple(start.values())))

    group = ranks.current()
    own = group.share(5)
    mine = of(own) if own.stop > own.start else [torch.zeros_like(value) for value in start.values()]
    pairs = (of(slice(0, 5)), group.mean(mine, own.stop - own.start))
    alone, together = ([number for part in each for number in part.flatten().tolist()] for each in pairs)
    return alone, together


def flat(params: Mapping[str, Tensor]) -> list[float]:
    return torch.cat([value.detach().flatten() for value in params.values()]).tolist()


def error_of(call: Callable[[], Any]) -> str:
    """Return what a call raised."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def refusals(folder: Path) -> dict[str, str]:
    """Return what each rank raises at what one of them, rank 1 unless it says so, does otherwise."""
    rank = ranks.current().rank
    odd = rank == 1
    learner = make_learner()

    def fail() -> None:
        raise OSError("no such disk")

    def train(learner: MetaLearner, tasks: Any = None, epochs: int = 2, **how: Any) -> Any:
        return learner.train(tasks or SineTasks(), epochs, 5, 4, progress=False, **how)

    calls = {
        "seed": lambda: train(make_learner(), seed=rank),
        "model": lambda: train(make_learner(int(odd))),
        "setting": lambda: train(make_learner(chunk_size=1 + odd)),
        "tasks": lambda: train(make_learner(), SineTasks(phase=(0.0, 1.0 + odd))),
        "argument": lambda: train(make_learner(), epochs=-1 if odd else 2),
        "agent": lambda: maml_agent("cart-pole", 5).train(1, seed=rank, progress=False),
        "failing": lambda: train(learner, Failing(fail, after=1)),
        "place": lambda: learner.save(folder / "place") if rank == 0 else train(learner),
        "folder": lambda: learner.save(folder / "missing" / "file"),
        "not finite": lambda: train(MetaLearner(make_model(), 1e300, steps=2, device="cpu")),
    }
    return {name: error_of(call) for name, call in calls.items()} | {"updates": str(len(learner.history))}


def shown() -> str:
    """Return what a training with a progress bar prints."""
    printed = io.StringIO()
    with redirect_stderr(printed):
        make_learner().train(SineTasks(), 1, 5, 4)
    return printed.getvalue()


def main(folder: Path) -> None:
    tasks = 25 if int(os.environ["WORLD_SIZE"]) == 2 else 3
    make_learner()  # what joins the others
    group = ranks.current()
    found = {
        "group": [group.rank, group.size],
        "gradient": gradient(tasks, None, share=True),
        "chunked": gradient(tasks, 4, share=True),
        "resumed": go_on(folder / "start.safetensors"),
        "outer": outer_gradient(),
        "MAMLAgent": {family: trained(maml_agent(family, 3)) for family in FAMILIES if family != "bandit"},
        "MemoryAgent": {family: trained(memory_agent(family, 3)) for family in ("cart-pole", "bandit")},
        "refused": refusals(folder),
        "shown": shown(),
        "goes on": make_learner().train(SineTasks(), 1, 5, 4, progress=False),
    }
    (folder / f"rank{group.rank}.json").write_text(json.dumps(found | {"died": time.time()}))
    path = folder / "death.safetensors"
    dying = Failing(partial(os._exit, 7), after=7)
    make_learner().train(dying, 10, 5, 4, progress=False, checkpoint=path, save_every=3)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
