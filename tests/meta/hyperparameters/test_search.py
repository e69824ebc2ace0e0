"""What is suggested: nothing twice, good settings among many, and what is said when all were tried."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from mlearn_utils.meta.hyperparameters.candidates import spread_points
from mlearn_utils.meta.hyperparameters.ensemble import fit_ensemble
from mlearn_utils.meta.hyperparameters.expected_improvement import expected_improvement
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.residual_process import condition
from mlearn_utils.meta.hyperparameters.search import Search
from mlearn_utils.meta.hyperparameters.space import Integer


class Exact:
    """An estimator that is right: it knows the best point of the unit cube, which may go with the feature."""

    def __init__(self, best, slope=0.0):
        self.best, self.slope = best, slope

    def fit(self, x, y):
        pass

    def predict(self, x):
        return -((x[:, 1:] - self.best - self.slope * x[:, :1]) ** 2).sum(axis=1)


def table(low, high, n=300, seed=0):
    """Return features [N, 1] of ten tasks, and settings [N, H] spread over a box."""
    rng = np.random.default_rng(seed)
    return np.repeat(np.arange(10.0), n // 10)[:, None], rng.uniform(low, high, (n, len(low)))


def adjusted(model, returns, count, task=(0.5,)):
    """Return [count, H] what is suggested, one after the other, with what each earned."""
    tried, seen = model.suggest(task), []
    for _ in range(count - 1):
        seen = np.array([returns(row) for row in tried])
        tried = np.concatenate([tried, model.adjust(task, tried, seen)])
    return tried


@pytest.mark.parametrize("space", [{"a": (0.0, 1.0), "fixed": (3.0, 3.0)}, None], ids=["stated", "seen"])
def test_a_setting_that_does_not_vary_makes_nothing_repeat(space):
    x, h = table([0.0], [1.0], 120)
    returns = 1 - (h[:, 0] - 0.57) ** 2
    h = np.column_stack([h, np.full(120, 3.0)])
    parabola = make_pipeline(PolynomialFeatures(2), Ridge())
    model = HyperparameterModel(parabola, space).fit(x, h, returns)
    without = HyperparameterModel(parabola, space and {"a": (0.0, 1.0)}).fit(x, h[:, :1], returns)
    both = adjusted(model, lambda row: 1 - (row[0] - 0.57) ** 2, 8)
    assert (both[:, 1] == 3).all()
    assert len(np.unique(both[:, 0].round(6))) == 8
    alone = adjusted(without, lambda row: 1 - (row[0] - 0.57) ** 2, 8)
    assert both[0, 0] == pytest.approx(alone[0, 0], abs=0.02)


def test_a_fixed_setting_has_no_say_in_predictions():
    x, h = table([0.0, 3.0], [1.0, 3.0 + 1e-10], 100)
    model = HyperparameterModel(space={"a": (0.0, 1.0), "fixed": (3.0, 3.0)}).fit(x, h, h[:, 0])
    assert (
        model.predict([[1.0]], [[0.4, 3.0]]).mean == model.predict([[1.0]], [[0.4, 3.0 + 1e-9]]).mean
    ).all()


def test_no_setting_is_suggested_twice_until_all_were_and_then_that_is_said():
    space = {"layers": Integer(1, 4), "adam": Integer(0, 1)}
    x, h = table([0.5, -0.5], [4.5, 1.5])
    h = np.clip(np.rint(h), [1, 0], [4, 1])
    model = HyperparameterModel(LinearRegression(), space).fit(x, h, h[:, 0] / 4 + h[:, 1])
    tried = adjusted(model, lambda row: row[0] / 4 + row[1], 8)
    assert np.array_equal(np.unique(tried, axis=0), np.unique(h, axis=0))
    seen = tried[:, 0] / 4 + tried[:, 1]
    with pytest.warns(UserWarning, match="all 8 settings of the space were tried: some are suggested again"):
        again = model.adjust([0.5], tried, seen)
    assert again.tolist() == [[4, 1]]
    with pytest.warns(UserWarning, match="all but 2 of 8 settings of the space were tried"):
        three = model.adjust([0.5], tried[:6], seen[:6], 3)
    assert len(np.unique(three, axis=0)) == 3
    assert {tuple(row) for row in tried[6:]} < {tuple(row) for row in three}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(np.unique(model.suggest([0.5], 8), axis=0)) == 8
        model.adjust([0.5], np.tile(tried[:1], (9, 1)), np.ones(9))  # one setting, many runs
    with pytest.raises(ValueError, match="n must be at most 8, the number of different settings, got 9"):
        model.suggest([0.5], 9)


def test_choices_are_suggested_as_they_were_written_and_follow_the_task():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.random((40, 1)), 12, axis=0)
    names = np.array(["sgd", "adam", "lion"], dtype=object)[rng.integers(3, size=480)]
    batch, rate = rng.choice([32, 64], 480), rng.random(480)
    h = np.stack([names, batch.astype(object), rate.astype(object)], axis=1)
    good = np.where(x[:, 0] < 0.5, names == "adam", names == "lion")
    returns = good + (batch == 64) * 0.5 - (rate - 0.3) ** 2
    space = {"optimizer": ["sgd", "adam", "lion"], "batch": [32, 64], "rate": (0.0, 1.0)}
    model = HyperparameterModel(space=space).fit(x, h, returns)
    found = model.suggest([[0.2], [0.9]], 2)
    assert found.shape == (2, 2, 3)
    assert found.dtype == object
    assert found[:, 0, :2].tolist() == [["adam", 64], ["lion", 64]]
    assert [type(value) for value in found[0, 0]] == [str, int, float]
    assert model.adjust([0.2], found[0], [1.0, 0.5]).shape == (1, 3)
    mean = model.predict([0.2], [["adam", 64, 0.3], ["sgd", 64, 0.3]]).mean
    assert mean[0] > mean[1] + 0.5


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_is_right_finds_more_than_the_best_row_of_its_table(seed):
    best = np.array([0.3, 0.62, 0.51, 0.44, 0.71, 0.58])
    x, h = table([0.0] * 6, [1.0] * 6, seed=seed)
    returns = -((h - best) ** 2).sum(axis=1)
    model = HyperparameterModel(Exact(best), {f"x{k}": (0.0, 1.0) for k in range(6)}, seed=seed)
    found = -((model.fit(x, h, returns).suggest([0.5])[0] - best) ** 2).sum()
    assert found > max(returns.max(), -0.02)


def test_each_of_many_tasks_is_refined_by_itself():
    x, h = table([0.0] * 3, [1.0] * 3)
    model = HyperparameterModel(Exact(0.5, 0.2), dict.fromkeys("abc", (0.0, 1.0)))
    model.fit(x, h, Exact(0.5, 0.2).predict(np.column_stack([x, h])))
    tasks = np.array([[2.0], [4.5], [7.0]])
    best = 0.5 + 0.2 * (tasks - x.mean()) / x.std()
    assert model.suggest(tasks)[:, 0] == pytest.approx(np.tile(best, 3), abs=0.06)
    assert np.array_equal(model.suggest(tasks)[1], model.suggest(tasks[1]))


def test_candidates_are_refined_by_what_they_may_improve_after_results():
    x, h = table([0.0] * 2, [1.0] * 2)
    model = HyperparameterModel(Exact(0.5, 0.1), dict.fromkeys("ab", (0.0, 1.0))).fit(x, h, h[:, 0] + x[:, 0])
    ensemble = fit_ensemble(Exact(0.5, 0.1), x, h, h[:, 0] + x[:, 0], x[:, 0].astype(int), 0)
    tried = np.random.default_rng(0).random((2, 3, 2))
    seen, tasks = np.array([[-1.0, 0.5, 0.2], [0.0, 0.1, -0.3]]), np.array([[1.0], [6.0]])
    assert model.space is not None
    search = Search(ensemble, model.space, tasks, tried, seen, 1, 0)
    found, before = search.judge(np.random.default_rng(1).random((2, 5, 2))), search.judge(tried)
    gain, expected = search.rate(found, before)
    for i in range(2):
        residuals = (seen[i] - before.mean[i]) / before.std[i]
        shift, variance = condition(ensemble.kernel, tried[i], residuals, found.points[i])
        corrected = found.mean[i] + found.std[i] * shift
        spread = found.std[i] * np.sqrt(variance)
        assert np.allclose(expected[i], corrected)
        assert np.allclose(gain[i], expected_improvement(corrected, spread, seen[i].max()))


def test_a_linear_model_finds_its_corner():
    x, h = table([0.0] * 6, [1.0] * 6)
    signs = np.array([1, -1, 1, 1, -1, 1.0])
    model = HyperparameterModel(LinearRegression(), {f"x{k}": (0.0, 1.0) for k in range(6)})
    assert np.array_equal(model.fit(x, h, h @ signs).suggest([0.5])[0], (signs + 1) / 2)


def test_one_setting_is_enough_and_never_the_same_twice():
    x, h = table([0.0], [1.0], 100)
    model = HyperparameterModel(Exact(0.3), {"a": (0.0, 1.0)}).fit(x, h, -((h[:, 0] - 0.3) ** 2))
    many = model.suggest([0.5], 200)
    assert len(np.unique(many.round(8))) == 200
    assert many[0, 0] == pytest.approx(0.3, abs=0.01)
    tried = np.concatenate([many, spread_points(512, 1, seed=0)])  # all there was to choose from at first
    after = model.adjust([0.5], tried, -((tried[:, 0] - 0.3) ** 2), 5)
    assert len(np.unique(after.round(8))) == 5
    assert np.abs(after - tried[:, 0]).min() > 1e-6
    with pytest.raises(ValueError, match="n must be at most 512, got 513"):
        model.suggest([0.5], 513)


def test_the_scale_of_returns_does_not_matter():
    x, h = table([0.0, 0.0], [1.0, 1.0], 200)
    returns = np.sin(5 * h[:, 0]) + h[:, 1] * x[:, 0] + np.random.default_rng(0).normal(size=200)
    space = {"a": (0.0, 1.0), "b": (0.0, 1.0)}
    plain, tiny = (HyperparameterModel(space=space).fit(x, h, returns * scale) for scale in (1.0, 2.0**-40))
    tried = plain.suggest([0.5], 3)
    assert np.array_equal(tiny.suggest([0.5], 3), tried)
    seen = np.array([1.0, -0.5, 0.3])
    assert np.array_equal(tiny.adjust([0.5], tried, seen * 2.0**-40), plain.adjust([0.5], tried, seen))
