"""OneHiddenMLP with fewer rows than columns: trained in the space of the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from models import (
    assert_same_bits,
    each_activation,
    each_network_solver,
    ignores_max_iter,
)
from sknn_simple import OneHiddenMLP

N, P = 30, 80
MODEL = OneHiddenMLP(4, "tanh", alpha=1.0, tol=1e-6, max_iter=5000, random_state=0)


def wide(n_classes=3, n=N, p=P):
    """Columns of a few factors and noise, in very different units; some are zero."""
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((n, 5))
    X = factors @ rng.standard_normal((5, p)) + rng.standard_normal((n, p))
    scores = factors @ rng.standard_normal((5, n_classes))
    X[np.abs(X) < 0.3] = 0.0
    return X * 10.0 ** rng.uniform(-3, 3, p), scores.argmax(axis=1)


def gradient_over_all_columns(model, X, y):
    """Evaluate J at the model without a step, which takes place over all columns."""
    return model.set_params(warm_start=True, max_iter=0).fit(X, y).grad_norm_


@ignores_max_iter
@each_network_solver
@pytest.mark.parametrize("skip", [False, True], ids=["", "skip connections"])
def test_the_gradient_over_all_columns_is_zero(solver, skip):
    X, y = wide()
    model = clone(MODEL).set_params(solver=solver, skip_connections=skip).fit(X, y)
    assert model.converged_
    assert gradient_over_all_columns(model, X, y) < 1e-5


@each_activation
def test_the_weights_lie_in_the_space_of_the_rows(activation):
    X, y = wide()
    model = clone(MODEL).set_params(activation=activation, tol=1e-3).fit(X, y)
    Z = (X - X.mean(axis=0)) / model.scale_
    omega = model.coefs_[0] * model.scale_[:, None]
    inside = Z.T @ np.linalg.lstsq(Z.T, omega, rcond=1e-10)[0]
    assert_allclose(omega, inside, atol=1e-7 * np.abs(omega).max())


def test_early_stopping_uses_all_columns_and_finds_a_similar_loss():
    X, y = wide()
    model = clone(MODEL).set_params(early_stopping=True, n_iter_no_change=5000)
    stopped = model.fit(X, y, X_val=X, y_val=y)
    assert_allclose(stopped.loss_, clone(MODEL).fit(X, y).loss_, rtol=0.05)


@pytest.mark.parametrize("labels", ["two classes", "three classes", "labels"])
def test_sparse_is_dense(labels):
    X, y = wide(2 if labels == "two classes" else 3)
    y = np.eye(3, dtype=int)[y] if labels == "labels" else y
    dense, other = clone(MODEL).fit(X, y), clone(MODEL).fit(sparse.csr_array(X), y)
    assert_allclose(dense.predict_proba(X), other.predict_proba(X), atol=1e-9)


def test_the_units_of_the_columns_change_no_bit_of_the_path():
    X, y = wide()
    scale = 10.0 ** np.random.default_rng(1).uniform(-3, 3, P)
    one, other = clone(MODEL).fit(X, y), clone(MODEL).fit(X * scale + 3.0 * scale, y)
    assert_array_equal(one.loss_curve_, other.loss_curve_)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("alpha", [1.0, "auto"])
def test_weights_are_repeated_rows_in_any_order(alpha, form):
    X, y = wide()
    times = np.random.default_rng(0).integers(1, 5, N)
    order = np.random.default_rng(1).permutation(times.sum())
    model = clone(MODEL).set_params(alpha=alpha, tol=1e-3)
    weighted = clone(model).fit(form(X), y, sample_weight=times)
    rows = np.repeat(np.arange(N), times)[order]
    repeated = clone(model).fit(form(X[rows]), y[rows])
    assert_same_bits(weighted, repeated, X)


def test_threads_and_jobs_change_no_bit():
    X, y = wide(n=60, p=1000)
    model = clone(MODEL).set_params(alpha="auto", tol=1e-3, n_init=2)
    with threadpool_limits(1):
        alone = clone(model).fit(X, y)
    with threadpool_limits(2):
        assert_same_bits(alone, clone(model).fit(X, y), X)
    assert_same_bits(alone, clone(model).set_params(n_jobs=2).fit(X, y), X)


def test_a_warm_start_begins_where_the_last_fit_ended():
    X, y = wide()
    model = clone(MODEL).set_params(warm_start=True).fit(X, y)
    expected = model.predict_proba(X)
    assert model.fit(X, y).n_iter_ <= 10
    assert_allclose(model.predict_proba(X), expected, atol=1e-3)


def test_single_precision_and_constant_columns():
    X, y = wide()
    X[:, ::3] = 7.0
    model = clone(MODEL).fit(X.astype(np.float32), y)
    assert model.coefs_[0].dtype == np.float32
    assert_allclose(
        model.predict_proba(X.astype(np.float32)),
        clone(MODEL).fit(X, y).predict_proba(X),
        atol=0.02,
    )
    constant = clone(MODEL).fit(np.full((N, P), 3.0), y)
    shares = np.bincount(y) / N
    assert_allclose(constant.predict_proba(np.full((1, P), 3.0))[0], shares, atol=1e-4)
