"""The regressions that a model of settings is built on: what they must offer, and which is the default."""

from typing import Any, Protocol


class Regressor(Protocol):
    """What an estimator must offer: every regressor of scikit-learn does."""

    @property
    def fit(self) -> Any:
        """The method that learns from rows x [N, D] and values y [N]."""
        ...

    @property
    def predict(self) -> Any:
        """The method that returns values [N] for rows x [N, D]."""
        ...


def boosted_trees(rows: int, *, seed: int = 0) -> Any:
    """Return the default estimator: a hundred boosted trees with many rows in each leaf.

    Single runs are mostly luck, and a model that follows single runs suggests what was lucky once. So a leaf
    holds a thirtieth of the rows, or a hundred where there are many.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    settings: dict[str, Any] = {"early_stopping": False, "max_features": 0.5, "random_state": seed}
    return HistGradientBoostingRegressor(min_samples_leaf=min(100, max(1, rows // 30)), **settings)


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
