"""DataFrames are read by the names of their columns, arrays by position; what is no table is refused."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from mlearn_utils.meta.hyperparameters import tables
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.space import Integer, as_space

SPACE = {"a": (0.0, 1.0), "b": (0.0, 10.0)}
NAMES = ("size", "noise")


class Frame:
    """What is needed of a DataFrame: `columns`, a column by its label, and the whole as an array."""

    def __init__(self, columns):
        self._values = {label: np.asarray(value) for label, value in columns.items()}
        self.columns = list(columns)

    def __getitem__(self, label):
        return self._values[label]

    def __array__(self, dtype=None, copy=None):
        return np.stack(list(self._values.values()), axis=-1).astype(dtype)

    def __len__(self):
        return len(next(iter(self._values.values())))


class Row:
    """What is needed of a row of a pandas table."""

    ndim = 1

    def __init__(self, values):
        self.index, self._values = list(values), values

    def __getitem__(self, label):
        return self._values[label]


def frame(array, names, order=None):
    return Frame({names[k]: array[:, k] for k in order or range(len(names))})


def runs(seed=0):
    rng = np.random.default_rng(seed)
    x, h = np.repeat(rng.random((30, 2)), 8, axis=0), rng.random((240, 2)) * [1, 10]
    return x, h, x[:, 1] - (h[:, 0] - x[:, 0]) ** 2 - (h[:, 1] / 10 - 0.9) ** 2


def parabola():
    return make_pipeline(PolynomialFeatures(2), Ridge(1e-3))


@pytest.fixture(scope="module")
def model():
    return HyperparameterModel(parabola(), SPACE).fit(*runs())


def test_settings_are_taken_by_name(model):
    x, h, y = runs()
    swapped = HyperparameterModel(parabola(), SPACE).fit(x, frame(h, ("a", "b"), (1, 0)), y)
    assert np.array_equal(swapped.suggest([0.3, 0.5]), model.suggest([0.3, 0.5]))
    back = frame(h, ("a", "b"), (1, 0))
    assert np.array_equal(model.predict(x, back).mean, model.predict(x, h).mean)
    two = frame(h[:2], ("a", "b"), (1, 0))
    assert np.array_equal(model.adjust(x[0], two, y[:2]), model.adjust(x[0], h[:2], y[:2]))


def test_features_are_remembered_by_name(model, tmp_path):
    x, h, y = runs()
    named = HyperparameterModel(parabola(), SPACE).fit(frame(x, NAMES), h, y)
    named.save(tmp_path / "named")
    for one in (named, HyperparameterModel.load(tmp_path / "named", parabola())):
        turned = frame(x[:3], NAMES, (1, 0))
        assert np.array_equal(one.suggest(turned), model.suggest(x[:3]))
        assert np.array_equal(one.suggest(x[:3]), model.suggest(x[:3]))
        assert np.array_equal(one.suggest(Row({"noise": x[0, 1], "size": x[0, 0]})), model.suggest(x[0]))
        with pytest.raises(ValueError, match=r"task_features .* missing \['noise'\], unknown \['loud'\]"):
            one.suggest(Frame({"size": [1.0], "loud": [2.0]}))


def test_without_a_space_the_columns_name_it():
    x, h, y = runs()
    boxed = HyperparameterModel(parabola()).fit(x, frame(h, ("rate", "depth")), y)
    assert list(boxed.space or {}) == ["rate", "depth"]
    turned = frame(h, ("rate", "depth"), (1, 0))
    assert np.array_equal(boxed.predict(x, turned).mean, boxed.predict(x, h).mean)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("a", "c"), r"missing \['b'\], unknown \['c'\]"),
        (("a", "b", "extra"), r"missing \[\], unknown \['extra'\]"),
        (("a",), r"missing \['b'\], unknown \[\]"),
    ],
)
def test_other_columns_are_refused(model, columns, message):
    given = Frame({name: np.full(3, 0.5) for name in columns})
    with pytest.raises(ValueError, match=r"hyperparameters must have the columns \['a', 'b'\].*" + message):
        model.predict(np.zeros(2), given)


def test_a_column_that_is_there_twice_is_refused():
    given = Frame({"a": [1.0], "b": [1.0]})
    given.columns = ["a", "b", "a"]
    with pytest.raises(ValueError, match=r"more than once \['a'\]"):
        tables.in_order("hyperparameters", given, ["a", "b"])


def test_choices_are_read_as_they_are_written():
    space = as_space(
        {"optimizer": ["sgd", "adam"], "batch": [32, 64], "layers": Integer(1, 4), "rate": (0, 1)}
    )
    rows = [["adam", 64, 2, 0.25], ["sgd", 32.0, 4.0, 1]]
    codes = [[1, 1, 2, 0.25], [0, 0, 4, 1]]
    columns = dict(zip(space, zip(*rows, strict=True), strict=True))
    turned = {name: columns[name] for name in reversed(columns)}
    for given in (rows, np.array(rows, dtype=object), np.array(rows), Frame(columns), Frame(turned)):
        if not isinstance(given, np.ndarray) or given.dtype == object:
            assert tables.read_settings(space, given, 2).tolist() == codes
    with pytest.raises(ValueError, match=r"batch must be one of \[32, 64\], got '64'"):
        tables.read_settings(space, np.array(rows), 2)  # numpy made texts of all


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (["rmsprop", 1, 0.5], ValueError, r"optimizer must be one of \['sgd', 'adam'\], got 'rmsprop'"),
        (["sgd", 2.5, 0.5], ValueError, "layers must be whole numbers, got 2.5"),
        (["sgd", 9, 0.5], ValueError, r"layers = 9 is outside its range \[1, 4\]"),
        (["sgd", "two", 0.5], TypeError, "layers must be numbers, got .*'two'"),
        (["sgd", None, 0.5], ValueError, "hyperparameters must be finite, got nan"),
        (["sgd", 2, np.nan], ValueError, "hyperparameters must be finite, got nan"),
        (["sgd", 2], ValueError, "hyperparameters must have 3 columns, got 2"),
    ],
)
def test_settings_that_are_none_are_named(row, error, message):
    space = as_space({"optimizer": ["sgd", "adam"], "layers": Integer(1, 4), "rate": (0.0, 1.0)})
    with pytest.raises(error, match=message):
        tables.read_settings(space, [row], 2)
    with pytest.raises((TypeError, ValueError), match="hyperparameters must"):
        tables.read_settings(space, [["sgd", 1, 0.5], ["sgd"]], 2)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (["a", "b"], TypeError, "returns must be an array of numbers, got list"),
        (np.array(["0.5"], dtype=object), TypeError, "array of numbers, got ndarray of object"),
        (np.array(["0.5"]), TypeError, "returns must be an array of numbers, got ndarray of <U3"),
        (np.array([1 + 2j]), TypeError, "got ndarray of complex128"),
        ([[1.0], [1.0, 2.0]], TypeError, "returns must be an array of numbers, got list"),
        (torch.ones(2, requires_grad=True), TypeError, "returns must be an array of numbers, got Tensor"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), TypeError, "array of numbers"),
        ([[1.0]], ValueError, r"returns must have 1 axes, got shape \[1, 1\]"),
        ([0.0, np.inf], ValueError, r"returns must be finite, got inf at \[1\]"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        tables.read_numbers("returns", value, 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"task_features": np.zeros((0, 2))},
            r"task_features must have at least one row and column, got \[0, 2\]",
        ),
        ({"task_features": np.zeros((240, 0))}, "task_features must have at least one row and column"),
        ({"hyperparameters": np.zeros((240, 0))}, "hyperparameters must have at least one row and column"),
        ({"hyperparameters": np.zeros((0, 2))}, "hyperparameters must have at least one row and column"),
    ],
)
def test_empty_tables_are_refused(changed, message):
    x, h, y = runs()
    given = {"task_features": x, "hyperparameters": h, "returns": y} | changed
    with pytest.raises(ValueError, match=message):
        HyperparameterModel().fit(**given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.suggest(np.zeros((0, 2))), "task_features must have at least one row"),
        (lambda m: m.predict([0.1, 0.2], np.zeros((0, 2))), "same number of rows, got 1 and 0"),
        (lambda m: m.adjust(np.zeros((3, 2)), np.zeros((2, 1, 2)), np.zeros((2, 1))), r"got \[2, 1, 2\]"),
        (lambda m: m.suggest([0.1, 0.2], 1.0), "n must be an integer >= 1, got 1.0"),
        (lambda m: m.suggest([0.1, 0.2], True), "n must be an integer >= 1, got True"),
    ],
)
def test_empty_questions_and_other_tasks_are_refused(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_numbers_of_numpy_serve(model):
    same = HyperparameterModel(parabola(), SPACE, seed=np.int64(0)).fit(*runs())  # pyright: ignore
    found = same.suggest(np.array([0.25, 0.5], dtype=np.float32), np.int32(2))  # pyright: ignore
    assert np.array_equal(found, model.suggest([0.25, 0.5], 2))
