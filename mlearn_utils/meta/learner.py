"""Supervised meta-learning in a class that only keeps state: a model, an optimizer, a stream of tasks.

All mathematics is in `mlearn_utils.meta.maml`. One update: draw tasks, take `meta_gradient`, let Adam step.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss
from tqdm.auto import tqdm

from mlearn_utils.meta import checkpoint, checks, maml
from mlearn_utils.meta.compiled import compiled_meta_gradient
from mlearn_utils.runtime import check_integer, check_positive, make_generator, next_seed, pick_device
from mlearn_utils.tasks.regression import TaskBatch

History = list[dict[str, Any]]
"""One plain dict for each update: `pandas.DataFrame(history)` just works."""

READ_EVERY = 50
"""Updates between two readings of the loss from an accelerator; on the CPU every loss is read at once."""


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


class MetaLearner:
    """MAML for supervised tasks: learns initial parameters from which a few gradient steps suffice.

    The model's own parameters are the meta-parameters; training updates them in place.

    Args:
        model: maps x [K, *] to predictions [K, *]; it must neither keep running statistics nor drop out.
        inner_lr: step size within a task.
        meta_lr: Adam's step size on the meta-parameters.
        steps: inner steps in training, and by default in `adapt`.
        first_order: drop second derivatives (FOMAML).
        loss: (prediction, y) -> scalar.
        chunk_size: tasks held in memory at once; all by default.
        device: "auto", "cpu", "cuda", "mps" or a torch.device; the model is moved there.
        compile: trace the update once for each shape of data and compile it. The first update then takes tens
            of seconds and needs a C++ compiler; later ones are several times faster.

    Attributes:
        history: one dict for each update so far: `update` (from 1) and `query_loss`, the mean over the
            update's tasks after adaptation.

    Raises:
        ValueError: if a rate or count is out of range, or the device is not there.

    Reference: Finn, Abbeel & Levine 2017, https://arxiv.org/abs/1703.03400, Algorithm 2.
    """

    def __init__(
        self,
        model: nn.Module,
        inner_lr: float = 0.01,
        meta_lr: float = 0.001,
        *,
        steps: int = 1,
        first_order: bool = False,
        loss: Callable[[Tensor, Tensor], Tensor] = mse_loss,
        chunk_size: int | None = None,
        device: str | torch.device = "auto",
        compile: bool = False,
    ) -> None:
        checks.check_parameters(maml.parameters_of(model))
        checks.check_rate("inner_lr", inner_lr)
        check_integer("steps", steps, minimum=0)
        if chunk_size is not None:
            check_integer("chunk_size", chunk_size, minimum=1)
        check_positive("meta_lr", meta_lr)
        checks.check_stateless(model)
        self.device = pick_device(device)
        self.model = model.to(self.device)
        self.inner_lr, self.meta_lr, self.steps, self.first_order = inner_lr, meta_lr, steps, first_order
        self.loss, self.chunk_size, self.compile = loss, chunk_size, compile
        self.history: History = []
        self._task_loss = maml.module_loss(self.model, loss)
        self._meta_gradient = compiled_meta_gradient() if compile else maml.meta_gradient
        self._optimizer = torch.optim.Adam(self.model.parameters(), lr=float(meta_lr))
        self._seed: int | None = None
        self._generator = torch.Generator()
        self._task_ndim = 2  # dimensions of one task's x; [K, features] until training shows otherwise

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
    ) -> History:
        """Make `epochs` meta-updates.

        Called again without a seed, or with the same, it goes on in the stream of tasks where it stopped
        (which `save` stores); another seed starts another stream. Interrupted, it keeps every finished update
        and its history.

        Args:
            tasks: a family of tasks, such as `LinearTasks()`.
            epochs: meta-updates to make.
            inner_batch_size: support examples K a task.
            outer_batch_size: tasks T an update.
            query_batch_size: query examples a task; K by default.
            seed: seed of the stream of tasks; None is the last one used, 0 at first.
            progress: show a progress bar.

        Returns:
            The history of this call's updates.

        Raises:
            ValueError: if a count is not an integer >= 1 or `seed` not an integer >= 0.
            TypeError: if `tasks` cannot be sampled from.
            FloatingPointError: if the loss is not finite. On the CPU the parameters are then those before the
                update; on an accelerator, where the loss is read every 50 updates, they may be spoiled.
        """
        if not callable(getattr(tasks, "sample", None)):
            raise TypeError(f"tasks must have a method sample, as LinearTasks() has; got {tasks!r}")
        sizes = {"inner_batch_size": inner_batch_size, "outer_batch_size": outer_batch_size}
        sizes["query_batch_size"] = inner_batch_size if query_batch_size is None else query_batch_size
        for name, value in ({"epochs": epochs} | sizes).items():
            check_integer(name, value, minimum=1)
        seed = next_seed(seed, self._seed)
        if seed != self._seed:
            self._generator, self._seed = make_generator(seed), seed
        before = len(self.history)
        unread: list[Tensor] = []
        try:
            for _ in tqdm(range(epochs), desc="meta-updates", disable=not progress):
                unread.append(self._update(self._draw(tasks, *sizes.values())))
                if self.device.type == "cpu" or len(unread) == READ_EVERY:
                    self._record(unread)
        finally:
            self._record(unread)
        return self.history[before:]

    def adapt(self, x: Tensor, y: Tensor, *, steps: int | None = None) -> maml.Params:
        """Adapt the meta-parameters to data, without changing them.

        Args:
            x: inputs of one task [K, *], or of many [T, K, *].
            y: targets, [K, *] or [T, K, *] alike.
            steps: inner steps; those of training by default.

        Returns:
            Adapted parameters, [*] for one task and [T, *] for many, without a graph.

        Raises:
            ValueError: if `steps` is negative, the data are empty, or x and y disagree.
            TypeError: if x is integer and the model has no embedding.
        """
        x, y = self._tensor(x), self._tensor(y)
        one_task = x.ndim == self._task_ndim
        shared = 1 if one_task else 2
        if not 0 <= x.ndim - self._task_ndim <= 1 or x.shape[:shared] != y.shape[:shared]:
            raise ValueError(
                f"x and y must share [K, *] for one task (x with {self._task_ndim} dimensions) or [T, K, *] "
                f"for many, got {list(x.shape)} and {list(y.shape)}"
            )
        support = (x[None], y[None]) if one_task else (x, y)
        with torch.no_grad():
            adapted = maml.adapt(
                self._task_loss,
                maml.parameters_of(self.model),
                support,
                inner_lr=self.inner_lr,
                steps=self.steps if steps is None else steps,
            )
        return {name: value[0].clone() if one_task else value.clone() for name, value in adapted.items()}

    @torch.no_grad()
    def predict(self, x: Tensor, params: maml.Params | None = None) -> Tensor:
        """Predict with the meta-parameters, or with the parameters that `adapt` returned.

        Args:
            x: [K, *]; or, for the parameters of T tasks, also [T, K, *].
            params: result of `adapt`; None for the meta-parameters themselves.

        Returns:
            Predictions, [K, *], or [T, K, *] where params or x hold T tasks.
        """
        x = self._tensor(x)
        checks.check_stateless(self.model)
        checks.check_input_dtype(self.model, x)
        own = maml.parameters_of(self.model)
        given = own if params is None else params
        name = next(iter(own))
        params_axis = 0 if given[name].ndim > own[name].ndim else None
        x_axis = 0 if x.ndim > self._task_ndim else None

        def forward(task_params: maml.Params, task_x: Tensor) -> Tensor:
            return functional_call(self.model, task_params, (task_x,))

        if params_axis is None and x_axis is None:
            return forward(given, x)
        return torch.vmap(forward, in_dims=(params_axis, x_axis))(given, x)

    def save(self, path: str | Path) -> None:
        """Write everything needed to resume exactly: weights, optimizer, task stream, history.

        A training resumed from the file makes the same updates as one that was never stopped. The write is
        atomic. The loss is stored by name only.
        """
        tensors, optimizer_facts = checkpoint.optimizer_tensors(self._optimizer)
        tensors |= checkpoint.model_tensors(self.model) | {"generator": self._generator.get_state()}
        facts = {
            "config": self._config(),
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
            "optimizer": optimizer_facts,
            "seed": self._seed,
            "task_ndim": self._task_ndim,
            "history": self.history,
        }
        checkpoint.save_checkpoint(path, type(self).__name__, tensors, facts)

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
            ValueError: if the file is truncated, of a later format, of another model or another loss.
        """
        tensors, facts = checkpoint.load_checkpoint(path, cls.__name__)
        checkpoint.check_model(model, tensors, path)
        name = getattr(loss, "__name__", type(loss).__name__)
        if name != facts["loss"]:
            raise ValueError(f"loss: {path} was trained with {facts['loss']!r}, got {name!r}")
        learner = cls(model, **facts["config"], loss=loss, device=device)
        checkpoint.load_model(learner.model, tensors)
        checkpoint.load_optimizer(learner._optimizer, tensors, facts["optimizer"])
        learner._generator.set_state(tensors["generator"])
        learner._seed, learner._task_ndim = facts["seed"], facts["task_ndim"]
        learner.history = facts["history"]
        return learner

    def _config(self) -> dict[str, Any]:
        names = ("inner_lr", "meta_lr", "steps", "first_order", "chunk_size", "compile")
        return {name: getattr(self, name) for name in names}

    def _tensor(self, value: Tensor) -> Tensor:
        tensor = torch.as_tensor(value, device=self.device)
        dtype = next(self.model.parameters()).dtype
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    def _draw(self, tasks: TaskFamily, n_support: int, n_tasks: int, n_query: int) -> TaskBatch:
        batch = tasks.sample(n_tasks, n_support, n_query, generator=self._generator, device=self.device)
        self._task_ndim = batch.support[0].ndim - 1
        return batch

    def _update(self, batch: TaskBatch) -> Tensor:
        loss, gradient = self._meta_gradient(
            self._task_loss,
            maml.parameters_of(self.model),
            batch,
            inner_lr=self.inner_lr,
            steps=self.steps,
            first_order=self.first_order,
            chunk_size=self.chunk_size,
        )
        if self.device.type == "cpu":
            self._check_finite(float(loss), len(self.history) + 1)
        for name, param in self.model.named_parameters():
            param.grad = gradient[name]
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss

    def _record(self, unread: list[Tensor]) -> None:
        losses = torch.stack(unread).tolist() if unread else []
        unread.clear()
        for loss in losses:
            self.history.append({"update": len(self.history) + 1, "query_loss": loss})
            self._check_finite(loss, len(self.history))

    @staticmethod
    def _check_finite(loss: float, update: int) -> None:
        if not -float("inf") < loss < float("inf"):
            raise FloatingPointError(
                f"the query loss of update {update} is {loss}: adaptation diverged; lower inner_lr or meta_lr"
            )
