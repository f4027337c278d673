"""OneHiddenMLP(alpha="auto"): what the search for alpha does not depend on."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import AdaBoostClassifier

from checks import assert_same_search, assert_search_is_consistent
from models import (
    CHOOSING,
    LINEAR,
    SHORT_CHOOSING,
    assert_same_bits,
    classes,
    fit,
    ignores_max_iter,
    labels,
)

X, Y = classes(2, 150, flip_y=0.3)
WEIGHTS = np.random.default_rng(0).integers(0, 4, len(Y))


def assert_alike(one, other, X, Z=None):
    assert_allclose(other.alpha_, one.alpha_, rtol=1e-12)
    mean, expected = (m.cv_results_["mean_log_loss"] for m in (other, one))
    assert_allclose(mean, expected, rtol=1e-6)
    expected = one.predict_proba(X)
    assert_allclose(other.predict_proba(X if Z is None else Z), expected, atol=1e-7)


@ignores_max_iter
@pytest.mark.parametrize("target", [2, 3, "labels"])
def test_the_order_of_the_rows(target):
    X, y = labels(150) if target == "labels" else classes(target, 150, flip_y=0.3)
    order = np.random.default_rng(0).permutation(len(y))
    assert_alike(fit(SHORT_CHOOSING, X, y), fit(SHORT_CHOOSING, X[order], y[order]), X)


@ignores_max_iter
@pytest.mark.parametrize("seed", range(3))
def test_units_and_origins(seed):
    rng = np.random.default_rng(seed)
    factor = 10.0 ** rng.integers(-6, 7, X.shape[1])
    Z = (X + 3.0 * rng.normal(size=X.shape[1])) * factor
    assert_alike(fit(SHORT_CHOOSING, X, Y), fit(SHORT_CHOOSING, Z, Y), X, Z)


def test_powers_of_two_change_no_bit():
    # A factor that rounds nothing: the search and the whole fit have the same bits.
    factor = 2.0 ** np.array([-20, -7, 0, 3, 11, 20])
    one, other = fit(CHOOSING, X, Y), fit(CHOOSING, X * factor, Y)
    assert_same_search(one, other)
    assert other.loss_curve_ == one.loss_curve_
    assert_array_equal(other.predict_proba(X * factor), one.predict_proba(X))


@ignores_max_iter
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("params", [{}, {"class_weight": "balanced"}], ids=str)
def test_weights_instead_of_repeated_rows(container, params):
    model = clone(SHORT_CHOOSING).set_params(**params)
    weighted = fit(model, container(X), Y, sample_weight=WEIGHTS)
    rows = np.repeat(np.arange(len(Y)), WEIGHTS)
    repeated = fit(model, container(X[rows]), Y[rows])
    assert_alike(weighted, repeated, X)
    kept = WEIGHTS > 0
    removed = fit(model, container(X[kept]), Y[kept], sample_weight=WEIGHTS[kept])
    assert_same_search(weighted, removed)
    assert_same_bits(weighted, removed, X)


@ignores_max_iter
@pytest.mark.parametrize("params", [{}, {"class_weight": "balanced"}], ids=str)
def test_weights_of_a_table_with_few_distinct_rows(params):
    # Equal rows of both classes.
    codes = np.random.default_rng(0).integers(4, size=len(Y))
    Z, model = np.eye(4)[codes], clone(SHORT_CHOOSING).set_params(**params)
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(Y)), WEIGHTS))
    weighted = fit(model, Z, Y, sample_weight=WEIGHTS)
    assert_alike(weighted, fit(model, Z[rows], Y[rows]), Z)
    one, small = fit(model, Z, Y), fit(model, Z, Y, sample_weight=np.full(len(Y), 0.01))
    assert_allclose(small.alpha_, 0.01 * one.alpha_, rtol=1e-9)


@ignores_max_iter
def test_sparse_or_dense():
    Z = X * (X > 0.3)
    assert_alike(
        fit(SHORT_CHOOSING, Z, Y), fit(SHORT_CHOOSING, sparse.csr_array(Z), Y), Z
    )


@ignores_max_iter
@pytest.mark.parametrize("scale", [1e-200, 1e-6, 1.0 / len(Y)])
def test_the_scale_of_small_weights(scale):
    one = fit(SHORT_CHOOSING, X, Y)
    other = fit(SHORT_CHOOSING, X, Y, sample_weight=np.full(len(Y), scale))
    assert_allclose(other.alpha_, scale * one.alpha_, rtol=1e-9)
    losses = [m.cv_results_["mean_log_loss"] for m in (one, other)]
    assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-7)


@ignores_max_iter
@pytest.mark.parametrize("model", [SHORT_CHOOSING, LINEAR], ids=["network", "linear"])
@pytest.mark.parametrize("scale", [1e-6, 0.01])
def test_the_scale_of_small_weights_of_validation_rows(model, scale):
    rest, val = slice(0, 100), slice(100, None)
    rows = {"X_val": X[val], "y_val": Y[val]}
    one = fit(model, X[rest], Y[rest], **rows)
    weight = np.full(50, scale)
    other = fit(model, X[rest], Y[rest], **rows, sample_weight_val=weight)
    assert_alike(one, other, X)


@ignores_max_iter
@pytest.mark.parametrize("scale", [3.0, 1e200])
def test_large_weights_count_as_more_rows(scale):
    # One row more of another class then weighs less.
    one = fit(SHORT_CHOOSING, X, Y)
    other = fit(SHORT_CHOOSING, X, Y, sample_weight=np.full(len(Y), scale))
    tried, losses = (
        [m.cv_results_[name][:2] for m in (one, other)]
        for name in ("alpha", "mean_log_loss")
    )
    assert_allclose(tried[1], scale * tried[0], rtol=1e-9)
    assert (losses[1] < losses[0]).all()
    assert_allclose(losses[1], losses[0], rtol=0.1)
    if scale == 3.0:
        rows = np.repeat(np.arange(len(Y)), 3)
        assert_alike(other, fit(SHORT_CHOOSING, X[rows], Y[rows]), X)


def test_single_precision_chooses_alike():
    one, other = fit(CHOOSING, X, Y), fit(CHOOSING, X.astype(np.float32), Y)
    assert other.coefs_[0].dtype == np.float32
    assert_search_is_consistent(other)
    n = min(len(m.cv_results_["alpha"]) for m in (one, other))
    losses = [m.cv_results_["mean_log_loss"][:n] for m in (one, other)]
    assert_allclose(*losses, rtol=0.02)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_jobs_change_no_bit(backend):
    alone = fit(CHOOSING, X, Y)
    with joblib.parallel_config(backend, n_jobs=2):
        together = fit(CHOOSING, X, Y)
    assert_same_search(alone, together)
    assert_same_bits(alone, together, X)


def test_a_search_inside_parallel_fits():
    ensemble = AdaBoostClassifier(
        clone(CHOOSING).set_params(tol=1e-2), n_estimators=3, random_state=0
    ).fit(X, Y)
    # Its weights sum to 1.
    for member in ensemble.estimators_:
        assert_search_is_consistent(member)
        assert member.cv_results_["alpha"][0] == pytest.approx(0.25, rel=1e-6)
    assert ensemble.score(X, Y) > 0.6
