"""Finite rows have finite outputs, even if products overflow; NaN stays NaN."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone

from models import (
    each_activation,
    each_model_and_solver,
    ignores_max_iter,
    independent_classes,
)
from sknn_simple import LogisticNN, OneHiddenMLP, Posterior


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("skip", [False, True])
@each_activation
@ignores_max_iter
def test_finite_rows_have_finite_outputs(activation, skip, container, dtype):
    X, y = independent_classes(3)
    network = OneHiddenMLP(4, activation, alpha=1.0, skip_connections=skip)
    network.set_params(random_state=0, max_iter=50).fit(X.astype(dtype), y)
    sign = np.random.default_rng(0).choice([-1.0, 1.0], (20, 5))
    for size in (np.finfo(dtype).max, np.finfo(dtype).max ** 0.5):
        rows = container((sign * size).astype(dtype))
        for model in (network, LogisticNN().fit(X.astype(dtype), y)):
            assert_finite_outputs(model, rows)


@ignores_max_iter
def assert_finite_outputs(model, rows):
    with np.errstate(all="raise", under="ignore"):
        probability = model.predict_proba(rows)
        for name in ("predict_log_proba", "decision_function", "transform"):
            if hasattr(model, name):
                assert np.isfinite(getattr(model, name)(rows)).all(), name
    assert np.isfinite(probability).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-6)
    likely = model.classes_[probability.argmax(axis=1)]
    assert (model.predict(rows) == likely).all()


@pytest.mark.parametrize("size", [1e-200, 1e-90, 1.0, 1e90])
@each_model_and_solver
def test_numpy_may_raise_on_floating_point_errors(model, solver, size):
    X, y = independent_classes(3)
    model = clone(model).set_params(solver=solver)
    with np.errstate(all="raise"):
        model.fit(size * X, y)
        for name in ("predict", "predict_proba", "predict_log_proba"):
            getattr(model, name)(size * X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@each_activation
@ignores_max_iter
def test_a_row_with_nan_has_nan_if_it_may_pass(activation, container, dtype):
    X, y = independent_classes(3)
    X = X.astype(dtype)
    network = OneHiddenMLP(4, activation, alpha=1.0, random_state=0, max_iter=50)
    rows = X[:4].copy()
    rows[1, 2] = np.nan
    rows[2] = np.finfo(dtype).max  # and is made shorter
    for model in (network.fit(X, y), LogisticNN(alpha=1.0).fit(X, y)):
        for name in ("predict_proba", "predict_log_proba", "transform"):
            if hasattr(model, name):
                with config_context(assume_finite=True), np.errstate(invalid="raise"):
                    output = getattr(model, name)(container(rows))
                assert np.isnan(output[1]).all(), name
                assert np.isfinite(output[[0, 2, 3]]).all(), name


@ignores_max_iter
def test_a_row_with_infinity_has_no_finite_guess_if_it_may_pass():
    X, y = independent_classes(3)
    model = LogisticNN(alpha=1.0).fit(X, y)
    for value in (np.inf, -np.inf):
        with config_context(assume_finite=True):
            probability = model.predict_proba(np.full((1, 5), value))
        assert np.isnan(probability).all()


def test_a_huge_row_keeps_its_direction():
    X, y = independent_classes(3)
    model = LogisticNN().fit(X, y)
    row = np.random.default_rng(0).standard_normal((50, 5))
    row /= np.abs(row).max(axis=1, keepdims=True)
    large = model.predict(row * 1e20)
    assert (model.predict(row * 1.7e308) == large).all()


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("model", [LogisticNN(), OneHiddenMLP(4, random_state=0)])
def test_a_posterior_has_finite_outputs_of_huge_rows(model, container):
    X, y = independent_classes(3)
    posterior = Posterior(model.set_params(alpha=1.0).fit(X, y), X, y)
    with np.errstate(all="raise", under="ignore"):
        large, huge = (
            (posterior.predict_proba(rows), *posterior.predict_interval(rows))
            for rows in (container(X[:4] * size) for size in (1e20, 1e300))
        )
    np.testing.assert_allclose(huge, large, atol=1e-9)
