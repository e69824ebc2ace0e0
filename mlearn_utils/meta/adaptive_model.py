"""A model that adapts: what a module, a loss and settings make together, before anything is learned.

It adapts to data and predicts. How its parameters are learned is in `mlearn_utils.meta.learner`; all
mathematics is in `mlearn_utils.meta.maml`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mlearn_utils.meta import checks, maml, ranks
from mlearn_utils.meta.inner_loop import check_rates, moving_names
from mlearn_utils.meta.modules import module_predictions
from mlearn_utils.runtime import check_integer, check_positive

SETTINGS = (
    *("inner_lr", "meta_lr", "steps", "first_order", "chunk_size", "adapted", "learned"),
    *("max_grad_norm", "vectorized", "task_ndim", "compile", "recompute"),
)
"""The arguments of a MetaLearner that a checkpoint holds."""

ADDED = {"recompute": False}
"""Settings that came later, with what a file without them was trained with."""

ROW_BY_ROW = (
    *(nn.Sequential, nn.Linear, nn.Identity, nn.LayerNorm),
    *(nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.ELU, nn.SiLU, nn.Softplus, nn.LeakyReLU),
)
"""Modules of plain networks, whose x is [K, features]."""


class AdaptiveModel:
    """A module whose parameters adapt to tasks; `MetaLearner` says what the settings are."""

    inner_lr: float | dict[str, float]
    meta_lr: Any
    steps: int
    first_order: bool
    chunk_size: int | None
    adapted: list[str] | None
    learned: list[str] | None
    max_grad_norm: float | None
    vectorized: bool
    task_ndim: int | None
    compile: bool
    recompute: bool

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        device: str | torch.device,
    ) -> None:
        self._check(model)
        self.device = ranks.join(device)
        self.model = model.to(self.device)
        self.loss = loss

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """(prediction, y) -> scalar."""
        return self._task_loss.criterion

    @loss.setter
    def loss(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        if not callable(loss):
            raise TypeError(f"loss must be callable, (prediction, y) -> scalar, got {loss!r}")
        self._task_loss = maml.module_loss(self.model, loss)

    def adapt(self, x: Tensor, y: Tensor, *, steps: int | None = None) -> maml.Params:
        """Adapt the meta-parameters to data, without changing them.

        Args:
            x: inputs of one task [K, *], or of many [T, K, *].
            y: targets, [K, *] or [T, K, *] alike.
            steps: inner steps; those of training by default.

        Returns:
            Adapted parameters, [*] for one task and [T, *] for many, without a graph.

        Raises:
            ValueError: if `steps` is negative, the data are empty, x and y disagree, or it cannot be known
                whether x is one task or many (see `task_ndim`).
            TypeError: if x is integer and the model computes with it.
        """
        x, y = self._tensor(x), self._tensor(y)
        ndim = self._dimensions(x)
        one_task = x.ndim == ndim
        shared = 1 if one_task else 2
        if not 0 <= x.ndim - ndim <= 1 or x.shape[:shared] != y.shape[:shared]:
            raise ValueError(
                f"x and y must share [K, *] for one task (x with {ndim} dimensions) or [T, K, *] "
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
                adapted=self.adapted,
                vectorized=self.vectorized,
            )
        return {name: (value[0] if one_task else value).detach().clone() for name, value in adapted.items()}

    @torch.inference_mode(False)
    def predict(self, x: Tensor, params: maml.Params | None = None) -> Tensor:
        """Predict with the meta-parameters, or with the parameters that `adapt` returned.

        Args:
            x: [K, *]; or, for the parameters of T tasks, also [T, K, *].
            params: result of `adapt`; None for the meta-parameters themselves.

        Returns:
            Predictions, [K, *], or [T, K, *] where params or x hold T tasks.

        Raises:
            ValueError: if `params` are not the model's, x and params hold different numbers of tasks, or the
                model writes or draws random numbers in its forward pass.
            TypeError: if x is integer and the model computes with it.
        """
        x = self._tensor(x)
        x = x.clone() if x.is_inference() else x
        own = maml.parameters_of(self.model)
        given = own if params is None else params
        many_params, many_x = self._hold_tasks(given), x.ndim > self._dimensions(x)
        counts = {len(next(iter(given.values())))} if many_params else set()
        counts |= {len(x)} if many_x else set()
        if len(counts) > 1:
            raise ValueError(f"x and params must hold the same number of tasks, got {sorted(counts)}")
        n_tasks = counts.pop() if counts else 1
        task_params = given if many_params else {k: v.expand(n_tasks, *v.shape) for k, v in given.items()}
        inputs = x if many_x else x.expand(n_tasks, *x.shape)
        alone = not (many_params or many_x)
        predictions = module_predictions(
            self.model, task_params, inputs, vectorized=self.vectorized and not alone
        )
        return predictions[0] if alone else predictions

    def _hold_tasks(self, params: maml.Params) -> bool:
        """Return whether these are parameters of many tasks [T, *]; raise unless all are, or none."""
        own = maml.parameters_of(self.model)
        checks.check_parameters(params)
        checks.check_names(params, own, own)
        leading = {value.shape[: max(value.ndim - own[name].ndim, 0)] for name, value in params.items()}
        shape, shapes = leading.pop(), {name: list(value.shape) for name, value in own.items()}
        good = all(value.shape == shape + own[name].shape for name, value in params.items())
        if leading or len(shape) > 1 or not good:
            raise ValueError(
                f"params must have the model's shapes {shapes}, or all one axis of tasks before them; "
                f"got {[list(value.shape) for value in params.values()]}"
            )
        return bool(shape)

    def _config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def _learning(self, model: nn.Module) -> maml.Params:
        """Return the parameters that training changes."""
        params = maml.parameters_of(model)
        return {name: params[name] for name in moving_names(params, self.learned, "learned")}

    def _check(self, model: nn.Module) -> None:
        """Raise unless the settings fit together and the model."""
        params = maml.parameters_of(model)
        checks.check_parameters(params)
        check_integer("steps", self.steps, minimum=0)
        if self.chunk_size is not None:
            check_integer("chunk_size", self.chunk_size, minimum=1)
        if self.max_grad_norm is not None:
            check_positive("max_grad_norm", self.max_grad_norm)
        if self.task_ndim is not None:
            check_integer("task_ndim", self.task_ndim, minimum=1)
        check_positive("meta_lr", self.meta_lr)
        for name in ("first_order", "vectorized", "compile", "recompute"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        self._learning(model)
        check_rates(self.inner_lr, params, self.adapted)
        checks.check_stateless(model)

    def _dimensions(self, x: Tensor) -> int:
        """Return the dimensions of one task's x: as stated, as in training, or 2 for a network of rows."""
        if self.task_ndim is not None:
            return self.task_ndim
        plain = all(type(module) in ROW_BY_ROW for module in self.model.modules())
        if not plain and (x.ndim != 2 or checks.is_integer(x)):
            raise ValueError(
                f"x has shape {list(x.shape)}: before training it cannot be known whether that is one task "
                "or many; give MetaLearner task_ndim, the dimensions of one task's x"
            )
        return 2

    def _tensor(self, value: Tensor) -> Tensor:
        tensor = torch.as_tensor(value, device=self.device)
        dtype = next(self.model.parameters()).dtype
        return tensor.to(dtype) if tensor.is_floating_point() else tensor


def plain_rates(inner_lr: Any) -> Any:
    """Return rates as Python's numbers: what a checkpoint can hold."""
    if isinstance(inner_lr, Mapping):
        return {name: plain_rates(rate) for name, rate in inner_lr.items()}
    checks.check_rate("inner_lr", inner_lr)
    return float(inner_lr)


def as_names(names: Collection[str] | None) -> list[str] | None:
    """Return names as a list; what is none, such as a single text, is kept to be refused by name."""
    return list(names) if isinstance(names, Iterable) and not isinstance(names, str) else names  # pyright: ignore
