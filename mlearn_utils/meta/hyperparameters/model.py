"""Learn the learner's settings: from many tasks x settings, a model of the return; then ask it on a new task.

    1. fit       returns of past runs -> r(x, h), the expected return of settings h on a task with features x
    2. suggest   argmax over h of r(x, h) for a new task, before anything was tried there
       adjust    the same after some runs there: r is corrected by a Gaussian process of residuals
    3. judge     on tasks that had no part in any of this (the caller's duty)

The tasks are split into five parts. Five copies of the estimator each leave one part out, and r is their
mean. Each row's residual comes from the copy that never saw its task; one more copy learns their squares, so
that an uncertain region of tasks and settings is known as such. Rows with equal features count as one task.

How the next setting is chosen is in `meta.hyperparameters.expected_improvement`. The arithmetic
is numpy's and scikit-learn's, on the CPU.

Reference: Beck et al. (2023), "A survey of meta-reinforcement learning", https://arxiv.org/abs/2301.08028.
"""

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mlearn_utils.meta import checkpoint
from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.expected_improvement import LEAST_STD, choose_next, spread_points
from mlearn_utils.meta.hyperparameters.regressors import Regressor, boosted_trees, describe, sklearn_version
from mlearn_utils.meta.hyperparameters.residual_process import Kernel, most_likely_kernel
from mlearn_utils.meta.hyperparameters.space import FloatArray, Range, Space
from mlearn_utils.runtime import check_integer

FOLDS = 5
"""Parts the tasks are split into, and so the fewest tasks a model can be fitted on."""

CANDIDATES = 512
"""Settings, spread over the space, among which suggestions are chosen."""

KERNEL_TASKS, KERNEL_RUNS = 100, 30
"""Past tasks, and runs of each, that the kernel of the residuals is chosen on."""

LEAST_SHARE = 0.2
"""Smallest predicted standard deviation, as a share of that of all residuals: none is certain."""


class Prediction(NamedTuple):
    """The return of one more run.

    Attributes:
        mean: [N] expected.
        std: [N] standard deviation, of the model's error and the run's luck together.
    """

    mean: FloatArray
    std: FloatArray


class HyperparameterModel:
    """Predicts the return of a learner's settings on a task, and chooses settings for new tasks.

    Args:
        estimator: any regressor with `fit` and `predict`; it is copied, never changed. It sees one row
            [features, settings]: features scaled to mean 0 and deviation 1, settings scaled to [0, 1]. When
            not given, boosted trees.
        space: for each hyperparameter (low, high) or (low, high, log); None takes the box of the values seen.
        seed: of the split of tasks, of the candidates, and of a default estimator.

    Attributes:
        space: the ranges, by name, in the order of the columns; None before `fit` if none were given.
        kernel: how residuals of one task hang together, found by `fit`.
        score: share of the returns' variance that is explained on tasks left out, found by `fit`.

    Example:
        >>> model = HyperparameterModel(space={"learning_rate": (0.01, 1.0, True), "epsilon": (0.0, 1.0)})
        >>> model.fit(task_features, hyperparameters, returns)
        >>> first = model.suggest(new_task)                          # [1, 2]
        >>> next_ = model.adjust(new_task, first, [observed_return]) # [1, 2]

    Raises:
        TypeError: if `estimator` lacks fit or predict, or `space` is no mapping to ranges.
        ValueError: if a range is not finite or not ascending.
    """

    def __init__(
        self,
        estimator: Regressor | None = None,
        space: Mapping[str, Range | Sequence[Any]] | None = None,
        *,
        seed: int = 0,
    ):
        for method in ("fit", "predict"):
            if estimator is not None and not callable(getattr(estimator, method, None)):
                raise TypeError(f"estimator must have a method {method}, got {type(estimator).__name__}")
        check_integer("seed", seed, minimum=0)
        self.estimator, self.seed = estimator, seed
        self.space: Space | None = None if space is None else spaces.as_space(space)
        self._stated = space is not None
        self._table: tuple[FloatArray, FloatArray, FloatArray] | None = None

    def fit(
        self, task_features: ArrayLike, hyperparameters: ArrayLike, returns: ArrayLike
    ) -> "HyperparameterModel":
        """Learn from finished runs; a second call forgets the first.

        Args:
            task_features: [N, F] what is known of the task of each run.
            hyperparameters: [N, H] the settings of each run.
            returns: [N] what each run earned; larger is better.

        Returns:
            The model itself.

        Raises:
            ValueError: if shapes disagree, a value is not finite or outside its range, or there are fewer
                than five tasks (rows with equal features are one task).
        """
        x, h, y = (
            spaces.finite_array("task_features", task_features, 2),
            spaces.finite_array("hyperparameters", hyperparameters, 2),
            spaces.finite_array("returns", returns, 1),
        )
        if not len(x) == len(h) == len(y):
            raise ValueError(
                "task_features, hyperparameters and returns must have one row a run, "
                f"got {len(x)}, {len(h)} and {len(y)}"
            )
        tasks, task = np.unique(x, axis=0, return_inverse=True)
        if len(tasks) < FOLDS:
            raise ValueError(
                f"task_features must describe at least {FOLDS} different tasks, got {len(tasks)}: "
                "whether a model carries over to new tasks is tested by leaving some out"
            )
        space = self.space if self._stated and self.space is not None else spaces.box_of(h)
        spaces.check_width("hyperparameters", h, len(space))
        spaces.check_inside(space, h)
        self._learn(x, h, y, task.reshape(-1), space)
        return self

    def predict(self, task_features: ArrayLike, hyperparameters: ArrayLike) -> Prediction:
        """Predict the return of one run in each row.

        Args:
            task_features: [N, F], or [F] for the same task in every row.
            hyperparameters: [N, H], or [H] for the same settings in every row.

        Returns:
            mean [N] and std [N].

        Raises:
            RuntimeError: before `fit`.
            ValueError: if a width differs from that at `fit`, a value is not finite or outside its range.
        """
        space = self._fitted("predict")
        x = self._features(np.atleast_2d(spaces.finite_array("task_features", task_features, (1, 2))))
        h = self._settings(np.atleast_2d(spaces.finite_array("hyperparameters", hyperparameters, (1, 2))))
        if len(x) != len(h) and 1 not in (len(x), len(h)):
            raise ValueError(
                "task_features and hyperparameters must have the same number of rows, "
                f"got {len(x)} and {len(h)}"
            )
        rows = max(len(x), len(h))
        unit = spaces.to_unit(space, h)
        return self._predict(
            np.broadcast_to(x, (rows, x.shape[1])), np.broadcast_to(unit, (rows, len(space)))
        )

    def suggest(self, task_features: ArrayLike, n: int = 1) -> FloatArray:
        """Return settings for a task on which nothing was tried yet.

        Args:
            task_features: [F] one task, or [M, F] many.
            n: suggestions a task. The first is the one with the largest expected return; the others hedge.

        Returns:
            [n, H], or [M, n, H].

        Raises:
            RuntimeError: before `fit`.
            ValueError: as `predict`, and if n is not an integer from 1 to 512.
        """
        self._fitted("suggest")
        x = spaces.finite_array("task_features", task_features, (1, 2))
        nothing = np.zeros((*x.shape[:-1], 0))
        return self.adjust(x, np.zeros((*nothing.shape, self._n_settings)), nothing, n)

    def adjust(
        self, task_features: ArrayLike, hyperparameters: ArrayLike, returns: ArrayLike, n: int = 1
    ) -> FloatArray:
        """Return settings to try next, given what was tried on the same task so far.

        Args:
            task_features: [F] one task, or [M, F] many.
            hyperparameters: [k, H] or [M, k, H] settings tried there; k may be 0.
            returns: [k] or [M, k] what they earned.
            n: suggestions a task.

        Returns:
            [n, H], or [M, n, H].

        Raises:
            RuntimeError: before `fit`.
            ValueError: as `suggest`, and if the shapes do not fit together.
        """
        space = self._fitted("adjust")
        check_integer("n", n, minimum=1)
        if n > CANDIDATES:
            raise ValueError(f"n must be at most {CANDIDATES}, the number of candidates, got {n}")
        x = spaces.finite_array("task_features", task_features, (1, 2))
        tried = spaces.finite_array("hyperparameters", hyperparameters, x.ndim + 1)
        seen = spaces.finite_array("returns", returns, x.ndim)
        if tried.shape[:-1] != seen.shape or tried.shape[:-2] != x.shape[:-1]:
            raise ValueError(
                "hyperparameters and returns must be [k, H] and [k] for one task, [M, k, H] and [M, k] for "
                f"M tasks, got {list(tried.shape)} and {list(seen.shape)} for features {list(x.shape)}"
            )
        many = self._features(np.atleast_2d(x))
        k = seen.shape[-1]
        unit = spaces.to_unit(space, self._settings(tried.reshape(-1, tried.shape[-1])))
        chosen = self._choose(many, unit.reshape(len(many), k, len(space)), seen.reshape(len(many), k), n)
        return spaces.from_unit(space, chosen).reshape(*x.shape[:-1], n, len(space))

    def save(self, path: str | Path) -> None:
        """Write the training table and the settings of the model; `load` fits it again, with the same result.

        Nothing in the file is code, so nothing is executed on loading. An estimator of your own is not in the
        file either, only its name and settings, by which `load` recognizes it.

        Raises:
            RuntimeError: before `fit`.
            FileNotFoundError: if the folder of `path` does not exist.
        """
        self._fitted("save")
        assert self._table is not None
        assert self.space is not None
        names = ("task_features", "hyperparameters", "returns")
        tensors = {name: torch.as_tensor(array) for name, array in zip(names, self._table, strict=True)}
        facts = {
            "space": {name: list(stated) for name, stated in self.space.items()} if self._stated else None,
            "seed": self.seed,
            "estimator": describe(self.estimator),
            "scikit-learn": sklearn_version(),
        }
        checkpoint.save_checkpoint(path, type(self).__name__, tensors, facts)

    @classmethod
    def load(cls, path: str | Path, estimator: Regressor | None = None) -> "HyperparameterModel":
        """Return the model that was saved, fitted again on the stored table.

        Args:
            path: file written by `save`.
            estimator: the same kind with the same settings as in the saved model; None if it had none.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is damaged or of another kind, or the estimator differs.
        """
        tensors, facts = checkpoint.load_checkpoint(path, cls.__name__)
        if describe(estimator) != facts["estimator"]:
            raise ValueError(
                f"estimator: {path} was fitted with {facts['estimator']}, got {describe(estimator)}"
            )
        if facts["scikit-learn"] != sklearn_version():
            warnings.warn(
                f"{path} was fitted with scikit-learn {facts['scikit-learn']}; {sklearn_version()} may "
                "give slightly other predictions",
                stacklevel=2,
            )
        model = cls(estimator, facts["space"], seed=facts["seed"])
        return model.fit(*(tensors[name].numpy() for name in ("task_features", "hyperparameters", "returns")))

    def _learn(self, x: FloatArray, h: FloatArray, y: FloatArray, task: NDArray[Any], space: Space) -> None:
        """Fit one copy a fold, the squares of what each gets wrong on its own fold, and the kernel."""
        center, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        unit = spaces.to_unit(space, h)
        rows = np.concatenate([(x - center) / scale, unit], axis=1)
        fold = np.random.default_rng(self.seed).permutation(task.max() + 1)[task] % FOLDS
        members = [self._fresh(k, len(y)).fit(rows[fold != k], y[fold != k]) for k in range(FOLDS)]
        left_out = np.empty_like(y)
        for k, member in enumerate(members):
            left_out[fold == k] = member.predict(rows[fold == k])
        squares = self._fresh(FOLDS, len(y)).fit(rows, (y - left_out) ** 2)
        self.space, self._table, self._n_settings = space, (x, h, y), h.shape[1]
        self._center, self._scale, self._members, self._squares = center, scale, members, squares
        self._least_std = max(LEAST_STD, LEAST_SHARE * float(np.sqrt(((y - left_out) ** 2).mean())))
        self._candidates = spread_points(CANDIDATES, h.shape[1], self.seed)
        self.score = 1.0 - float(((y - left_out) ** 2).mean()) / max(float(y.var()), LEAST_STD**2)
        self.kernel = self._fit_kernel(unit, (y - left_out) / self._std(rows), task)

    def _fit_kernel(self, unit: FloatArray, residuals: FloatArray, task: NDArray[Any]) -> Kernel:
        order = np.random.default_rng(self.seed).permutation(task.max() + 1)[:KERNEL_TASKS]
        rows = [np.flatnonzero(task == k)[:KERNEL_RUNS] for k in order]
        return most_likely_kernel([(unit[row], residuals[row]) for row in rows])

    def _fresh(self, k: int, rows: int) -> Any:
        """Return the k-th new copy of the estimator, for a table of that many rows."""
        if self.estimator is not None:
            return copy.deepcopy(self.estimator)
        return boosted_trees(rows, seed=self.seed + k)

    def _std(self, rows: FloatArray) -> FloatArray:
        squares = np.asarray(self._squares.predict(rows), dtype=np.float64)
        return np.sqrt(np.maximum(squares, self._least_std**2))

    def _predict(self, x: FloatArray, unit: FloatArray) -> Prediction:
        rows = np.concatenate([(x - self._center) / self._scale, unit], axis=1)
        mean = np.mean([member.predict(rows) for member in self._members], axis=0)
        return Prediction(np.asarray(mean, dtype=np.float64), self._std(rows))

    def _choose(self, x: FloatArray, tried: FloatArray, seen: FloatArray, n: int) -> FloatArray:
        """Return [M, n, H] points of the unit cube for tasks x [M, F] with tried [M, k, H], seen [M, k]."""
        M, C, H = len(x), *self._candidates.shape
        k = seen.shape[1]
        points = np.concatenate([tried, np.broadcast_to(self._candidates, (M, C, H))], axis=1)
        found = self._predict(np.repeat(x, k + C, axis=0), points.reshape(-1, H))
        mean, std = (values.reshape(M, k + C) for values in found)
        chosen = np.empty((M, n), dtype=np.int64)
        for i in range(M):
            chosen[i] = choose_next(self._candidates, mean[i], std[i], self.kernel, tried[i], seen[i], n)
        return self._candidates[chosen]

    def _fitted(self, method: str) -> Space:
        if self._table is None or self.space is None:
            raise RuntimeError(f"call fit(task_features, hyperparameters, returns) before {method}()")
        return self.space

    def _features(self, x: FloatArray) -> FloatArray:
        spaces.check_width("task_features", x, len(self._center))
        return x

    def _settings(self, h: FloatArray) -> FloatArray:
        space = self._fitted("predict")
        spaces.check_width("hyperparameters", h, len(space))
        spaces.check_inside(space, h)
        return h
