"""Supervised meta-learning in a class that only keeps state: a model, an optimizer, a stream of tasks.

All mathematics is in `mlearn_utils.meta.maml`. One update: draw tasks, take `meta_gradient`, let Adam step.
"""

import copy
import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from tqdm.auto import tqdm

from mlearn_utils.meta import checkpoint, checks, maml, ranks
from mlearn_utils.meta.adaptive_model import ADDED, SETTINGS, AdaptiveModel, as_names, plain_rates
from mlearn_utils.meta.compiled import CompiledMetaGradient, compiled_meta_gradient
from mlearn_utils.meta.inner_loop import moving_names
from mlearn_utils.meta.losses import is_frozen
from mlearn_utils.runtime import (
    check_integer,
    check_positive,
    check_target,
    make_generator,
    next_seed,
)
from mlearn_utils.tasks.regression import TaskBatch

History = list[dict[str, Any]]
"""One plain dict for each update: `pandas.DataFrame(history)` just works."""

FACTS = ("config", "frozen", "loss", "optimizer", "seed", "history")
"""What a checkpoint holds beside tensors."""

SAVE_EVERY = 100
"""Updates between two writes of `train(checkpoint=...)`, if nothing else is said."""


class TaskFamily(Protocol):
    """Anything that draws supervised tasks; all its randomness comes from the generator it is given."""

    def sample(
        self,
        n_tasks: int,
        n_support: int,
        n_query: int,
        *,
        generator: torch.Generator,
        device: str | torch.device,
    ) -> TaskBatch:
        """Draw T tasks: support (x, y) [T, n_support, *] and query (x, y) [T, n_query, *]."""
        ...


class MetaLearner(AdaptiveModel):
    """MAML for supervised tasks: learns initial parameters from which a few gradient steps suffice.

    The model's own parameters are the meta-parameters; training updates them in place. Frozen ones
    (`requires_grad_(False)`) neither adapt nor learn. A model in half precision is trained through copies of
    its parameters in float32, which the checkpoint holds as well.

    Args:
        model: maps x [K, *] to predictions [K, *]; it must neither keep running statistics nor drop out.
        inner_lr: step size within a task, or one for each adapted parameter by name.
        meta_lr: Adam's step size on the meta-parameters.
        steps: inner steps in training, and by default in `adapt`.
        first_order: drop second derivatives (FOMAML).
        loss: (prediction, y) -> scalar.
        chunk_size: tasks held in memory at once; all by default.
        adapted: names of the parameters that adapt within a task, or of modules that hold them (["head"] is
            ANIL); by default all that are not frozen.
        learned: likewise, of those that training changes.
        max_grad_norm: scale the meta-gradient down to at most this norm; None leaves it as it is.
        vectorized: False evaluates one task after the other: slower, and right for every module, also those
            that torch.vmap cannot batch (LSTM, GRU).
        task_ndim: dimensions of one task's x, its K examples included. Training shows it; before that `adapt`
            and `predict` need it, unless the model is a plain network of rows [K, features].
        device: "auto", "cpu", "cuda", "mps" or a torch.device; the model is moved there.
        compile: trace the meta-gradient once for each shape of data and compile it. The first update then
            takes tens of seconds, which the progress bar shows, and needs a C++ compiler; later ones are
            faster. Without a compiler a warning says so, and training goes on as with False. A plain ReLU
            network with the squared error is not compiled on the CPU: its gradient is taken by hand
            (`mlearn_utils.meta.by_hand`), which is as fast at once.
        recompute: keep of every inner step only where it started, and take it once more when it is
            differentiated: less memory for more time, the same gradient.

    Attributes:
        history: one dict for each update so far: `update` (from 1) and `query_loss`, the mean over the
            update's tasks after adaptation.
        loss, meta_lr: may be set at any time, as `inner_lr`, `steps`, `first_order` and `chunk_size` may.

    Raises:
        ValueError: if a rate or count is out of range, a name is not a parameter's, nothing is left to learn,
            or the device is not there.

    Reference: Finn, Abbeel & Levine 2017, https://arxiv.org/abs/1703.03400, Algorithm 2.
    """

    def __init__(
        self,
        model: nn.Module,
        inner_lr: float | Mapping[str, float] = 0.01,
        meta_lr: float = 0.001,
        *,
        steps: int = 1,
        first_order: bool = False,
        loss: Callable[[Tensor, Tensor], Tensor] = mse_loss,
        chunk_size: int | None = None,
        adapted: Collection[str] | None = None,
        learned: Collection[str] | None = None,
        max_grad_norm: float | None = None,
        vectorized: bool = True,
        task_ndim: int | None = None,
        device: str | torch.device = "auto",
        compile: bool = False,
        recompute: bool = False,
    ) -> None:
        self.inner_lr, self.steps, self.first_order = plain_rates(inner_lr), steps, first_order
        self.chunk_size, self.compile, self.vectorized = chunk_size, compile, vectorized
        self.recompute = recompute
        self.max_grad_norm, self.task_ndim = max_grad_norm, task_ndim
        self.adapted, self.learned = as_names(adapted), as_names(learned)
        self._meta_lr = meta_lr
        super().__init__(model, loss, device)
        self.max_grad_norm = None if max_grad_norm is None else float(max_grad_norm)
        self.history: History = []
        # frozen ones among them: one may be frozen, or no more, between two calls of train
        params = maml.parameters_of(self.model)
        names = params if self.learned is None else self._learning(self.model)
        self._masters = {name: _master(params[name]) for name in names}
        masters, fused = list(self._masters.values()), self.device.type in ("cpu", "cuda")
        self._optimizer = torch.optim.Adam(masters, lr=float(meta_lr), fused=fused)
        self._compiled: CompiledMetaGradient | None = None
        self._progress = False
        self._seed: int | None = None
        self._generator = torch.Generator()

    @property
    def meta_lr(self) -> float:
        """Adam's step size."""
        return self._meta_lr

    @meta_lr.setter
    def meta_lr(self, meta_lr: float) -> None:
        check_positive("meta_lr", meta_lr)
        self._meta_lr = float(meta_lr)
        self._optimizer.param_groups[0]["lr"] = self._meta_lr

    @ranks.together()
    def train(
        self,
        tasks: TaskFamily,
        epochs: int,
        inner_batch_size: int,
        outer_batch_size: int,
        *,
        query_batch_size: int | None = None,
        seed: int | None = None,
        progress: bool = True,
        checkpoint: str | Path | None = None,
        save_every: int = SAVE_EVERY,
    ) -> History:
        """Make `epochs` meta-updates.

        Called again without a seed, or with the same, it goes on in the stream of tasks where it stopped
        (which `save` stores); another seed starts another stream. Interrupted, it keeps every finished update
        and its history, and with `checkpoint` the file as well.

        In a script that torchrun has started several times each process takes a share of the tasks, and all
        end with the same parameters and history; see `mlearn_utils.meta.ranks`.

        Args:
            tasks: a family of tasks, such as `LinearTasks()`; what it draws is cast to the model's dtype.
            epochs: meta-updates to make.
            inner_batch_size: support examples K a task.
            outer_batch_size: tasks T an update.
            query_batch_size: query examples a task; K by default.
            seed: seed of the stream of tasks; None is the last one used, 0 at first.
            progress: show a progress bar.
            checkpoint: a file to save to every `save_every` updates and at the end.
            save_every: updates between two writes.

        Returns:
            The history of this call's updates.

        Raises:
            ValueError: if a count is not an integer >= 1 or `seed` not an integer >= 0, or `tasks` draws
                another number of tasks than it is asked for; or if processes that train together do not hold
                the same model, settings, seed or tasks.
            TypeError: if `tasks` cannot be sampled from.
            FileNotFoundError: if the folder of `checkpoint` does not exist.
            IsADirectoryError: if `checkpoint` is a folder.
            RankError: if another of the processes that train together fails or ends.
            FloatingPointError: if the loss or its gradient is not finite: the model, the optimizer and the
                history are then those before the update that the message names.
        """
        if isinstance(tasks, type) or not callable(getattr(tasks, "sample", None)):
            raise TypeError(f"tasks must have a method sample, as LinearTasks() has; got {tasks!r}")
        sizes = {"inner_batch_size": inner_batch_size, "outer_batch_size": outer_batch_size}
        sizes["query_batch_size"] = inner_batch_size if query_batch_size is None else query_batch_size
        for name, value in ({"epochs": epochs, "save_every": save_every} | sizes).items():
            check_integer(name, value, minimum=1)
        if checkpoint is not None:
            check_target("checkpoint", checkpoint)
        seed = next_seed(seed, self._seed)
        if seed != self._seed:
            self._generator, self._seed = make_generator(seed), seed
        self._check(self.model)
        before = len(self.history)
        self._follow_model()
        self._progress = progress
        group = ranks.current()
        if group.size > 1:
            group.same_everywhere(
                "MetaLearner.train", {"epochs": epochs} | sizes, *reversed(self._contents())
            )
        hidden = not progress or group.rank > 0
        try:
            for k in tqdm(range(epochs), desc="meta-updates", disable=hidden):
                drawn = self._generator.get_state()
                try:
                    batch = self._draw(tasks, *sizes.values())
                    if k == 0 and group.size > 1:
                        group.same_everywhere("the first update", {"tasks": batch})
                    self.history.append(self._update(batch))
                except BaseException:
                    self._generator.set_state(drawn)  # these tasks are not learned from: they come again
                    raise
                if checkpoint is not None and len(self.history) % save_every == 0:
                    self.save(checkpoint)
        finally:
            if checkpoint is not None and len(self.history) > before:
                self.save(checkpoint)
        return self.history[before:]

    @ranks.together()
    def save(self, path: str | Path) -> None:
        """Write everything needed to resume exactly: weights, optimizer, task stream, history.

        A training resumed from the file makes the same updates as one that was never stopped. The write is
        atomic. Of the loss its name and settings are stored, which `load` compares. Of several processes that
        train together one writes, and all wait; the file goes on with any number of them.
        """
        kind, contents = type(self).__name__, self._contents()
        ranks.current().once(lambda: checkpoint.save_checkpoint(path, kind, *contents))

    def _contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors and the facts of a checkpoint, which all processes must hold alike."""
        tensors, optimizer_facts = checkpoint.optimizer_tensors(self._optimizer)
        tensors |= checkpoint.model_tensors(self.model) | {"generator": self._generator.get_state()}
        tensors |= self._master_tensors()
        facts = {
            "config": self._config(),
            "frozen": self._frozen(),
            "loss": checkpoint.settings_of(self.loss),
            "optimizer": optimizer_facts,
            "seed": self._seed,
            "history": self.history,
        }
        return tensors, facts

    @classmethod
    def load(
        cls,
        path: str | Path,
        model: nn.Module,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] = mse_loss,
        device: str | torch.device = "auto",
    ) -> "MetaLearner":
        """Return the learner that was saved, its weights copied into `model`.

        Args:
            path: file written by `save`.
            model: of the same architecture; changed only once the file has been found good.
            loss: the loss that was trained with.
            device: as in the constructor.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is truncated or was changed, lacks something, is of another format, of
                another model or another loss; the message names what.
        """
        device = ranks.join(device)
        checks.check_parameters(maml.parameters_of(model))
        try:
            trial = copy.deepcopy(model)
        except RuntimeError as error:
            raise ValueError(
                f"model: it cannot be copied, which load does first ({error}); torch's older weight_norm and "
                "spectral_norm are of this kind, those of torch.nn.utils.parametrizations are not"
            ) from error
        tensors, facts = checkpoint.load_checkpoint(path, cls.__name__, facts=FACTS)
        checkpoint.check_fact(path, "config", isinstance(facts["config"], dict), "a dict", facts["config"])
        facts["config"] = ADDED | facts["config"]
        checkpoint.check_names(path, "settings", facts["config"], SETTINGS)
        checkpoint.check_model(model, tensors, path)
        name = checkpoint.settings_of(loss)
        if name != facts["loss"]:
            raise ValueError(f"loss: {path} was trained with {facts['loss']!r}, got {name!r}")
        with checkpoint.named_errors(path):
            # first on a copy: the model that was given is changed when nothing can fail any more
            for target in (trial, model):
                learner = cls(target, **facts["config"], loss=loss, device=device)
                learner._restore(tensors, facts, path)
        return learner

    def _restore(self, tensors: dict[str, Tensor], facts: dict[str, Any], path: str | Path) -> None:
        """Take over what a checkpoint holds; raise ValueError if something does not fit."""
        own = checkpoint.model_tensors(self.model) | self._master_tensors()
        moments = {name for name in tensors if name.startswith("optimizer.")}
        checkpoint.check_names(path, "tensors", tensors.keys() - moments, {*own, "generator"})
        for name, value in own.items():
            kind, found = (value.dtype, value.shape), tensors[name]
            same = (found.dtype, found.shape) == kind
            checkpoint.check_fact(path, name, same, f"{kind}", (found.dtype, found.shape))
        frozen = self._frozen()
        checkpoint.check_fact(path, "frozen", facts["frozen"] == frozen, repr(frozen), facts["frozen"])
        checkpoint.check_optimizer(self._optimizer, tensors, facts["optimizer"], path)
        lr = facts["optimizer"]["param_groups"][0]["lr"]
        checkpoint.check_fact(path, "the optimizer's lr", lr == self.meta_lr, repr(self.meta_lr), lr)
        checkpoint.check_history(path, facts["history"], ("update", "query_loss"))
        seed, state = facts["seed"], tensors["generator"]
        checkpoint.check_fact(path, "seed", seed is None or _is_count(seed), "an integer >= 0 or null", seed)
        usual = self._generator.get_state()
        same = (state.shape, state.dtype) == (usual.shape, usual.dtype)
        checkpoint.check_fact(path, "generator", same, f"{usual.dtype} {list(usual.shape)}", state.shape)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[name])
        checkpoint.load_optimizer(self._optimizer, tensors, facts["optimizer"])
        self._generator.set_state(state)
        self._seed, self.history = seed, facts["history"]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_compiled": None}  # a traced graph is made anew

    def _frozen(self) -> list[str]:
        return [name for name, value in maml.parameters_of(self.model).items() if is_frozen(value)]

    def _master_tensors(self) -> dict[str, Tensor]:
        own = maml.parameters_of(self.model)
        return {f"master.{name}": value for name, value in self._masters.items() if value is not own[name]}

    def _follow_model(self) -> None:
        """Let the copies of parameters in half precision follow what was done to the model since."""
        own = maml.parameters_of(self.model)
        with torch.no_grad():
            for name, master in self._masters.items():
                if not torch.equal(master.to(own[name].dtype), own[name]):
                    master.copy_(own[name])

    def _draw(self, tasks: TaskFamily, n_support: int, n_tasks: int, n_query: int) -> TaskBatch:
        batch = tasks.sample(n_tasks, n_support, n_query, generator=self._generator, device=self.device)
        drawn = checks.count_task_pairs(batch)
        if drawn != n_tasks:
            raise ValueError(f"tasks: sample({n_tasks}, ...) returned {drawn} tasks")
        support, query = (
            getattr(part, "_make", tuple)([self._tensor(tensor) for tensor in part]) for part in batch
        )
        ndim = support[0].ndim - 1
        if self.task_ndim not in (None, ndim):
            raise ValueError(
                f"tasks: their x has {ndim} dimensions a task, but task_ndim, given or seen in earlier "
                f"training, is {self.task_ndim}; set the learner's task_ndim to change it"
            )
        self.task_ndim = ndim
        return TaskBatch(support, query)

    def _update(self, batch: TaskBatch) -> dict[str, Any]:
        """Make one update, or raise and leave everything as it was; return its row of the history."""
        number = len(self.history) + 1
        if self.compile and self._compiled is None:
            self._compiled = compiled_meta_gradient()
        if self._compiled is not None:
            self._compiled.progress = self._progress
        gradient_of = partial(
            self._compiled or maml.meta_gradient,
            self._task_loss,
            inner_lr=self.inner_lr,
            steps=self.steps,
            first_order=self.first_order,
            chunk_size=self.chunk_size,
            adapted=self.adapted,
            learned=self.learned,
            vectorized=self.vectorized,
            recompute=self.recompute,
        )
        own = maml.parameters_of(self.model)
        loss, gradient = ranks.mean_gradient(gradient_of, own, batch)
        learning = moving_names(own, self.learned, "learned")
        grads = [gradient[name].to(self._masters[name].dtype) for name in learning]
        norm = torch.linalg.vector_norm(torch.cat([grad.reshape(-1) for grad in grads]))
        value, length = torch.stack([loss, norm.to(loss.dtype)]).tolist()  # one look at the device
        if not (math.isfinite(value) and math.isfinite(length)):
            self._stop(number, value, grads, batch)
        if self.max_grad_norm is not None and length > self.max_grad_norm:
            grads = [grad * (self.max_grad_norm / length) for grad in grads]
        for name, grad in zip(learning, grads, strict=True):
            self._masters[name].grad = grad
        self._optimizer.step()
        for name, master in self._masters.items():
            master.grad = None
            if master is not own[name]:
                own[name].detach().copy_(master.detach())
        return {"update": number, "query_loss": value}

    @staticmethod
    def _stop(number: int, loss: float, grads: list[Tensor], batch: TaskBatch) -> None:
        """Raise FloatingPointError: the loss or the norm of its gradient is not finite."""
        data = [tensor for part in batch for tensor in part if tensor.is_floating_point()]
        cause = "adaptation diverged; lower inner_lr or meta_lr"
        if not all(bool(tensor.isfinite().all()) for tensor in data):
            cause = "its tasks hold NaN or infinite numbers"
        what = f"query loss of update {number} is {loss}"
        if math.isfinite(loss) and all(bool(grad.isfinite().all()) for grad in grads):
            what = f"gradient of update {number} is so large that its square is infinite"
        elif math.isfinite(loss):
            what = f"gradient of update {number} is not finite, although its query loss is {loss:g}"
            cause += ", or the loss has no derivative there" * (cause[0] == "a")
        raise FloatingPointError(f"the {what}: {cause}")


def _master(value: Tensor) -> Tensor:
    """Return what the optimizer updates: the parameter, or a float32 copy of one in half precision."""
    return value if value.dtype.itemsize >= 4 else value.detach().float().requires_grad_()


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
