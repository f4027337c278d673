"""A target of several labels: one independent logistic output for each."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier

from models import (
    EXACT_LINEAR,
    assert_same_bits,
    each_comparable_model,
    fit,
    ignores_max_iter,
    labels,
)
from sknn_simple import LogisticNN

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


@each_comparable_model
def test_labels_are_independent_logistic_outputs(model):
    X, y = labels()
    fitted = fit(model, X, y)
    peer = MLPClassifier((3,), max_iter=2, solver="lbfgs").fit(X, y)
    assert_array_equal(fitted.classes_, peer.classes_)
    for name in ("predict", "predict_proba"):
        one, other = getattr(fitted, name)(X), getattr(peer, name)(X)
        assert type(one) is type(other)
        assert one.shape == other.shape
        assert one.dtype == other.dtype
    raw = fitted.decision_function(X)
    assert_allclose(fitted.predict_proba(X), 1 / (1 + np.exp(-raw)))
    assert_allclose(fitted.predict_log_proba(X), np.log(fitted.predict_proba(X)))
    assert_array_equal(fitted.predict(X), raw > 0)


@each_comparable_model
def test_sparse_indicator_is_dense_indicator(model):
    X, y = labels()
    dense = fit(model, X, y)
    for container in (sparse.csr_array, sparse.csr_matrix, sparse.csc_array):
        assert_same_bits(fit(model, X, container(y)), dense, X)
    assert_same_bits(fit(model, X, y.astype(bool)), dense, X)
    assert_same_bits(fit(model, X, y.astype(float)), dense, X)


def test_labels_of_logistic_nn_are_as_many_models():
    X, y = labels()
    together = fit(clone(EXACT_LINEAR).set_params(alpha=1.0), X, y)
    alone = [LogisticNN(tol=1e-9, alpha=1.0).fit(X, y[:, k]) for k in range(4)]
    assert together.coef_.shape == (4, 6)
    assert_allclose(together.coef_, np.vstack([m.coef_ for m in alone]), atol=1e-7)
    assert_allclose(together.loss_, sum(m.loss_ for m in alone), rtol=1e-9)


@each_comparable_model
def test_a_label_that_is_always_or_never_set(model):
    X, y = labels()
    y[:, 0], y[:, 1] = 0, 1
    fitted = fit(model, X, y)
    assert np.isfinite(fitted.predict_log_proba(X)).all()
    assert not fitted.predict(X)[:, 0].any()
    assert fitted.predict(X)[:, 1].all()
