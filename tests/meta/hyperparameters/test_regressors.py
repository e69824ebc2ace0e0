"""Any regressor serves that follows scikit-learn's habits, or less; one that predicts no numbers is named."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlearn_utils.course.lesson_07.network import NetworkRegressor
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.regressors import fit_copy

SPACE = {"a": (0.0, 1.0), "b": (0.0, 1.0)}
RNG = np.random.default_rng(0)
X, H = np.repeat(RNG.random((20, 2)), 6, axis=0), RNG.random((120, 2))
Y = X[:, 0] * H[:, 0] - H[:, 1]


class Least:
    """Least squares in one's own torch code: fit returns nothing, predict a column."""

    def fit(self, x, y):
        self.weights = torch.linalg.lstsq(self.rows(x), torch.as_tensor(y)[:, None]).solution

    def predict(self, x):
        return self.rows(x) @ self.weights

    def rows(self, x):
        return torch.as_tensor(np.column_stack([x, np.ones(len(x))]))


def test_fit_may_return_nothing_and_predict_a_column():
    own = HyperparameterModel(Least(), SPACE).fit(X, H, Y)
    known = HyperparameterModel(LinearRegression(), SPACE).fit(X, H, Y)
    assert np.allclose(own.predict(X, H).mean, known.predict(X, H).mean)
    assert own.score == pytest.approx(known.score)
    assert np.array_equal(own.suggest(X[:3]), known.suggest(X[:3]))
    assert np.isfinite(own.adjust(X[0], H[:2], Y[:2])).all()


def test_what_fit_returns_is_not_used():
    class Chained:
        def fit(self, x, y):
            self.value = y.mean()
            return "done"

        def predict(self, x):
            return np.full(len(x), self.value)

    assert np.isfinite(HyperparameterModel(Chained(), SPACE).fit(X, H, Y).predict(X, H).mean).all()


@pytest.mark.parametrize(
    "estimator",
    [
        NetworkRegressor(epochs=1),
        KNeighborsRegressor(3),
        make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_regressors_serve(estimator):
    model = HyperparameterModel(estimator, SPACE).fit(X, H, Y)
    assert model.suggest(X[:2], 2).shape == (2, 2, 2)


def test_estimators_of_scikit_learn_are_cloned_and_others_copied():
    class Counts(BaseEstimator):
        calls: int

        def fit(self, x, y):
            self.calls = getattr(self, "calls", 0) + 1

        def predict(self, x):
            return np.zeros(len(x))

    class Own:
        calls: int
        fit, predict = Counts.fit, Counts.predict

    for kind, calls in ((Counts, 1), (Own, 2)):  # a clone forgets what was learned, a copy does not
        fitted = kind()
        fitted.fit(X, Y)
        assert fit_copy(fitted, X, Y, len(X), 0).calls == calls
        assert fitted.calls == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda n: np.zeros(n + 1), r"a number for each of \d+ rows, got shape \[\d+\] of float64"),
        (lambda n: np.zeros((n, 2)), r"got shape \[\d+, 2\]"),
        (lambda n: 0.0, r"got shape \[\] of float64"),
        (lambda n: None, r"got shape \[\] of object"),
        (lambda n: np.zeros(n, dtype=complex), "of complex128"),
        (lambda n: ["a"] * n, "got shape .* of <U1"),
        (lambda n: np.full(n, np.nan), r"predict must be finite, got nan for \d+ of \d+ rows"),
        (lambda n: np.full(n, -np.inf), "predict must be finite, got -inf"),
        (lambda n: torch.zeros(n, requires_grad=True), "predict must return an array"),
    ],
)
def test_predictions_that_are_no_numbers_are_refused(values, message):
    class Odd:
        def fit(self, x, y):
            return self

        def predict(self, x):
            return values(len(x))

    with pytest.raises(
        ValueError, match="estimator: Odd.predict must .*" + message if "must" not in message else message
    ):
        HyperparameterModel(Odd(), SPACE).fit(X, H, Y)
