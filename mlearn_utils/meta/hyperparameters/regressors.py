"""The regressions that a model of settings is built on: what they must offer, and which is the default."""

import copy
from typing import Any, Protocol

import numpy as np

from mlearn_utils.meta.hyperparameters.space import FloatArray


class Regressor(Protocol):
    """What an estimator must offer: every regressor of scikit-learn does. What `fit` returns is not used."""

    @property
    def fit(self) -> Any:
        """The method that learns from rows x [N, D] and values y [N]."""
        ...

    @property
    def predict(self) -> Any:
        """The method that returns values [N] or [N, 1] for rows x [N, D]."""
        ...


def boosted_trees(rows: int, *, seed: int = 0) -> Any:
    """Return the default estimator: a hundred boosted trees with many rows in each leaf.

    Single runs are mostly luck, and a model that follows single runs suggests what was lucky once. So a leaf
    holds a thirtieth of the rows, or a hundred where there are many.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    settings: dict[str, Any] = {"early_stopping": False, "max_features": 0.5, "random_state": seed}
    return HistGradientBoostingRegressor(min_samples_leaf=min(100, max(1, rows // 30)), **settings)


def fit_copy(estimator: Regressor | None, rows: FloatArray, values: FloatArray, size: int, seed: int) -> Any:
    """Return a fitted copy: scikit-learn's `clone` of its estimators, else a deep copy; None: boosted trees.

    Args:
        estimator: what is copied; what its `fit` returns does not matter.
        rows: [N, D].
        values: [N].
        size: rows of the whole table, by which boosted trees are set.
        seed: of boosted trees.
    """
    if estimator is None:
        fresh: Any = boosted_trees(size, seed=seed)
    else:
        from sklearn.base import BaseEstimator, clone

        fresh = clone(estimator) if isinstance(estimator, BaseEstimator) else copy.deepcopy(estimator)
    fresh.fit(rows, values)
    return fresh


def predicted(fitted: Any, rows: FloatArray) -> FloatArray:
    """Return what an estimator predicts, [N] for rows [N, D]; it may give [N, 1].

    Raises:
        ValueError: if it gives anything but one finite number a row.
    """
    found, name = fitted.predict(rows), type(fitted).__name__
    try:
        values = np.asarray(found)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"estimator: {name}.predict must return an array, got {error}") from error
    if values.shape not in ((len(rows),), (len(rows), 1)) or values.dtype.kind not in "biuf":
        raise ValueError(
            f"estimator: {name}.predict must return a number for each of {len(rows)} rows, got shape "
            f"{list(values.shape)} of {values.dtype}"
        )
    values = values.astype(np.float64).reshape(-1)
    if not np.isfinite(values).all():
        raise ValueError(
            f"estimator: {name}.predict must be finite, got {values[~np.isfinite(values)][0]} for "
            f"{int((~np.isfinite(values)).sum())} of {len(rows)} rows"
        )
    return values


def describe(estimator: Regressor | None) -> dict[str, Any] | None:
    """Return what is stored of an estimator: its class and, as texts, its settings."""
    if estimator is None:
        return None
    get_params = getattr(estimator, "get_params", None)
    settings: dict[str, Any] = get_params() if callable(get_params) else vars(estimator)  # pyright: ignore
    return {
        "class": f"{type(estimator).__module__}.{type(estimator).__qualname__}",
        "settings": {name: repr(value) for name, value in sorted(settings.items())},
    }


def sklearn_version() -> str:
    """Return the version of scikit-learn that is installed."""
    from importlib.metadata import version

    return version("scikit-learn")
