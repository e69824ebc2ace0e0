"""A saved model is the model again, whatever its arrays and its space; a damaged file is refused in words."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from mlearn_utils.meta.checkpoint import load_checkpoint, save_checkpoint
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.hyperparameters.space import Integer

SPACE = {"a": (0.0, 1.0), "layers": Integer(1, 4)}
KIND = "HyperparameterModel"


def runs(n=60):
    rng = np.random.default_rng(0)
    x, h = (
        np.repeat(rng.random((n // 4, 2)), 4, axis=0),
        np.column_stack([rng.random(n), rng.integers(1, 5, n)]),
    )
    return x, h, x[:, 0] + h[:, 0] - h[:, 1]


def fitted(*table, space=None):
    return HyperparameterModel(LinearRegression(), space or SPACE).fit(*(table or runs()))


def saved_and_loaded(model, path):
    model.save(path)
    return HyperparameterModel.load(path, LinearRegression())


def locked(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "given",
    [lambda a: a[::-1], np.asfortranarray, locked, lambda a: np.repeat(a, 2, axis=0)[::2], np.ndarray.tolist],
    ids=["reversed", "Fortran", "read-only", "strided", "lists"],
)
def test_arrays_of_any_make_are_saved(given, tmp_path):
    model = fitted(*(given(array) for array in runs()))
    loaded = saved_and_loaded(model, tmp_path / "model")
    x, h, _ = runs()
    assert np.array_equal(loaded.predict(x, h).mean, model.predict(x, h).mean)
    assert np.array_equal(loaded.predict(x, h).std, model.predict(x, h).std)
    assert loaded.kernel == model.kernel


def test_later_changes_of_the_table_change_nothing(tmp_path):
    x, h, y = runs()
    model = fitted(x, h, y)
    before = model.predict(*runs()[:2]).mean
    for array in (x, h, y):
        array[:] = 1.0
    assert np.array_equal(model.predict(*runs()[:2]).mean, before)
    assert np.array_equal(saved_and_loaded(model, tmp_path / "model").predict(*runs()[:2]).mean, before)


def test_choices_and_integers_are_saved(tmp_path):
    x, h, y = runs()
    settings = np.column_stack([h.astype(object), np.array(["sgd", "adam", None, True] * 15, dtype=object)])
    settings[:, 1] = h[:, 1].astype(int)
    space = {**SPACE, "optimizer": ["sgd", "adam", None, True]}
    model = fitted(x, settings, y, space=space)
    loaded = saved_and_loaded(model, tmp_path / "model")
    assert loaded.space == model.space
    assert loaded.suggest(x[:3], 2).tolist() == model.suggest(x[:3], 2).tolist()


def test_a_box_that_was_seen_is_seen_anew_after_loading(tmp_path):
    x, h, y = runs()
    loaded = saved_and_loaded(HyperparameterModel(LinearRegression()).fit(x, h, y), tmp_path / "model")
    assert loaded.fit(x, h * 3, y).suggest(x[0]).max() > 1


@pytest.mark.parametrize("stated", [True, False])
def test_files_of_before_names_were_stored_are_read(stated, tmp_path):
    space = {"a": (0.0, 1.0), "layers": (1.0, 4.0, True)} if stated else None
    model = HyperparameterModel(LinearRegression(), space).fit(*runs())
    model.save(tmp_path / "new")
    tensors, facts = load_checkpoint(tmp_path / "new", KIND)
    del facts["stated"], facts["features"]
    old_space = {"a": [0.0, 1.0, False], "layers": [1.0, 4.0, True]} if stated else None
    save_checkpoint(tmp_path / "old", KIND, tensors, facts | {"space": old_space})
    old = HyperparameterModel.load(tmp_path / "old", LinearRegression())
    assert old.space == model.space
    assert np.array_equal(old.predict(*runs()[:2]).mean, model.predict(*runs()[:2]).mean)


@pytest.mark.parametrize(
    ("facts", "tensors", "message"),
    [
        ({"space": ...}, {}, r"other facts than expected: missing \['space'\], unknown \[\]"),
        ({"estimator": ..., "seed": ...}, {}, r"missing \['estimator', 'seed'\]"),
        ({"more": 1}, {}, r"other facts than expected: missing \[\], unknown \['more'\]"),
        ({"space": {"a": 3}}, {}, "space must be stored as ranges by name"),
        ({"space": [1, 2]}, {}, "space must be stored as ranges by name"),
        ({"space": {"a": [0.0, 1.0]}}, {}, "hyperparameters must have 1 columns, got 2"),
        ({"seed": "one"}, {}, "seed must be an integer >= 0, got 'one'"),
        ({"features": ["x"]}, {}, r"must name each of 2 features, got \['x'\]"),
        ({"features": 3}, {}, "must name each of 2 features, got 3"),
        ({}, {"returns": ...}, r"other tensors than expected: missing \['returns'\]"),
        ({}, {"weights": torch.zeros(2)}, r"unknown \['weights'\]"),
        ({}, {"returns": torch.zeros(60)}, "float64 tensors, got {'returns': 'torch.float32'}"),
        ({}, {"returns": torch.zeros(59).double()}, "one row a run, got 60, 60 and 59"),
        ({}, {"returns": torch.full((60,), torch.nan).double()}, "returns must be finite"),
        ({}, {"hyperparameters": torch.full((60, 2), 9.0).double()}, "a = 9 is outside its range"),
    ],
    ids=str,
)
def test_a_file_that_is_no_model_is_refused(facts, tensors, message, tmp_path):
    fitted().save(tmp_path / "model")
    found = load_checkpoint(tmp_path / "model", KIND)
    changed = [
        {k: v for k, v in (a | b).items() if v is not ...}
        for a, b in zip(found, (tensors, facts), strict=True)
    ]
    save_checkpoint(tmp_path / "model", KIND, *changed)
    with pytest.raises(ValueError, match=message):
        HyperparameterModel.load(tmp_path / "model", LinearRegression())


def test_facts_that_are_no_names_are_refused(tmp_path):
    save_checkpoint(tmp_path / "model", KIND, {}, [])  # pyright: ignore
    with pytest.raises(ValueError, match="must hold facts by name"):
        HyperparameterModel.load(tmp_path / "model")
