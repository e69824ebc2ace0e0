"""A model of returns finds settings that depend on the task, knows how sure it is, and refuses bad input."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from mlearn_utils.meta.checkpoint import save_checkpoint
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel

SPACE = {"rate": (0.01, 1.0, True), "epsilon": (0.0, 1.0)}


def best_settings(features):
    """The made-up truth: the best log-rate goes up with the first feature, the best epsilon down."""
    return np.stack([10 ** (-2 + 2 * features[..., 0]), 1 - features[..., 0]], axis=-1)


def true_return(features, settings):
    best = best_settings(features)
    far = np.stack([np.log10(settings[..., 0] / best[..., 0]) / 2, settings[..., 1] - best[..., 1]], axis=-1)
    return 1 - (far**2).sum(-1) + features[..., 1]


def table(n_tasks=40, runs=15, seed=0, noise=0.05):
    rng = np.random.default_rng(seed)
    features = np.repeat(rng.random((n_tasks, 2)), runs, axis=0)
    settings = np.stack([10 ** rng.uniform(-2, 0, n_tasks * runs), rng.random(n_tasks * runs)], axis=1)
    return features, settings, true_return(features, settings) + noise * rng.normal(size=len(features))


@pytest.fixture(scope="module")
def model():
    return HyperparameterModel(space=SPACE).fit(*table())


@pytest.fixture(scope="module")
def new_tasks():
    return np.random.default_rng(99).random((12, 2))


def regret(features, settings):
    return true_return(features, best_settings(features)) - true_return(features, settings)


def test_suggestions_follow_the_task(model, new_tasks):
    suggested = model.suggest(new_tasks)[:, 0]
    settings = table()[1]
    fixed = settings[:200]
    best_fixed = min(regret(new_tasks, np.tile(one, (12, 1))).mean() for one in fixed)
    assert regret(new_tasks, suggested).mean() < 0.5 * best_fixed
    assert suggested[new_tasks[:, 0].argmax(), 0] > suggested[new_tasks[:, 0].argmin(), 0]


def test_a_linear_model_suggests_the_same_for_every_task(new_tasks):
    linear = HyperparameterModel(LinearRegression(), SPACE).fit(*table())
    assert len(np.unique(linear.suggest(new_tasks)[:, 0], axis=0)) == 1


def test_any_regressor_serves_and_is_not_changed(new_tasks):
    class Mean:
        def fit(self, x, y):
            self.value = y.mean()
            return self

        def predict(self, x):
            return np.full(len(x), self.value)

    mean, forest = Mean(), RandomForestRegressor(10, random_state=0)
    assert HyperparameterModel(mean, SPACE).fit(*table()).suggest(new_tasks[0]).shape == (1, 2)
    assert not hasattr(mean, "value")
    fitted = HyperparameterModel(forest, SPACE).fit(*table())
    assert not hasattr(forest, "estimators_")
    assert fitted.score > 0.5


def test_predictions_are_calibrated_on_new_tasks(model):
    features, settings, returns = table(seed=5)
    mean, std = model.predict(features, settings)
    share = (np.abs(returns - mean) < 1.96 * std).mean()
    assert 0.9 < share < 0.99
    assert np.corrcoef(mean, returns)[0, 1] > 0.9


def test_the_standard_deviation_follows_the_noise():
    features, settings, returns = table()
    loud = features[:, 1] > 0.5
    returns = returns + np.where(loud, 1.0, 0.0) * np.random.default_rng(3).normal(size=len(returns))
    std = HyperparameterModel(space=SPACE).fit(features, settings, returns).predict(features, settings).std
    assert std[loud].mean() > 3 * std[~loud].mean()


def test_the_score_is_judged_on_tasks_left_out():
    rng = np.random.default_rng(0)
    features, settings, _ = table()
    luck = np.repeat(rng.normal(size=40), 15)  # each task's own level, which no feature tells
    model = HyperparameterModel(RandomForestRegressor(20, random_state=0), SPACE)
    assert model.fit(features, settings, luck).score < 0.1


def test_several_suggestions_hedge():
    features, settings, returns = table(noise=0.05)
    rng = np.random.default_rng(1)
    secret = np.repeat(rng.random(40), 15)  # the best epsilon is hidden: no feature tells it
    returns = 1 - 4 * (settings[:, 1] - secret) ** 2
    model = HyperparameterModel(space=SPACE).fit(features, settings, returns)
    tried = model.suggest(features[0], 4)
    assert np.ptp(tried[:, 1]) > 0.3
    assert len(np.unique(tried, axis=0)) == 4


def test_the_first_suggestion_has_the_largest_expected_return(model, new_tasks):
    first = model.suggest(new_tasks[0])
    others = model.suggest(new_tasks[0], 5)
    assert np.array_equal(first[0], others[0])
    means = model.predict(new_tasks[0], others).mean
    assert means[0] == means.max()


def test_adjusting_learns_what_features_do_not_tell():
    features, settings, _ = table()
    rng = np.random.default_rng(2)
    hidden = np.repeat(rng.random(40), 15)
    returns = 1 - 4 * (settings[:, 1] - hidden) ** 2
    parabola = make_pipeline(PolynomialFeatures(2), Ridge())
    model = HyperparameterModel(parabola, SPACE).fit(features, settings, returns)
    gained = []
    for secret in (0.05, 0.5, 0.95):
        tried, seen = model.suggest([0.5, 0.5]), np.zeros(0)
        for _ in range(6):
            seen = np.append(seen, 1 - 4 * (tried[-1, 1] - secret) ** 2)
            tried = np.concatenate([tried, model.adjust([0.5, 0.5], tried, seen)])
        gained.append(seen.max() - seen[0])
        assert seen.max() > 0.9
    assert max(gained) > 0.3


def test_without_results_adjust_is_suggest(model, new_tasks):
    nothing = model.adjust(new_tasks, np.zeros((12, 0, 2)), np.zeros((12, 0)), 3)
    assert np.array_equal(nothing, model.suggest(new_tasks, 3))


def test_many_tasks_at_once_are_the_tasks_one_by_one(model, new_tasks):
    tried = model.suggest(new_tasks[:5], 2)
    seen = np.random.default_rng(0).random((5, 2))
    together = model.adjust(new_tasks[:5], tried, seen, 2)
    for k in range(5):
        assert np.array_equal(together[k], model.adjust(new_tasks[k], tried[k], seen[k], 2))
    assert together.shape == (5, 2, 2)


def test_suggestions_stay_in_the_stated_space_and_otherwise_in_the_box_seen(new_tasks):
    features, settings, returns = table()
    near = (settings[:, 0] < 0.1) & (settings[:, 1] < 0.4)
    boxed = HyperparameterModel().fit(features[near], settings[near], returns[near])
    suggested = boxed.suggest(new_tasks, 4)
    assert (suggested >= settings[near].min(0)).all()
    assert (suggested <= settings[near].max(0)).all()
    stated = HyperparameterModel(space=SPACE).fit(features[near], settings[near], returns[near])
    assert stated.suggest(new_tasks, 4)[..., 1].max() > 0.4
    again = boxed.fit(features, settings, returns)  # a box is that of the latest fit
    assert again.space is not None
    assert again.space["1"].high > 0.9


@pytest.mark.parametrize("level", [2.0, 0.1 + 0.2, -1e9, 0.0])
def test_constant_returns_explain_nothing_and_make_nothing_certain(new_tasks, level):
    features, settings, returns = table()
    model = HyperparameterModel(LinearRegression(), SPACE).fit(
        features, settings, np.full_like(returns, level)
    )
    assert np.isnan(model.score)
    mean, std = model.predict(features, settings)
    assert np.allclose(mean, level)
    assert np.allclose(std, (abs(level) or 1) / np.sqrt(601))
    tried = model.suggest(new_tasks, 2)
    found = model.adjust(new_tasks, tried, np.full((12, 2), level))
    assert (np.abs(found - tried).max(axis=-1) > 1e-6).all()


def test_a_small_table_and_constant_columns_serve():
    features = np.repeat(np.arange(5.0)[:, None], 3, axis=0) * [1.0, 0.0]
    settings = np.tile([[0.1, 0.5], [0.2, 0.5], [0.3, 0.5]], (5, 1))
    returns = settings[:, 0] * 10
    model = HyperparameterModel().fit(features, settings, returns)
    assert model.suggest([2.0, 0.0]).shape == (1, 2)
    assert model.suggest([2.0, 0.0])[0, 0] > 0.2


def test_a_saved_model_is_the_same_model(tmp_path, model, new_tasks):
    model.save(tmp_path / "model.safetensors")
    loaded = HyperparameterModel.load(tmp_path / "model.safetensors")
    features, settings, _ = table(seed=7)
    for mine, theirs in zip(
        loaded.predict(features, settings), model.predict(features, settings), strict=True
    ):
        assert np.array_equal(mine, theirs)
    assert np.array_equal(loaded.suggest(new_tasks, 3), model.suggest(new_tasks, 3))
    assert loaded.space == model.space
    assert loaded.kernel == model.kernel


def test_a_saved_model_asks_for_its_own_estimator(tmp_path):
    path = tmp_path / "forest.safetensors"
    forest = RandomForestRegressor(5, random_state=0)
    saved = HyperparameterModel(forest).fit(*table())
    saved.save(path)
    with pytest.raises(ValueError, match=r"estimator: .*RandomForestRegressor"):
        HyperparameterModel.load(path)
    with pytest.raises(ValueError, match="estimator"):
        HyperparameterModel.load(path, RandomForestRegressor(6, random_state=0))
    loaded = HyperparameterModel.load(path, RandomForestRegressor(5, random_state=0))
    assert np.array_equal(loaded.predict(*table()[:2]).mean, saved.predict(*table()[:2]).mean)
    assert loaded.space == saved.space


def test_another_release_of_scikit_learn_is_said(tmp_path, model, monkeypatch):
    model.save(tmp_path / "model")
    monkeypatch.setattr("mlearn_utils.meta.hyperparameters.model.sklearn_version", lambda: "99.0")
    with pytest.warns(UserWarning, match=r"99\.0 may give slightly other"):
        HyperparameterModel.load(tmp_path / "model")


def test_a_file_of_another_kind_is_refused(tmp_path):
    save_checkpoint(tmp_path / "other", "MetaLearner", {}, {})
    with pytest.raises(ValueError, match="holds a MetaLearner, expected a HyperparameterModel"):
        HyperparameterModel.load(tmp_path / "other")


def test_equal_seeds_give_equal_models(new_tasks):
    one, two = (HyperparameterModel(space=SPACE, seed=3).fit(*table()) for _ in range(2))
    assert np.array_equal(one.suggest(new_tasks, 2), two.suggest(new_tasks, 2))
    other = HyperparameterModel(space=SPACE, seed=4).fit(*table())
    assert not np.array_equal(one.predict(*table()[:2]).mean, other.predict(*table()[:2]).mean)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task_features": np.full((600, 2), np.nan)}, "task_features must be finite, got nan"),
        ({"hyperparameters": np.full((600, 2), np.inf)}, "hyperparameters must be finite, got inf"),
        ({"returns": np.full(600, np.nan)}, "returns must be finite"),
        ({"returns": np.zeros(599)}, "one row a run, got 600, 600 and 599"),
        ({"returns": np.zeros((600, 1))}, "returns must have 1 axes"),
        ({"task_features": np.zeros((600, 2))}, "at least 5 different tasks, got 1"),
        ({"hyperparameters": np.full((600, 2), 2.0)}, r"rate = 2 is outside its range \[0.01, 1\]"),
        ({"hyperparameters": np.full((600, 3), 0.5)}, "hyperparameters must have 2 columns, got 3"),
    ],
)
def test_bad_tables_are_refused(changed, message):
    names = ("task_features", "hyperparameters", "returns")
    given = dict(zip(names, table(), strict=True)) | changed
    with pytest.raises(ValueError, match=message):
        HyperparameterModel(space=SPACE).fit(**given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.suggest([np.nan, 0.0]), "task_features must be finite, got nan at .1?0?"),
        (lambda m: m.suggest([0.1, 0.2, 0.3]), "task_features must have 2 columns, got 3"),
        (lambda m: m.suggest(0.1), "task_features must have 1 or 2 axes"),
        (lambda m: m.suggest([0.1, 0.2], 0), "n must be an integer >= 1, got 0"),
        (lambda m: m.suggest([0.1, 0.2], 513), "n must be at most 512"),
        (lambda m: m.predict([0.1, 0.2], [0.1, 1.5]), r"epsilon = 1.5 is outside its range \[0, 1\]"),
        (lambda m: m.predict([0.1, 0.2], [0.1]), "hyperparameters must have 2 columns, got 1"),
        (lambda m: m.predict(np.zeros((3, 2)), np.full((2, 2), 0.1)), "same number of rows, got 3 and 2"),
        (lambda m: m.adjust([0.1, 0.2], [[0.1, 0.1]], [1.0, 2.0]), r"must be \[k, H\] and \[k\]"),
        (lambda m: m.adjust([0.1, 0.2], [[3.0, 0.1]], [1.0]), "rate = 3 is outside"),
        (lambda m: m.adjust([0.1, 0.2], [[0.1, 0.1]], [np.nan]), "returns must be finite"),
    ],
)
def test_bad_questions_are_refused(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


@pytest.mark.parametrize("method", ["suggest", "predict", "adjust", "save"])
def test_nothing_works_before_fit(method, tmp_path):
    arguments = {
        "suggest": ([0.1, 0.2],),
        "predict": ([0.1, 0.2], [0.1, 0.2]),
        "adjust": ([0.1, 0.2], [[0.1, 0.2]], [1.0]),
        "save": (tmp_path / "x",),
    }
    with pytest.raises(RuntimeError, match=rf"call fit\(.*before {method}\(\)"):
        getattr(HyperparameterModel(), method)(*arguments[method])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"estimator": object()}, TypeError, "estimator must be an object with methods fit and predict"),
        (
            {"estimator": LinearRegression},
            TypeError,
            "estimator must be an object with methods fit and predict",
        ),
        ({"space": {}}, ValueError, "space must hold at least one"),
        ({"space": [(0, 1)]}, TypeError, "space must map names"),
        ({"space": {"rate": (1.0, 0.0)}}, ValueError, "low <= high"),
        ({"space": {"rate": (0.0, 1.0, True)}}, ValueError, "low must be > 0, got 0.0"),
        ({"space": {"rate": 3}}, TypeError, r"space\['rate'\] must be \(low, high\)"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0"),
    ],
)
def test_bad_models_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        HyperparameterModel(**arguments)


def test_importing_the_model_does_not_import_scikit_learn():
    code = "import sys, mlearn_utils.meta.hyperparameters.model; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
