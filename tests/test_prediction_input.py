"""Prediction refuses what does not fit the model, which stays as it was."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from checks import FITTED, X, Y, with_value
from models import METHODS, each_class


@pytest.mark.parametrize("method", METHODS)
@each_class
def test_features_that_cannot_be_used_are_refused(model, method):
    if not hasattr(model, method):
        return
    with pytest.raises(NotFittedError, match=type(model).__name__):
        getattr(clone(model), method)(X)
    fitted = FITTED[type(model)]
    state = joblib.hash(vars(fitted))
    predict = getattr(fitted, method)
    for bad, match in (
        (X[:, :3], "X has 3 features, but .* is expecting 5 features"),
        (np.hstack([X, X]), "X has 10 features, but .* is expecting 5 features"),
        (sparse.csr_array(X[:, :3]), "X has 3 features, but .* is expecting 5"),
        (with_value(X, np.nan), "Input X contains NaN"),
        (with_value(X, np.inf), "Input X contains infinity"),
        (X[:0], r"Found array with 0 sample\(s\)"),
        (X[0], "Expected 2D array, got 1D array"),
        (np.where(X > 0.0, "up", "down"), "could not convert string"),
    ):
        with pytest.raises(ValueError, match=match):
            predict(bad)
    assert joblib.hash(vars(fitted)) == state


@pytest.mark.parametrize("method", METHODS)
@each_class
def test_columns_go_by_their_names(model, method):
    pd = pytest.importorskip("pandas")
    if not hasattr(model, method):
        return
    frame = pd.DataFrame(X, columns=list("abcde"))
    predict = getattr(clone(model).fit(frame, Y), method)
    expected = predict(frame)
    with pytest.raises(ValueError, match="unseen at fit time:\n- z"):
        predict(frame.rename(columns={"b": "z"}))
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- b"):
        predict(frame.drop(columns="b"))
    with pytest.raises(ValueError, match="must be in the same order"):
        predict(frame[list("bacde")])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert_allclose(predict(X), expected)


@each_class
def test_score_refuses_targets_of_another_length(model):
    fitted = FITTED[type(model)]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.score(X, Y[:-1])
