"""One meta-update of MAML, as the course and as the users of other libraries write it.

Every side starts from the same network and the same tasks. It has two functions: `gradient` returns the
meta-gradient by the names of the parameters, `update` takes it and lets Adam step.

Learn2learn, higher and TorchOpt adapt to one task after the other; the meta-gradient is one backward pass a
task, as in their own examples. JAX is jit(vmap(grad)) with optax's Adam inside the compiled function.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from mlearn_utils import SineTasks, TaskBatch
from mlearn_utils.meta.compiled import compiled_meta_gradient
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from mlearn_utils.runtime import make_generator
from tests.benchmarks import peers

META_LR = 1e-3


@dataclass(frozen=True)
class Setting:
    """A 1-width-width-1 network of ReLUs, 10 + 10 points a task, plain gradient steps.

    At width 256 the inner rate is smaller: five steps of 0.01 diverge there. The seed is one with which no
    unit comes so near to the kink of its ReLU that float32 puts it on the other side.
    """

    tasks: int = 25
    steps: int = 1
    width: int = 40
    first_order: bool = False
    device: str = "cpu"
    seed: int = 1

    @property
    def inner_lr(self) -> float:
        return 0.01 if self.width <= 40 and self.steps <= 5 else 0.001

    def network(self) -> nn.Sequential:
        torch.manual_seed(0)
        layers = nn.Linear(1, self.width), nn.ReLU(), nn.Linear(self.width, self.width), nn.ReLU()
        return nn.Sequential(*layers, nn.Linear(self.width, 1)).to(self.device)

    def sample(self) -> TaskBatch:
        return SineTasks().sample(self.tasks, 10, 10, generator=make_generator(self.seed), device=self.device)

    def __str__(self) -> str:
        plural = "s" * (self.tasks > 1), "s" * (self.steps > 1)
        order = ", first order" if self.first_order else ""
        return f"{self.tasks} task{plural[0]}, {self.steps} step{plural[1]}, width {self.width}{order}"


class MAMLSide(NamedTuple):
    """The meta-gradient by name, and an update by it."""

    gradient: Callable[[], dict[str, Any]]
    update: Callable[[], object]


Maker = Callable[[Setting], MAMLSide | None]
"""Makes a side; None if its library is not installed."""


Filler = Callable[[nn.Module, TaskBatch, Setting], Callable[[], object]]
"""Given a network, tasks and a setting, returns what fills the network's `.grad`."""


def one_by_one(tasks: TaskBatch) -> Iterator[tuple[Tensor, ...]]:
    """Yield xs, ys, xq, yq of each task."""
    return zip(*tasks.support, *tasks.query, strict=True)


def torch_side(
    setting: Setting,
    fill: Filler,
    **adam: Any,
) -> MAMLSide:
    """Return a side made of what fills the `.grad` of a network."""
    network, tasks = setting.network(), setting.sample()
    optimizer = torch.optim.Adam(network.parameters(), lr=META_LR, **adam)
    fill_grad = fill(network, tasks, setting)

    def gradient() -> dict[str, Any]:
        fill_grad()
        return {
            name: None if value.grad is None else value.grad.detach().cpu().numpy()
            for name, value in network.named_parameters()
        }

    def update() -> None:
        fill_grad()
        optimizer.step()

    return MAMLSide(gradient, update)


# --- the course


def by_core(
    network: nn.Module,
    tasks: TaskBatch,
    setting: Setting,
    *,
    gradient_of: Callable[..., tuple[Tensor, dict[str, Tensor]]] = meta_gradient,
    plain: bool = False,
    autograd: bool = False,
    **more: Any,
) -> Callable[[], object]:
    """`meta_gradient` by the way that it chooses, which is by hand for this network on the CPU.

    `autograd`: by batched products and autograd, since all parameters are named. `plain`: through torch.vmap,
    since the loss is a function that nothing is known about.
    """
    loss = module_loss(network, mse_loss)
    task_loss = (lambda params, batch: loss(params, batch)) if plain else loss
    params = parameters_of(network)
    if autograd:
        more["learned"] = list(params)

    def fill() -> None:
        _, found = gradient_of(
            task_loss,
            params,
            tasks,
            inner_lr=setting.inner_lr,
            steps=setting.steps,
            first_order=setting.first_order,
            **more,
        )
        for name, value in params.items():
            value.grad = found[name]

    return fill


def general(setting: Setting) -> MAMLSide:
    return torch_side(setting, partial(by_core, plain=True), fused=True)


def batched(setting: Setting) -> MAMLSide:
    return torch_side(setting, partial(by_core, autograd=True), fused=True)


def by_hand(setting: Setting) -> MAMLSide:
    return torch_side(setting, by_core, fused=True)


def compiled(setting: Setting) -> MAMLSide:
    return torch_side(
        setting, partial(by_core, gradient_of=compiled_meta_gradient(), autograd=True), fused=True
    )


# --- others


def by_loop(
    network: nn.Module, tasks: TaskBatch, setting: Setting, *, dtype: torch.dtype | None = None
) -> Callable[[], object]:
    """One task after the other, as a first implementation would, and the mean differentiated at once."""

    def fill() -> None:
        params: dict[str, Any] = dict(network.named_parameters())
        total = torch.zeros((), device=setting.device)
        for xs, ys, xq, yq in one_by_one(tasks):
            adapted: dict[str, Any] = params
            for _ in range(setting.steps):
                loss = mse_loss(functional_call(network, adapted, (xs,)), ys)
                grads = torch.autograd.grad(
                    loss, tuple(adapted.values()), create_graph=not setting.first_order
                )
                pairs = zip(adapted.items(), grads, strict=True)
                adapted = {name: value - setting.inner_lr * grad for (name, value), grad in pairs}
            total = total + mse_loss(functional_call(network, adapted, (xq,)), yq)
        grads = torch.autograd.grad(total / len(tasks.support[0]), tuple(params.values()))
        for value, grad in zip(params.values(), grads, strict=True):
            value.grad = grad

    return fill


def plain_loop(setting: Setting) -> MAMLSide:
    return torch_side(setting, by_loop)


def exact_gradient(setting: Setting) -> dict[str, Any]:
    """Return the meta-gradient by the plain loop in float64, which every side is held to."""
    network, tasks = setting.network().double(), setting.sample()
    doubled = TaskBatch(*(tuple(tensor.double() for tensor in batch) for batch in tasks))
    by_loop(network, doubled, setting)()
    return {
        name: value.grad.cpu().numpy() for name, value in network.named_parameters() if value.grad is not None
    }


def by_learn2learn(network: nn.Module, tasks: TaskBatch, setting: Setting) -> Callable[[], object]:
    algorithm = peers.learn2learn().MAML(network, lr=setting.inner_lr, first_order=setting.first_order)

    def fill() -> None:
        algorithm.zero_grad()
        for xs, ys, xq, yq in one_by_one(tasks):
            learner = algorithm.clone()
            for _ in range(setting.steps):
                learner.adapt(mse_loss(learner(xs), ys))
            mse_loss(learner(xq), yq).backward()
        for value in algorithm.parameters():
            value.grad.div_(setting.tasks)

    return fill


def by_higher(network: nn.Module, tasks: TaskBatch, setting: Setting) -> Callable[[], object]:
    higher = peers.optional("higher")
    inner = torch.optim.SGD(network.parameters(), lr=setting.inner_lr)

    def fill() -> None:
        network.zero_grad()
        for xs, ys, xq, yq in one_by_one(tasks):
            with higher.innerloop_ctx(
                network, inner, copy_initial_weights=False, track_higher_grads=not setting.first_order
            ) as (functional, optimizer):
                for _ in range(setting.steps):
                    optimizer.step(mse_loss(functional(xs), ys))
                (mse_loss(functional(xq), yq) / setting.tasks).backward()

    return fill


def by_torchopt(network: nn.Module, tasks: TaskBatch, setting: Setting) -> Callable[[], object]:
    torchopt = peers.optional("torchopt")
    inner = torchopt.MetaSGD(network, lr=setting.inner_lr)

    def fill() -> None:
        network.zero_grad()
        start = torchopt.extract_state_dict(network, by="reference")
        state = torchopt.extract_state_dict(inner, by="reference")
        for xs, ys, xq, yq in one_by_one(tasks):
            for _ in range(setting.steps):
                inner.step(mse_loss(network(xs), ys))
            (mse_loss(network(xq), yq) / setting.tasks).backward()
            torchopt.recover_state_dict(network, start)
            torchopt.recover_state_dict(inner, state)

    return fill


def peer(setting: Setting, *, of: Callable[..., Any], module: Any) -> MAMLSide | None:
    """Return a side of a library that may be missing."""
    return torch_side(setting, of) if module is not None else None


def learn2learn(setting: Setting) -> MAMLSide | None:
    return peer(setting, of=by_learn2learn, module=peers.learn2learn())


def higher(setting: Setting) -> MAMLSide | None:
    return peer(setting, of=by_higher, module=peers.optional("higher"))


def torchopt(setting: Setting) -> MAMLSide | None:
    return peer(setting, of=by_torchopt, module=peers.optional("torchopt"))


def jax_side(setting: Setting) -> MAMLSide | None:
    """JAX's own way: a loss of one task, vmap over tasks, grad, jit; the tasks are on its device already."""
    jax, optax = peers.optional("jax"), peers.optional("optax")
    if jax is None or optax is None:
        return None
    jnp, own = jax.numpy, setting.network()
    params = {name: jnp.asarray(value.detach().numpy()) for name, value in own.named_parameters()}
    tasks = tuple(jnp.asarray(tensor.numpy()) for batch in setting.sample() for tensor in batch)
    optimizer = optax.adam(META_LR)

    def loss(params: Any, x: Any, y: Any) -> Any:
        for layer in (0, 2, 4):
            x = x @ params[f"{layer}.weight"].T + params[f"{layer}.bias"]
            x = x if layer == 4 else jax.nn.relu(x)
        return ((x - y) ** 2).mean()

    def adapted_loss(params: Any, xs: Any, ys: Any, xq: Any, yq: Any) -> Any:
        for _ in range(setting.steps):
            grads = jax.grad(loss)(params, xs, ys)
            if setting.first_order:
                grads = jax.lax.stop_gradient(grads)
            params = jax.tree.map(lambda value, grad: value - setting.inner_lr * grad, params, grads)
        return loss(params, xq, yq)

    def mean_loss(params: Any, *tasks: Any) -> Any:
        return jax.vmap(adapted_loss, in_axes=(None, 0, 0, 0, 0))(params, *tasks).mean()

    @jax.jit
    def step(params: Any, state: Any, *tasks: Any) -> Any:
        moves, state = optimizer.update(jax.grad(mean_loss)(params, *tasks), state)
        return optax.apply_updates(params, moves), state

    gradient = jax.jit(jax.grad(mean_loss))
    now = [params, optimizer.init(params)]

    def update() -> None:
        now[:] = jax.block_until_ready(step(*now, *tasks))

    return MAMLSide(lambda: jax.block_until_ready(gradient(params, *tasks)), update)
