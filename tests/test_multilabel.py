"""A target of several labels: one independent logistic output for each."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier

from models import (
    EXACT_LINEAR,
    assert_same_bits,
    each_comparable_model,
    each_network_solver,
    each_solver,
    fit,
    ignores_max_iter,
    labels,
)
from sknn_simple import LogisticNN, OneHiddenMLP

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


LABEL_WEIGHTS = [{0: 1.0, 1: 3.0}, {1: 0.5}, {}, {0: 2.0, 1: 2.0}]


@pytest.mark.parametrize("class_weight", ["balanced", LABEL_WEIGHTS], ids=str)
@each_solver
def test_class_weights_of_labels_are_those_of_as_many_models(solver, class_weight):
    X, y = labels()
    # The labels share the units of the columns, which a model alone would weight.
    model = LogisticNN(alpha=1.0, standardize=False, tol=1e-9, solver=solver)
    model.set_params(class_weight=class_weight)
    together = clone(model).fit(X, y)
    for k in range(4):
        each = class_weight if class_weight == "balanced" else class_weight[k]
        alone = clone(model).set_params(class_weight=each).fit(X, y[:, k])
        assert_allclose(together.coef_[k], alone.coef_[0], atol=1e-6)


@ignores_max_iter
@each_network_solver
def test_class_weights_of_labels_count_in_the_objective_of_a_network(solver):
    X, y = labels()
    model = OneHiddenMLP(
        4, alpha=2.0, solver=solver, class_weight=LABEL_WEIGHTS, random_state=0
    ).set_params(standardize=False, max_iter=30)
    model.fit(X, y)
    probability = model.predict_proba(X)
    each = -np.log(np.where(y == 1, probability, 1.0 - probability))
    of_one = np.array([d.get(1, 1.0) for d in LABEL_WEIGHTS])
    of_zero = np.array([d.get(0, 1.0) for d in LABEL_WEIGHTS])
    loss = (np.where(y == 1, of_one, of_zero) * each).sum(axis=1).mean()
    penalty = sum((coef**2).sum() for coef in model.coefs_) / len(X)
    assert_allclose(model.loss_, loss + penalty, rtol=1e-7)


def test_weights_of_one_for_every_label_change_nothing():
    X, y = labels()
    model = clone(EXACT_LINEAR).set_params(alpha=1.0)
    plain = fit(model, X, y)
    ones = fit(model.set_params(class_weight=[{0: 1.0, 1: 1.0}] * 4), X, y)
    assert_allclose(ones.coef_, plain.coef_, rtol=1e-9, atol=1e-12)


@each_comparable_model
def test_a_label_that_is_always_or_never_set(model):
    X, y = labels()
    y[:, 0], y[:, 1] = 0, 1
    fitted = fit(model, X, y)
    assert np.isfinite(fitted.predict_log_proba(X)).all()
    assert not fitted.predict(X)[:, 0].any()
    assert fitted.predict(X)[:, 1].all()
