"""Learn the learner's settings: from many tasks x settings, a model of the return; then ask it on a new task.

    1. fit       returns of past runs -> r(x, h), the expected return of settings h on a task with features x
    2. suggest   argmax over h of r(x, h) for a new task, before anything was tried there
       adjust    the same after some runs there: r is corrected by a Gaussian process of residuals
    3. judge     on tasks that had no part in any of this (the caller's duty)

The tasks are split into five parts. Five copies of the estimator each leave one part out, and r is their
mean. Each row's residual comes from the copy that never saw its task; one more copy learns their squares, so
that an uncertain region of tasks and settings is known as such. Rows with equal features count as one task.

Beside this file: `ranges` and `space` (what settings may be, and their unit cube), `tables` (what is read),
`ensemble` and `regressors` (the model of returns), `candidates`, `expected_improvement` and `search` (how the
next settings are chosen), `stored` (what is saved). The arithmetic is numpy's and scikit-learn's, on the CPU.

Reference: Beck et al. (2023), "A survey of meta-reinforcement learning", https://arxiv.org/abs/2301.08028.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlearn_utils.meta import checkpoint
from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters import stored, tables
from mlearn_utils.meta.hyperparameters.candidates import CANDIDATES
from mlearn_utils.meta.hyperparameters.ensemble import FOLDS, Ensemble, fit_ensemble
from mlearn_utils.meta.hyperparameters.ranges import Space, as_space
from mlearn_utils.meta.hyperparameters.regressors import Regressor, describe, sklearn_version
from mlearn_utils.meta.hyperparameters.search import Search
from mlearn_utils.meta.hyperparameters.space import FloatArray
from mlearn_utils.runtime import check_integer


class Prediction(NamedTuple):
    """The return of one more run.

    Attributes:
        mean: [N] expected.
        std: [N] standard deviation, of the model's error and the run's luck together.
    """

    mean: FloatArray
    std: FloatArray


class _Fit(NamedTuple):
    """What `fit` leaves: the table, and the regressions on it."""

    table: stored.Table
    ensemble: Ensemble


class HyperparameterModel:
    """Predicts the return of a learner's settings on a task, and chooses settings for new tasks.

    Args:
        estimator: any regressor with `fit` and `predict`; it is copied, never changed, by
            scikit-learn's `clone` if it is one of its estimators, else by `copy.deepcopy`. It sees one row
            [features, settings]: features scaled to mean 0 and deviation 1, settings as columns in [0, 1], a
            choice as one column for each value. When not given, boosted trees.
        space: for each hyperparameter (low, high), (low, high, True) for equal factors, `Integer(low, high)`
            or `Integer(low, high, True)` for whole numbers (from `meta.hyperparameters.space`), or a list of
            choices: texts, numbers, True, False, None. When not given, it is the box of the values seen.
        seed: of the split of tasks, of the candidates, and of a default estimator.

    Attributes:
        space: what each hyperparameter may be, by name, in the order of the columns; None before `fit` if
            none was given.
        kernel: how residuals of one task hang together, found by `fit`.
        score: share of the returns' variance that is explained on tasks left out, found by `fit`; NaN if all
            returns are equal, as there is nothing to explain then.

    Wherever features or settings are asked for, a DataFrame is read by the names of its columns: settings by
    those of the space, features by those at `fit`.

    Example:
        >>> model = HyperparameterModel(space={"learning_rate": (0.01, 1.0, True), "epsilon": (0.0, 1.0)})
        >>> model.fit(task_features, hyperparameters, returns)
        >>> first = model.suggest(new_task)                          # [1, 2]
        >>> next_ = model.adjust(new_task, first, [observed_return]) # [1, 2]

    Raises:
        TypeError: if `estimator` lacks fit or predict, or `space` is no mapping to ranges and choices.
        ValueError: if a range is not finite or not ascending, or a choice is there twice.
    """

    def __init__(
        self,
        estimator: Regressor | None = None,
        space: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
    ):
        if estimator is not None:
            has = [name for name in ("fit", "predict") if callable(getattr(estimator, name, None))]
            if len(has) < 2 or isinstance(estimator, type):
                raise TypeError(
                    f"estimator must be an object with methods fit and predict, got {estimator!r}"
                )
        check_integer("seed", seed, minimum=0)
        self.estimator, self.seed = estimator, int(seed)
        self.space: Space | None = None if space is None else as_space(space)
        self._stated = space is not None
        self._fit: _Fit | None = None

    def fit(self, task_features: Any, hyperparameters: Any, returns: Any) -> "HyperparameterModel":
        """Learn from finished runs; a second call forgets the first. The table is copied.

        Args:
            task_features: [N, F] what is known of the task of each run.
            hyperparameters: [N, H] the settings of each run.
            returns: [N] what each run earned; larger is better.

        Returns:
            The model itself.

        Raises:
            TypeError: if a value is no number where one is expected.
            ValueError: if shapes or names disagree, a value is not finite or outside its range, there are
                fewer than five tasks (rows with equal features are one task), or the estimator predicts
                anything but a finite number a row.
        """
        names = tables.column_names(task_features)
        x = tables.read_features(task_features, names, 2)
        stated = self.space if self._stated else None
        space, h = tables.read_settings_or_box(stated, hyperparameters)
        y = tables.read_numbers("returns", returns, 1)
        return self._learn(stored.Table(space, self._stated, names, x, h, y))

    def predict(self, task_features: Any, hyperparameters: Any) -> Prediction:
        """Predict the return of one run in each row.

        Args:
            task_features: [N, F], or [F] for the same task in every row.
            hyperparameters: [N, H], or [H] for the same settings in every row.

        Returns:
            mean [N] and std [N].

        Raises:
            RuntimeError: before `fit`.
            TypeError, ValueError: as `fit`, and if a width differs from that at `fit`.
        """
        table, ensemble = self._fitted("predict")
        x = np.atleast_2d(self._features(task_features))
        h = np.atleast_2d(tables.read_settings(table.space, hyperparameters, (1, 2)))
        if not len(h) or (len(x) != len(h) and 1 not in (len(x), len(h))):
            raise ValueError(
                "task_features and hyperparameters must have the same number of rows, "
                f"got {len(x)} and {len(h)}"
            )
        rows = max(len(x), len(h))
        columns = spaces.as_columns(table.space, spaces.unit_of(table.space, h))
        both = [np.broadcast_to(array, (rows, array.shape[1])) for array in (x, columns)]
        return Prediction(ensemble.mean(*both), ensemble.std(*both))

    def suggest(self, task_features: Any, n: int = 1) -> NDArray[Any]:
        """Return settings for a task on which nothing was tried yet.

        Args:
            task_features: [F] one task, or [M, F] many.
            n: suggestions a task. The first is the one with the largest expected return; the others hedge.

        Returns:
            [n, H], or [M, n, H], all different. A float array (whole numbers as floats) if all choices are
            numbers; else an array of objects: a float for a range, an int for an `Integer`, and the choice.

        Raises:
            RuntimeError: before `fit`.
            TypeError, ValueError: as `predict`, and if n is not an integer from 1 to 512, or larger than the
                number of different settings.
        """
        space = self._fitted("suggest").table.space
        x = self._features(task_features)
        return self._next(x, np.zeros((*x.shape[:-1], 0, len(space))), np.zeros((*x.shape[:-1], 0)), n)

    def adjust(self, task_features: Any, hyperparameters: Any, returns: Any, n: int = 1) -> NDArray[Any]:
        """Return settings to try next, given what was tried on the same task so far.

        None of them was tried there, until all settings of the space were: then the most promising are
        suggested again, with a warning that says so.

        Args:
            task_features: [F] one task, or [M, F] many.
            hyperparameters: [k, H] or [M, k, H] settings tried there; k may be 0.
            returns: [k] or [M, k] what they earned.
            n: suggestions a task.

        Returns:
            [n, H], or [M, n, H], as `suggest`.

        Raises:
            RuntimeError: before `fit`.
            TypeError, ValueError: as `suggest`, and if the shapes do not fit together.
        """
        space = self._fitted("adjust").table.space
        x = self._features(task_features)
        tried = tables.read_settings(space, hyperparameters, x.ndim + 1)
        seen = tables.read_numbers("returns", returns, x.ndim)
        if tried.shape[:-1] != seen.shape or tried.shape[:-2] != x.shape[:-1]:
            raise ValueError(
                "hyperparameters and returns must be [k, H] and [k] for one task, [M, k, H] and [M, k] for "
                f"M tasks, got {list(tried.shape)} and {list(seen.shape)} for features {list(x.shape)}"
            )
        return self._next(x, tried, seen, n)

    def save(self, path: str | Path) -> None:
        """Write the training table and the settings of the model; `load` fits it again, with the same result.

        Nothing in the file is code, so nothing is executed on loading. An estimator of your own is not in the
        file either, only its name and settings, by which `load` recognizes it.

        Raises:
            RuntimeError: before `fit`.
            FileNotFoundError: if the folder of `path` does not exist.
        """
        tensors, facts = stored.as_stored(self._fitted("save").table)
        facts |= {
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
        table = stored.from_stored(path, tensors, facts)
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
        model = cls(estimator, table.space if table.stated else None, seed=facts["seed"])
        return model._learn(table)

    def _learn(self, table: stored.Table) -> "HyperparameterModel":
        space, x, h, y = table.space, table.features, table.codes, table.returns
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
        columns = spaces.as_columns(space, spaces.unit_of(space, h))
        ensemble = fit_ensemble(self.estimator, x, columns, y, task.reshape(-1), self.seed)
        self._fit = _Fit(table, ensemble)
        self.space, self.kernel, self.score = space, ensemble.kernel, ensemble.score
        return self

    def _next(self, x: FloatArray, tried: FloatArray, seen: FloatArray, n: int) -> NDArray[Any]:
        """Return [n, H] or [M, n, H] settings for features [F] or [M, F] and the codes of those tried."""
        table, ensemble = self._fitted("suggest")
        space, settings = table.space, spaces.count_settings(table.space)
        check_integer("n", n, minimum=1)
        if n > min(CANDIDATES, settings):
            most = CANDIDATES if settings > CANDIDATES else f"{settings}, the number of different settings"
            raise ValueError(f"n must be at most {most}, got {n}")
        many, k = np.atleast_2d(x), seen.shape[-1]
        points = spaces.unit_of(space, tried).reshape(len(many), k, len(space))
        chosen = Search(ensemble, space, many, points, seen.reshape(len(many), k), int(n), self.seed).run()
        left = settings - max(len(np.unique(point, axis=0)) for point in points)
        if left < n:
            had = f"all {settings}" if left == 0 else f"all but {left} of {settings}"
            warnings.warn(f"{had} settings of the space were tried: some are suggested again", stacklevel=3)
        return spaces.from_unit(space, chosen).reshape(*x.shape[:-1], n, len(space))

    def _features(self, value: Any) -> FloatArray:
        table = self._fitted("predict").table
        x = tables.read_features(value, table.names, (1, 2))
        tables.check_width("task_features", x.shape, table.features.shape[1])
        return x

    def _fitted(self, method: str) -> "_Fit":
        if self._fit is None:
            raise RuntimeError(f"call fit(task_features, hyperparameters, returns) before {method}()")
        return self._fit
