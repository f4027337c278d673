"""The methods of prediction belong together."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from models import (
    classes,
    each_comparable_model,
    fit,
    ignores_max_iter,
    outputs,
)

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


@each_comparable_model
@pytest.mark.parametrize("n_classes", [2, 3])
def test_outputs_belong_together(model, n_classes):
    X, y = classes(n_classes)
    fitted = fit(model, X, y)
    p, raw = fitted.predict_proba(X), fitted.decision_function(X)
    assert p.shape == (len(X), n_classes)
    assert raw.shape == ((len(X),) if n_classes == 2 else (len(X), n_classes))
    assert_allclose(p.sum(axis=1), 1.0)
    assert_allclose(fitted.predict_log_proba(X), np.log(p), rtol=1e-9, atol=1e-12)
    assert_array_equal(fitted.predict(X), fitted.classes_[p.argmax(axis=1)])
    if n_classes == 2:
        assert_allclose(p[:, 1], 1 / (1 + np.exp(-raw)))
    else:
        assert_array_equal(raw.argmax(axis=1), p.argmax(axis=1))


@pytest.mark.parametrize("size", [1e3, 1e6, 1e30, 1e100, 1e300])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_comparable_model
def test_outputs_are_finite_at_extreme_inputs(model, n_classes, size):
    X, y = classes(n_classes)
    fitted = fit(model, X, y)
    far = size * np.sign(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p, log_p = fitted.predict_proba(far), fitted.predict_log_proba(far)
    assert np.isfinite(p).all()
    assert np.isfinite(log_p).all()
    assert_allclose(p.sum(axis=1), 1.0)
    assert np.all(log_p <= 0.0)
    assert_array_equal(fitted.classes_[p.argmax(axis=1)], fitted.predict(far))


@each_comparable_model
def test_predictions_row_by_row_are_those_of_the_whole(model, large):
    X, y = large
    fitted = clone(model).set_params(max_iter=2).fit(X, y)
    whole = outputs(fitted, X)
    for rows in (slice(0, 1), slice(777, 790), slice(15_000, 20_000)):
        for name, expected in whole.items():
            part = getattr(fitted, name)(X[rows])
            assert_allclose(part, expected[rows], rtol=1e-9, atol=1e-12, err_msg=name)
